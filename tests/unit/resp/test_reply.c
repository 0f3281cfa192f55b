/* The reply writer: the bytes of every form in both protocols, and a chain that loses nothing on its way out.
 */
#include "trivet/base/compiler.h"
#include "trivet/base/mem.h"
#include "trivet/resp/reply.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* What waits in `r`, copied; the caller frees it. Checks that all accounts agree. */
static struct slice bytes_of(const struct reply *r) {
    int max = (int)r->chunks + 1;
    struct iovec *vectors = mem_alloc((size_t)max * sizeof *vectors);
    int count = reply_vectors(r, vectors, max);
    char *out = mem_alloc(r->bytes + 1);
    size_t len = 0;
    for (int i = 0; i < count; i++) {
        assert_true(vectors[i].iov_len > 0);
        assert_true(len + vectors[i].iov_len <= r->bytes);
        memcpy(out + len, vectors[i].iov_base, vectors[i].iov_len);
        len += vectors[i].iov_len;
    }
    mem_free(vectors);
    assert_int_equal(len, r->bytes);
    return slice_make(out, len);
}

static void expect(const struct reply *r, struct slice expected) {
    struct slice seen = bytes_of(r);
    if (!slice_equal(seen, expected)) fail_msg("%.*s is not %.*s", SLICE_ARG(seen), SLICE_ARG(expected));
    mem_free((char *)(uintptr_t)seen.ptr);
}

static void assert_empty(const struct reply *r) {
    assert_true(reply_is_empty(r));
    assert_true(chain_is_empty(&r->chain));
    assert_int_equal(r->memory, 0);
    assert_int_equal(r->chunks, 0);
    assert_int_equal(r->sent, 0);
}

/* ---- Forms ---- */

static void write_ok(struct reply *r) { reply_ok(r); }
static void write_simple(struct reply *r) { reply_simple(r, LIT("PONG")); }
static void write_simple_lines(struct reply *r) { reply_simple(r, LIT("a\r\nb")); }
static void write_int_0(struct reply *r) { reply_int(r, 0); }
static void write_int_9(struct reply *r) { reply_int(r, 9); }
static void write_int_10(struct reply *r) { reply_int(r, 10); }
static void write_int_99(struct reply *r) { reply_int(r, 99); }
static void write_int_100(struct reply *r) { reply_int(r, 100); }
static void write_int_minus(struct reply *r) { reply_int(r, -1); }
static void write_int_min(struct reply *r) { reply_int(r, INT64_MIN); }
static void write_int_max(struct reply *r) { reply_int(r, INT64_MAX); }
static void write_bulk(struct reply *r) { reply_bulk(r, LIT("a\r\nb")); }
static void write_bulk_empty(struct reply *r) { reply_bulk(r, (struct slice){ NULL, 0 }); }
static void write_bulk_int(struct reply *r) { reply_bulk_int(r, -123); }
static void write_bulk_printf(struct reply *r) { reply_bulk_printf(r, "%d-%s", 7, "x"); }
static void write_null(struct reply *r) { reply_null(r); }
static void write_null_array(struct reply *r) { reply_null_array(r); }
static void write_double(struct reply *r) { reply_double(r, 0.1); }
static void write_double_whole(struct reply *r) { reply_double(r, 3); }
static void write_double_inf(struct reply *r) { reply_double(r, INFINITY); }
static void write_double_minus_inf(struct reply *r) { reply_double(r, -INFINITY); }
static void write_double_nan(struct reply *r) { reply_double(r, (double)NAN); }
static void write_true(struct reply *r) { reply_bool(r, true); }
static void write_false(struct reply *r) { reply_bool(r, false); }
static void write_big_number(struct reply *r) { reply_big_number(r, LIT("12345678901234567890")); }
static void write_verbatim(struct reply *r) { reply_verbatim(r, "txt", LIT("some\ntext")); }
static void write_array(struct reply *r) { reply_array(r, 12); }
static void write_map(struct reply *r) { reply_map(r, 6); }
static void write_set(struct reply *r) { reply_set(r, 1000); }
static void write_push(struct reply *r) { reply_push(r, 3); }
static void write_attribute(struct reply *r) { reply_attribute(r, 1); }
static void write_raw(struct reply *r) { reply_raw(r, LIT(":1\r\n:2\r\n")); }
static void write_later_map(struct reply *r) { reply_later_map(r, reply_later(r), 2); }
static void write_later_set(struct reply *r) { reply_later_set(r, reply_later(r), 2); }
static void write_later_array(struct reply *r) { reply_later_array(r, reply_later(r), 123456); }
static void write_error(struct reply *r) { reply_error(r, ERR_SYNTAX); }
static void write_error_text(struct reply *r) { reply_error_text(r, LIT("ERR a\r\nb\n")); }
static void write_error_printf(struct reply *r) { reply_error_printf(r, "ERR no '%s'", "new\nline"); }

static const struct {
    void (*write)(struct reply *r);
    struct slice resp2, resp3;
} forms[] = {
    { write_ok, LIT_INIT("+OK\r\n"), LIT_INIT("+OK\r\n") },
    { write_simple, LIT_INIT("+PONG\r\n"), LIT_INIT("+PONG\r\n") },
    { write_simple_lines, LIT_INIT("+a  b\r\n"), LIT_INIT("+a  b\r\n") },
    { write_int_0, LIT_INIT(":0\r\n"), LIT_INIT(":0\r\n") },
    { write_int_9, LIT_INIT(":9\r\n"), LIT_INIT(":9\r\n") },
    { write_int_10, LIT_INIT(":10\r\n"), LIT_INIT(":10\r\n") },
    { write_int_99, LIT_INIT(":99\r\n"), LIT_INIT(":99\r\n") },
    { write_int_100, LIT_INIT(":100\r\n"), LIT_INIT(":100\r\n") },
    { write_int_minus, LIT_INIT(":-1\r\n"), LIT_INIT(":-1\r\n") },
    { write_int_min, LIT_INIT(":-9223372036854775808\r\n"), LIT_INIT(":-9223372036854775808\r\n") },
    { write_int_max, LIT_INIT(":9223372036854775807\r\n"), LIT_INIT(":9223372036854775807\r\n") },
    { write_bulk, LIT_INIT("$4\r\na\r\nb\r\n"), LIT_INIT("$4\r\na\r\nb\r\n") },
    { write_bulk_empty, LIT_INIT("$0\r\n\r\n"), LIT_INIT("$0\r\n\r\n") },
    { write_bulk_int, LIT_INIT("$4\r\n-123\r\n"), LIT_INIT("$4\r\n-123\r\n") },
    { write_bulk_printf, LIT_INIT("$3\r\n7-x\r\n"), LIT_INIT("$3\r\n7-x\r\n") },
    { write_null, LIT_INIT("$-1\r\n"), LIT_INIT("_\r\n") },
    { write_null_array, LIT_INIT("*-1\r\n"), LIT_INIT("_\r\n") },
    { write_double, LIT_INIT("$3\r\n0.1\r\n"), LIT_INIT(",0.1\r\n") },
    { write_double_whole, LIT_INIT("$1\r\n3\r\n"), LIT_INIT(",3\r\n") },
    { write_double_inf, LIT_INIT("$3\r\ninf\r\n"), LIT_INIT(",inf\r\n") },
    { write_double_minus_inf, LIT_INIT("$4\r\n-inf\r\n"), LIT_INIT(",-inf\r\n") },
    { write_double_nan, LIT_INIT("$3\r\nnan\r\n"), LIT_INIT(",nan\r\n") },
    { write_true, LIT_INIT(":1\r\n"), LIT_INIT("#t\r\n") },
    { write_false, LIT_INIT(":0\r\n"), LIT_INIT("#f\r\n") },
    { write_big_number, LIT_INIT("$20\r\n12345678901234567890\r\n"), LIT_INIT("(12345678901234567890\r\n") },
    { write_verbatim, LIT_INIT("$9\r\nsome\ntext\r\n"), LIT_INIT("=13\r\ntxt:some\ntext\r\n") },
    { write_array, LIT_INIT("*12\r\n"), LIT_INIT("*12\r\n") },
    { write_map, LIT_INIT("*12\r\n"), LIT_INIT("%6\r\n") },
    { write_set, LIT_INIT("*1000\r\n"), LIT_INIT("~1000\r\n") },
    { write_push, LIT_INIT("*3\r\n"), LIT_INIT(">3\r\n") },
    { write_attribute, LIT_INIT(""), LIT_INIT("|1\r\n") },
    { write_raw, LIT_INIT(":1\r\n:2\r\n"), LIT_INIT(":1\r\n:2\r\n") },
    { write_later_map, LIT_INIT("*4\r\n"), LIT_INIT("%2\r\n") },
    { write_later_set, LIT_INIT("*2\r\n"), LIT_INIT("~2\r\n") },
    { write_later_array, LIT_INIT("*123456\r\n"), LIT_INIT("*123456\r\n") },
    { write_error, LIT_INIT("-ERR syntax error\r\n"), LIT_INIT("-ERR syntax error\r\n") },
    { write_error_text, LIT_INIT("-ERR a  b\r\n"), LIT_INIT("-ERR a  b\r\n") },
    { write_error_printf, LIT_INIT("-ERR no 'new line'\r\n"), LIT_INIT("-ERR no 'new line'\r\n") },
};

static void every_value_has_its_form_in_both_protocols(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(forms); i++) {
        for (uint8_t protocol = 2; protocol <= 3; protocol++) {
            struct slice expected = protocol == 2 ? forms[i].resp2 : forms[i].resp3;
            struct reply r;
            reply_init(&r, protocol);
            forms[i].write(&r);
            expect(&r, expected);
            assert_int_equal(r.total, expected.len);
            reply_sent(&r, r.bytes);
            reply_release(&r);
            assert_empty(&r);
        }
    }
}

static void a_muted_reply_takes_nothing(void **state) {
    (void)state;
    struct reply r;
    reply_init(&r, 3);
    r.muted = true;
    struct blob *b = blob_new(2 * REPLY_SHARE, 0);
    reply_bulk_blob(&r, b);
    reply_raw_blob(&r, b);
    reply_bulk(&r, blob_slice(b));
    assert_true(blob_is_sole(b));
    blob_unref(b);
    for (size_t i = 0; i < COUNT_OF(forms); i++) forms[i].write(&r);
    assert_empty(&r);
    assert_int_equal(r.total, 0);
    assert_true(r.failed);
    assert_string_equal(r.error_code, "ERR");
    struct reply other;
    reply_init(&other, 3);
    reply_ok(&other);
    reply_move(&r, &other);
    assert_empty(&r);
    assert_empty(&other);
}

/* ---- Errors ---- */

static void every_named_error_is_one_line_with_a_code(void **state) {
    (void)state;
    for (int e = 0; e < ERR_COUNT; e++) {
        struct reply r;
        reply_init(&r, 2);
        assert_false(r.failed);
        reply_error(&r, (enum error)e);
        struct slice seen = bytes_of(&r);
        size_t code = strlen(r.error_code);
        assert_true(r.failed);
        assert_true(code >= 3);
        assert_int_equal(seen.ptr[0], '-');
        assert_memory_equal(seen.ptr + 1, r.error_code, code);
        assert_int_equal(seen.ptr[code + 1], ' ');
        assert_memory_equal(seen.ptr + seen.len - 2, "\r\n", 2);
        assert_ptr_equal(memchr(seen.ptr, '\r', seen.len), seen.ptr + seen.len - 2);
        mem_free((char *)(uintptr_t)seen.ptr);
        reply_release(&r);
    }
}

static void an_errors_code_is_its_first_word(void **state) {
    (void)state;
    static const struct {
        const char *text, *code;
    } cases[] = {
        { "WRONGPASS invalid", "WRONGPASS" },
        { "NOCODE", "NOCODE" },
        { "A_CODE_THAT_IS_FAR_TOO_LONG_TO_BE_KEPT x", "A_CODE_THAT_IS_FAR_TOO_LONG_TO_" },
        { "", "" },
        { "\n", "" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct reply r;
        reply_init(&r, 2);
        reply_error_printf(&r, "%s", cases[i].text);
        assert_string_equal(r.error_code, cases[i].code);
        reply_release(&r);
    }
}

/* ---- Sending ---- */

static uint32_t random_state = 12345;

static uint32_t random_below(uint32_t n) {
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % n;
}

static const char *noise(void) {
    static char bytes[200000];
    if (!bytes[0])
        for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (char)('!' + random_below(90));
    return bytes;
}

static size_t random_length(void) {
    static const uint32_t reach[] = { 8, 100, 1100, 3000, 16384, 40000 };
    return random_below(reach[random_below(COUNT_OF(reach))]);
}

/* Adds one value to `r` and the same bytes to `model`. */
static void add_random(struct reply *r, struct blob **shared, char *model, size_t *len) {
    size_t size = random_length();
    struct slice text = slice_make(noise() + random_below(1000), size);
    switch (random_below(4)) {
    case 0:
        reply_int(r, (int64_t)size);
        *len += (size_t)sprintf(model + *len, ":%zu\r\n", size);
        return;
    case 1:
        reply_raw(r, text);
        memcpy(model + *len, text.ptr, size);
        *len += size;
        return;
    case 2: reply_bulk(r, text); break;
    default: *shared = blob_of(text); reply_bulk_blob(r, *shared);
    }
    *len += (size_t)sprintf(model + *len, "$%zu\r\n", size);
    memcpy(model + *len, text.ptr, size);
    *len += size;
    *len += (size_t)sprintf(model + *len, "\r\n");
}

#define VALUES 60

static void sends_of_any_size_add_up_to_the_whole(void **state) {
    (void)state;
    char *model = mem_alloc(VALUES * 41000);
    for (int round = 0; round < 50; round++) {
        struct blob *blobs[VALUES] = { NULL };
        struct reply r;
        reply_init(&r, 2);
        size_t len = 0, sent = 0;
        int added = 0;
        while (added < VALUES || !reply_is_empty(&r)) {
            if (added < VALUES && random_below(3) > 0) {
                add_random(&r, &blobs[added], model, &len);
                added++;
                continue;
            }
            struct iovec out[4];
            int count = reply_vectors(&r, out, 4);
            size_t budget = random_below(50000), now = 0;
            for (int i = 0; i < count && budget > 0; i++) {
                size_t part = out[i].iov_len < budget ? out[i].iov_len : budget;
                assert_memory_equal(out[i].iov_base, model + sent + now, part);
                now += part;
                budget -= part;
            }
            reply_sent(&r, now);
            sent += now;
            assert_int_equal(r.bytes, len - sent);
        }
        assert_int_equal(sent, len);
        assert_int_equal(r.total, len);
        assert_empty(&r);
        for (int i = 0; i < VALUES; i++) {
            if (!blobs[i]) continue;
            assert_true(blob_is_sole(blobs[i])); /* each reference was dropped, once */
            blob_unref(blobs[i]);
        }
    }
    mem_free(model);
}

static void an_idle_reply_owns_no_memory(void **state) {
    (void)state;
    reply_thread_release();
    size_t before = mem_used_exact();
    struct reply r;
    reply_init(&r, 3);
    for (int i = 0; i < 100000; i++) reply_bulk_int(&r, i); /* more chunks than a thread keeps */
    assert_true(r.chunks > 64);
    assert_true(r.memory >= r.bytes);
    reply_sent(&r, r.bytes);
    assert_empty(&r);
    assert_true(mem_used_exact() - before <= 64ul * 20 * 1024);
    reply_thread_release();
    assert_int_equal(mem_used_exact(), before);
}

static void a_small_reply_reuses_the_last_chunk(void **state) {
    (void)state;
    struct reply r;
    reply_init(&r, 2);
    reply_ok(&r);
    const struct chain_link *first = r.chain.first;
    for (int i = 0; i < 10; i++) {
        reply_sent(&r, r.bytes);
        size_t before = mem_used_exact();
        reply_ok(&r);
        assert_ptr_equal(r.chain.first, first);
        assert_int_equal(mem_used_exact(), before);
    }
    reply_release(&r);
}

static void many_short_replies_at_once_take_little_and_long_ones_grow(void **state) {
    (void)state;
    enum { REPLIES = 1000 };
    static struct reply many[REPLIES];
    reply_thread_release();
    for (size_t i = 0; i < REPLIES; i++) {
        reply_init(&many[i], 2);
        reply_bulk(&many[i], slice_make(noise(), 100));
    }
    size_t sum = 0;
    for (size_t i = 0; i < REPLIES; i++) sum += many[i].memory;
    assert_true(sum < 2000ul * REPLIES);
    struct reply *last = &many[REPLIES - 1];
    size_t first_size = last->memory;
    while (last->bytes < 100ul * 1024) reply_bulk(last, slice_make(noise(), 100));
    assert_true(first_size < 2000);
    assert_true(last->chunks < 16); /* 1, 2, 4, 8 and then 16 KB */
    for (size_t i = 0; i < REPLIES; i++) {
        reply_sent(&many[i], many[i].bytes);
        assert_empty(&many[i]);
    }
    reply_thread_release();
}

/* ---- Shared blobs ---- */

static void what_many_get_is_shared_in_an_empty_reply_or_from_some_size_on(void **state) {
    (void)state;
    static const struct {
        size_t length;
        bool alone, behind_others; /* is it shared? */
    } cases[] = { { 10, false, false },
                  { REPLY_SHARE_FIRST, true, false },
                  { REPLY_SHARE_MANY - 1, true, false },
                  { REPLY_SHARE_MANY, true, true } };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct blob *b = blob_of(slice_make(noise(), cases[i].length));
        struct reply r;
        reply_init(&r, 2);
        reply_raw_shared(&r, b);
        assert_int_equal(r.shared > 0, cases[i].alone);
        assert_int_equal(r.bytes, b->len);
        reply_release(&r);
        reply_ok(&r);
        reply_raw_shared(&r, b);
        assert_int_equal(r.shared > 0, cases[i].behind_others);
        assert_int_equal(r.bytes, b->len + 5);
        r.muted = true;
        reply_raw_shared(&r, b);
        assert_int_equal(r.bytes, b->len + 5);
        reply_release(&r);
        assert_true(blob_is_sole(b));
        blob_unref(b);
    }
}

static void big_blobs_are_shared_and_small_ones_copied(void **state) {
    (void)state;
    static const struct {
        size_t length;
        bool shared;
    } cases[] = { { 10, false }, { REPLY_SHARE - 1, false }, { REPLY_SHARE, true }, { 100000, true } };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct blob *b = blob_of(slice_make(noise(), cases[i].length));
        struct reply r;
        reply_init(&r, 2);
        reply_bulk_blob(&r, b);
        reply_raw_blob(&r, b);
        assert_int_equal(blob_is_sole(b), !cases[i].shared);
        struct slice seen = bytes_of(&r);
        assert_memory_equal(seen.ptr + seen.len - cases[i].length, noise(), cases[i].length);
        mem_free((char *)(uintptr_t)seen.ptr);
        assert_true(r.memory >= r.bytes);
        reply_release(&r);
        assert_true(blob_is_sole(b));
        blob_unref(b);
    }
}

static void framing_between_shared_blobs_costs_little(void **state) {
    (void)state;
    struct blob *b = blob_of(slice_make(noise(), REPLY_SHARE));
    struct reply r;
    reply_init(&r, 2);
    for (int i = 0; i < 100; i++) reply_bulk_blob(&r, b);
    size_t blobs = 100 * (b->room + sizeof *b);
    assert_true(r.memory < blobs + 100ul * 1024);
    reply_release(&r);
    blob_unref(b);
}

/* ---- Headers that come later ---- */

static void later_headers_nest(void **state) {
    (void)state;
    for (uint8_t protocol = 2; protocol <= 3; protocol++) {
        struct reply r;
        reply_init(&r, protocol);
        reply_ok(&r);
        struct chunk *outer = reply_later(&r);
        struct chunk *first = reply_later(&r);
        reply_int(&r, 1);
        reply_int(&r, 2);
        reply_later_set(&r, first, 2);
        struct chunk *second = reply_later(&r);
        struct chunk *inner = reply_later(&r);
        reply_later_array(&r, inner, 0);
        reply_later_map(&r, second, 0);
        reply_int(&r, 3);
        reply_later_array(&r, outer, 3);
        reply_ok(&r);
        expect(&r, protocol == 2 ? LIT("+OK\r\n*3\r\n*2\r\n:1\r\n:2\r\n*0\r\n*0\r\n:3\r\n+OK\r\n")
                                 : LIT("+OK\r\n*3\r\n~2\r\n:1\r\n:2\r\n%0\r\n*0\r\n:3\r\n+OK\r\n"));
        assert_int_equal(r.chunks, 1); /* short pieces were joined */
        reply_release(&r);
    }
}

static void a_later_header_stands_before_any_amount_of_elements(void **state) {
    (void)state;
    static const int counts[] = { 0, 1, 50, 500, 5000, 50000 };
    for (size_t c = 0; c < COUNT_OF(counts); c++) {
        struct reply plain, later;
        reply_init(&plain, 2);
        reply_init(&later, 2);
        reply_array(&plain, (size_t)counts[c]);
        struct chunk *at = reply_later(&later);
        for (int i = 0; i < counts[c]; i++) {
            reply_bulk_int(&plain, i);
            reply_bulk_int(&later, i);
        }
        reply_later_array(&later, at, (size_t)counts[c]);
        struct slice whole = bytes_of(&plain);
        expect(&later, whole);
        assert_int_equal(later.total, whole.len);
        mem_free((char *)(uintptr_t)whole.ptr);
        reply_release(&plain);
        reply_release(&later);
    }
}

static void many_later_headers_do_not_fill_memory(void **state) {
    (void)state;
    struct reply r;
    reply_init(&r, 3);
    struct chunk *outer = reply_later(&r);
    for (int i = 0; i < 10000; i++) {
        struct chunk *at = reply_later(&r);
        reply_int(&r, i);
        reply_later_array(&r, at, 1);
    }
    reply_later_array(&r, outer, 10000);
    assert_true(r.memory < 2 * r.bytes + 64ul * 1024);
    reply_release(&r);
}

/* ---- Moving ---- */

static void a_move_keeps_the_order_and_empties_the_source(void **state) {
    (void)state;
    static char model[12 * 41000];
    for (int round = 0; round < 300; round++) {
        struct blob *blobs[12] = { NULL };
        struct reply to, from;
        reply_init(&to, 2);
        reply_init(&from, 2);
        size_t len = 0;
        int values = 0, before = (int)random_below(4);
        while (values < before) add_random(&to, &blobs[values], model, &len), values++;
        for (int moves = 0; moves < 2; moves++) {
            int some = (int)random_below(4);
            for (int i = 0; i < some; i++) add_random(&from, &blobs[values], model, &len), values++;
            reply_move(&to, &from);
            assert_empty(&from);
        }
        add_random(&to, &blobs[values], model, &len);
        expect(&to, slice_make(model, len));
        assert_int_equal(to.total, len);
        reply_sent(&to, to.bytes);
        assert_empty(&to);
        for (int i = 0; i < 12; i++) {
            if (blobs[i]) assert_true(blob_is_sole(blobs[i]));
            blob_unref(blobs[i]);
        }
    }
}

static int release_thread(void **state) {
    (void)state;
    reply_thread_release();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_value_has_its_form_in_both_protocols),
        cmocka_unit_test(a_muted_reply_takes_nothing),
        cmocka_unit_test(every_named_error_is_one_line_with_a_code),
        cmocka_unit_test(an_errors_code_is_its_first_word),
        cmocka_unit_test(sends_of_any_size_add_up_to_the_whole),
        cmocka_unit_test(an_idle_reply_owns_no_memory),
        cmocka_unit_test(a_small_reply_reuses_the_last_chunk),
        cmocka_unit_test(many_short_replies_at_once_take_little_and_long_ones_grow),
        cmocka_unit_test(what_many_get_is_shared_in_an_empty_reply_or_from_some_size_on),
        cmocka_unit_test(big_blobs_are_shared_and_small_ones_copied),
        cmocka_unit_test(framing_between_shared_blobs_costs_little),
        cmocka_unit_test(later_headers_nest),
        cmocka_unit_test(a_later_header_stands_before_any_amount_of_elements),
        cmocka_unit_test(many_later_headers_do_not_fill_memory),
        cmocka_unit_test(a_move_keeps_the_order_and_empties_the_source),
    };
    return cmocka_run_group_tests(tests, NULL, release_thread);
}
