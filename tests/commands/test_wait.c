/* test_wait.c: WAIT and WAITAOF over the wire, with four workers and with one. */
#include "../harness/fixture.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define NOT_INT "-ERR value is not an integer or out of range"

static void wait_without_replicas_counts_none(void **state) {
    static const struct exchange rows[] = {
        { "WAIT 0 0", ":0" },
        { "WAIT -1 0", ":0" },
        { "WAIT 1 10", ":0" },
        { "WAIT a 0", NOT_INT },
        { "WAIT 1 a", "-ERR timeout is not an integer or out of range" },
        { "WAIT 1 -1", "-ERR timeout is negative" },
        { "WAIT 1 9223372036854775807", "-ERR timeout is out of range" },
        { "WAIT 1", "-ERR wrong number of arguments for 'wait' command" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void inside_a_transaction_nothing_waits(void **state) {
    static const struct exchange rows[] = {
        { "MULTI", "+OK" },
        { "SET k v", "+QUEUED" },
        { "WAIT 1 0", "+QUEUED" },
        { "WAITAOF 0 1 0", "+QUEUED" },
        { "EXEC", "*[+OK, :0, *[:0, :0]]" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void what_follows_a_wait_runs_after_it(void **state) {
    struct client *c = fixture_client(state);
    client_queue(c, "SET k 1");
    client_queue(c, "WAIT 1 20");
    client_queue(c, "INCR k");
    client_queue(c, "WAITAOF 0 1 20");
    client_queue(c, "INCR k");
    assert_true(client_flush(c));
    assert_next(c, "+OK");
    assert_next(c, ":0");
    assert_next(c, ":2");
    assert_next(c, "*[:0, :0]");
    assert_next(c, ":3");
}

static void a_wait_for_ever_ends_with_its_client(void **state) {
    struct client *c = fixture_client(state), *other = connect_another(state);
    int64_t id = client_ask_int(other, "CLIENT ID");
    client_send(other, "WAIT 1 0");
    char list[64];
    snprintf(list, sizeof list, "CLIENT LIST ID %lld FLAGS b", (long long)id);
    assert_reply_soon(c, list, "$\"id=...");
    assert_int_equal(client_ask_int(c, "CLIENT KILL ID %lld", (long long)id), 1);
    assert_ended(other);
    assert_reply(c, list, "$\"\"");
    client_close(other);
}

static void a_muted_client_gets_no_answer_from_a_wait(void **state) {
    struct client *c = fixture_client(state);
    client_queue(c, "CLIENT REPLY SKIP");
    client_queue(c, "WAIT 1 10");
    client_queue(c, "PING a");
    client_queue(c, "CLIENT REPLY OFF");
    client_queue(c, "WAIT 1 10");
    client_queue(c, "PING b");
    client_queue(c, "CLIENT REPLY ON");
    assert_true(client_flush(c));
    assert_next(c, "$\"a\"");
    assert_next(c, "+OK");
    assert_reply(c, "PING", "+PONG");
}

/* ---- WAITAOF ---- */

static void waitaof_without_a_file_has_nothing_local(void **state) {
    static const struct exchange rows[] = {
        { "WAITAOF 1 0 0", "-ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled." },
        { "WAITAOF 0 0 0", "*[:0, :0]" },
        { "WAITAOF 0 1 10", "*[:0, :0]" },
        { "WAITAOF 2 0 0", "-ERR value is out of range, value must between 0 and 1" },
        { "WAITAOF -1 0 0", "-ERR value is out of range, value must between 0 and 1" },
        { "WAITAOF a 0 0", NOT_INT },
        { "WAITAOF 0 -1 0", "-ERR value is out of range, must be positive" },
        { "WAITAOF 0 a 0", "-ERR value is out of range, must be positive" },
        { "WAITAOF 0 0 a", "-ERR timeout is not an integer or out of range" },
        { "WAITAOF 0 0 -1", "-ERR timeout is negative" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void waitaof_returns_when_the_write_is_synced(void **state) {
    (void)state;
    static const char *const policies[] = { "everysec", "always", "no" };
    for (size_t i = 0; i < COUNT_OF(policies); i++) {
        struct server *s = server_start("--appendonly", "yes", "--appendfsync", policies[i], NULL);
        struct client *c = server_connect(s);
        for (int round = 0; round < 5; round++) {
            assert_reply(c, "SET k v", "+OK");
            assert_reply(c, "WAITAOF 1 0 0", "*[:1, :0]");
        }
        assert_reply(c, "WAITAOF 0 0 0", "*[:1, :0]");
        assert_reply(c, "WAITAOF 1 1 10", "*[:1, :0]");
        client_close(c);
        server_free(s);
    }
}

static void waitaof_of_many_clients_at_once_is_answered_to_each(void **state) {
    (void)state;
    enum { CLIENTS = 8, ROUNDS = 25 };
    struct server *s = server_start("--appendonly", "yes", NULL);
    struct client *c[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) c[i] = server_connect(s);
    for (int i = 0; i < CLIENTS; i++) {
        for (int round = 0; round < ROUNDS; round++) {
            client_queue(c[i], "INCR n:%d", i);
            client_queue(c[i], "WAITAOF 1 0 0");
        }
        assert_true(client_flush(c[i]));
    }
    for (int i = 0; i < CLIENTS; i++) {
        for (int round = 0; round < ROUNDS; round++) {
            struct node *n = client_read(c[i]);
            assert_int_equal(n->number, round + 1);
            node_free(n);
            assert_next(c[i], "*[:1, :0]");
        }
        client_close(c[i]);
    }
    server_free(s);
}

/* The sync is done when its client has gone, or waits for something else by then. */
static void a_sync_that_is_done_too_late_disturbs_nobody(void **state) {
    (void)state;
    struct server *s = server_start("--appendonly", "yes", NULL);
    struct client *c = server_connect(s), *other = server_connect(s);
    long long id = client_ask_int(c, "CLIENT ID");
    char list[64], unblock[64];
    snprintf(list, sizeof list, "CLIENT LIST ID %lld FLAGS b", id);
    snprintf(unblock, sizeof unblock, "CLIENT UNBLOCK %lld ERROR", id);
    for (int round = 0; round < 30; round++) {
        struct client *gone = server_connect(s);
        client_send(gone, "SET k %d", round);
        client_send(gone, "WAITAOF 1 0 0");
        client_abandon(gone);
        client_queue(c, "SET k %d", round);
        client_queue(c, "WAITAOF 1 0 1");
        client_queue(c, "WAIT 1 0");
        assert_true(client_flush(c));
        assert_reply_soon(other, list, "$\"... cmd=wait user=...\"");
        assert_reply(other, unblock, ":1");
        assert_next(c, "+OK");
        assert_next(c, "*[:..., :0]");
        assert_next(c, "-UNBLOCKED client unblocked via CLIENT UNBLOCK");
    }
    client_close(c);
    client_close(other);
    server_free(s);
}

static void the_server_can_end_while_syncs_are_awaited(void **state) {
    (void)state;
    enum { CLIENTS = 4, COMMANDS = 200 };
    for (int round = 0; round < 5; round++) {
        struct server *s = server_start("--appendonly", "yes", NULL);
        struct client *c[CLIENTS];
        for (int i = 0; i < CLIENTS; i++) {
            c[i] = server_connect(s);
            for (int n = 0; n < COMMANDS; n++) client_queue_line(c[i], n % 2 ? "WAITAOF 1 0 0" : "INCR n");
            assert_true(client_flush(c[i]));
        }
        for (int i = 0; i < CLIENTS; i++) client_skip(c[i], 2);
        server_free(s); /* asserts a clean end */
        for (int i = 0; i < CLIENTS; i++) client_close(c[i]);
    }
}

static int64_t steady_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void no_timeout_ends_early(void **state) {
    static const struct {
        const char *command;
        int64_t least_us;
    } rows[] = {
        { "BLPOP nosuch 0.007", 7000 },
        { "BLPOP nosuch 0.0061", 6100 },
        { "BLMOVE nosuch b LEFT LEFT 0.005", 5000 },
        { "BZPOPMIN nosuch 0.008", 8000 },
        { "XREAD BLOCK 6 STREAMS nosuch $", 6000 },
        { "WAIT 1 7", 7000 },
        { "WAITAOF 0 1 9", 9000 },
    };
    struct client *c = fixture_client(state);
    for (int round = 0; round < 20; round++) {
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            int64_t began_us = steady_us();
            (void)client_ask(c, "%s", rows[i].command);
            int64_t took_us = steady_us() - began_us;
            if (took_us < rows[i].least_us)
                print_error("%s came back after %lld us\n", rows[i].command, (long long)took_us);
            assert_true(took_us >= rows[i].least_us);
        }
    }
}

static int run_with(const char *workers) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(wait_without_replicas_counts_none),
        FIXTURE_TEST(inside_a_transaction_nothing_waits),
        FIXTURE_TEST(no_timeout_ends_early),
        FIXTURE_TEST(what_follows_a_wait_runs_after_it),
        FIXTURE_TEST(a_wait_for_ever_ends_with_its_client),
        FIXTURE_TEST(a_muted_client_gets_no_answer_from_a_wait),
        FIXTURE_TEST(waitaof_without_a_file_has_nothing_local),
        FIXTURE_TEST(waitaof_returns_when_the_write_is_synced),
        FIXTURE_TEST(waitaof_of_many_clients_at_once_is_answered_to_each),
        FIXTURE_TEST(a_sync_that_is_done_too_late_disturbs_nobody),
        FIXTURE_TEST(the_server_can_end_while_syncs_are_awaited),
    };
    setenv("TRIVET_IO_THREADS", workers, 1);
    return cmocka_run_group_tests_name(workers, tests, fixture_start, fixture_stop);
}

int main(void) { return run_with("4") + run_with("1"); }
