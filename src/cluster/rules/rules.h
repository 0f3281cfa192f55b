/* rules.h: what the files of this room are to each other. All run inside one call of cluster.h, between
 * begin() and finish(). */
#ifndef CLUSTER_RULES_RULES_H
#define CLUSTER_RULES_RULES_H

#include "trivet/cluster/rules/cluster.h"

/* ---- actions.c ---- */

/* Takes the time, and forgets actions that were taken away. */
void begin(struct cluster *c, int64_t now_ms);
/* Does what was put off to the end: looks at the cluster's state, saves, announces. */
void finish(struct cluster *c);
/* The new action, zeroed. Valid until the next one. */
struct cluster_action *act(struct cluster *c, enum cluster_action_kind kind);
void act_send(struct cluster *c, struct cluster_node *to, size_t at);
void act_log(struct cluster *c, const char *format, ...) PRINTF_LIKE(2, 3);
/* The epoch or the vote has changed: what is sent after this must not be forgotten in a crash. */
void save_now(struct cluster *c);
static inline void save_later(struct cluster *c, bool sync) {
    c->must_save = true;
    c->must_sync |= sync;
}

/* ---- links.c ---- */

struct bus_link *link_find(const struct cluster *c, uint64_t id);
void link_dial(struct cluster *c, struct cluster_node *n);
/* Closes the link and forgets it. */
void bus_link_close(struct cluster *c, struct bus_link *l);
void links_of_node_close(struct cluster *c, struct cluster_node *n);
/* A full packet of a known node came on it. */
void link_heard(struct cluster *c, struct bus_link *l, struct cluster_node *sender);
/* With its links. */
void node_drop(struct cluster *c, struct cluster_node *n);
/* Dials a node whose name is not known; it is in handshake. NULL if one at that address is already. */
struct cluster_node *node_greet(struct cluster *c, struct node_ip ip, uint16_t port, uint16_t cport,
                                unsigned flags);

/* ---- send.c ---- */

/* PING, PONG or MEET to a node with an open link. */
void send_ping(struct cluster *c, struct cluster_node *to, enum message_type type);
/* A PONG on the link on which a PING came. */
void send_pong_on(struct cluster *c, const struct bus_link *l, const struct cluster_node *sender);
void send_pong_to_all(struct cluster *c);
/* So that the other replicas of the primary know this one's offset. */
void send_pong_to_siblings(struct cluster *c);
void send_ban_to_all(struct cluster *c, const struct node_id *id);
void send_failed_to_all(struct cluster *c, const struct cluster_node *failed);
void send_auth_request(struct cluster *c, bool force);
void send_plain(struct cluster *c, struct cluster_node *to, enum message_type type);
void send_update(struct cluster *c, struct cluster_node *to, const struct cluster_node *owner);

/* ---- gossip.c ---- */

void gossip_put(struct cluster *c, size_t at, const struct cluster_node *to);
void gossip_take(struct cluster *c, struct cluster_node *sender, const struct message *m);
void extensions_put(struct cluster *c, size_t at, const struct cluster_node *to);
void extensions_take(struct cluster *c, struct cluster_node *sender, const struct message *m);

/* ---- failure.c ---- */

void fail_if_majority_says(struct cluster *c, struct cluster_node *n);
void mark_failed(struct cluster *c, struct cluster_node *n);
void clear_failure_if_it_answers(struct cluster *c, struct cluster_node *n);
void look_at_state(struct cluster *c);

/* ---- ownership.c ---- */

/* What a header says of role, slots and epochs of its sender. */
void take_claims(struct cluster *c, struct cluster_node *sender, const struct message *m);
void take_update(struct cluster *c, const struct message *m);
/* This node becomes a replica of that primary. */
void follow(struct cluster *c, struct cluster_node *primary);
/* This node takes its primary's place. */
void replace_primary(struct cluster *c);
/* A new epoch without votes; false if it has the greatest one already. */
bool bump_epoch(struct cluster *c);

/* ---- election.c ---- */

void vote(struct cluster *c, struct cluster_node *candidate, const struct message *m);
void count_vote(struct cluster *c, struct cluster_node *voter, const struct message *m);
void lead_election(struct cluster *c);

/* ---- manual.c ---- */

void manual_reset(struct cluster *c);
void manual_step(struct cluster *c);
void manual_begin_at_primary(struct cluster *c, struct cluster_node *replica);
void manual_take_offset(struct cluster *c, struct cluster_node *sender, const struct message *m);

/* ---- replica_migration.c ---- */

void migrate_if_orphans(struct cluster *c);

#endif
