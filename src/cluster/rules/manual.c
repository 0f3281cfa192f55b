/* manual.c: a replica takes over because somebody wants it to. Agreed upon, no write is lost: the primary
 * holds writes back and tells its offset, and the replica waits until it has everything. */
#include "rules.h"

#define ASK_EVERY_MS 1000
#define PAUSE_TIMEOUTS 2 /* so that the primary still waits when it hears of a replica that won late */

void manual_reset(struct cluster *c) {
    if (c->manual.end_ms && c->manual.replica) action_add(c, ACTION_RESUME);
    c->manual = (struct manual_failover){ 0 };
}

/* Who asks again may have the offset already: writes stay held all the time. */
void manual_begin_at_primary(struct cluster *c, struct cluster_node *replica) {
    if (replica->primary != c->state.self) return;
    bool again = c->manual.end_ms && c->manual.replica == replica;
    if (!again) manual_reset(c);
    c->manual.end_ms = c->now_ms + c->settings.manual_failover_timeout_ms * PAUSE_TIMEOUTS;
    c->manual.replica = replica;
    action_add(c, ACTION_PAUSE)->until_ms = c->manual.end_ms - c->ahead_ms;
    if (again) return;
    action_log(c, "Manual failover requested by replica %.*s", NODE_ID_ARG(&replica->id));
}

static void tell_offset(struct cluster *c) {
    const struct manual_failover *f = &c->manual;
    if (f->held && f->replica->link_is_open) send_ping(c, f->replica, MESSAGE_PING);
}

void cluster_writes_held(struct cluster *c, int64_t now_ms) {
    rules_begin(c, now_ms);
    if (c->manual.end_ms && c->manual.replica) {
        c->manual.held = true;
        tell_offset(c);
    }
    rules_finish(c);
}

void manual_take_offset(struct cluster *c, struct cluster_node *sender, const struct message *m) {
    struct manual_failover *f = &c->manual;
    if (!(m->header.message_flags[0] & MESSAGE_PAUSED) || !f->end_ms || f->can_start || f->knows_offset)
        return;
    if (node_is_primary(c->state.self) || sender != c->state.self->primary) return;
    f->knows_offset = true;
    f->offset = m->header.offset;
    manual_step(c);
}

/* Again and again: the primary may not have heard yet that this node is its replica. */
static void ask_for_offset(struct cluster *c) {
    struct manual_failover *f = &c->manual;
    if (c->now_ms < f->ask_ms || !c->state.self->primary) return;
    f->ask_ms = c->now_ms + ASK_EVERY_MS;
    send_plain(c, c->state.self->primary, MESSAGE_MFSTART);
}

void manual_step(struct cluster *c) {
    struct manual_failover *f = &c->manual;
    if (!f->end_ms) return;
    if (c->now_ms > f->end_ms) {
        action_log(c, "Manual failover was not done in time");
        if (!f->replica) c->election = (struct cluster_election){ 0 };
        manual_reset(c);
        return;
    }
    if (f->replica) {
        tell_offset(c);
        return;
    }
    if (f->can_start) return;
    if (!f->knows_offset) {
        ask_for_offset(c);
        return;
    }
    if (c->hooks.offset(c->hooks.arg) != f->offset) return;
    f->can_start = true;
    c->election = (struct cluster_election){ 0 };
    rules_lead_election(c);
}

/* ---- CLUSTER FAILOVER ---- */

const char *cluster_failover(struct cluster *c, enum cluster_failover way, int64_t now_ms) {
    struct cluster_node *self = c->state.self;
    if (!node_is_replica(self)) return "You should send CLUSTER FAILOVER to a replica";
    if (!self->primary) return "I'm a replica but my master is unknown to me";
    if (way == FAILOVER_AGREED && (node_is_failed(self->primary) || !self->primary->link_is_open))
        return "Master is down or failed, please use CLUSTER FAILOVER FORCE";
    rules_begin(c, now_ms);
    manual_reset(c);
    c->election = (struct cluster_election){ 0 };
    if (way == FAILOVER_TAKEOVER) {
        action_log(c, "Taking over from the primary without votes");
        (void)rules_bump_epoch(c);
        rules_replace_primary(c);
    } else {
        c->manual.end_ms = c->now_ms + c->settings.manual_failover_timeout_ms;
        c->manual.can_start = way == FAILOVER_FORCE;
        if (way == FAILOVER_FORCE)
            rules_lead_election(c);
        else
            ask_for_offset(c);
    }
    rules_finish(c);
    return NULL;
}
