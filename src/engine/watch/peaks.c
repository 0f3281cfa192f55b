/* peaks.c: the most memory that was ever in use, and when. */
#include "trivet/engine/watch/peaks.h"
#include <stdatomic.h>

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

void peaks_release(void) { atomic_store(&memory_peak, 0); }
