/* The logs of slow and large commands: what enters, what is cut, what is hidden, what falls out. */
#include "trivet/base/buf.h"
#include "trivet/base/mem.h"
#include "trivet/engine/client/client.h"
#include "trivet/engine/command/registry.h"
#include "trivet/engine/command/secret.h"
#include "trivet/engine/watch/commandlog.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static bool all_but_the_name(const struct slice *argv, size_t argc, size_t index) {
    (void)argv, (void)argc;
    return index >= 1;
}

static bool behind_key(const struct slice *argv, size_t argc, size_t index) {
    assert_true(index < argc);
    return index > 0 && slice_equal(argv[index - 1], LIT("KEY"));
}

static const struct command rows[] = {
    { .name = "GET", .arity = 2 },
    { .name = "AUTH", .arity = -2, .secret = all_but_the_name },
    { .name = "OPEN", .arity = -1, .secret = behind_key },
    { .name = "EXEC", .arity = 1, .flags = SKIP_COMMANDLOG },
    { .name = NULL },
};

static int begin(void **state) {
    (void)state;
    options_init();
    options.slow_execution_us = 100;
    options.large_request_bytes = 1000;
    options.large_reply_bytes = 5000;
    options.slow_execution_max_len = 3;
    options.large_request_max_len = options.large_reply_max_len = 10;
    assert_true(registry_add("test", rows));
    return 0;
}

static int end(void **state) {
    (void)state;
    for (int type = 0; type < COMMANDLOG_TYPES; type++) commandlog_reset((enum commandlog_type)type);
    registry_release();
    options_release();
    return 0;
}

static void note(const char *name, const struct slice *argv, size_t argc, int64_t us, uint64_t request,
                 uint64_t reply) {
    struct client client = { .peer = "1.2.3.4:5", .name = (char *)(uintptr_t) "tester" };
    struct call c = { .client = &client,
                      .origin = &origin_connection,
                      .command = registry_find_full(slice_of(name)),
                      .argv = argv,
                      .argc = argc,
                      .request_bytes = request,
                      .view = { .now_ms = 1700000000999 } };
    assert_non_null(c.command);
    commandlog_note(&c, us, reply);
}

static void note_get(int64_t us, uint64_t request, uint64_t reply) {
    static const struct slice argv[] = { LIT_INIT("GET"), LIT_INIT("k") };
    note("get", argv, 2, us, request, reply);
}

static void describe(void *arg, const struct commandlog_entry *e) {
    struct buf *out = arg;
    buf_printf(out, "#%d %lld %lld", (int)e->id % 1000, (long long)e->time_s, (long long)e->value);
    for (size_t i = 0; i < e->argc; i++) buf_printf(out, " %.*s", SLICE_ARG(e->argv[i]));
    buf_printf(out, " %s %s;", e->peer, e->name);
}

/* The arguments of the newest slow entry, as text. */
static void newest(struct buf *out) {
    buf_clear(out);
    commandlog_each(COMMANDLOG_SLOW, 1, describe, out);
    buf_append_byte(out, '\0');
}

static void each_log_has_its_own_threshold(void **state) {
    (void)state;
    static const struct { int64_t us; uint64_t request, reply; size_t slow, requests, replies; } cases[] = {
        { 99, 999, 4999, 0, 0, 0 }, { 100, 999, 4999, 1, 0, 0 }, { 0, 1000, 0, 0, 1, 0 },
        { 0, 0, 5000, 0, 0, 1 },    { 500, 5000, 50000, 1, 1, 1 },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        bool wanted = commandlog_wants(cases[i].us, cases[i].request, cases[i].reply);
        assert_int_equal(wanted, cases[i].slow + cases[i].requests + cases[i].replies > 0);
        note_get(cases[i].us, cases[i].request, cases[i].reply);
        assert_int_equal(commandlog_length(COMMANDLOG_SLOW), cases[i].slow);
        assert_int_equal(commandlog_length(COMMANDLOG_LARGE_REQUEST), cases[i].requests);
        assert_int_equal(commandlog_length(COMMANDLOG_LARGE_REPLY), cases[i].replies);
        for (int type = 0; type < COMMANDLOG_TYPES; type++) commandlog_reset((enum commandlog_type)type);
    }
}

static void a_negative_threshold_turns_a_log_off(void **state) {
    (void)state;
    options.slow_execution_us = options.large_request_bytes = options.large_reply_bytes = -1;
    assert_false(commandlog_wants(INT64_MAX, INT64_MAX, INT64_MAX));
    note_get(INT64_MAX, INT64_MAX, INT64_MAX);
    assert_int_equal(commandlog_length(COMMANDLOG_SLOW), 0);
}

static void entries_come_newest_first_and_the_oldest_fall_out(void **state) {
    (void)state;
    struct buf out = { 0 };
    for (int i = 1; i <= 5; i++) note_get(i * 1000, 0, 0);
    assert_int_equal(commandlog_length(COMMANDLOG_SLOW), 3);
    commandlog_each(COMMANDLOG_SLOW, 2, describe, &out);
    buf_append_byte(&out, '\0');
    assert_non_null(strstr(out.ptr, "1700000000 5000 GET k 1.2.3.4:5 tester;#"));
    assert_non_null(strstr(out.ptr, " 4000 GET"));
    assert_null(strstr(out.ptr, " 3000 GET"));
    options.slow_execution_max_len = 1;
    commandlog_trim();
    assert_int_equal(commandlog_length(COMMANDLOG_SLOW), 1);
    options.slow_execution_max_len = 0;
    note_get(1000, 0, 0);
    commandlog_trim();
    assert_int_equal(commandlog_length(COMMANDLOG_SLOW), 0);
    buf_release(&out);
}

static void long_and_many_arguments_are_cut(void **state) {
    (void)state;
    struct buf out = { 0 };
    char big[140];
    struct slice argv[40];
    memset(big, 'x', sizeof big);
    for (size_t i = 0; i < COUNT_OF(argv); i++) argv[i] = LIT("a");
    argv[1] = slice_make(big, sizeof big);
    note("get", argv, COUNT_OF(argv), 1000, 0, 0);
    newest(&out);
    assert_non_null(strstr(out.ptr, "xxx... (12 more bytes) a"));
    assert_non_null(strstr(out.ptr, " a ... (9 more arguments) 1.2.3.4"));
    argv[1] = slice_make(big, 128);
    note("get", argv, 32, 1000, 0, 0);
    newest(&out);
    assert_null(strstr(out.ptr, "more"));
    buf_release(&out);
}

static void passwords_are_left_out(void **state) {
    (void)state;
    struct buf out = { 0 };
    static const struct slice auth[] = { LIT_INIT("AUTH"), LIT_INIT("bob"), LIT_INIT("hush") };
    static const struct slice open[] = { LIT_INIT("OPEN"), LIT_INIT("KEY"), LIT_INIT("hush"), LIT_INIT("x") };
    note("auth", auth, 3, 1000, 0, 0);
    newest(&out);
    assert_non_null(strstr(out.ptr, "AUTH (redacted) (redacted) 1.2.3.4"));
    note("open", open, 4, 1000, 0, 0);
    newest(&out);
    assert_non_null(strstr(out.ptr, "OPEN KEY (redacted) x 1.2.3.4"));
    buf_release(&out);
}

static void commands_that_ask_for_it_are_skipped(void **state) {
    (void)state;
    static const struct slice exec[] = { LIT_INIT("EXEC") };
    note("exec", exec, 1, 1000, 0, 0);
    assert_int_equal(commandlog_length(COMMANDLOG_SLOW), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(each_log_has_its_own_threshold),
        TEST(a_negative_threshold_turns_a_log_off),
        TEST(entries_come_newest_first_and_the_oldest_fall_out),
        TEST(long_and_many_arguments_are_cut),
        TEST(passwords_are_left_out),
        TEST(commands_that_ask_for_it_are_skipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
