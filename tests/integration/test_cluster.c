/* test_cluster.c: clusters as people make them, with redis-cli: of Trivet alone, and with redis-server among
 * them, each kind as primary, replica and voter. Keys are moved, nodes killed, restarted and exchanged, and
 * whatever was written is there after it. */
#include "../harness/check.h"
#include "../harness/cluster.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define NODES 6
#define KEYS 120

static void play(const enum peer *kinds) {
    struct nodes nodes;
    nodes_start(&nodes, kinds, NODES);
    nodes_create(&nodes, 1);
    nodes_write_keys(&nodes, KEYS);
    nodes_move_slots(&nodes, 0, 1, 300);
    assert_soon(nodes_agree(&nodes, 0));
    nodes_move_slots(&nodes, 1, 0, 100);
    nodes_assert_keys(&nodes, KEYS);
    assert_soon(nodes_agree(&nodes, 2));

    size_t heir = nodes_replica_of(&nodes, 0);
    cnode_kill(&nodes.at[0]);
    assert_soon(cnode_says(&nodes.at[heir], "INFO replication", "role:master"));
    assert_soon(nodes_are_up(&nodes));
    nodes_assert_keys(&nodes, KEYS);
    cnode_restart(&nodes.at[0]);
    assert_soon(cnode_is_linked_replica(&nodes.at[0]));
    assert_soon(nodes_agree(&nodes, 1));

    assert_reply_soon(nodes.at[0].client, "CLUSTER FAILOVER", "+OK");
    assert_soon(cnode_says(&nodes.at[0], "INFO replication", "role:master"));
    assert_soon(cnode_is_linked_replica(&nodes.at[heir]));
    assert_soon(nodes_are_up(&nodes));
    nodes_write_keys(&nodes, KEYS);
    nodes_assert_keys(&nodes, KEYS);
    assert_soon(nodes_agree(&nodes, 3));
    nodes_end(&nodes);
}

static void a_cluster_of_trivet(void **state) {
    (void)state;
    static const enum peer kinds[NODES] = { PEER_TRIVET, PEER_TRIVET, PEER_TRIVET,
                                            PEER_TRIVET, PEER_TRIVET, PEER_TRIVET };
    play(kinds);
}

static void trivet_among_nodes_of_redis(void **state) {
    (void)state;
    static const enum peer kinds[NODES] = { PEER_TRIVET, PEER_REDIS,  PEER_TRIVET,
                                            PEER_REDIS,  PEER_TRIVET, PEER_REDIS };
    play(kinds);
}

/* ---- one node ---- */

static void a_node_keeps_its_name_and_its_slots(void **state) {
    (void)state;
    struct cnode n = CNODE();
    assert_reply(n.client, "CLUSTER ADDSLOTSRANGE 0 100 200 16383", "+OK");
    assert_reply(n.client, "CLUSTER ADDSLOTS 101", "+OK");
    cnode_kill(&n);
    cnode_restart(&n);
    assert_true(cnode_says(&n, "CLUSTER MYID", n.id));
    assert_true(cnode_says(&n, "CLUSTER NODES", "connected 0-101 200-16383"));
    cnode_end(&n);
}

static void wrong_words_are_refused(void **state) {
    (void)state;
    static const struct exchange rows[] = {
        { "CLUSTER KEYSLOT {foo}bar", ":12182" },
        { "CLUSTER ADDSLOTS 16384", "-ERR Invalid or out of range slot" },
        { "CLUSTER ADDSLOTS 1 2 1", "-ERR Slot 1 specified multiple times" },
        { "CLUSTER ADDSLOTS 1 2", "+OK" },
        { "CLUSTER ADDSLOTS 2 3", "-ERR Slot 2 is already busy" },
        { "CLUSTER ADDSLOTSRANGE 9 5", "-ERR start slot number 9 is greater than end slot number 5" },
        { "CLUSTER ADDSLOTSRANGE 1 2 3",
          "-ERR wrong number of arguments for 'cluster|addslotsrange' command" },
        { "CLUSTER DELSLOTS 3", "-ERR Slot 3 is already unassigned" },
        { "CLUSTER DELSLOTS 1 2", "+OK" },
        { "CLUSTER COUNTKEYSINSLOT 16384", "-ERR Invalid slot" },
        { "CLUSTER GETKEYSINSLOT 1 -1", "-ERR Invalid slot or number of keys" },
        { "CLUSTER MEET 127.0.0.1 x", "-ERR Invalid base port specified: x" },
        { "CLUSTER MEET here 1234", "-ERR Invalid node address specified: here:1234" },
        { "CLUSTER REPLICATE nobody", "-ERR Unknown node nobody" },
        { "CLUSTER FORGET nobody", "-ERR Unknown node nobody" },
        { "CLUSTER FAILOVER", "-ERR You should send CLUSTER FAILOVER to a replica" },
        { "CLUSTER FAILOVER PERHAPS", "-ERR syntax error" },
        { "CLUSTER SET-CONFIG-EPOCH -1", "-ERR Invalid config epoch specified: -1" },
        { "CLUSTER SET-CONFIG-EPOCH 3", "+OK" },
        { "CLUSTER SET-CONFIG-EPOCH 4", "-ERR Node config epoch is already non-zero" },
        { "CLUSTER SETSLOT 1 SIDEWAYS",
          "-ERR Invalid CLUSTER SETSLOT action or number of arguments. Try CLUSTER HELP" },
        { "CLUSTER RESET NEVER", "-ERR syntax error" },
        { "SELECT 1", "-ERR DB index is out of range" },
        { "SWAPDB 0 1", "-ERR SWAPDB is not allowed in cluster mode" },
        { "REPLICAOF 127.0.0.1 1", "-ERR REPLICAOF not allowed in cluster mode." },
        { "GET a", "-CLUSTERDOWN Hash slot not served" },
        { NULL, NULL },
    };
    struct cnode n = CNODE();
    assert_exchanges(n.client, rows);
    cnode_end(&n);
}

static void keys_of_a_slot_are_counted_and_named(void **state) {
    (void)state;
    struct cnode n = CNODE();
    struct client *c = n.client;
    cnode_take_all_slots(&n);
    assert_reply(c, "MSET {foo}1 a {foo}2 b {foo}3 c", "+OK");
    assert_reply(c, "SET bar d", "+OK");
    assert_reply(c, "CLUSTER COUNTKEYSINSLOT 12182", ":3");
    assert_reply(c, "CLUSTER GETKEYSINSLOT 5061 10", "*[$\"bar\"]");
    assert_true(strlen(client_ask(c, "CLUSTER GETKEYSINSLOT 12182 2")) ==
                strlen("*[$\"{foo}1\", $\"{foo}2\"]"));
    assert_reply(c, "CLUSTER FLUSHSLOTS", "-ERR DB must be empty to perform CLUSTER FLUSHSLOTS.");
    assert_reply(c, "CLUSTER RESET", "-ERR CLUSTER RESET can't be called with master nodes containing keys");
    assert_reply(
        c, "SORT {foo}1 BY w_*",
        "-ERR BY option of SORT denied in Cluster mode when keys formed by the pattern may be in different "
        "slots.");
    assert_reply(c, "FLUSHALL", "+OK");
    assert_reply(c, "CLUSTER FLUSHSLOTS", "+OK");
    assert_soon(cnode_says(&n, "CLUSTER INFO", "cluster_state:fail"));
    cnode_end(&n);
}

static void who_waits_or_listens_hears_that_the_slot_has_gone(void **state) {
    (void)state;
    struct cnode n = CNODE();
    struct client *c = n.client, *waits = server_connect(n.server), *listens = server_connect(n.server);
    cnode_take_all_slots(&n);
    send_and_wait(c, waits, "BLPOP {foo}list 0");
    assert_reply(listens, "SSUBSCRIBE foo {foo}2", "*[$\"ssubscribe\", $\"foo\", :1]");
    assert_next(listens, "*[$\"ssubscribe\", $\"{foo}2\", :2]");
    assert_reply(c, "CLUSTER DELSLOTS 12182", "+OK");
    assert_next(waits, "-CLUSTERDOWN Hash slot not served");
    assert_next(listens, "*[$\"sunsubscribe\", ...");
    assert_next(listens, "*[$\"sunsubscribe\", ...");
    assert_reply(listens, "PING", "+PONG");
    assert_reply(waits, "CLUSTER KEYSLOT foo", ":12182");
    client_close(waits);
    client_close(listens);
    cnode_end(&n);
}

#define DISABLED "-ERR This instance has cluster support disabled"

static void outside_a_cluster_its_words_are_refused(void **state) {
    (void)state;
    static const struct exchange rows[] = {
        { "CLUSTER INFO", DISABLED },
        { "CLUSTER KEYSLOT a", DISABLED },
        { "CLUSTER FLUSHSLOT 1", DISABLED },
        { "CLUSTER SLOT-STATS SLOTSRANGE 1 2", DISABLED },
        { "REPLCONF set-cluster-node-id x", DISABLED },
        { "SHUTDOWN FAILOVER", "-ERR SHUTDOWN FAILOVER is only supported in cluster mode" },
        { NULL, NULL },
    };
    struct server *s = server_start(NULL, NULL);
    struct client *c = server_connect(s);
    assert_exchanges(c, rows);
    client_close(c);
    server_free(s);
}

int main(int argc, char **argv) {
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cluster_of_trivet),
        cmocka_unit_test(trivet_among_nodes_of_redis),
        cmocka_unit_test(a_node_keeps_its_name_and_its_slots),
        cmocka_unit_test(wrong_words_are_refused),
        cmocka_unit_test(keys_of_a_slot_are_counted_and_named),
        cmocka_unit_test(who_waits_or_listens_hears_that_the_slot_has_gone),
        cmocka_unit_test(outside_a_cluster_its_words_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
