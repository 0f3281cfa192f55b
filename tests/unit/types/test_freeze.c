/* test_freeze.c: values change at random while they are saved piece by piece. Beside each stands a model:
 * what should be in the value now, and what was in it when it was frozen, which is what the visits have to
 * be. */
#include "../chance.h"
#include "trivet/base/mem.h"
#include "trivet/types/freeze.h"
#include "trivet/types/hash.h"
#include "trivet/types/list.h"
#include "trivet/types/set.h"
#include "trivet/types/structures/listpack.h"
#include "trivet/types/zset.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define IDS 20000 /* different names */
#define TEXT_ROOM 6000

/* ---- hash, set, sorted set ---- */

/* What is known of a name; a set uses `there` only. */
struct cell {
    bool there;
    uint32_t value; /* stands for a text */
    int64_t expiry_ms;
    double score;
};

struct scene {
    const struct kind *kind;
    struct value value;
    struct cell now[IDS], then[IDS];
    uint8_t times[IDS]; /* visited */
    size_t ids, count;
    size_t visits;
    int64_t now_ms;
};

struct kind {
    const struct value_ops *ops;
    struct value (*make)(void);
    size_t (*count)(struct value v);
    void (*change)(struct scene *s, size_t id, bool adding);
    void (*change_many)(struct scene *s);
    void (*check)(struct value v);
    bool (*same)(const struct frozen_element *e, const struct cell *c);
    bool (*find)(struct value v, struct slice name, struct cell *out);
};

static struct slice name_of(size_t id, char *room) {
    return slice_make(room, (size_t)snprintf(room, 32, "name:%zu", id));
}

static size_t id_of(struct slice name) {
    char text[32] = "";
    assert_true(name.len > 5 && name.len < sizeof text);
    memcpy(text, name.ptr, name.len);
    return strtoul(text + 5, NULL, 10);
}

/* Texts of many lengths, so that a value that is overwritten fits into its place or does not. */
static struct slice text_of(uint32_t value, char *room) {
    int digits = snprintf(room, 32, "%u", value);
    if (value % 2) return slice_make(room, (size_t)digits);
    memset(room + digits, 'x', value % 60);
    return slice_make(room, (size_t)digits + value % 60);
}

static bool is_text_of(struct slice text, uint32_t value) {
    char room[128];
    return slice_equal(text, text_of(value, room));
}

static void put_cell(struct scene *s, size_t id, struct cell c) {
    s->count += c.there;
    s->count -= s->now[id].there;
    s->now[id] = c;
}

static void drop_cell(struct scene *s, size_t id) { put_cell(s, id, (struct cell){ .there = false }); }

static void drop_named(void *arg, struct slice name) {
    struct scene *s = arg;
    assert_true(s->now[id_of(name)].there);
    drop_cell(s, id_of(name));
}

/* A hash */

static void hash_change(struct scene *s, size_t id, bool adding) {
    char room[2][128];
    struct slice name = name_of(id, room[0]);
    struct cell c = s->now[id];
    if (!adding) {
        assert_int_equal(hash_remove(&s->value, name), c.there);
        drop_cell(s, id);
        return;
    }
    if (chance_below(4) == 0) { /* another time only */
        int64_t expiry_ms = chance_below(3) ? s->now_ms + (int64_t)chance_below(3000) : HASH_NO_EXPIRY;
        assert_int_equal(hash_set_expiry(&s->value, name, expiry_ms), c.there);
        if (c.there) s->now[id].expiry_ms = expiry_ms;
        return;
    }
    int64_t expiry_ms = chance_below(2) ? HASH_KEEP_EXPIRY : HASH_NO_EXPIRY;
    if (chance_below(5) == 0) expiry_ms = s->now_ms + (int64_t)chance_below(3000);
    uint32_t value = (uint32_t)chance_below(500);
    assert_int_equal(hash_set(&s->value, name, text_of(value, room[1]), expiry_ms), !c.there);
    if (expiry_ms == HASH_KEEP_EXPIRY) expiry_ms = c.there ? c.expiry_ms : HASH_NO_EXPIRY;
    put_cell(s, id, (struct cell){ .there = true, .value = value, .expiry_ms = expiry_ms });
}

static void hash_change_many(struct scene *s) {
    struct gone gone;
    s->now_ms += (int64_t)chance_below(200);
    hash_take_due(&s->value, s->now_ms, &gone);
    for (size_t i = 0; i < gone.count; i++) {
        assert_true(s->now[id_of(gone.names[i])].expiry_ms < s->now_ms);
        drop_named(s, gone.names[i]);
        mem_free(gone.items[i]);
    }
}

static bool hash_same(const struct frozen_element *e, const struct cell *c) {
    return is_text_of(e->value, c->value) && e->expiry_ms == c->expiry_ms;
}

static bool hash_read(struct value v, struct slice name, struct cell *out) {
    struct hash_field f;
    struct hash_scratch scratch;
    if (!hash_find(v, name, &f, &scratch)) return false;
    char text[128] = "";
    memcpy(text, f.value.ptr, f.value.len);
    *out = (struct cell){ .value = (uint32_t)strtoul(text, NULL, 10), .expiry_ms = f.expiry_ms };
    return is_text_of(f.value, out->value);
}

static struct value hash_make(void) {
    struct value v = hash_new();
    (void)hash_set(&v, LIT("a"), LIT(""), 1);
    (void)hash_remove(&v, LIT("a"));
    return v;
}

/* A set */

static void set_change(struct scene *s, size_t id, bool adding) {
    char room[32];
    if (adding)
        assert_int_equal(set_add(&s->value, name_of(id, room)), !s->now[id].there);
    else
        assert_int_equal(set_remove(&s->value, name_of(id, room)), s->now[id].there);
    put_cell(s, id, (struct cell){ .there = adding });
}

static void set_change_many(struct scene *s) {
    size_t most = chance_below(10) ? s->count / 8 : s->count;
    set_take(&s->value, chance_below(1 + most), drop_named, s);
}

static bool set_same(const struct frozen_element *e, const struct cell *c) {
    return c->there && e->value.len == 0 && e->score == 0 && e->expiry_ms == HASH_NO_EXPIRY;
}

static bool set_read(struct value v, struct slice name, struct cell *out) {
    *out = (struct cell){ .there = true };
    return set_contains(v, name);
}

static struct value set_make(void) { return set_new(LIT("a"), encoding_limits.set_entries + 1); }

/* A sorted set */

static void zset_change(struct scene *s, size_t id, bool adding) {
    char room[32];
    struct slice name = name_of(id, room);
    if (!adding) {
        assert_int_equal(zset_remove(&s->value, name), s->now[id].there);
        drop_cell(s, id);
        return;
    }
    double score = (double)chance_below(1000);
    unsigned how = s->now[id].there && chance_below(2) ? ZSET_ADD_TO : 0;
    (void)zset_put(&s->value, name, &score, how);
    put_cell(s, id, (struct cell){ .there = true, .score = score });
}

static void zset_change_many(struct scene *s) {
    if (s->count == 0) return;
    size_t rank = chance_below(s->count), most = (s->count - rank) / (chance_below(5) ? 20 : 1);
    size_t count = chance_below(1 + most);
    struct zset_walk w;
    zset_walk_begin(&w, s->value, rank, count, false);
    while (zset_walk_next(&w)) drop_named(s, w.member);
    zset_remove_range(&s->value, rank, count);
}

static bool zset_same(const struct frozen_element *e, const struct cell *c) { return e->score == c->score; }

static bool zset_read(struct value v, struct slice name, struct cell *out) {
    *out = (struct cell){ .there = true };
    return zset_score(v, name, &out->score);
}

static struct value zset_make(void) {
    struct value v = zset_new();
    zset_reserve(&v, encoding_limits.zset_entries + 1, 0);
    return v;
}

static const struct kind kinds[] = {
    { &hash_value_ops, hash_make, hash_count, hash_change,
      hash_change_many, hash_check, hash_same, hash_read },
    { &set_value_ops, set_make, set_count, set_change,
      set_change_many, set_check, set_same, set_read },
    { &zset_value_ops, zset_make, zset_count, zset_change,
      zset_change_many, zset_check, zset_same, zset_read },
};

/* All of them */

static void see(void *arg, const struct frozen_element *e) {
    struct scene *s = arg;
    size_t id = id_of(e->name);
    assert_true(s->then[id].there);
    assert_int_equal(s->times[id]++, 0);
    assert_true(s->kind->same(e, &s->then[id]));
    s->visits++;
}

static void check_live(struct scene *s) {
    s->kind->check(s->value);
    assert_int_equal(s->kind->count(s->value), s->count);
    for (size_t id = 0; id < s->ids; id++) {
        char room[32];
        struct cell found = { 0 };
        assert_int_equal(s->kind->find(s->value, name_of(id, room), &found), s->now[id].there);
        if (!s->now[id].there) continue;
        assert_int_equal(found.value, s->now[id].value);
        assert_int_equal(found.expiry_ms, s->now[id].expiry_ms);
        assert_true(found.score == s->now[id].score);
    }
}

/* A group of buckets has some 30 elements; a change concerns up to three, if the table grows or shrinks. */
#define VISITS_MAX 150

static void change_one(struct scene *s, size_t adding) {
    size_t visits = s->visits;
    s->kind->change(s, chance_below(s->ids), chance_below(100) < adding);
    assert_true(s->visits - visits <= VISITS_MAX);
}

static struct frozen *freeze(struct scene *s) {
    memcpy(s->then, s->now, sizeof s->now);
    memset(s->times, 0, sizeof s->times);
    s->visits = 0;
    assert_true(value_can_freeze(s->value));
    assert_null(value_frozen(s->value));
    struct frozen *f = value_freeze(s->value, see, s);
    assert_false(value_can_freeze(s->value));
    assert_ptr_equal(value_frozen(s->value), f);
    assert_int_equal(frozen_count(f), s->count);
    return f;
}

/* Changes that add `adding` times of a hundred, while the value is frozen, and walked to the end or not. */
static void frozen_round(struct scene *s, size_t steps, size_t adding) {
    struct frozen *f = freeze(s);
    void *address = s->value.ptr;
    size_t pace = 1 + chance_below(1 + steps / 100), many = 20 + chance_below(2 * steps);
    bool more = true, whole = chance_below(4) > 0;
    for (size_t step = 0; step < steps; step++) {
        if (chance_below(many) == 0)
            s->kind->change_many(s);
        else
            change_one(s, adding);
        if (step % pace == 0) more = frozen_walk(f, 1 + chance_below(6));
    }
    while (more && whole) more = frozen_walk(f, 1 + chance_below(20));
    if (!more) assert_int_equal(s->visits, frozen_count(f));
    assert_true(frozen_memory(f) <= 200 + frozen_count(f) + steps);
    assert_ptr_equal(s->value.ptr, address);
    check_live(s);
    frozen_end(f);
    assert_true(value_can_freeze(s->value));
}

static void play(const struct kind *kind, size_t ids, size_t rounds, size_t steps) {
    struct scene *s = mem_alloc_zero(sizeof *s);
    s->kind = kind;
    s->ids = ids;
    s->value = kind->make();
    s->now_ms = 1000;
    for (size_t round = 0; round < rounds; round++) {
        static const size_t moods[] = { 95, 50, 3, 70, 20 };
        frozen_round(s, steps, moods[chance_below(COUNT_OF(moods))]);
        size_t adding = moods[chance_below(COUNT_OF(moods))];
        for (size_t left = chance_below(2 * steps); left > 0; left--) change_one(s, adding);
        check_live(s);
    }
    kind->ops->free(s->value);
    mem_free(s);
}

static void elements_are_visited_once_as_they_were_whatever_changes(void **state) {
    (void)state;
    static const struct { size_t ids, rounds, steps; } sizes[] = {
        { 1, 30, 10 }, { 9, 60, 60 }, { 200, 60, 500 }, { 3000, 20, 5000 }, { IDS, 10, 40000 },
    };
    for (size_t k = 0; k < COUNT_OF(kinds); k++)
        for (size_t i = 0; i < COUNT_OF(sizes); i++)
            play(&kinds[k], sizes[i].ids, sizes[i].rounds, sizes[i].steps);
}

/* ---- lists ---- */

#define LIST_MAX 30000

struct list_scene {
    struct value value;
    uint32_t *now, *then; /* each element, as a number that stands for its text */
    size_t count, then_count;
    size_t seen, nodes; /* elements and nodes that were visited */
    char room[TEXT_ROOM];
};

/* Integers, short texts, and some that are big enough to stand alone. */
static struct slice element_of(uint32_t n, char *room) {
    size_t len = (size_t)snprintf(room, 32, "%u", n);
    if (n % 3 == 0) return slice_make(room, len);
    size_t more = n % 17 == 8 ? 5000 + n % 500 : n % 60;
    memset(room + len, 'a' + (int)(n % 7), more);
    return slice_make(room, len + more);
}

static uint32_t random_element(void) { return (uint32_t)chance_below(chance_below(2) ? 20 : 3000); }

static void list_put(struct list_scene *s, size_t at, uint32_t n) {
    assert_true(s->count < LIST_MAX);
    memmove(s->now + at + 1, s->now + at, (s->count - at) * sizeof *s->now);
    s->now[at] = n;
    s->count++;
}

static void list_cut(struct list_scene *s, size_t at, size_t count) {
    memmove(s->now + at, s->now + at + count, (s->count - at - count) * sizeof *s->now);
    s->count -= count;
}

static void list_add(struct list_scene *s) {
    uint32_t n = random_element();
    struct slice text = element_of(n, s->room);
    size_t dice = chance_below(4);
    if (dice == 0) {
        list_push(&s->value, LIST_HEAD, text);
        list_put(s, 0, n);
    } else if (dice < 3 || s->count == 0) {
        list_push(&s->value, LIST_TAIL, text);
        list_put(s, s->count, n);
    } else {
        size_t at = chance_below(s->count + 1);
        list_insert(&s->value, at, text);
        list_put(s, at, n);
    }
}

static void list_take(struct list_scene *s) {
    if (s->count == 0) return;
    size_t dice = chance_below(3), at = dice == 0 ? 0 : dice == 1 ? s->count - 1 : chance_below(s->count);
    list_delete(&s->value, at, 1);
    list_cut(s, at, 1);
}

static void list_overwrite(struct list_scene *s) {
    if (s->count == 0) return;
    size_t at = chance_below(s->count);
    s->now[at] = random_element();
    list_replace(&s->value, at, element_of(s->now[at], s->room));
}

static void list_remove_equal(struct list_scene *s) {
    uint32_t n = s->count > 0 && chance_below(4) ? s->now[chance_below(s->count)] : random_element();
    size_t limit = 1 + chance_below(chance_below(2) ? 2 : 50), removed = 0;
    bool backward = chance_below(2);
    size_t got = list_remove(&s->value, element_of(n, s->room), limit, backward);
    for (size_t k = s->count, i = 0; k > 0 && removed < limit; k--) {
        size_t at = backward ? k - 1 : i;
        bool equal = s->now[at] == n;
        if (equal) list_cut(s, at, 1);
        removed += equal;
        i += !equal;
    }
    assert_int_equal(got, removed);
}

static void list_trim(struct list_scene *s) {
    if (s->count == 0) return;
    size_t at = chance_below(2) ? 0 : chance_below(s->count),
           count = chance_below(1 + (s->count - at) / (chance_below(3) ? 10 : 1));
    list_delete(&s->value, at, count);
    list_cut(s, at, count);
}

static bool item_is(struct listpack_item item, struct slice text) {
    char room[INT64_TEXT_MAX];
    if (!item.text.ptr) item.text = slice_make(room, int64_format(room, item.number));
    return slice_equal(item.text, text);
}

static void see_node(void *arg, const struct frozen_element *e) {
    struct list_scene *s = arg;
    s->nodes++;
    if (e->plain) {
        assert_true(slice_equal(e->value, element_of(s->then[s->seen++], s->room)));
        return;
    }
    const unsigned char *lp = (const unsigned char *)e->value.ptr;
    assert_true(listpack_is_valid(lp, e->value.len, NULL, NULL));
    for (const unsigned char *at = listpack_first(lp); at; at = listpack_next(lp, at))
        assert_true(item_is(listpack_get(at), element_of(s->then[s->seen++], s->room)));
}

static void check_list(struct list_scene *s, bool backward) {
    struct list_walk w;
    struct listpack_item item;
    size_t seen = 0;
    list_check(s->value);
    assert_int_equal(list_count(s->value), s->count);
    list_walk_begin(&w, s->value, backward && s->count > 0 ? s->count - 1 : 0, backward);
    while (s->count > 0 && list_walk_next(&w, &item)) {
        uint32_t n = s->now[backward ? s->count - 1 - seen : seen];
        assert_true(item_is(item, element_of(n, s->room)));
        seen++;
    }
    list_walk_end(&w);
    assert_int_equal(seen, s->count);
}

/* A change of one element copies or replaces at most its node and those beside it. */
#define NODE_MAX 9000
#define NODES_CHANGED_MAX 6

static void change_list(struct list_scene *s, size_t adding) {
    const struct frozen *f = value_frozen(s->value);
    size_t held = f ? frozen_memory(f) : 0, dice = chance_below(100);
    if (chance_below(100 + s->count / 2) == 0) {
        chance_below(2) ? list_remove_equal(s) : list_trim(s);
        return;
    }
    if (dice < 20)
        list_overwrite(s);
    else if (chance_below(100) < adding && s->count < LIST_MAX)
        list_add(s);
    else
        list_take(s);
    if (f) assert_true(frozen_memory(f) <= held + NODES_CHANGED_MAX * NODE_MAX);
}

/* The limits of nodes may change meanwhile, as the settings may. */
struct list_limits {
    int64_t size;
    size_t depth;
};
static const struct list_limits list_limits[] = { { -1, 0 }, { -1, 1 }, { 4, 0 },
                                                  { 4, 2 },  { 1, 0 },  { -2, 3 } };

static void set_limits(size_t i) {
    encoding_limits.list_size = list_limits[i % COUNT_OF(list_limits)].size;
    encoding_limits.list_compress_depth = list_limits[i % COUNT_OF(list_limits)].depth;
}

static void list_round(struct list_scene *s, size_t steps, size_t adding) {
    memcpy(s->then, s->now, s->count * sizeof *s->now);
    s->then_count = s->count;
    s->seen = s->nodes = 0;
    struct frozen *f = value_freeze(s->value, see_node, s);
    void *address = s->value.ptr;
    size_t held = frozen_memory(f);
    list_value_ops.free(list_value_ops.copy(s->value)); /* a copy has no part in the freeze */
    assert_int_equal(frozen_count(f), list_node_count(s->value));
    size_t pace = 1 + chance_below(1 + steps / 50);
    bool more = true, whole = chance_below(4) > 0;
    for (size_t step = 0; step < steps; step++) {
        change_list(s, adding);
        if (step % 16 == 0) list_check(s->value);
        if (step % pace == 0) more = frozen_walk(f, 1 + chance_below(3));
        if (chance_below(steps) == 0) set_limits(chance_below(10));
    }
    while (more && whole) more = frozen_walk(f, 1 + chance_below(20));
    if (!more) {
        assert_int_equal(s->seen, s->then_count);
        assert_int_equal(s->nodes, frozen_count(f));
        assert_true(frozen_memory(f) <= held + 2 * NODE_MAX); /* no more than where nodes are uncompressed */
    }
    check_list(s, chance_below(2));
    assert_ptr_equal(s->value.ptr, address);
    assert_int_equal(s->value.encoding, ENCODING_DEQUE);
    frozen_end(f);
    assert_null(value_frozen(s->value));
    check_list(s, chance_below(2));
}

static void play_list(size_t rounds, size_t steps) {
    struct list_scene *s = mem_alloc_zero(sizeof *s);
    s->now = mem_alloc(LIST_MAX * sizeof *s->now);
    s->then = mem_alloc(LIST_MAX * sizeof *s->then);
    s->value = list_new();
    for (size_t round = 0; round < rounds; round++) {
        static const size_t moods[] = { 95, 50, 3, 80, 20 };
        size_t adding = moods[chance_below(COUNT_OF(moods))];
        set_limits(round);
        if (round % 3 == 0) list_expect(&s->value, (struct slice[]){ { s->room, 100000 } }, 1);
        for (size_t k = chance_below(steps); k > 0; k--) change_list(s, adding);
        if (value_can_freeze(s->value)) list_round(s, steps, moods[chance_below(COUNT_OF(moods))]);
    }
    list_value_ops.free(s->value);
    mem_free(s->now);
    mem_free(s->then);
    mem_free(s);
}

static void nodes_are_visited_in_order_as_they_were_whatever_changes(void **state) {
    (void)state;
    struct encoding_limits before = encoding_limits;
    static const struct {
        size_t rounds, steps;
    } sizes[] = { { 60, 30 }, { 60, 300 }, { 30, 3000 }, { 12, 30000 } };
    for (size_t i = 0; i < COUNT_OF(sizes); i++) play_list(sizes[i].rounds, sizes[i].steps);
    encoding_limits = before;
}

/* ---- what can be frozen ---- */

static void count_visit(void *arg, const struct frozen_element *e) {
    (void)e;
    ++*(size_t *)arg;
}

static void only_big_forms_can_be_frozen(void **state) {
    (void)state;
    struct { struct value v; const struct value_ops *ops; } small[] = {
        { hash_new(), &hash_value_ops }, { set_new_empty(), &set_value_ops }, { zset_new(), &zset_value_ops },
        { list_new(), &list_value_ops },
    };
    for (size_t i = 0; i < COUNT_OF(small); i++) {
        assert_false(value_can_freeze(small[i].v));
        assert_null(value_frozen(small[i].v));
        small[i].ops->free(small[i].v);
    }
    char text[] = "text";
    assert_false(value_can_freeze((struct value){ text, ENCODING_BLOB }));
}

static void an_empty_value_has_nothing_to_visit(void **state) {
    (void)state;
    for (size_t k = 0; k < COUNT_OF(kinds); k++) {
        struct scene *s = mem_alloc_zero(sizeof *s);
        *s = (struct scene){ .kind = &kinds[k], .value = kinds[k].make(), .ids = IDS };
        size_t visits = 0;
        struct frozen *f = value_freeze(s->value, count_visit, &visits);
        for (size_t i = 0; i < 3000; i++) change_one(s, 90);
        assert_false(frozen_walk(f, 1));
        assert_int_equal(frozen_count(f), 0);
        assert_int_equal(visits, 0);
        frozen_end(f);
        check_live(s);
        kinds[k].ops->free(s->value);
        mem_free(s);
    }
}

/* A list that commands have emptied stays what it is until the freeze ends; then it may be small again. */
static void a_frozen_list_keeps_its_form(void **state) {
    (void)state;
    struct value v = list_new();
    for (size_t i = 0; i < 5000; i++) list_push(&v, LIST_TAIL, LIT("an element"));
    size_t nodes = list_node_count(v), visits = 0;
    struct frozen *f = value_freeze(v, count_visit, &visits);
    size_t held = frozen_memory(f);
    list_delete(&v, 0, 4999);
    list_settle(&v);
    assert_int_equal(v.encoding, ENCODING_DEQUE);
    assert_true(frozen_memory(f) > held + 4000 * 10); /* the freeze has the nodes alone now */
    list_delete(&v, 0, 1);
    assert_int_equal(list_count(v), 0);
    list_push(&v, LIST_HEAD, LIT("another"));
    while (frozen_walk(f, 7)) continue;
    assert_int_equal(visits, nodes);
    assert_true(frozen_memory(f) <= held);
    frozen_end(f);
    list_settle(&v);
    assert_int_equal(v.encoding, ENCODING_LISTPACK);
    list_value_ops.free(v);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_are_visited_once_as_they_were_whatever_changes),
        cmocka_unit_test(nodes_are_visited_in_order_as_they_were_whatever_changes),
        cmocka_unit_test(only_big_forms_can_be_frozen),
        cmocka_unit_test(an_empty_value_has_nothing_to_visit),
        cmocka_unit_test(a_frozen_list_keeps_its_form),
    };
    return cmocka_run_group_tests(tests, fix_the_secret, NULL);
}
