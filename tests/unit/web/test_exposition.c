/* The text format of Prometheus: names, escapes, and rows of INFO as families. */
#include "trivet/base/mem.h"
#include "web/exposition.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void assert_text(struct buf *out, const char *expected) {
    assert_string_equal(buf_cstr(out), expected);
    buf_release(out);
}

static void a_sample_has_its_labels_in_order(void **state) {
    (void)state;
    struct buf out = { 0 };
    exposition_family(&out, "trivet_x", "gauge", "What x is.");
    exposition_begin(&out, "trivet_x");
    exposition_label(&out, "a", LIT("1"));
    exposition_label(&out, "b", LIT("}"));
    exposition_label(&out, "c", LIT(""));
    exposition_number(&out, UINT64_MAX);
    exposition_begin(&out, "trivet_x");
    exposition_signed(&out, -5);
    assert_text(&out, "# HELP trivet_x What x is.\n# TYPE trivet_x gauge\n"
                      "trivet_x{a=\"1\",b=\"}\",c=\"\"} 18446744073709551615\ntrivet_x -5\n");
}

static void what_has_a_meaning_is_escaped(void **state) {
    (void)state;
    static const struct {
        struct slice value;
        const char *shown;
    } rows[] = {
        { LIT_INIT("a\\b\"c\nd"), "a\\\\b\\\"c\\nd" },
        { LIT_INIT("\t\r\0\x7f"), "\\\\x09\\\\x0d\\\\x00\\\\x7f" },
        { LIT_INIT("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"), "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80" },
        { LIT_INIT("\xff\xc3"), "\\\\xff\\\\xc3" },                       /* no UTF-8; cut off */
        { LIT_INIT("\xc0\xaf"), "\\\\xc0\\\\xaf" },                       /* overlong */
        { LIT_INIT("\xe0\x9f\xbf"), "\\\\xe0\\\\x9f\\\\xbf" },            /* likewise */
        { LIT_INIT("\xed\xa0\x80"), "\\\\xed\\\\xa0\\\\x80" },            /* half a pair */
        { LIT_INIT("\xf4\x90\x80\x80"), "\\\\xf4\\\\x90\\\\x80\\\\x80" }, /* too big */
        { LIT_INIT("\xe2\x82x"), "\\\\xe2\\\\x82x" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf out = { 0 }, expected = { 0 };
        exposition_begin(&out, "m");
        exposition_label(&out, "l", rows[i].value);
        buf_printf(&expected, "m{l=\"%s\"}", rows[i].shown);
        assert_string_equal(buf_cstr(&out), buf_cstr(&expected));
        buf_release(&out);
        buf_release(&expected);
    }
    struct buf out = { 0 };
    exposition_family(&out, "m", "counter", "A \"b\" \\ c\nd.");
    assert_text(&out, "# HELP m A \"b\" \\\\ c\\nd.\n# TYPE m counter\n");
}

static void reals_are_short_and_never_words_of_c(void **state) {
    (void)state;
    static const struct {
        double value;
        const char *shown;
    } rows[] = { { 0, " 0\n" },           { 0.1, " 0.1\n" },        { 1.5e300, " 1.5e+300\n" },
                 { INFINITY, " +Inf\n" }, { -INFINITY, " -Inf\n" }, { NAN, " NaN\n" } };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf out = { 0 };
        exposition_real(&out, rows[i].value);
        assert_text(&out, rows[i].shown);
    }
}

#define GAUGE(name_, unit_, form_) \
    { .name = name_, .help = "H.", .unit = unit_, .kind = METRIC_GAUGE, .form = form_ }
#define COUNTER(name_, unit_, form_) \
    { .name = name_, .help = "H.", .unit = unit_, .kind = METRIC_COUNTER, .form = form_ }

static void names_end_with_their_unit_once(void **state) {
    (void)state;
    static const struct {
        struct metric row;
        const char *name; /* NULL: it has no family */
    } rows[] = {
        { GAUGE("connected_clients", NULL, FORM_NUMBER), "trivet_connected_clients" },
        { GAUGE("used_memory", "bytes", FORM_BYTES), "trivet_used_memory_bytes" },
        { GAUGE("mem_frag_bytes", "bytes", FORM_SIGNED), "trivet_mem_frag_bytes" },
        { COUNTER("total_net_input_bytes", "bytes", FORM_NUMBER), "trivet_total_net_input_bytes_total" },
        { COUNTER("keyspace_hits", NULL, FORM_NUMBER), "trivet_keyspace_hits_total" },
        { COUNTER("x_total", NULL, FORM_NUMBER), "trivet_x_total" },
        { GAUGE("keys_total", NULL, FORM_NUMBER), "trivet_keys" },
        { COUNTER("used_cpu_sys", "seconds", FORM_SECONDS), "trivet_used_cpu_sys_seconds_total" },
        { GAUGE("uptime_in_seconds", "seconds", FORM_SIGNED), "trivet_uptime_in_seconds" },
        { GAUGE("master_last_io_seconds_ago", "seconds", FORM_SIGNED), "trivet_master_last_io_seconds_ago" },
        { GAUGE("x_secondsold", "seconds", FORM_SIGNED), "trivet_x_secondsold_seconds" },
        { GAUGE("took_sec", "seconds", FORM_SIGNED), "trivet_took_seconds" },
        { GAUGE("pause_milliseconds", "milliseconds", FORM_NUMBER), "trivet_pause_seconds" },
        { COUNTER("over_time", "milliseconds", FORM_NUMBER), "trivet_over_time_seconds_total" },
        { GAUGE("turn_usec", "microseconds", FORM_NUMBER), "trivet_turn_seconds" },
        { GAUGE("peak_perc", "percent", FORM_PERCENT), "trivet_peak_ratio" },
        { GAUGE("frag_ratio", "ratio", FORM_REAL), "trivet_frag_ratio" },
        { GAUGE("input_kbps", "kilobytes a second", FORM_REAL), "trivet_input_bytes_per_second" },
        { GAUGE("uptime_in_days", "days", FORM_SIGNED), NULL },
        { { .name = "role", .help = "H.", .kind = METRIC_TEXT, .form = FORM_STRING }, NULL },
        { { .name = "never", .help = "H.", .kind = METRIC_GAUGE, .source = FROM_NOTHING }, NULL },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf out = { 0 };
        bool has_family = exposition_name(&rows[i].row, &out);
        assert_int_equal(has_family, rows[i].name != NULL);
        if (has_family) assert_string_equal(buf_cstr(&out), rows[i].name);
        buf_release(&out);
    }
}

static void values_are_in_base_units(void **state) {
    (void)state;
    static const struct {
        struct metric row;
        union metric_value value;
        const char *shown;
    } rows[] = {
        { GAUGE("a", "bytes", FORM_BYTES),
          { .number = UINT64_MAX },
          "trivet_a_bytes 18446744073709551615\n" },
        { GAUGE("a", NULL, FORM_SIGNED), { .whole = INT64_MIN }, "trivet_a -9223372036854775808\n" },
        { GAUGE("a", "seconds", FORM_SECONDS), { .number = 1234567 }, "trivet_a_seconds 1.234567\n" },
        { GAUGE("a", "milliseconds", FORM_NUMBER), { .number = 70 }, "trivet_a_seconds 0.07\n" },
        { GAUGE("a", "milliseconds", FORM_SIGNED), { .whole = -1 }, "trivet_a_seconds -1\n" },
        { GAUGE("a", "microseconds", FORM_SIGNED), { .whole = 3 }, "trivet_a_seconds 0.000003\n" },
        { GAUGE("a", "percent", FORM_PERCENT), { .real = 12.5 }, "trivet_a_ratio 0.125\n" },
        { GAUGE("a", "ratio", FORM_REAL), { .real = 1.07 }, "trivet_a_ratio 1.07\n" },
        { GAUGE("a", "kilobytes a second", FORM_REAL), { .real = 1.5 }, "trivet_a_bytes_per_second 1536\n" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf out = { 0 };
        exposition_row(&out, &rows[i].row, rows[i].value);
        const char *sample = strstr(strstr(buf_cstr(&out), "# TYPE"), "\n") + 1;
        assert_string_equal(sample, rows[i].shown);
        buf_release(&out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sample_has_its_labels_in_order),
        cmocka_unit_test(what_has_a_meaning_is_escaped),
        cmocka_unit_test(reals_are_short_and_never_words_of_c),
        cmocka_unit_test(names_end_with_their_unit_once),
        cmocka_unit_test(values_are_in_base_units),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
