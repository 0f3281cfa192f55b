/* table.c: finding, putting in and taking out, see table.h, and table_private.h for how a table lies in
 * memory.
 *
 * A look-up compares the eight tags of one line at once and touches an item only when its tag fits: a hit
 * costs two cache misses, a miss one. */
#include "trivet/types/structures/table.h"
#include "table_private.h"
#include "trivet/base/hashing.h"

void table_init(struct table *t, const struct table_ops *ops) { *t = (struct table){ .ops = ops }; }

void table_release(struct table *t, void (*free_item)(void *item)) {
    assert(!t->paused && !t->freeze);
    bool walk = t->base[0] && (free_item || t->chained);
    for (uint64_t prefix = 0; walk && prefix < PREFIX_END;) {
        struct group g = group_of(t, prefix);
        prefix = group_end(t, &g);
        for (uint32_t i = 0; free_item && i < g.lines; i++) prefetch_items(g.first + i);
        GROUP_EACH(&g, b) {
            if (!free_item) break;
            for (uint64_t used = slots_used(b); used; used &= used - 1)
                free_item(bucket_item(b, slot_first(used)));
        }
        group_free_chain(t, &g);
    }
    table_free_blocks(t);
    t->count = 0;
}

/* ---- finding ---- */

/* Leaves the probe at the bucket of this key and tells its slot; false if the key is not there. */
static inline bool find(const struct table *t, struct slice key, uint64_t hash, struct probe *p,
                        size_t *slot) {
    if (UNLIKELY(!t->base[0])) return false;
    *p = probe_of(t, hash);
    for (;;) {
        for (uint64_t hits = slots_like(p->at, hash); hits; hits &= hits - 1) {
            *slot = slot_first(hits);
            if (LIKELY(slice_equal(t->ops->key(bucket_item(p->at, *slot)), key))) return true;
        }
        if (LIKELY(!(p->at->choices & PASSED))) return false;
        if (!probe_next(p)) return false;
    }
}

/* The same for an item that must be there, by its address. */
static size_t find_item(const struct table *t, const void *item, uint64_t hash, struct probe *p) {
    assert(t->base[0]);
    *p = probe_of(t, hash);
    do {
        for (uint64_t hits = slots_like(p->at, hash); hits; hits &= hits - 1)
            if (bucket_item(p->at, slot_first(hits)) == item) return slot_first(hits);
    } while (probe_next(p));
    assert(!"the item is in the table");
    return 0;
}

void *table_find(const struct table *t, struct slice key, uint64_t hash) {
    struct probe p;
    size_t slot;
    return find(t, key, hash, &p, &slot) ? bucket_item(p.at, slot) : NULL;
}

void table_swap(struct table *t, const void *item, void *other, uint64_t hash) {
    assert((uintptr_t)other == ((uintptr_t)other & ITEM_BITS));
    struct probe p;
    size_t slot = find_item(t, item, hash, &p);
    before_change(t, hash);
    bucket_set_item(p.at, slot, other);
}

void table_mark(struct table *t, const void *item, uint64_t hash) {
    struct probe p;
    (void)find_item(t, item, hash, &p);
    p.at->choices |= WALKED;
}

void table_prefetch_bucket(const struct table *t, uint64_t hash) {
    if (t->base[0]) __builtin_prefetch(probe_of(t, hash).at);
}

/* Items are not aligned to cache lines: most entries of keys lie in two, and the second is fetched as well.
 * The usual ones, of 48 to 64 bytes, do not reach further. */
#define ITEM_REACH 48

void table_prefetch_item(const struct table *t, uint64_t hash) {
    if (!t->base[0]) return;
    struct probe p = probe_of(t, hash);
    uint64_t hits = slots_like(p.at, hash);
    if (hits) {
        const char *item = bucket_item(p.at, slot_first(hits));
        __builtin_prefetch(item);
        __builtin_prefetch(item + ITEM_REACH);
    } else if (p.at->choices & PASSED && probe_next(&p)) {
        __builtin_prefetch(p.at);
    }
}

/* ---- changing ---- */

void table_insert(struct table *t, void *item, uint64_t hash) {
    assert(!t->paused && (uintptr_t)item == ((uintptr_t)item & ITEM_BITS));
#ifdef TRIVET_DEBUG
    assert(((hash_bytes(t->ops->key(item)) ^ hash) & OWN_BITS) == 0);
    assert(!table_find(t, t->ops->key(item), hash));
#endif
    if (UNLIKELY(t->count >= t->grow_at)) table_make_room(t);
    before_change(t, hash);
    struct group g = group_of(t, (uint32_t)hash);
    (void)group_place(t, g.first, g.lines, (struct filed){ item, hash_tag(hash), hash_choice(hash) });
    t->count++;
}

static void take_out(struct table *t, const struct probe *p, size_t slot, uint64_t hash) {
    before_change(t, hash);
    bucket_clear(p->at, slot);
    t->count--;
    bool is_home = p->left == p->lines;
    if (UNLIKELY(!is_home || p->at->choices & PASSED)) {
        struct group g = group_of(t, (uint32_t)hash);
        group_mend(t, &g, p->at, hash_choice(hash));
    }
    table_settle(t, 1);
}

void *table_remove(struct table *t, struct slice key, uint64_t hash) {
    assert(!t->paused);
    struct probe p;
    size_t slot;
    if (!find(t, key, hash, &p, &slot)) return NULL;
    void *item = bucket_item(p.at, slot);
    take_out(t, &p, slot, hash);
    return item;
}

void table_remove_item(struct table *t, const void *item, uint64_t hash) {
    assert(!t->paused);
    struct probe p;
    size_t slot = find_item(t, item, hash, &p);
    take_out(t, &p, slot, hash);
}
