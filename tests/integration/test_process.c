/* test_process.c: the program as a process: its command line and files, how it starts, and how it ends. */
#include "../harness/fixture.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct server *server_of(void **state) { return ((struct fixture *)*state)->server; }

/* ---- running the bare program ---- */

struct run {
    int status; /* of waitpid */
    struct text output;
};

/* Runs the program until it ends; its own deadline is an alarm, which outlives exec. `input` is its standard
 * input. */
static struct run run_program(void **state, const char *input, const char *const *args) {
    struct run r = { 0 };
    char program[64];
    const char *argv[32] = { program };
    snprintf(program, sizeof program, "/proc/%d/exe", (int)server_pid(server_of(state)));
    for (size_t i = 0; args[i] && i < 30; i++) argv[i + 1] = args[i];
    int in[2], out[2];
    assert_int_equal(pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        dup2(out[1], STDERR_FILENO);
        alarm(100);
        execv(program, (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    assert_true(pid > 0);
    close(in[0]);
    close(out[1]);
    if (input) assert_int_equal(write(in[1], input, strlen(input)), strlen(input));
    close(in[1]);
    for (ssize_t got = 1; got > 0;) {
        got = read(out[0], text_reserve(&r.output, 4096), 4096);
        if (got > 0) r.output.len += (size_t)got;
    }
    text_append(&r.output, "", 0);
    close(out[0]);
    assert_int_equal(waitpid(pid, &r.status, 0), pid);
    return r;
}

static void assert_says(const struct run *r, int status, const char *text) {
    if (!WIFEXITED(r->status) || WEXITSTATUS(r->status) != status || !strstr(text_str(&r->output), text))
        fail_msg("expected status %d and '%s', got 0x%x and:\n%s", status, text, (unsigned)r->status,
                 text_str(&r->output));
}

/* ---- what is refused ---- */

static void a_wrong_line_is_refused_with_its_number_and_the_reason(void **state) {
    static const struct {
        const char *conf, *text;
    } rows[] = {
        { "port 0\n\nno-such-thing 1\n",
          "at line 3\n>>> 'no-such-thing 1'\nBad directive or wrong number of arguments" },
        { "port 0\nport 70000\n",
          "at line 2\n>>> 'port 70000'\nargument must be between 0 and 65535 inclusive" },
        { "port abc\n", "at line 1\n>>> 'port abc'\nargument couldn't be parsed into an integer" },
        { "# x\nappendonly maybe\n", "at line 2\n>>> 'appendonly maybe'\nargument must be 'yes' or 'no'" },
        { "maxmemory 1xb\n", "at line 1\n>>> 'maxmemory 1xb'\nargument must be a memory value" },
        { "maxmemory-policy best\n",
          "at line 1\n>>> 'maxmemory-policy best'\nargument(s) must be one of the following" },
        { "requirepass \"open\n", "at line 1\n>>> 'requirepass (redacted)'\nUnbalanced quotes" },
        { "save 1\n", "at line 1\n>>> 'save 1'\n" },
        { "loadmodule /x.so\n", "at line 1\n>>> 'loadmodule /x.so'\nmodules are not supported" },
        { "client-output-buffer-limit normal 1 2\n",
          "Wrong number of arguments in buffer limit configuration." },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct run r = run_program(state, rows[i].conf, (const char *const[]){ "-", NULL });
        assert_says(&r, 1, rows[i].text);
        assert_says(&r, 1, "Reading the configuration from standard input, at line");
        text_release(&r.output);
    }
}

static void a_wrong_argument_is_refused_with_the_reason(void **state) {
    static const struct {
        const char *args[5], *text;
    } rows[] = {
        { { "--no-such-thing", "1", NULL }, "no-such-thing" },
        { { "--port", "70000", NULL }, "argument must be between 0 and 65535 inclusive" },
        { { "--port", NULL }, "wrong number of arguments" },
        { { "--maxmemory", "lots", NULL }, "argument must be a memory value" },
        { { "--databases", "0", "--port", "0", NULL }, "argument must be between 1 and" },
        { { "/nonexistent/trivet.conf", NULL },
          "can't open config file '/nonexistent/trivet.conf': No such file" },
        { { "--port", "0", "--dir", "/nonexistent", NULL }, "/nonexistent" },
        { { "--port", "0", "--logfile", "/nonexistent/log", NULL }, "/nonexistent/log" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct run r = run_program(state, NULL, rows[i].args);
        assert_says(&r, 1, rows[i].text);
        text_release(&r.output);
    }
}

/* ---- what is understood ---- */

static void the_command_line_of_a_cache_is_understood(void **state) {
    (void)state;
    const char *args[] = {
        "--requirepass", "X", "--maxmemory", "1gb", "--maxmemory-policy", "allkeys-lru", "--save", "",
        "--port",        "0", NULL
    };
    struct server *s = server_launch(&(struct server_plan){ .bare = true, .args = args });
    struct client *c = server_connect(s);
    static const struct exchange rows[] = {
        { "PING", "-NOAUTH Authentication required." },
        { "AUTH X", "+OK" },
        { "CONFIG GET maxmemory", "*[$\"maxmemory\", $\"1073741824\"]" },
        { "CONFIG GET maxmemory-policy", "*[$\"maxmemory-policy\", $\"allkeys-lru\"]" },
        { "CONFIG GET save", "*[$\"save\", $\"\"]" },
        { "CONFIG GET port", "*[$\"port\", $\"0\"]" },
        { NULL, NULL },
    };
    assert_exchanges(c, rows);
    client_close(c);
    server_free(s);
}

static void a_file_is_read_and_the_command_line_wins(void **state) {
    (void)state;
    const char *args[] = { "--maxmemory", "2mb", "--client-output-buffer-limit", "pubsub", "1mb", "2mb",
                           "3",           NULL };
    struct server *s =
        server_launch(&(struct server_plan){ .conf = "# a comment\n\n  maxmemory 1mb  \nMAXMEMORY-POLICY "
                                                     "\"allkeys-lfu\"\ntimeout 100\nactiverehashing no\n"
                                                     "save 900 1\nsave 300 10\nbind 127.0.0.1\n",
                                             .bare = true,
                                             .args = args });
    struct client *c = server_connect(s);
    static const struct exchange rows[] = {
        { "CONFIG GET maxmemory", "*[$\"maxmemory\", $\"2097152\"]" },
        { "CONFIG GET maxmemory-policy", "*[$\"maxmemory-policy\", $\"allkeys-lfu\"]" },
        { "CONFIG GET timeout", "*[$\"timeout\", $\"100\"]" },
        { "CONFIG GET save", "*[$\"save\", $\"900 1 300 10\"]" },
        { "CONFIG GET activerehashing", "*[$\"activerehashing\", $\"no\"]" },
        { "CONFIG GET client-output-buffer-limit",
          "*[$\"client-output-buffer-limit\", "
          "$\"normal 0 0 0 slave 268435456 67108864 60 pubsub 1048576 2097152 3\"]" },
        { NULL, NULL },
    };
    assert_exchanges(c, rows);
    server_await_log(s, "'activerehashing' is accepted but has no effect in Trivet", 1);
    client_close(c);
    server_free(s);
}

static void config_rewrite_keeps_comments_and_survives_a_restart(void **state) {
    (void)state;
    struct server *s = server_launch(
        &(struct server_plan){ .conf = "# our cache\nmaxmemory 1mb\n# the end\n", .bare = true });
    struct client *c = server_connect(s);
    assert_reply(c, "CONFIG SET maxmemory 3mb timeout 77 maxmemory-policy volatile-ttl", "+OK");
    assert_reply(c, "CONFIG SET requirepass \"a b\\\"c\"", "+OK");
    assert_reply(c, "CONFIG REWRITE", "+OK");
    client_close(c);
    char conf[4096] = "";
    FILE *f = fopen(server_path(s, "server.conf"), "r");
    assert_non_null(f);
    conf[fread(conf, 1, sizeof conf - 1, f)] = '\0';
    fclose(f);
    assert_non_null(strstr(conf, "# our cache\nmaxmemory 3mb\n# the end\n"));
    assert_non_null(strstr(conf, "timeout 77\n"));
    server_stop(s);
    server_restart(s);
    c = server_connect(s);
    assert_reply(c, "AUTH \"a b\\\"c\"", "+OK");
    assert_reply(c, "CONFIG GET maxmemory", "*[$\"maxmemory\", $\"3145728\"]");
    assert_reply(c, "CONFIG GET timeout", "*[$\"timeout\", $\"77\"]");
    assert_reply(c, "CONFIG GET maxmemory-policy", "*[$\"maxmemory-policy\", $\"volatile-ttl\"]");
    client_close(c);
    server_free(s);
    s = server_start("--timeout", "1", NULL);
    c = server_connect(s);
    assert_reply(c, "CONFIG REWRITE", "-ERR The server is running without a config file");
    client_close(c);
    server_free(s);
}

static void there_may_be_one_database_or_many(void **state) {
    (void)state;
    struct server *s = server_start("--databases", "1", NULL);
    struct client *c = server_connect(s);
    assert_reply(c, "SELECT 0", "+OK");
    assert_reply(c, "SELECT 1", "-ERR DB index is out of range");
    assert_reply(c, "SET k v", "+OK");
    client_close(c);
    server_free(s);
    s = server_start("--databases", "200", NULL);
    c = server_connect(s);
    assert_reply(c, "SELECT 199", "+OK");
    assert_reply(c, "SET k v", "+OK");
    assert_reply(c, "SWAPDB 199 100", "+OK");
    assert_reply(c, "EXISTS k", ":0");
    assert_reply(c, "SELECT 100", "+OK");
    assert_reply(c, "EXISTS k", ":1");
    assert_reply(c, "SELECT 200", "-ERR DB index is out of range");
    client_close(c);
    server_free(s);
}

static void workers_are_as_many_as_asked_for(void **state) {
    (void)state;
    static const char *const counts[] = { "1", "2", "4" };
    for (size_t i = 0; i < 3; i++) {
        struct server *s = server_start("--io-threads", counts[i], NULL);
        struct client *c = server_connect(s);
        char expected[64];
        snprintf(expected, sizeof expected, "*[$\"io-threads\", $\"%s\"]", counts[i]);
        assert_reply(c, "CONFIG GET io-threads", expected);
        assert_reply(c, "SET k v", "+OK");
        assert_reply(c, "CONFIG SET io-threads 3",
                     "-ERR CONFIG SET failed (possibly related to argument 'io-threads') - "
                     "can't set immutable config");
        client_close(c);
        server_free(s);
    }
}

/* ---- files of the process ---- */

static void read_small(const char *path, char *out, size_t size) {
    FILE *f = fopen(path, "r");
    if (!f) fail_msg("cannot open %s: %s", path, strerror(errno));
    out[fread(out, 1, size - 1, f)] = '\0';
    fclose(f);
}

static void pidfile_and_logfile_are_written(void **state) {
    (void)state;
    char pidfile[64], logfile[64], text[4096], expected[32];
    snprintf(pidfile, sizeof pidfile, "/tmp/trivet-%d.pid", (int)getpid());
    snprintf(logfile, sizeof logfile, "/tmp/trivet-%d.log", (int)getpid());
    struct server *s =
        server_start("--pidfile", pidfile, "--logfile", logfile, "--loglevel", "verbose", NULL);
    read_small(pidfile, text, sizeof text);
    snprintf(expected, sizeof expected, "%d\n", (int)server_pid(s));
    assert_string_equal(text, expected);
    server_free(s);
    assert_int_not_equal(access(pidfile, F_OK), 0);
    read_small(logfile, text, sizeof text);
    assert_non_null(strstr(text, "Ready to accept connections"));
    assert_non_null(strstr(text, "bye bye"));
    unlink(logfile);
}

static void loglevel_chooses_the_lines(void **state) {
    (void)state;
    struct server *s = server_start("--loglevel", "warning", NULL);
    struct client *c = server_connect(s);
    assert_null(strstr(server_log(s), "Ready to accept connections"));
    assert_reply(c, "CONFIG SET loglevel verbose", "+OK");
    struct client *bad = server_connect(s);
    client_send_raw(bad, "*a\r\n");
    assert_next(bad, "-ERR Protocol error: invalid multibulk length");
    server_await_log(s, "Protocol error", 1);
    client_close(bad);
    client_close(c);
    server_free(s);
}

/* ---- in the background ---- */

static pid_t daemon_pid; /* 0: none runs */

static int kill_daemon(void **state) {
    if (daemon_pid > 0) kill(daemon_pid, SIGKILL);
    daemon_pid = 0;
    return fixture_close(state);
}

static void daemonize_goes_to_the_background(void **state) {
    char folder[] = "/tmp/trivet-daemon-XXXXXX", pidfile[64], socket_path[64], logfile[64], text[4096];
    assert_non_null(mkdtemp(folder));
    snprintf(pidfile, sizeof pidfile, "%s/pid", folder);
    snprintf(socket_path, sizeof socket_path, "%s/socket", folder);
    snprintf(logfile, sizeof logfile, "%s/log", folder);
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1),
                     0); /* it becomes ours, so that its end can be awaited */
    struct run r = run_program(state, NULL,
                               (const char *const[]){ "--daemonize", "yes", "--port", "0", "--unixsocket",
                                                      socket_path, "--pidfile", pidfile, "--logfile", logfile,
                                                      "--dir", folder, NULL });
    assert_says(&r, 0, "");
    text_release(&r.output);
    struct client *c = NULL;
    for (int tries = 0; !c; tries++) {
        assert_true(tries < 20000);
        c = client_open_unix(socket_path);
        if (!c) poll(NULL, 0, 1);
    }
    assert_reply(c, "PING", "+PONG");
    daemon_pid = (pid_t)info_number(c, "server", "process_id");
    read_small(pidfile, text, sizeof text);
    assert_int_equal(atoi(text), daemon_pid);
    assert_int_equal(getsid(daemon_pid), daemon_pid);
    client_send(c, "SHUTDOWN NOSAVE");
    assert_ended(c);
    client_close(c);
    int status;
    assert_int_equal(waitpid(daemon_pid, &status, 0), daemon_pid);
    daemon_pid = 0;
    assert_int_equal(status, 0);
    assert_int_not_equal(access(pidfile, F_OK), 0);
    read_small(logfile, text, sizeof text);
    assert_non_null(strstr(text, "bye bye"));
    unlink(logfile);
    assert_int_equal(rmdir(folder), 0);
}

/* ---- the end ---- */

static struct server *with_aof(const char *fsync) {
    return server_start("--appendonly", "yes", "--appendfsync", fsync, NULL);
}

static void fill(struct server *s, int count) {
    struct client *c = server_connect(s);
    for (int i = 0; i < count; i++) client_queue(c, "SET k:%d v", i);
    client_skip(c, (size_t)count);
    client_close(c);
}

static void assert_keys(struct server *s, int count) {
    struct client *c = server_connect(s);
    char expected[16];
    snprintf(expected, sizeof expected, ":%d", count);
    assert_reply(c, "DBSIZE", expected);
    client_close(c);
}

static void sigterm_and_sigint_end_it_cleanly_with_everything_written(void **state) {
    (void)state;
    static const int signals[] = { SIGTERM, SIGINT };
    static const char *const policies[] = { "no", "everysec", "always" };
    for (size_t i = 0; i < 6; i++) {
        struct server *s = with_aof(policies[i % 3]);
        struct client *idle = server_connect(s);
        assert_reply(idle, "SUBSCRIBE ch", "*[...");
        fill(s, 1000);
        kill(server_pid(s), signals[i % 2]);
        server_await_end(s);
        assert_ended(idle);
        client_close(idle);
        server_await_log(s,
                         signals[i % 2] == SIGINT ? "Received SIGINT scheduling shutdown..."
                                                  : "Received SIGTERM scheduling shutdown...",
                         1);
        server_restart(s);
        assert_keys(s, 1000);
        server_free(s);
    }
}

static void sighup_does_not_end_it(void **state) {
    struct client *c = fixture_client(state);
    for (int i = 0; i < 3; i++) kill(server_pid(server_of(state)), SIGHUP);
    assert_reply(c, "PING", "+PONG");
    assert_reply(c, "SET k v", "+OK");
}

static void shutdown_ends_it_with_everything_written(void **state) {
    (void)state;
    static const char *const commands[] = { "SHUTDOWN", "SHUTDOWN NOSAVE", "SHUTDOWN NOW",
                                            "SHUTDOWN NOSAVE NOW FORCE" };
    for (size_t i = 0; i < 4; i++) {
        struct server *s = with_aof("everysec");
        fill(s, 100);
        struct client *c = server_connect(s);
        client_send(c, "%s", commands[i]);
        assert_ended(c);
        client_close(c);
        server_await_end(s);
        server_restart(s);
        assert_keys(s, 100);
        server_free(s);
    }
}

static void shutdown_refuses_what_it_does_not_understand(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "SHUTDOWN MAYBE", "-ERR syntax error");
    assert_reply(c, "SHUTDOWN SAVE NOSAVE", "-ERR syntax error");
    assert_reply(c, "SHUTDOWN ABORT", "-ERR No shutdown in progress.");
    assert_reply(c, "PING", "+PONG");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(a_wrong_line_is_refused_with_its_number_and_the_reason),
        FIXTURE_TEST(a_wrong_argument_is_refused_with_the_reason),
        cmocka_unit_test(the_command_line_of_a_cache_is_understood),
        cmocka_unit_test(a_file_is_read_and_the_command_line_wins),
        cmocka_unit_test(config_rewrite_keeps_comments_and_survives_a_restart),
        cmocka_unit_test(there_may_be_one_database_or_many),
        cmocka_unit_test(workers_are_as_many_as_asked_for),
        cmocka_unit_test(pidfile_and_logfile_are_written),
        cmocka_unit_test(loglevel_chooses_the_lines),
        cmocka_unit_test_setup_teardown(daemonize_goes_to_the_background, fixture_open, kill_daemon),
        cmocka_unit_test(sigterm_and_sigint_end_it_cleanly_with_everything_written),
        FIXTURE_TEST(sighup_does_not_end_it),
        cmocka_unit_test(shutdown_ends_it_with_everything_written),
        FIXTURE_TEST(shutdown_refuses_what_it_does_not_understand),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
