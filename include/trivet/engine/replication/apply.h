/* apply.h: the primary's stream, applied: its commands run as they come, without limits for clients, and its
 * bytes go into this server's own stream, unchanged, when they have been applied: a transaction as a whole.
 *
 * Thread: worker 0, with its gate held. */
#ifndef TRIVET_ENGINE_REPLICATION_APPLY_H
#define TRIVET_ENGINE_REPLICATION_APPLY_H

#include "trivet/engine/run/dispatch.h"

/* Runs one command of the stream. `wire`: its bytes, if they lie in one piece; else they are made again. */
enum dispatched apply_run(struct client *c, const struct args *args, const struct prepared *p,
                          struct slice wire);
/* Queues REPLCONF ACK with the present offset, and with the one that is on disk if the append-only file is
 * on.
 */
void apply_acknowledge(struct client *c);
/* GETACK: somebody waits for this server, and perhaps for its disk (WAITAOF; the request does not tell). So
 * it does not sit out the next fsync of appendfsync everysec: one is begun, one at a time, and when it is
 * done another acknowledgement follows. */
void apply_answer(struct client *c);
/* The link is gone: a transaction that was not complete is dropped. */
void apply_forget(void);

#endif
