/* socket.h: a connected socket that does not block, plain or under TLS: one face for both.
 *
 * Calls report like the system calls of their names: -1 and errno; EAGAIN means that the socket is full or
 * empty for now, and socket_error() has words for the rest. The plain ones are inline, so that they cost what
 * the system call costs. Thread: one at a time. */
#ifndef TRIVET_TRANSPORT_SOCKET_H
#define TRIVET_TRANSPORT_SOCKET_H

#include "trivet/base/compiler.h"
#include "trivet/transport/tls.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

struct socket {
    int fd;          /* owned; -1: closed */
    struct tls *tls; /* owned; NULL: plain */
};

static inline ssize_t socket_read(struct socket *s, void *to, size_t room) {
    return LIKELY(!s->tls) ? recv(s->fd, to, room, 0) : tls_read(s->tls, to, room);
}

/* For rare calls, out of line. */
ssize_t socket_read_vectors(struct socket *s, const struct iovec *to, int count);

/* Plain: fewer bytes than offered means that the socket is full. Under TLS the same holds, but it may wait
 * for input: see socket_write_waits_to_read. */
ssize_t socket_write_vectors(struct socket *s, struct iovec *from, int count);

/* Input is here that no event will tell of. */
static inline bool socket_has_pending(const struct socket *s) {
    return UNLIKELY(s->tls != NULL) && tls_has_pending(s->tls);
}
static inline bool socket_read_waits_to_write(const struct socket *s) {
    return UNLIKELY(s->tls != NULL) && tls_read_waits_to_write(s->tls);
}
static inline bool socket_write_waits_to_read(const struct socket *s) {
    return UNLIKELY(s->tls != NULL) && tls_write_waits_to_read(s->tls);
}

/* Now and then: one at rest owns no buffers. */
static inline void socket_rest(struct socket *s) {
    if (UNLIKELY(s->tls != NULL)) tls_rest(s->tls);
}

/* The words for the errno of the last call. Valid until the next one. */
const char *socket_error(const struct socket *s);
/* Closes it, under TLS with a farewell if that needs no waiting. */
void socket_close(struct socket *s);

/* Keepalive probes after `seconds` of silence; 0 turns them off. */
void socket_keepalive(int fd, int64_t seconds);
/* May small TCP packets wait until they are bigger? */
void socket_set_delay(int fd, bool on);
/* The address that a socket comes from which is not connected yet; "": the system chooses. So it does, with a
 * line in the log, if this one will not do. */
void socket_come_from(int fd, int family, const char *source);
/* Both ends of a connected socket as CLIENT LIST shows them: "1.2.3.4:5", "[::1]:5", "/path:0", of which at
 * most 60 bytes of the path. `unix_path` is NULL for TCP. "?:0" is an end that the system does not know. */
void socket_addresses(int fd, const char *unix_path, char peer[64], char local[64]);

/* Is it an address of this very machine, by which nobody else can come? A unix socket's is. */
bool socket_address_is_loopback(const struct sockaddr_storage *address);

#endif
