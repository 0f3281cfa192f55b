/* answers.h: how long clients wait for their answers, for each command: from the moment when a worker learns
 * that bytes have come to the moment when the replies are written.
 *
 * A worker reads, runs, journals and writes in one turn, so all that is answered in a turn took as long as
 * the turn. Commands that connections send are counted, not those of scripts or transactions, and not those
 * that wait (BLPOP). With `latency-tracking no` nothing is. Thread: each worker counts its own; any reads. */
#ifndef TRIVET_ENGINE_WATCH_ANSWERS_H
#define TRIVET_ENGINE_WATCH_ANSWERS_H

#include "trivet/engine/watch/stats.h"
#include <stddef.h>
#include <stdint.h>

/* The bounds are powers of two: 8 us to 8.4 s, and one row for all that took longer. */
#define ANSWERS_SHORTEST_BITS 3
#define ANSWERS_BOUNDS 21
#define ANSWERS_ROWS (ANSWERS_BOUNDS + 1)

/* The worker's replies of this turn are written; `began_ns` (clock_ticks_ns) is when it began. The gate is
 * held. */
void answers_turn_ends(int64_t began_ns);

/* Cumulative counts, all ANSWERS_ROWS of them, for all workers together; the last bound is UINT64_MAX.
 * Returns their number, or 0 if the command was never answered. `sum_us`: the time of all together. */
size_t answers_histogram(const struct command *command, struct histogram_row rows[ANSWERS_ROWS],
                         uint64_t *sum_us);

#endif
