/* listener.c: listening sockets, accepting, handing out. See listener.h. */
#include "trivet/net/listener.h"
#include "handshake.h"
#include "listening.h"
#include "trivet/base/clock.h"
#include "trivet/base/log.h"
#include "trivet/base/mem.h"
#include "trivet/engine/access/users.h"
#include "trivet/engine/client/client.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/engine/turn/workers.h"
#include "trivet/engine/watch/stats.h"
#include "trivet/net/conn.h"
#include "trivet/net/worker.h"
#include "trivet/transport/socket.h"
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define LAST_ACCEPTED 64 /* connections of a socket that is about to be closed, at most */
#define PAUSE_MS 100     /* out of file descriptors: try again then, or when a connection ends */
#define CROWD_MS 20      /* as many handshakes as may be: look again then */

/* Worker 0's, except that CONFIG SET changes them with the gate closed. */
static struct listener_list listeners;
/* Sockets that no list names any more. They listen until worker 0 closes them, and may be taken back before.
 */
static struct listener_list retired;
static bool paused;
static atomic_bool any_paused; /* the same for other workers to see */
static struct event *pause_timer;
static struct event *crowd_timer;        /* while it runs nobody is accepted at the TLS port */
static atomic_int conns_of[WORKERS_MAX]; /* handed out so far, see least_busy */

/* ---- opening ---- */

static void close_listener(struct listener *l) {
    if (l->readable) event_free(l->readable);
    close(l->fd);
}

static void close_all(struct listener_list *list) {
    for (size_t i = 0; i < list->count; i++) close_listener(&list->at[i]);
    list->count = 0;
}

static void on_incoming(evutil_socket_t fd, short what, void *arg) {
    (void)fd;
    (void)what;
    (void)arg;
    worker_accept_soon();
}

static void pause_accepting(void);
static bool accept_one(struct listener *l);

static bool is_crowded(const struct listener *l) {
    return l->kind == LISTEN_TLS && event_pending(crowd_timer, EV_TIMEOUT, NULL);
}

static bool start_listening(struct listener *l) {
    assert(l->fd >= 0);
    if (is_crowded(l)) return true; /* on_crowd_over does it */
    if (!l->readable) l->readable = event_new(worker_base(0), l->fd, EV_READ | EV_PERSIST, on_incoming, NULL);
    return l->readable && event_add(l->readable, NULL) == 0;
}

static void log_deaf(const struct listener *l) {
    LOG_WARNING("Error registering fd event for the listening socket %d: %s", l->fd, strerror(errno));
}

/* Waits on all of them. Where that fails, it is tried again a little later. */
static void listen_to_all(void) {
    bool all = true;
    for (size_t i = 0; i < listeners.count; i++) {
        if (start_listening(&listeners.at[i])) continue;
        log_deaf(&listeners.at[i]);
        all = false;
    }
    if (!all) pause_accepting();
}

static void on_pause_over(evutil_socket_t fd, short what, void *arg) {
    (void)fd;
    (void)what;
    (void)arg;
    worker_begin_turn();
    paused = false;
    atomic_store_explicit(&any_paused, false, memory_order_relaxed);
    listen_to_all();
}

static bool explain_event(struct buf *error) {
    buf_printf(error, "Error registering fd event for a listening socket: %s", strerror(errno));
    return false;
}

static void on_crowd_over(evutil_socket_t fd, short what, void *arg) {
    (void)fd;
    (void)what;
    (void)arg;
    worker_begin_turn();
    if (!paused) listen_to_all();
}

static bool open_listeners(struct buf *error) {
    static const struct listener_list none;
    pause_timer = event_new(worker_base(0), -1, 0, on_pause_over, NULL);
    crowd_timer = event_new(worker_base(0), -1, 0, on_crowd_over, NULL);
    bool all = pause_timer && crowd_timer;
    if (!all) return explain_event(error);
    if (!listening_open_tcp(&none, &listeners, error)) return false;
    if (options.unixsocket[0] && !listening_open_unix(&listeners, error)) return false;
    for (size_t i = 0; all && i < listeners.count; i++) all = start_listening(&listeners.at[i]);
    return all || explain_event(error);
}

bool listeners_open(struct buf *error) {
    assert(listeners.count == 0);
    if (open_listeners(error)) return true;
    close_all(&listeners);
    return false;
}

/* The event loop is worker 0's, which alone may change it. So CONFIG SET changes the lists, and this letter
 * makes the loop follow. */
static void follow_lists(struct letter *self) {
    mem_free(self);
    /* Accepts clients that have connected already, but not those that keep coming. */
    for (size_t i = 0; i < retired.count; i++)
        for (int left = LAST_ACCEPTED; left > 0 && !paused && accept_one(&retired.at[i]); left--) continue;
    close_all(&retired);
    if (!paused) listen_to_all();
}

static void retire_what_is_missing(const struct listener_list *from, const struct listener_list *now,
                                   struct listener_list *to) {
    for (size_t i = 0; i < from->count; i++) {
        if (listening_has(now, from->at[i].fd)) continue;
        assert(to->count < LISTENERS_MAX);
        to->at[to->count++] = from->at[i];
    }
}

/* All sockets that are open. */
static bool join_lists(struct listener_list *all, struct buf *error) {
    *all = listeners;
    for (size_t i = 0; i < retired.count; i++) {
        if (all->count == LISTENERS_MAX) {
            buf_append(error, LIT("The last change has not been carried out yet."));
            return false;
        }
        all->at[all->count++] = retired.at[i];
    }
    return true;
}

/* The sockets for what options say now; `open` are those that exist. */
static bool renew(const struct listener_list *open, struct buf *error) {
    struct listener_list now = { 0 };
    if (!listening_open_tcp(open, &now, error)) return false;
    for (size_t i = 0; i < open->count; i++)
        if (open->at[i].kind == LISTEN_UNIX) now.at[now.count++] = open->at[i];
    retired.count = 0;
    retire_what_is_missing(open, &now, &retired);
    listeners = now;
    return true;
}

bool listeners_reopen(void) {
    struct listener_list open;
    struct buf error = { 0 };
    assert(exclusive_is_mine());
    bool done = join_lists(&open, &error) && renew(&open, &error);
    if (done) {
        struct letter *l = mem_alloc(sizeof *l);
        l->run = follow_lists;
        worker_post(0, l);
    } else {
        LOG_WARNING("The listening sockets stay as they are. %.*s", SLICE_ARG(buf_slice(&error)));
    }
    buf_release(&error);
    return done;
}

void listeners_close(void) {
    close_all(&retired);
    close_all(&listeners);
    if (pause_timer) event_free(pause_timer);
    if (crowd_timer) event_free(crowd_timer);
    pause_timer = crowd_timer = NULL;
    if (options.unixsocket[0]) unlink(options.unixsocket);
}

/* ---- accepting ---- */

static void pause_accepting(void) {
    static int64_t last_warning_ms;
    int64_t now = clock_steady_us() / 1000;
    if (now - last_warning_ms > 1000 || last_warning_ms == 0) {
        LOG_WARNING(
            "Accepting client connections pauses: %s. Raise the limit of open files (ulimit -n) or lower "
            "maxclients.",
            strerror(errno));
        last_warning_ms = now;
    }
    assert(worker_self() == 0 && pause_timer);
    paused = true;
    atomic_store_explicit(&any_paused, true, memory_order_relaxed);
    for (size_t i = 0; i < listeners.count; i++)
        if (listeners.at[i].readable) event_del(listeners.at[i].readable);
    struct timeval in = { 0, PAUSE_MS * 1000 };
    if (event_add(pause_timer, &in) == 0) return;
    LOG_WARNING("Error registering fd event for the pause in accepting: %s", strerror(errno));
    worker_accept_soon();
}

static void resume_letter(struct letter *l) {
    mem_free(l);
    if (!paused) return;
    event_del(pause_timer);
    on_pause_over(-1, 0, NULL);
}

void listeners_resume(void) {
    if (!atomic_exchange_explicit(&any_paused, false, memory_order_relaxed)) return;
    struct letter *l = mem_alloc(sizeof *l);
    l->run = resume_letter;
    worker_post(0, l);
}

/* Who waits for TLS could not read the text. */
static void refuse_connection(int fd, enum listener_kind kind, const char *text) {
    struct socket s = { .fd = fd };
    COUNTER_ADD(stats_mine()->rejected, 1);
    struct iovec v = { unconst(text), strlen(text) };
    if (kind != LISTEN_TLS && socket_write_vectors(&s, &v, 1) < 0)
        LOG_DEBUG("A refused connection did not take its error: %s", strerror(errno));
    socket_close(&s);
}

static const char protected_text[] =
    "-DENIED Running in protected mode because protected mode is enabled and no password is set for the "
    "default "
    "user. In this mode connections are only accepted from the loopback interface. To connect from "
    "elsewhere, set a "
    "password with 'requirepass' (or CONFIG SET requirepass from a local connection), or, if the network is "
    "trusted, "
    "turn this off with 'protected-mode no', or start the server with '--protected-mode no'.\r\n";

static int least_busy(void) {
    int best = 0;
    for (int i = 1; i < thread_worker_count; i++)
        if (atomic_load_explicit(&conns_of[i], memory_order_relaxed) <
            atomic_load_explicit(&conns_of[best], memory_order_relaxed))
            best = i;
    return best;
}

struct arrival {
    struct letter letter;
    int worker; /* there it is counted; at the very end another thread empties that mailbox */
    int fd;
    enum listener_kind kind;
};

static void open_here(int fd, enum listener_kind kind, int worker) {
    COUNTER_ADD(stats_mine()->connections, 1);
    bool taken =
        kind == LISTEN_TLS ? handshake_begin(fd) : conn_open((struct socket){ .fd = fd }, kind) != NULL;
    if (!taken) listeners_count_client(worker, -1);
}

static void arrive(struct letter *self) {
    struct arrival *a = CONTAINER_OF(self, struct arrival, letter);
    open_here(a->fd, a->kind, a->worker);
    mem_free(a);
}

static void hand_out(int fd, enum listener_kind kind) {
    if (kind != LISTEN_UNIX) {
        socket_set_delay(fd, false);
        if (options.tcp_keepalive_s > 0) socket_keepalive(fd, options.tcp_keepalive_s);
    }
    if (kind == LISTEN_TLS) handshake_announce();
    int worker = least_busy();
    listeners_count_client(worker, +1);
    if (worker == worker_self()) {
        open_here(fd, kind, worker);
        return;
    }
    struct arrival *a = mem_alloc(sizeof *a);
    *a = (struct arrival){ .letter = { .run = arrive }, .worker = worker, .fd = fd, .kind = kind };
    worker_post(worker, &a->letter);
}

void listeners_count_client(int worker, int change) {
    int before = atomic_fetch_add_explicit(&conns_of[worker], change, memory_order_relaxed);
    assert(before + change >= 0);
}

static int64_t clients_now(void) {
    int64_t sum = 0;
    for (int i = 0; i < thread_worker_count; i++)
        sum += atomic_load_explicit(&conns_of[i], memory_order_relaxed);
    return sum;
}

/* One connection. False if there was none. */
static bool accept_one(struct listener *l) {
    struct sockaddr_storage peer;
    socklen_t len = sizeof peer;
    int fd = accept4(l->fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            pause_accepting();
        else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
            LOG_WARNING("Accepting client connection: %s", strerror(errno));
        return errno == EINTR || errno == ECONNABORTED;
    }
    if (clients_now() >= options.maxclients)
        refuse_connection(fd, l->kind, "-ERR max number of clients reached\r\n");
    else if (options.protected_mode && user_default->needs_no_password && l->kind != LISTEN_UNIX &&
             !socket_address_is_loopback(&peer))
        refuse_connection(fd, l->kind, protected_text);
    else
        hand_out(fd, l->kind);
    return true;
}

/* As many handshakes are under way as may be: no more are accepted until some are done. */
static void wait_for_handshakes(void) {
    struct timeval in = { 0, CROWD_MS * 1000 };
    if (event_add(crowd_timer, &in) != 0) return; /* then it is looked at in each turn */
    for (size_t i = 0; i < listeners.count; i++)
        if (listeners.at[i].kind == LISTEN_TLS && listeners.at[i].readable)
            event_del(listeners.at[i].readable);
}

/* A slice of the connections that wait there; true if it was a full one. */
static bool accept_slice(struct listener *l) {
    bool tls = l->kind == LISTEN_TLS;
    int64_t left = tls ? options.max_new_tls_connections_per_cycle : options.max_new_connections_per_cycle;
    while (left > 0 && !paused) {
        if (tls && handshakes_are_full()) {
            wait_for_handshakes();
            return false;
        }
        if (!accept_one(l)) return false;
        left--;
    }
    return left == 0;
}

bool listeners_accept(void) {
    assert(worker_self() == 0);
    bool more = false;
    for (size_t i = 0; i < listeners.count && !paused; i++)
        if (!is_crowded(&listeners.at[i])) more |= accept_slice(&listeners.at[i]);
    return more && !paused;
}

/* ---- names ---- */

/* A kind has the same number in each server. */
static void describe_ports(struct buf *out, int index, const char *name, int64_t port) {
    if (port == 0) return;
    buf_printf(out, "listener%d:name=%s", index, name);
    for (size_t i = 0; i < options.bind.count; i++) buf_printf(out, ",bind=%s", options.bind.address[i]);
    buf_printf(out, ",port=%d\r\n", (int)port);
}

void listeners_describe(struct buf *out) {
    describe_ports(out, 0, "tcp", options.port);
    if (options.unixsocket[0]) buf_printf(out, "listener1:name=unix,bind=%s\r\n", options.unixsocket);
    describe_ports(out, 2, "tls", options.tls_port);
}
