/* commands.c: what operators do to a cluster. */
#include "rules.h"

#define UNKNOWN_NODE "Unknown node"

static struct cluster_node *known(const struct cluster *c, const struct node_id *id) {
    struct cluster_node *n = cluster_node_find(&c->state, id);
    return n && node_is_in_handshake(n) ? NULL : n;
}

/* ---- nodes ---- */

const char *cluster_meet(struct cluster *c, struct slice ip, uint16_t port, uint16_t cport, int64_t now_ms) {
    if (ip.len == 0 || ip.len >= NODE_IP_SIZE || port == 0 || cport == 0)
        return "Invalid node address specified";
    rules_begin(c, now_ms);
    rules_greet(c, node_ip_make(ip), port, cport, NODE_MEET);
    rules_finish(c);
    return NULL;
}

const char *cluster_forget(struct cluster *c, const struct node_id *id, int64_t now_ms) {
    struct cluster_node *n = cluster_node_find(&c->state, id);
    rules_begin(c, now_ms);
    if (!n) return cluster_is_banned(&c->state, id, c->now_ms) ? NULL : UNKNOWN_NODE;
    if (n == c->state.self) return "I tried hard but I can't forget myself...";
    if (n == c->state.self->primary) return "Can't forget my master!";
    struct node_id name = *id; /* may lie in the node */
    cluster_ban_add(&c->state, &name, c->now_ms + c->settings.ban_ms);
    rules_drop_node(c, n);
    c->must_announce = true; /* with the ban */
    rules_finish(c);
    return NULL;
}

const char *cluster_replicate(struct cluster *c, const struct node_id *id, bool is_empty, int64_t now_ms) {
    struct cluster_node *n = known(c, id), *self = c->state.self;
    if (!n) return UNKNOWN_NODE;
    if (n == self) return "Can't replicate myself";
    if (!node_is_primary(n)) return "I can only replicate a master, not a replica.";
    if (node_is_primary(self) && (self->slot_count > 0 || !is_empty))
        return "To set a master the node must be empty and without assigned slots.";
    rules_begin(c, now_ms);
    if (self->primary != n) rules_follow(c, n);
    rules_finish(c);
    return NULL;
}

bool cluster_replicate_nobody(struct cluster *c, const struct node_id *new_shard, int64_t now_ms) {
    struct cluster_state *s = &c->state;
    if (node_is_primary(s->self)) return false;
    rules_begin(c, now_ms);
    manual_reset(c);
    c->election = (struct cluster_election){ 0 };
    s->open_count = 0;
    cluster_node_make_primary(s, s->self);
    s->self->shard_id = *new_shard;
    action_add(c, ACTION_LEAD);
    rules_save_later(c, true);
    c->must_look = c->must_announce = true;
    rules_finish(c);
    return true;
}

void cluster_reset(struct cluster *c, const struct node_id *new_id, const struct node_id *new_shard,
                   int64_t now_ms) {
    struct cluster_state *s = &c->state;
    rules_begin(c, now_ms);
    manual_reset(c);
    c->election = (struct cluster_election){ 0 };
    if (node_is_replica(s->self)) {
        cluster_node_make_primary(s, s->self);
        action_add(c, ACTION_LEAD);
    }
    cluster_slots_give_all(s, s->self, NULL);
    for (size_t i = s->node_count; i-- > 0;)
        if (s->nodes[i] != s->self) rules_drop_node(c, s->nodes[i]);
    if (new_id) {
        cluster_node_rename(s, s->self, new_id);
        s->current_epoch = s->last_vote_epoch = s->self->config_epoch = 0;
    }
    if (new_shard) s->self->shard_id = *new_shard;
    s->open_count = s->ban_count = 0;
    rules_save_later(c, true);
    c->must_look = true;
    rules_finish(c);
}

/* ---- epochs ---- */

bool cluster_bump_epoch(struct cluster *c, uint64_t *epoch, int64_t now_ms) {
    rules_begin(c, now_ms);
    bool bumped = rules_bump_epoch(c);
    *epoch = c->state.self->config_epoch;
    rules_finish(c);
    return bumped;
}

const char *cluster_set_config_epoch(struct cluster *c, uint64_t epoch, int64_t now_ms) {
    if (c->state.node_count > 1)
        return "The user can assign a config epoch only when the node does not know any other node.";
    if (c->state.self->config_epoch != 0) return "Node config epoch is already non-zero";
    rules_begin(c, now_ms);
    c->state.self->config_epoch = epoch;
    if (c->state.current_epoch < epoch) c->state.current_epoch = epoch;
    rules_save_later(c, true);
    rules_finish(c);
    return NULL;
}

/* ---- slots ---- */

static void slots_changed(struct cluster *c) {
    rules_save_later(c, false);
    c->must_look = true;
}

const char *cluster_add_slots(struct cluster *c, const struct slot_set *slots, int64_t now_ms) {
    struct cluster_state *s = &c->state;
    if (!node_is_primary(s->self)) return "Please use SETSLOT only with masters.";
    SLOT_SET_EACH(slots, slot)
    if (s->owners[slot]) return "Slot is already busy";
    rules_begin(c, now_ms);
    SLOT_SET_EACH(slots, slot) {
        cluster_slot_open(s, slot, true, NULL);
        cluster_slot_give(s, slot, s->self);
    }
    slots_changed(c);
    rules_finish(c);
    return NULL;
}

const char *cluster_delete_slots(struct cluster *c, const struct slot_set *slots, int64_t now_ms) {
    SLOT_SET_EACH(slots, slot)
    if (!c->state.owners[slot]) return "Slot is already unassigned";
    rules_begin(c, now_ms);
    SLOT_SET_EACH(slots, slot) cluster_slot_give(&c->state, slot, NULL);
    slots_changed(c);
    rules_finish(c);
    return NULL;
}

static const char *open_slot(struct cluster *c, unsigned slot, bool importing, const struct node_id *other,
                             int64_t now_ms) {
    struct cluster_state *s = &c->state;
    struct cluster_node *n = known(c, other);
    bool is_own = s->owners[slot] == s->self;
    if (node_is_replica(s->self)) return "Please use SETSLOT only with masters.";
    if (!importing && !is_own) return "I'm not the owner of hash slot";
    if (importing && is_own) return "I'm already the owner of hash slot";
    if (!n || n == s->self) return "I don't know about node";
    if (!node_is_primary(n)) return "Target node is not a master";
    rules_begin(c, now_ms);
    cluster_slot_open(s, slot, importing, n);
    slots_changed(c);
    rules_finish(c);
    return NULL;
}

const char *cluster_set_slot_migrating(struct cluster *c, unsigned slot, const struct node_id *to,
                                       int64_t now_ms) {
    return open_slot(c, slot, false, to, now_ms);
}

const char *cluster_set_slot_importing(struct cluster *c, unsigned slot, const struct node_id *from,
                                       int64_t now_ms) {
    return open_slot(c, slot, true, from, now_ms);
}

const char *cluster_set_slot_stable(struct cluster *c, unsigned slot, int64_t now_ms) {
    if (node_is_replica(c->state.self)) return "Please use SETSLOT only with masters.";
    rules_begin(c, now_ms);
    cluster_slot_open(&c->state, slot, true, NULL);
    cluster_slot_open(&c->state, slot, false, NULL);
    slots_changed(c);
    rules_finish(c);
    return NULL;
}

const char *cluster_set_slot_node(struct cluster *c, unsigned slot, const struct node_id *owner,
                                  int64_t now_ms) {
    struct cluster_state *s = &c->state;
    struct cluster_node *n = known(c, owner), *self = s->self;
    bool has_keys = c->hooks.slot_has_keys(c->hooks.arg, slot);
    if (node_is_replica(self)) return "Please use SETSLOT only with masters.";
    if (!n) return UNKNOWN_NODE;
    if (!node_is_primary(n)) return "Target node is not a master";
    if (s->owners[slot] == self && n != self && has_keys)
        return "Can't assign hashslot to a different node while I still hold keys for this hash slot.";
    rules_begin(c, now_ms);
    bool was_mine = s->owners[slot] == self, arrived = n == self && cluster_slot_importing(s, slot);
    if (!has_keys || n != self) cluster_slot_open(s, slot, false, NULL);
    cluster_slot_give(s, slot, n);
    if (arrived) {
        /* The others believe the new owner at once, without votes: nobody has this slot in a greater epoch.
         */
        cluster_slot_open(s, slot, true, NULL);
        (void)rules_bump_epoch(c);
        c->must_announce = true;
    }
    if (was_mine && n != self && self->slot_count == 0 && c->settings.allow_replica_migration)
        rules_follow(c, n);
    slots_changed(c);
    rules_finish(c);
    return NULL;
}

const char *cluster_take_over_slots(struct cluster *c, const struct slot_set *slots, int64_t now_ms) {
    struct cluster_state *s = &c->state;
    if (!node_is_primary(s->self)) return "Please use SETSLOT only with masters.";
    rules_begin(c, now_ms);
    SLOT_SET_EACH(slots, slot) {
        cluster_slot_open(s, slot, true, NULL);
        cluster_slot_open(s, slot, false, NULL);
        cluster_slot_give(s, slot, s->self);
    }
    (void)rules_bump_epoch(c);
    c->must_announce = true;
    rules_save_later(c, true);
    c->must_look = true;
    rules_finish(c);
    return NULL;
}
