/* dispatch.c: what a conversation adds to running a command: transactions being queued, CLIENT REPLY,
 * CLIENT PAUSE, and what the connection has to know afterwards.
 *
 * The short way is a client in no special state: one test of the obstacles and one of its flags let it pass.
 */
#include "trivet/engine/run/dispatch.h"
#include "admit.h"
#include "trivet/base/log.h"
#include "trivet/engine/client/blocking.h"
#include "trivet/engine/client/pause.h"
#include "trivet/engine/client/tracking.h"
#include "trivet/engine/client/transaction.h"
#include "trivet/engine/command/registry.h"
#include "trivet/engine/run/parts.h"
#include "trivet/engine/run/run.h"
#include "trivet/engine/slots/link.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/engine/watch/stats.h"
#include "trivet/keyspace/slot_stats.h"
#include <string.h>

/* Client states in which a command needs a second look before and after it runs. */
#define SPECIAL_STATES                                                                                   \
    (CLIENT_IN_MULTI | CLIENT_SUBSCRIBED | CLIENT_REPLY_OFF | CLIENT_REPLY_SKIP_NEXT | CLIENT_TRACKING | \
     CLIENT_ASKING)
/* Links with a conversation of their own. */
#define OTHER_SERVERS (CLIENT_REPLICA | CLIENT_SLOT_EXPORT | CLIENT_SLOT_IMPORT)

static bool is_queueing(const struct client *c, const struct command *command) {
    return (c->flags & CLIENT_IN_MULTI) && !(command->flags & RUNS_IN_MULTI);
}

ALWAYS_INLINE void run_or_queue(struct call *call) {
    struct client *c = call->client;
    if (UNLIKELY(is_queueing(c, call->command))) {
        uint64_t before = call->out->total;
        transaction_queue(call);
        reply_simple(call->out, LIT("QUEUED"));
        if (UNLIKELY(slot_stats_on)) command_note_queued(call, call->out->total - before);
        return;
    }
    command_run(call);
    if (UNLIKELY(c->flags & CLIENT_TRACKING) && !call->held) tracking_command_done(c);
}

static enum dispatched postpone(const struct call *call) {
    pause_postpone(call);
    return DISPATCH_POSTPONED;
}

static enum dispatched part_done(const struct call *call) {
    call->client->arguments_done += call->argc - 1;
    return DISPATCH_UNFINISHED;
}

ALWAYS_INLINE enum dispatched converse(struct call *call) {
    struct client *c = call->client;
    c->last_command = call->command;
    if (!dispatch_admit(call)) return c->flags & CLIENT_CLOSING ? DISPATCH_CLOSE : DISPATCH_DONE;
    if (UNLIKELY(obstacle_is_set(OBSTACLE_PAUSE)) && !is_queueing(c, call->command) &&
        pause_holds(call, turn_now_ms))
        return postpone(call);
    run_or_queue(call);
    if (UNLIKELY(call->held)) return postpone(call);
    if (UNLIKELY(c->flags & (CLIENT_BLOCKED | CLIENT_CLOSE_AFTER | CLIENT_CLOSING | CLIENT_UNFINISHED))) {
        assert(!(c->flags & CLIENT_BLOCKED) == !c->blocked);
        if (!(c->flags & (CLIENT_BLOCKED | CLIENT_CLOSE_AFTER | CLIENT_CLOSING))) return part_done(call);
        return c->flags & CLIENT_BLOCKED ? DISPATCH_BLOCKED : DISPATCH_CLOSE;
    }
    return DISPATCH_DONE;
}

/* CLIENT REPLY OFF and SKIP: the reply is dropped, pushes are not. ASKING holds for one command, or one
 * transaction. */
RARE static enum dispatched converse_specially(struct call *call) {
    struct client *c = call->client;
    uint32_t asking = c->flags & CLIENT_ASKING;
    if (c->flags & CLIENT_TRACKING) tracking_deliver();
    uint32_t skip = c->flags & CLIENT_REPLY_SKIP_NEXT;
    c->reply.muted = c->flags & (CLIENT_REPLY_OFF | CLIENT_REPLY_SKIP_NEXT);
    c->flags &= ~(uint32_t)CLIENT_REPLY_SKIP_NEXT;
    enum dispatched d = converse(call);
    bool comes_back = d == DISPATCH_POSTPONED || d == DISPATCH_UNFINISHED;
    if (comes_back) c->flags |= skip; /* the next time counts */
    c->reply.muted = false;
    if (asking && !comes_back && !(c->flags & CLIENT_IN_MULTI)) c->flags &= ~asking;
    return d;
}

/* The connection of a replica carries the stream: a reply in between would be taken for a part of it. So only
 * commands without a reply are run, and whoever sends others is cut off, as with Valkey 7.2 and later. */
RARE static enum dispatched converse_with_replica(struct call *call) {
    static const char *const silent[] = { "replconf", "psync", "sync" };
    struct client *c = call->client;
    const char *name = call->command ? call->command->full_name : "";
    uint64_t before = c->reply.total;
    for (size_t i = 0; i < COUNT_OF(silent); i++) {
        if (strcmp(name, silent[i]) != 0) continue;
        enum dispatched d = converse(call);
        if (LIKELY(c->reply.total == before)) return d;
    }
    LOG_WARNING("Replica generated a reply to command '%s', disconnecting it: %s", *name ? name : "<unknown>",
                c->peer);
    client_hooks.close(c, "a replica may not ask for a reply");
    return DISPATCH_CLOSE;
}

void (*slot_link_failed)(struct client *c, struct slice why);
void (*slot_data_flushed)(void);

/* Slots arrive on this connection. Their source waits for no reply; what cannot be done must not be missing.
 */
RARE static enum dispatched converse_with_source(struct call *call) {
    struct client *c = call->client;
    struct buf error = { 0 };
    c->reply.failed = false;
    c->reply.error_text = &error;
    enum dispatched d = converse(call);
    c->reply.error_text = NULL;
    if (UNLIKELY(c->reply.failed)) slot_link_failed(c, buf_slice(&error));
    buf_release(&error);
    return d;
}

/* Slots leave on this connection. The node that gets them only says how far it is. */
RARE static enum dispatched converse_with_target(struct call *call) {
    struct client *c = call->client;
    if (call->command && strcmp(call->command->full_name, "cluster|syncslots") == 0) {
        command_run(call);
    } else {
        slot_link_failed(c, call->argv[0]);
        client_hooks.close(c, "the node that gets slots sent something else than CLUSTER SYNCSLOTS");
    }
    return c->flags & CLIENT_CLOSING ? DISPATCH_CLOSE : DISPATCH_DONE;
}

/* An inline command has another form in the journal. */
static struct slice wire_for_journal(const struct args *args, struct slice wire) {
    bool is_array = wire.len > 0 && wire.ptr[0] == '*' && !args->blobs;
    return LIKELY(is_array) ? wire : (struct slice){ 0 };
}

ALWAYS_INLINE enum dispatched converse_somehow(struct call *call) {
    const struct client *c = call->client;
    if (LIKELY(!(c->flags & (SPECIAL_STATES | OTHER_SERVERS)))) return converse(call);
    if (c->flags & CLIENT_SLOT_IMPORT) return converse_with_source(call);
    if (c->flags & CLIENT_SLOT_EXPORT) return converse_with_target(call);
    return c->flags & CLIENT_REPLICA ? converse_with_replica(call) : converse_specially(call);
}

/* To a part the arguments before it are not there: the name of the command stands in front of its own. */
enum dispatched dispatch_go_on(struct client *c, struct args *args, const struct prepared *p) {
    size_t before = c->arguments_done, left = args->argc - 1 - before;
    struct slice *argv = args->argv + before;
    struct slice covered = argv[0];
    struct call call;
    assert(c->flags & CLIENT_UNFINISHED);
    call_init(&call, c, &origin_connection);
    call.command = p->command;
    call.argv = argv;
    call.argc = 1 + (left < PART_ARGUMENTS ? left : PART_ARGUMENTS);
    call.request_bytes = args->bytes;
    call.ns = c->unfinished_ns;
    call_set_keys(&call, &p->keys);
    if (left <= PART_ARGUMENTS) c->flags &= ~(uint32_t)CLIENT_UNFINISHED;
    argv[0] = args->argv[0];
    enum dispatched d = converse_somehow(&call);
    argv[0] = covered;
    if (d == DISPATCH_POSTPONED) c->flags |= CLIENT_UNFINISHED;
    if (d == DISPATCH_POSTPONED || d == DISPATCH_UNFINISHED) return d;
    c->flags &= ~(uint32_t)CLIENT_UNFINISHED; /* if it was refused, that is the end */
    c->arguments_done = 0;
    return d;
}

enum dispatched dispatch_run(struct client *c, const struct args *args, const struct prepared *p,
                             struct slice wire) {
    struct call call;
    call_init(&call, c, &origin_connection);
    call.command = p->command;
    call.argv = args->argv;
    call.blobs = args->blobs;
    call.argc = args->argc;
    call.request_bytes = args->bytes;
    call.wire = wire_for_journal(args, wire);
    call_set_keys(&call, &p->keys);
    return converse_somehow(&call);
}

/* ---- the journal, read again ---- */

static void replay(struct client *c, const struct prepared *p, const struct slice *argv, size_t argc) {
    struct call call;
    call_init(&call, c, &origin_journal);
    call.command = p->command;
    call.argv = argv;
    call.argc = argc;
    call_set_keys(&call, &p->keys);
    c->reply.failed = false;
    if (is_queueing(c, p->command))
        transaction_queue(&call);
    else
        command_run(&call);
    if (c->reply.failed) COUNTER_ADD(stats_mine()->unexpected_errors, 1);
}

bool dispatch_replay(struct client *c, const struct slice *argv, size_t argc, struct buf *error) {
    struct prepared p = { 0 };
    assert((c->flags & CLIENT_INTERNAL) && argc > 0);
    dispatch_prepare_replay(argv, argc, &p);
    bool known = p.command && p.command->run && command_arity_fits(p.command, argc);
    if (!p.command || !p.command->run) {
        buf_printf(error, "Unknown command '%.*s' reading the append only file", SLICE_ARG(argv[0]));
    } else if (!known) {
        buf_printf(error, "wrong number of arguments for '%s'", p.command->full_name);
    } else {
        c->reply.error_text = error;
        replay(c, &p, argv, argc);
        c->reply.error_text = NULL;
    }
    reply_sent(&c->reply, c->reply.bytes);
    prepared_release(&p);
    return known;
}
