/* listening.h: sockets that wait for connections: opened for addresses as `bind` names them, and exchanged
 * for others without a moment in which nobody listens.
 *
 * Lists are the caller's; a socket is in one of them, and whoever drops it from the last closes it. The other
 * fields of a listener are the caller's too. Thread: one at a time. Names are looked up, which may take as
 * long as the system's resolver takes. */
#ifndef TRIVET_TRANSPORT_LISTENING_H
#define TRIVET_TRANSPORT_LISTENING_H

#include "trivet/base/buf.h"
#include "trivet/base/compiler.h"
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

/* 16 addresses, each IPv4 and IPv6, with a plain and a TLS port; and one unix socket. */
#define LISTENERS_MAX (16 * 2 * 2 + 1)

struct event;

struct listener {
    int fd;
    int kind;                        /* the caller's: two kinds do not share an address */
    struct sockaddr_storage address; /* where it listens; zeroed for a unix socket */
    struct event *readable;          /* NULL: nobody waits for it yet */
};

struct listener_list {
    struct listener at[LISTENERS_MAX];
    size_t count;
};

/* What is asked for. The words are those of `bind`: "*", "::*", a name or an address; a leading '-' forgives
 * that this machine does not have it. */
struct listening_wish {
    char *const *words;
    size_t count;
    int port;
    int kind;
    int backlog;
    const char *setting; /* that has the words, for the error */
};

/* Appends to `out` a socket for each address. Those that `old` has already are taken from there as they are,
 * whatever their kind; the others are opened. False with the reason in `error`: what was appended so far is
 * still there, see listening_drop_new(). */
MUST_CHECK bool listening_open(const struct listener_list *old, struct listener_list *out,
                               const struct listening_wish *wish, struct buf *error);
/* After a failure: closes what is in `out` and not in `old`, and empties it. */
void listening_drop_new(const struct listener_list *old, struct listener_list *out);
/* Does `list` hold this very socket? */
bool listening_has(const struct listener_list *list, int fd);

#endif
