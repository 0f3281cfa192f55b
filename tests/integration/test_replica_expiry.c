/* test_replica_expiry.c: what is over on a replica: hidden from clients, seen by the stream, gone when the
 * primary says so; keys of a writable replica's own; memory and disk limits of a replica. */
#include "../faults/server_disk.h"
#include "../harness/dataset.h"
#include "../harness/fixture.h"
#include "../harness/folder.h"
#include "../harness/replication.h"
#include "../harness/saves.h"
#include "../harness/wire.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static struct replica_pair pair_synced(struct server *primary, struct server *replica) {
    struct replica_pair pair = replica_pair_of(primary, replica);
    replication_sync(primary, replica);
    return pair;
}

/* A replica of a primary that the test plays. */
struct play {
    struct server *replica;
    struct client *r;
    struct wire_listener *listener;
    struct wire *link;
};

static struct play play_with(struct server *replica) {
    struct play play = { replica, server_connect(replica), wire_listen(), NULL };
    replication_follow(replica, wire_port(play.listener));
    play.link = wire_feed(play.listener, 1000);
    return play;
}

static void play_end(struct play *play) {
    wire_close(play->link);
    wire_listener_close(play->listener);
    client_close(play->r);
    server_free(play->replica);
}

static void say(struct play *play, const char *const *lines) {
    for (; *lines; lines++) wire_tell(play->link, "%s", *lines);
}
#define SAY(play, ...) say((play), (const char *const[]){ __VA_ARGS__, NULL })

/* ---- what is over ---- */

static void what_is_over_is_hidden_from_clients(void **state) {
    (void)state;
    struct play play = play_with(TRIVET("--notify-keyspace-events", "KExe", "--replica-read-only", "no"));
    struct client *events = server_connect(play.replica), *c = play.r;
    assert_reply(events, "HELLO 3", "%{...}");
    assert_reply(events, "PSUBSCRIBE *", ">[...]");
    SAY(&play, "SELECT 0", "SET over v PXAT 1000", "RPUSH list a b", "SET w_a 2 PXAT 1000", "SET w_b 1",
        "HSET hash f v g w", "HPEXPIREAT hash 1000 FIELDS 1 f", "SET last v");
    assert_reply_soon(c, "GET last", "$\"v\"");
    const struct exchange rows[] = {
        { "DBSIZE", ":6" },
        { "GET over", "$-1" },
        { "STRLEN over", ":0" },
        { "EXISTS over", ":0" },
        { "TTL over", ":-2" },
        { "PEXPIRETIME over", ":-2" },
        { "TYPE over", "+none" },
        { "TOUCH over", ":0" },
        { "OBJECT ENCODING over", "$-1" },
        { "DUMP over", "$-1" },
        { "MGET over last", "*[$-1, $\"v\"]" },
        { "SORT_RO list BY w_* GET # GET w_*", "*[$\"a\", $-1, $\"b\", $\"1\"]" },
        { "HGETALL hash", "*[$\"g\", $\"w\"]" },
        { "HEXISTS hash f", ":0" },
        { "HTTL hash FIELDS 1 f", "*[:-2]" },
        { "EVAL_RO \"return redis.call('EXISTS', 'over')\" 1 over", ":0" },
        { "EVAL_RO \"return redis.call('GET', 'over')\" 0", "$-1" },
        { "MULTI", "+OK" },
        { "GET over", "+QUEUED" },
        { "EXEC", "*[$-1]" },
        { "RANDOMKEY", "$\"...\"" },
        { NULL },
    };
    check_exchanges(c, rows, __FILE__, __LINE__);
    assert_reply_sorted(c, "KEYS *", "*[$\"hash\", $\"last\", $\"list\", $\"w_b\"]");
    for (int i = 0; i < 50; i++) {
        const char *key = client_ask(c, "RANDOMKEY");
        assert_true(strcmp(key, "$\"over\"") != 0 && strcmp(key, "$\"w_a\"") != 0);
    }
    struct node *page = client_ask_node(c, "SCAN 0 COUNT 1000");
    assert_int_equal(page->items[1]->count, 4);
    node_free(page);
    assert_reply(c, "DBSIZE", ":6"); /* nothing was deleted */
    assert_int_equal(info_number(c, "stats", "expired_keys"), 0);
    SAY(&play, "DEL over", "PUBLISH done now");
    assert_reply_soon(c, "DBSIZE", ":5");
    assert_next(events, ">[$\"pmessage\", $\"*\", $\"done\", $\"now\"]"); /* and no event before it */
    client_close(events);
    play_end(&play);
}

/* For the stream it is there until it says otherwise. */
static void the_stream_sees_what_is_over(void **state) {
    (void)state;
    struct play play = play_with(TRIVET());
    SAY(&play, "SELECT 0", "SET k v PXAT 1000", "APPEND k w", "PERSIST k", "HSET h f 1",
        "HPEXPIREAT h 1000 FIELDS 1 f", "HINCRBY h f 1", "HPERSIST h FIELDS 1 f", "MULTI",
        "SET t v PXAT 1000", "APPEND t w", "PERSIST t", "EXEC", "SET r v PXAT 1000", "RENAME r s",
        "PERSIST s");
    assert_reply_soon(play.r, "GET s", "$\"v\"");
    assert_reply(play.r, "GET k", "$\"vw\"");
    assert_reply(play.r, "GET t", "$\"vw\"");
    assert_reply(play.r, "HGET h f", "$\"2\"");
    play_end(&play);
}

static void a_key_goes_when_the_primary_says_so(struct server *primary) {
    struct replica_pair pair = pair_synced(primary, TRIVET());
    assert_reply(pair.primary, "DEBUG SET-ACTIVE-EXPIRE 0", "+OK");
    assert_reply(pair.primary, "SET k v PX 1", "+OK");
    replication_await_write(pair.primary, pair.replica);
    assert_reply_soon(pair.replica, "GET k", "$-1");
    assert_reply(pair.replica, "DBSIZE", ":2");
    assert_reply(pair.primary, "DEBUG SET-ACTIVE-EXPIRE 1", "+OK");
    assert_reply_soon(pair.replica, "DBSIZE", ":1");
    replica_pair_close(&pair);
}

static void keys_go_when_the_primary_says_so(void **state) {
    (void)state;
    a_key_goes_when_the_primary_says_so(TRIVET());
    a_key_goes_when_the_primary_says_so(REDIS());
}

static void a_promoted_replica_expires_by_itself(void **state) {
    (void)state;
    struct play play = play_with(TRIVET());
    SAY(&play, "SELECT 0", "SET k v PXAT 1000", "SET last v");
    assert_reply_soon(play.r, "GET last", "$\"v\"");
    assert_reply(play.r, "DBSIZE", ":2");
    assert_reply(play.r, "REPLICAOF NO ONE", "+OK");
    assert_reply_soon(play.r, "DBSIZE", ":1");
    play_end(&play);
}

/* ---- a writable replica's own keys ---- */

static void own_keys_expire_on_a_writable_replica(void **state) {
    (void)state;
    struct server *primary = TRIVET(),
                  *replica = TRIVET("--replica-read-only", "no", "--appendonly", "yes", "--databases", "70");
    struct replica_pair pair = pair_synced(primary, replica);
    struct server *below = TRIVET();
    struct client *b = server_connect(below);
    replication_follow(below, server_port(replica));
    replication_await_write(pair.primary, b);
    assert_reply(pair.replica, "SET mine v EX 1000", "+OK");
    assert_reply(pair.replica, "SET other v", "+OK");
    assert_reply(pair.replica, "PEXPIRE other 1", ":1");
    assert_reply(pair.replica, "SELECT 65", "+OK");
    assert_reply(pair.replica, "SET far v PX 1", "+OK");
    assert_reply(pair.replica, "SELECT 0", "+OK");
    assert_reply_soon(pair.replica, "DBSIZE", ":2"); /* `other` is gone: mine, sync-mark */
    assert_int_equal(info_number(pair.replica, "stats", "slave_expires_tracked_keys"), 1);
    assert_reply(pair.replica, "PERSIST mine", ":1");
    assert_info_soon(pair.replica, "stats", "slave_expires_tracked_keys", "0");
    assert_reply(pair.replica, "SELECT 65", "+OK");
    assert_reply(pair.replica, "DBSIZE", ":1"); /* as in Valkey: nobody sees to it */
    assert_reply(pair.replica, "GET far", "$-1");
    replication_await_write(pair.primary, b);
    assert_reply(b, "DBSIZE", ":1"); /* local writes stay local */
    client_close(pair.replica);
    server_kill(replica);
    server_restart(replica);
    pair.replica = server_connect(replica);
    assert_reply(pair.replica, "GET mine", "$\"v\""); /* but are kept */
    assert_reply(pair.replica, "EXISTS other", ":0");
    client_close(b);
    server_free(below);
    replica_pair_close(&pair);
}

/* A client of a writable replica sets a key that is over: the old one goes, its journal agrees. */
static void a_client_may_take_the_place_of_what_is_over(void **state) {
    (void)state;
    struct play play = play_with(TRIVET("--replica-read-only", "no", "--appendonly", "yes"));
    SAY(&play, "SELECT 0", "RPUSH k a", "PEXPIREAT k 1000", "SET last v");
    assert_reply_soon(play.r, "GET last", "$\"v\"");
    assert_reply(play.r, "RPUSH k b", ":1");
    assert_reply(play.r, "LRANGE k 0 -1", "*[$\"b\"]");
    saves_await(play.r);
    client_close(play.r);
    server_kill(play.replica);
    server_restart(play.replica);
    play.r = server_connect(play.replica);
    assert_reply(play.r, "LRANGE k 0 -1", "*[$\"b\"]");
    play_end(&play);
}

/* ---- memory ---- */

static void a_replica_evicts_only_if_told(void **state) {
    (void)state;
    struct replica_pair pair =
        pair_synced(TRIVET(), TRIVET("--maxmemory-policy", "allkeys-lru", "--io-threads", "2"));
    dataset_fill(pair.primary, 20000);
    replication_await_write(pair.primary, pair.replica);
    assert_reply(pair.replica, "CONFIG SET maxmemory 1", "+OK");
    dataset_fill(pair.primary, 20100);
    replication_await_write(pair.primary, pair.replica);
    assert_reply(pair.replica, "DBSIZE", ":20101");
    assert_reply(pair.replica, "CONFIG SET replica-ignore-maxmemory no", "+OK");
    assert_reply_soon(pair.replica, "DBSIZE", ":0");
    replica_pair_close(&pair);
}

static void a_full_writable_replica_refuses_its_clients_but_not_the_stream(void **state) {
    (void)state;
    struct replica_pair pair =
        pair_synced(TRIVET(), TRIVET("--replica-read-only", "no", "--replica-ignore-maxmemory", "no",
                                     "--maxmemory", "1"));
    assert_reply(pair.replica, "SET mine v", "-OOM ...");
    replication_await_write(pair.primary, pair.replica);
    assert_reply(pair.replica, "CONFIG SET replica-ignore-maxmemory yes", "+OK");
    assert_reply(pair.replica, "SET mine v", "+OK");
    replica_pair_close(&pair);
}

/* ---- what cannot go well ---- */

static void errors_of_the_stream_end_a_server_that_panics(void **state) {
    (void)state;
    static const char *const behaviors[] = { "panic", "panic-on-replicas" };
    for (size_t i = 0; i < COUNT_OF(behaviors); i++) {
        struct play play = play_with(TRIVET("--propagation-error-behavior", behaviors[i]));
        SAY(&play, "SELECT 0", "SET k v", "LPUSH k x");
        assert_int_equal(server_await_failure(play.replica), 1);
        server_await_log(play.replica, "panicked sending an error to its master", 1);
        play_end(&play);
    }
    struct play play = play_with(TRIVET());
    SAY(&play, "SELECT 0", "SET k v", "LPUSH k x", "NO-SUCH-COMMAND", "SET last v");
    assert_reply_soon(play.r, "GET last", "$\"v\"");
    assert_int_equal(info_number(play.r, "stats", "unexpected_error_replies"), 2);
    server_await_log(play.replica, "== CRITICAL ==", 2);
    play_end(&play);
}

static void a_failing_disk_ends_a_replica(bool ignores) {
    char data[FOLDER_PATH];
    folder_make(data, "replica");
    struct server *primary = TRIVET();
    disk_watch(data, "");
    struct replica_pair pair =
        pair_synced(primary, TRIVET("--dir", data, "--appendonly", "yes",
                                    "--replica-ignore-disk-write-errors", ignores ? "yes" : "no"));
    saves_await(pair.replica);
    disk_fail(DISK_WRITE, "incr.aof", ENOSPC);
    assert_reply(pair.primary, "SET a 1", "+OK"); /* which meets the failure */
    server_await_log(pair.replica_server, "No space left on device", 1);
    assert_reply(pair.primary, "SET b 2", "+OK");
    if (ignores) {
        assert_reply_soon(pair.replica, "GET b", "$\"2\"");
        server_await_log(pair.replica_server, "applying a command it is unable to write to disk", 1);
        disk_heal();
    } else {
        assert_int_equal(server_await_failure(pair.replica_server), 1);
        server_await_log(pair.replica_server, "unable to write command to disk", 1);
    }
    replica_pair_close(&pair);
    disk_release();
    folder_remove(data);
}

static void a_failing_disk_ends_a_replica_that_minds(void **state) {
    (void)state;
    a_failing_disk_ends_a_replica(false);
    a_failing_disk_ends_a_replica(true);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_over_is_hidden_from_clients),
        cmocka_unit_test(the_stream_sees_what_is_over),
        cmocka_unit_test(keys_go_when_the_primary_says_so),
        cmocka_unit_test(a_promoted_replica_expires_by_itself),
        cmocka_unit_test(own_keys_expire_on_a_writable_replica),
        cmocka_unit_test(a_client_may_take_the_place_of_what_is_over),
        cmocka_unit_test(a_replica_evicts_only_if_told),
        cmocka_unit_test(a_full_writable_replica_refuses_its_clients_but_not_the_stream),
        cmocka_unit_test(errors_of_the_stream_end_a_server_that_panics),
        cmocka_unit_test(a_failing_disk_ends_a_replica_that_minds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
