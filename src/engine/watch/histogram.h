/* histogram.h: counts of durations, log-linear: every power of two is a group of 128 equal steps of
 * nanoseconds, so a value is known within 1 %. A group is made when its first value comes: the latencies of
 * one command fall into few groups.
 *
 * Each worker has a histogram of its own; readers add several up. Thread: one adds, any reads. */
#ifndef ENGINE_WATCH_HISTOGRAM_H
#define ENGINE_WATCH_HISTOGRAM_H

#include "trivet/base/counter.h"
#include "trivet/engine/watch/stats.h"

#define STEP_BITS 7
#define STEPS (1 << STEP_BITS)
#define VALUE_MAX_NS (INT64_C(1) << 40)
#define GROUPS (40 - STEP_BITS + 2)

typedef atomic_uint_fast64_t atomic_count; /* C has no other name for an array of atomics */
struct histogram {
    _Atomic(atomic_count *) group[GROUPS]; /* each STEPS counters, NULL until hit; made by its owner only */
};
/* Where a worker keeps one; NULL until the first value. */
typedef _Atomic(struct histogram *) histogram_place; /* C has no other name for an array of them */

struct histogram *histogram_make(histogram_place *at);
atomic_count *histogram_make_group(struct histogram *h, unsigned group);

/* Group 0 holds 0..127 one by one, group g > 0 what is from 128 << (g - 1) up, in steps of 1 << (g - 1). */
static inline void histogram_place_of(uint64_t ns, unsigned *group, unsigned *step) {
    if (ns < STEPS) {
        *group = 0;
        *step = (unsigned)ns;
        return;
    }
    unsigned shift = 63u - (unsigned)__builtin_clzll(ns) - STEP_BITS;
    *group = shift + 1;
    *step = (unsigned)(ns >> shift) & (STEPS - 1);
}

/* The owner adds. What takes longer than 18 minutes counts as that. Inline: every command comes here. */
static inline void histogram_add(histogram_place *at, int64_t ns) {
    unsigned group, step;
    histogram_place_of(ns < 0 ? 0 : (uint64_t)(ns < VALUE_MAX_NS ? ns : VALUE_MAX_NS), &group, &step);
    struct histogram *h = atomic_load_explicit(at, memory_order_relaxed);
    if (UNLIKELY(!h)) h = histogram_make(at);
    atomic_count *counts = atomic_load_explicit(&h->group[group], memory_order_relaxed);
    if (UNLIKELY(!counts)) counts = histogram_make_group(h, group);
    COUNTER_ADD(counts[step], 1);
}
/* Frees it; nobody reads meanwhile. */
void histogram_clear(histogram_place *at);

/* The histograms of all workers for one thing. */
struct histogram_set {
    const struct histogram *of[WORKERS_MAX];
    int count;
};
void histogram_set_add(struct histogram_set *set, histogram_place *at);
/* In microseconds: the highest value of the step with this percentile; 0 if there are no values. */
double histogram_percentile(const struct histogram_set *set, double percentile);
/* As stats_command_histogram. */
size_t histogram_rows(const struct histogram_set *set, struct histogram_row *out, size_t max);

#endif
