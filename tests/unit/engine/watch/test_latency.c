/* The latency monitor: samples, their limits, the drawn and told forms. */
#include "trivet/base/mem.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/watch/latency.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static int begin(void **state) {
    (void)state;
    latency_reset(LIT(""));
    options.latency_monitor_threshold_ms = 10;
    return 0;
}

static void samples_come_oldest_first(void **state) {
    (void)state;
    struct latency_event e;
    latency_note_at("command", 30, 100);
    latency_note_at("command", 20, 101);
    latency_note_at("command", 50, 107);
    assert_true(latency_get(LIT("command"), &e));
    assert_int_equal(e.count, 3);
    assert_int_equal(e.samples[0].time_s, 100);
    assert_int_equal(e.samples[0].ms, 30);
    assert_int_equal(e.samples[2].time_s, 107);
    assert_int_equal(e.samples[2].ms, 50);
    assert_int_equal(e.max_ms, 50);
    assert_int_equal(e.sum_ms, 100);
    assert_int_equal(e.total, 3);
    assert_false(latency_get(LIT("comman"), &e));
}

static void one_second_is_one_sample_with_the_worst(void **state) {
    (void)state;
    struct latency_event e;
    latency_note_at("command", 30, 100);
    latency_note_at("command", 70, 100);
    latency_note_at("command", 20, 100);
    assert_true(latency_get(LIT("command"), &e));
    assert_int_equal(e.count, 1);
    assert_int_equal(e.samples[0].ms, 70);
    assert_int_equal(e.total, 3);
    assert_int_equal(e.sum_ms, 120);
}

static void only_the_last_160_samples_stay(void **state) {
    (void)state;
    struct latency_event e;
    for (int i = 0; i < 1000; i++) latency_note_at("command", i, i + 1);
    assert_true(latency_get(LIT("command"), &e));
    assert_int_equal(e.count, LATENCY_SAMPLES);
    assert_int_equal(e.samples[0].ms, 1000 - LATENCY_SAMPLES);
    assert_int_equal(e.samples[LATENCY_SAMPLES - 1].ms, 999);
    assert_int_equal(e.max_ms, 999);
}

static void append_name(void *arg, const struct latency_event *e) { buf_printf(arg, "%s ", e->name); }

static void events_are_listed_by_name_and_reset_one_by_one(void **state) {
    (void)state;
    static const char *const names[] = { "fast-command", "aof-write", "command", "expire-cycle" };
    struct buf got = { 0 };
    for (size_t i = 0; i < COUNT_OF(names); i++) latency_note_at(names[i], 20, 1);
    assert_int_equal(latency_reset(LIT("command")), 1);
    assert_int_equal(latency_reset(LIT("command")), 0);
    latency_each(append_name, &got);
    buf_append_byte(&got, '\0');
    assert_string_equal(got.ptr, "aof-write expire-cycle fast-command ");
    assert_int_equal(latency_reset(LIT("")), 3);
    buf_release(&got);
}

static void the_graph_shows_heights_and_ages(void **state) {
    (void)state;
    struct buf got = { 0 };
    latency_note_at("command", 10, 1000);
    latency_note_at("command", 80, 1090);
    latency_note_at("command", 52, 1100);
    assert_true(latency_graph(LIT("command"), 1110, &got));
    buf_append_byte(&got, '\0');
    assert_non_null(strstr(got.ptr, "command - high 80 ms, low 10 ms (all time high 80 ms)\n"));
    assert_non_null(strstr(got.ptr, "\n # \n #o\n ##\n_##\n\n"));
    assert_non_null(strstr(got.ptr, "\n121\nm00\n ss\n   \n"));
    assert_false(latency_graph(LIT("nosuch"), 1110, &got));
    buf_release(&got);
}

static const char *doctor(struct buf *out) {
    buf_clear(out);
    latency_doctor(out);
    buf_append_byte(out, '\0');
    return out->ptr;
}

static void the_doctor_tells_off_quiet_and_spikes_apart(void **state) {
    (void)state;
    struct buf out = { 0 };
    assert_non_null(strstr(doctor(&out), "No latency spike was seen"));
    options.latency_monitor_threshold_ms = 0;
    assert_non_null(strstr(doctor(&out), "The latency monitor is off"));
    latency_note_at("aof-write", 20, 10);
    latency_note_at("aof-write", 40, 30);
    assert_non_null(strstr(
        doctor(&out), "1. aof-write: 2 latency spikes (average 30 ms, mean deviation 10 ms, period 10.00 s). "
                      "Worst of all time: 40 ms."));
    buf_release(&out);
}

#define TEST(name) cmocka_unit_test_setup(name, begin)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(samples_come_oldest_first),
        TEST(one_second_is_one_sample_with_the_worst),
        TEST(only_the_last_160_samples_stay),
        TEST(events_are_listed_by_name_and_reset_one_by_one),
        TEST(the_graph_shows_heights_and_ages),
        TEST(the_doctor_tells_off_quiet_and_spikes_apart),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    latency_reset(LIT(""));
    return failed;
}
