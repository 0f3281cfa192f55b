/* test_disk.c: a disk that fails: call by call, for a while, for good, and in the middle of a snapshot or a
 * rewrite. Writes are refused, reads are served, nothing that was acknowledged is lost, and when the disk
 * heals the server goes on without a restart. The disk is the one of tests/faults. */
#include "../faults/server_disk.h"
#include "../harness/fixture.h"
#include "../harness/folder.h"
#include "files.h"
#include <dirent.h>
#include <signal.h>
#include <sys/wait.h>

#define MISCONF "-MISCONF Errors writing to the AOF file: ..."
#define INCR "incr.aof"
#define AOF_FOLDER "appendonlydir"
#define KEYS 200

/* ---- a server on such a disk ---- */

static char data[FOLDER_PATH];

static int setup(void **state) {
    (void)state;
    folder_make(data, "disk");
    return 0;
}

static int teardown(void **state) {
    (void)state;
    disk_release();
    folder_remove(data);
    return 0;
}

static const char *in_data(const char *name) {
    static char path[160];
    snprintf(path, sizeof path, "%s/%s", data, name);
    return path;
}

static struct server *start(const char *appendonly, const char *policy) {
    disk_watch(data, "");
    return server_start("--dir", data, "--appendonly", appendonly, "--appendfsync", policy,
                        "--auto-aof-rewrite-percentage", "0", NULL);
}

static void fill(struct client *c) {
    for (int i = 0; i < KEYS; i++) client_queue(c, "SET key:%d %d", i, i);
    client_skip(c, KEYS);
}

static void restart_killed(struct server *s) {
    server_kill(s);
    server_restart(s);
}

static void assert_has(struct server *s, const char *key, const char *value) {
    struct client *c = server_connect(s);
    assert_string_equal(client_ask(c, "GET %s", key), value);
    client_close(c);
}

/* No unfinished file is in the folder, nor in that of the AOF. */
static void assert_no_temporary(const char *path) {
    DIR *folder = opendir(path);
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
        if (strncmp(entry->d_name, "temp-", 5) == 0) fail_msg("%s is left in %s", entry->d_name, path);
    closedir(folder);
}

/* ---- writing the AOF ---- */

static const struct failure {
    const char *policy;
    int sorts, error;
    bool holds; /* the reply to the write that met the failure; otherwise it was given before */
    const char *word;
} failures[] = {
    { "always", DISK_WRITE, ENOSPC, true, "No space left on device" },
    { "always", DISK_WRITE, EIO, true, "Input/output error" },
    { "always", DISK_SYNC, EIO, true, "Input/output error" },
    { "always", DISK_WRITE | DISK_TRUNCATE, EROFS, true, "Read-only file system" },
    { "always", DISK_SYNC | DISK_TRUNCATE, ENOSPC, true, "No space left on device" },
    { "everysec", DISK_WRITE, ENOSPC, true, "No space left on device" },
    { "everysec", DISK_WRITE | DISK_TRUNCATE, EIO, true, "Input/output error" },
    { "everysec", DISK_SYNC, EIO, false, "Input/output error" },
    { "no", DISK_WRITE, EROFS, true, "Read-only file system" },
};

static void fail_and_heal(const struct failure *f) {
    struct server *s = start("yes", f->policy);
    struct client *writer = server_connect(s), *other = server_connect(s);
    char refused[128];
    snprintf(refused, sizeof refused, "-MISCONF Errors writing to the AOF file: %s", f->word);
    assert_reply(writer, "SET before 1", "+OK");
    disk_fail(f->sorts, INCR, f->error);
    client_send(writer, "SET held 1");
    assert_reply_soon(other, "PING", refused);
    assert_reply(other, "SET refused 1", refused);
    assert_reply(other, "GET before", "$\"1\"");
    assert_true(atomic_load(&disk_now->failed) > 0);
    assert_int_equal(client_has_reply(writer), !f->holds);
    disk_heal();
    assert_next(writer, "+OK");
    assert_reply_soon(other, "SET after 1", "+OK");
    restart_killed(s);
    assert_has(s, "before", "$\"1\"");
    assert_has(s, "held", "$\"1\"");
    assert_has(s, "after", "$\"1\"");
    assert_has(s, "refused", "$-1");
    assert_null(strstr(server_log(s), "cut at offset"));
    client_close(writer);
    client_close(other);
    server_free(s);
    teardown(NULL);
    setup(NULL);
}

static void while_a_call_fails_writes_are_refused_and_reads_served(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(failures); i++) fail_and_heal(&failures[i]);
}

/* The client that waited is gone, and nobody asks for anything. */
static void a_disk_that_heals_is_noticed_without_a_client(void **state) {
    (void)state;
    struct server *s = start("yes", "everysec");
    struct client *writer = server_connect(s), *other = server_connect(s);
    disk_fail(DISK_WRITE, INCR, ENOSPC);
    client_send(writer, "SET held 1");
    assert_reply_soon(other, "PING", MISCONF);
    client_close(writer);
    disk_heal();
    server_await_log(s, "AOF write error looks solved. The server can write again.", 1);
    assert_reply(other, "SET after 1", "+OK");
    restart_killed(s);
    assert_has(s, "held", "$\"1\"");
    assert_has(s, "after", "$\"1\"");
    client_close(other);
    server_free(s);
}

/* The file that a rewrite has left is fsynced before the next one gets a byte. */
static void a_failed_fsync_of_the_file_before_heals_too(void **state) {
    (void)state;
    static const char *const policies[] = { "everysec", "always" };
    for (size_t i = 0; i < COUNT_OF(policies); i++) {
        struct server *s = start("yes", policies[i]);
        struct client *c = server_connect(s);
        fill(c);
        disk_fail(DISK_SYNC, ".1." INCR, EIO);
        assert_reply(c, "BGREWRITEAOF", "+...");
        server_await_log(s, "AOF rewrite", 1);
        client_send(c, "SET held 1");
        struct client *other = server_connect(s);
        assert_reply_soon(other, "PING", MISCONF);
        disk_heal();
        assert_next(c, i == 0 ? "..." : "+OK"); /* the sync thread may have met the failure first */
        assert_reply_soon(other, "SET after 1", "+OK");
        restart_killed(s);
        assert_has(s, "key:7", "$\"7\"");
        assert_has(s, "after", "$\"1\"");
        client_close(c);
        client_close(other);
        server_free(s);
        teardown(NULL);
        setup(NULL);
    }
}

/* ---- each call of a snapshot, of a rewrite ---- */

static void ask_and_await(struct client *c, const char *command, const char *progress) {
    assert_reply(c, command, "+...");
    assert_reply_soon(c, "INFO persistence", progress);
}

static void rewrite(struct client *c) { ask_and_await(c, "BGREWRITEAOF", "...aof_rewrite_in_progress:0..."); }
static void save(struct client *c) { ask_and_await(c, "BGSAVE", "...rdb_bgsave_in_progress:0..."); }

/* Background work that follows (history files) is done. */
static void await_quiet(void) {
    int before = -1, same = 0;
    for (int64_t deadline_ms = deadline_after(AWAIT_PATIENCE_MS); same < 5;) {
        assert_false(deadline_has_passed(deadline_ms));
        int now = atomic_load(&disk_now->seen);
        same = now == before ? same + 1 : 0;
        before = now;
        pause_ms(2);
    }
}

static void any_call_of_a_rewrite_may_fail_once(void **state) {
    (void)state;
    struct server *s = start("yes", "always");
    struct client *c = server_connect(s);
    fill(c);
    int failed = 1, refused = 0;
    for (int n = 0; failed > 0; n++) {
        disk_fail_some(DISK_ALL, "", n % 2 ? ENOSPC : EIO, n, 1);
        rewrite(c);
        await_quiet();
        failed = atomic_load(&disk_now->failed);
        disk_heal();
        bool done = strcmp(info_field(c, "persistence", "aof_last_bgrewrite_status"), "ok") == 0;
        refused += !done;
        if (!done) assert_no_temporary(in_data(AOF_FOLDER));
        char written[32];
        snprintf(written, sizeof written, "SET written:%d 1", n);
        assert_reply_soon(c, written, "+OK"); /* a failed fsync is tried again within a second */
        if (n % 4 == 0) {
            client_close(c);
            restart_killed(s);
            c = server_connect(s);
        }
        assert_int_equal(client_ask_int(c, "DBSIZE"), KEYS + n + 1);
        rewrite(c);
        assert_string_equal(info_field(c, "persistence", "aof_last_bgrewrite_status"), "ok");
    }
    assert_true(refused >= 10);
    client_close(c);
    server_free(s);
}

static void any_call_of_a_snapshot_may_fail_once(void **state) {
    (void)state;
    struct server *s = start("no", "no");
    struct client *c = server_connect(s);
    struct text before = { 0 }, after = { 0 };
    fill(c);
    save(c);
    assert_reply(c, "CONFIG SET save \"100000 100000\"", "+OK");
    int failed = 1, refused = 0;
    for (int n = 0; failed > 0; n++) {
        file_read(in_data("dump.rdb"), &before);
        disk_fail_some(DISK_ALL, "", n % 2 ? ENOSPC : EIO, n, 1);
        save(c);
        failed = atomic_load(&disk_now->failed);
        disk_heal();
        bool done = strcmp(info_field(c, "persistence", "rdb_last_bgsave_status"), "ok") == 0;
        refused += !done;
        assert_no_temporary(data);
        if (!done) {
            assert_reply(c, "SET k v", "-MISCONF ...unable to persist to disk...");
            file_read(in_data("dump.rdb"), &after);
            assert_true(after.len >=
                        before.len); /* the old one, or the new one whose folder was not synced */
            save(c);
        }
        assert_reply(c, "SET k v", "+OK");
    }
    assert_true(refused >= 4);
    disk_fail_some(DISK_WRITE, "temp-", ENOSPC, 0, 1);
    assert_reply(c, "SAVE", "-ERR...");
    assert_no_temporary(data);
    assert_reply(c, "SAVE", "+OK");
    restart_killed(s);
    assert_has(s, "key:7", "$\"7\"");
    assert_has(s, "k", "$\"v\"");
    text_release(&before);
    text_release(&after);
    client_close(c);
    server_free(s);
}

static void a_disk_that_fills_up_in_a_rewrite_leaves_no_part_of_it(void **state) {
    (void)state;
    static const char *const parts[] = { "temp-rewrite.aof", "base.rdb", ".manifest" };
    struct server *s = start("yes", "everysec");
    struct client *c = server_connect(s);
    fill(c);
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        disk_fail(DISK_WRITE | DISK_RENAME, parts[i], ENOSPC);
        for (int tries = 0; tries < 2; tries++) {
            rewrite(c);
            assert_string_equal(info_field(c, "persistence", "aof_last_bgrewrite_status"), "err");
            assert_no_temporary(in_data(AOF_FOLDER));
            assert_false(file_exists(in_data(AOF_FOLDER "/appendonly.aof.1.base.rdb")));
            assert_reply(c, "INCR n", ":..."); /* the AOF itself is as it was */
        }
        disk_heal();
    }
    /* The base is whole and has its name, but the manifest that would say so has no room. */
    disk_fail_some(DISK_WRITE, ".manifest", ENOSPC, 0, 1);
    rewrite(c);
    assert_string_equal(info_field(c, "persistence", "aof_last_bgrewrite_status"), "err");
    assert_int_equal(atomic_load(&disk_now->failed), 1);
    assert_false(file_exists(in_data(AOF_FOLDER "/appendonly.aof.1.base.rdb")));
    disk_heal();
    rewrite(c);
    assert_string_equal(info_field(c, "persistence", "aof_last_bgrewrite_status"), "ok");
    restart_killed(s);
    assert_has(s, "n", "$\"6\"");
    assert_has(s, "key:7", "$\"7\"");
    client_close(c);
    server_free(s);
}

/* ---- the folder, the start, the end ---- */

static void a_vanished_folder_fails_rewrites_and_can_be_made_anew(void **state) {
    (void)state;
    struct server *s = start("yes", "everysec");
    struct client *c = server_connect(s);
    char command[200];
    fill(c);
    snprintf(command, sizeof command, "rm -r '%s'", in_data(AOF_FOLDER));
    assert_int_equal(system(command), 0);
    rewrite(c);
    assert_string_equal(info_field(c, "persistence", "aof_last_bgrewrite_status"), "err");
    assert_reply(c, "GET key:7", "$\"7\"");
    assert_reply(c, "CONFIG SET appendonly no", "+OK");
    assert_reply(c, "CONFIG SET appendonly yes", "+OK");
    assert_reply_soon(c, "INFO persistence",
                      "...aof_rewrite_in_progress:0...aof_last_bgrewrite_status:ok...");
    assert_reply(c, "SET after 1", "+OK");
    client_close(c);
    restart_killed(s);
    assert_has(s, "after", "$\"1\"");
    assert_has(s, "key:7", "$\"7\"");
    server_free(s);
}

/* The AOF is turned on while the server runs: until it has a base, a crash leaves what was there before; then
 * all is there. A call may fail (every second one is tried; the unit test of aof_rewrite.c tries all), and
 * the server may be killed right after. */
static void any_call_of_turning_the_aof_on_may_fail_once(void **state) {
    (void)state;
    int failed = 1;
    for (int n = 0; failed > 0; n += 2) {
        struct server *s = start("no", "always");
        struct client *c = server_connect(s);
        fill(c);
        disk_fail_some(DISK_ALL, AOF_FOLDER, n % 4 ? ENOSPC : EIO, n, 1);
        for (int tries = 0; tries < 3; tries++) client_ask(c, "CONFIG SET appendonly yes");
        assert_reply(c, "CONFIG GET appendonly", "*[$\"appendonly\", $\"yes\"]");
        assert_reply_soon(c, "INFO persistence", "...aof_rewrite_in_progress:0...");
        await_quiet();
        failed = atomic_load(&disk_now->failed);
        disk_heal();
        assert_reply_soon(c, "SET after 1", "+OK");
        /* If it failed it is tried again later; or now, if somebody asks. */
        client_ask(c, "BGREWRITEAOF");
        assert_reply_soon(c, "INFO persistence",
                          "...aof_rewrite_in_progress:0...aof_last_bgrewrite_status:ok...");
        client_close(c);
        server_kill(s);
        struct server *again = server_start("--dir", data, "--appendonly", "yes", NULL);
        assert_has(again, "after", "$\"1\"");
        assert_has(again, "key:7", "$\"7\"");
        server_free(again);
        teardown(NULL);
        setup(NULL);
    }
}

static void a_shutdown_that_would_lose_data_is_refused_unless_forced(void **state) {
    (void)state;
    static const int sorts[] = { DISK_WRITE, DISK_SYNC };
    for (size_t i = 0; i < COUNT_OF(sorts); i++) {
        struct server *s = start("yes", "everysec");
        struct client *c = server_connect(s), *other = server_connect(s);
        int status;
        assert_reply(c, "SET k 1", "+OK");
        disk_fail(sorts[i], INCR, EIO);
        client_send(c, "SET held 1");
        assert_reply_soon(other, "PING", MISCONF);
        assert_reply(other, "SHUTDOWN", "-ERR Errors trying to SHUTDOWN. Check logs.");
        kill(server_pid(s), SIGTERM);
        server_await_log(s, "the server goes on", 1);
        assert_reply(other, "GET k", "$\"1\"");
        client_send(other, "SHUTDOWN FORCE");
        assert_ended(other);
        assert_int_equal(waitpid(server_pid(s), &status, 0), server_pid(s));
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
        server_kill(s);
        disk_heal();
        server_restart(s);
        assert_has(s, "k", "$\"1\"");
        client_close(c);
        client_close(other);
        server_stop(s);
        teardown(NULL);
        setup(NULL);
    }
}

static void a_final_snapshot_that_fails_keeps_the_server_up(void **state) {
    (void)state;
    struct server *s = start("no", "no");
    struct client *c = server_connect(s);
    fill(c);
    disk_fail(DISK_SYNC, "temp-save-", ENOSPC);
    assert_reply(c, "SHUTDOWN SAVE", "-ERR Errors trying to SHUTDOWN. Check logs.");
    assert_no_temporary(data);
    assert_reply(c, "GET key:7", "$\"7\"");
    disk_heal();
    client_send(c, "SHUTDOWN SAVE");
    assert_ended(c);
    server_await_end(s);
    server_restart(s);
    assert_has(s, "key:7", "$\"7\"");
    client_close(c);
    server_free(s);
}

/* True if it ends by itself, with a reason; false as soon as it serves. */
static bool refuses_to_start(struct server *s) {
    int status;
    int64_t deadline_ms = deadline_after(AWAIT_PATIENCE_MS);
    while (waitpid(server_pid(s), &status, WNOHANG) == 0) {
        if (strstr(server_log(s), "Ready to accept connections")) return false;
        assert_false(deadline_has_passed(deadline_ms));
        pause_ms(2);
    }
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    assert_non_null(strstr(server_log(s), "Read-only file system"));
    return true;
}

/* A start that fails says why and harms nothing: the next one succeeds. */
static void any_call_of_a_start_may_fail_once(void **state) {
    (void)state;
    struct server *s = start("yes", "always");
    struct client *c = server_connect(s);
    fill(c);
    client_close(c);
    server_stop(s);
    int failed = 1, refused = 0;
    for (int n = 0; failed > 0; n++) {
        const char *const args[] = { "--dir", data, "--appendonly", "yes", NULL };
        disk_fail_some(DISK_ALL, AOF_FOLDER, EROFS, n, 1);
        struct server *next = server_launch_unready(&(struct server_plan){ .args = args });
        refused += refuses_to_start(next);
        failed = atomic_load(&disk_now->failed);
        disk_heal();
        server_kill(next);
        server_restart(s);
        assert_has(s, "key:7", "$\"7\"");
        server_stop(s);
    }
    assert_true(refused >= 3);
}

/* ---- no thread left ---- */

static void without_a_thread_commands_fail_and_the_server_lives(void **state) {
    (void)state;
    struct server *s = start("no", "always");
    struct client *c = server_connect(s);
    fill(c);
    disk_fail(DISK_THREAD, "", EAGAIN);
    assert_reply(c, "BGSAVE", "-ERR");
    assert_reply(c, "INFO persistence", "...rdb_bgsave_in_progress:0...rdb_last_bgsave_status:err...");
    rewrite(c);
    assert_reply(c, "INFO persistence", "...aof_last_bgrewrite_status:err...");
    assert_reply(
        c, "CONFIG SET appendonly yes",
        "-ERR CONFIG SET failed (possibly related to argument 'appendonly') - cannot start a thread: "
        "Resource temporarily unavailable");
    /* The first one is of the journal, the second one of its base. */
    disk_fail_some(DISK_THREAD, "", EAGAIN, 1, -1);
    assert_reply(c, "CONFIG SET appendonly yes", "-ERR CONFIG SET failed...");
    assert_reply(c, "CONFIG GET appendonly", "*[$\"appendonly\", $\"no\"]");
    server_await_log(s, "Can't save in background: cannot start a thread", 1);
    disk_heal();
    assert_reply(c, "SET after 1", "+OK");
    save(c);
    assert_reply(c, "INFO persistence", "...rdb_last_bgsave_status:ok...");
    assert_reply(c, "CONFIG SET appendonly yes", "+OK");
    assert_reply_soon(c, "INFO persistence", "...aof_rewrite_in_progress:0...");
    assert_reply(c, "INFO persistence", "...aof_last_bgrewrite_status:ok...");
    disk_fail(DISK_THREAD, "", EAGAIN);
    rewrite(c);
    assert_reply(c, "INFO persistence", "...aof_last_bgrewrite_status:err...");
    assert_reply(c, "SET last 1", "+OK");
    disk_heal();
    rewrite(c);
    assert_reply(c, "INFO persistence", "...aof_last_bgrewrite_status:ok...");
    client_close(c);
    server_free(s);
}

static void a_start_without_a_thread_ends_with_a_message(void **state) {
    (void)state;
    disk_watch(data, "");
    for (int n = 0; n < 5; n++) { /* the background, three workers, the AOF's sync */
        const char *args[] = { "--dir", data, "--appendonly", "yes", "--io-threads", "4", NULL };
        struct text log = { 0 };
        disk_fail_some(DISK_THREAD, "", EAGAIN, n, -1);
        assert_int_equal(server_run_to_end(&(struct server_plan){ .args = args }, &log), 1);
        assert_non_null(strstr(text_str(&log), "Cannot start the thread"));
        text_release(&log);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(while_a_call_fails_writes_are_refused_and_reads_served),
        TEST(a_disk_that_heals_is_noticed_without_a_client),
        TEST(a_failed_fsync_of_the_file_before_heals_too),
        TEST(any_call_of_a_rewrite_may_fail_once),
        TEST(any_call_of_a_snapshot_may_fail_once),
        TEST(a_disk_that_fills_up_in_a_rewrite_leaves_no_part_of_it),
        TEST(a_vanished_folder_fails_rewrites_and_can_be_made_anew),
        TEST(any_call_of_turning_the_aof_on_may_fail_once),
        TEST(a_shutdown_that_would_lose_data_is_refused_unless_forced),
        TEST(a_final_snapshot_that_fails_keeps_the_server_up),
        TEST(any_call_of_a_start_may_fail_once),
        TEST(without_a_thread_commands_fail_and_the_server_lives),
        TEST(a_start_without_a_thread_ends_with_a_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
