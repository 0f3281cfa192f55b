/* test_ghosts.c: what is remembered of the evicted, and which way the weights go. */
#include "trivet/base/mem.h"
#include "trivet/keyspace/ghosts.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define LINE 64         /* bytes */
#define LINE_GHOSTS 31u /* ghosts in it */

static struct ghosts ghosts;

/* Differs from others in the bits that tell ghosts of a line apart; the line is the one of all such. */
static uint64_t hash_number(uint64_t n) { return (n + 1) << 50; }

static int start(void **state) {
    (void)state;
    ghosts_init(&ghosts, LINE);
    return 0;
}

static int end(void **state) {
    (void)state;
    size_t held = ghosts_bytes(&ghosts), before = mem_used_exact();
    ghosts_release(&ghosts);
    return before - mem_used_exact() >= held && ghosts_bytes(&ghosts) == 0 ? 0 : -1;
}

static void who_comes_back_has_one_use_more(void **state) {
    (void)state;
    for (unsigned uses = 0; uses <= GHOST_USES_MAX; uses++) ghosts_add(&ghosts, hash_number(uses), uses);
    assert_int_equal(ghosts_take(&ghosts, hash_number(100)), 0);
    for (unsigned uses = 0; uses <= GHOST_USES_MAX; uses++) {
        unsigned more = uses < GHOST_USES_MAX ? uses + 1 : uses;
        assert_int_equal(ghosts_take(&ghosts, hash_number(uses)), more);
        assert_int_equal(ghosts_take(&ghosts, hash_number(uses)), 0); /* its ghost is gone */
    }
}

static void a_hash_whose_bits_are_all_zero_has_a_ghost_too(void **state) {
    (void)state;
    assert_int_equal(ghosts_take(&ghosts, 0), 0);
    ghosts_add(&ghosts, 0, 0);
    assert_int_equal(ghosts_take(&ghosts, 0), 1);
}

static void the_oldest_is_forgotten_first(void **state) {
    (void)state;
    for (uint64_t n = 0; n < LINE_GHOSTS + 1; n++) ghosts_add(&ghosts, hash_number(n), 1);
    assert_int_equal(ghosts_take(&ghosts, hash_number(0)), 0);
    for (uint64_t n = 1; n < LINE_GHOSTS + 1; n++) assert_int_equal(ghosts_take(&ghosts, hash_number(n)), 2);
}

/* Of four evictions with no use one comes back at once, of those with two uses none does. */
static void weights_fall_where_mistakes_are_made(void **state) {
    (void)state;
    float none = ghosts_weight(&ghosts, 0), one = ghosts_weight(&ghosts, 1), two = ghosts_weight(&ghosts, 2);
    for (uint64_t n = 0; n < 4000; n++) {
        ghosts_add(&ghosts, hash_number(n % 1000), 0);
        if (n % 4 == 0) assert_int_equal(ghosts_take(&ghosts, hash_number(n % 1000)), 1);
        ghosts_add(&ghosts, hash_number(2000 + n % 1000), 2);
    }
    assert_true(ghosts_weight(&ghosts, 0) < none / 8);
    assert_true(ghosts_weight(&ghosts, 2) > two * 8);
    assert_true(ghosts_weight(&ghosts, 1) == one);
}

static void who_comes_back_late_teaches_nothing(void **state) {
    (void)state;
    ghosts_add(&ghosts, hash_number(1), 0);
    ghosts_add(&ghosts, hash_number(2), 1);
    float before = ghosts_weight(&ghosts, 0);
    assert_int_equal(ghosts_take(&ghosts, hash_number(1)), 1);
    assert_true(ghosts_weight(&ghosts, 0) == before);
    /* With 48 entries and one line, three evictions are a sixteenth of a turnover. */
    ghosts_suit(&ghosts, 48);
    for (uint64_t n = 1; n <= 3; n++) ghosts_add(&ghosts, hash_number(n), (unsigned)n - 1);
    before = ghosts_weight(&ghosts, 0);
    assert_int_equal(ghosts_take(&ghosts, hash_number(1)), 1);
    assert_true(ghosts_weight(&ghosts, 0) < before);
}

static void weights_have_bounds(void **state) {
    (void)state;
    for (uint64_t n = 0; n < 100000; n++) {
        ghosts_add(&ghosts, hash_number(n % 1000), 3);
        ghosts_add(&ghosts, hash_number(2000), 0);
        assert_int_equal(ghosts_take(&ghosts, hash_number(2000)), 1);
    }
    assert_true(ghosts_weight(&ghosts, 0) == 1 / 64.0f);
    assert_true(ghosts_weight(&ghosts, 3) == 64.0f);
}

static void there_are_as_many_ghosts_as_entries_if_there_is_room(void **state) {
    (void)state;
    static const struct { size_t bytes, entries, lines, soon; } cases[] = {
        { 100 * LINE, 0, 1, 1 }, { 100 * LINE, 400, 16, 1 }, { 100 * LINE, 500, 32, 1 },
        { 100 * LINE, 100000, 64, 31 }, { 100 * LINE, 8192, 64, 8 }, { LINE, 1000, 1, 31 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ghosts g;
        ghosts_init(&g, cases[i].bytes + 1);
        assert_int_equal(ghosts_bytes(&g), cases[i].bytes);
        ghosts_suit(&g, cases[i].entries);
        assert_int_equal(g.in_use, cases[i].lines);
        assert_int_equal(g.soon, cases[i].soon);
        ghosts_release(&g);
    }
}

static void without_room_nothing_is_remembered(void **state) {
    (void)state;
    struct ghosts g;
    ghosts_init(&g, LINE - 1);
    assert_int_equal(ghosts_bytes(&g), 0);
    ghosts_suit(&g, 1000);
    float before = ghosts_weight(&g, 1);
    ghosts_add(&g, hash_number(1), 1);
    assert_int_equal(ghosts_take(&g, hash_number(1)), 0);
    assert_true(ghosts_weight(&g, 1) == before);
    ghosts_release(&g);
}

#define GHOSTS_TEST(f) cmocka_unit_test_setup_teardown(f, start, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        GHOSTS_TEST(who_comes_back_has_one_use_more),
        GHOSTS_TEST(a_hash_whose_bits_are_all_zero_has_a_ghost_too),
        GHOSTS_TEST(the_oldest_is_forgotten_first),
        GHOSTS_TEST(weights_fall_where_mistakes_are_made),
        GHOSTS_TEST(who_comes_back_late_teaches_nothing),
        GHOSTS_TEST(weights_have_bounds),
        cmocka_unit_test(there_are_as_many_ghosts_as_entries_if_there_is_room),
        cmocka_unit_test(without_room_nothing_is_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
