/* network.c: see network.h. One loop over poll(). Each way of a connection has one buffer, which is read into
 * when it is empty; a silent way is not read at all, so that its bytes wait in the kernel. */
#include "network.h"
#include "../harness/fail.h"
#include "../harness/text.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BUFFER (16 * 1024)
#define LINKS_MAX 4096
#define TICK_MS 20
#define AT_SENDER 40
#define NAME 40
#define NOBODY (-1)
#define STRANGER_MOST 4096 /* who has not said by then who it is, is a client */

enum way { TO_NODE, TO_DIALLER, WAYS };

struct lane {
    char bytes[BUFFER];
    size_t at, len;
    int64_t due_ms; /* nothing is sent before */
};

struct link {
    int ends[WAYS]; /* where that way leads to */
    struct lane lanes[WAYS];
    int dialler; /* a node, or NOBODY */
    size_t node;
    enum network_inlet inlet;
    bool is_known;    /* it was said who dialled, or is not going to be */
    struct text head; /* what the dialler has said so far, while it is not known */
};

struct inlet {
    int listener, port, target;
};

struct network {
    pthread_t thread;
    pthread_mutex_t lock; /* of all below */
    int waker;
    bool over;
    size_t nodes;
    struct inlet inlets[NETWORK_NODES][INLETS];
    char names[NETWORK_NODES][NAME];
    bool silent[NETWORK_NODES][NETWORK_NODES], refused[NETWORK_NODES][NETWORK_NODES];
    int64_t delay_ms[NETWORK_NODES][NETWORK_NODES];
    uint64_t carried[NETWORK_NODES][NETWORK_NODES];
    struct link *links[LINKS_MAX];
    size_t link_count;
    struct pollfd fds[1 + NETWORK_NODES * INLETS + LINKS_MAX * WAYS]; /* the thread's */
};

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- sockets ---- */

static struct sockaddr_in loopback(int port) {
    return (struct sockaddr_in){ .sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static void inlet_open(struct inlet *d) {
    struct sockaddr_in address = loopback(0);
    socklen_t len = sizeof address;
    d->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (d->listener < 0 || bind(d->listener, (struct sockaddr *)&address, len) != 0 ||
        listen(d->listener, 256) != 0 || getsockname(d->listener, (struct sockaddr *)&address, &len) != 0)
        HARNESS_FAIL("the network cannot listen: %s", strerror(errno));
    d->port = ntohs(address.sin_port);
}

static int dial(int port) {
    struct sockaddr_in address = loopback(port);
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    if (port && connect(fd, (struct sockaddr *)&address, sizeof address) == 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        return fd;
    }
    close(fd);
    return -1;
}

/* ---- links ---- */

static void link_close(struct network *n, size_t at) {
    struct link *l = n->links[at];
    for (int way = 0; way < WAYS; way++) close(l->ends[way]);
    text_release(&l->head);
    free(l);
    n->links[at] = n->links[--n->link_count];
}

static void take_connection(struct network *n, size_t node, enum network_inlet inlet) {
    int on = 1, dialler = accept4(n->inlets[node][inlet].listener, NULL, NULL, SOCK_CLOEXEC);
    if (dialler < 0) return;
    int target = n->link_count == LINKS_MAX ? -1 : dial(n->inlets[node][inlet].target);
    if (target < 0) {
        close(dialler);
        return;
    }
    setsockopt(dialler, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct link *l = calloc(1, sizeof *l);
    if (!l) abort();
    l->ends[TO_NODE] = target;
    l->ends[TO_DIALLER] = dialler;
    l->dialler = NOBODY;
    l->node = node;
    l->inlet = inlet;
    n->links[n->link_count++] = l;
}

/* ---- who dialled ---- */

static int node_of_name(const struct network *n, const char *name) {
    for (size_t i = 0; i < n->nodes; i++)
        if (memcmp(n->names[i], name, NAME) == 0) return (int)i;
    return NOBODY;
}

static int node_of_port(const struct network *n, int port) {
    for (size_t i = 0; i < n->nodes; i++)
        if (n->inlets[i][INLET_CLIENTS].target == port) return (int)i;
    return NOBODY;
}

static void look_at_packet(const struct network *n, struct link *l) {
    if (l->head.len < AT_SENDER + NAME) return;
    l->dialler = node_of_name(n, l->head.ptr + AT_SENDER);
    l->is_known = true;
}

/* The number follows as a bulk string: its length, and then itself. */
static void look_at_replconf(const struct network *n, struct link *l) {
    static const char word[] = "listening-port\r\n$";
    const char *at = memmem(l->head.ptr, l->head.len, word, sizeof word - 1);
    const char *number = at ? strstr(at + sizeof word - 1, "\r\n") : NULL;
    if (number && strstr(number + 2, "\r\n")) {
        l->dialler = node_of_port(n, atoi(number + 2));
        l->is_known = true;
    }
    if (l->head.len > STRANGER_MOST) l->is_known = true;
}

static void look_who_dials(const struct network *n, struct link *l) {
    const struct lane *lane = &l->lanes[TO_NODE];
    text_append(&l->head, lane->bytes, lane->len);
    if (l->inlet == INLET_BUS)
        look_at_packet(n, l);
    else
        look_at_replconf(n, l);
    if (l->is_known) text_release(&l->head);
}

/* ---- carrying ---- */

static size_t sender_of(const struct link *l, enum way way) {
    return way == TO_NODE ? (size_t)l->dialler : l->node;
}

static size_t receiver_of(const struct link *l, enum way way) {
    return way == TO_NODE ? l->node : (size_t)l->dialler;
}

static bool is_silent(const struct network *n, const struct link *l, enum way way) {
    return l->dialler != NOBODY && n->silent[sender_of(l, way)][receiver_of(l, way)];
}

static bool is_refused(const struct network *n, const struct link *l) {
    return l->dialler != NOBODY && n->refused[l->dialler][l->node];
}

static int source_of(const struct link *l, enum way way) { return l->ends[1 - way]; }
static bool lane_is_empty(const struct lane *lane) { return lane->at == lane->len; }

static int64_t delay_of(const struct network *n, const struct link *l, enum way way) {
    return l->dialler == NOBODY ? 0 : n->delay_ms[sender_of(l, way)][receiver_of(l, way)];
}

/* False: the link is over. */
static bool lane_fill(const struct network *n, struct link *l, enum way way) {
    struct lane *lane = &l->lanes[way];
    ssize_t got = recv(source_of(l, way), lane->bytes, BUFFER, MSG_DONTWAIT);
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    lane->at = 0;
    lane->len = (size_t)got;
    if (way == TO_NODE && !l->is_known) look_who_dials(n, l);
    lane->due_ms = now_ms() + delay_of(n, l, way);
    return got > 0;
}

static bool lane_send(struct network *n, struct link *l, enum way way) {
    struct lane *lane = &l->lanes[way];
    ssize_t sent =
        send(l->ends[way], lane->bytes + lane->at, lane->len - lane->at, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN || errno == EINTR;
    lane->at += (size_t)sent;
    if (l->dialler != NOBODY) n->carried[sender_of(l, way)][receiver_of(l, way)] += (uint64_t)sent;
    return true;
}

/* What came from both sides moves on; false: the link is to be closed. */
static bool link_carry(struct network *n, struct link *l) {
    for (enum way way = 0; way < WAYS; way++) {
        if (is_refused(n, l)) return false;
        if (is_silent(n, l, way)) continue;
        if (lane_is_empty(&l->lanes[way]) && !lane_fill(n, l, way)) return false;
        /* The first bytes say who it is, and that may silence it. */
        if (is_refused(n, l)) return false;
        if (lane_is_empty(&l->lanes[way]) || is_silent(n, l, way) || now_ms() < l->lanes[way].due_ms)
            continue;
        if (!lane_send(n, l, way)) return false;
    }
    return true;
}

/* Descriptors of which nothing is waited for are left out: poll() would tell of their end all the time. */
static void link_watch(const struct network *n, const struct link *l, struct pollfd *two) {
    for (int way = 0; way < WAYS; way++) two[way] = (struct pollfd){ .fd = l->ends[way] };
    for (enum way way = 0; way < WAYS; way++) {
        const struct lane *lane = &l->lanes[way];
        if (is_silent(n, l, way)) continue;
        if (lane_is_empty(lane))
            two[1 - way].events |= POLLIN;
        else if (now_ms() >= lane->due_ms)
            two[way].events |= POLLOUT;
    }
    for (int way = 0; way < WAYS; way++)
        if (!two[way].events) two[way].fd = -1;
}

static nfds_t watch_all(struct network *n) {
    struct pollfd *fds = n->fds;
    nfds_t count = 0;
    fds[count++] = (struct pollfd){ .fd = n->waker, .events = POLLIN };
    for (size_t i = 0; i < n->nodes; i++)
        for (int inlet = 0; inlet < INLETS; inlet++)
            fds[count++] = (struct pollfd){ .fd = n->inlets[i][inlet].listener, .events = POLLIN };
    for (size_t i = 0; i < n->link_count; i++, count += WAYS) link_watch(n, n->links[i], fds + count);
    return count;
}

static void serve(struct network *n) {
    uint64_t ignored;
    if (read(n->waker, &ignored, sizeof ignored) < 0 && errno != EAGAIN) return;
    for (size_t i = 0; i < n->link_count;) {
        if (link_carry(n, n->links[i]))
            i++;
        else
            link_close(n, i);
    }
    for (size_t i = 0; i < n->nodes; i++)
        for (int inlet = 0; inlet < INLETS; inlet++) take_connection(n, i, (enum network_inlet)inlet);
}

static void *run(void *arg) {
    struct network *n = arg;
    pthread_mutex_lock(&n->lock);
    while (!n->over) {
        nfds_t count = watch_all(n);
        pthread_mutex_unlock(&n->lock);
        (void)poll(n->fds, count, TICK_MS);
        pthread_mutex_lock(&n->lock);
        serve(n);
    }
    while (n->link_count > 0) link_close(n, 0);
    pthread_mutex_unlock(&n->lock);
    return NULL;
}

/* ---- orders ---- */

/* A silent way keeps connections that both ends have left. */
static void allow_many_descriptors(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) HARNESS_FAIL("setrlimit: %s", strerror(errno));
}

struct network *network_start(size_t nodes) {
    struct network *n = calloc(1, sizeof *n);
    if (!n || nodes > NETWORK_NODES) abort();
    allow_many_descriptors();
    n->nodes = nodes;
    n->waker = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    for (size_t i = 0; i < nodes; i++)
        for (int inlet = 0; inlet < INLETS; inlet++) inlet_open(&n->inlets[i][inlet]);
    pthread_mutex_init(&n->lock, NULL);
    if (n->waker < 0 || pthread_create(&n->thread, NULL, run, n) != 0)
        HARNESS_FAIL("the network cannot start: %s", strerror(errno));
    return n;
}

static void begin(struct network *n) { pthread_mutex_lock(&n->lock); }

static void end(struct network *n) {
    uint64_t one = 1;
    pthread_mutex_unlock(&n->lock);
    if (write(n->waker, &one, sizeof one) < 0) HARNESS_FAIL("cannot wake the network");
}

void network_stop(struct network *n) {
    if (!n) return;
    begin(n);
    n->over = true;
    end(n);
    pthread_join(n->thread, NULL);
    for (size_t i = 0; i < n->nodes; i++)
        for (int inlet = 0; inlet < INLETS; inlet++) close(n->inlets[i][inlet].listener);
    close(n->waker);
    pthread_mutex_destroy(&n->lock);
    free(n);
}

int network_port(const struct network *n, size_t node, enum network_inlet inlet) {
    return n->inlets[node][inlet].port;
}

void network_place(struct network *n, size_t node, int clients_port, int bus_port) {
    begin(n);
    n->inlets[node][INLET_CLIENTS].target = clients_port;
    n->inlets[node][INLET_BUS].target = bus_port;
    end(n);
}

void network_name(struct network *n, size_t node, const char *id) {
    begin(n);
    memcpy(n->names[node], id, NAME);
    end(n);
}

void network_silence(struct network *n, size_t from, size_t to, bool on) {
    begin(n);
    n->silent[from][to] = on;
    end(n);
}

void network_delay(struct network *n, size_t from, size_t to, int64_t ms) {
    begin(n);
    n->delay_ms[from][to] = ms;
    end(n);
}

void network_refuse(struct network *n, size_t one, size_t other, bool on) {
    begin(n);
    n->refused[one][other] = n->refused[other][one] = on;
    end(n);
}

void network_part(struct network *n, unsigned some, unsigned others) {
    begin(n);
    for (size_t i = 0; i < n->nodes; i++)
        for (size_t j = 0; j < n->nodes; j++)
            if (some >> i & 1 && others >> j & 1) n->silent[i][j] = n->silent[j][i] = true;
    end(n);
}

void network_heal(struct network *n) {
    begin(n);
    memset(n->silent, 0, sizeof n->silent);
    memset(n->refused, 0, sizeof n->refused);
    memset(n->delay_ms, 0, sizeof n->delay_ms);
    end(n);
}

uint64_t network_carried(struct network *n, size_t from, size_t to) {
    pthread_mutex_lock(&n->lock);
    uint64_t bytes = n->carried[from][to];
    pthread_mutex_unlock(&n->lock);
    return bytes;
}
