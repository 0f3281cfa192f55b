/* commands.c: what operators do to a cluster. */
#include "rules.h"

#define UNKNOWN_NODE "Unknown node"

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
    struct cluster_node *n = rules_known(c, id), *self = c->state.self;
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

/* The others hear of it with the next PINGs, and not at once: tools that repair a slot give it to a node by
 * ADDSLOTS and this, and only then move the keys that its owner has, who deletes them when it hears. */
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
    rules_slots_changed(c);
    rules_finish(c);
    return NULL;
}

const char *cluster_delete_slots(struct cluster *c, const struct slot_set *slots, int64_t now_ms) {
    SLOT_SET_EACH(slots, slot)
    if (!c->state.owners[slot]) return "Slot is already unassigned";
    rules_begin(c, now_ms);
    SLOT_SET_EACH(slots, slot) cluster_slot_give(&c->state, slot, NULL);
    rules_slots_changed(c);
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
