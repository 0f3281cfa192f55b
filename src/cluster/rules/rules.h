/* rules.h: what the files of this room are to each other. All run inside one call of cluster.h, between
 * rules_begin() and rules_finish(). */
#ifndef CLUSTER_RULES_RULES_H
#define CLUSTER_RULES_RULES_H

#include "trivet/cluster/rules/cluster.h"

/* ---- actions.c ---- */

/* Takes the time, and forgets actions that were taken away. */
void rules_begin(struct cluster *c, int64_t now_ms);
/* Does what was put off to the end: looks at the cluster's state, saves, announces. */
void rules_finish(struct cluster *c);
/* The new action, zeroed. Valid until the next one. */
struct cluster_action *action_add(struct cluster *c, enum cluster_action_kind kind);
void action_send(struct cluster *c, struct cluster_node *to, size_t at);
void action_log(struct cluster *c, const char *format, ...) PRINTF_LIKE(2, 3);
/* The epoch or the vote has changed: what is sent after this must not be forgotten in a crash. */
void rules_save_now(struct cluster *c);
static inline void rules_save_later(struct cluster *c, bool sync) {
    c->must_save = c->must_tell = true;
    c->must_sync |= sync;
}

/* ---- links.c ---- */

struct bus_link *bus_link_find(const struct cluster *c, uint64_t id);
void bus_link_dial(struct cluster *c, struct cluster_node *n);
/* Closes the link and forgets it. */
void bus_link_close(struct cluster *c, struct bus_link *l);
void bus_links_close(struct cluster *c, struct cluster_node *n);
/* Those that came in long ago, and on which nobody known has spoken since. */
void bus_links_close_nameless(struct cluster *c, int64_t older_than_ms);
/* A full packet of a known node came on it. */
void bus_link_heard(struct cluster *c, struct bus_link *l, struct cluster_node *sender);
/* With its links. */
void rules_drop_node(struct cluster *c, struct cluster_node *n);
/* Dials a node whose name is not known; it is in handshake. NULL if one at that address is already. */
struct cluster_node *rules_greet(struct cluster *c, struct node_ip ip, uint16_t port, uint16_t cport,
                                 unsigned flags);

/* ---- send.c ---- */

/* PING, PONG or MEET to a node with an open link. */
void send_ping(struct cluster *c, struct cluster_node *to, enum message_type type);
/* A PONG on the link on which a PING came. */
void send_pong_on(struct cluster *c, const struct bus_link *l, const struct cluster_node *sender);
void send_pong_to_all(struct cluster *c);
/* So that the other replicas of the primary know this one's offset. */
void send_pong_to_siblings(struct cluster *c);
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

void rules_fail_if_majority(struct cluster *c, struct cluster_node *n);
void rules_mark_failed(struct cluster *c, struct cluster_node *n);
void rules_clear_failure(struct cluster *c, struct cluster_node *n);
void rules_look_at_state(struct cluster *c);

/* ---- ownership.c ---- */

/* What a header says of role, slots and epochs of its sender. */
void rules_take_claims(struct cluster *c, struct cluster_node *sender, const struct message *m);
void rules_take_update(struct cluster *c, const struct message *m);
/* This node becomes a replica of that primary. */
void rules_follow(struct cluster *c, struct cluster_node *primary);
/* This node takes its primary's place. */
void rules_replace_primary(struct cluster *c);
/* A new epoch without votes; false if it has the greatest one already. */
bool rules_bump_epoch(struct cluster *c);

/* ---- set_slot.c ---- */

/* NULL also for a node whose name is not certain yet. */
struct cluster_node *rules_known(const struct cluster *c, const struct node_id *id);
void rules_slots_changed(struct cluster *c);
/* In its shard `to` has taken the place of `from`: slots that come from there, or go there, follow. */
void rules_repoint_open_slots(struct cluster *c, const struct cluster_node *from, struct cluster_node *to);

/* ---- election.c ---- */

void rules_vote(struct cluster *c, struct cluster_node *candidate, const struct message *m);
void rules_count_vote(struct cluster *c, struct cluster_node *voter, const struct message *m);
void rules_lead_election(struct cluster *c);

/* ---- manual.c ---- */

void manual_reset(struct cluster *c);
void manual_step(struct cluster *c);
void manual_begin_at_primary(struct cluster *c, struct cluster_node *replica);
void manual_take_offset(struct cluster *c, struct cluster_node *sender, const struct message *m);

/* ---- replica_migration.c ---- */

void rules_migrate_if_orphans(struct cluster *c);

#endif
