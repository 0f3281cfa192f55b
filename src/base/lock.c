/* lock.c: mutexes with a rank, and latches.
 *
 * Debug builds count for each thread how many locks of each rank it holds. Taking a lock of a lower rank than
 * one already held stops the process where the mistake is, with both ranks named. These are counts and no
 * stack: locks may be dropped in any order, and an exclusive command may hold thousands. */
#include "trivet/base/lock.h"
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Looks at a taken latch before its taker sleeps: a few microseconds, about what sleeping and waking cost. */
#define LATCH_LOOKS 100

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

static void check_rank_rises(enum lock_rank rank, bool equal_allowed) {
    int highest = highest_held();
    if ((int)rank > highest) return;
    if ((int)rank == highest && equal_allowed) return;
    die("taking", rank, highest);
}

static void check_rises(const struct lock *l, bool equal_allowed) {
    check_rank_rises(l->rank, equal_allowed);
}

static void set_holder(struct lock *l, const void *holder) {
    atomic_store_explicit(&l->holder, holder, memory_order_relaxed);
}

static void count_dropped(enum lock_rank rank) {
    if (held[rank] == 0) die("dropping", rank, highest_held());
    held[rank]--;
}

bool lock_is_mine(const struct lock *l) {
    return atomic_load_explicit(&l->holder, memory_order_relaxed) == held;
}

static void note_taken(struct lock *l) {
    held[l->rank]++;
    set_holder(l, held);
}

static void note_dropped(struct lock *l) {
    count_dropped(l->rank);
    set_holder(l, NULL);
}

void latch_note_take(const struct latch *l, bool ordered) { check_rank_rises(l->rank, ordered); }

void latch_note_taken(struct latch *l) {
    held[l->rank]++;
    atomic_store_explicit(&l->holder, held, memory_order_relaxed);
}

void latch_note_dropped(struct latch *l) {
    count_dropped(l->rank);
    atomic_store_explicit(&l->holder, NULL, memory_order_relaxed);
}

bool latch_is_mine(const struct latch *l) {
    return atomic_load_explicit(&l->holder, memory_order_relaxed) == held;
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

/* ---- latches ---- */

void latch_init(struct latch *l, enum lock_rank rank) {
    assert(rank < LOCK_RANK_COUNT);
    *l = (struct latch){ .rank = rank };
}

static inline void pause_briefly(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Whoever has slept cannot know whether others still sleep, so it takes the latch as an awaited one: at worst
 * its drop wakes nobody. The kernel looks at the word once more before it lets a thread sleep, so a drop in
 * between is not missed. */
void latch_take_slowly(struct latch *l) {
    for (int looks = 0; looks < LATCH_LOOKS; looks++) {
        pause_briefly();
        if (atomic_load_explicit(&l->state, memory_order_relaxed) == LATCH_FREE && latch_take_free(l)) return;
    }
    while (atomic_exchange_explicit(&l->state, LATCH_AWAITED, memory_order_acquire) != LATCH_FREE)
        syscall(SYS_futex, &l->state, FUTEX_WAIT_PRIVATE, LATCH_AWAITED, NULL, NULL, 0);
}

void latch_drop_slowly(struct latch *l) {
    syscall(SYS_futex, &l->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}
