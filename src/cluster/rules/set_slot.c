/* set_slot.c: CLUSTER SETSLOT: the steps by which tools move a slot from one primary to another, key by key.
 *
 * A primary has its replicas take the step before it takes it itself, so whoever takes over goes on where it
 * was. A replica notes what its primary does; what follows from it, epochs and roles, is the primary's. */
#include "rules.h"

struct cluster_node *rules_known(const struct cluster *c, const struct node_id *id) {
    struct cluster_node *n = cluster_node_find(&c->state, id);
    return n && node_is_in_handshake(n) ? NULL : n;
}

void rules_slots_changed(struct cluster *c) {
    rules_save_later(c, false);
    c->must_look = true;
}

/* The primary of this node's shard; NULL: a replica does not know it yet. */
static struct cluster_node *leader(const struct cluster *c) {
    struct cluster_node *self = c->state.self;
    return node_is_primary(self) ? self : self->primary;
}

/* ---- may it be done? ---- */

static const char *refuse_opening(const struct cluster *c, const struct slot_step *step) {
    const struct cluster_node *n = rules_known(c, &step->node), *mine = leader(c);
    bool is_own = mine && c->state.owners[step->slot] == mine;
    if (step->way == SLOT_MIGRATES && !is_own) return "I'm not the owner of hash slot #";
    if (step->way == SLOT_IMPORTS && is_own) return "I'm already the owner of hash slot #";
    if (!n || n == mine || n == c->state.self) return "I don't know about node @";
    return node_is_primary(n) ? NULL : "Target node is not a master";
}

static const char *refuse_giving(const struct cluster *c, const struct slot_step *step) {
    const struct cluster_node *n = rules_known(c, &step->node), *self = c->state.self;
    if (!n) return "Unknown node @";
    if (!node_is_primary(n)) return "Target node is not a master";
    bool goes = c->state.owners[step->slot] == self && n != self;
    if (goes && c->hooks.slot_has_keys(c->hooks.arg, step->slot))
        return "Can't assign hashslot # to a different node while I still hold keys for this hash slot.";
    return NULL;
}

const char *cluster_slot_step_refused(const struct cluster *c, const struct slot_step *step) {
    assert(step->slot < SLOT_COUNT);
    if (node_is_replica(c->state.self) && !step->by_primary) return "Please use SETSLOT only with masters.";
    if (step->way == SLOT_IS_STABLE) return NULL;
    return step->way == SLOT_GOES_TO ? refuse_giving(c, step) : refuse_opening(c, step);
}

/* ---- doing it ---- */

/* The import is over. The others believe the new owner at once, without votes: nobody has this slot in a
 * greater epoch. */
static void end_import(struct cluster *c, unsigned slot) {
    cluster_slot_open(&c->state, slot, true, NULL);
    if (node_is_replica(c->state.self)) return;
    (void)rules_bump_epoch(c);
    c->must_announce = true;
}

static void give(struct cluster *c, unsigned slot, struct cluster_node *to) {
    struct cluster_state *s = &c->state;
    struct cluster_node *self = s->self, *mine = leader(c);
    bool was_mine = s->owners[slot] == self;
    bool arrives = to == mine && cluster_slot_importing(s, slot);
    if (to != mine || !c->hooks.slot_has_keys(c->hooks.arg, slot)) cluster_slot_open(s, slot, false, NULL);
    cluster_slot_give(s, slot, to);
    if (arrives) end_import(c, slot);
    if (was_mine && to != self && self->slot_count == 0 && c->settings.allow_replica_migration)
        rules_follow(c, to);
}

const char *cluster_set_slot(struct cluster *c, const struct slot_step *step, int64_t now_ms) {
    const char *error = cluster_slot_step_refused(c, step);
    if (error) return error;
    struct cluster_node *n = rules_known(c, &step->node);
    rules_begin(c, now_ms);
    switch (step->way) {
    case SLOT_MIGRATES: cluster_slot_open(&c->state, step->slot, false, n); break;
    case SLOT_IMPORTS: cluster_slot_open(&c->state, step->slot, true, n); break;
    case SLOT_GOES_TO: give(c, step->slot, n); break;
    case SLOT_IS_STABLE:
        cluster_slot_open(&c->state, step->slot, true, NULL);
        cluster_slot_open(&c->state, step->slot, false, NULL);
        break;
    }
    rules_slots_changed(c);
    rules_finish(c);
    return NULL;
}

/* ---- the other side fails over ---- */

void rules_repoint_open_slots(struct cluster *c, const struct cluster_node *from, struct cluster_node *to) {
    struct cluster_state *s = &c->state;
    if (to == s->self || to == leader(c) || !cluster_same_shard(from, to)) return;
    for (size_t i = 0; i < s->open_count; i++) {
        if (s->open[i].other != from) continue;
        s->open[i].other = to;
        rules_slots_changed(c);
    }
}
