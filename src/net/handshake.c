/* handshake.c: see handshake.h. A handshake waits for its socket, then in the queue `ready` for its step, and
 * when it is done in the queue `done` for the next turn, in which it becomes a client. */
#include "handshake.h"
#include "trivet/base/chain.h"
#include "trivet/base/clock.h"
#include "trivet/base/log.h"
#include "trivet/base/mem.h"
#include "trivet/base/thread.h"
#include "trivet/engine/client/login.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/workers.h"
#include "trivet/net/conn.h"
#include "trivet/net/listener.h"
#include "trivet/net/worker.h"
#include "trivet/transport/socket.h"
#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <string.h>
#include <unistd.h>

#define STEP_BUDGET_US 1000
#define CROWDED_PATIENCE_US 1000000 /* what one may take while others are not accepted */
#define LINES_A_SECOND 20           /* failures in the log, a worker */

struct handshake {
    struct chain_link in_queue; /* one of the three below */
    struct chain *queue;
    struct socket socket;
    struct event event;
    int64_t began_us, deadline_us;
    enum tls_step wants;
    char peer[64], local[64];
};

static _Thread_local struct {
    struct chain waiting, ready, done;
    bool ended;
    int64_t lines_since_us;
    int lines;
} here;

static atomic_int under_way;    /* of all workers */
static atomic_bool are_crowded; /* worker 0 found as many as may be */

static void move_to(struct handshake *h, struct chain *queue) {
    if (h->queue) chain_remove(h->queue, &h->in_queue);
    h->queue = queue;
    if (queue) chain_insert_last(queue, &h->in_queue);
}

/* ---- the end of one ---- */

void handshake_announce(void) { atomic_fetch_add_explicit(&under_way, 1, memory_order_relaxed); }

static void count_one_less(void) {
    int before = atomic_fetch_sub_explicit(&under_way, 1, memory_order_relaxed);
    assert(before > 0);
}

/* A flood of them must not fill the disk. */
static bool may_log(void) {
    int64_t now = clock_steady_us();
    if (now - here.lines_since_us >= 1000000) {
        if (here.lines > LINES_A_SECOND)
            LOG_WARNING("Error accepting client connections: %d more handshakes failed",
                        here.lines - LINES_A_SECOND);
        here.lines_since_us = now;
        here.lines = 0;
    }
    return here.lines++ < LINES_A_SECOND;
}

/* The socket is not its any more. */
static void forget(struct handshake *h) {
    event_del(&h->event);
    move_to(h, NULL);
    mem_free(h);
    count_one_less();
}

static void give_up(struct handshake *h, const char *why) {
    if (may_log())
        LOG_WARNING("Error accepting a client connection: %s (addr=%s laddr=%s)", why, h->peer, h->local);
    listeners_count_client(worker_self(), -1);
    socket_close(&h->socket);
    forget(h);
    listeners_resume();
}

/* ---- waiting ---- */

static bool is_late(const struct handshake *h, int64_t now_us) {
    bool crowded = atomic_load_explicit(&are_crowded, memory_order_relaxed);
    return now_us >= h->deadline_us || (crowded && now_us - h->began_us >= CROWDED_PATIENCE_US);
}

static void await(struct handshake *h);

static void on_event(evutil_socket_t fd, short what, void *arg) {
    (void)fd;
    struct handshake *h = arg;
    if (is_late(h, clock_steady_us()))
        give_up(h, "the TLS handshake took too long");
    else if (what & EV_TIMEOUT)
        await(h);
    else
        move_to(h, &here.ready);
}

/* It looks at the clock at least once in CROWDED_PATIENCE_US. */
static void await(struct handshake *h) {
    int64_t left_us = h->deadline_us - clock_steady_us();
    if (left_us < 0) left_us = 0;
    if (left_us > CROWDED_PATIENCE_US) left_us = CROWDED_PATIENCE_US;
    struct timeval patience = { left_us / 1000000, left_us % 1000000 };
    short what = h->wants == TLS_WANTS_WRITE ? EV_WRITE : EV_READ;
    move_to(h, &here.waiting);
    event_assign(&h->event, worker_base(worker_self()), h->socket.fd, what, on_event, h);
    if (event_add(&h->event, &patience) != 0) give_up(h, strerror(errno));
}

/* ---- the steps ---- */

bool handshake_begin(int fd) {
    if (here.ended) {
        count_one_less();
        close(fd);
        return false;
    }
    struct handshake *h = mem_alloc_zero(sizeof *h);
    h->socket = (struct socket){ .fd = fd, .tls = tls_new_server(fd) };
    h->began_us = clock_steady_us();
    h->deadline_us = h->began_us + options.tls_handshake_timeout_ms * 1000;
    h->wants = TLS_WANTS_READ;
    socket_addresses(fd, NULL, h->peer, h->local);
    event_assign(&h->event, worker_base(worker_self()), fd, EV_READ, on_event, h);
    move_to(h, &here.ready); /* most clients speak at once */
    if (!h->socket.tls) give_up(h, "TLS is not configured");
    return true;
}

bool handshakes_are_full(void) {
    bool full = atomic_load_explicit(&under_way, memory_order_relaxed) >= options.tls_max_handshakes;
    atomic_store_explicit(&are_crowded, full, memory_order_relaxed);
    return full;
}

static void step(struct handshake *h) {
    h->wants = tls_handshake(h->socket.tls);
    switch (h->wants) {
    case TLS_DONE: move_to(h, &here.done); return;
    case TLS_FAILED: give_up(h, tls_error(h->socket.tls)); return;
    case TLS_WANTS_READ:
    case TLS_WANTS_WRITE: await(h); return;
    }
}

void handshakes_step(void) {
    if (LIKELY(chain_is_empty(&here.ready))) return;
    int64_t until_us = clock_steady_us() + STEP_BUDGET_US;
    do {
        step(CHAIN_FIRST(&here.ready, struct handshake, in_queue));
    } while (!chain_is_empty(&here.ready) && clock_steady_us() < until_us);
}

bool handshakes_are_due(void) { return !chain_is_empty(&here.ready) || !chain_is_empty(&here.done); }

/* ---- becoming a client ---- */

/* The names in a certificate, one after the other, on the way to a user. */
struct naming {
    struct client *client;
    struct buf refused; /* the first one, of whom there is no user */
};

static bool take_name(void *arg, struct slice name) {
    struct naming *n = arg;
    if (client_log_in_by_certificate(n->client, name)) return true;
    if (n->refused.len == 0) buf_append(&n->refused, name);
    return false;
}

/* Without such a user it is what any new connection is. */
static void log_in_by_certificate(struct client *c, const struct tls *tls, enum tls_name field) {
    struct naming n = { .client = c };
    if (!tls_peer_names(tls, field, take_name, &n) && n.refused.len > 0)
        client_note_certificate(c, buf_slice(&n.refused));
    buf_release(&n.refused);
}

static void open_one(struct handshake *h) {
    struct socket socket = h->socket;
    forget(h);
    struct client *c = conn_open(socket, LISTEN_TLS);
    if (!c) {
        listeners_count_client(worker_self(), -1);
        return;
    }
    int field = options.tls_auth_clients_user;
    if (field != TLS_USER_OFF)
        log_in_by_certificate(c, socket.tls, field == TLS_USER_CN ? TLS_NAME_CN : TLS_NAME_URI);
}

void handshakes_open(void) {
    if (LIKELY(chain_is_empty(&here.done))) return;
    worker_begin_turn();
    while (!chain_is_empty(&here.done)) open_one(CHAIN_FIRST(&here.done, struct handshake, in_queue));
}

void handshakes_end(void) {
    struct chain *const queues[] = { &here.waiting, &here.ready, &here.done };
    for (size_t i = 0; i < COUNT_OF(queues); i++)
        while (!chain_is_empty(queues[i]))
            give_up(CHAIN_FIRST(queues[i], struct handshake, in_queue), "the server ends");
    here.ended = true;
}
