/* listener.c: listening sockets, accepting, handing out. See listener.h. */
#include "trivet/net/listener.h"
#include "trivet/base/clock.h"
#include "trivet/base/log.h"
#include "trivet/base/mem.h"
#include "trivet/engine/client/client.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/workers.h"
#include "trivet/engine/watch/stats.h"
#include "trivet/net/conn.h"
#include "trivet/net/socket.h"
#include "trivet/net/worker.h"
#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <grp.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LISTENERS_MAX \
    (OPTIONS_BIND_MAX * 2 + 1) /* each address may resolve to IPv4 and IPv6; one unix socket */
#define PAUSE_MS 100           /* out of file descriptors: try again then, or when a connection ends */

struct listener {
    int fd;
    bool is_unix;
    struct event *readable;
};

/* Worker 0's, except that CONFIG SET changes them with the gate closed. */
static struct listener listeners[LISTENERS_MAX];
static size_t listener_count;
static bool paused;
static atomic_bool any_paused; /* the same for other workers to see */
static struct event *pause_timer;
static atomic_int conns_of[WORKERS_MAX]; /* handed out so far, see least_busy */

/* ---- opening ---- */

static bool explain(struct buf *error, const char *what, const char *where, const char *why) {
    buf_printf(error, "%s %s: %s", what, where, why);
    return false;
}

static int open_address(const struct addrinfo *info, int *why) {
    int fd = socket(info->ai_family, info->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, info->ai_protocol);
    int one = 1;
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
        (info->ai_family != AF_INET6 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one) == 0) &&
        bind(fd, info->ai_addr, info->ai_addrlen) == 0 && listen(fd, (int)options.tcp_backlog) == 0)
        return fd;
    *why = errno;
    if (fd >= 0) close(fd);
    return -1;
}

/* "*" is every IPv4 address, "::*" every IPv6 one. */
static const char *host_of(const char *address, int *family) {
    *family = AF_UNSPEC;
    if (strcmp(address, "*") == 0) {
        *family = AF_INET;
        return NULL;
    }
    if (strcmp(address, "::*") == 0) {
        *family = AF_INET6;
        return NULL;
    }
    return address;
}

static bool open_tcp(struct listener *out, size_t *count, const char *address, struct buf *error) {
    bool optional = address[0] == '-';
    if (optional) address++;
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV }, *found;
    const char *host = host_of(address, &hints.ai_family);
    char port[8], where[256];
    snprintf(port, sizeof port, "%d", (int)options.port);
    snprintf(where, sizeof where, "%s:%s", address, port);
    int bad = getaddrinfo(host, port, &hints, &found);
    if (bad)
        return optional ||
               explain(error, "Could not resolve the address to listen on,", where, gai_strerror(bad));
    size_t before = *count;
    int why = 0;
    for (struct addrinfo *info = found; info && *count < LISTENERS_MAX; info = info->ai_next) {
        int fd = open_address(info, &why);
        if (fd >= 0) out[(*count)++] = (struct listener){ .fd = fd };
    }
    freeaddrinfo(found);
    if (*count > before) return true;
    bool missing = why == EADDRNOTAVAIL || why == EAFNOSUPPORT || why == EPROTONOSUPPORT;
    if (optional && missing) return true;
    LOG_WARNING("Failed listening on port %s (tcp), address %s: %s", port, address, strerror(why));
    return explain(error, "Could not create server TCP listening socket", where, strerror(why));
}

static bool set_unix_rights(const char *path, struct buf *error) {
    if (options.unixsocketperm && chmod(path, (mode_t)options.unixsocketperm) != 0)
        return explain(error, "Could not set the permissions of the unix socket", path, strerror(errno));
    if (!options.unixsocketgroup[0]) return true;
    struct group *group = getgrnam(options.unixsocketgroup);
    if (!group)
        return explain(error, "No such group for the unix socket:", options.unixsocketgroup, "unknown");
    if (chown(path, (uid_t)-1, group->gr_gid) == 0) return true;
    return explain(error, "Could not give the unix socket to its group", path, strerror(errno));
}

static bool open_unix(struct listener *out, size_t *count, struct buf *error) {
    const char *path = options.unixsocket;
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof address.sun_path) return explain(error, "Unix socket path", path, "too long");
    strcpy(address.sun_path, path);
    unlink(path); /* left over by a server that was killed */
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        !set_unix_rights(path, error) || listen(fd, (int)options.tcp_backlog) != 0) {
        if (error->len == 0) explain(error, "Could not open the unix socket", path, strerror(errno));
        if (fd >= 0) close(fd);
        return false;
    }
    out[(*count)++] = (struct listener){ .fd = fd, .is_unix = true };
    return true;
}

static void close_all(struct listener *list, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (list[i].readable) event_free(list[i].readable);
        close(list[i].fd);
    }
}

static bool open_all_tcp(struct listener *out, size_t *count, struct buf *error) {
    for (size_t i = 0; options.port != 0 && i < options.bind.count; i++)
        if (!open_tcp(out, count, options.bind.address[i], error)) return false;
    if (options.port == 0 || options.bind.count == 0 || *count > 0) return true;
    buf_printf(error, "None of the addresses in 'bind' could be listened on, port %d", (int)options.port);
    return false;
}

static void on_incoming(evutil_socket_t fd, short what, void *arg) {
    (void)fd;
    (void)what;
    (void)arg;
    worker_accept_soon();
}

static void start_listening(struct listener *l) {
    l->readable = event_new(worker_base(0), l->fd, EV_READ | EV_PERSIST, on_incoming, l);
    assert(l->readable);
    event_add(l->readable, NULL);
}

static void on_pause_over(evutil_socket_t fd, short what, void *arg) {
    (void)fd;
    (void)what;
    (void)arg;
    worker_begin_turn();
    paused = false;
    atomic_store_explicit(&any_paused, false, memory_order_relaxed);
    for (size_t i = 0; i < listener_count; i++) event_add(listeners[i].readable, NULL);
}

bool listeners_open(struct buf *error) {
    size_t count = 0;
    if (!open_all_tcp(listeners, &count, error) ||
        (options.unixsocket[0] && !open_unix(listeners, &count, error))) {
        close_all(listeners, count);
        return false;
    }
    listener_count = count;
    pause_timer = event_new(worker_base(0), -1, 0, on_pause_over, NULL);
    for (size_t i = 0; i < count; i++) start_listening(&listeners[i]);
    return true;
}

/* The sockets live on worker 0's event loop, which only worker 0 may change: a letter does the exchange. */
struct exchange {
    struct letter letter;
    struct listener fresh[LISTENERS_MAX];
    size_t count;
};

static void exchange_sockets(struct letter *self) {
    struct exchange *x = CONTAINER_OF(self, struct exchange, letter);
    for (size_t i = 0; i < listener_count; i++) {
        if (listeners[i].is_unix)
            x->fresh[x->count++] = listeners[i];
        else
            close_all(&listeners[i], 1);
    }
    memcpy(listeners, x->fresh, sizeof listeners);
    listener_count = x->count;
    for (size_t i = 0; i < listener_count; i++)
        if (!listeners[i].readable) start_listening(&listeners[i]);
    mem_free(x);
}

bool listeners_reopen(void) {
    struct exchange *x = mem_alloc_zero(sizeof *x);
    struct buf error = { 0 };
    x->letter.run = exchange_sockets;
    bool opened = open_all_tcp(x->fresh, &x->count, &error);
    if (opened) {
        worker_post(0, &x->letter);
    } else {
        LOG_WARNING("%.*s", SLICE_ARG(buf_slice(&error)));
        close_all(x->fresh, x->count);
        mem_free(x);
    }
    buf_release(&error);
    return opened;
}

void listeners_close(void) {
    close_all(listeners, listener_count);
    listener_count = 0;
    if (pause_timer) event_free(pause_timer);
    pause_timer = NULL;
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
    paused = true;
    atomic_store_explicit(&any_paused, true, memory_order_relaxed);
    for (size_t i = 0; i < listener_count; i++) event_del(listeners[i].readable);
    struct timeval in = { 0, PAUSE_MS * 1000 };
    event_add(pause_timer, &in);
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

static void refuse(int fd, const char *text) {
    COUNTER_ADD(stats_mine()->rejected, 1);
    struct iovec v = { (char *)(uintptr_t)text, strlen(text) };
    ssize_t sent = socket_write_vectors(fd, &v, 1);
    if (sent < 0) LOG_DEBUG("A refused connection did not take its error: %s", strerror(errno));
    close(fd);
}

static bool is_loopback(const struct sockaddr_storage *peer) {
    if (peer->ss_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)(const void *)peer)->sin_addr.s_addr) >> 24 == 127;
    if (peer->ss_family != AF_INET6) return true;
    const struct in6_addr *a = &((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(a) || (IN6_IS_ADDR_V4MAPPED(a) && a->s6_addr[12] == 127);
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
    int fd;
    bool is_unix;
};

static void arrive(struct letter *self) {
    struct arrival *a = CONTAINER_OF(self, struct arrival, letter);
    conn_open(a->fd, a->is_unix);
    mem_free(a);
}

static void hand_out(int fd, bool is_unix) {
    if (!is_unix) {
        socket_no_delay(fd);
        if (options.tcp_keepalive_s > 0) socket_keepalive(fd, options.tcp_keepalive_s);
    }
    int worker = least_busy();
    listeners_count_client(worker, +1);
    if (worker == worker_self()) {
        conn_open(fd, is_unix);
        return;
    }
    struct arrival *a = mem_alloc(sizeof *a);
    *a = (struct arrival){ .letter = { .run = arrive }, .fd = fd, .is_unix = is_unix };
    worker_post(worker, &a->letter);
}

void listeners_count_client(int worker, int change) {
    atomic_fetch_add_explicit(&conns_of[worker], change, memory_order_relaxed);
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
        refuse(fd, "-ERR max number of clients reached\r\n");
    else if (options.protected_mode && !options.password[0] && !l->is_unix && !is_loopback(&peer))
        refuse(fd, protected_text);
    else
        hand_out(fd, l->is_unix);
    return true;
}

bool listeners_accept(void) {
    bool more = false;
    for (size_t i = 0; i < listener_count && !paused; i++) {
        int64_t left = options.max_new_connections_per_cycle;
        while (left > 0 && !paused && accept_one(&listeners[i])) left--;
        more |= left == 0;
    }
    return more && !paused;
}

/* ---- names ---- */

static void format_address(const struct sockaddr_storage *a, char out[64]) {
    char host[INET6_ADDRSTRLEN] = "?";
    if (a->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)a;
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
        snprintf(out, 64, "%s:%d", host, ntohs(in->sin_port));
    } else {
        const struct sockaddr_in6 *in6 = (const void *)a;
        inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
        snprintf(out, 64, "[%s]:%d", host, ntohs(in6->sin6_port));
    }
}

void conn_addresses(int fd, bool is_unix, char peer[64], char local[64]) {
    if (is_unix) {
        snprintf(peer, 64, "%.60s:0", options.unixsocket);
        snprintf(local, 64, "%.60s:0", options.unixsocket);
        return;
    }
    struct sockaddr_storage a = { 0 };
    socklen_t len = sizeof a;
    strcpy(peer, "?:0");
    strcpy(local, "?:0");
    if (getpeername(fd, (struct sockaddr *)&a, &len) == 0) format_address(&a, peer);
    len = sizeof a;
    if (getsockname(fd, (struct sockaddr *)&a, &len) == 0) format_address(&a, local);
}

void listeners_describe(struct buf *out) {
    int index = 0;
    if (options.port != 0) {
        buf_printf(out, "listener%d:name=tcp", index++);
        for (size_t i = 0; i < options.bind.count; i++) buf_printf(out, ",bind=%s", options.bind.address[i]);
        buf_printf(out, ",port=%d\r\n", (int)options.port);
    }
    if (options.unixsocket[0]) buf_printf(out, "listener%d:name=unix,bind=%s\r\n", index, options.unixsocket);
}
