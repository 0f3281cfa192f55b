/* stats.c: counting without locks: each worker owns a block and, for each command, a cell; readers add
 * them up.
 *
 * A command's latencies go into a log-linear histogram of nanoseconds: every power of two is a group of 128
 * equal steps, so a value is known within 1 %. Groups are allocated when first hit: a command's latencies lie
 * in few of them. Error codes are rare and live in one small table under a lock. */
#include "trivet/engine/watch/stats.h"
#include "trivet/base/lock.h"
#include "trivet/base/mem.h"
#include "trivet/base/slice.h"
#include "trivet/engine/command/registry.h"
#include "trivet/engine/settings/options.h"
#include <stddef.h>

struct stats worker_stats[WORKERS_MAX];

uint64_t stats_sum(size_t offset) {
    uint64_t sum = 0;
    for (int i = 0; i < WORKERS_MAX; i++) {
        const char *block = (const char *)&worker_stats[i];
        sum += atomic_load_explicit((const atomic_uint_fast64_t *)(const void *)(block + offset),
                                    memory_order_relaxed);
    }
    return sum;
}

/* ---- commands ---- */

#define STEP_BITS 7
#define STEPS (1 << STEP_BITS)
#define LATENCY_MAX_NS (INT64_C(1) << 40) /* 18 minutes; what takes longer counts as this */
#define GROUPS (40 - STEP_BITS + 2)

typedef atomic_uint_fast64_t atomic_count; /* C has no other name for an array of atomics */
struct histogram {
    _Atomic(atomic_count *) group[GROUPS]; /* each STEPS counters, NULL until hit; made by its worker only */
};

struct command_cell {
    atomic_uint_fast64_t calls, ns, rejected, failed;
    _Atomic(struct histogram *) latency;
};

static struct command_cell *cells[WORKERS_MAX]; /* by worker, then by command id */
static int cell_workers;
static uint32_t cell_count;

static struct command_cell *cell_mine(const struct command *command) {
    int worker = thread_worker_index;
    return &cells[worker < 0 ? 0 : worker][command->id];
}

/* Group 0 holds 0..127 one by one, group g > 0 what is from 128 << (g - 1) up, in steps of 1 << (g - 1). */
static void place_of(uint64_t ns, unsigned *group, unsigned *step) {
    if (ns < STEPS) {
        *group = 0;
        *step = (unsigned)ns;
        return;
    }
    unsigned shift = 63u - (unsigned)__builtin_clzll(ns) - STEP_BITS;
    *group = shift + 1;
    *step = (unsigned)(ns >> shift) & (STEPS - 1);
}

/* The highest value that lands in this place. */
static uint64_t place_top(unsigned group, unsigned step) {
    if (group == 0) return step;
    return ((uint64_t)(STEPS + step + 1) << (group - 1)) - 1;
}

static struct histogram *make_histogram(struct command_cell *cell) {
    struct histogram *made = mem_alloc_zero(sizeof *made);
    atomic_store_explicit(&cell->latency, made, memory_order_release);
    return made;
}

static atomic_count *make_group(struct histogram *h, unsigned group) {
    atomic_count *made = mem_alloc_zero(STEPS * sizeof *made);
    atomic_store_explicit(&h->group[group], made, memory_order_release);
    return made;
}

static void note_latency(struct command_cell *cell, int64_t ns) {
    unsigned group, step;
    place_of(ns < 0 ? 0 : (uint64_t)(ns < LATENCY_MAX_NS ? ns : LATENCY_MAX_NS), &group, &step);
    struct histogram *h = atomic_load_explicit(&cell->latency, memory_order_relaxed);
    if (UNLIKELY(!h)) h = make_histogram(cell);
    atomic_count *counts = atomic_load_explicit(&h->group[group], memory_order_relaxed);
    if (UNLIKELY(!counts)) counts = make_group(h, group);
    COUNTER_ADD(counts[step], 1);
}

void stats_command_ran(const struct command *command, int64_t ns, bool failed) {
    struct command_cell *cell = cell_mine(command);
    COUNTER_ADD(cell->calls, 1);
    COUNTER_ADD(cell->ns, (uint64_t)(ns < 0 ? 0 : ns));
    if (UNLIKELY(failed)) COUNTER_ADD(cell->failed, 1);
    if (LIKELY(options.latency_tracking)) note_latency(cell, ns);
}

void stats_command_rejected(const struct command *command) { COUNTER_ADD(cell_mine(command)->rejected, 1); }

static uint64_t relaxed(const atomic_uint_fast64_t *counter) {
    return atomic_load_explicit(counter, memory_order_relaxed);
}

struct command_stats stats_command(const struct command *command) {
    struct command_stats sum = { 0 };
    for (int w = 0; w < cell_workers; w++) {
        const struct command_cell *cell = &cells[w][command->id];
        sum.calls += relaxed(&cell->calls);
        sum.us += relaxed(&cell->ns);
        sum.rejected += relaxed(&cell->rejected);
        sum.failed += relaxed(&cell->failed);
    }
    sum.us /= 1000;
    return sum;
}

uint64_t stats_command_us(void) {
    uint64_t ns = 0;
    for (uint32_t id = 0; id < cell_count; id++) {
        if (registry_by_id(id)->flags & RUNS_QUEUE) continue; /* what it runs is counted by itself */
        for (int w = 0; w < cell_workers; w++) ns += relaxed(&cells[w][id].ns);
    }
    return ns / 1000;
}

/* Adds up one group of a command over all workers; false if nobody has it. */
static bool sum_group(const struct command *command, unsigned group, uint64_t sum[STEPS]) {
    bool any = false;
    memset(sum, 0, STEPS * sizeof *sum);
    for (int w = 0; w < cell_workers; w++) {
        const struct histogram *h =
            atomic_load_explicit(&cells[w][command->id].latency, memory_order_acquire);
        const atomic_count *counts = h ? atomic_load_explicit(&h->group[group], memory_order_acquire) : NULL;
        if (!counts) continue;
        any = true;
        for (int i = 0; i < STEPS; i++) sum[i] += relaxed(&counts[i]);
    }
    return any;
}

/* Walks the places of a command's histogram that were hit, rising; `visit` returns false to stop. */
static void each_place(const struct command *command,
                       bool (*visit)(void *arg, unsigned group, unsigned step, uint64_t count), void *arg) {
    uint64_t sum[STEPS];
    for (unsigned g = 0; g < GROUPS; g++) {
        if (!sum_group(command, g, sum)) continue;
        for (unsigned s = 0; s < STEPS; s++)
            if (sum[s] && !visit(arg, g, s, sum[s])) return;
    }
}

static bool add_count(void *arg, unsigned group, unsigned step, uint64_t count) {
    (void)group, (void)step;
    *(uint64_t *)arg += count;
    return true;
}

struct percentile_search {
    uint64_t wanted, seen, top_ns;
};

static bool search_percentile(void *arg, unsigned group, unsigned step, uint64_t count) {
    struct percentile_search *p = arg;
    p->seen += count;
    p->top_ns = place_top(group, step);
    return p->seen < p->wanted;
}

double stats_command_percentile(const struct command *command, double percentile) {
    uint64_t total = 0;
    each_place(command, add_count, &total);
    if (total == 0) return 0;
    struct percentile_search p = { .wanted = (uint64_t)(percentile / 100 * (double)total + 0.5) };
    if (p.wanted == 0) p.wanted = 1;
    each_place(command, search_percentile, &p);
    return (double)p.top_ns / 1000;
}

struct row_builder {
    struct histogram_row *out;
    size_t count, max;
    unsigned power; /* the next row's limit is the place of 1024 << power nanoseconds */
    uint64_t seen, reported;
};

/* Ends the row of the present limit, if it would say something new. */
static void end_row(struct row_builder *b) {
    unsigned group, step;
    place_of(UINT64_C(1024) << b->power, &group, &step);
    b->power++;
    if (b->seen == b->reported || b->count == b->max) return;
    b->out[b->count++] = (struct histogram_row){ place_top(group, step) / 1000, b->seen };
    b->reported = b->seen;
}

static bool build_rows(void *arg, unsigned group, unsigned step, uint64_t count) {
    struct row_builder *b = arg;
    while (place_top(group, step) > (UINT64_C(1024) << b->power) && b->power < 40) {
        unsigned limit_group, limit_step;
        place_of(UINT64_C(1024) << b->power, &limit_group, &limit_step);
        if (group == limit_group && step == limit_step) break;
        end_row(b);
    }
    b->seen += count;
    return true;
}

size_t stats_command_histogram(const struct command *command, struct histogram_row *out, size_t max) {
    struct row_builder b = { .out = out, .max = max };
    each_place(command, build_rows, &b);
    end_row(&b);
    return b.count;
}

static void clear_counter(atomic_uint_fast64_t *counter) {
    atomic_store_explicit(counter, 0, memory_order_relaxed);
}

static void clear_cell(struct command_cell *cell) {
    clear_counter(&cell->calls);
    clear_counter(&cell->ns);
    clear_counter(&cell->rejected);
    clear_counter(&cell->failed);
    struct histogram *h = atomic_exchange(&cell->latency, NULL);
    for (unsigned g = 0; h && g < GROUPS; g++) mem_free(atomic_load(&h->group[g]));
    mem_free(h);
}

void stats_command_reset(const struct command *command) {
    for (int w = 0; w < cell_workers; w++) clear_cell(&cells[w][command->id]);
}

/* ---- error replies ---- */

#define ERROR_KINDS_MAX 128
#define ERROR_CODE_MAX 32
static const char overflow_code[] = "ERRORSTATS_OVERFLOW";

static struct lock errors_lock = LOCK_INIT(LOCK_RANK_LEAF);
static struct error_kind {
    char code[ERROR_CODE_MAX];
    uint64_t count;
} errors[ERROR_KINDS_MAX]; /* in alphabetical order */
static size_t error_kinds;

/* Where the code stands, or should be put. */
static size_t error_place(const char *code, bool *found) {
    size_t i = 0;
    int order = 1;
    while (i < error_kinds && (order = strcmp(errors[i].code, code)) < 0) i++;
    *found = i < error_kinds && order == 0;
    return i;
}

static void count_error(const char *code) {
    bool found;
    size_t i = error_place(code, &found);
    if (!found && error_kinds >= ERROR_KINDS_MAX - 1) {
        code = overflow_code;
        i = error_place(code, &found);
    }
    if (!found) {
        memmove(&errors[i + 1], &errors[i], (error_kinds - i) * sizeof errors[0]);
        errors[i] = (struct error_kind){ .count = 0 };
        memcpy(errors[i].code, code, strlen(code) + 1);
        error_kinds++;
    }
    errors[i].count++;
}

void stats_error(const char *code) {
    COUNTER_ADD(stats_mine()->error_replies, 1);
    char cut[ERROR_CODE_MAX] = { 0 };
    strncpy(cut, code, sizeof cut - 1);
    lock_take(&errors_lock);
    count_error(cut);
    lock_drop(&errors_lock);
}

void stats_each_error(void (*visit)(void *arg, const char *code, uint64_t count), void *arg) {
    lock_take(&errors_lock);
    for (size_t i = 0; i < error_kinds; i++) visit(arg, errors[i].code, errors[i].count);
    lock_drop(&errors_lock);
}

/* ---- rates ---- */

#define RATE_SAMPLES 16
static struct {
    uint64_t last; /* the counter at the last sample */
    atomic_uint_fast64_t sample[RATE_SAMPLES];
} rates[RATE_COUNT];
static int64_t last_sample_us; /* 0: none yet */
static unsigned next_sample;

static uint64_t rate_counter(enum rate which) {
    switch (which) {
    case RATE_COMMANDS: return STATS_SUM(commands);
    case RATE_NET_IN: return STATS_SUM(net_in);
    case RATE_NET_OUT: return STATS_SUM(net_out);
    case RATE_TURNS: return STATS_SUM(turns);
    case RATE_TURN_US: return STATS_SUM(turn_us);
    case RATE_COUNT: break;
    }
    return 0;
}

void stats_sample(int64_t steady_us) {
    uint64_t now[RATE_COUNT], delta[RATE_COUNT];
    for (int r = 0; r < RATE_COUNT; r++) {
        now[r] = rate_counter((enum rate)r);
        delta[r] = now[r] - rates[r].last;
        rates[r].last = now[r];
    }
    uint64_t elapsed = last_sample_us ? (uint64_t)(steady_us - last_sample_us) : 0;
    last_sample_us = steady_us;
    if (elapsed == 0) return;
    for (int r = 0; r < RATE_COUNT; r++) {
        uint64_t value = delta[r] * 1000000 / elapsed;
        if (r == RATE_TURN_US) value = delta[RATE_TURNS] ? delta[r] / delta[RATE_TURNS] : 0;
        atomic_store_explicit(&rates[r].sample[next_sample], value, memory_order_relaxed);
    }
    next_sample = (next_sample + 1) % RATE_SAMPLES;
}

uint64_t stats_rate(enum rate which) {
    uint64_t sum = 0;
    for (int i = 0; i < RATE_SAMPLES; i++) sum += relaxed(&rates[which].sample[i]);
    return sum / RATE_SAMPLES;
}

/* ---- memory ---- */

static atomic_size_t memory_peak;
static atomic_int_fast64_t memory_peak_ms;

void stats_note_memory(size_t used, int64_t now_ms) {
    size_t peak = atomic_load_explicit(&memory_peak, memory_order_relaxed);
    do {
        if (used <= peak) return;
    } while (!atomic_compare_exchange_weak(&memory_peak, &peak, used));
    atomic_store_explicit(&memory_peak_ms, now_ms, memory_order_relaxed);
}

size_t stats_memory_peak(void) { return atomic_load_explicit(&memory_peak, memory_order_relaxed); }
int64_t stats_memory_peak_ms(void) { return atomic_load_explicit(&memory_peak_ms, memory_order_relaxed); }

/* ---- life ---- */

void stats_init(uint32_t command_ids) {
    assert(cell_workers == 0);
    cell_workers = thread_worker_count;
    cell_count = command_ids;
    for (int w = 0; w < cell_workers; w++)
        cells[w] = mem_alloc_zero((command_ids ? command_ids : 1) * sizeof **cells);
}

/* A block is nothing but counters, the padding behind them included. */
static void reset_blocks(void) {
    for (int w = 0; w < WORKERS_MAX; w++) {
        atomic_uint_fast64_t *counters = (atomic_uint_fast64_t *)&worker_stats[w];
        for (size_t i = 0; i < sizeof worker_stats[w] / sizeof *counters; i++) clear_counter(&counters[i]);
    }
}

static void reset_rates(void) {
    for (int r = 0; r < RATE_COUNT; r++) {
        rates[r].last = 0;
        for (int i = 0; i < RATE_SAMPLES; i++) clear_counter(&rates[r].sample[i]);
    }
}

void stats_reset(void) {
    reset_blocks();
    reset_rates();
    for (int w = 0; w < cell_workers; w++)
        for (uint32_t i = 0; i < cell_count; i++) clear_cell(&cells[w][i]);
    lock_take(&errors_lock);
    error_kinds = 0;
    lock_drop(&errors_lock);
}

void stats_release(void) {
    stats_reset();
    for (int w = 0; w < cell_workers; w++) mem_free(cells[w]);
    memset(cells, 0, sizeof cells);
    cell_workers = 0;
    cell_count = 0;
    atomic_store(&memory_peak, 0);
}
