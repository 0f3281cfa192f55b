/* test_watchdog.c: who is called for a sign of life. */
#include "trivet/base/watchdog.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static int signs;
static void sign(void) { signs++; }

static void a_touch_without_a_hook_does_nothing(void **state) {
    (void)state;
    assert_null(watchdog_hook);
    watchdog_touch();
    assert_int_equal(signs, 0);
}

static void each_touch_calls_the_hook(void **state) {
    (void)state;
    watchdog_hook = sign;
    for (int i = 0; i < 3; i++) watchdog_touch();
    watchdog_hook = NULL;
    assert_int_equal(signs, 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_touch_without_a_hook_does_nothing),
        cmocka_unit_test(each_touch_calls_the_hook),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
