/* test_saving.c: SAVE, BGSAVE, LASTSAVE, BGREWRITEAOF and DEBUG RELOAD over the wire, save points, and what
 * INFO tells of them. A snapshot that must not end by itself has a rdb-key-save-delay of ten seconds a key.
 */
#include "../harness/fixture.h"
#include "../harness/saves.h"
#include "../integration/files.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#define IN_PROGRESS "-ERR Background save already in progress"
#define REWRITE_IN_PROGRESS "-ERR Background append only file rewriting already in progress"
#define MISCONF                                                                                              \
    "-MISCONF Valkey is configured to save RDB snapshots, but it's currently unable to persist to disk. "    \
    "Commands that may modify the data set are disabled, because this instance is configured to report "     \
    "errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the " \
    "Valkey logs for details about the RDB error."

static void remove_file(const char *path) {
    if (unlink(path) != 0) HARNESS_FAIL("cannot remove %s", path);
}

static struct server *slow_server(const char *appendonly) {
    struct server *s = server_start("--appendonly", appendonly, "--rdb-key-save-delay", "10000000", NULL);
    struct client *c = server_connect(s);
    assert_reply(c, "MSET a 1 b 2", "+OK");
    client_close(c);
    return s;
}

static void assert_persistence(struct client *c, const char *field, const char *expected) {
    const char *got = info_field(c, "persistence", field);
    if (strcmp(got, expected) != 0) HARNESS_FAIL("%s is '%s', not '%s'", field, got, expected);
}

static void on(struct server *s, const struct exchange *rows) {
    struct client *c = server_connect(s);
    assert_exchanges(c, rows);
    client_close(c);
}

/* ---- replies ---- */

static void save_and_its_kin_refuse_arguments(void **state) {
    static const struct exchange rows[] = {
        { "SAVE x", "-ERR wrong number of arguments for 'save' command" },
        { "BGSAVE FOO", "-ERR syntax error" },
        { "BGSAVE SCHEDULE CANCEL", "-ERR syntax error" },
        { "BGREWRITEAOF x", "-ERR wrong number of arguments for 'bgrewriteaof' command" },
        { "LASTSAVE x", "-ERR wrong number of arguments for 'lastsave' command" },
        { "BGSAVE CANCEL", "-ERR Background saving is currently not in progress or scheduled" },
        { "SAVE", "+OK" },
        { "BGSAVE SCHEDULE", "+Background saving started" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
    saves_await(fixture_client(state));
}

static void while_a_snapshot_is_written_there_is_no_other(void **state) {
    (void)state;
    struct server *s = slow_server("yes");
    on(s, (const struct exchange[]){ { "BGSAVE", "+Background saving started" },
                                     { "BGSAVE", IN_PROGRESS },
                                     { "SAVE", IN_PROGRESS },
                                     { "BGSAVE SCHEDULE", IN_PROGRESS },
                                     { "DEBUG RELOAD", IN_PROGRESS },
                                     { "BGREWRITEAOF", "+Background append only file rewriting scheduled" },
                                     { "BGREWRITEAOF", "+Background append only file rewriting scheduled" },
                                     { "CONFIG SET rdb-key-save-delay 0", "+OK" },
                                     { "BGSAVE CANCEL", "+Background saving cancelled" },
                                     { NULL, NULL } });
    struct client *c = server_connect(s);
    saves_await(c);
    assert_persistence(c, "rdb_last_bgsave_status", "ok");
    assert_persistence(c, "rdb_saves", "0");
    assert_persistence(c, "aof_last_bgrewrite_status", "ok");
    assert_persistence(c, "aof_rewrites", "1"); /* the scheduled one */
    assert_false(file_exists(server_path(s, "dump.rdb")));
    client_close(c);
    server_free(s);
}

static void while_the_aof_is_rewritten_a_snapshot_waits(void **state) {
    (void)state;
    struct server *s = slow_server("yes");
    on(s, (const struct exchange[]){
              { "BGREWRITEAOF", "+Background append only file rewriting started" },
              { "BGREWRITEAOF", REWRITE_IN_PROGRESS },
              { "BGSAVE", "-ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE "
                          "SCHEDULE in order to schedule a BGSAVE whenever possible." },
              { "BGSAVE CANCEL", "-ERR Background saving is currently not in progress or scheduled" },
              { "BGSAVE SCHEDULE", "+Background saving scheduled" },
              { "BGSAVE CANCEL", "+Scheduled background saving cancelled" },
              { "BGSAVE CANCEL", "-ERR Background saving is currently not in progress or scheduled" },
              { "SAVE", "+OK" }, /* this one waits for nobody */
              { NULL, NULL } });
    assert_true(file_exists(server_path(s, "dump.rdb")));
    struct client *c = server_connect(s);
    assert_persistence(c, "aof_rewrite_in_progress", "1");
    assert_persistence(c, "rdb_bgsave_in_progress", "0");
    client_close(c);
    server_stop(s); /* does not wait for what was begun */
    server_free(s);
}

static void a_scheduled_snapshot_follows_the_rewrite(void **state) {
    (void)state;
    struct server *s = server_start("--appendonly", "yes", "--rdb-key-save-delay", "100000", NULL);
    on(s, (const struct exchange[]){ { "SET k v", "+OK" },
                                     { "BGREWRITEAOF", "+Background append only file rewriting started" },
                                     { "BGSAVE SCHEDULE", "+Background saving scheduled" },
                                     { NULL, NULL } });
    struct client *c = server_connect(s);
    saves_await_count(c, "rdb_saves", 1);
    assert_persistence(c, "aof_rewrites", "1");
    client_close(c);
    server_free(s);
}

static void in_a_transaction_they_are_scheduled(void **state) {
    (void)state;
    struct server *s = server_start("--appendonly", "yes", NULL);
    on(s,
       (const struct exchange[]){
           { "MULTI", "+OK" },
           { "SET k v", "+QUEUED" },
           { "BGSAVE", "+QUEUED" },
           { "BGREWRITEAOF", "+QUEUED" },
           { "LASTSAVE", "+QUEUED" },
           { "EXEC", "*[+OK, +Background saving scheduled, +Background append only file rewriting scheduled, "
                     ":...]" },
           { "MULTI", "+OK" },
           { "SAVE", "-ERR Command 'save' not allowed inside a transaction" },
           { "EXEC", "-EXECABORT Transaction discarded because of previous errors." },
           { NULL, NULL } });
    struct client *c = server_connect(s);
    saves_await_count(c, "rdb_saves", 1);
    saves_await_count(c, "aof_rewrites", 1);
    client_close(c);
    server_free(s);
}

/* As a second way to dump, or before the AOF is turned on. */
static void without_an_aof_a_base_is_written_alone(void **state) {
    (void)state;
    struct server *s = server_start(NULL, NULL);
    struct client *c = server_connect(s);
    struct text manifest = { 0 };
    assert_reply(c, "SET k v", "+OK");
    assert_reply(c, "DEBUG LOADAOF", "-ERR The append only file is off, and there is none to load");
    assert_reply(c, "GET k", "$\"v\"");
    assert_reply(c, "BGREWRITEAOF", "+Background append only file rewriting started");
    saves_await_count(c, "aof_rewrites", 1);
    assert_reply(c, "INFO persistence", "...aof_enabled:0...aof_last_bgrewrite_status:ok...");
    file_read(server_path(s, "appendonlydir/appendonly.aof.manifest"), &manifest);
    assert_string_equal(text_str(&manifest), "file appendonly.aof.1.base.rdb seq 1 type b\n");
    on(s, (const struct exchange[]){ { "SET k w", "+OK" },
                                     { "MULTI", "+OK" },
                                     { "BGREWRITEAOF", "+QUEUED" },
                                     { "EXEC", "*[+Background append only file rewriting scheduled]" },
                                     { NULL, NULL } });
    saves_await_count(c, "aof_rewrites", 2);
    on(s, (const struct exchange[]){ { "SET k x", "+OK" },
                                     { "DEBUG LOADAOF", "+OK" },
                                     { "GET k", "$\"w\"" },
                                     { "CONFIG SET appendonly yes", "+OK" },
                                     { "SET k y", "+OK" },
                                     { NULL, NULL } });
    saves_await(c);
    assert_reply(c, "DEBUG LOADAOF", "+OK");
    assert_reply(c, "GET k", "$\"y\"");
    client_close(c);
    server_stop(s);
    const char *args[] = { "--appendonly", "yes", "--dir", server_folder(s), NULL };
    struct server *again = server_launch(&(struct server_plan){ .args = args });
    c = server_connect(again);
    assert_reply(c, "GET k", "$\"y\"");
    client_close(c);
    text_release(&manifest);
    server_free(again);
    server_free(s);
}

/* The base begins no journal: what was there before is history, files behind it too. */
static void a_base_alone_takes_the_place_of_what_a_journal_left(void **state) {
    (void)state;
    struct server *s = server_start("--appendonly", "yes", NULL);
    struct client *c = server_connect(s);
    assert_reply(c, "SET k 1", "+OK");
    assert_reply(c, "CONFIG SET appendonly no", "+OK");
    assert_reply(c, "SET k 2", "+OK");
    saves_rewrite(c);
    assert_reply(c, "SET k 3", "+OK");
    assert_reply(c, "DEBUG LOADAOF", "+OK");
    assert_reply(c, "GET k", "$\"2\"");
    client_close(c);
    server_free(s);
}

static void lastsave_moves_with_every_good_save(void **state) {
    struct client *c = fixture_client(state);
    int64_t before = client_ask_int(c, "LASTSAVE");
    /* Until the clock shows another second. */
    assert_soon(strcmp(client_ask(c, "SAVE"), "+OK") == 0 && client_ask_int(c, "LASTSAVE") > before);
    assert_int_equal(client_ask_int(c, "LASTSAVE"), info_number(c, "persistence", "rdb_last_save_time"));
}

/* ---- the file ---- */

static void the_dump_has_name_and_folder_of_now(void **state) {
    (void)state;
    struct server *s = server_start(NULL, NULL);
    struct client *c = server_connect(s);
    mkdir(server_path(s, "other"), 0755);
    assert_reply(c, "SET k v", "+OK");
    client_ask(c, "CONFIG SET dir %s dbfilename data.rdb", server_path(s, "other"));
    saves_save(c);
    assert_true(file_exists(server_path(s, "other/data.rdb")));
    assert_false(file_exists(server_path(s, "dump.rdb")));
    assert_reply(c, "CONFIG SET dbfilename a/b",
                 "-ERR CONFIG SET failed (possibly related to argument "
                 "'dbfilename') - dbfilename can't be a path, just a filename");
    client_close(c);
    server_free(s);
}

/* The folder holds the dump, and no temporary file. */
static void assert_only_dump(struct server *s) {
    DIR *d = opendir(server_folder(s));
    for (struct dirent *e = readdir(d); e; e = readdir(d))
        if (strncmp(e->d_name, "temp", 4) == 0) HARNESS_FAIL("%s was left", e->d_name);
    closedir(d);
}

static void what_is_given_up_leaves_no_file(void **state) {
    (void)state;
    static const char *const ways[] = { "BGSAVE CANCEL", "FLUSHALL", "SHUTDOWN NOSAVE" };
    for (size_t i = 0; i < COUNT_OF(ways); i++) {
        struct server *s = slow_server("no");
        struct client *c = server_connect(s);
        assert_reply(c, "BGSAVE", "+Background saving started");
        client_send(c, "%s", ways[i]);
        if (i < 2) {
            client_read_text(c);
            saves_await(c);
            assert_persistence(c, "rdb_saves", "0");
        } else {
            server_await_end(s);
        }
        assert_only_dump(s);
        assert_false(file_exists(server_path(s, "dump.rdb")));
        client_close(c);
        server_free(s);
    }
}

static void assert_head(struct client *c, struct server *s, const char *head) {
    struct text bytes = { 0 };
    remove_file(server_path(s, "dump.rdb"));
    saves_save(c);
    file_read(server_path(s, "dump.rdb"), &bytes);
    assert_memory_equal(text_str(&bytes), head, strlen(head));
    assert_reply(c, "SAVE", "+OK");
    file_read(server_path(s, "dump.rdb"), &bytes);
    assert_memory_equal(text_str(&bytes), head, strlen(head));
    text_release(&bytes);
}

static void the_version_is_chosen_or_as_new_as_needed(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        { "auto", "REDIS0011" }, { "10", "REDIS0010" }, { "11", "REDIS0011" }, { "80", "VALKEY080" }
    };
    struct server *s = server_start(NULL, NULL);
    struct client *c = server_connect(s);
    assert_reply(c, "SAVE", "+OK");
    assert_reply(c, "HSET h f v g w", ":2");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        client_ask(c, "CONFIG SET rdb-write-version %s", rows[i][0]);
        assert_head(c, s, rows[i][1]);
    }
    assert_reply(c, "HPEXPIRE h 100000000 FIELDS 1 f", "*[:1]");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        client_ask(c, "CONFIG SET rdb-write-version %s", rows[i][0]);
        assert_head(c, s, i == 0 ? "VALKEY080" : rows[i][1]);
        assert_reply(c, "DEBUG RELOAD", "+OK");
        assert_reply(c, "HMGET h f g", "*[$\"v\", $\"w\"]");
        /* Older formats have no place for the time. */
        assert_reply(c, "HPEXPIRE h 100000000 NX FIELDS 1 f", i == 0 || i == 3 ? "*[:0]" : "*[:1]");
    }
    client_close(c);
    server_free(s);
}

static void compression_and_checksum_can_be_switched_off(void **state) {
    (void)state;
    struct server *s = server_start("--rdbcompression", "no", "--rdbchecksum", "no", NULL);
    struct client *c = server_connect(s);
    struct text bytes = { 0 };
    client_ask(c, "SETRANGE k 100000 x");
    for (int i = 0; i < 2; i++) {
        if (i == 0)
            assert_reply(c, "SAVE", "+OK");
        else
            saves_save(c);
        file_read(server_path(s, "dump.rdb"), &bytes);
        assert_true(bytes.len > 100000);
        assert_memory_equal(bytes.ptr + bytes.len - 8, "\0\0\0\0\0\0\0\0", 8);
        assert_reply(c, "DEBUG RELOAD NOSAVE", "+OK");
        assert_reply(c, "STRLEN k", ":100001");
    }
    assert_reply(c, "CONFIG SET rdbchecksum no", "-ERR ...");
    assert_reply(c, "CONFIG SET rdbcompression yes", "+OK");
    assert_reply(c, "SAVE", "+OK");
    assert_true(file_size(server_path(s, "dump.rdb")) < 10000);
    text_release(&bytes);
    client_close(c);
    server_free(s);
}

/* ---- DEBUG RELOAD ---- */

static void reload_brings_back_what_was_saved(void **state) {
    static const struct exchange rows[] = {
        { "MSET a 1 b 2", "+OK" },
        { "SELECT 3", "+OK" },
        { "RPUSH l x y", ":2" },
        { "PEXPIREAT l 99999999999999", ":1" },
        { "SELECT 0", "+OK" },
        { "DEBUG RELOAD", "+OK" },
        { "MGET a b", "*[$\"1\", $\"2\"]" },
        { "SELECT 3", "+OK" },
        { "PEXPIRETIME l", ":99999999999999" },
        { "SELECT 0", "+OK" },
        /* What came after the file is lost with NOSAVE. */
        { "SET c 3", "+OK" },
        { "SET a changed", "+OK" },
        { "DEBUG RELOAD NOSAVE", "+OK" },
        { "MGET a b c", "*[$\"1\", $\"2\", $-1]" },
        { "SET a mine", "+OK" },
        { "SET c 3", "+OK" },
        { "DEBUG RELOAD NOSAVE NOFLUSH MERGE", "+OK" },
        { "MGET a b c", "*[$\"1\", $\"2\", $\"3\"]" },
        { "DEBUG RELOAD FOO", "-ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options." },
        { "FLUSHALL", "+OK" },
        { "DEBUG RELOAD NOSAVE NOFLUSH", "+OK" },
        { "DBSIZE", ":2" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void reload_without_a_file_keeps_what_is_there(void **state) {
    struct fixture *f = *state;
    assert_reply(f->client, "SET a 1", "+OK");
    assert_reply(f->client, "SAVE", "+OK");
    remove_file(server_path(f->server, "dump.rdb"));
    assert_reply(f->client, "DEBUG RELOAD NOSAVE", "-ERR Error trying to load the RDB dump...");
    assert_reply(f->client, "GET a", "$\"1\"");
}

/* ---- save points ---- */

static void a_save_point_saves_after_its_time(void **state) {
    (void)state;
    struct server *s = server_start(NULL, NULL);
    struct client *c = server_connect(s);
    assert_reply(c, "CONFIG SET save \"3600 1 1 3\"", "+OK");
    assert_reply(c, "SET a 1", "+OK");
    assert_reply(c, "SET b 1", "+OK");
    assert_persistence(c, "rdb_changes_since_last_save", "2");
    assert_persistence(c, "rdb_saves", "0");
    assert_reply(c, "SET c 1", "+OK");
    saves_await_count(c, "rdb_saves", 1);
    server_await_log(s, "3 changes in 1 seconds. Saving...", 1);
    assert_persistence(c, "rdb_changes_since_last_save", "0");
    assert_true(file_exists(server_path(s, "dump.rdb")));
    client_close(c);
    server_free(s);
}

static void changes_during_a_snapshot_count_for_the_next(void **state) {
    (void)state;
    struct server *s = slow_server("no");
    on(s, (const struct exchange[]){ { "BGSAVE", "+Background saving started" },
                                     { "SET c 1", "+OK" },
                                     { "INCR c", ":2" },
                                     { NULL, NULL } });
    struct client *c = server_connect(s);
    assert_persistence(c, "rdb_changes_since_last_save", "4");
    assert_reply(c, "BGSAVE CANCEL", "+Background saving cancelled");
    saves_await(c);
    assert_persistence(c, "rdb_changes_since_last_save", "4");
    assert_reply(c, "CONFIG SET rdb-key-save-delay 300000", "+OK");
    assert_reply(c, "BGSAVE", "+Background saving started");
    assert_reply(c, "DEL c", ":1");
    saves_await(c);
    assert_persistence(c, "rdb_changes_since_last_save", "1");
    assert_reply(c, "SAVE", "+OK");
    assert_persistence(c, "rdb_changes_since_last_save", "0");
    client_close(c);
    server_free(s);
}

/* With save points, what FLUSHALL emptied is empty on disk at once; without, the old dump stays. */
static void flushall_with_save_points_empties_the_dump(void **state) {
    (void)state;
    static const char *const points[] = { "", "3600 1" };
    for (size_t i = 0; i < COUNT_OF(points); i++) {
        struct server *s = server_start("--save", points[i], NULL);
        on(s, (const struct exchange[]){ { "SET k v", "+OK" },
                                         { "SAVE", "+OK" },
                                         { "CONFIG SET rdb-key-save-delay 10000000", "+OK" },
                                         { "BGSAVE", "+Background saving started" },
                                         { "FLUSHALL", "+OK" },
                                         { NULL, NULL } });
        struct client *c = server_connect(s);
        saves_await(c);
        assert_reply(c, "DEBUG RELOAD NOSAVE", "+OK");
        assert_reply(c, "DBSIZE", i == 0 ? ":1" : ":0");
        client_close(c);
        server_free(s);
    }
}

/* ---- the end ---- */

static void shutdown_saves_as_told(void **state) {
    (void)state;
    static const struct {
        const char *points, *command;
        bool saves;
    } rows[] = {
        { "", "SHUTDOWN", false },          { "", "SHUTDOWN SAVE", true },
        { "3600 1", "SHUTDOWN", true },     { "3600 1", "SHUTDOWN NOSAVE", false },
        { "3600 1", "SHUTDOWN NOW", true },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct server *s = server_start("--save", rows[i].points, "--rdb-key-save-delay", "10000000", NULL);
        on(s, (const struct exchange[]){
                  { "SET k v", "+OK" }, { "BGSAVE", "+Background saving started" }, { NULL, NULL } });
        struct client *c = server_connect(s);
        client_send(c, "%s", rows[i].command);
        assert_ended(c);
        client_close(c);
        server_await_end(s);
        assert_only_dump(s);
        assert_int_equal(file_exists(server_path(s, "dump.rdb")), rows[i].saves);
        server_restart(s);
        on(s, (const struct exchange[]){ { "GET k", rows[i].saves ? "$\"v\"" : "$-1" }, { NULL, NULL } });
        server_free(s);
    }
}

/* The server's `dir` is a folder that is gone. */
static void lose_folder(struct server *s, struct client *c) {
    mkdir(server_path(s, "data"), 0755);
    client_ask(c, "CONFIG SET dir %s", server_path(s, "data"));
    rmdir(server_path(s, "data"));
}

static void shutdown_that_cannot_save_does_not_end(void **state) {
    (void)state;
    struct server *s = server_start("--save", "3600 1", NULL);
    struct client *c = server_connect(s);
    lose_folder(s, c);
    assert_reply(c, "SET k v", "+OK");
    assert_reply(c, "SHUTDOWN", "-ERR Errors trying to SHUTDOWN. Check logs.");
    assert_reply(c, "SHUTDOWN SAVE", "-ERR Errors trying to SHUTDOWN. Check logs.");
    assert_reply(c, "GET k", "$\"v\"");
    client_send(c, "SHUTDOWN FORCE");
    assert_ended(c);
    server_await_end(s);
    client_close(c);
    server_free(s);
}

/* ---- failure and recovery ---- */

static void fail_to_save(struct server *s, struct client *c) {
    lose_folder(s, c);
    assert_reply(c, "BGSAVE", "+Background saving started");
    saves_await(c);
    assert_persistence(c, "rdb_last_bgsave_status", "err");
}

static void after_a_failed_snapshot_writes_are_refused(void **state) {
    (void)state;
    struct server *s = server_start("--save", "3600 1000000", NULL);
    struct client *c = server_connect(s);
    assert_reply(c, "SET k v", "+OK");
    fail_to_save(s, c);
    static const struct exchange refused[] = {
        { "SET k w", MISCONF },
        { "PING", MISCONF },
        { "FLUSHALL", MISCONF },
        { "GET k", "$\"v\"" },
        { "SAVE", "-ERR" },
        { "MULTI", "+OK" },
        { "SET k w", MISCONF },
        { "EXEC", "-EXECABORT Transaction discarded because of previous errors." },
        { "EVAL \"return redis.call('set','k','w')\" 0",
          MISCONF " script: 7822ea6ad7bd20a3f95a07458fc7088142fcfc19, on @user_script:1." },
        { "EVAL \"return redis.pcall('set','k','w')\" 0", MISCONF },
        { "EVAL \"return redis.call('get','k')\" 0", "$\"v\"" },
        { "EVAL \"#!lua\nreturn 1\" 0", MISCONF },
        { "EVAL \"#!lua flags=no-writes\nreturn 1\" 0", ":1" },
        { "CONFIG SET stop-writes-on-bgsave-error no", "+OK" },
        { "SET k w", "+OK" },
        { "CONFIG SET stop-writes-on-bgsave-error yes", "+OK" },
        { "SET k x", MISCONF },
        { "CONFIG SET save \"\"", "+OK" },
        { "SET k w", "+OK" },
        { "CONFIG SET save \"3600 1000000\"", "+OK" },
        { "SET k x", MISCONF },
        { NULL, NULL },
    };
    assert_exchanges(c, refused);
    mkdir(server_path(s, "data"), 0755);
    assert_reply(c, "SET k x", MISCONF);
    saves_save(c);
    assert_reply(c, "SET k x", "+OK");
    assert_persistence(c, "rdb_last_bgsave_status", "ok");
    assert_true(file_exists(server_path(s, "data/dump.rdb")));
    client_close(c);
    server_free(s);
}

static void a_good_save_ends_the_refusal_too(void **state) {
    (void)state;
    struct server *s = server_start("--save", "3600 1000000", "--appendonly", "yes", NULL);
    struct client *c = server_connect(s);
    assert_reply(c, "SET k v", "+OK");
    assert_reply(c, "SET gone v PX 1", "+OK");
    fail_to_save(s, c);
    /* The journal's good writes do not hide the bad snapshot. */
    assert_reply_soon(c, "EXISTS gone", ":0");
    assert_reply(c, "SET k w", MISCONF);
    mkdir(server_path(s, "data"), 0755);
    assert_reply(c, "SAVE", "+OK");
    assert_reply(c, "SET k w", "+OK");
    client_close(c);
    server_free(s);
}

/* As with other servers: only a snapshot in the background says something about what may be written. */
static void a_failed_save_refuses_nothing(void **state) {
    (void)state;
    struct server *s = server_start("--save", "3600 1000000", NULL);
    struct client *c = server_connect(s);
    lose_folder(s, c);
    assert_reply(c, "SAVE", "-ERR");
    assert_reply(c, "CONFIG SET hz 20", "+OK");
    assert_reply(c, "SET k v", "+OK");
    assert_reply(c, "FLUSHALL", "+OK"); /* which cannot be saved */
    assert_reply(c, "SET k v", "+OK");
    assert_persistence(c, "rdb_last_bgsave_status", "ok");
    client_close(c);
    server_kill(s); /* SIGTERM it would refuse */
    server_free(s);
}

/* ---- INFO ---- */

static void info_shows_how_far_a_snapshot_is(void **state) {
    (void)state;
    struct server *s = server_start("--rdb-key-save-delay", "10000000", NULL);
    struct client *c = server_connect(s);
    assert_reply(c, "DEBUG POPULATE 5000 str 100", "+OK");
    client_ask(c, "SETRANGE blob 200000 x");
    for (int i = 0; i < 3000; i++) client_queue(c, "HSET hash%d field%d value%d", i % 10, i, i);
    client_skip(c, 3000);
    assert_persistence(c, "current_save_keys_total", "0");
    assert_persistence(c, "current_cow_size", "0");
    assert_persistence(c, "rdb_current_bgsave_time_sec", "-1");
    assert_reply(c, "BGSAVE", "+Background saving started");
    assert_persistence(c, "rdb_bgsave_in_progress", "1");
    assert_persistence(c, "current_save_keys_total", "5011");
    /* Its thread writes the first keys and then waits; what is deleted from then on waits too. */
    assert_soon(info_number(c, "persistence", "current_save_keys_processed") > 0);
    int deleted = 0;
    do {
        assert_true(deleted < 5000);
        for (int i = 0; i < 500; i++) client_queue(c, "DEL str:%d", deleted++);
        client_skip(c, 500);
    } while (info_number(c, "persistence", "current_cow_size") < 400 * 20); /* they are compressed */
    int64_t images = info_number(c, "persistence", "current_cow_size");
    assert_true(info_number(c, "persistence", "current_save_keys_processed") >= deleted);
    /* A big string that is overwritten, fields of a big hash that change: they are kept for the snapshot. */
    assert_reply(c, "SET blob short", "+OK");
    int64_t with_blob = info_number(c, "persistence", "current_cow_size");
    assert_in_range(with_blob, images + 200001, images + 202000);
    for (int i = 0; i < 3000; i++) client_queue(c, "HSET hash%d field%d other", i % 10, i);
    client_skip(c, 3000);
    assert_true(info_number(c, "persistence", "current_cow_size") > with_blob + 1000 * 10);
    assert_true(info_number(c, "persistence", "rdb_current_bgsave_time_sec") >= 0);
    assert_reply(c, "BGSAVE CANCEL", "+Background saving cancelled");
    saves_await(c);
    assert_persistence(c, "current_save_keys_total", "0");
    assert_persistence(c, "current_cow_size", "0");
    assert_persistence(c, "current_save_keys_processed", "0");
    assert_true(info_number(c, "persistence", "rdb_last_cow_size") > with_blob);
    assert_true(info_number(c, "persistence", "rdb_last_bgsave_time_sec") >= 0);
    client_close(c);
    server_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(save_and_its_kin_refuse_arguments),
        FIXTURE_TEST(while_a_snapshot_is_written_there_is_no_other),
        FIXTURE_TEST(while_the_aof_is_rewritten_a_snapshot_waits),
        FIXTURE_TEST(a_scheduled_snapshot_follows_the_rewrite),
        FIXTURE_TEST(in_a_transaction_they_are_scheduled),
        FIXTURE_TEST(without_an_aof_a_base_is_written_alone),
        FIXTURE_TEST(a_base_alone_takes_the_place_of_what_a_journal_left),
        FIXTURE_TEST(lastsave_moves_with_every_good_save),
        FIXTURE_TEST(the_dump_has_name_and_folder_of_now),
        FIXTURE_TEST(what_is_given_up_leaves_no_file),
        FIXTURE_TEST(the_version_is_chosen_or_as_new_as_needed),
        FIXTURE_TEST(compression_and_checksum_can_be_switched_off),
        FIXTURE_TEST(reload_brings_back_what_was_saved),
        FIXTURE_TEST(reload_without_a_file_keeps_what_is_there),
        FIXTURE_TEST(a_save_point_saves_after_its_time),
        FIXTURE_TEST(changes_during_a_snapshot_count_for_the_next),
        FIXTURE_TEST(flushall_with_save_points_empties_the_dump),
        FIXTURE_TEST(shutdown_saves_as_told),
        FIXTURE_TEST(shutdown_that_cannot_save_does_not_end),
        FIXTURE_TEST(after_a_failed_snapshot_writes_are_refused),
        FIXTURE_TEST(a_good_save_ends_the_refusal_too),
        FIXTURE_TEST(a_failed_save_refuses_nothing),
        FIXTURE_TEST(info_shows_how_far_a_snapshot_is),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
