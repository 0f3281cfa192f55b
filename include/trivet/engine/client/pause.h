/* pause.h: CLIENT PAUSE and other pauses, and what they promise: data that does not change.
 *
 * Each purpose has a pause of its own, which ends by itself or by whoever began it: CLIENT UNPAUSE does not
 * end what a failover needs, nor the other way round. The strictest of those that are on holds.
 * A pause holds commands back: those that write, or all. A client whose command is held is POSTPONED; its
 * worker keeps the command and runs it when the pause is over. Meanwhile nothing expires and nothing is
 * evicted; an import (import-mode) asks for the same.
 * Thread: a pause changes with the gate closed and is read with the worker's own gate held; each client
 * belongs to its worker. */
#ifndef TRIVET_ENGINE_CLIENT_PAUSE_H
#define TRIVET_ENGINE_CLIENT_PAUSE_H

#include "trivet/engine/client/client.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/turn.h"

enum pause_mode { PAUSE_OFF, PAUSE_WRITES, PAUSE_ALL };
enum pause_purpose {
    PAUSE_BY_CLIENT,
    PAUSE_FOR_SHUTDOWN,
    PAUSE_FOR_FAILOVER,
    PAUSE_FOR_SLOTS,
    PAUSE_FOR_MIGRATION,
    PAUSE_PURPOSES
};

#define PAUSE_UNTIL_ENDED INT64_MAX

/* Pauses for that long from now on; a longer or stricter pause of this purpose that is on already stays. */
void pause_begin(enum pause_purpose purpose, enum pause_mode mode, int64_t for_ms);
void pause_end(enum pause_purpose purpose);
bool pause_is_for(enum pause_purpose purpose, int64_t now_ms);
enum pause_mode pause_mode_now(int64_t now_ms);
/* Until the last of those that are on ends; and which that is, PAUSE_PURPOSES: none. */
int64_t pause_left_ms(int64_t now_ms);
enum pause_purpose pause_purpose_now(int64_t now_ms);

/* Must this command of its client wait? Then the dispatcher answers POSTPONED and calls pause_postpone. */
bool pause_holds(const struct call *call, int64_t now_ms);
void pause_postpone(const struct call *call);
/* Resumes this worker's postponed clients if the pause is over, or holds less than before. Each worker's cron
 * calls it, the clients' timers and the letters of pause_end. */
void pause_check(int64_t now_ms);
/* The client is closed or RESETs. */
void pause_forget(struct client *c);
size_t pause_postponed_count(void); /* of all workers, any thread */
/* The calling worker ends; its connections are closed. */
void pause_thread_release(void);

/* Does a pause, an import, a busy script or the role of a replica forbid expiry now, and eviction? */
bool data_stands_still(int64_t now_ms);
/* A cheap test first: false means surely not. */
static inline bool data_may_stand_still(void) {
    return (obstacles_now() & (OBSTACLE_PAUSE | OBSTACLE_BUSY | OBSTACLE_REPLICA)) || options.import_mode;
}
/* What this client's commands do with entries whose expiry has passed. */
enum expiry expiry_for_client(const struct client *c, int64_t now_ms);

#endif
