/* test_zset.c: sorted sets in both forms against a plain list of pairs, invariants checked after every random
 * step. */
#include "trivet/base/hashing.h"
#include "trivet/base/mem.h"
#include "trivet/types/structures/listpack.h"
#include "trivet/types/zset.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define MEMBERS 400

/* The model: a score for each of the possible members, NaN for those that are not there. */
static double model[MEMBERS];
static uint64_t state;

static size_t below(size_t bound) {
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (size_t)((z ^ z >> 31) % bound);
}

/* Numbers, texts, and the empty one. */
static struct slice member_name(size_t i, char scratch[32]) {
    int len = 0;
    if (i % 3 == 0) len = snprintf(scratch, 32, "%zu", i * 1000);
    if (i % 3 == 1) len = snprintf(scratch, 32, "member-%zu", i);
    if (i % 3 == 2 && i > 2) len = snprintf(scratch, 32, "-%zu", i);
    return slice_make(scratch, (size_t)len);
}

static int order_of(size_t a, size_t b) {
    char names[2][32];
    if (model[a] != model[b]) return model[a] < model[b] ? -1 : 1;
    return slice_compare(member_name(a, names[0]), member_name(b, names[1]));
}

static size_t model_count(void) {
    size_t count = 0;
    for (size_t i = 0; i < MEMBERS; i++) count += isnan(model[i]) ? 0 : 1;
    return count;
}

static size_t model_rank(size_t member) {
    size_t rank = 0;
    for (size_t i = 0; i < MEMBERS; i++) rank += !isnan(model[i]) && order_of(i, member) < 0;
    return rank;
}

static double random_score(void) {
    static const double some[] = { 0, -0.0, 1.5, -2.25, 1e20, -1e-7, INFINITY, -INFINITY, 3, 4, 4, 4 };
    return below(2) ? some[below(sizeof some / sizeof some[0])] : (double)below(50);
}

static enum zset_outcome expected_outcome(double old, double *score, unsigned conditions) {
    double wish = conditions & ZSET_ADD_TO && !isnan(old) ? old + *score : *score;
    if (isnan(old)) return conditions & ZSET_IF_PRESENT ? ZSET_REFUSED : ZSET_ADDED;
    if (conditions & ZSET_IF_MISSING) return ZSET_REFUSED;
    if (isnan(wish)) return ZSET_NAN;
    if (conditions & ZSET_IF_GREATER && !(wish > old)) return ZSET_REFUSED;
    if (conditions & ZSET_IF_LESS && !(wish < old)) return ZSET_REFUSED;
    *score = wish;
    return wish == old ? ZSET_SAME : ZSET_UPDATED;
}

static void put_random(struct value *v) {
    static const unsigned choices[] = { 0,
                                        0,
                                        0,
                                        ZSET_IF_MISSING,
                                        ZSET_IF_PRESENT,
                                        ZSET_IF_GREATER,
                                        ZSET_IF_LESS,
                                        ZSET_ADD_TO,
                                        ZSET_ADD_TO | ZSET_IF_GREATER,
                                        ZSET_IF_PRESENT | ZSET_IF_LESS };
    char name[32];
    size_t i = below(MEMBERS);
    unsigned conditions = choices[below(sizeof choices / sizeof choices[0])];
    double score = random_score(), expected = score;
    enum zset_outcome outcome = expected_outcome(model[i], &expected, conditions);
    assert_int_equal(zset_put(v, member_name(i, name), &score, conditions), outcome);
    if (outcome == ZSET_REFUSED || outcome == ZSET_NAN) return;
    assert_true(score == expected);
    model[i] = expected;
}

static void remove_random(struct value *v) {
    char name[32];
    size_t i = below(MEMBERS);
    assert_int_equal(zset_remove(v, member_name(i, name)), !isnan(model[i]));
    model[i] = NAN;
}

static void remove_some(struct value *v) {
    size_t count = model_count();
    if (count == 0) return;
    size_t rank = below(count), gone = below(count - rank + 1);
    bool doomed[MEMBERS] = { false };
    for (size_t i = 0; i < MEMBERS; i++)
        doomed[i] = !isnan(model[i]) && model_rank(i) >= rank && model_rank(i) < rank + gone;
    zset_remove_range(v, rank, gone);
    for (size_t i = 0; i < MEMBERS; i++)
        if (doomed[i]) model[i] = NAN;
}

static void check_member(struct value v, size_t i) {
    char name[32];
    double score = 0, ranked = 0;
    size_t rank = 0;
    struct slice member = member_name(i, name);
    assert_int_equal(zset_score(v, member, &score), !isnan(model[i]));
    assert_int_equal(zset_rank(v, member, &rank, &ranked), !isnan(model[i]));
    if (isnan(model[i])) return;
    assert_true(score == model[i] && ranked == model[i]);
    assert_int_equal(rank, model_rank(i));
}

static void check_ends(struct value v) {
    double score = random_score();
    size_t under = 0, upto = 0;
    for (size_t i = 0; i < MEMBERS; i++) {
        under += model[i] < score;
        upto += model[i] <= score;
    }
    assert_int_equal(zset_before_score(v, score, false), under);
    assert_int_equal(zset_before_score(v, score, true), upto);
}

static void check_walk(struct value v, bool down) {
    size_t count = model_count(), seen = 0;
    struct zset_walk w;
    zset_walk_begin(&w, v, down && count ? count - 1 : 0, count, down);
    while (zset_walk_next(&w)) {
        size_t rank;
        assert_true(zset_rank(v, w.member, &rank, NULL));
        assert_int_equal(rank, down ? count - 1 - seen : seen);
        seen++;
    }
    assert_int_equal(seen, count);
}

static void random_life(size_t entries, uint64_t seed) {
    encoding_limits.zset_entries = entries;
    state = seed;
    for (size_t i = 0; i < MEMBERS; i++) model[i] = NAN;
    struct value v = zset_new();
    for (size_t step = 0; step < 3000; step++) {
        size_t die = below(100);
        if (die < 75)
            put_random(&v);
        else if (die < 99)
            remove_random(&v);
        else
            remove_some(&v);
        zset_check(v);
        assert_int_equal(zset_count(v), model_count());
        check_member(v, below(MEMBERS));
        check_ends(v);
        if (step % 100 == 0) check_walk(v, step % 200 == 0);
    }
    struct value twin = zset_value_ops.copy(v);
    zset_check(twin);
    for (size_t i = 0; i < MEMBERS; i++) check_member(twin, i);
    zset_value_ops.free(v);
    zset_value_ops.free(twin);
}

static void random_steps_agree_with_a_plain_list(void **unused) {
    (void)unused;
    random_life(1000000, 1);
    random_life(0, 2);
    random_life(128, 3);
}

static void limits_decide_the_form_and_never_back(void **unused) {
    (void)unused;
    encoding_limits.zset_entries = 4;
    encoding_limits.zset_value = 8;
    char name[32];
    struct value v = zset_new();
    for (size_t i = 0; i < 4; i++) zset_add(&v, member_name(i + 3, name), 1);
    assert_int_equal(v.encoding, ENCODING_LISTPACK);
    zset_add(&v, member_name(3, name), 2);
    assert_int_equal(v.encoding, ENCODING_LISTPACK);
    zset_add(&v, member_name(9, name), 2);
    assert_int_equal(v.encoding, ENCODING_BTREE);
    zset_remove_range(&v, 0, 5);
    assert_int_equal(v.encoding, ENCODING_BTREE);
    assert_int_equal(zset_count(v), 0);
    zset_value_ops.free(v);

    v = zset_new();
    zset_add(&v, LIT("12345678"), 1);
    assert_int_equal(v.encoding, ENCODING_LISTPACK);
    zset_add(&v, LIT("123456789"), 1);
    assert_int_equal(v.encoding, ENCODING_BTREE);
    zset_value_ops.free(v);

    v = zset_new();
    zset_reserve(&v, 5, 1);
    assert_int_equal(v.encoding, ENCODING_BTREE);
    zset_value_ops.free(v);
    encoding_limits.zset_entries = 128;
    encoding_limits.zset_value = 64;
}

static void a_listpack_from_a_file_is_taken_over_or_converted(void **unused) {
    (void)unused;
    for (size_t limit = 1; limit <= 2; limit++) {
        encoding_limits.zset_entries = limit;
        unsigned char *lp = listpack_append(listpack_new(), LIT("a"));
        lp = listpack_append(lp, LIT("-inf"));
        lp = listpack_append(lp, LIT("b"));
        lp = listpack_append(lp, LIT("17.5"));
        struct value v = zset_of_listpack(lp);
        assert_int_equal(v.encoding, limit == 2 ? ENCODING_LISTPACK : ENCODING_BTREE);
        double score = 0;
        assert_true(zset_score(v, LIT("b"), &score) && score == 17.5);
        assert_true(zset_score(v, LIT("a"), &score) && isinf(score));
        zset_check(v);
        zset_value_ops.free(v);
    }
    encoding_limits.zset_entries = 128;
}

static void count_visit(void *arg, struct slice member, double score) {
    size_t *seen = arg;
    assert_true(member.len > 0);
    seen[(size_t)score]++;
}

static void a_scan_visits_every_member(void **unused) {
    (void)unused;
    static size_t seen[1000];
    for (size_t count = 100; count <= 1000; count += 900) {
        memset(seen, 0, sizeof seen);
        struct value v = zset_new();
        for (size_t i = 0; i < count; i++) {
            char name[32];
            zset_add(&v, slice_make(name, (size_t)snprintf(name, sizeof name, "m%zu", i)), (double)i);
        }
        uint64_t cursor = 0;
        do cursor = zset_scan(v, cursor, 10, count_visit, seen);
        while (cursor != 0);
        for (size_t i = 0; i < count; i++) assert_int_equal(seen[i], 1);
        zset_value_ops.free(v);
    }
}

static void memory_is_what_was_allocated_and_all_comes_back(void **unused) {
    (void)unused;
    size_t before = mem_used_exact();
    struct value v = zset_new();
    for (size_t i = 0; i < 3000; i++) {
        char name[32];
        zset_add(&v, slice_make(name, (size_t)snprintf(name, sizeof name, "member:%zu", i)),
                 (double)(i * 7919 % 3000));
        if (i == 50 || i == 2999) assert_int_equal(zset_value_ops.bytes(v), mem_used_exact() - before);
    }
    assert_true(zset_value_ops.bytes(v) > 3000 * 40);
    assert_true(zset_value_ops.effort(v) >= 3000);
    zset_value_ops.free(v);
    assert_int_equal(mem_used_exact(), before);
}

int main(void) {
    hash_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_steps_agree_with_a_plain_list),
        cmocka_unit_test(limits_decide_the_form_and_never_back),
        cmocka_unit_test(a_listpack_from_a_file_is_taken_over_or_converted),
        cmocka_unit_test(a_scan_visits_every_member),
        cmocka_unit_test(memory_is_what_was_allocated_and_all_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
