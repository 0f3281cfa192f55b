/* shard.h: the keyspace cut by key hash into shard_count parts, each with its lock and its tables.
 *
 * A key's shard is SHARD_OF(hash): bits 40 and up, so that it is independent of the bucket (low bits)
 * and the tag (top byte). In a cluster each slot is a shard: key_hash() puts the slot into these bits. Then
 * what is said of a slot (how many keys, which, away with them) costs what the slot holds. The first
 * database's table lies inside the shard, before the lock; others are made on first use. Owner: the process,
 * for its life. Thread: everything in a shard needs its lock, or the gate closed. */
#ifndef TRIVET_KEYSPACE_SHARD_H
#define TRIVET_KEYSPACE_SHARD_H

#include "trivet/base/hashing.h"
#include "trivet/base/lock.h"
#include "trivet/keyspace/slot.h"
#include "trivet/types/structures/table.h"
#include <stdatomic.h>
#include <stdint.h>

#define SHARD_MAX SLOT_COUNT
#define SHARDS_WITHOUT_SLOTS 1024
#define SHARD_AT 40 /* the lowest of the hash's bits that say the shard */
#define SHARD_OF(hash) ((uint32_t)((hash) >> SHARD_AT) & (shard_count - 1))
/* A power of two: SHARDS_WITHOUT_SLOTS, or SLOT_COUNT in a cluster. Fixed from shards_init() on. */
extern uint32_t shard_count;

/* One database's part in one shard. */
struct keydb {
    struct table table;
    size_t expires;       /* entries with an expiry */
    size_t expiry_cursor; /* where the expiry cycle goes on */
    bool dated;           /* values whose elements expire by themselves are or were in the table */
};

/* Databases 1 and up, NULL where never used. */
struct keydb_list {
    uint32_t count;
    struct keydb *at[];
};

struct interests; /* engine/interest.h: keys that clients watch or wait for */

struct CACHE_ALIGNED shard {
    struct keydb first; /* database 0 */
    struct latch lock;
    struct keydb_list *others;   /* NULL while only database 0 is in use */
    struct interests *interests; /* NULL while there are none */
};
static_assert(offsetof(struct shard, first.table) == 0 && sizeof(struct shard) == 2 * CACHE_LINE,
              "a line for the table, one for all else: of 16384 shards each more is a megabyte");

extern struct shard shards[SHARD_MAX];
/* True while shards need their locks: there are several workers, or a thread walks beside one (walk.h).
 * Changes with the gate closed. */
extern bool shards_are_shared;
/* This thread runs alone, the gate closed: all shards are its own. */
extern _Thread_local bool shards_are_mine;
extern const struct table_ops entry_table_ops;
/* A shard that a script keeps between its commands (engine/run/keeping.h): the worker's number plus one, or
 * 0. Under the shard's lock, or with the gate closed. */
extern uint16_t shard_keeper[SHARD_MAX];
extern atomic_int
    shards_kept; /* scripts that keep shards now: mostly 0, and then there is nothing to look up */

/* With `by_slot` a key's shard is its slot. */
void shards_init(bool by_slot);
/* Frees every table and entry; for tests and the leak checker's sake at exit. */
void shards_release(void);

/* The hash of a key, which says its shard. */
static inline uint64_t key_hash(struct slice key) {
    const uint64_t mask = (uint64_t)(SLOT_COUNT - 1) << SHARD_AT;
    uint64_t hash = hash_bytes(key);
    if (LIKELY(shard_count != SLOT_COUNT)) return hash;
    return (hash & ~mask) | (uint64_t)slot_of_key(key) << SHARD_AT;
}

static inline void shard_lock(struct shard *s) UNCHECKED;
static inline void shard_unlock(struct shard *s) UNCHECKED;
static inline bool shard_try_lock(struct shard *s) UNCHECKED;

/* The database's part, or NULL if nothing was ever stored there. */
static inline struct keydb *shard_db(struct shard *s, uint32_t db) {
    if (LIKELY(db == 0)) return &s->first;
    return s->others && db <= s->others->count ? s->others->at[db - 1] : NULL;
}
/* The highest database that was ever used here. */
static inline uint32_t shard_last_db(const struct shard *s) { return s->others ? s->others->count : 0; }
/* The same, made if it is not there. */
struct keydb *shard_db_make(struct shard *s, uint32_t db);

#include "trivet/base/thread.h"
/* For one shard outside a command (expiry, eviction, scanning); with one worker there is nobody to lock
 * out. */
static inline void shard_lock(struct shard *s) {
    if (shards_are_shared) latch_take(&s->lock);
}
static inline void shard_unlock(struct shard *s) {
    if (shards_are_shared) latch_drop(&s->lock);
}
/* May this thread touch it? For asserts: only debug builds know, others say yes. */
static inline bool shard_is_mine(const struct shard *s) {
    return !shards_are_shared || shards_are_mine || latch_is_mine(&s->lock);
}
/* Does a script of another worker keep it? Under its lock. */
static inline bool shard_is_kept(uint32_t shard) {
    if (LIKELY(atomic_load_explicit(&shards_kept, memory_order_relaxed) == 0)) return false;
    return shard_keeper[shard] != 0 && shard_keeper[shard] != thread_worker_index + 1;
}
/* For work that can skip this shard: a command may hold the lock for long (MIGRATE), or a script keep it. */
static inline bool shard_try_lock(struct shard *s) {
    if (!shards_are_shared) return true;
    if (!latch_try(&s->lock)) return false;
    if (LIKELY(!shard_is_kept((uint32_t)(s - shards)))) return true;
    latch_drop(&s->lock);
    return false;
}

#endif
