/* workers.h: reaching the other workers: a mailbox each.
 * Thread: post from any; each worker drains its own. */
#ifndef TRIVET_ENGINE_TURN_WORKERS_H
#define TRIVET_ENGINE_TURN_WORKERS_H

#include "trivet/base/compiler.h"
#include "trivet/base/mailbox.h"
#include "trivet/base/thread.h"

extern struct mailbox worker_mailboxes[WORKERS_MAX]; /* 0..thread_worker_count-1 are in use */

static inline int worker_self(void) { return thread_worker_index; }
/* Posts to the calling worker without waking it: it drains its box at the end of its turn. */
static inline void worker_post(int worker, struct letter *letter) {
    assert(worker >= 0 && worker < thread_worker_count && letter->run);
    if (worker == worker_self())
        mailbox_post_quietly(&worker_mailboxes[worker], letter);
    else
        mailbox_post(&worker_mailboxes[worker], letter);
}

#endif
