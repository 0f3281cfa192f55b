/* waiters.c: see waiters.h.
 *
 * Each worker has a list of its own, so there is no lock; who learns that a goal may be reached sends a
 * letter. An item is found stale, and freed, when its client waits no more: the end of a connection tells
 * nobody. */
#include "trivet/engine/replication/waiters.h"
#include "trivet/base/mem.h"
#include "trivet/engine/client/pause.h"
#include "trivet/engine/replication/heartbeat.h"
#include "trivet/engine/replication/replicas.h"
#include "trivet/engine/turn/workers.h"
#include "trivet/persist/aof/aof.h"
#include "trivet/persist/backlog.h"
#include "trivet/persist/journal.h"

struct waiter {
    struct chain_link in_list; /* its worker's */
    uint64_t client;
    uint64_t command; /* client->commands when it began to wait: tells this wait from a later one */
    struct wait_goal goal;
    blocked_end *end;
};

/* Of each worker. */
static struct {
    struct chain waiters;
    atomic_size_t count;  /* read by any */
    bool must_ask;        /* replicas, at the end of the turn */
    atomic_bool is_woken; /* its letter is on the way */
    struct letter letter;
} CACHE_ALIGNED here[WORKERS_MAX];

/* ---- goals ---- */

int64_t wait_goal_replicas(const struct wait_goal *goal) {
    return (int64_t)(goal->on_disk ? replicas_synced(goal->stream) : replicas_acked(goal->stream));
}

bool wait_goal_is_reached(const struct wait_goal *goal) {
    if (goal->here) {
        if (!journal_on) return true;
        if (!goal->sync_failed && aof_synced_offset() < goal->journal) return false;
    }
    return goal->replicas <= 0 || wait_goal_replicas(goal) >= goal->replicas;
}

/* ---- the list ---- */

static void forget(struct waiter *w) {
    assert(here[worker_self()].waiters.first);
    chain_remove(&here[worker_self()].waiters, &w->in_list);
    atomic_fetch_sub(&here[worker_self()].count, 1);
    mem_free(w->goal.plan);
    mem_free(w);
}

/* blocked_end */
static void end_wait(struct client *c, enum unblock_reason reason, void *arg) {
    struct waiter *w = *(struct waiter **)arg;
    struct wait_goal goal = w->goal;
    blocked_end *end = w->end;
    w->goal.plan = NULL;
    forget(w);
    end(c, reason, &goal);
    mem_free(goal.plan);
}

void waiters_begin(struct call *call, int64_t timeout_ms, const struct wait_goal *goal, blocked_end *end) {
    struct client *c = call->client;
    struct waiter *w = mem_alloc_zero(sizeof *w);
    w->client = c->id;
    w->command = c->commands;
    w->goal = *goal;
    w->end = end;
    chain_insert_last(&here[c->worker].waiters, &w->in_list);
    atomic_fetch_add(&here[c->worker].count, 1);
    if (goal->replicas > 0) here[c->worker].must_ask = true;
    struct waiter **arg = mem_alloc(sizeof(struct waiter *));
    *arg = w;
    blocking_begin(call, timeout_ms, end_wait, arg);
}

static bool still_waits(const struct waiter *w, const struct client *c) {
    return c && c->blocked && c->commands == w->command;
}

static void look_here(void) {
    CHAIN_EACH(&here[worker_self()].waiters, struct waiter, in_list, w) {
        struct client *c = client_find_here(w->client);
        if (!still_waits(w, c))
            forget(w);
        else if (wait_goal_is_reached(&w->goal))
            (void)blocking_finish(c, UNBLOCK_SERVED);
    }
}

void waiters_note_sync(struct client *c, bool failed) {
    CHAIN_EACH(&here[worker_self()].waiters, struct waiter, in_list, w)
    if (w->client == c->id && still_waits(w, c)) w->goal.sync_failed = failed;
    look_here();
}

/* ---- waking ---- */

static void on_wake(struct letter *l) {
    (void)l;
    atomic_store(&here[worker_self()].is_woken, false);
    look_here();
}

void waiters_wake(void) {
    for (int worker = 0; worker < thread_worker_count; worker++) {
        if (atomic_load_explicit(&here[worker].count, memory_order_relaxed) == 0) continue;
        if (atomic_exchange(&here[worker].is_woken, true)) continue;
        here[worker].letter.run = on_wake;
        worker_post(worker, &here[worker].letter);
    }
}

/* While a pause is on the offset stands still; replicas acknowledge each second all the same. */
void waiters_turn_ends(void) {
    bool *must_ask = &here[worker_self()].must_ask;
    if (LIKELY(!*must_ask) || pause_mode_now(turn_now_ms) != PAUSE_OFF) return;
    *must_ask = false;
    heartbeat_ask_for_acknowledgements();
}

void waiters_cron(void) {
    if (atomic_load_explicit(&here[worker_self()].count, memory_order_relaxed) > 0) look_here();
}

void waiters_thread_release(void) {
    CHAIN_EACH(&here[worker_self()].waiters, struct waiter, in_list, w) forget(w);
}
