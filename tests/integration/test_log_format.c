/* test_log_format.c: the server's log as machines read it, and what becomes of it when its file is rotated.
 */
#include "../harness/fixture.h"
#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- a reader of JSON, as far as a log line needs it ---- */

static bool take(const char **at, const char *text) {
    size_t len = strlen(text);
    if (strncmp(*at, text, len) != 0) return false;
    *at += len;
    return true;
}

/* The escapes that JSON knows, and no control character as it is. */
static bool take_string(const char **at) {
    if (!take(at, "\"")) return false;
    while (**at && **at != '"') {
        if ((unsigned char)**at < 0x20) return false;
        if (!take(at, "\\")) {
            (*at)++;
            continue;
        }
        if (!**at || !strchr("\"\\/bfnrtu", **at)) return false;
        size_t digits = *(*at)++ == 'u' ? 4 : 0;
        for (; digits > 0; digits--)
            if (!isxdigit((unsigned char)*(*at)++)) return false;
    }
    return take(at, "\"");
}

static bool is_json_line(const char *line) {
    char *end;
    if (!take(&line, "{\"pid\":") || !isdigit((unsigned char)*line)) return false;
    strtol(line, &end, 10);
    line = end;
    static const char *const fields[] = { ",\"role\":", ",\"timestamp\":", ",\"level\":", ",\"message\":" };
    for (size_t i = 0; i < 4; i++)
        if (!take(&line, fields[i]) || !take_string(&line)) return false;
    return strcmp(line, "}") == 0;
}

static bool is_logfmt_line(const char *line) {
    int after = -1;
    sscanf(line, "pid=%*d role=%*[a-z] timestamp=\"%*[^\"]\" level=%*[a-z] message=%n", &after);
    const char *message = after > 0 ? line + after : "";
    size_t len = strlen(message);
    return len >= 2 && message[0] == '"' && strchr(message + 1, '"') == message + len - 1;
}

static size_t assert_lines(char *log, bool (*is_right)(const char *line)) {
    size_t lines = 0;
    for (char *line = strtok(log, "\n"); line; line = strtok(NULL, "\n"), lines++)
        if (!is_right(line)) fail_msg("this line is not in its form: %s", line);
    return lines;
}

/* A whole life, with words of clients in it: a name of a user, an error of the protocol. */
static void live(struct server *s) {
    struct client *c = server_connect(s), *bad = server_connect(s);
    assert_reply(c, "CONFIG SET hide-user-data-from-log no", "+OK");
    assert_reply(c, "DEBUG LOG \"say \\\"\\x01\\xff\\n\\\\ Gr\\xc3\\xb6\\xc3\\x9fe\"", "+OK");
    client_send_raw(bad, "*1\r\n$a\"\\\x01\r\n");
    assert_next(bad, "-ERR Protocol error: invalid bulk length");
    client_close(bad);
    client_close(c);
    server_stop(s);
}

static void each_line_of_a_life_is_json(void **state) {
    (void)state;
    struct server *s = server_start("--log-format", "json", "--loglevel", "debug", NULL);
    live(s);
    char *log = strdup(server_log(s));
    assert_non_null(strstr(log, "\"message\":\"Ready to accept connections unix\"}"));
    assert_non_null(strstr(log, "say \\\"\\u0001\\ufffd\\n\\\\ Gr\xc3\xb6\xc3\x9f"
                                "e\"}\n"));
    assert_true(assert_lines(log, is_json_line) > 5);
    free(log);
    server_free(s);
}

static void each_line_of_a_life_is_logfmt(void **state) {
    (void)state;
    struct server *s = server_start("--log-format", "logfmt", "--log-timestamp-format", "iso8601",
                                    "--loglevel", "debug", NULL);
    live(s);
    char *log = strdup(server_log(s));
    assert_non_null(strstr(log, "role=primary"));
    assert_true(assert_lines(log, is_logfmt_line) > 5);
    free(log);
    server_free(s);
}

static void the_format_changes_while_the_server_runs(void **state) {
    (void)state;
    struct server *s = server_start("--loglevel", "notice", NULL);
    struct client *c = server_connect(s);
    assert_reply(c, "CONFIG SET log-format json log-timestamp-format milliseconds", "+OK");
    assert_reply(c, "DEBUG LOG first", "+OK");
    server_await_log(s, "\"message\":\"DEBUG LOG: first\"}\n", 1);
    assert_reply(c, "CONFIG GET log-format", "*[$\"log-format\", $\"json\"]");
    assert_reply(c, "CONFIG SET log-format legacy", "+OK");
    assert_reply(c, "DEBUG LOG second", "+OK");
    server_await_log(s, "# DEBUG LOG: second\n", 1);
    assert_reply(
        c, "CONFIG SET log-format xml",
        "-ERR CONFIG SET failed (possibly related to argument 'log-format') - argument(s) must be one of "
        "the following: legacy, logfmt, json");
    client_close(c);
    server_free(s);
}

/* ---- rotation ---- */

static void read_file(const char *path, char *out, size_t size) {
    FILE *f = fopen(path, "r");
    out[0] = '\0';
    if (!f) return;
    out[fread(out, 1, size - 1, f)] = '\0';
    fclose(f);
}

static void await_in_file(const char *path, const char *needle) {
    static char text[1 << 20];
    for (int tries = 0; tries < 20000; tries++) {
        read_file(path, text, sizeof text);
        if (strstr(text, needle)) return;
        poll(NULL, 0, 1);
    }
    fail_msg("'%s' is not in %s:\n%s", needle, path, text);
}

static char folder[] = "/tmp/trivet-rotate-XXXXXX";
static char path[64], rotated[64];

static int make_folder(void **state) {
    (void)state;
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/log", folder);
    snprintf(rotated, sizeof rotated, "%s/log.1", folder);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    unlink(path);
    unlink(rotated);
    return rmdir(folder);
}

static void a_rotated_file_gets_no_more_lines_without_any_signal(void **state) {
    (void)state;
    struct server *s = server_start("--logfile", path, NULL);
    struct client *c = server_connect(s);
    assert_reply(c, "DEBUG LOG before", "+OK");
    assert_int_equal(rename(path, rotated), 0);
    assert_reply(c, "DEBUG LOG after", "+OK");
    await_in_file(rotated, "before");
    await_in_file(path, "after");
    char text[4096];
    read_file(rotated, text, sizeof text);
    assert_null(strstr(text, "after"));
    client_close(c);
    server_free(s);
}

static void sigusr1_says_that_the_file_is_open_again(void **state) {
    (void)state;
    struct server *s = server_start("--logfile", path, NULL);
    struct client *c = server_connect(s);
    assert_int_equal(rename(path, rotated), 0);
    kill(server_pid(s), SIGUSR1);
    await_in_file(path, "Received SIGUSR1: opened the log file");
    assert_reply(c, "PING", "+PONG");
    client_close(c);
    server_free(s);
}

static void config_set_takes_another_file_or_says_why_not(void **state) {
    (void)state;
    struct server *s = server_start("--logfile", path, NULL);
    struct client *c = server_connect(s);
    assert_string_equal(client_ask(c, "CONFIG SET logfile %s", rotated), "+OK");
    assert_reply(c, "DEBUG LOG elsewhere", "+OK");
    await_in_file(rotated, "elsewhere");
    assert_reply(c, "CONFIG SET logfile /nonexistent/log",
                 "-ERR CONFIG SET failed (possibly related to argument 'logfile') - can't open the log file "
                 "/nonexistent/log: No such file or directory");
    assert_reply(c, "DEBUG LOG still", "+OK");
    await_in_file(rotated, "still");
    assert_string_equal(client_ask(c, "CONFIG SET logfile %s", path), "+OK"); /* the same file again */
    assert_string_equal(client_ask(c, "CONFIG SET logfile %s", path), "+OK");
    assert_reply(
        c, "CONFIG SET enable-protected-configs no",
        "-ERR CONFIG SET failed (possibly related to argument 'enable-protected-configs') - can't set "
        "immutable config");
    client_close(c);
    server_free(s);
    s = server_start("--logfile", path, "--enable-protected-configs", "no", NULL);
    c = server_connect(s);
    assert_reply(
        c, "CONFIG SET logfile x",
        "-ERR CONFIG SET failed (possibly related to argument 'logfile') - can't set protected config");
    client_close(c);
    server_free(s);
}

/* What cannot be written to the file goes to standard error, and the server goes on. */
static void sigusr1_says_if_the_file_cannot_be_opened(void **state) {
    (void)state;
    struct server *s = server_start("--logfile", path, NULL);
    struct client *c = server_connect(s);
    assert_int_equal(rename(path, rotated) | mkdir(path, 0700), 0);
    kill(server_pid(s), SIGUSR1);
    server_await_log(s, "Received SIGUSR1, but can't open the log file", 1);
    server_await_log(s, "Is a directory", 1);
    assert_reply(c, "PING", "+PONG");
    assert_int_equal(rmdir(path), 0);
    client_close(c);
    server_free(s);
}

static void sigusr1_does_not_end_a_server_without_a_file(void **state) {
    (void)state;
    struct server *s = server_start("--loglevel", "notice", NULL);
    struct client *c = server_connect(s);
    for (size_t i = 1; i <= 3; i++) {
        kill(server_pid(s), SIGUSR1);
        server_await_log(s, "Received SIGUSR1: the log goes to standard output", i);
    }
    assert_reply(c, "PING", "+PONG");
    client_close(c);
    server_free(s);
}

#define ROTATION_TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_line_of_a_life_is_json),
        cmocka_unit_test(each_line_of_a_life_is_logfmt),
        cmocka_unit_test(the_format_changes_while_the_server_runs),
        ROTATION_TEST(a_rotated_file_gets_no_more_lines_without_any_signal),
        ROTATION_TEST(sigusr1_says_that_the_file_is_open_again),
        ROTATION_TEST(config_set_takes_another_file_or_says_why_not),
        ROTATION_TEST(sigusr1_says_if_the_file_cannot_be_opened),
        cmocka_unit_test(sigusr1_does_not_end_a_server_without_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
