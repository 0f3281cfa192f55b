/* --check-system on machines that are well and badly set up: their files are made for the test. */
#include "trivet/server/check_system.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define CLOCK "/sys/devices/system/clocksource/clocksource0/current_clocksource"
#define OVERCOMMIT "/proc/sys/vm/overcommit_memory"
#define THP "/sys/kernel/mm/transparent_hugepage/enabled"
#define BACKLOG "/proc/sys/net/core/somaxconn"

static char root[] = "/tmp/trivet-system-XXXXXX";

static void put(const char *path, const char *contents) {
    char command[512];
    snprintf(command, sizeof command, "mkdir -p \"$(dirname '%s%s')\" && printf '%%s' '%s' >'%s%s'", root,
             path, contents, root, path);
    assert_int_equal(system(command), 0);
}

static int make_good_machine(void **state) {
    (void)state;
    strcpy(root + strlen(root) - 6, "XXXXXX");
    if (!mkdtemp(root)) return -1;
    put(CLOCK, "tsc\n");
    put(OVERCOMMIT, "0\n");
    put(THP, "always [madvise] never\n");
    put(BACKLOG, "4096\n");
    return 0;
}

static int remove_machine(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command);
}

/* What it says; the caller frees it. */
static char *check(int *status) {
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    *status = check_system(out, root);
    fclose(out);
    return text;
}

static void assert_line(const char *line, int expected_status) {
    int status;
    char *text = check(&status);
    if (!strstr(text, line) || (status != expected_status && expected_status >= 0))
        fail_msg("expected '%s' and status %d, got %d and:\n%s", line, expected_status, status, text);
    free(text);
}

static void a_good_machine_has_no_warning_but_for_its_clock_and_files(void **state) {
    (void)state;
    static const char *const lines[] = { "[OK]   xen-clocksource: ",
                                         "[OK]   overcommit: vm.overcommit_memory is 0; ",
                                         "[OK]   THP: ", "[OK]   backlog: net.core.somaxconn is 4096\n" };
    int status;
    char *text = check(&status);
    for (size_t i = 0; i < 4; i++)
        if (!strstr(text, lines[i])) fail_msg("'%s' is not in:\n%s", lines[i], text);
    assert_int_equal(status, strstr(text, "[WARN]") != NULL);
    free(text);
}

static void each_bad_setting_is_a_warning_with_the_way_out(void **state) {
    (void)state;
    static const struct {
        const char *path, *contents, *line;
    } rows[] = {
        { CLOCK, "hpet\n", "[WARN] slow-clocksource: the clock is 'hpet', " },
        { CLOCK, "acpi_pm\n", "Choose a faster one of available_clocksource" },
        { CLOCK, "xen\n",
          "[WARN] xen-clocksource: the clock is that of Xen, which asks the hypervisor each time. "
          "Change it: echo tsc > /sys/" },
        { OVERCOMMIT, "2\n",
          "[WARN] overcommit: vm.overcommit_memory is 2: memory can run out while some is free" },
        { THP, "[always] madvise never\n", "[WARN] THP: transparent huge pages are always on" },
        { BACKLOG, "128\n", "[WARN] backlog: net.core.somaxconn is 128, less than" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        put(rows[i].path, rows[i].contents);
        assert_line(rows[i].line, 1);
        remove_machine(NULL);
        assert_int_equal(make_good_machine(NULL), 0);
    }
}

static void overcommit_may_be_on(void **state) {
    (void)state;
    put(OVERCOMMIT, "1\n");
    assert_line("[OK]   overcommit: vm.overcommit_memory is 1; ", -1);
}

static void what_cannot_be_seen_is_skipped(void **state) {
    (void)state;
    remove_machine(NULL);
    static const char *const lines[] = { "[SKIP] slow-clocksource: " CLOCK " cannot be read\n",
                                         "[SKIP] xen-clocksource: " CLOCK " cannot be read\n",
                                         "[SKIP] overcommit: " OVERCOMMIT " cannot be read\n",
                                         "[SKIP] THP: " THP " cannot be read\n",
                                         "[SKIP] backlog: " BACKLOG " cannot be read\n" };
    for (size_t i = 0; i < 5; i++) assert_line(lines[i], -1);
}

static void too_few_files_are_a_warning(void **state) {
    (void)state;
    struct rlimit before, few;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = (struct rlimit){ .rlim_cur = 256, .rlim_max = 1024 };
    if (before.rlim_max < few.rlim_max) skip(); /* it cannot be tried here */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    assert_line("[WARN] open-files: 1024 may be open, too few for the usual 10000 clients", 1);
}

int main(void) {
#define MACHINE_TEST(name) cmocka_unit_test_setup_teardown(name, make_good_machine, remove_machine)
    const struct CMUnitTest tests[] = {
        MACHINE_TEST(a_good_machine_has_no_warning_but_for_its_clock_and_files),
        MACHINE_TEST(each_bad_setting_is_a_warning_with_the_way_out),
        MACHINE_TEST(overcommit_may_be_on),
        MACHINE_TEST(what_cannot_be_seen_is_skipped),
        MACHINE_TEST(too_few_files_are_a_warning), /* last: the limit stays */
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
