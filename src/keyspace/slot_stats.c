/* slot_stats.c: see slot_stats.h. */
#include "trivet/keyspace/slot_stats.h"
#include "trivet/base/counter.h"
#include "trivet/base/mem.h"
#include "trivet/base/thread.h"
#include <assert.h>

#define NONE (-1)
#define SEVERAL (-2)

struct cells {
    atomic_uint_fast64_t of[SLOT_COUNT][SLOT_METRICS];
};

bool slot_stats_on;
atomic_size_t slot_stats_replicas;
static struct cells *workers[WORKERS_MAX]; /* NULL: it was never on */
static _Thread_local int32_t used = NONE;  /* by the script that runs */

void slot_stats_turn(bool on) {
    for (int w = 0; on && w < thread_worker_count; w++)
        if (!workers[w]) workers[w] = mem_alloc_zero(sizeof *workers[w]);
    slot_stats_on = on;
}

void slot_stats_release(void) {
    slot_stats_on = false;
    for (int w = 0; w < WORKERS_MAX; w++) {
        mem_free(workers[w]);
        workers[w] = NULL;
    }
}

void slot_stats_add(int32_t slot, enum slot_metric metric, uint64_t amount) {
    if (slot < 0) return;
    assert(slot < (int32_t)SLOT_COUNT && thread_worker_index >= 0);
    COUNTER_ADD(workers[thread_worker_index]->of[slot][metric], amount);
}

uint64_t slot_stats_get(uint16_t slot, enum slot_metric metric) {
    uint64_t sum = 0;
    for (int w = 0; w < thread_worker_count; w++)
        if (workers[w]) sum += counter_read(&workers[w]->of[slot][metric]);
    return sum;
}

void slot_stats_reset(uint16_t slot) {
    for (int w = 0; w < thread_worker_count; w++)
        for (int m = 0; workers[w] && m < SLOT_METRICS; m++) counter_clear(&workers[w]->of[slot][m]);
}

void slot_stats_reset_all(void) {
    for (unsigned slot = 0; slot < SLOT_COUNT; slot++) slot_stats_reset((uint16_t)slot);
}

int32_t slot_stats_uses_begin(void) {
    int32_t outer = used;
    used = NONE;
    return outer;
}

void slot_stats_note_use(uint16_t slot) {
    if (used == NONE)
        used = slot;
    else if (used != slot)
        used = SEVERAL;
}

int32_t slot_stats_uses_end(int32_t outer) {
    int32_t slot = used;
    used = outer;
    return slot < 0 ? NONE : slot;
}
