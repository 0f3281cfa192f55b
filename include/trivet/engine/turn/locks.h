/* locks.h: gate and shard sets: which workers may run at the same time.
 *
 * Gate: each worker holds its own while it works on its connections (from the first event of a turn to the
 * end of the turn); exclusive_begin() takes all of them, so that everybody else is parked between two
 * commands. Anything that workers read and only exclusive commands change (options, the registry, users)
 * needs no lock beyond that. Order: exclusive, gates (rising), shards (rising), then the rest of enum
 * lock_rank. With one worker neither gates nor shards touch a lock, unless a snapshot walks beside it
 * (keyspace/walk.h), which an exclusive command halts. */
#ifndef TRIVET_ENGINE_TURN_LOCKS_H
#define TRIVET_ENGINE_TURN_LOCKS_H

#include "trivet/base/compiler.h"
#include "trivet/keyspace/shard.h"
#include <stdatomic.h>
#include <stdbool.h>

void gates_init(void);

/* The calling worker's gate. Entering waits while an exclusive command runs or waits. Both are idempotent. */
void gate_enter(void) UNCHECKED;
void gate_leave(void) UNCHECKED;
bool gate_is_mine(void);

extern atomic_int exclusive_waiting;
/* Between two commands: lets an exclusive command of another worker go first. */
static inline void gate_yield(void) {
    if (UNLIKELY(atomic_load_explicit(&exclusive_waiting, memory_order_relaxed) > 0)) {
        gate_leave();
        gate_enter();
    }
}

/* Closes the gate for all others; the caller holds its own gate before and after, no shard. Nests. */
void exclusive_begin(void) UNCHECKED;
void exclusive_end(void) UNCHECKED;
bool exclusive_is_mine(void);
/* Opens the gate in the middle of an exclusive command, however deep it is nested; the caller keeps its own
 * gate. Returns what exclusive_close needs to go on as before. */
int exclusive_open(void) UNCHECKED;
void exclusive_close(int depth) UNCHECKED;

/* The script turn (keeping.h): an exclusive command has it, from exclusive_begin to exclusive_end, or a
 * script that runs beside others. Taking it waits, so it is done without the gate; trying may be done with
 * it. */
void script_turn_take(void) UNCHECKED;
bool script_turn_try(void) UNCHECKED;
void script_turn_drop(void) UNCHECKED;
/* The script that has it has closed the gate: exclusive_end drops it. */
void script_turn_becomes_exclusive(void);

/* A set of shards, locked in rising order. Made by shard_set_init(), which clears no more than it must: the
 * set may be large, and lies on the way of every command with several keys. */
#define SHARD_WORDS (SHARD_MAX / 64)
struct shard_set {
    uint64_t words[SHARD_WORDS / 64]; /* which words of `bits` are in use */
    uint32_t count;
    uint64_t bits[SHARD_WORDS];
};
static inline void shard_set_init(struct shard_set *set) {
    for (size_t i = 0; i < sizeof set->words / sizeof set->words[0]; i++) set->words[i] = 0;
    set->count = 0;
}
void shard_set_add(struct shard_set *set, uint32_t shard);
static inline bool shard_set_has(const struct shard_set *set, uint32_t shard) {
    uint32_t word = shard / 64;
    return (set->words[word / 64] >> (word % 64) & 1) && (set->bits[word] >> (shard % 64) & 1);
}
/* The first member from this one on; SHARD_MAX if there is none. */
uint32_t shard_set_from(const struct shard_set *set, uint32_t shard);
/* Visits the shards of a set, rising. */
#define SHARD_SET_EACH(set, shard)                                     \
    for (uint32_t shard = shard_set_from((set), 0); shard < SHARD_MAX; \
         shard = shard_set_from((set), shard + 1))
void shards_lock(const struct shard_set *set) UNCHECKED;
void shards_unlock(const struct shard_set *set) UNCHECKED;

#endif
