/* world.h: a cluster in one process: nodes that run the rules, a network between them that may do bad things,
 * disks that keep what was saved, and a clock that jumps from event to event. All chance comes from one seed,
 * so a seed that breaks something does it again in the same way.
 *
 * Replication is a number: a primary's offset grows, its replicas copy it. Keys are a set of slots that have
 * some. What must hold at any time is looked at after each event (invariants.c); what does not, ends the
 * program with the seed and the time. */
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H

#include "trivet/cluster/rules/cluster.h"

#define SIM_NODES_MAX 128
#define SIM_NODE_TIMEOUT_MS 2000

struct world;

struct sim_node {
    struct world *world;
    size_t number;
    struct cluster rules;
    bool up, frozen;
    unsigned life;    /* crashes so far */
    int64_t wakes_ms; /* when it stops being frozen */
    size_t group;     /* nodes of different groups do not hear each other */
    struct buf disk;  /* nodes.conf */
    uint64_t disk_vote_epoch;
    struct node_id id, shard_id;

    uint64_t offset;
    int64_t heard_ms; /* its primary, by replication */
    size_t follows;   /* SIZE_MAX: nobody */
    int64_t paused_until_ms;
    struct slot_set keys;
    bool takes_over; /* without votes: CLUSTER FAILOVER TAKEOVER */

    uint64_t seen_current, seen_vote, seen_config; /* what invariants.c saw last */
};

/* In thousandths of messages. */
struct weather {
    unsigned lost, doubled, late, broken; /* broken: the link ends */
    int64_t delay_most_ms;
};

struct world {
    uint64_t seed, chance[4], events, digest;
    int64_t now_ms;
    struct sim_node nodes[SIM_NODES_MAX];
    size_t count;
    struct weather weather;
    bool verbose;
    struct event *heap;
    size_t heap_count, heap_room;
    struct connection **connections; /* also those that are closed */
    struct map links;
    size_t connection_count, connection_room;
    uint64_t delivered, elections, votes;
    struct ledger *ledger; /* of invariants.c */
};

void world_init(struct world *w, uint64_t seed, size_t count, bool verbose);
void world_release(struct world *w);
uint64_t world_random(struct world *w);
uint64_t world_below(struct world *w, uint64_t bound);
/* Lets time pass. */
void world_run(struct world *w, int64_t ms);
/* Lets time pass until the condition holds; false if that takes longer than `most_ms`. */
bool world_run_until(struct world *w, bool (*holds)(const struct world *w), int64_t most_ms);
/* Does what the rules of that node want, after the test has called them. */
void world_act(struct world *w, struct sim_node *n);

void world_crash(struct world *w, struct sim_node *n);
/* From its disk. */
void world_start(struct world *w, struct sim_node *n);
void world_freeze(struct world *w, struct sim_node *n, int64_t ms);
struct sim_node *world_named(struct world *w, const struct node_id *id); /* NULL: nobody */

/* Says what is wrong, with the seed, and ends the program. */
void world_fail(struct world *w, const char *format, ...) PRINTF_LIKE(2, 3) NORETURN;
void world_say(struct world *w, const char *format, ...) PRINTF_LIKE(2, 3); /* if verbose */

/* ---- invariants.c ---- */

void ledger_init(struct world *w);
void ledger_release(struct world *w);
void ledger_note_vote(struct world *w, struct sim_node *voter, uint64_t epoch);
void ledger_note_winner(struct world *w, struct sim_node *winner, uint64_t epoch);
/* After an event at that node. */
void ledger_look(struct world *w, struct sim_node *n);
/* Everybody is up, sound, knows everybody as working, and all agree whose slots are whose. */
bool world_is_healed(const struct world *w);
/* The first thing that is not so, for a message. */
const char *world_illness(const struct world *w);

#endif
