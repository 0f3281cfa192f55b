/* tls.h: TLS on one connected socket, by OpenSSL: the part under socket.h.
 *
 * Nothing here blocks. A call that cannot go on says so by EAGAIN (or a step by WANTS_...), and is repeated
 * when the socket is readable or writable again.
 *
 * What comes in is read in big pieces into a buffer that all connections of a thread share; what is left of
 * it, because the caller had no more room, stays with the connection (tls_has_pending), and no event will
 * tell of it. Small writes are gathered into records.
 *
 * Owner: the struct socket it belongs to. Thread: one at a time; tls_thread_release at a thread's end. */
#ifndef TRIVET_TRANSPORT_TLS_H
#define TRIVET_TRANSPORT_TLS_H

#include "trivet/base/compiler.h"
#include "trivet/base/slice.h"
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

struct tls;

/* Our side of a connection that was accepted; NULL if there are no certificates. The descriptor stays the
 * caller's. */
struct tls *tls_new_server(int fd);
/* The same for a server that links to this one: it has to show a certificate, whatever clients have to. */
struct tls *tls_new_peer(int fd);
/* Our side of a link to `host`, whose name goes along (SNI) if it is no address. NULL if links have no TLS.
 */
struct tls *tls_new_client(int fd, const char *host);
/* Tells the other side that this is the end, if that needs no waiting, and frees. */
void tls_free(struct tls *t);

enum tls_step { TLS_DONE, TLS_WANTS_READ, TLS_WANTS_WRITE, TLS_FAILED };
enum tls_step tls_handshake(struct tls *t);

/* As recv(2) and sendmsg(2). EPROTO is an error of TLS, see tls_error. */
ssize_t tls_read(struct tls *t, void *to, size_t room);
ssize_t tls_write_vectors(struct tls *t, const struct iovec *from, int count);
/* Bytes came already that the next tls_read gives. */
bool tls_has_pending(const struct tls *t);
/* The last tls_read failed with EAGAIN because it has to write first, or the last write because it has to
 * read first. Rare. */
bool tls_read_waits_to_write(const struct tls *t);
bool tls_write_waits_to_read(const struct tls *t);
/* Now and then: a connection that did nothing since the last time gives its buffers back (34 KB). */
void tls_rest(struct tls *t);
/* What the last failure was, in OpenSSL's words. Valid until the next call. */
const char *tls_error(const struct tls *t);

/* Names in the certificate that the other side showed, and that was checked. */
enum tls_name { TLS_NAME_CN, TLS_NAME_URI };
/* Calls take(arg, name) for each name of this sort until it returns true; that is the result. */
bool tls_peer_names(const struct tls *t, enum tls_name sort, bool (*take)(void *arg, struct slice name),
                    void *arg);

/* Frees the calling thread's buffers. */
void tls_thread_release(void);

#endif
