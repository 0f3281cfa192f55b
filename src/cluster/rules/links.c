/* links.c: which links there are, and the greeting of nodes whose names are not known yet. A link's number
 * has its place in the table in its low bits, and above them a count that makes it new. */
#include "rules.h"
#include "trivet/base/grow.h"
#include "trivet/base/mem.h"

#define PLACE_BITS 20
#define PLACE_OF(id) ((size_t)((id) & ((1u << PLACE_BITS) - 1)))
#define DIALS_PER_HALF_TIMEOUT 10
/* Nodes say their names as soon as they are connected; these are more than can be doing so at once. */
#define NAMELESS_MOST 256
/* The greeting of a node that tells of two thousand others. */
#define NAMELESS_PACKET_MOST ((size_t)256 * 1024)

struct bus_link *bus_link_find(const struct cluster *c, uint64_t id) {
    size_t place = PLACE_OF(id);
    if (id == 0 || place >= c->link_count) return NULL;
    struct bus_link *l = c->links[place];
    return l && l->id == id ? l : NULL;
}

static size_t free_place(struct cluster *c) {
    for (size_t i = 0; i < c->link_count; i++)
        if (!c->links[i]) return i;
    GROW(c->links, c->link_count, &c->link_room, 16);
    assert(c->link_count < 1u << PLACE_BITS);
    return c->link_count++;
}

static struct bus_link *bus_link_new(struct cluster *c, bool outbound) {
    struct bus_link *l = mem_alloc_zero(sizeof *l);
    size_t place = free_place(c);
    l->id = ++c->link_serial << PLACE_BITS | place;
    l->outbound = outbound;
    l->made_ms = c->now_ms;
    c->links[place] = l;
    return l;
}

void bus_link_dial(struct cluster *c, struct cluster_node *n) {
    int64_t pause_ms = c->settings.node_timeout_ms / 2 / DIALS_PER_HALF_TIMEOUT;
    if (n->link || (n->flags & NODE_NOADDR)) return;
    if (n->dialled_ms && c->now_ms - n->dialled_ms < pause_ms) return;
    n->dialled_ms = c->now_ms;
    struct bus_link *l = bus_link_new(c, true);
    l->node = n;
    n->link = l->id;
    struct cluster_action *a = action_add(c, ACTION_OPEN);
    a->link = l->id;
    a->ip = n->ip;
    a->port = n->cport;
}

static void bus_link_forget(struct cluster *c, struct bus_link *l) {
    struct cluster_node *n = l->node;
    if (n && n->link == l->id) {
        n->link = 0;
        n->link_is_open = n->link_answered = false;
    }
    if (n && n->inbound == l->id) {
        n->inbound = 0;
        n->no_inbound_ms = c->now_ms;
    }
    c->links[PLACE_OF(l->id)] = NULL;
    mem_free(l);
}

void bus_link_close(struct cluster *c, struct bus_link *l) {
    action_add(c, ACTION_CLOSE)->link = l->id;
    bus_link_forget(c, l);
}

void bus_links_close(struct cluster *c, struct cluster_node *n) {
    for (size_t i = 0; i < c->link_count; i++)
        if (c->links[i] && c->links[i]->node == n) bus_link_close(c, c->links[i]);
}

void bus_link_heard(struct cluster *c, struct bus_link *l, struct cluster_node *sender) {
    sender->data_received_ms = c->now_ms;
    if (l->outbound) {
        if (l->node == sender) sender->link_answered = true;
        return;
    }
    if (l->node == sender && sender->inbound == l->id) return;
    if (l->node && l->node->inbound == l->id) l->node->inbound = 0;
    struct bus_link *before = bus_link_find(c, sender->inbound);
    l->node = sender;
    sender->inbound = l->id;
    if (before && before != l) bus_link_close(c, before);
}

void cluster_link_opened(struct cluster *c, uint64_t link, int64_t now_ms) {
    rules_begin(c, now_ms);
    struct bus_link *l = bus_link_find(c, link);
    if (l && l->outbound) {
        struct cluster_node *n = l->node;
        n->link_is_open = true;
        n->link_opened_ms = c->now_ms;
        send_ping(c, n, n->flags & NODE_MEET ? MESSAGE_MEET : MESSAGE_PING);
        n->flags &= ~NODE_MEET;
    }
    rules_finish(c);
}

void cluster_link_closed(struct cluster *c, uint64_t link, int64_t now_ms) {
    rules_begin(c, now_ms);
    struct bus_link *l = bus_link_find(c, link);
    if (l) {
        /* One that cannot be reached counts as one that does not answer. */
        if (l->outbound && l->node->ping_sent_ms == 0) l->node->ping_sent_ms = c->now_ms;
        bus_link_forget(c, l);
    }
    rules_finish(c);
}

/* ---- those who have not said who they are ---- */

static bool is_nameless(const struct bus_link *l) { return !l->outbound && !l->node; }

/* The oldest goes: it had the most time. */
static void make_room_for_nameless(struct cluster *c) {
    struct bus_link *oldest = NULL;
    size_t count = 0;
    for (size_t i = 0; i < c->link_count; i++) {
        struct bus_link *l = c->links[i];
        if (!l || !is_nameless(l)) continue;
        count++;
        if (!oldest || l->id < oldest->id) oldest = l;
    }
    if (count >= NAMELESS_MOST) bus_link_close(c, oldest);
}

void bus_links_close_nameless(struct cluster *c, int64_t older_than_ms) {
    for (size_t i = 0; i < c->link_count; i++) {
        struct bus_link *l = c->links[i];
        if (l && is_nameless(l) && c->now_ms - l->made_ms > older_than_ms) bus_link_close(c, l);
    }
}

size_t cluster_link_packet_most(const struct cluster *c, uint64_t link) {
    const struct bus_link *l = bus_link_find(c, link);
    bool is_known = l && l->node && !node_is_in_handshake(l->node);
    return is_known ? MESSAGE_SIZE_MAX : NAMELESS_PACKET_MOST;
}

uint64_t cluster_link_accepted(struct cluster *c, struct node_ip peer, struct node_ip local, int64_t now_ms) {
    rules_begin(c, now_ms);
    make_room_for_nameless(c);
    struct bus_link *l = bus_link_new(c, false);
    l->peer_ip = peer;
    l->local_ip = local;
    rules_finish(c);
    return l->id;
}

void rules_drop_node(struct cluster *c, struct cluster_node *n) {
    if (c->manual.replica == n) manual_reset(c);
    bus_links_close(c, n);
    cluster_node_remove(&c->state, n);
    rules_save_later(c, false);
    c->must_look = true;
}

static void random_name(struct cluster *c, struct node_id *out) {
    for (size_t i = 0; i < NODE_ID_LEN; i++)
        out->text[i] = "0123456789abcdef"[c->hooks.random(c->hooks.arg) % 16];
}

struct cluster_node *rules_greet(struct cluster *c, struct node_ip ip, uint16_t port, uint16_t cport,
                                 unsigned flags) {
    struct cluster_state *s = &c->state;
    for (size_t i = 0; i < s->node_count; i++) {
        struct cluster_node *n = s->nodes[i];
        if (node_is_in_handshake(n) && memcmp(&n->ip, &ip, sizeof ip) == 0 && n->cport == cport) return NULL;
    }
    struct node_id id;
    random_name(c, &id);
    struct cluster_node *n = cluster_node_add(s, &id, NODE_HANDSHAKE | flags, c->now_ms);
    n->ip = ip;
    n->port = port;
    n->cport = cport;
    bus_link_dial(c, n);
    return n;
}
