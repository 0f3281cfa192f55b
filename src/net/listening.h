/* listening.h: the listening sockets themselves: opened, recognized, closed. For listener.c. */
#ifndef NET_LISTENING_H
#define NET_LISTENING_H

#include "trivet/base/buf.h"
#include "trivet/base/compiler.h"
#include "trivet/engine/settings/options.h"
#include "trivet/net/listener.h"
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

/* An address may resolve to IPv4 and IPv6, each with a plain and a TLS port; one unix socket. */
#define LISTENERS_MAX (OPTIONS_BIND_MAX * 2 * 2 + 1)

struct event;

struct listener {
    int fd;
    enum listener_kind kind;
    struct sockaddr_storage address; /* not of a unix socket: where it listens */
    struct event *readable;          /* NULL: worker 0 does not wait for it yet */
};

struct listener_list {
    struct listener at[LISTENERS_MAX];
    size_t count;
};

/* Sockets for options.port, options.tls_port and options.bind, appended to `out`. Those that `old` has
 * already are taken from there as they are; the others are opened. False with the reason in `error`: then all
 * that was opened is closed again, `out` is empty, and `old` is as before. */
MUST_CHECK bool listening_open_tcp(const struct listener_list *old, struct listener_list *out,
                                   struct buf *error);
/* The unix socket of options.unixsocket, appended to `out`. */
MUST_CHECK bool listening_open_unix(struct listener_list *out, struct buf *error);
/* Does `list` hold this very socket? */
bool listening_has(const struct listener_list *list, int fd);

#endif
