/* failure.c: who has failed, by the word of the majority, and whether the cluster is sound. */
#include "rules.h"

#define REPORT_TIMEOUTS \
    2                 /* reports live so many node timeouts, and a primary with slots stays failed for that */
#define START_MS 2000 /* a primary that starts waits so long, so that it hears what has changed */
#define REJOIN_LEAST_MS 500
#define REJOIN_MOST_MS 5000

size_t cluster_failure_reports(struct cluster *c, struct cluster_node *n) {
    return cluster_report_count(n, c->now_ms - c->settings.node_timeout_ms * REPORT_TIMEOUTS);
}

void rules_mark_failed(struct cluster *c, struct cluster_node *n) {
    n->flags = (n->flags & ~NODE_PFAIL) | NODE_FAIL;
    n->fail_ms = c->now_ms;
    if (n == c->state.self->primary) c->state.self->flags |= NODE_MY_PRIMARY_FAILS;
    rules_save_later(c, false);
    c->must_look = true;
}

void rules_fail_if_majority(struct cluster *c, struct cluster_node *n) {
    if (!node_is_suspected(n) || node_is_failed(n)) return;
    size_t voices = cluster_failure_reports(c, n) + node_votes(c->state.self);
    if (voices < cluster_majority(&c->state)) return;
    action_log(c, "Marking node %.*s as failing: %zu primaries say so", NODE_ID_ARG(&n->id), voices);
    rules_mark_failed(c, n);
    send_failed_to_all(c, n);
}

void rules_clear_failure(struct cluster *c, struct cluster_node *n) {
    if (node_is_suspected(n)) {
        n->flags &= ~NODE_PFAIL;
        c->must_look = true;
        rules_save_later(c, false);
    }
    if (!node_is_failed(n)) return;
    /* Its replicas get the time to take over; if none did, it is back. */
    bool over = c->now_ms - n->fail_ms > c->settings.node_timeout_ms * REPORT_TIMEOUTS;
    if (node_votes(n) && !over) return;
    n->flags &= ~NODE_FAIL;
    if (n == c->state.self->primary) c->state.self->flags &= ~NODE_MY_PRIMARY_FAILS;
    action_log(c, "Clear FAIL state for node %.*s: it answers again", NODE_ID_ARG(&n->id));
    rules_save_later(c, false);
    c->must_look = true;
}

/* Every slot has an owner that has not failed. */
static bool is_covered(const struct cluster_state *s) {
    if (s->slots_assigned < SLOT_COUNT) return false;
    for (size_t i = 0; i < s->node_count; i++)
        if (node_votes(s->nodes[i]) && node_is_failed(s->nodes[i])) return false;
    return true;
}

static bool majority_is_there(const struct cluster_state *s) {
    size_t reachable = 0;
    for (size_t i = 0; i < s->node_count; i++)
        reachable += node_votes(s->nodes[i]) && !(s->nodes[i]->flags & (NODE_PFAIL | NODE_FAIL));
    return reachable >= cluster_majority(s);
}

/* What nodes.conf says of the others was so before this node stopped: as long as it has not heard the
 * majority, it may have been replaced, and nobody could tell it. */
static bool majority_has_answered(const struct cluster *c) {
    size_t answered = 0;
    for (size_t i = 0; i < c->state.node_count; i++) {
        const struct cluster_node *n = c->state.nodes[i];
        answered += node_votes(n) && (n == c->state.self || n->pong_received_ms > c->began_ms);
    }
    return answered >= cluster_majority(&c->state);
}

static int64_t rejoin_ms(const struct cluster *c) {
    int64_t ms = c->settings.node_timeout_ms;
    return ms < REJOIN_LEAST_MS ? REJOIN_LEAST_MS : ms > REJOIN_MOST_MS ? REJOIN_MOST_MS : ms;
}

void rules_look_at_state(struct cluster *c) {
    bool waits = node_is_primary(c->state.self) && !c->is_sound;
    if (waits && (c->ticks == 0 || c->now_ms - c->began_ms < START_MS)) return;
    bool sound = !c->settings.require_full_coverage || is_covered(&c->state);
    if (!majority_is_there(&c->state) || (waits && !majority_has_answered(c))) {
        sound = false;
        c->minority_ms = c->now_ms;
    }
    if (sound == c->is_sound) return;
    /* A primary that was cut off may have been replaced; it hears of that before it serves again. */
    if (sound && waits && c->minority_ms && c->now_ms - c->minority_ms < rejoin_ms(c)) return;
    c->is_sound = sound;
    action_add(c, ACTION_STATE)->sound = sound;
    action_log(c, "Cluster state changed: %s", sound ? "ok" : "fail");
}
