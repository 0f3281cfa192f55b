/* wire.c: see wire.h. Three events: the socket is readable or writable, and `soon`, a timer of no time: for
 * output that has come to an idle wire, and for input that TLS has taken in already. */
#include "wire.h"
#include "trivet/base/clock.h"
#include "trivet/base/file.h"
#include "trivet/base/mem.h"
#include "trivet/engine/settings/options.h"
#include "trivet/net/worker.h"
#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define READ_BYTES 16384            /* mostly a few packets of some KB */
#define READ_MORE_BYTES (64 * 1024) /* in the middle of a bigger one */
#define WRITE_AT_ONCE (1024 * 1024) /* before others get their turn */
#define ROOM_AT_REST (16 * 1024)

static const struct wire_events *tell;

void wire_set_events(const struct wire_events *events) { tell = events; }

/* ---- what is waited for ---- */

static bool is_patience(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

/* An event that cannot be added would leave the wire waiting for ever; its owner is told instead. */
static bool await(struct wire *w, struct event *e) {
    static const struct timeval now = { 0, 0 };
    if (event_add(e, e == &w->soon ? &now : NULL) == 0) return true;
    tell->lost(w, file_errno_text(errno));
    return false;
}

static void lost(struct wire *w, const char *why) {
    event_del(&w->readable);
    event_del(&w->writable);
    event_del(&w->soon);
    tell->lost(w, why);
}

/* ---- connecting ---- */

static void shake_hands(struct wire *w) {
    switch (tls_handshake(w->socket.tls)) {
    case TLS_DONE:
        w->stage = WIRE_IS_OPEN;
        if (!socket_has_pending(&w->socket) || await(w, &w->soon)) tell->opened(w);
        return;
    case TLS_WANTS_READ: return; /* the wire always waits for that */
    case TLS_WANTS_WRITE: (void)await(w, &w->writable); return;
    case TLS_FAILED: w->tls_failed = true; lost(w, tls_error(w->socket.tls));
    }
}

/* There is a connection. */
static void begin(struct wire *w) {
    socket_set_delay(w->socket.fd, false);
    if (!await(w, &w->readable)) return;
    if (!w->tls) {
        w->stage = WIRE_IS_OPEN;
        tell->opened(w);
        return;
    }
    w->stage = WIRE_SHAKES_HANDS;
    if (w->socket.tls) {
        shake_hands(w);
    } else {
        w->tls_failed = true;
        lost(w, "TLS is not configured");
    }
}

static void end_connecting(struct wire *w) {
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(w->socket.fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0) error = errno;
    if (error)
        lost(w, file_errno_text(error));
    else
        begin(w);
}

/* ---- bytes ---- */

/* At rest there is no buffer. */
void wire_take(struct wire *w, size_t count) {
    w->taken += count;
    if (w->taken < w->in.len) return;
    buf_release(&w->in);
    w->taken = 0;
}

static void failed(struct wire *w) {
    w->tls_failed = w->socket.tls && errno == EPROTO;
    lost(w, socket_error(&w->socket));
}

static void receive(struct wire *w) {
    buf_drop_front(&w->in, w->taken);
    w->taken = 0;
    size_t room = w->in.len > 0 ? READ_MORE_BYTES : READ_BYTES;
    char *to = buf_reserve(&w->in, room);
    ssize_t n = socket_read(&w->socket, to, room);
    if (n == 0) {
        lost(w, "the other side has closed it");
    } else if (n < 0 && !is_patience(errno)) {
        failed(w);
    } else if (n < 0) {
        if (socket_read_waits_to_write(&w->socket)) (void)await(w, &w->writable);
    } else {
        w->in.len += (size_t)n;
        if (!socket_has_pending(&w->socket) || await(w, &w->soon)) tell->came(w);
    }
}

static void all_is_sent(struct wire *w) {
    w->sent = 0;
    buf_clear(&w->out);
    if (w->out.room > ROOM_AT_REST) buf_release(&w->out);
}

/* False if the wire was lost, and may be gone. */
static bool flush(struct wire *w) {
    size_t some = wire_waiting(w) < WRITE_AT_ONCE ? wire_waiting(w) : WRITE_AT_ONCE;
    struct iovec from = { w->out.ptr + w->sent, some };
    if (some == 0) return true;
    ssize_t n = socket_write_vectors(&w->socket, &from, 1);
    if (n < 0 && !is_patience(errno)) {
        failed(w);
        return false;
    }
    if (n > 0) w->sent += (size_t)n;
    if (wire_waiting(w) > 0) return socket_write_waits_to_read(&w->socket) || await(w, &w->writable);
    all_is_sent(w);
    return true;
}

void wire_send(struct wire *w, struct slice bytes) {
    if (w->sent > 0 && w->sent >= w->out.len / 2) {
        buf_drop_front(&w->out, w->sent);
        w->sent = 0;
    }
    bool was_idle = wire_waiting(w) == 0;
    buf_append(&w->out, bytes);
    if (was_idle) (void)await(w, &w->soon);
}

/* ---- events ---- */

static void on_readable(evutil_socket_t fd, short what, void *arg) {
    struct wire *w = arg;
    (void)fd;
    (void)what;
    worker_begin_turn();
    if (w->stage == WIRE_SHAKES_HANDS)
        shake_hands(w);
    else if (!socket_write_waits_to_read(&w->socket) || flush(w))
        receive(w);
}

static void on_writable(evutil_socket_t fd, short what, void *arg) {
    struct wire *w = arg;
    (void)fd;
    (void)what;
    worker_begin_turn();
    if (w->stage == WIRE_CONNECTS)
        end_connecting(w);
    else if (w->stage == WIRE_SHAKES_HANDS)
        shake_hands(w);
    else if (flush(w) && socket_read_waits_to_write(&w->socket))
        receive(w);
}

static void on_soon(evutil_socket_t fd, short what, void *arg) {
    struct wire *w = arg;
    (void)fd;
    (void)what;
    worker_begin_turn();
    if (w->stage == WIRE_CONNECTS)
        begin(w); /* one that was accepted */
    else if (w->stage == WIRE_IS_OPEN && flush(w) && socket_has_pending(&w->socket))
        receive(w);
}

/* ---- life ---- */

static struct wire *wire_new(int fd, bool tls) {
    struct event_base *base = worker_base(0);
    struct wire *w = mem_alloc_zero(sizeof *w);
    w->socket.fd = fd;
    w->tls = tls;
    w->made_ms = clock_wall_ms();
    event_assign(&w->readable, base, fd, EV_READ | EV_PERSIST, on_readable, w);
    event_assign(&w->writable, base, fd, EV_WRITE, on_writable, w);
    event_assign(&w->soon, base, -1, 0, on_soon, w);
    return w;
}

struct wire *wire_accept_take(int fd, bool tls) {
    struct wire *w = wire_new(fd, tls);
    char local[64];
    socket_addresses(fd, NULL, w->peer, local);
    if (tls) w->socket.tls = tls_new_peer(fd);
    static const struct timeval now = { 0, 0 };
    if (event_add(&w->soon, &now) == 0) return w;
    wire_free(w);
    return NULL;
}

static bool address_of(const char *ip, uint16_t port, struct sockaddr_storage *out, socklen_t *len) {
    struct sockaddr_in *four = (struct sockaddr_in *)out;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)out;
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, ip, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons(port);
        *len = sizeof *four;
        return true;
    }
    if (inet_pton(AF_INET6, ip, &six->sin6_addr) != 1) return false;
    six->sin6_family = AF_INET6;
    six->sin6_port = htons(port);
    *len = sizeof *six;
    return true;
}

static bool connects(struct wire *w, const struct sockaddr_storage *to, socklen_t len) {
    socket_come_from(w->socket.fd, to->ss_family, options.bind_source_addr);
    bool begun = connect(w->socket.fd, (const struct sockaddr *)to, len) == 0 || errno == EINPROGRESS;
    return begun && event_add(&w->writable, NULL) == 0;
}

struct wire *wire_dial(struct slice ip, uint16_t port, bool tls) {
    struct sockaddr_storage to;
    socklen_t len = 0;
    char text[INET6_ADDRSTRLEN];
    snprintf(text, sizeof text, "%.*s", SLICE_ARG(ip));
    if (!address_of(text, port, &to, &len)) {
        errno = EADDRNOTAVAIL;
        return NULL;
    }
    int fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return NULL;
    struct wire *w = wire_new(fd, tls);
    w->outbound = true;
    snprintf(w->peer, sizeof w->peer, strchr(text, ':') ? "[%s]:%u" : "%s:%u", text, port);
    if (tls) w->socket.tls = tls_new_client(fd, text);
    if (connects(w, &to, len)) return w;
    int why = errno;
    wire_free(w);
    errno = why;
    return NULL;
}

void wire_free(struct wire *w) {
    event_del(&w->readable);
    event_del(&w->writable);
    event_del(&w->soon);
    socket_close(&w->socket);
    buf_release(&w->in);
    buf_release(&w->out);
    mem_free(w);
}

size_t wire_memory(const struct wire *w) { return sizeof *w + w->in.room + w->out.room; }

void wire_rest(struct wire *w) { socket_rest(&w->socket); }
