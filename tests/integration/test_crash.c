/* test_crash.c: a server that dies by accident leaves a report in its log, and one that is told to begins
 * anew. */
#include "../harness/fixture.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct server *start(const char *option, const char *value) {
    return server_start("--appendonly", "yes", "--appendfsync", "no", option, value, NULL);
}

#ifndef TRIVET_SANITIZE
static void assert_logged(struct server *s, const char *const *words) {
    const char *log = server_log(s);
    for (; *words; words++)
        if (!strstr(log, *words)) fail_msg("not in the log: %s\n%s", *words, log);
}

static void assert_dies(const char *how, int by, const char *const *words) {
    struct server *s = start("--crash-log-enabled", "yes");
    struct client *c = server_connect(s);
    assert_reply(c, "SET k v", "+OK");
    client_send(c, "DEBUG %s", how);
    assert_int_equal(server_await_signal(s), by);
    assert_logged(s, words);
    client_close(c);
    server_restart(s);
    c = server_connect(s);
    assert_reply(c, "GET k", "$\"v\"");
    client_close(c);
    server_free(s);
}

#define REPORTED                                                                                            \
    "=== TRIVET BUG REPORT START: Cut & paste starting from here ===", "crashed by signal: ", "Backtrace:", \
        "(which crashed): debug", "\ncommand: debug\nargc: 2\nargv[0]: DEBUG\n", "# Server\r\n",            \
        "# Keyspace\r\ndb0:keys=1,", " cmd=debug user=default ", "=== TRIVET BUG REPORT END."

static void each_accident_leaves_a_report(void **state) {
    (void)state;
    static const struct { const char *how; int by; const char *words[20]; } cases[] = {
        { "SEGFAULT", SIGSEGV, { REPORTED, "crashed by signal: 11", "Accessing address: 0x", NULL } },
        { "ASSERT", SIGABRT, { REPORTED, "=== ASSERTION FAILED ===", "debug_assert", "signal: 6", NULL } },
        { "PANIC", SIGABRT, { REPORTED, "=== PANIC ===", NULL } },
        { "STACK-OVERFLOW", SIGSEGV, { REPORTED, "signal: 11", "Accessing address: 0x", NULL } },
        { "OOM", SIGABRT, { REPORTED, "Out Of Memory allocating ", NULL } },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) assert_dies(cases[i].how, cases[i].by, cases[i].words);
}

static void a_signal_from_outside_is_reported_too(void **state) {
    (void)state;
    struct server *s = start("--crash-log-enabled", "yes");
    char killed_by[64];
    snprintf(killed_by, sizeof killed_by, "Killed by PID: %d, UID: %d", (int)getpid(), (int)getuid());
    kill(server_pid(s), SIGSEGV);
    assert_int_equal(server_await_signal(s), SIGSEGV);
    /* The kernel may give it to any thread, and worker 0 may not have let go of the PING yet that showed that
     * it is up. */
    assert_logged(s, (const char *const[]){ "crashed by signal: 11, si_code: 0 (SIGSEGV)", killed_by,
                                            "Worker 0", "Worker 3", "Backtrace:", "BUG REPORT END", NULL });
    server_free(s);
}

/* Every thread but the one that crashed is asked, and answers. */
static void the_stacks_of_all_threads_are_in_it(void **state) {
    (void)state;
    struct server *s = start("--crash-log-enabled", "yes");
    struct client *c = server_connect(s);
    client_send(c, "DEBUG SEGFAULT");
    assert_int_equal(server_await_signal(s), SIGSEGV);
    const char *others = strstr(server_log(s), "------ OTHER THREADS ------");
    assert_non_null(others);
    assert_null(strstr(others, "did not answer"));
    static const char *const names[] = { " background\n", " aof-sync\n", " worker-1\n",
                                         " worker-2\n",   " worker-3\n", "trivet-server\n" };
    size_t found = 0, loops = 0;
    for (size_t i = 0; i < COUNT_OF(names); i++) found += strstr(others, names[i]) != NULL;
    for (const char *at = others; (at = strstr(at, "(epoll_wait+")); at++) loops++;
    assert_int_equal(found, COUNT_OF(names) - 1); /* all but the one that crashed */
    assert_true(loops >= 1);
    client_close(c);
    server_free(s);
}

/* ---- whose data ---- */

static const char *log_of_crash(struct server *s, struct client *c, const char *how) {
    client_send(c, "%s", how);
    assert_int_equal(server_await_signal(s), SIGSEGV);
    const char *report = strstr(server_log(s), "BUG REPORT START");
    assert_non_null(report);
    assert_non_null(strstr(report, "BUG REPORT END"));
    return report;
}

static void data_is_in_it_only_if_it_may(void **state) {
    (void)state;
    struct server *s = start("--requirepass", "my-password");
    struct client *c = server_connect(s);
    assert_reply(c, "AUTH my-password", "+OK");
    assert_reply(c, "CLIENT SETNAME me", "+OK");
    assert_reply(c, "SET my-key my-value", "+OK");
    const char *report = log_of_crash(s, c, "DEBUG SEGFAULT");
    assert_non_null(strstr(report, "argv[1]: 8 bytes\n"));
    assert_non_null(strstr(report, " name=me "));
    static const char *const absent[] = { "my-key", "my-value", "my-password", "SEGFAULT", "\nRAX:" };
    for (size_t i = 0; i < COUNT_OF(absent); i++)
        if (strstr(report, absent[i])) fail_msg("in the report: %s\n%s", absent[i], report);
    client_close(c);
    server_free(s);

    s = start("--hide-user-data-from-log", "no");
    c = server_connect(s);
    report = log_of_crash(s, c, "DEBUG SEGFAULT");
    assert_non_null(strstr(report, "argv[1]: SEGFAULT\n"));
#ifdef __x86_64__
    assert_non_null(strstr(report, "\nRAX:"));
#endif
    client_close(c);
    server_free(s);
}

static void the_pid_file_goes_and_the_other_clients_are_listed(void **state) {
    (void)state;
    struct server *s = start("--pidfile", "here.pid");
    struct client *c = server_connect(s), *other = server_connect(s);
    assert_reply(other, "CLIENT SETNAME bystander", "+OK");
    assert_int_equal(access(server_path(s, "here.pid"), F_OK), 0);
    const char *report = log_of_crash(s, c, "DEBUG SEGFAULT");
    const char *list = strstr(report, "------ CLIENT LIST OUTPUT ------");
    assert_non_null(list);
    assert_non_null(strstr(list, " name=bystander "));
    assert_int_equal(access(server_path(s, "here.pid"), F_OK), -1);
    client_close(c);
    client_close(other);
    server_free(s);
}

static void the_report_can_be_switched_off(void **state) {
    (void)state;
    struct server *s = start("--crash-log-enabled", "no");
    struct client *c = server_connect(s);
    client_send(c, "DEBUG SEGFAULT");
    assert_int_equal(server_await_signal(s), SIGSEGV);
    assert_null(strstr(server_log(s), "crashed by signal"));
    client_close(c);
    server_free(s);
}
#endif

/* ---- beginning anew ---- */

static void a_restart_keeps_everything(void **state) {
    (void)state;
    static const struct { const char *command, *option, *value; } cases[] = {
        { "DEBUG RESTART", "--save", "" },
        { "DEBUG RESTART 50", "--appendonly", "no" },
        { "DEBUG CRASH-AND-RECOVER", "--save", "" },
        { "DEBUG CRASH-AND-RECOVER 50", "--save", "" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct server *s = start(cases[i].option, cases[i].value);
        struct client *c = server_connect(s);
        assert_reply(c, "SET k v", "+OK");
        pid_t pid = server_pid(s);
        client_send(c, "%s", cases[i].command);
        assert_ended(c);
        client_close(c);
        server_await_log(s, "Ready to accept connections", 2);
        c = server_connect(s);
        assert_reply(c, "GET k", "$\"v\"");
        assert_int_equal(info_number(c, "server", "process_id"), pid);
        client_close(c);
        server_free(s); /* SIGTERM still ends it cleanly */
    }
}

static void delays_are_checked(void **state) {
    struct client *c = fixture_client(state);
    static const struct exchange rows[] = {
        { "DEBUG RESTART x", "-ERR value is out of range" },
        { "DEBUG RESTART -1", "-ERR value is out of range" },
        { "DEBUG CRASH-AND-RECOVER 1 2",
          "-ERR unknown subcommand or wrong number of arguments for 'CRASH-AND-RECOVER'. Try DEBUG HELP." },
        { NULL, NULL },
    };
    assert_exchanges(c, rows);
}

/* ---- the config file ---- */

static void every_setting_can_be_written(void **state) {
    (void)state;
    struct server_plan plan = { .conf = "# mine\nmaxmemory 100mb\nenable-debug-command yes\n" };
    struct server *s = server_launch(&plan);
    struct client *c = server_connect(s);
    assert_reply(c, "DEBUG CONFIG-REWRITE-FORCE-ALL", "+OK");
    char text[65536] = "";
    int fd = open(server_path(s, "server.conf"), O_RDONLY);
    ssize_t len = read(fd, text, sizeof text - 1);
    close(fd);
    assert_true(len > 0);
    static const char *const lines[] = { "# mine\nmaxmemory 100mb\n", "\nhz 10\n", "\nlfu-log-factor 10\n",
                                         "\nlist-compress-depth 0\n", "\nappendfsync everysec\n" };
    for (size_t i = 0; i < COUNT_OF(lines); i++)
        if (!strstr(text, lines[i])) fail_msg("no line %s in\n%s", lines[i], text);
    client_close(c);
    server_stop(s);
    server_restart(s); /* it reads what it wrote */
    server_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#ifndef TRIVET_SANITIZE /* a sanitizer has reports of its own */
        FIXTURE_TEST(each_accident_leaves_a_report),
        FIXTURE_TEST(a_signal_from_outside_is_reported_too),
        FIXTURE_TEST(the_stacks_of_all_threads_are_in_it),
        FIXTURE_TEST(data_is_in_it_only_if_it_may),
        FIXTURE_TEST(the_pid_file_goes_and_the_other_clients_are_listed),
        FIXTURE_TEST(the_report_can_be_switched_off),
#endif
        FIXTURE_TEST(a_restart_keeps_everything),
        FIXTURE_TEST(delays_are_checked),
        FIXTURE_TEST(every_setting_can_be_written),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
