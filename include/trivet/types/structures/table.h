/* table.h: the hash table of everything: keys, hash fields, set members, channels, clients by name.
 *
 * Buckets are one cache line: seven item pointers, seven 8-bit tags compared at once, one byte of marks.
 * A full bucket chains to another through its last slot. The table grows and shrinks by doubling and halving,
 * incrementally: while it does, it has two arrays, and each call that changes it moves a bucket from the old
 * to the new. The old bucket's index tells whether it moved already, so a look-up reads one chain, moving or
 * not. It never owns the items' memory: an item is whatever pointer the caller put in, and `key` in the ops
 * says which bytes of it are its key.
 *
 * The caller computes the hash (hash_bytes of the key) and passes it, so that a key is hashed once.
 * A bucket may be *marked*: the keyspace marks buckets in which an entry has an expiry, so that the
 * expiry cycle skips the others at one byte a bucket.
 *
 * Thread: as the owner says (a shard's lock for keys). Calls that take a const table only read.
 * Item pointers must be at least 2-byte aligned and not NULL. */
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

struct bucket;
struct table_freeze;

struct table {
    const struct table_ops *ops;
    struct bucket
        *half[2]; /* half[1] is there only while the table grows or shrinks; half[0] may be NULL when empty */
    uint8_t exponent[2];         /* half[i] has 1 << exponent[i] top-level buckets */
    uint8_t paused;              /* rehashing is held while a scan or walk calls out */
    size_t moved;                /* buckets of half[0] already moved to half[1] */
    size_t count;                /* items in both */
    size_t chained;              /* chained buckets allocated in both */
    struct table_freeze *freeze; /* NULL unless frozen */
};

/* DEBUG DICT-RESIZING: no table begins to grow or shrink while this is false. Changed with the gate closed.
 */
extern atomic_bool table_may_resize;

void table_init(struct table *t, const struct table_ops *ops);
/* Frees the buckets. `free_item` (may be NULL) is called with each item. The table is empty and usable after.
 */
void table_release(struct table *t, void (*free_item)(void *item));

static inline bool table_is_moving(const struct table *t) { return t->half[1] != NULL; }
static inline size_t table_count(const struct table *t) { return t->count; }
/* Bytes of buckets, without the items. */
size_t table_memory(const struct table *t);
/* Bytes of the array that goes when the table has moved; 0 if it does not move. */
static inline size_t table_moving_memory(const struct table *t) {
    return table_is_moving(t) ? (size_t)CACHE_LINE << t->exponent[0] : 0;
}
#define TABLE_FILL_MAX 7 /* items per bucket, on average, from which on it grows */
/* The same of a table that grew to `count` items, without chained buckets. */
static inline size_t table_memory_for(size_t count) {
    size_t buckets = 1;
    while (buckets * TABLE_FILL_MAX < count) buckets *= 2;
    return buckets * CACHE_LINE;
}

/* The item with this key, or NULL. */
void *table_find(const struct table *t, struct slice key, uint64_t hash);
/* The place of the item with this key, to put another pointer with the same key there (*slot = other),
 * or NULL. Valid until the next call that changes the table; asking for it counts as a change to a freeze. */
void **table_find_slot(struct table *t, struct slice key, uint64_t hash);
/* The place of exactly this item (compared by address), which must be in the table. */
void **table_slot_of(struct table *t, const void *item, uint64_t hash);

/* Adds an item whose key is not there yet (asserted in debug builds); moves a bucket if the table moves. */
void table_insert(struct table *t, void *item, uint64_t hash);
/* Takes the item with this key out and returns it, or NULL. Shrinks when nearly empty. */
void *table_remove(struct table *t, struct slice key, uint64_t hash);
/* Takes exactly this item out; it must be there. */
void table_remove_item(struct table *t, const void *item, uint64_t hash);

/* Room for `count` items at once, before a big load; none in a frozen table. */
void table_reserve(struct table *t, size_t count);
/* Moves up to `buckets` buckets if the table is moving and not frozen, for idle time; true while it moves. */
bool table_move_some(struct table *t, size_t buckets);

/* Marks the bucket that holds this item (a key that is there). Marks survive growing. */
void table_mark(struct table *t, const void *item, uint64_t hash);
enum table_verdict { TABLE_KEEP, TABLE_UNMARK, TABLE_REMOVE };
/* Visits the items of marked buckets from `cursor`, at most `buckets` buckets (marked or not), and returns
 * the next cursor, 0 at the end. The callback says of each item: KEEP (it justifies the mark), UNMARK (it
 * does not), REMOVE (taken out of the table by the walk; the callback owns it then, but may free it only
 * after the walk if the table is frozen). A bucket with no KEEP loses its mark. */
size_t table_walk_marked(struct table *t, size_t cursor, size_t buckets,
                         enum table_verdict (*visit)(void *arg, void *item), void *arg);

/* SCAN: calls visit for each item of at least one bucket and returns the next cursor, 0 at the end. An item
 * that is there for the whole iteration is visited at least once, however the table grows or shrinks in
 * between. The callback must not change the table. */
uint64_t table_scan(struct table *t, uint64_t cursor, void (*visit)(void *arg, void *item), void *arg);

/* Every item once; the callback returns false to stop, and must not change the table. Returns false if
 * stopped. */
bool table_each(const struct table *t, bool (*visit)(void *arg, void *item), void *arg);
/* Every item once; items for which `remove` returns true are taken out (the callback owns them then). */
size_t table_remove_if(struct table *t, bool (*remove)(void *arg, void *item), void *arg);

/* ---- freezing: the part of types/freeze.h that tables do ---- */

/* From now on until table_thaw each item that is there now is handed to the visitor once, by the walk or by
 * the change that is about to concern its chain. A chain that is moved is one, so a change hands over the
 * item's own chain and, while the table grows or shrinks, what it moves besides. The visitor may not change
 * the table. A frozen table may not be released. */
void table_freeze(struct table *t, void (*visit)(void *arg, void *item), void *arg);
/* The `arg` of a frozen table, else NULL. */
void *table_frozen_for(const struct table *t);
/* The walk goes on over up to `buckets` chains; true while there are more. */
bool table_freeze_walk(struct table *t, size_t buckets);
/* Before an item of this hash is changed in its place by someone who has not asked for its slot. */
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

/* Asserts every invariant (counts, tags, chains, places by hash_bytes, nothing doubled); for tests. */
void table_check(const struct table *t);

#endif
