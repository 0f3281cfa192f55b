/* list.c: see list.h. The big form is src/types/deque.c; here are the small one and the way between them. */
#include "trivet/types/list.h"
#include "trivet/base/mem.h"
#include "trivet/types/structures/deque.h"
#include <assert.h>

static bool is_small(struct value v) {
    assert(v.encoding == ENCODING_LISTPACK || v.encoding == ENCODING_DEQUE);
    return v.encoding == ENCODING_LISTPACK;
}

struct value list_new(void) {
    return (struct value){ listpack_new_roomy(), ENCODING_LISTPACK };
}

size_t list_count(struct value v) {
    return is_small(v) ? listpack_count(v.ptr) : ((const struct deque *)v.ptr)->count;
}

/* ---- what the keyspace asks ---- */

static void list_free(struct value v) {
    if (is_small(v))
        listpack_free(v.ptr);
    else
        deque_free(v.ptr);
}

static struct value list_copy(struct value v) {
    void *copy = is_small(v) ? (void *)listpack_copy(v.ptr) : (void *)deque_copy(v.ptr);
    return (struct value){ copy, v.encoding };
}

static size_t list_bytes(struct value v) { return is_small(v) ? mem_size(v.ptr) : deque_bytes(v.ptr); }

size_t list_node_count(struct value v) { return is_small(v) ? 1 : ((const struct deque *)v.ptr)->length; }

const struct value_ops list_value_ops = {
    .free = list_free,
    .copy = list_copy,
    .bytes = list_bytes,
    .effort = list_node_count,
    .count = list_count,
};

/* ---- small and big ---- */

static void make_big(struct value *v) {
    struct deque *d = deque_new();
    if (listpack_first(v->ptr))
        deque_adopt(d, listpack_shrink(v->ptr));
    else
        listpack_free(v->ptr);
    *v = (struct value){ d, ENCODING_DEQUE };
}

static void make_small(struct value *v, bool half) {
    if (is_small(*v)) return;
    unsigned char *lp = deque_detach_single(v->ptr, half);
    if (lp) *v = (struct value){ lp, ENCODING_LISTPACK };
}

/* After removing: at half a node, so that a list at the limit does not change its form with every command. */
static void shrink(struct value *v) { make_small(v, true); }

void list_settle(struct value *v) { make_small(v, false); }

static void expect(struct value *v, size_t bytes, size_t count) {
    if (is_small(*v) && !deque_node_fits(listpack_bytes(v->ptr) + bytes, listpack_count(v->ptr) + count))
        make_big(v);
}

void list_expect(struct value *v, const struct slice *texts, size_t count) {
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) bytes += texts[i].len;
    expect(v, bytes, count);
}

/* ---- changing ---- */

void list_push(struct value *v, enum list_end end, struct slice text) {
    expect(v, text.len, 1);
    if (is_small(*v))
        v->ptr = listpack_insert(v->ptr, end == LIST_HEAD ? listpack_first(v->ptr) : NULL, text);
    else
        deque_push(v->ptr, end == LIST_TAIL, text);
}

void list_insert(struct value *v, size_t index, struct slice text) {
    expect(v, text.len, 1);
    if (is_small(*v))
        v->ptr = listpack_insert(v->ptr, listpack_at(v->ptr, (int64_t)index), text);
    else
        deque_insert(v->ptr, index, text);
}

void list_replace(struct value *v, size_t index, struct slice text) {
    assert(index < list_count(*v));
    expect(v, text.len, 1);
    if (is_small(*v)) {
        unsigned char *at = listpack_at(v->ptr, (int64_t)index);
        v->ptr = listpack_replace(v->ptr, &at, text);
    } else {
        deque_replace(v->ptr, index, text);
        shrink(v);
    }
}

void list_delete(struct value *v, size_t index, size_t count) {
    assert(index <= list_count(*v) && count <= list_count(*v) - index);
    if (count == 0) return;
    if (is_small(*v)) {
        v->ptr = listpack_delete(v->ptr, listpack_at(v->ptr, (int64_t)index), count, NULL);
    } else {
        deque_delete(v->ptr, index, count);
        shrink(v);
    }
}

size_t list_remove(struct value *v, struct slice text, size_t limit, bool backward) {
    size_t removed;
    if (is_small(*v)) {
        v->ptr = deque_remove_packed(v->ptr, text, limit, backward, &removed);
    } else {
        removed = deque_remove(v->ptr, text, limit, backward);
        if (removed > 0) shrink(v);
    }
    return removed;
}

/* ---- reading ---- */

/* Arrives at a node: at its first element on the way, or at element `offset` of it. */
#define FROM_THE_EDGE UINT32_MAX
static void enter_node(struct list_walk *w, uint32_t node, uint32_t offset) {
    struct deque_view view = deque_view(w->list.ptr, node, &w->scratch);
    w->node = node;
    w->lp = view.lp;
    w->at = NULL;
    w->plain_left = !view.lp;
    if (!view.lp)
        w->plain = (struct listpack_item){ .text = view.plain };
    else if (offset != FROM_THE_EDGE)
        w->at = listpack_at(view.lp, offset);
    else
        w->at = w->backward ? listpack_last(view.lp) : listpack_first(view.lp);
}

void list_walk_begin(struct list_walk *w, struct value v, size_t index, bool backward) {
    *w = (struct list_walk){ .list = v, .backward = backward };
    if (is_small(v)) {
        w->lp = v.ptr;
        w->at = listpack_at(v.ptr, (int64_t)index);
        return;
    }
    const struct deque *d = v.ptr;
    if (index >= d->count) {
        w->node = backward ? 0 : d->length; /* nothing on the way */
        return;
    }
    struct deque_place place = deque_find(d, index);
    enter_node(w, place.node, place.offset);
}

static bool enter_next_node(struct list_walk *w) {
    if (is_small(w->list)) return false;
    const struct deque *d = w->list.ptr;
    if (w->backward ? w->node == 0 : d->length - w->node <= 1 || w->node >= d->length) return false;
    enter_node(w, w->backward ? w->node - 1 : w->node + 1, FROM_THE_EDGE);
    return true;
}

bool list_walk_next(struct list_walk *w, struct listpack_item *out) {
    if (!w->at && !w->plain_left && !enter_next_node(w)) return false;
    if (w->plain_left) {
        *out = w->plain;
        w->plain_left = false;
        return true;
    }
    *out = listpack_get(w->at);
    w->at = w->backward ? listpack_previous(w->lp, w->at) : listpack_next(w->lp, w->at);
    return true;
}

void list_walk_end(struct list_walk *w) { buf_release(&w->scratch); }

struct list_needle list_needle(struct slice text) {
    struct list_needle n = { .text = text };
    n.is_number = text.len > 0 && text.len < INT64_TEXT_MAX && int64_parse(text, &n.number);
    return n;
}

/* ---- for loaders and savers ---- */

void list_append_packed(struct value *v, unsigned char *lp) {
    assert(listpack_first(lp));
    if (is_small(*v) && !listpack_first(v->ptr) && deque_node_fits(listpack_bytes(lp), listpack_count(lp))) {
        listpack_free(v->ptr);
        v->ptr = lp;
        return;
    }
    if (is_small(*v)) make_big(v);
    deque_adopt(v->ptr, lp);
}

bool list_nodes(struct value v, bool (*visit)(void *arg, const struct list_node *node), void *arg) {
    if (is_small(v)) {
        struct list_node node = { .bytes = slice_make(v.ptr, listpack_bytes(v.ptr)) };
        return visit(arg, &node);
    }
    const struct deque *d = v.ptr;
    struct buf scratch = { 0 };
    bool go_on = true;
    for (uint32_t i = 0; i < d->length && go_on; i++) {
        struct deque_view view = deque_view(d, i, &scratch);
        struct list_node node = { .bytes = view.plain, .plain = !view.lp };
        if (view.lp) node.bytes = slice_make(view.lp, listpack_bytes(view.lp));
        go_on = visit(arg, &node);
    }
    buf_release(&scratch);
    return go_on;
}

/* ---- tests ---- */

void list_check(struct value v) {
    if (is_small(v))
        assert(listpack_is_valid(v.ptr, listpack_bytes(v.ptr), NULL, NULL));
    else
        deque_check(v.ptr);
}
