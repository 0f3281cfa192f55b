/* elements.h: what a big hash, a big set and a big sorted set have in common: a table whose items are one
 * allocation each, that is weighed, scanned and sampled without knowing what an item holds.
 *
 * Items are made and freed by the calls here, which keep count of their bytes; that an item is in the table
 * or out of it is the caller's business.
 *
 * Thread: the owner's, as of the table. Chance comes from base/random.h. */
#ifndef TYPES_ELEMENTS_H
#define TYPES_ELEMENTS_H

#include "trivet/base/mem.h"
#include "trivet/base/random.h"
#include "trivet/types/structures/table.h"

struct elements {
    struct table table;
    size_t held; /* bytes of the items */
};

static inline void *element_new(struct elements *of, size_t size) { return mem_alloc_in(&of->held, size); }
/* `item` may be NULL. */
static inline void element_free(struct elements *of, void *item) { mem_free_in(&of->held, item); }
/* Somebody else owns the item from now on. */
static inline void element_detach(struct elements *of, const void *item) { of->held -= mem_size(item); }

/* Frees table and items. */
static inline void elements_release(struct elements *of) {
    table_release(&of->table, mem_free);
    of->held = 0;
}

/* Bytes of buckets and items. */
static inline size_t elements_bytes(const struct elements *of) { return table_memory(&of->table) + of->held; }

/* Asserts the table's invariants and the count of bytes; for tests. */
void elements_check(const struct elements *of);

/* One call of SCAN: visits about `count` items and returns the next cursor, 0 at the end. */
uint64_t elements_scan(struct table *t, uint64_t cursor, size_t count, void (*visit)(void *arg, void *item),
                       void *arg);

/* Chooses `wanted` of the next `left` elements, each set of them as likely as another. */
struct choice {
    size_t wanted, left;
};

static inline struct choice choice_of(size_t count, size_t all) {
    return (struct choice){ count < all ? count : all, all };
}

/* Is the next element one of them? */
static inline bool choose(struct choice *c) {
    bool yes = c->wanted > 0 && random_below(c->left) < c->wanted;
    c->left--;
    c->wanted -= yes;
    return yes;
}

/* A share of a table below one in four is found by dice; above, going through it all is cheaper. */
static inline bool choice_is_small(const struct choice *c) { return c->wanted <= c->left / 4; }

/* Visits `count` different items by dice; the table has at least as many. */
void elements_by_dice(const struct table *t, size_t count, void (*visit)(void *arg, void *item), void *arg);

#endif
