/* counters.c: summing the workers' blocks. */
#include "trivet/keyspace/counters.h"

struct keyspace_counters keyspace_counters[WORKERS_MAX];

uint64_t counters_sum(size_t offset) {
    uint64_t sum = 0;
    for (int i = 0; i < WORKERS_MAX; i++) {
        const char *block = (const char *)&keyspace_counters[i];
        sum += atomic_load_explicit((const atomic_uint_fast64_t *)(const void *)(block + offset),
                                    memory_order_relaxed);
    }
    return sum;
}

void counters_reset(void) {
    for (int i = 0; i < WORKERS_MAX; i++) {
        struct keyspace_counters *c = &keyspace_counters[i];
        atomic_uint_fast64_t *all[] = {
            &c->hits,      &c->misses,     &c->expired,   &c->expired_fields, &c->evicted,
            &c->expiry_us, &c->eviction_us, &c->expiry_cap_reached
        };
        for (size_t f = 0; f < COUNT_OF(all); f++) atomic_store_explicit(all[f], 0, memory_order_relaxed);
    }
}
