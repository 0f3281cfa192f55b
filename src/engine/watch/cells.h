/* cells.h: what one worker counts about one command. Thread: its worker writes, any reads. */
#ifndef ENGINE_WATCH_CELLS_H
#define ENGINE_WATCH_CELLS_H

#include "histogram.h"
#include "trivet/base/thread.h"
#include "trivet/engine/command/command.h"
#include <assert.h>

struct answers; /* answers.c */

struct command_cell {
    atomic_uint_fast64_t calls, ns, rejected, failed;
    histogram_place latency;
    _Atomic(struct answers *) answers; /* NULL until the first */
    /* Of the turn that is under way; the worker's own. */
    uint32_t answered;
    uint32_t next_answered; /* the id + 1 of another command that was, or 0 */
};

extern struct command_cell *command_cells[WORKERS_MAX]; /* by worker, then by command id */
extern int command_cell_workers;
extern uint32_t command_cell_count;

static inline struct command_cell *cell_mine(const struct command *command) {
    int worker = thread_worker_index;
    return &command_cells[worker < 0 ? 0 : worker][command->id];
}

/* One more command was answered in this turn. */
extern _Thread_local uint32_t answered_first; /* id + 1, or 0 */
static inline void cell_note_answered(struct command_cell *cell, const struct command *command) {
    if (cell->answered++ > 0) return;
    cell->next_answered = answered_first;
    answered_first = command->id + 1;
}

/* Nobody reads meanwhile. */
void answers_clear(struct command_cell *cell);

#endif
