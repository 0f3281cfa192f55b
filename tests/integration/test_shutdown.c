/* test_shutdown.c: the end of a server that is busy with a snapshot or a rewrite of the AOF, and what the
 * next one finds: all data, and no unfinished file. */
#include "../harness/fixture.h"
#include "files.h"
#include <dirent.h>
#include <signal.h>
#include <stdio.h>

#define KEYS 400
#define TIMES 5

static struct server *start(const char *appendonly) {
    return server_start("--appendonly", appendonly, "--appendfsync", "no", "--auto-aof-rewrite-percentage",
                        "0", "--rdb-key-save-delay", "0", NULL);
}

static void fill(struct server *s) {
    struct client *c = server_connect(s);
    for (int i = 0; i < KEYS; i++) client_queue(c, "SET key:%d %d", i, i);
    client_skip(c, KEYS);
    client_close(c);
}

static void assert_all_there(struct server *s) {
    struct client *c = server_connect(s);
    assert_int_equal(client_ask_int(c, "DBSIZE"), KEYS);
    assert_reply(c, "GET key:7", "$\"7\"");
    client_close(c);
}

static void assert_no_temporary(const char *path) {
    DIR *folder = opendir(path);
    if (!folder) return; /* no AOF, no folder of it */
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
        if (strncmp(entry->d_name, "temp-", 5) == 0) fail_msg("%s is left in %s", entry->d_name, path);
    closedir(folder);
}

static void assert_tidy(struct server *s) {
    assert_no_temporary(server_folder(s));
    assert_no_temporary(server_path(s, "appendonlydir"));
}

/* Ends by `last` while what `first` began is under way; `delay` makes that last for minutes. */
static void end_amid(struct server *s, const char *first, const char *delay, const char *last) {
    struct client *c = server_connect(s);
    client_ask(c, "CONFIG SET rdb-key-save-delay %s", delay);
    client_queue(c, "%s", first);
    client_queue(c, "%s", last);
    client_flush(c);
    assert_next(c, "+...");
    assert_ended(c);
    client_close(c);
    server_await_end(s);
    assert_tidy(s);
}

static const char *const delays[] = { "1000000", "0" };

static void a_rewrite_does_not_hold_up_the_end(void **state) {
    (void)state;
    struct server *s = start("yes");
    fill(s);
    for (int i = 0; i < TIMES * 2; i++) {
        end_amid(s, "BGREWRITEAOF", delays[i % 2], "SHUTDOWN");
        server_restart(s);
        assert_all_there(s);
    }
    server_free(s);
}

/* As above, but the snapshot itself has begun: not only its preparations. */
static void the_end_comes_amid_a_rewrite_too(void **state) {
    (void)state;
    struct server *s = start("yes");
    fill(s);
    for (int i = 1; i <= TIMES; i++) {
        struct client *c = server_connect(s);
        assert_reply(c, "CONFIG SET rdb-key-save-delay 1000000", "+OK");
        assert_reply(c, "BGREWRITEAOF", "+...");
        server_await_log(s, "Background append only file rewriting started", (size_t)i);
        assert_reply(c, "SET key:7 7", "+OK");
        client_close(c);
        server_stop(s);
        assert_tidy(s);
        server_restart(s);
        assert_all_there(s);
    }
    server_free(s);
}

static void a_snapshot_is_given_up_at_the_end(void **state) {
    (void)state;
    struct server *s = start("yes");
    fill(s);
    for (int i = 0; i < TIMES * 2; i++) {
        end_amid(s, "BGSAVE", delays[i % 2], "SHUTDOWN NOSAVE");
        server_restart(s);
        assert_all_there(s);
    }
    server_free(s);
}

static void a_snapshot_under_way_gives_place_to_the_final_one(void **state) {
    (void)state;
    struct server *s = start("no");
    fill(s);
    for (int i = 0; i < TIMES; i++) {
        end_amid(s, "BGSAVE", delays[i % 2], "SHUTDOWN SAVE");
        server_restart(s);
        assert_all_there(s);
    }
    server_free(s);
}

static void a_second_sigterm_changes_nothing(void **state) {
    (void)state;
    struct server *s = start("yes");
    fill(s);
    for (int i = 0; i < TIMES; i++) {
        struct client *c = server_connect(s);
        assert_reply(c, "CONFIG SET rdb-key-save-delay 1000000", "+OK");
        assert_reply(c, i % 2 ? "BGSAVE" : "BGREWRITEAOF", "+...");
        client_close(c);
        kill(server_pid(s), SIGTERM);
        kill(server_pid(s), SIGTERM);
        server_stop(s);
        assert_tidy(s);
        server_restart(s);
        assert_all_there(s);
    }
    server_free(s);
}

/* ---- what killed processes left behind ---- */

static void unfinished_files_of_dead_processes_are_removed_at_the_start(void **state) {
    (void)state;
    static const char *const dead[] = { "temp-999999999.rdb", "temp-save-999999999.rdb",
                                        "appendonlydir/temp-rewrite.aof" };
    static const char *const others[] = { "temp-1.rdb.bak", "temp-x.rdb", "temp-.rdb",
                                          "mytemp-999999999.rdb" };
    struct server *s = start("yes");
    struct text bytes = { 0 };
    char running[32];
    fill(s);
    server_stop(s);
    text_append_str(&bytes, "half a snapshot");
    snprintf(running, sizeof running, "temp-%d.rdb", (int)getpid());
    file_write(server_path(s, running), &bytes);
    for (size_t i = 0; i < COUNT_OF(dead); i++) file_write(server_path(s, dead[i]), &bytes);
    for (size_t i = 0; i < COUNT_OF(others); i++) file_write(server_path(s, others[i]), &bytes);
    server_restart(s);
    for (size_t i = 0; i < COUNT_OF(dead); i++) assert_false(file_exists(server_path(s, dead[i])));
    for (size_t i = 0; i < COUNT_OF(others); i++) assert_true(file_exists(server_path(s, others[i])));
    assert_true(file_exists(server_path(s, running))); /* its process is this one */
    assert_all_there(s);
    text_release(&bytes);
    server_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rewrite_does_not_hold_up_the_end),
        cmocka_unit_test(the_end_comes_amid_a_rewrite_too),
        cmocka_unit_test(a_snapshot_is_given_up_at_the_end),
        cmocka_unit_test(a_snapshot_under_way_gives_place_to_the_final_one),
        cmocka_unit_test(a_second_sigterm_changes_nothing),
        cmocka_unit_test(unfinished_files_of_dead_processes_are_removed_at_the_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
