/* walk.h: lets one thread beside the workers, the snapshot's, walk over all entries.
 *
 * An entry whose epoch bit is not keyspace_epoch has not been saved yet. The keyspace calls the saver before
 * such an entry changes, and gives it what is about to be freed, so that the saver sees each entry once, as
 * it was when keyspace_walk_begin() flipped the epoch. New entries have the new epoch; the saver ignores
 * them.
 *
 * The walker works in slices: between walk_enter() and walk_leave() no exclusive command runs; inside, it
 * takes the lock of the shard that it looks at. Exclusive commands wait for the end of a slice, so slices are
 * short. With one worker, shards need no locks; while there is a walker, they do (shards_are_shared). */
#ifndef TRIVET_KEYSPACE_WALK_H
#define TRIVET_KEYSPACE_WALK_H

#include "trivet/base/compiler.h"
#include "trivet/keyspace/keyspace.h"

/* The tables of a flushed database, a shard each. */
struct keyspace_flushed {
    uint32_t count; /* shard_count */
    struct table tables[];
};
/* Frees tables and entries, and `f`. Thread: any that owns it. */
void keyspace_flushed_free(struct keyspace_flushed *f);

/* Called under the lock of the entry's shard, or with the gate closed; `db` is the database it is in now. */
struct keyspace_saver {
    /* The entry is unsaved and about to change or to be removed. The keyspace sets its epoch after. */
    void (*before_change)(uint32_t db, struct entry *e);
    /* The entry (not a string) was just put into this shard: it may be a frozen value under a new key. */
    void (*placed)(const struct entry *e, uint32_t shard);
    /* The entry (not a string) was taken out of its table and is about to be freed. True: the saver owns it
     * now. */
    bool (*adopted)(struct entry *e);
    /* A database was flushed; the saver owns the tables now. Gate closed. */
    void (*flushed)(uint32_t db, struct keyspace_flushed *f);
    /* Two databases changed places. Gate closed. */
    void (*swapped)(uint32_t a, uint32_t b);
};

/* Flips the epoch: all existing entries count as unsaved. Gate closed; no walk is under way. */
void keyspace_walk_begin(const struct keyspace_saver *saver);
/* Gate closed. Every entry has been saved or at least marked so (its epoch set). */
void keyspace_walk_end(void);
static inline bool keyspace_is_walked(void);

/* The walker's side. */
void walk_enter(void) UNCHECKED;
void walk_leave(void) UNCHECKED;
/* The exclusive command's side: the caller holds all gates. */
void walk_halt(void) UNCHECKED;
void walk_resume(void) UNCHECKED;

/* The keyspace's own. */
extern const struct keyspace_saver *keyspace_saver; /* NULL: there is no walk. Changes with the gate closed */
static inline bool keyspace_is_walked(void) { return keyspace_saver != NULL; }

#endif
