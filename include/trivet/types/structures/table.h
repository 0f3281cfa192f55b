/* table.h: the hash table of everything: keys, hash fields, set members, channels, clients by name.
 *
 * Buckets are one cache line: eight item pointers, eight 8-bit tags compared at once, and seven more bits of
 * each hash. A few of them make a group; an item whose bucket is full lies in the next one of its group. The
 * table grows by one bucket at a time, and shrinks so: a step takes one group of 4 to 7 buckets and gives it
 * one more, or cuts it in two. So a table of any size has 4 to 6.25 items a bucket (10.2 to 16 bytes an item;
 * 11 while it only grows), there is one array at any time, and no change moves more than some 50 items. Only
 * where items come or go in the order of a scan, groups have more: of N items, the last 4 * sqrt(N) lie in
 * one. It never owns the items' memory: an item is whatever pointer the caller put in, and `key` in the ops
 * says which bytes of it are its key.
 *
 * The caller computes the hash (hash_bytes of the key) and passes it, so that a key is hashed once.
 * Of it, bits 0..38 choose the place and 56..63 are the tag; the bits between are the caller's.
 * A bucket may be *marked*: the keyspace marks buckets in which an entry has an expiry, so that the
 * expiry cycle skips the others at one bit a bucket.
 *
 * Thread: as the owner says (a shard's lock for keys). Calls that take a const table only read. A change may
 * free or move any memory of the table at once: its blocks, the list of them, chained buckets. So who looks
 * without the lock, even to prefetch, may use the fields of struct table, and only compute addresses from
 * them; where there is a list of blocks (shift < 23), an address cannot be known without reading the list.
 * Item pointers must be at least 2-byte aligned, of 48 bits, and not NULL. */
#ifndef TRIVET_TYPES_STRUCTURES_TABLE_H
#define TRIVET_TYPES_STRUCTURES_TABLE_H

#include "trivet/base/compiler.h"
#include "trivet/base/slice.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table_ops {
    struct slice (*key)(const void *item);
};

struct table_freeze;

/* The fields are explained in table_private.h. */
struct table {
    void *base[2];    /* [0] is NULL when empty, [1] when all groups are of shape 0 */
    uint8_t shift[2]; /* there are 1 << (32 - shift) groups */
    uint8_t lines[2]; /* buckets a group */
    uint32_t border;  /* groups of shape 0 before this one are there */
    const struct table_ops *ops;
    size_t count;
    struct table_freeze *freeze; /* NULL unless frozen */
    size_t grow_at;              /* from so many items on, an insert makes a step */
    uint32_t chained;            /* buckets outside the blocks */
    uint8_t paused;              /* no steps while a scan or walk calls out */
    bool shrinking;              /* direction of the steps in the block that is not done */
};
static_assert(sizeof(struct table) == CACHE_LINE, "a look-up reads one line of it");

/* DEBUG DICT-RESIZING: no table grows or shrinks while this is false. Changed with the gate closed. */
extern atomic_bool table_may_resize;

void table_init(struct table *t, const struct table_ops *ops);
/* Frees the buckets. `free_item` (may be NULL) is called with each item. The table is empty and usable after.
 */
void table_release(struct table *t, void (*free_item)(void *item));

static inline size_t table_count(const struct table *t) { return t->count; }
/* Bytes of buckets, without the items. */
size_t table_memory(const struct table *t);
/* The same of a table that grew to `count` items, without chained buckets. */
size_t table_memory_for(size_t count);

/* The item with this key, or NULL. */
void *table_find(const struct table *t, struct slice key, uint64_t hash);
/* Puts `other`, which has the same key, in the place of exactly this item (compared by address), which must
 * be in the table. */
void table_swap(struct table *t, const void *item, void *other, uint64_t hash);

/* Adds an item whose key is not there yet (asserted in debug builds). */
void table_insert(struct table *t, void *item, uint64_t hash);
/* Takes the item with this key out and returns it, or NULL. Shrinks when there is too much room. */
void *table_remove(struct table *t, struct slice key, uint64_t hash);
/* Takes exactly this item out; it must be there. */
void table_remove_item(struct table *t, const void *item, uint64_t hash);

/* Room for `count` items at once, before a big load; none in a frozen table. */
void table_reserve(struct table *t, size_t count);
/* Up to `steps` steps, if some are due and the table is not frozen, for idle time; true while more are due.
 */
bool table_move_some(struct table *t, size_t steps);

/* Marks the bucket that holds this item (a key that is there). Marks survive growing. */
void table_mark(struct table *t, const void *item, uint64_t hash);
enum table_verdict { TABLE_KEEP, TABLE_UNMARK, TABLE_REMOVE };
/* Visits the items of marked buckets from `cursor`, about `buckets` buckets (marked or not), and returns the
 * next cursor, 0 at the end. An item that is marked for the whole walk is visited, however the table changes
 * between two calls; after it shrank, some are visited twice. The callback says of each item: KEEP (it
 * justifies the mark), UNMARK (it does not), REMOVE (taken out of the table by the walk; the callback owns it
 * then, but may free it only after the walk if the table is frozen). A bucket with no KEEP loses its mark. */
size_t table_walk_marked(struct table *t, size_t cursor, size_t buckets,
                         enum table_verdict (*visit)(void *arg, void *item), void *arg);

/* SCAN: calls visit for each item whose place is one bucket and returns the next cursor, 0 at the end, of 40
 * bits. An item that is there for the whole iteration is visited at least once, however the table grows or
 * shrinks in between. Any number may be given as a cursor. The callback must not change the table. */
uint64_t table_scan(struct table *t, uint64_t cursor, void (*visit)(void *arg, void *item), void *arg);

/* For who must know afterwards what was met: visits items of the next group, those whose order is at least
 * `from`, and returns where to go on, TABLE_ORDER_END at the end. An item that is there all the time is met
 * once; it has been met if its order is less than what was returned last, however the table grew or shrank in
 * between. The callback must not change the table. */
#define TABLE_ORDER_END (UINT64_C(1) << 32)
static inline uint64_t table_order(uint64_t hash) { return (uint32_t)hash; }
uint64_t table_visit_from(struct table *t, uint64_t from, void (*visit)(void *arg, void *item), void *arg);

/* Every item once; the callback returns false to stop, and must not change the table. Returns false if
 * stopped. */
bool table_each(const struct table *t, bool (*visit)(void *arg, void *item), void *arg);
/* Every item once; items for which `remove` returns true are taken out (the callback owns them then). */
size_t table_remove_if(struct table *t, bool (*remove)(void *arg, void *item), void *arg);

/* ---- freezing: the part of types/freeze.h that tables do ---- */

/* From now on until table_thaw each item that is there now is handed to the visitor once, by the walk or by
 * the change that is about to concern its group. So a change hands over the item's own group, some 30 items,
 * and one or two more if the table grows or shrinks by it. The visitor may not change the table. A frozen
 * table may not be released. */
void table_freeze(struct table *t, void (*visit)(void *arg, void *item), void *arg);
/* The `arg` of a frozen table, else NULL. */
void *table_frozen_for(const struct table *t);
/* The walk goes on over up to `groups` groups; true while there are more. */
bool table_freeze_walk(struct table *t, size_t groups);
/* Before an item of this hash is changed in its place. */
void table_touch(struct table *t, uint64_t hash);
/* Bytes that the freeze takes. */
size_t table_freeze_memory(const struct table *t);
void table_thaw(struct table *t);

/* A random item, near enough to even: dice for a bucket and a slot, thrown again when the slot is empty; NULL
 * if the table is empty. */
void *table_random(const struct table *t, uint64_t random);
/* Up to `max` items from neighbouring buckets at a random place, for eviction and sampling; returns how many.
 */
size_t table_sample(const struct table *t, uint64_t random, void **out, size_t max);

/* Start fetching the cache lines of the key's bucket; then, when they are likely there, the item's. */
void table_prefetch_bucket(const struct table *t, uint64_t hash);
void table_prefetch_item(const struct table *t, uint64_t hash);

/* Adds what a table looks like to the sums. */
#define TABLE_WAYS 16
struct table_survey {
    size_t items, buckets, used, marked; /* buckets without the chained ones; all with items, with a mark */
    size_t ways[TABLE_WAYS]; /* [n]: buckets from which a look-up reads n + 1, or more at the end */
};
void table_survey(const struct table *t, struct table_survey *sum);

/* Asserts every invariant (counts, tags, chains, places by hash_bytes, nothing doubled); for tests. */
void table_check(const struct table *t);

#endif
