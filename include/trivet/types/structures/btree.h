/* btree.h: the order of a big sorted set: a B+tree of items by score, then by member's bytes, that counts
 * what is below each node, so that ranks and the item at a rank are found in log n.
 *
 * An item is one allocation that the tree shares with the by-member table; the tree never owns it. Nodes keep
 * the scores beside the pointers, so that a search reads an item only where scores are equal.
 *
 * A struct btree_bound is a place between items: before or after all items that are equal to it in what it
 * compares. All ranges come down to two of them. Thread: the owner's. Places are valid until the tree
 * changes. */
#ifndef TRIVET_TYPES_STRUCTURES_BTREE_H
#define TRIVET_TYPES_STRUCTURES_BTREE_H

#include "trivet/base/slice.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A member and its score. Made with scored_new and freed with mem_free, or written by scored_write into
 * scored_size bytes of the caller's. */
struct scored {
    double score; /* never NaN; once in a tree, changed by btree_rescore only */
    uint32_t len;
    char text[];
};

struct scored *scored_new(struct slice text, double score);
static inline size_t scored_size(struct slice text) { return offsetof(struct scored, text) + text.len; }
void scored_write(struct scored *s, struct slice text, double score);

static inline struct slice scored_text(const struct scored *s) { return (struct slice){ s->text, s->len }; }

/* By score, then by bytes: <0, 0, >0. */
int scored_compare(const struct scored *a, const struct scored *b);

struct btree_leaf;

struct btree {
    void *root; /* a leaf if depth is 0, else an inner node; NULL while empty */
    struct btree_leaf *first, *last;
    size_t count;
    unsigned depth; /* levels of inner nodes */
    size_t held;    /* bytes of all nodes */
};

/* Item number `at` of a leaf; leaf NULL: beyond the end. */
struct btree_place {
    struct btree_leaf *leaf;
    unsigned at;
};

enum btree_by { BTREE_BY_BOTH, BTREE_BY_SCORE, BTREE_BY_TEXT };

struct btree_bound {
    enum btree_by by; /* what is compared; BY_TEXT makes sense only if all scores are equal */
    bool after;       /* equal items are before it */
    double score;
    struct slice text;
};

void btree_init(struct btree *t);
/* Frees the nodes; `free_item` (may be NULL) is called with each item in order. The tree is empty after. */
void btree_release(struct btree *t, void (*free_item)(struct scored *item));

/* No item with the same score and text may be in it. Items that come in order fill the nodes to the brim. */
void btree_insert(struct btree *t, struct scored *item);
/* Exactly this item, which must be in it. */
void btree_remove(struct btree *t, const struct scored *item);
/* Gives an item of the tree another score. */
void btree_rescore(struct btree *t, struct scored *item, double score);
/* Takes out `count` items from `rank` on, calling `gone` with each, which then owns it. */
void btree_remove_range(struct btree *t, size_t rank, size_t count,
                        void (*gone)(void *arg, struct scored *item), void *arg);

/* How many items are before the bound. */
size_t btree_before(const struct btree *t, const struct btree_bound *b);
struct btree_place btree_at(const struct btree *t, size_t rank);
struct scored *btree_item(struct btree_place p);
struct btree_place btree_next(struct btree_place p);
struct btree_place btree_previous(struct btree_place p);

/* Bytes of the nodes, without the items. */
static inline size_t btree_memory(const struct btree *t) { return t->held; }
/* About how many nodes there are. */
size_t btree_nodes(const struct btree *t);
/* Asserts every invariant; for tests. */
void btree_check(const struct btree *t);

#endif
