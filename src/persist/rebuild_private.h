/* rebuild_private.h: how values that take more than a line or two become commands; see rebuild.h. */
#ifndef PERSIST_REBUILD_PRIVATE_H
#define PERSIST_REBUILD_PRIVATE_H

#include "trivet/keyspace/entry.h"
#include "trivet/persist/rebuild.h"

/* Without the expiry. */
void rebuild_zset(aof_emit *emit, void *arg, const struct entry *entry);
void rebuild_set(aof_emit *emit, void *arg, const struct entry *entry);
void rebuild_hash(aof_emit *emit, void *arg, const struct entry *entry);
void rebuild_stream(aof_emit *emit, void *arg, const struct entry *entry);

#endif
