/* counters.h: the keyspace's statistics: one block a worker, summed by the reader.
 * Thread: each worker writes its own block (counters_mine), plain relaxed stores; any thread reads the
 * sums. */
#ifndef TRIVET_KEYSPACE_COUNTERS_H
#define TRIVET_KEYSPACE_COUNTERS_H

#include "trivet/base/compiler.h"
#include "trivet/base/counter.h"
#include "trivet/base/thread.h"
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* How one database is used. It belongs to the number: SWAPDB leaves it. */
struct database_uses {
    atomic_uint_fast64_t hits, misses, evicted;
    atomic_uint_fast64_t refused; /* commands, for want of memory */
};

struct keyspace_counters {
    atomic_uint_fast64_t expired;
    struct database_uses *uses;              /* by database */
    atomic_uint_fast64_t expired_fields;     /* of hashes */
    atomic_uint_fast64_t expiry_cap_reached; /* expiry cycles that ran out of time */
    atomic_uint_fast64_t expiry_us;          /* spent in expiry cycles */
    atomic_uint_fast64_t eviction_us;        /* spent over the memory limit */
    atomic_uint_fast64_t moved, stayed;      /* entries that compaction met */
    atomic_uint_fast64_t compaction_us;      /* spent in it */
    atomic_uint_fast64_t dirty;              /* changes since the start, for save points */
    atomic_int_fast64_t *keys;               /* by database; may be negative in one block, never in the sum */
    atomic_int_fast64_t *expires;
    atomic_int_fast64_t *bytes; /* of entries and their values */
    atomic_int_fast64_t *dated; /* keys whose elements expire by themselves */
    /* By database: the average TTL that expiry saw lately, and the weight of that average, in thousandths of
     * an entry. */
    atomic_int_fast64_t *average_ttl_ms, *ttl_weight;
} CACHE_ALIGNED;

extern struct keyspace_counters keyspace_counters[WORKERS_MAX];

static inline struct keyspace_counters *counters_mine(void) {
    int worker = thread_worker_index;
    return &keyspace_counters[worker < 0 ? 0 : worker];
}
/* The sum of a field over all workers, by its offset (COUNTER_SUM(expired)). */
uint64_t counters_sum(size_t offset);
#define COUNTER_SUM(field) counters_sum(offsetof(struct keyspace_counters, field))
/* The same of one that is kept by database, never below zero. */
size_t counters_sum_database(size_t offset, uint32_t db);
#define COUNTER_SUM_DATABASE(field, db) counters_sum_database(offsetof(struct keyspace_counters, field), db)

/* The sum of a field of struct database_uses, of one database or of all. */
uint64_t counters_sum_uses(size_t offset, uint32_t db);
uint64_t counters_sum_all_uses(size_t offset);
#define COUNTER_SUM_USES(field, db) counters_sum_uses(offsetof(struct database_uses, field), db)
#define COUNTER_SUM_ALL_USES(field) counters_sum_all_uses(offsetof(struct database_uses, field))
/* The worker's own, to add to. */
static inline struct database_uses *uses_mine(uint32_t db) { return &counters_mine()->uses[db]; }

/* A block's parts by database. Gate closed, or before and after all threads. */
void counters_init(struct keyspace_counters *c, uint32_t databases);
void counters_release(struct keyspace_counters *c);
void counters_swap_databases(struct keyspace_counters *c, uint32_t a, uint32_t b);

/* CONFIG RESETSTAT: all but dirty and what databases hold. */
void counters_reset(void);

#endif
