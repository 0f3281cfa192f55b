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
/* Stops a thread while a crash of another one is reported (server/crash_report.c). For those who include
 * signal.h. */
#define THREAD_STOP_SIGNAL (SIGRTMIN + 7)

/* Starts a thread with all signals blocked except those of its own faults and the one above, and a name for
 * top and gdb (15 characters count). False, with errno set and a line in the log, if the system has no thread
 * left. */
MUST_CHECK bool thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *arg);
void thread_set_name(const char *name);
/* Gives the calling thread a stack for signal handlers: who dies of a stack that is full has no other.
 * Threads of thread_start have one. It is never given back. */
void thread_take_signal_stack(void);

#endif
