/* commands_of.h: writes the whole data set as commands that restore it: the base of an AOF in RESP form.
 * Thread: the gate is closed (or no worker runs yet). */
#ifndef TRIVET_PERSIST_AOF_COMMANDS_OF_H
#define TRIVET_PERSIST_AOF_COMMANDS_OF_H

#include "trivet/keyspace/entry.h"

/* Takes one command. */
typedef void aof_emit(void *arg, const struct slice *argv, size_t argc);

/* The commands that restore one entry in the database selected last; none if it has expired. Thread: under
 * the lock of the entry's shard. */
void rebuild_entry(aof_emit *emit, void *arg, const struct entry *e, int64_t now_ms);
/* The elements of one node of a list (see types/freeze.h). */
void rebuild_list_node(aof_emit *emit, void *arg, struct slice key, struct slice bytes, bool plain);

#endif
