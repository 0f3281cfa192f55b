/* waiting.h: between blocking.c (a client's wait) and blocking_keys.c (what it waits for). */
#ifndef ENGINE_CLIENT_WAITING_H
#define ENGINE_CLIENT_WAITING_H

#include "trivet/engine/client/blocking.h"
#include "trivet/engine/command/kept.h"

struct waiting;

/* As blocking_begin, for a client that waits for keys. */
void blocking_begin_on(struct call *call, int64_t timeout_ms, blocked_end *end, struct waiting *w);
/* Its reply arrived in a letter, made in `ns` of another worker's time: the wait is over. */
void blocking_served(struct client *c, struct reply *reply, int64_t ns);

/* Takes it out of the queues of all its keys; true if nobody served it meanwhile. Its worker, no shard
 * locked. */
bool waiting_withdraw(struct waiting *w);
/* Stops others from serving it; false if somebody has served it or is about to. */
bool waiting_cancel(struct waiting *w);
void waiting_free(struct waiting *w);
size_t waiting_memory(const struct waiting *w);
/* Sets the copy of the command that serving it will run. */
void waiting_set_command(struct waiting *w, const struct kept *kept);

#endif
