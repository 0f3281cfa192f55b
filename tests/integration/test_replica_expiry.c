/* test_replica_expiry.c: what is over on a replica: hidden from clients, seen by the stream, gone when the
 * primary says so; keys of a writable replica's own; memory and disk limits of a replica. */
#include "../faults/server_disk.h"
#include "replica_pair.h"

struct pair {
    struct server *primary, *replica;
    struct client *p, *r;
};

static struct pair pair_of(struct server *primary, struct server *replica) {
    struct pair pair = { primary, replica, server_connect(primary), server_connect(replica) };
    follow(pair.r, pair.primary, pair.p);
    return pair;
}

static void pair_close(struct pair *pair) {
    client_close(pair->p);
    client_close(pair->r);
    server_free(pair->replica);
    server_free(pair->primary);
}

/* A replica of a primary that the test plays. */
struct play {
    struct server *replica;
    struct client *r;
    int listener, link;
};

static struct play play_with(struct server *replica) {
    struct play play = { .replica = replica, .r = server_connect(replica) };
    play.link = stage_begin(play.r, &play.listener);
    return play;
}

static void play_end(struct play *play) {
    close(play->link);
    close(play->listener);
    client_close(play->r);
    server_free(play->replica);
}

static void say(struct play *play, const char *const *lines) {
    for (; *lines; lines++) stage_command(play->link, *lines);
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
    struct pair pair = pair_of(primary, TRIVET());
    assert_reply(pair.p, "DEBUG SET-ACTIVE-EXPIRE 0", "+OK");
    assert_reply(pair.p, "SET k v PX 1", "+OK");
    await_sync(pair.r, pair.p);
    assert_reply_soon(pair.r, "GET k", "$-1");
    assert_reply(pair.r, "DBSIZE", ":2");
    assert_reply(pair.p, "DEBUG SET-ACTIVE-EXPIRE 1", "+OK");
    assert_reply_soon(pair.r, "DBSIZE", ":1");
    pair_close(&pair);
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
    struct pair pair = pair_of(primary, replica);
    struct server *below = TRIVET();
    struct client *b = server_connect(below);
    follow_port(b, server_port(replica));
    await_sync(b, pair.p);
    assert_reply(pair.r, "SET mine v EX 1000", "+OK");
    assert_reply(pair.r, "SET other v", "+OK");
    assert_reply(pair.r, "PEXPIRE other 1", ":1");
    assert_reply(pair.r, "SELECT 65", "+OK");
    assert_reply(pair.r, "SET far v PX 1", "+OK");
    assert_reply(pair.r, "SELECT 0", "+OK");
    assert_reply_soon(pair.r, "DBSIZE", ":2"); /* `other` is gone: mine, sync-mark */
    assert_int_equal(info_number(pair.r, "stats", "slave_expires_tracked_keys"), 1);
    assert_reply(pair.r, "PERSIST mine", ":1");
    for (int i = 0; i < 6000 && info_number(pair.r, "stats", "slave_expires_tracked_keys") != 0; i++)
        nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
    assert_int_equal(info_number(pair.r, "stats", "slave_expires_tracked_keys"), 0);
    assert_reply(pair.r, "SELECT 65", "+OK");
    assert_reply(pair.r, "DBSIZE", ":1"); /* as in Valkey: nobody sees to it */
    assert_reply(pair.r, "GET far", "$-1");
    await_sync(b, pair.p);
    assert_reply(b, "DBSIZE", ":1"); /* local writes stay local */
    client_close(pair.r);
    server_kill(replica);
    server_restart(replica);
    pair.r = server_connect(replica);
    assert_reply(pair.r, "GET mine", "$\"v\""); /* but are kept */
    assert_reply(pair.r, "EXISTS other", ":0");
    client_close(b);
    server_free(below);
    pair_close(&pair);
}

/* A client of a writable replica sets a key that is over: the old one goes, its journal agrees. */
static void a_client_may_take_the_place_of_what_is_over(void **state) {
    (void)state;
    struct play play = play_with(TRIVET("--replica-read-only", "no", "--appendonly", "yes"));
    SAY(&play, "SELECT 0", "RPUSH k a", "PEXPIREAT k 1000", "SET last v");
    assert_reply_soon(play.r, "GET last", "$\"v\"");
    assert_reply(play.r, "RPUSH k b", ":1");
    assert_reply(play.r, "LRANGE k 0 -1", "*[$\"b\"]");
    while (info_number(play.r, "persistence", "aof_rewrite_in_progress")) {
    }
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
    struct pair pair = pair_of(TRIVET(), TRIVET("--maxmemory-policy", "allkeys-lru", "--io-threads", "2"));
    fill(pair.p, 20000);
    await_sync(pair.r, pair.p);
    assert_reply(pair.r, "CONFIG SET maxmemory 1", "+OK");
    fill(pair.p, 20100);
    await_sync(pair.r, pair.p);
    assert_reply(pair.r, "DBSIZE", ":20101");
    assert_reply(pair.r, "CONFIG SET replica-ignore-maxmemory no", "+OK");
    assert_reply_soon(pair.r, "DBSIZE", ":0");
    pair_close(&pair);
}

static void a_full_writable_replica_refuses_its_clients_but_not_the_stream(void **state) {
    (void)state;
    struct pair pair = pair_of(TRIVET(), TRIVET("--replica-read-only", "no", "--replica-ignore-maxmemory",
                                                "no", "--maxmemory", "1"));
    assert_reply(pair.r, "SET mine v", "-OOM ...");
    await_sync(pair.r, pair.p);
    assert_reply(pair.r, "CONFIG SET replica-ignore-maxmemory yes", "+OK");
    assert_reply(pair.r, "SET mine v", "+OK");
    pair_close(&pair);
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
    char data[64] = "/tmp/trivet-replica-XXXXXX", command[128];
    assert_non_null(mkdtemp(data));
    struct server *primary = TRIVET();
    disk_watch(data, "");
    struct pair pair = pair_of(primary, TRIVET("--dir", data, "--appendonly", "yes",
                                               "--replica-ignore-disk-write-errors", ignores ? "yes" : "no"));
    while (info_number(pair.r, "persistence", "aof_rewrite_in_progress")) {
    }
    disk_fail(DISK_WRITE, "incr.aof", ENOSPC);
    assert_reply(pair.p, "SET a 1", "+OK"); /* which meets the failure */
    server_await_log(pair.replica, "No space left on device", 1);
    assert_reply(pair.p, "SET b 2", "+OK");
    if (ignores) {
        assert_reply_soon(pair.r, "GET b", "$\"2\"");
        server_await_log(pair.replica, "applying a command it is unable to write to disk", 1);
        disk_heal();
    } else {
        assert_int_equal(server_await_failure(pair.replica), 1);
        server_await_log(pair.replica, "unable to write command to disk", 1);
    }
    pair_close(&pair);
    disk_release();
    snprintf(command, sizeof command, "rm -rf '%s'", data);
    assert_int_equal(system(command), 0);
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
