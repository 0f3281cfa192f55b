/* elements.h: what a big hash and a big set have in common: a table whose items are one allocation
 * each, that is weighed, scanned and sampled without knowing what an item holds.
 *
 * Thread: the owner's, as of the table. Chance comes from base/random.h. */
#ifndef TYPES_ELEMENTS_H
#define TYPES_ELEMENTS_H

#include "trivet/base/random.h"
#include "trivet/types/structures/table.h"

/* About how many bytes all items hold: `samples` of them are measured, 0 measures all. */
size_t elements_memory(const struct table *t, size_t samples);

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
