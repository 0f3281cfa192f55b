/* access_private.h: the parts of an entry's access field, for eviction. See eviction.h for its two forms. */
#ifndef KEYSPACE_ACCESS_PRIVATE_H
#define KEYSPACE_ACCESS_PRIVATE_H

#include "trivet/keyspace/eviction.h"
#include "trivet/keyspace/ghosts.h"

#define TICK_SHIFT 7 /* a tick is 128 ms; the clock goes round in 198 days */
#define TICK_BITS 27
#define TICK_MASK ((1u << TICK_BITS) - 1)
#define USES_BITS 2
static_assert(TICK_BITS + USES_BITS == ENTRY_ACCESS_BITS, "they fill the access field");
static_assert(GHOST_USES_MAX == (1u << USES_BITS) - 1, "entries and ghosts count alike");
/* A time up to an hour in the future comes from a clock that was set back, or from another worker's newer
 * time. */
#define FUTURE_TICKS (3600000u >> TICK_SHIFT)
#define MINUTE_MASK 0xffff

static inline uint32_t tick_of(int64_t now_ms) { return (uint32_t)(now_ms >> TICK_SHIFT) & TICK_MASK; }
static inline uint32_t uses_of(uint32_t access) { return access & GHOST_USES_MAX; }
static inline uint32_t minute_of(int64_t now_ms) { return (uint32_t)(now_ms / 60000) & MINUTE_MASK; }

static inline uint32_t idle_ticks(uint32_t access, int64_t now_ms) {
    uint32_t ticks = (tick_of(now_ms) - (access >> USES_BITS)) & TICK_MASK;
    return ticks > TICK_MASK - FUTURE_TICKS ? 0 : ticks;
}

/* The fields of a database's entries have the other form than its policy wants. Gate closed. */
void access_translate(uint32_t db, int64_t now_ms);

#endif
