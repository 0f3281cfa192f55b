/* test_hash.c: a hash beside an array that knows each field's value and time, in both forms. */
#include "../chance.h"
#include "trivet/base/mem.h"
#include "trivet/types/hash.h"
#include "trivet/types/structures/listpack.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define TEXT_ROOM 32
#define FIELDS 900

struct known {
    bool there;
    unsigned value;
    int64_t expiry_ms;
};

struct model {
    struct known at[FIELDS];
    size_t count, dated;
};

static struct slice name_of(unsigned id, char *room) {
    return slice_make(room, (size_t)snprintf(room, TEXT_ROOM, id % 3 ? "f%u" : "%u", id));
}

/* Numbers, short and long texts: the last digits tell which. */
static struct slice value_of(unsigned value, char *room) {
    static char text[300];
    if (value % 5 == 0) return slice_make(room, (size_t)snprintf(room, TEXT_ROOM, "%u", value));
    size_t len = value % 5 == 1 ? 290 : value % 60;
    memset(text, 'a' + (int)(value % 26), sizeof text);
    return slice_make(text, len);
}

static bool same_field(const struct hash_field *f, unsigned id, const struct known *k) {
    char name[TEXT_ROOM], value[TEXT_ROOM];
    return slice_equal(f->name, name_of(id, name)) && slice_equal(f->value, value_of(k->value, value)) &&
           f->expiry_ms == k->expiry_ms;
}

static unsigned id_of(struct slice name) {
    unsigned id = 0;
    for (size_t i = name.ptr[0] == 'f'; i < name.len; i++) id = 10 * id + (unsigned)(name.ptr[i] - '0');
    return id;
}

struct walk {
    const struct model *model;
    unsigned seen[FIELDS];
    size_t count;
};

static void meet(void *arg, const struct hash_field *f) {
    struct walk *w = arg;
    unsigned id = id_of(f->name);
    assert_true(id < FIELDS && w->model->at[id].there && same_field(f, id, &w->model->at[id]));
    w->seen[id]++;
    w->count++;
}

static bool meet_each(void *arg, const struct hash_field *f) {
    meet(arg, f);
    return true;
}

static void check_equal(struct value v, const struct model *m) {
    static struct walk w;
    char room[TEXT_ROOM];
    struct hash_field f;
    struct hash_scratch scratch;
    hash_check(v);
    w = (struct walk){ .model = m };
    assert_true(hash_each(v, meet_each, &w));
    assert_int_equal(w.count, m->count);
    for (unsigned id = 0; id < FIELDS; id++) {
        assert_int_equal(w.seen[id], m->at[id].there);
        assert_int_equal(hash_find(v, name_of(id, room), &f, &scratch), m->at[id].there);
    }
    assert_int_equal(hash_count(v), m->count);
    assert_int_equal(hash_dated(v), m->dated);
}

static void model_set(struct model *m, unsigned id, unsigned value, int64_t expiry_ms) {
    struct known *k = &m->at[id];
    if (expiry_ms == HASH_KEEP_EXPIRY) expiry_ms = k->there ? k->expiry_ms : HASH_NO_EXPIRY;
    m->count += !k->there;
    m->dated -= k->there && k->expiry_ms != HASH_NO_EXPIRY;
    m->dated += expiry_ms != HASH_NO_EXPIRY;
    *k = (struct known){ true, value, expiry_ms };
}

static void model_remove(struct model *m, unsigned id) {
    struct known *k = &m->at[id];
    m->count -= k->there;
    m->dated -= k->there && k->expiry_ms != HASH_NO_EXPIRY;
    k->there = false;
}

/* Takes all out that are due, and the model knows which these must be. */
static void take_due(struct value *v, struct model *m, int64_t now_ms) {
    struct gone gone;
    for (int calls = 0; hash_due_ms(*v) < now_ms; calls++) {
        assert_true(calls < 10000);
        hash_take_due(v, now_ms, &gone);
        assert_true(gone.count <= GONE_MAX);
        for (size_t i = 0; i < gone.count; i++) {
            unsigned id = id_of(gone.names[i]);
            assert_true(m->at[id].there && m->at[id].expiry_ms != HASH_NO_EXPIRY &&
                        m->at[id].expiry_ms < now_ms);
            model_remove(m, id);
            mem_free(gone.items[i]);
        }
        hash_check(*v);
    }
    for (unsigned id = 0; id < FIELDS; id++)
        assert_false(m->at[id].there && m->at[id].expiry_ms != HASH_NO_EXPIRY &&
                     m->at[id].expiry_ms < now_ms);
}

static void one_step(struct value *v, struct model *m, unsigned range, bool with_times, int64_t *now_ms) {
    char name[TEXT_ROOM], text[TEXT_ROOM];
    unsigned id = (unsigned)(chance() >> 20) % range, value = (unsigned)(chance() >> 40) % 1000;
    unsigned roll = (unsigned)(chance() >> 30) % 100;
    struct slice field = name_of(id, name);
    bool was_there = m->at[id].there;
    int64_t expiry_ms = HASH_NO_EXPIRY;
    if (with_times && roll % 3 == 0) expiry_ms = *now_ms + (int64_t)(chance() % 500);
    if (with_times && roll % 3 == 1) expiry_ms = HASH_KEEP_EXPIRY;
    if (roll < 50) {
        assert_int_equal(hash_set(v, field, value_of(value, text), expiry_ms), !was_there);
        model_set(m, id, value, expiry_ms);
    } else if (roll < 80) {
        assert_int_equal(hash_remove(v, field), was_there);
        model_remove(m, id);
    } else if (with_times && roll < 97) {
        if (expiry_ms == HASH_KEEP_EXPIRY) expiry_ms = HASH_NO_EXPIRY;
        assert_int_equal(hash_set_expiry(v, field, expiry_ms), was_there);
        if (was_there) model_set(m, id, m->at[id].value, expiry_ms);
    } else if (with_times) {
        *now_ms += (int64_t)(chance() % 300);
        if (roll == 99) take_due(v, m, *now_ms);
    }
}

static void a_hash_does_what_an_array_does(void **state) {
    static const unsigned ranges[] = { 20, 300, FIELDS };
    static struct model m;
    (void)state;
    for (int with_times = 0; with_times < 2; with_times++) {
        for (size_t r = 0; r < COUNT_OF(ranges); r++) {
            memset(&m, 0, sizeof m);
            int64_t now_ms = 1000000;
            struct value v = hash_new();
            for (int step = 0; step < 8000; step++) {
                one_step(&v, &m, ranges[r], with_times != 0, &now_ms);
                if (step % 20 == 0) hash_check(v);
                if (step % 500 == 0) check_equal(v, &m);
            }
            check_equal(v, &m);
            struct value copy = hash_value_ops.copy(v);
            assert_int_equal(copy.encoding, v.encoding);
            assert_true(hash_value_ops.bytes(v) > 0 && hash_value_ops.effort(v) > 0);
            hash_value_ops.free(v);
            check_equal(copy, &m);
            take_due(&copy, &m, INT64_MAX);
            check_equal(copy, &m);
            assert_int_equal(hash_dated(copy), 0);
            hash_value_ops.free(copy);
        }
    }
}

static void a_hash_becomes_a_table_at_the_limits(void **state) {
    char room[TEXT_ROOM], longer[66];
    (void)state;
    struct value v = hash_new();
    for (unsigned i = 0; i < 512; i++) (void)hash_set(&v, name_of(i, room), LIT("v"), HASH_NO_EXPIRY);
    assert_int_equal(v.encoding, ENCODING_LISTPACK);
    (void)hash_set(&v, LIT("more"), LIT("v"), HASH_NO_EXPIRY);
    assert_int_equal(v.encoding, ENCODING_TABLE);
    hash_value_ops.free(v);

    memset(longer, 'x', sizeof longer);
    for (int side = 0; side < 2; side++) {
        v = hash_new();
        struct slice fits = slice_make(longer, 64), does_not = slice_make(longer, 65);
        (void)hash_set(&v, fits, fits, HASH_NO_EXPIRY);
        assert_int_equal(v.encoding, ENCODING_LISTPACK);
        (void)hash_set(&v, side ? does_not : fits, side ? fits : does_not, HASH_NO_EXPIRY);
        assert_int_equal(v.encoding, ENCODING_TABLE);
        hash_value_ops.free(v);
    }

    v = hash_new();
    (void)hash_set(&v, LIT("f"), LIT("v"), HASH_NO_EXPIRY);
    assert_false(hash_set_expiry(&v, LIT("g"), 5));
    assert_int_equal(v.encoding, ENCODING_LISTPACK);
    assert_true(hash_set_expiry(&v, LIT("f"), 5));
    assert_int_equal(v.encoding, ENCODING_TABLE);
    hash_value_ops.free(v);
}

static void what_is_expected_may_change_the_form_at_once(void **state) {
    static struct slice pairs[2 * 513];
    char longer[65];
    memset(longer, 'x', sizeof longer);
    (void)state;
    for (size_t i = 0; i < COUNT_OF(pairs); i++) pairs[i] = LIT("x");
    struct value v = hash_new();
    hash_expect(&v, pairs, 512);
    assert_int_equal(v.encoding, ENCODING_LISTPACK);
    hash_expect(&v, pairs, 513);
    assert_int_equal(v.encoding, ENCODING_TABLE);
    hash_value_ops.free(v);
    v = hash_new();
    pairs[3] = slice_make(longer, sizeof longer);
    hash_expect(&v, pairs, 2);
    assert_int_equal(v.encoding, ENCODING_TABLE);
    hash_value_ops.free(v);
}

static struct value filled(struct model *m, unsigned count) {
    char name[TEXT_ROOM], text[TEXT_ROOM];
    struct value v = hash_new();
    memset(m, 0, sizeof *m);
    for (unsigned id = 0; id < count; id++) {
        unsigned value = count < 100 ? 5 * id : id; /* few: numbers only, so that it stays a listpack */
        (void)hash_set(&v, name_of(id, name), value_of(value, text), HASH_NO_EXPIRY);
        model_set(m, id, value, HASH_NO_EXPIRY);
    }
    return v;
}

static void samples_are_different_fields_and_prefer_none(void **state) {
    static struct model m;
    static struct walk w;
    static const unsigned sizes[] = { 1, 40, 800 };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        struct value v = filled(&m, sizes[i]);
        for (size_t wanted = 0; wanted <= sizes[i] + 1; wanted += 1 + wanted / 3) {
            w = (struct walk){ .model = &m };
            hash_sample(v, wanted, meet, &w);
            assert_int_equal(w.count, wanted < sizes[i] ? wanted : sizes[i]);
            for (unsigned id = 0; id < FIELDS; id++) assert_true(w.seen[id] <= 1);
        }
        hash_value_ops.free(v);
    }
    /* Each of 40 about 1000 times in 4000 samples of 10: 6 sigma are 165. */
    struct value v = filled(&m, 40);
    w = (struct walk){ .model = &m };
    for (int i = 0; i < 4000; i++) hash_sample(v, 10, meet, &w);
    for (unsigned id = 0; id < 40; id++) assert_in_range(w.seen[id], 835, 1165);
    for (int i = 0; i < 100; i++) {
        struct hash_field f;
        struct hash_scratch scratch;
        hash_random(v, &f, &scratch);
        meet(&w, &f);
    }
    hash_value_ops.free(v);
}

static void scanning_meets_every_field(void **state) {
    static struct model m;
    static struct walk w;
    static const unsigned sizes[] = { 40, 800 };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        struct value v = filled(&m, sizes[i]);
        w = (struct walk){ .model = &m };
        uint64_t cursor = 0;
        do cursor = hash_scan(v, cursor, 10, meet, &w);
        while (cursor);
        for (unsigned id = 0; id < FIELDS; id++) assert_true((w.seen[id] > 0) == m.at[id].there);
        hash_value_ops.free(v);
    }
}

static void a_listpack_that_is_no_hash_is_refused(void **state) {
    (void)state;
    unsigned char *lp = listpack_new();
    assert_false(hash_listpack_is_valid(lp, listpack_bytes(lp)));
    lp = listpack_append(lp, LIT("f"));
    assert_false(hash_listpack_is_valid(lp, listpack_bytes(lp)));
    lp = listpack_append(lp, LIT("v"));
    assert_true(hash_listpack_is_valid(lp, listpack_bytes(lp)));
    lp = listpack_append(lp, LIT("v"));
    lp = listpack_append(lp, LIT("v"));
    assert_true(hash_listpack_is_valid(lp, listpack_bytes(lp)));
    lp = listpack_append(lp, LIT("f"));
    lp = listpack_append(lp, LIT("v"));
    assert_false(hash_listpack_is_valid(lp, listpack_bytes(lp)));
    listpack_free(lp);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hash_does_what_an_array_does),
        cmocka_unit_test(a_hash_becomes_a_table_at_the_limits),
        cmocka_unit_test(what_is_expected_may_change_the_form_at_once),
        cmocka_unit_test(samples_are_different_fields_and_prefer_none),
        cmocka_unit_test(scanning_meets_every_field),
        cmocka_unit_test(a_listpack_that_is_no_hash_is_refused),
    };
    return cmocka_run_group_tests(tests, fix_the_secret, NULL);
}
