/* test_replica_load.c: a replica takes over its primary's data: the ways of repl-diskless-load, what clients
 * see meanwhile, what becomes of its files, and what a failed load leaves. */
#include "../harness/dataset.h"
#include "../harness/fixture.h"
#include "../harness/replication.h"
#include "../harness/wire.h"
#include "files.h"
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

#define LOADING_REPLY "-LOADING ..."
#define LIBRARY(name, result)                              \
    "FUNCTION LOAD REPLACE \"#!lua name=" name "\\n"       \
    "redis.register_function{function_name='" name "_f', " \
    "callback=function() return " result " end, flags={'no-writes'}}\""

static const char *const modes[] = { "disabled", "on-empty-db", "flush-before-load", "swapdb" };

/* Of every type, in two databases, with a function. */
static void fill_all(struct client *c) {
    static const char *const commands[] = {
        "SELECT 0",
        "RPUSH list a b c",
        "SADD set x y z",
        "HSET hash f v g w",
        "ZADD zset 1 a 2 b",
        "XADD stream 1-1 f v",
        "SET dated v PXAT 4102444800123",
        "SELECT 9",
        "SET elsewhere v",
        "SELECT 0",
        LIBRARY("lib", "'new'"),
    };
    dataset_fill(c, 500);
    for (size_t i = 0; i < COUNT_OF(commands); i++) client_queue_line(c, commands[i]);
    client_flush(c);
    client_skip(c, COUNT_OF(commands));
}

static void check_all(struct client *c) {
    assert_reply(c, "DBSIZE", ":506");
    assert_reply(c, "GET key:499", "$\"value:499\"");
    assert_reply(c, "LRANGE list 0 -1", "*[$\"a\", $\"b\", $\"c\"]");
    assert_reply(c, "HGET hash g", "$\"w\"");
    assert_reply(c, "ZSCORE zset b", "$\"2\"");
    assert_reply(c, "XLEN stream", ":1");
    assert_reply(c, "PEXPIRETIME dated", ":4102444800123");
    assert_reply(c, "FCALL_RO lib_f 0", "$\"new\"");
    assert_reply(c, "FCALL_RO old_f 0", "-ERR Function not found");
    assert_reply(c, "SELECT 9", "+OK");
    assert_reply(c, "GET elsewhere", "$\"v\"");
    assert_reply(c, "SELECT 3", "+OK");
    assert_reply(c, "DBSIZE", ":0");
    assert_reply(c, "SELECT 0", "+OK");
}

/* Data that must be gone afterwards. */
static void fill_old(struct client *c) {
    assert_reply(c, "SET old v", "+OK");
    assert_reply(c, "SELECT 3", "+OK");
    assert_reply(c, "SET old v", "+OK");
    assert_reply(c, "SELECT 0", "+OK");
    client_queue_line(c, LIBRARY("old", "1"));
    client_skip(c, 1);
}

static size_t count_files(struct server *s, const char *pattern) {
    glob_t found;
    size_t count = glob(server_path(s, pattern), 0, NULL, &found) == 0 ? found.gl_pathc : 0;
    globfree(&found);
    return count;
}

static void load_by(struct server *primary, const char *mode, const char *threads) {
    struct server *replica = TRIVET("--repl-diskless-load", mode, "--io-threads", threads);
    struct client *p = server_connect(primary), *r = server_connect(replica);
    fill_old(r);
    replication_sync(primary, replica);
    assert_reply(p, "DEL sync-mark", ":1");
    assert_reply_soon(r, "EXISTS sync-mark", ":0");
    check_all(r);
    bool on_disk = strcmp(mode, "disabled") == 0 || strcmp(mode, "on-empty-db") == 0;
    assert_int_equal(count_files(replica, "dump.rdb"), on_disk);
    assert_int_equal(count_files(replica, "temp-*"), 0);
    client_close(p);
    client_close(r);
    server_free(replica);
}

static void load_all_ways(struct server *primary) {
    struct client *p = server_connect(primary);
    fill_all(p);
    client_close(p);
    for (size_t i = 0; i < COUNT_OF(modes); i++) {
        load_by(primary, modes[i], "1");
        load_by(primary, modes[i], "4");
    }
    server_free(primary);
}

static void data_of_trivet_comes_in_every_way(void **state) {
    (void)state;
    load_all_ways(TRIVET());
}

static void data_of_redis_comes_in_every_way(void **state) {
    (void)state;
    load_all_ways(REDIS());
}

static void on_empty_db_needs_no_file_if_there_are_no_keys(void **state) {
    (void)state;
    struct server *primary = TRIVET(), *replica = TRIVET("--repl-diskless-load", "on-empty-db");
    struct client *p = server_connect(primary), *r = server_connect(replica);
    fill_all(p);
    replication_sync(primary, replica);
    assert_int_equal(count_files(replica, "*.rdb"), 0);
    client_close(p);
    client_close(r);
    server_free(replica);
    server_free(primary);
}

static void rdb_del_sync_files_leaves_no_file_behind(void **state) {
    (void)state;
    struct server *primary = TRIVET();
    struct server *replica = TRIVET("--rdb-del-sync-files", "yes"),
                  *saver = TRIVET("--rdb-del-sync-files", "yes", "--save", "3600 1");
    struct client *p = server_connect(primary), *r = server_connect(replica), *s = server_connect(saver);
    replication_sync(primary, replica);
    replication_sync(primary, saver);
    assert_soon(count_files(replica, "*.rdb") == 0);
    assert_int_equal(count_files(saver, "dump.rdb"), 1);
    client_close(p);
    client_close(r);
    client_close(s);
    server_free(replica);
    server_free(saver);
    server_free(primary);
}

/* ---- while it loads ---- */

#define PAIR(...) replica_pair_of(TRIVET(), TRIVET(__VA_ARGS__))

/* The replica's history goes on under another name, so it must get all data when it comes back; but it still
 * knows the name that the primary's has. */
static void part(struct replica_pair *pair) { replication_promote(pair->replica_server); }

static void follow(struct replica_pair *pair) {
    replication_follow(pair->replica_server, server_port(pair->primary_server));
}

static void sync_pair(struct replica_pair *pair) {
    replication_sync(pair->primary_server, pair->replica_server);
}

/* The same history, and a load that takes its time. */
static void begin_slow_reload(struct replica_pair *pair) {
    part(pair);
    assert_reply(pair->replica, "CONFIG SET key-load-delay 2000", "+OK");
    follow(pair);
}

static void old_data_is_read_until_the_swap(void **state) {
    (void)state;
    struct replica_pair pair = PAIR("--repl-diskless-load", "swapdb");
    struct client *other = server_connect(pair.replica_server);
    dataset_fill(pair.primary, 5000);
    assert_reply(pair.primary, "SET k before", "+OK");
    client_queue_line(pair.primary, LIBRARY("lib", "'before'"));
    client_skip(pair.primary, 1);
    sync_pair(&pair);
    part(&pair);
    assert_reply(pair.primary, "SET k after", "+OK");
    client_queue_line(pair.primary, LIBRARY("lib", "'after'"));
    client_skip(pair.primary, 1);
    assert_reply(other, "WATCH k", "+OK");
    assert_reply(pair.replica, "CONFIG SET key-load-delay 2000", "+OK");
    follow(&pair);
    assert_info_soon(pair.replica, "persistence", "async_loading", "1");
    assert_int_equal(info_number(pair.replica, "persistence", "loading"), 0);
    assert_true(info_number(pair.replica, "persistence", "loading_total_bytes") > 0);
    assert_reply(pair.replica, "GET k", "$\"before\"");
    assert_reply(pair.replica, "FCALL_RO lib_f 0", "$\"before\"");
    assert_reply(pair.replica, "EVAL \"return redis.call('GET', 'k')\" 0", "$\"before\"");
    assert_reply(pair.replica, "BGSAVE", LOADING_REPLY);
    assert_reply(pair.replica, "REPLICAOF NO ONE", LOADING_REPLY);
    assert_reply(pair.replica, "DEBUG RELOAD", "-ERR The data set is being loaded already");
    assert_int_equal(info_number(pair.replica, "persistence", "async_loading"), 1);
    assert_reply(pair.replica, "CONFIG SET key-load-delay 0", "+OK");
    assert_info_soon(pair.replica, "persistence", "async_loading", "0");
    assert_reply_soon(pair.replica, "GET k", "$\"after\"");
    assert_reply(pair.replica, "FCALL_RO lib_f 0", "$\"after\"");
    assert_reply(other, "MULTI", "+OK");
    assert_reply(other, "PING", "+QUEUED");
    assert_reply(other, "EXEC", "*-1"); /* what it watched is other data now */
    replication_await_write(pair.primary, pair.replica);
    client_close(other);
    replica_pair_close(&pair);
}

/* Twice the same over, so that the second set has had keys before. */
static void sets_change_places_again_and_again(void **state) {
    (void)state;
    struct replica_pair pair = PAIR("--repl-diskless-load", "swapdb", "--databases", "3");
    dataset_fill(pair.primary, 2000);
    assert_reply(pair.primary, "SELECT 2", "+OK");
    dataset_fill(pair.primary, 100);
    assert_reply(pair.primary, "SELECT 0", "+OK");
    sync_pair(&pair);
    for (int i = 0; i < 3; i++) {
        part(&pair);
        sync_pair(&pair);
        server_await_log(pair.replica_server, "Loading DB beside the old data", (size_t)i + 2);
        char *digest = strdup(client_ask(pair.primary, "DEBUG DIGEST"));
        assert_string_equal(client_ask(pair.replica, "DEBUG DIGEST"), digest);
        free(digest);
        assert_reply(pair.replica, "DBSIZE", ":2001");
        assert_reply(pair.replica, "DEBUG DATABASE-BYTES 2",
                     client_ask(pair.primary, "DEBUG DATABASE-BYTES 2"));
    }
    replica_pair_close(&pair);
}

/* The primary does not continue, but it is the same one. */
static void the_same_id_is_the_same_history(void **state) {
    (void)state;
    struct wire_listener *listener = wire_listen();
    struct server *replica = TRIVET("--repl-diskless-load", "swapdb");
    struct client *r = server_connect(replica);
    replication_follow(replica, wire_port(listener));
    for (int i = 0; i < 2; i++) {
        struct wire *link = wire_feed(listener, 1000);
        wire_close(link);
    }
    server_await_log(replica, "which is kept meanwhile", 1);
    server_await_log(replica, "which can be read meanwhile", 1);
    wire_listener_close(listener);
    client_close(r);
    server_free(replica);
}

static void other_data_is_not_served_while_it_loads(void **state) {
    (void)state;
    struct replica_pair pair = PAIR("--repl-diskless-load", "swapdb", "--key-load-delay", "2000");
    struct client *other = server_connect(pair.replica_server);
    dataset_fill(pair.primary, 5000);
    assert_reply(pair.replica, "SET old v", "+OK");
    assert_reply(other, "MULTI", "+OK");
    assert_reply(other, "GET old", "+QUEUED");
    follow(&pair);
    assert_reply_soon(pair.replica, "GET old", LOADING_REPLY);
    assert_int_equal(info_number(pair.replica, "persistence", "loading"), 1);
    assert_int_equal(info_number(pair.replica, "persistence", "async_loading"), 0);
    assert_reply(other, "EXEC", "-EXECABORT Transaction discarded because of: LOADING ...");
    assert_reply(pair.replica, "CONFIG SET key-load-delay 0", "+OK");
    replication_await_write(pair.primary, pair.replica);
    assert_reply(pair.replica, "EXISTS old", ":0");
    client_close(other);
    replica_pair_close(&pair);
}

static void a_shutdown_ends_a_load(const char *mode) {
    struct replica_pair pair = PAIR("--repl-diskless-load", mode, "--appendonly", "yes", "--io-threads", "2");
    dataset_fill(pair.primary, 20000);
    sync_pair(&pair);
    begin_slow_reload(&pair);
    assert_info_soon(pair.replica, "persistence", strcmp(mode, "swapdb") == 0 ? "async_loading" : "loading",
                     "1");
    client_send(pair.replica, "SHUTDOWN");
    server_await_end(pair.replica_server);
    replica_pair_close(&pair);
}

static void a_shutdown_ends_every_load(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(modes); i++) a_shutdown_ends_a_load(modes[i]);
}

static void the_primary_hears_of_a_long_load(void **state) {
    (void)state;
    struct wire_listener *listener = wire_listen();
    struct server *donor = TRIVET(), *replica = TRIVET("--key-load-delay", "1000");
    struct client *d = server_connect(donor), *r = server_connect(replica);
    struct text psync = { 0 }, got = { 0 }, file = { 0 };
    dataset_fill(d, 20000);
    assert_reply(d, "SAVE", "+OK");
    file_read(server_path(donor, "dump.rdb"), &file);
    replication_follow(replica, wire_port(listener));
    struct wire *link = wire_accept_psync(listener, &psync);
    wire_send_fullresync(link, WIRE_ID, 1000, text_slice(&file));
    wire_take(link, 1, &got); /* a sign of life, while clients are answered */
    assert_string_equal(text_str(&got), "\n");
    assert_reply(r, "GET k", LOADING_REPLY);
    wire_take(link, 1, &got);
    assert_string_equal(text_str(&got), "\n\n");
    assert_reply(r, "CONFIG SET key-load-delay 0", "+OK");
    wire_await_ack(link, 1000);
    assert_reply(r, "DBSIZE", ":20000");
    wire_close(link);
    text_release(&psync);
    text_release(&got);
    wire_listener_close(listener);
    text_release(&file);
    client_close(d);
    client_close(r);
    server_free(replica);
    server_free(donor);
}

static void replica_lazy_flush_no_waits_for_the_memory(void **state) {
    (void)state;
    struct replica_pair pair = PAIR("--replica-lazy-flush", "no");
    dataset_fill(pair.replica, 50000);
    dataset_fill(pair.primary, 10);
    sync_pair(&pair);
    assert_reply(pair.replica, "DBSIZE", ":11");
    assert_int_equal(info_number(pair.replica, "memory", "lazyfree_pending_objects"), 0);
    replica_pair_close(&pair);
}

/* ---- loads that fail ---- */

/* Files: one that is sound as a whole (no checksum), but whose one value makes no sense; one that ends too
 * early; one of a version that nobody knows. */
#define BAD_VALUE LIT("REDIS0010\xfe\0\x10\x01k\x05xxxxx\xff\0\0\0\0\0\0\0\0")
#define CUT LIT("REDIS0010\xfe\0\0\x01k\x05val")
#define UNKNOWN_VERSION LIT("REDIS0099\xff\0\0\0\0\0\0\0\0")

/* The replica comes, gets this file, and hangs up; it will come again. */
static void lie(struct wire_listener *listener, struct slice rdb) {
    struct text psync = { 0 };
    struct wire *link = wire_accept_psync(listener, &psync);
    wire_send_fullresync(link, WIRE_ID, 1000, rdb);
    wire_await_end(link);
    wire_close(link);
    text_release(&psync);
}

static void a_broken_file_costs_no_data(void **state) {
    (void)state;
    struct wire_listener *listener = wire_listen();
    for (size_t i = 0; i < COUNT_OF(modes); i++) {
        struct server *replica = TRIVET("--repl-diskless-load", modes[i]);
        struct client *r = server_connect(replica);
        assert_reply(r, "SET old v", "+OK");
        replication_follow(replica, wire_port(listener));
        lie(listener, CUT);
        server_await_log(replica, "is damaged; nothing was changed", 1);
        assert_reply(r, "GET old", "$\"v\"");
        lie(listener, UNKNOWN_VERSION);
        server_await_log(replica, "is damaged; nothing was changed", 2);
        assert_reply(r, "GET old", "$\"v\"");
        assert_int_equal(count_files(replica, "*.rdb"), 0);
        client_close(r);
        server_free(replica);
    }
    wire_listener_close(listener);
}

/* Sound as a whole, but not all of it can be loaded. */
static void a_bad_value_costs_data_only_in_place(void **state) {
    (void)state;
    struct wire_listener *listener = wire_listen();
    for (size_t i = 0; i < COUNT_OF(modes); i++) {
        bool beside = strcmp(modes[i], "swapdb") == 0;
        struct server *replica = TRIVET("--repl-diskless-load", modes[i], "--appendonly", "yes");
        struct client *r = server_connect(replica);
        assert_reply(r, "SET old v", "+OK");
        replication_follow(replica, wire_port(listener));
        lie(listener, BAD_VALUE);
        server_await_log(replica, "Failed trying to load the MASTER synchronization DB", 1);
        assert_reply_soon(r, "GET old", beside ? "$\"v\"" : "$-1");
        assert_int_equal(count_files(replica, "*.rdb"), 0);
        /* It asks for all again, and takes what is right. */
        struct text psync = { 0 };
        struct wire *link = wire_accept_psync(listener, &psync);
        assert_true(beside == !strstr(text_str(&psync), "PSYNC ?"));
        wire_send_fullresync(link, WIRE_ID, 1000, WIRE_RDB_EMPTY);
        wire_await_ack(link, 1000);
        assert_reply_soon(r, "GET old", "$-1");
        wire_close(link);
        text_release(&psync);
        client_close(r);
        server_free(replica);
    }
    wire_listener_close(listener);
}

/* After a load that failed it has no data; as a primary it begins with that, journal and all. */
static void a_promoted_replica_without_data_takes_writes(void **state) {
    (void)state;
    struct wire_listener *listener = wire_listen();
    struct server *replica = TRIVET("--appendonly", "yes");
    struct client *r = server_connect(replica);
    assert_reply(r, "SET old v", "+OK");
    replication_follow(replica, wire_port(listener));
    lie(listener, BAD_VALUE);
    server_await_log(replica, "Failed trying to load the MASTER synchronization DB", 1);
    assert_reply_soon(r, "REPLICAOF NO ONE", "+OK");
    assert_reply(r, "SET new v", "+OK");
    assert_info_soon(r, "persistence", "aof_rewrite_in_progress", "0");
    server_kill(replica);
    server_restart(replica);
    client_close(r);
    r = server_connect(replica);
    assert_reply(r, "GET new", "$\"v\"");
    assert_reply(r, "GET old", "$-1");
    wire_listener_close(listener);
    client_close(r);
    server_free(replica);
}

/* ---- files of the replica's own ---- */

static void reopen(struct server *s, struct client **c) {
    client_close(*c);
    server_kill(s);
    server_restart(s);
    *c = server_connect(s);
}

static void the_journal_begins_anew_with_the_new_data(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(modes); i++) {
        struct replica_pair pair = PAIR("--repl-diskless-load", modes[i], "--appendonly", "yes");
        dataset_fill(pair.primary, 300);
        assert_reply(pair.replica, "SET old v", "+OK");
        sync_pair(&pair);
        assert_info_soon(pair.replica, "persistence", "aof_rewrite_in_progress", "0");
        assert_reply(pair.primary, "SET late v", "+OK");
        replication_await_write(pair.primary, pair.replica);
        reopen(pair.replica_server, &pair.replica);
        assert_reply(pair.replica, "DBSIZE", ":302");
        assert_reply(pair.replica, "GET late", "$\"v\"");
        assert_reply(pair.replica, "EXISTS old", ":0");
        replica_pair_close(&pair);
    }
}

/* SIGKILL while it loads, and after it, while the new base is written: the old files are in force. */
static void a_crash_brings_back_the_old_data_whole(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(modes); i++) {
        struct replica_pair pair = PAIR("--repl-diskless-load", modes[i], "--appendonly", "yes");
        dataset_fill(pair.primary, 3000);
        assert_reply(pair.replica, "SET old v", "+OK");
        assert_reply(pair.replica, "CONFIG SET key-load-delay 2000", "+OK");
        follow(&pair);
        assert_info_soon(pair.replica, "persistence", "loading", "1");
        reopen(pair.replica_server, &pair.replica);
        assert_reply(pair.replica, "DBSIZE", ":1");
        assert_reply(pair.replica, "CONFIG SET rdb-key-save-delay 2000", "+OK");
        sync_pair(&pair);
        assert_int_equal(info_number(pair.replica, "persistence", "aof_rewrite_in_progress"), 1);
        assert_reply(pair.replica, "DBSIZE", ":3001");
        reopen(pair.replica_server, &pair.replica);
        assert_reply(pair.replica, "DBSIZE", ":1");
        assert_reply(pair.replica, "GET old", "$\"v\"");
        replica_pair_close(&pair);
    }
}

/* With swapdb the journal goes on until the sets change places. */
static void what_is_saved_of_old_data_is_given_up(void **state) {
    (void)state;
    struct replica_pair pair = PAIR("--repl-diskless-load", "swapdb", "--appendonly", "yes");
    dataset_fill(pair.primary, 200);
    dataset_fill(pair.replica, 3000);
    assert_reply(pair.replica, "CONFIG SET rdb-key-save-delay 1000", "+OK");
    assert_reply(pair.replica, "BGREWRITEAOF", "+Background append only file rewriting started");
    assert_reply(pair.replica, "BGSAVE SCHEDULE", "+Background saving scheduled");
    sync_pair(&pair);
    assert_reply(pair.replica, "CONFIG SET rdb-key-save-delay 0", "+OK");
    assert_info_soon(pair.replica, "persistence", "aof_rewrite_scheduled", "0");
    assert_info_soon(pair.replica, "persistence", "aof_rewrite_in_progress", "0");
    reopen(pair.replica_server, &pair.replica);
    assert_reply(pair.replica, "DBSIZE", ":201");
    replica_pair_close(&pair);
}

static void changes_are_those_that_no_file_has(void **state) {
    (void)state;
    struct replica_pair pair = PAIR("--save", "3600 1000000");
    struct server *in_memory = TRIVET("--repl-diskless-load", "swapdb");
    struct client *m = server_connect(in_memory);
    dataset_fill(pair.primary, 100);
    assert_reply(pair.replica, "SET old v", "+OK");
    follow(&pair);
    replication_follow(in_memory, server_port(pair.primary_server));
    assert_reply_soon(pair.replica, "DBSIZE", ":100");
    assert_reply_soon(m, "DBSIZE", ":100");
    assert_int_equal(info_number(pair.replica, "persistence", "rdb_changes_since_last_save"), 0);
    assert_int_equal(info_number(m, "persistence", "rdb_changes_since_last_save"), 100);
    client_close(m);
    server_free(in_memory);
    replica_pair_close(&pair);
}

/* ---- clients that wait for changes ---- */

static void clients_hear_that_all_data_is_new(const char *mode) {
    struct replica_pair pair = PAIR("--repl-diskless-load", mode);
    struct client *waiter = server_connect(pair.replica_server),
                  *tracker = server_connect(pair.replica_server),
                  *other = server_connect(pair.replica_server);
    assert_reply(pair.replica, "SET k old", "+OK");
    assert_reply(pair.primary, "XADD stream 7-1 f v", "$\"7-1\"");
    assert_reply(tracker, "HELLO 3", "%{...}");
    assert_reply(tracker, "CLIENT TRACKING ON", "+OK");
    assert_reply(tracker, "GET k", "$\"old\"");
    assert_reply(other, "WATCH k", "+OK");
    replication_follow(pair.replica_server, 1); /* so that becoming a replica does not end the wait */
    send_and_wait(pair.replica, waiter, "XREAD BLOCK 0 STREAMS stream 0");
    sync_pair(&pair);
    assert_next(waiter, "*[*[$\"stream\", *[*[$\"7-1\", *[$\"f\", $\"v\"]]]]]");
    assert_next(tracker, ">[$\"invalidate\", _]");
    assert_reply(other, "MULTI", "+OK");
    assert_reply(other, "PING", "+QUEUED");
    assert_reply(other, "EXEC", "*-1");
    client_close(waiter);
    client_close(tracker);
    client_close(other);
    replica_pair_close(&pair);
}

static void clients_hear_of_new_data_in_every_way(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(modes); i++) clients_hear_that_all_data_is_new(modes[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_of_trivet_comes_in_every_way),
        cmocka_unit_test(data_of_redis_comes_in_every_way),
        cmocka_unit_test(on_empty_db_needs_no_file_if_there_are_no_keys),
        cmocka_unit_test(rdb_del_sync_files_leaves_no_file_behind),
        cmocka_unit_test(old_data_is_read_until_the_swap),
        cmocka_unit_test(sets_change_places_again_and_again),
        cmocka_unit_test(the_same_id_is_the_same_history),
        cmocka_unit_test(other_data_is_not_served_while_it_loads),
        cmocka_unit_test(a_shutdown_ends_every_load),
        cmocka_unit_test(the_primary_hears_of_a_long_load),
        cmocka_unit_test(replica_lazy_flush_no_waits_for_the_memory),
        cmocka_unit_test(a_broken_file_costs_no_data),
        cmocka_unit_test(a_bad_value_costs_data_only_in_place),
        cmocka_unit_test(a_promoted_replica_without_data_takes_writes),
        cmocka_unit_test(the_journal_begins_anew_with_the_new_data),
        cmocka_unit_test(a_crash_brings_back_the_old_data_whole),
        cmocka_unit_test(what_is_saved_of_old_data_is_given_up),
        cmocka_unit_test(changes_are_those_that_no_file_has),
        cmocka_unit_test(clients_hear_of_new_data_in_every_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
