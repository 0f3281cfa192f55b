/* replication.c: what servers say to each other (REPLCONF, PSYNC, SYNC), and REPLICAOF. */
#include "trivet/base/log.h"
#include "trivet/base/number.h"
#include "trivet/commands/arguments/integer.h"
#include "trivet/commands/groups.h"
#include "trivet/engine/client/client.h"
#include "trivet/engine/replication/apply.h"
#include "trivet/engine/replication/failover.h"
#include "trivet/engine/replication/primary.h"
#include "trivet/engine/replication/replicas.h"
#include "trivet/engine/replication/sync.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/slots/routes.h"
#include <string.h>

/* ---- REPLCONF ---- */

static bool conf_port(struct call *c, size_t at) {
    int64_t port;
    if (!integer_argument(c, at, &port)) return false;
    replica_of(c->client)->port = (int)port;
    return true;
}

static bool conf_ip(struct call *c, size_t at) {
    struct replica *r = replica_of(c->client);
    struct slice ip = c->argv[at];
    if (ip.len >= sizeof r->ip) {
        reply_error_printf(c->out,
                           "ERR REPLCONF ip-address provided by replica instance is too long: "
                           "%zu bytes",
                           ip.len);
        return false;
    }
    memcpy(r->ip, ip.ptr, ip.len);
    r->ip[ip.len] = '\0';
    return true;
}

/* Abilities that are not known here are of no interest. */
static bool conf_capability(struct call *c, size_t at) {
    struct replica *r = replica_of(c->client);
    if (call_is(c, at, "eof")) r->capabilities |= REPLICA_CAN_EOF;
    if (call_is(c, at, "psync2")) r->capabilities |= REPLICA_CAN_PSYNC2;
    return true;
}

/* "9.0.4" */
static bool read_version(struct slice text, int version[3]) {
    for (int i = 0; i < 3; i++) {
        const char *dot = i < 2 && text.len > 0 ? memchr(text.ptr, '.', text.len) : text.ptr + text.len;
        int64_t n;
        if (!dot || !int64_parse(slice_between(text.ptr, dot), &n) || n < 0 || n > 9999) return false;
        version[i] = (int)n;
        text = slice_from(text, (size_t)(dot - text.ptr) + 1);
    }
    return true;
}

static bool conf_version(struct call *c, size_t at) {
    int version[3];
    if (!read_version(c->argv[at], version)) {
        reply_error_printf(c->out, "ERR Unrecognized version format: %.*s", SLICE_ARG(c->argv[at]));
        return false;
    }
    memcpy(replica_of(c->client)->version, version, sizeof version);
    return true;
}

/* "0" or "1" */
static bool read_switch(struct call *c, size_t at, bool *on) {
    int64_t n;
    if (!integer_argument(c, at, &n)) return false;
    *on = n == 1;
    if (n == 0 || n == 1) return true;
    reply_error_text(c->out, LIT("ERR value is out of range, value must between 0 and 1"));
    return false;
}

static bool conf_rdb_only(struct call *c, size_t at) {
    return read_switch(c, at, &replica_of(c->client)->is_rdb_only);
}

/* A list of words: what is to be in the file; nothing: not even that. */
static bool conf_filter(struct call *c, size_t at) {
    struct slice words = c->argv[at];
    struct replica *r = replica_of(c->client);
    if (words.len == 0) {
        r->filter = FILTER_EVERYTHING;
    } else if (slice_equal_nocase(words, LIT("functions"))) {
        r->filter = FILTER_FUNCTIONS_ONLY;
    } else {
        reply_error_printf(c->out, "ERR Unsupported rdb-filter-only option: %.*s", SLICE_ARG(words));
        return false;
    }
    return true;
}

/* The node that may take over when this server is shut down (SHUTDOWN FAILOVER). */
static bool conf_node_id(struct call *c, size_t at) {
    struct node_id id;
    if (!routes) {
        reply_error_text(c->out, LIT("ERR This instance has cluster support disabled"));
        return false;
    }
    if (!node_id_parse(c->argv[at], &id) || !routes_know(routes, &id)) {
        reply_error_printf(c->out, "ERR Unknown node %.*s", SLICE_ARG(c->argv[at]));
        return false;
    }
    struct replica *r = replica_of(c->client);
    memcpy(r->node_id, id.text, NODE_ID_LEN);
    r->node_id[NODE_ID_LEN] = '\0';
    return true;
}

/* "ACK <offset>", and perhaps "FACK <offset>" after it. */
static void acknowledge(struct call *c, size_t at) {
    int64_t offset, synced = 0;
    struct replica *r = c->client->replica;
    if (!(c->client->flags & CLIENT_REPLICA) || !int64_parse(c->argv[at + 1], &offset) || offset < 0) return;
    if (c->argc > at + 3 && call_is(c, at + 2, "fack") && !int64_parse(c->argv[at + 3], &synced)) synced = 0;
    replica_acknowledges(r, (uint64_t)offset, synced > 0 ? (uint64_t)synced : 0);
}

static const struct {
    const char *word;
    bool (*take)(struct call *c, size_t at);
} confs[] = {
    { "listening-port", conf_port },
    { "ip-address", conf_ip },
    { "capa", conf_capability },
    { "version", conf_version },
    { "rdb-only", conf_rdb_only },
    { "rdb-filter-only", conf_filter },
    { "set-cluster-node-id", conf_node_id },
};

static bool take_conf(struct call *c, size_t at) {
    for (size_t i = 0; i < COUNT_OF(confs); i++)
        if (call_is(c, at, confs[i].word)) return confs[i].take(c, at + 1);
    reply_error_printf(c->out, "ERR Unrecognized REPLCONF option: %.*s", SLICE_ARG(c->argv[at]));
    return false;
}

/* REPLCONF [option value ...] */
static void cmd_replconf(struct call *c) {
    if (c->argc % 2 == 0) {
        reply_error(c->out, ERR_SYNTAX);
        return;
    }
    for (size_t i = 1; i < c->argc; i += 2) {
        if (call_is(c, i, "ack")) {
            acknowledge(c, i);
            return;
        }
        if (call_is(c, i, "getack")) {
            if (c->client->flags & CLIENT_PRIMARY) apply_answer(c->client);
            return;
        }
        if (!take_conf(c, i)) return;
    }
    reply_ok(c->out);
}

/* ---- PSYNC, SYNC ---- */

/* PSYNC id offset [FAILOVER] */
static void cmd_psync(struct call *c) {
    int64_t offset;
    if (!integer_argument(c, 2, &offset)) return;
    sync_ask(c, c->argv[1], offset, c->argc > 3 && call_is(c, 3, "failover"));
}

/* SYNC */
static void cmd_sync(struct call *c) { sync_ask_all(c); }

/* ---- REPLICAOF ---- */

static void leave_primary(struct call *c) {
    if (primary_leave()) LOG_NOTICE("MASTER MODE enabled (user request from '%s')", c->client->peer);
    reply_ok(c->out);
}

static void follow(struct call *c) {
    int64_t port;
    if (!int64_parse(c->argv[2], &port) || port < 0 || port > 65535) {
        reply_error_text(c->out, LIT("ERR Invalid master port"));
    } else if (!primary_follow(c->argv[1], (int)port)) {
        reply_simple(c->out, LIT("OK Already connected to specified master"));
    } else {
        LOG_NOTICE("REPLICAOF %.*s:%lld enabled (user request from '%s')", SLICE_ARG(c->argv[1]),
                   (long long)port, c->client->peer);
        reply_ok(c->out);
    }
}

/* REPLICAOF host port | NO ONE */
static void cmd_replicaof(struct call *c) {
    if (options.cluster_enabled)
        reply_error_text(c->out, LIT("ERR REPLICAOF not allowed in cluster mode."));
    else if (failover_state() != NO_FAILOVER)
        reply_error_text(c->out, LIT("ERR REPLICAOF not allowed while failing over."));
    else if (c->client->flags & CLIENT_REPLICA)
        reply_error_text(c->out, LIT("ERR Command is not valid when client is a replica."));
    else if (call_is(c, 1, "no") && call_is(c, 2, "one"))
        leave_primary(c);
    else
        follow(c);
}

#define FOR_ADMINS (ADMIN | NOSCRIPT)

/* clang-format off */
const struct command replication_commands[] = {
    { .name = "PSYNC", .run = cmd_psync, .arity = -3, .kind = EXCLUSIVE,
      .flags = FOR_ADMINS | NO_ASYNC_LOADING | NO_MULTI, .since = "2.8.0",
      .summary = "Asks for the replication stream: for replicas.", .complexity = "Depends on what it needs.",
      .syntax = "replicationid offset" },
    { .name = "REPLCONF", .run = cmd_replconf, .arity = -1, .kind = LOCAL,
      .flags = FOR_ADMINS | LOADING | STALE | ALLOW_BUSY | SYSCMD, .since = "3.0.0",
      .summary = "Tells a primary about its replica: for replicas.", .complexity = "O(1)" },
    { .name = "REPLICAOF", .run = cmd_replicaof, .arity = 3, .kind = EXCLUSIVE,
      .flags = FOR_ADMINS | STALE | NO_ASYNC_LOADING, .since = "5.0.0",
      .summary = "Makes this server a replica of another one, or a primary.", .complexity = "O(1)",
      .syntax = "host port" },
    { .name = "SLAVEOF", .run = cmd_replicaof, .arity = 3, .kind = EXCLUSIVE,
      .flags = FOR_ADMINS | STALE | NO_ASYNC_LOADING | DEPRECATED, .since = "1.0.0",
      .deprecated_since = "5.0.0", .replaced_by = "`REPLICAOF`",
      .summary = "Makes this server a replica of another one, or a primary.", .complexity = "O(1)",
      .syntax = "host port" },
    { .name = "SYNC", .run = cmd_sync, .arity = 1, .kind = EXCLUSIVE,
      .flags = FOR_ADMINS | NO_ASYNC_LOADING | NO_MULTI, .since = "1.0.0",
      .summary = "Asks for all data, then the replication stream: for replicas.",
      .complexity = "Depends on the data." },
    { .name = NULL },
};
/* clang-format on */
