/* server.h: metrics and health over HTTP, on a thread of its own, so that strangers and slow clients cost the
 * workers nothing: /metrics (the text format of Prometheus), /health/live, /health/ready, and a page at /.
 *
 * HTTP is spoken by a few hundred lines of our own on libevent's loop: evhttp of libevent 2.1 bounds neither
 * the number of connections nor the time that a request may take as a whole, and answers while a client goes
 * away are its caller's problem. */
#ifndef TRIVET_WEB_SERVER_H
#define TRIVET_WEB_SERVER_H

#include "trivet/base/buf.h"
#include "trivet/base/compiler.h"
#include <stdbool.h>

#define WEB_CONNECTIONS_MAX 64 /* at one time; each is a file descriptor */

/* Listens as metrics-port and metrics-bind say, and starts the thread if there is a port: at start-up, and by
 * CONFIG SET, where sockets that stay are kept. False with the reason in `error`: nothing has changed then.
 * Main thread before the workers run, or any worker with the gate closed. */
MUST_CHECK bool web_listen(struct buf *error);
/* INFO's line "listener3:name=metrics,bind=127.0.0.1,port=9121\r\n", if there is a port. Gate held. */
void web_describe(struct buf *out);
/* Closes all and ends the thread. Main thread, while the workers still exist but run no turns. */
void web_stop(void);
/* After the workers have ended. */
void web_release(void);

#endif
