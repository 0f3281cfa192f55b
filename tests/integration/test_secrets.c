/* test_secrets.c: passwords are seen by nobody but who may: not in the log, MONITOR, the command logs, the
 * list of processes or the report of a crash, whatever way they come. */
#include "../harness/fixture.h"
#include "files.h"
#include <stdio.h>

#define SECRET "Ma4ker-0f-a-Secret"

static void assert_hidden(const char *where, const char *text) {
    const char *at = strstr(text, SECRET);
    if (!at) return;
    while (at > text && at[-1] != '\n') at--;
    fail_msg("%s shows the secret: %.300s", where, at);
}

/* ---- all ways in which a password comes ----
 *
 * But one: where it stands for the user's name, ACL LOG shows it, because that name is what it is for. */

static const char *const ways[] = {
    "login " SECRET,
    "login default " SECRET,
    "login a b " SECRET,
    "hi 3 AUTH default " SECRET,
    "hi 3 SETNAME me AUTH default " SECRET,
    "hi 3 AUTH " SECRET,
    "hi 9 AUTH default " SECRET,
    "hi x AUTH default " SECRET,
    "hi 3 AUTH default " SECRET " more",
    "hi 2",
    "cfg SET requirepass " SECRET,
    "cfg SET maxmemory 0 requirepass " SECRET,
    "cfg SET requirepass " SECRET " more",
    "cfg SET maxmemory 0 more requirepass " SECRET,
    "cfg SET masterauth " SECRET,
    "cfg SET primaryauth " SECRET,
    "cfg SET tls-key-file-pass " SECRET,
    "cfg SET tls-client-key-file-pass " SECRET,
    "cfg SET REQUIREPASS " SECRET " nosuch 1",
    "MIGRATE 127.0.0.1 1 k 0 100 AUTH " SECRET,
    "MIGRATE 127.0.0.1 1 k 0 100 COPY AUTH2 user " SECRET,
    "MIGRATE 127.0.0.1 1 \"\" 0 100 AUTH " SECRET " KEYS k j",
    "MIGRATE 127.0.0.1 1 k 0 100 AUTH " SECRET " huh",
    "ACL SETUSER bob on >" SECRET " ~* +@all",
    "ACL SETUSER bob <" SECRET,
    "EVAL \"return redis.pcall('MIGRATE', '127.0.0.1', '1', KEYS[1], '0', '100', 'AUTH', 'Ma4ker-0f-' .. "
    "'a-Secret')\" 1 k",
    "EVAL \"return redis.pcall('login', 'Ma4ker-0f-' .. 'a-Secret')\" 0",
    "MULTI",
    "login " SECRET,
    "cfg SET requirepass " SECRET,
    "MIGRATE 127.0.0.1 1 k 0 100 AUTH " SECRET,
    "EXEC",
};

static void send_all_ways(struct client *c) {
    for (size_t i = 0; i < COUNT_OF(ways); i++) node_free(client_ask_node(c, "%s", ways[i]));
    for (size_t i = 0; i < COUNT_OF(ways); i++) { /* the same as inline commands */
        client_send_raw(c, ways[i]);
        client_send_raw(c, "\r\n");
        node_free(client_read(c));
    }
}

static void check_monitor(struct client *monitor, struct client *c) {
    size_t redacted = 0;
    node_free(client_ask_node(c, "ECHO end-of-what-%s-shows", "MONITOR"));
    for (;;) {
        const char *line = client_read_text(monitor);
        assert_hidden("MONITOR", line);
        redacted += strstr(line, "(redacted)") != NULL;
        if (strstr(line, "end-of-what-MONITOR-shows")) break;
    }
    assert_true(redacted > 0);
}

static void check_what_clients_may_ask(struct client *c) {
    static const char *const questions[] = {
        "SLOWLOG GET -1",        "COMMANDLOG GET -1 slow",     "COMMANDLOG GET -1 large-request",
        "COMMANDLOG GET -1 large-reply", "CLIENT LIST",        "INFO everything",
        "LATENCY LATEST",        "LATENCY HISTOGRAM",          "ACL LOG",
    };
    for (size_t i = 0; i < COUNT_OF(questions); i++) {
        const char *reply = client_ask(c, "%s", questions[i]);
        assert_hidden(questions[i], reply);
        if (i == 0) assert_non_null(strstr(reply, "(redacted)"));
    }
}

static void check_process(struct server *s, const char *what) {
    char path[64];
    struct text text = { 0 };
    snprintf(path, sizeof path, "/proc/%d/%s", (int)server_pid(s), what);
    file_read(path, &text);
    for (size_t i = 0; i < text.len; i++)
        if (!text.ptr[i]) text.ptr[i] = ' ';
    assert_hidden(path, text_str(&text));
    text_release(&text);
}

static struct client *log_in(struct server *s) {
    struct client *c = server_connect(s);
    assert_reply(c, "login " SECRET, "+OK");
    return c;
}

static void no_password_shows_up_anywhere(void **state) {
    (void)state;
    static const char conf[] = "rename-command AUTH login\nrename-command HELLO hi\n"
                               "rename-command CONFIG cfg\nloglevel debug\nslowlog-max-len 1000\n"
                               "slowlog-log-slower-than 0\ncommandlog-request-larger-than 0\n"
                               "commandlog-reply-larger-than 0\nlatency-monitor-threshold 1\n"
                               "hide-user-data-from-log no\n";
    static const char *const args[] = { "--requirepass", SECRET, "--primaryauth " SECRET, NULL };
    struct server *s = server_launch(&(struct server_plan){ .conf = conf, .args = args });
    struct client *c = log_in(s), *monitor = log_in(s);
    assert_reply(c, "MSET k 1 j 2", "+OK");
    assert_reply(monitor, "MONITOR", "+OK");
    send_all_ways(c);
    check_monitor(monitor, c);
    check_what_clients_may_ask(c);
    check_process(s, "cmdline");
    assert_hidden("the log", server_log(s));
#ifndef TRIVET_SANITIZE /* a sanitizer has reports of its own */
    client_send(c, "DEBUG SEGFAULT");
    server_await_signal(s);
    assert_non_null(strstr(server_log(s), "BUG REPORT END"));
    assert_hidden("the report of a crash", server_log(s));
#endif
    client_close(monitor);
    client_close(c);
    server_free(s);
}

/* ---- the list of processes ---- */

static const char *title_of(struct server *s) {
    static struct text text;
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/cmdline", (int)server_pid(s));
    file_read(path, &text);
    for (size_t i = 0; i < text.len; i++)
        if (!text.ptr[i]) text.ptr[i] = ' ';
    while (text.len > 0 && text.ptr[text.len - 1] == ' ') text.ptr[--text.len] = '\0';
    return text_str(&text);
}

static void passwords_are_blotted_out_of_the_arguments(void **state) {
    (void)state;
    struct server *s = server_start("--set-proc-title", "no", "--requirepass", SECRET, "--masterauth " SECRET,
                                    "--primaryuser", "--" SECRET, "--port", "0", NULL);
    assert_hidden("the list of processes", title_of(s));
    assert_true(text_matches("... --set-proc-title no --requirepass ****************** "
                             "--masterauth******************* --primaryuser ******************** --port 0",
                             title_of(s)));
    struct client *c = server_connect(s);
    assert_reply(c, "AUTH " SECRET, "+OK");
    client_close(c);
    server_free(s);
}

static void the_title_follows_its_template(void **state) {
    (void)state;
    static const char conf[] = "proc-title-template \"{title} of {config-file}\"\n";
    struct server *s = server_launch(&(struct server_plan){ .conf = conf, .tcp = true });
    struct client *c = server_connect(s);
    char expected[256];
    snprintf(expected, sizeof expected, "trivet-server of %s", server_path(s, "server.conf"));
    assert_string_equal(title_of(s), expected);
    assert_reply(c, "CONFIG SET proc-title-template \"{title} {listen-addr} {server-mode}\"", "+OK");
    snprintf(expected, sizeof expected, "trivet-server *:%d", server_port(s));
    assert_string_equal(title_of(s), expected);
    assert_reply(c, "CONFIG SET proc-title-template \"me, {port}/{tls-port} {unixsocket}\"", "+OK");
    snprintf(expected, sizeof expected, "me, %d/0 %s", server_port(s), server_path(s, "socket"));
    assert_string_equal(title_of(s), expected);
    client_close(c);
    server_free(s);
}

/* ---- files and messages ---- */

static void a_wrong_line_with_a_password_is_not_repeated(void **state) {
    (void)state;
    static const char *const lines[] = { "requirepass a " SECRET "\n", "masterauth " SECRET " b\n",
                                         "  requirepass\t\"" SECRET "\" x\n", "user bob >" SECRET " huh\n" };
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        struct text log = { 0 };
        assert_int_equal(server_run_to_end(&(struct server_plan){ .conf = lines[i] }, &log), 1);
        assert_hidden("the message", text_str(&log));
        assert_non_null(strstr(text_str(&log), "(redacted)'"));
        text_release(&log);
    }
}

static mode_t mode_of(const char *path) {
    struct stat facts;
    assert_int_equal(stat(path, &facts), 0);
    return facts.st_mode & 0777;
}

static void a_rewritten_file_is_read_by_no_more_than_before(void **state) {
    (void)state;
    struct server *s = server_launch(&(struct server_plan){ .conf = "maxmemory 1mb\n" });
    struct client *c = server_connect(s);
    static const mode_t modes[] = { 0600, 0640, 0644 };
    for (size_t i = 0; i < COUNT_OF(modes); i++) {
        assert_int_equal(chmod(server_path(s, "server.conf"), modes[i]), 0);
        assert_reply(c, "CONFIG SET requirepass " SECRET, "+OK");
        assert_reply(c, "CONFIG REWRITE", "+OK");
        assert_int_equal(mode_of(server_path(s, "server.conf")), modes[i]);
    }
    unlink(server_path(s, "server.conf"));
    assert_reply(c, "CONFIG REWRITE", "+OK");
    assert_int_equal(mode_of(server_path(s, "server.conf")), 0600);
    client_close(c);
    server_free(s);
}

static void write_text(const char *path, const char *text, mode_t mode) {
    struct text t = { 0 };
    text_append_str(&t, text);
    file_write(path, &t);
    text_release(&t);
    assert_int_equal(chmod(path, mode), 0);
}

/* A config file of one line, which names a file of the server's folder. */
static void write_line(struct server *s, const char *format) {
    char line[256];
    snprintf(line, sizeof line, format, server_folder(s));
    write_text(server_path(s, "server.conf"), line, 0600);
}

/* What the server says of files when it starts once more. */
static bool warns(struct server *s, const char *words) {
    size_t before = strlen(server_log(s));
    server_stop(s);
    server_restart(s);
    return strstr(server_log(s) + before, words) != NULL;
}

static void files_that_others_can_read_are_warned_about(void **state) {
    (void)state;
    struct server *s = server_launch(&(struct server_plan){ .conf = "maxmemory 0\n" });
    static const struct { const char *conf; mode_t mode; bool warned; } cases[] = {
        { "maxmemory 0\n", 0644, false },
        { "requirepass \"\"\n# requirepass x\n", 0644, false },
        { "requirepass x\n", 0644, true },
        { "requirepass x\n", 0640, false }, /* of the server's own group */
        { "requirepass x\n", 0600, false },
        { "masterauth x\n", 0644, true },
        { "tls-key-file-pass x\n", 0604, true },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        write_text(server_path(s, "server.conf"), cases[i].conf, cases[i].mode);
        bool warned = warns(s, "server.conf' holds a password, and other users of this machine can read it");
        if (warned != cases[i].warned) fail_msg("%s with mode %o", cases[i].conf, cases[i].mode);
    }
    /* An included one, and a file that is nothing but a password. */
    write_text(server_path(s, "more.conf"), "requirepass x\n", 0644);
    write_line(s, "include %s/more.conf\n");
    assert_true(warns(s, "more.conf' holds a password"));
    assert_false(warns(s, "server.conf' holds"));
    write_text(server_path(s, "pw"), "x\n", 0444);
    write_line(s, "requirepass-file %s/pw\n");
    assert_true(warns(s, "pw' holds a password"));
    assert_int_equal(chmod(server_path(s, "pw"), 0400), 0);
    assert_false(warns(s, "holds a password"));
    server_free(s);
}

static void a_folder_that_all_can_write_to_is_warned_about(void **state) {
    (void)state;
    struct server *s = server_start(NULL, NULL);
    assert_false(warns(s, "All users of this machine can write to the folder"));
    assert_int_equal(chmod(server_folder(s), 0777), 0);
    assert_true(warns(s, "All users of this machine can write to the folder"));
    server_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_password_shows_up_anywhere),
        cmocka_unit_test(passwords_are_blotted_out_of_the_arguments),
        cmocka_unit_test(the_title_follows_its_template),
        cmocka_unit_test(a_wrong_line_with_a_password_is_not_repeated),
        cmocka_unit_test(a_rewritten_file_is_read_by_no_more_than_before),
        cmocka_unit_test(files_that_others_can_read_are_warned_about),
        cmocka_unit_test(a_folder_that_all_can_write_to_is_warned_about),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
