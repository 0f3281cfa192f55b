/* test_table.c: finding, changing, walking and the size of the hash table. */
#include "table_model.h"

static void it_agrees_with_a_model(void **state) {
    (void)state;
    static const struct { uint32_t ids, steps, check_each; } sizes[] = {
        { 1, 200, 1 },      { 8, 2000, 1 },      { 16, 3000, 1 },
        { 100, 10000, 1 },  { 1000, 40000, 50 }, { 30000, 150000, 5000 },
        { 90000, 100000, 50000 }, /* with a list of blocks, and without again */
    };
    static const uint32_t moods[] = { 70, 20, 46, 90, 5 };
    for (size_t s = 0; s < COUNT_OF(sizes); s++) {
        struct model m;
        model_init(&m, sizes[s].ids, NULL);
        for (size_t mood = 0; mood < COUNT_OF(moods); mood++) {
            for (uint32_t step = 0; step < sizes[s].steps; step++) {
                model_step(&m, moods[mood]);
                assert_int_equal(table_count(&m.table), m.count);
                if (step % sizes[s].check_each == 0) model_check(&m);
            }
            model_check_all(&m);
        }
        model_release(&m);
    }
}

static void colliding_keys_are_told_apart(void **state) {
    (void)state;
    static const struct { uint64_t mask, want; } same[] = {
        { 0xff000000, 0x17000000 },                       /* one group in a table of up to 256 */
        { 0x7ff0000000, 0x1730000000 },                   /* and one line */
        { 0xff000060f0000000ULL, 0x4200004030000000ULL }, /* and one tag */
        { 0xfe000000e0000000ULL, 0x0000000020000000ULL }, /* tags 0 and 1: the table takes both for 1 */
    };
    enum { KEYS = 60 };
    uint32_t numbers[KEYS];
    for (size_t s = 0; s < COUNT_OF(same); s++) {
        colliding_numbers(numbers, KEYS, same[s].mask, same[s].want);
        struct model m;
        model_init(&m, KEYS, numbers);
        for (uint32_t step = 0; step < 4000; step++) {
            model_step(&m, step / 500 % 2 ? 20 : 75);
            model_check(&m);
        }
        model_check_all(&m);
        model_release(&m);
    }
}

static void a_full_group_chains_and_unchains(void **state) {
    (void)state;
    enum { KEYS = 120 };
    uint32_t numbers[KEYS];
    colliding_numbers(numbers, KEYS, 0xff000000, 0x33000000);
    struct model m;
    model_init(&m, KEYS, numbers);
    for (uint32_t id = 0; id < KEYS; id++) {
        model_insert(&m, id);
        model_check(&m);
    }
    assert_true(m.table.chained >= (KEYS - 7 * 8) / 8);
    model_check_all(&m);
    while (m.count > 0) {
        model_remove(&m, chance_below(KEYS));
        model_check(&m);
        if (m.count <= 8) assert_int_equal(m.table.chained, 0);
    }
    model_release(&m);
}

static void a_table_that_may_not_grow_chains(void **state) {
    (void)state;
    enum { KEYS = 100 };
    struct model m;
    model_init(&m, KEYS, NULL);
    atomic_store(&table_may_resize, false);
    for (uint32_t id = 0; id < KEYS; id++) model_insert(&m, id);
    model_check_all(&m);
    while (m.count > 0) {
        size_t chained = m.count > 8 ? (m.count - 8 + 6) / 7 : 0; /* 7 in each, and 8 in the last */
        assert_int_equal(m.table.chained, chained);
        assert_int_equal(table_memory(&m.table), 64 * (1 + chained));
        model_remove(&m, chance_below(KEYS));
        model_check(&m);
    }
    for (uint32_t id = 0; id < KEYS; id++) model_insert(&m, id);
    atomic_store(&table_may_resize, true);
    model_remove(&m, 0);
    for (uint32_t id = 0; id < KEYS; id++) model_insert(&m, id);
    model_check(&m);
    assert_true(table_memory(&m.table) > 64 * 15 || m.table.chained < 13);
    model_release(&m);
}

static void eight_items_take_one_cache_line(void **state) {
    (void)state;
    struct model m;
    model_init(&m, 9, NULL);
    assert_int_equal(table_memory(&m.table), 0);
    for (uint32_t id = 0; id < 8; id++) {
        model_insert(&m, id);
        assert_int_equal(table_memory(&m.table), 64);
    }
    model_insert(&m, 8);
    assert_int_equal(table_memory(&m.table), 128);
    for (uint32_t id = 0; id < 9; id++) model_remove(&m, id);
    assert_int_equal(table_memory(&m.table), 0);
    model_release(&m);
}

static void some_bits_of_a_hash_are_the_callers(void **state) {
    (void)state;
    struct table t;
    struct item *items[2000];
    const uint64_t others = 0x00ffff8000000000ULL;
    table_init(&t, &ops);
    for (uint32_t id = 0; id < COUNT_OF(items); id++) {
        items[id] = new_item(id, id);
        table_insert(&t, items[id], item_hash(items[id]) ^ others);
    }
    table_check(&t);
    for (uint32_t id = 0; id < COUNT_OF(items); id++)
        assert_ptr_equal(table_find(&t, item_key(items[id]), item_hash(items[id]) & ~others), items[id]);
    table_release(&t, mem_free);
}

static void an_empty_table_answers_everything(void **state) {
    (void)state;
    struct table t;
    void *out[3];
    table_init(&t, &ops);
    assert_null(table_find(&t, LIT("a"), hash_bytes(LIT("a"))));
    assert_null(table_remove(&t, LIT("a"), hash_bytes(LIT("a"))));
    table_prefetch_bucket(&t, 1);
    table_prefetch_item(&t, 1);
    assert_null(table_random(&t, 5));
    assert_int_equal(table_sample(&t, 5, out, 3), 0);
    assert_int_equal(table_scan(&t, 77, NULL, NULL), 0);
    assert_int_equal(table_walk_marked(&t, 77, 10, NULL, NULL), 0);
    assert_int_equal(table_remove_if(&t, NULL, NULL), 0);
    assert_true(table_each(&t, NULL, NULL));
    assert_false(table_move_some(&t, 10));
    table_check(&t);
    table_release(&t, NULL);
}

/* ---- Walks ---- */

struct seen {
    const struct model *model;
    uint32_t *times; /* by id */
    size_t left;     /* calls until it stops, for table_each */
};

static void see(void *arg, void *item) {
    struct seen *s = arg;
    struct item *i = item;
    assert_ptr_equal(s->model->items[i->id], i);
    s->times[i->id]++;
}

static bool see_some(void *arg, void *item) {
    struct seen *s = arg;
    see(arg, item);
    return s->left-- > 1;
}

static void each_sees_every_item_once_and_stops_when_told(void **state) {
    (void)state;
    struct model m;
    model_init(&m, 5000, NULL);
    for (uint32_t id = 0; id < m.ids; id++) {
        model_insert(&m, id);
        if (id % 97 != 0) continue;
        struct seen s = { &m, mem_alloc_zero(m.ids * sizeof(uint32_t)), SIZE_MAX };
        assert_true(table_each(&m.table, see_some, &s));
        for (uint32_t other = 0; other < m.ids; other++)
            assert_int_equal(s.times[other], m.items[other] != NULL);
        s.left = 1 + id / 2;
        assert_false(table_each(&m.table, see_some, &s));
        assert_int_equal(s.left, 0);
        mem_free(s.times);
    }
    model_release(&m);
}

/* Ids below `stable` stay for the whole iteration; the others come and go in waves between two calls. */
static void scan_once(uint32_t stable, uint32_t ids, uint32_t wave) {
    struct model m;
    model_init(&m, ids, NULL);
    for (uint32_t id = 0; id < stable; id++) model_insert(&m, id);
    bool up = chance() & 256;
    if (!up)
        for (uint32_t id = stable; id < ids; id++) model_insert(&m, id);
    struct seen s = { &m, mem_alloc_zero(ids * sizeof(uint32_t)), 0 };
    uint64_t cursor = 0;
    do {
        cursor = table_scan(&m.table, cursor, see, &s);
        if (chance_below(20) == 0) up = !up;
        for (uint32_t n = chance_below(wave); n > 0 && stable < ids; n--) {
            uint32_t id = stable + chance_below(ids - stable);
            if (up)
                model_insert(&m, id);
            else
                model_remove(&m, id);
        }
        table_move_some(&m.table, chance_below(3));
    } while (cursor != 0);
    for (uint32_t id = 0; id < stable; id++) assert_true(s.times[id] >= 1);
    table_check(&m.table);
    mem_free(s.times);
    model_release(&m);
}

static void a_scan_misses_nothing_however_the_table_changes(void **state) {
    (void)state;
    static const struct { uint32_t stable, ids, wave; } shapes[] = {
        { 1, 1, 1 },      { 7, 7, 1 },        { 8, 8, 1 },        { 500, 500, 1 },     { 20, 400, 40 },
        { 100, 5000, 8 }, { 100, 5000, 500 }, { 300, 20000, 2000 }, { 3, 20000, 4000 }, { 3000, 6000, 50 },
        { 20000, 90000, 900 },
    };
    for (size_t s = 0; s < COUNT_OF(shapes); s++)
        for (int round = 0; round < (shapes[s].ids < 50000 ? 12 : 3); round++)
            scan_once(shapes[s].stable, shapes[s].ids, shapes[s].wave);
}

static void a_scan_of_a_table_that_stays_sees_each_item_once(void **state) {
    (void)state;
    struct model m;
    model_init(&m, 40000, NULL);
    uint32_t id = 0;
    for (uint32_t count = 1; count < m.ids; count += count / 3 + 1) {
        for (; id < count; id++) model_insert(&m, id);
        struct seen s = { &m, mem_alloc_zero(m.ids * sizeof(uint32_t)), 0 };
        uint64_t cursor = 0;
        do {
            cursor = table_scan(&m.table, cursor, see, &s);
            assert_true(cursor < (uint64_t)1 << 41);
        } while (cursor != 0);
        for (uint32_t other = 0; other < m.ids; other++) assert_int_equal(s.times[other], other < count);
        mem_free(s.times);
    }
    model_release(&m);
}

/* Once, and a walk in order knows at any time which it has met: also of those that come and go meanwhile. */
static void walk_in_order_once(uint32_t stable, uint32_t ids, uint32_t wave) {
    struct model m;
    model_init(&m, ids, NULL);
    for (uint32_t id = 0; id < ids; id++)
        if (id < stable || chance() & 1) model_insert(&m, id);
    struct seen s = { &m, mem_alloc_zero(ids * sizeof(uint32_t)), 0 };
    for (uint64_t at = 0; at < TABLE_ORDER_END;) {
        at = table_visit_from(&m.table, at, see, &s);
        for (uint32_t id = 0; id < stable; id++)
            assert_int_equal(s.times[id], table_order(item_hash(m.items[id])) < at);
        bool up = chance() & 256;
        for (uint32_t n = chance_below(wave); n > 0 && stable < ids; n--) {
            uint32_t id = stable + chance_below(ids - stable);
            if (up)
                model_insert(&m, id);
            else
                model_remove(&m, id);
        }
        table_move_some(&m.table, chance_below(3));
    }
    mem_free(s.times);
    model_release(&m);
}

static void a_walk_in_order_meets_each_once_however_the_table_changes(void **state) {
    (void)state;
    static const struct { uint32_t stable, ids, wave; } shapes[] = {
        { 1, 1, 1 }, { 8, 8, 1 }, { 20, 400, 40 }, { 100, 5000, 500 }, { 300, 9000, 2000 }, { 900, 1000, 90 },
    };
    for (size_t s = 0; s < COUNT_OF(shapes); s++)
        for (int round = 0; round < 8; round++)
            walk_in_order_once(shapes[s].stable, shapes[s].ids, shapes[s].wave);
}

static void any_number_is_taken_for_a_cursor(void **state) {
    (void)state;
    struct model m;
    model_init(&m, 3000, NULL);
    for (uint32_t id = 0; id < m.ids; id++) {
        model_insert(&m, id);
        if (id % 100 != 7) continue;
        struct seen s = { &m, mem_alloc_zero(m.ids * sizeof(uint32_t)), 0 };
        for (int tries = 0; tries < 50; tries++) {
            uint64_t cursor = chance() >> (chance() & 63);
            for (uint32_t calls = 0; cursor != 0; calls++) {
                cursor = table_scan(&m.table, cursor, see, &s);
                assert_true(calls < m.ids);
            }
        }
        mem_free(s.times);
    }
    model_release(&m);
}

/* ---- Marks ---- */

enum plan { PLAN_UNMARKED, PLAN_KEEP, PLAN_UNMARK, PLAN_REMOVE };

struct walk {
    struct model *model;
    uint8_t *plan; /* by id */
    uint32_t *times;
    size_t calls;
};

static enum table_verdict walk_as_planned(void *arg, void *item) {
    struct walk *w = arg;
    struct item *i = item;
    assert_ptr_equal(w->model->items[i->id], i);
    w->times[i->id]++;
    w->calls++;
    /* A look-up by the callback is allowed, and must not meet what was freed. */
    model_look(w->model, chance_below(w->model->ids));
    if (w->plan[i->id] == PLAN_KEEP) return TABLE_KEEP;
    if (w->plan[i->id] != PLAN_REMOVE) return TABLE_UNMARK;
    model_forget(w->model, i->id);
    return TABLE_REMOVE;
}

static void walk_all(struct walk *w) {
    size_t cursor = 0;
    memset(w->times, 0, w->model->ids * sizeof *w->times);
    w->calls = 0;
    do cursor = table_walk_marked(&w->model->table, cursor, 1 + chance_below(7), walk_as_planned, w);
    while (cursor != 0);
}

static void mark(struct walk *w, uint32_t id, enum plan plan) {
    w->plan[id] = (uint8_t)plan;
    table_mark(&w->model->table, w->model->items[id], item_hash(w->model->items[id]));
}

static void marks_survive_growing_and_shrinking(void **state) {
    (void)state;
    struct model m;
    model_init(&m, 6000, NULL);
    struct walk w = { &m, mem_alloc_zero(m.ids), mem_alloc_zero(m.ids * sizeof(uint32_t)), 0 };
    for (uint32_t id = 0; id < 5; id++) {
        model_insert(&m, id);
        mark(&w, id, PLAN_KEEP);
    }
    for (uint32_t step = 0; step < 2 * m.ids; step++) {
        if (step < m.ids)
            model_insert(&m, step);
        else if (step - m.ids >= 5)
            model_remove(&m, step - m.ids);
        if (step % 101 != 0) continue;
        walk_all(&w);
        for (uint32_t id = 0; id < 5; id++) assert_int_equal(w.times[id], 1);
        assert_true(w.calls <= 5 * 2 * 16);
    }
    model_check(&m);
    mem_free(w.plan);
    mem_free(w.times);
    model_release(&m);
}

/* Walks `m` after giving each item a plan, with the table at rest or moving. */
static void walk_round(struct model *m, struct walk *w, bool rest) {
    for (uint32_t id = 0; id < m->ids; id++) {
        w->plan[id] = PLAN_UNMARKED;
        if (chance_below(3) == 0) model_insert(m, id);
        if (m->items[id] && chance_below(4) == 0) mark(w, id, (enum plan)(1 + chance_below(3)));
    }
    while (rest && table_move_some(&m->table, 5)) continue;
    uint8_t *had = mem_alloc_zero(m->ids);
    for (uint32_t id = 0; id < m->ids; id++) had[id] = m->items[id] != NULL;
    size_t cursor = 0;
    memset(w->times, 0, m->ids * sizeof *w->times);
    do cursor = table_walk_marked(&m->table, cursor, 4, walk_as_planned, w);
    while (cursor != 0);
    model_check_all(m);
    for (uint32_t id = 0; id < m->ids; id++) {
        if (!had[id]) continue;
        if (w->plan[id] != PLAN_UNMARKED) assert_true(w->times[id] >= 1);
        if (w->plan[id] == PLAN_REMOVE) assert_int_equal(w->times[id], 1);
        assert_int_equal(m->items[id] == NULL, w->plan[id] == PLAN_REMOVE);
    }
    mem_free(had);
}

static void a_walk_removes_what_its_visitor_gives_up(void **state) {
    (void)state;
    static const uint32_t sizes[] = { 5, 9, 30, 100, 2000 };
    uint32_t collide[100];
    colliding_numbers(collide, COUNT_OF(collide), 0xfe000000, 0x22000000);
    for (size_t s = 0; s < 2 * COUNT_OF(sizes) - 1; s++) {
        uint32_t ids = sizes[s % COUNT_OF(sizes)];
        struct model m;
        model_init(&m, ids, s < COUNT_OF(sizes) ? NULL : collide);
        struct walk w = { &m, mem_alloc_zero(ids), mem_alloc_zero(ids * sizeof(uint32_t)), 0 };
        for (int round = 0; round < 20; round++) walk_round(&m, &w, round % 2);
        mem_free(w.plan);
        mem_free(w.times);
        model_release(&m);
    }
}

static void a_bucket_without_a_keeper_loses_its_mark(void **state) {
    (void)state;
    struct model m;
    model_init(&m, 1000, NULL);
    struct walk w = { &m, mem_alloc_zero(m.ids), mem_alloc_zero(m.ids * sizeof(uint32_t)), 0 };
    for (uint32_t id = 0; id < m.ids; id++) {
        model_insert(&m, id);
        mark(&w, id, PLAN_UNMARK);
    }
    mark(&w, 77, PLAN_KEEP);
    walk_all(&w);
    assert_int_equal(w.calls, m.count);
    walk_all(&w);
    assert_in_range(w.calls, 1, 40); /* the chain of item 77 only */
    assert_int_equal(w.times[77], 1);
    mark(&w, 77, PLAN_UNMARK);
    walk_all(&w);
    walk_all(&w);
    assert_int_equal(w.calls, 0);
    mem_free(w.plan);
    mem_free(w.times);
    model_release(&m);
}

static bool forget_all_but_one(void *arg, void *item) {
    struct model *m = arg;
    struct item *i = item;
    if (i->id == 4710) return false;
    model_forget(m, i->id);
    return true;
}

static bool forget_all(void *arg, void *item) {
    model_forget(arg, ((struct item *)item)->id);
    return true;
}

static void remove_if_takes_out_what_it_is_told_and_gives_memory_back(void **state) {
    (void)state;
    struct model m;
    model_init(&m, 20000, NULL);
    for (uint32_t id = 0; id < m.ids; id++) model_insert(&m, id);
    assert_int_equal(table_remove_if(&m.table, id_is_odd_third, &m), 6667);
    model_check_all(&m);
    size_t before = m.count;
    assert_int_equal(table_remove_if(&m.table, forget_all_but_one, &m), before - 1);
    model_check_all(&m);
    while (table_move_some(&m.table, 100)) model_check(&m);
    assert_int_equal(table_memory(&m.table), 64);
    model_check_all(&m);
    assert_int_equal(table_remove_if(&m.table, forget_all, &m), 1);
    assert_int_equal(table_memory(&m.table), 0);
    model_release(&m);
}

/* ---- In the order of a scan ---- */

static void note_id(void *arg, void *item) {
    uint32_t **next = arg;
    *(*next)++ = ((struct item *)item)->id;
}

/* All ids of the model as a scan meets them. The caller frees them. */
static uint32_t *ids_as_scanned(struct model *m) {
    uint32_t *ids = mem_alloc(m->count * sizeof *ids), *next = ids;
    uint64_t cursor = 0;
    do cursor = table_scan(&m->table, cursor, note_id, &next);
    while (cursor != 0);
    assert_int_equal(next - ids, m->count);
    return ids;
}

/* What is left lies in a few groups in the end, and they are one, with a long chain. */
static void items_that_go_as_a_scan_meets_them_leave_a_right_table(void **state) {
    (void)state;
    struct model m;
    model_init(&m, 4000, NULL);
    for (uint32_t id = 0; id < m.ids; id++) model_insert(&m, id);
    uint32_t *ids = ids_as_scanned(&m), most = 0;
    for (uint32_t i = 0; i < m.ids; i++) {
        model_remove(&m, ids[i]);
        if (i % 16 == 0) model_check(&m);
        if (i % 500 == 0) model_check_all(&m);
        if (m.table.chained > most) most = m.table.chained;
    }
    assert_true(most > 20);
    for (uint32_t i = m.ids; i-- > 0;) { /* and the way back */
        model_insert(&m, ids[i]);
        if (i % 16 == 0) model_check(&m);
    }
    model_check_all(&m);
    mem_free(ids);
    model_release(&m);
}

/* ---- Chance ---- */

static void every_item_is_drawn_about_as_often(void **state) {
    (void)state;
    static const uint32_t sizes[] = { 1, 3, 7, 8, 20, 100, 460 }; /* 460: just began to grow */
    for (size_t s = 0; s < COUNT_OF(sizes); s++) {
        struct model m;
        model_init(&m, sizes[s], NULL);
        for (uint32_t id = 0; id < m.ids; id++) model_insert(&m, id);
        uint32_t *times = mem_alloc_zero(m.ids * sizeof(uint32_t));
        const uint32_t each = 400;
        for (uint32_t draw = 0; draw < each * m.ids; draw++) {
            struct item *i = table_random(&m.table, chance());
            times[i->id]++;
        }
        double chi = 0;
        for (uint32_t id = 0; id < m.ids; id++) {
            double off = (double)times[id] - each;
            chi += off * off / each;
        }
        /* The mean is the degrees of freedom, the deviation the root of twice that: 100 + 50 % is far out. */
        assert_true(chi < 1.5 * m.ids + 30);
        mem_free(times);
        model_release(&m);
    }
}

static void a_sample_has_no_item_twice_and_reaches_every_item(void **state) {
    (void)state;
    static const struct { uint32_t ids, max; } shapes[] = {
        { 1, 5 },   { 5, 5 },   { 7, 3 },    { 9, 20 },    { 440, 1 },
        { 440, 5 }, { 460, 5 }, { 460, 40 }, { 3000, 10 },
    };
    for (size_t s = 0; s < COUNT_OF(shapes); s++) {
        struct model m;
        model_init(&m, shapes[s].ids, NULL);
        for (uint32_t id = 0; id < m.ids; id++) model_insert(&m, id);
        uint32_t *times = mem_alloc_zero(m.ids * sizeof(uint32_t));
        uint32_t *last = mem_alloc_zero(m.ids * sizeof(uint32_t));
        void *out[40];
        for (uint32_t draw = 1; draw <= 60 * m.ids; draw++) {
            size_t got = table_sample(&m.table, chance(), out, shapes[s].max);
            assert_int_equal(got, shapes[s].max < m.ids ? shapes[s].max : m.ids);
            for (size_t i = 0; i < got; i++) {
                uint32_t id = ((struct item *)out[i])->id;
                assert_int_not_equal(last[id], draw);
                last[id] = draw;
                times[id]++;
            }
        }
        for (uint32_t id = 0; id < m.ids; id++) assert_true(times[id] > 0);
        mem_free(times);
        mem_free(last);
        model_release(&m);
    }
}

static void a_sparse_table_still_gives_samples(void **state) {
    (void)state;
    struct model m;
    model_init(&m, 100, NULL);
    table_reserve(&m.table, 200000);
    void *out[5];
    for (uint32_t id = 0; id < m.ids; id++) {
        model_insert(&m, id);
        assert_non_null(table_random(&m.table, chance()));
        assert_in_range(table_sample(&m.table, chance(), out, 5), 1, 5);
    }
    model_release(&m);
}

/* ---- Size ---- */

static void reserved_room_is_not_grown_again(void **state) {
    (void)state;
    struct model m;
    model_init(&m, 20000, NULL);
    for (uint32_t id = 0; id < 40; id++) model_insert(&m, id);
    table_reserve(&m.table, 20000);
    uint8_t shift = m.table.shift[0], lines = m.table.lines[0];
    for (uint32_t id = 0; id < m.ids; id++) model_insert(&m, id);
    assert_false(is_moving(&m.table));
    assert_int_equal(m.table.shift[0], shift);
    assert_int_equal(m.table.lines[0], lines);
    model_check_all(&m);
    model_release(&m);
}

/* Buckets that a look-up reads if its key is not there, on average. */
static double reads_of_a_miss(const struct table *t) {
    struct table_survey sum = { 0 };
    table_survey(t, &sum);
    double reads = 0, ways = 0;
    for (size_t i = 0; i < TABLE_WAYS; i++) {
        reads += (double)((i + 1) * sum.ways[i]);
        ways += (double)sum.ways[i];
    }
    assert_int_equal(sum.items, table_count(t));
    assert_int_equal(ways, sum.buckets);
    return reads / ways;
}

/* Flags that say "go on" would pile up if nobody took them away. */
static void look_ups_stay_short_while_items_come_and_go(void **state) {
    (void)state;
    struct model m;
    model_init(&m, 60000, NULL);
    for (uint32_t id = 0; id < m.ids / 2; id++) model_insert(&m, id);
    double fresh = reads_of_a_miss(&m.table);
    for (uint32_t step = 0; step < 150000; step++) {
        uint32_t in = chance_below(m.ids), out = chance_below(m.ids);
        if (m.items[in] || !m.items[out]) continue;
        model_insert(&m, in);
        model_remove(&m, out);
    }
    model_check(&m);
    assert_true(reads_of_a_miss(&m.table) < 1.1 * fresh);
    model_release(&m);
}

static void a_million_items_come_and_go_in_fair_memory(void **state) {
    (void)state;
    struct model m;
    model_init(&m, 1000000, NULL);
    for (uint32_t id = 0; id < m.ids; id++) {
        model_insert(&m, id);
        if (id > 100) assert_true(2 * table_memory(&m.table) < 27 * m.count);
        /* Past one block it grows by little at a time, so it is always as dense. */
        if (id > 500000) assert_true(10 * table_memory(&m.table) < 108 * m.count);
        if (id % 99991 == 0) model_check(&m);
    }
    for (uint32_t id = 0; id < m.ids; id++) {
        model_remove(&m, id);
        if (m.count > 100) assert_true(table_memory(&m.table) < 18 * m.count);
        if (id % 99991 == 0) model_check(&m);
    }
    assert_int_equal(table_memory(&m.table), 0);
    model_release(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_agrees_with_a_model),
        cmocka_unit_test(colliding_keys_are_told_apart),
        cmocka_unit_test(a_full_group_chains_and_unchains),
        cmocka_unit_test(a_table_that_may_not_grow_chains),
        cmocka_unit_test(eight_items_take_one_cache_line),
        cmocka_unit_test(some_bits_of_a_hash_are_the_callers),
        cmocka_unit_test(an_empty_table_answers_everything),
        cmocka_unit_test(each_sees_every_item_once_and_stops_when_told),
        cmocka_unit_test(a_scan_misses_nothing_however_the_table_changes),
        cmocka_unit_test(a_scan_of_a_table_that_stays_sees_each_item_once),
        cmocka_unit_test(a_walk_in_order_meets_each_once_however_the_table_changes),
        cmocka_unit_test(any_number_is_taken_for_a_cursor),
        cmocka_unit_test(marks_survive_growing_and_shrinking),
        cmocka_unit_test(a_walk_removes_what_its_visitor_gives_up),
        cmocka_unit_test(a_bucket_without_a_keeper_loses_its_mark),
        cmocka_unit_test(remove_if_takes_out_what_it_is_told_and_gives_memory_back),
        cmocka_unit_test(items_that_go_as_a_scan_meets_them_leave_a_right_table),
        cmocka_unit_test(every_item_is_drawn_about_as_often),
        cmocka_unit_test(a_sample_has_no_item_twice_and_reaches_every_item),
        cmocka_unit_test(a_sparse_table_still_gives_samples),
        cmocka_unit_test(reserved_room_is_not_grown_again),
        cmocka_unit_test(look_ups_stay_short_while_items_come_and_go),
        cmocka_unit_test(a_million_items_come_and_go_in_fair_memory),
    };
    return cmocka_run_group_tests(tests, fix_the_secret, NULL);
}
