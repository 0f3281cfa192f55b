/* bus.h: the links of the cluster bus: sockets for what engine/cluster says, and packets from them to the
 * rules.
 *
 * With tls-cluster both ends of a link show a certificate, whatever tls-auth-clients says. Who comes in
 * without one never becomes a link.
 *
 * Owner: worker 0, whose event loop they are in. Input is taken in whole packets; output waits for the
 * socket. Each tick closes links on which more than cluster-link-sendbuf-limit waits. Errors: a link that
 * fails is closed, and the rules open another one; failures of TLS are in the log. */
#ifndef TRIVET_NET_BUS_H
#define TRIVET_NET_BUS_H

#include "trivet/base/buf.h"
#include "trivet/base/compiler.h"

/* Listens, and begins to tick. Main thread; the member has been started. False with the reason in `error`. */
MUST_CHECK bool bus_open(struct buf *error);
/* Closes all links. */
void bus_close(void);

#endif
