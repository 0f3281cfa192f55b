/* test_list.c: lists of both forms beside a plain array of strings that knows what should be in them. */
#include "../chance.h"
#include "trivet/base/mem.h"
#include "trivet/types/list.h"
#include "trivet/types/structures/deque.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- the model ---- */

struct model {
    char **texts; /* each with its length before it: any byte may be in a text */
    size_t count, room;
};

static struct slice model_at(const struct model *m, size_t i) {
    size_t len;
    memcpy(&len, m->texts[i], sizeof len);
    return slice_make(m->texts[i] + sizeof len, len);
}

static void model_insert(struct model *m, size_t index, struct slice text) {
    if (m->count == m->room) {
        m->room = m->room ? m->room * 2 : 64;
        m->texts = realloc(m->texts, m->room * sizeof *m->texts);
        assert_non_null(m->texts);
    }
    char *copy = malloc(sizeof text.len + text.len);
    assert_non_null(copy);
    memcpy(copy, &text.len, sizeof text.len);
    if (text.len) memcpy(copy + sizeof text.len, text.ptr, text.len);
    memmove(m->texts + index + 1, m->texts + index, (m->count - index) * sizeof *m->texts);
    m->texts[index] = copy;
    m->count++;
}

static void model_delete(struct model *m, size_t index, size_t count) {
    for (size_t i = index; i < index + count; i++) free(m->texts[i]);
    memmove(m->texts + index, m->texts + index + count, (m->count - index - count) * sizeof *m->texts);
    m->count -= count;
}

static size_t model_remove(struct model *m, struct slice text, size_t limit, bool backward) {
    size_t removed = 0;
    for (size_t k = 0, left = m->count, i = backward ? left - 1 : 0; k < left && removed < limit; k++) {
        if (slice_equal(model_at(m, i), text)) {
            model_delete(m, i, 1);
            removed++;
            if (backward) i--;
        } else {
            i = backward ? i - 1 : i + 1;
        }
    }
    return removed;
}

static void model_release(struct model *m) {
    model_delete(m, 0, m->count);
    free(m->texts);
}

/* ---- checks ---- */

static struct slice item_text(struct listpack_item item, char scratch[INT64_TEXT_MAX]) {
    if (item.text.ptr) return item.text;
    return slice_make(scratch, int64_format(scratch, item.number));
}

static void check_walk(struct value v, const struct model *m, size_t from, bool backward) {
    struct list_walk w;
    struct listpack_item item;
    char scratch[INT64_TEXT_MAX];
    list_walk_begin(&w, v, from, backward);
    size_t steps = backward ? from + 1 : m->count - from;
    if (from >= m->count) steps = 0;
    for (size_t k = 0; k < steps; k++) {
        assert_true(list_walk_next(&w, &item));
        assert_true(slice_equal(item_text(item, scratch), model_at(m, backward ? from - k : from + k)));
    }
    assert_false(list_walk_next(&w, &item));
    list_walk_end(&w);
}

static void check_node(const struct deque *d, uint32_t i) {
    const struct deque_node *n = deque_at(d, i);
    struct buf scratch = { 0 };
    struct deque_view view = deque_view(d, i, &scratch);
    assert_true(n->count > 0);
    if (view.lp) {
        assert_true(listpack_is_valid(view.lp, listpack_bytes(view.lp), NULL, NULL));
        assert_int_equal(listpack_count(view.lp), n->count);
        assert_true(n->count == 1 || deque_node_fits(listpack_bytes(view.lp), n->count));
    } else {
        assert_int_equal(n->count, 1);
        assert_true(deque_is_big(view.plain.len));
    }
    size_t depth = encoding_limits.list_compress_depth;
    bool inner = depth > 0 && i >= depth && i + depth < d->length;
    if (!inner) assert_true(n->kind == NODE_PACKED || n->kind == NODE_PLAIN);
    buf_release(&scratch);
}

static void check_shape(struct value v) {
    list_check(v);
    if (v.encoding == ENCODING_LISTPACK) {
        assert_true(deque_node_fits(listpack_bytes(v.ptr), listpack_count(v.ptr)));
        return;
    }
    const struct deque *d = v.ptr;
    assert_int_equal(d->room & (d->room - 1), 0);
    for (uint32_t i = 0; i < d->length; i++) check_node(d, i);
}

static void check_list(struct value v, const struct model *m) {
    assert_int_equal(list_count(v), m->count);
    check_shape(v);
    check_walk(v, m, 0, false);
    check_walk(v, m, m->count ? m->count - 1 : 0, true);
    check_walk(v, m, chance_below(m->count + 1), chance_below(2));
}

/* ---- random steps ---- */

/* Few different small ones, so that LREM finds some; numbers; now and then one that needs a node of its own.
 */
static struct slice random_text(char *room, size_t big) {
    size_t roll = chance_below(100), len;
    if (roll < 30) return slice_make(room, (size_t)sprintf(room, "%zu", chance_below(4)));
    if (roll < 40) return slice_make(room, (size_t)sprintf(room, "-%zu", (size_t)(chance() >> 2)));
    if (roll < 50) return slice_make(room, (size_t)sprintf(room, "0%zu", chance_below(3)));
    if (roll < 97)
        len = chance_below(roll < 90 ? 30 : 300);
    else
        len = chance_below(big);
    bool noise = chance_below(2);
    for (size_t i = 0; i < len; i++) room[i] = (char)(noise ? chance() : 'a' + i / 20 % 3);
    return slice_make(room, len);
}

#define BIG 20000

static void random_step(struct value *v, struct model *m, size_t most) {
    static char room[BIG + 32];
    struct slice text = random_text(room, BIG);
    size_t index = m->count ? chance_below(m->count) : 0;
    bool backward = chance_below(2);
    switch (chance_below(m->count > most ? 10 : 8)) {
    case 0:
    case 1:
        list_push(v, backward ? LIST_HEAD : LIST_TAIL, text);
        model_insert(m, backward ? 0 : m->count, text);
        break;
    case 2:
    case 3:
    case 4:
        list_insert(v, index, text);
        model_insert(m, index, text);
        break;
    case 5:
        if (m->count == 0) break;
        list_replace(v, index, text);
        model_delete(m, index, 1);
        model_insert(m, index, text);
        break;
    case 6: {
        if (m->count == 0) break;
        size_t count = 1 + chance_below(3);
        if (chance_below(3) == 0) index = backward ? 0 : m->count - 1;
        if (count > m->count - index) count = m->count - index;
        list_delete(v, index, count);
        model_delete(m, index, count);
        break;
    }
    case 7: {
        size_t limit = chance_below(2) ? 1 + chance_below(2) : SIZE_MAX;
        if (chance_below(20) > 0) limit = 1;
        assert_int_equal(list_remove(v, text, limit, backward), model_remove(m, text, limit, backward));
        break;
    }
    default: {
        size_t count = chance_below(m->count - index) + 1;
        list_delete(v, index, count);
        model_delete(m, index, count);
    }
    }
}

struct setting {
    int64_t size;
    size_t depth;
    size_t most; /* elements, about */
};
static const struct setting settings[] = {
    { -2, 0, 600 }, { -1, 1, 600 }, { -5, 2, 900 }, { 128, 0, 600 }, { 128, 1, 600 }, { 1, 0, 40 },
    { 1, 2, 40 },   { 3, 1, 60 },   { 0, 0, 30 },   { -9, 0, 900 },  { 5, 0, 100 },   { 100000, 1, 600 },
};

static void random_steps_agree_with_an_array(void **state) {
    (void)state;
    struct encoding_limits before = encoding_limits;
    for (size_t s = 0; s < COUNT_OF(settings); s++) {
        encoding_limits.list_size = settings[s].size;
        encoding_limits.list_compress_depth = settings[s].depth;
        struct value v = list_new();
        struct model m = { 0 };
        for (int step = 0; step < 2500; step++) {
            random_step(&v, &m, settings[s].most);
            check_list(v, &m);
        }
        struct value copy = list_value_ops.copy(v);
        assert_int_equal(copy.encoding, v.encoding);
        list_value_ops.free(v);
        check_list(copy, &m);
        list_value_ops.free(copy);
        model_release(&m);
    }
    encoding_limits = before;
}

/* A node may be compressed where it would not be now: everything has to work all the same. */
static void limits_may_change_under_a_list(void **state) {
    (void)state;
    struct encoding_limits before = encoding_limits;
    struct value v = list_new();
    struct model m = { 0 };
    for (int round = 0; round < 60; round++) {
        const struct setting *s = &settings[chance_below(COUNT_OF(settings))];
        encoding_limits.list_size = s->size;
        encoding_limits.list_compress_depth = s->depth;
        for (int step = 0; step < 40; step++) {
            random_step(&v, &m, 400);
            assert_int_equal(list_count(v), m.count);
            check_walk(v, &m, 0, false);
            check_walk(v, &m, m.count ? m.count - 1 : 0, true);
        }
    }
    encoding_limits = before;
    list_value_ops.free(v);
    model_release(&m);
}

/* ---- forms ---- */

static void push_many(struct value *v, size_t count, size_t len) {
    char text[BIG] = { 0 };
    for (size_t i = 0; i < count; i++) list_push(v, LIST_TAIL, slice_make(text, len));
}

static void a_list_is_big_beyond_one_node_and_small_again_at_half_of_it(void **state) {
    (void)state;
    struct encoding_limits before = encoding_limits;
    encoding_limits.list_size = 10;
    struct value v = list_new();
    push_many(&v, 10, 3);
    assert_int_equal(v.encoding, ENCODING_LISTPACK);
    push_many(&v, 1, 3);
    assert_int_equal(v.encoding, ENCODING_DEQUE);
    list_delete(&v, 6, 5);
    assert_int_equal(v.encoding, ENCODING_DEQUE);
    list_delete(&v, 0, 1);
    assert_int_equal(list_count(v), 5);
    assert_int_equal(v.encoding, ENCODING_LISTPACK);
    struct slice six[6] = { LIT_INIT("a"), LIT_INIT("a"), LIT_INIT("a"),
                            LIT_INIT("a"), LIT_INIT("a"), LIT_INIT("a") };
    list_expect(&v, six, 5);
    assert_int_equal(v.encoding, ENCODING_LISTPACK);
    list_expect(&v, six, 6);
    assert_int_equal(v.encoding, ENCODING_DEQUE);
    list_value_ops.free(v);
    encoding_limits = before;
}

static void a_big_element_stands_alone_and_takes_its_list_along(void **state) {
    (void)state;
    struct value v = list_new();
    push_many(&v, 1, 8193);
    assert_int_equal(v.encoding, ENCODING_DEQUE);
    push_many(&v, 3, 5);
    assert_int_equal(list_node_count(v), 2);
    list_delete(&v, 0, 1);
    assert_int_equal(v.encoding, ENCODING_LISTPACK);
    list_value_ops.free(v);
}

static void inner_nodes_are_compressed_if_that_saves_memory(void **state) {
    (void)state;
    struct encoding_limits before = encoding_limits;
    struct value raw = list_new(), packed = list_new();
    push_many(&raw, 1000, 500);
    encoding_limits.list_compress_depth = 1;
    push_many(&packed, 1000, 500);
    assert_true(list_value_ops.bytes(packed) * 10 < list_value_ops.bytes(raw));
    assert_int_equal(list_value_ops.effort(packed), list_value_ops.effort(raw));
    list_value_ops.free(raw);
    list_value_ops.free(packed);
    encoding_limits = before;
}

/* ---- loaders and savers ---- */

struct rebuilt {
    struct value list;
    size_t nodes;
};

static bool rebuild(void *arg, const struct list_node *node) {
    struct rebuilt *r = arg;
    r->nodes++;
    if (node->plain)
        list_push(&r->list, LIST_TAIL, node->bytes);
    else
        list_append_packed(&r->list, listpack_copy((const unsigned char *)node->bytes.ptr));
    return true;
}

static bool refuse_second(void *arg, const struct list_node *node) {
    (void)node;
    return ++*(int *)arg < 2;
}

static void nodes_can_be_read_and_put_together_again(void **state) {
    (void)state;
    struct encoding_limits before = encoding_limits;
    for (size_t s = 0; s < COUNT_OF(settings); s++) {
        encoding_limits.list_size = settings[s].size;
        encoding_limits.list_compress_depth = settings[s].depth;
        struct value v = list_new();
        struct model m = { 0 };
        for (int step = 0; step < 300; step++) {
            random_step(&v, &m, 400);
            struct rebuilt r = { .list = list_new() };
            if (m.count > 0) assert_true(list_nodes(v, rebuild, &r));
            if (m.count > 0) assert_int_equal(r.nodes, list_node_count(v));
            list_settle(&r.list);
            check_list(r.list, &m);
            list_value_ops.free(r.list);
        }
        int seen = 0;
        if (v.encoding == ENCODING_DEQUE && list_node_count(v) > 1) {
            assert_false(list_nodes(v, refuse_second, &seen));
            assert_int_equal(seen, 2);
        }
        list_value_ops.free(v);
        model_release(&m);
    }
    encoding_limits = before;
}

static void a_needle_is_found_as_number_or_text(void **state) {
    (void)state;
    static const struct {
        const char *element, *needle;
        bool same;
    } rows[] = {
        { "12", "12", true }, { "12", "012", false }, { "012", "12", false }, { "", "", true },
        { "a", "", false },   { "a", "a", true },     { "-1", "-1", true },   { "-1", "1", false },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct value v = list_new();
        struct listpack_item item;
        struct list_walk w;
        list_push(&v, LIST_HEAD, slice_of(rows[i].element));
        list_walk_begin(&w, v, 0, false);
        assert_true(list_walk_next(&w, &item));
        struct list_needle needle = list_needle(slice_of(rows[i].needle));
        assert_int_equal(list_item_is(item, &needle), rows[i].same);
        list_walk_end(&w);
        list_value_ops.free(v);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_steps_agree_with_an_array),
        cmocka_unit_test(limits_may_change_under_a_list),
        cmocka_unit_test(a_list_is_big_beyond_one_node_and_small_again_at_half_of_it),
        cmocka_unit_test(a_big_element_stands_alone_and_takes_its_list_along),
        cmocka_unit_test(inner_nodes_are_compressed_if_that_saves_memory),
        cmocka_unit_test(nodes_can_be_read_and_put_together_again),
        cmocka_unit_test(a_needle_is_found_as_number_or_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
