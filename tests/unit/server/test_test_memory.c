/* --test-memory finds memory that is broken: here a hand reaches in between writing and reading. */
#include "trivet/server/test_memory.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WORDS (10 * 1024 * 1024 / 8)

/* What the memory does wrong, when `pattern` was written for the `nth` time (from 1). */
struct trouble {
    const char *pattern;
    int nth;
    size_t word;
    uint64_t off, on; /* bits that are stuck */
    size_t twin;      /* not 0: the word has the same memory as that one */
    uint64_t *words;
    int steps, stop_after; /* 0: never */
};

static bool meddle(void *arg, const char *pattern, bool reading, unsigned percent) {
    struct trouble *t = arg;
    t->steps++;
    assert_in_range(percent, 1, 100);
    if (t->stop_after && t->steps == t->stop_after) return false;
    if (reading || percent < 100 || !t->pattern || strcmp(pattern, t->pattern) != 0) return true;
    if (--t->nth != 0) return true;
    if (t->twin)
        t->words[t->word] = t->words[t->twin];
    else
        t->words[t->word] = (t->words[t->word] & ~t->off) | t->on;
    return true;
}

static enum memory_result run(struct trouble *t, struct memory_fault *fault) {
    t->words = malloc(WORDS * sizeof *t->words);
    assert_non_null(t->words);
    struct memory_test test = { .words = t->words, .count = WORDS, .step = meddle, .arg = t };
    enum memory_result result = memory_test_pass(&test, 42, fault);
    free(t->words);
    return result;
}

static void good_memory_is_fine(void **state) {
    (void)state;
    struct trouble none = { 0 };
    struct memory_fault fault;
    assert_int_equal(run(&none, &fault), MEMORY_FINE);
    assert_true(none.steps >= 12); /* six patterns, written and read */
    uint64_t words[100];
    struct memory_test silent = { .words = words, .count = 100 };
    assert_int_equal(memory_test_pass(&silent, 1, &fault), MEMORY_FINE);
}

static void each_kind_of_fault_is_found_by_the_pattern_for_it(void **state) {
    (void)state;
    static const struct trouble rows[] = {
        { .pattern = "addressing", .nth = 1, .word = 7, .twin = 1031 },
        { .pattern = "random", .nth = 1, .word = WORDS - 1, .twin = WORDS - 2 },
        { .pattern = "solid", .nth = 1, .word = 0, .on = 1 },
        { .pattern = "solid", .nth = 2, .word = WORDS / 2, .off = 1ull << 63 },
        { .pattern = "checkerboard", .nth = 1, .word = 4, .on = 2 },
        { .pattern = "checkerboard", .nth = 1, .word = 5, .off = 2 },
        { .pattern = "checkerboard", .nth = 2, .word = 4, .off = 2 },
        { .pattern = "checkerboard", .nth = 2, .word = 5, .on = 2 },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct trouble t = rows[i];
        struct memory_fault fault = { 0 };
        assert_int_equal(run(&t, &fault), MEMORY_BROKEN);
        assert_string_equal(fault.pattern, t.pattern);
        assert_int_equal(fault.word, t.word);
        uint64_t wrong = fault.expected ^ fault.found;
        if (t.twin)
            assert_true(wrong != 0);
        else
            assert_int_equal(wrong, t.on | t.off);
    }
}

static void it_stops_when_it_is_told_to(void **state) {
    (void)state;
    for (int steps = 1; steps <= 12; steps++) {
        struct trouble t = { .stop_after = steps };
        struct memory_fault fault;
        assert_int_equal(run(&t, &fault), MEMORY_STOPPED);
        assert_int_equal(t.steps, steps);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_memory_is_fine),
        cmocka_unit_test(each_kind_of_fault_is_found_by_the_pattern_for_it),
        cmocka_unit_test(it_stops_when_it_is_told_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
