/* transaction.c: MULTI, EXEC and their like. The queue and the watched keys are the engine's
 * (trivet/engine/transaction.h); the dispatcher does the queueing and, for EXEC, takes the locks of all that
 * is queued and watched, or closes the gate. */
#include "trivet/engine/client/transaction.h"
#include "trivet/base/buf.h"
#include "trivet/commands/groups.h"
#include "trivet/engine/client/login.h"
#include "trivet/engine/run/run.h"
#include "trivet/engine/watch/errors.h"
#include "trivet/engine/watch/stats.h"

/* MULTI */
static void cmd_multi(struct call *c) {
    transaction_begin(c->client);
    reply_ok(c->out);
}

/* DISCARD */
static void cmd_discard(struct call *c) {
    if (!(c->client->flags & CLIENT_IN_MULTI)) {
        reply_error_text(c->out, LIT("ERR DISCARD without MULTI"));
        return;
    }
    transaction_end(c->client);
    transaction_unwatch(c->client, NULL);
    reply_ok(c->out);
}

/* WATCH key [key ...] */
static void cmd_watch(struct call *c) {
    /* Once one watched key has changed EXEC fails, whatever else is watched. */
    for (size_t i = 1; i < c->argc && !transaction_is_broken(c->client); i++)
        transaction_watch(c, c->argv[i]);
    reply_ok(c->out);
}

/* UNWATCH */
static void cmd_unwatch(struct call *c) {
    transaction_unwatch(c->client, NULL);
    reply_ok(c->out);
}

/* The user's permissions may have changed since it was queued. */
RARE static bool is_permitted_still(struct call *call) {
    static const char *const reasons[DENIALS] = {
        [DENIED_DATABASE] = "no permission to access the database",
        [DENIED_COMMAND] = "no permission to execute the command or subcommand",
        [DENIED_KEY] = "no permission to touch the specified keys",
        [DENIED_CHANNEL] = "no permission to access one of the channels used as arguments",
    };
    struct client *client = call->client;
    struct verdict v =
        client_ask_permission(client, call->command, call->argv, call->argc, client->db, ACCESS_MULTI);
    if (!v.denial) return true;
    reply_error_printf(call->out,
                       "NOPERM ACLs rules changed between the moment the transaction was accumulated and the "
                       "EXEC call. This command is no longer allowed for the following reason: %s",
                       reasons[v.denial]);
    stats_command_rejected(call->command);
    stats_error(call->out->error_code);
    return false;
}

/* One queued command, under the locks of the transaction. */
static void run_queued(struct client *client, const struct kept *k, bool is_replay) {
    struct call call;
    call_init(&call, client, is_replay ? &origin_stream_transaction : &origin_transaction);
    call_set_kept(&call, k);
    if (LIKELY(client->user->is_unlimited || is_replay) || is_permitted_still(&call)) command_run(&call);
}

static void run_transaction(struct call *c) {
    struct client *client = c->client;
    size_t count = transaction_length(client);
    reply_array(c->out, count);
    for (size_t i = 0; i < count; i++) run_queued(client, transaction_at(client, i), c->origin->is_replay);
    c->out->failed = false; /* a queued command's error was counted as its own, not as EXEC's */
}

/* EXEC */
static void cmd_exec(struct call *c) {
    struct client *client = c->client;
    if (!(client->flags & CLIENT_IN_MULTI)) {
        reply_error_text(c->out, LIT("ERR EXEC without MULTI"));
        return;
    }
    bool broken = client->flags & CLIENT_MULTI_BROKEN;
    bool must_fail = !broken && transaction_must_fail(c);
    transaction_unwatch(client, c->locked); /* before the run: its own changes are not to be noted */
    if (broken)
        reply_error(c->out, ERR_EXECABORT);
    else if (must_fail)
        reply_null_array(c->out);
    else
        run_transaction(c);
    transaction_end(client);
}

#define ANY_TIME (NOSCRIPT | LOADING | STALE)

/* clang-format off */
const struct command transaction_commands[] = {
    { .name = "DISCARD", .run = cmd_discard, .arity = 1, .kind = LOCAL,
      .flags = ANY_TIME | FAST | ALLOW_BUSY | RUNS_IN_MULTI, .categories = CAT_TRANSACTION, .since = "2.0.0",
      .summary = "Forgets the queued commands and the watched keys.",
      .complexity = "O(N) where N is the number of queued commands." },
    /* EXCLUSIVE is what it is if a queued command is; the dispatcher looks at RUNS_QUEUE first. */
    { .name = "EXEC", .run = cmd_exec, .arity = 1, .kind = EXCLUSIVE,
      .flags = ANY_TIME | SKIP_COMMANDLOG | RUNS_QUEUE | RUNS_IN_MULTI, .categories = CAT_TRANSACTION,
      .since = "1.2.0", .summary = "Runs the queued commands as one.",
      .complexity = "Depends on the queued commands." },
    { .name = "MULTI", .run = cmd_multi, .arity = 1, .kind = LOCAL,
      .flags = ANY_TIME | FAST | NO_MULTI | ALLOW_BUSY | RUNS_IN_MULTI, .categories = CAT_TRANSACTION,
      .since = "1.2.0", .summary = "Begins a transaction: commands are queued from now on.",
      .complexity = "O(1)" },
    { .name = "UNWATCH", .run = cmd_unwatch, .arity = 1, .kind = LOCAL, .flags = ANY_TIME | FAST | ALLOW_BUSY,
      .categories = CAT_TRANSACTION, .since = "2.2.0", .summary = "Watches no key any more.",
      .complexity = "O(N) where N is the number of watched keys." },
    { .name = "WATCH", .run = cmd_watch, .arity = -2, .kind = KEYED, .keys = { KEYS(KEY_RO, -1, 1) },
      .flags = ANY_TIME | FAST | NO_MULTI | ALLOW_BUSY | RUNS_IN_MULTI, .categories = CAT_TRANSACTION,
      .since = "2.2.0", .summary = "Makes the next transaction fail if one of the keys changes until then.",
      .complexity = "O(1) for every key.", .syntax = "key [key ...]" },
    { .name = NULL },
};
/* clang-format on */
