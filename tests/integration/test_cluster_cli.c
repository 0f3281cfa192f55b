/* test_cluster_cli.c: what redis-cli --cluster does for those who run a cluster: each of its words, on nodes
 * of Trivet, and some on nodes of both kinds. */
#include "../harness/check.h"
#include "../harness/cluster.h"
#include "../harness/fail.h"
#include "../harness/folder.h"
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define KEYS 60
#define FOO_SLOT 12182 /* of the third of three */
#define SLOTS 16384

static int port_of(const struct nodes *n, size_t node) { return server_port(n->at[node].server); }

/* `word` and `rest` around the address of the first node: the exit status, and what it must say. */
static bool cli_says(const struct nodes *n, const char *word, const char *rest, int status,
                     const char *part) {
    struct text said = { 0 };
    int got = cluster_cli(&said, "%s 127.0.0.1:%d %s", word, port_of(n, 0), rest);
    bool right = got == status && strstr(text_str(&said), part);
    if (!right) printf("%s %s: status %d\n%s\n", word, rest, got, text_str(&said));
    text_release(&said);
    return right;
}

static void open_three(struct nodes *n) {
    nodes_start_cluster(n, PEER_TRIVET, 3, 0);
    nodes_write_keys(n, KEYS);
}

static void assert_whole(struct nodes *n) {
    for (size_t i = 0; i < n->count; i++)
        if (n->at[i].client) assert_soon(nodes_agree(n, i));
    nodes_assert_keys(n, KEYS);
}

/* ---- create, check, info, call ---- */

static void nodes_of_a_cluster_are_not_taken_into_another_one(void **state) {
    (void)state;
    struct nodes n;
    char others[64];
    open_three(&n);
    snprintf(others, sizeof others, "127.0.0.1:%d 127.0.0.1:%d", port_of(&n, 1), port_of(&n, 2));
    assert_true(cli_says(&n, "create", others, 1, "is not empty. Either the node already knows other nodes"));
    assert_whole(&n);
    nodes_end(&n);
}

static void a_cluster_is_looked_at(void **state) {
    (void)state;
    struct nodes n;
    struct text said = { 0 };
    char line[80];
    open_three(&n);
    assert_true(cli_says(&n, "check", "", 0, "[OK] All 16384 slots covered."));
    assert_int_equal(cluster_cli(&said, "info 127.0.0.1:%d", port_of(&n, 1)), 0);
    for (size_t i = 0; i < n.count; i++) {
        snprintf(line, sizeof line, "127.0.0.1:%d (", port_of(&n, i));
        assert_non_null(strstr(text_str(&said), line));
        snprintf(line, sizeof line, "%d keys | %zu slots | 0 slaves.",
                 (int)client_ask_int(n.at[i].client, "DBSIZE"), nodes_slots_of(&n, i));
        assert_non_null(strstr(text_str(&said), line));
    }
    assert_non_null(strstr(text_str(&said), "[OK] 60 keys in 3 masters."));
    text_release(&said);
    nodes_end(&n);
}

static void a_word_is_said_to_all_nodes(void **state) {
    (void)state;
    struct nodes n;
    nodes_start_cluster(&n, PEER_TRIVET, 6, 1);
    assert_cli("call 127.0.0.1:%d CONFIG SET slowlog-max-len 77", port_of(&n, 0));
    for (size_t i = 0; i < n.count; i++)
        assert_reply(n.at[i].client, "CONFIG GET slowlog-max-len", "*[$\"slowlog-max-len\", $\"77\"]");
    assert_cli("call 127.0.0.1:%d CONFIG SET slowlog-max-len 78 --cluster-only-masters", port_of(&n, 0));
    for (size_t i = 0; i < n.count; i++)
        assert_reply(n.at[i].client, "CONFIG GET slowlog-max-len",
                     cnode_is_linked_replica(&n.at[i]) ? "*[$\"slowlog-max-len\", $\"77\"]"
                                                       : "*[$\"slowlog-max-len\", $\"78\"]");
    nodes_end(&n);
}

static void the_timeout_is_set_and_kept(void **state) {
    (void)state;
    struct nodes n;
    open_three(&n);
    assert_true(cli_says(&n, "set-timeout", "4321", 0, "New node timeout set. 3 OK, 0 ERR."));
    cnode_kill(&n.at[1]);
    cnode_restart(&n.at[1]);
    assert_reply(n.at[1].client, "CONFIG GET cluster-node-timeout",
                 "*[$\"cluster-node-timeout\", $\"4321\"]");
    nodes_end(&n);
}

/* ---- fix ---- */

static void say_of_slot(struct nodes *n, size_t node, const char *what, size_t other) {
    char command[96];
    snprintf(command, sizeof command, "CLUSTER SETSLOT %d %s %s", FOO_SLOT, what, n->at[other].id);
    assert_reply(n->at[node].client, command, "+OK");
}

static void fix(struct nodes *n) {
    assert_true(cluster_cli(NULL, "check 127.0.0.1:%d >/dev/null", port_of(n, 0)) != 0);
    assert_cli("fix 127.0.0.1:%d --cluster-yes", port_of(n, 0));
    assert_whole(n);
}

static void set_tagged(struct nodes *n) {
    assert_string_equal(nodes_ask(n, "MSET {foo}1 one {foo}2 two {foo}3 three"), "+OK");
}

static void assert_tagged(struct nodes *n) {
    assert_string_equal(nodes_ask(n, "MGET {foo}1 {foo}2 {foo}3"), "*[$\"one\", $\"two\", $\"three\"]");
    assert_string_equal(nodes_ask(n, "DEL {foo}1 {foo}2 {foo}3"), ":3");
}

static void an_open_slot_is_closed_from_either_side(void **state) {
    (void)state;
    struct nodes n;
    open_three(&n);

    /* Only the owner knows of it. */
    set_tagged(&n);
    say_of_slot(&n, 2, "MIGRATING", 0);
    fix(&n);
    assert_tagged(&n);

    /* Only the other one does. */
    set_tagged(&n);
    say_of_slot(&n, 1, "IMPORTING", 2);
    fix(&n);
    assert_tagged(&n);

    /* Both do, and each has some of the keys; the owner has most. redis-cli would make the other one the
     * owner if it had as many, and a node that hears that it is none any more deletes what it has. */
    set_tagged(&n);
    size_t owner = 0;
    while (!cnode_says(&n.at[owner], "GET {foo}1", "one")) assert_true(++owner < n.count);
    size_t other = (owner + 1) % n.count;
    say_of_slot(&n, other, "IMPORTING", owner);
    say_of_slot(&n, owner, "MIGRATING", other);
    assert_string_equal(
        client_ask(n.at[owner].client, "MIGRATE 127.0.0.1 %d {foo}1 0 5000", port_of(&n, other)), "+OK");
    fix(&n);
    assert_tagged(&n);
    nodes_end(&n);
}

/* Takes the slot from whoever knows an owner of it: a packet under way may name the last one once more. */
static bool slot_has_no_owner(struct nodes *n) {
    char part[40];
    bool none = true;
    snprintf(part, sizeof part, "cluster_slots_assigned:%d", SLOTS - 1);
    for (size_t i = 0; i < n->count; i++) {
        if (cnode_says(&n->at[i], "CLUSTER INFO", part)) continue;
        (void)client_ask(n->at[i].client, "CLUSTER DELSLOTS %d", FOO_SLOT);
        none = false;
    }
    return none;
}

static void a_slot_without_an_owner_gets_one(void **state) {
    (void)state;
    struct nodes n;
    open_three(&n);
    set_tagged(&n);
    assert_soon(slot_has_no_owner(&n));
    assert_true(cli_says(&n, "check", "", 1, "Not all 16384 slots are covered by nodes."));
    fix(&n);
    assert_soon(nodes_are_up(&n));
    assert_tagged(&n);
    nodes_end(&n);
}

/* ---- reshard, rebalance ---- */

static void slots_of_all_go_to_one(void **state) {
    (void)state;
    struct nodes n;
    open_three(&n);
    assert_cli("reshard 127.0.0.1:%d --cluster-from all --cluster-to %s --cluster-slots 200 --cluster-yes "
               "--cluster-pipeline 3 --cluster-timeout 5000",
               port_of(&n, 0), n.at[1].id);
    assert_whole(&n);
    assert_int_equal(nodes_slots_of(&n, 1), 5462 + 200);
    assert_int_equal(nodes_slots_of(&n, 0) + nodes_slots_of(&n, 2), SLOTS - 5462 - 200);
    nodes_end(&n);
}

static void a_key_that_a_broken_move_left_is_replaced(void **state) {
    (void)state;
    struct nodes n;
    char what[256];
    open_three(&n);
    /* Slot 0, the first that goes, as a broken move left it. */
    snprintf(what, sizeof what, "CLUSTER SETSLOT 0 IMPORTING %s", n.at[0].id);
    assert_reply(n.at[0].client, "SET 3560 new", "+OK");
    assert_reply(n.at[0].client, "CLUSTER KEYSLOT 3560", ":0");
    assert_reply(n.at[1].client, what, "+OK");
    assert_reply(n.at[1].client, "ASKING", "+OK");
    assert_reply(n.at[1].client, "SET 3560 old", "+OK");
    assert_reply(n.at[1].client, "CLUSTER SETSLOT 0 STABLE", "+OK");
    assert_cli("reshard 127.0.0.1:%d --cluster-from %s --cluster-to %s --cluster-slots 1 --cluster-replace "
               "--cluster-yes",
               port_of(&n, 0), n.at[0].id, n.at[1].id);
    assert_whole(&n);
    assert_string_equal(nodes_ask(&n, "GET 3560"), "$\"new\"");
    nodes_end(&n);
}

static void slots_are_balanced_by_weight(void **state) {
    (void)state;
    struct nodes n;
    open_three(&n);
    const char *id = n.at[0].id;
    assert_true(
        cli_says(&n, "rebalance", "", 0, "No rebalancing needed! All nodes are within the 2.00% threshold."));
    assert_cli("rebalance 127.0.0.1:%d --cluster-weight %s=2 --cluster-simulate", port_of(&n, 1), id);
    assert_int_equal(nodes_slots_of(&n, 0), 5461);
    assert_cli("rebalance 127.0.0.1:%d --cluster-weight %s=1.2 --cluster-pipeline 20", port_of(&n, 1), id);
    assert_whole(&n);
    assert_in_range(nodes_slots_of(&n, 0), 6143, 6145);
    assert_in_range(nodes_slots_of(&n, 1), 5119, 5121);
    nodes_end(&n);
}

/* ---- nodes come and go ---- */

static void a_primary_joins_is_filled_emptied_and_leaves(void **state) {
    (void)state;
    struct nodes n;
    open_three(&n);
    assert_reply(n.at[0].client,
                 "FUNCTION LOAD \"#!lua name=lib\\nredis.register_function('f', function() return 7 end)\"",
                 "$\"lib\"");
    size_t added = nodes_add(&n, PEER_TRIVET);
    const char *id = n.at[added].id;
    assert_cli("add-node 127.0.0.1:%d 127.0.0.1:%d", port_of(&n, added), port_of(&n, 0));
    assert_soon(nodes_are_up(&n) && nodes_know_each_other(&n));
    assert_soon(nodes_agree(&n, 1));
    assert_reply(n.at[added].client, "FCALL f 0", ":7");
    assert_int_equal(nodes_slots_of(&n, added), 0);

    assert_cli("rebalance 127.0.0.1:%d --cluster-use-empty-masters --cluster-weight %s=0.05", port_of(&n, 0),
               id);
    assert_whole(&n);
    assert_in_range(nodes_slots_of(&n, added), 260, 275);
    assert_true(cli_says(&n, "del-node", id, 1, "is not empty! Reshard data away and try again."));

    assert_cli("rebalance 127.0.0.1:%d --cluster-weight %s=0", port_of(&n, 0), id);
    assert_cli("del-node 127.0.0.1:%d %s", port_of(&n, 0), id);
    assert_soon(cnode_says(&n.at[added], "CLUSTER INFO", "cluster_known_nodes:1"));
    for (size_t i = 0; i < 3; i++) assert_soon(cnode_says(&n.at[i], "CLUSTER INFO", "cluster_known_nodes:3"));
    cnode_end(&n.at[added]);
    n.count--;
    assert_whole(&n);
    nodes_end(&n);
}

static void replicas_join_and_leave(void **state) {
    (void)state;
    struct nodes n;
    open_three(&n);
    size_t chosen = nodes_add(&n, PEER_TRIVET), any = nodes_add(&n, PEER_TRIVET);
    assert_cli("add-node 127.0.0.1:%d 127.0.0.1:%d --cluster-slave --cluster-master-id %s",
               port_of(&n, chosen), port_of(&n, 0), n.at[1].id);
    assert_soon(nodes_agree(&n, 0));
    assert_cli("add-node 127.0.0.1:%d 127.0.0.1:%d --cluster-slave", port_of(&n, any), port_of(&n, 0));
    assert_soon(nodes_linked_replicas(&n) == 2 && nodes_know_each_other(&n));
    assert_soon(nodes_agree(&n, 0));
    assert_int_equal(nodes_replica_of(&n, 1), chosen);
    assert_int_equal(client_ask_int(n.at[chosen].client, "DBSIZE"), client_ask_int(n.at[1].client, "DBSIZE"));

    assert_cli("del-node 127.0.0.1:%d %s", port_of(&n, 0), n.at[chosen].id);
    for (size_t i = 0; i < 3; i++) assert_soon(cnode_says(&n.at[i], "CLUSTER INFO", "cluster_known_nodes:4"));
    assert_soon(cnode_says(&n.at[chosen], "CLUSTER INFO", "cluster_known_nodes:1"));
    assert_true(cnode_says(&n.at[chosen], "INFO replication", "role:master"));
    assert_int_equal(client_ask_int(n.at[chosen].client, "DBSIZE"), 0);
    assert_soon(nodes_agree(&n, 2));
    nodes_end(&n);
}

/* ---- import, backup ---- */

static void import_from(enum peer kind) {
    struct nodes n;
    nodes_start_cluster(&n, PEER_TRIVET, 3, 0);
    struct server *source = peer_start(kind, NULL);
    struct client *c = server_connect(source);
    char all[96];
    for (int i = 0; i < KEYS; i++) {
        snprintf(all, sizeof all, "SET key:%d value:%d", i, i);
        assert_reply(c, all, "+OK");
    }
    assert_reply(c, "RPUSH list a b", ":2");
    assert_reply(c, "EXPIRE list 5000", ":1");

    assert_cli("import 127.0.0.1:%d --cluster-from 127.0.0.1:%d --cluster-copy", port_of(&n, 0),
               server_port(source));
    nodes_assert_keys(&n, KEYS);
    assert_string_equal(nodes_ask(&n, "LRANGE list 0 -1"), "*[$\"a\", $\"b\"]");
    assert_true(strcmp(nodes_ask(&n, "TTL list"), ":-1") != 0);
    assert_int_equal(client_ask_int(c, "DBSIZE"), KEYS + 1);

    /* They are there already: nothing is taken, and nothing is lost. */
    assert_reply(c, "SET key:0 new", "+OK");
    cluster_cli(NULL, "import 127.0.0.1:%d --cluster-from 127.0.0.1:%d >/dev/null", port_of(&n, 0),
                server_port(source));
    nodes_assert_keys(&n, KEYS);
    assert_int_equal(client_ask_int(c, "DBSIZE"), KEYS + 1);

    assert_cli("import 127.0.0.1:%d --cluster-from 127.0.0.1:%d --cluster-replace", port_of(&n, 0),
               server_port(source));
    assert_string_equal(nodes_ask(&n, "GET key:0"), "$\"new\"");
    assert_int_equal(client_ask_int(c, "DBSIZE"), 0);
    client_close(c);
    server_free(source);
    nodes_end(&n);
}

static void keys_of_a_plain_trivet_are_imported(void **state) {
    (void)state;
    import_from(PEER_TRIVET);
}

static void keys_of_a_plain_redis_are_imported(void **state) {
    (void)state;
    import_from(PEER_REDIS);
}

/* Reads a file of the backup into a server of its own, and counts its keys. */
static int64_t keys_in(const char *folder, const char *name) {
    const char *const args[] = { "--dir", folder, "--dbfilename", name, NULL };
    struct server *s = peer_start(PEER_TRIVET, args);
    struct client *c = server_connect(s);
    int64_t count = client_ask_int(c, "DBSIZE");
    client_close(c);
    server_free(s);
    return count;
}

static void each_primary_gives_its_file_to_a_backup(void **state) {
    (void)state;
    struct nodes n;
    char folder[FOLDER_PATH];
    int64_t keys = 0;
    size_t files = 0, lists = 0;
    open_three(&n);
    folder_make(folder, "backup");
    assert_cli("backup 127.0.0.1:%d %s", port_of(&n, 0), folder);
    DIR *d = opendir(folder);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        if (strcmp(e->d_name, "nodes.json") == 0) lists++;
        if (!strstr(e->d_name, ".rdb")) continue;
        keys += keys_in(folder, e->d_name);
        files++;
    }
    closedir(d);
    assert_true(files == 3 && lists == 1 && keys == KEYS);
    folder_remove(folder);
    nodes_end(&n);
}

/* ---- both kinds ---- */

static void nodes_of_both_kinds_join_and_take_slots(void **state) {
    (void)state;
    static const enum peer kinds[] = { PEER_TRIVET, PEER_REDIS, PEER_TRIVET };
    struct nodes n;
    nodes_start(&n, kinds, 3);
    nodes_create(&n, 0);
    nodes_write_keys(&n, KEYS);
    for (int i = 0; i < 2; i++) {
        size_t added = nodes_add(&n, i == 0 ? PEER_REDIS : PEER_TRIVET);
        size_t by = i == 0 ? 0 : 1; /* greeted through one of the other kind */
        assert_cli("add-node 127.0.0.1:%d 127.0.0.1:%d", port_of(&n, added), port_of(&n, by));
        assert_soon(nodes_are_up(&n) && nodes_know_each_other(&n));
        assert_soon(nodes_agree(&n, 0));
        nodes_move_slots(&n, 1 - by, added, 100);
        assert_whole(&n);
        assert_int_equal(nodes_slots_of(&n, added), 100);
        nodes_move_slots(&n, added, by, 50);
        assert_whole(&n);
    }
    nodes_end(&n);
}

int main(int argc, char **argv) {
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_of_a_cluster_are_not_taken_into_another_one),
        cmocka_unit_test(a_cluster_is_looked_at),
        cmocka_unit_test(a_word_is_said_to_all_nodes),
        cmocka_unit_test(the_timeout_is_set_and_kept),
        cmocka_unit_test(an_open_slot_is_closed_from_either_side),
        cmocka_unit_test(a_slot_without_an_owner_gets_one),
        cmocka_unit_test(slots_of_all_go_to_one),
        cmocka_unit_test(a_key_that_a_broken_move_left_is_replaced),
        cmocka_unit_test(slots_are_balanced_by_weight),
        cmocka_unit_test(a_primary_joins_is_filled_emptied_and_leaves),
        cmocka_unit_test(replicas_join_and_leave),
        cmocka_unit_test(keys_of_a_plain_trivet_are_imported),
        cmocka_unit_test(keys_of_a_plain_redis_are_imported),
        cmocka_unit_test(each_primary_gives_its_file_to_a_backup),
        cmocka_unit_test(nodes_of_both_kinds_join_and_take_slots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
