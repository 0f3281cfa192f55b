/* state.h: what a node knows of its cluster: the nodes, whose slots are whose, who replicates whom, epochs,
 * bans. The tables only; what is done by which message is in rules/.
 *
 * The invariants of the tables hold after each call; cluster_state_check() looks at them. Owner: the caller
 * of init. Thread: the owner's. Errors: none, see mem.h. */
#ifndef TRIVET_CLUSTER_STATE_STATE_H
#define TRIVET_CLUSTER_STATE_STATE_H

#include "trivet/cluster/state/node.h"

/* A slot whose keys are being moved one by one. */
struct open_slot {
    unsigned slot;
    bool importing; /* from `other`; else migrating to it */
    struct cluster_node *other;
};

struct ban {
    struct node_id id;
    int64_t until_ms;
};

struct cluster_state {
    struct cluster_node *self;
    struct cluster_node **nodes; /* in no order that means something */
    size_t node_count, node_room;
    struct map ids;
    struct cluster_node *owners[SLOT_COUNT]; /* NULL: nobody */
    struct slot_set unclaimed;               /* the owner has said that it is not */
    unsigned slots_assigned;
    struct open_slot *open;
    size_t open_count, open_room;
    struct ban *bans;
    size_t ban_count, ban_room;
    uint64_t current_epoch, last_vote_epoch;
    uint64_t last_link; /* number of the last link that was opened */
};

/* With this node alone: a primary without slots. */
void cluster_state_init(struct cluster_state *s, const struct node_id *self, const struct node_id *shard,
                        int64_t now_ms);
void cluster_state_release(struct cluster_state *s);

/* ---- nodes ---- */

/* NULL if there is none. Those in handshake are found by their provisional name. */
struct cluster_node *cluster_node_find(const struct cluster_state *s, const struct node_id *id);
/* The id must be new. */
struct cluster_node *cluster_node_add(struct cluster_state *s, const struct node_id *id, unsigned flags,
                                      int64_t now_ms);
/* Not self. All that refers to it is forgotten: its slots, its replicas' primary, its reports, open slots. */
void cluster_node_remove(struct cluster_state *s, struct cluster_node *n);
/* The new id must not be known. */
void cluster_node_rename(struct cluster_state *s, struct cluster_node *n, const struct node_id *id);

/* Its replicas stay what they are. */
void cluster_node_make_primary(struct cluster_state *s, struct cluster_node *n);
/* `primary` may be NULL: not known. A node that becomes a replica has no slots any more, and no epoch that
 * its next one would have to be greater than; this node keeps its own. */
void cluster_node_make_replica(struct cluster_state *s, struct cluster_node *n, struct cluster_node *primary);
/* Takes its replicas along; true if something changed. */
bool cluster_node_set_shard(struct cluster_node *n, const struct node_id *shard);
static inline bool cluster_same_shard(const struct cluster_node *a, const struct cluster_node *b) {
    return node_id_equal(&a->shard_id, &b->shard_id);
}
/* How many primaries have slots. */
size_t cluster_size(const struct cluster_state *s);
static inline size_t cluster_majority(const struct cluster_state *s) { return cluster_size(s) / 2 + 1; }

/* Notes what `by` said; true if it is the first report of it that is there. */
bool cluster_report_add(struct cluster_node *n, struct cluster_node *by, int64_t now_ms);
/* True if there was one. */
bool cluster_report_remove(struct cluster_node *n, const struct cluster_node *by);
/* Forgets those before `since_ms`; returns how many of those that are left are by nodes that vote. */
size_t cluster_report_count(struct cluster_node *n, int64_t since_ms);

/* ---- slots ---- */

/* `owner` may be NULL: nobody's. */
void cluster_slot_give(struct cluster_state *s, unsigned slot, struct cluster_node *owner);
/* All slots of one node; `to` may be NULL. */
void cluster_slots_give_all(struct cluster_state *s, struct cluster_node *from, struct cluster_node *to);
/* NULL if the slot is not moving that way. */
struct cluster_node *cluster_slot_importing(const struct cluster_state *s, unsigned slot);
struct cluster_node *cluster_slot_migrating(const struct cluster_state *s, unsigned slot);
/* `other` NULL: the slot does not move that way any more. */
void cluster_slot_open(struct cluster_state *s, unsigned slot, bool importing, struct cluster_node *other);

/* ---- bans ---- */

/* A ban that is there is made longer, not shorter. */
void cluster_ban_add(struct cluster_state *s, const struct node_id *id, int64_t until_ms);
bool cluster_is_banned(struct cluster_state *s, const struct node_id *id, int64_t now_ms);

/* Asserts that all tables agree with each other: for tests, it looks at every slot. */
void cluster_state_check(const struct cluster_state *s);

#endif
