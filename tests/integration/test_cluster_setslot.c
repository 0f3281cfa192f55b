/* test_cluster_setslot.c: CLUSTER SETSLOT: replicas take each step first, and whoever takes over goes on. */
#include "../harness/check.h"
#include "../harness/cluster.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define FOO "12182" /* the slot of {foo} */
#define NO_REPLICAS "-NOREPLICAS Not enough good replicas to write."

/* A primary of all slots, its replica, and another primary. */
struct trio {
    struct cnode primary, replica, other;
};

static void trio_start(struct trio *t) {
    t->primary = CNODE();
    t->replica = CNODE();
    t->other = CNODE();
    cnode_pair(&t->primary, &t->replica);
    cnode_meet(&t->primary, &t->other);
    cnode_await_meeting(&t->replica, &t->other);
    assert_soon(cnode_has_flags(&t->other, &t->replica, "slave"));
    assert_soon(cnode_is_up(&t->other));
}

static void trio_end(struct trio *t) {
    cnode_end(&t->primary);
    cnode_end(&t->replica);
    cnode_end(&t->other);
}

static const char *set_slot(struct cnode *at, const char *way, const struct cnode *to) {
    return client_ask(at->client, "CLUSTER SETSLOT " FOO " %s %s", way, to->id);
}

/* "[12182->-<id>]" in what the node says of itself. */
static bool is_open(struct cnode *at, const char *arrow, const struct cnode *other) {
    char mark[64];
    snprintf(mark, sizeof mark, "[" FOO "%s%s]", arrow, other->id);
    return cnode_says(at, "CLUSTER NODES", mark);
}

static bool is_closed(struct cnode *at) { return !cnode_says(at, "CLUSTER NODES", "[" FOO); }

/* ---- words ---- */

static void wrong_words_for_setslot_are_refused(void **state) {
    (void)state;
    struct cnode n = CNODE();
    static const struct exchange rows[] = {
        { "CLUSTER SETSLOT 1 MIGRATING x", "-ERR I'm not the owner of hash slot 1" },
        { "CLUSTER SETSLOT 1 IMPORTING x", "-ERR I don't know about node x" },
        { "CLUSTER SETSLOT 1 NODE x", "-ERR Unknown node x" },
        { "CLUSTER SETSLOT 16384 STABLE", "-ERR Invalid or out of range slot" },
        { "CLUSTER SETSLOT 1 FOO",
          "-ERR Invalid CLUSTER SETSLOT action or number of arguments. Try CLUSTER HELP" },
        { "CLUSTER SETSLOT 1 STABLE now",
          "-ERR Invalid CLUSTER SETSLOT action or number of arguments. Try CLUSTER HELP" },
        { "CLUSTER SETSLOT 1 STABLE TIMEOUT", "-ERR Missing timeout value" },
        { "CLUSTER SETSLOT 1 STABLE TIMEOUT x", "-ERR timeout is not an integer or out of range" },
        { "CLUSTER SETSLOT 1 STABLE TIMEOUT -1", "-ERR timeout is negative" },
        { "CLUSTER SETSLOT 1 STABLE TIMEOUT 100", "+OK" },
        { "CLUSTER ADDSLOTS 1", "+OK" },
        { "CLUSTER SETSLOT 1 IMPORTING x", "-ERR I'm already the owner of hash slot 1" },
        { "CLUSTER SETSLOT 1 MIGRATING x", "-ERR I don't know about node x" },
        { NULL, NULL },
    };
    assert_exchanges(n.client, rows);
    char expected[80];
    snprintf(expected, sizeof expected, "-ERR I don't know about node %s", n.id);
    assert_string_equal(client_ask(n.client, "CLUSTER SETSLOT 1 MIGRATING %s", n.id), expected);
    cnode_end(&n);
}

static void a_slot_with_keys_is_not_given_away(void **state) {
    (void)state;
    struct trio t;
    trio_start(&t);
    assert_reply(t.primary.client, "SET {foo} 1", "+OK");
    assert_string_equal(
        set_slot(&t.primary, "NODE", &t.other),
        "-ERR Can't assign hashslot 12182 to a different node while I still hold keys for this "
        "hash slot.");
    assert_string_equal(set_slot(&t.primary, "MIGRATING", &t.replica), "-ERR Target node is not a master");
    assert_string_equal(set_slot(&t.replica, "MIGRATING", &t.other),
                        "-ERR Please use SETSLOT only with masters.");
    assert_true(is_closed(&t.replica)); /* what is refused is not sent either */
    trio_end(&t);
}

/* ---- replicas ---- */

static void replicas_take_each_step_first(void **state) {
    (void)state;
    struct trio t;
    trio_start(&t);
    assert_string_equal(set_slot(&t.primary, "MIGRATING", &t.other), "+OK");
    assert_true(is_open(&t.primary, "->-", &t.other));
    assert_true(is_open(&t.replica, "->-", &t.other)); /* it has acknowledged that */
    assert_reply(t.primary.client, "CLUSTER SETSLOT " FOO " STABLE TIMEOUT 60000", "+OK");
    assert_true(is_closed(&t.replica));
    assert_string_equal(set_slot(&t.primary, "MIGRATING", &t.other), "+OK");
    assert_string_equal(set_slot(&t.other, "IMPORTING", &t.primary), "+OK");

    char ask[64];
    snprintf(ask, sizeof ask, "-ASK " FOO " 127.0.0.1:%d", server_port(t.other.server));
    assert_reply(t.replica.client, "READONLY", "+OK");
    assert_reply(t.replica.client, "GET {foo}", ask);

    assert_string_equal(set_slot(&t.other, "NODE", &t.other), "+OK");
    assert_string_equal(set_slot(&t.primary, "NODE", &t.other), "+OK");
    assert_true(is_closed(&t.primary));
    assert_true(is_closed(&t.replica));
    trio_end(&t);
}

/* It must not hold up others on its worker. */
static void a_replica_that_does_not_answer_stops_the_step(void **state) {
    (void)state;
    struct trio t;
    trio_start(&t);
    struct client *waits[8];
    assert_int_equal(kill(server_pid(t.replica.server), SIGSTOP), 0);
    for (size_t i = 0; i < COUNT_OF(waits); i++) {
        waits[i] = server_connect(t.primary.server);
        client_send(waits[i], "CLUSTER SETSLOT " FOO " MIGRATING %s TIMEOUT %s", t.other.id,
                    i ? "60000" : "1500");
    }
    assert_info_soon(t.primary.client, "clients", "blocked_clients", "8");
    for (int i = 0; i < 8; i++) {
        struct client *c = server_connect(t.primary.server);
        assert_reply(c, "SET {bar} 1", "+OK");
        client_close(c);
    }
    assert_next(waits[0], NO_REPLICAS);
    assert_true(is_closed(&t.primary));
    client_close(waits[1]); /* one goes, the others are served */
    assert_info_soon(t.primary.client, "clients", "blocked_clients", "6");
    assert_int_equal(kill(server_pid(t.replica.server), SIGCONT), 0);
    for (size_t i = 2; i < COUNT_OF(waits); i++) assert_next(waits[i], "+OK");
    assert_true(is_open(&t.primary, "->-", &t.other));
    assert_true(is_open(&t.replica, "->-", &t.other));
    for (size_t i = 0; i < COUNT_OF(waits); i++)
        if (i != 1) client_close(waits[i]);
    trio_end(&t);
}

static void who_waits_for_replicas_can_be_unblocked(void **state) {
    (void)state;
    struct trio t;
    trio_start(&t);
    assert_int_equal(kill(server_pid(t.replica.server), SIGSTOP), 0);
    struct client *waits = server_connect(t.primary.server);
    int64_t id = client_ask_int(waits, "CLIENT ID");
    client_send(waits, "CLUSTER SETSLOT " FOO " MIGRATING %s TIMEOUT 0", t.other.id);
    assert_info_soon(t.primary.client, "clients", "blocked_clients", "1");
    assert_int_equal(client_ask_int(t.primary.client, "CLIENT UNBLOCK %lld", (long long)id), 1);
    assert_next(waits, NO_REPLICAS);
    client_send(waits, "CLUSTER SETSLOT " FOO " MIGRATING %s", t.other.id);
    assert_info_soon(t.primary.client, "clients", "blocked_clients", "1");
    assert_int_equal(client_ask_int(t.primary.client, "CLIENT UNBLOCK %lld ERROR", (long long)id), 1);
    assert_next(waits, "-UNBLOCKED client unblocked via CLIENT UNBLOCK");
    assert_true(is_closed(&t.primary));
    assert_reply(waits, "MULTI", "+OK"); /* nobody waits in a transaction */
    client_send(waits, "CLUSTER SETSLOT " FOO " MIGRATING %s", t.other.id);
    assert_next(waits, "+QUEUED");
    assert_reply(waits, "EXEC", "*[+OK]");
    assert_int_equal(kill(server_pid(t.replica.server), SIGCONT), 0);
    assert_soon(is_open(&t.replica, "->-", &t.other));
    client_close(waits);
    trio_end(&t);
}

static void a_replica_that_comes_later_hears_of_open_slots(void **state) {
    (void)state;
    struct cnode a = CNODE(), b = CNODE(), r = CNODE();
    cnode_take_all_slots(&a);
    cnode_meet(&a, &b);
    cnode_meet(&a, &r);
    cnode_await_meeting(&r, &b);
    assert_string_equal(set_slot(&a, "MIGRATING", &b), "+OK");
    cnode_follow(&r, &a);
    assert_soon(is_open(&r, "->-", &b));
    cnode_end(&a);
    cnode_end(&b);
    cnode_end(&r);
}

static void a_failover_does_not_end_the_move(void **state) {
    (void)state;
    struct trio t;
    trio_start(&t);
    assert_string_equal(set_slot(&t.other, "IMPORTING", &t.primary), "+OK");
    assert_string_equal(set_slot(&t.primary, "MIGRATING", &t.other), "+OK");
    assert_reply(t.replica.client, "CLUSTER FAILOVER TAKEOVER", "+OK");
    assert_soon(cnode_says(&t.primary, "ROLE", "slave"));
    assert_true(is_open(&t.replica, "->-", &t.other));
    assert_soon(is_open(&t.other, "-<-", &t.replica)); /* which is where the slot comes from now */
    assert_true(is_open(&t.primary, "->-", &t.other)); /* for it may be the primary again */
    char ask[64];
    snprintf(ask, sizeof ask, "-ASK " FOO " 127.0.0.1:%d", server_port(t.other.server));
    assert_reply(t.replica.client, "GET {foo}", ask);
    trio_end(&t);
}

/* Redis 7.0 would answer with an error, and lose its place. */
static void an_older_replica_is_not_told(void **state) {
    (void)state;
    struct cnode a = CNODE("--repl-ping-replica-period", "3600"); /* nothing but writes moves its offset */
    struct cnode b = CNODE(), old = cnode_start(PEER_REDIS, NULL);
    cnode_pair(&a, &old);
    cnode_meet(&a, &b);
    assert_reply(a.client, "SET {bar} 1", "+OK");
    replication_await(a.server, old.server);
    int64_t before = replication_offset(a.client);
    assert_string_equal(set_slot(&a, "MIGRATING", &b), "+OK");
    assert_int_equal(replication_offset(a.client), before);
    assert_true(is_open(&a, "->-", &b));
    assert_reply(a.client, "SET {bar} 2", "+OK");
    replication_await(a.server, old.server);
    assert_true(is_closed(&old));
    assert_true(cnode_says(&old, "INFO errorstats", "errorstat_") == false);
    cnode_end(&a);
    cnode_end(&b);
    cnode_end(&old);
}

int main(int argc, char **argv) {
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_words_for_setslot_are_refused),
        cmocka_unit_test(a_slot_with_keys_is_not_given_away),
        cmocka_unit_test(replicas_take_each_step_first),
        cmocka_unit_test(a_replica_that_does_not_answer_stops_the_step),
        cmocka_unit_test(who_waits_for_replicas_can_be_unblocked),
        cmocka_unit_test(a_replica_that_comes_later_hears_of_open_slots),
        cmocka_unit_test(a_failover_does_not_end_the_move),
        cmocka_unit_test(an_older_replica_is_not_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
