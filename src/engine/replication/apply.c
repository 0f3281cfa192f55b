/* apply.c: see apply.h.
 *
 * The bytes of a command go into this server's own stream together with its effects' going into the journal,
 * under one lock (change_copies). So the offset that the append-only file notes is never behind or ahead of
 * the data. The bytes of a transaction are kept until its EXEC: until then the offset stands still, and after
 * a broken link the primary is asked for the transaction from its beginning. */
#include "trivet/engine/replication/apply.h"
#include "trivet/base/background.h"
#include "trivet/base/log.h"
#include "trivet/base/mem.h"
#include "trivet/engine/client/transaction.h"
#include "trivet/engine/command/registry.h"
#include "trivet/engine/run/change.h"
#include "trivet/engine/run/run.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/engine/watch/stats.h"
#include "trivet/keyspace/eviction.h"
#include "trivet/keyspace/slot_stats.h"
#include "trivet/persist/aof/aof.h"
#include "trivet/persist/backlog.h"
#include "trivet/persist/journal_sink.h"
#include "trivet/persist/snapshot/snapshot.h"
#include <unistd.h>

#define HELD_KEPT ((size_t)1024 * 1024) /* a bigger buffer gives its memory back */
#define DISK_LINE_EVERY_MS 10000
#define SHOWN_MAX 128 /* bytes of an error that the log repeats */

/* Of the one link that there is; worker 0's. */
static struct buf held;    /* the bytes of a transaction so far */
static struct buf rebuilt; /* of a command whose bytes are in several pieces */
static struct {
    bool is_syncing; /* an fsync is under way because the primary asked */
    bool again;      /* it has asked once more since that began */
} asked;

static void forget(struct buf *b) {
    if (b->room > HELD_KEPT) buf_release(b);
    buf_clear(b);
}

void apply_forget(void) {
    buf_release(&held);
    buf_release(&rebuilt);
}

/* ---- what went wrong ---- */

/* Going on would make it worse: the operator wants the server to end. */
static void stop_for(const char *what, struct slice detail) {
    LOG_WARNING("%s: %.*s. Exiting now.", what, SLICE_ARG(detail));
    _exit(1);
}

/* The data may differ from the primary's from now on. The stream goes on all the same, as with Valkey. */
static void report(struct client *c, const struct args *args, struct slice error) {
    COUNTER_ADD(stats_mine()->unexpected_errors, 1);
    size_t shown = error.len < SHOWN_MAX ? error.len : SHOWN_MAX;
    LOG_WARNING("== CRITICAL == This replica is sending an error to its master: '%.*s' after processing the "
                "command '%.*s'. The data may differ from the master's: a full synchronization mends it.",
                (int)shown, error.ptr, SLICE_ARG(args->argv[0]));
    c->reply.failed = false;
    if (options.propagation_error_behavior != PROPAGATION_IGNORE && options.replica_read_only)
        stop_for("This replica panicked sending an error to its master", error);
}

/* A replica that cannot keep what it takes over ends, unless it is told not to mind. */
static void heed_disk(int64_t now_ms) {
    static int64_t said_ms;
    struct buf why = { 0 };
    if (command_disk_refuses(&why)) {
        if (!options.replica_ignore_disk_write_errors)
            stop_for("Replica was unable to write command to disk", buf_slice(&why));
        if (now_ms - said_ms >= DISK_LINE_EVERY_MS)
            LOG_WARNING("Replica is applying a command it is unable to write to disk: %.*s",
                        SLICE_ARG(buf_slice(&why)));
        if (now_ms - said_ms >= DISK_LINE_EVERY_MS) said_ms = now_ms;
    }
    buf_release(&why);
}

/* What a client's command would be asked before it writes. The stream is never refused, but it may have to
 * wait a moment, or to make room. */
static void make_way(const struct command *command) {
    unsigned now = obstacles_now();
    if (LIKELY(!(now & (OBSTACLE_DISK | OBSTACLE_SAVE | OBSTACLE_SNAPSHOT | OBSTACLE_MEMORY_LIMIT)))) return;
    if (!(command->flags & (WRITES | RUNS_QUEUE))) return;
    if (now & (OBSTACLE_DISK | OBSTACLE_SAVE)) heed_disk(turn_now_ms);
    if (now & OBSTACLE_SNAPSHOT) snapshot_wait_for_room();
    if ((now & OBSTACLE_MEMORY_LIMIT) && !options.replica_ignore_maxmemory)
        eviction_make_room_everywhere(turn_now_ms, change_flush_quietly);
}

static enum dispatched break_off(struct client *c, const char *why) {
    LOG_WARNING("Protocol error in the master's stream: %s. The link is closed.", why);
    client_hooks.close(c, why);
    return DISPATCH_CLOSE;
}

/* ---- one command ---- */

static void run_call(struct client *c, const struct args *args, const struct prepared *p, struct slice wire) {
    struct call call;
    call_init(&call, c, &origin_stream);
    call.command = p->command;
    call.argv = args->argv;
    call.blobs = args->blobs;
    call.argc = args->argc;
    call.request_bytes = args->bytes;
    if (!args->blobs && !(c->flags & CLIENT_IN_MULTI)) call.wire = wire;
    call_set_keys(&call, &p->keys);
    c->last_command = p->command;
    if (!(c->flags & CLIENT_IN_MULTI) || (p->command->flags & RUNS_IN_MULTI)) {
        command_run(&call);
        return;
    }
    transaction_queue(&call);
    if (UNLIKELY(slot_stats_on)) command_note_queued(&call, 0);
}

/* Runs it, with `wire` as its bytes for the stream. */
static void run_with(struct client *c, const struct args *args, const struct prepared *p, struct slice wire) {
    struct buf error = { 0 };
    change_copies(wire, &c->db);
    c->reply.failed = false;
    c->reply.error_text = &error;
    run_call(c, args, p, wire);
    c->reply.error_text = NULL;
    bool had_no_effects = change_has_copies();
    change_copies((struct slice){ 0 }, NULL); /* they point into the client, which may go */
    if (had_no_effects) backlog_copy((struct copied){ wire, c->db });
    if (UNLIKELY(c->reply.failed)) report(c, args, buf_slice(&error));
    buf_release(&error);
}

static bool is_known(const struct prepared *p, size_t argc) {
    return p->command && p->command->run && command_arity_fits(p->command, argc);
}

/* The primary sends arrays of bulk strings in one form only, so the bytes can be made again. */
static bool wire_again(const struct args *args, struct slice *wire) {
    forget(&rebuilt);
    wire_command(&rebuilt, args->argv, args->argc);
    *wire = buf_slice(&rebuilt);
    return wire->len == args->bytes;
}

static bool is_of_transaction(const struct client *c, const struct args *args) {
    return (c->flags & CLIENT_IN_MULTI) || slice_equal_nocase(args->argv[0], LIT("MULTI"));
}

/* Why it cannot be run at all; empty: it can. */
static struct slice why_not(const struct client *c, const struct args *args, const struct prepared *p) {
    if (!is_known(p, args->argc)) return LIT("unknown command, or wrong number of arguments");
    bool is_nested = (c->flags & CLIENT_IN_MULTI) && (p->command->flags & NO_MULTI);
    return is_nested ? LIT("not allowed inside a transaction") : (struct slice){ 0 };
}

/* A command of a newer primary, or of one that errs: its bytes count, or the offsets would differ. */
static void skip(struct client *c, const struct args *args, struct slice wire, struct slice why) {
    report(c, args, why);
    if (c->flags & CLIENT_IN_MULTI)
        buf_append(&held, wire);
    else
        backlog_copy((struct copied){ wire, c->db });
}

/* At the transaction's end all its bytes go into the stream: with the effects of EXEC; or by themselves,
 * where it ends without being run (DISCARD), or the offsets would differ. */
static void run_in_transaction(struct client *c, const struct args *args, const struct prepared *p,
                               struct slice wire) {
    bool runs_queue = p->command->flags & RUNS_QUEUE;
    buf_append(&held, wire);
    run_with(c, args, p, runs_queue ? buf_slice(&held) : (struct slice){ 0 });
    if (c->flags & CLIENT_IN_MULTI) return;
    if (!runs_queue) backlog_copy((struct copied){ buf_slice(&held), c->db });
    forget(&held);
}

enum dispatched apply_run(struct client *c, const struct args *args, const struct prepared *p,
                          struct slice wire) {
    if (args->blobs && !wire_again(args, &wire)) return break_off(c, "an unusual length");
    if (wire.ptr[0] != '*') return break_off(c, "an inline command");
    struct slice why = why_not(c, args, p);
    if (UNLIKELY(why.len > 0)) {
        skip(c, args, wire, why);
        return c->flags & CLIENT_CLOSING ? DISPATCH_CLOSE : DISPATCH_DONE;
    }
    make_way(p->command);
    if (LIKELY(!is_of_transaction(c, args))) {
        run_with(c, args, p, wire);
    } else {
        run_in_transaction(c, args, p, wire);
    }
    return c->flags & CLIENT_CLOSING ? DISPATCH_CLOSE : DISPATCH_DONE;
}

/* ---- acknowledging ---- */

/* Could this server start again from what its append-only file has? */
static bool has_whole_file(void) { return journal_on && !aof_lacks_base(); }

void apply_acknowledge(struct client *c) {
    struct reply *out = &c->reply;
    bool tells_synced = has_whole_file();
    out->muted = false;
    reply_array(out, tells_synced ? 5 : 3);
    reply_bulk(out, LIT("REPLCONF"));
    reply_bulk(out, LIT("ACK"));
    reply_bulk_int(out, (int64_t)backlog_offset());
    if (tells_synced) {
        reply_bulk(out, LIT("FACK"));
        reply_bulk_int(out, (int64_t)aof_synced_position());
    }
    out->muted = true;
    client_hooks.output(c);
}

static void sync_done(struct client *c, void *link);

/* On the background thread. Whether it worked is seen from aof_synced_position. */
static void sync_for_primary(void *link) {
    (void)aof_sync_written();
    client_post(0, *(uint64_t *)link, sync_done, link);
}

static void begin_sync(const struct client *c) {
    uint64_t *link = mem_alloc(sizeof *link);
    *link = c->id;
    asked.is_syncing = true;
    asked.again = false;
    background_post(sync_for_primary, link, 0);
}

/* On worker 0. The link may be gone, or another one. */
static void sync_done(struct client *c, void *link) {
    mem_free(link);
    asked.is_syncing = false;
    if (!c) return;
    apply_acknowledge(c);
    if (asked.again) begin_sync(c);
}

void apply_answer(struct client *c) {
    /* What is written before the answer is synced already under `always`. */
    bool is_written = has_whole_file() && aof_commit(journal_offset()) == COMMITTED;
    apply_acknowledge(c);
    if (!is_written || aof_synced_position() >= backlog_offset()) return;
    if (asked.is_syncing)
        asked.again = true;
    else
        begin_sync(c);
}
