/* test_kill.c: SIGKILL under load, again and again in one folder, while snapshots and rewrites are under way:
 * no acknowledged write is lost. When to kill is decided by counting answers, not by a clock. */
#include "../harness/fixture.h"
#include "writers.h"
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#ifdef TRIVET_SANITIZE
#define ROUNDS 2
#define ANSWERS_MOST 1500
#define FILLING 500
#else
#define ROUNDS 6
#define ANSWERS_MOST 12000
#define FILLING 3000
#endif
#define ANSWERS_LEAST 200

/* Data that stays, so that snapshots take a while. */
static void fill(struct server *s) {
    struct client *c = server_connect(s);
    assert_reply(c, "SELECT 9", "+OK");
    for (int i = 0; i < FILLING; i++) client_queue(c, "SET filling:%d %0500d", i, i);
    client_skip(c, FILLING);
    client_close(c);
}

static void assert_filled(struct server *s) {
    struct client *c = server_connect(s);
    assert_reply(c, "SELECT 9", "+OK");
    assert_int_equal(client_ask_int(c, "DBSIZE"), FILLING);
    client_close(c);
}

/* What a killed process left unfinished is removed by the next one. */
static void assert_no_leftovers(struct server *s) {
    DIR *folder = opendir(server_folder(s));
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
        if (strncmp(entry->d_name, "temp-", 5) == 0) fail_msg("%s was left behind", entry->d_name);
    closedir(folder);
}

/* A snapshot is whole or not there, whenever its process was killed. */
static void assert_snapshot_is_whole(struct server *s) {
    char command[PATH_MAX * 2 + 64], program[PATH_MAX];
    if (access(server_path(s, "dump.rdb"), F_OK) != 0) return;
    ssize_t len = readlink("/proc/self/exe", program, sizeof program - 32);
    assert_true(len > 0);
    program[len] = '\0';
    strcpy(strstr(program, "/tests/"), "/trivet-check-rdb");
    snprintf(command, sizeof command, "'%s' '%s' >/dev/null", program, server_path(s, "dump.rdb"));
    assert_int_equal(system(command), 0);
}

static void kill_again_and_again(const char *policy, const char *preamble) {
    struct server *s =
        server_start("--io-threads", "4", "--appendonly", "yes", "--appendfsync", policy,
                     "--aof-use-rdb-preamble", preamble, "--auto-aof-rewrite-percentage", "20",
                     "--auto-aof-rewrite-min-size", "200kb", "--rdb-key-save-delay", "-20", NULL);
    int rounds = rounds_wanted(ROUNDS);
    writers_begin(0);
    fill(s);
    for (int i = 1; i <= rounds; i++) {
        writers_run(s, ANSWERS_LEAST + writers_draw(ANSWERS_MOST), 0);
        assert_snapshot_is_whole(s);
        server_restart(s);
        (void)log_check(s, 0);
        assert_no_leftovers(s);
        writers_check(s);
        rounds_print(policy, i, rounds);
    }
    assert_filled(s);
    server_stop(s);
    server_restart(s);
    writers_check(s);
    assert_filled(s);
    server_free(s);
}

static void no_acknowledged_write_is_lost_with_appendfsync_always(void **state) {
    (void)state;
    kill_again_and_again("always", "yes");
}

static void no_acknowledged_write_is_lost_with_appendfsync_everysec(void **state) {
    (void)state;
    kill_again_and_again("everysec", "yes");
}

static void no_acknowledged_write_is_lost_with_a_base_of_commands(void **state) {
    (void)state;
    kill_again_and_again("no", "no");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_acknowledged_write_is_lost_with_appendfsync_always),
        cmocka_unit_test(no_acknowledged_write_is_lost_with_appendfsync_everysec),
        cmocka_unit_test(no_acknowledged_write_is_lost_with_a_base_of_commands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
