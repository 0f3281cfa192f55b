/* The report of a crash goes on when a part of it crashes again or hangs, and the process ends by the signal
 * it got. Each case dies in a child process. */
#include "trivet/base/log.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/watch/metrics.h"
#include "trivet/server/setup.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#ifndef TRIVET_SANITIZE /* a sanitizer has reports of its own */

static volatile bool is_stuck = true;
static bool hang(int64_t now_ms, void *into) {
    (void)now_ms;
    (void)into;
    while (is_stuck) pause(); /* as for a lock that nobody gives back */
    return true;
}

static bool crash_again(int64_t now_ms, void *into) {
    (void)now_ms;
    (void)into;
    raise(SIGBUS);
    return true;
}

static bool fail_an_assertion(int64_t now_ms, void *into) {
    (void)now_ms;
    (void)into;
    abort();
}

static const struct metric no_rows[] = { { .name = NULL } };

static char log_path[] = "/tmp/trivet-crash-XXXXXX";

/* What the child logged; how it ended goes to *status. */
static const char *report_of(bool (*sample)(int64_t now_ms, void *into), int sig, int *status) {
    static char text[65536];
    pid_t child = fork();
    if (child == 0) {
        static struct metric_table table = { .section = "Memory", .rows = no_rows };
        table.sample = sample;
        options_init();
        if (!setup_modules() || !log_set_file(log_path)) _exit(1);
        metrics_register(&table);
        crash_install();
        raise(sig);
        _exit(2);
    }
    assert_int_equal(waitpid(child, status, 0), child);
    FILE *f = fopen(log_path, "r");
    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    assert_int_equal(truncate(log_path, 0), 0);
    return text;
}

static void check(bool (*sample)(int64_t now_ms, void *into), int sig, const char *remark) {
    int status;
    const char *text = report_of(sample, sig, &status);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), sig);
    const char *words[] = { "crashed by signal: ", "# Server", remark, "CLIENT LIST OUTPUT",
                            "BUG REPORT END" };
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (!strstr(text, words[i])) fail_msg("not in the report: %s\n%s", words[i], text);
    assert_null(strstr(text, "# Keyspace")); /* a later section of the part that failed */
}

static void a_part_that_crashes_again_is_left(void **state) {
    (void)state;
    check(crash_again, SIGSEGV, "(INFO: it crashed again here");
}

static void an_assertion_in_a_part_is_no_second_crash(void **state) {
    (void)state;
    check(fail_an_assertion, SIGFPE, "(INFO: it crashed again here");
}

static void a_part_that_waits_for_ever_is_left(void **state) {
    (void)state;
    check(hang, SIGABRT, "(INFO: it took too long");
}

static int make_log(void **state) {
    (void)state;
    int fd = mkstemp(log_path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_log(void **state) {
    (void)state;
    return unlink(log_path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_part_that_crashes_again_is_left),
        cmocka_unit_test(an_assertion_in_a_part_is_no_second_crash),
        cmocka_unit_test(a_part_that_waits_for_ever_is_left),
    };
    return cmocka_run_group_tests(tests, make_log, remove_log);
}

#else
int main(void) { return 0; }
#endif
