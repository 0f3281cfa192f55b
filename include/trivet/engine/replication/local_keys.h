/* local_keys.h: keys that clients of a writable replica gave an expiry.
 *
 * A replica deletes nothing by itself: its primary says when a key goes. It does not know of these keys, so
 * the replica sees to them. As in Valkey that holds for the databases 0 to 63.
 * Thread: as said; there is a lock inside. */
#ifndef TRIVET_ENGINE_REPLICATION_LOCAL_KEYS_H
#define TRIVET_ENGINE_REPLICATION_LOCAL_KEYS_H

#include "trivet/keyspace/keyspace.h"

/* keyspace_hooks.dated */
void local_keys_note(struct keyspace_view *view, struct slice key);
/* Deletes those whose time is over. Worker 0, its own gate, no shard locked. */
void local_keys_expire(int64_t now_ms);
/* All data was replaced, or the server is no replica any more. Any thread. */
void local_keys_forget(void);
size_t local_keys_count(void); /* any thread */

#endif
