/* How long clients wait for answers: what is counted in a turn, and the rows that come of it. */
#include "trivet/base/clock.h"
#include "trivet/engine/command/registry.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/watch/answers.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MS INT64_C(1000000) /* nanoseconds */

static const struct command rows[] = {
    { .name = "ONE", .arity = 1 },
    { .name = "TWO", .arity = 1 },
    { .name = NULL },
};

static const struct command *one, *two;

static int begin(void **state) {
    (void)state;
    thread_worker_index = 0;
    thread_worker_count = 2;
    options.latency_tracking = true;
    clock_init();
    assert_true(registry_add("test", rows));
    one = registry_find(LIT("one"));
    two = registry_find(LIT("two"));
    stats_init(registry_ids());
    return 0;
}

static int end(void **state) {
    (void)state;
    thread_worker_index = 0;
    stats_release();
    registry_release();
    return 0;
}

/* A turn that began so long ago ends. */
static void turn_of(int64_t ns) { answers_turn_ends(clock_ticks_ns() - ns); }

static uint64_t count_up_to(const struct command *c, uint64_t us) {
    struct histogram_row h[ANSWERS_ROWS];
    uint64_t sum, count = 0;
    size_t n = answers_histogram(c, h, &sum);
    for (size_t i = 0; i < n && h[i].us <= us; i++) count = h[i].count;
    return count;
}

static uint64_t sum_of(const struct command *c) {
    struct histogram_row h[ANSWERS_ROWS];
    uint64_t sum;
    answers_histogram(c, h, &sum);
    return sum;
}

static void a_command_takes_as_long_as_its_turn(void **state) {
    (void)state;
    stats_command_answered(one, 1000, false);
    stats_command_answered(one, 1000, false);
    stats_command_answered(two, 1000, false);
    assert_int_equal(count_up_to(one, UINT64_MAX), 0);
    turn_of(5 * MS);
    assert_int_equal(count_up_to(one, 4096), 0);
    assert_int_equal(count_up_to(one, UINT64_C(1) << 23), 2);
    assert_int_equal(count_up_to(two, UINT64_C(1) << 23), 1);
    assert_true(sum_of(one) >= 10000 && sum_of(two) >= 5000);
}

static void an_empty_turn_adds_nothing(void **state) {
    (void)state;
    stats_command_answered(one, 1000, false);
    turn_of(MS);
    turn_of(100 * MS);
    assert_int_equal(count_up_to(one, UINT64_MAX), 1);
    assert_true(sum_of(one) < 100000);
}

static void what_no_connection_sent_is_left_out(void **state) {
    (void)state;
    stats_command_ran(one, 1000, false);
    turn_of(MS);
    assert_int_equal(stats_command(one).calls, 1);
    assert_int_equal(count_up_to(one, UINT64_MAX), 0);
}

static void nothing_is_counted_if_latency_tracking_is_off(void **state) {
    (void)state;
    options.latency_tracking = false;
    stats_command_answered(one, 1000, false);
    turn_of(MS);
    assert_int_equal(stats_command(one).calls, 1);
    assert_int_equal(count_up_to(one, UINT64_MAX), 0);
}

static void rows_are_cumulative_and_the_last_has_all(void **state) {
    (void)state;
    static const int64_t times[] = { 0, 3 * MS, 700 * MS, 3600 * 1000 * MS };
    for (size_t i = 0; i < COUNT_OF(times); i++) {
        stats_command_answered(one, 1000, false);
        turn_of(times[i]);
    }
    struct histogram_row h[ANSWERS_ROWS];
    uint64_t sum;
    assert_int_equal(answers_histogram(one, h, &sum), ANSWERS_ROWS);
    for (size_t i = 1; i < ANSWERS_ROWS; i++)
        assert_true(h[i].us > h[i - 1].us && h[i].count >= h[i - 1].count);
    assert_int_equal(h[ANSWERS_ROWS - 2].count, 3);
    assert_int_equal(h[ANSWERS_ROWS - 1].count, 4);
    assert_true(h[ANSWERS_ROWS - 1].us == UINT64_MAX);
}

static void workers_are_summed_and_a_reset_clears_all(void **state) {
    (void)state;
    for (int w = 1; w >= 0; w--) {
        thread_worker_index = w;
        stats_command_answered(one, 1000, false);
        turn_of(MS);
    }
    assert_int_equal(count_up_to(one, UINT64_MAX), 2);
    stats_command_answered(one, 1000, false); /* CONFIG RESETSTAT comes in the middle of a turn */
    stats_reset();
    assert_int_equal(count_up_to(one, UINT64_MAX), 0);
    turn_of(MS);
    assert_int_equal(count_up_to(one, UINT64_MAX), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_command_takes_as_long_as_its_turn),   TEST(an_empty_turn_adds_nothing),
        TEST(what_no_connection_sent_is_left_out),   TEST(nothing_is_counted_if_latency_tracking_is_off),
        TEST(rows_are_cumulative_and_the_last_has_all), TEST(workers_are_summed_and_a_reset_clears_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
