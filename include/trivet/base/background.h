/* background.h: one thread for what must not hold up a worker: freeing big values, closing and
 * removing files. It runs below the workers' priority. Jobs run in the order of posting. Thread: post from
 * any. */
#ifndef TRIVET_BASE_BACKGROUND_H
#define TRIVET_BASE_BACKGROUND_H

#include "trivet/base/compiler.h"
#include <stdbool.h>
#include <stdint.h>

/* False, with a line in the log, if the system has no thread left. */
MUST_CHECK bool background_start(void);
/* Runs what is queued, then ends the thread; later jobs run at once in the caller. */
void background_stop(void);
/* Runs job(arg) on the background thread; before background_start, at once. `weight` is how many objects the
 * job frees, for background_pending. */
void background_post(void (*job)(void *arg), void *arg, uint64_t weight);
/* Objects waiting, and all that were done since start (INFO: lazyfree_pending_objects, lazyfreed_objects). */
uint64_t background_pending(void);
uint64_t background_done(void);
void background_reset_done(void);

#endif
