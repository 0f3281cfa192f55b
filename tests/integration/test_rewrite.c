/* test_rewrite.c: what a rewrite of the AOF leaves on disk, and that it is the data of the server, whatever
 * was changed meanwhile. Crashes in the middle of it are tested in tests/crash. */
#include "../harness/churn.h"
#include "../harness/fixture.h"
#include "../harness/saves.h"
#include "files.h"
#include <dirent.h>
#include <stdio.h>

#define FOLDER "appendonlydir/"
#define MANIFEST FOLDER "appendonly.aof.manifest"

static void assert_persistence(struct client *c, const char *field, const char *expected) {
    const char *got = info_field(c, "persistence", field);
    if (strcmp(got, expected) != 0) HARNESS_FAIL("%s is '%s', not '%s'", field, got, expected);
}

/* The names of base and increment, once the manifest names nothing else: history files are removed in the
 * background, from the disk and then from the manifest. */
struct names {
    char base[64], incr[64];
};

static void await_names(struct server *s, struct names *names) {
    static const char *const form = "file %60s seq %*d type b\nfile %60s seq %*d type i\n%n";
    struct text got = { 0 };
    for (int64_t deadline_ms = deadline_after(AWAIT_PATIENCE_MS);;) {
        int end = 0;
        file_read(server_path(s, MANIFEST), &got);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        if (sscanf(text_str(&got), form, names->base, names->incr, &end) == 2 && end == (int)got.len) break;
#pragma GCC diagnostic pop
        if (deadline_has_passed(deadline_ms)) HARNESS_FAIL("the manifest is\n%s", text_str(&got));
        pause_ms(1);
    }
    text_release(&got);
}

/* The path of a file in the folder. */
static const char *path_in(struct server *s, const char *name) {
    static char path[128];
    snprintf(path, sizeof path, FOLDER "%s", name);
    return server_path(s, path);
}

/* How many files there are in the folder, the manifest included. */
static size_t files_in(struct server *s) {
    size_t count = 0;
    DIR *d = opendir(server_path(s, FOLDER));
    for (struct dirent *e = readdir(d); e; e = readdir(d)) count += e->d_name[0] != '.';
    closedir(d);
    return count;
}

/* ---- files ---- */

static void a_rewrite_leaves_one_base_and_one_increment(void **state) {
    (void)state;
    struct server *s = server_start("--appendonly", "yes", NULL);
    struct client *c = server_connect(s);
    assert_reply(c, "SET k v", "+OK");
    struct names names;
    for (int i = 1; i <= 3; i++) {
        saves_rewrite(c);
        await_names(s, &names);
        assert_int_equal(files_in(s), 3);
        assert_int_equal(info_number(c, "persistence", "aof_base_size"), file_size(path_in(s, names.base)));
        assert_int_equal(file_size(path_in(s, names.incr)), 0);
        assert_reply(c, "INCR n", "...");
        assert_true(info_number(c, "persistence", "aof_current_size") >
                    info_number(c, "persistence", "aof_base_size"));
    }
    assert_persistence(c, "aof_rewrites", "3");
    client_close(c);
    saves_assert_survives(s);
    server_free(s);
}

/* With rows of every type: a base of commands makes the same data. */
static void a_base_without_preamble_holds_commands(void **state) {
    (void)state;
    struct server *s = server_start("--appendonly", "yes", "--aof-use-rdb-preamble", "no", NULL);
    struct client *c = server_connect(s);
    assert_reply(c, "SELECT 3", "+OK");
    assert_reply(c, "SET k v PXAT 99999999999999", "+OK");
    saves_rewrite(c);
    struct text bytes = { 0 };
    struct names names;
    await_names(s, &names);
    file_read(path_in(s, names.base), &bytes);
    assert_string_equal(text_str(&bytes), "*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n"
                                          "*5\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n$4\r\nPXAT\r\n$14\r\n"
                                          "99999999999999\r\n");
    churn_fill(c);
    assert_reply(c, "HPEXPIREAT h0 99999999999999 FIELDS 2 e1 e2", "*[:1, :1]");
    assert_reply(c, "EXPIREAT l0 9999999999", ":1");
    saves_rewrite(c);
    client_close(c);
    saves_assert_survives(s);
    c = server_connect(s);
    assert_reply(c, "SELECT 3", "+OK");
    assert_reply(c, "HPEXPIRETIME h0 FIELDS 3 e1 e2 e3", "*[:99999999999999, :99999999999999, :-1]");
    assert_reply(c, "EXPIRETIME l0", ":9999999999");
    assert_reply(c, "XPENDING x0 g", "*[:300, ...");
    client_close(c);
    text_release(&bytes);
    server_free(s);
}

/* ---- when it begins ---- */

static void it_begins_by_itself_when_the_file_has_grown(void **state) {
    (void)state;
    struct server *s = server_start("--appendonly", "yes", "--auto-aof-rewrite-percentage", "100",
                                    "--auto-aof-rewrite-min-size", "4kb", NULL);
    struct client *c = server_connect(s);
    for (int round = 1; round <= 2; round++) {
        for (int i = 0; i < 300; i++) client_queue(c, "SET key%d some-value-%d", i % 30, i);
        client_skip(c, 300);
        saves_await_count(c, "aof_rewrites", round);
    }
    server_await_log(s, "Starting automatic rewriting of AOF on", 2);
    assert_reply(c, "CONFIG SET auto-aof-rewrite-percentage 0", "+OK");
    saves_await(c);
    int64_t rewrites = info_number(c, "persistence", "aof_rewrites");
    for (int i = 0; i < 3000; i++) client_queue(c, "SET key%d some-value-%d", i % 30, i);
    client_skip(c, 3000);
    server_await_log(s, "Background append only file rewriting started", (size_t)rewrites);
    assert_int_equal(info_number(c, "persistence", "aof_rewrites"), rewrites);
    client_close(c);
    saves_assert_survives(s);
    server_free(s);
}

static void it_is_scheduled_behind_a_snapshot(void **state) {
    (void)state;
    struct server *s = server_start("--appendonly", "yes", "--rdb-key-save-delay", "100000", NULL);
    struct client *c = server_connect(s);
    assert_reply(c, "MSET a 1 b 2 c 3", "+OK");
    assert_reply(c, "BGSAVE", "+Background saving started");
    assert_reply(c, "BGREWRITEAOF", "+Background append only file rewriting scheduled");
    assert_persistence(c, "aof_rewrite_scheduled", "1");
    assert_persistence(c, "aof_rewrite_in_progress", "0");
    saves_await(c);
    assert_persistence(c, "rdb_saves", "1");
    assert_persistence(c, "aof_rewrites", "1");
    assert_persistence(c, "aof_rewrite_scheduled", "0");
    client_close(c);
    saves_assert_survives(s);
    server_free(s);
}

/* ---- switching the AOF off and on ---- */

static void turning_the_aof_off_ends_a_rewrite(void **state) {
    (void)state;
    struct server *s = server_start("--appendonly", "yes", "--rdb-key-save-delay", "10000000", NULL);
    struct client *c = server_connect(s);
    assert_reply(c, "MSET a 1 b 2", "+OK");
    for (int i = 0; i < 2; i++) {
        int64_t rewrites = info_number(c, "persistence", "aof_rewrites");
        assert_reply(c, "BGREWRITEAOF", "+Background append only file rewriting started");
        if (i == 1) assert_reply_soon(c, "EXISTS a", ":1"); /* the other time it is hardly prepared */
        assert_reply(c, "CONFIG SET appendonly no", "+OK");
        saves_await(c);
        assert_persistence(c, "aof_enabled", "0");
        assert_int_equal(info_number(c, "persistence", "aof_rewrites"), rewrites);
        assert_false(file_exists(server_path(s, FOLDER "temp-rewrite.aof")));
        assert_reply(c, "INCR a", i == 0 ? ":2" : ":3");
        assert_reply(c, "CONFIG SET rdb-key-save-delay 0", "+OK");
        assert_reply(c, "CONFIG SET appendonly yes", "+OK");
        saves_await(c);
        assert_reply(c, "INCR b", i == 0 ? ":3" : ":4");
        assert_reply(c, "CONFIG SET rdb-key-save-delay 10000000", "+OK");
    }
    client_close(c);
    saves_assert_survives(s);
    c = server_connect(s);
    assert_reply(c, "MGET a b", "*[$\"3\", $\"4\"]");
    client_close(c);
    server_free(s);
}

/* Once its first base is written, nothing that was acknowledged is missing. */
static void turned_on_under_load_it_has_everything(void **state) {
    (void)state;
    struct server *s = server_start(NULL, NULL);
    struct client *c = server_connect(s);
    struct churn churn = { .server = s };
    char digest[DIGEST_TEXT];
    churn_fill(c);
    churn_start(&churn);
    for (int i = 0; i < 2; i++) {
        churn_await(&churn, 500);
        assert_reply(c, "CONFIG SET appendonly yes", "+OK");
        churn_await(&churn, 500);
        saves_await(c);
        saves_rewrite(c);
        churn_await(&churn, 500);
        if (i == 0) assert_reply(c, "CONFIG SET appendonly no", "+OK");
    }
    churn_stop(&churn);
    saves_digest(c, digest);
    client_close(c);
    server_kill(s);
    const char *args[] = { "--dir", server_folder(s), "--appendonly", "yes", NULL };
    struct server *other = server_launch(&(struct server_plan){ .args = args });
    c = server_connect(other);
    assert_reply(c, "DEBUG DIGEST", digest);
    client_close(c);
    server_free(other);
    server_free(s);
}

/* ---- under change ---- */

static const char *const upheaval[] = {
    "RENAME h0 h9", "MOVE l0 2",  "COPY s0 s9 REPLACE", "RENAME blob0 blob9", "DEL h1 z1", "SWAPDB 0 1",
    "FLUSHDB",      "SWAPDB 0 2", "HSET h0 a b",        "RENAME x0 x9",       NULL,
};

/* FLUSHALL does not give up a rewrite: the increment has it. */
static const char *const flushall[] = { "FLUSHALL", "SET k v", NULL };

/* A rewrite for each of the upheavals, and a SIGKILL after it. */
static void rewrites_under_load(const char *workers, const char *preamble, const char *const *const *between,
                                size_t count) {
    struct server *s =
        server_start("--appendonly", "yes", "--io-threads", workers, "--aof-use-rdb-preamble", preamble,
                     "--rdb-key-save-delay", "10", "--auto-aof-rewrite-percentage", "0", NULL);
    struct client *c = server_connect(s);
    for (size_t i = 0; i < count; i++) {
        struct churn churn = { .server = s };
        churn_fill(c);
        churn_start(&churn);
        churn_await(&churn, 500);
        int64_t before = info_number(c, "persistence", "aof_rewrites");
        assert_reply(c, "BGREWRITEAOF", "+Background append only file rewriting started");
        server_await_log(s, "Background append only file rewriting started", i + 1);
        churn_await(&churn, 200);
        for (const char *const *command = between[i]; command && *command; command++)
            client_ask(c, "%s", *command);
        saves_await(c);
        assert_int_equal(info_number(c, "persistence", "aof_rewrites"), before + 1);
        assert_true(info_number(c, "persistence", "aof_last_cow_size") > 0);
        churn_await(&churn, 200);
        churn_stop(&churn);
        client_close(c);
        server_await_log(s, "Ready to accept connections", i + 1);
        saves_assert_survives(s);
        c = server_connect(s);
    }
    client_close(c);
    server_free(s);
}

static void with_one_worker_nothing_is_lost(void **state) {
    (void)state;
    rewrites_under_load("1", "yes", (const char *const *const[]){ upheaval }, 1);
}

static void with_four_workers_nothing_is_lost(void **state) {
    (void)state;
    rewrites_under_load("4", "yes", (const char *const *const[]){ upheaval, flushall }, 2);
}

static void as_commands_nothing_is_lost(void **state) {
    (void)state;
    rewrites_under_load("4", "no", (const char *const *const[]){ upheaval }, 1);
}

/* What expires after the base was begun is alive in it: the increment may prolong its life. */
static void what_is_given_more_time_during_a_rewrite_lives(void **state) {
    (void)state;
    static const char *const preambles[] = { "yes", "no" };
    for (size_t i = 0; i < COUNT_OF(preambles); i++) {
        struct server *s = server_start("--appendonly", "yes", "--aof-use-rdb-preamble", preambles[i], NULL);
        struct client *c = server_connect(s);
        static const struct exchange rows[] = {
            { "DEBUG SET-ACTIVE-EXPIRE 0", "+OK" },
            { "SET key v PX 2000", "+OK" },
            { "HSET hash f v", ":1" },
            { "HPEXPIRE hash 2000 FIELDS 1 f", "*[:1]" },
            { "RPUSH list a", ":1" },
            { "PEXPIRE list 2000", ":1" },
            { "SET gone v PX 1", "+OK" },
            { NULL, NULL },
        };
        assert_exchanges(c, rows);
        saves_rewrite(c);
        static const struct exchange more[] = {
            { "PERSIST key", ":1" },
            { "HPERSIST hash FIELDS 1 f", "*[:1]" },
            { "PEXPIRE list 100000000", ":1" },
            { NULL, NULL },
        };
        assert_exchanges(c, more);
        assert_reply(c, "SET clock v PX 2001", "+OK");
        assert_reply_soon(c, "EXISTS clock", ":0"); /* now the first times are over */
        client_close(c);
        server_kill(s);
        server_restart(s);
        c = server_connect(s);
        assert_reply(c, "GET key", "$\"v\"");
        assert_reply(c, "HGET hash f", "$\"v\"");
        assert_reply(c, "LRANGE list 0 -1", "*[$\"a\"]");
        assert_reply(c, "EXISTS gone", ":0");
        client_close(c);
        server_free(s);
    }
}

/* All that churn.h lets expire has expired and is gone. */
static void await_ends(struct client *c) {
    assert_reply(c, "SELECT 5", "+OK");
    assert_reply(c, "SET clock v PX 500", "+OK");
    assert_reply_soon(c, "EXISTS clock", ":0");
    for (int i = 0; i < CHURN_KEYS; i++) client_queue(c, "EXISTS gone%d", i);
    client_skip(c, CHURN_KEYS);
    for (int i = 0; i <= CHURN_SMALL; i++) client_queue(c, "EXISTS volatile%d", i);
    client_skip(c, CHURN_SMALL + 1);
    assert_reply_soon(c, "EXISTS fields0 fields1", ":0");
}

/* Keys and fields that go by themselves meanwhile are gone on disk too. */
static void expiry_during_a_rewrite_is_kept_in_order(void **state) {
    (void)state;
    struct server *s = server_start("--appendonly", "yes", "--rdb-key-save-delay", "10", NULL);
    struct client *c = server_connect(s);
    struct churn churn = { .server = s, .with_expiry = true };
    assert_reply(c, "DEBUG POPULATE 5000", "+OK");
    churn_start(&churn);
    churn_await(&churn, 500);
    for (int i = 0; i < 2; i++) saves_rewrite(c);
    churn_stop(&churn);
    await_ends(c);
    client_close(c);
    saves_assert_survives(s);
    server_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rewrite_leaves_one_base_and_one_increment),
        cmocka_unit_test(a_base_without_preamble_holds_commands),
        cmocka_unit_test(it_begins_by_itself_when_the_file_has_grown),
        cmocka_unit_test(it_is_scheduled_behind_a_snapshot),
        cmocka_unit_test(turning_the_aof_off_ends_a_rewrite),
        cmocka_unit_test(turned_on_under_load_it_has_everything),
        cmocka_unit_test(with_one_worker_nothing_is_lost),
        cmocka_unit_test(with_four_workers_nothing_is_lost),
        cmocka_unit_test(as_commands_nothing_is_lost),
        cmocka_unit_test(what_is_given_more_time_during_a_rewrite_lives),
        cmocka_unit_test(expiry_during_a_rewrite_is_kept_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
