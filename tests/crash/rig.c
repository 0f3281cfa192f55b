/* rig.c: see rig.h. */
#include "rig.h"
#include "../harness/check.h"
#include "../harness/fail.h"
#include "model.h"
#include "rounds.h"
#include "sentinels.h"
#include <stdio.h>
#include <stdlib.h>

#ifdef TRIVET_SANITIZE
#define ANSWERS_MOST 300
#else
#define ANSWERS_MOST 2500
#endif
#define ANSWERS_LEAST 50
#define EVENTS_MOST 3
#define ROUNDS_THAT_OWE 5 /* in one or two it may be that nobody asked in time */
#define SENTINEL_ROUND 10 /* lasts as long as so many others */

struct rig {
    struct fleet fleet;
    bool aof;
    enum asking asking;
    uint64_t random;
    int lost;       /* replicas that died since all had everything */
    int could_lose; /* rounds */
    size_t owed;    /* in these, by what WAIT and WAITAOF promised */
};

static struct rig rig;

static uint64_t draw(uint64_t below) { return model_random(&rig.random, below); }

static void tell_story(const char *format, ...) {
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    fflush(stdout);
}

static void some_answers(void) { load_await(ANSWERS_LEAST + draw(ANSWERS_MOST)); }

static int primary(void) { return rig.fleet.primary; }

static int some_replica(void) {
    int other = (int)draw(NODES - 1);
    return other < primary() ? other : other + 1;
}

static int other_replica(int replica) { return NODES - primary() - replica; }

static void follow(int node, int of) { fleet_follow(&rig.fleet, node, of, draw(2) == 0); }

static void check(enum owed owed) {
    struct toll toll = load_check(&rig.fleet, owed);
    if (owed != OWED_ALL) rig.owed += toll.owed;
    rig.could_lose += owed != OWED_ALL;
    fleet_await_equal(&rig.fleet);
    tell_story(" (%lu answers, %zu steps owed, %zu lost)\n", load_answers(), toll.owed, toll.lost);
}

/* ---- to replicas, and passing ---- */

static void lag(void) {
    int node = some_replica();
    long ms = 1 + (long)draw(200);
    tell_story("; replica %d stops for %ld ms", node, ms);
    fleet_stop(&rig.fleet, node);
    nap(ms * 1000);
    fleet_resume(&rig.fleet, node);
}

static void hiccup(void) {
    long ms = 1 + (long)draw(100);
    tell_story("; the primary stops for %ld ms", ms);
    fleet_stop(&rig.fleet, primary());
    nap(ms * 1000);
    fleet_resume(&rig.fleet, primary());
}

static void catch_up(void) {
    tell_story(", catches up");
    fleet_await_caught_up(&rig.fleet);
    rig.lost = 0;
}

/* Nobody may follow a node that comes back without its data. */
static void unchain(int from) {
    for (int i = 0; i < NODES; i++)
        if (i != from && i != primary() && rig.fleet.nodes[i].follows == from) follow(i, primary());
}

/* One replica has always all that is owed. */
static void replica_dies(void) {
    int node = some_replica();
    if (rig.lost > 0) catch_up();
    tell_story("; replica %d dies", node);
    fleet_kill(&rig.fleet, node);
    rig.lost = 1;
    if (draw(2) == 0) some_answers();
    unchain(node);
    load_stop_reading(node);
    fleet_revive(&rig.fleet, node);
    follow(node, primary());
    load_read(&rig.fleet, node);
    if (draw(2) == 0) catch_up();
}

static void links_break(void) {
    tell_story("; links break");
    fleet_tell(&rig.fleet, primary(), "CLIENT KILL TYPE replica", ":...");
}

/* It may have had more than the other, and then loses that. */
static void chain(void) {
    int node = some_replica(), other = other_replica(node);
    if (rig.lost > 0) catch_up();
    if (rig.fleet.nodes[other].follows == node) return;
    tell_story("; replica %d follows %d", node, other);
    load_stop_reading(node);
    rig.lost = 1;
    follow(node, other);
    fleet_await_links(&rig.fleet);
    load_read(&rig.fleet, node);
    if (draw(2) == 0) catch_up();
}

/* A replica that was a primary for a moment has a history of its own. */
static void detour(void) {
    int node = some_replica(), of = rig.fleet.nodes[node].follows;
    tell_story("; replica %d follows nobody for a moment", node);
    fleet_follow(&rig.fleet, node, node, false);
    follow(node, of);
}

static void save(void) {
    static const char *const requests[] = { "BGSAVE", "BGREWRITEAOF", "BGSAVE SCHEDULE" };
    const char *request = requests[draw(COUNT_OF(requests))];
    int node = (int)draw(NODES);
    tell_story("; %s on %d", request, node);
    fleet_tell(&rig.fleet, node, request, "...");
}

/* ---- to the primary ---- */

/* Of those that run the one that has most takes over; the others follow it. */
static void fail_over(void) {
    int old = primary();
    fleet_await_orphans(&rig.fleet);
    int best = fleet_most_advanced(&rig.fleet);
    tell_story(", %d takes over", best);
    fleet_promote(&rig.fleet, best, draw(2) == 0);
    for (int i = 0; i < NODES; i++)
        if (i != best && i != old && rig.fleet.nodes[i].state == NODE_RUNS) follow(i, best);
}

static enum owed owed_now(void) { return rig.lost == 0 ? OWED_ONE_COPY : OWED_TWO_COPIES; }

static enum owed primary_dies(void) {
    tell_story("; the primary %d dies", primary());
    fleet_kill(&rig.fleet, primary());
    fail_over();
    load_cut();
    return owed_now();
}

/* It does not know that there is another one, and goes on with its clients. */
static enum owed primary_is_cut_off(void) {
    int old = primary();
    tell_story("; the primary %d stops", old);
    fleet_stop(&rig.fleet, old);
    for (int i = 0; i < NODES; i++)
        if (i != old) fleet_tell(&rig.fleet, i, "CLIENT KILL TYPE master", ":...");
    fail_over();
    fleet_resume(&rig.fleet, old);
    if (draw(2) == 0) some_answers();
    load_note_demotion();
    follow(old, primary());
    load_cut();
    return owed_now();
}

/* The other replica has everything from before it, and asks for more. */
static enum owed primary_dies_while_replica_is_behind(void) {
    int node = some_replica();
    unchain(other_replica(node));
    unchain(node);
    if (rig.lost > 0) catch_up();
    tell_story("; replica %d follows nobody", node);
    follow(node, node);
    fleet_await_caught_up(&rig.fleet);
    some_answers();
    follow(node, primary());
    nap((long)draw(20000));
    return primary_dies();
}

static enum owed primary_and_replica_die(void) {
    int node = some_replica();
    if (rig.lost > 0) catch_up();
    unchain(node);
    tell_story("; the primary %d and %d die", primary(), node);
    fleet_kill(&rig.fleet, node);
    fleet_kill(&rig.fleet, primary());
    fail_over();
    load_cut();
    return OWED_TWO_COPIES;
}

/* The replica that stands still may have more than the one that takes over. */
static enum owed primary_dies_while_replica_is_stopped(void) {
    int node = some_replica();
    if (rig.lost > 0) catch_up();
    unchain(node);
    if (rig.fleet.nodes[node].follows != primary()) follow(node, primary());
    load_stop_reading(node);
    tell_story("; replica %d stops", node);
    fleet_stop(&rig.fleet, node);
    some_answers();
    tell_story("; the primary %d dies", primary());
    fleet_kill(&rig.fleet, primary());
    fail_over();
    fleet_resume(&rig.fleet, node);
    load_cut();
    return OWED_TWO_COPIES;
}

static enum owed planned_failover(void) {
    int old = primary(), node = some_replica();
    for (int i = 0; i < NODES; i++) unchain(i);
    fleet_await_links(&rig.fleet);
    tell_story("; %d hands over to %d", old, node);
    char command[64];
    snprintf(command, sizeof command, "FAILOVER TO 127.0.0.1 %d", server_port(rig.fleet.nodes[node].server));
    load_note_demotion();
    fleet_tell(&rig.fleet, old, command, "+OK");
    fleet_await_role(&rig.fleet, node, "master");
    fleet_await_role(&rig.fleet, old, "slave");
    rig.fleet.primary = rig.fleet.nodes[node].follows = node;
    rig.fleet.nodes[old].follows = node;
    follow(NODES - old - node, node);
    load_cut();
    return OWED_ALL;
}

static enum owed nothing_happens(void) {
    tell_story("; all live");
    load_finish();
    return OWED_ALL;
}

/* With an AOF. */
static enum owed primary_dies_and_comes_back(void) {
    tell_story("; the primary %d dies and comes back", primary());
    fleet_kill(&rig.fleet, primary());
    load_cut();
    fleet_revive(&rig.fleet, primary());
    fleet_follow(&rig.fleet, primary(), primary(), false);
    return OWED_ALL;
}

static enum owed all_die(void) {
    int old = primary(), next = rig.asking == ASKS_WAITAOF ? (int)draw(NODES) : old;
    int from = (int)draw(NODES);
    tell_story("; all die, and %d is the primary", next);
    for (int i = 0; i < NODES; i++) fleet_kill(&rig.fleet, (from + i) % NODES);
    load_cut();
    for (int i = 0; i < NODES; i++) {
        fleet_revive(&rig.fleet, i);
        fleet_follow(&rig.fleet, i, i, false);
    }
    fleet_promote(&rig.fleet, next, false);
    return next == old ? OWED_ALL : OWED_TWO_COPIES;
}

/* ---- with Sentinels ---- */

/* They choose by what INFO said up to a second before, so one copy may be the wrong one. What is promised by
 * two is there. */
static void play_sentinel_round(void) {
    int old = primary();
    bool dies = draw(2) == 0;
    load_start(&rig.fleet);
    some_answers();
    for (int i = 0; i < NODES; i++) load_stop_reading(i);
    tell_story("; the primary %d %s", old, dies ? "dies" : "stops");
    if (dies)
        fleet_kill(&rig.fleet, old);
    else
        fleet_stop(&rig.fleet, old);
    int next = sentinels_await_failover(&rig.fleet, old);
    tell_story(", %d takes over", next);
    load_note_demotion();
    fleet_revive(&rig.fleet, old);
    fleet_await_followers(&rig.fleet, next);
    load_cut();
    check(OWED_TWO_COPIES);
    sentinels_await_calm(&rig.fleet);
}

/* ---- a round ---- */

/* How the replicas are synchronized, and how much of the stream is kept. */
static void draw_settings(void) {
    static const char *const loads[] = { "disabled", "swapdb", "on-empty-db" };
    static const char *const backlogs[] = { "16kb", "100kb", "1mb", "10mb" };
    char command[256];
    snprintf(command, sizeof command,
             "CONFIG SET repl-diskless-sync %s repl-diskless-load %s repl-backlog-size %s appendfsync %s",
             draw(2) ? "yes" : "no", loads[draw(COUNT_OF(loads))], backlogs[draw(COUNT_OF(backlogs))],
             draw(2) ? "always" : "everysec");
    for (int i = 0; i < NODES; i++) fleet_tell(&rig.fleet, i, command, "+OK");
}

static void some_event(void) {
    static void (*const events[])(void) = { lag,         hiccup, replica_dies, replica_dies,
                                            links_break, chain,  detour,       save };
    events[draw(COUNT_OF(events))]();
    some_answers();
}

static enum owed some_end(void) {
    static enum owed (*const ends[])(
        void) = { nothing_happens, primary_dies, primary_dies_while_replica_is_behind, primary_is_cut_off,
                  primary_and_replica_die, primary_dies_while_replica_is_stopped, planned_failover,
                  /* with an AOF */
                  primary_dies_and_comes_back, all_die, all_die };
    return ends[draw(rig.aof ? COUNT_OF(ends) : 7)]();
}

static void heal(void) {
    for (int i = 0; i < NODES; i++) fleet_revive(&rig.fleet, i);
    for (int i = 0; i < NODES; i++)
        if (i != primary()) follow(i, primary());
    fleet_await_links(&rig.fleet);
}

static void play_round(void) {
    draw_settings();
    rig.lost = 0;
    load_start(&rig.fleet);
    some_answers();
    for (uint64_t i = draw(EVENTS_MOST + 1); i > 0; i--) some_event();
    enum owed owed = some_end();
    heal();
    check(owed);
}

static const char *wish(const char *variable, const char *usual) {
    const char *said = getenv(variable);
    return said && *said ? said : usual;
}

void rig_run(const struct rig_plan *plan) {
    const char *const args[] = { "--appendonly", plan->aof ? "yes" : "no", "--repl-diskless-sync-delay", "0",
                                 NULL };
    const struct fleet_plan fleet = { wish("TRIVET_NODES", plan->kinds), args };
    uint64_t seed = strtoull(wish("TRIVET_SEED", "1000"), NULL, 10);
    int rounds = rounds_wanted(plan->rounds * (plan->sentinels ? SENTINEL_ROUND : 1));
    if (plan->sentinels) rounds = (rounds + SENTINEL_ROUND - 1) / SENTINEL_ROUND;
    fleet_start(&rig.fleet, &fleet);
    rig.aof = plan->aof;
    rig.could_lose = 0;
    rig.owed = 0;
    rig.asking = plan->aof && !fleet_is_redis(&rig.fleet) ? ASKS_WAITAOF : ASKS_WAIT;
    load_begin(rig.asking, seed * 2 + 1);
    if (plan->sentinels) sentinels_start(&rig.fleet);
    for (int i = 1; i <= rounds; i++, seed++) {
        tell_story("%s, round %d of %d, seed %llu: %d leads", plan->name, i, rounds, (unsigned long long)seed,
                   primary());
        rig.random = seed * 0x9e3779b97f4a7c15u | 1;
        for (int k = 0; k < 20; k++) (void)draw(2); /* or seeds that are close would begin alike */
        if (plan->sentinels)
            play_sentinel_round();
        else
            play_round();
    }
    if (rig.could_lose >= ROUNDS_THAT_OWE && rig.owed == 0) HARNESS_FAIL("in no round was anything promised");
    if (plan->sentinels) sentinels_free();
    fleet_free(&rig.fleet);
}
