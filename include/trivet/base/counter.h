/* counter.h: numbers that one thread adds to and any thread reads. Relaxed: a reader may see one number
 * newer than another. */
#ifndef TRIVET_BASE_COUNTER_H
#define TRIVET_BASE_COUNTER_H

#include <stdatomic.h>
#include <stdint.h>

/* Only the owner adds, so a load and a store are enough and no bus lock is paid. */
#define COUNTER_ADD(field, n)                                                                   \
    atomic_store_explicit(&(field), atomic_load_explicit(&(field), memory_order_relaxed) + (n), \
                          memory_order_relaxed)

static inline uint64_t counter_read(const atomic_uint_fast64_t *counter) {
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static inline void counter_clear(atomic_uint_fast64_t *counter) {
    atomic_store_explicit(counter, 0, memory_order_relaxed);
}

#endif
