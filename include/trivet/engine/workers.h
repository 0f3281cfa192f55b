/* workers.h: reaching the other workers: a mailbox each.
 * Thread: post from any; each worker drains its own. */
#ifndef TRIVET_ENGINE_WORKERS_H
#define TRIVET_ENGINE_WORKERS_H

#include "trivet/base/mailbox.h"
#include "trivet/base/thread.h"

extern struct mailbox worker_mailboxes[WORKERS_MAX]; /* 0..thread_worker_count-1 are in use */

static inline void worker_post(int worker, struct letter *letter) {
    mailbox_post(&worker_mailboxes[worker], letter);
}
static inline int worker_self(void) { return thread_worker_index; }

#endif
