/* listener.h: the sockets that wait for connections, and the distribution of connections to workers.
 *
 * Worker 0 accepts, a bounded slice at the end of its turn, so that established clients come first; each new
 * connection goes to the worker with the fewest. When file descriptors run out, accepting pauses for a while.
 */
#ifndef TRIVET_NET_LISTENER_H
#define TRIVET_NET_LISTENER_H

#include "trivet/base/buf.h"
#include "trivet/base/compiler.h"
#include <stdbool.h>

/* What speaks there. */
enum listener_kind { LISTEN_TCP, LISTEN_TLS, LISTEN_UNIX };

/* Opens the sockets of the options port, tls-port and bind, and unixsocket. False with the reason in `error`.
 * Main thread. */
MUST_CHECK bool listeners_open(struct buf *error);
/* CONFIG SET port, tls-port or bind: keeps the sockets that stay, opens the new ones, then closes the others.
 * False with the reason in the log: then nothing has changed. Gate closed. */
MUST_CHECK bool listeners_reopen(void);
void listeners_close(void);
/* Accepts a slice; true if more may be waiting. Worker 0. */
bool listeners_accept(void);
/* INFO's listenerN lines: "listener0:name=tcp,bind=*,bind=-::*,port=6379\r\n". */
void listeners_describe(struct buf *out);
/* A connection was closed and its descriptor is free: goes on accepting if that had paused. Any worker. */
void listeners_resume(void);
/* Connections of a worker, counted from the moment they are handed out. Any worker. */
void listeners_count_client(int worker, int change);

#endif
