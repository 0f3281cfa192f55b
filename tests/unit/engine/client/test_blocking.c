/* A client's wait: how it begins, the ways it ends, and what is counted. */
#include "../../../harness/loopback.h"
#include "trivet/base/mem.h"
#include "trivet/engine/client/blocking.h"
#include "trivet/engine/command/registry.h"
#include "trivet/engine/run/run.h"
#include "trivet/engine/watch/stats.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct slice words[] = { LIT_INIT("WAIT"), LIT_INIT("1"), LIT_INIT("0") };

static int ends; /* how often `say_why` was called */

static void say_why(struct client *c, enum unblock_reason reason, void *arg) {
    ends++;
    if (reason == UNBLOCK_ERROR)
        blocking_reply_unblocked(&c->reply);
    else
        reply_simple(&c->reply, reason == UNBLOCK_TIMEOUT ? LIT("timeout") : slice_of(arg));
}

static char *heap_text(const char *text) {
    size_t size = strlen(text) + 1;
    return memcpy(mem_alloc(size), text, size);
}

/* Blocks as a command would that waits for something of its own. */
static void block(struct loopback *l, int64_t timeout_ms) {
    struct call call;
    call_init(&call, loopback_client(l), &origin_connection);
    call.command = registry_find(LIT("wait"));
    call.argv = words;
    call.argc = COUNT_OF(words);
    call.ns = 1000;
    ends = 0;
    blocking_begin(&call, timeout_ms, say_why, heap_text("served"));
    blocking_has_begun(&call);
}

static void a_wait_ends_once_with_its_reason(void **state) {
    (void)state;
    static const struct {
        int64_t timeout_ms;
        enum unblock_reason reason;
        const char *reply;
    } rows[] = {
        { 0, UNBLOCK_SERVED, "+served" },
        { 100, UNBLOCK_SERVED, "+served" },
        { 0, UNBLOCK_TIMEOUT, "+timeout" },
        { 100, UNBLOCK_ERROR, "-UNBLOCKED client unblocked via CLIENT UNBLOCK" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct loopback *l = loopback_open();
        struct client *c = loopback_client(l);
        uint64_t commands = c->commands;
        block(l, rows[i].timeout_ms);
        assert_true(c->flags & CLIENT_BLOCKED);
        assert_int_equal(blocking_count(), 1);
        assert_int_equal(blocking_timeout_count(), rows[i].timeout_ms > 0);
        assert_int_equal(c->commands, commands); /* it is not done yet */
        assert_true(blocking_finish(c, rows[i].reason));
        assert_false(c->flags & CLIENT_BLOCKED);
        assert_false(blocking_finish(c, rows[i].reason));
        assert_hears(l, rows[i].reply);
        assert_int_equal(ends, 1);
        assert_int_equal(c->commands, commands + 1);
        assert_int_equal(blocking_count() + blocking_timeout_count(), 0);
        loopback_close(l);
    }
}

static void the_clock_ends_a_wait_that_has_a_timeout(void **state) {
    (void)state;
    struct loopback *l = loopback_open(), *patient = loopback_open();
    block(l, 100);
    block(patient, 0);
    loopback_advance(99);
    assert_hears(l, "");
    loopback_advance(1);
    assert_hears(l, "+timeout");
    loopback_advance(1000000);
    assert_hears(patient, "");
    loopback_close(l);
    loopback_close(patient);
}

static void a_client_that_goes_leaves_no_wait(void **state) {
    (void)state;
    struct loopback *l = loopback_open();
    block(l, 100);
    assert_true(blocking_memory(loopback_client(l)) > blocking_arguments(loopback_client(l)));
    assert_int_equal(blocking_arguments(loopback_client(l)), 6);
    blocking_forget(loopback_client(l));
    assert_null(loopback_client(l)->blocked);
    assert_int_equal(ends, 0);
    assert_hears(l, "");
    assert_int_equal(blocking_count() + blocking_timeout_count(), 0);
    assert_int_equal(blocking_memory(loopback_client(l)), 0);
    loopback_close(l);
}

static void who_was_muted_when_it_began_stays_muted_for_it(void **state) {
    (void)state;
    static const struct {
        const char *mute;
        bool is_served; /* else its time is up */
    } rows[] = { { "CLIENT REPLY OFF", true },
                 { "CLIENT REPLY OFF", false },
                 { "CLIENT REPLY SKIP", true },
                 { "CLIENT REPLY SKIP", false } };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct loopback *l = loopback_open(), *other = loopback_open();
        assert_says(l, rows[i].mute, "");
        assert_says(l, "BLPOP k 0.1", "");
        if (rows[i].is_served)
            assert_says(other, "RPUSH k a", ":1");
        else
            loopback_advance(100);
        assert_hears(l, "");
        assert_false(loopback_client(l)->flags & CLIENT_BLOCKED);
        assert_says(other, "EXISTS k", ":0");
        loopback_ask(l, "CLIENT REPLY ON");
        assert_says(l, "PING", "+PONG");
        loopback_close(l);
        loopback_close(other);
    }
}

static void a_wait_counts_with_its_time_when_it_is_over(void **state) {
    (void)state;
    struct loopback *l = loopback_open();
    const struct command *wait = registry_find(LIT("wait"));
    struct command_stats before = stats_command(wait);
    block(l, 0);
    assert_int_equal(stats_command(wait).calls, before.calls);
    blocking_finish(loopback_client(l), UNBLOCK_ERROR);
    assert_int_equal(stats_command(wait).calls, before.calls + 1);
    assert_int_equal(stats_command(wait).failed, before.failed + 1);
    assert_true(stats_command(wait).us > before.us);
    loopback_close(l);
}

static void nobody_serves_a_client_whose_wait_was_cancelled(void **state) {
    (void)state;
    struct loopback *l = loopback_open(), *other = loopback_open();
    assert_false(blocking_cancel(loopback_client(l))); /* it does not wait */
    assert_says(l, "BLPOP k 0", "");
    assert_true(blocking_cancel(loopback_client(l)));
    assert_true(blocking_cancel(loopback_client(l)));
    assert_says(other, "RPUSH k a", ":1");
    assert_says(other, "LLEN k", ":1");
    assert_true(blocking_finish(loopback_client(l), UNBLOCK_TIMEOUT));
    assert_hears(l, "*-1");
    loopback_close(l);
    loopback_close(other);
}

/* ---- timeouts as arguments ---- */

#define NO_FLOAT "-ERR timeout is not a float or out of range"
#define NO_INT "-ERR timeout is not an integer or out of range"
#define NEGATIVE "-ERR timeout is negative"
#define TOO_FAR "-ERR timeout is out of range"

static void a_timeout_is_read_or_refused(void **state) {
    (void)state;
    static const struct {
        bool (*parse)(struct call *c, struct slice text, int64_t *timeout_ms);
        const char *text, *error;
        int64_t ms;
    } rows[] = {
        { blocking_parse_seconds, "0", "", 0 },
        { blocking_parse_seconds, "1.5", "", 1500 },
        { blocking_parse_seconds, "0.0001", "", 1 }, /* 0 would be for ever */
        { blocking_parse_seconds, "1e3", "", 1000000 },
        { blocking_parse_seconds, "-1", NEGATIVE, 0 },
        { blocking_parse_seconds, "-0.0001", NEGATIVE, 0 },
        { blocking_parse_seconds, "x", NO_FLOAT, 0 },
        { blocking_parse_seconds, "", NO_FLOAT, 0 },
        { blocking_parse_seconds, "nan", NO_FLOAT, 0 },
        { blocking_parse_seconds, "9223372036854775807", TOO_FAR, 0 },
        { blocking_parse_seconds, "inf", TOO_FAR, 0 },
        { blocking_parse_ms, "0", "", 0 },
        { blocking_parse_ms, "1500", "", 1500 },
        { blocking_parse_ms, "1.5", NO_INT, 0 },
        { blocking_parse_ms, "-1", NEGATIVE, 0 },
        { blocking_parse_ms, "9223372036854775807", TOO_FAR, 0 },
        { blocking_parse_ms, "9223372036854775808", NO_INT, 0 },
    };
    struct loopback *l = loopback_open();
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct call call;
        int64_t ms = 0;
        call_init(&call, loopback_client(l), &origin_connection);
        bool fine = rows[i].parse(&call, slice_of(rows[i].text), &ms);
        assert_hears(l, rows[i].error);
        assert_int_equal(fine, rows[i].error[0] == '\0');
        assert_int_equal(ms, rows[i].ms);
    }
    loopback_close(l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        LOOPBACK_TEST(a_wait_ends_once_with_its_reason),
        LOOPBACK_TEST(the_clock_ends_a_wait_that_has_a_timeout),
        LOOPBACK_TEST(a_client_that_goes_leaves_no_wait),
        LOOPBACK_TEST(who_was_muted_when_it_began_stays_muted_for_it),
        LOOPBACK_TEST(a_wait_counts_with_its_time_when_it_is_over),
        LOOPBACK_TEST(nobody_serves_a_client_whose_wait_was_cancelled),
        LOOPBACK_TEST(a_timeout_is_read_or_refused),
    };
    return cmocka_run_group_tests(tests, loopback_start, loopback_stop);
}
