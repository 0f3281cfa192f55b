/* pause.h: CLIENT PAUSE, and what it promises: data that does not change.
 *
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

/* Pauses for that long from now on; a longer or stricter pause that is on already stays. */
void pause_begin(enum pause_mode mode, int64_t for_ms);
void pause_end(void);
enum pause_mode pause_mode_now(int64_t now_ms);
int64_t pause_left_ms(int64_t now_ms);

/* Must this command of this client wait? Then the dispatcher answers POSTPONED and calls pause_postpone. */
bool pause_holds(const struct client *c, const struct command *command, int64_t now_ms);
void pause_postpone(const struct call *call);
/* Resumes this worker's postponed clients if the pause is over. Each worker's cron calls it, the clients'
 * timers and the letters of pause_end. */
void pause_check(int64_t now_ms);
/* The client is closed or RESETs. */
void pause_forget(struct client *c);
size_t pause_postponed_count(void); /* of all workers, any thread */

/* Does a pause or an import forbid expiry and eviction now? */
bool data_stands_still(int64_t now_ms);
/* A cheap test first: false means surely not. */
static inline bool data_may_stand_still(void) {
    return obstacle_is_set(OBSTACLE_PAUSE) || options.import_mode;
}
/* What this client's commands do with entries whose expiry has passed. */
enum expiry expiry_for_client(const struct client *c, int64_t now_ms);

#endif
