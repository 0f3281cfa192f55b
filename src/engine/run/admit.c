/* admit.c: may this command run now? Clients see which error comes first, so the order is Valkey's: known,
 * arity, authenticated, allowed in a transaction, permitted to the user, allowed to a subscriber, loading,
 * memory, disk.
 *
 * The checks come in two halves. The first concerns the conversation and is made once for what a client
 * sends. The second concerns the command and is made for every command, also for one that runs inside
 * another. */
#include "admit.h"
#include "room.h"
#include "trivet/base/buf.h"
#include "trivet/base/log.h"
#include "trivet/engine/client/client.h"
#include "trivet/engine/client/login.h"
#include "trivet/engine/client/pause.h"
#include "trivet/engine/client/transaction.h"
#include "trivet/engine/command/registry.h"
#include "trivet/engine/run/run.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/slots/redirect.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/engine/watch/errors.h"
#include "trivet/engine/watch/stats.h"
#include "trivet/persist/aof/aof.h"
#include "trivet/persist/journal.h"
#include "trivet/persist/snapshot/snapshot.h"
#include <stdatomic.h>
#include <stdio.h>

#define UNKNOWN_TEXT_MAX 128 /* bytes of the name, and of the arguments, that an error repeats */

/* Writes the error. A transaction being queued will abort; EXEC itself aborts at once. Always false. */
static bool refuse(struct call *call, struct slice text) {
    struct client *c = call->client;
    if (call->command) stats_command_rejected(call->command);
    if (call->command && (call->command->flags & RUNS_QUEUE)) {
        transaction_end(c);
        transaction_unwatch(c, NULL);
        if (slice_starts_with(text, LIT("ERR "))) text = slice_make(text.ptr + 4, text.len - 4);
        reply_error_printf(call->out, "EXECABORT Transaction discarded because of: %.*s", SLICE_ARG(text));
    } else {
        if (!call->origin->is_nested && (c->flags & CLIENT_IN_MULTI)) c->flags |= CLIENT_MULTI_BROKEN;
        reply_error_text(call->out, text);
    }
    stats_error(call->out->error_code);
    return false;
}

const char *command_busy_text = "BUSY";

static size_t min_size(size_t a, size_t b) { return a < b ? a : b; }

static bool refuse_unknown(struct call *call) {
    struct buf text = { 0 };
    const struct command *container;
    registry_resolve(call->argv, call->argc, &container);
    struct slice name = call->argv[0];
    if (container) {
        struct slice sub = call->argv[1];
        buf_printf(&text, "ERR unknown subcommand '%.*s'. Try ", (int)min_size(sub.len, UNKNOWN_TEXT_MAX),
                   sub.ptr);
        buf_append_upper(&text, name);
        buf_append(&text, LIT(" HELP."));
    } else {
        buf_printf(&text, "ERR unknown command '%.*s', with args beginning with: ",
                   (int)min_size(name.len, UNKNOWN_TEXT_MAX), name.ptr);
        size_t shown = 0;
        for (size_t i = 1; i < call->argc && shown < UNKNOWN_TEXT_MAX; i++) {
            size_t before = text.len;
            buf_printf(&text, "'%.*s' ", (int)min_size(call->argv[i].len, UNKNOWN_TEXT_MAX - shown),
                       call->argv[i].ptr);
            shown += text.len - before;
        }
    }
    refuse(call, buf_slice(&text));
    buf_release(&text);
    return false;
}

static bool refuse_arity(struct call *call) {
    char text[128];
    int len = snprintf(text, sizeof text, "ERR wrong number of arguments for '%s' command",
                       call->command->full_name);
    return refuse(call, slice_make(text, (size_t)len));
}

static bool refuse_in_transaction(struct call *call) {
    char text[128];
    int len = snprintf(text, sizeof text, "ERR Command '%s' not allowed inside a transaction",
                       call->command->full_name);
    return refuse(call, slice_make(text, (size_t)len));
}

static bool refuse_subscriber(struct call *call) {
    char text[256];
    int len = snprintf(
        text, sizeof text,
        "ERR Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in "
        "this context",
        call->command->full_name);
    return refuse(call, slice_make(text, (size_t)len));
}

static bool admit_memory(struct call *call) {
    return room_for_call(call) || refuse(call, error_text(ERR_OOM));
}

#define SNAPSHOT_FAILED_TEXT                                                                                 \
    "MISCONF Valkey is configured to save RDB snapshots, but it's currently unable to persist to disk. "     \
    "Commands that may modify the data set are disabled, because this instance is configured to report "     \
    "errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the " \
    "Valkey logs for details about the RDB error."

static bool snapshot_failure_counts(unsigned now) {
    return (now & OBSTACLE_SAVE) && options.stop_writes_on_bgsave_error && options.save.count > 0;
}

bool command_disk_refuses(struct buf *text) {
    unsigned now = obstacles_now();
    if (snapshot_failure_counts(now)) {
        buf_append(text, LIT(SNAPSHOT_FAILED_TEXT));
        return true;
    }
    if (!(now & OBSTACLE_DISK)) return false;
    if (options.appendonly && !journal_on) {
        buf_append(text, LIT("MISCONF Errors writing to the AOF file: it can't be begun, see the log"));
        return true;
    }
    if (!aof_is_failing()) return false;
    struct buf why = { 0 };
    aof_failure(&why);
    buf_printf(text, "MISCONF Errors writing to the AOF file: %.*s", SLICE_ARG(buf_slice(&why)));
    buf_release(&why);
    return true;
}

static bool admit_disk(struct call *call) {
    if (!(flags_of_call(call) & (WRITES | HEEDS_DISK))) return true;
    struct buf text = { 0 };
    bool refused = command_disk_refuses(&text);
    if (refused) refuse(call, buf_slice(&text));
    buf_release(&text);
    return !refused;
}

/* ---- roles ---- */

const char *command_role_refuses(void) {
    unsigned now = obstacles_now();
    if (now & OBSTACLE_REPLICAS) return "NOREPLICAS Not enough good replicas to write.";
    bool is_read_only = (now & OBSTACLE_REPLICA) && options.replica_read_only;
    return is_read_only ? "READONLY You can't write against a read only replica." : NULL;
}

/* Then it is open who will be the primary: writes are held until that is known. */
static bool is_failing_over(void) { return pause_is_for(PAUSE_FOR_FAILOVER, turn_now_ms); }

static bool admit_role(struct call *call) {
    if (!(flags_of_call(call) & WRITES)) return true;
    const char *text = command_role_refuses();
    return !text || (is_failing_over() && pause_holds(call, turn_now_ms)) || refuse(call, slice_of(text));
}

/* What it asks for is elsewhere. EXEC drops its queue. Always false. */
static bool send_elsewhere(struct call *call, struct slice text) {
    struct client *c = call->client;
    if (!(call->command->flags & RUNS_QUEUE)) return refuse(call, text);
    transaction_end(c);
    transaction_unwatch(c, NULL);
    stats_command_rejected(call->command);
    reply_error_text(call->out, text);
    stats_error(call->out->error_code);
    return false;
}

/* The primary has what this client asks a replica for, and the client has said that it would go there. */
RARE static bool admit_redirect(struct call *call) {
    struct client *c = call->client;
    uint32_t flags = flags_of_call(call), reads = c->flags & CLIENT_READONLY_SLOT ? 0 : READS;
    if (!client_redirect_text || !(flags & (WRITES | reads)) || is_failing_over()) return true;
    return send_elsewhere(call, slice_of(client_redirect_text));
}

static bool admit_redirection(struct call *call, struct redirection r) {
    if (r.what == REDIRECT_NONE) return true;
    struct buf text = { 0 };
    redirect_tell(r, call->client, &text);
    send_elsewhere(call, buf_slice(&text));
    buf_release(&text);
    return false;
}

bool command_admit_slot(struct call *call) {
    if (call->origin->is_replay || call->origin->has_locks) return true;
    return admit_redirection(call, redirect_of(call));
}

bool command_admit_keys(struct call *call) { return admit_redirection(call, redirect_of_keys(call)); }

const char *command_stale_refuses(void) {
    return obstacle_is_set(OBSTACLE_STALE)
               ? "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."
               : NULL;
}

/* A transaction needs what its commands need. */
static bool lacks(const struct call *call, uint32_t flag) {
    if (!(call->command->flags & flag)) return true;
    return (call->command->flags & RUNS_QUEUE) && transaction_lacks(call->client, flag);
}

/* Of two refusals the one for writes comes first. */
RARE static bool admit_stale(struct call *call) {
    if (!lacks(call, STALE)) return true;
    const char *text = command_stale_refuses();
    return admit_role(call) && (!text || refuse(call, slice_of(text)));
}

/* ---- the two halves ---- */

/* Known, with as many arguments as it wants. */
static inline bool admit_shape(struct call *call) {
    if (UNLIKELY(!call->command)) return refuse_unknown(call);
    if (UNLIKELY(!command_arity_fits(call->command, call->argc) || !call->command->run))
        return refuse_arity(call);
    return true;
}

bool command_admit_busy(struct call *call) {
    return call->command->flags & ALLOW_BUSY || refuse(call, slice_of(command_busy_text));
}

bool command_admit_role(struct call *call) {
    if (call->origin->is_replay || call->origin->has_locks) return true;
    if ((call->client->flags & CLIENT_CAPA_REDIRECT) && !admit_redirect(call)) return false;
    return admit_role(call);
}

/* Most of what a limited user does is permitted at first sight. */
static inline bool admit_at_once(const struct call *call) {
    const struct user *u = call->client->user;
    return LIKELY(u->is_unlimited) || permission_at_once(u, call->command, call->argv, call->argc);
}

RARE static bool admit_user(struct call *call) {
    struct verdict v = client_ask_permission(call->client, call->command, call->argv, call->argc,
                                             transaction_db(call->client), ACCESS_TOPLEVEL);
    if (!v.denial) return true;
    struct buf text = { 0 };
    buf_append(&text, LIT("NOPERM "));
    denial_tell(call->client->user, call->command, v, &text);
    refuse(call, buf_slice(&text));
    buf_release(&text);
    return false;
}

/* The data is not there, too old, or about to be replaced. */
RARE static bool admit_without_data(struct call *call, unsigned now) {
    if ((now & OBSTACLE_STALE) && !admit_stale(call)) return false;
    if ((now & OBSTACLE_LOADING) && lacks(call, LOADING)) return refuse(call, error_text(ERR_LOADING));
    if ((now & OBSTACLE_LOADING_BESIDE) && (flags_of_call(call) & NO_ASYNC_LOADING))
        return refuse(call, error_text(ERR_LOADING));
    return true;
}

static inline bool admit_conversation(struct call *call, unsigned now) {
    const struct command *command = call->command;
    struct client *c = call->client;
    if (client_must_log_in(c) && !(command->flags & NO_AUTH)) return refuse(call, error_text(ERR_NOAUTH));
    if (UNLIKELY(c->flags & CLIENT_IN_MULTI) && (command->flags & NO_MULTI))
        return refuse_in_transaction(call);
    if (UNLIKELY(!admit_at_once(call)) && !admit_user(call)) return false;
    if (UNLIKELY(now & OBSTACLE_CLUSTER) && !redirect_is_needless(call) && !command_admit_slot(call))
        return false;
    if (UNLIKELY(now & OBSTACLE_REPLICA) && (c->flags & CLIENT_CAPA_REDIRECT) && !admit_redirect(call))
        return false;
    if (UNLIKELY(c->flags & CLIENT_SUBSCRIBED) && c->reply.protocol == 2 &&
        !(command->flags & RUNS_SUBSCRIBED))
        return refuse_subscriber(call);
    if (UNLIKELY(now & (OBSTACLE_STALE | OBSTACLE_LOADING | OBSTACLE_LOADING_BESIDE)) &&
        !admit_without_data(call, now))
        return false;
    return LIKELY(!(now & OBSTACLE_BUSY)) || command_admit_busy(call);
}

/* Those that admit_resources() looks at. In a cluster the slot was looked at before, and nothing more is to
 * be done for it: that would cost every command a look at the clock. */
#define OBSTACLES_OF_RESOURCES (~(unsigned)OBSTACLE_CLUSTER)

/* Who has the locks was admitted with the command that took them: making room would need other locks. */
static bool admit_resources(struct call *call, unsigned now) {
    if (call->origin->has_locks) return true;
    turn_mark_ns = 0; /* evicting takes its time */
    if ((now & OBSTACLE_MEMORY_LIMIT) && !(now & OBSTACLE_LOADING) && !admit_memory(call)) return false;
    if ((now & (OBSTACLE_DISK | OBSTACLE_SAVE)) && !admit_disk(call)) return false;
    if ((now & (OBSTACLE_REPLICA | OBSTACLE_REPLICAS)) && !admit_role(call)) return false;
    if ((now & OBSTACLE_SNAPSHOT) && (flags_of_call(call) & WRITES)) snapshot_wait_for_room();
    return true;
}

bool command_admit(struct call *call) {
    unsigned now = obstacles_now();
    return admit_shape(call) && (LIKELY(!(now & OBSTACLES_OF_RESOURCES)) || admit_resources(call, now));
}

bool dispatch_admit(struct call *call) {
    assert(!call->origin->is_nested && !call->origin->has_locks);
    unsigned now = obstacles_now();
    return admit_shape(call) && admit_conversation(call, now) &&
           (LIKELY(!(now & OBSTACLES_OF_RESOURCES)) || admit_resources(call, now));
}
