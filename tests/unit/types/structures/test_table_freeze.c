/* test_table_freeze.c: hash tables that are saved while they change. */
#include "table_model.h"

/* What the visitor of a frozen table has seen, and what it has to see. */
struct freeze {
    struct model *model;
    struct item **then; /* by id, when it was frozen */
    uint8_t *times;
    size_t visits, given_up_count;
    struct item *given_up[64]; /* by a walk of marked buckets; freed after it */
};

static void see_frozen(void *arg, void *item) {
    struct freeze *f = arg;
    struct item *i = item;
    assert_ptr_equal(f->then[i->id], i);
    assert_int_equal(f->times[i->id]++, 0);
    f->visits++;
}

static void freeze_begin(struct freeze *f, struct model *m) {
    size_t bytes = m->ids * sizeof *f->then;
    *f = (struct freeze){ .model = m, .then = mem_alloc(bytes), .times = mem_alloc_zero(m->ids) };
    memcpy(f->then, m->items, bytes);
    table_freeze(&m->table, see_frozen, f);
    assert_ptr_equal(table_frozen_for(&m->table), f);
}

static void freeze_end(struct freeze *f) {
    table_thaw(&f->model->table);
    mem_free(f->then);
    mem_free(f->times);
}

static enum table_verdict give_up_some(void *arg, void *item) {
    struct freeze *f = arg;
    struct item *i = item;
    if (f->given_up_count == COUNT_OF(f->given_up) || i->id % 3 > 0) return TABLE_KEEP;
    f->given_up[f->given_up_count++] = i;
    f->model->items[i->id] = NULL;
    f->model->count--;
    return TABLE_REMOVE;
}

static void walk_frozen(struct freeze *f) {
    struct model *m = f->model;
    for (int k = 0; k < 50; k++) {
        uint32_t id = chance_below(m->ids);
        if (m->items[id]) table_mark(&m->table, m->items[id], item_hash(m->items[id]));
    }
    table_walk_marked(&m->table, chance_below(m->ids), m->ids, give_up_some, f);
    while (f->given_up_count > 0) mem_free(f->given_up[--f->given_up_count]);
}

static void change_frozen(struct freeze *f, uint32_t growing, size_t most) {
    size_t before = f->visits, count = f->model->count;
    if (chance_below(500) == 0)
        walk_frozen(f);
    else if (chance_below(8) == 0)
        table_touch(&f->model->table, number_hash(chance_below(f->model->ids)));
    else
        model_step(f->model, growing);
    if (f->model->count + 1 >= count) assert_true(f->visits - before <= most); /* or many were changed */
}

/* Freezes the table as it is and changes it while the walk goes on; to the end or not. */
static void freeze_round(struct model *m, uint32_t growing, uint32_t steps, size_t most) {
    struct freeze f;
    freeze_begin(&f, m);
    size_t due = m->count, pace = 1 + chance_below(1 + steps / 50);
    bool more = true, whole = chance_below(4) > 0;
    for (uint32_t step = 0; step < steps; step++) {
        change_frozen(&f, growing, most);
        if (step % pace == 0) more = table_freeze_walk(&m->table, 1 + chance_below(4));
    }
    while (more && whole) more = table_freeze_walk(&m->table, 100);
    if (!more) assert_int_equal(f.visits, due);
    freeze_end(&f);
    model_check_all(m);
}

/* Some steps in one direction; fewer if the table comes between two shapes, unless it may be anywhere. */
static void change_until_moving(struct model *m, uint32_t steps, bool rest) {
    uint32_t growing = chance_below(2) ? 3 : 85;
    for (uint32_t k = chance_below(2 * steps); k > 0 && (rest || !is_moving(&m->table)); k--)
        model_step(m, growing);
}

static void a_frozen_table_hands_over_each_item_once_as_it_was(void **state) {
    (void)state;
    uint32_t same[60];
    colliding_numbers(same, COUNT_OF(same), 0xf8000000, 0x88000000);
    const struct { uint32_t ids, steps, rounds; size_t most; const uint32_t *numbers; } sizes[] = {
        { 1, 20, 40, 1, NULL },        { 8, 100, 60, 8, NULL },         { 60, 400, 100, 60, NULL },
        { 60, 400, 100, 60, same },    { 1000, 3000, 60, 150, NULL },   { 20000, 30000, 30, 150, NULL },
        { 90000, 100000, 6, 150, NULL },
    };
    size_t growing = 0, shrinking = 0, empty = 0;
    for (size_t s = 0; s < COUNT_OF(sizes); s++) {
        struct model m;
        model_init(&m, sizes[s].ids, sizes[s].numbers);
        for (uint32_t round = 0; round < sizes[s].rounds; round++) {
            change_until_moving(&m, sizes[s].steps, round % 3 == 0);
            growing += is_moving(&m.table) && !m.table.shrinking;
            shrinking += is_moving(&m.table) && m.table.shrinking;
            empty += m.count == 0;
            freeze_round(&m, chance_below(93), sizes[s].steps, sizes[s].most);
        }
        model_release(&m);
    }
    assert_true(growing > 5 && shrinking > 5 && empty > 5);
}

static void a_frozen_table_grows_and_shrinks_and_is_handed_over_by_it(void **state) {
    (void)state;
    struct model m;
    struct freeze f;
    model_init(&m, 40000, NULL);
    for (uint32_t id = 0; id < 1000; id++) model_insert(&m, id);
    freeze_begin(&f, &m);
    for (uint32_t id = 1000; id < m.ids; id++) model_insert(&m, id);
    assert_int_equal(f.visits, 1000); /* every group has become others, so the walk finds none */
    while (table_freeze_walk(&m.table, 1)) continue;
    for (uint32_t id = 0; id < m.ids; id++) model_remove(&m, id);
    assert_int_equal(table_memory(&m.table), 0);
    assert_int_equal(f.visits, 1000);
    freeze_end(&f);
    /* Emptied and filled again, what was in the old places is no concern of the new ones. */
    for (uint32_t id = 0; id < 9; id++) model_insert(&m, id);
    table_reserve(&m.table, 5000);
    freeze_begin(&f, &m);
    table_reserve(&m.table, m.ids);
    for (uint32_t id = 0; id < 9; id++) model_remove(&m, id);
    for (uint32_t id = 0; id < 999; id++) model_insert(&m, id);
    while (table_freeze_walk(&m.table, 3)) continue;
    assert_int_equal(f.visits, 9);
    freeze_end(&f);
    model_release(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frozen_table_hands_over_each_item_once_as_it_was),
        cmocka_unit_test(a_frozen_table_grows_and_shrinks_and_is_handed_over_by_it),
    };
    return cmocka_run_group_tests(tests, fix_the_secret, NULL);
}
