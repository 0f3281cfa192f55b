/* test_metrics_access.c: who may see the metrics, in all combinations of passwords, users and protected mode;
 * and the settings of the port, while the server runs. */
#include "files.h"
#include "metrics_server.h"
#include <signal.h>
#include <time.h>

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* "Authorization: Basic ...\r\n" for "name:password"; "" for NULL. Valid until the next call. */
static const char *as(const char *credentials) {
    static char field[512];
    if (!credentials) return "";
    size_t used = (size_t)snprintf(field, sizeof field, "Authorization: Basic "), len = strlen(credentials);
    for (size_t at = 0; at < len; at += 3) {
        unsigned bits = 0;
        for (size_t i = 0; i < 3; i++)
            bits = bits << 8 | (at + i < len ? (unsigned char)credentials[at + i] : 0);
        for (size_t i = 0; i < 4; i++)
            field[used++] = at + i > len ? '=' : base64_digits[bits >> (18 - 6 * i) & 63];
    }
    strcpy(field + used, "\r\n");
    return field;
}

static int64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void write_file(struct server *s, const char *name, const char *text, mode_t rights) {
    struct text bytes = { 0 };
    text_append_str(&bytes, text);
    file_write(server_path(s, name), &bytes);
    assert_int_equal(chmod(server_path(s, name), rights), 0);
    text_release(&bytes);
}

#define SEEN "# HELP trivet_..."
#define ASKED "A name and a password are needed.\n"
#define WRONG "The name or the password is wrong.\n"

struct visit {
    const char *credentials; /* NULL: none */
    int status;
    const char *body;
};

static void assert_visits(const struct visit *rows) {
    for (const struct visit *v = rows; v->body; v++)
        assert_get("/metrics", as(v->credentials), v->status, v->body);
}

/* ---- users ---- */

static void an_open_server_is_seen_by_this_machine(void **state) {
    (void)state;
    struct server *s = METRICS_SERVER();
    assert_visits((const struct visit[]){ { NULL, 200, SEEN },
                                          { ":", 200, SEEN },
                                          { "default:any", 200, SEEN },
                                          { "nobody:x", 401, WRONG },
                                          { 0 } });
    assert_get("/metrics", "Authorization: Bearer abc\r\n", 200, SEEN);
    server_free(s);
}

static void with_a_password_users_log_in(void **state) {
    (void)state;
    struct server *s = METRICS_SERVER("--requirepass", "s3:cret");
    struct client *c = server_connect(s);
    assert_exchanges(c, ((const struct exchange[]){ { "AUTH s3:cret", "+OK" },
                                                    { "ACL SETUSER watcher on >w +info", "+OK" },
                                                    { "ACL SETUSER reader on >r +@read", "+OK" },
                                                    { "ACL SETUSER off off >o +@all", "+OK" },
                                                    { "ACL LOG RESET", "+OK" },
                                                    { 0 } }));
    assert_visits((const struct visit[]){ { NULL, 401, ASKED },
                                          { ":s3:cret", 200, SEEN },
                                          { "default:s3:cret", 200, SEEN },
                                          { "default:s3", 401, WRONG },
                                          { ":", 401, WRONG },
                                          { "watcher:w", 200, SEEN },
                                          { "watcher:s3:cret", 401, WRONG },
                                          { "reader:r", 403, "This user may not run INFO.\n" },
                                          { "off:o", 401, WRONG },
                                          { 0 } });
    assert_get("/", "", 401, ASKED);
    assert_get("/", as("watcher:w"), 200, "<!doctype html>...");
    assert_get("/metrics", "Authorization: Basic !!!\r\n", 401, ASKED);
    assert_get("/health/live", "", 200, "live\n");
    assert_get("/health/ready", "", 200, "ready\n");
    assert_get("/health/ready", as("nobody:x"), 200, "ready\n");
    struct http_reply r = http_get(metrics_port, "/", "");
    assert_string_equal(http_field(&r, "WWW-Authenticate"), "Basic realm=\"Trivet\", charset=\"UTF-8\"");
    http_release(&r);
    client_close(c);
    server_free(s);
}

static void wrong_passwords_are_in_the_log_without_them(void **state) {
    (void)state;
    struct server *s = METRICS_SERVER("--requirepass", "right");
    struct client *c = server_connect(s);
    assert_reply(c, "AUTH right", "+OK");
    assert_get("/metrics", as("mallory:guess-1"), 401, WRONG);
    assert_get("/metrics", as("mallory:guess-2"), 401, WRONG);
    struct text log = { 0 };
    text_append_str(&log, client_ask(c, "ACL LOG"));
    if (!text_matches("*[*[$\"count\", :2, $\"reason\", $\"auth\", $\"context\", $\"toplevel\", $\"object\", "
                      "$\"Authorization\", $\"username\", $\"mallory\", ...addr=127.0.0.1:...",
                      text_str(&log)))
        fail_msg("%s", text_str(&log));
    assert_null(strstr(text_str(&log), "guess"));
    assert_null(strstr(server_log(s), "guess"));
    assert_int_equal(info_number(c, "stats", "acl_access_denied_auth"), 2);
    text_release(&log);
    client_close(c);
    server_free(s);
}

/* A guess takes half a second, during which others are answered. */
static void guesses_are_slow_and_hold_up_nobody(void **state) {
    (void)state;
    struct server *s = METRICS_SERVER("--requirepass", "right");
    struct text request = { 0 };
    struct http_reply r;
    text_printf(&request, "GET /metrics HTTP/1.1\r\nHost: x\r\n%s\r\n", as("default:wrong"));
    int fd = http_must_connect(metrics_port);
    int64_t began = now_ms();
    assert_true(http_send(fd, text_str(&request)));
    assert_get("/metrics", as("default:right"), 200, SEEN);
    assert_get("/health/live", "", 200, "live\n");
    http_read(fd, false, &r);
    assert_int_equal(r.status, 401);
    assert_true(now_ms() - began >= 450);
    http_release(&r);
    text_release(&request);
    close(fd);
    server_free(s);
}

/* ---- a password of their own ---- */

static void a_password_file_stands_above_users(void **state) {
    (void)state;
    struct server *s = METRICS_SERVER("--requirepass", "users");
    struct client *c = server_connect(s);
    assert_reply(c, "AUTH users", "+OK");
    write_file(s, "scrape", "scrape-me\r\nnot this\n", 0600);
    write_file(s, "empty", "\n", 0600);
    write_file(s, "open", "second\n", 0644);
    const struct exchange bad[] = {
        { "CONFIG SET metrics-password-file %s/missing",
          "-ERR CONFIG SET failed (possibly related to argument 'metrics-password-file') - cannot read the "
          "password file '.../missing': No such file or directory" },
        { "CONFIG SET metrics-password-file %s/empty",
          "-ERR CONFIG SET failed (possibly related to argument 'metrics-password-file') - the password file "
          "'.../empty' has no password in its first line" },
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        char command[256];
        snprintf(command, sizeof command, bad[i].command, server_folder(s));
        assert_reply(c, command, bad[i].reply);
        assert_get("/metrics", as(":users"), 200, SEEN);
    }
    assert_string_equal(client_ask(c, "CONFIG SET metrics-password-file %s/scrape", server_folder(s)), "+OK");
    assert_visits((const struct visit[]){ { NULL, 401, ASKED },
                                          { ":users", 401, WRONG },
                                          { "prometheus:scrape-me", 200, SEEN },
                                          { ":scrape-me", 200, SEEN },
                                          { ":scrape-me ", 401, WRONG },
                                          { 0 } });
    assert_null(strstr(server_log(s), "metrics password file"));
    assert_string_equal(client_ask(c, "CONFIG SET metrics-password-file %s/open", server_folder(s)), "+OK");
    assert_get("/metrics", as(":second"), 200, SEEN);
    server_await_log(s, "The metrics password file '", 1);
    assert_null(strstr(server_log(s), "scrape-me"));
    assert_reply(c, "CONFIG SET metrics-password-file \"\"", "+OK");
    assert_get("/metrics", as(":users"), 200, SEEN);
    client_close(c);
    server_free(s);
}

static void an_open_server_may_have_a_password_for_metrics(void **state) {
    (void)state;
    char path[] = "/tmp/trivet-metrics-XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, "pw\n", 3), 3);
    close(fd);
    struct server *s = METRICS_SERVER("--metrics-password-file", path);
    assert_visits((const struct visit[]){
        { NULL, 401, ASKED }, { "default:", 401, WRONG }, { ":pw", 200, SEEN }, { 0 } });
    server_free(s);
    unlink(path);
}

/* ---- the settings ---- */

static void assert_no_start(const char *const *args, const char *reason) {
    struct text log = { 0 };
    assert_int_equal(server_run_to_end(&(struct server_plan){ .args = args }, &log), 1);
    if (!strstr(text_str(&log), reason)) fail_msg("no '%s' in\n%s", reason, text_str(&log));
    text_release(&log);
}

static void bad_settings_stop_the_start(void **state) {
    (void)state;
    struct server *s = METRICS_SERVER();
    char taken[16], reason[128];
    snprintf(taken, sizeof taken, "%d", metrics_port);
    snprintf(reason, sizeof reason,
             "Failed listening on port %d (metrics): Could not create server TCP listening socket "
             "127.0.0.1:%d: Address already in use",
             metrics_port, metrics_port);
    assert_no_start((const char *const[]){ "--metrics-port", taken, NULL }, reason);
    assert_no_start((const char *const[]){ "--metrics-port", "65536", NULL },
                    "argument must be between 0 and 65535 inclusive");
    assert_no_start((const char *const[]){ "--metrics-port", "1", "--metrics-bind", "nowhere.invalid", NULL },
                    "Could not resolve the address to listen on, nowhere.invalid:1");
    assert_no_start((const char *const[]){ "--metrics-password-file", "/nonexistent/file", NULL },
                    "cannot read the password file '/nonexistent/file'");
    server_free(s);
}

static void assert_nobody_listens(int port) {
    int fd = http_connect(port);
    if (fd >= 0) fail_msg("somebody listens at port %d", port);
    assert_int_equal(errno, ECONNREFUSED);
}

static void set_port(struct client *c, int port) {
    assert_string_equal(client_ask(c, "CONFIG SET metrics-port %d", port), "+OK");
    metrics_port = port;
}

static void the_port_changes_while_the_server_runs(void **state) {
    (void)state;
    struct server *s = server_launch(&(struct server_plan){ .tcp = true });
    struct client *c = server_connect(s);
    int first = server_free_port(), second = server_free_port();
    assert_reply(
        c, "CONFIG GET metrics-*",
        "*[$\"metrics-bind\", $\"127.0.0.1 -::1\", $\"metrics-password-file\", $\"\", $\"metrics-port\", "
        "$\"0\"]");
    set_port(c, first);
    assert_get("/health/live", "", 200, "live\n");
    int idle = http_must_connect(first);
    set_port(c, second);
    assert_get("/health/live", "", 200, "live\n");
    assert_nobody_listens(first);
    char refused[256];
    snprintf(
        refused, sizeof refused,
        "-ERR CONFIG SET failed (possibly related to argument 'metrics-port') - Failed listening on port "
        "%d (metrics): Could not create server TCP listening socket 127.0.0.1:%d: Address already in use",
        server_port(s), server_port(s));
    assert_string_equal(client_ask(c, "CONFIG SET metrics-port %d", server_port(s)), refused);
    assert_get("/health/live", "", 200, "live\n");
    assert_int_equal(info_number(c, "server", "tcp_port"), server_port(s));
    char line[128];
    snprintf(line, sizeof line, "...listener3:name=metrics,bind=127.0.0.1,bind=-::1,port=%d...", second);
    assert_reply(c, "INFO server", line);
    set_port(c, 0);
    assert_true(http_ends(idle));
    close(idle);
    assert_nobody_listens(second);
    assert_null(strstr(client_ask(c, "INFO server"), "name=metrics"));
    set_port(c, first);
    assert_get("/health/live", "", 200, "live\n");
    client_close(c);
    server_free(s);
}

/* 127.0.0.2 is this machine too. */
static void the_addresses_change_while_the_server_runs(void **state) {
    (void)state;
    struct server *s = METRICS_SERVER();
    struct client *c = server_connect(s);
    static const struct {
        const char *bind;
        bool is_heard; /* at 127.0.0.1 */
    } rows[] = { { "127.0.0.2", false }, { "*", true },       { "127.0.0.1", true },
                 { "127.0.0.2", false }, { "0.0.0.0", true }, { "127.0.0.2 127.0.0.1", true } };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_string_equal(client_ask(c, "CONFIG SET metrics-bind \"%s\"", rows[i].bind), "+OK");
        if (rows[i].is_heard)
            assert_get("/health/live", "", 200, "live\n");
        else
            assert_nobody_listens(metrics_port);
    }
    assert_reply(
        c, "CONFIG SET metrics-bind nowhere.invalid",
        "-ERR CONFIG SET failed (possibly related to argument 'metrics-bind') - Failed listening on port ... "
        "Could not resolve the address to listen on, nowhere.invalid:...");
    assert_get("/health/live", "", 200, "live\n");
    client_close(c);
    server_free(s);
}

static void settings_are_written_back(void **state) {
    (void)state;
    struct server *s = server_launch(&(struct server_plan){ .conf = "# mine\nmetrics-bind 127.0.0.1\n" });
    struct client *c = server_connect(s);
    struct text conf = { 0 };
    int port = server_free_port();
    char line[64];
    write_file(s, "pw", "x\n", 0600);
    set_port(c, port);
    assert_string_equal(
        client_ask(c, "CONFIG SET metrics-password-file %s/pw metrics-bind \"127.0.0.1 127.0.0.2\"",
                   server_folder(s)),
        "+OK");
    assert_reply(c, "CONFIG REWRITE", "+OK");
    file_read(server_path(s, "server.conf"), &conf);
    snprintf(line, sizeof line, "metrics-port %d\n", port);
    assert_non_null(strstr(text_str(&conf), line));
    assert_non_null(strstr(text_str(&conf), "# mine\nmetrics-bind 127.0.0.1 127.0.0.2\n"));
    assert_non_null(strstr(text_str(&conf), "metrics-password-file "));
    text_release(&conf);
    client_close(c);
    server_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_open_server_is_seen_by_this_machine),
        cmocka_unit_test(with_a_password_users_log_in),
        cmocka_unit_test(wrong_passwords_are_in_the_log_without_them),
        cmocka_unit_test(guesses_are_slow_and_hold_up_nobody),
        cmocka_unit_test(a_password_file_stands_above_users),
        cmocka_unit_test(an_open_server_may_have_a_password_for_metrics),
        cmocka_unit_test(bad_settings_stop_the_start),
        cmocka_unit_test(the_port_changes_while_the_server_runs),
        cmocka_unit_test(the_addresses_change_while_the_server_runs),
        cmocka_unit_test(settings_are_written_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
