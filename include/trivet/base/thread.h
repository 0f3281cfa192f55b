/* thread.h: which thread is this. Workers are 0..WORKERS_MAX-1; worker 0 is the main thread, so a
 * server with one worker has no other thread that touches keys. Background threads have no index
 * and must not touch what belongs to workers. */
#ifndef TRIVET_BASE_THREAD_H
#define TRIVET_BASE_THREAD_H

#include "trivet/base/compiler.h"
#include <pthread.h>
#include <stdbool.h>

#define WORKERS_MAX 64
#define THREAD_NO_WORKER (-1)

extern _Thread_local int thread_worker_index; /* THREAD_NO_WORKER until set */
extern int thread_worker_count;               /* set once before workers start; at least 1 */

/* True when shards, gates and the journal need their locks. */
static inline bool thread_is_parallel(void) { return thread_worker_count > 1; }
/* Starts a thread with all signals blocked except those of its own faults, and a name for top and gdb (15
 * characters count). False, with errno set and a line in the log, if the system has no thread left. */
MUST_CHECK bool thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *arg);
void thread_set_name(const char *name);

#endif
