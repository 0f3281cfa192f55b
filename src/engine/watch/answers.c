/* answers.c: see answers.h. In the middle of a turn a command costs one addition; clock and histogram are
 * asked once a turn for each sort of command. */
#include "trivet/engine/watch/answers.h"
#include "cells.h"
#include "trivet/base/clock.h"
#include "trivet/base/mem.h"

struct answers {
    atomic_uint_fast64_t count[ANSWERS_ROWS]; /* not cumulative */
    atomic_uint_fast64_t ns;                  /* of all together */
};

_Thread_local uint32_t answered_first;

static unsigned row_of(uint64_t ns) {
    uint64_t us = ns / 1000 + (ns % 1000 != 0);
    if (us <= UINT64_C(1) << ANSWERS_SHORTEST_BITS) return 0;
    unsigned bits = 64u - (unsigned)__builtin_clzll(us - 1);
    return bits - ANSWERS_SHORTEST_BITS < ANSWERS_BOUNDS ? bits - ANSWERS_SHORTEST_BITS : ANSWERS_BOUNDS;
}

static struct answers *answers_of(struct command_cell *cell) {
    struct answers *a = atomic_load_explicit(&cell->answers, memory_order_relaxed);
    if (LIKELY(a)) return a;
    a = mem_alloc_zero(sizeof *a);
    atomic_store_explicit(&cell->answers, a, memory_order_release);
    return a;
}

void answers_turn_ends(int64_t began_ns) {
    if (answered_first == 0) return;
    int64_t took_ns = clock_ticks_ns() - began_ns;
    uint64_t ns = took_ns < 0 ? 0 : (uint64_t)took_ns;
    unsigned row = row_of(ns);
    struct command_cell *cells = command_cells[thread_worker_index < 0 ? 0 : thread_worker_index];
    while (answered_first > 0) {
        assert(answered_first <= command_cell_count);
        struct command_cell *cell = &cells[answered_first - 1];
        struct answers *a = answers_of(cell);
        COUNTER_ADD(a->count[row], cell->answered);
        COUNTER_ADD(a->ns, ns * cell->answered);
        cell->answered = 0;
        answered_first = cell->next_answered;
    }
}

size_t answers_histogram(const struct command *command, struct histogram_row rows[ANSWERS_ROWS],
                         uint64_t *sum_us) {
    uint64_t ns = 0, seen = 0;
    for (unsigned i = 0; i < ANSWERS_ROWS; i++) {
        bool is_last = i == ANSWERS_BOUNDS;
        rows[i] =
            (struct histogram_row){ is_last ? UINT64_MAX : UINT64_C(1) << (i + ANSWERS_SHORTEST_BITS), 0 };
    }
    for (int w = 0; w < command_cell_workers; w++) {
        struct answers *a =
            atomic_load_explicit(&command_cells[w][command->id].answers, memory_order_acquire);
        if (!a) continue;
        for (unsigned i = 0; i < ANSWERS_ROWS; i++) rows[i].count += counter_read(&a->count[i]);
        ns += counter_read(&a->ns);
    }
    for (unsigned i = 0; i < ANSWERS_ROWS; i++) rows[i].count = seen += rows[i].count;
    *sum_us = ns / 1000;
    return seen > 0 ? ANSWERS_ROWS : 0;
}

void answers_clear(struct command_cell *cell) { mem_free(atomic_exchange(&cell->answers, NULL)); }
