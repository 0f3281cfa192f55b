/* lock.h: mutexes with a rank, and latches for what every command locks. A thread takes locks in rising rank
 * only; builds with -DTRIVET_DEBUG (the sanitizer builds) assert it, so a wrong order fails in the first test
 * that runs it, not in the first deadlock. Locks of one rank are taken together only through a function that
 * orders them itself (shards, gates) and says so with lock_take_ordered. */
#ifndef TRIVET_BASE_LOCK_H
#define TRIVET_BASE_LOCK_H

#include "trivet/base/compiler.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum lock_rank {
    LOCK_RANK_SCRIPT,    /* the script turn: one script, or one exclusive command */
    LOCK_RANK_EXCLUSIVE, /* the right to close all gates */
    LOCK_RANK_GATE,      /* one a worker, rising by worker */
    LOCK_RANK_SHARD,     /* one a shard, rising by shard */
    LOCK_RANK_SNAPSHOT,
    LOCK_RANK_TRACKING,
    LOCK_RANK_PUBSUB,
    LOCK_RANK_REPLICAS, /* the list of replicas: whoever visits them may look into the stream */
    LOCK_RANK_MANIFEST, /* which files the AOF consists of: held across fsync */
    LOCK_RANK_FILE,     /* the AOF file: held across write(2) and fsync */
    LOCK_RANK_JOURNAL,  /* the journal's buffer: held for a memcpy */
    LOCK_RANK_BACKGROUND,
    LOCK_RANK_LEAF,   /* statistics, slow log: nothing is taken inside but what is below */
    LOCK_RANK_SLAB,   /* slabs of small blocks: held to move some blocks */
    LOCK_RANK_MEMORY, /* the registry of memory counters: a thread's first allocation takes it */
    LOCK_RANK_LOG,    /* the log's settings: a line may be written under any lock */
    LOCK_RANK_COUNT
};

struct LOCKABLE lock {
    pthread_mutex_t mutex;
    enum lock_rank rank;
#ifdef TRIVET_DEBUG
    _Atomic(const void *) holder; /* an address of the thread that has it; NULL: nobody has */
#endif
};

#define LOCK_INIT(r) \
    { .mutex = PTHREAD_MUTEX_INITIALIZER, .rank = (r) }
void lock_init(struct lock *l, enum lock_rank rank);
void lock_release(struct lock *l);
void lock_take(struct lock *l) TAKES(*l);
/* Like lock_take, for one of several locks of one rank that the caller takes in a fixed order. */
void lock_take_ordered(struct lock *l) TAKES(*l);
bool lock_try(struct lock *l) UNCHECKED;
void lock_drop(struct lock *l) DROPS(*l);
/* Does this thread hold it? Only debug builds know; others always say yes. For asserts. */
#ifdef TRIVET_DEBUG
bool lock_is_mine(const struct lock *l);
#else
static inline bool lock_is_mine(const struct lock *l) {
    (void)l;
    return true;
}
#endif

/* ---- latches ---- */

/* A lock of one word, with the same rules, for what is locked for each command: taking it when it is free is
 * one instruction of the caller's. Who finds it taken looks a few more times, because it is mostly held for
 * less than a microsecond, and then sleeps: a holder that was preempted is not helped by waiting awake. It is
 * not fair, and no condition variable goes with it. */
struct LOCKABLE latch {
    atomic_uint state; /* enum latch_state */
    enum lock_rank rank;
#ifdef TRIVET_DEBUG
    _Atomic(const void *) holder; /* as in struct lock */
#endif
};

enum latch_state {
    LATCH_FREE,
    LATCH_TAKEN,
    LATCH_AWAITED /* taken, and somebody may sleep */
};

void latch_init(struct latch *l, enum lock_rank rank);
/* Takes one that is not free; drops one that is awaited. */
void latch_take_slowly(struct latch *l) UNCHECKED;
void latch_drop_slowly(struct latch *l) UNCHECKED;
#ifdef TRIVET_DEBUG
void latch_note_take(const struct latch *l, bool ordered); /* dies if the order is wrong */
void latch_note_taken(struct latch *l);
void latch_note_dropped(struct latch *l);
bool latch_is_mine(const struct latch *l);
#else
static inline void latch_note_take(const struct latch *l, bool ordered) { (void)l, (void)ordered; }
static inline void latch_note_taken(struct latch *l) { (void)l; }
static inline void latch_note_dropped(struct latch *l) { (void)l; }
static inline bool latch_is_mine(const struct latch *l) {
    (void)l;
    return true;
}
#endif

/* True if it had to wait. */
static inline bool latch_take(struct latch *l) TAKES(*l) UNCHECKED;
static inline void latch_take_ordered(struct latch *l) TAKES(*l) UNCHECKED; /* as lock_take_ordered */
static inline bool latch_try(struct latch *l) UNCHECKED;
static inline void latch_drop(struct latch *l) DROPS(*l) UNCHECKED;

static inline bool latch_take_free(struct latch *l) {
    unsigned is_free = LATCH_FREE;
    return atomic_compare_exchange_strong_explicit(&l->state, &is_free, LATCH_TAKEN, memory_order_acquire,
                                                   memory_order_relaxed);
}

static inline bool latch_take(struct latch *l) {
    latch_note_take(l, false);
    bool waits = !latch_take_free(l);
    if (UNLIKELY(waits)) latch_take_slowly(l);
    latch_note_taken(l);
    return waits;
}

static inline void latch_take_ordered(struct latch *l) {
    latch_note_take(l, true);
    if (UNLIKELY(!latch_take_free(l))) latch_take_slowly(l);
    latch_note_taken(l);
}

static inline bool latch_try(struct latch *l) {
    if (UNLIKELY(!latch_take_free(l))) return false;
    latch_note_taken(l);
    return true;
}

static inline void latch_drop(struct latch *l) {
    latch_note_dropped(l);
    if (UNLIKELY(atomic_exchange_explicit(&l->state, LATCH_FREE, memory_order_release) == LATCH_AWAITED))
        latch_drop_slowly(l);
}

#endif
