/* walk.c: see walk.h. */
#include "trivet/keyspace/walk.h"
#include "trivet/base/clock.h"
#include "trivet/base/lock.h"
#include <assert.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

const struct keyspace_saver *keyspace_saver;

#define YIELD_EVERY_US 500

static struct lock walk_lock = LOCK_INIT(LOCK_RANK_GATE);
/* Exclusive commands that wait for the lock: without it, the walker would overtake them again and again. */
static atomic_int halting;

void keyspace_walk_begin(const struct keyspace_saver *saver) {
    assert(!keyspace_saver);
    keyspace_epoch = !keyspace_epoch;
    keyspace_saver = saver;
    shards_are_shared = true;
}

void keyspace_walk_end(void) {
    assert(keyspace_saver);
    keyspace_saver = NULL;
    shards_are_shared = thread_is_parallel();
}

void walk_enter(void) {
    lock_take(&walk_lock);
    while (atomic_load_explicit(&halting, memory_order_acquire) > 0) {
        lock_drop(&walk_lock);
        usleep(20);
        lock_take(&walk_lock);
    }
}

/* Lets a worker that woke up on this core run now, before the walker's time slice ends. Where all cores are
 * busy, each yield costs the walker some milliseconds. */
void walk_leave(void) {
    static _Thread_local int64_t yielded_us;
    lock_drop(&walk_lock);
    int64_t now = clock_steady_us();
    if (now - yielded_us < YIELD_EVERY_US) return;
    sched_yield();
    yielded_us = clock_steady_us();
}

void walk_halt(void) {
    atomic_fetch_add_explicit(&halting, 1, memory_order_acq_rel);
    lock_take_ordered(&walk_lock);
    shards_are_mine = true;
}

void walk_resume(void) {
    shards_are_mine = false;
    lock_drop(&walk_lock);
    atomic_fetch_sub_explicit(&halting, 1, memory_order_acq_rel);
}
