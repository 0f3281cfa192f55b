/* keyspace_private.h: what expiry and eviction share with the doors.
 * Thread: under the lock of the entry's shard. */
#ifndef KEYSPACE_KEYSPACE_PRIVATE_H
#define KEYSPACE_KEYSPACE_PRIVATE_H

#include "trivet/keyspace/keyspace.h"
#include <stdatomic.h>

/* Ends an entry that the caller has just taken out of kdb's table: saves its image for a running
 * snapshot, counts it, reports it to the hook `vanished` and frees it (`lazily`: in the background if
 * big). */
void keyspace_vanish(struct keyspace_view *view, struct keydb *kdb, struct entry *e,
                     enum vanish_reason reason, bool lazily);

/* Removes some expired elements from the entry's value, and the entry from the table if none is left. True if
 * more elements are due. */
bool keyspace_reclaim(struct keyspace_view *view, struct keydb *kdb, struct entry *e);
/* Deletes some entries of the table, which is not empty, because their slot is another node's or was emptied.
 * The cursor begins with 0. Returns how many went. */
size_t keyspace_drop_some(struct keyspace_view *view, struct keydb *kdb, uint64_t *cursor, bool lazily);
/* The entry at this address is `fresh` now, with the same key, expiry and marks; its bytes are the caller's
 * to count. */
void keyspace_relocate(struct keyspace_view *view, const void *address, struct entry *fresh);
/* Entries of this database had `before` bytes and have `after` now. */
void keyspace_weigh(uint32_t db, size_t before, size_t after);
/* How many tables are marked as dated (they hold values whose elements expire), in all databases. */
extern atomic_size_t keyspace_dated_tables;

#endif
