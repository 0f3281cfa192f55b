/* failover.h: FAILOVER: this primary and one of its replicas change roles, and no write is lost.
 *
 *     NO_FAILOVER -> WAITS_FOR_SYNC -> IN_PROGRESS -> NO_FAILOVER
 *
 * Writes are paused from the beginning to the end. When the target has acknowledged the whole stream, this
 * server becomes its replica and asks for the stream with PSYNC ... FAILOVER, by which the target becomes a
 * primary (failover_accept). Then writes go on, which here means that they are refused.
 *
 * If the target refuses, this server is a primary again, under the id it had: nobody has written meanwhile,
 * so its replicas need not even hear of it. An answer that got lost is another matter. The target may be a
 * primary by then, so it is asked until it says something. TIMEOUT ends the first part; it ends the second
 * only while it is certain that the target was never asked.
 * Thread: a worker with the gate closed, unless said. */
#ifndef TRIVET_ENGINE_REPLICATION_FAILOVER_H
#define TRIVET_ENGINE_REPLICATION_FAILOVER_H

#include "trivet/base/slice.h"
#include <stdbool.h>
#include <stdint.h>

enum failover_state { NO_FAILOVER, FAILOVER_WAITS_FOR_SYNC, FAILOVER_IN_PROGRESS };

/* Any thread. */
enum failover_state failover_state(void);
const char *failover_state_name(void); /* as INFO shows it */

struct failover_plan {
    struct slice host; /* as the replica announced it; empty: the first replica that has all */
    int port;
    int64_t timeout_ms; /* 0: none */
    bool is_forced;     /* at the timeout go on, though the target lacks something */
};
/* FAILOVER. NULL if it has begun, else the reply's text without '-'. */
const char *failover_begin(const struct failover_plan *plan);
/* FAILOVER ABORT. False if there is none. */
bool failover_abort(void);

/* PSYNC id offset FAILOVER came: this replica becomes a primary. NULL, or the reply's text without '-'. */
const char *failover_accept(struct slice id, const char *peer);

/* How an attempt to become the target's replica ended, for primary.c. `may_be_answered`: it was asked, and
 * what it answered is not known. */
void failover_succeeded(void);
void failover_refused(bool is_primary_already);
void failover_unanswered(bool may_be_answered);

/* Timeouts. Worker 0, its own gate. */
void failover_cron(int64_t now_ms);
/* The process ends: no failover goes on. Main thread. */
void failover_stop(void);

#endif
