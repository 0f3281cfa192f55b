/* link.c: see link.h. */
#include "trivet/transport/link.h"
#include "trivet/base/clock.h"
#include "trivet/base/file.h"
#include "trivet/base/log.h"
#include "trivet/base/mem.h"
#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define OUT_MAX (64 * 1024) /* gathered before it is sent; what is bigger is sent from where it is */
#define LINE_LIMIT                                                                          \
    (64 * 1024) /* a status or an error: a longer one comes from no server of this protocol \
                 */
#define TIMEOUT_MAX_MS INT32_MAX
#define LOOK_EVERY_MS 50
#define READ_BYTES (64 * 1024)

/* Until the next look at what may have cancelled the link. */
static int patience_ms(const struct link *l, int64_t left_us) {
    int64_t ms = left_us > 0 ? (left_us + 999) / 1000 : 0;
    return (int)(l->cancelled && ms > LOOK_EVERY_MS ? LOOK_EVERY_MS : ms);
}

static bool is_cancelled(const struct link *l) { return l->cancelled && atomic_load(l->cancelled); }

/* What of `events` has happened (or an error or end, which the next call on the socket tells); 0 at the
 * deadline. */
static short await(const struct link *l, int fd, short events, int64_t deadline_us) {
    while (!is_cancelled(l)) {
        struct pollfd p = { .fd = fd, .events = events };
        int64_t left_us = deadline_us - clock_steady_us();
        int n = poll(&p, 1, patience_ms(l, left_us));
        if (n > 0) return p.revents;
        if (n == 0 && left_us <= 0) return 0;
        if (n < 0 && errno != EINTR) return 0;
    }
    return 0;
}

/* ---- connecting ---- */

/* True when connected; else *error says why not. */
static bool connect_until(const struct link *l, int fd, const struct addrinfo *to, int64_t deadline_us,
                          int *error) {
    socklen_t len = sizeof *error;
    *error = 0;
    if (connect(fd, to->ai_addr, to->ai_addrlen) == 0) return true;
    *error = errno;
    if (*error != EINPROGRESS) return false;
    *error = ETIMEDOUT;
    if (await(l, fd, POLLOUT, deadline_us) == 0) return false;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, error, &len) != 0) *error = errno;
    return *error == 0;
}

/* Connects a new socket. `on_failure` is what the failures before this one came to. */
static enum link_result connect_to(struct link *l, const struct addrinfo *to, const char *source,
                                   int64_t deadline_us, enum link_result on_failure) {
    int error = 0, fd = socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) error = errno;
    if (fd >= 0) socket_come_from(fd, to->ai_family, source);
    if (fd >= 0 && connect_until(l, fd, to, deadline_us, &error)) {
        l->socket = (struct socket){ .fd = fd };
        return LINK_OPEN;
    }
    if (fd >= 0) close(fd);
    snprintf(l->why, sizeof l->why, "can't connect: %s", file_errno_text(error));
    return error == ECONNREFUSED ? LINK_REFUSED : on_failure;
}

/* The first address that answers. */
static enum link_result connect_any(struct link *l, const struct addrinfo *list, const char *source) {
    enum link_result result = LINK_UNREACHABLE;
    int64_t deadline_us = clock_steady_us() + l->timeout_us;
    for (const struct addrinfo *a = list; a && result != LINK_OPEN; a = a->ai_next)
        result = connect_to(l, a, source, deadline_us, result);
    /* Without it the link is slower, and right all the same. */
    if (result == LINK_OPEN) socket_set_delay(l->socket.fd, false);
    return result;
}

static enum tls_step shake_hands_until(const struct link *l, int64_t deadline_us) {
    for (;;) {
        enum tls_step step = tls_handshake(l->socket.tls);
        if (step == TLS_DONE || step == TLS_FAILED) return step;
        short events = step == TLS_WANTS_READ ? POLLIN : POLLOUT;
        if (await(l, l->socket.fd, events, deadline_us) == 0) return step;
    }
}

bool link_secure(struct link *l, const char *host) {
    l->socket.tls = tls_new_client(l->socket.fd, host);
    enum tls_step step = TLS_FAILED;
    if (l->socket.tls) step = shake_hands_until(l, clock_steady_us() + l->timeout_us);
    if (step == TLS_DONE) return true;
    const char *why = "timeout";
    if (!l->socket.tls)
        why = "TLS is not configured";
    else if (step == TLS_FAILED)
        why = tls_error(l->socket.tls);
    snprintf(l->why, sizeof l->why, "TLS handshake with %s failed: %s", host, why);
    socket_close(&l->socket);
    return false;
}

void link_set_timeout(struct link *l, int64_t timeout_ms) {
    assert(timeout_ms > 0);
    l->timeout_us = (timeout_ms < TIMEOUT_MAX_MS ? timeout_ms : TIMEOUT_MAX_MS) * 1000;
}

static void init(struct link *l, int64_t timeout_ms, const atomic_bool *cancelled) {
    *l = (struct link){ .socket = { .fd = -1 }, .cancelled = cancelled };
    link_set_timeout(l, timeout_ms);
}

enum link_result link_open(struct link *l, const struct link_target *target, int64_t timeout_ms,
                           const atomic_bool *cancelled) {
    init(l, timeout_ms, cancelled);
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV }, *list;
    char *host_text = slice_to_cstr(target->host), *port_text = slice_to_cstr(target->port);
    enum link_result result = LINK_UNREACHABLE;
    int failure = getaddrinfo(host_text, port_text, &hints, &list);
    if (failure == 0) {
        result = connect_any(l, list, target->source);
        freeaddrinfo(list);
    } else {
        snprintf(l->why, sizeof l->why, "can't look up %s: %s", host_text, gai_strerror(failure));
    }
    if (result == LINK_OPEN && target->tls && !link_secure(l, host_text)) {
        LOG_WARNING("%s", l->why);
        result = LINK_UNREACHABLE;
    }
    mem_free(host_text);
    mem_free(port_text);
    return result;
}

enum link_result link_open_unix(struct link *l, const char *path, int64_t timeout_ms) {
    init(l, timeout_ms, NULL);
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    size_t len = strlen(path);
    if (len >= sizeof to.sun_path) {
        snprintf(l->why, sizeof l->why, "can't connect: the path has more than %zu bytes",
                 sizeof to.sun_path - 1);
        return LINK_UNREACHABLE;
    }
    memcpy(to.sun_path, path, len + 1);
    const struct addrinfo address = {
        .ai_family = AF_UNIX, .ai_addr = (struct sockaddr *)&to, .ai_addrlen = sizeof to
    };
    return connect_to(l, &address, "", clock_steady_us() + l->timeout_us, LINK_UNREACHABLE);
}

void link_close(struct link *l) {
    socket_close(&l->socket);
    buf_release(&l->in);
    buf_release(&l->out);
}

/* ---- bytes ---- */

static bool is_patience(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

/* Takes in what is there; false at the end of the connection. */
static bool take_in(struct link *l) {
    char *to = buf_reserve(&l->in, READ_BYTES);
    ssize_t n = socket_read(&l->socket, to, READ_BYTES);
    if (n > 0) l->in.len += (size_t)n;
    return n > 0 || (n < 0 && is_patience(errno));
}

/* Waits until there is something to read, or if `writing` until more can be written. False at the deadline
 * and at the end of the connection. */
static bool wait_for(struct link *l, bool writing, int64_t deadline_us) {
    if (socket_has_pending(&l->socket)) return take_in(l);
    bool out = writing ? !socket_write_waits_to_read(&l->socket) : socket_read_waits_to_write(&l->socket);
    short ready = await(l, l->socket.fd, (short)(POLLIN | (out ? POLLOUT : 0)), deadline_us);
    l->timed_out = ready == 0;
    return ready != 0 && (!(ready & POLLIN) || take_in(l));
}

static bool send_all(struct link *l, struct slice bytes) {
    int64_t deadline_us = clock_steady_us() + l->timeout_us;
    while (bytes.len > 0) {
        struct iovec from = { unconst(bytes.ptr), bytes.len };
        ssize_t n = socket_write_vectors(&l->socket, &from, 1);
        if (n > 0) {
            bytes = slice_make(bytes.ptr + n, bytes.len - (size_t)n);
            deadline_us = clock_steady_us() + l->timeout_us;
            continue;
        }
        if (n < 0 && !is_patience(errno)) return false;
        if (!wait_for(l, true, deadline_us)) return false;
    }
    return true;
}

bool link_flush(struct link *l) {
    bool sent = send_all(l, buf_slice(&l->out));
    buf_clear(&l->out);
    return sent;
}

static bool flush_if_full(struct link *l) { return l->out.len < OUT_MAX || link_flush(l); }

bool link_header(struct link *l, size_t words) {
    buf_printf(&l->out, "*%zu\r\n", words);
    return flush_if_full(l);
}

bool link_word(struct link *l, struct slice word) {
    buf_printf(&l->out, "$%zu\r\n", word.len);
    if (word.len < OUT_MAX)
        buf_append(&l->out, word);
    else if (!link_flush(l) || !send_all(l, word))
        return false;
    buf_append(&l->out, LIT("\r\n"));
    return flush_if_full(l);
}

bool link_line(struct link *l, struct slice *line) {
    int64_t deadline_us = clock_steady_us() + l->timeout_us;
    size_t looked_at = l->taken;
    for (;;) {
        const char *end =
            l->in.len > looked_at ? memchr(l->in.ptr + looked_at, '\n', l->in.len - looked_at) : NULL;
        if (end) {
            *line = slice_between(l->in.ptr + l->taken, end);
            if (line->len > 0 && line->ptr[line->len - 1] == '\r') line->len--;
            l->taken = (size_t)(end + 1 - l->in.ptr);
            return true;
        }
        buf_drop_front(&l->in, l->taken);
        l->taken = 0;
        looked_at = l->in.len;
        if (l->in.len > LINE_LIMIT || !wait_for(l, false, deadline_us)) return false;
    }
}

bool link_bytes(struct link *l, uint64_t most, struct slice *bytes) {
    int64_t deadline_us = clock_steady_us() + l->timeout_us;
    if (l->taken == l->in.len) buf_clear(&l->in);
    if (l->in.len == 0) l->taken = 0;
    while (l->in.len == l->taken)
        if (!wait_for(l, false, deadline_us)) return false;
    size_t some = l->in.len - l->taken;
    if (some > most) some = (size_t)most;
    *bytes = slice_make(l->in.ptr + l->taken, some);
    l->taken += some;
    return true;
}

void link_give(struct link *l, struct socket *socket, struct buf *received) {
    *socket = l->socket;
    l->socket = (struct socket){ .fd = -1 };
    buf_append(received, slice_make(l->in.ptr + l->taken, l->in.len - l->taken));
    buf_release(&l->in);
    buf_release(&l->out);
}
