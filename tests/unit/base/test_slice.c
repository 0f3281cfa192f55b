/* Slices compare by bytes, not as C strings. */
#include "trivet/base/compiler.h"
#include "trivet/base/slice.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void slices_order_by_bytes_then_by_length(void **state) {
    (void)state;
    static const struct slice rising[] = {
        LIT_INIT(""),     LIT_INIT("\0"), LIT_INIT("a"),    LIT_INIT("a\0"),
        LIT_INIT("ab"), LIT_INIT("b"),  LIT_INIT("\xff"),
    };
    for (size_t i = 0; i < COUNT_OF(rising); i++) {
        for (size_t k = 0; k < COUNT_OF(rising); k++) {
            int order = slice_compare(rising[i], rising[k]);
            assert_int_equal((order > 0) - (order < 0), (i > k) - (i < k));
            assert_int_equal(slice_equal(rising[i], rising[k]), i == k);
        }
    }
}

static void letters_compare_in_either_case_on_request(void **state) {
    (void)state;
    assert_true(slice_equal_nocase(LIT("GeT"), LIT("gEt")));
    assert_false(slice_equal_nocase(LIT("get"), LIT("gets")));
    assert_false(slice_equal(LIT("GET"), LIT("get")));
    assert_true(slice_equal_nocase((struct slice){ NULL, 0 }, LIT("")));
}

static void a_prefix_is_a_start(void **state) {
    (void)state;
    assert_true(slice_starts_with(LIT("user:1"), LIT("user:")));
    assert_true(slice_starts_with(LIT("user"), LIT("")));
    assert_false(slice_starts_with(LIT("use"), LIT("user")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_order_by_bytes_then_by_length),
        cmocka_unit_test(letters_compare_in_either_case_on_request),
        cmocka_unit_test(a_prefix_is_a_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
