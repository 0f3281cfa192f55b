/* test_cluster_lost_slots.c: a node loses a slot with keys. Nobody sees them from then on, whatever happens
 * before they are deleted. `import-mode` lets data stand still, and so keeps them.
 *
 * All tests share the nodes, because a cluster takes seconds to begin; the last one leaves them as they are.
 */
#include "../harness/check.h"
#include "../harness/cluster.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define FOO "12182" /* the slot of {foo} */
#define HERE 300    /* keys in it, beside one of another slot */

/* A primary of all slots with its replica, and another primary. */
static struct cnode a, b, r;

/* One node takes the slot without being given it. */
static void take(struct cnode *to, const struct cnode *from, const char *slot) {
    assert_string_equal(client_ask(to->client, "CLUSTER SETSLOT %s IMPORTING %s", slot, from->id), "+OK");
    assert_string_equal(client_ask(to->client, "CLUSTER SETSLOT %s NODE %s", slot, to->id), "+OK");
}

static int start(void **state) {
    (void)state;
    a = CNODE("--appendonly", "yes", "--notify-keyspace-events", "KEA");
    b = CNODE("--cluster-node-timeout", "2000"); /* it serves sooner */
    r = CNODE("--appendonly", "yes");
    cnode_pair(&a, &r);
    cnode_meet(&a, &b);
    cnode_await_meeting(&b, &r);
    take(&b, &a, "1"); /* with one slot that stays it follows nobody */
    return 0;
}

static int end(void **state) {
    (void)state;
    cnode_end(&a);
    cnode_end(&b);
    cnode_end(&r);
    return 0;
}

static bool is_moved(struct cnode *n) {
    return strncmp(client_ask(n->client, "GET {foo}1"), "-MOVED", 6) == 0;
}

static void hold(void) { assert_reply(a.client, "CONFIG SET import-mode yes", "+OK"); }
static void let_go(void) { assert_reply(a.client, "CONFIG SET import-mode no", "+OK"); }

/* So many are in memory, seen or not. */
static bool holds(struct cnode *n, int64_t keys) {
    struct node *list = client_ask_node(n->client, "MEMORY STATS");
    int64_t found = -1;
    for (size_t i = 0; i + 1 < list->count; i += 2)
        if (strcmp(text_str(&list->items[i]->bytes), "keys.count") == 0) found = list->items[i + 1]->number;
    node_free(list);
    return found == keys;
}

static void assert_unseen(struct cnode *n) {
    struct client *c = n->client;
    assert_reply(c, "DBSIZE", ":1");
    assert_reply(c, "KEYS *", "*[$\"bar\"]");
    assert_reply(c, "SCAN 0 COUNT 1000000", "*[$\"0\", *[$\"bar\"]]");
    assert_reply(c, "RANDOMKEY", "$\"bar\"");
    assert_reply(c, "CLUSTER COUNTKEYSINSLOT " FOO, ":0");
    assert_reply(c, "CLUSTER GETKEYSINSLOT " FOO " 5", "*[]");
    assert_info(c, "keyspace", "db0", "keys=1,expires=0,avg_ttl=0,keys_with_volatile_items=0");
}

/* The slot is served, with one key that is none of the old ones. */
static void assert_new(const char *value) {
    char expected[32];
    snprintf(expected, sizeof expected, "*[$\"%s\", $-1]", value);
    assert_reply_soon(a.client, "MGET {foo}1 {foo}2", expected);
    assert_reply(a.client, "DBSIZE", ":2");
    assert_true(holds(&a, 2));
    cnode_await_same(&a, &r);
    assert_reply_soon(r.client, "DBSIZE", ":2");
}

static int begin(void **state) {
    (void)state;
    assert_reply(a.client, "FLUSHALL", "+OK");
    if (is_moved(&a)) take(&a, &b, FOO);
    assert_soon(is_moved(&b));
    for (int i = 0; i < HERE; i++) client_send(a.client, "SET {foo}%d old%s", i, i % 2 ? " EX 1000" : "");
    for (int i = 0; i < HERE; i++) node_free(client_read(a.client));
    assert_reply(a.client, "SET bar b", "+OK");
    assert_reply(a.client, "CLUSTER COUNTKEYSINSLOT " FOO, ":300");
    return 0;
}

/* The slot is lost, and none of its keys was deleted yet. */
static void lose(void) {
    hold();
    take(&b, &a, FOO);
    assert_soon(is_moved(&a));
    assert_unseen(&a);
    assert_true(holds(&a, HERE + 1));
}

/* ---- */

static void who_watches_a_key_hears_that_its_slot_is_lost(void **state) {
    (void)state;
    struct client *hears = server_connect(a.server), *watches = server_connect(a.server),
                  *tracks = server_connect(a.server);
    assert_reply(a.client, "CLUSTER FLUSHSLOT " FOO, "+OK");
    assert_reply(a.client, "MSET {foo}1 a {foo}2 b", "+OK");
    assert_reply(hears, "SUBSCRIBE __keyevent@0__:del", "*[$\"subscribe\", $\"__keyevent@0__:del\", :1]");
    assert_reply(watches, "WATCH {foo}1", "+OK");
    assert_reply(watches, "MULTI", "+OK");
    assert_reply(watches, "PING", "+QUEUED");
    assert_reply(tracks, "HELLO 3", "%{...");
    assert_reply(tracks, "CLIENT TRACKING ON", "+OK");
    assert_reply(tracks, "GET {foo}1", "$\"a\"");
    int64_t before = info_number(a.client, "persistence", "rdb_changes_since_last_save");
    hold();
    take(&b, &a, FOO);
    assert_soon(is_moved(&a));
    assert_true(holds(&a, 3));
    assert_reply(watches, "EXEC", "*-1");
    assert_next(tracks, ">[$\"invalidate\", _]"); /* at once: the new owner may change it */
    let_go();
    assert_soon(holds(&a, 1));
    char first[64], second[64];
    snprintf(first, sizeof first, "%s", client_read_text(hears));
    snprintf(second, sizeof second, "%s", client_read_text(hears));
    assert_non_null(strstr(first, "{foo}"));
    assert_non_null(strstr(second, "{foo}"));
    assert_string_not_equal(first, second);
    assert_int_equal(info_number(a.client, "persistence", "rdb_changes_since_last_save"), before + 2);
    client_close(hears);
    client_close(watches);
    client_close(tracks);
}

static void nothing_old_comes_back_with_the_slot_key_by_key(void **state) {
    (void)state;
    lose();
    assert_string_equal(client_ask(a.client, "CLUSTER SETSLOT " FOO " IMPORTING %s", b.id), "+OK");
    assert_true(holds(&a, 1));
    assert_reply(a.client, "ASKING", "+OK");
    assert_reply(a.client, "SET {foo}1 new", "+OK");
    let_go();
    assert_string_equal(client_ask(a.client, "CLUSTER SETSLOT " FOO " NODE %s", a.id), "+OK");
    assert_new("new");
}

static void nothing_old_comes_back_when_the_slot_is_taken(void **state) {
    (void)state;
    lose();
    assert_reply(a.client, "CLUSTER BUMPEPOCH", "+BUMPED ...");
    assert_string_equal(client_ask(a.client, "CLUSTER SETSLOT " FOO " NODE %s", a.id), "+OK");
    assert_true(holds(&a, 1));
    let_go();
    assert_reply(a.client, "SET {foo}1 mine", "+OK");
    assert_new("mine");
}

static void nothing_old_comes_back_when_the_slot_is_imported(void **state) {
    (void)state;
    lose();
    assert_reply_soon(b.client, "SET {foo}1 theirs", "+OK");
    assert_string_equal(client_ask(b.client, "CLUSTER MIGRATESLOTS SLOTSRANGE " FOO " " FOO " NODE %s", a.id),
                        "+OK");
    assert_new("theirs");
    let_go();
    assert_new("theirs");
}

static void a_flush_takes_what_is_left(void **state) {
    (void)state;
    lose();
    assert_reply(a.client, "FLUSHALL", "+OK");
    assert_true(holds(&a, 0));
    assert_reply(a.client, "SET bar b", "+OK");
    let_go();
    assert_unseen(&a);
    cnode_await_same(&a, &r);
}

static void a_replica_hides_what_its_primary_has_lost(void **state) {
    (void)state;
    lose();
    assert_reply_soon(r.client, "DBSIZE", ":1");
    assert_unseen(&r);
    assert_true(holds(&r, HERE + 1));
    let_go();
    assert_soon(holds(&a, 1) && holds(&r, 1));
    cnode_await_same(&a, &r);
    cnode_kill(&r);
    cnode_restart(&r); /* its file has it */
    assert_true(holds(&r, 1));
    replication_await_link(r.server);
}

static void who_takes_over_deletes_what_is_left_and_who_starts_again_too(void **state) {
    (void)state;
    lose();
    assert_reply_soon(r.client, "DBSIZE", ":1");
    cnode_kill(&a);
    assert_reply(r.client, "CLUSTER FAILOVER TAKEOVER", "+OK");
    assert_soon(holds(&r, 1));
    assert_unseen(&r);
    cnode_restart(&a);
    assert_unseen(&a);
    assert_soon(holds(&a, 1));
}

int main(int argc, char **argv) {
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(who_watches_a_key_hears_that_its_slot_is_lost, begin),
        cmocka_unit_test_setup(nothing_old_comes_back_with_the_slot_key_by_key, begin),
        cmocka_unit_test_setup(nothing_old_comes_back_when_the_slot_is_taken, begin),
        cmocka_unit_test_setup(nothing_old_comes_back_when_the_slot_is_imported, begin),
        cmocka_unit_test_setup(a_flush_takes_what_is_left, begin),
        cmocka_unit_test_setup(a_replica_hides_what_its_primary_has_lost, begin),
        cmocka_unit_test_setup(who_takes_over_deletes_what_is_left_and_who_starts_again_too, begin),
    };
    return cmocka_run_group_tests(tests, start, end);
}
