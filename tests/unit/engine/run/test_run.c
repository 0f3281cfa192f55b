/* One way to run a command: what is counted, where the reply goes, what an origin changes. */
#include "../../../harness/loopback.h"
#include "trivet/engine/command/registry.h"
#include "trivet/engine/run/run.h"
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

int main(void) {
    const struct CMUnitTest tests[] = {
        LOOPBACK_TEST(a_command_counts_once_for_its_client_and_its_row),
        LOOPBACK_TEST(a_transaction_counts_what_it_runs_and_itself),
        LOOPBACK_TEST(the_reply_goes_where_the_call_says),
        LOOPBACK_TEST(a_refused_call_says_why_in_its_own_reply),
        LOOPBACK_TEST(only_a_conversation_may_wait),
    };
    return cmocka_run_group_tests(tests, loopback_start, loopback_stop);
}
