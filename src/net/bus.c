/* bus.c: see bus.h. A link is a bufferevent of libevent, found by its number.
 *
 * A packet may make the rules close any link, also the one it came on. So nobody keeps a pointer over a call
 * of the rules: the link is looked up again. */
#include "trivet/net/bus.h"
#include "trivet/base/chain.h"
#include "trivet/base/clock.h"
#include "trivet/base/log.h"
#include "trivet/base/mem.h"
#include "trivet/engine/cluster/member.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/net/worker.h"
#include "trivet/transport/listening.h"
#include "trivet/transport/socket.h"
#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#define ACCEPTED_AT_ONCE 16
/* On a link that came in only answers go out. Who lets so many of them lie does not read. */
#define ANSWERS_MOST ((size_t)1024 * 1024)

struct wire {
    struct chain_link in_list;
    uint64_t link;
    int64_t made_ms;
    bool inbound;
    struct bufferevent *events;
};

static struct {
    struct chain wires;
    size_t count;
    struct listener_list listeners;
    struct event *tick;
    bool rests; /* nothing is accepted until the next tick */
    uint64_t over_limit;
} bus;

/* ---- links ---- */

static struct wire *wire_find(uint64_t link) {
    CHAIN_EACH(&bus.wires, struct wire, in_list, w)
    if (w->link == link) return w;
    return NULL;
}

static void wire_free(struct wire *w) {
    chain_remove(&bus.wires, &w->in_list);
    bus.count--;
    bufferevent_free(w->events);
    mem_free(w);
}

/* The other side is gone, or has sent what nobody understands. */
static void wire_lost(struct wire *w) {
    uint64_t link = w->link;
    wire_free(w);
    cluster_link_closed(member, link, clock_wall_ms());
    member_act();
}

/* The first packet of the input; empty if it is not all there yet. False: this is no bus, or a packet that is
 * too long for this link. */
static bool next_packet(struct wire *w, struct slice *packet) {
    struct evbuffer *in = bufferevent_get_input(w->events);
    size_t have = evbuffer_get_length(in), length = 0;
    size_t look = have < MESSAGE_FRAME_SIZE ? have : MESSAGE_FRAME_SIZE;
    *packet = (struct slice){ 0 };
    if (have == 0) return true;
    const char *head = (const char *)evbuffer_pullup(in, (ev_ssize_t)look);
    enum frame frame = message_frame(slice_make(head, look), &length);
    if (frame == FRAME_BROKEN || length > cluster_link_packet_most(member, w->link)) return false;
    if (length == 0 || length > have) return true;
    const char *all = (const char *)evbuffer_pullup(in, (ev_ssize_t)length);
    frame = message_frame(slice_make(all, length), &length);
    if (frame == FRAME_READY) *packet = slice_make(all, length);
    return frame != FRAME_BROKEN;
}

static void read_packets(uint64_t link) {
    for (struct wire *w; (w = wire_find(link)) != NULL;) {
        struct slice packet;
        if (!next_packet(w, &packet)) {
            wire_lost(w);
            return;
        }
        if (packet.len == 0) return;
        cluster_receive(member, link, packet, clock_wall_ms());
        evbuffer_drain(bufferevent_get_input(w->events), packet.len);
        member_act();
    }
}

static void on_readable(struct bufferevent *events, void *arg) {
    struct wire *w = arg;
    (void)events;
    worker_begin_turn();
    if (member) read_packets(w->link);
}

static void on_event(struct bufferevent *events, short what, void *arg) {
    struct wire *w = arg;
    (void)events;
    worker_begin_turn();
    if (!member) return;
    if (what & BEV_EVENT_CONNECTED) {
        cluster_link_opened(member, w->link, clock_wall_ms());
        member_act();
    } else {
        wire_lost(w);
    }
}

/* Takes `fd` over (-1: to be connected). NULL, and it is closed, if libevent has no memory for it. */
static struct wire *wire_new(uint64_t link, int fd) {
    struct bufferevent *events = bufferevent_socket_new(worker_base(0), fd, BEV_OPT_CLOSE_ON_FREE);
    if (!events) {
        if (fd >= 0) close(fd);
        return NULL;
    }
    struct wire *w = mem_alloc_zero(sizeof *w);
    w->link = link;
    w->made_ms = clock_wall_ms();
    w->events = events;
    bufferevent_setcb(events, on_readable, NULL, on_event, w);
    chain_insert_first(&bus.wires, &w->in_list);
    bus.count++;
    return w;
}

/* Packets must not wait for each other: who is late counts as failed. */
static void tune(const struct wire *w) {
    int on = 1, fd = bufferevent_getfd(w->events);
    if (fd >= 0 && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0)
        LOG_DEBUG("TCP_NODELAY on the cluster bus: %s", strerror(errno));
}

/* ---- what the rules want ---- */

static bool address_of(struct slice ip, uint16_t port, struct sockaddr_storage *out, int *len) {
    char text[NODE_IP_SIZE + 1];
    memset(out, 0, sizeof *out);
    if (ip.len >= sizeof text) return false;
    memcpy(text, ip.ptr, ip.len);
    text[ip.len] = '\0';
    struct sockaddr_in *four = (struct sockaddr_in *)out;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)out;
    if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons(port);
        *len = sizeof *four;
        return true;
    }
    if (inet_pton(AF_INET6, text, &six->sin6_addr) != 1) return false;
    six->sin6_family = AF_INET6;
    six->sin6_port = htons(port);
    *len = sizeof *six;
    return true;
}

/* A failure at once is told like a later one, so that the rules see one way only. */
static void open_link(uint64_t link, struct slice ip, uint16_t port) {
    struct sockaddr_storage to;
    int len = 0;
    struct wire *w = wire_new(link, -1);
    bool begun = w && address_of(ip, port, &to, &len) &&
                 bufferevent_enable(w->events, EV_READ | EV_WRITE) == 0 &&
                 bufferevent_socket_connect(w->events, (struct sockaddr *)&to, len) == 0;
    if (begun) {
        tune(w);
    } else {
        LOG_DEBUG("Can't connect to the cluster bus of %.*s:%u", SLICE_ARG(ip), port);
        if (w && wire_find(link) == w) wire_free(w);
        cluster_link_closed(member, link, clock_wall_ms());
        member_act();
    }
}

static void close_link(uint64_t link) {
    struct wire *w = wire_find(link);
    if (w) wire_free(w);
}

static bool is_over_limit(size_t waiting) {
    uint64_t most = options.cluster_link_sendbuf_limit;
    if (most == 0 || waiting <= most) return false;
    LOG_WARNING("Freeing outbound cluster link: %zu bytes wait there, more than cluster-link-sendbuf-limit",
                waiting);
    bus.over_limit++;
    return true;
}

static void send_packet(uint64_t link, struct slice packet) {
    struct wire *w = wire_find(link);
    if (!w) return;
    struct evbuffer *out = bufferevent_get_output(w->events);
    size_t waiting = evbuffer_get_length(out) + packet.len;
    if (is_over_limit(waiting) || (w->inbound && waiting > ANSWERS_MOST)) {
        wire_lost(w);
        return;
    }
    if (evbuffer_add(out, packet.ptr, packet.len) != 0)
        LOG_WARNING("No memory for a packet of the cluster bus");
}

/* ---- who comes in ---- */

static struct node_ip ip_of(const struct sockaddr_storage *a) {
    char text[INET6_ADDRSTRLEN] = "";
    const void *from = a->ss_family == AF_INET ? (const void *)&((const struct sockaddr_in *)a)->sin_addr
                                               : (const void *)&((const struct sockaddr_in6 *)a)->sin6_addr;
    if (!inet_ntop(a->ss_family, from, text, sizeof text)) text[0] = '\0';
    bool is_mapped = strncmp(text, "::ffff:", 7) == 0 && strchr(text, '.');
    return node_ip_make(slice_of(is_mapped ? text + 7 : text));
}

static void accept_link(int fd, const struct sockaddr_storage *peer) {
    struct sockaddr_storage local = { 0 };
    socklen_t len = sizeof local;
    if (getsockname(fd, (struct sockaddr *)&local, &len) != 0) {
        close(fd);
        return;
    }
    uint64_t link = cluster_link_accepted(member, ip_of(peer), ip_of(&local), clock_wall_ms());
    struct wire *w = wire_new(link, fd);
    if (!w || bufferevent_enable(w->events, EV_READ | EV_WRITE) != 0) {
        if (w) wire_free(w);
        cluster_link_closed(member, link, clock_wall_ms());
    } else {
        w->inbound = true;
        tune(w);
    }
    member_act();
}

/* Without descriptors whoever waits stays in the kernel's queue, and would be told of again at once. */
static void rest_until_tick(void) {
    bus.rests = true;
    for (size_t i = 0; i < bus.listeners.count; i++) event_del(bus.listeners.at[i].readable);
}

static void end_rest(void) {
    if (!bus.rests) return;
    bus.rests = false;
    for (size_t i = 0; i < bus.listeners.count; i++)
        if (event_add(bus.listeners.at[i].readable, NULL) != 0) bus.rests = true;
}

static bool is_shortage(int error) {
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static void on_incoming(evutil_socket_t listening, short what, void *arg) {
    (void)what;
    (void)arg;
    worker_begin_turn();
    for (int i = 0; member && i < ACCEPTED_AT_ONCE; i++) {
        struct sockaddr_storage peer;
        socklen_t len = sizeof peer;
        int fd = accept4(listening, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (is_shortage(errno))
                rest_until_tick();
            else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
                LOG_WARNING("Accepting on the cluster bus: %s", strerror(errno));
            return;
        }
        accept_link(fd, &peer);
    }
}

/* ---- what there is to tell ---- */

static size_t memory_of(const struct wire *w) {
    return sizeof *w + evbuffer_get_length(bufferevent_get_output(w->events)) +
           evbuffer_get_length(bufferevent_get_input(w->events));
}

static void tell_facts(struct bus_facts *out) {
    *out = (struct bus_facts){ .links = bus.count, .over_limit = bus.over_limit };
    CHAIN_EACH(&bus.wires, struct wire, in_list, w) out->memory += memory_of(w);
}

static bool tell_link_facts(uint64_t link, struct bus_link_facts *out) {
    const struct wire *w = wire_find(link);
    if (!w) return false;
    size_t waiting = evbuffer_get_length(bufferevent_get_output(w->events));
    *out = (struct bus_link_facts){
        .made_ms = w->made_ms, .writes = waiting > 0, .room = waiting, .used = waiting
    };
    return true;
}

/* ---- life ---- */

static void on_tick(evutil_socket_t fd, short what, void *arg) {
    (void)fd;
    (void)what;
    (void)arg;
    worker_begin_turn();
    if (!member) return;
    end_rest();
    cluster_tick(member, clock_wall_ms());
    member_act();
}

static bool listen_on_all(struct buf *error) {
    static const struct listener_list none;
    struct listening_wish wish = { .words = options.bind.address,
                                   .count = options.bind.count,
                                   .port = member_bus_port(),
                                   .backlog = (int)options.tcp_backlog,
                                   .setting = "bind" };
    if (!listening_open(&none, &bus.listeners, &wish, error)) {
        listening_drop_new(&none, &bus.listeners);
        return false;
    }
    for (size_t i = 0; i < bus.listeners.count; i++) {
        struct listener *l = &bus.listeners.at[i];
        l->readable = event_new(worker_base(0), l->fd, EV_READ | EV_PERSIST, on_incoming, NULL);
        if (l->readable && event_add(l->readable, NULL) == 0) continue;
        buf_printf(error, "Error registering fd event for the cluster bus: %s", strerror(errno));
        return false;
    }
    return true;
}

bool bus_open(struct buf *error) {
    struct timeval every = { 0, CLUSTER_TICK_MS * 1000 };
    bus_hooks = (struct bus_hooks){ .open = open_link,
                                    .close = close_link,
                                    .send = send_packet,
                                    .facts = tell_facts,
                                    .link_facts = tell_link_facts };
    bus.tick = event_new(worker_base(0), -1, EV_PERSIST, on_tick, NULL);
    if (!bus.tick || event_add(bus.tick, &every) != 0) {
        buf_append(error, LIT("Error registering the timer of the cluster bus"));
        return false;
    }
    return listen_on_all(error);
}

void bus_close(void) {
    bus_hooks = (struct bus_hooks){ 0 };
    while (!chain_is_empty(&bus.wires)) wire_free(CHAIN_FIRST(&bus.wires, struct wire, in_list));
    for (size_t i = 0; i < bus.listeners.count; i++) {
        if (bus.listeners.at[i].readable) event_free(bus.listeners.at[i].readable);
        close(bus.listeners.at[i].fd);
    }
    bus.listeners.count = 0;
    if (bus.tick) event_free(bus.tick);
    bus.tick = NULL;
}
