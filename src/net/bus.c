/* bus.c: see bus.h. A link is a wire, found by the number that the rules have for it. One that comes in gets
 * its number when it is open: under TLS nobody is a link who has not shown a certificate.
 *
 * A packet may make the rules close any link, also the one it came on. So nobody keeps a pointer over a call
 * of the rules: the link is looked up again. */
#include "trivet/net/bus.h"
#include "trivet/base/clock.h"
#include "trivet/base/log.h"
#include "trivet/engine/cluster/member.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/net/worker.h"
#include "trivet/transport/listening.h"
#include "wire.h"
#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define ACCEPTED_AT_ONCE 16
/* On a link that came in only answers go out. Who lets so many of them lie does not read. */
#define ANSWERS_MOST ((size_t)1024 * 1024)
#define WARN_EVERY_MS 1000
#define TICKS_PER_REST 10

static struct {
    struct chain links;     /* wires that the rules know */
    struct map by_link;     /* the same */
    struct chain strangers; /* wires that came in and are not open yet */
    size_t count, stranger_count;
    struct listener_list listeners;
    struct event *tick;
    bool rests; /* nothing is accepted until the next tick */
    uint64_t ticks, over_limit;
    /* Failures of TLS, of links that come in and that go out. */
    struct {
        int64_t told_ms;
        uint64_t untold; /* since then */
    } failures[2];
} bus;

/* ---- links ---- */

static struct wire *link_find(uint64_t link) {
    MAP_EACH_OF(&bus.by_link, link, struct wire, by_link, w)
    if (w->link == link) return w;
    return NULL;
}

static void add_link(struct wire *w, uint64_t link) {
    w->link = link;
    chain_insert_first(&bus.links, &w->in_list);
    map_insert(&bus.by_link, &w->by_link, link);
    bus.count++;
}

static void drop(struct wire *w) {
    if (w->link) {
        chain_remove(&bus.links, &w->in_list);
        map_remove(&bus.by_link, &w->by_link);
        bus.count--;
    } else {
        chain_remove(&bus.strangers, &w->in_list);
        bus.stranger_count--;
    }
    wire_free(w);
}

/* Redials, and strangers, come several times a second: the log gets some of them. */
static void warn(bool outbound, const char *peer, const char *why) {
    const char *way = outbound ? "to" : "from";
    int64_t now_ms = clock_wall_ms(), *told_ms = &bus.failures[outbound].told_ms;
    uint64_t *untold = &bus.failures[outbound].untold;
    if (now_ms >= *told_ms && now_ms - *told_ms < WARN_EVERY_MS) {
        ++*untold;
        return;
    }
    if (*untold > 0)
        LOG_WARNING("TLS on the cluster bus: %" PRIu64 " more links %s nodes failed", *untold, way);
    LOG_WARNING("TLS on the cluster bus %s %s failed: %s", way, peer, why);
    *told_ms = now_ms;
    *untold = 0;
}

static void log_loss(const struct wire *w, const char *why) {
    if (w->stage == WIRE_CONNECTS)
        LOG_DEBUG("Can't connect to the cluster bus of %s: %s", w->peer, why);
    else if (!w->tls_failed)
        LOG_VERBOSE("%s %s on the cluster bus was lost: %s", w->outbound ? "The link to" : "A link from",
                    w->peer, why);
    else
        warn(w->outbound, w->peer, why);
}

static void on_lost(struct wire *w, const char *why) {
    uint64_t link = w->link;
    log_loss(w, why);
    drop(w);
    if (!link || !member) return;
    cluster_link_closed(member, link, clock_wall_ms());
    member_act();
}

/* ---- packets ---- */

/* The first packet of the input; empty if it is not all there yet. False: this is no bus, or a packet that is
 * too long for this link. */
static bool next_packet(uint64_t link, struct slice input, struct slice *packet) {
    size_t length = 0;
    enum frame frame = message_frame(input, &length);
    if (length > cluster_link_packet_most(member, link)) return false;
    *packet = frame == FRAME_READY ? slice_make(input.ptr, length) : (struct slice){ 0 };
    return frame != FRAME_BROKEN;
}

static void on_came(struct wire *w) {
    uint64_t link = w->link;
    struct slice packet;
    while (member && (w = link_find(link)) != NULL) {
        if (!next_packet(link, wire_input(w), &packet)) {
            on_lost(w, "what it sends are no packets of a cluster's bus");
            return;
        }
        if (packet.len == 0) return;
        cluster_receive(member, link, packet, clock_wall_ms());
        member_act();
        if ((w = link_find(link)) != NULL) wire_take(w, packet.len);
    }
}

/* ---- what the rules want ---- */

/* A failure at once is told like a later one, so that the rules see one way only. */
static void open_link(uint64_t link, struct slice ip, uint16_t port) {
    struct wire *w = wire_dial(ip, port, options.tls_cluster);
    if (w) {
        add_link(w, link);
        return;
    }
    LOG_DEBUG("Can't connect to the cluster bus of %.*s:%u: %s", SLICE_ARG(ip), port, strerror(errno));
    cluster_link_closed(member, link, clock_wall_ms());
    member_act();
}

static void close_link(uint64_t link) {
    struct wire *w = link_find(link);
    if (w) drop(w);
}

static void send_packet(uint64_t link, struct slice packet) {
    struct wire *w = link_find(link);
    if (w && !w->outbound && wire_waiting(w) + packet.len > ANSWERS_MOST)
        on_lost(w, "it does not take its answers");
    else if (w)
        wire_send(w, packet);
}

/* The first link on which more waits than cluster-link-sendbuf-limit; NULL: none. */
static struct wire *find_over_limit(void) {
    uint64_t most = options.cluster_link_sendbuf_limit;
    if (most == 0) return NULL; /* without a look at hundreds of links in each tick */
    CHAIN_EACH(&bus.links, struct wire, in_list, w)
    if (wire_waiting(w) > most) return w;
    return NULL;
}

static void close_over_limit(void) {
    for (struct wire *w; (w = find_over_limit()) != NULL;) {
        LOG_WARNING("Freeing %s %s: %zu bytes wait there, more than cluster-link-sendbuf-limit",
                    w->outbound ? "outbound cluster link to" : "inbound cluster link from", w->peer,
                    wire_waiting(w));
        bus.over_limit++;
        on_lost(w, "cluster-link-sendbuf-limit");
    }
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

/* A stranger becomes a link. */
static void welcome(struct wire *w) {
    struct sockaddr_storage peer = { 0 }, local = { 0 };
    socklen_t peer_len = sizeof peer, local_len = sizeof local;
    if (getpeername(w->socket.fd, (struct sockaddr *)&peer, &peer_len) != 0 ||
        getsockname(w->socket.fd, (struct sockaddr *)&local, &local_len) != 0) {
        on_lost(w, strerror(errno));
        return;
    }
    chain_remove(&bus.strangers, &w->in_list);
    bus.stranger_count--;
    add_link(w, cluster_link_accepted(member, ip_of(&peer), ip_of(&local), clock_wall_ms()));
    member_act();
}

static void on_opened(struct wire *w) {
    if (!member) return;
    if (!w->link) {
        welcome(w);
        return;
    }
    cluster_link_opened(member, w->link, clock_wall_ms());
    member_act();
}

/* The oldest; the newest stand first. */
static struct wire *oldest_stranger(void) {
    struct wire *oldest = NULL;
    CHAIN_EACH(&bus.strangers, struct wire, in_list, w) oldest = w;
    return oldest;
}

/* Whoever does not end a handshake must not keep others out, nor its descriptor. */
static void send_strangers_away(void) {
    for (struct wire *w; (w = oldest_stranger()) != NULL;) {
        if (clock_wall_ms() - w->made_ms < options.tls_handshake_timeout_ms) return;
        w->tls_failed = true;
        on_lost(w, "the handshake took too long");
    }
}

static void accept_link(int fd) {
    if (bus.stranger_count >= (size_t)options.tls_max_handshakes)
        on_lost(oldest_stranger(), "too many handshakes are under way");
    struct wire *w = wire_accept_take(fd, options.tls_cluster);
    if (!w) return;
    chain_insert_first(&bus.strangers, &w->in_list);
    bus.stranger_count++;
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
        int fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (is_shortage(errno))
                rest_until_tick();
            else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
                LOG_WARNING("Accepting on the cluster bus: %s", strerror(errno));
            return;
        }
        accept_link(fd);
    }
}

/* ---- what there is to tell ---- */

static void tell_facts(struct bus_facts *out) {
    *out = (struct bus_facts){ .links = bus.count, .over_limit = bus.over_limit };
    CHAIN_EACH(&bus.links, struct wire, in_list, w) out->memory += wire_memory(w);
}

static bool tell_link_facts(uint64_t link, struct bus_link_facts *out) {
    const struct wire *w = link_find(link);
    if (!w) return false;
    *out = (struct bus_link_facts){
        .made_ms = w->made_ms, .writes = wire_waiting(w) > 0, .room = w->out.room, .used = wire_waiting(w)
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
    close_over_limit();
    send_strangers_away();
    if (bus.ticks++ % TICKS_PER_REST == 0) CHAIN_EACH(&bus.links, struct wire, in_list, w) wire_rest(w);
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
    static const struct wire_events events = { .opened = on_opened, .came = on_came, .lost = on_lost };
    wire_set_events(&events);
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
    while (!chain_is_empty(&bus.links)) drop(CHAIN_FIRST(&bus.links, struct wire, in_list));
    while (!chain_is_empty(&bus.strangers)) drop(CHAIN_FIRST(&bus.strangers, struct wire, in_list));
    map_release(&bus.by_link);
    for (size_t i = 0; i < bus.listeners.count; i++) {
        if (bus.listeners.at[i].readable) event_free(bus.listeners.at[i].readable);
        close(bus.listeners.at[i].fd);
    }
    bus.listeners.count = 0;
    if (bus.tick) event_free(bus.tick);
    bus.tick = NULL;
}
