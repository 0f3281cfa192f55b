/* listening.h: the sockets that the settings ask for, see transport/listening.h. For listener.c. */
#ifndef NET_LISTENING_H
#define NET_LISTENING_H

#include "trivet/base/buf.h"
#include "trivet/base/compiler.h"
#include "trivet/engine/settings/options.h"
#include "trivet/net/listener.h"
#include "trivet/transport/listening.h"
#include <stdbool.h>

/* Sockets for options.port, options.tls_port and options.bind, appended to `out`. Those that `old` has
 * already are taken from there as they are; the others are opened. False with the reason in `error`: then all
 * that was opened is closed again, `out` is empty, and `old` is as before. */
MUST_CHECK bool listening_open_tcp(const struct listener_list *old, struct listener_list *out,
                                   struct buf *error);
/* The unix socket of options.unixsocket, appended to `out`. */
MUST_CHECK bool listening_open_unix(struct listener_list *out, struct buf *error);

#endif
