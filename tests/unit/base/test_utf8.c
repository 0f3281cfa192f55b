/* Which bytes are a character of UTF-8. */
#include "trivet/base/utf8.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define BYTES(text) slice_make((text), sizeof(text) - 1)

static void characters_have_their_length(void **state) {
    (void)state;
    assert_int_equal(utf8_length(BYTES("a\xff")), 1);
    assert_int_equal(utf8_length(BYTES("\0")), 1);
    assert_int_equal(utf8_length(BYTES("\xc2\x80")), 2);
    assert_int_equal(utf8_length(BYTES("\xdf\xbf...")), 2);
    assert_int_equal(utf8_length(BYTES("\xe0\xa0\x80")), 3);
    assert_int_equal(utf8_length(BYTES("\xed\x9f\xbf")), 3);
    assert_int_equal(utf8_length(BYTES("\xee\x80\x80")), 3);
    assert_int_equal(utf8_length(BYTES("\xf0\x90\x80\x80")), 4);
    assert_int_equal(utf8_length(BYTES("\xf4\x8f\xbf\xbf")), 4);
}

static void what_is_none_has_no_length(void **state) {
    (void)state;
    assert_int_equal(utf8_length(BYTES("\x80")), 0); /* the middle of one */
    assert_int_equal(utf8_length(BYTES("\xc2")), 0); /* cut */
    assert_int_equal(utf8_length(BYTES("\xe2\x82")), 0);
    assert_int_equal(utf8_length(BYTES("\xf0\x9f\x98")), 0);
    assert_int_equal(utf8_length(BYTES("\xc2 ")), 0);
    assert_int_equal(utf8_length(BYTES("\xe2\x82 ")), 0);
    assert_int_equal(utf8_length(BYTES("\xc1\xbf")), 0); /* longer than needed */
    assert_int_equal(utf8_length(BYTES("\xe0\x9f\xbf")), 0);
    assert_int_equal(utf8_length(BYTES("\xf0\x8f\xbf\xbf")), 0);
    assert_int_equal(utf8_length(BYTES("\xed\xa0\x80")), 0);     /* a surrogate */
    assert_int_equal(utf8_length(BYTES("\xf4\x90\x80\x80")), 0); /* beyond the last */
    assert_int_equal(utf8_length(BYTES("\xf5\x80\x80\x80")), 0);
    assert_int_equal(utf8_length(BYTES("\xff")), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(characters_have_their_length),
        cmocka_unit_test(what_is_none_has_no_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
