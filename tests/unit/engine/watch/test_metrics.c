/* Rows of numbers: where they are read from, and how INFO writes them. */
#include "trivet/base/mem.h"
#include "trivet/engine/watch/metrics.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct sample {
    uint64_t number, us, bytes;
    int64_t below;
    double real;
    const char *text;
};

static bool shown = true;

static bool fill(int64_t now_ms, void *into) {
    struct sample *s = into;
    assert_int_equal(s->number, 0); /* it comes zeroed */
    *s = (struct sample){ (uint64_t)now_ms, 1234567, 2048, -3, 1.005, "word" };
    return shown;
}

#define ROW(name, form_, field) \
    { name, "", NULL, METRIC_GAUGE, form_, SAMPLED(struct sample, field) }
static const struct metric sampled[] = {
    ROW("number", FORM_NUMBER, number), ROW("below", FORM_SIGNED, below),   ROW("real", FORM_REAL, real),
    ROW("percent", FORM_PERCENT, real), ROW("seconds", FORM_SECONDS, us),   ROW("memory", FORM_BYTES, bytes),
    ROW("text", FORM_STRING, text),     { NULL },
};
static const struct metric counted[] = {
    { "commands", "", COUNTED(commands) },
    { "expired", "", COUNTED_KEYS(expired) },
    { "never", "", .source = FROM_NOTHING },
    { "never_real", "", .form = FORM_REAL, .source = FROM_NOTHING },
    { NULL },
};
static const struct metric_table first = { "One", sampled, sizeof(struct sample), fill, NULL };
static const struct metric_table second = { "Two", counted, 0, NULL, NULL };
static const struct metric_table third = { "One", counted, 0, NULL, NULL };

static int begin(void **state) {
    (void)state;
    thread_worker_index = 0;
    thread_worker_count = 2;
    shown = true;
    metrics_register(&first);
    metrics_register(&second);
    metrics_register(&third);
    return 0;
}

static int end(void **state) {
    (void)state;
    metrics_release();
    stats_release();
    counters_reset();
    return 0;
}

static void assert_printed(const char *section, const char *expected) {
    struct buf out = { 0 };
    metrics_print(section, 7, &out);
    buf_append_byte(&out, '\0');
    assert_string_equal(out.ptr, expected);
    buf_release(&out);
}

#define COUNTS "commands:5\r\nexpired:2\r\nnever:0\r\nnever_real:0.00\r\n"

static void rows_are_written_in_the_order_of_tables(void **state) {
    (void)state;
    COUNTER_ADD(worker_stats[0].commands, 2);
    COUNTER_ADD(worker_stats[1].commands, 3);
    COUNTER_ADD(counters_mine()->expired, 2);
    assert_printed("One", "number:7\r\nbelow:-3\r\nreal:1.00\r\npercent:1.00%\r\nseconds:1.234567\r\n"
                          "memory:2048\r\nmemory_human:2.00K\r\ntext:word\r\n" COUNTS);
    assert_printed("Two", COUNTS);
    assert_printed("Three", "");
}

static void a_sample_may_say_that_its_rows_are_not_shown(void **state) {
    (void)state;
    shown = false;
    assert_printed("One", "commands:0\r\nexpired:0\r\nnever:0\r\nnever_real:0.00\r\n");
}

static void count(void *arg, const struct metric_table *t, const struct metric *m, union metric_value v) {
    (void)t, (void)m, (void)v;
    (*(size_t *)arg)++;
}

static void all_sections_can_be_had_at_once(void **state) {
    (void)state;
    size_t rows = 0;
    metrics_each(NULL, 7, count, &rows);
    assert_int_equal(rows, 7 + 4 + 4);
}

static void time_of_the_main_thread_outlives_a_reset(void **state) {
    (void)state;
    COUNTER_ADD(worker_stats[0].turn_us, 40);
    COUNTER_ADD(worker_stats[1].turn_us, 1000);
    assert_int_equal(stats_active_us(), 40);
    stats_reset();
    COUNTER_ADD(worker_stats[0].turn_us, 2);
    assert_int_equal(stats_active_us(), 42);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(rows_are_written_in_the_order_of_tables),
        TEST(a_sample_may_say_that_its_rows_are_not_shown),
        TEST(all_sections_can_be_had_at_once),
        TEST(time_of_the_main_thread_outlives_a_reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
