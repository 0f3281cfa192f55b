/* test_set.c: a set beside an array of flags, in all its forms and across the changes between them. */
#include "../chance.h"
#include "trivet/base/mem.h"
#include "trivet/types/set.h"
#include "trivet/types/structures/intset.h"
#include "trivet/types/structures/listpack.h"
#include "trivet/types/structures/table.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define TEXT_ROOM 100
#define NUMBERS 1200

/* Member number `id` of a kind: integers, short texts, or some of each. */
enum kind { INTEGERS, TEXTS, MIXED, KINDS };

static struct slice member(enum kind kind, unsigned id, char *room) {
    bool text = kind == TEXTS || (kind == MIXED && id % 3 == 0);
    int len = snprintf(room, TEXT_ROOM, text ? "m%u" : "%u", id);
    return slice_make(room, (size_t)len);
}

static unsigned number_of(struct slice text) {
    unsigned id = 0;
    for (size_t i = text.ptr[0] == 'm'; i < text.len; i++) id = 10 * id + (unsigned)(text.ptr[i] - '0');
    return id;
}

struct seen {
    unsigned times[NUMBERS];
    size_t count;
};

static void note(void *arg, struct slice text) {
    struct seen *s = arg;
    unsigned id = number_of(text);
    assert_true(id < NUMBERS);
    s->times[id]++;
    s->count++;
}

static bool note_each(void *arg, struct slice text) {
    note(arg, text);
    return true;
}

/* The set has exactly the members whose flag is set. */
static void check_equal(struct value v, const bool *flags, enum kind kind) {
    static struct seen s;
    char room[TEXT_ROOM];
    size_t count = 0;
    set_check(v);
    s = (struct seen){ .count = 0 };
    assert_true(set_each(v, note_each, &s));
    for (unsigned id = 0; id < NUMBERS; id++) {
        assert_int_equal(s.times[id], flags[id]);
        assert_int_equal(set_contains(v, member(kind, id, room)), flags[id]);
        count += flags[id];
    }
    assert_int_equal(set_count(v), count);
    assert_int_equal(s.count, count);
}

static void a_set_does_what_an_array_of_flags_does(void **state) {
    static bool flags[NUMBERS];
    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        static const unsigned ranges[] = { 20, 200, NUMBERS };
        for (size_t r = 0; r < COUNT_OF(ranges); r++) {
            memset(flags, 0, sizeof flags);
            char room[TEXT_ROOM];
            struct value v = set_new(member((enum kind)kind, 0, room), 1);
            for (int step = 0; step < 6000; step++) {
                unsigned id = (unsigned)(chance() >> 20) % ranges[r];
                struct slice text = member((enum kind)kind, id, room);
                if (chance() % 100 < 60) {
                    assert_int_equal(set_add(&v, text), !flags[id]);
                    flags[id] = true;
                } else {
                    assert_int_equal(set_remove(&v, text), flags[id]);
                    flags[id] = false;
                }
                set_check(v);
                if (step % 500 == 0) check_equal(v, flags, (enum kind)kind);
            }
            check_equal(v, flags, (enum kind)kind);
            struct value copy = set_value_ops.copy(v);
            assert_int_equal(copy.encoding, v.encoding);
            assert_true(set_value_ops.bytes(v) > 0 && set_value_ops.effort(v) > 0);
            set_value_ops.free(v);
            check_equal(copy, flags, (enum kind)kind);
            set_value_ops.free(copy);
        }
    }
}

static void a_set_changes_its_form_at_the_limits(void **state) {
    char room[TEXT_ROOM];
    (void)state;
    struct value v = set_new(LIT("1"), 1);
    for (unsigned i = 0; i < 512; i++) (void)set_add(&v, member(INTEGERS, i, room));
    assert_int_equal(v.encoding, ENCODING_INTSET);
    (void)set_add(&v, LIT("512"));
    assert_int_equal(v.encoding, ENCODING_TABLE);
    set_value_ops.free(v);

    v = set_new(LIT("1"), 1);
    for (unsigned i = 0; i < 127; i++) (void)set_add(&v, member(INTEGERS, i, room));
    (void)set_add(&v, LIT("text"));
    assert_int_equal(v.encoding, ENCODING_LISTPACK);
    assert_int_equal(set_count(v), 128);
    assert_false(set_add(&v, LIT("text")));
    assert_int_equal(v.encoding, ENCODING_LISTPACK);
    (void)set_add(&v, LIT("one more"));
    assert_int_equal(v.encoding, ENCODING_TABLE);
    set_value_ops.free(v);

    v = set_new(LIT("1"), 1);
    for (unsigned i = 0; i < 128; i++) (void)set_add(&v, member(INTEGERS, i, room));
    (void)set_add(&v, LIT("text"));
    assert_int_equal(v.encoding, ENCODING_TABLE);
    set_value_ops.free(v);

    char longer[66];
    memset(longer, 'x', sizeof longer);
    v = set_new(LIT("a"), 1);
    (void)set_add(&v, slice_make(longer, 64));
    assert_int_equal(v.encoding, ENCODING_LISTPACK);
    (void)set_add(&v, slice_make(longer, 65));
    assert_int_equal(v.encoding, ENCODING_TABLE);
    set_value_ops.free(v);
}

static void a_set_starts_in_the_form_that_its_size_asks_for(void **state) {
    static const struct {
        const char *first;
        size_t expected;
        enum encoding encoding;
    } cases[] = {
        { "1", 1, ENCODING_INTSET },    { "1", 512, ENCODING_INTSET },   { "1", 513, ENCODING_TABLE },
        { "a", 1, ENCODING_LISTPACK },  { "a", 128, ENCODING_LISTPACK }, { "a", 129, ENCODING_TABLE },
        { "01", 1, ENCODING_LISTPACK }, { "", 1, ENCODING_LISTPACK },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct value v = set_new(slice_of(cases[i].first), cases[i].expected);
        assert_int_equal(v.encoding, cases[i].encoding);
        set_value_ops.free(v);
    }
    struct value v = set_new(LIT("1"), 1);
    set_expect(&v, 512);
    assert_int_equal(v.encoding, ENCODING_INTSET);
    set_expect(&v, 513);
    assert_int_equal(v.encoding, ENCODING_TABLE);
    set_value_ops.free(v);
}

static struct value filled(enum kind kind, unsigned count, bool *flags) {
    char room[TEXT_ROOM];
    struct value v = set_new(member(kind, 1, room), 1);
    memset(flags, 0, NUMBERS * sizeof *flags);
    for (unsigned id = 0; id < count; id++) {
        flags[id] = true;
        (void)set_add(&v, member(kind, id, room));
    }
    return v;
}

static void taking_at_random_gives_each_member_once(void **state) {
    static bool flags[NUMBERS];
    static const unsigned sizes[] = { 1, 2, 100, 300, 1000 };
    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        for (size_t i = 0; i < COUNT_OF(sizes); i++) {
            struct value v = filled((enum kind)kind, sizes[i], flags);
            for (size_t left = sizes[i]; left > 0;) {
                static struct seen s;
                s = (struct seen){ .count = 0 };
                size_t wanted = 1 + (size_t)chance() % left;
                set_sample(v, wanted, note, &s);
                assert_int_equal(s.count, wanted);
                for (unsigned id = 0; id < NUMBERS; id++) assert_true(s.times[id] <= flags[id]);
                check_equal(v, flags, (enum kind)kind);

                s = (struct seen){ .count = 0 };
                set_take(&v, wanted, note, &s);
                assert_int_equal(s.count, wanted);
                for (unsigned id = 0; id < NUMBERS; id++) {
                    assert_true(s.times[id] <= flags[id]);
                    flags[id] = flags[id] && !s.times[id];
                }
                left -= wanted;
                check_equal(v, flags, (enum kind)kind);
            }
            set_value_ops.free(v);
        }
    }
}

/* Each of 40 members in one of 10 samples out of 40: about 1000 times in 4000 throws, 6 sigma being 165. */
static void sampling_prefers_nobody(void **state) {
    static bool flags[NUMBERS];
    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        struct value v = filled((enum kind)kind, 40, flags);
        static struct seen s;
        s = (struct seen){ .count = 0 };
        for (int i = 0; i < 4000; i++) set_sample(v, 10, note, &s);
        for (unsigned id = 0; id < 40; id++) assert_in_range(s.times[id], 835, 1165);
        set_value_ops.free(v);
    }
}

static void scanning_meets_every_member(void **state) {
    static bool flags[NUMBERS];
    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        struct value v = filled((enum kind)kind, 1000, flags);
        static struct seen s;
        s = (struct seen){ .count = 0 };
        uint64_t cursor = 0;
        do cursor = set_scan(v, cursor, 10, note, &s);
        while (cursor);
        for (unsigned id = 0; id < NUMBERS; id++) assert_true((s.times[id] > 0) == flags[id]);
        set_value_ops.free(v);
    }
}

static void a_listpack_with_doubles_is_no_set(void **state) {
    (void)state;
    unsigned char *lp = listpack_new();
    assert_false(set_listpack_is_valid(lp, listpack_bytes(lp)));
    lp = listpack_append(lp, LIT("a"));
    lp = listpack_append(lp, LIT("1"));
    assert_true(set_listpack_is_valid(lp, listpack_bytes(lp)));
    assert_false(set_listpack_is_valid(lp, listpack_bytes(lp) - 1));
    lp = listpack_append(lp, LIT("a"));
    assert_false(set_listpack_is_valid(lp, listpack_bytes(lp)));
    listpack_free(lp);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_set_does_what_an_array_of_flags_does),
        cmocka_unit_test(a_set_changes_its_form_at_the_limits),
        cmocka_unit_test(a_set_starts_in_the_form_that_its_size_asks_for),
        cmocka_unit_test(taking_at_random_gives_each_member_once),
        cmocka_unit_test(sampling_prefers_nobody),
        cmocka_unit_test(scanning_meets_every_member),
        cmocka_unit_test(a_listpack_with_doubles_is_no_set),
    };
    return cmocka_run_group_tests(tests, fix_the_secret, NULL);
}
