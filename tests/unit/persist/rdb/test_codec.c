/* test_codec.c: lengths, strings and numbers of the RDB format: the public bytes, and bytes that lie. */
#include "../../chance.h"
#include "trivet/base/mem.h"
#include "trivet/persist/rdb/codec.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* Reads from an allocation of just these bytes, so that the address sanitizer sees a step beyond. */
struct reading {
    struct rdb_in in;
    char *copy;
    struct buf scratch;
};

static struct reading read_from(struct slice bytes) {
    char *copy = mem_alloc(bytes.len ? bytes.len : 1);
    if (bytes.len) memcpy(copy, bytes.ptr, bytes.len);
    return (struct reading){ .in = { (unsigned char *)copy, (unsigned char *)copy + bytes.len },
                             .copy = copy };
}

static void end_reading(struct reading *r) {
    mem_free(r->copy);
    buf_release(&r->scratch);
}

/* ---- lengths ---- */

static void lengths_have_the_public_bytes(void **state) {
    static const struct {
        uint64_t n;
        struct slice bytes;
    } rows[] = {
        { 0, LIT_INIT("\x00") },
        { 63, LIT_INIT("\x3f") },
        { 64, LIT_INIT("\x40\x40") },
        { 16383, LIT_INIT("\x7f\xff") },
        { 16384, LIT_INIT("\x80\x00\x00\x40\x00") },
        { 0xfffffffe, LIT_INIT("\x80\xff\xff\xff\xfe") },
        { 0xffffffff, LIT_INIT("\x80\xff\xff\xff\xff") },
        { 0x100000000, LIT_INIT("\x81\x00\x00\x00\x01\x00\x00\x00\x00") },
        { UINT64_MAX, LIT_INIT("\x81\xff\xff\xff\xff\xff\xff\xff\xff") },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct rdb_out out = { 0 };
        rdb_put_length(&out, rows[i].n);
        assert_true(slice_equal(buf_slice(&out.bytes), rows[i].bytes));
        for (size_t len = 0; len <= rows[i].bytes.len; len++) {
            struct reading r = read_from(slice_make(rows[i].bytes.ptr, len));
            uint64_t n;
            bool whole = len == rows[i].bytes.len;
            assert_int_equal(rdb_take_length(&r.in, &n), whole);
            assert_true(!whole || (n == rows[i].n && rdb_left(&r.in) == 0));
            end_reading(&r);
        }
        buf_release(&out.bytes);
    }
}

static void a_length_has_no_other_first_byte(void **state) {
    (void)state;
    for (int first = 0x82; first <= 0xff; first++) {
        char bytes[10] = { (char)first, 0 };
        struct reading r = read_from(slice_make(bytes, sizeof bytes));
        uint64_t n;
        assert_false(rdb_take_length(&r.in, &n));
        end_reading(&r);
    }
}

static void a_count_cannot_claim_more_than_the_bytes_hold(void **state) {
    static const struct {
        struct slice bytes;
        size_t each;
        bool good;
    } rows[] = {
        { LIT_INIT("\x03"
                   "abc"),
          1, true },
        { LIT_INIT("\x04"
                   "abc"),
          1, false },
        { LIT_INIT("\x03"
                   "abcde"),
          2, false },
        { LIT_INIT("\x03"
                   "abcdef"),
          2, true },
        { LIT_INIT("\x00"), 16, true },
        { LIT_INIT("\x81\xff\xff\xff\xff\xff\xff\xff\xff"
                   "abc"),
          1, false },
        { LIT_INIT("\x81\x40\x00\x00\x00\x00\x00\x00\x01"
                   "abcd"),
          4, false }, /* times four it would be 4 again */
        { LIT_INIT(""), 1, false },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct reading r = read_from(rows[i].bytes);
        size_t n;
        assert_int_equal(rdb_take_count(&r.in, rows[i].each, &n), rows[i].good);
        end_reading(&r);
    }
}

/* ---- strings ---- */

static const struct {
    struct slice text, bytes;
} strings[] = {
    { LIT_INIT(""), LIT_INIT("\x00") },
    { LIT_INIT("abc"), LIT_INIT("\x03"
                                "abc") },
    { LIT_INIT("0"), LIT_INIT("\xc0\x00") },
    { LIT_INIT("127"), LIT_INIT("\xc0\x7f") },
    { LIT_INIT("-128"), LIT_INIT("\xc0\x80") },
    { LIT_INIT("128"), LIT_INIT("\xc1\x80\x00") },
    { LIT_INIT("-129"), LIT_INIT("\xc1\x7f\xff") },
    { LIT_INIT("32767"), LIT_INIT("\xc1\xff\x7f") },
    { LIT_INIT("-32769"), LIT_INIT("\xc2\xff\x7f\xff\xff") },
    { LIT_INIT("2147483647"), LIT_INIT("\xc2\xff\xff\xff\x7f") },
    { LIT_INIT("-2147483648"), LIT_INIT("\xc2\x00\x00\x00\x80") },
    { LIT_INIT("2147483648"), LIT_INIT("\x0a"
                                       "2147483648") },
    { LIT_INIT("007"), LIT_INIT("\x03"
                                "007") },
    { LIT_INIT("-0"), LIT_INIT("\x02-0") },
    { LIT_INIT("+1"), LIT_INIT("\x02+1") },
    { LIT_INIT(" 1"), LIT_INIT("\x02 1") },
};

static void strings_have_the_public_bytes(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(strings); i++) {
        struct rdb_out out = { .compress = true };
        rdb_put_string(&out, strings[i].text);
        assert_true(slice_equal(buf_slice(&out.bytes), strings[i].bytes));
        struct reading r = read_from(strings[i].bytes);
        struct slice back;
        assert_true(rdb_take_string(&r.in, &r.scratch, &back));
        assert_true(slice_equal(back, strings[i].text) && rdb_left(&r.in) == 0);
        end_reading(&r);
        buf_release(&out.bytes);
    }
}

static void numbers_are_written_like_their_text(void **state) {
    static const int64_t numbers[] = { 0,      -1,        127,       128,        -129,      40000,
                                       -40000, INT32_MAX, INT32_MIN, 2147483648, INT64_MAX, INT64_MIN };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        struct rdb_out number = { 0 }, text = { 0 };
        struct buf digits = { 0 };
        buf_append_int(&digits, numbers[i]);
        rdb_put_number_string(&number, numbers[i]);
        rdb_put_string(&text, buf_slice(&digits));
        assert_true(slice_equal(buf_slice(&number.bytes), buf_slice(&text.bytes)));
        buf_release(&number.bytes);
        buf_release(&text.bytes);
        buf_release(&digits);
    }
}

/* 60 times "a", as another server compressed it. */
#define LZF_60_A "\xc3\x09\x3c\x01\x61\x61\xe0\x2f\x00\x01\x61\x61"

static void compressed_strings_of_other_servers_are_read(void **state) {
    (void)state;
    char wanted[60];
    memset(wanted, 'a', sizeof wanted);
    struct slice bytes = LIT(LZF_60_A), back;
    for (size_t len = 0; len <= bytes.len; len++) {
        struct reading r = read_from(slice_make(bytes.ptr, len));
        assert_int_equal(rdb_take_string(&r.in, &r.scratch, &back), len == bytes.len);
        if (len == bytes.len) assert_true(slice_equal(back, slice_make(wanted, sizeof wanted)));
        end_reading(&r);
    }
}

static void strings_that_lie_are_refused(void **state) {
    static const struct slice rows[] = {
        LIT_INIT(""),
        LIT_INIT("\x04"
                 "abc"),
        LIT_INIT("\x80\xff\xff\xff\xff"
                 "abc"),
        LIT_INIT("\x81\xff\xff\xff\xff\xff\xff\xff\xff"
                 "abc"),
        LIT_INIT("\xc1\x00"),
        LIT_INIT("\xc2\x00\x00\x00"),
        LIT_INIT("\xc4\x00"),                                         /* no such form */
        LIT_INIT("\xff\x00\x00"),                                     /* nor this */
        LIT_INIT("\xc3\x09\x00\x01\x61\x61\xe0\x2f\x00\x01\x61\x61"), /* compressed to nothing */
        LIT_INIT("\xc3\x09\x3d\x01\x61\x61\xe0\x2f\x00\x01\x61\x61"), /* it is a byte shorter */
        LIT_INIT("\xc3\x09\x3b\x01\x61\x61\xe0\x2f\x00\x01\x61\x61"), /* a byte longer */
        LIT_INIT("\xc3\x08\x3c\x01\x61\x61\xe0\x2f\x00\x01\x61\x61"), /* needs a byte more */
        LIT_INIT("\xc3\x09\x3c\x01\x61\x61\xe0\x2f\x7f\x01\x61\x61"), /* copies from before the beginning */
        LIT_INIT("\xc3\x03\x80\xff\xff\xff\xff\xe0\xff\x00"),         /* asks for 4 GB */
        LIT_INIT("\xc3\x81\x00\x00\x00\x01\x00\x00\x00\x00\x01\x61"),
        LIT_INIT("\xc3\x00\x01"),
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct reading r = read_from(rows[i]);
        struct slice back;
        if (rdb_take_string(&r.in, &r.scratch, &back)) fail_msg("row %zu was taken", i);
        end_reading(&r);
    }
}

/* Texts of every length around the borders of the forms, of letters that repeat more or less. */
static void random_strings_come_back(void **state) {
    static const size_t borders[] = { 0, 1, 11, 20, 21, 63, 64, 255, 16383, 16384, 70000 };
    (void)state;
    for (int round = 0; round < 2000; round++) {
        struct rdb_out out = { .compress = round % 2 };
        struct buf text = { 0 };
        size_t len = borders[chance_below(COUNT_OF(borders))] + chance_below(3);
        size_t letters = 1 + chance_below(round % 3 ? 3 : 256);
        while (text.len < len) buf_append_byte(&text, (char)('0' + chance_below(letters)));
        rdb_put_string(&out, buf_slice(&text));
        assert_true(out.bytes.len <= len + 5);
        if (out.compress && letters == 1 && len > 30) assert_true(out.bytes.len < len);
        struct reading r = read_from(buf_slice(&out.bytes));
        struct slice back;
        assert_true(rdb_take_string(&r.in, &r.scratch, &back));
        assert_true(slice_equal(back, buf_slice(&text)) && rdb_left(&r.in) == 0);
        end_reading(&r);
        buf_release(&text);
        buf_release(&out.bytes);
    }
}

/* ---- numbers ---- */

static void times_and_doubles_are_little_endian(void **state) {
    (void)state;
    struct rdb_out out = { 0 };
    rdb_put_u64(&out, UINT64_C(0x0123456789abcdef));
    rdb_put_double(&out, 1.5);
    rdb_put_double(&out, -INFINITY);
    struct slice wanted = LIT("\xef\xcd\xab\x89\x67\x45\x23\x01"
                              "\x00\x00\x00\x00\x00\x00\xf8\x3f"
                              "\x00\x00\x00\x00\x00\x00\xf0\xff");
    assert_true(slice_equal(buf_slice(&out.bytes), wanted));
    struct reading r = read_from(wanted);
    uint64_t n;
    double a, b;
    assert_true(rdb_take_u64(&r.in, &n) && rdb_take_double(&r.in, &a) && rdb_take_double(&r.in, &b));
    assert_true(n == UINT64_C(0x0123456789abcdef) && a == 1.5 && b == -INFINITY);
    assert_false(rdb_take_u64(&r.in, &n));
    end_reading(&r);
    buf_release(&out.bytes);
    for (size_t len = 0; len < 8; len++) {
        r = read_from(slice_make(wanted.ptr, len));
        assert_false(rdb_take_u64(&r.in, &n));
        assert_false(rdb_take_double(&r.in, &a));
        end_reading(&r);
    }
}

static void old_doubles_are_decimals(void **state) {
    static const struct {
        struct slice bytes;
        double n;
    } rows[] = {
        { LIT_INIT("\x03"
                   "1.5"),
          1.5 },
        { LIT_INIT("\x18-1.2345678901234568e+100"), -1.2345678901234568e+100 },
        { LIT_INIT("\x02-3"), -3 },
        { LIT_INIT("\xfe"), INFINITY },
        { LIT_INIT("\xff"), -INFINITY },
    };
    static const struct slice refused[] = { LIT_INIT(""), LIT_INIT("\x00"),
                                            LIT_INIT("\x03"
                                                     "1."),
                                            LIT_INIT("\x03"
                                                     "abc"),
                                            LIT_INIT("\x02"
                                                     "1 ") };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct reading r = read_from(rows[i].bytes);
        double n = 0;
        assert_true(rdb_take_old_double(&r.in, &n));
        assert_true(n == rows[i].n && rdb_left(&r.in) == 0);
        end_reading(&r);
    }
    struct reading r = read_from(LIT("\xfd"));
    double n = 0;
    assert_true(rdb_take_old_double(&r.in, &n) && isnan(n));
    end_reading(&r);
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        r = read_from(refused[i]);
        assert_false(rdb_take_old_double(&r.in, &n));
        end_reading(&r);
    }
}

/* ---- draining ---- */

static void count_drains(void *arg, struct buf *bytes) {
    (*(size_t *)arg)++;
    buf_clear(bytes);
}

static void bytes_are_drained_when_there_are_many(void **state) {
    (void)state;
    size_t drains = 0;
    struct rdb_out out = { .drain = count_drains, .drain_arg = &drains };
    rdb_put_string(&out, LIT("few bytes"));
    rdb_may_drain(&out);
    assert_int_equal(drains, 0);
    char many[70000] = { 0 };
    rdb_put_string(&out, slice_make(many, sizeof many));
    assert_int_equal(drains, 0); /* never within an element */
    rdb_may_drain(&out);
    assert_int_equal(drains, 1);
    assert_int_equal(out.bytes.len, 0);
    buf_release(&out.bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lengths_have_the_public_bytes),
        cmocka_unit_test(a_length_has_no_other_first_byte),
        cmocka_unit_test(a_count_cannot_claim_more_than_the_bytes_hold),
        cmocka_unit_test(strings_have_the_public_bytes),
        cmocka_unit_test(numbers_are_written_like_their_text),
        cmocka_unit_test(compressed_strings_of_other_servers_are_read),
        cmocka_unit_test(strings_that_lie_are_refused),
        cmocka_unit_test(random_strings_come_back),
        cmocka_unit_test(times_and_doubles_are_little_endian),
        cmocka_unit_test(old_doubles_are_decimals),
        cmocka_unit_test(bytes_are_drained_when_there_are_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
