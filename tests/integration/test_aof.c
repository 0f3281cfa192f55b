/* test_aof.c: the append-only file seen from outside: what lies on disk, what comes back, what is refused,
 * and what clients are told while it loads or the disk fails. That nothing is lost by SIGKILL is
 * test_kill.c's matter. */
#include "../harness/fixture.h"
#include "../harness/saves.h"
#include "files.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#define FOLDER "appendonlydir/"
#define MANIFEST FOLDER "appendonly.aof.manifest"
#define INCR FOLDER "appendonly.aof.1.incr.aof"
#define BASE FOLDER "appendonly.aof.1.base.rdb"

#ifdef TRIVET_SANITIZE
#define MANY_KEYS 2000
#else
#define MANY_KEYS 20000
#endif

static struct server *start_with_aof(void) { return server_start("--appendonly", "yes", NULL); }

/* Another server on the same folder. */
static struct server_plan plan_on(const struct server *s, const char **args, size_t count) {
    args[count] = "--dir";
    args[count + 1] = server_folder(s);
    args[count + 2] = NULL;
    return (struct server_plan){ .args = args };
}

/* All that is in a server, as text: databases, keys in order, values, times. */
static void dump(struct client *c, struct text *out) {
    text_clear(out);
    for (int db = 0; db < 4; db++) {
        client_ask(c, "SELECT %d", db);
        struct node *keys = client_ask_node(c, "KEYS *");
        node_sort(keys);
        for (size_t i = 0; i < keys->count; i++) {
            struct words words = { 0 };
            words_add_str(&words, "GET");
            words_add(&words, keys->items[i]->bytes.ptr, keys->items[i]->bytes.len);
            client_queue_words(c, &words);
            text_clear(&words.items[0]);
            text_append_str(&words.items[0], "PEXPIRETIME");
            client_queue_words(c, &words);
            words_release(&words);
            client_flush(c);
            text_printf(out, "%d ", db);
            text_append_quoted(out, text_slice(&keys->items[i]->bytes));
            text_printf(out, " %s ", client_read_text(c));
            text_printf(out, "%s\n", client_read_text(c));
        }
        node_free(keys);
    }
    client_ask(c, "SELECT 0");
}

static void dump_of(struct server *s, struct text *out) {
    struct client *c = server_connect(s);
    dump(c, out);
    client_close(c);
}

static void assert_holds(struct server *s, const struct text *wanted) {
    struct text got = { 0 };
    dump_of(s, &got);
    assert_string_equal(text_str(&got), text_str(wanted));
    text_release(&got);
}

static void run_rows(struct server *s, const struct exchange *rows) {
    struct client *c = server_connect(s);
    assert_exchanges(c, rows);
    client_close(c);
}

/* ---- what lies on disk ---- */

static void without_appendonly_nothing_is_written(void **state) {
    (void)state;
    struct server *s = server_start(NULL, NULL);
    run_rows(s, (const struct exchange[]){ { "SET k v", "+OK" }, { NULL, NULL } });
    assert_false(file_exists(server_path(s, FOLDER)));
    struct client *c = server_connect(s);
    assert_int_equal(info_number(c, "persistence", "aof_enabled"), 0);
    client_close(c);
    server_stop(s);
    server_restart(s);
    run_rows(s, (const struct exchange[]){ { "DBSIZE", ":0" }, { NULL, NULL } });
    server_free(s);
}

static void a_folder_holds_manifest_and_incremental_file(void **state) {
    (void)state;
    struct server *s = start_with_aof();
    struct text bytes = { 0 };
    run_rows(s, (const struct exchange[]){ { "SET k v", "+OK" }, { NULL, NULL } });
    file_read(server_path(s, MANIFEST), &bytes);
    assert_string_equal(text_str(&bytes), "file appendonly.aof.1.incr.aof seq 1 type i\n");
    file_read(server_path(s, INCR), &bytes);
    assert_true(text_matches("*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n"
                             "#SUM:50:...\r\n",
                             text_str(&bytes)));
    struct client *c = server_connect(s);
    assert_int_equal(info_number(c, "persistence", "aof_enabled"), 1);
    assert_int_equal(info_number(c, "persistence", "aof_current_size"), bytes.len);
    assert_string_equal(info_field(c, "persistence", "aof_last_write_status"), "ok");
    client_close(c);
    text_release(&bytes);
    server_free(s);
}

static void folder_and_file_have_the_names_that_are_set(void **state) {
    (void)state;
    struct server *s = server_start("--appendonly", "yes", "--appenddirname", "journal", "--appendfilename",
                                    "a b.aof", NULL);
    run_rows(s, (const struct exchange[]){ { "SET k v", "+OK" }, { NULL, NULL } });
    struct text bytes = { 0 };
    file_read(server_path(s, "journal/a b.aof.manifest"), &bytes);
    assert_string_equal(text_str(&bytes), "file \"a b.aof.1.incr.aof\" seq 1 type i\n");
    assert_true(file_size(server_path(s, "journal/a b.aof.1.incr.aof")) > 0);
    text_release(&bytes);
    server_stop(s);
    server_restart(s);
    run_rows(s, (const struct exchange[]){ { "GET k", "$\"v\"" }, { NULL, NULL } });
    server_free(s);
}

/* ---- what comes back ---- */

static const struct exchange all_sorts_of_writes[] = {
    { "SET plain v", "+OK" },
    { "SET \"\\x00\\r\\n*\" \"\\xff\\r\\n$3\\r\\n\"", "+OK" },
    { "SET ex v EX 100000", "+OK" },
    { "SETEX setex 100000 v", "+OK" },
    { "SET kept v EX 100000", "+OK" },
    { "SET kept w KEEPTTL", "+OK" },
    { "SET persisted v EX 100000", "+OK" },
    { "PERSIST persisted", ":1" },
    { "EXPIRE plain 100000", ":1" },
    { "SET getex v", "+OK" },
    { "GETEX getex PX 100000000", "$\"v\"" },
    { "SET getdel v", "+OK" },
    { "GETDEL getdel", "$\"v\"" },
    { "INCR n", ":1" },
    { "INCRBY n 41", ":42" },
    { "DECR n", ":41" },
    { "INCRBYFLOAT f 3.25", "$\"3.25\"" },
    { "APPEND long abc", ":3" },
    { "APPEND long def", ":6" },
    { "SETRANGE long 2 XY", ":6" },
    { "MSET m1 1 m2 2 m3 3", "+OK" },
    { "MSETNX m3 4 m4 4", ":0" },
    { "MSETNX m5 5 m6 6", ":1" },
    { "SETNX m6 7", ":0" },
    { "DEL m1 none m2", ":2" },
    { "UNLINK m3", ":1" },
    { "RENAME m5 renamed", "+OK" },
    { "COPY renamed copied", ":1" },
    { "COPY ex copied DB 2 REPLACE", ":1" },
    { "MULTI", "+OK" },
    { "SET t1 1", "+QUEUED" },
    { "SET t2 2 EX 100000", "+QUEUED" },
    { "DEL t1", "+QUEUED" },
    { "SELECT 2", "+QUEUED" },
    { "SET t3 3", "+QUEUED" },
    { "EXEC", "*[+OK, +OK, :1, +OK, +OK]" },
    { "SET in2 v", "+OK" },
    { "SELECT 3", "+OK" },
    { "SET away v", "+OK" },
    { "FLUSHDB", "+OK" },
    { "SET in3 v", "+OK" },
    { "SWAPDB 1 3", "+OK" },
    { "SET in3again v", "+OK" },
    { "MOVE in3again 0", ":1" },
    { "SELECT 0", "+OK" },
    { "SET soon v PXAT 1", "+OK" },
    { "EXPIRE f -1", ":1" },
    { NULL, NULL },
};

static void all_kinds_of_writes_come_back_under_every_policy(void **state) {
    (void)state;
    static const char *const policies[] = { "always", "everysec", "no" };
    for (size_t i = 0; i < COUNT_OF(policies); i++) {
        struct server *s = server_start("--appendonly", "yes", "--appendfsync", policies[i], NULL);
        struct text before = { 0 };
        run_rows(s, all_sorts_of_writes);
        dump_of(s, &before);
        assert_non_null(strstr(text_str(&before), "2 \"t3\" $\"3\""));
        server_stop(s);
        server_restart(s);
        assert_holds(s, &before);
        server_kill(s);
        server_restart(s);
        assert_holds(s, &before);
        text_release(&before);
        server_free(s);
    }
}

static void times_to_live_are_stored_as_instants(void **state) {
    (void)state;
    struct server *s = start_with_aof();
    struct text before = { 0 }, bytes = { 0 };
    run_rows(s, (const struct exchange[]){ { "SET a v EX 1000", "+OK" },
                                           { "SETEX b 1000 v", "+OK" },
                                           { "SET c v", "+OK" },
                                           { "EXPIRE c 1000", ":1" },
                                           { NULL, NULL } });
    dump_of(s, &before);
    file_read(server_path(s, INCR), &bytes);
    assert_null(strstr(text_str(&bytes), "\r\nEX\r\n"));
    assert_null(strstr(text_str(&bytes), "\r\nSETEX\r\n"));
    assert_null(strstr(text_str(&bytes), "\r\nEXPIRE\r\n"));
    server_stop(s);
    server_restart(s);
    assert_holds(s, &before);
    text_release(&before);
    text_release(&bytes);
    server_free(s);
}

static void put_command(struct text *out, const char *line) {
    struct words words = { 0 };
    assert_true(words_split(&words, line));
    text_printf(out, "*%zu\r\n", words.count);
    for (size_t i = 0; i < words.count; i++)
        text_printf(out, "$%zu\r\n%s\r\n", words.items[i].len, text_str(&words.items[i]));
    words_release(&words);
}

/* A stopped server whose incremental file is `bytes`. */
static struct server *stopped_with(const struct text *bytes) {
    struct server *s = start_with_aof();
    server_stop(s);
    file_write(server_path(s, INCR), bytes);
    return s;
}

static void what_expired_meanwhile_stays_gone(void **state) {
    (void)state;
    struct text bytes = { 0 };
    put_command(&bytes, "SELECT 0");
    put_command(&bytes, "SET old v PXAT 1000");
    put_command(&bytes, "SET kept v PXAT 4102444800000");
    put_command(&bytes, "SET touched v PXAT 1000");
    put_command(&bytes, "INCR n");
    struct server *s = stopped_with(&bytes);
    server_restart(s);
    struct client *c = server_connect(s);
    static const struct exchange rows[] = {
        { "EXISTS old", ":0" }, { "GET touched", "$-1" }, { "PEXPIRETIME kept", ":4102444800000" },
        { "GET n", "$\"1\"" },  { NULL, NULL },
    };
    assert_exchanges(c, rows);
    assert_reply_soon(c, "DBSIZE", ":2");
    client_close(c);
    server_stop(s);
    server_restart(s);
    run_rows(s, rows);
    text_release(&bytes);
    server_free(s);
}

static void what_expired_or_was_evicted_does_not_come_back(void **state) {
    (void)state;
    struct server *s = server_start("--appendonly", "yes", "--maxmemory-policy", "allkeys-random", NULL);
    struct client *c = server_connect(s);
    for (int i = 0; i < MANY_KEYS; i++)
        client_queue(c, "SET k:%d %d:xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", i, i);
    client_skip(c, MANY_KEYS);
    assert_reply(c, "SET short v PX 1", "+OK");
    assert_reply_soon(c, "EXISTS short", ":0");
    int64_t used = info_number(c, "memory", "used_memory");
    assert_string_equal(client_ask(c, "CONFIG SET maxmemory %lld", (long long)(used - MANY_KEYS * 20)),
                        "+OK");
    assert_reply(c, "SET trigger v", "+OK");
    for (int i = 0; i < 100; i++) assert_string_equal(client_ask(c, "PING"), "+PONG");
    assert_true(info_number(c, "stats", "evicted_keys") > 0);
    assert_reply(c, "CONFIG SET maxmemory 0", "+OK");
    /* Nobody was promised an eviction, so it may reach the file a moment later. */
    assert_reply_soon(c, "INFO persistence", "...aof_buffer_length:0\\r...");
    client_close(c);
    struct text before = { 0 };
    dump_of(s, &before);
    server_kill(s);
    server_restart(s);
    assert_holds(s, &before);
    text_release(&before);
    server_free(s);
}

static void an_old_single_file_is_moved_into_the_folder(void **state) {
    (void)state;
    struct server *s = server_start(NULL, NULL);
    struct text bytes = { 0 };
    put_command(&bytes, "SELECT 0");
    put_command(&bytes, "SET k v");
    file_write(server_path(s, "appendonly.aof"), &bytes);
    server_stop(s);
    const char *args[8] = { "--appendonly", "yes" };
    struct server_plan plan = plan_on(s, args, 2);
    struct server *upgraded = server_launch(&plan);
    run_rows(upgraded,
             (const struct exchange[]){ { "GET k", "$\"v\"" }, { "SET l w", "+OK" }, { NULL, NULL } });
    assert_false(file_exists(server_path(s, "appendonly.aof")));
    file_read(server_path(s, MANIFEST), &bytes);
    assert_string_equal(text_str(&bytes),
                        "file appendonly.aof seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n");
    server_kill(upgraded);
    server_restart(upgraded);
    run_rows(upgraded, (const struct exchange[]){ { "MGET k l", "*[$\"v\", $\"w\"]" }, { NULL, NULL } });
    text_release(&bytes);
    server_free(upgraded);
}

/* ---- loading ---- */

/* A file that takes its time: DEBUG SLEEP runs in it as any command does. */
static void make_slow_file(struct text *out) {
    put_command(out, "SELECT 0");
    for (int i = 0; i < 40; i++) {
        for (int k = 0; k < 1100; k++) {
            char line[64];
            snprintf(line, sizeof line, "SET k:%d:%d 12345678", i, k);
            put_command(out, line);
        }
        put_command(out, "DEBUG SLEEP 0.025");
    }
}

static void while_it_loads_clients_are_told_and_info_shows_progress(void **state) {
    (void)state;
    struct text bytes = { 0 };
    make_slow_file(&bytes);
    struct server *s = stopped_with(&bytes);
    const char *args[8] = { "--appendonly", "yes" };
    struct server_plan plan = plan_on(s, args, 2);
    struct server *loading = server_launch_unready(&plan);
    struct client *c = server_connect_early(loading);
    static const struct exchange rows[] = {
        { "PING", "-LOADING Redis is loading the dataset in memory" },
        { "GET k:0:0", "-LOADING Redis is loading the dataset in memory" },
        { "SET x y", "-LOADING Redis is loading the dataset in memory" },
        { "DBSIZE", "-LOADING Redis is loading the dataset in memory" },
        { "MULTI", "+OK" },
        { "GET k:0:0", "-LOADING Redis is loading the dataset in memory" },
        { "EXEC", "-EXECABORT Transaction discarded because of previous errors." },
        { "CONFIG GET appendonly", "*[$\"appendonly\", $\"yes\"]" },
        { NULL, NULL },
    };
    assert_exchanges(c, rows);
    assert_int_equal(info_number(c, "persistence", "loading"), 1);
    assert_int_equal(info_number(c, "persistence", "loading_total_bytes"), bytes.len);
    int64_t loaded = info_number(c, "persistence", "loading_loaded_bytes");
    assert_in_range(loaded, 0, bytes.len);
    assert_soon(info_number(c, "persistence", "loading") == 0 ||
                info_number(c, "persistence", "loading_loaded_bytes") > loaded);
    assert_reply_soon(c, "PING", "+PONG");
    assert_int_equal(info_number(c, "persistence", "loading"), 0);
    assert_reply(c, "DBSIZE", ":44000");
    assert_non_null(strstr(server_log(loading), "DB loaded from append only file"));
    client_close(c);
    server_free(loading);
    text_release(&bytes);
}

/* ---- bad tails and bad middles ---- */

static void make_small_file(struct text *out) {
    text_clear(out);
    put_command(out, "SELECT 0");
    put_command(out, "SET a 1");
    put_command(out, "SET b 2");
}

static void a_torn_tail_is_cut_and_the_log_says_so(void **state) {
    (void)state;
    static const size_t cuts[] = { 1, 2, 3, 10, 20, 26 };
    struct text bytes = { 0 }, whole = { 0 };
    make_small_file(&bytes);
    struct server *s = stopped_with(&bytes);
    size_t good = bytes.len - strlen("*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$1\r\n2\r\n");
    for (size_t i = 0; i < COUNT_OF(cuts); i++) {
        file_write(server_path(s, INCR), &bytes);
        file_cut(server_path(s, INCR), bytes.len - cuts[i]);
        server_restart(s);
        run_rows(s, (const struct exchange[]){
                        { "MGET a b", "*[$\"1\", $-1]" }, { "SET c 3", "+OK" }, { NULL, NULL } });
        server_await_log(s, "cut at offset", i + 1);
        server_kill(s);
        server_restart(s);
        run_rows(s, (const struct exchange[]){ { "MGET a b c", "*[$\"1\", $-1, $\"3\"]" }, { NULL, NULL } });
        server_stop(s);
        file_read(server_path(s, INCR), &whole);
        assert_memory_equal(whole.ptr, bytes.ptr, good);
        assert_int_equal(whole.ptr[good], '*');
    }
    text_release(&whole);
    text_release(&bytes);
}

/* The server must refuse to start on the folder of `s`, say all of `says`, and leave the file as it is. */
static void assert_refused(struct server *s, const char *truncated, const struct text *bytes,
                           const char *const *says) {
    const char *args[8] = { "--appendonly", "yes", "--aof-load-truncated", truncated };
    struct server_plan plan = plan_on(s, args, 4);
    struct text log = { 0 }, after = { 0 };
    assert_int_not_equal(server_run_to_end(&plan, &log), 0);
    for (; *says; says++)
        if (!strstr(text_str(&log), *says))
            HARNESS_FAIL("the log does not say '%s':\n%s", *says, text_str(&log));
    file_read(server_path(s, INCR), &after);
    assert_int_equal(after.len, bytes->len);
    assert_memory_equal(after.ptr, bytes->ptr, bytes->len);
    text_release(&after);
    text_release(&log);
}

static void a_torn_tail_is_refused_if_that_is_not_allowed(void **state) {
    (void)state;
    struct text bytes = { 0 };
    make_small_file(&bytes);
    struct server *s = stopped_with(&bytes);
    bytes.len -= 3;
    file_write(server_path(s, INCR), &bytes);
    assert_refused(s, "no", &bytes,
                   (const char *const[]){ "appendonly.aof.1.incr.aof", "aof-load-truncated", NULL });
    text_release(&bytes);
}

static void a_damaged_middle_is_refused_with_file_and_offset(void **state) {
    (void)state;
    struct text bytes = { 0 };
    make_small_file(&bytes);
    struct server *s = stopped_with(&bytes);
    size_t begin = strlen("*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n");
    assert_int_equal(bytes.ptr[begin], '*');
    bytes.ptr[begin] = '+';
    file_write(server_path(s, INCR), &bytes);
    static const char *const says[] = { "appendonly.aof.1.incr.aof", "offset 23", "damaged", NULL };
    assert_int_equal(begin, 23);
    assert_refused(s, "yes", &bytes, says);
    assert_refused(s, "no", &bytes, says);
    bytes.ptr[begin] = '*';
    memcpy(strstr(bytes.ptr, "SET"), "XET", 3);
    file_write(server_path(s, INCR), &bytes);
    assert_refused(s, "yes", &bytes,
                   (const char *const[]){ "appendonly.aof.1.incr.aof",
                                          "Unknown command 'XET' reading the append only file", NULL });
    text_release(&bytes);
}

static void half_a_transaction_is_cut(void **state) {
    (void)state;
    struct text bytes = { 0 };
    make_small_file(&bytes);
    size_t good = bytes.len;
    put_command(&bytes, "MULTI");
    put_command(&bytes, "SET c 3");
    put_command(&bytes, "DEL a");
    struct server *s = stopped_with(&bytes);
    assert_refused(s, "no", &bytes, (const char *const[]){ "an unfinished transaction", NULL });
    server_restart(s);
    run_rows(s, (const struct exchange[]){ { "MGET a b c", "*[$\"1\", $\"2\", $-1]" }, { NULL, NULL } });
    server_await_log(s, "an unfinished transaction", 1);
    assert_int_equal(file_size(server_path(s, INCR)), good);
    text_release(&bytes);
    server_free(s);
}

/* ---- changes while it runs ---- */

static void appendonly_can_be_switched_on_and_off(void **state) {
    (void)state;
    struct server *s = server_start(NULL, NULL);
    struct client *c = server_connect(s);
    struct text bytes = { 0 }, before = { 0 };
    assert_exchanges(c, all_sorts_of_writes);
    assert_reply(c, "CONFIG SET appendonly yes", "+OK");
    saves_await(c);
    file_read(server_path(s, MANIFEST), &bytes);
    assert_string_equal(text_str(&bytes), "file appendonly.aof.1.base.rdb seq 1 type b\n"
                                          "file appendonly.aof.1.incr.aof seq 1 type i\n");
    assert_true(file_size(server_path(s, BASE)) > 0);
    assert_int_equal(info_number(c, "persistence", "aof_enabled"), 1);
    assert_reply(c, "SET after on", "+OK");
    assert_reply(c, "CONFIG SET appendonly no", "+OK");
    assert_int_equal(info_number(c, "persistence", "aof_enabled"), 0);
    size_t size = file_size(server_path(s, INCR));
    assert_reply(c, "SET while off", "+OK");
    assert_int_equal(file_size(server_path(s, INCR)), size);
    assert_reply(c, "CONFIG SET appendonly yes", "+OK");
    saves_await(c);
    assert_reply(c, "DEL plain", ":1");
    dump(c, &before);
    assert_non_null(strstr(text_str(&before), "\"while\" $\"off\""));
    client_close(c);
    server_kill(s);
    const char *args[8] = { "--appendonly", "yes" };
    struct server_plan plan = plan_on(s, args, 2);
    struct server *again = server_launch(&plan);
    assert_holds(again, &before);
    assert_false(file_exists(server_path(s, BASE)));
    text_release(&bytes);
    text_release(&before);
    server_free(again);
}

static void the_fsync_policy_can_be_changed(void **state) {
    (void)state;
    static const char *const policies[] = { "always", "no", "everysec", "always" };
    struct server *s = start_with_aof();
    struct client *c = server_connect(s);
    for (size_t i = 0; i < COUNT_OF(policies); i++) {
        assert_string_equal(client_ask(c, "CONFIG SET appendfsync %s", policies[i]), "+OK");
        assert_string_equal(client_ask(c, "SET %zu %s", i, policies[i]), "+OK");
        assert_reply(c, "WAITAOF 1 0 60000", "*[:1, :0]");
    }
    assert_reply(c, "CONFIG SET appendfsync sometimes",
                 "-ERR CONFIG SET failed (possibly related to argument "
                 "'appendfsync') - argument(s) must be one of the following: ...");
    assert_reply(c, "CONFIG GET appendfsync", "*[$\"appendfsync\", $\"always\"]");
    client_close(c);
    server_kill(s);
    server_restart(s);
    run_rows(s,
             (const struct exchange[]){
                 { "MGET 0 1 2 3", "*[$\"always\", $\"no\", $\"everysec\", $\"always\"]" }, { NULL, NULL } });
    server_free(s);
}

/* ---- a failing disk ---- */

#define MISCONF "-MISCONF Errors writing to the AOF file: File too large"

static void limit_files(struct server *s, rlim_t size) {
    struct rlimit limit = { .rlim_cur = size, .rlim_max = RLIM_INFINITY };
    if (prlimit(server_pid(s), RLIMIT_FSIZE, &limit, NULL) != 0) HARNESS_FAIL("prlimit: %s", strerror(errno));
}

static void check_a_full_disk(struct server *s) {
    struct client *writer = server_connect(s), *other = server_connect(s);
    char big[30001];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    /* The file must be the biggest that the server writes, or the limit would hit the log first. */
    for (int i = 0; i < 10; i++) assert_string_equal(client_ask(writer, "SET big:%d %s", i, big), "+OK");
    size_t size = file_size(server_path(s, INCR));
    limit_files(s, size + 1000);
    client_send(writer, "SET held %s", big);
    client_send(writer, "GET big:1");
    assert_reply_soon(other, "PING", MISCONF);
    static const struct exchange refused[] = {
        { "SET k v", MISCONF },
        { "DEL big:0", MISCONF },
        { "FLUSHALL", MISCONF },
        { "STRLEN big:0", ":30000" },
        { "EXISTS k", ":0" },
        { "DBSIZE", ":11" },
        { "MULTI", "+OK" },
        { "SET k v", MISCONF },
        { "EXEC", "-EXECABORT Transaction discarded because of ..." },
        { NULL, NULL },
    };
    assert_exchanges(other, refused);
    assert_string_equal(info_field(other, "persistence", "aof_last_write_status"), "err");
    assert_false(client_has_reply(writer));
    assert_int_equal(file_size(server_path(s, INCR)), size);
    limit_files(s, RLIM_INFINITY);
    assert_next(writer, "+OK");
    assert_next(writer, "$\"xxx...\"");
    assert_reply_soon(other, "PING", "+PONG");
    assert_reply(other, "SET k v", "+OK");
    assert_string_equal(info_field(other, "persistence", "aof_last_write_status"), "ok");
    server_await_log(s, "AOF write error looks solved. The server can write again.", 1);
    client_close(writer);
    client_close(other);
}

static void a_full_disk_refuses_writes_holds_replies_back_and_heals(void **state) {
    (void)state;
    static const char *const policies[] = { "always", "everysec", "no" };
    for (size_t i = 0; i < COUNT_OF(policies); i++) {
        struct server *s = server_start("--appendonly", "yes", "--appendfsync", policies[i], NULL);
        check_a_full_disk(s);
        server_kill(s);
        server_restart(s);
        run_rows(
            s, (const struct exchange[]){
                   { "STRLEN held", ":30000" }, { "GET k", "$\"v\"" }, { "DBSIZE", ":12" }, { NULL, NULL } });
        server_free(s);
    }
}

static void a_server_killed_on_a_full_disk_has_all_that_was_acknowledged(void **state) {
    (void)state;
    struct server *s = start_with_aof();
    struct client *writer = server_connect(s), *other = server_connect(s);
    for (int i = 0; i < 2000; i++) client_queue(writer, "SET acked:%d xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", i);
    client_skip(writer, 2000);
    limit_files(s, file_size(server_path(s, INCR)) + 10);
    client_send(writer, "SET lost v");
    assert_reply_soon(other, "PING", MISCONF);
    assert_reply(other, "SET never v", MISCONF);
    server_kill(s);
    client_close(writer);
    client_close(other);
    server_restart(s);
    run_rows(
        s, (const struct exchange[]){ { "DBSIZE", ":2000" }, { "EXISTS lost never", ":0" }, { NULL, NULL } });
    assert_null(strstr(server_log(s), "cut at offset"));
    server_free(s);
}

/* ---- together with Redis ---- */

static int run_check_aof(struct server *s, struct text *out) {
    char command[256];
    snprintf(command, sizeof command, "redis-check-aof %s/%s 2>&1", server_folder(s), MANIFEST);
    FILE *pipe = popen(command, "r");
    if (!pipe) HARNESS_FAIL("cannot run redis-check-aof: %s", strerror(errno));
    char line[512];
    while (fgets(line, sizeof line, pipe)) text_append_str(out, line);
    return pclose(pipe);
}

static void redis_starts_on_our_files_and_we_on_its(void **state) {
    (void)state;
    struct server *s = server_start("--aof-use-rdb-preamble", "no", NULL);
    struct text before = { 0 }, said = { 0 };
    run_rows(s, (const struct exchange[]){ { "SET inbase v EX 100000", "+OK" },
                                           { "SELECT 1", "+OK" },
                                           { "SET one v", "+OK" },
                                           { "CONFIG SET appendonly yes", "+OK" },
                                           { NULL, NULL } });
    struct client *first = server_connect(s);
    saves_await(first);
    client_close(first);
    run_rows(s, all_sorts_of_writes);
    dump_of(s, &before);
    server_stop(s);
    assert_int_equal(run_check_aof(s, &said), 0);
    assert_non_null(strstr(text_str(&said), "is valid"));

    const char *args[16] = { "--appendonly", "yes", "--aof-use-rdb-preamble", "no", "--save", "" };
    struct server_plan theirs = plan_on(s, args, 6);
    theirs.program = "redis-server";
    theirs.bare = true;
    struct server *redis = server_launch(&theirs);
    assert_holds(redis, &before);
    run_rows(redis, (const struct exchange[]){
                        { "BGREWRITEAOF", "+..." }, { "SET theirs v", "+OK" }, { NULL, NULL } });
    struct client *c = server_connect(redis);
    assert_reply_soon(c, "INFO persistence",
                      "...aof_rewrite_in_progress:0...aof_last_bgrewrite_status:ok...");
    assert_reply(c, "SET after rewrite", "+OK");
    dump(c, &before);
    client_close(c);
    server_stop(redis);

    const char *ours_args[8] = { "--appendonly", "yes" };
    struct server_plan ours = plan_on(s, ours_args, 2);
    struct server *again = server_launch(&ours);
    assert_holds(again, &before);
    server_free(again);
    text_release(&said);
    text_release(&before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_appendonly_nothing_is_written),
        cmocka_unit_test(a_folder_holds_manifest_and_incremental_file),
        cmocka_unit_test(folder_and_file_have_the_names_that_are_set),
        cmocka_unit_test(all_kinds_of_writes_come_back_under_every_policy),
        cmocka_unit_test(times_to_live_are_stored_as_instants),
        cmocka_unit_test(what_expired_meanwhile_stays_gone),
        cmocka_unit_test(what_expired_or_was_evicted_does_not_come_back),
        cmocka_unit_test(an_old_single_file_is_moved_into_the_folder),
        cmocka_unit_test(while_it_loads_clients_are_told_and_info_shows_progress),
        cmocka_unit_test(a_torn_tail_is_cut_and_the_log_says_so),
        cmocka_unit_test(a_torn_tail_is_refused_if_that_is_not_allowed),
        cmocka_unit_test(a_damaged_middle_is_refused_with_file_and_offset),
        cmocka_unit_test(half_a_transaction_is_cut),
        cmocka_unit_test(appendonly_can_be_switched_on_and_off),
        cmocka_unit_test(the_fsync_policy_can_be_changed),
        cmocka_unit_test(a_full_disk_refuses_writes_holds_replies_back_and_heals),
        cmocka_unit_test(a_server_killed_on_a_full_disk_has_all_that_was_acknowledged),
        cmocka_unit_test(redis_starts_on_our_files_and_we_on_its),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
