/* freeze.c: see freeze.h. What a freeze keeps beside the value is kept by the table, the deque or the stream;
 * here is what they have in common, and the way from what they visit to an element. */
#include "trivet/types/freeze.h"
#include "freeze_private.h"
#include "stream_freeze.h"
#include "trivet/base/mem.h"
#include "trivet/types/hash.h"
#include "trivet/types/structures/deque.h"

struct frozen {
    struct value value;
    frozen_visit *visit;
    void *arg;
    size_t count; /* when it was frozen */
};

static bool is_list(struct value v) { return v.encoding == ENCODING_DEQUE; }

static bool is_stream(struct value v) { return v.encoding == ENCODING_STREAM; }

static const struct element_ops *elements_of(const struct table *t) {
    return CONTAINER_OF(t->ops, const struct element_ops, table);
}

static void visit_item(void *arg, void *item) {
    const struct frozen *f = arg;
    struct frozen_element e = { .expiry_ms = HASH_NO_EXPIRY };
    elements_of(f->value.ptr)->describe(item, &e);
    f->visit(f->arg, &e);
}

static void visit_node(void *arg, const struct deque_view *node) {
    const struct frozen *f = arg;
    struct frozen_element e = { .value = node->plain, .expiry_ms = HASH_NO_EXPIRY, .plain = !node->lp };
    if (node->lp) e.value = slice_make(node->lp, listpack_bytes(node->lp));
    f->visit(f->arg, &e);
}

static void visit_stream_node(void *arg, struct stream_id master, const unsigned char *listpack) {
    const struct frozen *f = arg;
    struct frozen_element e = { .value = slice_make(listpack, listpack_bytes(listpack)),
                                .master = master,
                                .expiry_ms = HASH_NO_EXPIRY };
    f->visit(f->arg, &e);
}

struct frozen *value_frozen(struct value v) {
    if (is_list(v)) return deque_frozen_for(v.ptr);
    if (is_stream(v)) return stream_frozen_for(v.ptr);
    return value_table(v) ? table_frozen_for(v.ptr) : NULL;
}

bool value_can_freeze(struct value v) {
    bool fits = is_list(v) ? deque_can_freeze(v.ptr) : is_stream(v) || value_table(v);
    return fits && !value_frozen(v);
}

struct frozen *value_freeze(struct value v, frozen_visit *visit, void *arg) {
    assert(value_can_freeze(v));
    struct frozen *f = mem_alloc(sizeof *f);
    *f = (struct frozen){ .value = v, .visit = visit, .arg = arg };
    if (is_list(v)) {
        f->count = ((const struct deque *)v.ptr)->length;
        deque_freeze(v.ptr, visit_node, f);
        return f;
    }
    if (is_stream(v)) {
        f->count = stream_of(v)->nodes.count;
        stream_freeze(v.ptr, visit_stream_node, f);
        return f;
    }
    struct table *t = value_table(v);
    f->count = table_count(t);
    table_freeze(t, visit_item, f);
    return f;
}

size_t frozen_count(const struct frozen *f) { return f->count; }

bool frozen_walk(struct frozen *f, size_t steps) {
    if (is_list(f->value)) return deque_freeze_walk(f->value.ptr, steps);
    if (is_stream(f->value)) return stream_freeze_walk(f->value.ptr, steps);
    return table_freeze_walk(f->value.ptr, steps);
}

void frozen_end(struct frozen *f) {
    if (is_list(f->value))
        deque_thaw(f->value.ptr);
    else if (is_stream(f->value))
        stream_thaw(f->value.ptr);
    else
        table_thaw(f->value.ptr);
    mem_free(f);
}

static size_t memory_beside(struct value v) {
    if (is_list(v)) return deque_freeze_memory(v.ptr);
    return is_stream(v) ? stream_freeze_memory(v.ptr) : table_freeze_memory(v.ptr);
}

size_t frozen_memory(const struct frozen *f) { return mem_size(f) + memory_beside(f->value); }
