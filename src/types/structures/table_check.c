/* table_check.c: every invariant of a hash table, for tests. */
#include "table_private.h"
#include "trivet/base/hashing.h"
#include "trivet/base/mem.h"

static void check_item(const struct table *t, const struct group *g, const struct bucket *b, size_t slot) {
    void *item = bucket_item(b, slot);
    assert(item && (uintptr_t)item % 2 == 0);
    struct slice key = t->ops->key(item);
    uint64_t hash = hash_bytes(key);
    assert(b->tag[slot] == hash_tag(hash) && bucket_choice(b, slot) == hash_choice(hash));
    assert(group_of(t, (uint32_t)hash).first == g->first);
    /* A look-up finds it, and no other of this key before it. */
    struct probe p = probe_of(t, hash);
    for (;; assert(p.at->choices & PASSED && probe_next(&p))) {
        for (uint64_t hits = slots_like(p.at, hash); hits; hits &= hits - 1) {
            if (p.at == b && slot_first(hits) == slot) return;
            assert(!slice_equal(t->ops->key(bucket_item(p.at, slot_first(hits))), key));
        }
    }
}

static size_t check_bucket(const struct table *t, const struct group *g, const struct bucket *b) {
    bool is_line = b >= g->first && b <= group_last(g);
    assert((uintptr_t)b % CACHE_LINE == 0 && (is_line || mem_size(b) >= sizeof *b));
    assert((b->choices & TOP_BITS & ~(PASSED | CHAINED | WALKED)) == 0);
    if (is_chained(b)) {
        assert(b->choices & PASSED && b->tag[LINK] == 0 && bucket_next(b));
        assert(!is_line || b == group_last(g));
        for (uint32_t i = 0; is_line && i < g->lines; i++)
            assert(g->first[i].choices & PASSED && !slots_empty(&g->first[i]));
    }
    bool is_front = b == bucket_next(group_last(g));
    assert(is_line || slots_used(b)); /* none is there for nothing */
    assert(is_line || is_front || !slots_empty(b));
    for (size_t slot = 0; slot < SLOTS - (size_t)is_chained(b); slot++) {
        if (b->tag[slot])
            check_item(t, g, b, slot);
        else
            assert(!bucket_item(b, slot) && bucket_choice(b, slot) == 0);
    }
    return slots_count(slots_used(b));
}

static void check_shape(const struct table *t) {
    unsigned level = shape_level(t, 0);
    assert(t->lines[0] >= (level ? GROUP_LINES_LEAST : 1) && t->lines[0] <= GROUP_LINES_MOST);
    assert(t->border > 0 && t->border <= (UINT64_C(1) << level));
    if (!t->base[1]) {
        assert(t->border == UINT64_C(1) << level);
    } else if (t->lines[0] == GROUP_LINES_MOST) {
        assert(shape_level(t, 1) == level + 1 && t->lines[1] == GROUP_LINES_LEAST);
    } else {
        assert(shape_level(t, 1) == level && t->lines[1] == t->lines[0] + 1);
    }
}

void table_check(const struct table *t) {
    if (!t->base[0]) {
        assert(t->count == 0 && t->chained == 0 && !t->base[1] && table_memory(t) == 0);
        return;
    }
    check_shape(t);
    assert(table_memory(t) == table_memory_held(t));
    size_t items = 0, lines = 0, buckets = 0;
    uint64_t prefix = 0;
    while (prefix < PREFIX_END) {
        struct group g = group_of(t, prefix);
        assert(group_prefix(t, &g) == prefix);
        lines += g.lines;
        GROUP_EACH(&g, b) {
            items += check_bucket(t, &g, b);
            buckets++;
        }
        prefix = group_end(t, &g);
    }
    assert(items == t->count && lines == table_lines(t) && buckets == lines + t->chained);
}
