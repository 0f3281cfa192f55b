/* test_table.c: the hash table beside a plain array that knows what should be in it. */
#include "trivet/base/hashing.h"
#include "trivet/base/mem.h"
#include "trivet/types/structures/table.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define KEY_ROOM 24

struct item {
    uint32_t id;
    uint32_t key_len;
    char key[KEY_ROOM];
};

static struct slice item_key(const void *item) {
    const struct item *i = item;
    return slice_make(i->key, i->key_len);
}

static const struct table_ops ops = { item_key };

static uint64_t chance_state;
static uint64_t chance(void) {
    chance_state ^= chance_state << 13;
    chance_state ^= chance_state >> 7;
    return chance_state ^= chance_state << 17;
}
static uint32_t chance_below(uint64_t bound) { return (uint32_t)((chance() >> 20) % bound); }

/* The same secret in every run, so that a failure can be repeated. */
static int fix_the_secret(void **state) {
    (void)state;
    chance_state = 0x9e3779b97f4a7c15ULL;
    for (size_t i = 0; i < HASH_SECRET_SIZE; i++) hash_secret[i] = (unsigned char)(chance() >> 32);
    return 0;
}

static void *new_item(uint32_t id, uint32_t number) {
    struct item *i = mem_alloc(sizeof *i);
    i->id = id;
    i->key_len = (uint32_t)snprintf(i->key, KEY_ROOM, "key:%u", number);
    return i;
}

static uint64_t item_hash(const void *item) { return hash_bytes(item_key(item)); }
static uint64_t number_hash(uint32_t number) {
    char text[KEY_ROOM];
    return hash_bytes(slice_make(text, (size_t)snprintf(text, sizeof text, "key:%u", number)));
}

/* ---- The model: `items[id]` is the item that should be in the table, or NULL ---- */

struct model {
    struct table table;
    struct item **items;
    const uint32_t *numbers; /* number of the key of each id; NULL: the id itself */
    uint32_t ids;
    size_t count;
};

static void model_init(struct model *m, uint32_t ids, const uint32_t *numbers) {
    *m = (struct model){ .numbers = numbers, .ids = ids };
    m->items = mem_alloc_zero(ids * sizeof(struct item *));
    table_init(&m->table, &ops);
}

static void model_release(struct model *m) {
    table_release(&m->table, mem_free);
    assert_int_equal(table_count(&m->table), 0);
    assert_int_equal(table_memory(&m->table), 0);
    mem_free(m->items);
}

static void model_insert(struct model *m, uint32_t id) {
    if (m->items[id]) return;
    m->items[id] = new_item(id, m->numbers ? m->numbers[id] : id);
    table_insert(&m->table, m->items[id], item_hash(m->items[id]));
    m->count++;
}

static void model_forget(struct model *m, uint32_t id) {
    mem_free(m->items[id]);
    m->items[id] = NULL;
    m->count--;
}

static void model_remove(struct model *m, uint32_t id) {
    struct item *i = m->items[id];
    if (!i) return;
    assert_ptr_equal(table_remove(&m->table, item_key(i), item_hash(i)), i);
    assert_null(table_remove(&m->table, item_key(i), item_hash(i)));
    model_forget(m, id);
}

static void model_remove_item(struct model *m, uint32_t id) {
    struct item *i = m->items[id];
    if (!i) return;
    table_remove_item(&m->table, i, item_hash(i));
    model_forget(m, id);
}

static void model_replace(struct model *m, uint32_t id) {
    struct item *old = m->items[id];
    if (!old) return;
    struct item *other = new_item(id, m->numbers ? m->numbers[id] : id);
    void **slot = chance() & 4096 ? table_find_slot(&m->table, item_key(old), item_hash(old))
                                  : table_slot_of(&m->table, old, item_hash(old));
    assert_ptr_equal(*slot, old);
    *slot = other;
    mem_free(old);
    m->items[id] = other;
}

static void model_look(struct model *m, uint32_t id) {
    struct item *probe = new_item(id, m->numbers ? m->numbers[id] : id);
    uint64_t hash = item_hash(probe);
    table_prefetch_bucket(&m->table, hash);
    table_prefetch_item(&m->table, hash);
    assert_ptr_equal(table_find(&m->table, item_key(probe), hash), m->items[id]);
    void **slot = table_find_slot(&m->table, item_key(probe), hash);
    assert_ptr_equal(slot ? *slot : NULL, m->items[id]);
    mem_free(probe);
}

static bool id_is_odd_third(void *arg, void *item) {
    struct model *m = arg;
    struct item *i = item;
    assert_ptr_equal(m->items[i->id], i);
    if (i->id % 3 != 1) return false;
    model_forget(m, i->id);
    return true;
}

static void model_check(const struct model *m) {
    table_check(&m->table);
    assert_int_equal(table_count(&m->table), m->count);
}

static void model_check_all(struct model *m) {
    model_check(m);
    for (uint32_t id = 0; id < m->ids; id++) model_look(m, id);
}

/* One random thing; `growing` of 100 insert, most others remove. */
static void model_step(struct model *m, uint32_t growing) {
    uint32_t id = chance_below(m->ids), dice = chance_below(100);
    if (dice < growing)
        model_insert(m, id);
    else if (dice < 93)
        chance() & 65536 ? model_remove(m, id) : model_remove_item(m, id);
    else if (dice < 95)
        model_look(m, id);
    else if (dice < 97)
        model_replace(m, id);
    else if (dice < 99)
        table_move_some(&m->table, chance_below(4));
    else if (chance_below(40) == 0)
        table_reserve(&m->table, m->count + chance_below(200));
    else if (chance_below(40) == 0)
        table_remove_if(&m->table, id_is_odd_third, m);
}

static void it_agrees_with_a_model(void **state) {
    (void)state;
    static const struct { uint32_t ids, steps, check_each; } sizes[] = {
        { 1, 200, 1 },      { 8, 2000, 1 },      { 16, 3000, 1 },
        { 100, 10000, 1 },  { 1000, 40000, 50 }, { 30000, 150000, 5000 },
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

/* Numbers of keys whose hashes agree in all bits of `mask` with the first one found. */
static void colliding_numbers(uint32_t *numbers, size_t count, uint64_t mask, uint64_t want) {
    uint32_t number = 0;
    for (size_t got = 0; got < count; number++)
        if ((number_hash(number) & mask) == want) numbers[got++] = number;
}

static void colliding_keys_are_told_apart(void **state) {
    (void)state;
    static const struct { uint64_t mask, want; } same[] = {
        { 0xff, 0x17 },                                   /* one chain in a table of up to 256 buckets */
        { 0xff000000000000ffULL, 0x4200000000000017ULL }, /* and one tag */
        { 0xfe00000000000007ULL, 0x0000000000000005ULL }, /* tags 0 and 1: the table takes both for 1 */
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

static void a_long_chain_shrinks_to_one_bucket(void **state) {
    (void)state;
    enum { KEYS = 40 };
    uint32_t numbers[KEYS];
    colliding_numbers(numbers, KEYS, 0xff, 0x33);
    struct model m;
    model_init(&m, KEYS, numbers);
    for (uint32_t id = 0; id < KEYS; id++) model_insert(&m, id);
    while (table_move_some(&m.table, 8)) continue;
    assert_int_equal(m.table.chained, 6); /* six buckets of 6, and 4 items in the last */
    while (m.count > 7) {
        uint32_t id = chance_below(KEYS);
        model_remove(&m, id);
        model_check(&m);
        size_t needed = m.count <= 7 ? 0 : (m.count - 2) / 6;
        assert_int_equal(m.table.chained, needed);
    }
    model_release(&m);
}

static void seven_items_take_one_cache_line(void **state) {
    (void)state;
    struct model m;
    model_init(&m, 8, NULL);
    assert_int_equal(table_memory(&m.table), 0);
    for (uint32_t id = 0; id < 7; id++) {
        model_insert(&m, id);
        assert_int_equal(table_memory(&m.table), 64);
    }
    model_insert(&m, 7);
    assert_true(table_memory(&m.table) >= 128);
    for (uint32_t id = 0; id < 8; id++) model_remove(&m, id);
    assert_int_equal(table_memory(&m.table), 0);
    model_release(&m);
}

static void an_empty_table_answers_everything(void **state) {
    (void)state;
    struct table t;
    void *out[3];
    table_init(&t, &ops);
    assert_null(table_find(&t, LIT("a"), hash_bytes(LIT("a"))));
    assert_null(table_find_slot(&t, LIT("a"), hash_bytes(LIT("a"))));
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
        if (id % 97 != 0 && !table_is_moving(&m.table)) continue;
        if (id % 13 != 0) continue;
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
    };
    for (size_t s = 0; s < COUNT_OF(shapes); s++)
        for (int round = 0; round < 12; round++) scan_once(shapes[s].stable, shapes[s].ids, shapes[s].wave);
}

static void a_scan_of_a_table_at_rest_sees_each_item_once(void **state) {
    (void)state;
    struct model m;
    model_init(&m, 3000, NULL);
    for (uint32_t id = 0; id < m.ids; id++) model_insert(&m, id);
    for (int moving = 0; moving < 2; moving++) {
        struct seen s = { &m, mem_alloc_zero(m.ids * sizeof(uint32_t)), 0 };
        uint64_t cursor = 0;
        do cursor = table_scan(&m.table, cursor, see, &s);
        while (cursor != 0);
        for (uint32_t id = 0; id < m.ids; id++) assert_int_equal(s.times[id], 1);
        mem_free(s.times);
        while (table_move_some(&m.table, 10)) continue;
        table_reserve(&m.table, 20000); /* makes it move, for the second round */
        assert_int_equal(table_is_moving(&m.table), true);
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
        assert_true(w->times[id] <= 1);
        if (w->plan[id] != PLAN_UNMARKED) assert_int_equal(w->times[id], 1);
        assert_int_equal(m->items[id] == NULL, w->plan[id] == PLAN_REMOVE);
    }
    mem_free(had);
}

static void a_walk_removes_what_its_visitor_gives_up(void **state) {
    (void)state;
    static const uint32_t sizes[] = { 5, 9, 30, 100, 2000 };
    uint32_t collide[100];
    colliding_numbers(collide, COUNT_OF(collide), 0x7f, 0x11);
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

/* ---- Freezing ---- */

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

/* Some steps in one direction; fewer if the table begins to move, unless it shall rest. */
static void change_until_moving(struct model *m, uint32_t steps, bool rest) {
    uint32_t growing = chance_below(2) ? 3 : 85;
    for (uint32_t k = chance_below(2 * steps); k > 0 && (rest || !table_is_moving(&m->table)); k--)
        model_step(m, growing);
}

static void a_frozen_table_hands_over_each_item_once_as_it_was(void **state) {
    (void)state;
    uint32_t same[60];
    colliding_numbers(same, COUNT_OF(same), 0x1f, 0x11);
    const struct { uint32_t ids, steps, rounds; size_t most; const uint32_t *numbers; } sizes[] = {
        { 1, 20, 40, 1, NULL },     { 8, 100, 60, 8, NULL },      { 60, 400, 100, 50, NULL },
        { 60, 400, 100, 60, same }, { 1000, 3000, 60, 50, NULL }, { 20000, 30000, 30, 50, NULL },
    };
    size_t growing = 0, shrinking = 0, empty = 0;
    for (size_t s = 0; s < COUNT_OF(sizes); s++) {
        struct model m;
        model_init(&m, sizes[s].ids, sizes[s].numbers);
        for (uint32_t round = 0; round < sizes[s].rounds; round++) {
            change_until_moving(&m, sizes[s].steps, round % 3 == 0);
            bool up = m.table.exponent[1] > m.table.exponent[0];
            *(up ? &growing : &shrinking) += table_is_moving(&m.table);
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
    assert_int_equal(f.visits, 1000); /* every chain has moved, so the walk finds none */
    assert_false(table_freeze_walk(&m.table, 1));
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

/* ---- Size ---- */

static void reserved_room_is_not_grown_again(void **state) {
    (void)state;
    struct model m;
    model_init(&m, 20000, NULL);
    for (uint32_t id = 0; id < 40; id++) model_insert(&m, id);
    table_reserve(&m.table, 20000);
    uint8_t exponent = m.table.exponent[table_is_moving(&m.table)];
    for (uint32_t id = 0; id < m.ids; id++) model_insert(&m, id);
    assert_false(table_is_moving(&m.table));
    assert_int_equal(m.table.exponent[0], exponent);
    model_check_all(&m);
    model_release(&m);
}

static void a_million_items_come_and_go_in_fair_memory(void **state) {
    (void)state;
    struct model m;
    model_init(&m, 1000000, NULL);
    for (uint32_t id = 0; id < m.ids; id++) {
        model_insert(&m, id);
        if (id > 1000 && !table_is_moving(&m.table)) assert_true(table_memory(&m.table) < 20 * m.count);
    }
    while (table_move_some(&m.table, 1000)) continue;
    assert_true(table_memory(&m.table) < 20 * m.count);
    model_check(&m);
    for (uint32_t id = 0; id < m.ids; id++) {
        model_remove(&m, id);
        if (m.count > 1000) assert_true(table_memory(&m.table) < 120 * m.count);
    }
    assert_int_equal(table_memory(&m.table), 0);
    model_release(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_agrees_with_a_model),
        cmocka_unit_test(colliding_keys_are_told_apart),
        cmocka_unit_test(a_long_chain_shrinks_to_one_bucket),
        cmocka_unit_test(seven_items_take_one_cache_line),
        cmocka_unit_test(an_empty_table_answers_everything),
        cmocka_unit_test(each_sees_every_item_once_and_stops_when_told),
        cmocka_unit_test(a_scan_misses_nothing_however_the_table_changes),
        cmocka_unit_test(a_scan_of_a_table_at_rest_sees_each_item_once),
        cmocka_unit_test(marks_survive_growing_and_shrinking),
        cmocka_unit_test(a_walk_removes_what_its_visitor_gives_up),
        cmocka_unit_test(a_bucket_without_a_keeper_loses_its_mark),
        cmocka_unit_test(remove_if_takes_out_what_it_is_told_and_gives_memory_back),
        cmocka_unit_test(every_item_is_drawn_about_as_often),
        cmocka_unit_test(a_sample_has_no_item_twice_and_reaches_every_item),
        cmocka_unit_test(a_sparse_table_still_gives_samples),
        cmocka_unit_test(a_frozen_table_hands_over_each_item_once_as_it_was),
        cmocka_unit_test(a_frozen_table_grows_and_shrinks_and_is_handed_over_by_it),
        cmocka_unit_test(reserved_room_is_not_grown_again),
        cmocka_unit_test(a_million_items_come_and_go_in_fair_memory),
    };
    return cmocka_run_group_tests(tests, fix_the_secret, NULL);
}
