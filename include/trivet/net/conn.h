/* conn.h: a connection: a socket, its input not yet parsed, and the client it carries.
 * Owner and thread: the worker it was given to, for life. */
#ifndef TRIVET_NET_CONN_H
#define TRIVET_NET_CONN_H

#include "trivet/base/compiler.h"
#include "trivet/engine/client/client.h"
#include "trivet/net/listener.h"
#include "trivet/transport/socket.h"
#include <stdbool.h>
#include <stdint.h>

/* Takes over the socket (non-blocking already, its handshake done) as a new client of the calling worker.
 * NULL, and the socket is closed, if conns_end() ran already: nothing would serve it. */
MUST_CHECK struct client *conn_open(struct socket socket, enum listener_kind kind);
/* The same for a connection that this server opened, with the bytes that have come over it already. */
MUST_CHECK struct client *conn_adopt(struct socket socket, struct slice received);
/* The hooks of the engine into connections; once, at start-up. */
void conn_fill_hooks(struct client_hooks *hooks);

/* The steps of a worker's turn that concern its connections. */
void conns_read(void);    /* reads those that have something to read, and runs their commands */
bool conns_are_due(void); /* some have input that no event will tell of: the next turn must not wait */
/* A command of one of them wants a turn of the worker, which `turn` runs. Until it returns that connection is
 * left alone, and the others are served as ever. See worker_turn_meanwhile. */
void conns_meanwhile(void (*turn)(void));
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
