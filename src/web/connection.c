/* connection.c: see connection.h. A connection does one thing at a time: it reads a head, waits, writes, or
 * lets what still comes run out before it closes. Each has its own time limit, and what was sent ahead of an
 * answer waits in the socket. */
#include "connection.h"
#include "trivet/base/chain.h"
#include "trivet/base/clock.h"
#include "trivet/base/log.h"
#include "trivet/base/mem.h"
#include "trivet/transport/socket.h"
#include <errno.h>
#include <event2/event.h>
#include <time.h>
#include <unistd.h>

enum state { READS, WAITS, DELAYS, WRITES_ANSWER, DRAINS };

struct http_conn {
    struct chain_link in_list;
    uint64_t id;
    enum state state;
    int fd;
    bool is_local;
    int64_t since_ms; /* of the state; steady clock */
    struct event *readable, *writable, *timer;
    struct buf in;     /* not parsed yet */
    struct buf head;   /* of the answer; with it its text, unless that is a blob */
    struct blob *body; /* NULL: none */
    size_t sent;       /* of both */
    bool is_head_only, closes_after;
    char peer[64];
};

struct http_conn_hooks http_conn_hooks;
static struct chain conns;
static size_t count;
static uint64_t next_id = 1;

size_t http_conns_count(void) { return count; }
uint64_t http_conn_id(const struct http_conn *c) { return c->id; }
const char *http_conn_peer(const struct http_conn *c) { return c->peer; }
bool http_conn_is_local(const struct http_conn *c) { return c->is_local; }

static void close_conn(struct http_conn *c) {
    chain_remove(&conns, &c->in_list);
    count--;
    if (c->readable) event_free(c->readable);
    if (c->writable) event_free(c->writable);
    if (c->timer) event_free(c->timer);
    close(c->fd);
    buf_release(&c->in);
    buf_release(&c->head);
    blob_unref(c->body);
    mem_free(c);
    if (http_conn_hooks.closed) http_conn_hooks.closed();
}

void http_conns_close(void) {
    while (!chain_is_empty(&conns)) close_conn(CHAIN_FIRST(&conns, struct http_conn, in_list));
}

struct http_conn *http_conn_waiting(uint64_t id) {
    CHAIN_EACH(&conns, struct http_conn, in_list, c)
    if (c->id == id && c->state == WAITS) return c;
    return NULL;
}

/* ---- states ---- */

static bool set_timer(struct http_conn *c, int ms) {
    struct timeval in = { ms / 1000, ms % 1000 * 1000 };
    return event_add(c->timer, &in) == 0;
}

/* False: the system refuses to wait for it, and it was closed. */
static bool enter(struct http_conn *c, enum state state, int limit_ms) {
    bool reads = state == READS || state == DRAINS;
    c->state = state;
    c->since_ms = clock_steady_us() / 1000;
    bool done = set_timer(c, limit_ms) &&
                (reads ? event_add(c->readable, NULL) : event_del(c->readable)) == 0 &&
                (state == WRITES_ANSWER ? event_add(c->writable, NULL) : event_del(c->writable)) == 0;
    if (done) return true;
    LOG_WARNING("A connection for metrics is closed: error registering its event: %s", strerror(errno));
    close_conn(c);
    return false;
}

void http_conn_wait(struct http_conn *c) { (void)enter(c, WAITS, HTTP_WORKER_MS); }

/* ---- answers ---- */

static const char *reason_of(int status) {
    switch (status) {
    case 200: return "OK";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 413: return "Content Too Large";
    case 431: return "Request Header Fields Too Large";
    case 503: return "Service Unavailable";
    case 505: return "HTTP Version Not Supported";
    default: assert(!"every status has its reason"); return "";
    }
}

static void append_date(struct buf *out) {
    struct tm parts;
    time_t now = (time_t)(clock_wall_ms() / 1000);
    char text[64];
    size_t len = strftime(text, sizeof text, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", gmtime_r(&now, &parts));
    buf_append(out, slice_make(text, len));
}

void http_conn_answer(struct http_conn *c, const struct http_answer *a) {
    struct slice body = a->blob ? blob_slice(a->blob) : a->text;
    buf_clear(&c->head);
    blob_unref(c->body);
    c->body = NULL;
    c->sent = 0;
    buf_printf(&c->head, "HTTP/1.1 %d %s\r\n", a->status, reason_of(a->status));
    append_date(&c->head);
    buf_printf(&c->head,
               "Content-Type: %s\r\nContent-Length: %zu\r\nCache-Control: no-store\r\n"
               "X-Content-Type-Options: nosniff\r\n%s%s\r\n",
               a->type ? a->type : "text/plain; charset=utf-8", body.len, a->fields ? a->fields : "",
               c->closes_after ? "Connection: close\r\n" : "Connection: keep-alive\r\n");
    if (!c->is_head_only && a->blob) c->body = blob_ref(a->blob);
    if (!c->is_head_only && !a->blob) buf_append(&c->head, a->text);
    (void)enter(c, a->delay_ms > 0 ? DELAYS : WRITES_ANSWER, a->delay_ms > 0 ? a->delay_ms : HTTP_WRITE_MS);
}

static void refuse(struct http_conn *c, const struct http_refusal *r) {
    struct buf line = { 0 };
    buf_printf(&line, "%s\n", r->why);
    c->closes_after = true;
    http_conn_answer(c, &(struct http_answer){ .status = r->status,
                                               .fields = r->status == 405 ? "Allow: GET, HEAD\r\n" : NULL,
                                               .text = buf_slice(&line) });
    buf_release(&line);
}

/* ---- reading ---- */

/* Looks whether a whole request is there. */
static void look_at_input(struct http_conn *c) {
    struct http_request r;
    struct http_refusal refusal;
    assert(c->state == READS);
    switch (http_request_parse(buf_slice(&c->in), &r, &refusal)) {
    case HTTP_MORE: return;
    case HTTP_BAD:
        buf_clear(&c->in);
        c->is_head_only = false;
        refuse(c, &refusal);
        return;
    case HTTP_READY: break;
    }
    c->is_head_only = r.is_head;
    c->closes_after = !r.keep_alive;
    struct buf taken = c->in; /* the request points into it */
    c->in = (struct buf){ 0 };
    buf_append(&c->in, slice_from(buf_slice(&taken), r.used));
    http_conn_hooks.request(c, &r); /* the connection may be closed after this */
    buf_release(&taken);
}

static void run_out(struct http_conn *c) {
    char scrap[4096];
    ssize_t got = recv(c->fd, scrap, sizeof scrap, 0);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) close_conn(c);
}

static void on_readable(evutil_socket_t fd, short what, void *arg) {
    struct http_conn *c = arg;
    (void)what;
    if (c->state == DRAINS) {
        run_out(c);
        return;
    }
    assert(c->state == READS && c->in.len < HTTP_HEAD_MAX);
    size_t room = HTTP_HEAD_MAX - c->in.len;
    ssize_t got = recv(fd, buf_reserve(&c->in, room), room, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) {
        close_conn(c);
        return;
    }
    bool is_first = c->in.len == 0;
    c->in.len += (size_t)got;
    if (is_first && !enter(c, READS, HTTP_REQUEST_MS)) return;
    look_at_input(c);
}

/* ---- writing ---- */

static void answer_is_out(struct http_conn *c) {
    buf_release(&c->head);
    blob_unref(c->body);
    c->body = NULL;
    if (c->closes_after) {
        shutdown(c->fd, SHUT_WR);
        (void)enter(c, DRAINS, HTTP_DRAIN_MS);
        return;
    }
    bool is_idle = c->in.len == 0;
    if (is_idle) buf_release(&c->in);
    if (enter(c, READS, is_idle ? HTTP_IDLE_MS : HTTP_REQUEST_MS) && !is_idle) look_at_input(c);
}

static void on_writable(evutil_socket_t fd, short what, void *arg) {
    struct http_conn *c = arg;
    (void)what;
    struct slice parts[2] = { buf_slice(&c->head), c->body ? blob_slice(c->body) : LIT("") };
    size_t skip = c->sent, total = parts[0].len + parts[1].len;
    struct iovec vectors[2];
    int used = 0;
    for (size_t i = 0; i < 2; i++) {
        size_t passed = skip < parts[i].len ? skip : parts[i].len;
        skip -= passed;
        if (passed < parts[i].len)
            vectors[used++] = (struct iovec){ unconst(parts[i].ptr + passed), parts[i].len - passed };
    }
    struct socket s = { .fd = fd };
    ssize_t wrote = socket_write_vectors(&s, vectors, used);
    if (wrote < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (wrote < 0) {
        close_conn(c);
        return;
    }
    c->sent += (size_t)wrote;
    if (c->sent == total) answer_is_out(c);
}

/* ---- time ---- */

static void on_timer(evutil_socket_t fd, short what, void *arg) {
    struct http_conn *c = arg;
    (void)fd;
    (void)what;
    switch (c->state) {
    case WAITS: http_conn_hooks.late(c); return;
    case DELAYS: (void)enter(c, WRITES_ANSWER, HTTP_WRITE_MS); return;
    case READS:
    case WRITES_ANSWER:
    case DRAINS:
        if (c->state == WRITES_ANSWER || (c->state == READS && c->in.len > 0))
            LOG_VERBOSE("The connection %s for metrics is closed: it is too slow", c->peer);
        close_conn(c);
        return;
    }
}

/* ---- the beginning ---- */

/* The one that has been reading or writing for longest; NULL if all wait for worker 0. */
static struct http_conn *slowest(void) {
    struct http_conn *found = NULL;
    CHAIN_EACH(&conns, struct http_conn, in_list, c)
    if (c->state != WAITS && (!found || c->since_ms < found->since_ms)) found = c;
    return found;
}

static bool make_room(void) {
    if (count < HTTP_CONNS_MAX) return true;
    struct http_conn *c = slowest();
    if (!c) return false;
    LOG_VERBOSE("The connection %s for metrics is closed: there are too many", c->peer);
    close_conn(c);
    return true;
}

/* What the system holds of answers that nobody takes is bounded too. */
static void limit_sending(int fd) {
    int bytes = HTTP_SENDING_BYTES;
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes) != 0)
        LOG_VERBOSE("setsockopt SO_SNDBUF: %s", strerror(errno));
}

void http_conn_open(struct event_base *base, int fd, bool is_local) {
    if (!make_room()) {
        LOG_VERBOSE("A connection for metrics is refused: there are too many");
        close(fd);
        return;
    }
    struct http_conn *c = mem_alloc_zero(sizeof *c);
    char local[64];
    c->id = next_id++;
    c->fd = fd;
    c->is_local = is_local;
    chain_insert_last(&conns, &c->in_list);
    count++;
    socket_addresses(fd, NULL, c->peer, local);
    socket_set_delay(fd, false);
    limit_sending(fd);
    c->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, c);
    c->writable = event_new(base, fd, EV_WRITE | EV_PERSIST, on_writable, c);
    c->timer = event_new(base, -1, 0, on_timer, c);
    if (c->readable && c->writable && c->timer)
        (void)enter(c, READS, HTTP_IDLE_MS);
    else
        close_conn(c);
}
