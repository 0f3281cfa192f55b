/* proxy.c: see proxy.h. One loop over poll(); each way of a connection has one buffer that is read into when
 * it is empty. */
#include "proxy.h"
#include "fail.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LINKS_MAX 64
#define BUFFER (64 * 1024)
#define NEVER_CUT UINT64_MAX
#define TICK_MS 100
#define HANDSHAKE 300 /* bytes that a replica sends before it only acknowledges, about */

struct lane {
    char bytes[BUFFER];
    size_t at, len;
    bool ended;      /* its source will send no more */
    uint64_t left;   /* bytes until the cut */
    int64_t next_us; /* nothing is sent before */
};

/* A connection: ends[PROXY_TO_TARGET] is where that lane writes to. */
struct link {
    int ends[PROXY_WAYS];
    struct lane lanes[PROXY_WAYS];
    bool by_reset;
};

struct proxy {
    pthread_t thread;
    pthread_mutex_t lock; /* of all below */
    int listener, waker, port, target_port;
    bool over, refuses, stalls;
    size_t cut_most, chunk;
    int64_t pause_us;
    uint64_t chance;
    struct link *links[LINKS_MAX];
    size_t link_count, connections, cuts;
    uint64_t carried[PROXY_WAYS];
};

static int64_t now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* SplitMix64. */
static uint64_t draw(struct proxy *p, uint64_t below) {
    uint64_t z = p->chance += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (z ^ z >> 31) % below;
}

/* ---- sockets ---- */

static struct sockaddr_in loopback(int port) {
    return (struct sockaddr_in){ .sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static void listen_somewhere(struct proxy *p) {
    struct sockaddr_in address = loopback(0);
    socklen_t len = sizeof address;
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (p->listener < 0 || bind(p->listener, (struct sockaddr *)&address, len) != 0 ||
        listen(p->listener, 64) != 0 || getsockname(p->listener, (struct sockaddr *)&address, &len) != 0)
        HARNESS_FAIL("the proxy cannot listen: %s", strerror(errno));
    p->port = ntohs(address.sin_port);
}

static void without_delay(int fd) {
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static void close_end(int fd, bool by_reset) {
    struct linger at_once = { .l_onoff = 1, .l_linger = 0 };
    if (by_reset) setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(fd);
}

static int connect_target(const struct proxy *p) {
    struct sockaddr_in address = loopback(p->target_port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
    close(fd);
    return -1;
}

/* ---- links ---- */

static void link_close(struct proxy *p, size_t at, bool by_reset) {
    struct link *l = p->links[at];
    for (int way = 0; way < PROXY_WAYS; way++) close_end(l->ends[way], by_reset);
    free(l);
    p->links[at] = p->links[--p->link_count];
}

/* Most cuts come anywhere up to the limit; some are as likely below 10 bytes as from there to 100 and so on,
 * and some hit what the replica sends. */
static void draw_cut(struct proxy *p, struct link *l) {
    l->lanes[PROXY_TO_TARGET].left = l->lanes[PROXY_TO_CLIENT].left = NEVER_CUT;
    if (p->cut_most == 0) return;
    uint64_t most = p->cut_most;
    bool early = draw(p, 8) == 0, from_client = draw(p, 8) == 0;
    l->by_reset = draw(p, 2) == 0;
    if (early) most >>= draw(p, 64 - (uint64_t)__builtin_clzll(most));
    if (from_client && most > HANDSHAKE) most = HANDSHAKE; /* little goes this way later */
    l->lanes[from_client ? PROXY_TO_TARGET : PROXY_TO_CLIENT].left = 1 + draw(p, most);
}

static void take_connection(struct proxy *p) {
    int client = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC);
    if (client < 0) return;
    p->connections++;
    int target = p->refuses || p->link_count == LINKS_MAX ? -1 : connect_target(p);
    if (target < 0) {
        close_end(client, true);
        return;
    }
    struct link *l = calloc(1, sizeof *l);
    if (!l) abort();
    l->ends[PROXY_TO_TARGET] = target;
    l->ends[PROXY_TO_CLIENT] = client;
    without_delay(target);
    without_delay(client);
    draw_cut(p, l);
    p->links[p->link_count++] = l;
}

/* ---- carrying ---- */

/* False: the link is over. */
static bool lane_fill(struct lane *lane, int source) {
    ssize_t got = recv(source, lane->bytes, BUFFER, MSG_DONTWAIT);
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    lane->at = 0;
    lane->len = (size_t)got;
    lane->ended = got == 0;
    return got > 0;
}

static bool lane_send(struct proxy *p, struct lane *lane, int sink, enum proxy_way way) {
    size_t some = lane->len - lane->at;
    if (some > lane->left) some = (size_t)lane->left;
    if (p->chunk && some > p->chunk) some = p->chunk;
    ssize_t sent = send(sink, lane->bytes + lane->at, some, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN || errno == EINTR;
    lane->at += (size_t)sent;
    if (lane->left != NEVER_CUT) lane->left -= (uint64_t)sent;
    p->carried[way] += (uint64_t)sent;
    if (p->chunk) lane->next_us = now_us() + p->pause_us;
    return true;
}

static int source_of(const struct link *l, enum proxy_way way) { return l->ends[1 - way]; }

static bool lane_is_empty(const struct lane *lane) { return lane->at == lane->len; }

/* What came from both sides moves on; false: the link is to be closed. */
static bool link_carry(struct proxy *p, struct link *l) {
    for (int way = 0; way < PROXY_WAYS; way++) {
        struct lane *lane = &l->lanes[way];
        if (lane_is_empty(lane) && !lane_fill(lane, source_of(l, (enum proxy_way)way))) return false;
        if (lane_is_empty(lane) || now_us() < lane->next_us) continue;
        if (!lane_send(p, lane, l->ends[way], (enum proxy_way)way)) return false;
        if (lane->left > 0) continue;
        p->cuts++;
        return false;
    }
    return true;
}

/* What a link waits for; lowers *wait_us to the time until its next piece. */
static void link_watch(const struct link *l, struct pollfd *two, int64_t *wait_us) {
    for (int way = 0; way < PROXY_WAYS; way++) two[way] = (struct pollfd){ .fd = l->ends[way] };
    for (int way = 0; way < PROXY_WAYS; way++) {
        const struct lane *lane = &l->lanes[way];
        int64_t wait = lane->next_us - now_us();
        if (lane_is_empty(lane))
            two[1 - way].events |= POLLIN;
        else if (wait <= 0)
            two[way].events |= POLLOUT;
        else if (wait < *wait_us)
            *wait_us = wait;
    }
}

/* Returns the number of descriptors to wait for. */
static nfds_t watch_all(struct proxy *p, struct pollfd *fds, int64_t *wait_us) {
    nfds_t count = 0;
    fds[count++] = (struct pollfd){ .fd = p->waker, .events = POLLIN };
    fds[count++] = (struct pollfd){ .fd = p->listener, .events = POLLIN };
    for (size_t i = 0; i < p->link_count && !p->stalls; i++, count += PROXY_WAYS)
        link_watch(p->links[i], fds + count, wait_us);
    return count;
}

static bool was_cut(const struct link *l) {
    return l->lanes[PROXY_TO_TARGET].left == 0 || l->lanes[PROXY_TO_CLIENT].left == 0;
}

static void serve(struct proxy *p, const struct pollfd *fds) {
    uint64_t ignored;
    if (fds[0].revents && read(p->waker, &ignored, sizeof ignored) < 0) return;
    for (size_t i = 0; i < p->link_count && !p->stalls;) {
        if (link_carry(p, p->links[i]))
            i++;
        else
            link_close(p, i, was_cut(p->links[i]) && p->links[i]->by_reset);
    }
    if (fds[1].revents) take_connection(p);
}

static void *run(void *arg) {
    struct proxy *p = arg;
    struct pollfd fds[2 + 2 * LINKS_MAX];
    pthread_mutex_lock(&p->lock);
    while (!p->over) {
        int64_t wait_us = TICK_MS * 1000;
        nfds_t count = watch_all(p, fds, &wait_us);
        struct timespec wait = { .tv_sec = wait_us / 1000000, .tv_nsec = wait_us % 1000000 * 1000 };
        pthread_mutex_unlock(&p->lock);
        int ready = ppoll(fds, count, &wait, NULL);
        pthread_mutex_lock(&p->lock);
        if (ready <= 0) fds[0].revents = fds[1].revents = 0;
        serve(p, fds);
    }
    while (p->link_count > 0) link_close(p, 0, false);
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* ---- orders ---- */

struct proxy *proxy_start(int target_port, uint64_t seed) {
    struct proxy *p = calloc(1, sizeof *p);
    if (!p) abort();
    p->target_port = target_port;
    p->chance = seed;
    p->waker = eventfd(0, EFD_CLOEXEC);
    listen_somewhere(p);
    pthread_mutex_init(&p->lock, NULL);
    printf("proxy %d -> %d, seed %llu\n", p->port, target_port, (unsigned long long)seed);
    fflush(stdout);
    if (p->waker < 0 || pthread_create(&p->thread, NULL, run, p) != 0)
        HARNESS_FAIL("the proxy cannot start: %s", strerror(errno));
    return p;
}

int proxy_port(const struct proxy *p) { return p->port; }

static void begin(struct proxy *p) { pthread_mutex_lock(&p->lock); }

static void end(struct proxy *p) {
    uint64_t one = 1;
    pthread_mutex_unlock(&p->lock);
    if (write(p->waker, &one, sizeof one) < 0) HARNESS_FAIL("cannot wake the proxy");
}

void proxy_stop(struct proxy *p) {
    if (!p) return;
    begin(p);
    p->over = true;
    end(p);
    pthread_join(p->thread, NULL);
    close(p->listener);
    close(p->waker);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

void proxy_aim(struct proxy *p, int target_port) {
    begin(p);
    p->target_port = target_port;
    end(p);
}

void proxy_cut(struct proxy *p) {
    begin(p);
    p->cuts += p->link_count;
    while (p->link_count > 0) link_close(p, 0, true);
    end(p);
}

void proxy_cut_randomly(struct proxy *p, size_t most) {
    begin(p);
    p->cut_most = most;
    for (size_t i = 0; i < p->link_count && most == 0; i++)
        p->links[i]->lanes[0].left = p->links[i]->lanes[1].left = NEVER_CUT;
    end(p);
}

void proxy_refuse(struct proxy *p, bool on) {
    begin(p);
    p->refuses = on;
    end(p);
}

void proxy_stall(struct proxy *p, bool on) {
    begin(p);
    p->stalls = on;
    end(p);
}

void proxy_pace(struct proxy *p, size_t chunk, int64_t pause_us) {
    begin(p);
    p->chunk = chunk;
    p->pause_us = pause_us;
    end(p);
}

static uint64_t look(struct proxy *p, const uint64_t *value) {
    pthread_mutex_lock(&p->lock);
    uint64_t now = *value;
    pthread_mutex_unlock(&p->lock);
    return now;
}

size_t proxy_connections(struct proxy *p) { return look(p, &p->connections); }
size_t proxy_cuts(struct proxy *p) { return look(p, &p->cuts); }
uint64_t proxy_carried(struct proxy *p, enum proxy_way way) { return look(p, &p->carried[way]); }
