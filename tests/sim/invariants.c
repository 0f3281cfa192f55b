/* invariants.c: what must hold at any time, whatever the network does.
 *
 * - A primary with slots votes once in an epoch. The vote is on its disk before it is sent, and a start from
 *   that disk does not forget it. The candidate knew the latest owners of the slots that it asked for.
 * - An epoch has one winner, which has got the votes of a majority. A slot is claimed by one node in an
 * epoch, unless that was taken without votes in a time of trouble.
 * - An epoch of its own is on a node's disk before anybody hears of it.
 * - Epochs never fall: not those of a node, and not what nodes know of others; currentEpoch is the greatest.
 * - A replica has no slots. The tables of a node agree with each other.
 *
 * And what must hold in the end: see illness_of(). */
#include "trivet/base/grow.h"
#include "trivet/base/mem.h"
#include "world.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define CHECKS_ONE_IN 256 /* the whole tables, which takes long */

struct vote_note {
    size_t voter, candidate; /* SIZE_MAX: the vote got lost */
    uint64_t epoch;
};

struct claim_note {
    size_t node;
    uint64_t epoch;
    struct slot_set slots; /* all that it has claimed in that epoch */
};

struct ledger {
    /* Epochs that somebody took without votes (SETSLOT, a collision) while not all heard each other: another
     * one may have taken the same; the protocol sorts that out later. */
    uint64_t *loose;
    size_t loose_count, loose_room;
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
    mem_free(w->ledger->loose);
    mem_free(w->ledger);
}

/* What the candidate asked for, against what the voter knows. */
static void check_request(struct world *w, const struct sim_node *voter, const struct sim_node *candidate,
                          uint64_t epoch) {
    const struct request *r = &candidate->request;
    if (r->epoch != epoch) return; /* an older one, which is not known any more */
    SLOT_SET_EACH(&r->slots, slot) {
        const struct cluster_node *owner = voter->rules.state.owners[slot];
        if (owner && owner->config_epoch > r->config_epoch)
            world_fail(w, "node %zu votes for %zu, which knows an old owner of slot %u", voter->number,
                       candidate->number, slot);
    }
    const struct cluster_node *known = cluster_node_find(&voter->rules.state, &candidate->id);
    if (!r->forced && known && known->primary && !node_is_failed(known->primary))
        world_fail(w, "node %zu votes for %zu, whose primary works", voter->number, candidate->number);
}

void ledger_note_vote(struct world *w, struct sim_node *voter, const struct sim_node *candidate,
                      uint64_t epoch) {
    struct ledger *l = w->ledger;
    for (size_t i = 0; i < l->vote_count; i++)
        if (l->votes[i].voter == voter->number && l->votes[i].epoch == epoch)
            world_fail(w, "node %zu votes twice in epoch %" PRIu64, voter->number, epoch);
    if (voter->synced_vote < epoch)
        world_fail(w, "node %zu sends a vote for epoch %" PRIu64 " that is not on its disk", voter->number,
                   epoch);
    if (!node_votes(voter->rules.state.self)) world_fail(w, "node %zu may not vote", voter->number);
    if (candidate) check_request(w, voter, candidate, epoch);
    GROW(l->votes, l->vote_count, &l->vote_room, 16);
    l->votes[l->vote_count++] =
        (struct vote_note){ voter->number, candidate ? candidate->number : SIZE_MAX, epoch };
    voter->voted_epoch = epoch;
    w->votes++;
}

void ledger_note_header(struct world *w, struct sim_node *n, const struct message *m) {
    const struct message_header *h = &m->header;
    bool claims = node_votes(n->rules.state.self) && node_id_is_none(&h->primary);
    if (claims && h->config_epoch > n->synced_epoch)
        world_fail(w, "node %zu claims slots in epoch %" PRIu64 ", which is not on its disk", n->number,
                   h->config_epoch);
    if (h->type != MESSAGE_AUTH_REQUEST) return;
    if (h->current_epoch > n->synced_epoch)
        world_fail(w, "node %zu asks for votes in an epoch that is not on its disk", n->number);
    n->request = (struct request){ h->current_epoch, h->config_epoch,
                                   (h->message_flags[0] & MESSAGE_FORCE_ACK) != 0, *h->slots };
}

static size_t votes_for(const struct ledger *l, size_t candidate, uint64_t epoch) {
    size_t count = 0;
    for (size_t i = 0; i < l->vote_count; i++)
        count += l->votes[i].candidate == candidate && l->votes[i].epoch == epoch;
    return count;
}

void ledger_note_winner(struct world *w, struct sim_node *winner, uint64_t epoch) {
    struct ledger *l = w->ledger;
    for (size_t i = 0; i < l->winner_count; i++)
        if (l->winners[i].epoch == epoch)
            world_fail(w, "epoch %" PRIu64 " has two winners, %zu and %zu", epoch, l->winners[i].candidate,
                       winner->number);
    size_t got = votes_for(l, winner->number, epoch), wanted = cluster_majority(&winner->rules.state);
    if (got < wanted)
        world_fail(w, "node %zu has won epoch %" PRIu64 " with %zu votes of %zu", winner->number, epoch, got,
                   wanted);
    GROW(l->winners, l->winner_count, &l->winner_room, 16);
    l->winners[l->winner_count++] = (struct vote_note){ .candidate = winner->number, .epoch = epoch };
}

/* ---- claims ---- */

static struct claim_note *claim_of(struct ledger *l, size_t node, uint64_t epoch) {
    for (size_t i = l->claim_count; i-- > 0;)
        if (l->claims[i].node == node && l->claims[i].epoch == epoch) return &l->claims[i];
    GROW(l->claims, l->claim_count, &l->claim_room, 16);
    l->claims[l->claim_count] = (struct claim_note){ .node = node, .epoch = epoch };
    return &l->claims[l->claim_count++];
}

static bool was_won(const struct ledger *l, size_t node, uint64_t epoch) {
    for (size_t i = 0; i < l->winner_count; i++)
        if (l->winners[i].candidate == node && l->winners[i].epoch == epoch) return true;
    return false;
}

static bool is_loose(const struct ledger *l, uint64_t epoch) {
    for (size_t i = 0; i < l->loose_count; i++)
        if (l->loose[i] == epoch) return true;
    return false;
}

static void note_epoch(struct world *w, const struct sim_node *n, uint64_t epoch) {
    struct ledger *l = w->ledger;
    if (!w->troubled || was_won(l, n->number, epoch) || is_loose(l, epoch)) return;
    GROW(l->loose, l->loose_count, &l->loose_room, 8);
    l->loose[l->loose_count++] = epoch;
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
    note_epoch(w, n, mine->epoch);
    if (is_loose(w->ledger, mine->epoch)) return;
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
    if (s->last_vote_epoch < n->seen_vote || s->last_vote_epoch < n->voted_epoch)
        world_fail(w, "node %zu: lastVoteEpoch falls", n->number);
    if (config < n->seen_config) world_fail(w, "node %zu: its configEpoch falls", n->number);
    if (w->covered && s->slots_assigned < SLOT_COUNT)
        world_fail(w, "node %zu knows no owner of %u slots", n->number, SLOT_COUNT - s->slots_assigned);
    if (node_is_replica(s->self) && s->self->slot_count > 0)
        world_fail(w, "node %zu: a replica with slots", n->number);
    n->seen_current = s->current_epoch;
    n->seen_vote = s->last_vote_epoch;
    n->seen_config = config;
}

/* What it had only heard may be forgotten in a crash. */
void ledger_note_start(struct world *w, struct sim_node *n) {
    (void)w;
    n->seen_current = n->synced_epoch;
    n->seen_vote = n->synced_vote;
    n->seen_config = 0;
}

/* What is known of others is never ahead of what they have themselves. */
static void check_knowledge(struct world *w, struct sim_node *n) {
    for (size_t i = 0; i < n->rules.state.node_count; i++) {
        const struct cluster_node *known = n->rules.state.nodes[i];
        struct sim_node *real = world_real(w, known);
        if (!real || !real->up || !node_is_primary(known)) continue;
        const struct cluster_node *self = real->rules.state.self;
        if (node_is_primary(self) && known->config_epoch > self->config_epoch)
            world_fail(w, "node %zu knows a later epoch of %zu than that itself", n->number, real->number);
    }
}

static void check_others(struct world *w, const struct sim_node *n) {
    const struct cluster_state *s = &n->rules.state;
    for (size_t i = 0; i < s->node_count; i++)
        if (s->nodes[i]->config_epoch > s->current_epoch)
            world_fail(w, "node %zu: the configEpoch of %.6s is ahead of currentEpoch", n->number,
                       s->nodes[i]->id.text);
}

void ledger_look(struct world *w, struct sim_node *n, bool changed) {
    check_epochs(w, n);
    if (changed) {
        check_claims(w, n);
        check_others(w, n);
    }
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

struct illness {
    char text[160];
};
static void set_illness(struct illness *i, const char *format, ...) PRINTF_LIKE(2, 3);
/* The first one counts. */
static void set_illness(struct illness *i, const char *format, ...) {
    va_list args;
    if (i->text[0]) return;
    va_start(args, format);
    vsnprintf(i->text, sizeof i->text, format, args);
    va_end(args);
}

static void look_at_known(const struct world *w, const struct sim_node *n, struct illness *ill) {
    const struct cluster_state *s = &n->rules.state;
    for (size_t i = 0; i < s->node_count; i++) {
        const struct cluster_node *o = s->nodes[i];
        struct sim_node *real = world_real(w, o);
        if (o->flags & (NODE_FAIL | NODE_PFAIL | NODE_HANDSHAKE | NODE_NOADDR))
            set_illness(ill, "node %zu: %.6s has flags %#x, link %d, ping open for %" PRId64 " ms", n->number,
                        o->id.text, o->flags, o->link_is_open,
                        o->ping_sent_ms ? n->rules.now_ms - o->ping_sent_ms : 0);
        else if (!real)
            set_illness(ill, "node %zu knows %.6s, who is not there", n->number, o->id.text);
        else if (real->up && !role_is_known(o, real->rules.state.self))
            set_illness(ill, "node %zu does not know the role of %zu", n->number, real->number);
        else if (!node_id_equal(&o->shard_id, &real->rules.state.self->shard_id))
            set_illness(ill, "node %zu does not know the shard of %zu", n->number, real->number);
        else if (node_votes(o) && o != s->self && o->config_epoch == s->self->config_epoch &&
                 node_votes(s->self))
            set_illness(ill, "nodes %zu and %zu have one epoch", n->number, real->number);
    }
}

/* In the end everybody is up and sound, knows everybody as working and in its role, agrees with the others
 * about slots, has an epoch of its own if it has slots, and a primary with slots if it is a replica. */
static void illness_of(const struct world *w, const struct sim_node *n, struct illness *ill) {
    const struct cluster_state *s = &n->rules.state, *first = &w->nodes[0].rules.state;
    if (!n->up || n->frozen) {
        set_illness(ill, "node %zu is not up", n->number);
        return;
    }
    if (!n->rules.is_sound) set_illness(ill, "node %zu: state fail", n->number);
    if (s->node_count != w->count)
        set_illness(ill, "node %zu knows %zu nodes of %zu", n->number, s->node_count, w->count);
    look_at_known(w, n, ill);
    for (unsigned slot = 0; slot < SLOT_COUNT && !ill->text[0]; slot++)
        if (!s->owners[slot] || !first->owners[slot] ||
            !node_id_equal(&s->owners[slot]->id, &first->owners[slot]->id))
            set_illness(ill, "nodes 0 and %zu do not agree on slot %u", n->number, slot);
    if (node_is_replica(s->self) && !(s->self->primary && node_votes(s->self->primary)))
        set_illness(ill, "node %zu replicates nobody who has slots", n->number);
}

const char *world_illness(const struct world *w) {
    static struct illness ill;
    ill.text[0] = '\0';
    for (size_t i = 0; i < w->count && !ill.text[0]; i++) illness_of(w, &w->nodes[i], &ill);
    return ill.text[0] ? ill.text : NULL;
}

bool world_is_healed(const struct world *w) { return world_illness(w) == NULL; }
