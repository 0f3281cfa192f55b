/* turn.c: see turn.h. */
#include "trivet/engine/turn/turn.h"
#include <assert.h>

_Thread_local int64_t turn_now_ms;
_Thread_local int64_t turn_mark_ns;
atomic_bool turn_cron_paused;
atomic_uint turn_obstacles;

void obstacle_set(enum obstacle which, bool on) {
    assert(which >= OBSTACLE_LOADING && which <= OBSTACLE_CLUSTER && (which & (which - 1)) == 0);
    if (on)
        atomic_fetch_or_explicit(&turn_obstacles, (unsigned)which, memory_order_relaxed);
    else
        atomic_fetch_and_explicit(&turn_obstacles, ~(unsigned)which, memory_order_relaxed);
}
