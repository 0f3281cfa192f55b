/* test_cluster_shutdown.c: the end of a node that serves slots: a replica takes over, or it is refused. */
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

/* Three that vote, and a replica of the first. */
struct quartet {
    struct cnode primary, replica, second, third;
};

static void introduce(struct quartet *q, struct cnode *n) {
    cnode_meet(&q->primary, n);
    struct cnode *all[] = { &q->primary, &q->replica, &q->second, &q->third };
    for (size_t i = 0; i < COUNT_OF(all) && all[i]->client; i++)
        if (all[i] != n) cnode_await_meeting(all[i], n);
}

static void quartet_start(struct quartet *q, const char *first, const char *second) {
    *q = (struct quartet){ 0 };
    q->primary = CNODE("--shutdown-timeout", "60", first, second);
    assert_reply(q->primary.client, "CLUSTER ADDSLOTSRANGE 0 16381", "+OK");
    q->replica = CNODE();
    introduce(q, &q->replica);
    q->second = CNODE();
    introduce(q, &q->second);
    q->third = CNODE();
    introduce(q, &q->third);
    assert_reply(q->second.client, "CLUSTER ADDSLOTS 16382", "+OK");
    assert_reply(q->third.client, "CLUSTER ADDSLOTS 16383", "+OK");
    cnode_follow(&q->replica, &q->primary);
    struct cnode *all[] = { &q->primary, &q->replica, &q->second, &q->third };
    for (size_t i = 0; i < COUNT_OF(all); i++)
        assert_soon(cnode_is_up(all[i]) &&
                    cnode_has_flags(all[i], &q->replica, all[i] == &q->replica ? "myself,slave" : "slave"));
}

static void quartet_end(struct quartet *q) {
    cnode_end(&q->primary);
    cnode_end(&q->replica);
    cnode_end(&q->second);
    cnode_end(&q->third);
}

/* Far sooner than the others would find out that it is gone: the node timeout is 15 s, and a failure has to
 * be agreed upon. What was written last is there. */
static void assert_replaced(struct quartet *q) {
    server_await_end(q->primary.server);
    server_await_log(q->primary.server, "is to take over.", 1);
    assert_soon(cnode_says(&q->replica, "ROLE", "master") && cnode_is_up(&q->replica));
    assert_reply(q->replica.client, "GET {foo}", "$\"last\"");
    assert_reply_soon(q->replica.client, "SET {foo} more", "+OK");
    assert_true(strstr(server_log(q->second.server), "is failing") == NULL);
}

static void a_replica_takes_over_when_its_primary_is_shut_down(void **state) {
    (void)state;
    struct quartet q;
    quartet_start(&q, NULL, NULL);
    assert_reply(q.primary.client, "SET {foo} last", "+OK");
    client_send(q.primary.client, "SHUTDOWN FAILOVER");
    assert_ended(q.primary.client);
    assert_replaced(&q);
    quartet_end(&q);
}

/* It has not got everything yet when the end is asked for. */
static void a_replica_that_lags_is_waited_for_and_takes_over(void **state) {
    (void)state;
    struct quartet q;
    quartet_start(&q, "--shutdown-on-sigterm", "failover");
    assert_int_equal(kill(server_pid(q.replica.server), SIGSTOP), 0);
    assert_reply(q.primary.client, "SET {foo} last", "+OK");
    assert_int_equal(kill(server_pid(q.primary.server), SIGTERM), 0);
    server_await_log(q.primary.server, "Waiting for replicas before shutting down.", 1);
    assert_int_equal(kill(server_pid(q.replica.server), SIGCONT), 0);
    assert_replaced(&q);
    quartet_end(&q);
}

static void without_a_replica_it_just_ends(void **state) {
    (void)state;
    struct cnode n = CNODE();
    cnode_take_all_slots(&n);
    client_send(n.client, "SHUTDOWN NOSAVE FAILOVER");
    assert_ended(n.client);
    server_await_end(n.server);
    server_await_log(n.server, "No replica has all data and can take over", 1);
    cnode_end(&n);
}

static void a_node_that_serves_slots_does_not_end_safely(void **state) {
    (void)state;
    struct cnode n = CNODE();
    assert_reply(n.client, "CLUSTER ADDSLOTS 1", "+OK");
    assert_reply(n.client, "SHUTDOWN SAFE", "-ERR Errors trying to SHUTDOWN. Check logs.");
    server_await_log(n.server, "This node serves slots: not shutting down", 1);
    assert_reply(n.client, "PING", "+PONG");
    assert_reply(n.client, "CLUSTER DELSLOTS 1", "+OK");
    client_send(n.client, "SHUTDOWN SAFE");
    assert_ended(n.client);
    server_await_end(n.server);
    cnode_end(&n);
    n = CNODE("--shutdown-on-sigterm", "safe");
    assert_reply(n.client, "CLUSTER ADDSLOTS 1", "+OK");
    assert_int_equal(kill(server_pid(n.server), SIGTERM), 0);
    server_await_log(n.server, "This node serves slots: not shutting down", 1);
    client_send(n.client, "SHUTDOWN SAFE FORCE");
    assert_ended(n.client);
    server_await_end(n.server);
    cnode_end(&n);
}

static void only_a_primary_may_name_the_replica(void **state) {
    (void)state;
    struct cnode n = CNODE();
    char line[160], unknown[80];
    assert_string_equal(client_ask(n.client, "CLUSTER FAILOVER FORCE REPLICAID %s", n.id),
                        "-ERR syntax error");
    assert_reply(n.client, "CLUSTER FAILOVER FORCE TAKEOVER", "-ERR syntax error");
    assert_reply(n.client, "CLUSTER FAILOVER FORCE", "-ERR You should send CLUSTER FAILOVER to a replica");
    snprintf(line, sizeof line, "REPLCONF set-cluster-node-id %s", n.id);
    assert_reply(n.client, line, "+OK");
    assert_reply(n.client, "REPLCONF set-cluster-node-id x", "-ERR Unknown node x");
    snprintf(unknown, sizeof unknown, "%040d", 7);
    snprintf(line, sizeof line, "-ERR Unknown node %s", unknown);
    assert_string_equal(client_ask(n.client, "REPLCONF set-cluster-node-id %s", unknown), line);
    cnode_end(&n);
}

int main(int argc, char **argv) {
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_replica_takes_over_when_its_primary_is_shut_down),
        cmocka_unit_test(a_replica_that_lags_is_waited_for_and_takes_over),
        cmocka_unit_test(without_a_replica_it_just_ends),
        cmocka_unit_test(a_node_that_serves_slots_does_not_end_safely),
        cmocka_unit_test(only_a_primary_may_name_the_replica),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
