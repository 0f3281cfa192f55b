/* invariants.c: what must hold at any time, whatever the network does.
 *
 * - A primary votes once in an epoch, and the vote is on its disk before it is sent.
 * - An epoch has one winner, and a slot is claimed by one node in an epoch.
 * - Epochs never fall: not those of a node, not over a crash, and not what nodes know of others.
 * - The tables of a node agree with each other. */
#include "trivet/base/grow.h"
#include "trivet/base/mem.h"
#include "world.h"
#include <inttypes.h>
#include <stdio.h>

#define CHECKS_ONE_IN 256 /* the whole tables, which takes long */

struct vote_note {
    size_t voter;
    uint64_t epoch;
};

struct claim_note {
    size_t node;
    uint64_t epoch;
    struct slot_set slots; /* all that it has claimed in that epoch */
};

struct ledger {
    struct vote_note *votes;
    size_t vote_count, vote_room;
    struct vote_note *winners;
    size_t winner_count, winner_room;
    struct claim_note *claims;
    size_t claim_count, claim_room;
    uint64_t looks;
};

void ledger_init(struct world *w) { w->ledger = mem_alloc_zero(sizeof *w->ledger); }

void ledger_release(struct world *w) {
    mem_free(w->ledger->votes);
    mem_free(w->ledger->winners);
    mem_free(w->ledger->claims);
    mem_free(w->ledger);
}

void ledger_note_vote(struct world *w, struct sim_node *voter, uint64_t epoch) {
    struct ledger *l = w->ledger;
    for (size_t i = 0; i < l->vote_count; i++)
        if (l->votes[i].voter == voter->number && l->votes[i].epoch == epoch)
            world_fail(w, "node %zu votes twice in epoch %" PRIu64, voter->number, epoch);
    if (voter->disk_vote_epoch < epoch)
        world_fail(w, "node %zu sends a vote for epoch %" PRIu64 " that is not on its disk", voter->number,
                   epoch);
    GROW(l->votes, l->vote_count, &l->vote_room, 16);
    l->votes[l->vote_count++] = (struct vote_note){ voter->number, epoch };
    w->votes++;
}

void ledger_note_winner(struct world *w, struct sim_node *winner, uint64_t epoch) {
    struct ledger *l = w->ledger;
    for (size_t i = 0; i < l->winner_count; i++)
        if (l->winners[i].epoch == epoch)
            world_fail(w, "epoch %" PRIu64 " has two winners, %zu and %zu", epoch, l->winners[i].voter,
                       winner->number);
    GROW(l->winners, l->winner_count, &l->winner_room, 16);
    l->winners[l->winner_count++] = (struct vote_note){ winner->number, epoch };
}

/* ---- claims ---- */

static struct claim_note *claim_of(struct ledger *l, size_t node, uint64_t epoch) {
    for (size_t i = l->claim_count; i-- > 0;)
        if (l->claims[i].node == node && l->claims[i].epoch == epoch) return &l->claims[i];
    GROW(l->claims, l->claim_count, &l->claim_room, 16);
    l->claims[l->claim_count] = (struct claim_note){ .node = node, .epoch = epoch };
    return &l->claims[l->claim_count++];
}

static void check_claims(struct world *w, struct sim_node *n) {
    const struct cluster_node *self = n->rules.state.self;
    if (!node_votes(self)) return;
    struct claim_note *mine = claim_of(w->ledger, n->number, self->config_epoch);
    bool is_new = false;
    for (size_t i = 0; i < sizeof mine->slots.bits; i++) {
        is_new |= (self->slots.bits[i] & ~mine->slots.bits[i]) != 0;
        mine->slots.bits[i] |= self->slots.bits[i];
    }
    if (!is_new) return;
    for (size_t i = 0; i < w->ledger->claim_count; i++) {
        const struct claim_note *other = &w->ledger->claims[i];
        if (other->epoch != mine->epoch || other->node == mine->node) continue;
        SLOT_SET_EACH(&self->slots, slot)
        if (slot_set_has(&other->slots, slot))
            world_fail(w, "slot %u is claimed by %zu and %zu in epoch %" PRIu64, slot, other->node,
                       mine->node, mine->epoch);
    }
}

/* ---- epochs ---- */

static void check_epochs(struct world *w, struct sim_node *n) {
    const struct cluster_state *s = &n->rules.state;
    uint64_t config = node_is_primary(s->self) ? s->self->config_epoch : n->seen_config;
    if (s->current_epoch < n->seen_current)
        world_fail(w, "node %zu: currentEpoch falls from %" PRIu64 " to %" PRIu64, n->number, n->seen_current,
                   s->current_epoch);
    if (s->last_vote_epoch < n->seen_vote) world_fail(w, "node %zu: lastVoteEpoch falls", n->number);
    if (config < n->seen_config) world_fail(w, "node %zu: its configEpoch falls", n->number);
    if (config > s->current_epoch) world_fail(w, "node %zu: configEpoch is ahead of currentEpoch", n->number);
    n->seen_current = s->current_epoch;
    n->seen_vote = s->last_vote_epoch;
    n->seen_config = config;
}

/* What is known of others is never ahead of what they have themselves. */
static void check_knowledge(struct world *w, struct sim_node *n) {
    for (size_t i = 0; i < n->rules.state.node_count; i++) {
        const struct cluster_node *known = n->rules.state.nodes[i];
        struct sim_node *real = world_named(w, &known->id);
        if (!real || !real->up || !node_is_primary(known)) continue;
        const struct cluster_node *self = real->rules.state.self;
        if (node_is_primary(self) && known->config_epoch > self->config_epoch)
            world_fail(w, "node %zu knows a later epoch of %zu than that itself", n->number, real->number);
    }
}

void ledger_look(struct world *w, struct sim_node *n) {
    check_epochs(w, n);
    check_claims(w, n);
    if (w->ledger->looks++ % CHECKS_ONE_IN == 0) {
        cluster_state_check(&n->rules.state);
        check_knowledge(w, n);
    }
}

/* ---- health ---- */

/* Whom it replicates, as others know it. */
static bool role_is_known(const struct cluster_node *known, const struct cluster_node *self) {
    if (node_is_primary(known) || node_is_primary(self))
        return node_is_primary(known) == node_is_primary(self);
    return known->primary && self->primary && node_id_equal(&known->primary->id, &self->primary->id);
}

static const char *illness_of(const struct world *w, const struct sim_node *n) {
    static char text[160];
    const struct cluster_state *s = &n->rules.state, *first = &w->nodes[0].rules.state;
    text[0] = '\0';
    if (!n->up || n->frozen)
        snprintf(text, sizeof text, "node %zu is not up", n->number);
    else if (!n->rules.is_sound)
        snprintf(text, sizeof text, "node %zu: state fail", n->number);
    else if (s->node_count != w->count)
        snprintf(text, sizeof text, "node %zu knows %zu nodes of %zu", n->number, s->node_count, w->count);
    for (size_t i = 0; i < s->node_count && !text[0]; i++) {
        const struct cluster_node *o = s->nodes[i];
        if (o->flags & (NODE_FAIL | NODE_PFAIL | NODE_HANDSHAKE | NODE_NOADDR))
            snprintf(text, sizeof text, "node %zu: %.6s has flags %#x, link %d, ping open for %" PRId64 " ms",
                     n->number, o->id.text, o->flags, o->link_is_open,
                     o->ping_sent_ms ? w->now_ms - o->ping_sent_ms : 0);
    }
    for (size_t i = 0; i < w->count && !text[0]; i++) {
        const struct cluster_node *known = cluster_node_find(s, &w->nodes[i].id);
        if (known && w->nodes[i].up && !role_is_known(known, w->nodes[i].rules.state.self))
            snprintf(text, sizeof text, "node %zu does not know the role of %zu", n->number, i);
    }
    for (unsigned slot = 0; slot < SLOT_COUNT && !text[0]; slot++)
        if (!s->owners[slot] || !node_id_equal(&s->owners[slot]->id, &first->owners[slot]->id))
            snprintf(text, sizeof text, "nodes 0 and %zu do not agree on slot %u", n->number, slot);
    if (!text[0] && node_is_replica(s->self) && !(s->self->primary && node_votes(s->self->primary)))
        snprintf(text, sizeof text, "node %zu replicates nobody who has slots", n->number);
    return text[0] ? text : NULL;
}

const char *world_illness(const struct world *w) {
    for (size_t i = 0; i < w->count; i++) {
        const char *illness = illness_of(w, &w->nodes[i]);
        if (illness) return illness;
    }
    return NULL;
}

bool world_is_healed(const struct world *w) { return world_illness(w) == NULL; }
