/* link.h: a link to another server, plain or under TLS: small, blocking, and never for longer than its
 * timeout.
 *
 * The timeout is for a standstill, not for the whole: it begins anew with every byte that could be written,
 * and with every line that is waited for. While writing, the target's replies are taken in, so that it never
 * waits for us. Thread: one at a time. */
#ifndef TRIVET_TRANSPORT_LINK_H
#define TRIVET_TRANSPORT_LINK_H

#include "trivet/base/buf.h"
#include "trivet/transport/socket.h"
#include <stdatomic.h>

struct link {
    struct socket socket;
    int64_t timeout_us;
    const atomic_bool *cancelled;
    struct buf in, out;
    size_t taken;   /* bytes of `in` that were handed out */
    bool timed_out; /* what failed last failed at its timeout: the other side has not closed */
    char why[192];  /* after a failure to open or to secure it: the reason, in words */
};

/* REFUSED: the host is there, but nobody listens. Only an OPEN link is to be closed. */
enum link_result { LINK_OPEN, LINK_REFUSED, LINK_UNREACHABLE };

struct link_target {
    struct slice host, port;
    const char
        *source; /* the address to come from; "": the system chooses, as it does if this one will not do */
    bool tls;
};

/* `timeout_ms` is positive: for connecting, and once more for the handshake if `tls`. Looking up a name may
 * take longer. Why a handshake failed stands in the log; the link is UNREACHABLE then. `cancelled`, if not
 * NULL, is set by another thread: whatever waits then gives up within a moment, as at its timeout. */
MUST_CHECK enum link_result link_open(struct link *l, const struct link_target *target, int64_t timeout_ms,
                                      const atomic_bool *cancelled);
/* The same over a unix socket. REFUSED: there is a socket, but nobody listens. */
MUST_CHECK enum link_result link_open_unix(struct link *l, const char *path, int64_t timeout_ms);
/* Goes on under TLS with `host`, before anything was sent. False: the link is closed. */
MUST_CHECK bool link_secure(struct link *l, const char *host);
void link_close(struct link *l);
/* Another one from now on. */
void link_set_timeout(struct link *l, int64_t timeout_ms);

/* One command is a header with the number of its words, then the words; flush at the end. False: the target
 * is gone or takes nothing any more. */
MUST_CHECK bool link_header(struct link *l, size_t words);
MUST_CHECK bool link_word(struct link *l, struct slice word);
MUST_CHECK bool link_flush(struct link *l);

/* The next line without its end, valid until the next call. False: none came in time. */
MUST_CHECK bool link_line(struct link *l, struct slice *line);
/* What has come, at least one byte and at most `most`; valid until the next call. False: nothing came in
 * time. */
MUST_CHECK bool link_bytes(struct link *l, uint64_t most, struct slice *bytes);

/* Hands over the socket, and the bytes that came and were not handed out. Then there is nothing to close. */
void link_give(struct link *l, struct socket *socket, struct buf *received);

#endif
