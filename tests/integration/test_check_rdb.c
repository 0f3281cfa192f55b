/* trivet-check-rdb: says of whole files what redis-check-rdb says, and of broken ones where and why. */
#include "../harness/check.h"
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

static char tool[PATH_MAX];
static struct server *redis; /* made the file dump.rdb of its folder, and has ended */

static int make_file(void **state) {
    (void)state;
    static const char *const args[] = { "--save", "", NULL };
    static const char *const commands[] = { "SET k v",
                                            "SET old v PXAT 1",
                                            "SET dated v EX 100000",
                                            "RPUSH l a b c",
                                            "SADD s 1 2 3",
                                            "ZADD z 1.5 m",
                                            "HSET h f v",
                                            "XADD x 1-1 f v",
                                            "SELECT 7",
                                            "SET other v",
                                            "FUNCTION LOAD '#!lua name=lib\nreturn 1'",
                                            "SAVE",
                                            NULL };
    tool_find(tool, "trivet-check-rdb");
    redis = server_launch(&(struct server_plan){ .program = "redis-server", .args = args, .bare = true });
    struct client *c = server_connect(redis);
    for (size_t i = 0; commands[i]; i++) client_ask(c, "%s", commands[i]);
    client_close(c);
    server_stop(redis);
    return 0;
}

static int forget_file(void **state) {
    (void)state;
    server_free(redis);
    return 0;
}

/* Runs it in the folder; the exit status. */
static int run(const char *program, const char *args, struct text *out) {
    char command[PATH_MAX + 256], line[1024];
    snprintf(command, sizeof command, "cd %s && %s %s 2>&1", server_folder(redis), program, args);
    FILE *pipe = popen(command, "r");
    if (!pipe) HARNESS_FAIL("cannot run %s: %s", command, strerror(errno));
    text_clear(out);
    while (fgets(line, sizeof line, pipe)) text_append_str(out, line);
    int status = pclose(pipe);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void put(const char *name, const struct text *bytes) { file_write(server_path(redis, name), bytes); }

static void a_whole_file_is_described_as_redis_does(void **state) {
    (void)state;
    struct text ours = { 0 }, theirs = { 0 };
    assert_int_equal(run(tool, "dump.rdb", &ours), 0);
    assert_int_equal(run("redis-check-rdb", "dump.rdb", &theirs), 0);
    assert_string_equal(text_str(&ours), text_str(&theirs));
    assert_non_null(strstr(text_str(&ours), "\\o/ RDB looks OK! \\o/\n"));
    text_release(&ours);
    text_release(&theirs);
}

static void a_file_cut_anywhere_is_refused(void **state) {
    (void)state;
    struct text bytes = { 0 }, said = { 0 };
    file_read(server_path(redis, "dump.rdb"), &bytes);
    for (size_t len = 0; len < bytes.len; len += 7) {
        struct text cut = { bytes.ptr, len, 0 };
        put("cut.rdb", &cut);
        assert_int_equal(run(tool, "cut.rdb", &said), 1);
        assert_non_null(strstr(text_str(&said), "--- RDB ERROR DETECTED ---\n"));
        assert_non_null(
            strstr(text_str(&said), "] Unexpected EOF reading RDB file\n[additional info] While doing: "));
        assert_non_null(strstr(text_str(&said), " already expired\n"));
    }
    text_release(&bytes);
    text_release(&said);
}

static void a_flipped_bit_is_refused(void **state) {
    (void)state;
    struct text bytes = { 0 }, said = { 0 };
    file_read(server_path(redis, "dump.rdb"), &bytes);
    for (size_t at = 0; at < bytes.len; at += 11) {
        bytes.ptr[at] ^= (char)(1 << at % 8);
        put("flipped.rdb", &bytes);
        assert_int_equal(run(tool, "flipped.rdb", &said), 1);
        assert_non_null(strstr(text_str(&said), "--- RDB ERROR DETECTED ---\n[offset "));
        bytes.ptr[at] ^= (char)(1 << at % 8);
    }
    text_release(&bytes);
    text_release(&said);
}

static void without_a_file_there_is_nothing_to_check(void **state) {
    (void)state;
    static const struct {
        const char *args, *says;
        int status;
    } rows[] = { { "", "Usage: ", 1 },
                 { "a b", "Usage: ", 1 },
                 { "absent.rdb", "Cannot open file absent.rdb: No such file or directory", 1 },
                 { "--version", "trivet-check-rdb ", 0 } };
    struct text said = { 0 };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(run(tool, rows[i].args, &said), rows[i].status);
        assert_non_null(strstr(text_str(&said), rows[i].says));
    }
    text_release(&said);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_file_is_described_as_redis_does),
        cmocka_unit_test(a_file_cut_anywhere_is_refused),
        cmocka_unit_test(a_flipped_bit_is_refused),
        cmocka_unit_test(without_a_file_there_is_nothing_to_check),
    };
    return cmocka_run_group_tests(tests, make_file, forget_file);
}
