/* cache.h: a simulated read-through cache, bounded by bytes, and the policies that it may use.
 *
 * The cache knows which keys are in it, what they weigh and when they expire; a policy only decides which one
 * goes next. As in a server, room is made before a new key comes in: a new key is never refused.
 * Owner: the caller. Thread: any, one at a time. */
#ifndef BENCH_EVICTION_CACHE_H
#define BENCH_EVICTION_CACHE_H

#include "traces.h"

/* Header, table slot and what the allocator adds, per entry. */
#define ENTRY_OVERHEAD 50

struct cache;

struct policy {
    const char *name;
    void *(*new)(const struct cache *c);
    void (*hit)(void *state, const struct cache *c, uint32_t key);
    /* The key has just come in. */
    void (*inserted)(void *state, const struct cache *c, uint32_t key);
    /* The key to evict; `removed` is called for it after. There is at least one. */
    uint32_t (*victim)(void *state, const struct cache *c);
    /* The key is about to leave: evicted, or expired. */
    void (*removed)(void *state, const struct cache *c, uint32_t key, bool evicted);
    void (*free)(void *state);
};

extern const struct policy policy_random, policy_sampled_lru, policy_lru, policy_lfu, policy_2q,
    policy_s3fifo, policy_sieve, policy_tinylfu, policy_trivet;

struct cache {
    const struct trace *trace;
    size_t capacity, used; /* bytes */
    uint64_t now;          /* the number of the request */
    uint32_t *keys;        /* those inside, in no order; for sampling */
    uint32_t count;
    uint32_t *place; /* by key: its index in keys, or NOT_INSIDE */
};
#define NOT_INSIDE UINT32_MAX

static inline bool cache_has(const struct cache *c, uint32_t key) { return c->place[key] != NOT_INSIDE; }
static inline size_t cache_weight(const struct cache *c, uint32_t key) {
    return TRACE_KEY_LEN + ENTRY_OVERHEAD + trace_value_size(c->trace, key);
}

struct outcome {
    double hit_ratio, byte_hit_ratio;
    size_t keys; /* inside on average */
};

/* Runs the whole trace; the first fifth of it fills the cache and is not counted. */
struct outcome cache_run(const struct trace *t, size_t capacity, const struct policy *p);

#endif
