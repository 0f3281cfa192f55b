/* rebuild.h: the whole data set as commands that make it again: the base of an AOF in RESP form.
 * Thread: the gate is closed (or no worker runs yet). */
#ifndef TRIVET_PERSIST_REBUILD_H
#define TRIVET_PERSIST_REBUILD_H

#include "trivet/persist/aof.h"

/* Calls emit(arg, argv, argc) for SELECT and what follows, database by database; expired entries are left
 * out. */
void rebuild_all(aof_emit *emit, void *arg, int64_t now_ms);

#endif
