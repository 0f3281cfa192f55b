/* admit.c: may this command run now? Clients see which error comes first, so the order is Valkey's: known,
 * arity, authenticated, allowed in a transaction, allowed to a subscriber, loading, memory, disk.
 *
 * The checks come in two halves. The first concerns the conversation and is made once for what a client
 * sends. The second concerns the command and is made for every command, also for one that runs inside
 * another. */
#include "admit.h"
#include "trivet/base/buf.h"
#include "trivet/base/log.h"
#include "trivet/engine/client/client.h"
#include "trivet/engine/client/pause.h"
#include "trivet/engine/client/tracking.h"
#include "trivet/engine/client/transaction.h"
#include "trivet/engine/command/registry.h"
#include "trivet/engine/run/change.h"
#include "trivet/engine/run/run.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/engine/watch/errors.h"
#include "trivet/engine/watch/stats.h"
#include "trivet/keyspace/eviction.h"
#include "trivet/persist/aof/aof.h"
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

static size_t min_size(size_t a, size_t b) { return a < b ? a : b; }

static bool refuse_unknown(struct call *call) {
    struct buf text = { 0 };
    const struct command *container;
    registry_resolve(call->argv, call->argc, &container);
    struct slice name = call->argv[0];
    if (container) {
        struct slice sub = call->argv[1];
        buf_printf(&text, "ERR unknown subcommand '%.*s'. Try %s HELP.",
                   (int)min_size(sub.len, UNKNOWN_TEXT_MAX), sub.ptr, container->name);
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

/* The flags that count: those of the queue for EXEC. */
static uint32_t effective_flags(const struct call *call) {
    uint32_t flags = call->command->flags;
    return flags & RUNS_QUEUE ? flags | transaction_flags(call->client) : flags;
}

/* While a pause is on, nothing is evicted and no write runs. An import must not lose what it brought. */
static enum room look_for_room(int64_t now_ms) {
    if (pause_mode_now(now_ms) != PAUSE_OFF) return ROOM_ENOUGH;
    return options.import_mode ? eviction_look() : eviction_make_room(now_ms, change_flush_quietly);
}

static bool admit_memory(struct call *call) {
    enum room room = look_for_room(call->view.now_ms);
    tracking_deliver(); /* what the client reads next must not be older than what it is told */
    if (room != ROOM_NONE) return true;
    if (!(effective_flags(call) & GROWS)) return true;
    return refuse(call, error_text(ERR_OOM));
}

#define SNAPSHOT_FAILED_TEXT                                                                                 \
    "MISCONF Valkey is configured to save RDB snapshots, but it's currently unable to persist to disk. "     \
    "Commands that may modify the data set are disabled, because this instance is configured to report "     \
    "errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the " \
    "Valkey logs for details about the RDB error."

static bool snapshot_failure_counts(unsigned now) {
    return (now & OBSTACLE_SAVE) && options.stop_writes_on_bgsave_error && options.save.count > 0;
}

static bool admit_disk(struct call *call, unsigned now) {
    bool concerned = effective_flags(call) & (WRITES | HEEDS_DISK);
    if (!concerned) return true;
    if (snapshot_failure_counts(now)) return refuse(call, LIT(SNAPSHOT_FAILED_TEXT));
    if (!(now & OBSTACLE_DISK) || !aof_is_failing()) return true;
    struct buf why = { 0 }, text = { 0 };
    aof_failure(&why);
    buf_printf(&text, "MISCONF Errors writing to the AOF file: %.*s", SLICE_ARG(why));
    refuse(call, buf_slice(&text));
    buf_release(&why);
    buf_release(&text);
    return false;
}

/* ---- the two halves ---- */

/* Known, with as many arguments as it wants. */
static inline bool admit_shape(struct call *call) {
    if (UNLIKELY(!call->command)) return refuse_unknown(call);
    if (UNLIKELY(!command_arity_fits(call->command, call->argc) || !call->command->run))
        return refuse_arity(call);
    return true;
}

static inline bool admit_conversation(struct call *call, unsigned now) {
    const struct command *command = call->command;
    struct client *c = call->client;
    if (UNLIKELY(!c->authenticated) && !(command->flags & NO_AUTH))
        return refuse(call, error_text(ERR_NOAUTH));
    if (UNLIKELY(c->flags & (CLIENT_IN_MULTI | CLIENT_SUBSCRIBED))) {
        if ((c->flags & CLIENT_IN_MULTI) && (command->flags & NO_MULTI)) return refuse_in_transaction(call);
        if ((c->flags & CLIENT_SUBSCRIBED) && c->reply.protocol == 2 && !(command->flags & RUNS_SUBSCRIBED))
            return refuse_subscriber(call);
    }
    if (UNLIKELY(now & OBSTACLE_LOADING) && !(command->flags & LOADING))
        return refuse(call, error_text(ERR_LOADING));
    return true;
}

/* Who has the locks was admitted with the command that took them: making room would need other locks. */
static bool admit_resources(struct call *call, unsigned now) {
    if (call->origin->has_locks) return true;
    if ((now & OBSTACLE_MEMORY_LIMIT) && !(now & OBSTACLE_LOADING) && !admit_memory(call)) return false;
    if ((now & (OBSTACLE_DISK | OBSTACLE_SAVE)) && !admit_disk(call, now)) return false;
    if ((now & OBSTACLE_SNAPSHOT) && (effective_flags(call) & WRITES)) snapshot_wait_for_room();
    return true;
}

bool command_admit(struct call *call) {
    unsigned now = obstacles_now();
    return admit_shape(call) && (LIKELY(now == 0) || admit_resources(call, now));
}

bool dispatch_admit(struct call *call) {
    assert(!call->origin->is_nested && !call->origin->has_locks);
    unsigned now = obstacles_now();
    return admit_shape(call) && admit_conversation(call, now) &&
           (LIKELY(now == 0) || admit_resources(call, now));
}
