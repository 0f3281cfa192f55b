/* test_blocked_counts.c: a command that waits is one command: it is counted and logged once, when it is done,
 * by whatever its wait ends. */
#include "../harness/fixture.h"
#include <stdio.h>
#include <stdlib.h>

/* How often the command was called, or 0 if there is no line for it. */
static int calls_of(struct client *c, const char *command) {
    char field[64];
    int calls = 0;
    snprintf(field, sizeof field, "cmdstat_%s", command);
    (void)sscanf(info_field(c, "commandstats", field), "calls=%d,", &calls);
    return calls;
}

static int failures_of(struct client *c, const char *command) {
    char field[64];
    int failed = -1;
    snprintf(field, sizeof field, "cmdstat_%s", command);
    (void)sscanf(info_field(c, "commandstats", field),
                 "calls=%*d,usec=%*d,usec_per_call=%*f,rejected_calls=%*d,failed_calls=%d", &failed);
    return failed;
}

static long long commands_of(struct client *c, struct client *whose) {
    char list[64];
    snprintf(list, sizeof list, "CLIENT LIST ID %lld", (long long)client_ask_int(whose, "CLIENT ID"));
    const char *at = strstr(client_ask(c, "%s", list), "tot-cmds=");
    assert_non_null(at);
    return atoll(at + strlen("tot-cmds="));
}

static void reset(struct client *c) {
    assert_reply(c, "FLUSHALL", "+OK");
    assert_reply(c, "CONFIG SET slowlog-log-slower-than 0", "+OK");
    assert_reply(c, "CONFIG RESETSTAT", "+OK");
    assert_reply(c, "SLOWLOG RESET", "+OK");
}

/* ---- served ---- */

static void a_served_command_counts_when_it_is_served(void **state) {
    static const struct {
        const char *name, *wait, *serve, *reply;
    } rows[] = {
        { "blpop", "BLPOP k 0", "RPUSH k a", "*[$\"k\", $\"a\"]" },
        { "brpop", "BRPOP k 0", "RPUSH k a", "*[$\"k\", $\"a\"]" },
        { "blmpop", "BLMPOP 0 1 k LEFT", "RPUSH k a", "*[$\"k\", *[$\"a\"]]" },
        { "blmove", "BLMOVE k to LEFT LEFT 0", "RPUSH k a", "$\"a\"" },
        { "brpoplpush", "BRPOPLPUSH k to 0", "RPUSH k a", "$\"a\"" },
        { "bzpopmin", "BZPOPMIN k 0", "ZADD k 1 a", "*[$\"k\", $\"a\", $\"1\"]" },
        { "bzpopmax", "BZPOPMAX k 0", "ZADD k 1 a", "*[$\"k\", $\"a\", $\"1\"]" },
        { "bzmpop", "BZMPOP 0 1 k MIN", "ZADD k 1 a", "*[$\"k\", *[*[$\"a\", $\"1\"]]]" },
        { "xread", "XREAD BLOCK 0 STREAMS k 0", "XADD k 1-1 f v",
          "*[*[$\"k\", *[*[$\"1-1\", *[$\"f\", $\"v\"]]]]]" },
    };
    struct client *c = fixture_client(state);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct client *waiter = connect_another(state);
        reset(c);
        send_and_wait(c, waiter, rows[i].wait);
        assert_int_equal(calls_of(c, rows[i].name), 0);
        (void)client_ask(c, "%s", rows[i].serve);
        assert_next(waiter, rows[i].reply);
        assert_int_equal(calls_of(c, rows[i].name), 1);
        assert_int_equal(failures_of(c, rows[i].name), 0);
        client_close(waiter);
    }
}

static void the_slow_log_has_it_after_the_command_that_served_it(void **state) {
    struct client *c = fixture_client(state), *waiter = connect_another(state);
    reset(c);
    send_and_wait(c, waiter, "BLPOP l 0");
    assert_reply(c, "SLOWLOG RESET", "+OK");
    assert_reply(c, "LPUSH l a", ":1");
    assert_next(waiter, "*[$\"l\", $\"a\"]");
    assert_reply(c, "SLOWLOG GET 2",
                 "*[*[:..., :..., :..., *[$\"BLPOP\", $\"l\", $\"0\"], $\"...\", $\"...\"], "
                 "*[:..., :..., :..., *[$\"LPUSH\", $\"l\", $\"a\"], $\"...\", $\"...\"]]");
    client_close(waiter);
}

static void a_client_that_waits_has_one_command_less_done(void **state) {
    struct client *c = fixture_client(state), *waiter = connect_another(state);
    reset(c);
    char list[64];
    snprintf(list, sizeof list, "CLIENT LIST ID %lld", (long long)client_ask_int(waiter, "CLIENT ID"));
    client_send(waiter, "BLPOP l 0");
    assert_reply_soon(c, list, "$\"...flags=b...tot-cmds=1...");
    assert_reply(c, "LPUSH l a", ":1");
    assert_next(waiter, "*[$\"l\", $\"a\"]");
    assert_reply(c, list, "$\"...tot-cmds=2...");
    assert_int_equal(commands_of(c, waiter), 3); /* with the CLIENT ID that asked for its id */
    client_close(waiter);
}

/* ---- not served ---- */

static void a_timeout_counts_as_a_call_that_did_not_fail(void **state) {
    static const struct {
        const char *name, *wait, *reply;
    } rows[] = {
        { "blpop", "BLPOP k 0.001", "*-1" },
        { "bzpopmin", "BZPOPMIN k 0.001", "*-1" },
        { "xread", "XREAD BLOCK 1 STREAMS k 0", "*-1" },
        { "wait", "WAIT 1 1", ":0" },
    };
    struct client *c = fixture_client(state);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        reset(c);
        assert_reply(c, rows[i].wait, rows[i].reply);
        assert_int_equal(calls_of(c, rows[i].name), 1);
        assert_int_equal(failures_of(c, rows[i].name), 0);
    }
}

static void an_error_that_ends_the_wait_is_a_failed_call(void **state) {
    static const struct {
        const char *name, *before, *wait, *end, *reply, *code;
    } rows[] = {
        { "xreadgroup", "XGROUP CREATE m g $ MKSTREAM", "XREADGROUP GROUP g c BLOCK 0 STREAMS m >",
          "XGROUP DESTROY m g", "-NOGROUP ...", "errorstat_NOGROUP" },
        { "xreadgroup", "XGROUP CREATE m g $ MKSTREAM", "XREADGROUP GROUP g c BLOCK 0 STREAMS m >", "DEL m",
          "-NOGROUP ...", "errorstat_NOGROUP" },
        { "xreadgroup", "XGROUP CREATE m g $ MKSTREAM", "XREADGROUP GROUP g c BLOCK 0 STREAMS m >", "SET m x",
          "-WRONGTYPE ...", "errorstat_WRONGTYPE" },
        { "blpop", "PING", "BLPOP k 0", "CLIENT UNBLOCK %lld ERROR", "-UNBLOCKED ...",
          "errorstat_UNBLOCKED" },
        { "wait", "PING", "WAIT 1 0", "CLIENT UNBLOCK %lld ERROR", "-UNBLOCKED ...", "errorstat_UNBLOCKED" },
    };
    struct client *c = fixture_client(state);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct client *waiter = connect_another(state);
        char end[64];
        reset(c);
        (void)client_ask(c, "%s", rows[i].before);
        snprintf(end, sizeof end, rows[i].end, (long long)client_ask_int(waiter, "CLIENT ID"));
        send_and_wait(c, waiter, rows[i].wait);
        (void)client_ask(c, "%s", end);
        assert_next(waiter, rows[i].reply);
        assert_int_equal(calls_of(c, rows[i].name), 1);
        assert_int_equal(failures_of(c, rows[i].name), 1);
        assert_string_equal(info_field(c, "errorstats", rows[i].code), "count=1");
        assert_int_equal(info_number(c, "stats", "total_error_replies"), 1);
        client_close(waiter);
    }
}

static void one_that_is_closed_while_it_waits_is_not_counted(void **state) {
    struct client *c = fixture_client(state), *waiter = connect_another(state);
    reset(c);
    send_and_wait(c, waiter, "BLPOP k 0");
    client_close(waiter);
    assert_reply_soon(c, "CLIENT LIST FLAGS b", "$\"\"");
    assert_int_equal(calls_of(c, "blpop"), 0);
}

/* ---- values whose time is over ---- */

static void what_expired_in_the_transaction_that_brought_it_serves_nobody(void **state) {
    static const struct {
        const char *wait, *bring;
    } rows[] = {
        { "BLPOP k 0.3", "RPUSH k a" },         { "BLMOVE k to LEFT LEFT 0.3", "RPUSH k a" },
        { "BLMPOP 0.3 1 k LEFT", "RPUSH k a" }, { "BZPOPMIN k 0.3", "ZADD k 1 a" },
        { "BZMPOP 0.3 1 k MIN", "ZADD k 1 a" }, { "XREAD BLOCK 300 STREAMS k 0", "XADD k 1-1 f v" },
    };
    struct client *c = fixture_client(state);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct client *waiter = connect_another(state);
        reset(c);
        assert_reply(c, "DEBUG SET-ACTIVE-EXPIRE 0", "+OK");
        send_and_wait(c, waiter, rows[i].wait);
        assert_reply(c, "MULTI", "+OK");
        assert_reply(c, rows[i].bring, "+QUEUED");
        assert_reply(c, "PEXPIRE k 10", "+QUEUED");
        assert_reply(c, "DEBUG SLEEP 0.03", "+QUEUED");
        (void)client_ask(c, "EXEC");
        assert_next(waiter, "*-1");
        assert_reply(c, "EXISTS k", ":0");
        assert_reply(c, "DEBUG SET-ACTIVE-EXPIRE 1", "+OK");
        client_close(waiter);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(a_served_command_counts_when_it_is_served),
        FIXTURE_TEST(the_slow_log_has_it_after_the_command_that_served_it),
        FIXTURE_TEST(a_client_that_waits_has_one_command_less_done),
        FIXTURE_TEST(a_timeout_counts_as_a_call_that_did_not_fail),
        FIXTURE_TEST(an_error_that_ends_the_wait_is_a_failed_call),
        FIXTURE_TEST(one_that_is_closed_while_it_waits_is_not_counted),
        FIXTURE_TEST(what_expired_in_the_transaction_that_brought_it_serves_nobody),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
