/* server.c: what time it is, which role this server plays, and its end. */
#include "trivet/base/clock.h"
#include "trivet/commands/groups.h"
#include "trivet/engine/client/client.h"
#include "trivet/engine/process/server_hooks.h"
#include "trivet/engine/replication/primary.h"
#include "trivet/engine/replication/replicas.h"
#include "trivet/engine/run/run.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/persist/backlog.h"

/* TIME */
static void cmd_time(struct call *c) {
    int64_t now_us = c->origin->frozen_us ? c->origin->frozen_us : clock_wall_us();
    reply_array(c->out, 2);
    reply_bulk_int(c->out, now_us / 1000000);
    reply_bulk_int(c->out, now_us % 1000000);
}

static void reply_replica_role(struct reply *out) {
    static const char *const states[] = {
        [LINK_NONE] = "none",           [LINK_CONNECT] = "connect", [LINK_CONNECTING] = "connecting",
        [LINK_HANDSHAKE] = "handshake", [LINK_SYNC] = "sync",       [LINK_CONNECTED] = "connected",
    };
    enum primary_link link = primary_link();
    reply_array(out, 5);
    reply_bulk(out, LIT("slave"));
    reply_bulk(out, slice_of(primary_host()));
    reply_int(out, primary_port());
    reply_bulk(out, slice_of(states[link]));
    reply_int(out, link == LINK_CONNECTED ? (int64_t)backlog_offset() : -1);
}

struct listing {
    struct reply *out;
    size_t count;
};

static void list_replica(void *arg, struct replica *r) {
    struct listing *l = arg;
    char room[64];
    if (atomic_load(&r->state) != REPLICA_ONLINE) return;
    reply_array(l->out, 3);
    reply_bulk(l->out, slice_of(replica_ip(r, room)));
    reply_bulk_int(l->out, r->port);
    reply_bulk_int(l->out, (int64_t)atomic_load(&r->acked));
    l->count++;
}

static void reply_primary_role(struct reply *out) {
    reply_array(out, 3);
    reply_bulk(out, LIT("master"));
    reply_int(out, (int64_t)backlog_offset());
    struct listing l = { .out = out };
    struct chunk *at = reply_later(out);
    if (replicas_count() > 0) replicas_each(list_replica, &l);
    reply_later_array(out, at, l.count);
}

/* ROLE */
static void cmd_role(struct call *c) {
    if (primary_is_set())
        reply_replica_role(c->out);
    else
        reply_primary_role(c->out);
}

#define SHUTDOWN_ABORT (1u << 31) /* beside enum shutdown_flag */

/* Reads the words after SHUTDOWN; false if they make no sense. */
static bool read_shutdown(const struct call *c, unsigned *flags) {
    static const struct {
        const char *word;
        unsigned flag;
    } words[] = {
        { "SAVE", SHUTDOWN_SAVE },   { "NOSAVE", SHUTDOWN_NOSAVE }, { "NOW", SHUTDOWN_NOW },
        { "FORCE", SHUTDOWN_FORCE }, { "SAFE", SHUTDOWN_SAFE },     { "FAILOVER", SHUTDOWN_FAILOVER },
        { "ABORT", SHUTDOWN_ABORT },
    };
    *flags = 0;
    for (size_t i = 1; i < c->argc; i++) {
        size_t w = 0;
        while (w < COUNT_OF(words) && !call_is(c, i, words[w].word)) w++;
        if (w == COUNT_OF(words)) return false;
        *flags |= words[w].flag;
    }
    bool contradicts = (*flags & SHUTDOWN_SAVE) && (*flags & SHUTDOWN_NOSAVE);
    bool aborts_and_more = (*flags & SHUTDOWN_ABORT) && *flags != SHUTDOWN_ABORT;
    return !contradicts && !aborts_and_more;
}

static void abort_shutdown(struct call *c) {
    if (server_hooks.shutdown_abort())
        reply_ok(c->out);
    else
        reply_error_text(c->out, LIT("ERR No shutdown in progress."));
}

/* SHUTDOWN [NOSAVE | SAVE] [NOW] [FORCE] [SAFE] [FAILOVER] | ABORT */
static void cmd_shutdown(struct call *c) {
    unsigned flags;
    if (!read_shutdown(c, &flags)) {
        reply_error(c->out, ERR_SYNTAX);
        return;
    }
    if (flags & SHUTDOWN_ABORT) {
        abort_shutdown(c);
        return;
    }
    if ((flags & SHUTDOWN_FAILOVER) && !options.cluster_enabled) {
        reply_error_text(c->out, LIT("ERR SHUTDOWN FAILOVER is only supported in cluster mode"));
        return;
    }
    /* In the middle of a script that runs for long, nothing can be saved. */
    if (obstacle_is_set(OBSTACLE_BUSY) && !(flags & SHUTDOWN_NOSAVE)) {
        reply_error_text(c->out, slice_of(command_busy_text));
        return;
    }
    /* Half a data set must not take the place of the whole one. */
    if (obstacle_is_set(OBSTACLE_LOADING)) flags = (flags & ~(unsigned)SHUTDOWN_SAVE) | SHUTDOWN_NOSAVE;
    server_hooks.shutdown(c, flags);
}

const struct command server_commands[] = {
    { .name = "ROLE", .run = cmd_role, .arity = 1, .kind = LOCAL, .flags = NOSCRIPT | LOADING | STALE | FAST,
      .categories = CAT_ADMIN | CAT_DANGEROUS, .since = "2.8.12",
      .summary = "Returns the role in replication.", .complexity = "O(1)" },
    { .name = "SHUTDOWN", .run = cmd_shutdown, .arity = -1, .kind = EXCLUSIVE,
      .flags = ADMIN | NOSCRIPT | LOADING | STALE | NO_MULTI | ALLOW_BUSY, .since = "1.0.0",
      .summary = "Makes the data safe on disk and ends the server.",
      .complexity = "O(N) when saving, where N is the number of keys.",
      .syntax = "[NOSAVE | SAVE] [NOW] [FORCE] [SAFE] [FAILOVER] [ABORT]" },
    { .name = "TIME", .run = cmd_time, .arity = 1, .kind = LOCAL, .flags = LOADING | STALE | FAST,
      .since = "2.6.0", .summary = "Returns the server's time.", .complexity = "O(1)",
      .tips = "nondeterministic_output" },
    { .name = NULL },
};
