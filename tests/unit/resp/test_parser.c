/* The parser: whatever way the bytes arrive, the same commands come out, and the same errors. */
#include "trivet/base/compiler.h"
#include "trivet/base/mem.h"
#include "trivet/resp/parser.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct parse_limits open_limits = { 512ull * 1024 * 1024, INT32_MAX };
static const struct parse_limits early_limits = { PARSE_UNAUTHENTICATED_BULK, PARSE_UNAUTHENTICATED_ARGS };

/* ---- A connection: its bytes arrive in pieces, and its buffer moves each time ---- */

struct feed {
    struct slice wire;
    size_t arrived;  /* bytes of the wire that were handed out, to the buffer or to a blob */
    char *buffer;    /* exactly `buffered` bytes, so that a sanitizer sees every step outside */
    size_t buffered; /* bytes from the command's begin, big arguments left out */
};

static void feed_move(struct feed *f, size_t more) {
    size_t size = f->buffered + more;
    char *moved = mem_alloc(size ? size : 1);
    if (f->buffered) memcpy(moved, f->buffer, f->buffered);
    if (more) memcpy(moved + f->buffered, f->wire.ptr + f->arrived, more);
    if (f->buffer) memset(f->buffer, '?', f->buffered);
    mem_free(f->buffer);
    f->buffer = moved;
    f->buffered = size;
    f->arrived += more;
}

static void feed_drop(struct feed *f, size_t used) {
    char *rest = mem_alloc(f->buffered - used + 1);
    memcpy(rest, f->buffer + used, f->buffered - used);
    mem_free(f->buffer);
    f->buffer = rest;
    f->buffered -= used;
}

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* Reads one command, `step` bytes at a time. PARSE_MORE if the wire ended before. */
static enum parse feed_command(struct feed *f, struct args *a, size_t step,
                               const struct parse_limits *limits) {
    for (;;) {
        enum parse got = parse_command(a, slice_make(f->buffer, f->buffered), limits);
        if (got == PARSE_READY || got == PARSE_BROKEN) return got;
        size_t left = f->wire.len - f->arrived;
        if (left == 0) return PARSE_MORE;
        if (got == PARSE_MORE) {
            feed_move(f, smaller(step, left));
            continue;
        }
        struct parse_room room = parse_big_room(a);
        assert_true(room.len > 0);
        size_t count = smaller(smaller(step, left), room.len);
        memcpy(room.ptr, f->wire.ptr + f->arrived, count);
        f->arrived += count;
        parse_big_filled(a, count);
    }
}

/* Appends every command as "[a|b|c]" and at last "!error", "..." if the wire ends inside a command. */
static size_t describe(struct slice wire, size_t step, const struct parse_limits *limits, char *out,
                       size_t room) {
    struct feed f = { .wire = wire };
    struct args a;
    args_init(&a);
    size_t len = 0;
    uint64_t bytes = 0;
    enum parse got;
    while ((got = feed_command(&f, &a, step, limits)) == PARSE_READY) {
        assert_true(len + 2 < room);
        out[len++] = '[';
        for (size_t i = 0; i < a.argc; i++) {
            assert_true(len + a.argv[i].len + 3 < room);
            if (i) out[len++] = '|';
            memcpy(out + len, a.argv[i].ptr, a.argv[i].len);
            len += a.argv[i].len;
        }
        out[len++] = ']';
        bytes += a.bytes;
        feed_drop(&f, a.used);
        args_reset(&a);
        assert_true(args_is_idle(&a));
    }
    if (got == PARSE_BROKEN) {
        len += (size_t)snprintf(out + len, room - len, "!%s", a.error);
        assert_int_equal(parse_command(&a, slice_make(f.buffer, f.buffered), limits), PARSE_BROKEN);
    } else if (args_is_idle(&a)) {
        assert_int_equal(bytes, wire.len);
    } else {
        len += (size_t)snprintf(out + len, room - len, "...");
    }
    mem_free(f.buffer);
    args_release(&a);
    return len;
}

static void expect(struct slice wire, size_t step, const struct parse_limits *limits, const char *expected) {
    static char seen[1 << 16];
    size_t len = describe(wire, step, limits, seen, sizeof seen);
    seen[len] = '\0';
    if (len != strlen(expected) || memcmp(seen, expected, len) != 0)
        fail_msg("%zu bytes at a time, \"%.*s\" is read as %s, not %s", step, (int)smaller(wire.len, 80),
                 wire.ptr, seen, expected);
}

/* ---- Tables ---- */

struct example {
    struct slice wire;
    const char *commands;
};

#define BAD_END "!Protocol error: invalid CRLF in request"
#define EXPECTED_MARK "!Protocol error: expected '$', got "

/* Each line was compared with redis-server 7.0, but for BAD_END and words of several parts: those are newer.
 */
static const struct example examples[] = {
    { LIT_INIT(""), "" },
    { LIT_INIT("*1\r\n$4\r\nPING\r\n"), "[PING]" },
    { LIT_INIT("*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000001\r\n$3\r\nabc\r\n"), "[SET|key:000000000001|abc]" },
    { LIT_INIT("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*2\r\n$3\r\nGET\r\n$1\r\nl\r\n"), "[GET|k][GET|l]" },
    { LIT_INIT("*2\r\n$4\r\nECHO\r\n$6\r\na\r\n$b\n\r\n"), "[ECHO|a\r\n$b\n]" },
    { LIT_INIT("*1\r\n$0\r\n\r\n"), "[]" },
    { LIT_INIT("*-1\r\nPING\r\n"), "[][PING]" },
    { LIT_INIT("*-10\r\nPING\r\n"), "[][PING]" },
    { LIT_INIT("*0\r\n*1\r\n$4\r\nPING\r\n"), "[][PING]" },
    /* CR LF and nothing else, after each length and each argument. A number that is none is told first. */
    { LIT_INIT("*1\rX$4\r\nPING\r\n"), BAD_END },
    { LIT_INIT("*1\r\r$4\r\nPING\r\n"), BAD_END },
    { LIT_INIT("*0\rX"), BAD_END },
    { LIT_INIT("*-1\rX"), BAD_END },
    { LIT_INIT("*1\r\n$4\rXPING\r\n"), BAD_END },
    { LIT_INIT("*1\r\n$1234567890\rX"), "!Protocol error: invalid bulk length" },
    { LIT_INIT("*1\r\n$4\r\nPINGxx"), BAD_END },
    { LIT_INIT("*1\r\n$4\r\nPING\rx"), BAD_END },
    { LIT_INIT("*1\r\n$4\r\nPINGx\n"), BAD_END },
    { LIT_INIT("*1\r\n$4\r\nPING\n\r"), BAD_END },
    { LIT_INIT("*1\r\n$4\r\nPIN\r\n\r\n*1\r\n$4\r\nPING\r\n"), BAD_END },
    { LIT_INIT("*2\r\n$4\r\nECHO\r\n$1\r\nabc"), BAD_END },
    { LIT_INIT("*1\n$4\r\nPING\r\n"), "!Protocol error: invalid multibulk length" },
    { LIT_INIT("*1\r\n$4\nPING\r\n"), "!Protocol error: invalid bulk length" },
    { LIT_INIT("*a\rX"), "!Protocol error: invalid multibulk length" },
    { LIT_INIT("*1\r\n$a\rX"), "!Protocol error: invalid bulk length" },
    { LIT_INIT("*2147483647\r\n"), "..." },
    { LIT_INIT("*1\r\nfoo"), "..." },
    { LIT_INIT("*1\r\nfoo\r"), "..." },
    { LIT_INIT("*1\r\n$5\r\nPING\r\n"), "..." },
    { LIT_INIT("*\r\n"), "!Protocol error: invalid multibulk length" },
    { LIT_INIT("*a\r\n"), "!Protocol error: invalid multibulk length" },
    { LIT_INIT("*-0\r\n"), "!Protocol error: invalid multibulk length" },
    { LIT_INIT("*01\r\n$4\r\nPING\r\n"), "!Protocol error: invalid multibulk length" },
    { LIT_INIT("*+1\r\n$4\r\nPING\r\n"), "!Protocol error: invalid multibulk length" },
    { LIT_INIT("*1 \r\n$4\r\nPING\r\n"), "!Protocol error: invalid multibulk length" },
    { LIT_INIT("*2147483648\r\n"), "!Protocol error: invalid multibulk length" },
    { LIT_INIT("*4294967297\r\n"), "!Protocol error: invalid multibulk length" },
    { LIT_INIT("*18446744073709551617\r\n"), "!Protocol error: invalid multibulk length" },
    { LIT_INIT("*1\r\n+PING\r\n"), EXPECTED_MARK "'+'" },
    { LIT_INIT("*1\r\n\r\n"), EXPECTED_MARK "'\r'" },
    { LIT_INIT("*3\r\n$3\r\nSET\r\n$1\r\nx\r\nfooz\r\n"), EXPECTED_MARK "'f'" },
    { LIT_INIT("*1\r\n$\r\n"), "!Protocol error: invalid bulk length" },
    { LIT_INIT("*1\r\n$a\r\n"), "!Protocol error: invalid bulk length" },
    { LIT_INIT("*1\r\n$-0\r\n"), "!Protocol error: invalid bulk length" },
    { LIT_INIT("*1\r\n$-1\r\n"), "!Protocol error: invalid bulk length" },
    { LIT_INIT("*1\r\n$04\r\nPING\r\n"), "!Protocol error: invalid bulk length" },
    { LIT_INIT("*1\r\n$01\r\nP\r\n*1\r\n$4\r\nPING\r\n"), "!Protocol error: invalid bulk length" },
    { LIT_INIT("*1\r\n$4;\r\nPING\r\n*1\r\n$4\r\nPING\r\n"), "!Protocol error: invalid bulk length" },
    { LIT_INIT("*1\r\n$ 4\r\nPING\r\n"), "!Protocol error: invalid bulk length" },
    { LIT_INIT("*1\r\n$536870913\r\n"), "!Protocol error: invalid bulk length" },
    { LIT_INIT("*1\r\n$4294967300\r\nPING\r\n"), "!Protocol error: invalid bulk length" },
    { LIT_INIT("*2\r\n$4\r\nPING\r\n$99999999999999999999\r\n"), "!Protocol error: invalid bulk length" },
    /* Inline. */
    { LIT_INIT("PING\r\n"), "[PING]" },
    { LIT_INIT("PING\n"), "[PING]" },
    { LIT_INIT("   PING   \r\n"), "[PING]" },
    { LIT_INIT("\r\nPING\r\n"), "[][PING]" },
    { LIT_INIT("\n\n\nPING\n"), "[][][][PING]" },
    { LIT_INIT("\r\r\nPING\r\n"), "[][PING]" },
    { LIT_INIT("set k\tv\r\n*1\r\n$4\r\nPING\r\n"), "[set|k|v][PING]" },
    { LIT_INIT("ECHO a\rb\r\n"), "[ECHO|a|b]" },
    { LIT_INIT("\vECHO a\f\v\r\n"), "[ECHO|a\f\v]" },
    { LIT_INIT("ECHO a\\b \\x41\r\n"), "[ECHO|a\\b|\\x41]" },
    { LIT_INIT("ECHO \"a\\x41\\n\\q\\x4\"\r\n"), "[ECHO|aA\nqx4]" },
    { LIT_INIT("ECHO \"\\r\\t\\b\\a\\\\\\\"\\xZZ\\x0g\"\r\n"), "[ECHO|\r\t\b\a\\\"xZZx0g]" },
    { LIT_INIT("ECHO 'a\\'b\\n\"'\n"), "[ECHO|a'b\\n\"]" },
    { LIT_INIT("ECHO foo\"bar baz\"\r\n"), "[ECHO|foobar baz]" },
    { LIT_INIT("ECHO \"\" ''\r\n"), "[ECHO||]" },
    { LIT_INIT("ECHO \"a\"\v\n"), "[ECHO|a]" },
    { LIT_INIT("ECHO \xff\xfe\n"), "[ECHO|\xff\xfe]" },
    { LIT_INIT("PIN"), "..." },
    { LIT_INIT("ECHO \"a\"b\r\n"), "[ECHO|ab]" },
    { LIT_INIT("ECHO 'a'\"b\"c 'd\"e' f'g'\n"), "[ECHO|abc|d\"e|fg]" },
    { LIT_INIT("ECHO x'y z'w \"\"'' \"\"a\n"), "[ECHO|xy zw||a]" },
    { LIT_INIT("ECHO \"a\"\fb\n"), "[ECHO|a|b]" },
    { LIT_INIT("ECHO 'a'\"b\n"), "!Protocol error: unbalanced quotes in request" },
    { LIT_INIT("ECHO \"a\r\n"), "!Protocol error: unbalanced quotes in request" },
    { LIT_INIT("ECHO \"\\\"\n"), "!Protocol error: unbalanced quotes in request" },
    { LIT_INIT("ECHO \"a\\\n"), "!Protocol error: unbalanced quotes in request" },
    { LIT_INIT("ECHO '\\'\n"), "!Protocol error: unbalanced quotes in request" },
    { LIT_INIT("ECHO a'\n"), "!Protocol error: unbalanced quotes in request" },
};

static void parser_reads_the_same_however_the_bytes_arrive(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(examples); i++)
        for (size_t step = 1; step <= examples[i].wire.len + 1; step++)
            expect(examples[i].wire, step, &open_limits, examples[i].commands);
}

/* Only then argv has room, and whole commands can be read at one go. */
static void parser_reads_the_same_behind_another_command(void **state) {
    static char wire[512], expected[512];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(examples); i++) {
        struct slice example = examples[i].wire;
        int before = snprintf(wire, sizeof wire, "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n");
        assert_true((size_t)before + example.len <= sizeof wire);
        memcpy(wire + before, example.ptr, example.len);
        snprintf(expected, sizeof expected, "[GET|k]%s", examples[i].commands);
        struct slice both = slice_make(wire, (size_t)before + example.len);
        for (size_t step = 1; step <= both.len + 1; step++) expect(both, step, &open_limits, expected);
    }
}

/* Lengths of one digit, two and three: "ECHO" with one argument, after one that makes room for it. */
static void arguments_of_any_length_are_read(void **state) {
    static char text[1100], wire[2 * sizeof text], expected[2 * sizeof text];
    (void)state;
    memset(text, 'x', sizeof text);
    for (int len = 0; len < 1100; len++) {
        int size = snprintf(wire, sizeof wire, "*1\r\n$4\r\nPING\r\n*2\r\n$4\r\nECHO\r\n$%d\r\n%.*s\r\n", len,
                            len, text);
        snprintf(expected, sizeof expected, "[PING][ECHO|%.*s]", len, text);
        expect(slice_make(wire, (size_t)size), (size_t)size, &open_limits, expected);
        expect(slice_make(wire, (size_t)size - 1), (size_t)size, &open_limits, "[PING]...");
    }
}

static const struct example early_examples[] = {
    { LIT_INIT("*11\r\n"), "!Protocol error: unauthenticated multibulk length" },
    { LIT_INIT("*2147483647\r\n"), "!Protocol error: unauthenticated multibulk length" },
    { LIT_INIT("*2147483648\r\n"), "!Protocol error: invalid multibulk length" },
    { LIT_INIT("*10\r\n"), "..." },
    { LIT_INIT("*1\r\n$16385\r\n"), "!Protocol error: unauthenticated bulk length" },
    { LIT_INIT("*1\r\n$16384\r\n"), "..." },
    { LIT_INIT("*1\r\n$-1\r\n"), "!Protocol error: invalid bulk length" },
    { LIT_INIT("*2\r\n$4\r\nAUTH\r\n$1\r\np\r\n"), "[AUTH|p]" },
};

static void before_authentication_the_limits_are_low(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(early_examples); i++)
        for (size_t step = 1; step <= early_examples[i].wire.len + 1; step++)
            expect(early_examples[i].wire, step, &early_limits, early_examples[i].commands);
}

static void a_line_longer_than_the_limit_breaks_the_connection(void **state) {
    (void)state;
    static const struct {
        const char *begin, *error;
        char fill;
    } lines[] = {
        { "", "!Protocol error: too big inline request", 'x' },
        { "*", "!Protocol error: too big mbulk count string", '1' },
        { "*1\r\n$", "!Protocol error: too big bulk count string", '1' },
    };
    static char wire[PARSE_LINE_MAX + 16];
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        size_t begin = strlen(lines[i].begin);
        size_t marks = begin ? begin - 1 : 0; /* bytes in front of the line itself */
        memcpy(wire, lines[i].begin, begin);
        memset(wire + begin, lines[i].fill, sizeof wire - begin);
        for (size_t step = 1; step < sizeof wire; step *= 3) {
            expect(slice_make(wire, marks + PARSE_LINE_MAX), step, &open_limits, "...");
            expect(slice_make(wire, marks + PARSE_LINE_MAX + 1), step, &open_limits, lines[i].error);
        }
        expect(slice_make(wire, sizeof wire), sizeof wire, &open_limits, lines[i].error);
    }
}

/* ---- Cuts, moves, pipelines ---- */

static void parser_waits_for_the_last_byte(void **state) {
    (void)state;
    static const char wire[] = "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
    for (size_t cut = 0; cut < sizeof wire - 1; cut++) {
        struct args a;
        args_init(&a);
        assert_int_equal(parse_command(&a, slice_make(wire, cut), &open_limits), PARSE_MORE);
        assert_int_equal(args_is_idle(&a), cut == 0);
        assert_int_equal(parse_command(&a, LIT(wire), &open_limits), PARSE_READY);
        assert_int_equal(a.argc, 2);
        assert_ptr_equal(a.argv[0].ptr, wire + 8);
        assert_ptr_equal(a.argv[1].ptr, wire + 17);
        assert_int_equal(a.used, sizeof wire - 1);
        assert_int_equal(a.bytes, sizeof wire - 1);
        args_release(&a);
    }
}

static void arguments_follow_their_buffer_when_it_moves(void **state) {
    (void)state;
    static const char wire[] = "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nvalue\r\n";
    char first[64], second[64];
    for (size_t cut = 0; cut < sizeof wire - 1; cut++) {
        struct args a;
        args_init(&a);
        memcpy(first, wire, cut);
        assert_int_equal(parse_command(&a, slice_make(first, cut), &open_limits), PARSE_MORE);
        memset(first, '?', sizeof first);
        memcpy(second, wire, sizeof wire - 1);
        assert_int_equal(parse_command(&a, slice_make(second, sizeof wire - 1), &open_limits), PARSE_READY);
        assert_ptr_equal(a.argv[0].ptr, second + 8);
        assert_ptr_equal(a.argv[1].ptr, second + 17);
        assert_ptr_equal(a.argv[2].ptr, second + 26);
        args_release(&a);
    }
}

static void a_pipeline_is_read_command_by_command(void **state) {
    (void)state;
    static char wire[64 * 64], expected[64 * 64];
    size_t len = 0, said = 0;
    for (int i = 0; i < 64; i++) {
        char key[16];
        int digits = snprintf(key, sizeof key, "key:%d", i * i);
        len +=
            (size_t)snprintf(wire + len, sizeof wire - len, "*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n", digits, key);
        said += (size_t)snprintf(expected + said, sizeof expected - said, "[GET|%s]", key);
    }
    static const size_t steps[] = { 1, 2, 3, 7, 100, 1000, sizeof wire };
    for (size_t i = 0; i < COUNT_OF(steps); i++)
        expect(slice_make(wire, len), steps[i], &open_limits, expected);
}

/* ---- Many arguments ---- */

#define MANY 1000000

static void a_million_arguments_arrive_in_pieces(void **state) {
    (void)state;
    char *wire = mem_alloc(MANY * 8ul + 16);
    size_t len = (size_t)sprintf(wire, "*%d\r\n", MANY);
    for (int i = 0; i < MANY; i++) len += (size_t)sprintf(wire + len, "$2\r\n%02d\r\n", i % 100);
    struct args a;
    args_init(&a);
    const struct slice *seen = NULL;
    int moves = 0;
    for (size_t cut = 0; cut < len; cut += 1021) {
        assert_int_equal(parse_command(&a, slice_make(wire, cut), &open_limits), PARSE_MORE);
        assert_true(cut - a.used < 16); /* never goes back further than one line */
        assert_true(a.room <= 16 || a.room <= 2 * a.argc);
        moves += a.argv != seen;
        seen = a.argv;
    }
    assert_int_equal(parse_command(&a, slice_make(wire, len), &open_limits), PARSE_READY);
    assert_true(moves <= 22); /* doubling, not adding */
    assert_int_equal(a.argc, MANY);
    assert_int_equal(a.used, len);
    assert_ptr_equal(a.argv[0].ptr, wire + 14);
    assert_true(slice_equal(a.argv[MANY - 1], LIT("99")));
    args_reset(&a);
    assert_null(a.argv); /* too large to keep */
    args_release(&a);
    mem_free(wire);
}

static void an_announced_count_alone_buys_no_memory(void **state) {
    (void)state;
    struct args a;
    args_init(&a);
    assert_int_equal(parse_command(&a, LIT("*2000000000\r\n$1\r\na\r\n$"), &open_limits), PARSE_MORE);
    assert_int_equal(a.argc, 1);
    assert_true(a.room <= 16);
    args_release(&a);
}

static void an_announced_length_alone_buys_little_memory(void **state) {
    (void)state;
    struct args a;
    args_init(&a);
    assert_int_equal(parse_command(&a, LIT("*1\r\n$536870912\r\nabc"), &open_limits), PARSE_BIG_BULK);
    assert_true(parse_big_room(&a).len <= 2 * 1024 * 1024);
    assert_true(parse_big_room(&a).len > 512 * 1024);
    args_release(&a);
}

static void a_reset_keeps_argv_and_allocates_nothing(void **state) {
    (void)state;
    struct args a;
    args_init(&a);
    struct slice wire = LIT("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n");
    assert_int_equal(parse_command(&a, wire, &open_limits), PARSE_READY);
    const struct slice *argv = a.argv;
    size_t before = mem_used_exact();
    for (int i = 0; i < 100; i++) {
        args_reset(&a);
        assert_int_equal(parse_command(&a, wire, &open_limits), PARSE_READY);
        assert_ptr_equal(a.argv, argv);
    }
    assert_int_equal(mem_used_exact(), before);
    args_release(&a);
}

/* ---- Big arguments ---- */

struct big_wire {
    char *ptr;
    size_t len;
};

static char big_byte(size_t i) { return (char)('a' + i % 23); }

static void add_big(struct big_wire *w, size_t length) {
    w->len += (size_t)sprintf(w->ptr + w->len, "$%zu\r\n", length);
    for (size_t i = 0; i < length; i++) w->ptr[w->len++] = big_byte(i);
    w->ptr[w->len++] = '\r';
    w->ptr[w->len++] = '\n';
}

static void check_big(struct slice argument, size_t length) {
    assert_int_equal(argument.len, length);
    for (size_t i = 0; i < length; i++)
        if (argument.ptr[i] != big_byte(i)) fail_msg("byte %zu of %zu is wrong", i, length);
}

static const size_t big_lengths[] = {
    5, PARSE_BIG - 1, PARSE_BIG, 0, PARSE_BIG + 1, 3 * 1024 * 1024, 1, 40000
};
static const size_t big_steps[] = { 4093, 16384, 32768, 100001, 1 << 20, SIZE_MAX };

static void big_arguments_of_one_command_are_read_into_blobs(void **state) {
    (void)state;
    struct big_wire w = { mem_alloc(4 * 1024 * 1024), 0 };
    w.len = (size_t)sprintf(w.ptr, "*%zu\r\n", COUNT_OF(big_lengths));
    for (size_t i = 0; i < COUNT_OF(big_lengths); i++) add_big(&w, big_lengths[i]);
    size_t command = w.len;
    w.len += (size_t)sprintf(w.ptr + w.len, "*1\r\n$4\r\nPING\r\n");
    for (size_t s = 0; s < COUNT_OF(big_steps); s++) {
        struct feed f = { .wire = slice_make(w.ptr, w.len) };
        struct args a;
        args_init(&a);
        assert_int_equal(feed_command(&f, &a, big_steps[s], &open_limits), PARSE_READY);
        assert_int_equal(a.argc, COUNT_OF(big_lengths));
        assert_int_equal(a.bytes, command);
        for (size_t i = 0; i < a.argc; i++) {
            check_big(a.argv[i], big_lengths[i]);
            if (a.blobs && a.blobs[i]) assert_int_equal(a.blobs[i]->len, big_lengths[i]);
            if (a.blobs && a.blobs[i]) assert_true(big_lengths[i] >= PARSE_BIG);
        }
        assert_int_equal(a.blobs != NULL && a.blobs[5] != NULL, big_steps[s] != SIZE_MAX);
        feed_drop(&f, a.used);
        args_reset(&a);
        assert_null(a.blobs);
        assert_int_equal(feed_command(&f, &a, big_steps[s], &open_limits), PARSE_READY);
        assert_true(slice_equal(a.argv[0], LIT("PING")));
        args_release(&a);
        mem_free(f.buffer);
    }
    mem_free(w.ptr);
}

static void small_arguments_after_a_big_one_stay_slices(void **state) {
    (void)state;
    struct big_wire w = { mem_alloc(2 * PARSE_BIG), 0 };
    w.len = (size_t)sprintf(w.ptr, "*100\r\n");
    add_big(&w, PARSE_BIG);
    for (size_t i = 1; i < 100; i++) add_big(&w, i);
    struct feed f = { .wire = slice_make(w.ptr, w.len) };
    struct args a;
    args_init(&a);
    assert_int_equal(feed_command(&f, &a, 1000, &open_limits), PARSE_READY);
    check_big(a.argv[0], PARSE_BIG);
    assert_non_null(a.blobs[0]);
    for (size_t i = 1; i < 100; i++) {
        assert_null(a.blobs[i]);
        check_big(a.argv[i], i);
    }
    args_release(&a);
    mem_free(f.buffer);
    mem_free(w.ptr);
}

static enum parse parse_cut(struct args *a, const struct big_wire *w, size_t cut) {
    args_init(a);
    return parse_command(a, slice_make(w->ptr, cut), &open_limits);
}

static void only_a_big_argument_that_is_not_complete_gets_a_blob(void **state) {
    (void)state;
    static const struct {
        size_t length, missing;
        enum parse expected;
    } cases[] = {
        { PARSE_BIG - 1, 1, PARSE_MORE },
        { PARSE_BIG, 1, PARSE_BIG_BULK },
        { PARSE_BIG, 2, PARSE_BIG_BULK },
        { PARSE_BIG, 3, PARSE_BIG_BULK },
        { PARSE_BIG, 0, PARSE_READY },
        { PARSE_BIG + 1, 0, PARSE_READY },
        { PARSE_BIG, PARSE_BIG + 2, PARSE_BIG_BULK },
    };
    struct big_wire w = { mem_alloc(2 * PARSE_BIG), 0 };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        w.len = (size_t)sprintf(w.ptr, "*1\r\n");
        add_big(&w, cases[i].length);
        struct args a;
        assert_int_equal(parse_cut(&a, &w, w.len - cases[i].missing), cases[i].expected);
        if (cases[i].expected == PARSE_BIG_BULK) {
            assert_int_equal(a.used, w.len - cases[i].missing);
            assert_int_equal(parse_big_room(&a).len, cases[i].missing);
        }
        args_release(&a);
    }
    mem_free(w.ptr);
}

static void an_unfinished_big_argument_keeps_asking_for_its_rest(void **state) {
    (void)state;
    struct big_wire w = { mem_alloc(2 * PARSE_BIG), 0 };
    w.len = (size_t)sprintf(w.ptr, "*1\r\n");
    add_big(&w, PARSE_BIG);
    struct args a;
    size_t cut = w.len - 100;
    assert_int_equal(parse_cut(&a, &w, cut), PARSE_BIG_BULK);
    for (size_t at = cut; at < w.len; at++) {
        assert_int_equal(parse_command(&a, slice_make(w.ptr, cut), &open_limits), PARSE_BIG_BULK);
        struct parse_room room = parse_big_room(&a);
        assert_int_equal(room.len, w.len - at);
        *room.ptr = w.ptr[at];
        parse_big_filled(&a, 1);
    }
    assert_int_equal(parse_command(&a, slice_make(w.ptr, cut), &open_limits), PARSE_READY);
    check_big(a.argv[0], PARSE_BIG);
    struct blob *kept = blob_ref(a.blobs[0]);
    args_release(&a);
    assert_true(blob_is_sole(kept));
    check_big(blob_slice(kept), PARSE_BIG);
    blob_unref(kept);
    mem_free(w.ptr);
}

static void a_big_argument_must_end_with_crlf_too(void **state) {
    (void)state;
    static const char *const ends[] = { "xx", "\rx", "x\n", "\n\r" };
    for (size_t i = 0; i < COUNT_OF(ends); i++)
        for (size_t step = 999; step < 3 * PARSE_BIG; step *= 4) {
            struct big_wire w = { mem_alloc(2 * PARSE_BIG), 0 };
            w.len = (size_t)sprintf(w.ptr, "*2\r\n");
            add_big(&w, PARSE_BIG);
            memcpy(w.ptr + w.len - 2, ends[i], 2);
            expect(slice_make(w.ptr, w.len), step, &open_limits, "!Protocol error: invalid CRLF in request");
            mem_free(w.ptr);
        }
}

/* ---- split_line ---- */

static void split_line_gives_words_with_a_nul_behind(void **state) {
    (void)state;
    struct slice *argv;
    size_t argc;
    char *text;
    assert_true(split_line(LIT("save 3600 \"1 \\\"x\" ''"), &argv, &argc, &text));
    static const char *const words[] = { "save", "3600", "1 \"x", "" };
    assert_int_equal(argc, COUNT_OF(words));
    for (size_t i = 0; i < argc; i++) assert_string_equal(argv[i].ptr, words[i]);
    mem_free(argv);
    mem_free(text);
    assert_true(split_line(LIT("  \t "), &argv, &argc, &text));
    assert_int_equal(argc, 0);
    assert_null(argv);
    assert_null(text);
    assert_false(split_line(LIT("a b \"c"), &argv, &argc, &text));
    assert_int_equal(argc, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parser_reads_the_same_however_the_bytes_arrive),
        cmocka_unit_test(parser_reads_the_same_behind_another_command),
        cmocka_unit_test(arguments_of_any_length_are_read),
        cmocka_unit_test(before_authentication_the_limits_are_low),
        cmocka_unit_test(a_line_longer_than_the_limit_breaks_the_connection),
        cmocka_unit_test(parser_waits_for_the_last_byte),
        cmocka_unit_test(arguments_follow_their_buffer_when_it_moves),
        cmocka_unit_test(a_pipeline_is_read_command_by_command),
        cmocka_unit_test(a_million_arguments_arrive_in_pieces),
        cmocka_unit_test(an_announced_count_alone_buys_no_memory),
        cmocka_unit_test(an_announced_length_alone_buys_little_memory),
        cmocka_unit_test(a_reset_keeps_argv_and_allocates_nothing),
        cmocka_unit_test(big_arguments_of_one_command_are_read_into_blobs),
        cmocka_unit_test(small_arguments_after_a_big_one_stay_slices),
        cmocka_unit_test(only_a_big_argument_that_is_not_complete_gets_a_blob),
        cmocka_unit_test(an_unfinished_big_argument_keeps_asking_for_its_rest),
        cmocka_unit_test(a_big_argument_must_end_with_crlf_too),
        cmocka_unit_test(split_line_gives_words_with_a_nul_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
