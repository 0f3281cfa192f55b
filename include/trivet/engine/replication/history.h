/* history.h: this server's place in a replication history when it starts with data from disk, and what
 * happens to it when data appears that no stream has brought. Thread: a worker with the gate closed. */
#ifndef TRIVET_ENGINE_REPLICATION_HISTORY_H
#define TRIVET_ENGINE_REPLICATION_HISTORY_H

#include "trivet/base/slice.h"
#include "trivet/persist/position.h"

/* At start-up, before the append-only file is opened: the data is in this state. A server that is to be a
 * replica asks its primary for what comes next. Any other begins a history of its own there, which replicas
 * that know the old one join. `stream`: the last bytes before the position, as far as the disk has them: for
 * replicas that are behind. `unnoted`: commands behind it that no replica has got yet, because the process
 * was killed while it wrote them, or another server did; they are part of the data, and become the first of
 * the new history. A replica has got only a part of what its primary has sent then: it needs all data. */
void history_resume(const struct stream_position *position, struct slice stream, struct slice unnoted);
/* The data is of no history that anybody knows. No replica is connected. */
void history_forget(void);
/* The same: it was replaced by something else. Replicas, and this server if it is one, have to get all of it
 * anew. */
void history_end(const char *why);

#endif
