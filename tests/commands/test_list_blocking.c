/* test_list_blocking.c: commands on lists that wait, over the wire, with waiters and pushers on four workers.
 */
#include "../harness/fail.h"
#include "../harness/fixture.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define WAITERS 6 /* more than workers, over which connections are spread */
#define WRONGTYPE "-WRONGTYPE Operation against a key holding the wrong kind of value"

static void await_nobody_blocked(struct client *c) { assert_reply_soon(c, "CLIENT LIST FLAGS b", "$\"\""); }

/* ---- waiting and being served ---- */

static void a_waiting_client_gets_what_is_pushed(void **state) {
    static const struct {
        const char *wait, *push, *reply, *look, *rest;
    } rows[] = {
        { "BLPOP k 0", "RPUSH k a b", "*[$\"k\", $\"a\"]", "LRANGE k 0 -1", "*[$\"b\"]" },
        { "BLPOP k 0", "LPUSH k a b", "*[$\"k\", $\"b\"]", "LRANGE k 0 -1", "*[$\"a\"]" },
        { "BRPOP k 0", "RPUSH k a b", "*[$\"k\", $\"b\"]", "LRANGE k 0 -1", "*[$\"a\"]" },
        { "BLPOP j k 0", "RPUSH k a", "*[$\"k\", $\"a\"]", "EXISTS k", ":0" },
        { "BLMPOP 0 2 j k LEFT", "RPUSH k a b", "*[$\"k\", *[$\"a\"]]", "LRANGE k 0 -1", "*[$\"b\"]" },
        { "BLMPOP 0 1 k RIGHT COUNT 5", "RPUSH k a b", "*[$\"k\", *[$\"b\", $\"a\"]]", "EXISTS k", ":0" },
        { "BLMOVE k to LEFT RIGHT 0", "RPUSH k a b", "$\"a\"", "LRANGE to 0 -1", "*[$\"a\"]" },
        { "BRPOPLPUSH k to 0", "RPUSH k a b", "$\"b\"", "LRANGE to 0 -1", "*[$\"b\"]" },
        { "BLMOVE k k LEFT RIGHT 0", "RPUSH k a b", "$\"a\"", "LRANGE k 0 -1", "*[$\"b\", $\"a\"]" },
        { "BLPOP k k k 0", "RPUSH k a b", "*[$\"k\", $\"a\"]", "LRANGE k 0 -1", "*[$\"b\"]" },
        { "BLPOP \"\" 0", "RPUSH \"\" a b", "*[$\"\", $\"a\"]", "LRANGE \"\" 0 -1", "*[$\"b\"]" },
    };
    struct client *c = fixture_client(state);
    for (int w = 0; w < WAITERS; w++) {
        struct client *waiter = connect_another(state);
        for (size_t i = 0; i < COUNT_OF(rows); i++) {
            assert_reply(c, "FLUSHALL", "+OK");
            send_and_wait(c, waiter, rows[i].wait);
            (void)client_ask(c, "%s", rows[i].push);
            assert_next(waiter, rows[i].reply);
            assert_reply(c, rows[i].look, rows[i].rest);
        }
        client_close(waiter);
    }
    await_nobody_blocked(c);
}

static void clients_are_served_in_the_order_of_their_arrival(void **state) {
    struct client *c = fixture_client(state), *waiters[WAITERS];
    for (int i = 0; i < WAITERS; i++) {
        waiters[i] = connect_another(state);
        send_and_wait(c, waiters[i], i % 2 ? "BLPOP other k 0" : "BLPOP k 0");
    }
    assert_reply(c, "RPUSH k 0 1 2 3", ":4");
    assert_reply(c, "EXISTS k", ":0");
    assert_reply(c, "RPUSH k 4", ":1");
    assert_reply(c, "RPUSH k 5 6", ":2");
    for (int i = 0; i < WAITERS; i++) {
        char expected[32];
        snprintf(expected, sizeof expected, "*[$\"k\", $\"%d\"]", i);
        assert_next(waiters[i], expected);
        client_close(waiters[i]);
    }
    assert_reply(c, "LRANGE k 0 -1", "*[$\"6\"]");
    assert_int_equal(info_number(c, "clients", "total_blocking_keys"), 0);
}

static void one_of_many_keys_is_enough(void **state) {
    struct client *c = fixture_client(state), *waiter = connect_another(state);
    for (int round = 0; round < 40; round += 3) {
        char push[32], expected[32];
        struct text command = { 0 };
        text_append_str(&command, "BLPOP");
        for (int i = 0; i < 40; i++) text_printf(&command, " key:%d", i);
        text_append_str(&command, " 0");
        send_and_wait(c, waiter, text_str(&command));
        assert_int_equal(info_number(c, "clients", "total_blocking_keys"), 40);
        snprintf(push, sizeof push, "RPUSH key:%d x", round);
        snprintf(expected, sizeof expected, "*[$\"key:%d\", $\"x\"]", round);
        assert_reply(c, push, ":1");
        assert_next(waiter, expected);
        text_release(&command);
    }
    assert_reply(c, "DBSIZE", ":0");
    client_close(waiter);
}

static void a_chain_of_moves_is_followed_to_its_end(void **state) {
    struct client *c = fixture_client(state), *first = connect_another(state),
                  *second = connect_another(state), *third = connect_another(state),
                  *last = connect_another(state);
    send_and_wait(c, last, "BLPOP d 0");
    send_and_wait(c, third, "BRPOPLPUSH \"\" d 0");
    send_and_wait(c, second, "BLMOVE b \"\" LEFT LEFT 0");
    send_and_wait(c, first, "BLMOVE a b LEFT RIGHT 0");
    assert_reply(c, "RPUSH a x", ":1");
    assert_next(first, "$\"x\"");
    assert_next(second, "$\"x\"");
    assert_next(third, "$\"x\"");
    assert_next(last, "*[$\"d\", $\"x\"]");
    assert_reply(c, "DBSIZE", ":0");
    client_close(first);
    client_close(second);
    client_close(third);
    client_close(last);
}

static void a_ring_of_moves_ends(void **state) {
    struct client *c = fixture_client(state), *there = connect_another(state), *back = connect_another(state);
    send_and_wait(c, there, "BLMOVE a b LEFT RIGHT 0");
    send_and_wait(c, back, "BLMOVE b a LEFT RIGHT 0");
    assert_reply(c, "RPUSH a x", ":1");
    assert_next(there, "$\"x\"");
    assert_next(back, "$\"x\"");
    assert_reply(c, "LRANGE a 0 -1", "*[$\"x\"]");
    client_close(there);
    client_close(back);
}

/* ---- timeouts ---- */

static void a_wait_ends_with_its_timeout(void **state) {
    static const char *const commands[] = {
        "BLPOP k 0.001",       "BRPOP j k 0.01", "BLMPOP 0.001 1 k LEFT", "BLMOVE k j LEFT LEFT 0.001",
        "BRPOPLPUSH k j 0.02", "BLPOP k 1e-9",   "BLPOP k 0x0.1p-4",
    };
    struct client *c = fixture_client(state);
    for (size_t i = 0; i < COUNT_OF(commands); i++) assert_reply(c, commands[i], "*-1");
    (void)client_ask(c, "HELLO 3");
    for (size_t i = 0; i < COUNT_OF(commands); i++) assert_reply(c, commands[i], "_");
    assert_int_equal(info_number(c, "clients", "total_blocking_keys"), 0);
    assert_int_equal(info_number(c, "clients", "clients_in_timeout_table"), 0);
}

static void bad_arguments_are_told_at_once(void **state) {
    static const struct exchange rows[] = {
        { "BLPOP k a", "-ERR timeout is not a float or out of range" },
        { "BLPOP k -1", "-ERR timeout is negative" },
        { "BLPOP k 1e300", "-ERR timeout is out of range" },
        { "BLPOP k", "-ERR wrong number of arguments for 'blpop' command" },
        { "BRPOPLPUSH a b x", "-ERR timeout is not a float or out of range" },
        { "BLMOVE a b UP LEFT x", "-ERR syntax error" },
        { "BLMOVE a b LEFT LEFT x", "-ERR timeout is not a float or out of range" },
        { "BLMPOP a 1 k LEFT", "-ERR timeout is not a float or out of range" },
        { "BLMPOP -1 0 k LEFT", "-ERR numkeys should be greater than 0" },
        { "BLMPOP 1 1 k LEFT COUNT 0", "-ERR count should be greater than 0" },
        { "SET s x", "+OK" },
        { "BLPOP none s 0", WRONGTYPE },
        { "BLMPOP 0 2 none s LEFT", WRONGTYPE },
        { "BLMOVE s none LEFT LEFT 0", WRONGTYPE },
        { "RPUSH l 1", ":1" },
        { "BLMOVE l s LEFT LEFT 0", WRONGTYPE },
        { "LLEN l", ":1" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

/* ---- transactions ---- */

static void a_transaction_is_over_before_anybody_is_served(void **state) {
    struct client *c = fixture_client(state), *waiter = connect_another(state);
    send_and_wait(c, waiter, "BLPOP k j 0");
    static const struct exchange rows[] = {
        { "MULTI", "+OK" },
        { "LPUSH k a", "+QUEUED" },
        { "LPUSH k b", "+QUEUED" },
        { "LRANGE k 0 -1", "+QUEUED" },
        { "EXEC", "*[:1, :2, *[$\"b\", $\"a\"]]" },
        { "LRANGE k 0 -1", "*[$\"a\"]" },
        { NULL, NULL },
    };
    assert_exchanges(c, rows);
    assert_next(waiter, "*[$\"k\", $\"b\"]");
    client_close(waiter);
}

static void what_a_transaction_took_away_again_serves_nobody(void **state) {
    struct client *c = fixture_client(state), *waiter = connect_another(state);
    send_and_wait(c, waiter, "BLPOP k 0");
    static const struct exchange rows[] = {
        { "MULTI", "+OK" },    { "RPUSH k a", "+QUEUED" }, { "DEL k", "+QUEUED" },   { "EXEC", "*[:1, :1]" },
        { "MULTI", "+OK" },    { "RPUSH k a", "+QUEUED" }, { "SET k x", "+QUEUED" }, { "EXEC", "*[:1, +OK]" },
        { "GET k", "$\"x\"" }, { "DEL k", ":1" },          { "RPUSH k late", ":1" }, { NULL, NULL },
    };
    assert_exchanges(c, rows);
    assert_next(waiter, "*[$\"k\", $\"late\"]");
    client_close(waiter);
}

static void inside_a_transaction_nobody_waits(void **state) {
    static const struct exchange rows[] = {
        { "MULTI", "+OK" },
        { "BLPOP k 0", "+QUEUED" },
        { "BLMOVE k j LEFT LEFT 0", "+QUEUED" },
        { "BRPOPLPUSH k j 0", "+QUEUED" },
        { "BLMPOP 0 1 k LEFT", "+QUEUED" },
        { "RPUSH k a", "+QUEUED" },
        { "BRPOP k 0", "+QUEUED" },
        { "EXEC", "*[*-1, $-1, $-1, *-1, :1, *[$\"k\", $\"a\"]]" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

/* ---- ends of a wait ---- */

static void unblocking_ends_the_wait_and_takes_nothing(void **state) {
    struct client *c = fixture_client(state);
    for (int w = 0; w < WAITERS; w++) {
        struct client *waiter = connect_another(state);
        int64_t id = client_ask_int(waiter, "CLIENT ID");
        bool by_error = w % 2;
        send_and_wait(c, waiter, w % 3 ? "BLPOP k 0" : "BLMOVE k j LEFT LEFT 0");
        assert_int_equal(client_ask_int(c, "CLIENT UNBLOCK %lld%s", (long long)id, by_error ? " ERROR" : ""),
                         1);
        assert_reply(c, "RPUSH k x", ":1"); /* whether or not the waiter's worker has heard of it */
        assert_reply(c, "LPOP k", "$\"x\"");
        assert_next(waiter, by_error ? "-UNBLOCKED client unblocked via CLIENT UNBLOCK" : "*-1");
        assert_int_equal(client_ask_int(c, "CLIENT UNBLOCK %lld", (long long)id), 0);
        assert_reply(waiter, "PING", "+PONG");
        client_close(waiter);
    }
}

static void the_dead_take_no_elements(void **state) {
    struct client *c = fixture_client(state);
    for (int w = 0; w < WAITERS; w++) {
        struct client *waiter = connect_another(state);
        send_and_wait(c, waiter, "BLPOP k j 0");
        client_abandon(waiter);
        await_nobody_blocked(c);
        assert_reply(c, "RPUSH k x", ":1");
        assert_reply(c, "LPOP k", "$\"x\"");

        waiter = connect_another(state);
        int64_t id = client_ask_int(waiter, "CLIENT ID");
        send_and_wait(c, waiter, "BLMPOP 0 2 j k LEFT");
        assert_int_equal(client_ask_int(c, "CLIENT KILL ID %lld", (long long)id), 1);
        assert_reply(c, "RPUSH k x", ":1"); /* at once */
        assert_reply(c, "LPOP k", "$\"x\"");
        assert_ended(waiter);
        client_close(waiter);
    }
    assert_int_equal(info_number(c, "clients", "blocked_clients"), 0);
}

static void the_next_in_line_is_served_when_one_leaves(void **state) {
    struct client *c = fixture_client(state), *first = connect_another(state),
                  *second = connect_another(state);
    int64_t id = client_ask_int(first, "CLIENT ID");
    send_and_wait(c, first, "BLPOP k 0");
    send_and_wait(c, second, "BLPOP k 0");
    assert_int_equal(client_ask_int(c, "CLIENT UNBLOCK %lld", (long long)id), 1);
    assert_reply(c, "RPUSH k x", ":1");
    assert_next(second, "*[$\"k\", $\"x\"]");
    assert_next(first, "*-1");
    client_close(first);
    client_close(second);
}

/* ---- how a list can come ---- */

static void a_key_of_another_type_leaves_clients_waiting(void **state) {
    struct client *c = fixture_client(state), *waiter = connect_another(state),
                  *mover = connect_another(state);
    send_and_wait(c, waiter, "BLPOP k 0");
    send_and_wait(c, mover, "BLMOVE k j LEFT LEFT 0");
    static const struct exchange rows[] = {
        { "SET k x", "+OK" },    { "APPEND k y", ":2" }, { "DEL k", ":1" },
        { "RPUSH k a b", ":2" }, { NULL, NULL },
    };
    assert_exchanges(c, rows);
    assert_next(waiter, "*[$\"k\", $\"a\"]");
    assert_next(mover, "$\"b\"");
    client_close(waiter);
    client_close(mover);
}

static void a_move_to_another_type_is_an_error_when_it_is_served(void **state) {
    struct client *c = fixture_client(state), *mover = connect_another(state);
    send_and_wait(c, mover, "BLMOVE k s LEFT LEFT 0");
    assert_reply(c, "SET s x", "+OK");
    assert_reply(c, "RPUSH k a", ":1");
    assert_next(mover, WRONGTYPE);
    assert_reply(c, "LRANGE k 0 -1", "*[$\"a\"]");
    client_close(mover);
}

static void lists_that_come_by_other_ways_serve_too(void **state) {
    static const struct {
        const char *before, *command;
    } rows[] = {
        { "RPUSH src a", "RENAME src k" },    { "RPUSH src a", "RENAMENX src k" },
        { "RPUSH src a", "COPY src k" },      { "RPUSH src a", "LMOVE src k LEFT LEFT" },
        { "RPUSH src a", "RPOPLPUSH src k" }, { "SET k x", "COPY list k REPLACE" },
    };
    struct client *c = fixture_client(state), *waiter = connect_another(state);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_reply(c, "FLUSHALL", "+OK");
        send_and_wait(c, waiter, "BLPOP k 0");
        (void)client_ask(c, "RPUSH list a");
        (void)client_ask(c, "%s", rows[i].before);
        (void)client_ask(c, "%s", rows[i].command);
        assert_next(waiter, "*[$\"k\", $\"a\"]");
        assert_reply(c, "EXISTS k", ":0");
    }
    client_close(waiter);
}

static void a_waiter_hears_of_its_own_database_only(void **state) {
    struct client *c = fixture_client(state), *waiter = connect_another(state);
    send_and_wait(c, waiter, "BLPOP k 0");
    static const struct exchange rows[] = {
        { "SELECT 1", "+OK" }, { "RPUSH k one", ":1" }, { "LLEN k", ":1" },
        { "MOVE k 2", ":1" },  { "SELECT 2", "+OK" },   { "MOVE k 0", ":1" },
        { "SELECT 0", "+OK" }, { "EXISTS k", ":0" },    { NULL, NULL },
    };
    assert_exchanges(c, rows);
    assert_next(waiter, "*[$\"k\", $\"one\"]");
    send_and_wait(c, waiter, "BLMOVE k j LEFT LEFT 0");
    static const struct exchange swap[] = {
        { "SELECT 1", "+OK" }, { "RPUSH k two", ":1" },    { "SWAPDB 0 1", "+OK" },
        { "EXISTS k", ":0" },  { "SELECT 0", "+OK" },      { "LLEN j", ":1" },
        { "DEL j", ":1" },     { "COPY nothing k", ":0" }, { NULL, NULL },
    };
    assert_exchanges(c, swap);
    assert_next(waiter, "$\"two\"");
    client_close(waiter);
}

/* ---- the conversation ---- */

static void what_follows_in_a_pipeline_runs_after_the_wait(void **state) {
    struct client *c = fixture_client(state), *waiter = connect_another(state);
    client_queue(waiter, "SET before 1");
    client_queue(waiter, "BLPOP k 0");
    client_queue(waiter, "SET after 1");
    client_queue(waiter, "BLPOP k 0");
    client_queue(waiter, "PING");
    assert_true(client_flush(waiter));
    assert_reply_soon(c, "EXISTS before", ":1");
    assert_reply_soon(c, "CLIENT LIST FLAGS b", "$\"id=...");
    assert_reply(c, "EXISTS after", ":0");
    assert_reply(c, "RPUSH k a b", ":2");
    assert_next(waiter, "+OK");
    assert_next(waiter, "*[$\"k\", $\"a\"]");
    assert_next(waiter, "+OK");
    assert_next(waiter, "*[$\"k\", $\"b\"]");
    assert_next(waiter, "+PONG");
    client_close(waiter);
}

static void a_muted_client_waits_and_hears_nothing(void **state) {
    struct client *c = fixture_client(state), *waiter = connect_another(state);
    client_queue(waiter, "CLIENT REPLY SKIP");
    client_queue(waiter, "BLPOP k 0");
    client_queue(waiter, "PING first");
    client_queue(waiter, "CLIENT REPLY OFF");
    client_queue(waiter, "BLPOP k 0.01");
    client_queue(waiter, "BLPOP k 0");
    client_queue(waiter, "CLIENT REPLY ON");
    assert_true(client_flush(waiter));
    assert_reply_soon(c, "CLIENT LIST FLAGS b", "$\"id=...");
    assert_reply(c, "RPUSH k a", ":1");
    assert_next(waiter, "$\"first\"");
    assert_reply_soon(c, "CLIENT LIST FLAGS b", "$\"id=...");
    assert_reply(c, "RPUSH k b c", ":2");
    assert_next(waiter, "+OK");
    assert_reply(waiter, "PING", "+PONG");
    client_close(waiter);
}

static void a_pause_of_writes_holds_pushes_back_and_not_timeouts(void **state) {
    struct client *c = fixture_client(state), *waiter = connect_another(state),
                  *pusher = connect_another(state), *late = connect_another(state);
    send_and_wait(c, waiter, "BLPOP k 0");
    send_and_wait(c, late, "BLPOP other 0.05");
    assert_reply(c, "CLIENT PAUSE 100000 WRITE", "+OK");
    client_send(pusher, "RPUSH k a");
    assert_next(late, "*-1");
    client_send(late, "BLPOP k 0.01"); /* is held back itself */
    assert_reply(c, "EXISTS k", ":0");
    assert_false(client_has_reply(waiter));
    assert_reply(c, "CLIENT UNPAUSE", "+OK");
    assert_next(pusher, ":1");
    assert_next(waiter, "*[$\"k\", $\"a\"]");
    assert_next(late, "*-1");
    client_close(waiter);
    client_close(pusher);
    client_close(late);
}

static void a_server_with_waiting_clients_stops_cleanly(void **state) {
    (void)state;
    struct server *s = server_start("--io-threads", "4", NULL);
    struct client *c = server_connect(s), *waiters[WAITERS];
    for (int i = 0; i < WAITERS; i++) {
        waiters[i] = server_connect(s);
        send_and_wait(c, waiters[i], i % 2 ? "BLPOP a b c 0" : "BLMOVE a b LEFT LEFT 0");
    }
    server_stop(s);
    for (int i = 0; i < WAITERS; i++) client_close(waiters[i]);
    client_close(c);
    server_free(s);
}

static void the_journal_knows_what_the_waiting_took(void **state) {
    (void)state;
    struct server *s = server_start("--appendonly", "yes", "--appendfsync", "no", NULL);
    struct client *c = server_connect(s), *popper = server_connect(s), *mover = server_connect(s);
    send_and_wait(c, popper, "BLPOP k 0");
    send_and_wait(c, mover, "BLMOVE k to LEFT RIGHT 0");
    assert_reply(c, "RPUSH k a b c", ":3");
    assert_next(popper, "*[$\"k\", $\"a\"]");
    assert_next(mover, "$\"b\"");
    send_and_wait(c, mover, "BLMPOP 0 1 m RIGHT COUNT 2");
    assert_reply(c, "MULTI", "+OK");
    assert_reply(c, "RPUSH m a b c", "+QUEUED");
    assert_reply(c, "EXEC", "*[:3]");
    assert_next(mover, "*[$\"m\", *[$\"c\", $\"b\"]]");
    client_close(c);
    client_close(popper);
    client_close(mover);
    server_kill(s);
    server_restart(s);
    c = server_connect(s);
    assert_reply(c, "LRANGE k 0 -1", "*[$\"c\"]");
    assert_reply(c, "LRANGE to 0 -1", "*[$\"b\"]");
    assert_reply(c, "LRANGE m 0 -1", "*[$\"a\"]");
    client_close(c);
    server_free(s);
}

/* ---- the storm ---- */

#define PRODUCERS 3
#define CONSUMERS 6
#define EACH 3000 /* elements of a producer */
#define QUEUES 4

static struct {
    struct server *server;
    atomic_int seen[PRODUCERS * EACH];
    atomic_int received;
    atomic_int strange;             /* replies that must not be */
    _Atomic int64_t ids[CONSUMERS]; /* 0: not known yet, and nobody's */
} storm;

static void *produce(void *arg) {
    int me = (int)(intptr_t)arg;
    struct client *c = server_connect(storm.server);
    unsigned seed = (unsigned)me;
    for (int i = 0; i < EACH; i++) {
        int number = me * EACH + i, queue = rand_r(&seed) % QUEUES;
        bool wrapped = i % 7 == 0;
        if (wrapped) client_queue(c, "MULTI");
        client_queue(c, "%s queue:%d %d", i % 3 ? "RPUSH" : "LPUSH", queue, number);
        if (wrapped) client_queue(c, "EXEC");
        if (!client_flush(c)) break;
        for (int r = wrapped ? 3 : 1; r > 0; r--) node_free(client_read(c));
    }
    client_close(c);
    return NULL;
}

static void count_element(const struct node *n) {
    int number = atoi(text_str(&n->bytes));
    atomic_fetch_add(&storm.seen[number], 1);
    atomic_fetch_add(&storm.received, 1);
}

static void take_reply(struct node *n) {
    if (n->kind != '*') {
        atomic_fetch_add(&storm.strange, 1);
    } else if (n->count == 2 && n->items[1]->kind == '*') {
        for (size_t i = 0; i < n->items[1]->count; i++) count_element(n->items[1]->items[i]);
    } else if (n->count == 2) {
        count_element(n->items[1]);
    }
    node_free(n);
}

static void *consume(void *arg) {
    int me = (int)(intptr_t)arg;
    static const char *const commands[] = {
        "BLPOP queue:0 queue:1 queue:2 queue:3 0.05",
        "BRPOP queue:3 queue:1 queue:3 queue:0 queue:2 0.05",
        "BLMPOP 0.05 4 queue:2 queue:3 queue:0 queue:1 LEFT COUNT 3",
    };
    struct client *c = server_connect(storm.server);
    atomic_store(&storm.ids[me], client_ask_int(c, "CLIENT ID"));
    while (atomic_load(&storm.received) < PRODUCERS * EACH) {
        client_send(c, "%s", commands[me % 3]);
        take_reply(client_read(c));
    }
    client_close(c);
    return NULL;
}

/* Moves elements on, so that pushes come from waiters too. */
static void *move_on(void *arg) {
    (void)arg;
    struct client *c = server_connect(storm.server);
    while (atomic_load(&storm.received) < PRODUCERS * EACH) {
        client_send(c, "BLMOVE queue:0 queue:1 LEFT RIGHT 0.01");
        node_free(client_read(c));
    }
    client_close(c);
    return NULL;
}

static void *unblock(void *arg) {
    (void)arg;
    struct client *c = server_connect(storm.server);
    unsigned seed = 1;
    while (atomic_load(&storm.received) < PRODUCERS * EACH)
        (void)client_ask_int(c, "CLIENT UNBLOCK %lld TIMEOUT",
                             (long long)atomic_load(&storm.ids[rand_r(&seed) % CONSUMERS]));
    client_close(c);
    return NULL;
}

static void in_a_storm_each_element_is_delivered_once(void **state) {
    (void)state;
    storm.server = server_start("--io-threads", "4", NULL);
    pthread_t threads[PRODUCERS + CONSUMERS + 2];
    size_t count = 0;
    for (intptr_t i = 0; i < CONSUMERS; i++) pthread_create(&threads[count++], NULL, consume, (void *)i);
    for (intptr_t i = 0; i < PRODUCERS; i++) pthread_create(&threads[count++], NULL, produce, (void *)i);
    pthread_create(&threads[count++], NULL, move_on, NULL);
    pthread_create(&threads[count++], NULL, unblock, NULL);
    for (size_t i = 0; i < count; i++) pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&storm.strange), 0);
    for (size_t i = 0; i < COUNT_OF(storm.seen); i++) assert_int_equal(atomic_load(&storm.seen[i]), 1);
    struct client *c = server_connect(storm.server);
    assert_reply(c, "DBSIZE", ":0");
    assert_int_equal(info_number(c, "clients", "blocked_clients"), 0);
    assert_int_equal(info_number(c, "clients", "total_blocking_keys"), 0);
    client_close(c);
    server_free(storm.server);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(a_waiting_client_gets_what_is_pushed),
        FIXTURE_TEST(clients_are_served_in_the_order_of_their_arrival),
        FIXTURE_TEST(one_of_many_keys_is_enough),
        FIXTURE_TEST(a_chain_of_moves_is_followed_to_its_end),
        FIXTURE_TEST(a_ring_of_moves_ends),
        FIXTURE_TEST(a_wait_ends_with_its_timeout),
        FIXTURE_TEST(bad_arguments_are_told_at_once),
        FIXTURE_TEST(a_transaction_is_over_before_anybody_is_served),
        FIXTURE_TEST(what_a_transaction_took_away_again_serves_nobody),
        FIXTURE_TEST(inside_a_transaction_nobody_waits),
        FIXTURE_TEST(unblocking_ends_the_wait_and_takes_nothing),
        FIXTURE_TEST(the_dead_take_no_elements),
        FIXTURE_TEST(the_next_in_line_is_served_when_one_leaves),
        FIXTURE_TEST(a_key_of_another_type_leaves_clients_waiting),
        FIXTURE_TEST(a_move_to_another_type_is_an_error_when_it_is_served),
        FIXTURE_TEST(lists_that_come_by_other_ways_serve_too),
        FIXTURE_TEST(a_waiter_hears_of_its_own_database_only),
        FIXTURE_TEST(what_follows_in_a_pipeline_runs_after_the_wait),
        FIXTURE_TEST(a_muted_client_waits_and_hears_nothing),
        FIXTURE_TEST(a_pause_of_writes_holds_pushes_back_and_not_timeouts),
        cmocka_unit_test(a_server_with_waiting_clients_stops_cleanly),
        cmocka_unit_test(the_journal_knows_what_the_waiting_took),
        cmocka_unit_test(in_a_storm_each_element_is_delivered_once),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
