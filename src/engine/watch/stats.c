/* stats.c: counting without locks: each worker owns a block and, for each command, a cell; readers add
 * them up. */
#include "trivet/engine/watch/stats.h"
#include "histogram.h"
#include "trivet/base/counter.h"
#include "trivet/base/mem.h"
#include "trivet/engine/command/registry.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/watch/errors.h"
#include "trivet/engine/watch/peaks.h"
#include "trivet/engine/watch/rates.h"
#include <stddef.h>

struct stats worker_stats[WORKERS_MAX];

uint64_t stats_sum(size_t offset) {
    assert(offset % sizeof(atomic_uint_fast64_t) == 0 && offset < sizeof(struct stats));
    uint64_t sum = 0;
    for (int i = 0; i < WORKERS_MAX; i++) {
        const char *block = (const char *)&worker_stats[i];
        sum += atomic_load_explicit((const atomic_uint_fast64_t *)(const void *)(block + offset),
                                    memory_order_relaxed);
    }
    return sum;
}

static atomic_uint_fast64_t active_before_us; /* what stats_reset took away */

uint64_t stats_active_us(void) {
    return counter_read(&active_before_us) + counter_read(&worker_stats[0].turn_us);
}

/* ---- commands ---- */

struct command_cell {
    atomic_uint_fast64_t calls, ns, rejected, failed;
    histogram_place latency;
};

static struct command_cell *cells[WORKERS_MAX]; /* by worker, then by command id */
static int cell_workers;
static uint32_t cell_count;

static struct command_cell *cell_mine(const struct command *command) {
    int worker = thread_worker_index;
    return &cells[worker < 0 ? 0 : worker][command->id];
}

void stats_command_ran(const struct command *command, int64_t ns, bool failed) {
    struct command_cell *cell = cell_mine(command);
    COUNTER_ADD(cell->calls, 1);
    COUNTER_ADD(cell->ns, (uint64_t)(ns < 0 ? 0 : ns));
    if (UNLIKELY(failed)) COUNTER_ADD(cell->failed, 1);
    if (LIKELY(options.latency_tracking)) histogram_add(&cell->latency, ns);
}

void stats_command_rejected(const struct command *command) { COUNTER_ADD(cell_mine(command)->rejected, 1); }

struct command_stats stats_command(const struct command *command) {
    struct command_stats sum = { 0 };
    assert(command->id < cell_count);
    for (int w = 0; w < cell_workers; w++) {
        const struct command_cell *cell = &cells[w][command->id];
        sum.calls += counter_read(&cell->calls);
        sum.us += counter_read(&cell->ns);
        sum.rejected += counter_read(&cell->rejected);
        sum.failed += counter_read(&cell->failed);
    }
    sum.us /= 1000;
    return sum;
}

uint64_t stats_command_us(void) {
    uint64_t ns = 0;
    for (uint32_t id = 0; id < cell_count; id++) {
        const struct command *command = registry_by_id(id);
        if (command && (command->flags & RUNS_QUEUE))
            continue; /* EXEC's commands are counted by themselves */
        for (int w = 0; w < cell_workers; w++) ns += counter_read(&cells[w][id].ns);
    }
    return ns / 1000;
}

static struct histogram_set latencies_of(const struct command *command) {
    struct histogram_set set = { .count = 0 };
    assert(command->id < cell_count);
    for (int w = 0; w < cell_workers; w++) histogram_set_add(&set, &cells[w][command->id].latency);
    return set;
}

double stats_command_percentile(const struct command *command, double percentile) {
    struct histogram_set set = latencies_of(command);
    return histogram_percentile(&set, percentile);
}

size_t stats_command_histogram(const struct command *command, struct histogram_row *out, size_t max) {
    struct histogram_set set = latencies_of(command);
    return histogram_rows(&set, out, max);
}

static void clear_cell(struct command_cell *cell) {
    counter_clear(&cell->calls);
    counter_clear(&cell->ns);
    counter_clear(&cell->rejected);
    counter_clear(&cell->failed);
    histogram_clear(&cell->latency);
}

void stats_command_reset(const struct command *command) {
    assert(command->id < cell_count);
    for (int w = 0; w < cell_workers; w++) clear_cell(&cells[w][command->id]);
}

/* ---- life ---- */

/* Commands were added: moves every worker's cells. */
static void fit(uint32_t command_ids) {
    if (command_ids <= cell_count) return;
    for (int w = 0; w < cell_workers; w++) {
        cells[w] = mem_realloc(cells[w], command_ids * sizeof **cells);
        memset((void *)(cells[w] + cell_count), 0, (command_ids - cell_count) * sizeof **cells);
    }
    cell_count = command_ids;
}

void stats_init(uint32_t command_ids) {
    assert(cell_workers == 0);
    assert(thread_worker_count >= 1 && thread_worker_count <= WORKERS_MAX);
    cell_workers = thread_worker_count;
    fit(command_ids);
    registry_grew = fit;
}

/* A block is nothing but counters, the padding behind them included. */
static void reset_blocks(void) {
    for (int w = 0; w < WORKERS_MAX; w++) {
        atomic_uint_fast64_t *counters = (atomic_uint_fast64_t *)&worker_stats[w];
        for (size_t i = 0; i < sizeof worker_stats[w] / sizeof *counters; i++) counter_clear(&counters[i]);
    }
}

void stats_reset(void) {
    atomic_store_explicit(&active_before_us, stats_active_us(), memory_order_relaxed);
    reset_blocks();
    rates_reset();
    errors_reset();
    for (int w = 0; w < cell_workers; w++)
        for (uint32_t i = 0; i < cell_count; i++) clear_cell(&cells[w][i]);
}

void stats_release(void) {
    stats_reset();
    for (int w = 0; w < cell_workers; w++) mem_free(cells[w]);
    memset(cells, 0, sizeof cells);
    cell_workers = 0;
    cell_count = 0;
    registry_grew = NULL;
    peaks_release();
    counter_clear(&active_before_us);
}
