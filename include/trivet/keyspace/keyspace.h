/* keyspace.h: the two doors. Commands get an entry to read from keyspace_read(), to change from
 * keyspace_write(); nothing mutates an entry otherwise. The doors do what no command has to remember: lazy
 * expiry, the eviction clock, hits and misses, the snapshot's copy before a change.
 *
 * A struct keyspace_view is how one command sees the keyspace: its database, its time (which does not move
 * while the command runs), and the hashes of its keys, which the dispatcher computed once.
 *
 * Thread: the caller holds the locks of the shards of the keys it names, or the gate is closed.
 * Lifetime: an entry pointer is valid until the next call that may replace or delete that key. */
#ifndef TRIVET_KEYSPACE_KEYSPACE_H
#define TRIVET_KEYSPACE_KEYSPACE_H

#include "trivet/base/hashing.h"
#include "trivet/keyspace/entry.h"
#include "trivet/keyspace/shard.h"

/* A key, hashed, with the shard it lives in. The last two are the engine's (engine/command/command_keys.h).
 */
struct keyref {
    struct slice key;
    uint64_t hash;
    uint16_t shard;
    uint16_t access;   /* what the command does with it: enum key_flag */
    uint32_t argument; /* which argument of the command it is */
};

/* The one place where a key gets its hash and its shard. */
static inline struct keyref keyref_of(struct slice key) {
    uint64_t hash = key_hash(key);
    return (struct keyref){ .key = key, .hash = hash, .shard = (uint16_t)SHARD_OF(hash) };
}

/* What a view does with an entry, or a field of a hash, that is *over*: its expiry has passed. */
enum expiry {
    EXPIRY_DELETES, /* the first access deletes it */
    EXPIRY_HIDES,   /* it stays, but nobody sees it: during a pause or an import the data must not change */
    EXPIRY_KEEPS,   /* it stays and is seen: the journal, or the source of an import, sends its own DEL */
};

struct keyspace_view {
    uint32_t db;
    bool no_touch; /* CLIENT NO-TOUCH: reads leave the eviction clock alone */
    enum expiry expiry;
    int64_t now_ms;            /* wall clock of this command */
    const struct keyref *refs; /* the command's keys, hashed; found again by address */
    size_t ref_count;
    size_t ref_hint; /* where the last one was found */
};

/* Is it over, and not to be seen? */
static inline bool keyspace_hides(const struct keyspace_view *view, const struct entry *e) {
    return entry_is_expired(e, view->now_ms) && view->expiry != EXPIRY_KEEPS;
}
/* What counts as now for elements of values: elements that are due before it must not be seen. */
static inline int64_t keyspace_now(const struct keyspace_view *view) {
    return view->expiry == EXPIRY_KEEPS ? INT64_MIN : view->now_ms;
}
/* Would a key or an element with this expiry be over at once, and so be deleted? */
static inline bool keyspace_is_past(const struct keyspace_view *view, int64_t at_ms) {
    return at_ms <= view->now_ms && view->expiry == EXPIRY_DELETES;
}

enum vanish_reason {
    VANISHED_EXPIRED,
    VANISHED_EVICTED,
    VANISHED_SLOT,        /* its slot is another node's now, or was emptied */
    VANISHED_OVERWRITTEN, /* it was over and hidden, and another entry takes its place: for the journal */
};

/* What the layers above are told. Filled once at start-up, before any thread. Called under a shard's lock. */
struct keyspace_hooks {
    /* keyspace_insert added a key that was not there. */
    void (*made)(struct keyspace_view *view, struct slice key);
    /* An entry is about to be freed, for that reason. A command's own delete is not reported here. */
    void (*vanished)(struct keyspace_view *view, struct slice key, enum vanish_reason reason);
    /* Elements of an entry's value (fields of a hash) expired and were removed; `emptied`: the entry is
     * deleted too. */
    void (*elements_vanished)(struct keyspace_view *view, struct slice key, const struct gone *gone,
                              bool emptied);
    /* A view that hides what is over gave an entry an expiry. */
    void (*dated)(struct keyspace_view *view, struct slice key);
    /* keyspace_read() found nothing (for the keymiss event). */
    void (*missed)(struct keyspace_view *view, struct slice key);
};
extern struct keyspace_hooks keyspace_hooks;

/* The epoch new entries get; flipped by a snapshot with the gate closed (walk.h). */
extern bool keyspace_epoch;

/* Both are fixed for the life of the process; `by_slot`: it is a node of a cluster. */
void keyspace_init(uint32_t databases, bool by_slot);
void keyspace_release(void);
uint32_t keyspace_databases(void);

/* A second set of databases, beside the one that is in use: a replica loads its primary's data into it while
 * clients read the old data. The number in it of a database; keyspace_load() takes it, and so do flushing and
 * swapping. Nobody else sees it, nothing expires or is evicted in it, and no snapshot may begin while it has
 * entries. */
uint32_t keyspace_beside(uint32_t db);
/* The highest database in use that was ever used in this shard; under its lock. */
uint32_t keyspace_last_db(const struct shard *s);
/* How many databases both sets have together. */
uint32_t keyspace_numbers(void);

/* The hash of a key: the dispatcher's, or computed now. */
uint64_t keyspace_hash(struct keyspace_view *view, struct slice key);
/* The number of its shard, likewise. */
uint32_t keyspace_shard(struct keyspace_view *view, struct slice key);

/* The door for reading: counts a hit or miss and refreshes the eviction clock. NULL if the view does not see
 * it. */
struct entry *keyspace_read(struct keyspace_view *view, struct slice key);
/* Reading without refreshing the eviction clock (TTL, EXISTS, OBJECT, TYPE); counts hits and misses. */
struct entry *keyspace_peek(struct keyspace_view *view, struct slice key);
/* Is it there, and seen by the view? Nobody is told of the question. */
bool keyspace_holds(const struct keyspace_view *view, const struct keyref *ref);
/* The door for changing. NULL if the view does not see it. */
struct entry *keyspace_write(struct keyspace_view *view, struct slice key);

/* Adds an entry whose key the view does not see; the keyspace owns it from now on, and stamps it as used now
 * unless it is stamped already (RENAME, RESTORE). Calls the hook `made`. */
void keyspace_insert(struct keyspace_view *view, struct entry *e);
/* The same for a loader: nobody is told. */
void keyspace_load(struct keyspace_view *view, struct entry *e);
/* `fresh` takes the place of `old`, which came from keyspace_write and has the same key, and of its stamp if
 * it has none of its own. `old` is freed, on the background thread if big. */
void keyspace_replace(struct keyspace_view *view, struct entry *old, struct entry *fresh);
/* An entry_* function may move an entry, or change its size. Remember this before the call: */
struct keyspace_before {
    const void *address;
    bool had_expiry;
    size_t bytes;
};
static inline struct keyspace_before keyspace_before(const struct entry *e) {
    return (struct keyspace_before){ e, e->has_expiry, entry_memory(e) };
}
/* It is `fresh` now. */
void keyspace_moved(struct keyspace_view *view, struct keyspace_before before, struct entry *fresh);
/* Inserts or replaces, whatever is there. */
void keyspace_put(struct keyspace_view *view, struct entry *fresh);
/* Takes the entry (from keyspace_write) out and frees it; `lazily`: on the background thread if big. */
void keyspace_delete(struct keyspace_view *view, struct entry *e, bool lazily);
/* Takes it out without freeing: the caller owns it then (RENAME, MOVE). */
void keyspace_detach(struct keyspace_view *view, struct entry *e);
/* Gives the entry (from keyspace_write) another expiry; returns the entry to use from now on. */
struct entry *keyspace_set_expiry(struct keyspace_view *view, struct entry *e, int64_t expiry_ms);
/* Deletes the entry if its time is over. What it is then: gone, or without an expiry, or yet to come. */
enum keyspace_due { DUE_NEVER, DUE_NOW, DUE_LATER };
enum keyspace_due keyspace_expire(struct keyspace_view *view, struct slice key);

/* The entry's value was changed in place: elements with an expiry of their own may have been added or
 * removed. */
void keyspace_note_elements(struct keyspace_view *view, struct entry *e);
/* Was it counted so, before the change? */
static inline bool keyspace_was_dated(const struct entry *e) {
    return e->type != TYPE_STRING && e->raw_or_dated;
}
/* Are there, or were there, values whose elements expire by themselves? Any thread. */
bool keyspace_has_dated(void);

/* In a cluster: how many keys of this slot the database has, none if they are to go (leaving.h); takes the
 * shard's lock itself. */
size_t keyspace_slot_count(uint32_t db, uint16_t slot);
/* Visits its keys until the callback returns false. Gate closed. */
void keyspace_slot_each(uint32_t db, uint16_t slot, bool (*visit)(void *arg, const struct entry *e),
                        void *arg);
/* Deletes all keys of the slot, in all databases; `lazily`: big values are freed on the background thread.
 * Returns how many went. Gate closed. */
size_t keyspace_slot_drop(uint16_t slot, bool lazily, int64_t now_ms);

/* Whole databases; the gate is closed. Flushing frees in the background if `lazily`. Returns the entries
 * that went. */
size_t keyspace_flush(uint32_t db, bool lazily);
/* What each counts as its use for eviction may differ: eviction_swapped() sees to that. */
void keyspace_swap(uint32_t a, uint32_t b);

/* Counts over all shards, any thread, no lock: sums of the workers' counters. */
size_t keyspace_count(uint32_t db);
size_t keyspace_expires(uint32_t db);
/* The exact bytes of its entries, keys and values; while none of them is open (change.h). */
size_t keyspace_bytes(uint32_t db);
/* The same, by walking over all of them: for checks. Gate closed. */
size_t keyspace_bytes_walked(uint32_t db);
size_t keyspace_dated(uint32_t db); /* keys whose elements expire by themselves */

/* Copies a key of the database, chosen about evenly, to `out`; false if the database is empty. Takes shard
 * locks itself: the caller holds none (LOCAL commands and the gate closed both are fine). */
struct buf;
bool keyspace_random_key(struct keyspace_view *view, struct buf *out);
/* Bytes of all tables of the database, without the entries; takes shard locks itself. */
size_t keyspace_table_memory(uint32_t db);

#endif
