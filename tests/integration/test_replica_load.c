/* test_replica_load.c: a replica takes over its primary's data: the ways of repl-diskless-load, what clients
 * see meanwhile, what becomes of its files, and what a failed load leaves. */
#include "replica_pair.h"
#include <glob.h>

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
    fill(c, 500);
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
    follow(r, primary, p);
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
    follow(r, primary, p);
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
    follow(r, primary, p);
    follow(s, primary, p);
    assert_int_equal(count_files(replica, "*.rdb"), 0);
    assert_int_equal(count_files(saver, "dump.rdb"), 1);
    client_close(p);
    client_close(r);
    client_close(s);
    server_free(replica);
    server_free(saver);
    server_free(primary);
}

/* ---- while it loads ---- */

struct pair {
    struct server *primary, *replica;
    struct client *p, *r, *other; /* `other`: a second client of the replica */
};

static struct pair pair_open(const char *const *more) {
    struct pair pair = { .primary = TRIVET(), .replica = launch(NULL, more) };
    pair.p = server_connect(pair.primary);
    pair.r = server_connect(pair.replica);
    pair.other = server_connect(pair.replica);
    return pair;
}
#define PAIR(...) pair_open((const char *const[]){ __VA_ARGS__ __VA_OPT__(, ) NULL })

static void pair_close(struct pair *pair) {
    client_close(pair->p);
    client_close(pair->r);
    client_close(pair->other);
    server_free(pair->replica);
    server_free(pair->primary);
}

/* The same history, and a load that takes its time. */
static void begin_slow_reload(struct pair *pair) {
    part(pair->r);
    assert_reply(pair->r, "CONFIG SET key-load-delay 2000", "+OK");
    follow_port(pair->r, server_port(pair->primary));
}

static void await_info(struct client *c, const char *field, int64_t value) {
    for (int i = 0; i < 6000; i++) {
        if (info_number(c, "persistence", field) == value) return;
        nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
    }
    fail_msg("%s does not become %lld", field, (long long)value);
}

static void old_data_is_read_until_the_swap(void **state) {
    (void)state;
    struct pair pair = PAIR("--repl-diskless-load", "swapdb");
    fill(pair.p, 5000);
    assert_reply(pair.p, "SET k before", "+OK");
    client_queue_line(pair.p, LIBRARY("lib", "'before'"));
    client_skip(pair.p, 1);
    follow(pair.r, pair.primary, pair.p);
    part(pair.r);
    assert_reply(pair.p, "SET k after", "+OK");
    client_queue_line(pair.p, LIBRARY("lib", "'after'"));
    client_skip(pair.p, 1);
    assert_reply(pair.other, "WATCH k", "+OK");
    assert_reply(pair.r, "CONFIG SET key-load-delay 2000", "+OK");
    follow_port(pair.r, server_port(pair.primary));
    await_info(pair.r, "async_loading", 1);
    assert_int_equal(info_number(pair.r, "persistence", "loading"), 0);
    assert_true(info_number(pair.r, "persistence", "loading_total_bytes") > 0);
    assert_reply(pair.r, "GET k", "$\"before\"");
    assert_reply(pair.r, "FCALL_RO lib_f 0", "$\"before\"");
    assert_reply(pair.r, "EVAL \"return redis.call('GET', 'k')\" 0", "$\"before\"");
    assert_reply(pair.r, "BGSAVE", LOADING_REPLY);
    assert_reply(pair.r, "REPLICAOF NO ONE", LOADING_REPLY);
    assert_reply(pair.r, "DEBUG RELOAD", "-ERR The data set is being loaded already");
    assert_int_equal(info_number(pair.r, "persistence", "async_loading"), 1);
    assert_reply(pair.r, "CONFIG SET key-load-delay 0", "+OK");
    await_info(pair.r, "async_loading", 0);
    assert_reply_soon(pair.r, "GET k", "$\"after\"");
    assert_reply(pair.r, "FCALL_RO lib_f 0", "$\"after\"");
    assert_reply(pair.other, "MULTI", "+OK");
    assert_reply(pair.other, "PING", "+QUEUED");
    assert_reply(pair.other, "EXEC", "*-1"); /* what it watched is other data now */
    await_sync(pair.r, pair.p);
    pair_close(&pair);
}

/* Twice the same over, so that the second set has had keys before. */
static void sets_change_places_again_and_again(void **state) {
    (void)state;
    struct pair pair = PAIR("--repl-diskless-load", "swapdb", "--databases", "3");
    fill(pair.p, 2000);
    assert_reply(pair.p, "SELECT 2", "+OK");
    fill(pair.p, 100);
    assert_reply(pair.p, "SELECT 0", "+OK");
    follow(pair.r, pair.primary, pair.p);
    for (int i = 0; i < 3; i++) {
        part(pair.r);
        follow(pair.r, pair.primary, pair.p);
        server_await_log(pair.replica, "Loading DB beside the old data", (size_t)i + 2);
        char *digest = strdup(client_ask(pair.p, "DEBUG DIGEST"));
        assert_string_equal(client_ask(pair.r, "DEBUG DIGEST"), digest);
        free(digest);
        assert_reply(pair.r, "DBSIZE", ":2001");
        assert_reply(pair.r, "DEBUG DATABASE-BYTES 2", client_ask(pair.p, "DEBUG DATABASE-BYTES 2"));
    }
    pair_close(&pair);
}

/* The primary does not continue, but it is the same one. */
static void the_same_id_is_the_same_history(void **state) {
    (void)state;
    int port, listener = stage_open(&port);
    struct text got = { 0 };
    struct server *replica = TRIVET("--repl-diskless-load", "swapdb");
    struct client *r = server_connect(replica);
    follow_port(r, port);
    for (int i = 0; i < 2; i++) {
        int link = stage_accept(listener);
        stage_greet(link, &got);
        stage_send_all(link, STAGE_ID, BYTES(RDB_EMPTY));
        assert_true(stage_read(link, "ACK", &got));
        close(link);
    }
    server_await_log(replica, "which is kept meanwhile", 1);
    server_await_log(replica, "which can be read meanwhile", 1);
    close(listener);
    client_close(r);
    server_free(replica);
    text_release(&got);
}

static void other_data_is_not_served_while_it_loads(void **state) {
    (void)state;
    struct pair pair = PAIR("--repl-diskless-load", "swapdb", "--key-load-delay", "2000");
    fill(pair.p, 5000);
    assert_reply(pair.r, "SET old v", "+OK");
    assert_reply(pair.other, "MULTI", "+OK");
    assert_reply(pair.other, "GET old", "+QUEUED");
    follow_port(pair.r, server_port(pair.primary));
    assert_reply_soon(pair.r, "GET old", LOADING_REPLY);
    assert_int_equal(info_number(pair.r, "persistence", "loading"), 1);
    assert_int_equal(info_number(pair.r, "persistence", "async_loading"), 0);
    assert_reply(pair.other, "EXEC", "-EXECABORT Transaction discarded because of: LOADING ...");
    assert_reply(pair.r, "CONFIG SET key-load-delay 0", "+OK");
    await_sync(pair.r, pair.p);
    assert_reply(pair.r, "EXISTS old", ":0");
    pair_close(&pair);
}

static void a_shutdown_ends_a_load(const char *mode) {
    struct pair pair = PAIR("--repl-diskless-load", mode, "--appendonly", "yes", "--io-threads", "2");
    fill(pair.p, 20000);
    follow(pair.r, pair.primary, pair.p);
    begin_slow_reload(&pair);
    await_info(pair.r, strcmp(mode, "swapdb") == 0 ? "async_loading" : "loading", 1);
    client_send(pair.r, "SHUTDOWN");
    server_await_end(pair.replica);
    pair_close(&pair);
}

static void a_shutdown_ends_every_load(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(modes); i++) a_shutdown_ends_a_load(modes[i]);
}

static void the_primary_hears_of_a_long_load(void **state) {
    (void)state;
    int port, listener = stage_open(&port);
    struct server *donor = TRIVET(), *replica = TRIVET("--key-load-delay", "1000");
    struct client *d = server_connect(donor), *r = server_connect(replica);
    struct text got = { 0 }, file = { 0 };
    fill(d, 20000);
    assert_reply(d, "SAVE", "+OK");
    file_read(server_path(donor, "dump.rdb"), &file);
    follow_port(r, port);
    int link = stage_accept(listener);
    stage_greet(link, &got);
    stage_send_all(link, STAGE_ID, file.ptr, file.len);
    assert_true(stage_read(link, "\n", &got)); /* a sign of life, while clients are answered */
    assert_string_equal(text_str(&got), "\n");
    assert_reply(r, "GET k", LOADING_REPLY);
    assert_true(stage_read(link, "\n", &got));
    assert_reply(r, "CONFIG SET key-load-delay 0", "+OK");
    assert_true(stage_read(link, "REPLCONF\r\n$3\r\nACK\r\n$4\r\n1000\r\n", &got));
    assert_reply(r, "DBSIZE", ":20000");
    close(link);
    close(listener);
    text_release(&got);
    text_release(&file);
    client_close(d);
    client_close(r);
    server_free(replica);
    server_free(donor);
}

static void replica_lazy_flush_no_waits_for_the_memory(void **state) {
    (void)state;
    struct pair pair = PAIR("--replica-lazy-flush", "no");
    fill(pair.r, 50000);
    fill(pair.p, 10);
    follow(pair.r, pair.primary, pair.p);
    assert_reply(pair.r, "DBSIZE", ":11");
    assert_int_equal(info_number(pair.r, "memory", "lazyfree_pending_objects"), 0);
    pair_close(&pair);
}

/* ---- loads that fail ---- */

/* The replica comes, gets this file, and hangs up; it will come again. */
static void lie(int listener, struct text *got, const char *rdb, size_t len) {
    int link = stage_accept(listener);
    stage_greet(link, got);
    stage_send_all(link, STAGE_ID, rdb, len);
    while (stage_read(link, "no such thing", got)) {
    }
    close(link);
}

static void a_broken_file_costs_no_data(void **state) {
    (void)state;
    int port, listener = stage_open(&port);
    struct text got = { 0 };
    for (size_t i = 0; i < COUNT_OF(modes); i++) {
        struct server *replica = TRIVET("--repl-diskless-load", modes[i]);
        struct client *r = server_connect(replica);
        assert_reply(r, "SET old v", "+OK");
        follow_port(r, port);
        lie(listener, &got, BYTES(RDB_CUT));
        server_await_log(replica, "is damaged; nothing was changed", 1);
        assert_reply(r, "GET old", "$\"v\"");
        lie(listener, &got, BYTES("REDIS0099\xff\0\0\0\0\0\0\0\0"));
        server_await_log(replica, "is damaged; nothing was changed", 2);
        assert_reply(r, "GET old", "$\"v\"");
        assert_int_equal(count_files(replica, "*.rdb"), 0);
        client_close(r);
        server_free(replica);
    }
    close(listener);
    text_release(&got);
}

/* Sound as a whole, but not all of it can be loaded. */
static void a_bad_value_costs_data_only_in_place(void **state) {
    (void)state;
    int port, listener = stage_open(&port);
    struct text got = { 0 };
    for (size_t i = 0; i < COUNT_OF(modes); i++) {
        bool beside = strcmp(modes[i], "swapdb") == 0;
        struct server *replica = TRIVET("--repl-diskless-load", modes[i], "--appendonly", "yes");
        struct client *r = server_connect(replica);
        assert_reply(r, "SET old v", "+OK");
        follow_port(r, port);
        lie(listener, &got, BYTES(RDB_BAD_VALUE));
        server_await_log(replica, "Failed trying to load the MASTER synchronization DB", 1);
        assert_reply_soon(r, "GET old", beside ? "$\"v\"" : "$-1");
        assert_int_equal(count_files(replica, "*.rdb"), 0);
        /* It asks for all again, and takes what is right. */
        int link = stage_accept(listener);
        stage_greet(link, &got);
        assert_true(beside == !strstr(text_str(&got), "PSYNC\r\n$1\r\n?"));
        stage_send_all(link, STAGE_ID, BYTES(RDB_EMPTY));
        assert_true(stage_read(link, "ACK", &got));
        assert_reply_soon(r, "GET old", "$-1");
        close(link);
        client_close(r);
        server_free(replica);
    }
    close(listener);
    text_release(&got);
}

/* After a load that failed it has no data; as a primary it begins with that, journal and all. */
static void a_promoted_replica_without_data_takes_writes(void **state) {
    (void)state;
    int port, listener = stage_open(&port);
    struct text got = { 0 };
    struct server *replica = TRIVET("--appendonly", "yes");
    struct client *r = server_connect(replica);
    assert_reply(r, "SET old v", "+OK");
    follow_port(r, port);
    lie(listener, &got, BYTES(RDB_BAD_VALUE));
    server_await_log(replica, "Failed trying to load the MASTER synchronization DB", 1);
    assert_reply_soon(r, "REPLICAOF NO ONE", "+OK");
    assert_reply(r, "SET new v", "+OK");
    await_info(r, "aof_rewrite_in_progress", 0);
    server_kill(replica);
    server_restart(replica);
    client_close(r);
    r = server_connect(replica);
    assert_reply(r, "GET new", "$\"v\"");
    assert_reply(r, "GET old", "$-1");
    close(listener);
    client_close(r);
    server_free(replica);
    text_release(&got);
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
        struct pair pair = PAIR("--repl-diskless-load", modes[i], "--appendonly", "yes");
        fill(pair.p, 300);
        assert_reply(pair.r, "SET old v", "+OK");
        follow(pair.r, pair.primary, pair.p);
        await_info(pair.r, "aof_rewrite_in_progress", 0);
        assert_reply(pair.p, "SET late v", "+OK");
        await_sync(pair.r, pair.p);
        reopen(pair.replica, &pair.r);
        assert_reply(pair.r, "DBSIZE", ":302");
        assert_reply(pair.r, "GET late", "$\"v\"");
        assert_reply(pair.r, "EXISTS old", ":0");
        pair_close(&pair);
    }
}

/* SIGKILL while it loads, and after it, while the new base is written: the old files are in force. */
static void a_crash_brings_back_the_old_data_whole(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(modes); i++) {
        struct pair pair = PAIR("--repl-diskless-load", modes[i], "--appendonly", "yes");
        fill(pair.p, 3000);
        assert_reply(pair.r, "SET old v", "+OK");
        assert_reply(pair.r, "CONFIG SET key-load-delay 2000", "+OK");
        follow_port(pair.r, server_port(pair.primary));
        await_info(pair.r, "loading", 1);
        reopen(pair.replica, &pair.r);
        assert_reply(pair.r, "DBSIZE", ":1");
        assert_reply(pair.r, "CONFIG SET rdb-key-save-delay 2000", "+OK");
        follow(pair.r, pair.primary, pair.p);
        assert_int_equal(info_number(pair.r, "persistence", "aof_rewrite_in_progress"), 1);
        assert_reply(pair.r, "DBSIZE", ":3001");
        reopen(pair.replica, &pair.r);
        assert_reply(pair.r, "DBSIZE", ":1");
        assert_reply(pair.r, "GET old", "$\"v\"");
        pair_close(&pair);
    }
}

/* With swapdb the journal goes on until the sets change places. */
static void what_is_saved_of_old_data_is_given_up(void **state) {
    (void)state;
    struct pair pair = PAIR("--repl-diskless-load", "swapdb", "--appendonly", "yes");
    fill(pair.p, 200);
    fill(pair.r, 3000);
    assert_reply(pair.r, "CONFIG SET rdb-key-save-delay 1000", "+OK");
    assert_reply(pair.r, "BGREWRITEAOF", "+Background append only file rewriting started");
    assert_reply(pair.r, "BGSAVE SCHEDULE", "+Background saving scheduled");
    follow(pair.r, pair.primary, pair.p);
    assert_reply(pair.r, "CONFIG SET rdb-key-save-delay 0", "+OK");
    await_info(pair.r, "aof_rewrite_scheduled", 0);
    await_info(pair.r, "aof_rewrite_in_progress", 0);
    reopen(pair.replica, &pair.r);
    assert_reply(pair.r, "DBSIZE", ":201");
    pair_close(&pair);
}

static void changes_are_those_that_no_file_has(void **state) {
    (void)state;
    struct pair pair = PAIR("--save", "3600 1000000");
    struct server *in_memory = TRIVET("--repl-diskless-load", "swapdb");
    struct client *m = server_connect(in_memory);
    fill(pair.p, 100);
    assert_reply(pair.r, "SET old v", "+OK");
    follow_port(pair.r, server_port(pair.primary));
    follow_port(m, server_port(pair.primary));
    assert_reply_soon(pair.r, "DBSIZE", ":100");
    assert_reply_soon(m, "DBSIZE", ":100");
    assert_int_equal(info_number(pair.r, "persistence", "rdb_changes_since_last_save"), 0);
    assert_int_equal(info_number(m, "persistence", "rdb_changes_since_last_save"), 100);
    client_close(m);
    server_free(in_memory);
    pair_close(&pair);
}

/* ---- clients that wait for changes ---- */

static void clients_hear_that_all_data_is_new(const char *mode) {
    struct pair pair = PAIR("--repl-diskless-load", mode);
    struct client *waiter = server_connect(pair.replica), *tracker = server_connect(pair.replica);
    assert_reply(pair.r, "SET k old", "+OK");
    assert_reply(pair.p, "XADD stream 7-1 f v", "$\"7-1\"");
    assert_reply(tracker, "HELLO 3", "%{...}");
    assert_reply(tracker, "CLIENT TRACKING ON", "+OK");
    assert_reply(tracker, "GET k", "$\"old\"");
    assert_reply(pair.other, "WATCH k", "+OK");
    follow_port(pair.r, 1); /* so that becoming a replica does not end the wait */
    send_and_wait(pair.r, waiter, "XREAD BLOCK 0 STREAMS stream 0");
    follow(pair.r, pair.primary, pair.p);
    assert_next(waiter, "*[*[$\"stream\", *[*[$\"7-1\", *[$\"f\", $\"v\"]]]]]");
    assert_next(tracker, ">[$\"invalidate\", _]");
    assert_reply(pair.other, "MULTI", "+OK");
    assert_reply(pair.other, "PING", "+QUEUED");
    assert_reply(pair.other, "EXEC", "*-1");
    client_close(waiter);
    client_close(tracker);
    pair_close(&pair);
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
