/* cluster.h: what the files of CLUSTER share. Every handler but that of KEYSLOT runs with the gate closed. */
#ifndef COMMANDS_CLUSTER_CLUSTER_H
#define COMMANDS_CLUSTER_CLUSTER_H

#include "trivet/engine/cluster/member.h"
#include "trivet/engine/command/call.h"

/* False after an error, if this server is not a node of a cluster. */
MUST_CHECK bool is_node(struct call *c);
/* Does what the rules want, and replies: with OK, or with their error. */
void reply_rules(struct call *c, const char *error);
/* The node that the argument names; NULL after an error. */
struct cluster_node *node_argument(struct call *c, size_t index);
/* A slot; false after an error. */
MUST_CHECK bool slot_argument(struct call *c, size_t index, unsigned *slot);

/* The rows, by what they are about. */
void cmd_cluster_info(struct call *c);
void cmd_cluster_nodes(struct call *c);
void cmd_cluster_replicas(struct call *c);
void cmd_cluster_slot_stats(struct call *c);
void cmd_cluster_slots(struct call *c);
void cmd_cluster_shards(struct call *c);
void cmd_cluster_links(struct call *c);
void cmd_cluster_addslots(struct call *c);
void cmd_cluster_addslotsrange(struct call *c);
void cmd_cluster_delslots(struct call *c);
void cmd_cluster_delslotsrange(struct call *c);
void cmd_cluster_flushslot(struct call *c);
void cmd_cluster_flushslots(struct call *c);
void cmd_cluster_setslot(struct call *c);
uint32_t flags_of_setslot(const struct command *command, const struct slice *argv, size_t argc);
void cmd_cluster_keyslot(struct call *c);
void cmd_cluster_countkeysinslot(struct call *c);
void cmd_cluster_getkeysinslot(struct call *c);
void cmd_cluster_migrateslots(struct call *c);
void cmd_cluster_cancelslotmigrations(struct call *c);
void cmd_cluster_getslotmigrations(struct call *c);
void cmd_cluster_syncslots(struct call *c);

#endif
