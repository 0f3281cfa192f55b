/* test_command_line.c: the program under its own name and those of redis-server and valkey-server: what it
 * can be asked for instead of serving, and how it ends when it does not serve. Where scripts may depend on
 * it, beside the real redis-server. */
#include "../harness/fixture.h"
#include "program.h"
#include "tools.h"
#include "trivet/base/version.h"
#include <poll.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define ARGUMENTS_MAX 8

static char program[PATH_MAX];
static char folder[] = "/tmp/trivet-names-XXXXXX";

static int set_up(void **state) {
    (void)state;
    tool_find(program, "trivet-server");
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static struct said run_as(const char *path, const char *name, const char *input, const char *const *args) {
    const char *argv[ARGUMENTS_MAX + 2] = { name };
    for (size_t i = 0; i < ARGUMENTS_MAX && args[i]; i++) argv[i + 1] = args[i];
    return program_run(path, input, argv);
}
#define ASK(name, ...) run_as(program, (name), NULL, (const char *const[]){ __VA_ARGS__, NULL })

static void assert_matches(const char *text, const char *pattern) {
    regex_t regex;
    assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    int result = regexec(&regex, text, 0, NULL, 0);
    regfree(&regex);
    if (result != 0) fail_msg("'%s' is not '%s'", text, pattern);
}

static void assert_said(struct said s, int status, const char *out, const char *err) {
    const char *got_out = text_str(&s.out), *got_err = text_str(&s.err);
    if (s.status != status || !text_matches(out, got_out) || !text_matches(err, got_err))
        fail_msg("expected %d, '%s' and '%s', got %d, '%s' and '%s'", status, out, err, s.status, got_out,
                 got_err);
    said_release(&s);
}

/* ---- the version ---- */

#define FIELDS " v=[0-9]+([.][0-9]+)+ sha=[0-9a-f]{8}:[01] malloc=[a-z]+[^ ]* bits=64 build=[0-9a-f]+"

static void the_version_has_the_fields_of_redis_server_in_their_order(void **state) {
    (void)state;
    static const char *const words[] = { "-v", "--version" };
    for (size_t i = 0; i < 2; i++) {
        const char *const args[] = { words[i], "more", NULL };
        struct said ours = run_as(program, "trivet-server", NULL, args);
        struct said theirs = run_as("redis-server", "redis-server", NULL, args);
        assert_matches(text_str(&theirs.out), "^Redis server" FIELDS "\n$");
        assert_matches(text_str(&ours.out), "^Trivet server" FIELDS " redis=[0-9.]+ valkey=[0-9.]+\n$");
        assert_int_equal(ours.status, theirs.status);
        said_release(&ours);
        said_release(&theirs);
    }
}

/* Scripts decide by it what they may ask of the server, as clients do by INFO. */
static void under_another_name_the_version_is_the_one_it_is_compatible_with(void **state) {
    (void)state;
    struct server *s = server_start("--loglevel", "notice", NULL);
    struct client *c = server_connect(s);
    const struct {
        const char *name, *version;
    } rows[] = {
        { "redis-server", info_field(c, "server", "redis_version") },
        { "/opt/bin/valkey-server", TRIVET_VALKEY_VERSION },
    };
    for (size_t i = 0; i < 2; i++) {
        char expected[128];
        snprintf(expected, sizeof expected, "Trivet server v=%s sha=... trivet=" TRIVET_VERSION "\n",
                 rows[i].version);
        assert_said(ASK(rows[i].name, "--version"), 0, expected, "");
    }
    client_close(c);
    server_free(s);
}

/* ---- what ends at once ---- */

/* Streams count only as far as they are said to be: errors of the configuration are told in one's own words.
 */
static void it_ends_as_redis_server_does(void **state) {
    (void)state;
    static const struct {
        const char *args[ARGUMENTS_MAX], *input;
    } rows[] = {
        { { "-v" }, NULL },
        { { "-h" }, NULL },
        { { "--help", "more" }, NULL },
        { { "--test-memory" }, NULL },
        { { "--test-memory", "1", "2" }, NULL },
        { { "--sentinel" }, NULL },
        { { "--port", "0", "--sentinel" }, NULL },
        { { "--no-such-thing", "1" }, NULL },
        { { "--no-such-thing" }, NULL },
        { { "-x" }, NULL },
        { { "--port" }, NULL },
        { { "--port", "abc" }, NULL },
        { { "--port", "99999999" }, NULL },
        { { "--port", "-1" }, NULL },
        { { "--maxmemory", "1x" }, NULL },
        { { "--appendonly", "maybe" }, NULL },
        { { "--port", "0" }, NULL }, /* nothing to listen on */
        { { "--bind", "" }, NULL },
        { { "--port", "0", "--dir", "/nonexistent" }, NULL },
        { { "--loadmodule", "/nonexistent.so" }, NULL },
        { { "--include", "/nonexistent.conf" }, NULL },
        { { "--check-aof" }, NULL },
        { { "--check-rdb", "dump.rdb" }, NULL },
        { { "/nonexistent.conf" }, NULL },
        { { "/nonexistent.conf", "--port", "0" }, NULL },
        { { "no", "such", "words" }, NULL },
        { { "-" }, "port 0\n" },
        { { "-" }, "port 0\nno-such-thing 1\n" },
        { { "--maxclients", "10", "-" }, "port zero\n" },
        { { "-", "--port", "zero" }, "port 0\n" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct said ours = run_as(program, "redis-server", rows[i].input, rows[i].args);
        struct said theirs = run_as("redis-server", "redis-server", rows[i].input, rows[i].args);
        if (ours.status != theirs.status || ours.out.len + ours.err.len == 0)
            fail_msg("%s %s: status %d for %d, having said '%s' and '%s'", rows[i].args[0],
                     rows[i].args[1] ? rows[i].args[1] : "", ours.status, theirs.status, text_str(&ours.out),
                     text_str(&ours.err));
        said_release(&ours);
        said_release(&theirs);
    }
}

static void the_usage_goes_where_the_name_has_it(void **state) {
    (void)state;
    assert_said(ASK("/usr/bin/trivet-server", "--help"), 0, "Usage: trivet-server [/path/to/trivet.conf...",
                "");
    assert_said(ASK("trivet-server", "-h"), 0, "Usage: trivet-server...--test-memory <megabytes>...", "");
    assert_said(ASK("redis-server", "-h"), 1, "", "Usage: redis-server [/path/to/trivet.conf...");
    assert_said(ASK("/opt/valkey-server", "--help"), 1, "", "Usage: valkey-server [/path/to/trivet.conf...");
}

static void sentinel_is_refused_with_what_to_run_instead(void **state) {
    (void)state;
    const char *refusal = "Sentinel is not built in. Debian's redis-sentinel...conf/sentinel.conf\n";
    assert_said(ASK("trivet-server", "/nonexistent.conf", "--sentinel"), 1, "", refusal);
    assert_said(ASK("redis-sentinel", "/nonexistent.conf"), 1, "", refusal);
    assert_said(ASK("/usr/bin/valkey-sentinel", "--port", "0"), 1, "", refusal);
    assert_said(ASK("redis-sentinel", "-v"), 0, "Trivet server v=...", "");
}

/* A file to check must not be read as a configuration. */
static void called_as_a_check_tool_it_names_the_tool(void **state) {
    (void)state;
    assert_said(ASK("redis-check-aof", "-v"), 1, "", "redis-check-aof: ...The tool is trivet-check-aof...");
    assert_said(ASK("/bin/valkey-check-rdb", "x.rdb"), 1, "",
                "valkey-check-rdb: ...The tool is trivet-check-rdb...");
}

/* ---- what it looks at ---- */

static void the_system_is_checked_and_the_status_says_how_it_went(void **state) {
    (void)state;
    static const char *const names[] = { "slow-clocksource", "xen-clocksource", "overcommit", "THP",
                                         "backlog",          "open-files" };
    struct said s = ASK("trivet-server", "--check-system");
    char *at = s.out.ptr;
    for (size_t i = 0; i < 6; i++) {
        char pattern[64], *end = strchr(at, '\n');
        assert_non_null(end);
        *end = '\0';
        snprintf(pattern, sizeof pattern, "^[[](OK|WARN|SKIP)[]] +%s: .", names[i]);
        assert_matches(at, pattern);
        *end = '\n';
        at = end + 1;
    }
    assert_string_equal(at, "");
    assert_int_equal(s.status, strstr(text_str(&s.out), "[WARN]") != NULL);
    said_release(&s);
}

static void memory_is_tested_in_passes(void **state) {
    (void)state;
    assert_said(
        ASK("trivet-server", "--test-memory", "1"), 0,
        "Testing 1 megabytes of memory, in 50 passes. Ctrl-C ends it.\nPass 1 of 50: no fault\n...Pass 50 of "
        "50: no fault\nNo fault was found...",
        "");
}

static void an_amount_of_memory_that_is_none_is_refused(void **state) {
    (void)state;
    static const char *const bad[] = { "abc", "0", "-1", "1.5", "1gb", "", " 1", "99999999999999999999" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_said(ASK("trivet-server", "--test-memory", bad[i]), 1, "",
                    "'...' is no number of megabytes...");
    assert_said(ASK("trivet-server", "--test-memory", "99999999999"), 1, "",
                "Can't test 99999999999 megabytes of memory: ... are free\n");
    assert_said(ASK("trivet-server", "--test-memory", "18446744073709551615"), 1, "", "Can't test ...");
}

static void await_text(int fd, const char *needle) {
    char text[4096] = "";
    for (int tries = 0; tries < 60000; tries++) {
        ssize_t got = pread(fd, text, sizeof text - 1, 0);
        text[got > 0 ? got : 0] = '\0';
        if (strstr(text, needle)) return;
        poll(NULL, 0, 1);
    }
    fail_msg("'%s' was not said: %s", needle, text);
}

static void the_test_of_memory_can_be_interrupted(void **state) {
    (void)state;
    static const int signals[] = { SIGINT, SIGTERM };
    const char *const argv[] = { "trivet-server", "--test-memory", "64", NULL };
    for (size_t i = 0; i < 2; i++) {
        int in = program_file(NULL), out = program_file(NULL);
        pid_t pid = program_begin(program, argv, in, out, out);
        await_text(out, "Testing 64 megabytes");
        kill(pid, signals[i]);
        assert_int_equal(program_await(pid), 128 + signals[i]);
        await_text(out, "Interrupted in pass ");
        close(in);
        close(out);
    }
}

/* ---- serving ---- */

static void put(const char *path, const char *contents) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(contents, f) >= 0 && fclose(f) == 0);
}

/* Until it is told to end: connects to its socket and asks. */
static void assert_serves(const char *socket_path, pid_t pid, const char *maxclients, const char *timeout) {
    struct client *c = NULL;
    char expected[96];
    for (int tries = 0; !c; tries++) {
        assert_true(tries < 60000);
        c = client_open_unix(socket_path);
        if (!c) poll(NULL, 0, 1);
    }
    snprintf(expected, sizeof expected, "*[$\"maxclients\", $\"%s\"]", maxclients);
    assert_reply_soon(c, "PING", "+PONG");
    assert_reply(c, "CONFIG GET maxclients", expected);
    snprintf(expected, sizeof expected, "*[$\"timeout\", $\"%s\"]", timeout);
    assert_reply(c, "CONFIG GET timeout", expected);
    client_close(c);
    kill(pid, SIGTERM);
    assert_int_equal(program_await(pid), 0);
}

/* A file, words and standard input in all orders: what is read later wins. */
static void settings_come_from_file_words_and_standard_input(void **state) {
    (void)state;
    char conf[96], socket_path[96], input[256];
    snprintf(conf, sizeof conf, "%s/x.conf", folder);
    snprintf(socket_path, sizeof socket_path, "%s/socket", folder);
    put(conf, "maxclients 11\ntimeout 21\n");
    snprintf(input, sizeof input, "port 0\nsave \"\"\nunixsocket %s\ndir %s\ntimeout 22\n", socket_path,
             folder);
    const struct {
        const char *args[ARGUMENTS_MAX], *maxclients, *timeout;
    } rows[] = {
        { { "-" }, "10000", "22" },
        { { "-", "--maxclients", "12" }, "12", "22" },
        { { conf, "-" }, "11", "22" },
        { { conf, "--maxclients", "12", "--timeout", "23", "-" }, "12", "23" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (int real = 0; real < 2; real++) {
            const char *path = real ? "redis-server" : program;
            const char *argv[ARGUMENTS_MAX + 2] = { "redis-server" };
            for (size_t j = 0; rows[i].args[j]; j++) argv[j + 1] = rows[i].args[j];
            int in = program_file(input), out = program_file(NULL);
            unlink(socket_path);
            pid_t pid = program_begin(path, argv, in, out, out);
            close(in);
            assert_serves(socket_path, pid, rows[i].maxclients, rows[i].timeout);
            close(out);
        }
    }
}

static void it_serves_under_the_other_names(void **state) {
    (void)state;
    static const char *const names[] = { "redis-server", "valkey-server" };
    static const char *const args[] = { "--maxmemory", "1mb", NULL };
    for (size_t i = 0; i < 2; i++) {
        char path[96];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        assert_int_equal(symlink(program, path), 0);
        struct server *s = server_launch(&(struct server_plan){ .program = path, .args = args });
        struct client *c = server_connect(s);
        assert_reply(c, "SET k v", "+OK");
        assert_string_equal(info_field(c, "server", "executable"), program);
        client_close(c);
        server_free(s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_version_has_the_fields_of_redis_server_in_their_order),
        cmocka_unit_test(under_another_name_the_version_is_the_one_it_is_compatible_with),
        cmocka_unit_test(it_ends_as_redis_server_does),
        cmocka_unit_test(the_usage_goes_where_the_name_has_it),
        cmocka_unit_test(sentinel_is_refused_with_what_to_run_instead),
        cmocka_unit_test(called_as_a_check_tool_it_names_the_tool),
        cmocka_unit_test(the_system_is_checked_and_the_status_says_how_it_went),
        cmocka_unit_test(memory_is_tested_in_passes),
        cmocka_unit_test(an_amount_of_memory_that_is_none_is_refused),
        cmocka_unit_test(the_test_of_memory_can_be_interrupted),
        cmocka_unit_test(settings_come_from_file_words_and_standard_input),
        cmocka_unit_test(it_serves_under_the_other_names),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
