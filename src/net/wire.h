/* wire.h: a link of the cluster bus as a stream of bytes: a socket that is connected, shakes hands if it is
 * under TLS, and then carries bytes both ways.
 *
 * What wire_send() takes goes out in the next round of the event loop, so that packets of one turn leave
 * together. What has come stays in the wire until the owner has taken it.
 *
 * Owner: the bus, whose functions hear of what happens, in a turn of worker 0; each of them may free the
 * wire. Thread: worker 0. Errors: lost() with the reason; the wire is still to be freed then. */
#ifndef NET_WIRE_H
#define NET_WIRE_H

#include "trivet/base/buf.h"
#include "trivet/base/chain.h"
#include "trivet/base/compiler.h"
#include "trivet/base/map.h"
#include "trivet/transport/socket.h"
#include <event2/event_struct.h>

enum wire_stage { WIRE_CONNECTS, WIRE_SHAKES_HANDS, WIRE_IS_OPEN };

struct wire {
    struct chain_link in_list; /* the owner's, as are the three after it */
    struct map_link by_link;
    uint64_t link; /* the number that the rules know it by; 0: they do not know it */
    int64_t made_ms;

    enum wire_stage stage;
    bool outbound, tls;
    bool tls_failed; /* lost() is called for an error of TLS, not of the network */
    struct socket socket;
    char peer[64]; /* where the other end is, for the log */
    struct buf in, out;
    size_t taken, sent; /* bytes of `in` and `out` that are done with */
    struct event readable, writable, soon;
};

struct wire_events {
    void (*opened)(struct wire *w);
    void (*came)(struct wire *w);
    void (*lost)(struct wire *w, const char *why);
};
/* Whom all wires tell. */
void wire_set_events(const struct wire_events *events);

/* A socket that was accepted; it is taken over. */
struct wire *wire_accept_take(int fd, bool tls);
/* Connects to an address as text. NULL with the reason in errno. */
struct wire *wire_dial(struct slice ip, uint16_t port, bool tls);
void wire_free(struct wire *w);

void wire_send(struct wire *w, struct slice bytes);
static inline size_t wire_waiting(const struct wire *w) { return w->out.len - w->sent; }
/* What has come and was not taken. Valid until something is taken. */
static inline struct slice wire_input(const struct wire *w) {
    return slice_make(w->in.ptr + w->taken, w->in.len - w->taken);
}
void wire_take(struct wire *w, size_t count);
size_t wire_memory(const struct wire *w);
/* Now and then: one at rest owns no buffers. */
void wire_rest(struct wire *w);

#endif
