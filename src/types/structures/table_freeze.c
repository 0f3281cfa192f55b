/* table_freeze.c: tables that are saved while they change, see table.h and types/freeze.h.
 *
 * A frozen table has a bit for each part of all prefixes that was a group when it was frozen. Whatever
 * changes a group hands its part over before. So a part that was not handed over has never changed: it is in
 * the shape that it had, and everything in it was there. A part may be cut into smaller groups later, and be
 * in a larger one, but not without having been handed over. */
#include "table_private.h"
#include "trivet/base/mem.h"

struct table_freeze {
    void (*visit)(void *arg, void *item);
    void *arg;
    unsigned level;    /* there are 1 << level parts */
    uint64_t next;     /* the walk has been at the parts before this one */
    uint64_t handed[]; /* a bit a part: handed over by a change */
};

static inline uint64_t parts_of(const struct table_freeze *f) { return UINT64_C(1) << f->level; }

static inline bool was_handed(const struct table_freeze *f, uint64_t part) {
    return part < f->next || ((f->handed[part / 64] >> part % 64) & 1);
}

static void visit_part(const struct table *t, uint64_t part) {
    const struct table_freeze *f = t->freeze;
    unsigned shift = PREFIX_BITS - f->level;
    uint64_t prefix = part << shift, end = (part + 1) << shift;
    while (prefix < end && t->base[0]) {
        struct group g = group_of(t, prefix);
        assert(group_prefix(t, &g) == prefix && group_end(t, &g) <= end);
        group_visit(&g, f->visit, f->arg);
        prefix = group_end(t, &g);
    }
}

__attribute__((noinline)) void freeze_hand_over(const struct table *t, uint64_t prefix) {
    struct table_freeze *f = t->freeze;
    uint64_t part = prefix >> (PREFIX_BITS - f->level);
    if (was_handed(f, part)) return;
    f->handed[part / 64] |= UINT64_C(1) << part % 64;
    visit_part(t, part);
}

void freeze_before_move(const struct table *t, uint64_t prefix, unsigned level, unsigned groups) {
    if (LIKELY(!t->freeze) || level < t->freeze->level) return; /* larger than a part: handed over long ago */
    for (unsigned i = 0; i < groups; i++)
        freeze_hand_over(t, prefix + ((uint64_t)i << (PREFIX_BITS - level)));
}

void freeze_nothing_left(struct table *t) {
    if (t->freeze) t->freeze->next = parts_of(t->freeze);
}

void table_freeze(struct table *t, void (*visit)(void *arg, void *item), void *arg) {
    assert(!t->paused && !t->freeze);
    unsigned level = t->base[0] ? shape_level(t, 0) : 0;
    size_t words = (((size_t)1 << level) + 63) / 64;
    t->freeze = mem_alloc_zero(sizeof *t->freeze + words * sizeof(uint64_t));
    t->freeze->visit = visit;
    t->freeze->arg = arg;
    t->freeze->level = level;
    if (t->count == 0) freeze_nothing_left(t);
}

void *table_frozen_for(const struct table *t) { return t->freeze ? t->freeze->arg : NULL; }

bool table_freeze_walk(struct table *t, size_t parts) {
    struct table_freeze *f = t->freeze;
    for (; f->next < parts_of(f) && parts > 0; parts--) {
        if (!was_handed(f, f->next)) visit_part(t, f->next);
        f->next++;
    }
    return f->next < parts_of(f);
}

void table_touch(struct table *t, uint64_t hash) { before_change(t, hash); }

size_t table_freeze_memory(const struct table *t) { return mem_size(t->freeze); }

void table_thaw(struct table *t) {
    mem_free(t->freeze);
    t->freeze = NULL;
}
