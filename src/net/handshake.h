/* handshake.h: connections to the TLS port before they are clients.
 *
 * A handshake costs much more than a command, and whoever connects can ask for one. So it is bounded: in time
 * (tls-handshake-timeout), in number (tls-max-handshakes: while so many are under way no other is accepted,
 * and none may take longer than a second), and in the time it takes from its worker's clients: steps are made
 * at the end of a turn, behind the replies, with the gate open, and for about a millisecond.
 *
 * Owner and thread: the worker it was handed to. */
#ifndef NET_HANDSHAKE_H
#define NET_HANDSHAKE_H

#include "trivet/base/compiler.h"
#include <stdbool.h>

/* One more is on its way to a worker: counts it. Worker 0. */
void handshake_announce(void);
/* Takes over an accepted socket, which was announced and counts as a connection of the calling worker
 * already. False, and the socket is closed, if handshakes_end() ran already. Gate held. */
MUST_CHECK bool handshake_begin(int fd);
/* Are there as many as may be? Worker 0, gate held. */
bool handshakes_are_full(void);

/* The steps of a worker's turn. */
void handshakes_open(void);    /* those that are done become clients; begins a turn if there are any */
void handshakes_step(void);    /* goes on with those that can; gate open */
bool handshakes_are_due(void); /* the next turn must not wait for events */
/* Closes all of the calling worker. */
void handshakes_end(void);

#endif
