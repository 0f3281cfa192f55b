/* Chance within its bounds, spread over them, and different on each thread. */
#include "trivet/base/compiler.h"
#include "trivet/base/random.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void numbers_stay_below_their_bound(void **state) {
    (void)state;
    static const uint64_t bounds[] = { 1, 2, 3, 10, 1000, UINT64_C(1) << 63, UINT64_MAX };
    for (size_t i = 0; i < COUNT_OF(bounds); i++)
        for (int k = 0; k < 1000; k++) assert_true(random_below(bounds[i]) < bounds[i]);
}

static void numbers_are_spread_evenly(void **state) {
    (void)state;
    /* 100000 draws over 10: each expects 10000, with a deviation of 95. 1000 is ten deviations. */
    int seen[10] = { 0 };
    for (int i = 0; i < 100000; i++) seen[random_below(10)]++;
    for (int i = 0; i < 10; i++) assert_in_range(seen[i], 9000, 11000);
    uint64_t ones = 0, zeros = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t n = random_u64();
        ones |= n;
        zeros |= ~n;
    }
    assert_true(ones == UINT64_MAX && zeros == UINT64_MAX);
}

static void *draw(void *out) {
    *(uint64_t *)out = random_u64();
    return NULL;
}

static void threads_draw_different_numbers(void **state) {
    (void)state;
    uint64_t drawn[8];
    for (int i = 0; i < 8; i++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, draw, &drawn[i]), 0);
        pthread_join(thread, NULL);
        for (int k = 0; k < i; k++) assert_true(drawn[i] != drawn[k]);
    }
}

static void hex_has_the_length_asked_for(void **state) {
    (void)state;
    for (size_t len = 0; len < 200; len++) {
        char text[201], again[201];
        memset(text, '!', sizeof text);
        random_hex(text, len);
        assert_int_equal(strlen(text), len);
        assert_int_equal(strspn(text, "0123456789abcdef"), len);
        random_hex(again, len);
        if (len >= 20) assert_string_not_equal(text, again);
    }
    /* Past 64 digits the bytes are drawn anew, not repeated. */
    char text[129];
    random_hex(text, 128);
    assert_memory_not_equal(text, text + 64, 64);
}

static void secrets_fill_all_their_bytes(void **state) {
    (void)state;
    unsigned char seen[300] = { 0 }, drawn[300];
    for (int i = 0; i < 20; i++) {
        random_secret(drawn, sizeof drawn);
        for (size_t k = 0; k < sizeof drawn; k++) seen[k] |= drawn[k];
    }
    for (size_t k = 0; k < sizeof seen; k++) assert_int_not_equal(seen[k], 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_stay_below_their_bound), cmocka_unit_test(numbers_are_spread_evenly),
        cmocka_unit_test(threads_draw_different_numbers), cmocka_unit_test(hex_has_the_length_asked_for),
        cmocka_unit_test(secrets_fill_all_their_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
