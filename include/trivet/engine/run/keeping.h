/* keeping.h: how a script runs beside other workers and is one piece all the same.
 *
 * A script that keeps to the keys it was called with need not stop the other workers. It *keeps* the shards
 * of those keys for as long as it runs: each of its commands locks its shards only while it runs, like any
 * command, but between them nobody else's command may use a kept shard. Who wants to waits, with its gate
 * left: it has begun nothing. So the script can close the gate at any time, without a deadlock, when it
 * touches a key that it was not called with; from then on it runs alone.
 *
 * Only one script runs at a time, whichever way it runs: it has the *script turn*. Exclusive commands take
 * that turn too, before anything else; so none can come between the commands of a script.
 *
 * With one worker nothing of this is needed. Thread: a worker with its gate held, no shard locked. */
#ifndef TRIVET_ENGINE_RUN_KEEPING_H
#define TRIVET_ENGINE_RUN_KEEPING_H

#include "trivet/engine/command/command_keys.h"
#include "trivet/engine/turn/locks.h"

/* A script's kept shards. Owner: whoever runs it. */
struct keeping {
    struct shard_set set;
    bool is_alone; /* it has closed the gate, and keeps nothing any more */
};

/* Takes the script turn and marks the shards of these keys as kept. False: it must run with the gate closed,
 * because somebody walks over all shards now, or waits for one of the keys in a way that needs the gate; then
 * nothing is kept. The caller's gate may be open for a while: see *waited. */
MUST_CHECK bool keeping_begin(struct keeping *k, const struct command_keys *keys, bool *waited);
/* The script closes the gate: exclusive_end() is the caller's then. */
void keeping_widen(struct keeping *k);
/* Nothing is kept any more, the turn is free, and who waited goes on. The shards are locked, unless the gate
 * is closed. */
void keeping_end(struct keeping *k);

/* Does a script of another worker keep one of these shards? Under their locks. Then *ticket is for
 * keeping_wait, to be called without them: it leaves the gate, waits until that script ends, and enters the
 * gate again. */
bool keeping_meets(const struct shard_set *set, uint64_t *ticket);
bool keeping_meets_one(uint32_t shard, uint64_t *ticket);
void keeping_wait(uint64_t ticket);

/* Around a command that goes over all shards and locks them by itself, one after the other. False: a script
 * keeps some, so the command must run with the gate closed. */
MUST_CHECK bool walking_begin(void);
void walking_end(void);

#endif
