/* sync.h: SYNC and PSYNC: does a replica get what it lacks of the stream, or everything?
 *
 * All replicas that wait when a snapshot begins get the same one, if they want the same of the data. With
 * repl-diskless-sync the snapshot waits repl-diskless-sync-delay seconds for more of them.
 * Thread: a worker with the gate closed, unless said. */
#ifndef TRIVET_ENGINE_REPLICATION_SYNC_H
#define TRIVET_ENGINE_REPLICATION_SYNC_H

#include "trivet/engine/replication/replicas.h"

/* PSYNC id offset (offset is the first byte wanted) [FAILOVER]. Replies, or keeps the replica waiting. */
void sync_ask(struct call *c, struct slice id, int64_t offset, bool is_failover);
/* SYNC: all data, the old way. */
void sync_ask_all(struct call *c);
/* A snapshot begins if it is time. Worker 0, its own gate. */
void sync_cron(int64_t now_ms);

#endif
