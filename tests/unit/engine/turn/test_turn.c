/* The obstacles of a turn, and its clock. */
#include "trivet/engine/turn/turn.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const enum obstacle all[] = { OBSTACLE_LOADING, OBSTACLE_DISK, OBSTACLE_MEMORY_LIMIT, OBSTACLE_PAUSE,
                                     OBSTACLE_MONITOR, OBSTACLE_SAVE, OBSTACLE_SNAPSHOT,     OBSTACLE_BUSY };
#define OBSTACLES (sizeof all / sizeof all[0])

static void an_obstacle_is_set_and_cleared_without_the_others(void **state) {
    (void)state;
    unsigned together = 0;
    for (size_t i = 0; i < OBSTACLES; i++) {
        assert_int_equal(together & all[i], 0); /* a bit of its own */
        together |= all[i];
        assert_false(obstacle_is_set(all[i]));
        obstacle_set(all[i], true);
        obstacle_set(all[i], true);
        assert_true(obstacle_is_set(all[i]));
        assert_int_equal(obstacles_now(), together);
    }
    for (size_t i = 0; i < OBSTACLES; i++) {
        together &= ~(unsigned)all[i];
        obstacle_set(all[i], false);
        obstacle_set(all[i], false);
        assert_int_equal(obstacles_now(), together);
    }
    assert_int_equal(obstacles_now(), 0);
}

static void *look_at_the_clock(void *arg) {
    *(int64_t *)arg = turn_now_ms;
    return NULL;
}

/* Two workers are rarely in the same millisecond: each has its own instant. */
static void every_worker_has_a_clock_of_its_own(void **state) {
    (void)state;
    int64_t theirs = -1;
    turn_now_ms = 1234;
    pthread_t other;
    assert_int_equal(pthread_create(&other, NULL, look_at_the_clock, &theirs), 0);
    pthread_join(other, NULL);
    assert_int_equal(theirs, 0);
    assert_int_equal(turn_now_ms, 1234);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_obstacle_is_set_and_cleared_without_the_others),
        cmocka_unit_test(every_worker_has_a_clock_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
