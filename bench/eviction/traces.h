/* traces.h: requests to a read-through cache, made by a generator with a fixed seed, so that every run and
 * every policy gets the same ones. A key is a number; its size and time to live depend on nothing else.
 *
 * Owner: the caller. Thread: any, one at a time. */
#ifndef BENCH_EVICTION_TRACES_H
#define BENCH_EVICTION_TRACES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct trace {
    const char *name, *title;
    uint32_t *requests; /* keys, below key_count */
    size_t count;
    uint32_t key_count;
    uint32_t *sizes; /* of values, in bytes, by key; NULL: TRACE_VALUE_LEAST to TRACE_VALUE_MOST */
    bool *brief;     /* by key: lives for `ttl` requests only; NULL: none does */
    size_t ttl;
};

/* Evenly, so that no server is lucky or unlucky with its allocator's size classes. */
#define TRACE_VALUE_LEAST 200u
#define TRACE_VALUE_MOST 800u
#define TRACE_KEY_LEN 12 /* "key:%08x" */

/* The names, NULL after the last. */
extern const char *const trace_names[];
/* Of about `count` requests; ends the process if there is no such name. */
struct trace trace_make(const char *name, size_t count);
void trace_release(struct trace *t);

static inline uint32_t trace_value_size(const struct trace *t, uint32_t key) {
    if (t->sizes) return t->sizes[key];
    uint32_t scattered = (key + 1) * 2654435769u >> 8;
    return TRACE_VALUE_LEAST + scattered % (TRACE_VALUE_MOST - TRACE_VALUE_LEAST + 1);
}

/* Fast, seeded chance for traces and policies (xorshift64*). */
static inline uint64_t chance_next(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}
static inline double chance_unit(uint64_t *state) { return (double)(chance_next(state) >> 11) * 0x1p-53; }
static inline uint32_t chance_below(uint64_t *state, uint32_t bound) {
    return (uint32_t)(((chance_next(state) >> 32) * bound) >> 32);
}

#endif
