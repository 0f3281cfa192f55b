/* scan.h: SCAN over a whole database: shard after shard, bucket after bucket.
 *
 * A cursor is the table's own cursor shifted left, plus the shard. It is 0 at the start and at
 * the end, and keeps the table's promise: a key that is there from the first call to the last is
 * seen at least once, however its table grows or shrinks.
 * Thread: takes one shard lock at a time itself. The callback runs under it. */
#ifndef TRIVET_KEYSPACE_SCAN_H
#define TRIVET_KEYSPACE_SCAN_H

#include "trivet/keyspace/keyspace.h"

/* Called under the shard's lock. */
struct scan_visitor {
    /* Is it one of those that are looked for? NULL: all are. */
    bool (*wants)(void *arg, const struct entry *e);
    void (*visit)(void *arg, struct entry *e);
    void *arg;
    /* Puts what expired into the journal; NULL if the caller does that before it unlocks. */
    void (*flush)(void);
};
/* Visits wanted entries that the view sees, until it met at least `count` entries of any sort or looked at 10
 * * count buckets; returns the next cursor. Deletes wanted entries that are over, if the view does that. */
uint64_t keyspace_scan(struct keyspace_view *view, uint64_t cursor, uint64_t count,
                       const struct scan_visitor *visitor);
/* Every entry of the database once, one shard locked at a time; `visit` returns false to stop. */
bool keyspace_each(uint32_t db, bool (*visit)(void *arg, struct entry *e), void *arg);
/* The same without those of hidden slots (hidden.h). */
bool keyspace_each_seen(uint32_t db, bool (*visit)(void *arg, struct entry *e), void *arg);

#endif
