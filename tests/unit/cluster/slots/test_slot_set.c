/* Sets of slots against a plain array. */
#include "trivet/base/random.h"
#include "trivet/cluster/slots/slot_set.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void a_set_has_what_was_added_and_not_removed(void **state) {
    (void)state;
    static bool plain[SLOT_COUNT];
    struct slot_set set = { { 0 } };
    memset(plain, 0, sizeof plain);
    for (int i = 0; i < 30000; i++) {
        unsigned slot = (unsigned)random_below(SLOT_COUNT);
        plain[slot] = i % 3 != 0;
        plain[slot] ? slot_set_add(&set, slot) : slot_set_remove(&set, slot);
    }
    unsigned count = 0, next = slot_set_next(&set, 0);
    for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
        assert_int_equal(slot_set_has(&set, slot), plain[slot]);
        if (!plain[slot]) continue;
        assert_int_equal(next, slot);
        next = slot_set_next(&set, slot + 1);
        count++;
    }
    assert_int_equal(next, SLOT_COUNT);
    assert_int_equal(slot_set_count(&set), count);
}

static void ranges_are_the_longest_runs(void **state) {
    (void)state;
    struct slot_set set = { { 0 } };
    unsigned first = 7, last = 7;
    assert_false(slot_set_next_range(&set, 0, &first, &last));
    for (unsigned slot = 100; slot <= 4000; slot++) slot_set_add(&set, slot);
    slot_set_add(&set, 4002);
    slot_set_add(&set, SLOT_COUNT - 1);
    static const unsigned expected[][2] = { { 100, 4000 }, { 4002, 4002 }, { 16383, 16383 } };
    unsigned from = 0;
    for (size_t i = 0; i < 3; i++) {
        assert_true(slot_set_next_range(&set, from, &first, &last));
        assert_int_equal(first, expected[i][0]);
        assert_int_equal(last, expected[i][1]);
        from = last + 1;
    }
    assert_false(slot_set_next_range(&set, from, &first, &last));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_set_has_what_was_added_and_not_removed),
        cmocka_unit_test(ranges_are_the_longest_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
