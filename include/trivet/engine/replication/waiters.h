/* waiters.h: clients that wait until replicas, or the disk, have what they wrote: WAIT and WAITAOF.
 *
 * Replicas are asked for their offset (REPLCONF GETACK) at the end of the turn in which a client began to
 * wait. When one acknowledges, each worker looks at its own waiting clients.
 * Thread: the client's worker, unless said. */
#ifndef TRIVET_ENGINE_REPLICATION_WAITERS_H
#define TRIVET_ENGINE_REPLICATION_WAITERS_H

#include "trivet/engine/client/blocking.h"

/* What is waited for. */
struct wait_goal {
    uint64_t stream;  /* the offset of the stream that replicas must have */
    int64_t replicas; /* so many of them */
    bool on_disk;     /* ... on their disk; else processed is enough */
    bool here;        /* and this server's append-only file must be synced ... */
    uint64_t journal; /* ... up to here */
    bool sync_failed; /* it cannot be synced: no use in waiting for that */
    void *plan;       /* NULL, or what `end` needs; taken over, and freed with mem_free after it */
};

/* How many replicas have it. Any worker. */
int64_t wait_goal_replicas(const struct wait_goal *goal);
/* Nothing is left to wait for: it is reached, or the append-only file that it needs was turned off. */
bool wait_goal_is_reached(const struct wait_goal *goal);

/* Blocks the client of the running command until the goal is reached; timeout 0 waits for ever. `end` is
 * called as blocking_begin says; its argument is a struct wait_goal. */
void waiters_begin(struct call *call, int64_t timeout_ms, const struct wait_goal *goal, blocked_end *end);
/* The client's append-only file has been synced, or could not be. */
void waiters_note_sync(struct client *c, bool failed);
/* A goal may be reached: all workers look. Any thread. */
void waiters_wake(void);
/* At the end of each worker's turn: replicas are asked if somebody began to wait. */
void waiters_turn_ends(void);
/* Now and then, on each worker: looks, and forgets clients that are gone. */
void waiters_cron(void);
/* The calling worker ends; its connections are closed. */
void waiters_thread_release(void);

#endif
