/* test_history.c: the checker of histories accepts what one order explains, and refuses what none does. */
#include "../harness/fixture.h"
#include "history.h"
#include "model.h"
#include <time.h>

static const struct ends plain = { .first = NOTHING };

static struct ends cut_to(int64_t value) {
    return (struct ends){ .first = NOTHING, .cut = true, .last = value };
}

/* Operations on key 0: what was seen or written, when it was invoked and when answered. */
#define ROW(what, from, to, ...) \
    { .kind = what, .invoked_ns = from, .answered_ns = to, __VA_ARGS__ }
#define READ(value, from, to) ROW(OP_READ, from, to, .seen = value)
#define WRITE(value, from, to) ROW(OP_WRITE, from, to, .argument = value)
#define OWED_WRITE(value, from, to) ROW(OP_WRITE, from, to, .argument = value, .owed = true)
#define ADD(number, sum, from, to) ROW(OP_ADD, from, to, .argument = number, .seen = sum)
#define SWAP(old, new, from, to) ROW(OP_SWAP, from, to, .argument = new, .seen = old)
#define CAS(old, want, new, from, to) ROW(OP_CAS, from, to, .argument = new, .expected = want, .seen = old)
#define NEVER UNANSWERED

static bool fits(const struct op *ops, size_t count, struct ends ends) {
    struct history h = { 0 };
    struct text why = { 0 };
    for (size_t i = 0; i < count; i++) history_add(&h, &ops[i]);
    bool good = history_check(&h, &ends, 1, &why);
    assert_int_equal(good, why.len == 0);
    text_release(&why);
    history_release(&h);
    return good;
}

#define OPS_OF(...) ((const struct op[]){ __VA_ARGS__ })
#define ACCEPT(ends, ...) assert_true(fits(OPS_OF(__VA_ARGS__), COUNT_OF(OPS_OF(__VA_ARGS__)), ends))
#define REFUSE(ends, ...) assert_false(fits(OPS_OF(__VA_ARGS__), COUNT_OF(OPS_OF(__VA_ARGS__)), ends))

static void one_after_the_other_is_accepted(void **state) {
    (void)state;
    ACCEPT(plain, READ(NOTHING, 1, 2), WRITE(5, 3, 4), READ(5, 5, 6), ADD(2, 7, 7, 8), SWAP(7, 1, 9, 10),
           CAS(1, 1, 9, 11, 12), CAS(9, 1, 3, 13, 14), READ(9, 15, 16), WRITE(NOTHING, 17, 18),
           ADD(1, 1, 19, 20));
}

static void what_overlaps_may_come_in_any_order(void **state) {
    (void)state;
    ACCEPT(plain, WRITE(1, 1, 10), WRITE(2, 1, 10), READ(1, 11, 12));
    ACCEPT(plain, WRITE(1, 1, 10), WRITE(2, 1, 10), READ(2, 11, 12));
    ACCEPT(plain, WRITE(1, 1, 10), READ(NOTHING, 2, 3), READ(1, 4, 5));
    /* Ordered by what they saw, against the order in which they began. */
    ACCEPT(plain, SWAP(2, 1, 1, 10), SWAP(NOTHING, 2, 2, 9), READ(1, 11, 12));
}

static void a_stale_read_is_refused(void **state) {
    (void)state;
    REFUSE(plain, WRITE(1, 1, 2), WRITE(2, 3, 4), READ(1, 5, 6));
    REFUSE(plain, WRITE(1, 1, 2), READ(NOTHING, 3, 4));
    /* Somebody has seen the new value before. */
    REFUSE(plain, WRITE(1, 1, 10), READ(1, 2, 3), READ(NOTHING, 4, 5));
}

static void a_lost_update_is_refused(void **state) {
    (void)state;
    REFUSE(plain, ADD(1, 1, 1, 10), ADD(1, 1, 2, 9));
    REFUSE(plain, WRITE(7, 1, 2), CAS(7, 7, 8, 3, 10), CAS(7, 7, 9, 4, 9));
    REFUSE(plain, SWAP(NOTHING, 1, 1, 10), SWAP(NOTHING, 2, 1, 10));
}

static void a_value_never_written_is_refused(void **state) {
    (void)state;
    REFUSE(plain, WRITE(1, 1, 2), READ(3, 1, 4));
    REFUSE(plain, ADD(5, 6, 1, 2));
}

static void an_inverted_order_is_refused(void **state) {
    (void)state;
    REFUSE(plain, WRITE(1, 1, 20), WRITE(2, 1, 20), READ(1, 2, 3), READ(2, 4, 5), READ(1, 6, 7));
    REFUSE(plain, READ(1, 1, 2), WRITE(1, 3, 4));
}

static void an_unanswered_operation_may_have_come_at_any_time_or_never(void **state) {
    (void)state;
    ACCEPT(plain, WRITE(1, 1, NEVER), READ(NOTHING, 2, 3));
    ACCEPT(plain, WRITE(1, 1, NEVER), READ(NOTHING, 2, 3), READ(1, 4, 5));
    ACCEPT(plain, ADD(1, 0, 1, NEVER), ADD(1, 2, 2, 3));
    ACCEPT(plain, CAS(0, NOTHING, 5, 1, NEVER), READ(5, 2, 3));
    REFUSE(plain, WRITE(1, 4, NEVER), READ(1, 2, 3));
    REFUSE(plain, WRITE(1, 1, NEVER), READ(1, 2, 3), READ(NOTHING, 4, 5));
    REFUSE(plain, ADD(1, 0, 1, NEVER), ADD(1, 3, 2, 3));
}

static void a_cut_loses_only_the_end(void **state) {
    (void)state;
    ACCEPT(cut_to(NOTHING), WRITE(1, 1, 2), WRITE(2, 3, 4));
    ACCEPT(cut_to(1), WRITE(1, 1, 2), WRITE(2, 3, 4));
    ACCEPT(cut_to(2), WRITE(1, 1, 2), WRITE(2, 3, 4));
    ACCEPT(cut_to(2), WRITE(1, 1, 2), WRITE(2, 3, NEVER));
    REFUSE(cut_to(3), WRITE(1, 1, 2), WRITE(2, 3, 4));
    /* What came after the cut must have been in order nevertheless. */
    REFUSE(cut_to(1), WRITE(1, 1, 2), WRITE(2, 3, 4), READ(1, 5, 6));
    /* The second add without the first. */
    REFUSE(cut_to(3), ADD(1, 1, 1, 2), ADD(3, 4, 3, 4));
}

static void a_cut_loses_nothing_that_is_owed(void **state) {
    (void)state;
    ACCEPT(cut_to(1), OWED_WRITE(1, 1, 2), WRITE(2, 3, 4));
    ACCEPT(cut_to(2), OWED_WRITE(1, 1, 2), WRITE(2, 3, 4));
    REFUSE(cut_to(NOTHING), OWED_WRITE(1, 1, 2), WRITE(2, 3, 4));
    REFUSE(cut_to(1), WRITE(1, 1, 2), OWED_WRITE(2, 3, 4));
    /* They overlap: the one that is lost came after. */
    ACCEPT(cut_to(2), WRITE(1, 1, 4), OWED_WRITE(2, 1, 4));
}

static void a_counter_must_not_fall(void **state) {
    (void)state;
    int64_t floor = NOTHING;
    assert_true(rises(&floor, NOTHING));
    assert_true(rises(&floor, 3));
    assert_true(rises(&floor, 3));
    assert_true(rises(&floor, 9));
    assert_false(rises(&floor, 8));
    assert_false(rises(&floor, NOTHING));
}

/* ---- long ones ---- */

#define CLIENTS 8
#define LONG_KEYS 40
#define OPS 20000

/* Clients that each have one operation under way, and a server that does one at a time; at the end of each an
 * answer that never came. Operations take effect in the order of their `at`. */
static void draw_history(struct history *h, uint64_t *random, int64_t *values) {
    int64_t free_at[CLIENTS] = { 0 }, now = 0;
    for (size_t k = 0; k < LONG_KEYS; k++) values[k] = NOTHING;
    for (int i = 0; i < OPS; i++) {
        uint32_t client = (uint32_t)model_random(random, CLIENTS),
                 key = (uint32_t)model_random(random, LONG_KEYS);
        int64_t *value = &values[key];
        struct op op = { .kind = (enum op_kind)model_random(random, OP_CUT), .key = key, .client = client };
        op.argument = op.kind == OP_ADD ? 1 : i;
        op.expected = model_random(random, 2) ? *value : i - 1;
        op.seen = *value;
        now += 100;
        if (now <= free_at[client]) now = free_at[client] + 1;
        op.invoked_ns =
            free_at[client] + (int64_t)model_random(random, (uint64_t)(now - free_at[client])) + 1;
        free_at[client] = op.answered_ns = now + (int64_t)model_random(random, 1500);
        if (op.kind == OP_WRITE || op.kind == OP_SWAP) *value = op.argument;
        if (op.kind == OP_CAS && *value == op.expected) *value = op.argument;
        if (op.kind == OP_ADD) op.seen = *value = (*value == NOTHING ? 0 : *value) + 1;
        if (i >= OPS - CLIENTS && model_random(random, 2)) op.answered_ns = UNANSWERED;
        history_add(h, &op);
    }
}

static bool check_long(struct history *h, const struct ends *ends) {
    struct text why = { 0 };
    bool good = history_check(h, ends, LONG_KEYS, &why);
    text_release(&why);
    return good;
}

static void long_histories_are_decided_in_seconds(void **state) {
    (void)state;
    uint64_t random = 1234567;
    for (int round = 0; round < 10; round++) {
        struct history h = { 0 };
        struct ends ends[LONG_KEYS];
        int64_t values[LONG_KEYS];
        draw_history(&h, &random, values);
        for (size_t k = 0; k < LONG_KEYS; k++) ends[k] = plain;
        time_t began = time(NULL);
        assert_true(check_long(&h, ends));
        /* One read of something else, in the middle. */
        size_t at = OPS / 2;
        while (h.ops[at].kind != OP_READ) at++;
        h.ops[at].seen += 1;
        assert_false(check_long(&h, ends));
        assert_true(time(NULL) - began < 10);
        history_release(&h);
    }
}

/* As if the replica had everything: the cut is at the end, and everything is owed. */
static void a_long_history_with_a_cut_is_decided(void **state) {
    (void)state;
    uint64_t random = 7654321;
    struct history h = { 0 };
    struct ends ends[LONG_KEYS];
    int64_t values[LONG_KEYS];
    draw_history(&h, &random, values);
    for (size_t i = 0; i < h.count; i++) h.ops[i].owed = h.ops[i].answered_ns != UNANSWERED;
    for (size_t k = 0; k < LONG_KEYS; k++) ends[k] = cut_to(values[k]);
    assert_true(check_long(&h, ends));
    history_release(&h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_after_the_other_is_accepted),
        cmocka_unit_test(what_overlaps_may_come_in_any_order),
        cmocka_unit_test(a_stale_read_is_refused),
        cmocka_unit_test(a_lost_update_is_refused),
        cmocka_unit_test(a_value_never_written_is_refused),
        cmocka_unit_test(an_inverted_order_is_refused),
        cmocka_unit_test(an_unanswered_operation_may_have_come_at_any_time_or_never),
        cmocka_unit_test(a_cut_loses_only_the_end),
        cmocka_unit_test(a_cut_loses_nothing_that_is_owed),
        cmocka_unit_test(a_counter_must_not_fall),
        cmocka_unit_test(long_histories_are_decided_in_seconds),
        cmocka_unit_test(a_long_history_with_a_cut_is_decided),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
