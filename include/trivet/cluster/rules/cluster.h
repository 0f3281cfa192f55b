/* cluster.h: the rules of the cluster, as a machine of states: what has come and what time it is go in,
 * actions come out (action.h).
 *
 * The rules have no clock, no sockets and no chance of their own, so that a test can run a hundred nodes in
 * one process and run them again exactly. Times are milliseconds of Unix time. The clock may jump: when it is
 * put back, the rules go on from the time they had; when it is put forward, it is as if this node had hung.
 *
 * Links: a node dials every node it knows, and is dialled by them. A link has a number; those that go out get
 * it by ACTION_OPEN, those that come in by cluster_link_accepted(). Calls with the number of a link that the
 * rules have closed meanwhile do nothing. Anybody may dial: links on which nobody known has spoken are few,
 * and do not stay.
 *
 * Thread: one at a time, the caller's. Errors: commands return NULL or a constant text for the client. */
#ifndef TRIVET_CLUSTER_RULES_CLUSTER_H
#define TRIVET_CLUSTER_RULES_CLUSTER_H

#include "trivet/cluster/rules/action.h"
#include "trivet/cluster/state/state.h"

#define CLUSTER_TICK_MS 100

struct cluster_settings {
    int64_t node_timeout_ms;
    int64_t ping_interval_ms; /* 0: half of the node timeout */
    int64_t repl_ping_period_ms;
    int64_t manual_failover_timeout_ms;
    int64_t ban_ms;                  /* cluster-blacklist-ttl */
    int64_t replica_validity_factor; /* 0: a replica's data is never too old */
    unsigned migration_barrier;
    bool require_full_coverage, replica_no_failover, allow_replica_migration;
    struct node_ip announce_ip; /* empty: learnt from MEET */
    uint16_t port, pport, cport, client_port, client_tls_port;
    const char *texts[NODE_TEXT_COUNT]; /* NULL: empty */
};
/* The values that the documentation gives. */
extern const struct cluster_settings cluster_settings_default;

/* What the rules ask while they work. None may call back. */
struct cluster_hooks {
    uint64_t (*random)(void *arg);
    /* Of replication: what a primary has written, what a replica has processed. */
    uint64_t (*offset)(void *arg);
    /* How long a replica has heard nothing from its primary. */
    int64_t (*data_age_ms)(void *arg);
    bool (*slot_has_keys)(void *arg, unsigned slot);
    /* A message for local subscribers; the slices are valid during the call. */
    void (*published)(void *arg, bool sharded, struct slice channel, struct slice payload);
    void *arg;
};

struct bus_link {
    uint64_t id;
    struct cluster_node *node; /* the one that was dialled; of a link that came in, the one that was heard */
    bool outbound;
    int64_t made_ms;
    struct node_ip peer_ip, local_ip; /* of a link that came in */
};

/* A replica's way to become a primary. */
struct cluster_election {
    int64_t at_ms; /* when votes are asked for; 0: no attempt was made */
    bool sent, done;
    size_t votes, rank;
    uint64_t epoch;
    const char *unable; /* why this replica does not stand, as it was said last; NULL: nothing hinders it */
    int64_t unable_ms;
};

/* A failover by somebody's word; end_ms 0: there is none. */
struct manual_failover {
    int64_t end_ms;
    struct cluster_node *replica; /* at the primary: who takes over */
    bool held;                    /* at the primary: no more writes, so its offset is the last one */
    bool can_start;               /* at the replica: it has all data */
    int64_t ask_ms;               /* when the replica asks for the offset again */
    bool knows_offset;
    uint64_t offset; /* of the paused primary */
};

struct cluster {
    struct cluster_state state;
    struct cluster_settings settings;
    struct cluster_hooks hooks;
    int64_t now_ms, ahead_ms; /* by so much now_ms is ahead of the caller's clock, which was put back */
    uint64_t ticks, gossip_marks;
    bool is_sound;
    int64_t began_ms, minority_ms; /* began_ms: when the ticks began, data was loaded before; minority_ms:
                                      when this node last saw too few primaries */
    struct cluster_election election;
    struct manual_failover manual;
    bool must_save, must_sync, must_tell, must_look, must_announce, in_tick;

    struct bus_link **links;
    size_t link_count, link_room;
    uint64_t link_serial;
    struct cluster_action *actions;
    size_t action_count, action_room, actions_taken;
    struct buf bytes; /* of actions; their slices hold offsets until they are taken */
    uint64_t sent[MESSAGE_TYPE_COUNT], received[MESSAGE_TYPE_COUNT], refused;
    int64_t refused_said_ms; /* when the log heard of it last */
};

/* ---- life ---- */

/* Takes the state over, which the caller has made or read. */
void cluster_init(struct cluster *c, struct cluster_state *state_take,
                  const struct cluster_settings *settings, const struct cluster_hooks *hooks, int64_t now_ms);
void cluster_release(struct cluster *c);
/* Texts are copied. */
void cluster_configure(struct cluster *c, const struct cluster_settings *settings, int64_t now_ms);
/* Hands out the next action; false when all are taken. The bytes are valid until the next call of another
 * function. */
bool cluster_next_action(struct cluster *c, struct cluster_action *out);

/* Saves now what would be saved with the next tick: for commands, whose reply is a promise. */
void cluster_save_changes(struct cluster *c);

/* The data has been loaded, and may hold keys of slots that are not this node's: it takes those that nobody
 * serves; of the others the keys are dropped. Nothing is done at a replica, whose primary says what there is.
 */
void cluster_settle_data(struct cluster *c, int64_t now_ms);

/* ---- what happens ---- */

void cluster_tick(struct cluster *c, int64_t now_ms); /* every CLUSTER_TICK_MS */
void cluster_link_opened(struct cluster *c, uint64_t link, int64_t now_ms);
/* By the other side, or it never opened. */
void cluster_link_closed(struct cluster *c, uint64_t link, int64_t now_ms);
uint64_t cluster_link_accepted(struct cluster *c, struct node_ip peer, struct node_ip local, int64_t now_ms);
/* How long a packet on this link may be: a short one, while nobody known has spoken on it. A link with a
 * longer one is to be closed before the packet is there. */
size_t cluster_link_packet_most(const struct cluster *c, uint64_t link);
/* One packet, as message_frame() cut it. */
void cluster_receive(struct cluster *c, uint64_t link, struct slice packet, int64_t now_ms);
/* ACTION_PAUSE is done: from now on this node's offset stays what it is. */
void cluster_writes_held(struct cluster *c, int64_t now_ms);

/* ---- messages of this node ---- */

/* To all nodes, or (sharded) to those of this node's shard. */
void cluster_publish(struct cluster *c, bool sharded, struct slice channel, struct slice payload,
                     int64_t now_ms);

/* ---- commands ---- */

const char *cluster_meet(struct cluster *c, struct slice ip, uint16_t port, uint16_t cport, int64_t now_ms);
const char *cluster_forget(struct cluster *c, const struct node_id *id, int64_t now_ms);
/* All or none. */
const char *cluster_add_slots(struct cluster *c, const struct slot_set *slots, int64_t now_ms);
const char *cluster_delete_slots(struct cluster *c, const struct slot_set *slots, int64_t now_ms);
/* CLUSTER SETSLOT. In its errors # stands for the slot's number, @ for the name that was given. */
enum slot_way { SLOT_MIGRATES, SLOT_IMPORTS, SLOT_GOES_TO, SLOT_IS_STABLE };
struct slot_step {
    unsigned slot;
    enum slot_way way;
    struct node_id node; /* where it migrates or goes to, or is imported from */
    bool by_primary;     /* this node is a replica, and its primary takes this step next */
};
/* Why the step cannot be taken now; NULL: it can. */
const char *cluster_slot_step_refused(const struct cluster *c, const struct slot_step *step);
const char *cluster_set_slot(struct cluster *c, const struct slot_step *step, int64_t now_ms);
/* Slots of others are this node's from now on, without votes: it has all of their keys. */
const char *cluster_take_over_slots(struct cluster *c, const struct slot_set *slots, int64_t now_ms);
/* `is_empty`: this node has no keys. */
const char *cluster_replicate(struct cluster *c, const struct node_id *id, bool is_empty, int64_t now_ms);
/* A replica becomes a primary without slots, in this new shard; its keys are the caller's. False: it is a
 * primary already, and nothing was done. */
bool cluster_replicate_nobody(struct cluster *c, const struct node_id *new_shard, int64_t now_ms);
enum cluster_failover { FAILOVER_AGREED, FAILOVER_FORCE, FAILOVER_TAKEOVER };
const char *cluster_failover(struct cluster *c, enum cluster_failover way, int64_t now_ms);
/* True: *epoch is new; false: it was the greatest already. */
bool cluster_bump_epoch(struct cluster *c, uint64_t *epoch, int64_t now_ms);
const char *cluster_set_config_epoch(struct cluster *c, uint64_t epoch, int64_t now_ms);
/* Forgets all nodes and slots; with new names (hard), also this node and the epochs. A replica becomes an
 * empty primary; its keys are the caller's. */
void cluster_reset(struct cluster *c, const struct node_id *new_id, const struct node_id *new_shard,
                   int64_t now_ms);
size_t cluster_failure_reports(struct cluster *c, struct cluster_node *n);

#endif
