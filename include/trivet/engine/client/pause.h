/* pause.h: CLIENT PAUSE, and what it promises: data that stands still.
 *
 * A pause holds commands back: those that write, or all. A client whose command is held is POSTPONED; its
 * worker keeps the command and runs it when the pause is over. Meanwhile nothing expires and nothing is
 * evicted; an import (import-mode) asks for the same.
 * Thread: a pause is changed with the gate closed, and read with the own gate held; clients are their own
 * worker's. */
#ifndef TRIVET_ENGINE_CLIENT_PAUSE_H
#define TRIVET_ENGINE_CLIENT_PAUSE_H

#include "trivet/engine/client/client.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/turn.h"

enum pause_mode { PAUSE_OFF, PAUSE_WRITES, PAUSE_ALL };

/* Pauses for that long from this instant on; keeps a longer or stricter pause that is on already. */
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
/* The client is gone, or starts anew. */
void pause_forget(struct client *c);
size_t pause_postponed_count(void); /* of all workers, any thread */

/* May nothing expire or be evicted now, because of a pause or an import? */
bool data_stands_still(int64_t now_ms);
/* The cheap question: false if surely not. */
static inline bool data_may_stand_still(void) {
    return obstacle_is_set(OBSTACLE_PAUSE) || options.import_mode;
}
/* What this client's commands do with what is over. */
enum expiry expiry_for_client(const struct client *c, int64_t now_ms);

#endif
