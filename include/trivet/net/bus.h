/* bus.h: the links of the cluster bus: sockets for what engine/cluster says, and packets from them to the
 * rules.
 *
 * Owner: worker 0, whose event loop they are in. Input is taken in whole packets; output waits in libevent's
 * buffers, up to cluster-link-sendbuf-limit. Errors: a link that fails is closed, and the rules open another
 * one. */
#ifndef TRIVET_NET_BUS_H
#define TRIVET_NET_BUS_H

#include "trivet/base/buf.h"
#include "trivet/base/compiler.h"

/* Listens, and begins to tick. Main thread; the member has been started. False with the reason in `error`. */
MUST_CHECK bool bus_open(struct buf *error);
/* Closes all links. */
void bus_close(void);

#endif
