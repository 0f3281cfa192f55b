/* list.h: the list: strings in the order of their insertion, quick at both ends.
 *
 * Small it is one listpack (ENCODING_LISTPACK), big a deque of listpack nodes (ENCODING_DEQUE). It becomes
 * big when what is added would exceed the limit of one node (encoding_limits.list_size), and small again when
 * removing leaves one node that is at most half full. An element is a text, or a number if the text is a
 * canonical int64.
 *
 * Indexes count from 0; callers bring negative ones into range. Functions that take a pointer to the value
 * may change both its fields. Thread: the owner's; reading changes nothing, so it needs no more than a lock
 * for reading. */
#ifndef TRIVET_TYPES_LIST_H
#define TRIVET_TYPES_LIST_H

#include "trivet/base/buf.h"
#include "trivet/types/structures/listpack.h"
#include "trivet/types/value.h"

extern const struct value_ops list_value_ops;

enum list_end { LIST_HEAD, LIST_TAIL };

struct value list_new(void);
size_t list_count(struct value v);

/* ---- reading ---- */

/* A way along the list, forward or backward. An item is valid until the next step. */
struct list_walk {
    struct value list;
    uint32_t node; /* of a deque */
    bool backward;
    const unsigned char *lp; /* the node's listpack, or NULL if it is a plain element */
    const unsigned char *at; /* the next element of it; NULL: the next node */
    struct listpack_item plain;
    bool plain_left;
    struct buf scratch; /* an uncompressed node */
};
/* The first step arrives at `index`, which may be beyond the end. list_walk_end must follow. */
void list_walk_begin(struct list_walk *w, struct value v, size_t index, bool backward);
bool list_walk_next(struct list_walk *w, struct listpack_item *out);
void list_walk_end(struct list_walk *w);

/* An element to look for: its text is read as a number once, not for each comparison. */
struct list_needle {
    struct slice text;
    bool is_number;
    int64_t number;
};
struct list_needle list_needle(struct slice text);
static inline bool list_item_is(struct listpack_item item, const struct list_needle *n) {
    if (!item.text.ptr) return n->is_number && item.number == n->number;
    return slice_equal(item.text, n->text); /* others may have written a number as text */
}

/* ---- changing ---- */

/* Before a command adds `count` texts: takes the big form now if they will exceed the limit together. */
void list_expect(struct value *v, const struct slice *texts, size_t count);
void list_push(struct value *v, enum list_end end, struct slice text);
/* Before the element that has this index now. */
void list_insert(struct value *v, size_t index, struct slice text);
void list_replace(struct value *v, size_t index, struct slice text);
void list_delete(struct value *v, size_t index, size_t count);
/* Removes up to `limit` elements equal to `text`, the last ones if `backward`. Returns how many. */
size_t list_remove(struct value *v, struct slice text, size_t limit, bool backward);

/* ---- for loaders and savers ---- */

/* Appends a node as a file has it: a listpack, which is taken over and must not be empty. Call list_settle at
 * the end. */
void list_append_packed(struct value *v, unsigned char *lp);
/* Takes the form that fits the size. */
void list_settle(struct value *v);

struct list_node {
    struct slice bytes; /* of a listpack, or of the one element if `plain` */
    bool plain;
};
/* All nodes in order (a small list is one), uncompressed; ends early when the callback returns false, and
 * returns that. */
bool list_nodes(struct value v, bool (*visit)(void *arg, const struct list_node *node), void *arg);
size_t list_node_count(struct value v);

/* Asserts the form of a small one, the counts of a big one; for tests. */
void list_check(struct value v);

#endif
