/* run.c: a command under its locks, from the kind in its row to the journal; see run.h.
 *
 * The usual case is a command with one key: one lock, the handler, the statistics, the journal. */
#include "trivet/engine/run/run.h"
#include "trivet/base/clock.h"
#include "trivet/engine/client/blocking.h"
#include "trivet/engine/client/monitor.h"
#include "trivet/engine/client/pause.h"
#include "trivet/engine/client/tracking.h"
#include "trivet/engine/client/transaction.h"
#include "trivet/engine/run/change.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/engine/watch/commandlog.h"
#include "trivet/engine/watch/errors.h"
#include "trivet/engine/watch/latency.h"
#include "trivet/engine/watch/stats.h"

void call_set_kept(struct call *call, const struct kept *k) {
    call->command = k->command;
    call->argv = k->argv;
    call->blobs = k->blobs;
    call->argc = k->argc;
    call_set_keys(call, &k->keys);
}

/* ---- the handler, and what follows every command ---- */

/* What each worker runs, or ran last in this turn: for the report of a crash. */
static struct { _Atomic(const struct command *) command; } CACHE_ALIGNED running[WORKERS_MAX];

const struct command *command_running(int worker) {
    return atomic_load_explicit(&running[worker].command, memory_order_relaxed);
}

ALWAYS_INLINE void done(const struct call *call) {
    const struct reply *out = call->out;
    call->client->commands++;
    COUNTER_ADD(stats_mine()->commands, 1);
    if (UNLIKELY(out->failed)) stats_error(out->error_code);
    stats_command_ran(call->command, call->ns, out->failed);
    int64_t us = call->ns / 1000;
    int64_t threshold_ms = options.latency_monitor_threshold_ms;
    if (UNLIKELY(threshold_ms > 0 && us >= threshold_ms * 1000))
        latency_note(call->command->flags & FAST ? "fast-command" : "command", us / 1000);
    if (UNLIKELY(commandlog_wants(us, call->request_bytes, call->reply_bytes)))
        commandlog_note(call, us, call->reply_bytes);
}

void command_done(const struct call *call) { done(call); }

ALWAYS_INLINE void note_running(const struct command *command) {
    int worker = thread_worker_index < 0 ? 0 : thread_worker_index;
    atomic_store_explicit(&running[worker].command, command, memory_order_relaxed);
}

void command_turn_ends(void) { note_running(NULL); }

static inline void execute(struct call *call) {
    struct client *c = call->client;
    struct reply *out = call->out;
    uint64_t reply_before = out->total;
    out->failed = false;
    int64_t start = clock_ticks_ns();
    note_running(call->command);
    call->command->run(call);
    call->ns += clock_ticks_ns() - start;
    call->reply_bytes += out->total - reply_before;
    if (UNLIKELY(call->origin->waits_already)) return; /* it is done when its client has the reply */
    /* Only now: MONITOR shows EXEC after the commands that it ran, and SELECT with the database it chose. */
    if (UNLIKELY(obstacle_is_set(OBSTACLE_MONITOR)))
        monitor_feed(c, call->command, call->argv, call->argc, clock_wall_us());
    if (UNLIKELY(c->flags & (CLIENT_TRACKING | CLIENT_BLOCKED))) {
        if (c->flags & CLIENT_TRACKING) tracking_remember(call);
        if (c->flags & CLIENT_BLOCKED) {
            blocking_has_begun(call);
            return;
        }
    }
    done(call);
}

/* Before the locks are dropped: serves the clients that waited for this change, then writes the journal. */
static void settle(struct client *c) {
    bool served = UNLIKELY(blocking_has_work());
    if (served) blocking_serve();
    uint64_t offset = change_flush();
    if (served) blocking_deliver(offset);
    assert(offset == 0 || offset >= c->journal_offset);
    if (offset > 0) c->journal_offset = offset;
}

/* ---- its locks ---- */

/* What came first while it waited for the gate: CLIENT KILL, or CLIENT PAUSE, whose OK promised that the data
 * stands still. */
static bool may_run_still(struct call *call) {
    const struct client *c = call->client;
    if (UNLIKELY(c->flags & CLIENT_CLOSING)) return false;
    call->held = UNLIKELY(obstacle_is_set(OBSTACLE_PAUSE)) && pause_holds(c, call->command, turn_now_ms);
    return !call->held;
}

static void run_exclusive(struct call *call) {
    exclusive_begin();
    call->locked = NULL;
    call->view.expiry = expiry_of_call(call->client, call->origin); /* a pause may have begun meanwhile */
    if (LIKELY(may_run_still(call))) {
        execute(call);
        settle(call->client);
    }
    exclusive_end();
}

static void run_on_one_key(struct call *call) {
    struct shard *s = &shards[call->keys->at[0].shard];
    shard_lock(s);
    if (UNLIKELY(blocking_needs_gate(s))) {
        shard_unlock(s);
        run_exclusive(call);
        return;
    }
    execute(call);
    settle(call->client);
    shard_unlock(s);
}

static bool any_needs_gate(const struct shard_set *set) {
    if (!shards_are_shared || set->count == 0 || blocking_keys_count() == 0) return false;
    for (uint32_t word = set->low; word <= set->high; word++)
        for (uint64_t bits = set->bits[word]; bits; bits &= bits - 1)
            if (blocking_needs_gate(&shards[word * 64 + (uint32_t)__builtin_ctzll(bits)])) return true;
    return false;
}

static void run_on_shards(struct call *call, const struct shard_set *set) {
    shards_lock(set);
    if (UNLIKELY(any_needs_gate(set))) {
        shards_unlock(set);
        run_exclusive(call);
        return;
    }
    call->locked = set;
    execute(call);
    settle(call->client);
    shards_unlock(set);
}

static void run_on_keys(struct call *call) {
    if (LIKELY(call->keys->count == 1)) {
        run_on_one_key(call);
        return;
    }
    struct shard_set set = { 0 };
    for (size_t i = 0; i < call->keys->count; i++) shard_set_add(&set, call->keys->at[i].shard);
    run_on_shards(call, &set);
}

/* EXEC: takes the locks of all queued and watched keys, or closes the gate if one command needs that. */
static void run_queue(struct call *call) {
    if (transaction_is_exclusive(call->client)) {
        run_exclusive(call);
        return;
    }
    struct shard_set set = { 0 };
    transaction_shards(call->client, &set);
    run_on_shards(call, &set);
}

void command_run(struct call *call) {
    const struct command *command = call->command;
    assert(gate_is_mine() && command->run);
    if (call->origin->has_locks) {
        execute(call);
    } else if (command->flags & RUNS_QUEUE) {
        run_queue(call);
    } else if (command->kind == EXCLUSIVE) {
        run_exclusive(call);
    } else if (command->kind == KEYED) {
        run_on_keys(call);
    } else {
        execute(call);
        settle(call->client);
    }
}
