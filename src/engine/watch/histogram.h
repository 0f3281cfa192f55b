/* histogram.h: counts of durations, log-linear: every power of two is a group of 128 equal steps of
 * nanoseconds, so a value is known within 1 %. A group is made when its first value comes: the latencies of
 * one command fall into few groups.
 *
 * Each worker has a histogram of its own; readers add several up. Thread: one adds, any reads. */
#ifndef ENGINE_WATCH_HISTOGRAM_H
#define ENGINE_WATCH_HISTOGRAM_H

#include "trivet/engine/watch/stats.h"

struct histogram;
/* Where a worker keeps one; NULL until the first value. */
typedef _Atomic(struct histogram *) histogram_place; /* C has no other name for an array of them */

/* The owner adds. What takes longer than 18 minutes counts as that. */
void histogram_add(histogram_place *at, int64_t ns);
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
