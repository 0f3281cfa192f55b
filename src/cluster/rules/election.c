/* election.c: a replica takes the place of its failed primary, if the majority of the primaries lets it. Each
 * primary votes once in an epoch, so no epoch has two winners. */
#include "rules.h"

#define ATTEMPT_LEAST_MS 2000
#define DELAY_MOST_MS 500
#define NO_DATA_MS 500
#define UNABLE_AGAIN_MS 10000 /* after so long it is said again why this one does not stand */

/* ---- at a primary ---- */

static bool refuse(struct cluster *c, const struct cluster_node *candidate, const char *why) {
    action_log(c, "No vote for %.*s in epoch %llu: %s", NODE_ID_ARG(&candidate->id),
               (unsigned long long)c->state.current_epoch, why);
    return false;
}

/* Does the candidate know the latest owners of the slots that it wants? If not, it is told. */
static bool knows_the_owners(struct cluster *c, struct cluster_node *candidate,
                             const struct message_header *h) {
    SLOT_SET_EACH(h->slots, slot) {
        struct cluster_node *owner = c->state.owners[slot];
        if (!owner || owner->config_epoch <= h->config_epoch) continue;
        send_update(c, candidate, owner);
        return false;
    }
    return true;
}

static bool deserves_vote(struct cluster *c, struct cluster_node *candidate, const struct message_header *h) {
    const struct cluster_state *s = &c->state;
    const struct cluster_node *primary = candidate->primary;
    bool forced = (h->message_flags[0] & MESSAGE_FORCE_ACK) != 0;
    if (h->current_epoch < s->current_epoch) return refuse(c, candidate, "its epoch is over");
    if (s->last_vote_epoch >= s->current_epoch) return refuse(c, candidate, "voted already");
    if (!node_is_replica(candidate) || !primary) return refuse(c, candidate, "no replica of a known primary");
    if (!node_is_failed(primary) && !forced) return refuse(c, candidate, "its primary has not failed");
    if (!knows_the_owners(c, candidate, h)) return refuse(c, candidate, "it has missed new owners of slots");
    return true;
}

void rules_vote(struct cluster *c, struct cluster_node *candidate, const struct message *m) {
    struct cluster_state *s = &c->state;
    /* Without an answer a vote would be lost for nobody's good. */
    if (!node_votes(s->self) || !candidate->link_is_open) return;
    if (!deserves_vote(c, candidate, &m->header)) return;
    s->last_vote_epoch = s->current_epoch;
    rules_save_now(c);
    send_plain(c, candidate, MESSAGE_AUTH_ACK);
    action_log(c, "Failover auth granted to %.*s for epoch %llu", NODE_ID_ARG(&candidate->id),
               (unsigned long long)s->current_epoch);
}

/* ---- at a replica ---- */

void rules_count_vote(struct cluster *c, struct cluster_node *voter, const struct message *m) {
    struct cluster_election *e = &c->election;
    if (!e->sent || e->done || !node_votes(voter) || m->header.current_epoch < e->epoch) return;
    if (voter->counted_epoch == e->epoch) return;
    voter->counted_epoch = e->epoch;
    e->votes++;
    rules_lead_election(c);
}

static int64_t unit_delay_ms(const struct cluster *c) {
    int64_t ms = c->settings.node_timeout_ms / 30;
    return ms < 1 ? 1 : ms > DELAY_MOST_MS ? DELAY_MOST_MS : ms;
}

/* How many siblings should go first, because they have more data. */
static size_t rank_of_self(const struct cluster *c) {
    const struct cluster_node *self = c->state.self, *primary = self->primary;
    uint64_t mine = c->hooks.offset(c->hooks.arg);
    size_t rank = 0;
    for (size_t i = 0; i < primary->replica_count; i++) {
        const struct cluster_node *n = primary->replicas[i];
        if (n == self || (n->flags & NODE_NOFAILOVER)) continue;
        rank += n->offset > mine || (n->offset == mine && node_id_compare(&n->id, &self->id) < 0);
    }
    return rank;
}

/* Elections of several failed primaries at once would take each other's epochs. */
static size_t rank_of_primary(const struct cluster *c) {
    const struct cluster_node *primary = c->state.self->primary;
    size_t rank = 0;
    for (size_t i = 0; i < c->state.node_count; i++) {
        const struct cluster_node *n = c->state.nodes[i];
        rank += node_votes(n) && node_is_failed(n) && node_id_compare(&n->id, &primary->id) < 0;
    }
    return rank;
}

static bool all_siblings_agree(const struct cluster *c) {
    const struct cluster_node *self = c->state.self;
    for (size_t i = 0; i < self->primary->replica_count; i++) {
        const struct cluster_node *n = self->primary->replicas[i];
        if (n != self && !(n->flags & NODE_MY_PRIMARY_FAILS)) return false;
    }
    return true;
}

static bool data_is_fresh(const struct cluster *c) {
    const struct cluster_settings *set = &c->settings;
    if (set->replica_validity_factor == 0) return true;
    int64_t age_ms = c->hooks.data_age_ms(c->hooks.arg);
    if (age_ms > set->node_timeout_ms) age_ms -= set->node_timeout_ms;
    return age_ms <= set->repl_ping_period_ms + set->node_timeout_ms * set->replica_validity_factor;
}

/* What keeps a replica of a failed primary from standing; NULL: nothing. */
static const char *what_hinders(const struct cluster *c) {
    if (c->settings.replica_no_failover) return "cluster-replica-no-failover is set";
    if (!data_is_fresh(c))
        return "the data is older than cluster-replica-validity-factor allows; CLUSTER FAILOVER FORCE takes "
               "it "
               "all the same";
    return NULL;
}

/* An operator who sees slots down looks here for the reason. */
static void explain(struct cluster *c, const char *why) {
    struct cluster_election *e = &c->election;
    if (why && (why != e->unable || c->now_ms - e->unable_ms >= UNABLE_AGAIN_MS)) {
        action_log(c, "Currently unable to failover: %s", why);
        e->unable_ms = c->now_ms;
    }
    e->unable = why;
}

static bool may_stand(struct cluster *c, bool manual) {
    const struct cluster_node *self = c->state.self;
    if (!node_is_replica(self) || !self->primary || self->primary->slot_count == 0) return false;
    if (manual) return true;
    if (!node_is_failed(self->primary)) return false;
    const char *why = what_hinders(c);
    explain(c, why);
    return !why;
}

static void plan(struct cluster *c, bool manual) {
    struct cluster_election *e = &c->election;
    *e = (struct cluster_election){ .at_ms = c->now_ms };
    if (manual) return;
    e->rank = rank_of_self(c);
    size_t shared = rank_of_primary(c);
    int64_t unit_ms = unit_delay_ms(c);
    send_pong_to_siblings(c);
    if (e->rank == 0 && shared == 0 && all_siblings_agree(c)) return;
    e->at_ms += unit_ms + (int64_t)(c->hooks.random(c->hooks.arg) % (uint64_t)unit_ms);
    e->at_ms += (int64_t)e->rank * 2 * unit_ms + (int64_t)shared * unit_ms;
    if (c->hooks.offset(c->hooks.arg) == 0) e->at_ms += NO_DATA_MS;
    action_log(c, "Start of election delayed for %lld milliseconds (rank #%zu)",
               (long long)(e->at_ms - c->now_ms), e->rank);
}

/* Somebody with more data was heard of while this one waited. */
static void wait_for_better(struct cluster *c) {
    struct cluster_election *e = &c->election;
    size_t rank = rank_of_self(c);
    if (rank <= e->rank) return;
    e->at_ms += (int64_t)(rank - e->rank) * 2 * unit_delay_ms(c);
    e->rank = rank;
}

static void ask_for_votes(struct cluster *c, bool manual) {
    struct cluster_election *e = &c->election;
    e->epoch = ++c->state.current_epoch;
    e->sent = true;
    action_log(c, "Asking for votes in epoch %llu", (unsigned long long)e->epoch);
    rules_save_now(c);
    send_auth_request(c, manual);
}

void rules_lead_election(struct cluster *c) {
    struct cluster_election *e = &c->election;
    bool manual = c->manual.end_ms && c->manual.can_start && node_is_replica(c->state.self);
    if (!may_stand(c, manual)) return;
    int64_t attempt_ms = c->settings.node_timeout_ms * 2;
    if (attempt_ms < ATTEMPT_LEAST_MS) attempt_ms = ATTEMPT_LEAST_MS;
    if (e->at_ms == 0 || c->now_ms - e->at_ms > attempt_ms * 2) plan(c, manual);
    if (!e->sent && !manual) wait_for_better(c);
    if (c->now_ms < e->at_ms || c->now_ms - e->at_ms > attempt_ms) return;
    if (!e->sent) ask_for_votes(c, manual);
    if (e->votes < cluster_majority(&c->state)) return;
    action_log(c, "Failover election won: this node is the primary, configEpoch set to %llu",
               (unsigned long long)e->epoch);
    e->done = true;
    if (c->state.self->config_epoch < e->epoch) c->state.self->config_epoch = e->epoch;
    rules_replace_primary(c);
}
