/* ghosts.h: what was evicted lately, and what that teaches: under an LRU policy, whose turn it is.
 *
 * An entry counts its uses since it came in, up to GHOST_USES_MAX. When it is evicted, a *ghost* remembers 14
 * bits of its hash and that count: two bytes in a line of 31, in which the newest takes the oldest's place.
 * If the key comes back, its new entry goes on with one use more than it had.
 *
 * A key that comes back *soon*, within about a sixteenth of a turnover, was evicted by mistake. For each
 * count of uses there is a *weight*, by which the idle time of such entries is multiplied when candidates are
 * compared. Each eviction raises its count's weight a little, each mistake lowers it; the steps balance where
 * the entries of every count come back equally often. So the weights find by themselves how far to go towards
 * LRU (all weights equal) or towards frequency (those never used again go long before others).
 *
 * Owner: one for the process (eviction.c); the simulator has its own. Thread: any; numbers that two threads
 * change at once may lose a step, which does no harm. init and release are for one thread alone. */
#ifndef TRIVET_KEYSPACE_GHOSTS_H
#define TRIVET_KEYSPACE_GHOSTS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define GHOST_USES_MAX 3u /* two bits of an entry's access field */

struct ghost_line;

struct ghosts {
    struct ghost_line *lines; /* NULL: none; nothing is remembered or learned */
    size_t room;              /* lines allocated */
    atomic_size_t in_use;     /* lines in use: a power of two that suits the entries */
    atomic_size_t soon;       /* ghosts of a line, from the newest on, that are mistakes */
    _Atomic float weights[GHOST_USES_MAX + 1];
    _Atomic float mistakes; /* how many evictions of one are, lately */
};

/* All weights as they are at the start; room for ghosts in at most `bytes` (less than one line: none). */
void ghosts_init(struct ghosts *g, size_t bytes);
void ghosts_release(struct ghosts *g);
size_t ghosts_bytes(const struct ghosts *g);
/* What ghosts_init() makes of so many bytes: whole lines. */
size_t ghosts_bytes_for(size_t bytes);
/* Suits itself to a keyspace of so many entries. Cheap; now and then is enough. Thread: any. */
void ghosts_suit(struct ghosts *g, size_t entries);

/* An entry with this hash, used so often, was evicted. */
void ghosts_add(struct ghosts *g, uint64_t hash, unsigned uses);
/* A key with this hash comes in. Returns how often its entry counts as used: 0 if there is no ghost. */
unsigned ghosts_take(struct ghosts *g, uint64_t hash);

/* How much faster than others entries of this count age; between 1/64 and 64. */
static inline float ghosts_weight(const struct ghosts *g, unsigned uses) {
    return atomic_load_explicit(&g->weights[uses], memory_order_relaxed);
}

#endif
