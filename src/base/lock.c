/* lock.c: mutexes with a rank.
 *
 * Debug builds count for each thread how many locks of each rank it holds. Taking a lock of a lower rank than
 * one already held stops the process where the mistake is, with both ranks named. These are counts and no
 * stack: locks may be dropped in any order, and an exclusive command may hold thousands. */
#include "trivet/base/lock.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef TRIVET_DEBUG
static _Thread_local unsigned held[LOCK_RANK_COUNT];

static NORETURN void die(const char *what, enum lock_rank rank, int other) {
    fprintf(stderr, "lock order: %s rank %d while holding rank %d\n", what, (int)rank, other);
    abort();
}

/* The highest rank this thread holds, -1 if none. */
static int highest_held(void) {
    int rank = LOCK_RANK_COUNT - 1;
    while (rank >= 0 && held[rank] == 0) rank--;
    return rank;
}

static void check_rises(const struct lock *l, bool equal_allowed) {
    int highest = highest_held();
    if ((int)l->rank > highest) return;
    if ((int)l->rank == highest && equal_allowed) return;
    die("taking", l->rank, highest);
}

static void set_holder(struct lock *l, const void *holder) {
    atomic_store_explicit(&l->holder, holder, memory_order_relaxed);
}

bool lock_is_mine(const struct lock *l) {
    return atomic_load_explicit(&l->holder, memory_order_relaxed) == held;
}

static void note_taken(struct lock *l) {
    held[l->rank]++;
    set_holder(l, held);
}

static void note_dropped(struct lock *l) {
    if (held[l->rank] == 0) die("dropping", l->rank, highest_held());
    held[l->rank]--;
    set_holder(l, NULL);
}
#else
static inline void set_holder(struct lock *l, const void *holder) { (void)l, (void)holder; }

static inline void check_rises(const struct lock *l, bool equal_allowed) { (void)l, (void)equal_allowed; }
static inline void note_taken(struct lock *l) { (void)l; }
static inline void note_dropped(struct lock *l) { (void)l; }
#endif

/* A failing mutex is our own mistake (destroyed, or never made): no caller could go on. */
static void must_succeed(int error) { assert(error == 0); }

void lock_init(struct lock *l, enum lock_rank rank) {
    assert(rank < LOCK_RANK_COUNT);
    must_succeed(pthread_mutex_init(&l->mutex, NULL));
    l->rank = rank;
    set_holder(l, NULL);
}

void lock_release(struct lock *l) { must_succeed(pthread_mutex_destroy(&l->mutex)); }

void lock_take(struct lock *l) UNCHECKED {
    check_rises(l, false);
    must_succeed(pthread_mutex_lock(&l->mutex));
    note_taken(l);
}

void lock_take_ordered(struct lock *l) UNCHECKED {
    check_rises(l, true);
    must_succeed(pthread_mutex_lock(&l->mutex));
    note_taken(l);
}

/* Trying cannot wait for ever, so it may be done against the order. */
bool lock_try(struct lock *l) {
    if (pthread_mutex_trylock(&l->mutex) != 0) return false;
    note_taken(l);
    return true;
}

void lock_drop(struct lock *l) UNCHECKED {
    note_dropped(l);
    must_succeed(pthread_mutex_unlock(&l->mutex));
}
