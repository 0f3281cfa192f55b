/* test_freeze_stream.c: streams change at random while their nodes are saved piece by piece. Beside each
 * stand what should be in it now, entry by entry, and the bytes of its nodes when it was frozen, which is
 * what the visits have to be. */
#include "../chance.h"
#include "trivet/base/buf.h"
#include "trivet/base/mem.h"
#include "trivet/types/freeze.h"
#include "trivet/types/stream.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define ENTRIES_MAX 30000
#define NODE_MAX 5000 /* bytes */

struct live_entry {
    struct stream_id id;
    uint32_t number; /* stands for its fields */
};

struct frozen_node {
    struct stream_id master;
    unsigned char *listpack;
};

struct scene {
    struct stream *stream;
    struct value value;
    struct live_entry *now;
    size_t count;
    struct frozen_node *then;
    size_t nodes, seen;
};

/* ---- changes ---- */

static void add_entry(struct scene *s) {
    uint32_t number = (uint32_t)chance_below(1000);
    size_t pairs = 1 + number % 3;
    char values[3][64];
    struct slice fields[6];
    struct stream_id id = s->stream->last_id;
    if (s->count == ENTRIES_MAX) return;
    for (size_t i = 0; i < pairs; i++) {
        fields[2 * i] = number % 5 ? LIT("field") : LIT("another");
        fields[2 * i + 1] = slice_make(values[i], (size_t)snprintf(values[i], 64, "%u", number));
    }
    if (chance_below(2)) id.ms += 1 + chance_below(5);
    assert_true(stream_id_increment(&id));
    assert_true(stream_add(s->stream, id, fields, pairs));
    s->now[s->count++] = (struct live_entry){ id, number };
}

static void cut(struct scene *s, size_t at, size_t count) {
    memmove(s->now + at, s->now + at + count, (s->count - at - count) * sizeof *s->now);
    s->count -= count;
}

static void delete_entry(struct scene *s) {
    if (s->count == 0) return;
    size_t dice = chance_below(3), at = dice == 0 ? 0 : dice == 1 ? s->count - 1 : chance_below(s->count);
    assert_true(stream_delete(s->stream, s->now[at].id));
    assert_false(stream_delete(s->stream, s->now[at].id));
    cut(s, at, 1);
}

/* Up to so many entries go. */
static void trim(struct scene *s, size_t most) {
    size_t wanted = chance_below(1 + (most < s->count ? most : s->count));
    bool by_id = wanted < s->count && chance_below(2);
    struct stream_trim how = { .by_id = by_id, .whole_nodes = chance_below(2) };
    if (by_id)
        how.min_id = s->now[wanted].id;
    else
        how.max_length = s->count - wanted;
    uint64_t gone = stream_trim(s->stream, &how);
    assert_true(how.whole_nodes ? gone <= wanted : gone == wanted);
    cut(s, 0, gone);
}

/* What XSETID does: the next ids are further up, or, in an empty stream, may have been there before. */
static void move_last_id(struct scene *s) {
    if (s->count > 0)
        s->stream->last_id.ms += chance_below(1000);
    else
        s->stream->last_id.ms = chance_below(s->stream->last_id.ms + 1);
}

/* A change of one entry adds the copy of a node at most, and what the map of such copies takes. */
static void change(struct scene *s, size_t adding) {
    const struct frozen *f = value_frozen(s->value);
    size_t held = f ? frozen_memory(f) : 0, dice = chance_below(1000);
    if (dice < 5) {
        trim(s, chance_below(10) ? 40 : s->count);
    } else if (dice < 10) {
        move_last_id(s);
    } else {
        chance_below(100) < adding ? add_entry(s) : delete_entry(s);
        if (f) assert_true(frozen_memory(f) <= held + 2 * NODE_MAX + held / 4);
    }
}

/* ---- what is there, and what was ---- */

static void check_live(const struct scene *s) {
    struct stream_walk w;
    stream_check(s->stream);
    assert_int_equal(s->stream->length, s->count);
    stream_walk_begin(&w, s->stream, STREAM_ID_MIN, STREAM_ID_MAX, false);
    for (size_t i = 0; stream_walk_next(&w); i++) {
        struct listpack_item field, value;
        assert_true(stream_id_equal(w.id, s->now[i].id));
        assert_int_equal(w.pairs, 1 + s->now[i].number % 3);
        stream_walk_pair(&w, &field, &value);
        assert_null(value.text.ptr);
        assert_int_equal(value.number, s->now[i].number);
    }
}

static void remember(struct scene *s) {
    const struct id_map *nodes = &s->stream->nodes;
    struct id_cursor at = id_map_first(nodes);
    s->then = mem_alloc((nodes->count + 1) * sizeof *s->then);
    s->nodes = s->seen = 0;
    for (; id_map_has(nodes, at); at = id_map_next(nodes, at))
        s->then[s->nodes++] =
            (struct frozen_node){ id_map_id(nodes, at), listpack_copy(stream_node(s->stream, at)) };
}

static void forget(struct scene *s) {
    for (size_t i = 0; i < s->nodes; i++) listpack_free(s->then[i].listpack);
    mem_free(s->then);
}

static void see_node(void *arg, const struct frozen_element *e) {
    struct scene *s = arg;
    assert_true(s->seen < s->nodes);
    const struct frozen_node *n = &s->then[s->seen++];
    assert_true(stream_id_equal(e->master, n->master));
    assert_int_equal(e->value.len, listpack_bytes(n->listpack));
    assert_memory_equal(e->value.ptr, n->listpack, e->value.len);
}

/* ---- playing ---- */

static void set_limits(size_t i) {
    static const size_t entries[] = { 100, 1, 4, 0, 30 };
    encoding_limits.stream_node_entries = entries[i % COUNT_OF(entries)];
    encoding_limits.stream_node_bytes = i % 3 ? 4096 : 300;
}

static struct frozen *freeze(struct scene *s) {
    remember(s);
    assert_true(value_can_freeze(s->value));
    assert_null(value_frozen(s->value));
    struct frozen *f = value_freeze(s->value, see_node, s);
    assert_false(value_can_freeze(s->value));
    assert_ptr_equal(value_frozen(s->value), f);
    assert_int_equal(frozen_count(f), s->nodes);
    assert_true(frozen_memory(f) < 500);
    return f;
}

static void check_copy(const struct scene *s) {
    struct scene copy = *s;
    copy.value = stream_value_ops.copy(s->value);
    copy.stream = stream_of(copy.value);
    assert_null(value_frozen(copy.value));
    check_live(&copy);
    stream_value_ops.free(copy.value);
}

static void frozen_round(struct scene *s, size_t steps, size_t adding) {
    struct frozen *f = freeze(s);
    size_t pace = 1 + chance_below(1 + steps / 50);
    bool more = true, whole = chance_below(4) > 0;
    for (size_t step = 0; step < steps; step++) {
        change(s, adding);
        if (step % pace == 0) more = frozen_walk(f, 1 + chance_below(3));
        if (chance_below(steps) == 0) set_limits(chance_below(10));
    }
    check_copy(s);
    while (more && whole) more = frozen_walk(f, 1 + chance_below(20));
    if (!more) {
        assert_int_equal(s->seen, s->nodes);
        assert_true(frozen_memory(f) < 500);
    }
    check_live(s);
    frozen_end(f);
    assert_true(value_can_freeze(s->value));
    check_live(s);
    forget(s);
}

static void play(size_t rounds, size_t steps) {
    struct scene s = { .stream = stream_new(), .now = mem_alloc(ENTRIES_MAX * sizeof *s.now) };
    s.value = stream_value(s.stream);
    for (size_t round = 0; round < rounds; round++) {
        static const size_t moods[] = { 95, 50, 3, 80, 20 };
        size_t adding = moods[chance_below(COUNT_OF(moods))];
        set_limits(round);
        for (size_t k = chance_below(2 * steps); k > 0; k--) change(&s, adding);
        frozen_round(&s, steps, moods[chance_below(COUNT_OF(moods))]);
    }
    stream_value_ops.free(s.value);
    mem_free(s.now);
}

static void nodes_are_visited_in_order_as_they_were_whatever_changes(void **state) {
    (void)state;
    struct encoding_limits before = encoding_limits;
    static const struct {
        size_t rounds, steps;
    } sizes[] = { { 200, 10 }, { 200, 60 }, { 100, 600 }, { 30, 6000 }, { 8, 40000 } };
    for (size_t i = 0; i < COUNT_OF(sizes); i++) play(sizes[i].rounds, sizes[i].steps);
    encoding_limits = before;
}

/* ---- by hand ---- */

static void add_at(struct stream *s, uint64_t ms) {
    assert_true(stream_add(s, (struct stream_id){ ms, 0 }, (struct slice[]){ LIT("f"), LIT("v") }, 1));
}

/* The ids that were visited. */
static void see_id(void *arg, const struct frozen_element *e) {
    struct buf *seen = arg;
    buf_append_int(seen, (int64_t)e->master.ms);
    buf_append_byte(seen, ' ');
}

static struct stream *five_nodes(void) {
    struct stream *s = stream_new();
    for (uint64_t ms = 10; ms <= 50; ms += 10) add_at(s, ms);
    assert_int_equal(s->nodes.count, 5);
    return s;
}

static void ids_that_begin_again_are_not_taken_for_frozen_ones(void **state) {
    (void)state;
    struct encoding_limits before = encoding_limits;
    encoding_limits.stream_node_entries = 1;
    for (size_t walked = 0; walked <= 5; walked++) {
        struct stream *s = five_nodes();
        struct buf seen = { 0 };
        struct frozen *f = value_freeze(stream_value(s), see_id, &seen);
        assert_int_equal(frozen_walk(f, walked), walked < 5);
        assert_int_equal(stream_trim(s, &(struct stream_trim){ .max_length = 0 }), 5);
        s->last_id = (struct stream_id){ 5, 0 };
        for (uint64_t ms = 10; ms <= 60; ms += 5) add_at(s, ms);
        assert_true(stream_delete(s, (struct stream_id){ 30, 0 }));
        assert_int_equal(stream_trim(s, &(struct stream_trim){ .max_length = 3 }), 7);
        while (frozen_walk(f, 1)) continue;
        assert_true(slice_equal(buf_slice(&seen), LIT("10 20 30 40 50 ")));
        frozen_end(f);
        stream_check(s);
        stream_free(s);
        buf_release(&seen);
    }
    encoding_limits = before;
}

static void the_greatest_id_can_be_frozen(void **state) {
    (void)state;
    struct encoding_limits before = encoding_limits;
    encoding_limits.stream_node_entries = 1;
    struct stream *s = five_nodes();
    struct buf seen = { 0 };
    assert_true(stream_add(s, STREAM_ID_MAX, (struct slice[]){ LIT("f"), LIT("v") }, 1));
    struct frozen *f = value_freeze(stream_value(s), see_id, &seen);
    assert_true(frozen_walk(f, 5));
    assert_false(frozen_walk(f, 1));
    size_t held = frozen_memory(f);
    assert_true(stream_delete(s, STREAM_ID_MAX));
    assert_int_equal(frozen_memory(f), held); /* what was visited is nobody's business any more */
    frozen_end(f);
    assert_true(slice_equal(buf_slice(&seen), LIT("10 20 30 40 50 -1 ")));
    stream_free(s);
    buf_release(&seen);
    encoding_limits = before;
}

static void an_empty_stream_has_nothing_to_visit(void **state) {
    (void)state;
    struct stream *s = stream_new();
    struct buf seen = { 0 };
    struct frozen *f = value_freeze(stream_value(s), see_id, &seen);
    assert_int_equal(frozen_count(f), 0);
    for (uint64_t ms = 1; ms < 500; ms++) add_at(s, ms);
    assert_true(stream_delete(s, (struct stream_id){ 7, 0 }));
    assert_false(frozen_walk(f, 1));
    assert_int_equal(seen.len, 0);
    frozen_end(f);
    stream_check(s);
    stream_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_are_visited_in_order_as_they_were_whatever_changes),
        cmocka_unit_test(ids_that_begin_again_are_not_taken_for_frozen_ones),
        cmocka_unit_test(the_greatest_id_can_be_frozen),
        cmocka_unit_test(an_empty_stream_has_nothing_to_visit),
    };
    return cmocka_run_group_tests(tests, fix_the_secret, NULL);
}
