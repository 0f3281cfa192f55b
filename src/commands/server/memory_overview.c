/* memory_overview.c: see memory_overview.h. */
#include "memory_overview.h"
#include "trivet/base/lock.h"
#include "trivet/base/slab.h"
#include "trivet/engine/client/client_memory.h"
#include "trivet/engine/process/server_hooks.h"
#include "trivet/engine/replication/transfer.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/watch/peaks.h"
#include "trivet/keyspace/eviction.h"
#include "trivet/persist/aof/aof.h"
#include "trivet/persist/backlog.h"

#define SYSTEM_MAX_AGE_MS 100

/* What costs system calls, remembered for a moment: a pool of clients that connect asks INFO all at once. */
static struct {
    struct lock lock;
    int64_t read_ms;
    size_t resident;
    struct mem_allocator_stats allocator;
} recent = { .lock = LOCK_INIT(LOCK_RANK_LEAF) };

/* Slabs are not jemalloc's, but all the same they are memory that an allocator holds. */
static void add_slabs(struct mem_allocator_stats *out) {
    struct slab_stats slabs;
    slab_stats(&slabs);
    out->allocated += slabs.allocated;
    out->active += slabs.active;
    out->resident += slabs.resident;
}

static void read_system(int64_t now_ms, struct memory_overview *out) {
    lock_take(&recent.lock);
    if (now_ms - recent.read_ms >= SYSTEM_MAX_AGE_MS || now_ms < recent.read_ms) {
        recent.resident = mem_resident();
        mem_allocator_stats(&recent.allocator);
        add_slabs(&recent.allocator);
        recent.read_ms = now_ms;
    }
    out->resident = recent.resident;
    out->allocator = recent.allocator;
    lock_drop(&recent.lock);
}

static void fill(int64_t now_ms, struct memory_overview *out) {
    struct aof_info aof;
    aof_info(&aof);
    read_system(now_ms, out);
    out->used = mem_used_exact();
    stats_note_memory(out->used, now_ms); /* nobody is told a peak below what somebody was told is in use */
    out->peak = stats_memory_peak();
    out->startup = server_facts.startup_memory;
    out->aof_buffer = aof.buffer_length;
    out->clients = clients_memory(CLASS_NORMAL) + clients_memory(CLASS_PUBSUB);
    size_t stream = backlog_memory(), kept = (size_t)options.repl_backlog_size;
    out->backlog = stream < kept ? stream : kept;
    out->for_replicas = stream + transfers_memory();
    out->replicas = out->for_replicas - out->backlog + clients_memory(CLASS_REPLICA);
    size_t shared =
        clients_memory_shared(); /* values on their way out are data, however many wait for them */
    size_t own = out->clients > shared ? out->clients - shared : 0;
    out->overhead = out->startup + own + out->aof_buffer + out->backlog + out->replicas + out->tables +
                    eviction_ghost_bytes();
    out->dataset = out->used > out->overhead ? out->used - out->overhead : 0;
}

/* Buckets of a database with so many keys, spread evenly over the shards. */
static size_t table_bytes_of(size_t keys) {
    size_t tables = keys < shard_count ? keys : shard_count;
    return tables * table_memory_for((keys + shard_count - 1) / shard_count);
}

void memory_overview_estimate(int64_t now_ms, struct memory_overview *out) {
    *out = (struct memory_overview){ .keys = 0 };
    for (uint32_t db = 0; db < keyspace_databases(); db++) {
        out->keys += keyspace_count(db);
        out->tables += table_bytes_of(keyspace_count(db));
    }
    fill(now_ms, out);
}

void memory_overview_exact(int64_t now_ms, struct memory_overview *out) {
    *out = (struct memory_overview){ .keys = 0 };
    for (int worker = 0; worker < thread_worker_count; worker++)
        CLIENTS_OF(worker, client) client_recount(client);
    for (uint32_t db = 0; db < keyspace_databases(); db++) {
        out->keys += keyspace_count(db);
        if (keyspace_count(db) > 0) out->tables += keyspace_table_memory(db);
    }
    fill(now_ms, out);
}

double memory_ratio(size_t a, size_t b) { return b ? (double)a / (double)b : 0; }
double memory_percent(size_t part, size_t whole) { return memory_ratio(part, whole) * 100; }
