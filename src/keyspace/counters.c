/* counters.c: summing the workers' blocks. */
#include "trivet/keyspace/counters.h"
#include "trivet/base/mem.h"
#include <string.h>

struct keyspace_counters keyspace_counters[WORKERS_MAX];
static uint32_t used_databases; /* for how many `uses` there is room */

uint64_t counters_sum(size_t offset) {
    uint64_t sum = 0;
    for (int i = 0; i < WORKERS_MAX; i++) {
        const char *block = (const char *)&keyspace_counters[i];
        sum += atomic_load_explicit((const atomic_uint_fast64_t *)(const void *)(block + offset),
                                    memory_order_relaxed);
    }
    return sum;
}

size_t counters_sum_database(size_t offset, uint32_t db) {
    int64_t sum = 0;
    for (int i = 0; i < thread_worker_count; i++) {
        const char *block = (const char *)&keyspace_counters[i];
        const atomic_int_fast64_t *counts = *(atomic_int_fast64_t *const *)(const void *)(block + offset);
        sum += atomic_load_explicit(&counts[db], memory_order_relaxed);
    }
    return sum < 0 ? 0 : (size_t)sum; /* a sum taken in the middle of changes may be off for an instant */
}

uint64_t counters_sum_uses(size_t offset, uint32_t db) {
    uint64_t sum = 0;
    for (int i = 0; i < thread_worker_count; i++) {
        const char *uses = (const char *)&keyspace_counters[i].uses[db];
        sum += atomic_load_explicit((const atomic_uint_fast64_t *)(const void *)(uses + offset),
                                    memory_order_relaxed);
    }
    return sum;
}

uint64_t counters_sum_all_uses(size_t offset) {
    uint64_t sum = 0;
    for (uint32_t db = 0; db < used_databases; db++) sum += counters_sum_uses(offset, db);
    return sum;
}

/* ---- what is kept by database ---- */

#define BY_DATABASE 6

static void list_arrays(struct keyspace_counters *c, atomic_int_fast64_t **out[BY_DATABASE]) {
    atomic_int_fast64_t **all[BY_DATABASE] = {
        &c->keys, &c->expires, &c->bytes, &c->dated, &c->average_ttl_ms, &c->ttl_weight,
    };
    memcpy(out, all, sizeof all);
}

void counters_init(struct keyspace_counters *c, uint32_t databases) {
    atomic_int_fast64_t **arrays[BY_DATABASE];
    list_arrays(c, arrays);
    for (size_t i = 0; i < BY_DATABASE; i++) *arrays[i] = mem_alloc_zero(databases * sizeof **arrays[i]);
    c->uses = mem_alloc_zero(databases * sizeof *c->uses);
    used_databases = databases;
}

void counters_release(struct keyspace_counters *c) {
    atomic_int_fast64_t **arrays[BY_DATABASE];
    list_arrays(c, arrays);
    for (size_t i = 0; i < BY_DATABASE; i++) {
        mem_free(*arrays[i]);
        *arrays[i] = NULL;
    }
    mem_free(c->uses);
    c->uses = NULL;
    used_databases = 0;
}

static void swap_counts(atomic_int_fast64_t *counts, uint32_t a, uint32_t b) {
    int_fast64_t old = atomic_load_explicit(&counts[a], memory_order_relaxed);
    int_fast64_t other = atomic_load_explicit(&counts[b], memory_order_relaxed);
    atomic_store_explicit(&counts[a], other, memory_order_relaxed);
    atomic_store_explicit(&counts[b], old, memory_order_relaxed);
}

void counters_swap_databases(struct keyspace_counters *c, uint32_t a, uint32_t b) {
    atomic_int_fast64_t **arrays[BY_DATABASE];
    list_arrays(c, arrays);
    for (size_t i = 0; i < BY_DATABASE; i++) swap_counts(*arrays[i], a, b);
}

static void reset_uses(struct database_uses *u) {
    atomic_uint_fast64_t *all[] = { &u->hits, &u->misses, &u->evicted, &u->refused };
    for (size_t f = 0; f < COUNT_OF(all); f++) atomic_store_explicit(all[f], 0, memory_order_relaxed);
}

void counters_reset(void) {
    for (int i = 0; i < WORKERS_MAX; i++) {
        struct keyspace_counters *c = &keyspace_counters[i];
        atomic_uint_fast64_t *all[] = {
            &c->expired, &c->expired_fields, &c->expiry_us,    &c->eviction_us, &c->expiry_cap_reached,
            &c->moved,   &c->stayed,         &c->compaction_us,
        };
        for (size_t f = 0; f < COUNT_OF(all); f++) atomic_store_explicit(all[f], 0, memory_order_relaxed);
        for (uint32_t db = 0; c->uses && db < used_databases; db++) reset_uses(&c->uses[db]);
    }
}
