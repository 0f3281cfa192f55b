/* test_log_phrases.c: the words in the log that operators' alerts and log shippers look for. They are an
 * interface: each is provoked here and looked for. */
#include "../faults/server_disk.h"
#include "../harness/fixture.h"
#include "../harness/folder.h"
#include "../harness/saves.h"
#include "files.h"
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#define FOLDER "appendonlydir/"
#define MANIFEST FOLDER "appendonly.aof.manifest"
#define INCR FOLDER "appendonly.aof.1.incr.aof"

static void assert_says(const char *log, const char *phrase) {
    if (!strstr(log, phrase)) fail_msg("'%s' is not in the log:\n%s", phrase, log);
}

/* ---- a server's life ---- */

static void a_start_and_an_end_say_what_they_do(void **state) {
    (void)state;
    const char *args[] = { "--appendonly", "yes", "--save", "100 1", NULL };
    struct server *s = server_launch(&(struct server_plan){ .args = args, .tcp = true });
    char pid[32];
    snprintf(pid, sizeof pid, " PID: %d", (int)server_pid(s));
    struct client *c = server_connect(s);
    assert_reply(c, "SET k v", "+OK");
    client_close(c);
    server_stop(s);
    server_restart(s);
    c = server_connect(s);
    client_send(c, "SHUTDOWN NOSAVE");
    server_await_end(s);
    client_close(c);
    static const char *const phrases[] = {
        "Configuration loaded",
        "Server initialized",
        "Ready to accept connections tcp",
        "Ready to accept connections unix",
        "Received SIGTERM scheduling shutdown",
        "User requested shutdown",
        "Saving the final RDB snapshot before exiting",
        "DB saved on disk",
        "Calling fsync() on the AOF file",
        "ready to exit, bye bye",
        "DB loaded from incr file",
        "DB loaded from append only file",
        "Creating AOF incr file",
    };
    assert_says(server_log(s), pid);
    for (size_t i = 0; i < COUNT_OF(phrases); i++) assert_says(server_log(s), phrases[i]);
    server_free(s);
}

static void saving_and_rewriting_say_what_they_do(void **state) {
    (void)state;
    struct server *s =
        server_start("--appendonly", "yes", "--save", "1 3", "--rdb-key-save-delay", "0", NULL);
    struct client *c = server_connect(s);
    assert_reply(c, "MSET a 1 b 2 c 3", "+OK");
    assert_reply(c, "INCRBY n 1", ":1");
    assert_reply(c, "INCRBY n 1", ":2");
    saves_await_count(c, "rdb_saves", 1);
    saves_await(c);
    saves_rewrite(c);
    assert_reply(c, "CONFIG SET rdb-key-save-delay 1000000", "+OK");
    assert_reply(c, "BGSAVE", "+...");
    assert_reply(c, "BGSAVE CANCEL", "+...");
    saves_await(c);
    assert_reply(c, "BGREWRITEAOF", "+...");
    server_await_log(s, "Background append only file rewriting started", 2);
    assert_reply(c, "CONFIG SET appendonly no", "+OK");
    saves_await(c);
    static const char *const phrases[] = {
        "Background saving started",
        "Background saving terminated with success",
        "Background saving cancelled",
        "changes in 1 seconds. Saving...",
        "Background append only file rewriting started",
        "Background AOF rewrite terminated with success",
        "Background AOF rewrite finished successfully",
        "Creating AOF base file",
        "Killing AOF child",
    };
    for (size_t i = 0; i < COUNT_OF(phrases); i++) assert_says(server_log(s), phrases[i]);
    server_await_log(s, "Removing the history file", 1);
    client_close(c);
    server_free(s);
}

/* ---- files that are not as they should be ---- */

#define SET_A "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n"

static const struct bad_file {
    const char *name, *bytes, *truncated, *phrase;
    bool starts;
} bad_files[] = {
    { INCR, SET_A "+3\r\n", "yes", "Bad file format reading the append only file", false },
    { INCR, SET_A "*3\r\n$3\r\nSE", "no", "Unexpected end of file reading the append only file", false },
    { INCR, SET_A "*3\r\n$3\r\nSE", "yes", "Truncating the AOF", true },
    { INCR, SET_A "*3\r\n$3\r\nSE", "yes", "AOF loaded anyway because aof-load-truncated is enabled", true },
    { INCR, "*1\r\n$3\r\nFOO\r\n", "yes", "Unknown command 'FOO' reading the append only file", false },
    { MANIFEST, "file x\n", "yes", "Invalid AOF manifest file format", false },
    { MANIFEST, "# nothing\n", "yes", "Found an empty AOF manifest", false },
    { MANIFEST, "file a seq 1 type b\nfile b seq 2 type b\n", "yes", "Found duplicate base file information",
      false },
    { MANIFEST, "file a seq 1 type x\n", "yes", "Unknown AOF file type", false },
    { MANIFEST, "file a seq 2 type i\nfile b seq 1 type i\n", "yes", "Found a non-monotonic sequence number",
      false },
    { MANIFEST, "file gone.aof seq 2 type i\n", "yes",
      "gone.aof is named by the manifest but does not exist: No such file or directory", false },
};

static void put_bytes(struct server *s, const char *name, const char *bytes, size_t len) {
    struct text text = { 0 };
    text_append(&text, bytes, len);
    file_write(server_path(s, name), &text);
    text_release(&text);
}

static void bad_files_of_an_aof_are_named_in_known_words(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad_files); i++) {
        const struct bad_file *f = &bad_files[i];
        struct server *s = server_start("--appendonly", "yes", "--aof-load-truncated", f->truncated, NULL);
        server_stop(s);
        put_bytes(s, f->name, f->bytes, strlen(f->bytes));
        if (f->starts) {
            server_restart(s);
            assert_says(server_log(s), f->phrase);
        } else {
            const char *args[] = { "--appendonly",   "yes", "--aof-load-truncated", f->truncated, "--dir",
                                   server_folder(s), NULL };
            struct text log = { 0 };
            assert_int_equal(server_run_to_end(&(struct server_plan){ .args = args }, &log), 1);
            assert_says(text_str(&log), f->phrase);
            text_release(&log);
        }
        server_free(s);
    }
}

#define EMPTY_SUM "\xff\0\0\0\0\0\0\0\0"

static const struct bad_dump {
    struct slice bytes;
    const char *phrase;
    bool starts;
} bad_dumps[] = {
    { LIT_INIT("NODUMP0011" EMPTY_SUM), "Wrong signature trying to load DB from file", false },
    { LIT_INIT("REDIS0777" EMPTY_SUM), "Can't handle RDB format version", false },
    { LIT_INIT("REDIS0011\xfe"), "Internal error in RDB reading offset", false },
    { LIT_INIT("REDIS0011\x10\4hash\5hello" EMPTY_SUM), "integrity check failed", false },
    { LIT_INIT("REDIS0011\xfe\0\0\1k\1v" EMPTY_SUM), "RDB file was saved with checksum disabled", true },
    { LIT_INIT("REDIS0011\xfe\0\2\1k\0" EMPTY_SUM), "skipping empty key: k", true },
    { LIT_INIT("REDIS0011\xfe\0\0\1k\1v" EMPTY_SUM), "DB loaded from disk", true },
};

static void rdb_files_are_judged_in_known_words(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad_dumps); i++) {
        const struct bad_dump *f = &bad_dumps[i];
        struct server *s = server_start(NULL, NULL);
        server_stop(s);
        put_bytes(s, "dump.rdb", f->bytes.ptr, f->bytes.len);
        if (f->starts) {
            server_restart(s);
            assert_says(server_log(s), f->phrase);
        } else {
            const char *args[] = { "--dir", server_folder(s), NULL };
            struct text log = { 0 };
            assert_int_equal(server_run_to_end(&(struct server_plan){ .args = args }, &log), 1);
            assert_says(text_str(&log), f->phrase);
            text_release(&log);
        }
        server_free(s);
    }
}

/* ---- a disk that fails ---- */

static char data[FOLDER_PATH];

static int setup(void **state) {
    (void)state;
    folder_make(data, "words");
    return 0;
}

static int teardown(void **state) {
    (void)state;
    disk_release();
    folder_remove(data);
    return 0;
}

static const struct failing {
    int sorts, half;
    const char *match, *command, *phrase;
} failing[] = {
    { DISK_WRITE, 0, "incr.aof", "SET k v", "Error writing to the AOF file" },
    { DISK_WRITE, 1, "incr.aof", "SET k v", "Short write while writing to the AOF file" },
    { DISK_SYNC, 0, "incr.aof", "SET k v", "Fail to fsync the AOF file" },
    { DISK_OPEN, 0, "temp-", "SAVE", "Failed opening the temp RDB file" },
    { DISK_WRITE, 0, "temp-", "SAVE", "Write error saving DB on disk" },
    { DISK_WRITE, 0, "temp-", "BGSAVE", "Background saving error" },
    { DISK_THREAD, 0, "", "BGSAVE", "Can't save in background" },
    { DISK_WRITE, 0, "temp-", "BGREWRITEAOF", "Background AOF rewrite terminated with error" },
};

static void a_failing_disk_is_told_in_known_words(void **state) {
    (void)state;
    disk_watch(data, "");
    struct server *s =
        server_start("--dir", data, "--appendonly", "yes", "--appendfsync", "always", "--save", "", NULL);
    for (size_t i = 0; i < COUNT_OF(failing); i++) {
        struct client *c = server_connect(s);
        disk_fail(failing[i].sorts, failing[i].match, ENOSPC);
        atomic_store(&disk_now->half, failing[i].half);
        client_send(c, "%s", failing[i].command);
        server_await_log(s, failing[i].phrase, 1);
        disk_heal();
        client_close(c);
    }
    server_await_log(s, "AOF write error looks solved. The server can write again.", 1);
    disk_fail(DISK_WRITE, "incr.aof", EIO);
    struct client *writer = server_connect(s), *c = server_connect(s);
    client_send(writer, "SET k v");
    assert_reply_soon(c, "PING", "-MISCONF...");
    assert_reply(c, "SHUTDOWN", "-ERR Errors trying to SHUTDOWN. Check logs.");
    assert_says(server_log(s), "Errors trying to shut down the server");
    disk_heal();
    client_close(writer);
    client_close(c);
    server_free(s);
}

/* ---- the rest ---- */

static void a_port_that_is_taken_is_told_in_known_words(void **state) {
    (void)state;
    struct server *s = server_launch(&(struct server_plan){ .tcp = true });
    char port[16];
    snprintf(port, sizeof port, "%d", server_port(s));
    const char *args[] = { "--port", port, "--bind", "127.0.0.1", NULL };
    struct text log = { 0 };
    assert_int_equal(server_run_to_end(&(struct server_plan){ .args = args }, &log), 1);
    assert_says(text_str(&log), "Failed listening on port");
    text_release(&log);
    server_free(s);
}

#ifndef TRIVET_SANITIZE
static void a_crash_leaves_a_line(void **state) {
    (void)state;
    struct server *s = server_start(NULL, NULL);
    kill(server_pid(s), SIGSEGV);
    server_await_log(s, "crashed by signal: 11", 1);
    server_kill(s);
    server_free(s);
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_start_and_an_end_say_what_they_do),
        cmocka_unit_test(saving_and_rewriting_say_what_they_do),
        cmocka_unit_test(bad_files_of_an_aof_are_named_in_known_words),
        cmocka_unit_test(rdb_files_are_judged_in_known_words),
        cmocka_unit_test_setup_teardown(a_failing_disk_is_told_in_known_words, setup, teardown),
        cmocka_unit_test(a_port_that_is_taken_is_told_in_known_words),
#ifndef TRIVET_SANITIZE
        cmocka_unit_test(a_crash_leaves_a_line),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
