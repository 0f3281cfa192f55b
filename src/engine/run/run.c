/* run.c: a command under its locks, from the kind in its row to the journal; see run.h.
 *
 * The usual case is a command with one key: one lock, the handler, the statistics, the journal. */
#include "trivet/engine/run/run.h"
#include "admit.h"
#include "trivet/base/clock.h"
#include "trivet/engine/client/blocking.h"
#include "trivet/engine/client/monitor.h"
#include "trivet/engine/client/pause.h"
#include "trivet/engine/client/tracking.h"
#include "trivet/engine/client/transaction.h"
#include "trivet/engine/run/change.h"
#include "trivet/engine/run/keeping.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/slots/redirect.h"
#include "trivet/engine/slots/routes.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/engine/watch/commandlog.h"
#include "trivet/engine/watch/errors.h"
#include "trivet/engine/watch/latency.h"
#include "trivet/engine/watch/stats.h"
#include "trivet/keyspace/slot_stats.h"
#include "trivet/persist/backlog.h"
#include "trivet/persist/journal.h"

void call_set_kept(struct call *call, const struct kept *k) {
    call->command = k->command;
    call->argv = k->argv;
    call->blobs = k->blobs;
    call->argc = k->argc;
    call_set_keys(call, &k->keys);
}

/* ---- the handler, and what follows every command ---- */

/* What each worker runs: for the report of a crash. */
static struct running {
    _Atomic(const struct command *) command; /* now, or last in this turn */
    _Atomic(const struct call *) call;       /* NULL between two */
} CACHE_ALIGNED running[WORKERS_MAX];

const struct command *command_running(int worker) {
    return atomic_load_explicit(&running[worker].command, memory_order_relaxed);
}

const struct call *call_running(int worker) {
    return atomic_load_explicit(&running[worker].call, memory_order_relaxed);
}

/* ---- what its slot costs ---- */

#define MULTI_BYTES 15 /* of the MULTI that came before an EXEC: nobody knew its slot then */

static _Thread_local int32_t settled_slot = -1; /* of the command whose effects are settled next */

/* What clients and the primary send counts, not what is in it, and not what the journal replays. */
RARE static int32_t counted_slot(const struct call *call) {
    bool counts =
        !call->origin->is_nested && (!call->origin->is_replay || call->client->flags & CLIENT_PRIMARY);
    return counts ? slot_of_call(call) : -1;
}

RARE static void count_for_slot(const struct call *call, int32_t slot) {
    slot_stats_add(slot, SLOT_CPU_NS, (uint64_t)call->ns);
    slot_stats_add(slot, SLOT_BYTES_OUT, call->reply_bytes);
    slot_stats_add(slot, SLOT_BYTES_IN,
                   call->request_bytes + (call->command->flags & RUNS_QUEUE ? MULTI_BYTES : 0));
}

void command_note_queued(const struct call *call, uint64_t reply_bytes) {
    int32_t slot = slot_of_call(call);
    slot_stats_add(slot, SLOT_BYTES_IN, call->request_bytes);
    slot_stats_add(slot, SLOT_BYTES_OUT, reply_bytes);
}

/* Its effects went into the stream, once for each replica. */
RARE static void count_stream(void) {
    size_t replicas = atomic_load_explicit(&slot_stats_replicas, memory_order_relaxed);
    slot_stats_add(settled_slot, SLOT_BYTES_OUT, backlog_taken() * replicas);
}

/* The handler, and around it what a script without keys needs. */
RARE static int32_t run_counted(struct call *call) {
    int32_t slot = counted_slot(call);
    if (slot < 0 && call->command->runs_alone && !call->origin->is_nested) {
        int32_t outer = slot_stats_uses_begin();
        call->command->run(call);
        slot = slot_stats_uses_end(outer);
    } else {
        call->command->run(call);
    }
    if (!call->origin->is_nested) settled_slot = slot;
    return slot;
}

ALWAYS_INLINE void done(const struct call *call, int32_t slot) {
    if (UNLIKELY(slot >= 0)) count_for_slot(call, slot);
    const struct reply *out = call->out;
    call->client->commands++;
    COUNTER_ADD(stats_mine()->commands, 1);
    if (UNLIKELY(out->failed) && !out->error_counted) stats_error(out->error_code);
    if (LIKELY(call->origin == &origin_connection))
        stats_command_answered(call->command, call->ns, out->failed);
    else
        stats_command_ran(call->command, call->ns, out->failed);
    int64_t us = call->ns / 1000;
    int64_t threshold_ms = options.latency_monitor_threshold_ms;
    if (UNLIKELY(threshold_ms > 0 && us >= threshold_ms * 1000))
        latency_note(call->command->flags & FAST ? "fast-command" : "command", us / 1000);
    if (UNLIKELY(commandlog_wants(us, call->request_bytes, call->reply_bytes)))
        commandlog_note(call, us, call->reply_bytes);
}

void command_done(const struct call *call) { done(call, UNLIKELY(slot_stats_on) ? counted_slot(call) : -1); }

ALWAYS_INLINE int running_index(void) { return thread_worker_index < 0 ? 0 : thread_worker_index; }

ALWAYS_INLINE void note_running(const struct command *command) {
    atomic_store_explicit(&running[running_index()].command, command, memory_order_relaxed);
}

void command_turn_ends(void) { note_running(NULL); }
void command_goes_on(const struct command *command) { note_running(command); }

/* When the call begins: see turn_mark_ns. Only commands that come one after the other take the mark: one
 * inside another, or of a client that waited, begins whenever it does. */
ALWAYS_INLINE int64_t take_mark(const struct call *call) {
    int64_t mark = turn_mark_ns;
    turn_mark_ns = 0;
    return LIKELY(mark != 0) && LIKELY(call->origin == &origin_connection) ? mark : clock_ticks_ns();
}

static inline void execute(struct call *call) {
    struct client *c = call->client;
    struct reply *out = call->out;
    if (UNLIKELY(routes_are_moving) && !call->keeping && !command_admit_keys(call)) return;
    uint64_t reply_before = out->total;
    out->failed = false;
    out->error_counted = false;
    int64_t start = take_mark(call);
    struct running *mine = &running[running_index()];
    const struct call *outer = atomic_load_explicit(&mine->call, memory_order_relaxed);
    atomic_store_explicit(&mine->command, call->command, memory_order_relaxed);
    atomic_store_explicit(&mine->call, call, memory_order_relaxed);
    int32_t slot = -1;
    if (LIKELY(!slot_stats_on))
        call->command->run(call);
    else
        slot = run_counted(call);
    atomic_store_explicit(&mine->call, outer, memory_order_relaxed);
    call->ended_ns = clock_ticks_ns();
    call->ns += call->ended_ns - start;
    call->reply_bytes += out->total - reply_before;
    if (UNLIKELY(call->origin->waits_already)) return; /* it is done when its client has the reply */
    /* Only now: MONITOR shows EXEC after the commands that it ran, and SELECT with the database it chose. */
    if (UNLIKELY(obstacle_is_set(OBSTACLE_MONITOR)) && !(call->command->flags & SKIP_MONITOR))
        monitor_feed(call, clock_wall_us());
    if (UNLIKELY(c->flags & (CLIENT_TRACKING | CLIENT_BLOCKED | CLIENT_UNFINISHED))) {
        if (c->flags & CLIENT_UNFINISHED) {
            c->unfinished_ns = call->ns;
            slot_stats_add(slot, SLOT_BYTES_OUT, call->reply_bytes);
            return;
        }
        if (c->flags & CLIENT_TRACKING) tracking_remember(call);
        if (c->flags & CLIENT_BLOCKED) {
            blocking_has_begun(call);
            return;
        }
    }
    done(call, slot);
}

/* Serves the clients that waited for this change, then writes the journal. */
static __attribute__((noinline)) void settle_some(struct client *c) {
    bool served = UNLIKELY(blocking_has_work());
    if (served) blocking_serve();
    bool has_effects = change_has_effects();
    uint64_t offset = change_flush();
    if (UNLIKELY(slot_stats_on) && has_effects) count_stream();
    if (UNLIKELY(has_effects && effects_apart_are_wanted)) c->stream_offset = backlog_offset();
    if (served) blocking_deliver(offset);
    assert(offset == 0 || offset >= c->journal_offset);
    if (offset > 0) c->journal_offset = offset;
}

/* Before the locks are dropped. Most commands have nothing to settle. */
ALWAYS_INLINE bool settle(struct client *c) {
    if (LIKELY(!change_must_flush && !blocking_has_work())) return false;
    settle_some(c);
    return true;
}

/* ---- its locks ---- */

/* What came first while it waited for the gate: CLIENT KILL, or CLIENT PAUSE, whose OK promised that the data
 * stands still, or REPLICAOF, or a script that runs for long. */
static bool may_run_still(struct call *call) {
    const struct client *c = call->client;
    if (UNLIKELY(c->flags & CLIENT_CLOSING)) return false;
    call->view.expiry = expiry_of_call(c, call->origin);
    call->held = UNLIKELY(obstacle_is_set(OBSTACLE_PAUSE)) && pause_holds(call, turn_now_ms);
    if (call->held) return false;
    if (UNLIKELY(obstacle_is_set(OBSTACLE_CLUSTER)) && !command_admit_slot(call)) return false;
    if (UNLIKELY(obstacle_is_set(OBSTACLE_REPLICA)) && !command_admit_role(call)) return false;
    return LIKELY(!obstacle_is_set(OBSTACLE_BUSY)) || command_admit_busy(call);
}

/* What a command of a script did is settled with the script. */
static inline void finish(struct call *call) {
    if (UNLIKELY(call->origin->is_nested)) return;
    if (LIKELY(!settle(call->client))) turn_mark_ns = call->ended_ns;
}

static void run_exclusive(struct call *call) {
    exclusive_begin();
    call->locked = NULL;
    if (LIKELY(may_run_still(call))) {
        execute(call);
        finish(call);
    }
    exclusive_end();
}

/* ---- on its keys ---- */

/* A script of another worker keeps one of its shards. False: it must not run any more. */
RARE static bool wait_for_script(struct call *call, uint64_t ticket) {
    assert(!call->origin->is_nested);
    keeping_wait(ticket);
    return may_run_still(call);
}

/* A wait is not part of the command's time. */
ALWAYS_INLINE void lock_shard(struct shard *s) UNCHECKED;
ALWAYS_INLINE void lock_shard(struct shard *s) {
    if (shards_are_shared && UNLIKELY(latch_take(&s->lock))) turn_mark_ns = 0;
}

static void run_on_one_key(struct call *call) {
    uint32_t shard = call->keys->at[0].shard;
    struct shard *s = &shards[shard];
    uint64_t ticket;
    lock_shard(s);
    while (UNLIKELY(keeping_meets_one(shard, &ticket))) {
        shard_unlock(s);
        if (!wait_for_script(call, ticket)) return;
        shard_lock(s);
    }
    if (shards_are_shared && UNLIKELY(blocking_needs_gate(s))) {
        shard_unlock(s);
        run_exclusive(call);
        return;
    }
    execute(call);
    finish(call);
    shard_unlock(s);
}

static bool any_needs_gate(const struct shard_set *set) {
    if (!shards_are_shared || set->count == 0 || blocking_keys_count() == 0) return false;
    SHARD_SET_EACH(set, shard)
    if (blocking_needs_gate(&shards[shard])) return true;
    return false;
}

static void run_on_shards(struct call *call, const struct shard_set *set) {
    uint64_t ticket;
    turn_mark_ns = 0; /* it may wait for them */
    shards_lock(set);
    while (UNLIKELY(keeping_meets(set, &ticket))) {
        shards_unlock(set);
        if (!wait_for_script(call, ticket)) return;
        shards_lock(set);
    }
    if (UNLIKELY(any_needs_gate(set))) {
        shards_unlock(set);
        run_exclusive(call);
        return;
    }
    call->locked = set;
    execute(call);
    finish(call);
    shards_unlock(set);
}

static void run_on_keys(struct call *call) {
    if (LIKELY(call->keys->count == 1)) {
        run_on_one_key(call);
        return;
    }
    struct shard_set set;
    shard_set_init(&set);
    for (size_t i = 0; i < call->keys->count; i++) shard_set_add(&set, call->keys->at[i].shard);
    run_on_shards(call, &set);
}

/* ---- others ---- */

/* A script's shards, before it runs beside others. False: it must close the gate. While it waited for its
 * turn the scripts may have been flushed or the functions replaced, so it is asked once more then. */
static bool keep_shards(struct call *call, struct keeping *keeping, bool *waited) {
    if (!thread_is_parallel() || call->command->runs_alone(call)) return false;
    if (!keeping_begin(keeping, call->keys, waited)) return false;
    if (LIKELY(!*waited) || !call->command->runs_alone(call)) return true;
    shards_lock(&keeping->set);
    keeping_end(keeping);
    shards_unlock(&keeping->set);
    return false;
}

/* A script's keys, while slots are moving. It keeps their shards. */
RARE static bool keys_are_here(struct call *call, const struct shard_set *kept) {
    shards_lock(kept);
    bool here = command_admit_keys(call);
    shards_unlock(kept);
    return here;
}

/* A script: it keeps the shards of its keys. If it closes the gate in the middle, it ends like an exclusive
 * command. */
static void run_script(struct call *call) {
    struct keeping keeping;
    bool waited;
    if (!keep_shards(call, &keeping, &waited)) {
        run_exclusive(call);
        return;
    }
    if (LIKELY(!waited || may_run_still(call)) &&
        LIKELY(!routes_are_moving || keys_are_here(call, &keeping.set))) {
        call->keeping = &keeping;
        execute(call);
        call->keeping = NULL;
    }
    if (keeping.is_alone) {
        settle(call->client);
        exclusive_end();
        return;
    }
    shards_lock(&keeping.set);
    settle(call->client);
    keeping_end(&keeping);
    shards_unlock(&keeping.set);
}

/* Only its own connection, or state with locks of its own; or all shards, which it locks one by one. */
static void run_local(struct call *call) {
    bool walks = call->command->flags & (READS | WRITES);
    if (UNLIKELY(walks && !walking_begin())) {
        run_exclusive(call);
        return;
    }
    execute(call);
    finish(call);
    if (walks) walking_end();
}

/* EXEC: takes the locks of all queued and watched keys, or closes the gate if one command needs that. */
static void run_queue(struct call *call) {
    if (transaction_is_exclusive(call->client)) {
        run_exclusive(call);
        return;
    }
    struct shard_set set;
    shard_set_init(&set);
    transaction_shards(call->client, &set);
    run_on_shards(call, &set);
}

void command_run(struct call *call) {
    const struct command *command = call->command;
    assert(gate_is_mine() && command->run);
    if (call->origin->has_locks) {
        execute(call);
    } else if (command->kind == KEYED) {
        run_on_keys(call);
    } else if (command->kind == LOCAL) {
        run_local(call);
    } else if (command->flags & RUNS_QUEUE) {
        run_queue(call);
    } else if (command->runs_alone) {
        run_script(call);
    } else {
        run_exclusive(call);
    }
}
