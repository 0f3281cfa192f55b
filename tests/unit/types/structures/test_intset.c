/* test_intset.c: the intset beside a plain array, the bytes of its format, and payloads that lie. */
#include "trivet/base/mem.h"
#include "trivet/types/structures/intset.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static uint64_t chance_state = 0x9e3779b97f4a7c15ULL;
static uint64_t chance(void) {
    chance_state ^= chance_state << 13;
    chance_state ^= chance_state >> 7;
    return chance_state ^= chance_state << 17;
}

static void an_intset_has_the_public_bytes(void **state) {
    static const unsigned char small[] = { 2, 0, 0, 0, 3, 0, 0, 0, 0xfe, 0xff, 1, 0, 0xe8, 3 };
    static const unsigned char wide[] = { 4, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0xa0, 0x86, 1, 0 };
    static const unsigned char widest[] = { 8, 0, 0, 0,    2, 0, 0, 0, 0, 0, 0, 0,
                                            0, 0, 0, 0x80, 5, 0, 0, 0, 0, 0, 0, 0 };
    static const struct {
        int64_t numbers[3];
        size_t count;
        const unsigned char *bytes;
        size_t len;
    } cases[] = {
        { { 1000, -2, 1 }, 3, small, sizeof small },
        { { 1, 100000 }, 2, wide, sizeof wide },
        { { 5, INT64_MIN }, 2, widest, sizeof widest },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        bool added;
        unsigned char *is = intset_new();
        for (size_t j = 0; j < cases[i].count; j++) is = intset_add(is, cases[i].numbers[j], &added);
        assert_int_equal(intset_bytes(is), cases[i].len);
        assert_memory_equal(is, cases[i].bytes, cases[i].len);
        assert_true(intset_is_valid(is, intset_bytes(is)));
        intset_free(is);
    }
}

#define MODEL_MAX 400

struct model {
    int64_t numbers[MODEL_MAX]; /* rising */
    size_t count;
};

static size_t model_place(const struct model *m, int64_t n) {
    size_t i = 0;
    while (i < m->count && m->numbers[i] < n) i++;
    return i;
}

static bool model_has(const struct model *m, int64_t n) {
    size_t i = model_place(m, n);
    return i < m->count && m->numbers[i] == n;
}

static bool model_add(struct model *m, int64_t n) {
    size_t i = model_place(m, n);
    if (model_has(m, n)) return false;
    memmove(&m->numbers[i + 1], &m->numbers[i], (m->count - i) * sizeof m->numbers[0]);
    m->numbers[i] = n;
    m->count++;
    return true;
}

static bool model_remove(struct model *m, int64_t n) {
    size_t i = model_place(m, n);
    if (!model_has(m, n)) return false;
    memmove(&m->numbers[i], &m->numbers[i + 1], (m->count - i - 1) * sizeof m->numbers[0]);
    m->count--;
    return true;
}

/* Mostly small, so that they meet; now and then one that widens. */
static int64_t random_number(void) {
    switch (chance() % 40) {
    case 0: return (int64_t)chance();
    case 1: return (int32_t)chance();
    case 2: return chance() % 2 ? INT64_MAX : INT64_MIN;
    case 3: return chance() % 2 ? INT16_MAX + 1 : INT16_MIN - 1;
    default: return (int64_t)(chance() % 500) - 250;
    }
}

static void check_equal(const unsigned char *is, const struct model *m) {
    assert_true(intset_is_valid(is, intset_bytes(is)));
    assert_true(intset_bytes(is) <= mem_size(is));
    assert_int_equal(intset_count(is), m->count);
    for (size_t i = 0; i < m->count; i++) assert_true(intset_at(is, i) == m->numbers[i]);
}

static void an_intset_does_what_a_sorted_array_does(void **state) {
    (void)state;
    for (int round = 0; round < 20; round++) {
        static struct model m;
        m.count = 0;
        unsigned char *is = intset_new();
        for (int step = 0; step < 2000; step++) {
            int64_t n = random_number();
            bool changed = false, grow = chance() % 100 < 60;
            assert_int_equal(intset_contains(is, n), model_has(&m, n));
            if (grow && m.count < MODEL_MAX - 1) {
                is = intset_add(is, n, &changed);
                assert_int_equal(changed, model_add(&m, n));
            } else {
                is = intset_remove(is, n, &changed);
                assert_int_equal(changed, model_remove(&m, n));
            }
            if (step % 16 == 0) check_equal(is, &m);
        }
        check_equal(is, &m);
        unsigned char *copy = intset_copy(is);
        check_equal(copy, &m);
        intset_free(copy);
        intset_free(is);
    }
}

static void bytes_that_are_no_intset_are_refused(void **state) {
    static const struct {
        unsigned char bytes[24];
        size_t len;
        bool valid;
    } cases[] = {
        { { 2, 0, 0, 0, 0, 0, 0, 0 }, 8, true },
        { { 2, 0, 0, 0, 1, 0, 0, 0, 1, 0 }, 10, true },
        { { 2, 0, 0, 0, 2, 0, 0, 0, 1, 0, 2, 0 }, 12, true },
        { { 2, 0, 0, 0 }, 4, false },
        { { 0 }, 0, false },
        { { 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0 }, 11, false }, /* a width that is none */
        { { 0, 0, 0, 0, 1, 0, 0, 0, 1, 0 }, 10, false },
        { { 2, 0, 0, 0, 2, 0, 0, 0, 1, 0 }, 10, false },             /* fewer bytes than it says */
        { { 2, 0, 0, 0, 1, 0, 0, 0, 1, 0, 2, 0 }, 12, false },       /* more */
        { { 2, 0, 0, 0, 1, 0, 0, 0, 1, 0, 2 }, 11, false },          /* half an integer more */
        { { 2, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 1, 0 }, 10, false }, /* a count that overflows */
        { { 8, 0, 0, 0, 0, 0, 0, 0x20 }, 8, false },
        { { 2, 0, 0, 0, 2, 0, 0, 0, 2, 0, 1, 0 }, 12, false },       /* falling */
        { { 2, 0, 0, 0, 2, 0, 0, 0, 1, 0, 1, 0 }, 12, false },       /* twice the same */
        { { 2, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0xff, 0xff }, 12, false }, /* falling: signed */
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        /* On the heap, so that a sanitizer sees a read beyond the end. */
        unsigned char *bytes = mem_alloc(cases[i].len ? cases[i].len : 1);
        memcpy(bytes, cases[i].bytes, cases[i].len);
        assert_int_equal(intset_is_valid(bytes, cases[i].len), cases[i].valid);
        mem_free(bytes);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_intset_has_the_public_bytes),
        cmocka_unit_test(an_intset_does_what_a_sorted_array_does),
        cmocka_unit_test(bytes_that_are_no_intset_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
