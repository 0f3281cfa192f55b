/* test_migrations.c: CLUSTER MIGRATESLOTS: slots go to another primary as a whole, under writes of every
 * sort, and stay where they are whatever goes wrong. */
#include "../harness/check.h"
#include "../harness/fail.h"
#include "load.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PRIMARIES 3
#define COUNT 6
#define REPLICA_OF(primary) ((primary) + PRIMARIES)
#define NOBODY "0000000000000000000000000000000000000000"
#define NAME "abcdefabcdefabcdefabcdefabcdefabcdefabcd"

static struct fleet g;
static struct cnode *const node = g.nodes.at;

/* Nodes 0, 1 and 2 begin with 0-5460, 5461-10922 and 10923-16383. The slot of {06S} is 0. */
static const char *const args[] = { "--enable-debug-command", "yes", NULL };
static const struct fleet_plan all = { .primaries = PRIMARIES, .count = COUNT, .args = args };
static const struct fleet_plan primaries_only = { .primaries = PRIMARIES, .count = PRIMARIES, .args = args };

/* ---- migrations ---- */

static const char *migrate(size_t from, size_t to, const char *ranges) {
    return client_ask(node[from].client, "CLUSTER MIGRATESLOTS SLOTSRANGE %s NODE %s", ranges, node[to].id);
}

/* The latest one at that node is in this state. */
static bool is_in(size_t at, const char *state) {
    struct node *list = client_ask_node(node[at].client, "CLUSTER GETSLOTMIGRATIONS");
    bool is = false;
    if (list->count > 0) {
        struct node *latest = list->items[0];
        for (size_t i = 0; i + 1 < latest->count; i += 2)
            if (strcmp(text_str(&latest->items[i]->bytes), "state") == 0)
                is = strcmp(text_str(&latest->items[i + 1]->bytes), state) == 0;
    }
    node_free(list);
    return is;
}

static void assert_migrates(size_t from, size_t to, const char *ranges) {
    assert_string_equal(migrate(from, to, ranges), "+OK");
    assert_soon(is_in(from, "success") || is_in(from, "failed"));
    assert_true(is_in(from, "success"));
    assert_soon(is_in(to, "success"));
}

/* ---- under load ---- */

static void slots_go_and_come_back_while_they_are_written(void **state) {
    (void)state;
    load_start_fleet(&g, &all, 200);
    for (int round = 0; round < 3; round++) {
        assert_migrates(0, 1, "0 2000 3000 5460");
        load_await_all_slots();
        assert_migrates(1, 0, "0 2000 3000 5460");
        load_await(200);
    }
    load_end_fleet(&g);
}

/* ---- every sort of write ---- */

#define KEYS 400
#define FILLED 4000
#define LONG_STRING 50000

/* Sends random writes to the slot of {06S}, wherever it is, and the same to a server that is no node. */
static struct {
    pthread_t thread;
    atomic_bool over;
    size_t writes;
    struct server *mirror;
    struct client *node[PRIMARIES], *twin;
    unsigned seed;
} writer;

static unsigned draw(unsigned below) {
    writer.seed = writer.seed * 1103515245u + 12345u;
    return (writer.seed >> 8) % below;
}

static void random_write(char *command, size_t size) {
    unsigned a = draw(KEYS), b = draw(KEYS), n = draw(100000);
    static unsigned long id;
    switch (draw(20)) {
    case 0: snprintf(command, size, "RPUSH {06S}l%u x%u y%u", a, n, n + 1); break;
    case 1: snprintf(command, size, "LPOP {06S}l%u", a); break;
    case 2: snprintf(command, size, "LMOVE {06S}l%u {06S}l%u LEFT RIGHT", a, b); break;
    case 3: snprintf(command, size, "RENAME {06S}f%u {06S}f%u", a, b); break;
    case 4: snprintf(command, size, "RENAME {06S}l%u {06S}l%u", a, b); break;
    case 5: snprintf(command, size, "SADD {06S}s%u m%u m%u", a, n % 50, n % 49); break;
    case 6: snprintf(command, size, "SUNIONSTORE {06S}s%u {06S}s%u {06S}s%u", b, a, b); break;
    case 7: snprintf(command, size, "SMOVE {06S}s%u {06S}s%u m%u", a, b, n % 50); break;
    case 8: snprintf(command, size, "HSET {06S}h%u f%u %u", a, n % 30, n); break;
    case 9: snprintf(command, size, "HINCRBY {06S}h%u count 3", a); break;
    case 10: snprintf(command, size, "ZINCRBY {06S}z%u 1.5 m%u", a, n % 40); break;
    case 11: snprintf(command, size, "ZUNIONSTORE {06S}z%u 2 {06S}z%u {06S}z%u", b, a, b); break;
    case 12: snprintf(command, size, "XADD {06S}x%u %lu-1 f %u", a, ++id, n); break;
    case 13: snprintf(command, size, "INCR {06S}n%u", a); break;
    case 14: snprintf(command, size, "APPEND {06S}t%u tail%u", a, n); break;
    case 15: snprintf(command, size, "COPY {06S}l%u {06S}l%u REPLACE", a, b); break;
    case 16: snprintf(command, size, "DEL {06S}f%u {06S}l%u {06S}s%u", a, b, a); break;
    case 17: snprintf(command, size, "SET {06S}f%u %u PXAT 32503680000000", a, n); break;
    case 18: snprintf(command, size, "BITOP XOR {06S}t%u {06S}t%u {06S}t%u", b, a, b); break;
    default:
        snprintf(command, size,
                 "EVAL \"redis.call('RPUSH',KEYS[1],'s') redis.call('RENAME',KEYS[1],KEYS[2])"
                 " return redis.call('RPUSH',KEYS[2],'t')\" 2 {06S}l%u {06S}l%u",
                 a, b);
    }
}

/* The node that took it. A transaction is as good as one command: it runs at one node, or at none. */
static bool is_moved(const char *reply) {
    return strncmp(reply, "-MOVED", 6) == 0 || strncmp(reply, "-EXECABORT", 10) == 0;
}

static const char *send_to(struct client *c, const char *first, const char *second) {
    if (!second) return client_ask(c, "%s", first);
    client_send(c, "MULTI");
    client_send(c, "%s", first);
    client_send(c, "%s", second);
    client_send(c, "EXEC");
    for (int i = 0; i < 3; i++) node_free(client_read(c));
    return client_read_text(c);
}

static void *write_all_sorts(void *arg) {
    char first[256], second[256];
    size_t at = 0;
    (void)arg;
    while (!atomic_load(&writer.over)) {
        random_write(first, sizeof first);
        bool both = draw(8) == 0;
        if (both) random_write(second, sizeof second);
        while (is_moved(send_to(writer.node[at], first, both ? second : NULL))) at = (at + 1) % PRIMARIES;
        (void)send_to(writer.twin, first, both ? second : NULL);
        writer.writes++;
    }
    return NULL;
}

static void start_writer(unsigned seed) {
    static const char *const twin_args[] = { "--enable-debug-command", "yes", NULL };
    writer.seed = seed;
    writer.writes = 0;
    writer.mirror = peer_start(PEER_TRIVET, twin_args);
    writer.twin = server_connect(writer.mirror);
    for (size_t i = 0; i < PRIMARIES; i++) writer.node[i] = server_connect(node[i].server);
    atomic_store(&writer.over, false);
}

static void end_writer(void) {
    for (size_t i = 0; i < PRIMARIES; i++) client_close(writer.node[i]);
    client_close(writer.twin);
    server_free(writer.mirror);
}

static void tell_both(const char *command) {
    (void)client_ask(writer.node[0], "%s", command);
    (void)client_ask(writer.twin, "%s", command);
}

/* So much that reading it takes some time. */
static void fill_both(void) {
    char command[256];
    for (unsigned i = 0; i < KEYS; i++) {
        snprintf(command, sizeof command, "SETRANGE {06S}t%u %d x", i, LONG_STRING);
        tell_both(command);
    }
    for (unsigned i = 0; i < FILLED; i++) {
        random_write(command, sizeof command);
        tell_both(command);
    }
}

static void assert_same_data(size_t at) {
    char digest[64];
    snprintf(digest, sizeof digest, "%s", client_ask(writer.twin, "DEBUG DIGEST"));
    assert_reply(node[at].client, "DEBUG DIGEST", digest);
}

static void every_sort_of_write_arrives(void **state) {
    (void)state;
    fleet_start(&g, &primaries_only);
    start_writer(7);
    fill_both();
    assert_int_equal(pthread_create(&writer.thread, NULL, write_all_sorts, NULL), 0);
    for (int round = 0; round < 6; round++) {
        size_t from = (size_t)round % 2, to = 1 - from;
        assert_migrates(from, to, "0 5000");
    }
    atomic_store(&writer.over, true);
    pthread_join(writer.thread, NULL);
    assert_true(writer.writes > 10);
    assert_same_data(0);
    assert_reply(node[1].client, "DBSIZE", ":0");
    end_writer();
    fleet_end(&g);
}

static void several_databases_and_expiries_arrive(void **state) {
    static const char *const with_databases[] = { "--cluster-databases", "4", NULL };
    struct fleet_plan plan = { .primaries = 2, .count = 2, .args = with_databases };
    (void)state;
    fleet_start(&g, &plan);
    assert_reply(node[0].client, "SET {06S}a zero PXAT 32503680000000", "+OK");
    assert_reply(node[0].client, "SELECT 3", "+OK");
    assert_reply(node[0].client, "HSET {06S}a f three g 4", ":2");
    assert_reply(node[0].client, "HPEXPIREAT {06S}a 32503680000000 FIELDS 1 f", "*[:1]");
    assert_migrates(0, 1, "0 0");
    assert_reply(node[0].client, "DBSIZE", ":0");
    assert_reply(node[1].client, "GET {06S}a", "$\"zero\"");
    assert_reply(node[1].client, "PEXPIRETIME {06S}a", ":32503680000000");
    assert_reply(node[1].client, "SELECT 3", "+OK");
    assert_reply(node[1].client, "HGET {06S}a f", "$\"three\"");
    assert_reply(node[1].client, "HPEXPIRETIME {06S}a FIELDS 2 f g", "*[:32503680000000, :-1]");
    fleet_end(&g);
}

/* ---- bad input ---- */

static void wrong_words_are_refused(void **state) {
    (void)state;
    fleet_start(&g, &primaries_only);
    const struct {
        const char *words, *reply;
    } rows[] = {
        { "0 5461", "-ERR Slots are not served by this node." },
        { "6000 6000", "-ERR Slots are not served by this node." },
        { "5 3", "-ERR Start slot number 5 is greater than end slot number 3." },
        { "1 5 5 9", "-ERR Slot range 5-9 overlaps with previous range 1-5." },
        { "1 5 7", "-ERR No end slot for final slot range" },
        { "", "-ERR No slot ranges specified" },
        { "1 16384", "-ERR Invalid or out of range slot" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_string_equal(migrate(0, 1, rows[i].words), rows[i].reply);
    assert_string_equal(migrate(0, 0, "1 5"), "-ERR Target node can not be this node.");
    struct client *c = node[0].client;
    assert_reply(c, "CLUSTER MIGRATESLOTS SLOTSRANGE 1 5 NODE short", "-ERR Invalid node name: short");
    assert_reply(c, "CLUSTER MIGRATESLOTS SLOTSRANGE 1 5 NODE " NOBODY, "-ERR Unknown node name: " NOBODY);
    assert_reply(c, "CLUSTER MIGRATESLOTS SLOTS 1 5", "-ERR syntax error");
    assert_reply(c, "CLUSTER MIGRATESLOTS SLOTSRANGE 1 5 TO x", "-ERR syntax error");
    assert_string_equal(client_ask(c, "CLUSTER MIGRATESLOTS SLOTSRANGE 1 5 NODE %s SLOTSRANGE 5 6 NODE %s",
                                   node[1].id, node[2].id),
                        "-ERR Slot ranges in migrations overlap");
    assert_string_equal(client_ask(c, "CLUSTER SETSLOT 9 MIGRATING %s", node[1].id), "+OK");
    assert_string_equal(migrate(0, 1, "9 9"), "-ERR Slots are being manually migrated");
    assert_reply(c, "CLUSTER SETSLOT 9 STABLE", "+OK");
    assert_reply(c, "CLUSTER CANCELSLOTMIGRATIONS", "-ERR No migrations ongoing");
    assert_reply(c, "CLUSTER GETSLOTMIGRATIONS", "*[]");
    assert_reply(c, "CLUSTER SYNCSLOTS ACK",
                 "-ERR CLUSTER SYNCSLOTS ACK should only be used by slot migration clients");
    assert_reply(c, "CLUSTER SYNCSLOTS FINISH NAME " NAME " STATE success",
                 "-ERR CLUSTER SYNCSLOTS FINISH should only be used by slot migration clients");
    assert_reply(c, "CLUSTER SYNCSLOTS NONSENSE", "-ERR syntax error");
    assert_reply(c, "CLUSTER SYNCSLOTS ESTABLISH SOURCE x NAME " NAME " SLOTSRANGE 1 2",
                 "-ERR Invalid node name: x");
    fleet_end(&g);
}

/* ---- what arrives is hidden ---- */

/* Node 1 takes this connection for that of node 0. */
static struct client *play_source(void) {
    struct client *source = server_connect(node[1].server);
    assert_string_equal(client_ask(source,
                                   "CLUSTER SYNCSLOTS ESTABLISH SOURCE %s NAME " NAME " SLOTSRANGE 0 100",
                                   node[0].id),
                        "+OK");
    return source;
}

static void assert_hidden(size_t at) {
    struct client *c = node[at].client;
    assert_reply(c, "DBSIZE", ":0");
    assert_reply(c, "KEYS *", "*[]");
    assert_reply(c, "RANDOMKEY", "$-1");
    assert_reply(c, "SCAN 0 COUNT 1000000", "*[$\"0\", *[]]");
    assert_null(strstr(client_ask(c, "INFO keyspace"), "db0"));
}

static void what_arrives_is_hidden_until_it_is_served(void **state) {
    (void)state;
    fleet_start(&g, &all);
    struct client *source = play_source();
    assert_soon(is_in(1, "receiving-snapshot") && is_in(REPLICA_OF(1), "occurring-on-primary"));
    client_send(source, "SET {06S}a 1");
    client_send(source, "SET {06S}b 2");
    assert_reply_soon(node[1].client, "CLUSTER COUNTKEYSINSLOT 0", ":2");
    assert_reply_soon(node[REPLICA_OF(1)].client, "CLUSTER COUNTKEYSINSLOT 0", ":2");
    assert_hidden(1);
    assert_hidden(REPLICA_OF(1));
    assert_reply(node[1].client, "CLUSTER SETSLOT 0 STABLE", "-ERR Slot import in progress.");
    assert_reply(node[1].client, "GET {06S}a", "-MOVED 0 ...");
    client_send(source, "CLUSTER SYNCSLOTS SNAPSHOT-EOF");
    assert_next(source, "*[$\"CLUSTER\", $\"SYNCSLOTS\", $\"REQUEST-PAUSE\"]");
    client_send(source, "CLUSTER SYNCSLOTS PAUSED");
    struct node *word = client_read(source); /* a sign of life may come first */
    while (strcmp(text_str(&word->items[2]->bytes), "ACK") == 0) {
        node_free(word);
        word = client_read(source);
    }
    assert_string_equal(text_str(&word->items[2]->bytes), "REQUEST-FAILOVER");
    node_free(word);
    assert_hidden(1);
    client_send(source, "CLUSTER SYNCSLOTS FAILOVER-GRANTED");
    assert_soon(is_in(1, "success") && is_in(REPLICA_OF(1), "success"));
    assert_reply(node[1].client, "MGET {06S}a {06S}b", "*[$\"1\", $\"2\"]");
    assert_reply(node[1].client, "DBSIZE", ":2");
    assert_reply(node[REPLICA_OF(1)].client, "DBSIZE", ":2");
    client_close(source);
    fleet_assert_well(&g);
    fleet_end(&g);
}

static void follow(size_t replica, size_t primary) {
    struct cnode *r = &node[replica], *p = &node[primary];
    cnode_replicate(r, p);
    assert_soon(cnode_is_linked_replica_of(r, p));
}

/* Its file tells: the source is silent, and the primary's next word comes later. */
static void a_replica_that_comes_meanwhile_hides_it_from_the_first_moment(void **state) {
    (void)state;
    fleet_start(&g, &all);
    follow(REPLICA_OF(1), 0);
    struct client *source = play_source();
    client_send(source, "SET {06S}a 1");
    assert_reply_soon(node[1].client, "CLUSTER COUNTKEYSINSLOT 0", ":1");
    follow(REPLICA_OF(1), 1);
    assert_hidden(REPLICA_OF(1));
    assert_reply(node[REPLICA_OF(1)].client, "CLUSTER COUNTKEYSINSLOT 0", ":1");
    assert_true(is_in(REPLICA_OF(1), "occurring-on-primary"));
    client_close(source);
    assert_soon(is_in(1, "failed") && is_in(REPLICA_OF(1), "failed"));
    assert_reply_soon(node[REPLICA_OF(1)].client, "CLUSTER COUNTKEYSINSLOT 0", ":0");
    fleet_end(&g);
}

static void what_does_not_come_to_its_end_leaves_nothing(void **state) {
    static const char *const wrong[] = { "CLUSTER SYNCSLOTS PAUSED",
                                         "CLUSTER SYNCSLOTS FAILOVER-GRANTED",
                                         "SET a_key_of_another_slot 1",
                                         "NONSENSE",
                                         "LPUSH {06S}a 1",
                                         NULL };
    (void)state;
    fleet_start(&g, &all);
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        struct client *source = play_source();
        client_send(source, "SET {06S}a 1");
        if (wrong[i]) {
            client_send(source, "%s", wrong[i]);
            assert_ended(source);
        }
        client_close(source);
        assert_soon(is_in(1, "failed") && is_in(REPLICA_OF(1), "failed"));
        assert_reply(node[1].client, "CLUSTER COUNTKEYSINSLOT 0", ":0");
        assert_reply_soon(node[REPLICA_OF(1)].client, "CLUSTER COUNTKEYSINSLOT 0", ":0");
    }
    struct client *c = node[1].client;
    assert_string_equal(
        client_ask(c, "CLUSTER SYNCSLOTS ESTABLISH SOURCE %s NAME " NAME " SLOTSRANGE 6000 6000", node[0].id),
        "-ERR Slots are not served by the source node.");
    assert_reply(c, "CLUSTER SYNCSLOTS ESTABLISH SOURCE " NOBODY " NAME " NAME " SLOTSRANGE 0 0",
                 "-ERR Unknown source node");
    fleet_end(&g);
}

/* ---- what ends it ---- */

/* A target that holds writes gets no further than the first key. */
static void begin_and_hold(void) {
    assert_reply(node[0].client, "SET {06S}a 1", "+OK");
    assert_reply(node[1].client, "CLIENT PAUSE 1000000 WRITE", "+OK");
    assert_string_equal(migrate(0, 1, "0 100"), "+OK");
    assert_soon(is_in(0, "replicating") && is_in(1, "receiving-snapshot"));
    assert_string_equal(migrate(0, 1, "100 200"), "-ERR I am already migrating slot 100.");
    assert_reply(node[0].client, "CLUSTER SETSLOT 100 STABLE", "-ERR Slot export in progress.");
}

static void assert_stays(const char *state) {
    assert_soon(is_in(0, state) && is_in(1, "failed"));
    assert_reply(node[1].client, "CLIENT UNPAUSE", "+OK");
    assert_reply(node[1].client, "CLUSTER COUNTKEYSINSLOT 0", ":0");
    assert_reply(node[1].client, "GET {06S}a", "-MOVED 0 ...");
}

static void slots_stay_whatever_goes_wrong(void **state) {
    (void)state;
    fleet_start(&g, &all);
    begin_and_hold();
    assert_reply(node[0].client, "CLUSTER CANCELSLOTMIGRATIONS", "+OK");
    assert_stays("cancelled");
    assert_reply(node[0].client, "GET {06S}a", "$\"1\"");

    begin_and_hold();
    assert_reply(node[0].client, "FLUSHALL", "+OK");
    assert_stays("failed");

    begin_and_hold();
    assert_reply(node[0].client, "CLIENT KILL TYPE normal", ":0..100");
    assert_stays("failed");

    begin_and_hold();
    assert_reply(node[REPLICA_OF(0)].client, "CLUSTER FAILOVER", "+OK");
    assert_stays("failed");
    assert_soon(cnode_is_linked_replica_of(&node[0], &node[REPLICA_OF(0)]));
    fleet_assert_well(&g);
    fleet_end(&g);
}

static void a_target_without_memory_says_so(void **state) {
    (void)state;
    fleet_start(&g, &primaries_only);
    assert_reply(node[0].client, "SET {06S}a 1", "+OK");
    assert_reply(node[1].client, "CONFIG SET maxmemory 1 maxmemory-policy noeviction", "+OK");
    assert_string_equal(migrate(0, 1, "0 100"), "+OK");
    assert_soon(is_in(0, "failed") && is_in(1, "failed"));
    assert_non_null(strstr(client_ask(node[1].client, "CLUSTER GETSLOTMIGRATIONS"), "OOM"));
    assert_reply(node[0].client, "GET {06S}a", "$\"1\"");
    fleet_end(&g);
}

static void who_knows_nobody_at_the_other_end_says_so(void **state) {
    (void)state;
    fleet_start(&g, &all);
    assert_reply(node[1].client, "CONFIG SET requirepass secret", "+OK");
    assert_string_equal(migrate(0, 1, "0 100"), "+OK");
    assert_soon(is_in(0, "failed"));
    assert_non_null(strstr(client_ask(node[0].client, "CLUSTER GETSLOTMIGRATIONS"), "NOAUTH"));
    assert_reply(node[0].client, "CONFIG SET primaryauth secret", "+OK");
    assert_string_equal(migrate(0, 1, "0 100"), "+OK");
    assert_soon(is_in(0, "success"));
    assert_reply(node[0].client, "CONFIG SET cluster-slot-migration-log-max-len 1", "+OK");
    struct node *list = client_ask_node(node[0].client, "CLUSTER GETSLOTMIGRATIONS");
    assert_int_equal(list->count, 2);
    node_free(list);
    for (int tries = 0; tries < 1000 && list; tries++) {
        list = client_ask_node(node[0].client, "CLUSTER GETSLOTMIGRATIONS");
        bool trimmed = list->count == 1;
        node_free(list);
        if (trimmed)
            list = NULL;
        else
            pause_ms(10);
    }
    assert_null(list);
    fleet_end(&g);
}

int main(int argc, char **argv) {
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_go_and_come_back_while_they_are_written),
        cmocka_unit_test(every_sort_of_write_arrives),
        cmocka_unit_test(several_databases_and_expiries_arrive),
        cmocka_unit_test(wrong_words_are_refused),
        cmocka_unit_test(what_arrives_is_hidden_until_it_is_served),
        cmocka_unit_test(a_replica_that_comes_meanwhile_hides_it_from_the_first_moment),
        cmocka_unit_test(what_does_not_come_to_its_end_leaves_nothing),
        cmocka_unit_test(slots_stay_whatever_goes_wrong),
        cmocka_unit_test(a_target_without_memory_says_so),
        cmocka_unit_test(who_knows_nobody_at_the_other_end_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
