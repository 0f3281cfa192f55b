/* server.c: see server.h. The thread, its listening sockets, and the handing over of new ones.
 *
 * Whoever changes the settings opens the sockets, so that errors are told at once, and hands the list to the
 * web thread by a letter; it waits until that has been read. The web thread never waits for a worker, so this
 * takes no longer than a callback of its own. */
#include "trivet/web/server.h"
#include "connection.h"
#include "errand.h"
#include "routes.h"
#include "trivet/base/log.h"
#include "trivet/base/mailbox.h"
#include "trivet/base/thread.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/transport/listening.h"
#include "trivet/transport/socket.h"
#include <errno.h>
#include <event2/event.h>
#include <semaphore.h>
#include <string.h>
#include <unistd.h>

#define ACCEPTED_AT_ONCE 16
#define PAUSE_MS 100 /* out of file descriptors: try again then, or when a connection ends */

static pthread_t thread;
static bool is_running, has_ended; /* changed with the gate closed, or before there are workers */
static struct event_base *base;
static struct event *pause_timer;
static struct listener_list listeners; /* the web thread's, which alone changes it */

/* ---- accepting ---- */

static void pause_accepting(void) {
    struct timeval in = { 0, PAUSE_MS * 1000 };
    LOG_WARNING("Accepting connections for metrics pauses: %s", strerror(errno));
    if (event_add(pause_timer, &in) != 0) return; /* then it is tried without a pause */
    for (size_t i = 0; i < listeners.count; i++) event_del(listeners.at[i].readable);
}

static void go_on_accepting(void) {
    event_del(pause_timer);
    for (size_t i = 0; i < listeners.count; i++)
        if (event_add(listeners.at[i].readable, NULL) != 0)
            LOG_WARNING("Error registering fd event for a listening socket for metrics: %s", strerror(errno));
}

static void on_pause_over(evutil_socket_t fd, short what, void *arg) {
    (void)fd;
    (void)what;
    (void)arg;
    go_on_accepting();
}

static void on_conn_closed(void) {
    if (event_pending(pause_timer, EV_TIMEOUT, NULL)) go_on_accepting();
}

static bool accept_one(int listening) {
    struct sockaddr_storage peer = { 0 };
    socklen_t len = sizeof peer;
    int fd = accept4(listening, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        http_conn_open(base, fd, socket_address_is_loopback(&peer));
        return true;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
        pause_accepting();
    else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
        LOG_WARNING("Accepting a connection for metrics: %s", strerror(errno));
    return errno == EINTR || errno == ECONNABORTED;
}

static void on_incoming(evutil_socket_t fd, short what, void *arg) {
    (void)what;
    (void)arg;
    for (int left = ACCEPTED_AT_ONCE; left > 0 && accept_one(fd);) left--;
}

/* ---- new sockets ---- */

/* A list on its way to the web thread. */
struct handover {
    struct letter letter;
    struct listener_list *list;
    bool done;
    sem_t read;
};

static bool is_new(const struct listener *l) { return !listening_has(&listeners, l->fd); }

/* Waits on those that are new; if one cannot be waited on, on none. */
static bool wait_on_new(struct listener_list *list) {
    bool all = true;
    for (size_t i = 0; all && i < list->count; i++) {
        struct listener *l = &list->at[i];
        if (!is_new(l)) continue;
        l->readable = event_new(base, l->fd, EV_READ | EV_PERSIST, on_incoming, NULL);
        all = l->readable && event_add(l->readable, NULL) == 0;
    }
    for (size_t i = 0; !all && i < list->count; i++)
        if (is_new(&list->at[i]) && list->at[i].readable) event_free(list->at[i].readable);
    return all;
}

static void close_missing(const struct listener_list *now) {
    for (size_t i = 0; i < listeners.count; i++) {
        if (now && listening_has(now, listeners.at[i].fd)) continue;
        event_free(listeners.at[i].readable);
        close(listeners.at[i].fd);
    }
}

static void take_list(struct letter *self) {
    struct handover *h = CONTAINER_OF(self, struct handover, letter);
    h->done = wait_on_new(h->list);
    if (h->done) {
        close_missing(h->list);
        listeners = *h->list;
        if (listeners.count == 0) http_conns_close();
    }
    sem_post(&h->read);
}

static bool hand_over(struct listener_list *list) {
    struct handover h = { .letter = { .run = take_list }, .list = list };
    if (sem_init(&h.read, 0, 0) != 0) return false;
    errands_post(&h.letter);
    while (sem_wait(&h.read) != 0) continue; /* a signal interrupts it */
    sem_destroy(&h.read);
    return h.done;
}

/* ---- the thread ---- */

static void *run(void *arg) {
    (void)arg;
    int result = event_base_loop(base, EVLOOP_NO_EXIT_ON_EMPTY);
    assert(result >= 0);
    http_conns_close();
    close_missing(NULL);
    listeners.count = 0;
    return NULL;
}

static bool make_base(void) {
    struct event_config *config = event_config_new();
    if (!config) return false;
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    base = event_base_new_with_config(config);
    event_config_free(config);
    return base != NULL;
}

static bool start_thread(struct buf *error) {
    if (is_running) return true;
    http_conn_hooks =
        (struct http_conn_hooks){ .request = route_request, .late = route_late, .closed = on_conn_closed };
    if (!base && (!make_base() || !errands_init(base, route_answer) ||
                  !(pause_timer = event_new(base, -1, 0, on_pause_over, NULL)))) {
        buf_printf(error, "Can't create the event loop for metrics: %s", strerror(errno));
        web_release();
        return false;
    }
    is_running = thread_start(&thread, "web", run, NULL);
    if (!is_running) buf_printf(error, "Can't start the thread for metrics: %s", strerror(errno));
    return is_running;
}

/* ---- for others ---- */

static bool open_sockets(struct listener_list *now, struct buf *error) {
    struct listening_wish wish = { .words = options.metrics_bind.address,
                                   .count = options.metrics_bind.count,
                                   .port = (int)options.metrics_port,
                                   .backlog = (int)options.tcp_backlog,
                                   .setting = "metrics-bind" };
    if (wish.port == 0 || listening_open(&listeners, now, &wish, error)) return true;
    struct buf why = { 0 };
    buf_printf(&why, "Failed listening on port %d (metrics): %.*s", wish.port, SLICE_ARG(buf_slice(error)));
    buf_release(error);
    *error = why;
    listening_drop_new(&listeners, now);
    return false;
}

bool web_listen(struct buf *error) {
    struct listener_list now = { 0 };
    if (options.metrics_port == 0 && !is_running) return true;
    if (has_ended) {
        buf_append(error, LIT("The server is shutting down"));
        return false;
    }
    if (!start_thread(error) || !open_sockets(&now, error)) return false;
    if (hand_over(&now)) return true;
    buf_append(error, LIT("Error registering fd event for the listening sockets for metrics"));
    listening_drop_new(&listeners, &now);
    return false;
}

void web_describe(struct buf *out) {
    if (options.metrics_port == 0) return;
    buf_append(out, LIT("listener3:name=metrics"));
    for (size_t i = 0; i < options.metrics_bind.count; i++)
        buf_printf(out, ",bind=%s", options.metrics_bind.address[i]);
    buf_printf(out, ",port=%d\r\n", (int)options.metrics_port);
}

static void end_loop(struct letter *self) {
    (void)self;
    event_base_loopbreak(base);
}

void web_stop(void) {
    static struct letter last = { .run = end_loop };
    gate_enter();
    exclusive_begin(); /* a worker may be in the middle of CONFIG SET */
    has_ended = true;
    exclusive_end();
    gate_leave();
    if (!is_running) return;
    errands_post(&last);
    pthread_join(thread, NULL);
    errands_stop();
    is_running = false;
}

void web_release(void) {
    if (!base) return;
    errands_release();
    if (pause_timer) event_free(pause_timer);
    pause_timer = NULL;
    event_base_free(base);
    base = NULL;
}
