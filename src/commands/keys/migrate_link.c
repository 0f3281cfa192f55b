/* migrate_link.c: see migrate_link_private.h. */
#include "migrate_link.h"
#include "trivet/base/clock.h"
#include "trivet/base/mem.h"
#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define OUT_MAX (64 * 1024) /* gathered before it is sent; what is bigger is sent from where it is */
#define LINE_LIMIT                                                                          \
    (64 * 1024) /* a status or an error: a longer one comes from no server of this protocol \
                 */
#define TIMEOUT_MAX_MS INT32_MAX

/* What of `events` has happened (or an error or end, which the next call on the socket tells); 0 at the
 * deadline. */
static short await(int fd, short events, int64_t deadline_us) {
    for (;;) {
        struct pollfd p = { .fd = fd, .events = events };
        int64_t left_us = deadline_us - clock_steady_us();
        int n = poll(&p, 1, left_us > 0 ? (int)((left_us + 999) / 1000) : 0);
        if (n > 0) return p.revents;
        if (n == 0 && left_us <= 0) return 0;
        if (n < 0 && errno != EINTR) return 0;
    }
}

/* ---- connecting ---- */

/* True when connected; else *error says why not. */
static bool connect_until(int fd, const struct addrinfo *to, int64_t deadline_us, int *error) {
    socklen_t len = sizeof *error;
    *error = 0;
    if (connect(fd, to->ai_addr, to->ai_addrlen) == 0) return true;
    *error = errno;
    if (*error != EINPROGRESS) return false;
    *error = ETIMEDOUT;
    if (await(fd, POLLOUT, deadline_us) == 0) return false;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, error, &len) != 0) *error = errno;
    return *error == 0;
}

/* The first address that answers. */
static enum migrate_link_result connect_any(struct migrate_link *l, const struct addrinfo *list) {
    enum migrate_link_result result = LINK_UNREACHABLE;
    int64_t deadline_us = clock_steady_us() + l->timeout_us;
    for (const struct addrinfo *a = list; a; a = a->ai_next) {
        int error, fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0) continue;
        if (connect_until(fd, a, deadline_us, &error)) {
            /* Without it the link is slower, and right all the same. */
            (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
            l->fd = fd;
            return LINK_OPEN;
        }
        close(fd);
        if (error == ECONNREFUSED) result = LINK_REFUSED;
    }
    return result;
}

enum migrate_link_result migrate_link_open(struct migrate_link *l, struct slice host, struct slice port,
                                           int64_t timeout_ms) {
    assert(timeout_ms > 0);
    if (timeout_ms > TIMEOUT_MAX_MS) timeout_ms = TIMEOUT_MAX_MS;
    *l = (struct migrate_link){ .fd = -1, .timeout_us = timeout_ms * 1000 };
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV }, *list;
    char *host_text = slice_to_cstr(host), *port_text = slice_to_cstr(port);
    enum migrate_link_result result = LINK_UNREACHABLE;
    if (getaddrinfo(host_text, port_text, &hints, &list) == 0) {
        result = connect_any(l, list);
        freeaddrinfo(list);
    }
    mem_free(host_text);
    mem_free(port_text);
    return result;
}

void migrate_link_close(struct migrate_link *l) {
    close(l->fd);
    l->fd = -1;
    buf_release(&l->in);
    buf_release(&l->out);
}

/* ---- bytes ---- */

static bool is_patience(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

/* Takes in what is there; false at the end of the connection. */
static bool take_in(struct migrate_link *l) {
    char *to = buf_reserve(&l->in, 16 * 1024);
    ssize_t n = recv(l->fd, to, 16 * 1024, 0);
    if (n > 0) l->in.len += (size_t)n;
    return n > 0 || (n < 0 && is_patience(errno));
}

static bool send_all(struct migrate_link *l, struct slice bytes) {
    int64_t deadline_us = clock_steady_us() + l->timeout_us;
    while (bytes.len > 0) {
        ssize_t n = send(l->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (n > 0) {
            bytes = slice_make(bytes.ptr + n, bytes.len - (size_t)n);
            deadline_us = clock_steady_us() + l->timeout_us;
            continue;
        }
        if (n < 0 && !is_patience(errno)) return false;
        short ready = await(l->fd, POLLIN | POLLOUT, deadline_us);
        if (ready == 0 || ((ready & POLLIN) && !take_in(l))) return false;
    }
    return true;
}

bool migrate_link_flush(struct migrate_link *l) {
    bool sent = send_all(l, buf_slice(&l->out));
    buf_clear(&l->out);
    return sent;
}

static bool flush_if_full(struct migrate_link *l) { return l->out.len < OUT_MAX || migrate_link_flush(l); }

bool migrate_link_header(struct migrate_link *l, size_t words) {
    buf_printf(&l->out, "*%zu\r\n", words);
    return flush_if_full(l);
}

bool migrate_link_word(struct migrate_link *l, struct slice word) {
    buf_printf(&l->out, "$%zu\r\n", word.len);
    if (word.len < OUT_MAX)
        buf_append(&l->out, word);
    else if (!migrate_link_flush(l) || !send_all(l, word))
        return false;
    buf_append(&l->out, LIT("\r\n"));
    return flush_if_full(l);
}

bool migrate_link_line(struct migrate_link *l, struct slice *line) {
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
        if (l->in.len > LINE_LIMIT || await(l->fd, POLLIN, deadline_us) == 0 || !take_in(l)) return false;
    }
}
