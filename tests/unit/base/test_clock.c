/* The clocks agree with the system's, by order of reading and not by waiting. */
#include "trivet/base/clock.h"
#include "trivet/base/compiler.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static void the_wall_clock_lies_between_two_looks_at_the_system(void **state) {
    (void)state;
    struct timespec before, after;
    clock_gettime(CLOCK_REALTIME, &before);
    int64_t us = clock_wall_us(), ms = clock_wall_ms();
    clock_gettime(CLOCK_REALTIME, &after);
    assert_true(us >= (int64_t)before.tv_sec * 1000000 + before.tv_nsec / 1000);
    assert_true(ms >= us / 1000);
    assert_true(ms <= (int64_t)after.tv_sec * 1000 + after.tv_nsec / 1000000);
}

static void check_never_goes_back(int64_t (*clock_read)(void)) {
    int64_t last = clock_read();
    for (int i = 0; i < 200000; i++) {
        int64_t now = clock_read();
        assert_true(now >= last);
        last = now;
    }
}

static void steady_clocks_never_go_back(void **state) {
    (void)state;
    check_never_goes_back(clock_steady_us);
    check_never_goes_back(clock_ticks_ns);
    clock_init();
    check_never_goes_back(clock_ticks_ns);
}

/* The rate was measured to a small part of a thousandth: in so short a test it cannot be 1 ms off. */
static void ticks_follow_the_steady_clock(void **state) {
    (void)state;
    clock_init();
    for (int i = 0; i < 1000; i++) {
        int64_t before = clock_steady_us();
        int64_t ticks_us = clock_ticks_ns() / 1000;
        int64_t after = clock_steady_us();
        assert_true(ticks_us >= before - 1000 && ticks_us <= after + 1000);
    }
}

static void the_source_is_named_as_info_shows_it(void **state) {
    (void)state;
    const char *source = clock_source();
    if (strcmp(source, "POSIX clock_gettime") == 0) return;
    assert_memory_equal(source, "X86 TSC @ ", 10);
    assert_non_null(strstr(source, " ticks/us"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_wall_clock_lies_between_two_looks_at_the_system),
        cmocka_unit_test(steady_clocks_never_go_back),
        cmocka_unit_test(ticks_follow_the_steady_clock),
        cmocka_unit_test(the_source_is_named_as_info_shows_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
