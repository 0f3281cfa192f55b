/* dispatch.c: the way of one command, top to bottom: prepare (look up, hash, prefetch), admit (may it run?),
 * queue or run under the locks its kind asks for, and settle (statistics, journal).
 *
 * The short way is a command with one key from a client in no special state: one test of `obstacles` and one
 * of the client's flags let it pass. */
#include "trivet/engine/run/dispatch.h"
#include "admit.h"
#include "trivet/base/clock.h"
#include "trivet/base/hashing.h"
#include "trivet/base/mem.h"
#include "trivet/engine/client/blocking.h"
#include "trivet/engine/client/monitor.h"
#include "trivet/engine/client/tracking.h"
#include "trivet/engine/client/transaction.h"
#include "trivet/engine/command/registry.h"
#include "trivet/engine/run/change.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/engine/watch/commandlog.h"
#include "trivet/engine/watch/latency.h"
#include "trivet/engine/watch/stats.h"

struct blob *call_take_blob(struct call *c, size_t index) {
    if (!c->blobs || !c->blobs[index]) return NULL;
    struct blob *b = c->blobs[index];
    if (b->len != c->argv[index].len || b->room > b->len + b->len / 8 + 64) return NULL;
    c->blobs[index] = NULL;
    return b;
}

/* ---- preparing ---- */

/* The last look-up of this worker: a pipeline mostly repeats one command. */
static _Thread_local struct {
    char name[24];
    size_t len;
    const struct command *command;
} last_lookup;

static const struct command *look_up(const struct slice *argv, size_t argc) {
    struct slice name = argv[0];
    if (name.len == last_lookup.len && memcmp(name.ptr, last_lookup.name, name.len) == 0)
        return last_lookup.command;
    const struct command *container;
    const struct command *command = registry_resolve(argv, argc, &container);
    if (command && !command->parent && !command->children && name.len <= sizeof last_lookup.name) {
        memcpy(last_lookup.name, name.ptr, name.len);
        last_lookup.len = name.len;
        last_lookup.command = command;
    }
    return command;
}

void dispatch_prepare(struct client *c, const struct args *args, struct prepared *out) {
    (void)c;
    out->command = look_up(args->argv, args->argc);
    out->ref.key.ptr = NULL;
    if (!out->command || !out->command->simple_key || args->argc <= out->command->simple_key) return;
    out->ref.key = args->argv[out->command->simple_key];
    out->ref.hash = hash_bytes(out->ref.key);
    __builtin_prefetch(&shards[SHARD_OF(out->ref.hash)]);
    __builtin_prefetch(&shards[SHARD_OF(out->ref.hash)].first);
}

/* One step for one command. The table may be looked at only under its shard's lock; where that is taken, this
 * key goes without. */
static void prefetch_step(uint32_t db, const struct keyref *ref,
                          void (*step)(const struct table *t, const struct keyref *ref)) {
    struct shard *s = &shards[SHARD_OF(ref->hash)];
    if (shards_are_shared && !lock_try(&s->lock)) return;
    struct keydb *kdb = shard_db(s, db);
    if (kdb) step(&kdb->table, ref);
    shard_unlock(s);
}

static void prefetch_bucket(const struct table *t, const struct keyref *ref) {
    table_prefetch_bucket(t, ref->hash);
}

static void prefetch_entry(const struct table *t, const struct keyref *ref) {
    table_prefetch_item(t, ref->hash);
}

/* A string lies in its entry; other values are behind a pointer. Most are small, and of a big one this is the
 * head. */
#define VALUE_BYTES 384
static void prefetch_value(const struct table *t, const struct keyref *ref) {
    const struct entry *e = table_find(t, ref->key, ref->hash);
    if (!e || e->type == TYPE_STRING) return;
    const char *value = entry_pointer(e);
    for (size_t i = 0; i < VALUE_BYTES; i += CACHE_LINE) __builtin_prefetch(value + i);
}

/* Not the key of the command before: pipelines on one key are common. */
static bool has_fresh_key(const struct prepared *batch, size_t i) {
    if (!batch[i].ref.key.ptr) return false;
    return i == 0 || !batch[i - 1].ref.key.ptr || batch[i].ref.hash != batch[i - 1].ref.hash;
}

void dispatch_prefetch(const struct client *c, const struct prepared *batch, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (has_fresh_key(batch, i)) prefetch_step(c->db, &batch[i].ref, prefetch_bucket);
    for (size_t i = 0; i < count; i++)
        if (has_fresh_key(batch, i)) prefetch_step(c->db, &batch[i].ref, prefetch_entry);
    for (size_t i = 0; i < count; i++)
        if (has_fresh_key(batch, i) && !(batch[i].command->categories & CAT_STRING))
            prefetch_step(c->db, &batch[i].ref, prefetch_value);
}

/* ---- running ---- */

/* Runs it, its locks held, and does what follows every command. */
static void execute(struct call *call) {
    struct client *c = call->client;
    struct reply *out = call->out;
    uint64_t reply_before = out->total;
    out->failed = false;
    int64_t start = clock_ticks_ns();
    call->command->run(call);
    int64_t ns = clock_ticks_ns() - start;
    /* Now, and not before: EXEC stands behind what it ran, and SELECT tells the database it chose. */
    if (UNLIKELY(obstacle_is_set(OBSTACLE_MONITOR)))
        monitor_feed(c, call->command, call->argv, call->argc, clock_wall_us());
    if (UNLIKELY(out->failed)) stats_error(out->error_code);
    stats_command_ran(call->command, ns, out->failed);
    if (UNLIKELY(c->flags & CLIENT_TRACKING)) tracking_remember(call);
    int64_t us = ns / 1000;
    int64_t threshold_ms = options.latency_monitor_threshold_ms;
    if (UNLIKELY(threshold_ms > 0 && us >= threshold_ms * 1000))
        latency_note(call->command->flags & FAST ? "fast-command" : "command", us / 1000);
    uint64_t reply_bytes = out->total - reply_before;
    if (UNLIKELY(commandlog_wants(us, call->request_bytes, reply_bytes)))
        commandlog_note(call, us, reply_bytes);
}

/* Before the locks go: clients that waited for what the command did, then the journal. */
static void settle(struct client *c) {
    bool served = UNLIKELY(blocking_has_work());
    if (served) blocking_serve(turn_now_ms);
    uint64_t offset = change_flush();
    if (served) blocking_deliver(offset);
    if (offset > c->journal_offset) c->journal_offset = offset;
}

static void run_exclusive(struct call *call) {
    exclusive_begin();
    if (LIKELY(!(call->client->flags & CLIENT_CLOSING))) { /* CLIENT KILL may have come first */
        execute(call);
        settle(call->client);
    }
    exclusive_end();
}

/* The usual case: one key, hashed already. */
static void run_on_one_key(struct call *call, const struct prepared *p) {
    struct keyref ref = p->ref;
    call->view.refs = &ref;
    call->view.ref_count = 1;
    struct shard *s = &shards[SHARD_OF(ref.hash)];
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
    execute(call);
    settle(call->client);
    shards_unlock(set);
}

#define REFS_INSIDE 16

static void run_on_keys(struct call *call) {
    struct key_positions keys = { 0 };
    struct keyref inside[REFS_INSIDE], *refs = inside;
    struct shard_set set = { 0 };
    if (command_key_positions(call->command, call->argv, call->argc, &keys)) {
        if (keys.count > REFS_INSIDE) refs = mem_alloc(keys.count * sizeof *refs);
        for (size_t i = 0; i < keys.count; i++) {
            struct slice key = call->argv[keys.at[i].index];
            refs[i] = (struct keyref){ key, hash_bytes(key) };
            shard_set_add(&set, SHARD_OF(refs[i].hash));
        }
        call->view.refs = refs;
        call->view.ref_count = keys.count;
    }
    run_on_shards(call, &set);
    if (refs != inside) mem_free(refs);
    key_positions_release(&keys);
}

/* EXEC: the locks of everything queued and watched, or the gate if one of them needs it. */
static void run_queue(struct call *call) {
    if (transaction_is_exclusive(call->client)) {
        run_exclusive(call);
        return;
    }
    struct shard_set set = { 0 };
    transaction_shards(call->client, &set);
    run_on_shards(call, &set);
}

static void run_by_kind(struct call *call, const struct prepared *p) {
    const struct command *command = call->command;
    if (command->flags & RUNS_QUEUE)
        run_queue(call);
    else if (command->kind == EXCLUSIVE)
        run_exclusive(call);
    else if (command->kind == KEYED && p->ref.key.ptr)
        run_on_one_key(call, p);
    else if (command->kind == KEYED)
        run_on_keys(call);
    else {
        execute(call);
        settle(call->client);
    }
}

static void call_init(struct call *call, struct client *c, const struct command *command,
                      const struct args *args) {
    call->client = c;
    call->out = &c->reply;
    call->command = command;
    call->argv = args->argv;
    call->blobs = args->blobs;
    call->argc = args->argc;
    call->request_bytes = args->bytes;
    call->source = FROM_CLIENT;
    call->view =
        (struct keyspace_view){ .db = c->db, .now_ms = turn_now_ms, .no_touch = c->flags & CLIENT_NO_TOUCH };
}

/* Client states in which a command needs a second look before and after it runs. */
#define SPECIAL_STATES \
    (CLIENT_IN_MULTI | CLIENT_SUBSCRIBED | CLIENT_REPLY_OFF | CLIENT_REPLY_SKIP_NEXT | CLIENT_TRACKING)

/* CLIENT REPLY OFF and SKIP: the reply is dropped, pushes are not. */
static void mute_if_asked(struct client *c) {
    c->reply.muted = c->flags & (CLIENT_REPLY_OFF | CLIENT_REPLY_SKIP_NEXT);
    c->flags &= ~(uint32_t)CLIENT_REPLY_SKIP_NEXT;
}

static bool is_queueing(const struct client *c, const struct command *command) {
    return (c->flags & CLIENT_IN_MULTI) && !(command->flags & RUNS_IN_MULTI);
}

enum dispatched dispatch_run(struct client *c, struct args *args, const struct prepared *p) {
    struct call call;
    call_init(&call, c, p->command, args);
    c->commands++;
    uint32_t skip = c->flags & CLIENT_REPLY_SKIP_NEXT;
    if (UNLIKELY(c->flags & SPECIAL_STATES)) mute_if_asked(c);
    if (!dispatch_admit(&call)) {
        c->reply.muted = false;
        return c->flags & CLIENT_CLOSING ? DISPATCH_CLOSE : DISPATCH_DONE;
    }
    if (UNLIKELY(obstacle_is_set(OBSTACLE_PAUSE)) && !is_queueing(c, p->command) &&
        pause_holds(c, p->command, turn_now_ms)) {
        c->commands--;
        c->flags |= skip; /* it has not run: the next time counts */
        pause_postpone(c);
        c->reply.muted = false;
        return DISPATCH_POSTPONED;
    }
    COUNTER_ADD(stats_mine()->commands, 1);
    c->last_command = p->command;
    if (UNLIKELY(is_queueing(c, p->command))) {
        transaction_queue(&call);
        reply_simple(&c->reply, LIT("QUEUED"));
    } else {
        run_by_kind(&call, p);
        if (UNLIKELY(c->flags & CLIENT_TRACKING)) tracking_command_done(c);
    }
    c->reply.muted = false;
    if (UNLIKELY(c->flags & (CLIENT_BLOCKED | CLIENT_CLOSE_AFTER | CLIENT_CLOSING)))
        return c->flags & CLIENT_BLOCKED ? DISPATCH_BLOCKED : DISPATCH_CLOSE;
    return DISPATCH_DONE;
}

void dispatch_nested(struct client *c, const struct command *command, const struct slice *argv,
                     struct blob **blobs, size_t argc, struct keyref *refs, size_t ref_count) {
    struct args args = { .argv = (struct slice *)(uintptr_t)argv, .blobs = blobs, .argc = argc };
    struct call call;
    call_init(&call, c, command, &args);
    call.source = FROM_TRANSACTION;
    call.view.refs = refs;
    call.view.ref_count = ref_count;
    c->last_command = command;
    COUNTER_ADD(stats_mine()->commands, 1);
    execute(&call);
    if (c->flags & CLIENT_TRACKING) tracking_command_done(c);
}

bool dispatch_replay(struct client *c, const struct slice *argv, size_t argc, struct buf *error) {
    struct args args = { .argv = (struct slice *)(uintptr_t)argv, .argc = argc };
    struct call call;
    struct prepared p = { .command = look_up(argv, argc) };
    if (!p.command || !p.command->run) {
        buf_printf(error, "unknown command '%.*s'", SLICE_ARG(argv[0]));
        return false;
    }
    if (!command_arity_fits(p.command, argc)) {
        buf_printf(error, "wrong number of arguments for '%s'", p.command->full_name);
        return false;
    }
    call_init(&call, c, p.command, &args);
    call.source = FROM_JOURNAL;
    call.view.keep_expired = true;
    c->reply.failed = false;
    if (is_queueing(c, p.command))
        transaction_queue(&call);
    else
        run_by_kind(&call, &p);
    bool failed = c->reply.failed;
    if (failed) buf_printf(error, "'%s' failed with %s", p.command->full_name, c->reply.error_code);
    reply_sent(&c->reply, c->reply.bytes);
    return !failed;
}
