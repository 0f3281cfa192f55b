/* trouble.c: see trouble.h. */
#include "trouble.h"
#include <inttypes.h>

#define REPAIRS_MOST 8
#define REPAIR_MS 3000
#define CANDIDATES_MOST_MS 60000
#define CLOCK_JUMP_MOST_MS 3600000
#define WIPES_ONE_IN 4 /* nodes */

/* ---- whom it hits ---- */

struct sim_node *some_node(struct world *w) {
    return &w->nodes[world_below(w, w->count)];
}

static bool is_working(const struct sim_node *n) { return n->up && !n->frozen; }

struct sim_node *some_primary(struct world *w) {
    for (size_t tries = 0; tries < 4 * w->count; tries++) {
        struct sim_node *n = some_node(w);
        if (is_working(n) && node_votes(n->rules.state.self)) return n;
    }
    return NULL;
}

struct sim_node *some_replica(struct world *w) {
    for (size_t tries = 0; tries < 4 * w->count; tries++) {
        struct sim_node *n = some_node(w);
        if (is_working(n) && node_is_replica(n->rules.state.self)) return n;
    }
    return NULL;
}

/* ---- faults ---- */

/* Perhaps in the middle of what it was about to do. */
static void crash_some(struct world *w) {
    struct sim_node *n = some_node(w);
    if (!is_working(n)) return;
    if (world_below(w, 2))
        world_crash(w, n);
    else
        n->dies_after = 1 + (unsigned)world_below(w, 20);
}

static void start_some(struct world *w) {
    for (size_t i = 0; i < w->count; i++)
        if (!w->nodes[i].up && world_below(w, 2)) world_start(w, &w->nodes[i]);
}

static void wipe_some(struct world *w) {
    struct sim_node *n = some_node(w);
    if (w->dead_count >= w->count / WIPES_ONE_IN) return;
    if (is_working(n)) world_crash(w, n);
    if (!n->up) world_wipe(w, n);
}

static void freeze_some(struct world *w) {
    struct sim_node *n = some_node(w);
    if (is_working(n)) world_freeze(w, n, 100 + (int64_t)world_below(w, 3 * SIM_NODE_TIMEOUT_MS));
}

static void disturb_a_clock(struct world *w) {
    struct sim_node *n = some_node(w);
    static const int64_t rates[] = { 1000, 1000, 700, 900, 1100, 1500 };
    int64_t by_ms = (int64_t)world_below(w, 2 * CLOCK_JUMP_MOST_MS) - CLOCK_JUMP_MOST_MS;
    world_set_clock(w, n, world_below(w, 2) ? by_ms : by_ms / 1000, rates[world_below(w, COUNT_OF(rates))]);
}

static void cut_the_network(struct world *w) {
    uint64_t one_in = 2 + world_below(w, 3);
    world_say(w, "the network is cut");
    for (size_t i = 0; i < w->count; i++) w->nodes[i].group = world_below(w, one_in) == 0;
}

/* One does not hear some others, who hear it. */
static void deafen_some(struct world *w) {
    struct sim_node *n = some_node(w);
    uint64_t one_in = 1 + world_below(w, 3);
    bool out = world_below(w, 2);
    world_say(w, "node %zu %s", n->number, out ? "is not heard by some" : "does not hear some");
    for (size_t i = 0; i < w->count; i++)
        if (world_below(w, one_in) == 0) *(out ? &w->deaf[i][n->number] : &w->deaf[n->number][i]) = true;
}

static void join_the_network(struct world *w) {
    world_say(w, "the network is whole");
    for (size_t i = 0; i < w->count; i++) w->nodes[i].group = 0;
    memset(w->deaf, 0, sizeof w->deaf);
}

static void change_weather(struct world *w) {
    static const struct weather weathers[] = {
        { .delay_most_ms = 5 },
        { .delay_most_ms = 300 },
        { .delay_most_ms = 50, .lost = 100 },
        { .delay_most_ms = 50, .doubled = 200, .late = 100 },
        { .delay_most_ms = 100, .lost = 50, .doubled = 50, .late = 50, .broken = 5 },
        { .delay_most_ms = 1000, .late = 300 },
    };
    size_t which = world_below(w, COUNT_OF(weathers));
    world_say(w, "weather %zu", which);
    w->weather = weathers[which];
}

/* ---- operators ---- */

void operator_fails_over(struct world *w, struct sim_node *n, enum cluster_failover way) {
    const struct cluster_node *primary = n->rules.state.self->primary;
    struct sim_node *before = primary ? world_real(w, primary) : NULL;
    world_say(w, "failover %d at node %zu", way, n->number);
    n->handover = (struct handover){ 0 };
    if (way == FAILOVER_AGREED && before && before->up)
        n->handover = (struct handover){ .asked = true, .from = before->number, .life = before->life };
    n->leads_unasked = way == FAILOVER_TAKEOVER;
    (void)cluster_failover(&n->rules, way, world_clock(w, n));
    world_reply(w, n);
    n->leads_unasked = false;
}

static void fail_over_some(struct world *w) {
    struct sim_node *n = some_replica(w);
    if (n) operator_fails_over(w, n, world_below(w, 2) ? FAILOVER_AGREED : FAILOVER_FORCE);
}

static const char *set_slot(struct world *w, struct sim_node *n, unsigned slot, enum slot_way way,
                            const struct node_id *other) {
    struct slot_step step = { .slot = slot, .way = way };
    if (other) step.node = *other;
    return cluster_set_slot(&n->rules, &step, world_clock(w, n));
}

static void give_slot_at(struct world *w, struct sim_node *n, unsigned slot, const struct node_id *owner) {
    const char *error = set_slot(w, n, slot, SLOT_GOES_TO, owner);
    if (error) world_say(w, "SETSLOT NODE at %zu: %s", n->number, error);
    world_reply(w, n);
}

static void open_slot_at(struct world *w, struct sim_node *n, unsigned slot, bool importing,
                         const struct node_id *other) {
    const char *error = set_slot(w, n, slot, importing ? SLOT_IMPORTS : SLOT_MIGRATES, other);
    if (error) world_say(w, "SETSLOT at %zu: %s", n->number, error);
    world_reply(w, n);
}

void operator_moves_slot(struct world *w, struct sim_node *from, struct sim_node *to, bool whole) {
    if (!from || !to || from == to) return;
    unsigned slot = slot_set_next(&from->rules.state.self->slots, 0);
    world_say(w, "slot %u moves from %zu to %zu", slot, from->number, to->number);
    open_slot_at(w, to, slot, true, &from->id);
    if (is_working(from)) open_slot_at(w, from, slot, false, &to->id);
    world_run(w, (int64_t)world_below(w, 1000));
    if (!is_working(from) || !is_working(to)) return;
    bool moves = cluster_slot_importing(&to->rules.state, slot) && from->rules.state.owners[slot] &&
                 from->rules.state.owners[slot] == from->rules.state.self;
    if (!moves) return;
    if (slot_set_has(&from->keys, slot)) {
        if (!set_slot(w, from, slot, SLOT_GOES_TO, &to->id)) world_fail(w, "a slot with keys was given away");
        slot_set_remove(&from->keys, slot);
        slot_set_add(&to->keys, slot);
    }
    give_slot_at(w, to, slot, &to->id);
    if (is_working(from) && (whole || world_below(w, 2))) give_slot_at(w, from, slot, &to->id);
}

static void move_some_slot(struct world *w) {
    operator_moves_slot(w, some_primary(w), some_primary(w), false);
}

/* One that has slots would leave them to nobody: that is an operator's mistake, not a fault. */
static void forget_some(struct world *w) {
    struct sim_node *by = some_node(w), *n = some_replica(w);
    if (!n || !is_working(by) || by == n) return;
    world_say(w, "node %zu forgets %zu", by->number, n->number);
    (void)cluster_forget(&by->rules, &n->id, world_clock(w, by));
    world_reply(w, by);
}

static void reset_some(struct world *w) {
    struct sim_node *n = some_replica(w);
    bool hard = world_below(w, 2);
    struct node_id id, shard;
    if (!n || (hard && w->dead_count >= w->count / WIPES_ONE_IN)) return;
    world_say(w, "node %zu is reset%s", n->number, hard ? " hard" : "");
    world_random_id(w, &id);
    world_random_id(w, &shard);
    if (hard) world_rename(w, n, &id);
    n->leads_unasked = true;
    cluster_reset(&n->rules, hard ? &id : NULL, &shard, world_clock(w, n));
    if (hard) n->synced_vote = n->synced_epoch = n->voted_epoch = 0;
    ledger_note_start(w, n);
    n->keys = (struct slot_set){ { 0 } };
    n->offset = 0;
    world_reply(w, n);
    n->leads_unasked = false;
}

void trouble_make(struct world *w) {
    static void (*const kinds[])(struct world *) = {
        crash_some,     crash_some,     start_some,     freeze_some,     cut_the_network,
        deafen_some,    deafen_some,    join_the_network, change_weather, fail_over_some,
        fail_over_some, move_some_slot, move_some_slot, disturb_a_clock, wipe_some,
        forget_some,    reset_some,
    };
    w->troubled = true;
    kinds[world_below(w, COUNT_OF(kinds))](w);
}

void trouble_end(struct world *w) {
    join_the_network(w);
    w->weather = (struct weather){ .delay_most_ms = 5 };
    for (size_t i = 0; i < w->count; i++) {
        w->nodes[i].dies_after = 0;
        if (w->nodes[i].clock.rate != 1000) world_set_clock(w, &w->nodes[i], 0, 1000);
    }
    world_run(w, 4 * SIM_NODE_TIMEOUT_MS); /* those that hang go on */
    for (size_t i = 0; i < w->count; i++)
        if (!w->nodes[i].up) world_start(w, &w->nodes[i]);
}

/* ---- setting it right ---- */

static bool has_majority(const struct world *w, const struct sim_node *n) {
    const struct cluster_state *s = &n->rules.state;
    size_t there = 0;
    for (size_t i = 0; i < s->node_count; i++) {
        struct sim_node *real = world_real(w, s->nodes[i]);
        there += real && node_votes(s->nodes[i]) && node_votes(real->rules.state.self);
    }
    return there >= cluster_majority(s);
}

/* Its primary has slots and will not come back. */
static bool is_candidate(const struct world *w, const struct sim_node *n) {
    const struct cluster_node *primary = n->rules.state.self->primary;
    return primary && node_votes(primary) && !world_real(w, primary);
}

static const struct sim_node *waiting_candidate(const struct world *w) {
    for (size_t i = 0; i < w->count; i++)
        if (is_candidate(w, &w->nodes[i])) return &w->nodes[i];
    return NULL;
}

static bool nobody_waits(const struct world *w) { return !waiting_candidate(w); }

/* Whoever may stand for election has done so; the others are told to. */
static void replace_primaries(struct world *w) {
    (void)world_run_until(w, nobody_waits, CANDIDATES_MOST_MS);
    for (size_t i = 0; i < w->count; i++) {
        struct sim_node *n = &w->nodes[i];
        if (!is_candidate(w, n)) continue;
        if (n->validity_factor == 0 && has_majority(w, n))
            world_fail(w, "node %zu lives and has not replaced its primary", n->number);
        operator_fails_over(w, n, FAILOVER_TAKEOVER);
        world_run(w, REPAIR_MS);
    }
}

static void forget_dead_names(struct world *w) {
    for (size_t i = 0; i < w->count; i++) {
        struct sim_node *n = &w->nodes[i];
        for (size_t k = 0; k < w->dead_count; k++) {
            if (!cluster_node_find(&n->rules.state, &w->dead_names[k])) continue;
            const char *error = cluster_forget(&n->rules, &w->dead_names[k], world_clock(w, n));
            if (error) world_say(w, "FORGET at %zu: %s", i, error);
            world_reply(w, n);
        }
    }
}

/* Those that nobody knows greet a primary with slots. */
static void meet_the_lonely(struct world *w) {
    struct sim_node *at = some_primary(w);
    for (size_t i = 0; at && i < w->count; i++) {
        struct sim_node *n = &w->nodes[i];
        if (n == at ||
            (cluster_node_find(&at->rules.state, &n->id) && cluster_node_find(&n->rules.state, &at->id)))
            continue;
        (void)cluster_meet(&n->rules, LIT("10.0.0.1"), (uint16_t)(at->number + 1), (uint16_t)(at->number + 1),
                           world_clock(w, n));
        world_reply(w, n);
    }
}

/* Tools tell primaries, who tell their replicas: one may have a slot open that it took as a primary, before a
 * crash. */
static void close_slots(struct world *w, struct sim_node *n) {
    while (n->rules.state.open_count > 0) {
        struct slot_step step = { .slot = n->rules.state.open[0].slot,
                                  .way = SLOT_IS_STABLE,
                                  .by_primary = node_is_replica(n->rules.state.self) };
        const char *error = cluster_set_slot(&n->rules, &step, world_clock(w, n));
        if (error) world_fail(w, "SETSLOT STABLE at %zu: %s", n->number, error);
        world_reply(w, n);
    }
}

/* A replica of somebody without slots gets another primary. */
static void attach(struct world *w, struct sim_node *n) {
    const struct cluster_node *self = n->rules.state.self;
    struct sim_node *primary = some_primary(w);
    if (!node_is_replica(self) || (self->primary && node_votes(self->primary)) || !primary) return;
    const char *error = cluster_replicate(&n->rules, &primary->id, true, world_clock(w, n));
    world_say(w, "REPLICATE at %zu: %s", n->number, error ? error : "OK");
    world_reply(w, n);
}

/* As redis-cli --cluster fix: slots without an owner get one, in a new epoch. */
static void cover_slots(struct world *w) {
    struct sim_node *at = some_primary(w);
    struct slot_set none = { { 0 } };
    uint64_t epoch;
    if (!at) at = &w->nodes[0];
    for (unsigned slot = 0; slot < SLOT_COUNT; slot++)
        if (!at->rules.state.owners[slot]) slot_set_add(&none, slot);
    if (slot_set_count(&none) == 0) return;
    world_say(w, "node %zu gets %u slots of nobody", at->number, slot_set_count(&none));
    const char *error = cluster_add_slots(&at->rules, &none, world_clock(w, at));
    if (error) world_fail(w, "ADDSLOTS at %zu: %s", at->number, error);
    (void)cluster_bump_epoch(&at->rules, &epoch, world_clock(w, at));
    world_reply(w, at);
}

/* A move that was broken off may have left them open, however well all else is. */
static void close_all_slots(struct world *w) {
    for (size_t i = 0; i < w->count; i++) close_slots(w, &w->nodes[i]);
}

void trouble_repair(struct world *w) {
    replace_primaries(w);
    close_all_slots(w);
    for (int round = 0; round < REPAIRS_MOST && !world_is_healed(w); round++) {
        forget_dead_names(w);
        meet_the_lonely(w);
        world_run(w, REPAIR_MS);
        close_all_slots(w);
        for (size_t i = 0; i < w->count; i++) attach(w, &w->nodes[i]);
        cover_slots(w);
        world_run(w, REPAIR_MS);
    }
    w->troubled = false;
}
