/* One way to run a command: what is counted, where the reply goes, what an origin changes. */
#include "../../../harness/loopback.h"
#include "trivet/base/clock.h"
#include "trivet/engine/command/registry.h"
#include "trivet/engine/run/run.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/engine/watch/stats.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct command_stats stats_of(const char *name) {
    return stats_command(registry_find(slice_of(name)));
}

static void a_command_counts_once_for_its_client_and_its_row(void **state) {
    (void)state;
    struct loopback *l = loopback_open();
    struct command_stats before = stats_of("get");
    assert_says(l, "GET k", "$-1");
    assert_says(l, "GET", "-ERR wrong number of arguments for 'get' command");
    assert_int_equal(loopback_client(l)->commands, 1);
    assert_int_equal(stats_of("get").calls - before.calls, 1);
    assert_int_equal(stats_of("get").rejected - before.rejected, 1);
    loopback_close(l);
}

static void a_transaction_counts_what_it_runs_and_itself(void **state) {
    (void)state;
    struct loopback *l = loopback_open();
    struct command_stats sets = stats_of("set"), execs = stats_of("exec");
    assert_says(l, "MULTI", "+OK");
    assert_says(l, "SET k 1", "+QUEUED");
    assert_says(l, "LPUSH k 1", "+QUEUED");
    assert_int_equal(loopback_client(l)->commands, 1); /* what is queued has not run */
    assert_says(l, "EXEC", "*[+OK, -WRONGTYPE Operation against a key holding the wrong kind of value]");
    assert_int_equal(loopback_client(l)->commands, 4);
    assert_int_equal(stats_of("set").calls - sets.calls, 1);
    assert_int_equal(stats_of("exec").calls - execs.calls, 1);
    assert_int_equal(stats_of("exec").failed - execs.failed, 0); /* the error was LPUSH's */
    loopback_close(l);
}

/* As a script or a module would: with locks of its own and a reply of its own. */
static void the_reply_goes_where_the_call_says(void **state) {
    (void)state;
    struct loopback *l = loopback_open();
    static const struct slice argv[] = { LIT_INIT("SET"), LIT_INIT("k"), LIT_INIT("v") };
    struct command_keys keys = { 0 };
    struct reply sink;
    struct call call;
    reply_init(&sink, 3);
    call_init(&call, loopback_client(l), &origin_transaction);
    call.out = &sink;
    call.command = registry_find(LIT("set"));
    call.argv = argv;
    call.argc = 3;
    command_keys_resolve(&keys, call.command, argv, 3);
    call_set_keys(&call, &keys);
    assert_true(command_admit(&call));
    command_run(&call);
    assert_int_equal(sink.bytes, 5);
    assert_int_equal(call.reply_bytes, 5);
    assert_true(call.ns > 0);
    assert_hears(l, "");
    assert_says(l, "GET k", "$\"v\"");
    command_keys_release(&keys);
    reply_release(&sink);
    loopback_close(l);
}

static void a_refused_call_says_why_in_its_own_reply(void **state) {
    (void)state;
    struct loopback *l = loopback_open();
    static const struct slice argv[] = { LIT_INIT("GET") };
    struct reply sink;
    struct call call;
    reply_init(&sink, 2);
    call_init(&call, loopback_client(l), &origin_transaction);
    call.out = &sink;
    call.command = registry_find(LIT("get"));
    call.argv = argv;
    call.argc = 1;
    assert_false(command_admit(&call));
    assert_true(sink.failed);
    assert_string_equal(sink.error_code, "ERR");
    assert_hears(l, "");
    reply_release(&sink);
    loopback_close(l);
}

static void only_a_conversation_may_wait(void **state) {
    (void)state;
    struct loopback *l = loopback_open(), *other = loopback_open();
    assert_says(l, "BLPOP k 0", "");
    assert_true(loopback_client(l)->flags & CLIENT_BLOCKED);
    assert_says(other, "RPUSH k a", ":1");
    assert_hears(l, "*[$\"k\", $\"a\"]");
    assert_says(l, "MULTI", "+OK");
    assert_says(l, "BLPOP k 0", "+QUEUED");
    assert_says(l, "EXEC", "*[*-1]");
    loopback_close(l);
    loopback_close(other);
}

/* A command begins when the one before it in the batch ended. */
static void what_came_before_a_batch_is_not_a_commands_time(void **state) {
    (void)state;
    static const int64_t long_ago_ns = INT64_C(5000000000);
    struct loopback *l = loopback_open();
    uint64_t before_us = stats_of("get").us;
    turn_mark_ns = clock_ticks_ns() - long_ago_ns;
    assert_says(l, "GET k", "$-1"); /* a batch begins */
    assert_true(stats_of("get").us - before_us < (uint64_t)long_ago_ns / 1000);
    assert_int_not_equal(turn_mark_ns, 0);
    gate_leave(); /* waiting for the gate is no command's time either */
    gate_enter();
    assert_int_equal(turn_mark_ns, 0);
    loopback_close(l);
}

/* Run as the second of a batch, which does not prefetch. */
static void run_next_of_batch(struct loopback *l) {
    static struct slice argv[] = { LIT_INIT("GET"), LIT_INIT("k") };
    struct args args = { .argv = argv, .argc = 2 };
    struct prepared p = { 0 };
    dispatch_prepare(argv, 2, &p);
    assert_int_equal(dispatch_run(loopback_client(l), &args, &p, (struct slice){ 0 }), DISPATCH_DONE);
    prepared_release(&p);
}

static void commands_of_a_batch_are_timed_from_end_to_end(void **state) {
    (void)state;
    struct loopback *l = loopback_open();
    assert_says(l, "GET k", "$-1");
    uint64_t before_us = stats_of("get").us;
    turn_mark_ns -= INT64_C(2000000000); /* as if the first had ended so long ago */
    run_next_of_batch(l);
    assert_true(stats_of("get").us - before_us >= 2000000);
    assert_hears(l, "$-1");
    loopback_keep_journal(true); /* appending to the journal is not the next one's time */
    assert_says(l, "SET k 1", "+OK");
    assert_int_equal(turn_mark_ns, 0);
    loopback_keep_journal(false);
    obstacle_set(OBSTACLE_MEMORY_LIMIT, true); /* nor is evicting */
    turn_mark_ns = clock_ticks_ns() - INT64_C(5000000000);
    before_us = stats_of("get").us;
    run_next_of_batch(l);
    obstacle_set(OBSTACLE_MEMORY_LIMIT, false);
    assert_true(stats_of("get").us - before_us < 5000000);
    assert_hears(l, "$\"1\"");
    loopback_close(l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        LOOPBACK_TEST(a_command_counts_once_for_its_client_and_its_row),
        LOOPBACK_TEST(a_transaction_counts_what_it_runs_and_itself),
        LOOPBACK_TEST(the_reply_goes_where_the_call_says),
        LOOPBACK_TEST(a_refused_call_says_why_in_its_own_reply),
        LOOPBACK_TEST(only_a_conversation_may_wait),
        LOOPBACK_TEST(what_came_before_a_batch_is_not_a_commands_time),
        LOOPBACK_TEST(commands_of_a_batch_are_timed_from_end_to_end),
    };
    return cmocka_run_group_tests(tests, loopback_start, loopback_stop);
}
