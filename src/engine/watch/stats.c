/* stats.c: counting without locks: each worker owns a block and, for each command, a cell; readers add
 * them up. */
#include "trivet/engine/watch/stats.h"
#include "cells.h"
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

struct command_cell *command_cells[WORKERS_MAX];
int command_cell_workers;
uint32_t command_cell_count;

ALWAYS_INLINE void note_ran(struct command_cell *cell, int64_t ns, bool failed) {
    COUNTER_ADD(cell->calls, 1);
    COUNTER_ADD(cell->ns, (uint64_t)(ns < 0 ? 0 : ns));
    if (UNLIKELY(failed)) COUNTER_ADD(cell->failed, 1);
    if (LIKELY(options.latency_tracking)) histogram_add(&cell->latency, ns);
}

void stats_command_ran(const struct command *command, int64_t ns, bool failed) {
    note_ran(cell_mine(command), ns, failed);
}

void stats_command_answered(const struct command *command, int64_t ns, bool failed) {
    struct command_cell *cell = cell_mine(command);
    note_ran(cell, ns, failed);
    if (LIKELY(options.latency_tracking)) cell_note_answered(cell, command);
}

void stats_command_rejected(const struct command *command) { COUNTER_ADD(cell_mine(command)->rejected, 1); }

struct command_stats stats_command(const struct command *command) {
    struct command_stats sum = { 0 };
    assert(command->id < command_cell_count);
    for (int w = 0; w < command_cell_workers; w++) {
        const struct command_cell *cell = &command_cells[w][command->id];
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
    for (uint32_t id = 0; id < command_cell_count; id++) {
        const struct command *command = registry_by_id(id);
        if (command && (command->flags & RUNS_QUEUE))
            continue; /* EXEC's commands are counted by themselves */
        for (int w = 0; w < command_cell_workers; w++) ns += counter_read(&command_cells[w][id].ns);
    }
    return ns / 1000;
}

static struct histogram_set latencies_of(const struct command *command) {
    struct histogram_set set = { .count = 0 };
    assert(command->id < command_cell_count);
    for (int w = 0; w < command_cell_workers; w++)
        histogram_set_add(&set, &command_cells[w][command->id].latency);
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
    answers_clear(cell);
}

void stats_command_reset(const struct command *command) {
    assert(command->id < command_cell_count);
    for (int w = 0; w < command_cell_workers; w++) clear_cell(&command_cells[w][command->id]);
}

/* ---- life ---- */

/* Commands were added: moves every worker's cells. */
static void fit(uint32_t command_ids) {
    if (command_ids <= command_cell_count) return;
    for (int w = 0; w < command_cell_workers; w++) {
        command_cells[w] = mem_realloc(command_cells[w], command_ids * sizeof **command_cells);
        memset((void *)(command_cells[w] + command_cell_count), 0,
               (command_ids - command_cell_count) * sizeof **command_cells);
    }
    command_cell_count = command_ids;
}

void stats_init(uint32_t command_ids) {
    assert(command_cell_workers == 0);
    assert(thread_worker_count >= 1 && thread_worker_count <= WORKERS_MAX);
    command_cell_workers = thread_worker_count;
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
    for (int w = 0; w < command_cell_workers; w++)
        for (uint32_t i = 0; i < command_cell_count; i++) clear_cell(&command_cells[w][i]);
}

void stats_release(void) {
    stats_reset();
    for (int w = 0; w < command_cell_workers; w++) mem_free(command_cells[w]);
    memset(command_cells, 0, sizeof command_cells);
    command_cell_workers = 0;
    command_cell_count = 0;
    answered_first = 0;
    registry_grew = NULL;
    peaks_release();
    counter_clear(&active_before_us);
}
