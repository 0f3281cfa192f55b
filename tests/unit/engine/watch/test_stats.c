/* The numbers of commands, errors, rates and memory. */
#include "trivet/base/mem.h"
#include "trivet/engine/command/registry.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/watch/errors.h"
#include "trivet/engine/watch/peaks.h"
#include "trivet/engine/watch/rates.h"
#include "trivet/engine/watch/stats.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define WORKERS 4

static const struct command rows[] = {
    { .name = "ONE", .arity = 1 },
    { .name = "TWO", .arity = 1 },
    { .name = "QUEUE", .arity = 1, .flags = RUNS_QUEUE },
    { .name = NULL },
};

static const struct command *one, *two, *queue;

static int begin(void **state) {
    (void)state;
    thread_worker_index = 0;
    thread_worker_count = WORKERS;
    options.latency_tracking = true;
    assert_true(registry_add("test", rows));
    one = registry_find(LIT("one"));
    two = registry_find(LIT("two"));
    queue = registry_find(LIT("queue"));
    stats_init(registry_ids());
    return 0;
}

static int end(void **state) {
    (void)state;
    stats_release();
    registry_release();
    return 0;
}

/* ---- commands ---- */

static void calls_of_all_workers_are_summed(void **state) {
    (void)state;
    for (int w = 0; w < WORKERS; w++) {
        thread_worker_index = w;
        stats_command_ran(one, 1500, false);
        stats_command_ran(one, 2500, w == 3);
        stats_command_rejected(two);
    }
    thread_worker_index = 0;
    struct command_stats s = stats_command(one);
    assert_int_equal(s.calls, 2 * WORKERS);
    assert_int_equal(s.us, 4 * WORKERS);
    assert_int_equal(s.failed, 1);
    assert_int_equal(s.rejected, 0);
    s = stats_command(two);
    assert_int_equal(s.calls, 0);
    assert_int_equal(s.rejected, WORKERS);
}

static void time_in_commands_counts_nested_ones_once(void **state) {
    (void)state;
    stats_command_ran(one, 3000, false);
    stats_command_ran(two, 4000, false);
    stats_command_ran(queue, 9000, false);
    assert_int_equal(stats_command_us(), 7);
}

static void percentiles_are_the_top_of_their_step(void **state) {
    (void)state;
    /* What Valkey's histogram answers for the same single values. */
    static const struct {
        int64_t ns;
        double us;
    } cases[] = {
        { 0, 0 },          { 1, 0.001 },      { 127, 0.127 },    { 128, 0.128 },
        { 255, 0.255 },    { 256, 0.257 },    { 2000, 2.007 },   { 3000, 3.007 },
        { 4000, 4.015 },   { 5000, 5.023 },   { 7000, 7.007 },   { 14000, 14.015 },
        { 30000, 30.079 }, { 96000, 96.255 }, { 48000, 48.127 }, { 22000, 22.015 },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        stats_command_reset(one);
        stats_command_ran(one, cases[i].ns, false);
        double got = stats_command_percentile(one, 50);
        if (got < cases[i].us - 1e-9 || got > cases[i].us + 1e-9)
            fail_msg("%d ns: %f", (int)cases[i].ns, got);
    }
}

static void percentiles_split_the_calls(void **state) {
    (void)state;
    for (int i = 0; i < 99; i++) stats_command_ran(one, 1000, false);
    thread_worker_index = 1;
    stats_command_ran(one, 1000000, false);
    thread_worker_index = 0;
    assert_true(stats_command_percentile(one, 50) < 1.1);
    assert_true(stats_command_percentile(one, 99) < 1.1);
    assert_true(stats_command_percentile(one, 99.9) > 999);
    assert_true(stats_command_percentile(one, 100) > 999);
    assert_true(stats_command_percentile(two, 50) == 0);
}

static void percentiles_are_within_one_percent_over_the_whole_range(void **state) {
    (void)state;
    for (int64_t ns = 1; ns < (INT64_C(1) << 39); ns = ns * 5 / 4 + 1) {
        stats_command_reset(one);
        stats_command_ran(one, ns, false);
        double got_ns = stats_command_percentile(one, 100) * 1000;
        assert_true(got_ns >= (double)ns * 0.9999 && got_ns <= (double)ns * 1.0101);
    }
    stats_command_reset(one);
    stats_command_ran(one, INT64_MAX, false);
    stats_command_ran(one, -5, false);
    assert_true(stats_command_percentile(one, 1) == 0);
    assert_int_equal(stats_command(one).calls, 2);
}

static void histogram_rows_are_cumulative_and_only_news(void **state) {
    (void)state;
    static const int64_t latencies[] = { 500, 900, 1500, 30000, 30000, 2000000 };
    static const struct histogram_row expected[] = { { 1, 2 }, { 2, 3 }, { 33, 5 }, { 2113, 6 } };
    struct histogram_row got[HISTOGRAM_ROWS_MAX];
    for (size_t i = 0; i < COUNT_OF(latencies); i++) stats_command_ran(one, latencies[i], false);
    size_t count = stats_command_histogram(one, got, COUNT_OF(got));
    assert_int_equal(count, COUNT_OF(expected));
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(got[i].us, expected[i].us);
        assert_int_equal(got[i].count, expected[i].count);
    }
    assert_int_equal(stats_command_histogram(two, got, COUNT_OF(got)), 0);
}

static void without_latency_tracking_only_calls_are_counted(void **state) {
    (void)state;
    options.latency_tracking = false;
    stats_command_ran(one, 5000, false);
    assert_int_equal(stats_command(one).calls, 1);
    assert_true(stats_command_percentile(one, 50) == 0);
}

/* ---- errors ---- */

struct listing {
    char text[8192];
    size_t kinds;
};

static void list_error(void *arg, const char *code, uint64_t count) {
    struct listing *l = arg;
    size_t len = strlen(l->text);
    snprintf(l->text + len, sizeof l->text - len, "%s=%llu ", code, (unsigned long long)count);
    l->kinds++;
}

static void errors_are_counted_by_their_word_in_order(void **state) {
    (void)state;
    struct listing l = { .kinds = 0 };
    static const char *const codes[] = { "WRONGTYPE", "ERR", "OOM", "ERR", "ERRX", "ERR" };
    for (size_t i = 0; i < COUNT_OF(codes); i++) stats_error(codes[i]);
    stats_each_error(list_error, &l);
    assert_string_equal(l.text, "ERR=3 ERRX=1 OOM=1 WRONGTYPE=1 ");
    assert_int_equal(STATS_SUM(error_replies), 6);
}

static void kinds_of_errors_are_limited(void **state) {
    (void)state;
    struct listing *l = mem_alloc_zero(sizeof *l);
    for (int i = 0; i < 1000; i++) {
        char code[16];
        snprintf(code, sizeof code, "E%03d", i);
        stats_error(code);
    }
    stats_error("E005");
    stats_each_error(list_error, l);
    assert_int_equal(l->kinds, 128);
    assert_non_null(strstr(l->text, "ERRORSTATS_OVERFLOW=873 "));
    assert_non_null(strstr(l->text, "E005=2 "));
    mem_free(l);
}

/* ---- rates, reset, memory ---- */

static void rates_are_averages_per_second(void **state) {
    (void)state;
    int64_t now_us = 5000000;
    stats_sample(now_us);
    assert_int_equal(stats_rate(RATE_COMMANDS), 0);
    for (int i = 0; i < 16; i++) {
        COUNTER_ADD(stats_mine()->commands, 10);
        COUNTER_ADD(stats_mine()->net_in, 1000);
        COUNTER_ADD(stats_mine()->turns, 4);
        COUNTER_ADD(stats_mine()->turn_us, 100);
        stats_sample(now_us += 100000);
    }
    assert_int_equal(stats_rate(RATE_COMMANDS), 100);
    assert_int_equal(stats_rate(RATE_NET_IN), 10000);
    assert_int_equal(stats_rate(RATE_NET_OUT), 0);
    assert_int_equal(stats_rate(RATE_TURNS), 40);
    assert_int_equal(stats_rate(RATE_TURN_US), 25);
    for (int i = 0; i < 8; i++) stats_sample(now_us += 100000);
    assert_int_equal(stats_rate(RATE_COMMANDS), 50);
    for (int i = 0; i < 8; i++) stats_sample(now_us += 100000);
    assert_int_equal(stats_rate(RATE_COMMANDS), 0);
}

static void reset_clears_everything_and_rates_go_on(void **state) {
    (void)state;
    struct listing l = { .kinds = 0 };
    stats_sample(1000000);
    for (int w = 0; w < WORKERS; w++) {
        thread_worker_index = w;
        COUNTER_ADD(stats_mine()->commands, 1000);
        stats_command_ran(one, 1000, true);
        stats_command_rejected(two);
    }
    thread_worker_index = 0;
    stats_error("ERR");
    stats_sample(1100000);
    stats_reset();
    stats_each_error(list_error, &l);
    assert_int_equal(l.kinds, 0);
    assert_int_equal(STATS_SUM(commands), 0);
    assert_int_equal(stats_command(one).calls, 0);
    assert_int_equal(stats_command(two).rejected, 0);
    assert_true(stats_command_percentile(one, 50) == 0);
    assert_int_equal(stats_rate(RATE_COMMANDS), 0);
    COUNTER_ADD(stats_mine()->commands, 16);
    stats_sample(1200000);
    assert_int_equal(stats_rate(RATE_COMMANDS), 10);
}

static void the_peak_of_memory_stays(void **state) {
    (void)state;
    void *big = mem_alloc(8 << 20);
    memset(big, 1, 8 << 20);
    stats_note_memory(mem_used(), 1234);
    size_t peak = stats_memory_peak();
    assert_true(peak >= 8 << 20);
    assert_int_equal(stats_memory_peak_ms(), 1234);
    mem_free(big);
    stats_note_memory(mem_used(), 5678);
    assert_int_equal(stats_memory_peak(), peak);
    assert_int_equal(stats_memory_peak_ms(), 1234);
}

/* ---- threads ---- */

#define RUNS 20000

static void *run_commands(void *arg) {
    thread_worker_index = (int)(intptr_t)arg;
    for (int i = 0; i < RUNS; i++) {
        stats_command_ran(one, i, i % 100 == 0);
        if (i % 100 == 0) stats_error("ERR");
    }
    return NULL;
}

static void workers_count_at_once_while_others_read(void **state) {
    (void)state;
    pthread_t threads[WORKERS];
    struct histogram_row got[HISTOGRAM_ROWS_MAX];
    for (int w = 1; w < WORKERS; w++)
        assert_int_equal(pthread_create(&threads[w], NULL, run_commands, (void *)(intptr_t)w), 0);
    for (int i = 0; i < 200; i++) {
        stats_command_histogram(one, got, COUNT_OF(got));
        stats_command_percentile(one, 99);
        assert_true(stats_command(one).calls <= (uint64_t)RUNS * (WORKERS - 1));
    }
    for (int w = 1; w < WORKERS; w++) pthread_join(threads[w], NULL);
    assert_int_equal(stats_command(one).calls, RUNS * (WORKERS - 1));
    size_t count = stats_command_histogram(one, got, COUNT_OF(got));
    assert_int_equal(got[count - 1].count, RUNS * (WORKERS - 1));
    assert_int_equal(STATS_SUM(error_replies), RUNS / 100 * (WORKERS - 1));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(calls_of_all_workers_are_summed),
        TEST(time_in_commands_counts_nested_ones_once),
        TEST(percentiles_are_the_top_of_their_step),
        TEST(percentiles_split_the_calls),
        TEST(percentiles_are_within_one_percent_over_the_whole_range),
        TEST(histogram_rows_are_cumulative_and_only_news),
        TEST(without_latency_tracking_only_calls_are_counted),
        TEST(errors_are_counted_by_their_word_in_order),
        TEST(kinds_of_errors_are_limited),
        TEST(rates_are_averages_per_second),
        TEST(reset_clears_everything_and_rates_go_on),
        TEST(the_peak_of_memory_stays),
        TEST(workers_count_at_once_while_others_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
