/* lock.h: a mutex with a rank. A thread takes locks in rising rank only; builds with
 * -DTRIVET_DEBUG (the sanitizer builds) assert it, so a wrong order fails in the first test that
 * runs it, not in the first deadlock. Locks of one rank are taken together only through a function
 * that orders them itself (shards, gates) and says so with lock_take_ordered. */
#ifndef TRIVET_BASE_LOCK_H
#define TRIVET_BASE_LOCK_H

#include "trivet/base/compiler.h"
#include <pthread.h>
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

#endif
