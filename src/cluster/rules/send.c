/* send.c: what this node says. A packet is written once into the bytes of the actions; a broadcast sends the
 * same bytes on many links. */
#include "rules.h"

static struct message_header header_of(const struct cluster *c, enum message_type type) {
    const struct cluster_node *self = c->state.self;
    const struct cluster_node *owner = node_is_replica(self) && self->primary ? self->primary : self;
    struct message_header h = {
        .type = type,
        .port = self->port,
        .pport = self->pport,
        .cport = self->cport,
        .flags = (uint16_t)self->flags,
        .state = !c->is_sound,
        .message_flags = { MESSAGE_EXTENSIONS },
        .current_epoch = c->state.current_epoch,
        .config_epoch = owner->config_epoch,
        .offset = c->hooks.offset(c->hooks.arg),
        .sender = self->id,
        .ip = c->settings.announce_ip,
        .slots = &owner->slots,
    };
    if (node_is_replica(self) && self->primary) h.primary = self->primary->id;
    if (node_is_primary(self) && c->manual.held) h.message_flags[0] |= MESSAGE_PAUSED;
    return h;
}

static size_t open_packet(struct cluster *c, enum message_type type) {
    struct message_header h = header_of(c, type);
    return message_begin(&c->bytes, &h);
}

static void send_to(struct cluster *c, struct cluster_node *to, size_t at, enum message_type type) {
    assert(to->link_is_open);
    c->sent[type]++;
    action_send(c, to, at);
}

static bool hears_broadcasts(const struct cluster *c, const struct cluster_node *n) {
    return n != c->state.self && n->link_is_open && !node_is_in_handshake(n);
}

static void send_to_all(struct cluster *c, size_t at, enum message_type type) {
    for (size_t i = 0; i < c->state.node_count; i++)
        if (hears_broadcasts(c, c->state.nodes[i])) send_to(c, c->state.nodes[i], at, type);
}

/* ---- PING, PONG, MEET ---- */

/* A MEET is for somebody who is not known: it has no extensions, and says only that there could be some. */
static size_t write_ping(struct cluster *c, const struct cluster_node *to, enum message_type type) {
    size_t at = open_packet(c, type);
    gossip_put(c, at, to);
    if (to && type != MESSAGE_MEET) extensions_put(c, at, to);
    return at;
}

void send_ping(struct cluster *c, struct cluster_node *to, enum message_type type) {
    /* A node that has not answered an older one, perhaps on another link, is not forgiven by a new one. */
    if (type != MESSAGE_PONG && to->ping_sent_ms == 0) to->ping_sent_ms = c->now_ms;
    size_t at = write_ping(c, to, type);
    message_end(&c->bytes, at);
    send_to(c, to, at, type);
}

void send_pong_on(struct cluster *c, const struct bus_link *l, const struct cluster_node *sender) {
    size_t at = write_ping(c, sender, MESSAGE_PONG);
    message_end(&c->bytes, at);
    c->sent[MESSAGE_PONG]++;
    struct cluster_node answer = { .link = l->id };
    action_send(c, &answer, at);
}

void send_pong_to_all(struct cluster *c) {
    for (size_t i = 0; i < c->state.node_count; i++)
        if (hears_broadcasts(c, c->state.nodes[i])) send_ping(c, c->state.nodes[i], MESSAGE_PONG);
}

void send_pong_to_siblings(struct cluster *c) {
    const struct cluster_node *primary = c->state.self->primary;
    for (size_t i = 0; primary && i < primary->replica_count; i++)
        if (hears_broadcasts(c, primary->replicas[i])) send_ping(c, primary->replicas[i], MESSAGE_PONG);
}

/* ---- the others ---- */

void send_failed_to_all(struct cluster *c, const struct cluster_node *failed) {
    size_t at = open_packet(c, MESSAGE_FAIL);
    message_put_failed(&c->bytes, &failed->id);
    message_end(&c->bytes, at);
    send_to_all(c, at, MESSAGE_FAIL);
}

void send_auth_request(struct cluster *c, bool force) {
    struct message_header h = header_of(c, MESSAGE_AUTH_REQUEST);
    if (force) h.message_flags[0] |= MESSAGE_FORCE_ACK;
    size_t at = message_begin(&c->bytes, &h);
    message_end(&c->bytes, at);
    send_to_all(c, at, MESSAGE_AUTH_REQUEST);
}

void send_plain(struct cluster *c, struct cluster_node *to, enum message_type type) {
    if (!to->link_is_open) return;
    size_t at = open_packet(c, type);
    message_end(&c->bytes, at);
    send_to(c, to, at, type);
}

void send_update(struct cluster *c, struct cluster_node *to, const struct cluster_node *owner) {
    if (!to->link_is_open) return;
    size_t at = open_packet(c, MESSAGE_UPDATE);
    message_put_update(&c->bytes, owner->config_epoch, &owner->id, &owner->slots);
    message_end(&c->bytes, at);
    send_to(c, to, at, MESSAGE_UPDATE);
}

/* ---- PUBLISH ---- */

static size_t write_publish(struct cluster *c, enum message_type type, bool light, struct slice channel,
                            struct slice payload) {
    size_t at = light ? message_begin_light(&c->bytes, type) : open_packet(c, type);
    message_put_publish(&c->bytes, channel, payload);
    message_end(&c->bytes, at);
    return at;
}

static bool is_of_my_shard(const struct cluster *c, const struct cluster_node *n) {
    const struct cluster_node *self = c->state.self;
    const struct cluster_node *mine = node_is_replica(self) ? self->primary : self;
    return cluster_same_shard(n, self) || (mine && (n == mine || n->primary == mine));
}

void cluster_publish(struct cluster *c, bool sharded, struct slice channel, struct slice payload,
                     int64_t now_ms) {
    rules_begin(c, now_ms);
    enum message_type type = sharded ? MESSAGE_PUBLISHSHARD : MESSAGE_PUBLISH;
    size_t written[2] = { SIZE_MAX,
                          SIZE_MAX }; /* the full packet and the light one, each made when it is wanted */
    size_t ends[2] = { 0 };
    for (size_t i = 0; i < c->state.node_count; i++) {
        struct cluster_node *n = c->state.nodes[i];
        if (!hears_broadcasts(c, n) || (sharded && !is_of_my_shard(c, n))) continue;
        bool light = n->link_answered && (n->flags & NODE_LIGHT_PUBLISH);
        if (written[light] == SIZE_MAX) {
            written[light] = write_publish(c, type, light, channel, payload);
            ends[light] = c->bytes.len;
        }
        send_to(c, n, written[light], type);
        c->actions[c->action_count - 1].bytes.len = ends[light] - written[light];
    }
    rules_finish(c);
}
