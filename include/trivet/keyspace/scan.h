/* scan.h: SCAN over a whole database: shard after shard, bucket after bucket.
 *
 * A cursor is the table's own cursor shifted left by SHARD_BITS, plus the shard. It is 0 at the start and at
 * the end, and keeps the table's promise: a key that is there from the first call to the last is
 * seen at least once, however its table grows or shrinks.
 * Thread: takes one shard lock at a time itself. The callback runs under it. */
#ifndef TRIVET_KEYSPACE_SCAN_H
#define TRIVET_KEYSPACE_SCAN_H

#include "trivet/keyspace/keyspace.h"

/* Visits entries (expired ones too: the caller decides) until at least `count` were visited or buckets * 10
 * were looked at; returns the next cursor. */
uint64_t keyspace_scan(uint32_t db, uint64_t cursor, uint64_t count,
                       void (*visit)(void *arg, struct entry *e), void *arg);
/* Every entry of the database once, one shard locked at a time; `visit` returns false to stop. */
bool keyspace_each(uint32_t db, bool (*visit)(void *arg, struct entry *e), void *arg);

#endif
