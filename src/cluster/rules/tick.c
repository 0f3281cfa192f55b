/* tick.c: what has to be done when nothing comes in: dialling, asking, suspecting. */
#include "rules.h"

#define TICKS_A_SECOND (1000 / CLUSTER_TICK_MS)
#define PING_CHOICES 5
#define HANDSHAKE_LEAST_MS 1000
/* Who greets is dialled back within one handshake, and known by his next PING. */
#define NAMELESS_HANDSHAKES 2

static int64_t handshake_ms(const struct cluster *c) {
    int64_t ms = c->settings.node_timeout_ms;
    return ms < HANDSHAKE_LEAST_MS ? HANDSHAKE_LEAST_MS : ms;
}

static int64_t ping_interval_ms(const struct cluster *c) {
    return c->settings.ping_interval_ms ? c->settings.ping_interval_ms : c->settings.node_timeout_ms / 2;
}

static void drop_old_handshakes(struct cluster *c) {
    for (size_t i = 0; i < c->state.node_count;) {
        struct cluster_node *n = c->state.nodes[i];
        if (node_is_in_handshake(n) && c->now_ms - n->made_ms > handshake_ms(c))
            rules_drop_node(c, n);
        else
            i++;
    }
}

static void dial_all(struct cluster *c) {
    for (size_t i = 0; i < c->state.node_count; i++)
        if (c->state.nodes[i] != c->state.self) bus_link_dial(c, c->state.nodes[i]);
}

/* Of a few at random, the one that was silent for longest. */
static void ping_one(struct cluster *c) {
    struct cluster_node *oldest = NULL;
    for (int i = 0; i < PING_CHOICES; i++) {
        struct cluster_node *n = c->state.nodes[c->hooks.random(c->hooks.arg) % c->state.node_count];
        if (n == c->state.self || !n->link_is_open || n->ping_sent_ms || node_is_in_handshake(n)) continue;
        if (!oldest || n->pong_received_ms < oldest->pong_received_ms) oldest = n;
    }
    if (oldest) send_ping(c, oldest, MESSAGE_PING);
}

/* A link may hang where a new one would not. What comes on the other link shows that the node lives, so this
 * one gets more time then, but not for ever: without an answer a suspicion would stay. */
static bool link_hangs(const struct cluster *c, const struct cluster_node *n) {
    int64_t timeout_ms = c->settings.node_timeout_ms;
    if (!n->link || !n->ping_sent_ms) return false;
    int64_t ping_ms = c->now_ms - n->ping_sent_ms, data_ms = c->now_ms - n->data_received_ms;
    return c->now_ms - n->dialled_ms > timeout_ms && ping_ms > timeout_ms / 2 &&
           (data_ms > timeout_ms / 2 || ping_ms > timeout_ms);
}

/* It does not dial this node, perhaps because it has forgotten it: greet it again. */
static bool wants_meet(const struct cluster *c, const struct cluster_node *n) {
    return n->link_is_open && !n->inbound && (n->flags & NODE_LIGHT_MODULE) && n->ping_sent_ms == 0 &&
           !(n->flags & (NODE_PFAIL | NODE_FAIL)) && c->now_ms - n->no_inbound_ms > handshake_ms(c);
}

static void suspect_if_silent(struct cluster *c, struct cluster_node *n) {
    if (n->ping_sent_ms == 0 || (n->flags & (NODE_PFAIL | NODE_FAIL))) return;
    int64_t ping_ms = c->now_ms - n->ping_sent_ms, data_ms = c->now_ms - n->data_received_ms;
    if ((ping_ms < data_ms ? ping_ms : data_ms) <= c->settings.node_timeout_ms) return;
    n->flags |= NODE_PFAIL;
    c->must_look = true;
    rules_save_later(c, false);
    /* Alone among the primaries with slots, this one is the majority. */
    rules_fail_if_majority(c, n);
}

static void look_after(struct cluster *c, struct cluster_node *n) {
    if (n == c->state.self || (n->flags & (NODE_HANDSHAKE | NODE_NOADDR))) return;
    if (link_hangs(c, n)) {
        bus_link_close(c, bus_link_find(c, n->link));
        bus_link_dial(c, n);
    }
    if (wants_meet(c, n)) {
        n->no_inbound_ms = c->now_ms;
        send_ping(c, n, MESSAGE_MEET);
    } else if (n->link_is_open && n->ping_sent_ms == 0 &&
               c->now_ms - n->pong_received_ms > ping_interval_ms(c)) {
        send_ping(c, n, MESSAGE_PING);
    }
    suspect_if_silent(c, n);
}

void cluster_tick(struct cluster *c, int64_t now_ms) {
    rules_begin(c, now_ms);
    if (c->ticks == 0) c->began_ms = c->now_ms;
    c->in_tick = true;
    drop_old_handshakes(c);
    bus_links_close_nameless(c, handshake_ms(c) * NAMELESS_HANDSHAKES);
    dial_all(c);
    if (c->ticks++ % TICKS_A_SECOND == 0) ping_one(c);
    for (size_t i = 0; i < c->state.node_count; i++) look_after(c, c->state.nodes[i]);
    manual_step(c);
    rules_lead_election(c);
    rules_migrate_if_orphans(c);
    if (!c->is_sound) c->must_look = true;
    rules_finish(c);
    c->in_tick = false;
}
