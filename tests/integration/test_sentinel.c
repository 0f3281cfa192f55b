/* test_sentinel.c: Debian's Sentinel 7.0 finds the servers of a group, agrees with its like, and when the
 * primary is killed, or by hand, makes a replica primary and turns the others to it: groups of Trivet alone,
 * and mixed with redis-server. What each server then has in its conf file is looked at too, and that replicas
 * went over by partial synchronisation. */
#include "sentinel_group.h"

/* ---- finding ---- */

static void sentinels_find_the_replicas_and_each_other(void **state) {
    (void)state;
    struct group *g = group_start(&(struct group_plan){ 0 });
    for (int i = 0; i < GROUP_SENTINELS; i++) {
        struct client *c = group_sentinel(g, i);
        assert_reply(c, "SENTINEL CKQUORUM " GROUP_NAME, "+OK 3 usable Sentinels. Quorum and failover ...");
        struct node *list = client_ask_node(c, "SENTINEL REPLICAS " GROUP_NAME);
        assert_int_equal(list->count, 2);
        bool found[GROUP_SERVERS] = { false };
        for (size_t r = 0; r < list->count; r++) {
            const struct node *replica = list->items[r];
            int port = atoi(text_str(&node_lookup(replica, "port")->bytes));
            for (int s = 1; s < GROUP_SERVERS; s++) found[s] |= port == group_port(g, s);
            assert_string_equal(text_str(&node_lookup(replica, "slave-priority")->bytes), "100");
            assert_string_equal(text_str(&node_lookup(replica, "runid")->bytes),
                                group_info(g, port == group_port(g, 1) ? 1 : 2, "run_id"));
        }
        assert_true(found[1] && found[2]);
        node_free(list);
        client_close(c);
    }
    group_stop(g);
}

/* Sentinels hear each other on every server, replicas too. */
static void hellos_arrive_on_primary_and_replicas(void **state) {
    (void)state;
    struct group *g = group_start(&(struct group_plan){ 0 });
    char expected[120];
    snprintf(expected, sizeof expected,
             "*[$\"message\", $\"__sentinel__:hello\", $\"...," GROUP_NAME ",127.0.0.1,%d,0\"]",
             group_port(g, 0));
    for (int i = 0; i < GROUP_SERVERS; i++) {
        struct client *c = group_connect(g, i);
        assert_reply(c, "SUBSCRIBE __sentinel__:hello", "*[$\"subscribe\", $\"__sentinel__:hello\", :1]");
        for (int n = 0; n < 2 * GROUP_SENTINELS; n++) assert_next(c, expected);
        client_close(c);
    }
    group_stop(g);
}

/* ---- the primary dies ---- */

static void a_killed_primary_is_replaced_and_comes_back_as_a_replica(void **state) {
    (void)state;
    kill_and_come_back(&(struct group_plan){ 0 });
}

static void a_killed_primary_is_replaced_in_a_group_of_both(void **state) {
    (void)state;
    kill_and_come_back(&(struct group_plan){ .programs = { NULL, GROUP_PEER, NULL } });
}

static void a_killed_redis_is_replaced_by_one_of_ours(void **state) {
    (void)state;
    kill_and_come_back(&(struct group_plan){ .programs = { GROUP_PEER, NULL, NULL } });
}

static void a_killed_primary_is_replaced_by_redis(void **state) {
    (void)state;
    kill_and_come_back(&(struct group_plan){ .programs = { NULL, GROUP_PEER, GROUP_PEER } });
}

/* ---- by hand ---- */

/* From 0 to 1 and back, as priorities say: who was primary becomes a replica without being restarted. (All
 * data are sent anew: the old primary's stream has gone on with pings and hellos that the new one never had.)
 */
static void there_and_back(const struct group_plan *plan) {
    struct group_plan steered = *plan;
    steered.conf[0] = "replica-priority 10";
    steered.conf[1] = "replica-priority 20";
    steered.conf[2] = "replica-priority 0";
    struct group *g = group_start(&steered);
    write_key(g, 0, "first", 2);
    for (int to = 1; to >= 0; to--) {
        group_fail_over(g, to);
        assert_confs(g, to);
        write_key(g, to, to ? "second" : "third", 2);
    }
    for (int i = 0; i < GROUP_SERVERS; i++) {
        assert_has_key(g, i, "first");
        assert_has_key(g, i, "second");
        assert_has_key(g, i, "third");
    }
    group_stop(g);
}

static void a_failover_by_hand_goes_there_and_back(void **state) {
    (void)state;
    there_and_back(&(struct group_plan){ 0 });
}

static void a_failover_goes_from_redis_to_ours_and_back(void **state) {
    (void)state;
    there_and_back(&(struct group_plan){ .programs = { GROUP_PEER, NULL, NULL } });
}

static void a_failover_goes_from_ours_to_redis_and_back(void **state) {
    (void)state;
    there_and_back(&(struct group_plan){ .programs = { NULL, GROUP_PEER, NULL } });
}

/* ---- who is promoted, who is shown ---- */

static void a_replica_of_priority_0_is_never_promoted(void **state) {
    (void)state;
    struct group *g = group_start(&(struct group_plan){ .conf = { NULL, "replica-priority 0", NULL } });
    server_kill(group_server(g, 0));
    group_await_primary(g, 2);
    sentinel_does(g, "SENTINEL FAILOVER " GROUP_NAME, "-NOGOODSLAVE No suitable replica to promote");
    server_restart(group_server(g, 0));
    group_await_primary(g, 2);
    group_fail_over(g, 0);
    group_stop(g);
}

static void a_replica_that_is_not_announced_is_hidden_and_follows_all_the_same(void **state) {
    (void)state;
    struct group *g = group_start(
        &(struct group_plan){ .conf = { NULL, "replica-announced no\nreplica-priority 0", NULL } });
    struct client *c = group_sentinel(g, 1);
    struct node *list = client_ask_node(c, "SENTINEL REPLICAS " GROUP_NAME);
    assert_int_equal(list->count, 1);
    assert_int_equal(atoi(text_str(&node_lookup(list->items[0], "port")->bytes)), group_port(g, 2));
    node_free(list);
    client_close(c);
    server_kill(group_server(g, 0));
    group_await_primary(g, 2);
    assert_conf_follows(g, 1, 2);
    group_stop(g);
}

static void who_leaves_the_group_by_hand_is_brought_back(void **state) {
    (void)state;
    struct group *g = group_start(&(struct group_plan){ 0 });
    struct server *stranger = server_launch(&(struct server_plan){ .tcp = true });
    assert_asked(g, 1, "REPLICAOF NO ONE", "+OK");
    assert_string_equal(group_info(g, 1, "role"), "master");
    group_await_primary(g, 0);
    char follow[64];
    snprintf(follow, sizeof follow, "REPLICAOF 127.0.0.1 %d", server_port(stranger));
    assert_asked(g, 2, follow, "+OK");
    assert_int_equal(group_info_number(g, 2, "master_port"), server_port(stranger));
    group_await_primary(g, 0);
    write_key(g, 0, "k", 2);
    group_stop(g);
    server_free(stranger);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sentinels_find_the_replicas_and_each_other),
        cmocka_unit_test(hellos_arrive_on_primary_and_replicas),
        cmocka_unit_test(a_killed_primary_is_replaced_and_comes_back_as_a_replica),
        cmocka_unit_test(a_killed_primary_is_replaced_in_a_group_of_both),
        cmocka_unit_test(a_killed_redis_is_replaced_by_one_of_ours),
        cmocka_unit_test(a_killed_primary_is_replaced_by_redis),
        cmocka_unit_test(a_failover_by_hand_goes_there_and_back),
        cmocka_unit_test(a_failover_goes_from_redis_to_ours_and_back),
        cmocka_unit_test(a_failover_goes_from_ours_to_redis_and_back),
        cmocka_unit_test(a_replica_of_priority_0_is_never_promoted),
        cmocka_unit_test(a_replica_that_is_not_announced_is_hidden_and_follows_all_the_same),
        cmocka_unit_test(who_leaves_the_group_by_hand_is_brought_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
