/* blocking.h: clients that wait: for a time, for replicas, for a pause to end (for keys, once there are lists).
 *
 * Thread: the client's own worker. Pausing is changed with the gate closed. */
#ifndef TRIVET_ENGINE_BLOCKING_H
#define TRIVET_ENGINE_BLOCKING_H

#include "trivet/engine/client.h"

enum unblock_reason { UNBLOCK_TIMEOUT, UNBLOCK_ERROR, UNBLOCK_SERVED };

/* What a blocked command does when its wait ends: writes its reply to c->reply. Its argument is freed with mem_free. */
typedef void blocked_end(struct client *c, enum unblock_reason reason, void *arg);
/* Blocks the client whose command is running; timeout 0 waits for ever. `end` is called once, on its worker,
 * when the time is up, by CLIENT UNBLOCK, or when it is served; not when the client just goes. Takes over `arg`. */
void blocking_begin(struct client *c, int64_t timeout_ms, blocked_end *end, void *arg);
/* Ends the wait of a blocked client and lets it go on. Its worker only. False if it was not blocked. */
bool blocking_finish(struct client *c, enum unblock_reason reason);
/* client_hooks.timer came true. */
void blocking_timeout(struct client *c);
/* The client is gone: no reply. */
void blocking_forget(struct client *c);
size_t blocking_count(void);         /* blocked clients of all workers, any thread */
size_t blocking_timeout_count(void); /* those of them that have a timeout */

/* "<seconds>" with a fraction, as BLPOP and its like take it, or milliseconds as an integer (WAIT): the timeout in ms
 * (0: for ever). False after replying the error. */
bool blocking_parse_seconds(struct call *c, struct slice text, int64_t *timeout_ms);
bool blocking_parse_ms(struct call *c, struct slice text, int64_t *timeout_ms);

/* CLIENT PAUSE. */
enum pause_mode { PAUSE_OFF, PAUSE_WRITES, PAUSE_ALL };
/* Pauses till `until_ms` (wall clock); a longer or stricter pause that is on already is kept. Gate closed. */
void pause_begin(enum pause_mode mode, int64_t until_ms);
void pause_end(void); /* gate closed */
enum pause_mode pause_mode_now(int64_t now_ms);
int64_t pause_left_ms(int64_t now_ms);
/* True if this command of this client must wait; the dispatcher then answers POSTPONED and calls pause_postpone. */
bool pause_holds(const struct client *c, const struct command *command, int64_t now_ms);
void pause_postpone(struct client *c);
/* Resumes this worker's postponed clients if the pause is over; each worker's cron and the letters of pause_end call it. */
void pause_check(int64_t now_ms);

#endif
