/* locks.c: the gate and sets of shards. The rules are in locks.h.
 *
 * While an exclusive command waits or runs, a worker that wants its gate first takes the exclusive lock and
 * drops it at once. So a busy worker cannot overtake the exclusive command for ever. */
#include "trivet/engine/turn/locks.h"
#include "trivet/base/thread.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/keyspace/walk.h"
#include <assert.h>

struct gate {
    struct lock lock;
} CACHE_ALIGNED;

static struct gate gates[WORKERS_MAX];
static struct lock script_lock = LOCK_INIT(LOCK_RANK_SCRIPT);
static struct lock exclusive_lock = LOCK_INIT(LOCK_RANK_EXCLUSIVE);
atomic_int exclusive_waiting;
static _Thread_local bool gate_held;
static _Thread_local int exclusive_depth;
static _Thread_local bool script_turn_is_mine; /* by a script that has not closed the gate */

void gates_init(void) {
    for (int i = 0; i < WORKERS_MAX; i++) lock_init(&gates[i].lock, LOCK_RANK_GATE);
}

bool gate_is_mine(void) { return gate_held; }
bool exclusive_is_mine(void) { return exclusive_depth > 0 || !shards_are_shared; }

void gate_enter(void) {
    if (gate_held) return;
    assert(thread_worker_index != THREAD_NO_WORKER && exclusive_depth == 0);
    gate_held = true;
    if (!thread_is_parallel()) return;
    if (atomic_load_explicit(&exclusive_waiting, memory_order_acquire) > 0) {
        lock_take(&exclusive_lock);
        lock_drop(&exclusive_lock);
    }
    lock_take_ordered(&gates[thread_worker_index].lock);
}

void gate_leave(void) {
    if (!gate_held) return;
    turn_mark_ns = 0;
    assert(exclusive_depth == 0);
    gate_held = false;
    if (thread_is_parallel()) lock_drop(&gates[thread_worker_index].lock);
}

void exclusive_begin(void) {
    assert(gate_held);
    if (exclusive_depth++ > 0) return;
    turn_mark_ns = 0;
    if (thread_is_parallel()) {
        lock_drop(&gates[thread_worker_index].lock);
        atomic_fetch_add_explicit(&exclusive_waiting, 1, memory_order_acq_rel);
        if (!script_turn_is_mine) lock_take(&script_lock);
        lock_take(&exclusive_lock);
        for (int i = 0; i < thread_worker_count; i++) lock_take_ordered(&gates[i].lock);
    }
    walk_halt();
}

void exclusive_end(void) {
    assert(exclusive_depth > 0);
    if (--exclusive_depth > 0) return;
    walk_resume();
    if (!thread_is_parallel()) return;
    for (int i = thread_worker_count - 1; i >= 0; i--)
        if (i != thread_worker_index) lock_drop(&gates[i].lock);
    atomic_fetch_sub_explicit(&exclusive_waiting, 1, memory_order_acq_rel);
    lock_drop(&exclusive_lock);
    if (!script_turn_is_mine) lock_drop(&script_lock);
}

void script_turn_take(void) {
    assert(!gate_held && !script_turn_is_mine);
    lock_take(&script_lock);
    script_turn_is_mine = true;
}

bool script_turn_try(void) {
    assert(!script_turn_is_mine && exclusive_depth == 0);
    script_turn_is_mine = lock_try(&script_lock);
    return script_turn_is_mine;
}

void script_turn_drop(void) {
    assert(script_turn_is_mine && exclusive_depth == 0);
    script_turn_is_mine = false;
    lock_drop(&script_lock);
}

void script_turn_becomes_exclusive(void) {
    assert(script_turn_is_mine && exclusive_depth == 1);
    script_turn_is_mine = false;
}

int exclusive_open(void) {
    int depth = exclusive_depth;
    assert(depth > 0);
    exclusive_depth = 1;
    exclusive_end();
    return depth;
}

void exclusive_close(int depth) {
    assert(depth > 0 && exclusive_depth == 0);
    exclusive_begin();
    exclusive_depth = depth;
}

/* The lowest bit that is set at this place or above; 64 if there is none. */
static uint32_t bit_from(uint64_t bits, uint32_t at) {
    bits &= UINT64_MAX << at;
    return bits ? (uint32_t)__builtin_ctzll(bits) : 64;
}

void shard_set_add(struct shard_set *set, uint32_t shard) {
    assert(shard < shard_count);
    uint32_t word = shard / 64;
    uint64_t bit = (uint64_t)1 << (shard % 64), used = (uint64_t)1 << (word % 64);
    if (!(set->words[word / 64] & used)) {
        set->words[word / 64] |= used;
        set->bits[word] = 0;
    }
    if (set->bits[word] & bit) return;
    set->bits[word] |= bit;
    set->count++;
}

/* The first word in use from this one on; SHARD_WORDS if there is none. */
static uint32_t word_from(const struct shard_set *set, uint32_t word) {
    for (uint32_t group = word / 64; group < SHARD_WORDS / 64; group++) {
        uint32_t at = bit_from(set->words[group], group == word / 64 ? word % 64 : 0);
        if (at < 64) return group * 64 + at;
    }
    return SHARD_WORDS;
}

uint32_t shard_set_from(const struct shard_set *set, uint32_t shard) {
    for (uint32_t word = word_from(set, shard / 64); word < SHARD_WORDS; word = word_from(set, word + 1)) {
        uint32_t at = bit_from(set->bits[word], word == shard / 64 ? shard % 64 : 0);
        if (at < 64) return word * 64 + at;
    }
    return SHARD_MAX;
}

void shards_lock(const struct shard_set *set) {
    if (!shards_are_shared || set->count == 0) return;
    SHARD_SET_EACH(set, shard) latch_take_ordered(&shards[shard].lock);
}

void shards_unlock(const struct shard_set *set) {
    if (!shards_are_shared || set->count == 0) return;
    SHARD_SET_EACH(set, shard) latch_drop(&shards[shard].lock);
}
