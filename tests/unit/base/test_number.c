/* Numbers at their limits, both ways. */
#include "trivet/base/number.h"
#include "trivet/base/random.h"
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void integers_parse_only_in_canonical_form(void **state) {
    (void)state;
    static const struct {
        struct slice text;
        bool ok;
        int64_t n;
    } rows[] = {
        { LIT_INIT("0"), true, 0 },
        { LIT_INIT("7"), true, 7 },
        { LIT_INIT("-7"), true, -7 },
        { LIT_INIT("9223372036854775807"), true, INT64_MAX },
        { LIT_INIT("-9223372036854775808"), true, INT64_MIN },
        { LIT_INIT("9223372036854775808"), false, 0 },
        { LIT_INIT("-9223372036854775809"), false, 0 },
        { LIT_INIT("18446744073709551615"), false, 0 },
        { LIT_INIT("99999999999999999999"), false, 0 },
        { LIT_INIT("100000000000000000000"), false, 0 },
        { LIT_INIT(""), false, 0 },
        { LIT_INIT("-"), false, 0 },
        { LIT_INIT("-0"), false, 0 },
        { LIT_INIT("00"), false, 0 },
        { LIT_INIT("01"), false, 0 },
        { LIT_INIT("-01"), false, 0 },
        { LIT_INIT("+1"), false, 0 },
        { LIT_INIT(" 1"), false, 0 },
        { LIT_INIT("1 "), false, 0 },
        { LIT_INIT("1\0"), false, 0 },
        { LIT_INIT("1.0"), false, 0 },
        { LIT_INIT("--1"), false, 0 },
        { LIT_INIT("1/"), false, 0 },
        { LIT_INIT("1:"), false, 0 },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int64_t n = 42;
        if (int64_parse(rows[i].text, &n) != rows[i].ok || n != (rows[i].ok ? rows[i].n : 42))
            fail_msg("'%.*s' gives %lld", SLICE_ARG(rows[i].text), (long long)n);
    }
}

static void unsigned_integers_reach_their_last_value_and_no_further(void **state) {
    (void)state;
    uint64_t n = 42;
    assert_true(uint64_parse(LIT("18446744073709551615"), &n));
    assert_true(n == UINT64_MAX);
    n = 42;
    assert_false(uint64_parse(LIT("18446744073709551616"), &n));
    assert_false(uint64_parse(LIT("18446744073709551620"), &n));
    assert_false(uint64_parse(LIT("28446744073709551615"), &n));
    assert_false(uint64_parse(LIT("-1"), &n));
    assert_int_equal(n, 42);
}

static void check_integer(int64_t n) {
    char expected[32], text[INT64_TEXT_MAX];
    int expected_len = snprintf(expected, sizeof expected, "%lld", (long long)n);
    size_t len = int64_format(text, n);
    assert_int_equal(len, expected_len);
    assert_memory_equal(text, expected, len);
    int64_t back;
    assert_true(int64_parse(slice_make(text, len), &back));
    assert_true(back == n);
}

static void integers_of_every_length_survive_the_way_to_text_and_back(void **state) {
    (void)state;
    check_integer(0);
    check_integer(INT64_MAX);
    check_integer(INT64_MIN);
    for (int64_t power = 1; power <= INT64_MAX / 10; power *= 10) {
        for (int64_t near = -1; near <= 1; near++) {
            check_integer(power + near);
            check_integer(-power + near);
        }
    }
    for (int i = 0; i < 20000; i++) check_integer((int64_t)random_u64() >> random_below(64));
    char text[INT64_TEXT_MAX];
    assert_int_equal(uint64_format(text, UINT64_MAX), 20);
    assert_memory_equal(text, "18446744073709551615", 20);
}

static void doubles_print_as_clients_know_them(void **state) {
    (void)state;
    static const struct {
        double n;
        const char *text;
    } rows[] = {
        { 0.0, "0" },
        { -0.0, "-0" },
        { 3, "3" },
        { -3, "-3" },
        { 0.1, "0.1" },
        { -0.1, "-0.1" },
        { 0.1 + 0.2, "0.30000000000000004" },
        { 1.5, "1.5" },
        { 3.14159, "3.14159" },
        { 100, "100" },
        { 1e9, "1000000000" },
        { 1e17, "100000000000000000" },
        { 1e18, "1000000000000000000" },
        { 1e19, "1e+19" },
        { 1e20, "1e+20" },
        { -1e20, "-1e+20" },
        { 1.5e300, "1.5e+300" },
        { 9223372036854775808.0, "9223372036854776000" },
        { 1.234567890123e19, "12345678901230000000" },
        { 1.23456789012e19, "1.23456789012e+19" },
        { 18446744073709551616.0, "18446744073709552000" },
        { 0.001, "0.001" },
        { 0.0001, "0.0001" },
        { 0.000001, "0.000001" },
        { 0.0000001, "1e-7" },
        { 0.00000123, "1.23e-6" },
        { 1.7976931348623157e308, "1.7976931348623157e+308" },
        { 2.2250738585072014e-308, "2.2250738585072014e-308" },
        { 5e-324, "5e-324" },
        { 1e-100, "1e-100" },
        { 123456789.123456, "123456789.123456" },
        { 0.00123456789, "0.00123456789" },
        { 12345.123456789012, "1.2345123456789011e+4" },
        { 3333.3333333333335, "3333.3333333333335" },
        { 1.0 / 3, "0.3333333333333333" },
        { 4503599627370495.5, "4503599627370495.5" },
        { 1700000000.123, "1700000000.123" },
        { INFINITY, "inf" },
        { -INFINITY, "-inf" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[DOUBLE_TEXT_MAX];
        size_t len = double_format(text, rows[i].n);
        text[len] = '\0';
        assert_string_equal(text, rows[i].text);
    }
    char text[DOUBLE_TEXT_MAX];
    assert_int_equal(double_format(text, (double)NAN), 3);
    assert_memory_equal(text, "nan", 3);
}

/* No shorter precision of libc's reads back as the same number. */
static void check_double(double n) {
    char text[DOUBLE_TEXT_MAX], other[64];
    size_t len = double_format(text, n);
    assert_true(len < DOUBLE_TEXT_MAX);
    double back;
    assert_true(double_parse(slice_make(text, len), &back));
    text[len] = '\0';
    if (back != n) fail_msg("%s is not %.17g", text, n);
    size_t digits = 0;
    bool leading = true;
    for (size_t i = 0; i < len && text[i] != 'e'; i++) {
        if (text[i] >= '1' && text[i] <= '9') leading = false;
        if (text[i] >= '0' && text[i] <= '9' && !leading) digits++;
    }
    if (digits < 2 || fabs(n) >= 1e15) return;
    snprintf(other, sizeof other, "%.*e", (int)digits - 2, n);
    if (strtod(other, NULL) == n && floor(n) != n) fail_msg("%s is longer than %s", text, other);
}

static void random_doubles_print_shortest_and_read_back_the_same(void **state) {
    (void)state;
    for (int i = 0; i < 50000; i++) {
        uint64_t bits = random_u64();
        double n;
        memcpy(&n, &bits, sizeof n);
        if (isfinite(n)) check_double(n);
        check_double((double)random_below(1000000000) / (double)(1 + random_below(100000)));
        check_double((double)(int64_t)random_below(1000000) / 1000.0);
    }
}

static void doubles_parse_what_clients_send_and_nothing_else(void **state) {
    (void)state;
    static const struct {
        struct slice text;
        bool ok;
        double n;
    } rows[] = {
        { LIT_INIT("1"), true, 1 },
        { LIT_INIT("1.5"), true, 1.5 },
        { LIT_INIT("+1.5"), true, 1.5 },
        { LIT_INIT("-1.5"), true, -1.5 },
        { LIT_INIT(".5"), true, 0.5 },
        { LIT_INIT("5."), true, 5 },
        { LIT_INIT("1e3"), true, 1000 },
        { LIT_INIT("1E-3"), true, 0.001 },
        { LIT_INIT("0x10"), true, 16 },
        { LIT_INIT("0.1"), true, 0.1 },
        { LIT_INIT("0.30000000000000004"), true, 0.30000000000000004 },
        { LIT_INIT("9007199254740993"), true, 9007199254740992.0 },
        { LIT_INIT("12345678901234567890"), true, 12345678901234567890.0 },
        { LIT_INIT("inf"), true, INFINITY },
        { LIT_INIT("+inf"), true, INFINITY },
        { LIT_INIT("-INF"), true, -INFINITY },
        { LIT_INIT("Infinity"), true, INFINITY },
        { LIT_INIT("5e-324"), true, 5e-324 },
        { LIT_INIT(""), false, 0 },
        { LIT_INIT(" 1"), false, 0 },
        { LIT_INIT("\t1"), false, 0 },
        { LIT_INIT("1 "), false, 0 },
        { LIT_INIT("1\0"), false, 0 },
        { LIT_INIT("\0"), false, 0 },
        { LIT_INIT("nan"), false, 0 },
        { LIT_INIT("-nan"), false, 0 },
        { LIT_INIT("abc"), false, 0 },
        { LIT_INIT("1.2.3"), false, 0 },
        { LIT_INIT("."), false, 0 },
        { LIT_INIT("-"), false, 0 },
        { LIT_INIT("-."), false, 0 },
        { LIT_INIT("1e400"), false, 0 },
        { LIT_INIT("-1e400"), false, 0 },
        { LIT_INIT("1e-400"), false, 0 },
        { LIT_INIT("1,5"), false, 0 },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        double n = 42;
        if (double_parse(rows[i].text, &n) != rows[i].ok || n != (rows[i].ok ? rows[i].n : 42))
            fail_msg("'%.*s' gives %.17g", SLICE_ARG(rows[i].text), n);
    }
    double n;
    assert_true(double_parse(LIT("-0"), &n));
    assert_true(signbit(n));
}

static void short_decimals_parse_like_libc(void **state) {
    (void)state;
    for (int i = 0; i < 50000; i++) {
        char text[64];
        unsigned long long whole = random_below(UINT64_C(1) << random_below(40));
        snprintf(text, sizeof text, "%s%llu.%0*llu", random_below(2) ? "-" : "", whole,
                 (int)(1 + random_below(9)), (unsigned long long)random_below(10));
        double n;
        assert_true(double_parse(slice_of(text), &n));
        assert_true(n == strtod(text, NULL));
    }
}

static void long_doubles_print_like_incrbyfloat(void **state) {
    (void)state;
    static const struct {
        const char *in, *out;
    } rows[] = {
        { "0", "0" },
        { "-0", "0" },
        { "3", "3" },
        { "10.5", "10.5" },
        { "10.6", "10.6" },
        { "5.0e3", "5000" },
        { "-1.25", "-1.25" },
        { "1e20", "100000000000000000000" },
        { "0.1", "0.1" },
        { "3.14159265358979", "3.14159265358979" },
        { "1e-17", "0.00000000000000001" },
        { "1e-30", "0" },
        { "-1e-30", "0" },
        { "inf", "inf" },
        { "-inf", "-inf" },
    };
    static char text[LONG_DOUBLE_TEXT_MAX];
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        long double n;
        assert_true(long_double_parse(slice_of(rows[i].in), &n));
        size_t len = long_double_format(text, n);
        text[len] = '\0';
        assert_string_equal(text, rows[i].out);
    }
    assert_int_equal(long_double_format(text, LDBL_MAX), 4933);
    assert_int_equal(long_double_format(text, -LDBL_MAX), 4934);
}

static void long_doubles_refuse_what_is_no_number(void **state) {
    (void)state;
    static const char *const bad[] = { "", " 1", "1 ", "nan", "1e5000", "1e-5000", "x", "1x" };
    long double n = 42;
    for (size_t i = 0; i < COUNT_OF(bad); i++) assert_false(long_double_parse(slice_of(bad[i]), &n));
    static char digits[LONG_DOUBLE_TEXT_MAX];
    memset(digits, '1', sizeof digits);
    assert_false(long_double_parse(slice_make(digits, sizeof digits), &n));
    double d = 42;
    assert_false(double_parse(slice_make(digits, sizeof digits), &d));
    assert_true(n == 42 && d == 42);
}

static void memory_sizes_know_their_units(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool ok;
        uint64_t bytes;
    } rows[] = {
        { "0", true, 0 },
        { "100", true, 100 },
        { "100b", true, 100 },
        { "1k", true, 1000 },
        { "1kb", true, 1024 },
        { "1KB", true, 1024 },
        { "2m", true, 2000000 },
        { "2Mb", true, 2097152 },
        { "3g", true, 3000000000 },
        { "3gb", true, 3221225472 },
        { "18446744073709551615", true, UINT64_MAX },
        { "18446744073709551616", false, 0 },
        { "17179869183gb", true, UINT64_C(17179869183) << 30 },
        { "17179869184gb", false, 0 },
        { "", false, 0 },
        { "mb", false, 0 },
        { "-1", false, 0 },
        { "1tb", false, 0 },
        { "1 mb", false, 0 },
        { "1.5gb", false, 0 },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint64_t n = 42;
        uint64_t expected = rows[i].ok ? rows[i].bytes : 42;
        if (memory_size_parse(slice_of(rows[i].text), &n) != rows[i].ok || n != expected)
            fail_msg("'%s' gives %llu", rows[i].text, (unsigned long long)n);
    }
}

static void memory_sizes_print_like_info(void **state) {
    (void)state;
    static const struct {
        uint64_t bytes;
        const char *text;
    } rows[] = {
        { 0, "0B" },
        { 1023, "1023B" },
        { 1024, "1.00K" },
        { 940728, "918.68K" },
        { 1048575, "1024.00K" },
        { 1048576, "1.00M" },
        { UINT64_C(1) << 30, "1.00G" },
        { (UINT64_C(1) << 40) + (UINT64_C(1) << 39), "1.50T" },
        { UINT64_C(1) << 50, "1.00P" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[32];
        memory_size_human(text, rows[i].bytes);
        assert_string_equal(text, rows[i].text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_parse_only_in_canonical_form),
        cmocka_unit_test(unsigned_integers_reach_their_last_value_and_no_further),
        cmocka_unit_test(integers_of_every_length_survive_the_way_to_text_and_back),
        cmocka_unit_test(doubles_print_as_clients_know_them),
        cmocka_unit_test(random_doubles_print_shortest_and_read_back_the_same),
        cmocka_unit_test(doubles_parse_what_clients_send_and_nothing_else),
        cmocka_unit_test(short_decimals_parse_like_libc),
        cmocka_unit_test(long_doubles_print_like_incrbyfloat),
        cmocka_unit_test(long_doubles_refuse_what_is_no_number),
        cmocka_unit_test(memory_sizes_know_their_units),
        cmocka_unit_test(memory_sizes_print_like_info),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
