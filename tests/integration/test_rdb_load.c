/* test_rdb_load.c: starting on RDB files: those that redis-server writes, damaged ones, and DEBUG RELOAD. */
#include "../harness/check.h"
#include "files.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#define ARGS_MAX 24
#define LOADING_REPLY "-LOADING Redis is loading the dataset in memory"
#define RDB "dump.rdb"

/* `argv` ends with NULL; the folder is another server's. Trivet unless told. */
static struct server *launch_on(const struct server *where, const char *program, const char *const *argv,
                                bool unready) {
    const char *args[ARGS_MAX];
    size_t count = 0;
    while (argv && argv[count]) args[count] = argv[count], count++;
    args[count++] = "--dir";
    args[count++] = server_folder(where);
    args[count] = NULL;
    struct server_plan plan = { .program = program, .args = args, .bare = program != NULL };
    return unready ? server_launch_unready(&plan) : server_launch(&plan);
}

static const char *const no_saves[] = { "--save", "", "--enable-debug-command", "yes", NULL };

static struct server *start_redis(const char *const *more) {
    const char *args[ARGS_MAX];
    size_t count = 0;
    for (; no_saves[count]; count++) args[count] = no_saves[count];
    for (size_t i = 0; more && more[i]; i++) args[count++] = more[i];
    args[count] = NULL;
    return server_launch(&(struct server_plan){ .program = "redis-server", .args = args, .bare = true });
}

/* A server of ours that does not run, with this file to load. */
static struct server *stopped_with(const struct text *file) {
    struct server *s = server_start(NULL, NULL);
    server_stop(s);
    if (file) file_write(server_path(s, RDB), file);
    return s;
}

static int start_fails(struct server *s, const char *const *argv, struct text *log) {
    const char *args[ARGS_MAX];
    size_t count = 0;
    while (argv && argv[count]) args[count] = argv[count], count++;
    args[count++] = "--dir";
    args[count++] = server_folder(s);
    args[count] = NULL;
    text_clear(log);
    return server_run_to_end(&(struct server_plan){ .args = args }, log);
}

/* ---- what redis-server writes ---- */

static void push_many(struct client *c, const char *format, int count) {
    for (int i = 0; i < count; i++) client_queue(c, format, i, i);
    client_flush(c);
    client_skip(c, (size_t)count);
}

/* Every type in every encoding that redis-server 7.0 has. */
static void fill(struct client *c) {
    static const char *const commands[] = {
        "SET int 12345",
        "SET negative -7",
        "SET big-int 123456789012",
        "SET short hello",
        "SET '' empty-name",
        "SET 4711 number-name",
        "SET zeros \"\\x00\\x01\\xff\"",
        "SETRANGE long 100000 end",
        "APPEND raw one",
        "APPEND raw two",
        "SET dated v PXAT 4102444800123",
        "SET soon v EX 100000",
        "RPUSH packed-list a 1 -5 70000 4294967296 'some text'",
        "SADD intset 1 2 70000 -9000000000",
        "SADD set-table a b 'c d' 5",
        "HSET packed-hash f v n 12",
        "EXPIREAT packed-hash 4102444800",
        "ZADD packed-zset 1 a 2.5 b -inf c +inf d -0 e",
        "PFADD hll a b c d e f",
        "XADD stream 1-1 f v g w",
        "XADD stream 2-1 f v2",
        "XADD stream 3-1 other fields here too",
        "XDEL stream 2-1",
        "XGROUP CREATE stream g1 0",
        "XGROUP CREATE stream g2 $",
        "XREADGROUP GROUP g1 alice COUNT 1 STREAMS stream >",
        "XREADGROUP GROUP g1 bob COUNT 1 STREAMS stream >",
        "XGROUP CREATECONSUMER stream g2 carol",
        "XADD empty-stream 1-1 f v",
        "XDEL empty-stream 1-1",
        "GEOADD places 13.361389 38.115556 Palermo",
        "SELECT 5",
        "SET elsewhere v",
        "LPUSH l x",
        "SELECT 0",
    };
    for (size_t i = 0; i < COUNT_OF(commands); i++) client_queue_line(c, commands[i]);
    client_flush(c);
    client_skip(c, COUNT_OF(commands));
    push_many(c, "RPUSH quicklist element:%d:xxxxxxxxxxxxxxxxxxxx%d", 3000);
    push_many(c, "SADD big-set member:%d:%d", 1000);
    push_many(c, "HSET big-hash field:%d value:%d", 1000);
    push_many(c, "ZADD big-zset %d.5 member:%d", 1000);
    push_many(c, "SADD many-ints %d %d", 1000);
    push_many(c, "XADD long-stream %d-1 f %d", 1000);
}

/* Everything, as far as redis-server and Trivet say it in the same words. */
static void describe(struct server *s, struct text *out) {
    struct client *c = server_connect(s);
    text_clear(out);
    for (int db = 0; db < 6; db += 5) {
        client_ask(c, "SELECT %d", db);
        struct node *keys = client_ask_node(c, "KEYS *");
        node_sort(keys);
        for (size_t i = 0; i < keys->count; i++) {
            static const char *const questions[] = { "DEBUG DIGEST-VALUE", "PEXPIRETIME", "TYPE" };
            for (size_t q = 0; q < COUNT_OF(questions); q++) {
                struct words w = { 0 };
                if (!words_split(&w, questions[q])) fail();
                words_add(&w, keys->items[i]->bytes.ptr, keys->items[i]->bytes.len);
                client_queue_words(c, &w);
                client_flush(c);
                text_printf(out, "%.*s %s\n", SLICE_ARG(text_slice(&keys->items[i]->bytes)),
                            client_read_text(c));
                words_release(&w);
            }
        }
        node_free(keys);
    }
    client_ask(c, "SELECT 0");
    static const char *const of_streams[] = { "XINFO GROUPS stream", "XPENDING stream g1",
                                              "XPENDING stream g2", "XRANGE empty-stream - +",
                                              "XLEN long-stream" };
    for (size_t i = 0; i < COUNT_OF(of_streams); i++)
        text_printf(out, "%s\n", client_ask(c, "%s", of_streams[i]));
    client_close(c);
}

static void assert_same(struct server *s, const struct text *before) {
    struct text after = { 0 };
    describe(s, &after);
    assert_string_equal(text_str(&after), text_str(before));
    text_release(&after);
}

static void save_and_stop(struct server *redis) {
    struct client *c = server_connect(redis);
    assert_reply(c, "SAVE", "+OK");
    client_close(c);
    server_stop(redis);
}

static void files_of_redis_load_with_equal_contents(void **state) {
    (void)state;
    static const char *const variants[][3] = { { NULL },
                                               { "--rdbcompression", "no", NULL },
                                               { "--rdbchecksum", "no", NULL },
                                               { "--list-compress-depth", "1", NULL } };
    for (size_t i = 0; i < COUNT_OF(variants); i++) {
        struct server *redis = start_redis(variants[i]);
        struct text before = { 0 };
        struct client *c = server_connect(redis);
        fill(c);
        client_close(c);
        describe(redis, &before);
        save_and_stop(redis);
        struct server *s = launch_on(redis, NULL, NULL, false);
        assert_same(s, &before);
        server_await_log(s, "Loading RDB produced by version 7.0", 1);
        server_await_log(s, "DB loaded from disk: ", 1);
        server_free(s);
        server_free(redis);
        text_release(&before);
    }
}

static void many_keys_load_on_one_worker_and_on_four(void **state) {
    (void)state;
    struct server *redis = start_redis(NULL);
    struct client *c = server_connect(redis);
    assert_reply(c, "DEBUG POPULATE 100000 key 20", "+OK");
    push_many(c, "HSET hash:%d f %d", 5000);
    push_many(c, "SET dated:%d %d EX 100000", 5000);
    struct text digest = { 0 };
    text_append_str(&digest, client_ask(c, "DEBUG DIGEST"));
    client_close(c);
    save_and_stop(redis);
    static const char *const workers[] = { "1", "4" };
    for (size_t i = 0; i < COUNT_OF(workers); i++) {
        const char *const args[] = { "--io-threads", workers[i], NULL };
        struct server *s = launch_on(redis, NULL, args, false);
        c = server_connect(s);
        assert_reply(c, "DBSIZE", ":110000");
        assert_reply(c, "DEBUG DIGEST", text_str(&digest));
        assert_non_null(strstr(info_field(c, "keyspace", "db0"), "keys=110000,expires=5000,"));
        assert_int_equal(info_number(c, "persistence", "rdb_last_load_keys_loaded"), 110000);
        assert_int_equal(info_number(c, "persistence", "rdb_last_load_keys_expired"), 0);
        client_close(c);
        server_free(s);
    }
    server_free(redis);
    text_release(&digest);
}

static void hints_for_eviction_are_taken(void **state) {
    (void)state;
    static const char *const lru[] = { "--maxmemory-policy", "allkeys-lru", NULL };
    static const char *const lfu[] = { "--maxmemory-policy", "allkeys-lfu", "--lfu-decay-time", "0", NULL };
    struct server *redis = start_redis(lru);
    struct client *c = server_connect(redis);
    struct node *payload = NULL;
    client_ask(c, "SET k v");
    payload = client_ask_node(c, "DUMP k");
    struct words w = { 0 };
    words_add_str(&w, "RESTORE");
    words_add_str(&w, "idle");
    words_add_str(&w, "0");
    words_add(&w, payload->bytes.ptr, payload->bytes.len);
    words_add_str(&w, "IDLETIME");
    words_add_str(&w, "5000");
    client_queue_words(c, &w);
    client_flush(c);
    assert_next(c, "+OK");
    save_and_stop(redis);
    client_close(c);
    struct server *s = launch_on(redis, NULL, lru, false);
    c = server_connect(s);
    assert_reply(c, "OBJECT IDLETIME idle", ":5000..5600");
    assert_reply(c, "OBJECT IDLETIME k", ":0..600");
    client_close(c);
    server_free(s);
    server_free(redis);

    redis = start_redis(lfu);
    c = server_connect(redis);
    text_clear(&w.items[1]);
    text_append_str(&w.items[1], "often");
    text_clear(&w.items[4]);
    text_append_str(&w.items[4], "FREQ");
    text_clear(&w.items[5]);
    text_append_str(&w.items[5], "99");
    client_queue_words(c, &w);
    client_flush(c);
    assert_next(c, "+OK");
    client_close(c);
    save_and_stop(redis);
    s = launch_on(redis, NULL, lfu, false);
    c = server_connect(s);
    assert_reply(c, "OBJECT FREQ often", ":99");
    client_close(c);
    server_free(s);
    server_free(redis);
    node_free(payload);
    words_release(&w);
}

/* ---- files made by hand ---- */

#define END "\xff\0\0\0\0\0\0\0\0" /* no checksum */
#define EXPIRED "\xfc\x01\0\0\0\0\0\0\0"
#define FILE_OF(literal) \
    { (char *)(uintptr_t)("REDIS0011" literal END), sizeof("REDIS0011" literal END) - 1, 0 }

static void what_has_expired_is_dropped_and_counted(void **state) {
    (void)state;
    static const struct text file = FILE_OF("\xfe\0" EXPIRED "\0\3old\1v"
                                            "\0\1k\1v" EXPIRED "\0\4old2\1v");
    struct server *s = stopped_with(&file);
    server_restart(s);
    struct client *c = server_connect(s);
    assert_reply(c, "KEYS *", "*[$\"k\"]");
    assert_int_equal(info_number(c, "persistence", "rdb_last_load_keys_loaded"), 1);
    assert_int_equal(info_number(c, "persistence", "rdb_last_load_keys_expired"), 2);
    client_close(c);
    server_free(s);
}

static void files_that_cannot_be_loaded_are_refused_with_the_reason(void **state) {
    (void)state;
    static const struct {
        const struct text file;
        const char *says;
    } rows[] = {
        { FILE_OF("\xfe\0\0\1k\1v\0\1k\1w"), "dump.rdb: Internal error in RDB reading offset 16, key 'k', "
                                             "type 0 (string): The key is there already" },
        { FILE_OF("\xfe\x10\0\1k\1v"), "dump.rdb: Internal error in RDB reading offset 11: The file has a "
                                       "database 16, and 'databases' allows 16" },
        { FILE_OF("\x10\4hash\5hello"),
          "key 'hash', type 16 (hash-listpack): The value is damaged (integrity check failed)" },
        { FILE_OF("\x07\1k\x81\1\2\3\4\5\6\7\10\0"),
          "key 'k', type 7 (module-value): The file holds a value of the module type" },
        { FILE_OF("\xc8"), "dump.rdb: Internal error in RDB reading offset 9: Invalid object type: 200" },
        { { (char *)(uintptr_t) "REDIS0099", 9, 0 },
          "dump.rdb: Internal error in RDB reading offset 9: Can't handle RDB format version 99" },
    };
    struct text log = { 0 };
    struct server *s = stopped_with(NULL);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        file_write(server_path(s, RDB), &rows[i].file);
        assert_int_equal(start_fails(s, NULL, &log), 1);
        if (!strstr(text_str(&log), rows[i].says))
            fail_msg("%s\nshould say: %s", text_str(&log), rows[i].says);
    }
    server_free(s);
    text_release(&log);
}

static void a_damaged_file_is_not_loaded_at_all(void **state) {
    (void)state;
    struct server *redis = start_redis(NULL);
    struct client *c = server_connect(redis);
    struct text good = { 0 }, bad = { 0 }, log = { 0 };
    fill(c);
    client_close(c);
    save_and_stop(redis);
    file_read(server_path(redis, RDB), &good);
    for (size_t i = 0; i < 8; i++) {
        text_clear(&bad);
        text_append(&bad, good.ptr, good.len);
        size_t at = i == 0 ? 5 : good.len * i / 8;
        bad.ptr[at] ^= (char)(1 << i);
        file_write(server_path(redis, RDB), &bad);
        assert_int_equal(start_fails(redis, NULL, &log), 1);
        assert_non_null(strstr(text_str(&log), "dump.rdb: Internal error in RDB reading offset "));
        assert_non_null(strstr(text_str(&log), "the data could not be loaded"));
        bad.len = good.len * i / 8;
        file_write(server_path(redis, RDB), &bad);
        assert_int_equal(start_fails(redis, NULL, &log), 1);
        assert_non_null(strstr(text_str(&log), "Unexpected EOF reading RDB file"));
    }
    server_free(redis);
    text_release(&good);
    text_release(&bad);
    text_release(&log);
}

static void without_a_file_the_server_starts_empty(void **state) {
    (void)state;
    struct server *s = stopped_with(NULL);
    server_restart(s);
    struct client *c = server_connect(s);
    assert_reply(c, "DBSIZE", ":0");
    assert_null(strstr(server_log(s), "RDB"));
    client_close(c);
    server_free(s);
}

/* ---- as the base of an append-only file ---- */

static const char *const with_aof[] = { "--appendonly", "yes", NULL };

static void a_folder_of_redis_with_an_rdb_base_loads(void **state) {
    (void)state;
    struct server *redis = start_redis(NULL);
    struct text before = { 0 };
    struct client *c = server_connect(redis);
    fill(c);
    assert_reply(c, "CONFIG SET appendonly yes", "+OK");
    assert_reply_soon(
        c, "INFO persistence",
        "...aof_rewrite_in_progress:0...aof_rewrite_scheduled:0...aof_last_bgrewrite_status:ok...");
    assert_reply(c, "HSET packed-hash after base", ":1");
    assert_reply(c, "DEL int", ":1");
    client_close(c);
    describe(redis, &before);
    server_stop(redis);
    struct server *s = launch_on(redis, NULL, with_aof, false);
    assert_same(s, &before);
    server_await_log(s, "RDB is base AOF", 1);
    server_free(s);
    server_free(redis);
    text_release(&before);
}

static void a_new_append_only_file_begins_with_the_rdb_files_data(void **state) {
    (void)state;
    static const struct text file = FILE_OF("\xfe\0\0\1k\1v");
    struct server *s = stopped_with(&file);
    struct server *loaded = launch_on(s, NULL, with_aof, false);
    struct client *c = server_connect(loaded);
    assert_reply(c, "GET k", "$\"v\"");
    assert_reply(c, "SET k w", "+OK");
    client_close(c);
    server_kill(loaded);
    server_restart(loaded);
    c = server_connect(loaded);
    assert_reply(c, "GET k", "$\"w\"");
    client_close(c);
    server_free(loaded);
    server_free(s);
}

static void put_in_folder(struct server *s, const char *name, const char *bytes, size_t len) {
    struct text text = { 0 };
    char path[64];
    text_append(&text, bytes, len);
    snprintf(path, sizeof path, "appendonlydir/%s", name);
    file_write(server_path(s, path), &text);
    text_release(&text);
}

/* When the commands ran, it was still alive. */
static void what_has_expired_in_a_base_lives_if_commands_after_it_say_so(void **state) {
    (void)state;
    static const char base[] = "REDIS0011\xfe\0" EXPIRED "\0\1k\1v" EXPIRED "\0\1l\1v" END;
    static const char manifest[] = "file a.rdb seq 1 type b\nfile a.aof seq 1 type i\n";
    static const char commands[] = "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*2\r\n$7\r\nPERSIST\r\n$1\r\nk\r\n";
    struct server *s = stopped_with(NULL);
    if (mkdir(server_path(s, "appendonlydir"), 0755) != 0) fail();
    put_in_folder(s, "a.rdb", base, sizeof base - 1);
    put_in_folder(s, "a.aof", commands, sizeof commands - 1);
    put_in_folder(s, "appendonly.aof.manifest", manifest, sizeof manifest - 1);
    struct server *loaded = launch_on(s, NULL, with_aof, false);
    struct client *c = server_connect(loaded);
    assert_reply(c, "GET k", "$\"v\"");
    assert_reply(c, "GET l", "$-1");
    client_close(c);
    server_free(loaded);
    server_free(s);
}

static void a_file_that_goes_on_with_commands_loads_whole(void **state) {
    (void)state;
    static const char bytes[] = "REDIS0009\xfe\0\0\1k\1v" END "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n"
                                "*3\r\n$6\r\nAPPEND\r\n$1\r\nk\r\n$2\r\nxy\r\n";
    struct text file = { 0 };
    struct server *s = stopped_with(NULL);
    text_append(&file, bytes, sizeof bytes - 1);
    file_write(server_path(s, "appendonly.aof"), &file);
    struct server *loaded = launch_on(s, NULL, with_aof, false);
    struct client *c = server_connect(loaded);
    assert_reply(c, "GET k", "$\"vxy\"");
    assert_reply(c, "DEBUG LOADAOF", "+OK");
    assert_reply(c, "GET k", "$\"vxy\"");
    client_close(c);
    server_free(loaded);
    server_free(s);
    text_release(&file);
}

/* ---- while it loads ---- */

/* A thousand keys at a hundredth of a second each. */
static struct server *load_slowly(struct server **folder) {
    struct text file = { 0 };
    text_append(&file, "REDIS0011\xfe\0", 11);
    for (int i = 0; i < 1000; i++) {
        text_append(&file, "\0\6", 2);
        text_printf(&file, "k%05d", i);
        text_append(&file, "\1v", 2);
    }
    text_append(&file, END, sizeof END - 1);
    *folder = stopped_with(&file);
    text_release(&file);
    static const char *const args[] = { "--key-load-delay", "10000", NULL };
    return launch_on(*folder, NULL, args, true);
}

static void while_it_loads_clients_are_told_and_info_shows_progress(void **state) {
    (void)state;
    struct server *folder, *s = load_slowly(&folder);
    struct client *c = server_connect_early(s);
    static const struct exchange rows[] = { { "PING", LOADING_REPLY },
                                            { "GET k00001", LOADING_REPLY },
                                            { "DBSIZE", LOADING_REPLY },
                                            { "CONFIG GET appendonly", "*[$\"appendonly\", $\"no\"]" },
                                            { NULL, NULL } };
    assert_exchanges(c, rows);
    assert_int_equal(info_number(c, "persistence", "loading"), 1);
    assert_soon(info_number(c, "persistence", "loading_loaded_bytes") > 0);
    int64_t total = (int64_t)file_size(server_path(folder, RDB));
    assert_int_equal(info_number(c, "persistence", "loading_total_bytes"), total);
    int64_t loaded = info_number(c, "persistence", "loading_loaded_bytes");
    assert_in_range(loaded, 1, total);
    assert_soon(info_number(c, "persistence", "loading_loaded_bytes") > loaded);
    assert_reply(c, "CONFIG SET key-load-delay 0", "+OK");
    assert_reply_soon(c, "PING", "+PONG");
    assert_reply(c, "DBSIZE", ":1000");
    client_close(c);
    server_free(s);
    server_free(folder);
}

static void a_server_that_loads_can_be_shut_down(void **state) {
    (void)state;
    struct server *folder, *s = load_slowly(&folder);
    struct client *c = server_connect_early(s);
    assert_reply(c, "PING", LOADING_REPLY);
    client_send(c, "SHUTDOWN NOSAVE");
    assert_ended(c);
    server_await_end(s);
    assert_null(strstr(server_log(s), "Ready to accept"));
    client_close(c);
    server_free(s);
    server_free(folder);
}

/* ---- DEBUG RELOAD ---- */

static void reload_takes_the_place_of_what_was_there(void **state) {
    (void)state;
    static const struct text file = FILE_OF("\xfe\0\0\1k\1v\xfe\3\0\1l\1w");
    struct server *s = stopped_with(&file);
    server_restart(s);
    struct client *c = server_connect(s);
    static const struct exchange rows[] = {
        { "SET new v", "+OK" },
        { "SET k changed", "+OK" },
        { "DEBUG RELOAD NOSAVE", "+OK" },
        { "KEYS *", "*[$\"k\"]" },
        { "GET k", "$\"v\"" },
        { "SET k changed", "+OK" },
        { "SET new v", "+OK" },
        { "DEBUG RELOAD NOSAVE NOFLUSH", "-ERR Error trying to load the RDB dump, check server logs" },
        { "GET k", "$\"changed\"" },
        { "debug reload nosave noflush merge", "+OK" },
        { "MGET k new", "*[$\"v\", $\"v\"]" },
        { "DBSIZE", ":2" },
        { "DEBUG RELOAD SOMEHOW", "-ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options." },
        { "SELECT 3", "+OK" },
        { "GET l", "$\"w\"" },
        { "PING", "+PONG" },
        { NULL, NULL },
    };
    assert_exchanges(c, rows);
    assert_non_null(strstr(server_log(s), "key 'k', type 0 (string): The key is there already"));
    client_close(c);
    server_free(s);
}

static void reload_of_a_damaged_file_changes_nothing(void **state) {
    (void)state;
    static const struct text file = FILE_OF("\xfe\0\0\1k\1v");
    static const struct text cut = { (char *)(uintptr_t) "REDIS0011\xfe\0\0\1k\5v", 16, 0 };
    struct server *s = stopped_with(&file);
    server_restart(s);
    struct client *c = server_connect(s);
    assert_reply(c, "SET mine v", "+OK");
    file_write(server_path(s, RDB), &cut);
    assert_reply(c, "DEBUG RELOAD NOSAVE", "-ERR Error trying to load the RDB dump, check server logs");
    assert_non_null(
        strstr(server_log(s), "offset 16, key 'k', type 0 (string): Unexpected EOF reading RDB file"));
    assert_reply(c, "MGET k mine", "*[$\"v\", $\"v\"]");
    client_close(c);
    server_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_of_redis_load_with_equal_contents),
        cmocka_unit_test(many_keys_load_on_one_worker_and_on_four),
        cmocka_unit_test(hints_for_eviction_are_taken),
        cmocka_unit_test(what_has_expired_is_dropped_and_counted),
        cmocka_unit_test(files_that_cannot_be_loaded_are_refused_with_the_reason),
        cmocka_unit_test(a_damaged_file_is_not_loaded_at_all),
        cmocka_unit_test(without_a_file_the_server_starts_empty),
        cmocka_unit_test(a_new_append_only_file_begins_with_the_rdb_files_data),
        cmocka_unit_test(a_folder_of_redis_with_an_rdb_base_loads),
        cmocka_unit_test(what_has_expired_in_a_base_lives_if_commands_after_it_say_so),
        cmocka_unit_test(a_file_that_goes_on_with_commands_loads_whole),
        cmocka_unit_test(while_it_loads_clients_are_told_and_info_shows_progress),
        cmocka_unit_test(a_server_that_loads_can_be_shut_down),
        cmocka_unit_test(reload_takes_the_place_of_what_was_there),
        cmocka_unit_test(reload_of_a_damaged_file_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
