/* world.h: a cluster in one process: nodes that run the rules, a network between them that may do bad things,
 * disks that forget in a crash what was not synced, and a time that jumps from event to event, which the
 * nodes see through clocks of their own. All chance comes from one seed, so a seed that breaks something does
 * it again in the same way.
 *
 * Replication is a number: a primary's offset grows, its replicas copy it. Keys are a set of slots that have
 * some. What must hold at any time is looked at after each event (invariants.c, witness.c); what does not,
 * ends the program with the seed and the time. */
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H

#include "trivet/cluster/rules/cluster.h"

#define SIM_NODES_MAX 128
#define SIM_NODE_TIMEOUT_MS 2000

struct world;

/* What a node shows is `shown_ms` at the time `since_ms`, and goes on by `rate` thousandths. */
struct sim_clock {
    int64_t since_ms, shown_ms, rate;
};

/* The last AUTH_REQUEST of a node. */
struct request {
    uint64_t epoch, config_epoch;
    bool forced;
    struct slot_set slots;
};

/* Of CLUSTER FAILOVER with the primary's consent, at the replica; and at the primary, what was handed over.
 */
struct handover {
    bool asked;
    size_t from; /* number and life of the primary */
    unsigned life;
    bool given;
    uint64_t offset;
    int64_t until_ms; /* the pause */
};

struct sim_node {
    struct world *world;
    size_t number;
    struct map_link by_name;
    struct cluster rules;
    bool up, frozen;
    unsigned life;    /* crashes so far */
    int64_t wakes_ms; /* when it stops being frozen */
    size_t group;     /* nodes of different groups do not hear each other */
    struct sim_clock clock;
    bool had_clock_trouble;
    unsigned dies_after;     /* so many actions, 0: not; the others of that call are not done */
    struct buf disk, synced; /* nodes.conf: as it was written, and what of it a crash cannot take away */
    uint64_t synced_vote, synced_epoch;
    struct node_id id, shard_id;
    int64_t validity_factor;

    uint64_t offset;
    int64_t heard_ms;        /* its primary, by replication */
    size_t follows;          /* SIZE_MAX: nobody */
    int64_t paused_until_ms; /* by its own clock */
    struct slot_set keys;
    bool leads_unasked; /* without votes: CLUSTER FAILOVER TAKEOVER, or CLUSTER RESET of a replica */
    struct request request;
    struct handover handover;

    uint64_t seen_current, seen_vote, seen_config; /* what invariants.c saw last */
    uint64_t voted_epoch;                          /* the last vote that was sent */
    bool seen_failed[SIM_NODES_MAX], seen_suspected[SIM_NODES_MAX];
    int64_t heard_of_ms[SIM_NODES_MAX]; /* the last packet of each */
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
    bool deaf[SIM_NODES_MAX][SIM_NODES_MAX]; /* the first does not hear the second */
    struct map names;
    struct node_id *dead_names; /* of nodes that have another one now */
    size_t dead_count, dead_room;
    bool troubled; /* from the first trouble to the end of the repair: who takes an epoch may not know of
                      others */
    bool covered;  /* there is a reason for every slot to have an owner in the eyes of each node */
    bool verbose;
    struct event *heap;
    size_t heap_count, heap_room;
    struct connection **connections; /* also those that are closed */
    struct map links;
    size_t connection_count, connection_room;
    uint64_t delivered, elections, votes;
    struct ledger *ledger;   /* of invariants.c */
    struct witness *witness; /* of witness.c */
};

void world_init(struct world *w, uint64_t seed, size_t count, bool verbose);
void world_release(struct world *w);
uint64_t world_random(struct world *w);
uint64_t world_below(struct world *w, uint64_t bound);
/* Lets time pass. */
void world_run(struct world *w, int64_t ms);
/* Lets time pass until the condition holds; false if that takes longer than `most_ms`. */
bool world_run_until(struct world *w, bool (*holds)(const struct world *w), int64_t most_ms);
/* Does what the rules of that node want. */
void world_act(struct world *w, struct sim_node *n);
/* The same after a command, whose reply is a promise: what it changed is on the disk. */
void world_reply(struct world *w, struct sim_node *n);

void world_crash(struct world *w, struct sim_node *n);
/* From its disk; with an empty one, as a new node. */
void world_start(struct world *w, struct sim_node *n);
/* Its disk is lost, and it gets another name. It must be down. */
void world_wipe(struct world *w, struct sim_node *n);
/* It was given another name. */
void world_rename(struct world *w, struct sim_node *n, const struct node_id *id);
void world_random_id(struct world *w, struct node_id *id);
void world_freeze(struct world *w, struct sim_node *n, int64_t ms);
struct sim_node *world_named(const struct world *w, const struct node_id *id); /* NULL: nobody */
/* The same for whom a bus port was told, which is quicker. */
struct sim_node *world_told(const struct world *w, const struct node_id *id, uint16_t cport);
static inline struct sim_node *world_real(const struct world *w, const struct cluster_node *known) {
    return world_told(w, &known->id, known->cport);
}
/* What its clock shows. */
int64_t world_clock(const struct world *w, const struct sim_node *n);
/* Puts its clock forward or back, and makes it run at so many thousandths. */
void world_set_clock(struct world *w, struct sim_node *n, int64_t by_ms, int64_t rate);

/* Says what is wrong, with the seed, and ends the program. */
void world_fail(struct world *w, const char *format, ...) PRINTF_LIKE(2, 3) NORETURN;
void world_say(struct world *w, const char *format, ...) PRINTF_LIKE(2, 3); /* if verbose */

/* ---- invariants.c ---- */

void ledger_init(struct world *w);
void ledger_release(struct world *w);
/* `candidate` NULL: the vote gets lost. */
void ledger_note_vote(struct world *w, struct sim_node *voter, const struct sim_node *candidate,
                      uint64_t epoch);
/* It sends a packet of its own: what that promises must be on its disk. */
void ledger_note_header(struct world *w, struct sim_node *n, const struct message *m);
void ledger_note_winner(struct world *w, struct sim_node *winner, uint64_t epoch);
/* It has been started, or has got another name. */
void ledger_note_start(struct world *w, struct sim_node *n);
/* After an event at that node. `changed`: its rules say that something about nodes or slots is new. */
void ledger_look(struct world *w, struct sim_node *n, bool changed);
/* Everybody is up, sound, knows everybody as working, and all agree whose slots are whose. */
bool world_is_healed(const struct world *w);
/* The first thing that is not so, for a message. */
const char *world_illness(const struct world *w);

/* ---- witness.c ---- */

void witness_init(struct world *w);
void witness_release(struct world *w);
/* `m` has come to `n` on a link that it dialled (outbound) or not; the rules have taken it. */
void witness_note(struct world *w, struct sim_node *n, const struct message *m, uint64_t link, bool outbound);
void witness_note_sent(struct world *w, struct sim_node *n, const struct message *m);
void witness_note_start(struct world *w, struct sim_node *n);
/* After an event that changed something. */
void witness_look(struct world *w, struct sim_node *n);

#endif
