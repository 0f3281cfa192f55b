/* failover.c: FAILOVER: this primary and one of its replicas change roles. */
#include "trivet/engine/replication/failover.h"
#include "trivet/commands/arguments/integer.h"
#include "trivet/commands/groups.h"
#include "trivet/engine/client/client.h"
#include "trivet/engine/settings/options.h"

/* True if argument `at` is this word and `values` more follow; `*seen` says that it came before. */
static bool is_word(const struct call *c, size_t at, const char *word, size_t values, bool seen) {
    return !seen && at + values < c->argc && call_is(c, at, word);
}

static bool read_timeout(struct call *c, size_t at, struct failover_plan *plan) {
    if (!integer_argument(c, at, &plan->timeout_ms)) return false;
    if (plan->timeout_ms > 0) return true;
    reply_error_text(c->out, LIT("ERR FAILOVER timeout must be greater than 0"));
    return false;
}

static bool read_target(struct call *c, size_t at, struct failover_plan *plan) {
    int64_t port;
    if (!integer_argument(c, at + 1, &port)) return false;
    plan->host = c->argv[at];
    plan->port = port > 0 && port <= 65535 ? (int)port : -1; /* no replica has it */
    return true;
}

/* False after replying the error. */
static bool read_plan(struct call *c, struct failover_plan *plan, bool *aborts) {
    for (size_t i = 1; i < c->argc; i++) {
        if (is_word(c, i, "timeout", 1, plan->timeout_ms > 0)) {
            if (!read_timeout(c, ++i, plan)) return false;
        } else if (is_word(c, i, "to", 2, plan->host.ptr)) {
            if (!read_target(c, i + 1, plan)) return false;
            i += 2;
        } else if (is_word(c, i, "force", 0, plan->is_forced)) {
            plan->is_forced = true;
        } else if (is_word(c, i, "abort", 0, c->argc > 2)) {
            *aborts = true;
        } else {
            reply_error(c->out, ERR_SYNTAX);
            return false;
        }
    }
    return true;
}

static const char *abort_it(void) { return failover_abort() ? NULL : "ERR No failover in progress."; }

/* FAILOVER [TO host port [FORCE]] [ABORT] [TIMEOUT milliseconds] */
static void cmd_failover(struct call *c) {
    struct failover_plan plan = { 0 };
    bool aborts = false;
    if (options.cluster_enabled) {
        reply_error_text(c->out, LIT("ERR FAILOVER not allowed in cluster mode. Use CLUSTER FAILOVER command "
                                     "instead."));
        return;
    }
    if (!read_plan(c, &plan, &aborts)) return;
    const char *why = aborts ? abort_it() : failover_begin(&plan);
    if (why)
        reply_error_text(c->out, slice_of(why));
    else
        reply_ok(c->out);
}

const struct command failover_commands[] = {
    { .name = "FAILOVER", .run = cmd_failover, .arity = -1, .kind = EXCLUSIVE,
      .flags = ADMIN | NOSCRIPT | STALE, .since = "6.2.0",
      .summary = "Makes a replica the primary, and this server its replica.", .complexity = "O(1)",
      .syntax = "[TO host port [FORCE]] [ABORT] [TIMEOUT milliseconds]" },
    { .name = NULL },
};
