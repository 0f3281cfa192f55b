/* test_slot_stats.c: CLUSTER SLOT-STATS: keys, time and bytes of slots, to the byte. */
#include "../harness/check.h"
#include "../harness/cluster.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define KEY_SLOT "12539"  /* of "key" */
#define OTHER_SLOT "5061" /* of "bar" */
#define RANGE "CLUSTER SLOT-STATS SLOTSRANGE "

static struct cnode start(void) {
    struct cnode n = CNODE("--cluster-slot-stats-enabled", "yes");
    cnode_take_all_slots(&n);
    return n;
}

/* The number behind `name` in the statistics of "key". */
static int64_t stat_of(struct client *c, const char *name) {
    struct node *all = client_ask_node(c, RANGE KEY_SLOT " " KEY_SLOT);
    int64_t found = -1;
    assert_int_equal(all->count, 1);
    const struct node *map = all->items[0]->items[1];
    for (size_t i = 0; i + 1 < map->count; i += 2)
        if (strcmp(text_str(&map->items[i]->bytes), name) == 0) found = map->items[i + 1]->number;
    node_free(all);
    return found;
}

static void assert_bytes(struct client *c, int64_t in, int64_t out) {
    assert_int_equal(stat_of(c, "network-bytes-in"), in);
    assert_int_equal(stat_of(c, "network-bytes-out"), out);
    assert_reply(c, "CONFIG RESETSTAT", "+OK");
    assert_int_equal(stat_of(c, "network-bytes-in"), 0);
    assert_int_equal(stat_of(c, "network-bytes-out"), 0);
    assert_int_equal(stat_of(c, "cpu-usec"), 0);
}

static void words_are_understood_and_refused(void **state) {
    (void)state;
    struct cnode n = CNODE();
    static const struct exchange rows[] = {
        { RANGE "5 3", "-ERR Start slot number 5 is greater than end slot number 3" },
        { RANGE "5 16384", "-ERR Invalid or out of range slot" },
        { RANGE "x 3", "-ERR Invalid or out of range slot" },
        { RANGE "3",
          "-ERR unknown subcommand or wrong number of arguments for 'SLOT-STATS'. Try CLUSTER HELP." },
        { "CLUSTER SLOT-STATS FOO", "-ERR wrong number of arguments for 'cluster|slot-stats' command" },
        { "CLUSTER slot-stats FOO 1",
          "-ERR unknown subcommand or wrong number of arguments for 'slot-stats'. Try CLUSTER HELP." },
        { "CLUSTER SLOT-STATS ORDERBY heat", "-ERR Unrecognized sort metric for ORDERBY." },
        { "CLUSTER SLOT-STATS ORDERBY cpu-usec", "-ERR Unrecognized sort metric for ORDERBY." },
        { "CLUSTER SLOT-STATS ORDERBY key-count LIMIT 0",
          "-ERR Limit has to lie in between 1 and 16384 (maximum number of slots)." },
        { "CLUSTER SLOT-STATS ORDERBY key-count LIMIT 16385",
          "-ERR Limit has to lie in between 1 and 16384 (maximum number of slots)." },
        { "CLUSTER SLOT-STATS ORDERBY key-count LIMIT", "-ERR syntax error" },
        { "CLUSTER SLOT-STATS ORDERBY key-count UP", "-ERR syntax error" },
        { "CLUSTER SLOT-STATS ORDERBY key-count LIMIT 1 LIMIT 2",
          "-ERR Multiple filters of the same type are disallowed." },
        { "CLUSTER SLOT-STATS ORDERBY key-count ASC DESC",
          "-ERR Multiple filters of the same type are disallowed." },
        { RANGE "0 16383", "*[]" }, /* none is this shard's */
        { "CLUSTER ADDSLOTS 3 5", "+OK" },
        { RANGE "2 4", "*[*[:3, *[$\"key-count\", :0]]]" },
        { "CONFIG SET cluster-slot-stats-enabled yes", "+OK" },
        { RANGE "5 5", "*[*[:5, *[$\"key-count\", :0, $\"cpu-usec\", :0, $\"network-bytes-in\", :0, "
                       "$\"network-bytes-out\", :0]]]" },
        { "CLUSTER SLOT-STATS ORDERBY cpu-usec LIMIT 1 DESC", "*[*[:3, ..." },
        { "CONFIG SET cluster-slot-stats-enabled no", "+OK" },
        { "CLUSTER SLOT-STATS ORDERBY network-bytes-in", "-ERR Unrecognized sort metric for ORDERBY." },
        { NULL, NULL },
    };
    assert_exchanges(n.client, rows);
    cnode_end(&n);
}

static void slots_are_ordered(void **state) {
    (void)state;
    struct cnode n = CNODE();
    cnode_take_all_slots(&n);
    assert_reply(n.client, "MSET {bar}1 a {bar}2 b", "+OK");
    assert_reply(n.client, "SET key c", "+OK");
    assert_reply(n.client, "CLUSTER SLOT-STATS ORDERBY key-count LIMIT 3",
                 "*[*[:" OTHER_SLOT ", *[$\"key-count\", :2]], *[:" KEY_SLOT
                 ", *[$\"key-count\", :1]], *[:0, *[$\"key-count\", :0]]]");
    assert_reply(n.client, "CLUSTER SLOT-STATS ORDERBY key-count ASC LIMIT 2",
                 "*[*[:0, *[$\"key-count\", :0]], *[:1, *[$\"key-count\", :0]]]");
    cnode_end(&n);
}

static void commands_count_for_the_slot_of_their_keys(void **state) {
    (void)state;
    struct cnode n = start();
    struct client *c = n.client;
    assert_reply(c, "SET key value", "+OK"); /* 33 bytes; 5 */
    assert_reply(c, "PING", "+PONG");        /* has no slot */
    assert_reply(c, "SET bar value", "+OK"); /* has another one */
    assert_bytes(c, 33, 5);

    assert_reply(c, "GET key", "$\"value\""); /* 22; 11 */
    assert_reply(c, "HGET key f", "-WRONGTYPE ...");
    assert_bytes(c, 22 + 30, 11 + 68);

    const char *busy = "EVAL \"local t = 0 for i = 1, 300000 do t = t + i end return 1\" 1 key";
    assert_reply(c, busy, ":1");
    assert_in_range(stat_of(c, "cpu-usec"), 200, 60000000);
    assert_reply(c, "CONFIG RESETSTAT", "+OK");
    cnode_end(&n);
}

static void a_transaction_counts_with_its_multi(void **state) {
    (void)state;
    struct cnode n = start();
    assert_reply(n.client, "MULTI", "+OK");             /* 15 */
    assert_reply(n.client, "SET key value", "+QUEUED"); /* 33; 9 */
    assert_reply(n.client, "EXEC", "*[+OK]");           /* 14; 9 */
    assert_bytes(n.client, 15 + 33 + 14, 9 + 9);
    cnode_end(&n);
}

/* Once, and not for the time of the wait. */
static void a_client_that_waited_counts_when_it_is_served(void **state) {
    (void)state;
    struct cnode n = start();
    struct client *waits = server_connect(n.server);
    send_and_wait(n.client, waits, "BLPOP key 0"); /* 31; 20 */
    assert_reply(n.client, "RPUSH key a", ":1");   /* 31; 4 */
    assert_next(waits, "*[$\"key\", $\"a\"]");
    assert_int_equal(stat_of(n.client, "key-count"), 0);
    assert_in_range(stat_of(n.client, "cpu-usec"), 0, 20000000);
    assert_bytes(n.client, 62, 24);
    client_close(waits);
    cnode_end(&n);
}

static void sharded_messages_count_for_each_subscriber(void **state) {
    (void)state;
    struct cnode n = start();
    struct client *one = server_connect(n.server), *two = server_connect(n.server);
    assert_reply(one, "SSUBSCRIBE key", "*[$\"ssubscribe\", $\"key\", :1]"); /* 30; 34 */
    assert_reply(two, "SSUBSCRIBE key", "*[$\"ssubscribe\", $\"key\", :1]");
    assert_bytes(n.client, 60, 68);
    assert_reply(n.client, "SPUBLISH key hello", ":2"); /* 38; 4 */
    assert_next(one, "*[$\"smessage\", $\"key\", $\"hello\"]");
    assert_next(two, "*[$\"smessage\", $\"key\", $\"hello\"]"); /* 38 */
    assert_bytes(n.client, 38, 4 + 2 * 38);
    client_close(one);
    client_close(two);
    cnode_end(&n);
}

static void a_script_without_keys_counts_for_what_it_uses(void **state) {
    (void)state;
    struct cnode n = start();
    assert_reply(n.client, "EVAL \"return redis.call('get', 'key')\" 0", "$-1"); /* 59; 5 */
    assert_bytes(n.client, 59, 5);
    assert_reply(n.client, "EVAL \"redis.call('get', 'bar') return redis.call('get', 'key')\" 0", "$-1");
    assert_bytes(n.client, 0, 0); /* of several slots */
    cnode_end(&n);
}

static void a_slot_that_changes_hands_begins_anew(void **state) {
    (void)state;
    struct cnode n = start();
    assert_reply(n.client, "SET key value", "+OK");
    assert_reply(n.client, "SET {bar}1 value", "+OK");
    assert_reply(n.client, "CLUSTER DELSLOTS " KEY_SLOT, "+OK");
    assert_reply(n.client, "CLUSTER ADDSLOTS " KEY_SLOT, "+OK");
    assert_int_equal(stat_of(n.client, "network-bytes-in"), 0);
    assert_int_equal(stat_of(n.client, "key-count"), 1);
    assert_reply(n.client, "CLUSTER SLOT-STATS ORDERBY network-bytes-in LIMIT 1", "*[*[:" OTHER_SLOT ", ...");
    cnode_end(&n);
}

static void the_stream_counts_for_each_replica_and_on_it(void **state) {
    (void)state;
    struct cnode p = CNODE("--cluster-slot-stats-enabled", "yes"),
                 r = CNODE("--cluster-slot-stats-enabled", "yes");
    cnode_pair(&p, &r);
    assert_reply(p.client, "SET key value", "+OK"); /* with a SELECT before it */
    assert_int_equal(stat_of(p.client, "network-bytes-out"), 5 + 23 + 33);
    cnode_await_same(&p, &r);
    assert_reply(p.client, "CONFIG RESETSTAT", "+OK");
    assert_reply(r.client, "CONFIG RESETSTAT", "+OK");
    assert_reply(p.client, "SET key other", "+OK");
    assert_bytes(p.client, 33, 5 + 33);
    cnode_await_same(&p, &r);
    assert_int_equal(stat_of(r.client, "key-count"), 1);
    assert_bytes(r.client, 33, 0);
    cnode_end(&p);
    cnode_end(&r);
}

int main(int argc, char **argv) {
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_understood_and_refused),
        cmocka_unit_test(slots_are_ordered),
        cmocka_unit_test(commands_count_for_the_slot_of_their_keys),
        cmocka_unit_test(a_transaction_counts_with_its_multi),
        cmocka_unit_test(a_client_that_waited_counts_when_it_is_served),
        cmocka_unit_test(sharded_messages_count_for_each_subscriber),
        cmocka_unit_test(a_script_without_keys_counts_for_what_it_uses),
        cmocka_unit_test(a_slot_that_changes_hands_begins_anew),
        cmocka_unit_test(the_stream_counts_for_each_replica_and_on_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
