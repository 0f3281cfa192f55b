/* ownership.c: whose slots are whose. A claim with the greater configEpoch wins; everybody comes to the same
 * result in whatever order the claims arrive. */
#include "rules.h"

/* ---- roles of this node ---- */

static void drop_keys(struct cluster *c, const struct slot_set *slots) {
    size_t at = c->bytes.len;
    buf_append(&c->bytes, slice_make(slots, sizeof *slots));
    struct cluster_action *a = action_add(c, ACTION_DROP_KEYS);
    a->bytes = (struct slice){ (const char *)(at + 1), sizeof *slots };
}

static void forget_election(struct cluster *c) { c->election = (struct cluster_election){ 0 }; }

void rules_follow(struct cluster *c, struct cluster_node *primary) {
    struct cluster_state *s = &c->state;
    assert(primary != s->self);
    manual_reset(c);
    forget_election(c);
    if (!cluster_same_shard(s->self, primary)) s->open_count = 0; /* else the slots go on moving */
    cluster_node_make_replica(s, s->self, primary);
    (void)cluster_node_set_shard(s->self, &primary->shard_id);
    s->self->flags &= ~NODE_MY_PRIMARY_FAILS;
    if (node_is_failed(primary)) s->self->flags |= NODE_MY_PRIMARY_FAILS;
    struct cluster_action *a = action_add(c, ACTION_FOLLOW);
    a->node = primary->id;
    a->ip = primary->ip;
    a->port = primary->port;
    rules_save_later(c, true);
    c->must_look = c->must_announce = true;
}

void rules_replace_primary(struct cluster *c) {
    struct cluster_state *s = &c->state;
    struct cluster_node *before = s->self->primary;
    assert(before);
    manual_reset(c);
    forget_election(c);
    cluster_node_make_primary(s, s->self);
    cluster_slots_give_all(s, before, s->self);
    action_add(c, ACTION_LEAD);
    rules_look_at_state(c);
    rules_save_now(c);
    send_pong_to_all(c);
}

bool rules_bump_epoch(struct cluster *c) {
    struct cluster_state *s = &c->state;
    uint64_t most = s->current_epoch;
    bool shared = false;
    for (size_t i = 0; i < s->node_count; i++) {
        uint64_t epoch = s->nodes[i]->config_epoch;
        if (epoch > most) most = epoch;
    }
    for (size_t i = 0; i < s->node_count; i++)
        shared |= s->nodes[i] != s->self && node_is_primary(s->nodes[i]) && s->nodes[i]->config_epoch == most;
    if (s->self->config_epoch != 0 && s->self->config_epoch == most && !shared) return false;
    s->current_epoch = s->self->config_epoch = most + 1;
    rules_save_now(c);
    return true;
}

/* ---- claims ---- */

/* What comes of taking slots: decided after all are taken. */
struct taking {
    struct cluster_node *to;
    uint64_t epoch;
    bool from_mine;         /* slots of this node, or of its primary */
    bool from_me_with_keys; /* own slots that hold keys */
    struct slot_set dirty;
};

/* Where a slot comes from, or goes to, may change hands while its keys are moved. */
static void move_open_slot(struct cluster *c, unsigned slot, struct cluster_node *before,
                           struct cluster_node *to) {
    struct cluster_state *s = &c->state;
    if (s->open_count == 0 || to == s->self) return;
    struct cluster_node *mine = node_is_primary(s->self) ? s->self : s->self->primary;
    struct cluster_node *source = cluster_slot_importing(s, slot);
    bool within_shard = before && cluster_same_shard(before, to);
    if (to == mine && source && !within_shard)
        cluster_slot_open(s, slot, true, NULL);
    else if (source && source == before && within_shard)
        cluster_slot_open(s, slot, true, to);
    if (before && before == mine && !within_shard) cluster_slot_open(s, slot, false, NULL);
}

static void take_slot(struct cluster *c, struct taking *t, unsigned slot) {
    struct cluster_state *s = &c->state;
    struct cluster_node *before = s->owners[slot];
    struct cluster_node *mine = node_is_primary(s->self) ? s->self : s->self->primary;
    bool free = !before || slot_set_has(&s->unclaimed, slot) || before->config_epoch < t->epoch;
    if (before == t->to) slot_set_remove(&s->unclaimed, slot);
    if (before == t->to || !free) return;
    if (before && before == s->self && c->hooks.slot_has_keys(c->hooks.arg, slot)) {
        slot_set_add(&t->dirty, slot);
        t->from_me_with_keys = true;
    }
    if (before && before == mine) t->from_mine = true;
    move_open_slot(c, slot, before, t->to);
    cluster_slot_give(s, slot, t->to);
    rules_save_later(c, true);
    c->must_look = true;
}

/* Slots that the table gives to the sender and that it does not claim any more: nobody has taken them yet,
 * and whoever claims them next may have them, whatever its epoch. */
static void note_unclaimed(struct cluster_state *s, const struct cluster_node *owner,
                           const struct slot_set *claims) {
    SLOT_SET_EACH(&owner->slots, slot)
    if (!slot_set_has(claims, slot)) slot_set_add(&s->unclaimed, slot);
}

static void take_slots(struct cluster *c, struct cluster_node *to, uint64_t epoch,
                       const struct slot_set *claims) {
    struct cluster_state *s = &c->state;
    if (to == s->self) return;
    struct taking t = { .to = to, .epoch = epoch };
    struct cluster_node *mine = node_is_primary(s->self) ? s->self : s->self->primary;
    bool same_shard = mine && cluster_same_shard(mine, to);
    SLOT_SET_EACH(claims, slot) take_slot(c, &t, slot);
    note_unclaimed(s, to, claims);
    if (t.from_mine && mine->slot_count == 0 && to != s->self->primary &&
        (same_shard || c->settings.allow_replica_migration)) {
        action_log(c, "The last slot went to %.*s: becoming its replica", NODE_ID_ARG(&to->id));
        rules_follow(c, to);
    } else if (t.from_me_with_keys) {
        drop_keys(c, &t.dirty);
    }
}

/* ---- headers ---- */

/* Of two primaries with one epoch, the one with the smaller name moves on. */
static void resolve_collision(struct cluster *c, const struct cluster_node *sender) {
    struct cluster_state *s = &c->state;
    if (!node_is_primary(s->self) || !node_is_primary(sender)) return;
    if (sender->config_epoch != s->self->config_epoch || node_id_compare(&sender->id, &s->self->id) <= 0)
        return;
    s->self->config_epoch = ++s->current_epoch;
    action_log(c, "configEpoch collision with node %.*s: configEpoch set to %llu", NODE_ID_ARG(&sender->id),
               (unsigned long long)s->current_epoch);
    rules_save_now(c);
    c->must_announce = true;
}

/* A packet that was on its way for long may tell of roles that were changed by a failover since. A primary
 * without slots is believed: it may have been reset, and takes nothing from anybody. */
static bool is_stale(struct cluster *c, const struct cluster_node *sender, const struct message_header *h) {
    if (node_id_is_none(&h->primary))
        return sender->primary && cluster_same_shard(sender, sender->primary) &&
               h->config_epoch < sender->primary->config_epoch && slot_set_next(h->slots, 0) < SLOT_COUNT;
    const struct cluster_node *primary = cluster_node_find(&c->state, &h->primary);
    return node_is_primary(sender) && primary && cluster_same_shard(sender, primary) &&
           h->config_epoch < sender->config_epoch;
}

static void take_role(struct cluster *c, struct cluster_node *sender, const struct message_header *h) {
    struct cluster_state *s = &c->state;
    bool was_primary = node_is_primary(sender);
    struct cluster_node *before = sender->primary;
    if (node_id_is_none(&h->primary)) {
        cluster_node_make_primary(s, sender);
        if (!was_primary && before && node_is_failed(before)) rules_repoint_open_slots(c, before, sender);
    } else {
        struct cluster_node *primary = cluster_node_find(s, &h->primary);
        if (primary == sender || (primary && node_is_in_handshake(primary))) primary = NULL;
        cluster_node_make_replica(s, sender, primary);
        if (primary && was_primary) rules_repoint_open_slots(c, sender, primary);
        if (primary && primary != before) (void)cluster_node_set_shard(sender, &primary->shard_id);
    }
    if (was_primary == node_is_primary(sender) && before == sender->primary) return;
    rules_save_later(c, false);
    c->must_look = true;
}

/* This node's primary became a replica itself: its primary is the one to follow. */
static void follow_the_top(struct cluster *c) {
    struct cluster_node *self = c->state.self, *primary = self->primary;
    if (!primary || !primary->primary || primary->primary == self) return;
    action_log(c, "The primary %.*s is a replica now: following its primary", NODE_ID_ARG(&primary->id));
    rules_follow(c, primary->primary);
}

/* Somebody claims a slot with an epoch that is over: it has missed something, and is told. */
static void correct_sender(struct cluster *c, struct cluster_node *sender, const struct message_header *h) {
    struct cluster_state *s = &c->state;
    const struct cluster_node *of = node_is_primary(sender) ? sender : sender->primary;
    SLOT_SET_EACH(h->slots, slot) {
        struct cluster_node *owner = s->owners[slot];
        if (!owner || owner == sender || owner == of || owner->config_epoch <= h->config_epoch) continue;
        send_update(c, sender, owner);
        return;
    }
}

/* Somebody else tells of a primary in an epoch that is new here. */
static void take_news(struct cluster *c, struct cluster_node *n, uint64_t epoch,
                      const struct slot_set *claims) {
    if (!n || n == c->state.self || node_is_in_handshake(n) || n->config_epoch >= epoch) return;
    /* It has been replaced since. */
    if (n->primary && cluster_same_shard(n, n->primary) && n->primary->config_epoch > epoch) return;
    cluster_node_make_primary(&c->state, n);
    n->config_epoch = epoch;
    if (epoch > c->state.current_epoch) c->state.current_epoch = epoch;
    rules_save_later(c, true);
    take_slots(c, n, epoch, claims);
}

void rules_take_claims(struct cluster *c, struct cluster_node *sender, const struct message *m) {
    const struct message_header *h = &m->header;
    bool stale = is_stale(c, sender, h);
    /* A replica's header is news of its primary. Who has just been replaced would else leave its slots to
     * nobody until the new primary is heard. */
    if (!stale && !node_id_is_none(&h->primary))
        take_news(c, cluster_node_find(&c->state, &h->primary), h->config_epoch, h->slots);
    if (!stale) take_role(c, sender, h);
    if (node_is_primary(sender) && h->config_epoch > sender->config_epoch && !stale) {
        sender->config_epoch = h->config_epoch;
        rules_save_later(c, true);
    }
    const struct cluster_node *of = node_is_primary(sender) ? sender : sender->primary;
    bool differs = !of || !slot_set_equal(&of->slots, h->slots);
    bool is_old = node_is_primary(sender) && h->config_epoch < sender->config_epoch;
    if (!stale && !is_old && node_is_primary(sender) && differs)
        take_slots(c, sender, h->config_epoch, h->slots);
    if (differs) correct_sender(c, sender, h);
    if (!stale && !is_old) resolve_collision(c, sender);
    follow_the_top(c);
}

void rules_take_update(struct cluster *c, const struct message *m) {
    take_news(c, cluster_node_find(&c->state, &m->about), m->update_epoch, m->update_slots);
}

/* ---- data that was there before ---- */

void cluster_settle_data(struct cluster *c, int64_t now_ms) {
    struct cluster_state *s = &c->state;
    struct slot_set foreign = { { 0 } };
    unsigned taken = 0;
    if (!node_is_primary(s->self)) return;
    rules_begin(c, now_ms);
    for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
        if (s->owners[slot] == s->self || cluster_slot_importing(s, slot)) continue;
        if (!c->hooks.slot_has_keys(c->hooks.arg, slot)) continue;
        if (s->owners[slot]) {
            slot_set_add(&foreign, slot);
            continue;
        }
        cluster_slot_give(s, slot, s->self);
        taken++;
    }
    unsigned dropped = slot_set_count(&foreign);
    if (taken > 0) {
        action_log(c, "There is data of %u slots that nobody serves: this node serves them from now on",
                   taken);
        rules_save_later(c, true);
        c->must_look = true;
    }
    if (dropped > 0) {
        action_log(c, "There is data of %u slots that other nodes serve: it is deleted", dropped);
        drop_keys(c, &foreign);
    }
    rules_finish(c);
}
