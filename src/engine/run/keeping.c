/* keeping.c: see keeping.h. */
#include "trivet/engine/run/keeping.h"
#include "trivet/engine/client/blocking.h"
#include <pthread.h>
#include <unistd.h>

#define POLITE_STEPS 50 /* of 20 us: so long a script lets exclusive commands that wait go first */

/* Commands that walk over all shards now. A script looks here after it has raised shards_kept, a walk looks
 * at shards_kept after it has raised this: so at least one of the two sees the other. */
static atomic_int walkers;

/* Counts scripts that have ended. Waiters sleep until it has changed. */
static struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    atomic_uint_fast64_t count;
} ended = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0 };

/* ---- the script's side ---- */

static bool take_turn(void) {
    if (atomic_load_explicit(&exclusive_waiting, memory_order_relaxed) == 0 && script_turn_try())
        return false;
    gate_leave();
    for (int i = 0; i < POLITE_STEPS && atomic_load_explicit(&exclusive_waiting, memory_order_relaxed) > 0;
         i++)
        usleep(20);
    script_turn_take();
    gate_enter();
    return true;
}

static void mark(const struct shard_set *set, uint16_t keeper) {
    SHARD_SET_EACH(set, shard) shard_keeper[shard] = keeper;
}

static bool anybody_needs_gate(const struct shard_set *set) {
    SHARD_SET_EACH(set, shard)
    if (blocking_needs_gate(&shards[shard])) return true;
    return false;
}

static void let_go(void) {
    int before = atomic_fetch_sub(&shards_kept, 1);
    assert(before == 1);
    pthread_mutex_lock(&ended.mutex);
    atomic_fetch_add_explicit(&ended.count, 1, memory_order_relaxed);
    pthread_cond_broadcast(&ended.changed);
    pthread_mutex_unlock(&ended.mutex);
}

bool keeping_begin(struct keeping *k, const struct command_keys *keys, bool *waited) {
    k->is_alone = false;
    shard_set_init(&k->set);
    for (size_t i = 0; i < keys->count; i++) shard_set_add(&k->set, keys->at[i].shard);
    *waited = take_turn();
    atomic_fetch_add(&shards_kept, 1);
    bool may_run = atomic_load(&walkers) == 0;
    if (may_run) {
        shards_lock(&k->set);
        may_run = !anybody_needs_gate(&k->set);
        if (may_run) mark(&k->set, (uint16_t)(thread_worker_index + 1));
        shards_unlock(&k->set);
    }
    if (may_run) return true;
    let_go();
    script_turn_drop();
    return false;
}

/* Whoever waits for the end of the script is let in now: the closed gate keeps others out as well. */
void keeping_widen(struct keeping *k) {
    assert(!k->is_alone);
    exclusive_begin();
    mark(&k->set, 0);
    k->is_alone = true;
    let_go();
    script_turn_becomes_exclusive();
}

void keeping_end(struct keeping *k) {
    if (k->is_alone) return;
    mark(&k->set, 0);
    let_go();
    script_turn_drop();
}

/* ---- the others' ---- */

static uint64_t ended_now(void) { return atomic_load_explicit(&ended.count, memory_order_relaxed); }

bool keeping_meets_one(uint32_t shard, uint64_t *ticket) {
    if (!shard_is_kept(shard)) return false;
    *ticket = ended_now();
    return true;
}

bool keeping_meets(const struct shard_set *set, uint64_t *ticket) {
    if (LIKELY(atomic_load_explicit(&shards_kept, memory_order_relaxed) == 0)) return false;
    SHARD_SET_EACH(set, shard)
    if (keeping_meets_one(shard, ticket)) return true;
    return false;
}

void keeping_wait(uint64_t ticket) {
    gate_leave();
    pthread_mutex_lock(&ended.mutex);
    while (ended_now() == ticket) pthread_cond_wait(&ended.changed, &ended.mutex);
    pthread_mutex_unlock(&ended.mutex);
    gate_enter();
}

bool walking_begin(void) {
    if (!thread_is_parallel()) return true;
    atomic_fetch_add(&walkers, 1);
    if (atomic_load(&shards_kept) == 0) return true;
    walking_end();
    return false;
}

void walking_end(void) {
    if (thread_is_parallel()) atomic_fetch_sub(&walkers, 1);
}
