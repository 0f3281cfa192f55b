/* test_cluster_slots.c: what is done to slots by command: their keys are deleted, the node is taken out of
 * its shard, data of slots that are not its own is found at the start; and several databases in a cluster. */
#include "../harness/check.h"
#include "../harness/cluster.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define FOO 12182 /* the slot of {foo} */
#define FOO_TEXT "12182"

/* ---- FLUSHSLOT ---- */

static void wrong_words_for_flushslot_are_refused(void **state) {
    (void)state;
    struct cnode n = CNODE();
    static const struct exchange rows[] = {
        { "CLUSTER FLUSHSLOT 1", "+OK" },
        { "CLUSTER FLUSHSLOT 1 SYNC", "+OK" },
        { "CLUSTER FLUSHSLOT 1 async", "+OK" },
        { "CLUSTER FLUSHSLOT 1 LATER", "-ERR syntax error" },
        { "CLUSTER FLUSHSLOT 1 SYNC SYNC", "-ERR syntax error" },
        { "CLUSTER FLUSHSLOT 16384", "-ERR Invalid or out of range slot" },
        { "CLUSTER FLUSHSLOT x SYNC", "-ERR Invalid or out of range slot" },
        { "CLUSTER FLUSHSLOT", "-ERR wrong number of arguments for 'cluster|flushslot' command" },
        { NULL, NULL },
    };
    assert_exchanges(n.client, rows);
    cnode_end(&n);
}

static void flushslot_deletes_the_keys_of_all_databases_and_tells_everybody(void **state) {
    (void)state;
    struct cnode n = CNODE("--cluster-databases", "4", "--appendonly", "yes"),
                 r = CNODE("--cluster-databases", "4");
    cnode_pair(&n, &r);
    struct client *c = n.client, *hears = server_connect(n.server), *watches = server_connect(n.server),
                  *tracks = server_connect(n.server);
    assert_reply(c, "CONFIG SET notify-keyspace-events KEA", "+OK");
    assert_reply(hears, "SUBSCRIBE __keyevent@0__:del __keyevent@2__:del",
                 "*[$\"subscribe\", $\"__keyevent@0__:del\", :1]");
    assert_next(hears, "*[$\"subscribe\", $\"__keyevent@2__:del\", :2]");
    assert_reply(c, "MSET {foo}1 a", "+OK");
    assert_reply(c, "SET bar b", "+OK");
    assert_reply(c, "SELECT 2", "+OK");
    assert_reply(c, "RPUSH {foo}2 x y", ":2");
    assert_reply(c, "CLUSTER COUNTKEYSINSLOT " FOO_TEXT, ":1");
    assert_reply(c, "CLUSTER GETKEYSINSLOT " FOO_TEXT " 9", "*[$\"{foo}2\"]");
    assert_reply(watches, "WATCH {foo}1", "+OK");
    assert_reply(watches, "MULTI", "+OK");
    assert_reply(watches, "PING", "+QUEUED");
    assert_reply(tracks, "HELLO 3", "%{...");
    assert_reply(tracks, "CLIENT TRACKING ON", "+OK");
    assert_reply(tracks, "GET {foo}1", "$\"a\"");
    int64_t before = info_number(c, "persistence", "rdb_changes_since_last_save");

    assert_reply(c, "CLUSTER FLUSHSLOT " FOO_TEXT, "+OK");
    assert_int_equal(info_number(c, "persistence", "rdb_changes_since_last_save"), before + 2);
    assert_next(hears, "*[$\"message\", $\"__keyevent@0__:del\", $\"{foo}1\"]");
    assert_next(hears, "*[$\"message\", $\"__keyevent@2__:del\", $\"{foo}2\"]");
    assert_next(tracks, ">[$\"invalidate\", *[$\"{foo}1\"]]");
    assert_reply(watches, "EXEC", "*-1");
    assert_reply(c, "EXISTS {foo}2", ":0");
    assert_reply(c, "SELECT 0", "+OK");
    assert_reply(c, "MGET {foo}1", "*[$-1]");
    assert_reply(c, "GET bar", "$\"b\"");
    cnode_await_same(&n, &r);
    assert_reply(r.client, "CLUSTER FLUSHSLOT 1", "-READONLY You can't write against a read only replica.");

    client_close(hears);
    client_close(watches);
    client_close(tracks);
    cnode_kill(&n); /* the append-only file has it too */
    cnode_restart(&n);
    assert_soon(cnode_is_up(&n));
    assert_reply(n.client, "EXISTS {foo}1", ":0");
    assert_reply(n.client, "GET bar", "$\"b\"");
    cnode_end(&n);
    cnode_end(&r);
}

/* ---- REPLICATE NO ONE ---- */

static void shard_id(struct cnode *n, char out[64]) {
    snprintf(out, 64, "%s", client_ask(n->client, "CLUSTER MYSHARDID"));
}

static void replicate_no_one_makes_an_empty_primary_of_a_shard_of_its_own(void **state) {
    (void)state;
    char before[64], after[64];
    struct cnode p = CNODE(), r = CNODE("--appendonly", "yes");
    cnode_pair(&p, &r);
    assert_reply(p.client, "SET {foo} 1", "+OK");
    replication_await(p.server, r.server);
    shard_id(&r, before);
    assert_reply(r.client, "CLUSTER REPLICATE NO TWO", "-ERR syntax error");
    assert_reply(r.client, "CLUSTER REPLICATE a b c", "-ERR syntax error");
    assert_reply(r.client, "CLUSTER REPLICATE no ONE", "+OK");
    assert_reply(r.client, "DBSIZE", ":0");
    assert_reply(r.client, "ROLE", "*[$\"master\", ...");
    shard_id(&r, after);
    assert_string_not_equal(before, after);
    char line[128];
    snprintf(line, sizeof line, "@%d master - ", r.bus_port);
    assert_soon(cnode_says(&p, "CLUSTER NODES", line));
    assert_soon(cnode_says(&p, "INFO replication", "connected_slaves:0"));
    /* Once more does nothing. */
    assert_reply(r.client, "CLUSTER REPLICATE NO ONE", "+OK");
    shard_id(&r, before);
    assert_string_equal(before, after);
    /* What it had is not in its file either. */
    cnode_kill(&r);
    cnode_restart(&r);
    assert_reply(r.client, "DBSIZE", ":0");
    assert_reply(r.client, "ROLE", "*[$\"master\", ...");
    cnode_end(&p);
    cnode_end(&r);
}

static void a_replica_that_is_reset_has_nothing_in_its_file(void **state) {
    (void)state;
    struct cnode p = CNODE(), r = CNODE("--appendonly", "yes");
    cnode_pair(&p, &r);
    assert_reply(p.client, "SET {foo} 1", "+OK");
    replication_await(p.server, r.server);
    assert_reply(r.client, "CLUSTER RESET", "+OK");
    assert_reply(r.client, "DBSIZE", ":0");
    cnode_kill(&r);
    cnode_restart(&r);
    assert_reply(r.client, "DBSIZE", ":0");
    cnode_end(&p);
    cnode_end(&r);
}

/* ---- at the start ---- */

/* The node gets the files of a server that was no node. */
static void data_of_slots_that_nobody_serves_makes_the_node_serve_them(void **state) {
    (void)state;
    struct cnode n = CNODE("--appendonly", "yes");
    assert_reply(n.client, "CLUSTER ADDSLOTSRANGE 0 16383", "+OK");
    assert_soon(cnode_is_up(&n));
    assert_reply(n.client, "MSET {foo}1 a {foo}2 b", "+OK");
    assert_reply(n.client, "SET bar c", "+OK");
    assert_reply(n.client, "CLUSTER DELSLOTSRANGE 0 16383", "+OK");
    server_stop(n.server);
    cnode_restart(&n);
    server_await_log(n.server, "There is data of 2 slots that nobody serves", 1);
    assert_true(cnode_says(&n, "CLUSTER NODES", "connected 5061 " FOO_TEXT));
    assert_reply(n.client, "CLUSTER COUNTKEYSINSLOT " FOO_TEXT, ":2");
    cnode_end(&n);
}

static void data_of_slots_of_other_nodes_is_deleted_at_the_start(void **state) {
    (void)state;
    struct cnode a = CNODE("--appendonly", "yes"), b = CNODE();
    assert_reply(a.client, "CLUSTER ADDSLOTSRANGE 0 16383", "+OK");
    assert_soon(cnode_is_up(&a));
    assert_reply(a.client, "MSET {foo}1 a {foo}2 b", "+OK");
    assert_reply(a.client, "SET bar c", "+OK");
    assert_reply(a.client, "CLUSTER DELSLOTS " FOO_TEXT, "+OK");
    cnode_meet(&a, &b);
    assert_reply(b.client, "CLUSTER ADDSLOTS " FOO_TEXT, "+OK");
    char line[128];
    snprintf(line, sizeof line, "connected " FOO_TEXT);
    assert_soon(cnode_says(&a, "CLUSTER NODES", line));
    assert_reply(a.client, "CLUSTER COUNTKEYSINSLOT " FOO_TEXT, ":2");
    server_stop(a.server);
    cnode_restart(&a);
    server_await_log(a.server, "There is data of 1 slots that other nodes serve", 1);
    assert_reply(a.client, "CLUSTER COUNTKEYSINSLOT " FOO_TEXT, ":0");
    assert_reply(a.client, "CLUSTER COUNTKEYSINSLOT 5061", ":1");
    server_stop(a.server); /* and the file has it */
    cnode_restart(&a);
    assert_reply(a.client, "DBSIZE", ":1");
    cnode_end(&a);
    cnode_end(&b);
}

/* ---- several databases ---- */

static void databases_of_a_cluster_are_chosen_moved_and_copied(void **state) {
    (void)state;
    struct cnode n = CNODE("--cluster-databases", "3");
    cnode_take_all_slots(&n);
    static const struct exchange rows[] = {
        { "SELECT 3", "-ERR DB index is out of range" },
        { "SET {foo}1 a", "+OK" },
        { "SET {foo}2 b", "+OK" },
        { "MOVE {foo}1 3", "-ERR DB index is out of range" },
        { "MOVE {foo}1 1", ":1" },
        { "COPY {foo}2 {foo}2 DB 2", ":1" },
        { "COPY {foo}2 bar DB 2", "-CROSSSLOT Keys in request don't hash to the same slot" },
        { "COPY {foo}2 {foo}2 DB 3", "-ERR DB index is out of range" },
        { "SWAPDB 0 1", "-ERR SWAPDB is not allowed in cluster mode" },
        { "CLUSTER COUNTKEYSINSLOT " FOO_TEXT, ":1" },
        { "SELECT 1", "+OK" },
        { "GET {foo}1", "$\"a\"" },
        { "CLUSTER GETKEYSINSLOT " FOO_TEXT " 5", "*[$\"{foo}1\"]" },
        { "SELECT 2", "+OK" },
        { "GET {foo}2", "$\"b\"" },
        { "CLUSTER COUNTKEYSINSLOT " FOO_TEXT, ":1" },
        { "CONFIG GET cluster-databases", "*[$\"cluster-databases\", $\"3\"]" },
        { "CLUSTER FLUSHSLOTS", "-ERR DB must be empty to perform CLUSTER FLUSHSLOTS." },
        { NULL, NULL },
    };
    assert_exchanges(n.client, rows);
    assert_info(n.client, "keyspace", "db1", "keys=1,expires=0,avg_ttl=0,keys_with_volatile_items=0");
    assert_info(n.client, "keyspace", "db2", "keys=1,expires=0,avg_ttl=0,keys_with_volatile_items=0");
    cnode_end(&n);
}

static void databases_of_a_cluster_reach_files_and_replicas(void **state) {
    (void)state;
    struct cnode n = CNODE("--cluster-databases", "3", "--appendonly", "yes"),
                 r = CNODE("--cluster-databases", "3");
    cnode_pair(&n, &r);
    assert_reply(n.client, "SELECT 2", "+OK");
    assert_reply(n.client, "SET {foo}1 a", "+OK");
    assert_reply(n.client, "MOVE {foo}1 1", ":1");
    assert_reply(n.client, "SET bar b", "+OK");
    cnode_await_same(&n, &r);
    assert_reply(r.client, "READONLY", "+OK");
    assert_reply(r.client, "SELECT 1", "+OK");
    assert_reply(r.client, "GET {foo}1", "$\"a\"");
    cnode_kill(&n);
    cnode_restart(&n);
    assert_info(n.client, "keyspace", "db1", "keys=1,expires=0,avg_ttl=0,keys_with_volatile_items=0");
    assert_info(n.client, "keyspace", "db2", "keys=1,expires=0,avg_ttl=0,keys_with_volatile_items=0");
    replication_await_link(r.server);
    cnode_end(&r); /* the full copy goes by an RDB file */
    r = CNODE("--cluster-databases", "3");
    cnode_meet(&n, &r);
    cnode_follow(&r, &n);
    cnode_await_same(&n, &r);
    cnode_end(&n);
    cnode_end(&r);
}

#define TRYAGAIN "-TRYAGAIN Multiple keys request during rehashing of slot"

static void keys_of_a_moving_slot_stay_in_their_database(void **state) {
    (void)state;
    struct cnode a = CNODE("--cluster-databases", "3"), b = CNODE("--cluster-databases", "3");
    cnode_take_all_slots(&a);
    cnode_meet(&a, &b);
    assert_soon(cnode_is_up(&b));
    assert_reply(a.client, "SET {foo}1 a", "+OK");
    assert_string_equal(client_ask(a.client, "CLUSTER SETSLOT %d MIGRATING %s", FOO, b.id), "+OK");
    assert_string_equal(client_ask(b.client, "CLUSTER SETSLOT %d IMPORTING %s", FOO, a.id), "+OK");
    assert_reply(a.client, "MOVE {foo}1 1", TRYAGAIN);
    assert_reply(a.client, "COPY {foo}1 {foo}2 DB 1", TRYAGAIN);
    assert_reply(a.client, "GET {foo}1", "$\"a\"");
    assert_reply(b.client, "ASKING", "+OK");
    assert_reply(b.client, "MOVE {foo}1 1", TRYAGAIN);
    /* In a transaction too; and a SELECT in it says where the keys after it are. */
    assert_reply(a.client, "MULTI", "+OK");
    assert_reply(a.client, "MOVE {foo}1 1", "+QUEUED");
    assert_reply(a.client, "EXEC", TRYAGAIN);
    assert_reply(a.client, "MULTI", "+OK");
    assert_reply(a.client, "SELECT 1", "+QUEUED");
    assert_reply(a.client, "GET {foo}1", "+QUEUED");
    char ask[64];
    snprintf(ask, sizeof ask, "-ASK %d 127.0.0.1:%d", FOO, server_port(b.server));
    assert_reply(a.client, "EXEC", ask);
    assert_reply(a.client, "CLUSTER SETSLOT " FOO_TEXT " STABLE", "+OK");
    assert_reply(a.client, "MOVE {foo}1 1", ":1");
    cnode_end(&a);
    cnode_end(&b);
}

int main(int argc, char **argv) {
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_words_for_flushslot_are_refused),
        cmocka_unit_test(flushslot_deletes_the_keys_of_all_databases_and_tells_everybody),
        cmocka_unit_test(replicate_no_one_makes_an_empty_primary_of_a_shard_of_its_own),
        cmocka_unit_test(a_replica_that_is_reset_has_nothing_in_its_file),
        cmocka_unit_test(data_of_slots_that_nobody_serves_makes_the_node_serve_them),
        cmocka_unit_test(data_of_slots_of_other_nodes_is_deleted_at_the_start),
        cmocka_unit_test(databases_of_a_cluster_are_chosen_moved_and_copied),
        cmocka_unit_test(databases_of_a_cluster_reach_files_and_replicas),
        cmocka_unit_test(keys_of_a_moving_slot_stay_in_their_database),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
