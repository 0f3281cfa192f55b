/* trivet-check-aof: says what redis-check-aof says of the same files, and names what checksum notes find. */
#include "../harness/check.h"
#include "../harness/saves.h"
#include "../harness/server.h"
#include "files.h"
#include "tools.h"
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#define SET_A "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$2\r\n12\r\n"
#define MULTI "*1\r\n$5\r\nMULTI\r\n"
#define EXEC "*1\r\n$4\r\nEXEC\r\n"
#define SUM_OF_SET_A "#SUM:28:45f2fbb8ab90ec42\r\n"
#define ALL "file b.aof seq 1 type b\nfile i1.aof seq 1 type i\nfile i2.aof seq 2 type i\n"
#define LEN(s) (sizeof(s) - 1)
#define COUNT(a) (sizeof(a) / sizeof *(a))

static char folder[64];
static char tool[PATH_MAX];

/* ---- running ---- */

static int make_folder(void **state) {
    (void)state;
    tool_find(tool, "trivet-check-aof");
    strcpy(folder, "/tmp/trivet-check-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int run_shell(const char *command, struct text *out) {
    char line[1024];
    FILE *pipe = popen(command, "r");
    if (!pipe) HARNESS_FAIL("cannot run %s: %s", command, strerror(errno));
    text_clear(out);
    while (fgets(line, sizeof line, pipe)) text_append_str(out, line);
    int status = pclose(pipe);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int remove_folder(void **state) {
    (void)state;
    char command[128];
    struct text out = { 0 };
    snprintf(command, sizeof command, "rm -r %s", folder);
    int status = run_shell(command, &out);
    text_release(&out);
    return status;
}

static const char *path_of(const char *name) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void put(const char *name, struct slice bytes) {
    struct text t = { 0 };
    text_append(&t, bytes.ptr, bytes.len);
    file_write(path_of(name), &t);
    text_release(&t);
}

/* Runs a check tool in the folder; `answer` goes to its question. */
static int run_check(const char *program, const char *args, const char *answer, struct text *out) {
    char command[PATH_MAX + 256];
    snprintf(command, sizeof command, "cd %s && echo '%s' | %s %s 2>&1", folder, answer, program, args);
    return run_shell(command, out);
}

static int check(const char *args, const char *answer, struct text *out) {
    return run_check(tool, args, answer, out);
}

/* ---- beside redis-check-aof ---- */

/* Where and how a file is broken is said in words of one's own. */
static void drop_details(struct text *t) {
    struct text kept = { 0 };
    for (const char *line = text_str(t); *line;) {
        const char *end = strchr(line, '\n');
        size_t len = end ? (size_t)(end + 1 - line) : strlen(line);
        bool detail = strncmp(line, "0x", 2) == 0 || memmem(line, len, "format error", 12);
        if (!detail) text_append(&kept, line, len);
        line += len;
    }
    text_release(t);
    *t = kept;
}

/* One input, the arguments, the answer to the question. */
struct input {
    struct slice bytes;
    const char *args, *answer;
};

static const struct input inputs[] = {
    { LIT_INIT(SET_A SET_A), "t", "" },
    { LIT_INIT(""), "t", "" },
    { LIT_INIT(SET_A MULTI SET_A EXEC), "t", "" },
    { LIT_INIT(SET_A SUM_OF_SET_A SET_A SUM_OF_SET_A), "t", "" },
    { LIT_INIT("#TS:1700000000\r\n" SET_A "# words\r\n" SET_A), "t", "" },
    { LIT_INIT(SET_A "*3\r\n$3\r\nSE"), "t", "" },
    { LIT_INIT(SET_A "*3\r\n$3\r\nSE"), "--fix t", "y" },
    { LIT_INIT(SET_A "*3\r\n$3\r\nSE"), "--fix t", "Yes" },
    { LIT_INIT(SET_A "*3\r\n$3\r\nSE"), "--fix t", "n" },
    { LIT_INIT(SET_A "*3\r\n$3\r\nSE"), "--fix t", "" },
    { LIT_INIT(SET_A "*3\r\n"), "--fix t", "y" },
    { LIT_INIT(SET_A), "--fix t", "y" },
    { LIT_INIT(SET_A MULTI SET_A), "--fix t", "y" },
    { LIT_INIT(SET_A EXEC), "--fix t", "y" },
    { LIT_INIT(SET_A MULTI SET_A MULTI), "--fix t", "y" },
    { LIT_INIT(SET_A "nonsense" SET_A), "--fix t", "y" },
    { LIT_INIT(SET_A "*x\r\n$2\r\nab\r\n"), "t", "" },
    { LIT_INIT(SET_A "*2\r\n+9\r\nab\r\n"), "t", "" },
    { LIT_INIT(SET_A "*1\r\n$2\r\nabc\r\n"), "t", "" },
    { LIT_INIT(SET_A "\0\0\0"), "--fix t", "y" },
    { LIT_INIT("#TS:10\r\n" SET_A "#TS:20\r\n" SET_A), "--truncate-to-timestamp 5 t", "" },
    { LIT_INIT("#TS:10\r\n" SET_A "#TS:20\r\n" SET_A), "--truncate-to-timestamp 10 t", "" },
    { LIT_INIT("#TS:10\r\n" SET_A "#TS:20\r\n" SET_A), "--truncate-to-timestamp 15 t", "" },
    { LIT_INIT("#TS:10\r\n" SET_A "#TS:20\r\n" SET_A), "--truncate-to-timestamp 20 t", "" },
    { LIT_INIT("#TS:10\r\n" SET_A "#TS:20\r\n" SET_A "*3"), "--truncate-to-timestamp 20 t", "" },
    { LIT_INIT(SET_A), "--truncate-to-timestamp 20 t", "" },
    { LIT_INIT(SET_A), "--truncate-to-timestamp soon t", "" },
    { LIT_INIT(SET_A), "no-such-file", "" },
};

static void says_what_redis_check_aof_says(void **state) {
    (void)state;
    struct text theirs = { 0 }, ours = { 0 }, their_file = { 0 }, our_file = { 0 };
    for (size_t i = 0; i < COUNT(inputs); i++) {
        const struct input *in = &inputs[i];
        put("t", in->bytes);
        int their_status = run_check("redis-check-aof", in->args, in->answer, &theirs);
        file_read(path_of("t"), &their_file);
        put("t", in->bytes);
        int our_status = check(in->args, in->answer, &ours);
        file_read(path_of("t"), &our_file);
        drop_details(&theirs);
        drop_details(&ours);
        assert_string_equal(text_str(&ours), text_str(&theirs));
        assert_int_equal(our_status, their_status);
        assert_int_equal(our_file.len, their_file.len);
        assert_memory_equal(text_str(&our_file), text_str(&their_file), our_file.len);
    }
    text_release(&theirs);
    text_release(&ours);
    text_release(&their_file);
    text_release(&our_file);
}

/* The files of a manifest. */
static const struct {
    struct slice base, first, second;
    const char *args;
} folders[] = {
    { LIT_INIT(SET_A), LIT_INIT(SET_A), LIT_INIT(SET_A), "m" },
    { LIT_INIT(SET_A), LIT_INIT(SET_A), LIT_INIT(SET_A "*"), "m" },
    { LIT_INIT(SET_A), LIT_INIT(SET_A), LIT_INIT(SET_A "*"), "--fix m" },
    { LIT_INIT(SET_A), LIT_INIT(SET_A "*"), LIT_INIT(SET_A), "m" },
    { LIT_INIT(SET_A), LIT_INIT(SET_A "*"), LIT_INIT(SET_A), "--fix m" },
    { LIT_INIT(SET_A "*"), LIT_INIT(SET_A), LIT_INIT(SET_A), "--fix m" },
    { LIT_INIT(""), LIT_INIT(""), LIT_INIT(""), "m" },
    { LIT_INIT(SET_A), LIT_INIT("#TS:10\r\n" SET_A), LIT_INIT("#TS:20\r\n" SET_A "#TS:30\r\n" SET_A),
      "--truncate-to-timestamp 20 m" },
    { LIT_INIT(SET_A), LIT_INIT("#TS:10\r\n" SET_A), LIT_INIT("#TS:20\r\n" SET_A),
      "--truncate-to-timestamp 5 m" },
};

static void put_folder(size_t i) {
    put("m", LIT(ALL));
    put("b.aof", folders[i].base);
    put("i1.aof", folders[i].first);
    put("i2.aof", folders[i].second);
}

static void says_so_of_a_manifest_too(void **state) {
    (void)state;
    struct text theirs = { 0 }, ours = { 0 };
    for (size_t i = 0; i < COUNT(folders); i++) {
        put_folder(i);
        int their_status = run_check("redis-check-aof", folders[i].args, "y", &theirs);
        size_t left = file_size(path_of("i2.aof"));
        put_folder(i);
        int our_status = check(folders[i].args, "y", &ours);
        drop_details(&theirs);
        drop_details(&ours);
        assert_string_equal(text_str(&ours), text_str(&theirs));
        assert_int_equal(our_status, their_status);
        assert_int_equal(file_size(path_of("i2.aof")), left);
        assert_int_equal(file_size(path_of("i1.aof")), folders[i].first.len);
        assert_int_equal(file_size(path_of("b.aof")), folders[i].base.len);
    }
    text_release(&theirs);
    text_release(&ours);
}

/* ---- what is ours ---- */

static void assert_says(const char *args, int status, const char *line) {
    struct text out = { 0 };
    assert_int_equal(check(args, "y", &out), status);
    if (!strstr(text_str(&out), line)) fail_msg("'%s' is not in: %s", line, text_str(&out));
    text_release(&out);
}

static void a_wrong_checksum_is_named_and_cut_off(void **state) {
    (void)state;
    put("t", LIT(SET_A SUM_OF_SET_A SET_A "#SUM:28:45f2fbb8ab90ec43\r\n" SET_A));
    assert_says(
        "t", 1,
        "0x              36: the bytes from offset 54 to 82 have the checksum 45f2fbb8ab90ec42, but the "
        "note behind them says 45f2fbb8ab90ec43");
    assert_says("t", 1, "AOF analyzed: filename=t, size=136, ok_up_to=54, ");
    assert_says("--fix t", 0, "Successfully truncated AOF t");
    assert_int_equal(file_size(path_of("t")), LEN(SET_A SUM_OF_SET_A));
    assert_says("t", 0, "AOF t is valid");
}

static void the_last_file_that_is_not_empty_can_be_fixed(void **state) {
    (void)state;
    put("m", LIT(ALL));
    put("b.aof", LIT(SET_A));
    put("i1.aof", LIT(SET_A "*3"));
    put("i2.aof", LIT(""));
    assert_says("--fix m", 0, "Successfully truncated AOF i1.aof");
    assert_says("m", 0,
                "INCR AOF i1.aof is valid\nINCR AOF i2.aof is empty\nAll AOF files and manifest are valid");
    assert_int_equal(file_size(path_of("i1.aof")), LEN(SET_A));
}

static void going_back_in_time_leaves_no_half_transaction(void **state) {
    (void)state;
    put("t", LIT("#TS:10\r\n" SET_A MULTI SET_A "#TS:20\r\n" SET_A EXEC));
    assert_says("--truncate-to-timestamp 15 t", 0, "Successfully truncated AOF t to timestamp 15");
    assert_int_equal(file_size(path_of("t")), LEN("#TS:10\r\n" SET_A));
}

static void broken_manifests_and_rdb_parts_are_refused(void **state) {
    (void)state;
    put("m", LIT("file b.aof seq 1 typ b\n"));
    assert_says("m", 1, "Invalid AOF manifest file m: ");
    put("m", LIT("file nothing.aof seq 1 type b\n"));
    assert_says("m", 1, "Cannot open file ./nothing.aof: No such file or directory");
    put("t", LIT("REDIS0011nonsense"));
    assert_says("t", 1, "RDB preamble of AOF file is not sane, aborting.");
    assert_says("", 1, "Usage: ");
    assert_says("--mend t", 1, "Usage: ");
}

/* An RDB file without keys, checksum switched off, and what an old server appended to it. */
static void commands_may_follow_an_rdb_part(void **state) {
    (void)state;
    put("t", LIT("REDIS0009\xff\0\0\0\0\0\0\0\0" SET_A "*3"));
    assert_says("t", 1, "RDB preamble is OK, proceeding with AOF tail...\n");
    assert_says("t", 1, "AOF analyzed: filename=t, size=48, ok_up_to=46, ok_up_to_line=8, diff=2\n");
    assert_says("--fix t", 0, "Successfully truncated AOF t");
    assert_says("t", 0, "AOF t is valid");
}

/* ---- together with the server ---- */

#define SERVER_FOLDER "appendonlydir/"
#define INCR SERVER_FOLDER "appendonly.aof.1.incr.aof"

/* Writes of two seconds, with their times; *later_s is the second one. */
static void assert_first_line_is_time(struct server *s, const char *name) {
    struct text bytes = { 0 };
    file_read(server_path(s, name), &bytes);
    assert_int_equal(strncmp(text_str(&bytes), "#TS:", 4), 0);
    text_release(&bytes);
}

/* Also of one that begins within the second in which the file before was written. */
static void each_incremental_begins_with_its_time(void **state) {
    (void)state;
    struct server *s = server_start("--appendonly", "yes", "--aof-timestamp-enabled", "yes", NULL);
    struct client *c = server_connect(s);
    assert_reply(c, "SET a 1", "+OK");
    assert_first_line_is_time(s, INCR);
    for (int i = 2; i < 5; i++) {
        char name[64];
        saves_rewrite(c);
        assert_reply(c, "SET a 1", "+OK");
        snprintf(name, sizeof name, SERVER_FOLDER "appendonly.aof.%d.incr.aof", i);
        assert_first_line_is_time(s, name);
    }
    client_close(c);
    server_free(s);
}

static size_t count_sums(struct server *s) {
    struct text bytes = { 0 };
    size_t count = 0;
    file_read(server_path(s, INCR), &bytes);
    for (const char *at = text_str(&bytes); (at = strstr(at, "#SUM:")) != NULL; at++) count++;
    text_release(&bytes);
    return count;
}

static void checksums_are_written_unless_they_are_turned_off(void **state) {
    (void)state;
    struct server *s = server_start("--appendonly", "yes", "--aof-checksums", "no", NULL);
    struct client *c = server_connect(s);
    assert_reply(c, "SET a 1", "+OK");
    assert_int_equal(count_sums(s), 0);
    assert_reply(c, "CONFIG SET aof-checksums yes", "+OK");
    assert_reply(c, "SET b 2", "+OK");
    assert_int_equal(count_sums(s), 1);
    assert_reply(c, "CONFIG SET aof-checksums no", "+OK");
    assert_reply(c, "SET c 3", "+OK");
    assert_int_equal(count_sums(s), 1);
    client_close(c);
    server_kill(s);
    server_restart(s);
    c = server_connect(s);
    assert_reply(c, "MGET a b c", "*[$\"1\", $\"2\", $\"3\"]");
    client_close(c);
    server_free(s);
}

static struct server *server_with_times(long long *later_s) {
    struct server *s = server_start("--appendonly", "yes", "--aof-timestamp-enabled", "yes", NULL);
    struct client *c = server_connect(s);
    const char *at = NULL;
    assert_reply(c, "SET a 1", "+OK");
    for (struct text bytes = { 0 }; !at;) {
        assert_reply(c, "SET b 2", "+OK");
        file_read(server_path(s, INCR), &bytes);
        const char *first = strstr(text_str(&bytes), "#TS:");
        assert_ptr_equal(first, text_str(&bytes));
        at = strstr(first + 1, "#TS:");
        if (at) *later_s = atoll(at + 4);
        if (at) text_release(&bytes);
    }
    client_close(c);
    server_stop(s);
    return s;
}

static int check_of(const char *program, struct server *s, const char *options, struct text *out) {
    char args[256];
    snprintf(args, sizeof args, "%s %s" SERVER_FOLDER "appendonly.aof.manifest", options, server_path(s, ""));
    return run_check(program, args, "y", out);
}

static void what_the_server_writes_is_valid_and_can_go_back_in_time(void **state) {
    (void)state;
    long long later_s = 0;
    char option[64];
    struct text out = { 0 };
    struct server *s = server_with_times(&later_s);
    assert_int_equal(check_of("redis-check-aof", s, "", &out), 0);
    assert_int_equal(check_of(tool, s, "", &out), 0);
    assert_non_null(strstr(text_str(&out), "All AOF files and manifest are valid"));
    snprintf(option, sizeof option, "--truncate-to-timestamp %lld", later_s - 1);
    assert_int_equal(check_of(tool, s, option, &out), 0);
    assert_non_null(
        strstr(text_str(&out), "Successfully truncated AOF appendonly.aof.1.incr.aof to timestamp"));
    assert_int_equal(check_of(tool, s, "", &out), 0);
    server_restart(s);
    struct client *c = server_connect(s);
    assert_reply(c, "GET a", "$\"1\"");
    client_close(c);
    server_free(s);
    text_release(&out);
}

static void a_changed_value_is_refused_by_the_server_and_fixed_by_the_tool(void **state) {
    (void)state;
    struct text bytes = { 0 }, log = { 0 };
    struct server *s = server_start("--appendonly", "yes", NULL);
    struct client *c = server_connect(s);
    assert_reply(c, "SET a good", "+OK");
    assert_reply(c, "SET b evil", "+OK");
    client_close(c);
    server_stop(s);
    file_read(server_path(s, INCR), &bytes);
    memcpy(strstr(bytes.ptr, "evil"), "Evil", 4);
    file_write(server_path(s, INCR), &bytes);
    const char *args[] = { "--appendonly", "yes", "--dir", server_folder(s), NULL };
    struct server_plan plan = { .args = args };
    assert_int_not_equal(server_run_to_end(&plan, &log), 0);
    assert_non_null(strstr(text_str(&log),
                           "AOF file appendonly.aof.1.incr.aof, offset 79: damaged: the bytes "
                           "from offset 79 to 109 have the checksum "));
    assert_int_equal(check_of(tool, s, "--fix", &log), 0);
    server_restart(s);
    c = server_connect(s);
    assert_reply(c, "MGET a b", "*[$\"good\", $-1]");
    client_close(c);
    server_free(s);
    text_release(&bytes);
    text_release(&log);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_what_redis_check_aof_says),
        cmocka_unit_test(says_so_of_a_manifest_too),
        cmocka_unit_test(a_wrong_checksum_is_named_and_cut_off),
        cmocka_unit_test(the_last_file_that_is_not_empty_can_be_fixed),
        cmocka_unit_test(going_back_in_time_leaves_no_half_transaction),
        cmocka_unit_test(broken_manifests_and_rdb_parts_are_refused),
        cmocka_unit_test(commands_may_follow_an_rdb_part),
        cmocka_unit_test(what_the_server_writes_is_valid_and_can_go_back_in_time),
        cmocka_unit_test(a_changed_value_is_refused_by_the_server_and_fixed_by_the_tool),
        cmocka_unit_test(each_incremental_begins_with_its_time),
        cmocka_unit_test(checksums_are_written_unless_they_are_turned_off),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
