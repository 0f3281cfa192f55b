/* conn.h: a connection: a socket, its input not yet parsed, and the client it carries.
 * Owner and thread: the worker it was given to, for life. */
#ifndef TRIVET_NET_CONN_H
#define TRIVET_NET_CONN_H

#include "trivet/base/compiler.h"
#include "trivet/engine/client/client.h"
#include <stdbool.h>
#include <stdint.h>

/* Takes over the socket (non-blocking already) as a new client of the calling worker. False, and the socket
 * is closed, if conns_end() ran already: nothing would serve it. */
MUST_CHECK bool conn_open(int fd, bool is_unix);
/* The hooks of the engine into connections; once, at start-up. */
void conn_fill_hooks(struct client_hooks *hooks);

/* The steps of a worker's turn that concern its connections. */
void conns_resume(void);      /* connections whose wait ended go on with their input */
bool conns_have_output(void); /* true if a reply of this turn waits to be sent */
void conns_flush(
    uint64_t durable); /* writes replies; holds those back that need more of the journal than `durable` */
void conns_close_marked(void);
/* CONNS_HZ times a second: idle timeouts, soft output limits. */
#define CONNS_HZ 1
void conns_cron(int64_t now_ms);
/* Closes all connections of the calling worker, after one attempt to write what waits. */
void conns_end(void);
/* tcp-keepalive changed: applies to the calling worker's connections. */
void conns_keepalive(void);

#endif
