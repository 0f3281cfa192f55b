/* test_btree.c: the B+tree against a sorted array, with all its invariants checked after every random step.
 */
#include "trivet/base/compiler.h"
#include "trivet/base/hashing.h"
#include "trivet/base/mem.h"
#include "trivet/types/structures/btree.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define ITEMS_MAX 6000

/* The model: pointers in order. */
struct model {
    struct scored *items[ITEMS_MAX];
    size_t count;
};

static uint64_t state;

static size_t below(size_t bound) {
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (size_t)((z ^ z >> 31) % bound);
}

static size_t model_place(const struct model *m, const struct scored *item) {
    size_t low = 0, high = m->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (scored_compare(m->items[middle], item) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool model_insert(struct model *m, struct scored *item) {
    size_t at = model_place(m, item);
    if (at < m->count && scored_compare(m->items[at], item) == 0) return false;
    memmove(&m->items[at + 1], &m->items[at], (m->count - at) * sizeof m->items[0]);
    m->items[at] = item;
    m->count++;
    return true;
}

static void model_take(struct model *m, size_t at) {
    m->count--;
    memmove(&m->items[at], &m->items[at + 1], (m->count - at) * sizeof m->items[0]);
}

static struct scored *random_item(size_t scores) {
    char text[24];
    int len = snprintf(text, sizeof text, "m%zu", below(100000));
    return scored_new(slice_make(text, (size_t)len), (double)below(scores) - (double)scores / 2);
}

static void check_order(const struct btree *t, const struct model *m) {
    btree_check(t);
    assert_int_equal(t->count, m->count);
    struct btree_place p = btree_at(t, 0);
    for (size_t i = 0; i < m->count; i++, p = btree_next(p)) assert_ptr_equal(btree_item(p), m->items[i]);
    assert_null(p.leaf);
    if (m->count == 0) return;
    p = btree_at(t, m->count - 1);
    for (size_t i = m->count; i > 0; i--, p = btree_previous(p))
        assert_ptr_equal(btree_item(p), m->items[i - 1]);
    assert_null(p.leaf);
}

static void check_searches(const struct btree *t, const struct model *m, size_t scores) {
    struct scored *probe = random_item(scores);
    struct btree_bound b = { BTREE_BY_BOTH, false, probe->score, scored_text(probe) };
    size_t place = model_place(m, probe);
    bool there = place < m->count && scored_compare(m->items[place], probe) == 0;
    assert_int_equal(btree_before(t, &b), place);
    b.after = true;
    assert_int_equal(btree_before(t, &b), place + there);
    size_t lower = 0, upper = 0;
    for (size_t i = 0; i < m->count; i++) {
        lower += m->items[i]->score < probe->score;
        upper += m->items[i]->score <= probe->score;
    }
    b = (struct btree_bound){ BTREE_BY_SCORE, false, probe->score, LIT_INIT("") };
    assert_int_equal(btree_before(t, &b), lower);
    b.after = true;
    assert_int_equal(btree_before(t, &b), upper);
    if (m->count > 0) {
        size_t rank = below(m->count);
        assert_ptr_equal(btree_item(btree_at(t, rank)), m->items[rank]);
    }
    assert_null(btree_at(t, m->count).leaf);
    mem_free(probe);
}

static void insert_random(struct btree *t, struct model *m, size_t scores) {
    struct scored *item = random_item(scores);
    if (m->count < ITEMS_MAX && model_insert(m, item))
        btree_insert(t, item);
    else
        mem_free(item);
}

static void remove_random(struct btree *t, struct model *m) {
    if (m->count == 0) return;
    size_t at = below(m->count);
    struct scored *item = m->items[at];
    btree_remove(t, item);
    model_take(m, at);
    mem_free(item);
}

static void rescore_random(struct btree *t, struct model *m, size_t scores) {
    if (m->count == 0) return;
    size_t at = below(m->count);
    struct scored *item = m->items[at];
    double old = item->score, fresh = below(2) ? old + 1 : (double)below(scores);
    model_take(m, at);
    item->score = fresh;
    bool free_place = model_insert(m, item);
    item->score = old;
    if (free_place) {
        btree_rescore(t, item, fresh);
        return;
    }
    model_insert(m, item);
}

static void free_gone(void *arg, struct scored *item) {
    ++*(size_t *)arg;
    mem_free(item);
}

static void remove_some(struct btree *t, struct model *m) {
    if (m->count == 0) return;
    size_t rank = below(m->count), count = below(m->count - rank + 1), gone = 0;
    btree_remove_range(t, rank, count, free_gone, &gone);
    assert_int_equal(gone, count);
    m->count -= count;
    memmove(&m->items[rank], &m->items[rank + count], (m->count - rank) * sizeof m->items[0]);
}

static void free_item(struct scored *item) { mem_free(item); }

static void random_steps_keep_order_and_counts(void **unused) {
    (void)unused;
    static struct model m;
    static const size_t score_ranges[] = { 1, 3, 50, 100000 };
    for (size_t round = 0; round < COUNT_OF(score_ranges); round++) {
        state = 7 + round;
        size_t scores = score_ranges[round];
        struct btree t;
        btree_init(&t);
        m.count = 0;
        for (size_t step = 0; step < 12000; step++) {
            bool growing = step / 3000 % 2 == 0;
            size_t die = below(100);
            if (die < (growing ? 70u : 25u))
                insert_random(&t, &m, scores);
            else if (die < (growing ? 80u : 88u))
                remove_random(&t, &m);
            else if (die < 99 || growing)
                rescore_random(&t, &m, scores);
            else if (below(4) == 0)
                remove_some(&t, &m);
            if (step % 16 == 0) btree_check(&t);
            if (step % 500 == 0) check_order(&t, &m);
            check_searches(&t, &m, scores);
        }
        check_order(&t, &m);
        while (m.count > 0) remove_random(&t, &m);
        check_order(&t, &m);
        btree_release(&t, free_item);
    }
}

/* Fills with numbers in the order given, checks, and empties from one side. */
static void fill_and_empty(size_t count, int64_t step, bool from_front) {
    struct btree t;
    btree_init(&t);
    for (size_t i = 0; i < count; i++) btree_insert(&t, scored_new(LIT("x"), (double)((int64_t)i * step)));
    btree_check(&t);
    assert_true(btree_memory(&t) < count * 21); /* 17 of them are the pairs of a full leaf */
    size_t gone = 0;
    while (t.count > 0) {
        btree_remove_range(&t, from_front ? 0 : t.count - 1, 1, free_gone, &gone);
        if (t.count % 64 == 0) btree_check(&t);
    }
    assert_int_equal(gone, count);
    btree_check(&t);
    btree_release(&t, free_item);
}

static void items_in_order_leave_full_leaves(void **unused) {
    (void)unused;
    for (int front = 0; front < 2; front++) {
        fill_and_empty(20000, 1, front);
        fill_and_empty(20000, -1, front);
    }
}

static void equal_scores_are_ordered_by_bytes(void **unused) {
    (void)unused;
    struct btree t;
    btree_init(&t);
    static const char *const texts[] = { "b", "a", "", "ab", "B", "\xff", "aa" };
    static const char *const sorted[] = { "", "B", "a", "aa", "ab", "b", "\xff" };
    for (size_t i = 0; i < COUNT_OF(texts); i++) btree_insert(&t, scored_new(slice_of(texts[i]), 5));
    for (size_t i = 0; i < COUNT_OF(sorted); i++) {
        assert_true(slice_equal(scored_text(btree_item(btree_at(&t, i))), slice_of(sorted[i])));
        struct btree_bound b = { BTREE_BY_TEXT, false, 0, slice_of(sorted[i]) };
        assert_int_equal(btree_before(&t, &b), i);
        b.after = true;
        assert_int_equal(btree_before(&t, &b), i + 1);
    }
    btree_release(&t, free_item);
}

static void memory_counts_every_node(void **unused) {
    (void)unused;
    size_t before = mem_used_exact(), items = 0;
    struct btree t;
    btree_init(&t);
    assert_int_equal(btree_memory(&t), 0);
    for (size_t i = 0; i < 5000; i++) {
        struct scored *item = scored_new(LIT("member"), (double)(i * 7919 % 5000));
        items += mem_size(item);
        btree_insert(&t, item);
    }
    assert_int_equal(btree_memory(&t), mem_used_exact() - before - items);
    btree_release(&t, free_item);
    assert_int_equal(mem_used_exact(), before);
}

int main(void) {
    hash_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_steps_keep_order_and_counts),
        cmocka_unit_test(items_in_order_leave_full_leaves),
        cmocka_unit_test(equal_scores_are_ordered_by_bytes),
        cmocka_unit_test(memory_counts_every_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
