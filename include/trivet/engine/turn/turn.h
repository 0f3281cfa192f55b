/* turn.h: the state of a worker's present turn: its clock, and the obstacles that make commands take the slow
 * way.
 *
 * A turn is what a worker does between two sleeps of its event loop (net/worker.h). */
#ifndef TRIVET_ENGINE_TURN_TURN_H
#define TRIVET_ENGINE_TURN_TURN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* The wall clock as of this worker's turn; net sets it before each batch of commands. */
extern _Thread_local int64_t turn_now_ms;

/* When this worker's last command ended (clock_ticks_ns), if it has done nothing since but go on to the next
 * one of its batch, which then needs not read the clock again to know when it begins; else 0. Whoever waits
 * for a lock or does other work in between clears it. */
extern _Thread_local int64_t turn_mark_ns;

/* DEBUG PAUSE-CRON: the workers skip their periodic work. Any worker reads. */
extern atomic_bool turn_cron_paused;

/* One bit for each obstacle, so that the hot path tests one word. Set and cleared with the gate closed or at
 * start-up, except DISK, SAVE, STALE and REPLICAS, which any worker's cron may write, and MONITOR, which goes
 * with the last monitor. */
enum obstacle {
    OBSTACLE_LOADING = 1,
    OBSTACLE_DISK = 2, /* the append-only file cannot be written */
    OBSTACLE_MEMORY_LIMIT = 4,
    OBSTACLE_PAUSE = 8,
    OBSTACLE_MONITOR = 16,
    OBSTACLE_SAVE = 32,       /* the last background save failed */
    OBSTACLE_SNAPSHOT = 64,   /* one is being written; see snapshot_wait_for_room */
    OBSTACLE_BUSY = 128,      /* a script runs for longer than busy-reply-threshold: data stands still */
    OBSTACLE_REPLICA = 256,   /* this server is a replica: its primary decides what is in the data */
    OBSTACLE_STALE = 512,     /* its link is down, and it must not serve old data */
    OBSTACLE_REPLICAS = 1024, /* fewer good replicas than min-replicas-to-write */
    OBSTACLE_LOADING_BESIDE = 2048, /* a replica loads beside its old data, which clients may read */
    OBSTACLE_CLUSTER = 4096,        /* this server is a node of a cluster: is the slot here? */
};
void obstacle_set(enum obstacle which, bool on);

extern atomic_uint turn_obstacles; /* read with obstacles_now */
static inline unsigned obstacles_now(void) {
    return atomic_load_explicit(&turn_obstacles, memory_order_relaxed);
}
static inline bool obstacle_is_set(enum obstacle which) { return obstacles_now() & (unsigned)which; }

#endif
