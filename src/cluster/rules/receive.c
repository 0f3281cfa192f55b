/* receive.c: what comes in. A message of somebody unknown is answered if it is a greeting, and believed in
 * nothing else. */
#include "rules.h"

#define SAY_AGAIN_MS 1000

/* ---- addresses ---- */

static struct node_ip ip_of(const struct bus_link *l, const struct message_header *h) {
    return node_ip_slice(&h->ip).len > 0 ? h->ip : l->peer_ip;
}

static void move(struct cluster *c, struct cluster_node *n, struct node_ip ip,
                 const struct message_header *h) {
    n->ip = ip;
    n->port = h->port;
    n->cport = h->cport;
    n->flags &= ~NODE_NOADDR;
    n->dialled_ms = 0;
    struct bus_link *out = bus_link_find(c, n->link);
    if (out) bus_link_close(c, out);
}

/* Its header came from that address. A link to another one is given up. */
static void take_address(struct cluster *c, struct cluster_node *sender, struct node_ip ip,
                         const struct message_header *h) {
    if (node_ip_slice(&ip).len == 0) return;
    bool same =
        memcmp(&sender->ip, &ip, sizeof ip) == 0 && sender->port == h->port && sender->cport == h->cport;
    if (same && sender->pport == h->pport) return;
    sender->pport = h->pport;
    if (!same) move(c, sender, ip, h);
    if (sender == c->state.self->primary) {
        struct cluster_action *a = action_add(c, ACTION_FOLLOW);
        a->node = sender->id;
        a->ip = sender->ip;
        a->port = sender->port;
    }
    rules_save_later(c, false);
}

/* A MEET was sent to an address of ours. What another packet of a node that is known came to may be one of
 * several, and is better than none. */
static void learn_own_ip(struct cluster *c, const struct bus_link *l, bool met, bool known) {
    struct cluster_node *self = c->state.self;
    if (l->outbound || (!met && (!known || node_ip_slice(&self->ip).len > 0))) return;
    if (node_ip_slice(&c->settings.announce_ip).len > 0 || node_ip_slice(&l->local_ip).len == 0) return;
    if (memcmp(&self->ip, &l->local_ip, sizeof self->ip) == 0) return;
    self->ip = l->local_ip;
    rules_save_later(c, false);
}

/* ---- greetings ---- */

static void hear(struct cluster *c, struct bus_link *l, struct cluster_node *sender,
                 const struct message_header *h) {
    if (h->current_epoch > c->state.current_epoch) {
        c->state.current_epoch = h->current_epoch;
        rules_save_later(c, true);
    }
    sender->offset = h->offset;
    bus_link_heard(c, l, sender);
}

/* The first word of a node that was dialled without knowing its name. False if the link is gone. */
static bool end_handshake(struct cluster *c, struct bus_link *l, struct cluster_node *known,
                          const struct message_header *h) {
    struct cluster_node *n = l->node;
    struct node_id id;
    bool is_name = node_id_parse(node_id_slice(&h->sender), &id);
    /* Also a provisional name is taken. */
    if (known || !is_name || cluster_node_find(&c->state, &id)) {
        /* It is here already, perhaps under another address, or it is this node itself. */
        if (known && known != c->state.self) {
            take_address(c, known, node_ip_slice(&h->ip).len > 0 ? h->ip : n->ip, h);
            if (!known->link) known->dialled_ms = 0;
        }
        rules_drop_node(c, n);
        return false;
    }
    cluster_node_rename(&c->state, n, &id);
    n->flags &= ~(NODE_HANDSHAKE | NODE_MEET);
    n->flags |= node_id_is_none(&h->primary) ? NODE_PRIMARY : NODE_REPLICA;
    n->shard_id = id;
    n->no_inbound_ms = c->now_ms;
    n->cport = h->cport;
    n->port = h->port;
    n->pport = h->pport;
    action_log(c, "Node %.*s has joined", NODE_ID_ARG(&id));
    rules_save_later(c, false);
    c->must_look = true;
    return true;
}

/* Somebody else lives at that address now. */
static void lose_address(struct cluster *c, struct bus_link *l) {
    struct cluster_node *n = l->node;
    action_log(c, "Node %.*s is not at its address any more", NODE_ID_ARG(&n->id));
    n->flags |= NODE_NOADDR;
    if (!node_is_failed(n)) rules_mark_failed(c, n);
    n->ip = (struct node_ip){ { 0 } };
    n->port = n->pport = n->cport = 0;
    bus_link_close(c, l);
    rules_save_later(c, false);
}

/* On a link that this node dialled. False if the link is gone. */
static bool take_on_own_link(struct cluster *c, struct bus_link *l, struct cluster_node **sender,
                             const struct message *m) {
    struct cluster_node *n = l->node;
    if (node_is_in_handshake(n)) {
        if (!end_handshake(c, l, *sender, &m->header)) return false;
        *sender = n;
        hear(c, l, n, &m->header);
    } else if (n != *sender) {
        lose_address(c, l);
        return false;
    }
    if (m->header.type != MESSAGE_PONG) return true;
    n->pong_received_ms = c->now_ms;
    n->ping_sent_ms = 0;
    rules_clear_failure(c, n);
    return true;
}

static void take_flags(struct cluster_node *sender, const struct message_header *h) {
    const unsigned told = NODE_NOFAILOVER | NODE_LIGHT_PUBLISH | NODE_LIGHT_MODULE | NODE_MY_PRIMARY_FAILS;
    sender->flags = (sender->flags & ~told) | (h->flags & told);
    if (h->message_flags[0] & MESSAGE_EXTENSIONS) sender->flags |= NODE_EXTENSIONS;
}

static void greet_back(struct cluster *c, struct bus_link *l, struct cluster_node *sender,
                       const struct message *m) {
    learn_own_ip(c, l, m->header.type == MESSAGE_MEET, sender != NULL);
    if (m->header.type == MESSAGE_MEET) {
        struct node_ip ip = ip_of(l, &m->header);
        /* A node that was forgotten greets again by itself, as nobody dials it any more. */
        bool banned = cluster_is_banned(&c->state, &m->header.sender, c->now_ms);
        if (!sender && !banned && node_ip_slice(&ip).len > 0 && m->header.cport)
            rules_greet(c, ip, m->header.port, m->header.cport, 0);
    }
    /* The extensions of somebody unknown say what it understands. */
    struct cluster_node stranger = { .flags =
                                         m->header.message_flags[0] & MESSAGE_EXTENSIONS &&
                                                 (m->header.flags & (NODE_LIGHT_PUBLISH | NODE_EXTENSIONS))
                                             ? NODE_EXTENSIONS
                                             : 0 };
    send_pong_on(c, l, sender ? sender : &stranger);
}

static void take_ping(struct cluster *c, struct bus_link *l, struct cluster_node *sender,
                      const struct message *m) {
    if (sender == c->state.self) sender = NULL;
    uint64_t link = l->id;
    if (m->header.type != MESSAGE_PONG) greet_back(c, l, sender, m);
    if (l->outbound && !take_on_own_link(c, l, &sender, m)) return;
    if (!sender) return;
    take_flags(sender, &m->header);
    if (m->header.type == MESSAGE_PING && bus_link_find(c, link) && !l->outbound)
        take_address(c, sender, ip_of(l, &m->header), &m->header);
    rules_take_claims(c, sender, m);
    gossip_take(c, sender, m);
    extensions_take(c, sender, m);
}

/* ---- the rest ---- */

static void take_failed(struct cluster *c, const struct cluster_node *sender, const struct message *m) {
    struct cluster_node *n = cluster_node_find(&c->state, &m->about);
    if (!n || n == c->state.self || node_is_failed(n) || node_is_in_handshake(n)) return;
    action_log(c, "Node %.*s says that %.*s has failed", NODE_ID_ARG(&sender->id), NODE_ID_ARG(&n->id));
    rules_mark_failed(c, n);
}

static void take_message(struct cluster *c, struct cluster_node *sender, const struct message *m) {
    switch (m->header.type) {
    case MESSAGE_FAIL: take_failed(c, sender, m); break;
    case MESSAGE_PUBLISH:
    case MESSAGE_PUBLISHSHARD:
        c->hooks.published(c->hooks.arg, m->header.type == MESSAGE_PUBLISHSHARD, m->channel, m->payload);
        break;
    case MESSAGE_AUTH_REQUEST: rules_vote(c, sender, m); break;
    case MESSAGE_AUTH_ACK: rules_count_vote(c, sender, m); break;
    case MESSAGE_UPDATE: rules_take_update(c, m); break;
    case MESSAGE_MFSTART: manual_begin_at_primary(c, sender); break;
    case MESSAGE_MODULE: break; /* there are none here */
    case MESSAGE_PING:
    case MESSAGE_PONG:
    case MESSAGE_MEET:
    case MESSAGE_TYPE_COUNT: assert(!"taken elsewhere");
    }
}

/* A message with a light header says nothing of its sender, so the link must be known. */
static void take_light(struct cluster *c, struct bus_link *l, const struct message *m) {
    if (!l->node || node_is_in_handshake(l->node)) {
        bus_link_close(c, l);
        return;
    }
    l->node->data_received_ms = c->now_ms;
    take_message(c, l->node, m);
}

static struct cluster_node *sender_of(const struct cluster *c, const struct message *m) {
    struct cluster_node *n = cluster_node_find(&c->state, &m->header.sender);
    return n && node_is_in_handshake(n) ? NULL : n;
}

static void take_full(struct cluster *c, struct bus_link *l, const struct message *m) {
    struct cluster_node *sender = sender_of(c, m);
    bool is_ping = m->header.type <= MESSAGE_MEET;
    if (sender && sender != c->state.self) {
        hear(c, l, sender, &m->header);
        manual_take_offset(c, sender, m);
    }
    if (is_ping)
        take_ping(c, l, sender, m);
    else if (sender && sender != c->state.self)
        take_message(c, sender, m);
}

/* Whoever reaches the port may send as much as he likes; the log must not be filled by that. */
static void refuse(struct cluster *c, const struct bus_link *l, const char *why) {
    c->refused++;
    if (c->refused_said_ms && c->now_ms - c->refused_said_ms < SAY_AGAIN_MS) return;
    struct node_ip from = l->node ? l->node->ip : l->peer_ip;
    action_log(c, "A packet of the bus from %.*s was dropped: %s (%llu were so far)",
               SLICE_ARG(node_ip_slice(&from)), why, (unsigned long long)c->refused);
    c->refused_said_ms = c->now_ms;
}

void cluster_receive(struct cluster *c, uint64_t link, struct slice packet, int64_t now_ms) {
    rules_begin(c, now_ms);
    struct bus_link *l = bus_link_find(c, link);
    struct message m;
    if (!l) return;
    const char *why = message_decode(packet, &m);
    if (why) {
        refuse(c, l, why);
    } else {
        c->received[m.header.type]++;
        m.light ? take_light(c, l, &m) : take_full(c, l, &m);
    }
    rules_finish(c);
}
