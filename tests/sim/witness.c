/* witness.c: who has said what of whom, noted from the packets themselves, and whether what a node believes
 * of others follows from that.
 *
 * - Suspected: nothing was heard of it for longer than the node timeout.
 * - Failed: a majority of the primaries with slots said so inside of two node timeouts, where the node's own
 *   suspicion counts if it is one; or a FAIL message came from somebody who held it for failed; or another
 *   node answers at its address. */
#include "trivet/base/mem.h"
#include "world.h"
#include <inttypes.h>

struct witness {
    int64_t *said_ms; /* by observer, subject and reporter, in the observer's time; 0: never, or withdrawn */
    struct node_id failed_now; /* by a FAIL message that has just come */
};

void witness_init(struct world *w) {
    w->witness = mem_alloc_zero(sizeof *w->witness);
    w->witness->said_ms = mem_alloc_zero(w->count * w->count * w->count * sizeof(int64_t));
}

void witness_release(struct world *w) {
    mem_free(w->witness->said_ms);
    mem_free(w->witness);
}

static int64_t *said(const struct world *w, size_t observer, size_t subject, size_t reporter) {
    return &w->witness->said_ms[(observer * w->count + subject) * w->count + reporter];
}

/* ---- what comes in ---- */

static void note_gossip(struct world *w, struct sim_node *n, const struct sim_node *sender,
                        const struct message *m) {
    for (unsigned i = 0; i < m->gossip_count; i++) {
        struct gossip g = gossip_at(m, i);
        struct sim_node *about = world_told(w, &g.id, g.cport);
        if (!about || about == n) continue;
        bool fails = (g.flags & (NODE_PFAIL | NODE_FAIL)) != 0;
        *said(w, n->number, about->number, sender->number) = fails ? n->rules.now_ms : 0;
    }
}

void witness_note(struct world *w, struct sim_node *n, const struct message *m, uint64_t link,
                  bool outbound) {
    const struct cluster_node *known = cluster_node_find(&n->rules.state, &m->header.sender);
    struct sim_node *sender = world_named(w, &m->header.sender);
    w->witness->failed_now = (struct node_id){ { 0 } };
    if (!known || !sender || node_is_in_handshake(known)) return;
    n->heard_of_ms[sender->number] = n->rules.now_ms;
    if (m->header.type == MESSAGE_FAIL) w->witness->failed_now = m->about;
    if (m->header.type <= MESSAGE_MEET && (!outbound || known->link == link)) note_gossip(w, n, sender, m);
}

void witness_note_sent(struct world *w, struct sim_node *n, const struct message *m) {
    if (m->header.type != MESSAGE_FAIL) return;
    const struct cluster_node *about = cluster_node_find(&n->rules.state, &m->about);
    if (!about || !node_is_failed(about))
        world_fail(w, "node %zu says that %.6s has failed, and does not hold it for that", n->number,
                   m->about.text);
}

/* What its file says is where it begins. */
void witness_note_start(struct world *w, struct sim_node *n) {
    for (size_t i = 0; i < w->count; i++) {
        n->seen_failed[i] = n->seen_suspected[i] = false;
        n->heard_of_ms[i] = 0;
        for (size_t k = 0; k < w->count; k++) *said(w, n->number, i, k) = 0;
    }
    for (size_t i = 0; i < n->rules.state.node_count; i++) {
        const struct cluster_node *known = n->rules.state.nodes[i];
        struct sim_node *real = world_real(w, known);
        if (!real) continue;
        n->seen_failed[real->number] = node_is_failed(known);
        n->seen_suspected[real->number] = node_is_suspected(known);
    }
}

/* ---- what is believed ---- */

static bool is_by_majority(const struct world *w, const struct sim_node *n, size_t about) {
    const struct cluster_state *s = &n->rules.state;
    size_t voices = node_votes(s->self);
    for (size_t i = 0; i < s->node_count; i++) {
        const struct cluster_node *reporter = s->nodes[i];
        size_t place = reporter->cport - 1u; /* it may have lost its name since */
        if (place >= w->count || reporter == s->self || !node_votes(reporter)) continue;
        int64_t at_ms = *said(w, n->number, about, place);
        voices += at_ms > 0 && n->rules.now_ms - at_ms <= 2 * SIM_NODE_TIMEOUT_MS;
    }
    return voices >= cluster_majority(s);
}

static void look_at(struct world *w, struct sim_node *n, const struct cluster_node *known, size_t about) {
    bool failed = node_is_failed(known), suspected = node_is_suspected(known);
    int64_t silent_ms = n->rules.now_ms - n->heard_of_ms[about];
    if (suspected && !n->seen_suspected[about] && silent_ms <= SIM_NODE_TIMEOUT_MS)
        world_fail(w, "node %zu suspects %zu, which it heard %" PRId64 " ms ago", n->number, about,
                   silent_ms);
    bool is_new = failed && !n->seen_failed[about] && !(known->flags & NODE_NOADDR);
    if (is_new && !node_id_equal(&w->witness->failed_now, &known->id) && !is_by_majority(w, n, about))
        world_fail(w, "node %zu holds %zu for failed without a majority", n->number, about);
    n->seen_failed[about] = failed;
    n->seen_suspected[about] = suspected;
}

void witness_look(struct world *w, struct sim_node *n) {
    for (size_t i = 0; i < n->rules.state.node_count; i++) {
        const struct cluster_node *known = n->rules.state.nodes[i];
        struct sim_node *real = known == n->rules.state.self ? NULL : world_real(w, known);
        if (real) look_at(w, n, known, real->number);
    }
    w->witness->failed_now = (struct node_id){ { 0 } };
}
