/* memory_overview.h: where the memory goes, for INFO memory and MEMORY STATS and DOCTOR. */
#ifndef COMMANDS_SERVER_MEMORY_OVERVIEW_H
#define COMMANDS_SERVER_MEMORY_OVERVIEW_H

#include "trivet/base/mem.h"
#include <stdint.h>

struct memory_overview {
    size_t used, peak, startup, resident;
    struct mem_allocator_stats allocator;
    size_t clients;      /* connections and their buffers: what tot-mem of CLIENT LIST adds up to */
    size_t backlog;      /* of the replication stream, up to repl-backlog-size */
    size_t for_replicas; /* all of the stream, and the transfers */
    size_t replicas;     /* the connections of replicas, and what they need beyond the backlog */
    size_t aof_buffer;
    size_t tables;   /* buckets of all databases */
    size_t overhead; /* startup, clients but for the values they share, AOF buffer,
                        backlog, replicas, tables */
    size_t dataset;  /* the rest */
    size_t keys;
};

/* Cheap: tables are estimated from their numbers, clients as their workers counted them last, and what the
 * system says may be 100 ms old. Any worker. */
void memory_overview_estimate(int64_t now_ms, struct memory_overview *out);
/* Visits all clients and tables. Gate closed. */
void memory_overview_exact(int64_t now_ms, struct memory_overview *out);

/* a / b, or 0 if that makes no sense. */
double memory_ratio(size_t a, size_t b);
/* Part of the whole in percent. */
double memory_percent(size_t part, size_t whole);

#endif
