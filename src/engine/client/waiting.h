/* waiting.h: between blocking.c (a client's wait) and blocking_keys.c (what it waits for). */
#ifndef ENGINE_CLIENT_WAITING_H
#define ENGINE_CLIENT_WAITING_H

#include "trivet/engine/client/blocking.h"

struct waiting;

/* As blocking_begin, for a client that waits for keys. */
void blocking_begin_on(struct client *c, int64_t timeout_ms, blocked_end *end, struct waiting *w);
/* Its reply arrived in the letter: the wait is over. */
void blocking_served(struct client *c);

/* Leaves the queues of all keys; then tells if nobody served it meanwhile. Its worker, no shard locked. */
bool waiting_withdraw(struct waiting *w);
/* Nobody serves it any more; false if somebody has, or is about to. */
bool waiting_cancel(struct waiting *w);
void waiting_free(struct waiting *w);

#endif
