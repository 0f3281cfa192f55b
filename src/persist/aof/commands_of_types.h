/* commands_of_types.h: values that take more than a line or two to write as commands; see commands_of.h. */
#ifndef PERSIST_AOF_COMMANDS_OF_TYPES_H
#define PERSIST_AOF_COMMANDS_OF_TYPES_H

#include "trivet/keyspace/entry.h"
#include "trivet/persist/aof/commands_of.h"

/* Without the expiry. */
void rebuild_zset(aof_emit *emit, void *arg, const struct entry *entry);
void rebuild_set(aof_emit *emit, void *arg, const struct entry *entry);
void rebuild_hash(aof_emit *emit, void *arg, const struct entry *entry);
void rebuild_stream(aof_emit *emit, void *arg, const struct entry *entry);

#endif
