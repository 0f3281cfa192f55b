/* test_cluster.c: clusters as people make them, with redis-cli: of Trivet alone, and with redis-server among
 * them, each kind as primary, replica and voter. Keys are moved, nodes killed, restarted and exchanged, and
 * whatever was written is there after it. */
#include "../harness/await.h"
#include "../harness/check.h"
#include "../harness/fail.h"
#include "../harness/replication.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NODES 6
#define KEYS 120
#define NODE_TIMEOUT "3000"

struct group {
    struct server *node[NODES];
    struct client *client[NODES];
    size_t count;
};

/* ---- making one ---- */

static struct server *start_node(enum peer kind) {
    char port[16];
    snprintf(port, sizeof port, "%d", server_free_port());
    const char *args[] = { "--cluster-enabled",
                           "yes",
                           "--cluster-port",
                           port,
                           "--cluster-node-timeout",
                           NODE_TIMEOUT,
                           "--repl-diskless-sync-delay",
                           "0",
                           NULL };
    return peer_start(kind, args);
}

static void group_start(struct group *g, const enum peer *kinds, size_t count) {
    *g = (struct group){ .count = count };
    for (size_t i = 0; i < count; i++) {
        g->node[i] = start_node(kinds[i]);
        g->client[i] = server_connect(g->node[i]);
    }
}

static void group_end(struct group *g) {
    for (size_t i = 0; i < g->count; i++) {
        client_close(g->client[i]);
        server_free(g->node[i]);
    }
}

/* Runs redis-cli --cluster; true if it is content. If not, the end of what it said is shown. */
static bool redis_cli(const char *what) {
    char command[1024], line[512];
    struct text said = { 0 };
    snprintf(command, sizeof command, "timeout 120 redis-cli --cluster %s 2>&1", what);
    FILE *pipe = popen(command, "r");
    if (!pipe) HARNESS_FAIL("cannot run %s", command);
    while (fgets(line, sizeof line, pipe)) {
        if (said.len > 4096) text_clear(&said);
        text_append_str(&said, line);
    }
    bool content = pclose(pipe) == 0;
    if (!content) printf("redis-cli --cluster %s\n%.*s\n", what, (int)said.len, said.ptr);
    text_release(&said);
    return content;
}

static void create(struct group *g, int replicas) {
    char what[512];
    int len = snprintf(what, sizeof what, "create");
    for (size_t i = 0; i < g->count; i++)
        len += snprintf(what + len, sizeof what - (size_t)len, " 127.0.0.1:%d", server_port(g->node[i]));
    snprintf(what + len, sizeof what - (size_t)len, " --cluster-replicas %d --cluster-yes", replicas);
    assert_true(redis_cli(what));
}

static bool agrees(const struct group *g, size_t node) {
    char what[64];
    snprintf(what, sizeof what, "check 127.0.0.1:%d", server_port(g->node[node]));
    return redis_cli(what);
}

/* ---- looking at it ---- */

static bool says(struct client *c, const char *command, const char *part) {
    return strstr(client_ask(c, command), part) != NULL;
}

static bool all_are_up(struct group *g) {
    for (size_t i = 0; i < g->count; i++)
        if (g->client[i] && !says(g->client[i], "CLUSTER INFO", "cluster_state:ok")) return false;
    return true;
}

static bool is_linked_replica(struct client *c) {
    return says(c, "INFO replication", "role:slave") && says(c, "INFO replication", "master_link_status:up");
}

static size_t linked_replicas(struct group *g) {
    size_t count = 0;
    for (size_t i = 0; i < g->count; i++) count += g->client[i] && is_linked_replica(g->client[i]);
    return count;
}

static void copy_id(struct client *c, const char *command, char id[41]) {
    struct node *n = client_ask_node(c, command);
    assert_int_equal(n->bytes.len, 40);
    memcpy(id, n->bytes.ptr, 40);
    id[40] = '\0';
    node_free(n);
}

/* ---- a client of clusters ---- */

static size_t node_at_port(const struct group *g, int port) {
    for (size_t i = 0; i < g->count; i++)
        if (server_port(g->node[i]) == port) return i;
    fail_msg("nobody has port %d", port);
    return 0;
}

/* Asks a node, and goes where it is sent. */
static const char *ask(struct group *g, const char *command) {
    size_t at = 0;
    while (!g->client[at]) at++;
    const char *reply = client_ask(g->client[at], command);
    for (int hops = 0; strncmp(reply, "-MOVED ", 7) == 0 && hops < 5; hops++) {
        at = node_at_port(g, atoi(strrchr(reply, ':') + 1));
        if (!g->client[at]) break;
        reply = client_ask(g->client[at], command);
    }
    return reply;
}

static void write_keys(struct group *g) {
    char command[64];
    for (int i = 0; i < KEYS; i++) {
        snprintf(command, sizeof command, "SET key:%d value:%d", i, i);
        assert_string_equal(ask(g, command), "+OK");
    }
}

static void assert_keys(struct group *g) {
    char command[64], expected[64];
    for (int i = 0; i < KEYS; i++) {
        snprintf(command, sizeof command, "GET key:%d", i);
        snprintf(expected, sizeof expected, "$\"value:%d\"", i);
        assert_string_equal(ask(g, command), expected);
    }
}

/* ---- what is done to it ---- */

static void move_slots(struct group *g, size_t from, size_t to, int count) {
    char source[41], target[41], what[256];
    copy_id(g->client[from], "CLUSTER MYID", source);
    copy_id(g->client[to], "CLUSTER MYID", target);
    snprintf(what, sizeof what,
             "reshard 127.0.0.1:%d --cluster-from %s --cluster-to %s --cluster-slots %d --cluster-yes > "
             "/tmp/reshard.out",
             server_port(g->node[from]), source, target, count);
    assert_true(redis_cli(what));
}

static void kill_node(struct group *g, size_t i) {
    client_close(g->client[i]);
    g->client[i] = NULL;
    server_kill(g->node[i]);
}

static void bring_back(struct group *g, size_t i) {
    server_restart(g->node[i]);
    g->client[i] = server_connect(g->node[i]);
}

/* The replica of this primary, by what CLUSTER NODES says. */
static size_t replica_of(struct group *g, size_t primary) {
    char id[41], line[80];
    copy_id(g->client[primary], "CLUSTER MYID", id);
    snprintf(line, sizeof line, "myself,slave %s", id);
    for (size_t i = 0; i < g->count; i++)
        if (says(g->client[i], "CLUSTER NODES", line)) return i;
    fail_msg("it has no replica");
    return 0;
}

static void play(const enum peer *kinds) {
    struct group g;
    group_start(&g, kinds, NODES);
    create(&g, 1);
    assert_soon(all_are_up(&g));
    assert_soon(linked_replicas(&g) == NODES / 2);
    write_keys(&g);
    move_slots(&g, 0, 1, 300);
    assert_soon(agrees(&g, 0));
    move_slots(&g, 1, 0, 100);
    assert_keys(&g);
    assert_soon(agrees(&g, 2));

    size_t heir = replica_of(&g, 0);
    kill_node(&g, 0);
    assert_soon(says(g.client[heir], "INFO replication", "role:master"));
    assert_soon(all_are_up(&g));
    assert_keys(&g);
    bring_back(&g, 0);
    assert_soon(is_linked_replica(g.client[0]));
    assert_soon(agrees(&g, 1));

    assert_reply(g.client[0], "CLUSTER FAILOVER", "+OK");
    assert_soon(says(g.client[0], "INFO replication", "role:master"));
    assert_soon(is_linked_replica(g.client[heir]));
    assert_soon(all_are_up(&g));
    write_keys(&g);
    assert_keys(&g);
    assert_soon(agrees(&g, 3));
    group_end(&g);
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
    struct group g;
    char before[41], after[41];
    static const enum peer kinds[] = { PEER_TRIVET };
    group_start(&g, kinds, 1);
    assert_reply(g.client[0], "CLUSTER ADDSLOTSRANGE 0 100 200 16383", "+OK");
    assert_reply(g.client[0], "CLUSTER ADDSLOTS 101", "+OK");
    copy_id(g.client[0], "CLUSTER MYID", before);
    kill_node(&g, 0);
    bring_back(&g, 0);
    copy_id(g.client[0], "CLUSTER MYID", after);
    assert_string_equal(after, before);
    assert_true(says(g.client[0], "CLUSTER NODES", "connected 0-101 200-16383"));
    group_end(&g);
}

struct line {
    const char *say, *hear;
};

static void hold(struct client *c, const struct line *lines) {
    for (; lines->say; lines++) assert_reply(c, lines->say, lines->hear);
}

static void wrong_words_are_refused(void **state) {
    (void)state;
    static const struct line lines[] = {
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
    struct group g;
    static const enum peer kinds[] = { PEER_TRIVET };
    group_start(&g, kinds, 1);
    hold(g.client[0], lines);
    group_end(&g);
}

static void keys_of_a_slot_are_counted_and_named(void **state) {
    (void)state;
    struct group g;
    static const enum peer kinds[] = { PEER_TRIVET };
    group_start(&g, kinds, 1);
    struct client *c = g.client[0];
    assert_reply(c, "CLUSTER ADDSLOTSRANGE 0 16383", "+OK");
    assert_soon(all_are_up(&g));
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
    assert_soon(says(c, "CLUSTER INFO", "cluster_state:fail"));
    group_end(&g);
}

static bool one_waits(struct client *c) { return says(c, "INFO clients", "blocked_clients:1\\r\\n"); }

static void who_waits_or_listens_hears_that_the_slot_has_gone(void **state) {
    (void)state;
    struct group g;
    static const enum peer kinds[] = { PEER_TRIVET };
    group_start(&g, kinds, 1);
    struct client *c = g.client[0], *waits = server_connect(g.node[0]), *listens = server_connect(g.node[0]);
    assert_reply(c, "CLUSTER ADDSLOTSRANGE 0 16383", "+OK");
    assert_soon(all_are_up(&g));
    client_send(waits, "BLPOP {foo}list 0");
    assert_soon(one_waits(c));
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
    group_end(&g);
}

static void outside_a_cluster_cluster_is_refused(void **state) {
    (void)state;
    struct server *s = server_start(NULL, NULL);
    struct client *c = server_connect(s);
    assert_reply(c, "CLUSTER INFO", "-ERR This instance has cluster support disabled");
    assert_reply(c, "CLUSTER KEYSLOT a", "-ERR This instance has cluster support disabled");
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
        cmocka_unit_test(outside_a_cluster_cluster_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
