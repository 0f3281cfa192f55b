/* stats.h: counts of what the server did: one block for each worker, summed by the reader.
 * Thread: each worker adds to its own block (stats_mine); any thread reads sums. Times are microseconds
 * unless said. */
#ifndef TRIVET_ENGINE_WATCH_STATS_H
#define TRIVET_ENGINE_WATCH_STATS_H

#include "trivet/base/compiler.h"
#include "trivet/base/counter.h"
#include "trivet/base/thread.h"
#include "trivet/engine/command/command.h"
#include <stdatomic.h>
#include <stdint.h>

struct stats {
    atomic_uint_fast64_t commands;        /* processed */
    atomic_uint_fast64_t connections;     /* accepted */
    atomic_uint_fast64_t rejected;        /* refused for maxclients */
    atomic_uint_fast64_t net_in, net_out; /* bytes */
    atomic_uint_fast64_t reads, writes;   /* read(2) and write(2) of connections */
    atomic_uint_fast64_t error_replies, unexpected_errors;
    atomic_uint_fast64_t query_limit_closed, output_limit_closed, evicted_clients;
    atomic_uint_fast64_t strangers_timed_out,
        strangers_evicted; /* unauthenticated clients that were closed */
    atomic_uint_fast64_t sync_full, sync_partial_ok, sync_partial_err; /* what replicas asked for */
    atomic_uint_fast64_t repl_in, repl_out; /* bytes from the primary, and to replicas */
    atomic_uint_fast64_t turns, turn_us;    /* event loop cycles, and their time */
    atomic_uint_fast64_t prefetch_batches, prefetch_entries;
} CACHE_ALIGNED;
extern struct stats worker_stats[WORKERS_MAX];

static inline struct stats *stats_mine(void) {
    int worker = thread_worker_index;
    return &worker_stats[worker < 0 ? 0 : worker];
}
uint64_t stats_sum(size_t offset);
#define STATS_SUM(field) stats_sum(offsetof(struct stats, field))

/* Time of the main thread's turns since the start; CONFIG RESETSTAT does not reset it. */
uint64_t stats_active_us(void);

/* Per command, on the calling worker: it ran for `ns`, with or without an error reply; or it was refused. */
void stats_command_ran(const struct command *command, int64_t ns, bool failed);
/* The same; and it was sent by a connection, which has its answer when this turn ends (answers.h). */
void stats_command_answered(const struct command *command, int64_t ns, bool failed);
void stats_command_rejected(const struct command *command);
struct command_stats {
    uint64_t calls, us, rejected, failed;
};
struct command_stats stats_command(const struct command *command); /* sums of all workers */
uint64_t stats_command_us(void);                                   /* time spent in commands of all names */
/* The latency at this percentile (0..100) of all its calls, in microseconds; 0 if it has none. */
double stats_command_percentile(const struct command *command, double percentile);
/* Cumulative counts at about powers of two of microseconds, only rows with something new (LATENCY HISTOGRAM);
 * returns how many. */
#define HISTOGRAM_ROWS_MAX 41
struct histogram_row {
    uint64_t us, count;
};
size_t stats_command_histogram(const struct command *command, struct histogram_row *out, size_t max);
void stats_command_reset(const struct command *command); /* gate closed */

/* After thread_worker_count and the registry are set, before workers start. When commands are registered
 * later, room for them is made with the gate closed. */
void stats_init(uint32_t command_ids);
void stats_reset(void); /* CONFIG RESETSTAT; gate closed */
void stats_release(void);

#endif
