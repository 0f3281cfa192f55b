/* deque.h: the big form of a list: a ring of nodes, each a listpack or one big element alone.
 *
 *     nodes: [ listpack of 131 | listpack of 128 | big element | compressed listpack of 130 | listpack of 7 ]
 *
 * The ring is an array of 16-byte slots, each with a node's address and its number of elements, that can wrap
 * around its end. Why an array and not a linked list: finding an index adds up counts that lie side by side
 * (a list of ten million small elements has some ten thousand slots: 160 KB read in a row, where a chain
 * costs a cache miss a node), and a push allocates nothing but the listpack. The price is that a node that
 * goes or comes inside moves the slots on its shorter side: at worst, when every element is a node of its
 * own, that is 8 bytes moved for each element passed on the way, which is less work than the walk to the
 * place. Removing many (LREM) marks nodes empty and closes the ring once; ranges (LTRIM) go in one move.
 *
 * A node is as big as encoding_limits.list_size allows when it grows. If encoding_limits.list_compress_depth
 * is not 0, nodes further than that from both ends are compressed with LZF where it saves enough. Whether a
 * node is compressed is never more than a matter of memory: every function takes it as it finds it.
 *
 * A freeze (freeze.h) copies the slots and shares what the nodes hold. Before the deque changes or frees what
 * a slot shares, it makes a copy of its own or leaves the data to the freeze, which frees it when it has been
 * handed over. Thread: the list's owner. */
#ifndef TRIVET_TYPES_STRUCTURES_DEQUE_H
#define TRIVET_TYPES_STRUCTURES_DEQUE_H

#include "trivet/base/buf.h"
#include "trivet/types/structures/listpack.h"

enum deque_kind {
    NODE_PACKED,            /* data: a listpack */
    NODE_PLAIN,             /* data: struct deque_plain, one element */
    NODE_PACKED_COMPRESSED, /* data: struct deque_compressed */
    NODE_PLAIN_COMPRESSED,
};

struct deque_node {
    void *data;
    uint32_t count;       /* elements */
    uint32_t kind : 2;    /* enum deque_kind */
    uint32_t shared : 30; /* its slot in the freeze that shares `data`, counted from 1; 0: none does. Says
                           * nothing in a deque that is not frozen. */
};
#define DEQUE_SHARED_MAX ((1u << 30) - 1)
static_assert(sizeof(struct deque_node) == 16, "four slots share a cache line");

struct deque_plain {
    size_t len;
    char bytes[];
};

struct deque_compressed {
    uint32_t raw;  /* bytes of the listpack, or of the element */
    uint32_t size; /* bytes that follow */
    char bytes[];
};

struct deque {
    struct deque_node *ring;
    uint32_t room;               /* slots, a power of two */
    uint32_t first;              /* slot of node 0 */
    uint32_t length;             /* nodes */
    size_t count;                /* elements */
    struct deque_freeze *freeze; /* NULL unless frozen */
    size_t held;                 /* bytes of the ring and of what its nodes hold */
};

/* What a node holds, readable: uncompressed, if need be, into the caller's scratch. */
struct deque_view {
    const unsigned char *lp; /* NULL: a plain element */
    struct slice plain;
};

/* An element's place: which node, and which element of it. */
struct deque_place {
    uint32_t node;
    uint32_t offset;
};

struct deque *deque_new(void);
void deque_free(struct deque *d);
struct deque *deque_copy(const struct deque *d);
size_t deque_bytes(const struct deque *d);

static inline struct deque_node *deque_at(const struct deque *d, uint32_t i) {
    return &d->ring[(d->first + i) & (d->room - 1)];
}
/* `index` is below d->count. */
struct deque_place deque_find(const struct deque *d, size_t index);
/* Valid until the deque changes or `scratch` does. */
struct deque_view deque_view(const struct deque *d, uint32_t node, struct buf *scratch);

void deque_push(struct deque *d, bool at_tail, struct slice text);
/* Takes the listpack, which is not empty, as a node of its own at the tail. */
void deque_adopt(struct deque *d, unsigned char *lp);
/* Before the element that has this index now; d->count is the tail. */
void deque_insert(struct deque *d, size_t index, struct slice text);
void deque_replace(struct deque *d, size_t index, struct slice text);
void deque_delete(struct deque *d, size_t index, size_t count);
/* Removes up to `limit` elements equal to `text`, from the tail on if `backward`. Returns how many. */
size_t deque_remove(struct deque *d, struct slice text, size_t limit, bool backward);
/* If all is one listpack that is small enough (at most half a node if `half`), and the deque is not frozen:
 * that, out of the deque, which is freed then. Else NULL. */
unsigned char *deque_detach_single(struct deque *d, bool half);
/* deque_remove for one listpack; *removed is how many. */
unsigned char *deque_remove_packed(unsigned char *lp, struct slice text, size_t limit, bool backward,
                                   size_t *removed);

/* ---- freezing: the part of freeze.h that lists do ---- */

static inline bool deque_can_freeze(const struct deque *d) { return d->length <= DEQUE_SHARED_MAX; }
void deque_freeze(struct deque *d, void (*visit)(void *arg, const struct deque_view *node), void *arg);
/* The `arg` of a frozen deque, else NULL. */
void *deque_frozen_for(const struct deque *d);
/* Visits up to `nodes` nodes as they were, in order; true while there are more. */
bool deque_freeze_walk(struct deque *d, size_t nodes);
/* Bytes of the slots, and of the nodes that only the freeze has still. */
size_t deque_freeze_memory(const struct deque *d);
void deque_thaw(struct deque *d);

/* Asserts the counts; for tests. */
void deque_check(const struct deque *d);

/* May a node have so many bytes and elements? And is one element so big that it stands alone? */
bool deque_node_fits(size_t bytes, size_t count);
bool deque_is_big(size_t len);

#endif
