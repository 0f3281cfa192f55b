/* cluster.c: CLUSTER: the node and its cluster. Slots are in cluster_slots.c, what is told in cluster_info.c.
 */
#include "cluster.h"
#include "trivet/base/number.h"
#include "trivet/base/random.h"
#include "trivet/commands/arguments/help.h"
#include "trivet/commands/groups.h"
#include "trivet/engine/client/client.h"
#include "trivet/engine/replication/primary.h"
#include "trivet/engine/run/change.h"
#include "trivet/engine/saving/saving.h"
#include "trivet/engine/settings/options.h"
#include "trivet/keyspace/database.h"
#include "trivet/keyspace/hidden.h"
#include "trivet/keyspace/keyspace.h"
#include <arpa/inet.h>
#include <stdio.h>

bool is_node(struct call *c) {
    if (member) return true;
    reply_error_text(c->out, LIT("ERR This instance has cluster support disabled"));
    return false;
}

void reply_rules(struct call *c, const char *error) {
    cluster_save_changes(member);
    member_act();
    if (error)
        reply_error_printf(c->out, "ERR %s", error);
    else
        reply_ok(c->out);
}

struct cluster_node *node_argument(struct call *c, size_t index) {
    struct node_id id;
    struct cluster_node *n =
        node_id_parse(c->argv[index], &id) ? cluster_node_find(&member->state, &id) : NULL;
    if (!n) reply_error_printf(c->out, "ERR Unknown node %.*s", SLICE_ARG(c->argv[index]));
    return n;
}

/* Those that are about to be deleted do not count. */
static bool has_keys(void) {
    for (uint32_t db = 0; db < keyspace_databases(); db++)
        if (keyspace_count_staying(db) > 0) return true;
    return false;
}

/* ---- names ---- */

/* CLUSTER MYID */
static void cmd_cluster_myid(struct call *c) {
    if (is_node(c)) reply_bulk(c->out, node_id_slice(&member->state.self->id));
}

/* CLUSTER MYSHARDID */
static void cmd_cluster_myshardid(struct call *c) {
    if (is_node(c)) reply_bulk(c->out, node_id_slice(&member->state.self->shard_id));
}

/* ---- nodes ---- */

static bool port_argument(struct call *c, size_t index, const char *which, const char *range, int64_t *port) {
    if (!int64_parse(c->argv[index], port)) {
        reply_error_printf(c->out, "ERR Invalid %s port specified: %.*s", which, SLICE_ARG(c->argv[index]));
        return false;
    }
    if (*port > 0 && *port <= 65535) return true;
    reply_error_printf(c->out, "ERR %s is out of range", range);
    return false;
}

/* A number: names are not looked up, which may take long. */
static bool is_address(struct slice text) {
    char ip[INET6_ADDRSTRLEN];
    struct in6_addr parsed;
    if (text.len >= sizeof ip) return false;
    memcpy(ip, text.ptr, text.len);
    ip[text.len] = '\0';
    return inet_pton(AF_INET, ip, &parsed) == 1 || inet_pton(AF_INET6, ip, &parsed) == 1;
}

/* CLUSTER MEET ip port [bus-port] */
static void cmd_cluster_meet(struct call *c) {
    int64_t port, bus;
    if (!is_node(c)) return;
    if (c->argc > 5) {
        reply_error_printf(c->out, "ERR wrong number of arguments for '%s' command", c->command->full_name);
        return;
    }
    if (!port_argument(c, 3, "base", "Port number", &port)) return;
    if (c->argc == 5) {
        if (!port_argument(c, 4, "bus", "Cluster bus port number", &bus)) return;
    } else {
        bus = port + 10000;
    }
    bool known = bus <= 65535 && is_address(c->argv[2]);
    if (!known || cluster_meet(member, c->argv[2], (uint16_t)port, (uint16_t)bus, c->view.now_ms)) {
        reply_error_printf(c->out, "ERR Invalid node address specified: %.*s:%lld", SLICE_ARG(c->argv[2]),
                           (long long)port);
        return;
    }
    reply_rules(c, NULL);
}

/* CLUSTER FORGET id */
static void cmd_cluster_forget(struct call *c) {
    struct node_id id;
    if (!is_node(c)) return;
    const char *error = "";
    if (node_id_parse(c->argv[2], &id)) error = cluster_forget(member, &id, c->view.now_ms);
    if (error && (!error[0] || strncmp(error, "Unknown node", 12) == 0)) {
        reply_error_printf(c->out, "ERR Unknown node %.*s", SLICE_ARG(c->argv[2]));
        return;
    }
    reply_rules(c, error);
}

/* CLUSTER COUNT-FAILURE-REPORTS id */
static void cmd_cluster_count_failure_reports(struct call *c) {
    if (!is_node(c)) return;
    struct cluster_node *n = node_argument(c, 2);
    if (n) reply_int(c->out, (int64_t)cluster_failure_reports(member, n));
}

/* ---- roles ---- */

/* A database that files hold, if there is one. */
static uint32_t saved_database(void) {
    uint32_t db = 0;
    while (db + 1 < keyspace_databases() && database_is_volatile(db)) db++;
    return db;
}

/* Like FLUSHALL: what the files still held would come back with a restart. */
static void flush_everything(struct call *c) {
    bool any = false;
    for (uint32_t db = 0; db < keyspace_databases(); db++) {
        if (keyspace_count(db) == 0) continue;
        any = true;
        changing_databases(c, db, db);
        keyspace_flush(db, options.lazyfree_lazy_user_flush);
        changed_database(c, db, 1, EFFECT_NONE);
    }
    if (!any) return;
    journal_effect_in(c, saved_database(), EFFECT(LIT("FLUSHALL")));
    saving_all_flushed();
}

static void replicate_nobody(struct call *c) {
    struct node_id shard = member_new_id();
    bool was_replica = cluster_replicate_nobody(member, &shard, c->view.now_ms);
    reply_rules(c, NULL);
    if (was_replica) flush_everything(c);
}

/* CLUSTER REPLICATE id | NO ONE */
static void cmd_cluster_replicate(struct call *c) {
    if (!is_node(c)) return;
    if (c->argc == 4 && call_is(c, 2, "no") && call_is(c, 3, "one")) {
        replicate_nobody(c);
        return;
    }
    if (c->argc > 3) {
        reply_error(c->out, ERR_SYNTAX);
        return;
    }
    const struct cluster_node *n = node_argument(c, 2);
    if (n) reply_rules(c, cluster_replicate(member, &n->id, !has_keys(), c->view.now_ms));
}

struct takeover {
    enum cluster_failover way;
    bool is_for_another; /* the primary's stream names the replica that is meant */
};

static bool read_takeover(const struct call *c, struct takeover *t) {
    bool has_way = false;
    *t = (struct takeover){ .way = FAILOVER_AGREED };
    for (size_t i = 2; i < c->argc; i++) {
        if (!has_way && (call_is(c, i, "force") || call_is(c, i, "takeover"))) {
            t->way = call_is(c, i, "force") ? FAILOVER_FORCE : FAILOVER_TAKEOVER;
            has_way = true;
        } else if (call_is(c, i, "replicaid") && i + 1 < c->argc && (c->client->flags & CLIENT_PRIMARY)) {
            t->is_for_another = !slice_equal(c->argv[++i], node_id_slice(&member->state.self->id));
        } else {
            return false;
        }
    }
    return true;
}

/* CLUSTER FAILOVER [FORCE | TAKEOVER]; in a primary's stream also REPLICAID id */
static void cmd_cluster_failover(struct call *c) {
    struct takeover t;
    if (!is_node(c)) return;
    if (!read_takeover(c, &t))
        reply_error(c->out, ERR_SYNTAX);
    else if (t.is_for_another)
        reply_ok(c->out);
    else
        reply_rules(c, cluster_failover(member, t.way, c->view.now_ms));
}

/* ---- epochs ---- */

/* CLUSTER BUMPEPOCH */
static void cmd_cluster_bumpepoch(struct call *c) {
    uint64_t epoch;
    char text[48];
    if (!is_node(c)) return;
    bool bumped = cluster_bump_epoch(member, &epoch, c->view.now_ms);
    cluster_save_changes(member);
    member_act();
    int len = snprintf(text, sizeof text, "%s %llu", bumped ? "BUMPED" : "STILL", (unsigned long long)epoch);
    reply_simple(c->out, slice_make(text, (size_t)len));
}

/* CLUSTER SET-CONFIG-EPOCH epoch */
static void cmd_cluster_set_config_epoch(struct call *c) {
    int64_t epoch;
    if (!is_node(c)) return;
    if (!int64_parse(c->argv[2], &epoch)) {
        reply_error(c->out, ERR_NOT_INT);
    } else if (epoch < 0) {
        reply_error_printf(c->out, "ERR Invalid config epoch specified: %lld", (long long)epoch);
    } else {
        reply_rules(c, cluster_set_config_epoch(member, (uint64_t)epoch, c->view.now_ms));
    }
}

/* ---- the file, and starting anew ---- */

/* CLUSTER SAVECONFIG */
static void cmd_cluster_saveconfig(struct call *c) {
    struct buf error = { 0 };
    if (!is_node(c)) return;
    if (member_save(&error))
        reply_ok(c->out);
    else
        reply_error_printf(c->out, "ERR error saving the cluster node config: %.*s",
                           SLICE_ARG(buf_slice(&error)));
    buf_release(&error);
}

/* CLUSTER RESET [HARD | SOFT] */
static void cmd_cluster_reset(struct call *c) {
    if (!is_node(c)) return;
    bool hard = c->argc == 3 && call_is(c, 2, "hard");
    if (c->argc > 3 || (c->argc == 3 && !hard && !call_is(c, 2, "soft"))) {
        reply_error(c->out, ERR_SYNTAX);
        return;
    }
    bool was_replica = node_is_replica(member->state.self);
    if (!was_replica && has_keys()) {
        reply_error_text(c->out, LIT("ERR CLUSTER RESET can't be called with master nodes containing keys"));
        return;
    }
    struct node_id id = member_new_id(), shard = member_new_id();
    cluster_reset(member, hard ? &id : NULL, hard || was_replica ? &shard : NULL, c->view.now_ms);
    reply_rules(c, NULL);
    if (was_replica) flush_everything(c);
}

/* CLUSTER HELP */
static void cmd_cluster_help(struct call *c) {
    static const char *const lines[] = {
        "ADDSLOTS <slot> [<slot> ...]",
        "    This node serves the slots from now on.",
        "ADDSLOTSRANGE <first> <last> [<first> <last> ...]",
        "    The same for ranges.",
        "BUMPEPOCH",
        "    Gives this node the greatest config epoch, without a vote.",
        "CANCELSLOTMIGRATIONS",
        "    Ends the migrations of slots that leave this node.",
        "COUNT-FAILURE-REPORTS <node-id>",
        "    How many primaries say that the node does not answer.",
        "COUNTKEYSINSLOT <slot>",
        "    How many keys of the slot are here.",
        "DELSLOTS <slot> [<slot> ...]",
        "    For this node nobody serves the slots any more.",
        "DELSLOTSRANGE <first> <last> [<first> <last> ...]",
        "    The same for ranges.",
        "FAILOVER [FORCE|TAKEOVER]",
        "    This replica takes the place of its primary.",
        "FLUSHSLOT <slot> [ASYNC|SYNC]",
        "    Deletes all keys of the slot.",
        "FLUSHSLOTS",
        "    This node serves no slot any more.",
        "FORGET <node-id>",
        "    Removes a node from the list, and lets nobody bring it back for a minute.",
        "GETKEYSINSLOT <slot> <count>",
        "    Names of keys of the slot.",
        "GETSLOTMIGRATIONS",
        "    Migrations of slots, those that ended too.",
        "INFO",
        "    The state of the cluster.",
        "KEYSLOT <key>",
        "    The slot of a key.",
        "LINKS",
        "    The links of the bus.",
        "MEET <ip> <port> [<bus-port>]",
        "    Joins this node and another one.",
        "MIGRATESLOTS SLOTSRANGE <first> <last> [<first> <last> ...] NODE <node-id> [SLOTSRANGE ...]",
        "    Moves slots to another node, as a whole.",
        "MYID",
        "    The name of this node.",
        "MYSHARDID",
        "    The name of its shard.",
        "NODES",
        "    All nodes, as this one sees them.",
        "REPLICAS <node-id>",
        "    The replicas of a primary.",
        "REPLICATE (<node-id>|NO ONE)",
        "    This node becomes a replica, or a primary without slots and data.",
        "RESET [HARD|SOFT]",
        "    Forgets the cluster; with HARD also this node's name.",
        "SAVECONFIG",
        "    Writes nodes.conf.",
        "SET-CONFIG-EPOCH <epoch>",
        "    The first config epoch of a new node.",
        "SETSLOT <slot> (IMPORTING <node-id>|MIGRATING <node-id>|STABLE|NODE <node-id>) [TIMEOUT <ms>]",
        "    Moves a slot; replicas are told first, and waited for.",
        "SHARDS",
        "    Slots and nodes by shard.",
        "SLOT-STATS (SLOTSRANGE <first> <last>|ORDERBY <metric> [LIMIT <n>] [ASC|DESC])",
        "    What the slots of this shard hold and cost.",
        "SLOTS",
        "    Nodes by ranges of slots.",
        NULL,
    };
    if (is_node(c)) reply_help(c, lines);
}

/* clang-format off */
#define FOR_ADMINS (ADMIN | STALE | NO_ASYNC_LOADING)
#define ROW(text, handler, args, how, when) \
    .name = (text), .run = (handler), .arity = (args), .kind = EXCLUSIVE, .flags = (how), .since = (when)

static const struct command cluster_subcommands[] = {
    { ROW("ADDSLOTS", cmd_cluster_addslots, -3, FOR_ADMINS, "3.0.0"), .syntax = "slot [slot ...]",
      .summary = "Gives slots to this node.", .complexity = "O(N) where N is the number of slots." },
    { ROW("ADDSLOTSRANGE", cmd_cluster_addslotsrange, -4, FOR_ADMINS, "7.0.0"),
      .syntax = "start-slot end-slot [start-slot end-slot ...]",
      .summary = "Gives ranges of slots to this node.",
      .complexity = "O(N) where N is the number of slots." },
    { ROW("BUMPEPOCH", cmd_cluster_bumpepoch, 2, FOR_ADMINS, "3.0.0"),
      .summary = "Gives this node the greatest config epoch.", .complexity = "O(1)",
      .tips = "nondeterministic_output" },
    { ROW("CANCELSLOTMIGRATIONS", cmd_cluster_cancelslotmigrations, 2, FOR_ADMINS, "9.0.0"),
      .summary = "Ends the migrations of slots that leave this node.",
      .complexity = "O(N) where N is the number of migrations." },
    { ROW("COUNT-FAILURE-REPORTS", cmd_cluster_count_failure_reports, 3, ADMIN | STALE, "3.0.0"),
      .syntax = "node-id", .summary = "Counts who says that a node does not answer.",
      .complexity = "O(N) where N is the number of reports.",
      .tips = "nondeterministic_output" },
    { ROW("COUNTKEYSINSLOT", cmd_cluster_countkeysinslot, 3, STALE, "3.0.0"), .syntax = "slot",
      .summary = "Counts the keys of a slot.", .complexity = "O(1)" },
    { ROW("DELSLOTS", cmd_cluster_delslots, -3, FOR_ADMINS, "3.0.0"), .syntax = "slot [slot ...]",
      .summary = "Takes slots from whoever serves them, for this node.",
      .complexity = "O(N) where N is the number of slots." },
    { ROW("DELSLOTSRANGE", cmd_cluster_delslotsrange, -4, FOR_ADMINS, "7.0.0"),
      .syntax = "start-slot end-slot [start-slot end-slot ...]",
      .summary = "Takes ranges of slots.", .complexity = "O(N) where N is the number of slots." },
    { ROW("FAILOVER", cmd_cluster_failover, -2, FOR_ADMINS, "3.0.0"), .syntax = "[FORCE | TAKEOVER]",
      .summary = "Puts this replica in the place of its primary.", .complexity = "O(1)" },
    { ROW("FLUSHSLOT", cmd_cluster_flushslot, -3, ADMIN | WRITES | ALL_DATABASES | NO_ASYNC_LOADING, "9.0.0"),
      .syntax = "slot [ASYNC | SYNC]", .summary = "Deletes all keys of a slot.",
      .complexity = "O(N) where N is the number of keys of the slot." },
    { ROW("FLUSHSLOTS", cmd_cluster_flushslots, 2, FOR_ADMINS, "3.0.0"),
      .summary = "Takes all slots from this node.", .complexity = "O(1)" },
    { ROW("FORGET", cmd_cluster_forget, 3, FOR_ADMINS, "3.0.0"), .syntax = "node-id",
      .summary = "Removes a node.", .complexity = "O(1)" },
    { ROW("GETKEYSINSLOT", cmd_cluster_getkeysinslot, 4, STALE, "3.0.0"), .syntax = "slot count",
      .summary = "Returns names of keys of a slot.", .complexity = "O(N) where N is the number of keys.",
      .tips = "nondeterministic_output" },
    { ROW("GETSLOTMIGRATIONS", cmd_cluster_getslotmigrations, 2, ADMIN | STALE, "9.0.0"),
      .summary = "Returns the migrations of slots that go on and that ended.",
      .complexity = "O(N) where N is the number of migrations.", .tips = "nondeterministic_output" },
    { .name = "HELP", .run = cmd_cluster_help, .arity = 2, .kind = LOCAL, .flags = LOADING | STALE,
      .since = "5.0.0",
      .summary = "Explains the subcommands.", .complexity = "O(1)" },
    { ROW("INFO", cmd_cluster_info, 2, LOADING | STALE, "3.0.0"),
      .summary = "Returns the state of the cluster.", .complexity = "O(N) where N is the number of nodes.",
      .tips = "nondeterministic_output" },
    { .name = "KEYSLOT", .run = cmd_cluster_keyslot, .arity = 3, .kind = LOCAL, .flags = STALE,
      .since = "3.0.0",
      .syntax = "key", .summary = "Returns the slot of a key.",
      .complexity = "O(N) where N is the key's length." },
    { ROW("LINKS", cmd_cluster_links, 2, STALE, "7.0.0"),
      .summary = "Returns the links of the bus.", .complexity = "O(N) where N is the number of nodes.",
      .tips = "nondeterministic_output" },
    { ROW("MEET", cmd_cluster_meet, -4, FOR_ADMINS, "3.0.0"), .syntax = "ip port [cluster-bus-port]",
      .summary = "Joins this node and another one.", .complexity = "O(1)" },
    { ROW("MIGRATESLOTS", cmd_cluster_migrateslots, -4, FOR_ADMINS, "9.0.0"),
      .syntax = "SLOTSRANGE start-slot end-slot [start-slot end-slot ...] NODE node-id "
                "[SLOTSRANGE start-slot end-slot [start-slot end-slot ...] NODE node-id ...]",
      .summary = "Begins to move slots to other nodes, each group as a whole.",
      .complexity = "O(N) where N is the number of keys in the slots." },
    { ROW("MYID", cmd_cluster_myid, 2, LOADING | STALE, "3.0.0"), .summary = "Returns the name of this node.",
      .complexity = "O(1)" },
    { ROW("MYSHARDID", cmd_cluster_myshardid, 2, LOADING | STALE, "7.2.0"),
      .summary = "Returns the name of this node's shard.", .complexity = "O(1)",
      .tips = "nondeterministic_output" },
    { ROW("NODES", cmd_cluster_nodes, 2, LOADING | STALE, "3.0.0"),
      .summary = "Returns all nodes.", .complexity = "O(N) where N is the number of nodes.",
      .tips = "nondeterministic_output" },
    { ROW("REPLICAS", cmd_cluster_replicas, 3, ADMIN | STALE, "5.0.0"), .syntax = "node-id",
      .summary = "Returns the replicas of a node.",
      .complexity = "O(N) where N is the number of replicas.",
      .tips = "nondeterministic_output" },
    { ROW("REPLICATE", cmd_cluster_replicate, -3, FOR_ADMINS, "3.0.0"), .syntax = "<node-id | NO ONE>",
      .summary = "Makes this node a replica.", .complexity = "O(1)" },
    { ROW("RESET", cmd_cluster_reset, -2, ADMIN | NOSCRIPT | STALE, "3.0.0"), .syntax = "[HARD | SOFT]",
      .summary = "Forgets the cluster.", .complexity = "O(N) where N is the number of nodes." },
    { ROW("SAVECONFIG", cmd_cluster_saveconfig, 2, FOR_ADMINS, "3.0.0"), .summary = "Writes nodes.conf.",
      .complexity = "O(1)" },
    { ROW("SET-CONFIG-EPOCH", cmd_cluster_set_config_epoch, 3, FOR_ADMINS, "3.0.0"), .syntax = "config-epoch",
      .summary = "Sets the config epoch of a new node.", .complexity = "O(1)" },
    { ROW("SETSLOT", cmd_cluster_setslot, -4, FOR_ADMINS, "3.0.0"), .flags_of = flags_of_setslot,
      .syntax = "slot <IMPORTING node-id | MIGRATING node-id | NODE node-id | STABLE> [TIMEOUT timeout]",
      .summary = "Moves a slot.", .complexity = "O(1)" },
    { ROW("SHARDS", cmd_cluster_shards, 2, LOADING | STALE, "7.0.0"),
      .summary = "Returns slots and nodes by shard.", .complexity = "O(N) where N is the number of nodes.",
      .tips = "nondeterministic_output" },
    { ROW("SLAVES", cmd_cluster_replicas, 3, ADMIN | STALE | DEPRECATED, "3.0.0"), .syntax = "node-id",
      .deprecated_since = "5.0.0", .replaced_by = "`CLUSTER REPLICAS`",
      .summary = "Returns the replicas of a node.", .complexity = "O(N) where N is the number of replicas.",
      .tips = "nondeterministic_output" },
    { ROW("SLOT-STATS", cmd_cluster_slot_stats, -4, LOADING | STALE, "8.0.0"),
      .syntax = "<SLOTSRANGE start-slot end-slot | ORDERBY metric [LIMIT limit] [ASC | DESC]>",
      .summary = "Returns what slots hold and cost.",
      .complexity = "O(N) where N is the number of slots, O(N*log(N)) with ORDERBY.",
      .tips = "nondeterministic_output,request_policy:all_shards" },
    { ROW("SLOTS", cmd_cluster_slots, 2, LOADING | STALE, "3.0.0"),
      .summary = "Returns nodes by ranges of slots.", .complexity = "O(N) where N is the number of ranges.",
      .tips = "nondeterministic_output" },
    { ROW("SYNCSLOTS", cmd_cluster_syncslots, -3, ADMIN | NOSCRIPT | NO_ASYNC_LOADING | STALE, "9.0.0"),
      .syntax = "word [argument ...]", .summary = "What nodes say to each other while slots move.",
      .complexity = "O(1)" },
    { .name = NULL },
};

const struct command cluster_commands[] = {
    { .name = "CLUSTER", .arity = -2, .kind = LOCAL, .subcommands = cluster_subcommands, .since = "3.0.0",
      .summary = "About the cluster that this server is a node of.",
      .complexity = "Depends on the subcommand." },
    { .name = NULL },
};
/* clang-format on */
