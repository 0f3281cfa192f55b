/* gossip.c: what nodes tell each other of others, and of themselves in extensions. */
#include "rules.h"

#define GOSSIP_LEAST 3
#define GOSSIP_PART 10    /* of all nodes, one in so many */
#define LOOKS_PER_ENTRY 3 /* at random, before fewer entries are put up with */
#define PONG_AHEAD_MS 500 /* so much may the clock of another node be ahead */
#define REMEMBERED_FLAGS (NODE_PRIMARY | NODE_REPLICA | NODE_NOFAILOVER)

/* ---- telling ---- */

static bool is_worth_telling(const struct cluster *c, const struct cluster_node *n,
                             const struct cluster_node *to) {
    if (n == c->state.self || n == to || (n->flags & (NODE_HANDSHAKE | NODE_NOADDR))) return false;
    return n->link_is_open || n->slot_count > 0;
}

/* As others' clocks show it. */
static uint32_t unix_s(const struct cluster *c, int64_t at_ms) {
    return at_ms > c->ahead_ms ? (uint32_t)((at_ms - c->ahead_ms) / 1000) : 0;
}

static void put_entry(struct cluster *c, size_t at, struct cluster_node *n) {
    struct gossip g = {
        .id = n->id,
        .ping_sent_s = unix_s(c, n->ping_sent_ms),
        .pong_received_s = unix_s(c, n->pong_received_ms),
        .ip = n->ip,
        .port = n->port,
        .cport = n->cport,
        .flags = (uint16_t)n->flags,
        .pport = n->pport,
    };
    message_put_gossip(&c->bytes, at, &g);
    n->gossip_mark = c->gossip_marks;
}

void gossip_put(struct cluster *c, size_t at, const struct cluster_node *to) {
    struct cluster_state *s = &c->state;
    c->gossip_marks++;
    size_t wanted = s->node_count / GOSSIP_PART;
    if (wanted < GOSSIP_LEAST) wanted = GOSSIP_LEAST;
    size_t others = s->node_count > 2 ? s->node_count - 2 : 0;
    if (wanted > others) wanted = others;
    for (size_t looks = wanted * LOOKS_PER_ENTRY; wanted > 0 && looks > 0; looks--) {
        struct cluster_node *n = s->nodes[c->hooks.random(c->hooks.arg) % s->node_count];
        if (n->gossip_mark == c->gossip_marks || node_is_suspected(n) || !is_worth_telling(c, n, to))
            continue;
        put_entry(c, at, n);
        wanted--;
    }
    /* A majority has to hear of suspicions while they are fresh. */
    for (size_t i = 0; i < s->node_count; i++) {
        struct cluster_node *n = s->nodes[i];
        if (node_is_suspected(n) && n != to && !(n->flags & (NODE_HANDSHAKE | NODE_NOADDR)))
            put_entry(c, at, n);
    }
}

static const struct {
    enum extension_type type;
    enum node_text text;
} text_extensions[] = {
    { EXTENSION_HOSTNAME, NODE_HOSTNAME },
    { EXTENSION_HUMAN_NAME, NODE_HUMAN_NAME },
    { EXTENSION_CLIENT_IPV4, NODE_CLIENT_IPV4 },
    { EXTENSION_CLIENT_IPV6, NODE_CLIENT_IPV6 },
    { EXTENSION_ZONE, NODE_ZONE },
};

/* A ban is told as long as it lasts, so that those who are cut off hear of it too. It is rounded down: told
 * from node to node it must not grow. */
static void put_bans(struct cluster *c, size_t at) {
    for (size_t i = 0; i < c->state.ban_count; i++) {
        const struct ban *ban = &c->state.bans[i];
        if (ban->until_ms - c->now_ms < 1000) continue;
        message_put_extension_forgotten(&c->bytes, at, &ban->id,
                                        (uint64_t)(ban->until_ms - c->now_ms) / 1000);
    }
}

void extensions_put(struct cluster *c, size_t at, const struct cluster_node *to) {
    const struct cluster_node *self = c->state.self;
    struct buf *out = &c->bytes;
    if (!(to->flags & NODE_EXTENSIONS)) {
        /* A node of 7.0 knows the host name alone, and does not say that it does. */
        if (self->texts[NODE_HOSTNAME])
            message_put_extension_text(out, at, EXTENSION_HOSTNAME, node_text(self, NODE_HOSTNAME));
        return;
    }
    for (size_t i = 0; i < COUNT_OF(text_extensions); i++)
        if (self->texts[text_extensions[i].text])
            message_put_extension_text(out, at, text_extensions[i].type,
                                       node_text(self, text_extensions[i].text));
    message_put_extension(out, at, EXTENSION_SHARD_ID, node_id_slice(&self->shard_id));
    if (self->client_port) message_put_extension_port(out, at, EXTENSION_CLIENT_PORT, self->client_port);
    if (self->client_tls_port)
        message_put_extension_port(out, at, EXTENSION_CLIENT_TLS_PORT, self->client_tls_port);
    put_bans(c, at);
}

/* ---- hearing of others ---- */

static void take_report(struct cluster *c, struct cluster_node *sender, struct cluster_node *n,
                        unsigned flags) {
    if (!node_votes(sender) || n == c->state.self) return;
    if (flags & (NODE_PFAIL | NODE_FAIL)) {
        if (cluster_report_add(n, sender, c->now_ms))
            action_log(c, "Node %.*s reports that node %.*s does not answer", NODE_ID_ARG(&sender->id),
                       NODE_ID_ARG(&n->id));
        rules_fail_if_majority(c, n);
    } else {
        (void)cluster_report_remove(n, sender);
    }
}

/* Somebody who was well for the sender a moment ago need not be asked again so soon. */
static void take_pong_time(struct cluster *c, struct cluster_node *n, const struct gossip *g) {
    if (n->ping_sent_ms || n->report_count > 0 || (n->flags & (NODE_PFAIL | NODE_FAIL))) return;
    int64_t pong_ms = (int64_t)g->pong_received_s * 1000 + c->ahead_ms;
    if (pong_ms <= c->now_ms + PONG_AHEAD_MS && pong_ms > n->pong_received_ms) n->pong_received_ms = pong_ms;
}

/* The sender talks with a node that does not answer here: it may have moved. */
static void take_new_address(struct cluster *c, struct cluster_node *n, const struct gossip *g) {
    if (!(n->flags & (NODE_PFAIL | NODE_FAIL)) || (g->flags & (NODE_NOADDR | NODE_PFAIL | NODE_FAIL))) return;
    if (memcmp(&n->ip, &g->ip, sizeof n->ip) == 0 && n->port == g->port && n->cport == g->cport) return;
    struct bus_link *l = bus_link_find(c, n->link);
    if (l) bus_link_close(c, l);
    n->ip = g->ip;
    n->port = g->port;
    n->pport = g->pport;
    n->cport = g->cport;
    n->flags &= ~NODE_NOADDR;
    n->dialled_ms = 0;
    rules_save_later(c, false);
}

static void take_unknown(struct cluster *c, const struct gossip *g) {
    struct node_id id;
    if ((g->flags & (NODE_NOADDR | NODE_HANDSHAKE)) || node_ip_slice(&g->ip).len == 0 || g->cport == 0)
        return;
    if (!node_id_parse(node_id_slice(&g->id), &id) || cluster_is_banned(&c->state, &id, c->now_ms)) return;
    unsigned flags = g->flags & REMEMBERED_FLAGS;
    if ((flags & NODE_PRIMARY) && (flags & NODE_REPLICA)) return;
    struct cluster_node *n = cluster_node_add(&c->state, &id, flags, c->now_ms);
    n->ip = g->ip;
    n->port = g->port;
    n->pport = g->pport;
    n->cport = g->cport;
    rules_save_later(c, false);
}

void gossip_take(struct cluster *c, struct cluster_node *sender, const struct message *m) {
    for (unsigned i = 0; i < m->gossip_count; i++) {
        struct gossip g = gossip_at(m, i);
        struct cluster_node *n = cluster_node_find(&c->state, &g.id);
        if (!n) {
            if (!(sender->flags & NODE_NOADDR)) take_unknown(c, &g);
            continue;
        }
        if (n == c->state.self) continue;
        take_report(c, sender, n, g.flags);
        if (!(g.flags & (NODE_PFAIL | NODE_FAIL))) take_pong_time(c, n, &g);
        take_new_address(c, n, &g);
    }
}

/* ---- hearing of the sender ---- */

static void take_forgotten(struct cluster *c, struct cluster_node *sender, const struct extension *e) {
    struct node_id id;
    uint64_t left_s;
    if (!extension_forgotten(e, &id, &left_s)) return;
    struct cluster_node *n = cluster_node_find(&c->state, &id);
    if (!n || n == c->state.self || n == c->state.self->primary || n == sender) return;
    int64_t left_ms = left_s < (uint64_t)INT32_MAX ? (int64_t)left_s * 1000 : (int64_t)INT32_MAX * 1000;
    cluster_ban_add(&c->state, &id, c->now_ms + left_ms);
    action_log(c, "Forgetting node %.*s as %.*s does", NODE_ID_ARG(&id), NODE_ID_ARG(&sender->id));
    rules_drop_node(c, n);
}

struct described {
    struct slice texts[NODE_TEXT_COUNT];
    uint16_t client_port, client_tls_port;
    struct node_id shard_id;
    bool has_shard;
};

static uint16_t port_of(const struct extension *e) {
    const uint8_t *p = (const uint8_t *)e->data.ptr;
    if (e->data.len < 2) return 0;
    return (uint16_t)(p[0] << 8 | p[1]);
}

static void describe(struct described *d, const struct extension *e) {
    for (size_t i = 0; i < COUNT_OF(text_extensions); i++)
        if (e->type == text_extensions[i].type) d->texts[text_extensions[i].text] = extension_text(e);
    if (e->type == EXTENSION_CLIENT_PORT) d->client_port = port_of(e);
    if (e->type == EXTENSION_CLIENT_TLS_PORT) d->client_tls_port = port_of(e);
    if (e->type == EXTENSION_SHARD_ID) d->has_shard = node_id_parse(e->data, &d->shard_id);
}

/* Texts end up in files and replies of one line. */
static bool is_plain(struct slice text) {
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] <= ' ' || strchr(",=\"'\x7f", text.ptr[i])) return false;
    return true;
}

static void apply(struct cluster *c, struct cluster_node *n, const struct described *d) {
    bool changed = false;
    for (unsigned i = 0; i < NODE_TEXT_COUNT; i++)
        if (is_plain(d->texts[i])) changed |= node_set_text(n, (enum node_text)i, d->texts[i]);
    changed |= n->client_port != d->client_port || n->client_tls_port != d->client_tls_port;
    n->client_port = d->client_port;
    n->client_tls_port = d->client_tls_port;
    /* A replica is in the shard of its primary, also while it does not know that itself. */
    const struct node_id *shard = n->primary ? &n->primary->shard_id : d->has_shard ? &d->shard_id : NULL;
    if (shard) changed |= cluster_node_set_shard(n, shard);
    if (changed) rules_save_later(c, false);
}

void extensions_take(struct cluster *c, struct cluster_node *sender, const struct message *m) {
    struct described d = { 0 };
    struct extension e;
    /* One that knows extensions and sends none does not know yet that this node does. */
    if (m->extension_count == 0 && (m->header.message_flags[0] & MESSAGE_EXTENSIONS)) return;
    for (size_t at = 0; extension_next(m, &at, &e);)
        e.type == EXTENSION_FORGOTTEN ? take_forgotten(c, sender, &e) : describe(&d, &e);
    apply(c, sender, &d);
}
