/* test_hyperloglog.c: the public bytes, registers beside a model in both forms, estimates, hostile bytes. */
#include "../chance.h"
#include "trivet/base/mem.h"
#include "trivet/types/hyperloglog.h"
#include "trivet/types/value.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define SPARSE_EMPTY (HLL_HEADER + 2)
#define DEFAULT_SPARSE_BYTES 3000

static struct buf empty_one(void) {
    struct buf b = { 0 };
    hll_append_empty(&b);
    return b;
}

/* Element `n` of a series. */
static struct slice element(char *room, unsigned series, unsigned n) {
    return slice_make(room, (size_t)snprintf(room, 40, "series %u number %u", series, n));
}

static struct buf counting(unsigned series, unsigned from, unsigned to) {
    struct buf b = empty_one();
    char room[40];
    for (unsigned n = from; n < to; n++)
        assert_int_not_equal(hll_add(&b, element(room, series, n)), HLL_BROKEN);
    return b;
}

static uint64_t count_of(const struct buf *b) {
    uint64_t count;
    assert_true(hll_count(buf_slice(b), &count));
    return count;
}

static void assert_about(uint64_t count, uint64_t wanted) {
    /* The standard error is 0.81 %; four times that, and what rounding may do to small counts. */
    uint64_t most_off = wanted * 325 / 10000 + 1;
    assert_in_range(count, wanted < most_off ? 0 : wanted - most_off, wanted + most_off);
}

/* ---- the format ---- */

static void the_bytes_are_those_of_other_servers(void **state) {
    static const unsigned char abc[] = { 'H',  'Y',  'L',  'L',  1,    0,    0,    0,    0,
                                         0,    0,    0,    0,    0,    0,    0x80, 0x60, 0xf3,
                                         0x80, 0x50, 0xb1, 0x84, 0x4b, 0xfb, 0x80, 'B',  'Z' };
    (void)state;
    struct buf b = empty_one();
    assert_int_equal(b.len, SPARSE_EMPTY);
    assert_memory_equal(b.ptr, "HYLL\x01\0\0\0\0\0\0\0\0\0\0\0\x7f\xff", SPARSE_EMPTY);
    assert_int_equal(hll_add(&b, LIT("a")), HLL_CHANGED);
    assert_int_equal(hll_add(&b, LIT("b")), HLL_CHANGED);
    assert_int_equal(hll_add(&b, LIT("c")), HLL_CHANGED);
    assert_int_equal(b.len, sizeof abc);
    assert_memory_equal(b.ptr, abc, sizeof abc);
    buf_release(&b);
}

static void elements_vote_as_on_other_servers(void **state) {
    static const struct {
        struct slice element;
        unsigned index, value;
    } rows[] = {
        { LIT_INIT("a"), 12711, 2 },
        { LIT_INIT("b"), 15780, 1 },
        { LIT_INIT(""), 5938, 2 },
        { LIT_INIT("0"), 13225, 4 },
        { LIT_INIT("12345678"), 10579, 3 },
        { LIT_INIT("123456789"), 9293, 2 },
        { LIT_INIT("abcdefghijklmnop"), 9328, 1 },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        static struct hll_registers r;
        memset(&r, 0, sizeof r);
        struct buf b = empty_one();
        assert_int_equal(hll_add(&b, rows[i].element), HLL_CHANGED);
        assert_true(hll_raise(&r, buf_slice(&b)));
        for (unsigned at = 0; at < HLL_REGISTERS; at++)
            assert_int_equal(r.values[at], at == rows[i].index ? rows[i].value : 0);
        buf_release(&b);
    }
}

static void the_cached_count_is_kept_until_something_changes(void **state) {
    (void)state;
    uint64_t count;
    struct buf b = empty_one();
    assert_true(hll_cached_count(buf_slice(&b), &count) && count == 0);
    assert_int_equal(hll_add(&b, LIT("a")), HLL_CHANGED);
    assert_false(hll_cached_count(buf_slice(&b), &count));
    hll_cache_count(b.ptr, UINT64_C(0x0123456789abcdef));
    assert_true(hll_cached_count(buf_slice(&b), &count) && count == UINT64_C(0x0123456789abcdef));
    assert_int_equal(hll_add(&b, LIT("a")), HLL_SAME);
    assert_true(hll_cached_count(buf_slice(&b), &count));
    assert_true(hll_make_dense(&b));
    assert_true(hll_cached_count(buf_slice(&b), &count) && count == UINT64_C(0x0123456789abcdef));
    assert_int_equal(hll_add(&b, LIT("b")), HLL_CHANGED);
    assert_false(hll_cached_count(buf_slice(&b), &count));
    buf_release(&b);
}

/* ---- registers beside a model ---- */

struct runs {
    unsigned registers, longest;
};

static void check_run(void *arg, unsigned value, unsigned run, bool is_long) {
    struct runs *r = arg;
    assert_in_range(run, 1, value > 0 ? 4 : HLL_REGISTERS);
    assert_in_range(value, 0, 32);
    assert_true(!is_long || value == 0);
    r->registers += run;
}

static void check_registers(const struct buf *b, const struct hll_registers *model) {
    static struct hll_registers got;
    memset(&got, 0, sizeof got);
    assert_true(hll_is_one(buf_slice(b)));
    assert_true(hll_raise(&got, buf_slice(b)));
    assert_memory_equal(got.values, model->values, sizeof got.values);
    if (hll_is_dense(buf_slice(b))) return;
    struct runs runs = { 0 };
    assert_true(hll_each_run(buf_slice(b), check_run, &runs));
    assert_int_equal(runs.registers, HLL_REGISTERS);
}

/* One register raised, by merging with registers that are zero otherwise. */
static void raise_one(struct buf *b, struct hll_registers *model, unsigned index, uint8_t value) {
    static struct hll_registers one;
    one.values[index] = value;
    assert_true(hll_raise_to(b, &one));
    one.values[index] = 0;
    if (model->values[index] < value) model->values[index] = value;
}

static void random_raises_do_what_an_array_does(void **state) {
    static const struct {
        unsigned first, width, most, steps;
    } rows[] = {
        { 0, 8, 3, 300 },      { HLL_REGISTERS - 8, 8, 3, 300 }, { 60, 10, 2, 300 },    { 0, 200, 4, 600 },
        { 5000, 70, 32, 300 }, { 0, HLL_REGISTERS, 32, 1500 },   { 16300, 84, 1, 300 },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        static struct hll_registers model;
        memset(&model, 0, sizeof model);
        struct buf b = empty_one();
        for (unsigned step = 0; step < rows[i].steps; step++) {
            raise_one(&b, &model, rows[i].first + (unsigned)chance_below(rows[i].width),
                      (uint8_t)(1 + chance_below(rows[i].most)));
            assert_true(hll_is_dense(buf_slice(&b)) || b.len <= DEFAULT_SPARSE_BYTES);
            if (step % 10 == 0 || step < 40) check_registers(&b, &model);
        }
        check_registers(&b, &model);
        assert_true(hll_make_dense(&b));
        check_registers(&b, &model);
        buf_release(&b);
    }
}

static void neighbours_of_one_value_join_into_one_run(void **state) {
    static struct hll_registers model;
    (void)state;
    static const unsigned order[] = { 10, 12, 11, 13, 14, 9 };
    memset(&model, 0, sizeof model);
    struct buf b = empty_one();
    for (size_t i = 0; i < COUNT_OF(order); i++) raise_one(&b, &model, order[i], 5);
    check_registers(&b, &model);
    /* zeros, at most two runs of values (four and two registers), zeros in the long form */
    assert_in_range(b.len, HLL_HEADER + 5, HLL_HEADER + 6);
    buf_release(&b);
}

static void it_becomes_dense_at_the_limit_and_not_before(void **state) {
    static const size_t limits[] = { 0, 20, 40, 500, DEFAULT_SPARSE_BYTES, 6000 };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(limits); i++) {
        char room[40];
        encoding_limits.hll_sparse_bytes = limits[i];
        struct buf b = empty_one(), reference = empty_one();
        assert_true(hll_make_dense(&reference));
        size_t longest = 0;
        for (unsigned n = 0; !hll_is_dense(buf_slice(&b)); n++) {
            longest = b.len;
            enum hll_outcome outcome = hll_add(&b, element(room, 0, n));
            assert_int_equal(hll_add_dense(reference.ptr, element(room, 0, n)), outcome);
        }
        /* A step makes it at most three bytes longer. */
        assert_true(longest <= (limits[i] > SPARSE_EMPTY ? limits[i] : SPARSE_EMPTY));
        assert_true(longest + 3 > limits[i]);
        assert_int_equal(b.len, HLL_DENSE_BYTES);
        assert_memory_equal(b.ptr, reference.ptr, HLL_DENSE_BYTES);
        buf_release(&b);
        buf_release(&reference);
    }
    encoding_limits.hll_sparse_bytes = DEFAULT_SPARSE_BYTES;
}

static void a_value_that_runs_cannot_hold_makes_it_dense(void **state) {
    static struct hll_registers model;
    (void)state;
    memset(&model, 0, sizeof model);
    struct buf b = empty_one();
    raise_one(&b, &model, 77, 32);
    assert_false(hll_is_dense(buf_slice(&b)));
    raise_one(&b, &model, 78, 33);
    assert_true(hll_is_dense(buf_slice(&b)));
    raise_one(&b, &model, HLL_REGISTERS - 1, 51);
    check_registers(&b, &model);
    buf_release(&b);
}

/* ---- estimates ---- */

static void estimates_are_within_the_error_bound(void **state) {
    static const unsigned checkpoints[] = { 1, 2, 5, 10, 100, 1000, 3000, 10000, 40000, 100000, 300000 };
    (void)state;
    for (unsigned series = 0; series < 4; series++) {
        struct buf b = empty_one();
        char room[40];
        unsigned n = 0;
        for (size_t i = 0; i < COUNT_OF(checkpoints); i++) {
            for (; n < checkpoints[i]; n++) (void)hll_add(&b, element(room, series, n));
            assert_about(count_of(&b), n);
        }
        for (unsigned again = 0; again < 1000; again++)
            assert_int_equal(hll_add(&b, element(room, series, again)), HLL_SAME);
        buf_release(&b);
    }
}

static void the_estimate_does_not_depend_on_the_form(void **state) {
    (void)state;
    for (unsigned n = 0; n < 1200; n = n * 3 + 1) {
        struct buf b = counting(9, 0, n);
        static struct hll_registers r;
        memset(&r, 0, sizeof r);
        assert_true(hll_raise(&r, buf_slice(&b)));
        uint64_t sparse = count_of(&b);
        assert_int_equal(hll_registers_count(&r), sparse);
        assert_true(hll_make_dense(&b));
        assert_int_equal(count_of(&b), sparse);
        buf_release(&b);
    }
}

static void full_registers_can_be_counted(void **state) {
    static struct hll_registers r;
    (void)state;
    memset(&r, 0, sizeof r);
    assert_int_equal(hll_registers_count(&r), 0);
    for (int value = 1; value < 50; value += 7) {
        memset(r.values, value, sizeof r.values);
        uint64_t count = hll_registers_count(&r), one_more;
        memset(r.values, value + 1, sizeof r.values);
        one_more = hll_registers_count(&r);
        assert_true(count > 0 && one_more / 3 < count && one_more > count);
    }
}

/* ---- merging ---- */

static struct buf merged(const struct buf *a, const struct buf *b, bool dense) {
    static struct hll_registers r;
    memset(&r, 0, sizeof r);
    assert_true(hll_raise(&r, buf_slice(a)) && hll_raise(&r, buf_slice(b)));
    struct buf out = empty_one();
    if (dense) assert_true(hll_make_dense(&out));
    assert_true(hll_raise_to(&out, &r));
    check_registers(&out, &r);
    return out;
}

static void a_merge_counts_what_is_in_either(void **state) {
    static const struct {
        unsigned a_end, b_begin, b_end;
    } rows[] = { { 0, 0, 0 },       { 300, 0, 0 },        { 100, 50, 200 },
                 { 500, 500, 900 }, { 20000, 100, 1000 }, { 30000, 20000, 60000 } };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf a = counting(3, 0, rows[i].a_end), b = counting(3, rows[i].b_begin, rows[i].b_end);
        struct buf sparse = merged(&a, &b, false), dense = merged(&b, &a, true);
        unsigned end = rows[i].a_end > rows[i].b_end ? rows[i].a_end : rows[i].b_end;
        struct buf all = counting(3, 0, end);
        assert_int_equal(count_of(&sparse), count_of(&all));
        assert_int_equal(count_of(&dense), count_of(&all));
        assert_about(count_of(&sparse), end);
        struct buf *const bufs[] = { &a, &b, &sparse, &dense, &all };
        for (size_t k = 0; k < COUNT_OF(bufs); k++) buf_release(bufs[k]);
    }
}

/* ---- hostile bytes ---- */

static void other_strings_are_none(void **state) {
    (void)state;
    static char bytes[HLL_DENSE_BYTES + 1];
    memcpy(bytes, "HYLL", 4);
    for (size_t len = 0; len <= sizeof bytes; len++)
        assert_int_equal(hll_is_one(slice_make(bytes, len)), len == HLL_DENSE_BYTES);
    bytes[4] = 1;
    for (size_t len = 0; len < 100; len++)
        assert_int_equal(hll_is_one(slice_make(bytes, len)), len >= HLL_HEADER);
    bytes[4] = 2;
    assert_false(hll_is_one(slice_make(bytes, HLL_DENSE_BYTES)));
    assert_false(hll_is_one(LIT("HYLO\x01_______________")));
}

/* A copy in an allocation of just its size, so that the address sanitizer sees a step beyond. */
static struct buf exact(struct slice bytes) {
    char *copy = mem_alloc(bytes.len);
    memcpy(copy, bytes.ptr, bytes.len);
    return (struct buf){ copy, bytes.len, bytes.len };
}

static void broken_runs_are_refused(void **state) {
    static const struct slice rows[] = {
        LIT_INIT(""),                    /* nothing */
        LIT_INIT("\x7f"),                /* half of a long run of zeros */
        LIT_INIT("\x7f\xfe"),            /* a register too few */
        LIT_INIT("\x7f\xff\x00"),        /* one too many */
        LIT_INIT("\x7f\xff\x80"),        /* the same with a value */
        LIT_INIT("\x7f\xfe\x81"),        /* the last run leads beyond */
        LIT_INIT("\x83\x7f\xff"),        /* the long one does */
        LIT_INIT("\x80\x80\x80\x3f"),    /* far too few */
        LIT_INIT("\x7f\xf0\x83\x83\x83\x40"), /* cut in the last */
    };
    static struct hll_registers r;
    uint64_t count;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf b = empty_one();
        b.len = HLL_HEADER;
        buf_append(&b, rows[i]);
        struct buf tight = exact(buf_slice(&b)), before = exact(buf_slice(&b));
        assert_true(hll_is_one(buf_slice(&tight)));
        assert_false(hll_count(buf_slice(&tight), &count));
        assert_false(hll_raise(&r, buf_slice(&tight)));
        assert_false(hll_make_dense(&tight));
        assert_int_equal(tight.len, before.len);
        assert_memory_equal(tight.ptr, before.ptr, before.len);
        struct buf *const bufs[] = { &b, &tight, &before };
        for (size_t k = 0; k < COUNT_OF(bufs); k++) buf_release(bufs[k]);
    }
}

/* Whatever the bytes: no step outside, and all who walk over the runs agree whether they are sound. */
static void try_everything(struct slice bytes) {
    static struct hll_registers r, sums;
    if (!hll_is_one(bytes)) return;
    uint64_t count;
    char room[40];
    struct buf b = exact(bytes);
    memset(&r, 0, sizeof r);
    bool sound = hll_count(buf_slice(&b), &count);
    assert_int_equal(hll_raise(&r, buf_slice(&b)), sound);
    for (unsigned n = 0; n < 20; n++) {
        enum hll_outcome outcome = hll_add(&b, element(room, 1, n));
        assert_true(!sound || outcome != HLL_BROKEN);
    }
    memset(&sums, 0, sizeof sums);
    assert_true(!sound || hll_raise(&sums, buf_slice(&b)));
    assert_true(hll_raise_to(&b, &r) || !sound);
    assert_true(hll_make_dense(&b) || !sound);
    buf_release(&b);
}

static void no_truncation_and_no_flipped_bit_leads_outside(void **state) {
    (void)state;
    struct buf b = counting(2, 0, 60);
    assert_false(hll_is_dense(buf_slice(&b)));
    for (size_t len = 0; len <= b.len; len++) try_everything(slice_make(b.ptr, len));
    for (size_t bit = 0; bit < 8 * b.len; bit++) {
        b.ptr[bit / 8] = (char)(b.ptr[bit / 8] ^ 1 << bit % 8);
        try_everything(buf_slice(&b));
        b.ptr[bit / 8] = (char)(b.ptr[bit / 8] ^ 1 << bit % 8);
    }
    buf_release(&b);
}

static void no_random_runs_lead_outside(void **state) {
    (void)state;
    for (int round = 0; round < 2000; round++) {
        struct buf b = empty_one();
        b.len = HLL_HEADER;
        for (size_t left = chance_below(300); left > 0; left--) buf_append_byte(&b, (char)(chance() >> 30));
        try_everything(buf_slice(&b));
        buf_release(&b);
    }
    /* dense, with registers beyond what an element can vote for */
    struct buf dense = empty_one();
    assert_true(hll_make_dense(&dense));
    for (int round = 0; round < 20; round++) {
        for (size_t i = HLL_HEADER; i < dense.len; i++) dense.ptr[i] = (char)(chance() >> 30);
        try_everything(buf_slice(&dense));
    }
    memset(dense.ptr + HLL_HEADER, 0xff, dense.len - HLL_HEADER);
    try_everything(buf_slice(&dense));
    buf_release(&dense);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bytes_are_those_of_other_servers),
        cmocka_unit_test(elements_vote_as_on_other_servers),
        cmocka_unit_test(the_cached_count_is_kept_until_something_changes),
        cmocka_unit_test(random_raises_do_what_an_array_does),
        cmocka_unit_test(neighbours_of_one_value_join_into_one_run),
        cmocka_unit_test(it_becomes_dense_at_the_limit_and_not_before),
        cmocka_unit_test(a_value_that_runs_cannot_hold_makes_it_dense),
        cmocka_unit_test(estimates_are_within_the_error_bound),
        cmocka_unit_test(the_estimate_does_not_depend_on_the_form),
        cmocka_unit_test(full_registers_can_be_counted),
        cmocka_unit_test(a_merge_counts_what_is_in_either),
        cmocka_unit_test(other_strings_are_none),
        cmocka_unit_test(broken_runs_are_refused),
        cmocka_unit_test(no_truncation_and_no_flipped_bit_leads_outside),
        cmocka_unit_test(no_random_runs_lead_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
