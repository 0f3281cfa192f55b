/* replicas.c: the records of replicas, and what each is sent; see replicas.h. */
#include "trivet/engine/replication/replicas.h"
#include "trivet/base/lock.h"
#include "trivet/base/log.h"
#include "trivet/base/mem.h"
#include "trivet/engine/replication/heartbeat.h"
#include "trivet/engine/replication/transfer.h"
#include "trivet/engine/replication/waiters.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/engine/turn/workers.h"
#include "trivet/keyspace/slot_stats.h"
#include "trivet/persist/backlog.h"
#include <string.h>

static struct {
    struct lock lock;
    struct chain all; /* under lock: those that have asked for data */
    atomic_size_t count;
} list = { .lock = LOCK_INIT(LOCK_RANK_REPLICAS) };

/* Of each worker. */
static struct {
    atomic_size_t replicas;
    atomic_bool is_woken; /* its letter is on the way */
    struct letter letter;
} CACHE_ALIGNED here[WORKERS_MAX];

static _Thread_local uint64_t may_send;    /* an offset of the stream */
static _Thread_local uint64_t seen_offset; /* the stream's end at the end of the last turn */

/* ---- records ---- */

struct replica *replica_of(struct client *c) {
    if (c->replica) return c->replica;
    struct replica *r = mem_alloc_zero(sizeof *r);
    r->client = c;
    c->replica = r;
    return r;
}

static bool is_online(const struct replica *r) { return atomic_load(&r->state) == REPLICA_ONLINE; }
/* By its state: the link itself is changed by the workers of its neighbours. */
static bool is_listed(const struct replica *r) { return atomic_load(&r->state) != REPLICA_INTRODUCED; }

static void enlist(struct replica *r) {
    struct client *c = r->client;
    c->flags |= CLIENT_REPLICA;
    lock_take(&list.lock);
    chain_insert_last(&list.all, &r->in_list);
    lock_drop(&list.lock);
    atomic_fetch_add(&list.count, 1);
    atomic_fetch_add(&slot_stats_replicas, 1);
    atomic_fetch_add(&here[c->worker].replicas, 1);
}

static void delist(struct replica *r) {
    lock_take(&list.lock);
    chain_remove(&list.all, &r->in_list);
    lock_drop(&list.lock);
    atomic_fetch_sub(&list.count, 1);
    atomic_fetch_sub(&slot_stats_replicas, 1);
    atomic_fetch_sub(&here[r->client->worker].replicas, 1);
}

void replica_set_state(struct replica *r, enum replica_state state) {
    if (state != REPLICA_INTRODUCED && !is_listed(r)) enlist(r);
    atomic_store(&r->since_ms, turn_now_ms);
    atomic_store(&r->acked_ms, turn_now_ms);
    atomic_store(&r->state, state);
    if (state == REPLICA_ONLINE) heartbeat_check_replicas();
}

/* ---- who waits for them ---- */

/* Changed with the gate closed. */
static struct {
    struct chain all;
    atomic_bool is_told; /* the letter is on the way */
    struct letter letter;
} watches;

static void on_news(struct letter *l) {
    (void)l;
    atomic_store(&watches.is_told, false);
    struct chain_link *next;
    for (struct chain_link *at = watches.all.first; at; at = next) {
        next = chain_link_next(at); /* a look may end its watch */
        CONTAINER_OF(at, struct acknowledgement_watch, in_list)->look();
    }
}

void replicas_look_soon(void) {
    if (LIKELY(chain_is_empty(&watches.all)) || atomic_exchange(&watches.is_told, true)) return;
    watches.letter.run = on_news;
    worker_post(0, &watches.letter);
}

void replicas_watch(struct acknowledgement_watch *w) {
    assert(exclusive_is_mine());
    if (!chain_link_is_linked(&w->in_list)) chain_insert_last(&watches.all, &w->in_list);
}

void replicas_unwatch(struct acknowledgement_watch *w) {
    assert(exclusive_is_mine());
    if (chain_link_is_linked(&w->in_list)) chain_remove(&watches.all, &w->in_list);
}

/* ---- their end ---- */

static void stop_sending(struct replica *r) {
    transfer_detach(r);
    tape_reader_close(&r->stream);
}

void replica_release(struct client *c) {
    struct replica *r = c->replica;
    if (!r) return;
    stop_sending(r);
    if (is_listed(r)) {
        if (is_online(r) && !r->speaks_sync) heartbeat_note_lost(atomic_load(&r->acked));
        delist(r);
        heartbeat_check_replicas();
        replicas_look_soon();
    }
    c->replica = NULL;
    mem_free(r);
}

void replica_cut_off(struct replica *r, const char *why) {
    assert(exclusive_is_mine());
    stop_sending(r);
    client_kill(r->client, NULL, why);
}

static void cut_off(void *why, struct replica *r) { replica_cut_off(r, why); }

void replicas_cut_off_all(const char *why) { replicas_each(cut_off, unconst(why)); }

void replica_is_there(struct replica *r) { atomic_store(&r->acked_ms, turn_now_ms); }

void replica_acknowledges(struct replica *r, uint64_t offset, uint64_t synced) {
    bool is_news = offset > atomic_load(&r->acked) || synced > atomic_load(&r->synced);
    if (offset > atomic_load(&r->acked)) atomic_store(&r->acked, offset);
    if (synced > atomic_load(&r->synced)) atomic_store(&r->synced, synced);
    replica_is_there(r);
    if (is_news) waiters_wake();
    if (obstacle_is_set(OBSTACLE_REPLICAS)) heartbeat_check_replicas();
    atomic_store(&r->has_acked, true);
    replicas_look_soon();
    if (!r->stream_is_held || atomic_load(&r->state) != REPLICA_ONLINE) return;
    r->stream_is_held = false;
    client_hooks.output(r->client);
}

bool replica_is_in_sync(const struct replica *r, uint64_t offset) {
    return atomic_load(&r->state) == REPLICA_ONLINE && !r->speaks_sync && atomic_load(&r->has_acked) &&
           atomic_load(&r->acked) >= offset;
}

bool replica_is_of(const struct replica *r, int major, int minor) {
    return r->version[0] > major || (r->version[0] == major && r->version[1] >= minor);
}

const char *replica_ip(const struct replica *r, char room[64]) {
    if (r->ip[0]) return r->ip;
    const char *end = strrchr(r->client->peer, ':');
    size_t len = end ? (size_t)(end - r->client->peer) : 0;
    const char *from = r->client->peer;
    if (len > 2 && from[0] == '[') { /* [::1]:6379 */
        from++;
        len -= 2;
    }
    memcpy(room, from, len);
    room[len] = '\0';
    return room;
}

/* ---- all of them ---- */

void replicas_each(void (*visit)(void *arg, struct replica *r), void *arg) {
    lock_take(&list.lock);
    CHAIN_EACH(&list.all, struct replica, in_list, r) visit(arg, r);
    lock_drop(&list.lock);
}

size_t replicas_count(void) { return atomic_load_explicit(&list.count, memory_order_relaxed); }

struct tally {
    uint64_t offset;
    int64_t now_ms;
    size_t count;
};

static void tally_acked(void *arg, struct replica *r) {
    struct tally *t = arg;
    t->count += is_online(r) && atomic_load(&r->acked) >= t->offset;
}

static void tally_synced(void *arg, struct replica *r) {
    struct tally *t = arg;
    t->count += is_online(r) && atomic_load(&r->synced) >= t->offset;
}

static void tally_good(void *arg, struct replica *r) {
    struct tally *t = arg;
    int64_t lag_s = (t->now_ms - atomic_load(&r->acked_ms)) / 1000;
    t->count += is_online(r) && lag_s <= options.min_replicas_max_lag_s;
}

static size_t tally(void (*visit)(void *arg, struct replica *r), uint64_t offset, int64_t now_ms) {
    struct tally t = { .offset = offset, .now_ms = now_ms };
    if (replicas_count() > 0) replicas_each(visit, &t);
    return t.count;
}

size_t replicas_acked(uint64_t offset) { return tally(tally_acked, offset, 0); }
size_t replicas_synced(uint64_t offset) { return tally(tally_synced, offset, 0); }
size_t replicas_good(int64_t now_ms) { return tally(tally_good, 0, now_ms); }

/* ---- what is sent ---- */

/* The transfer is over: the stream follows, unless only the file was wanted. */
static void end_transfer(struct replica *r) {
    r->stream_is_held = !r->speaks_sync && transfer_wants_acknowledgement(r->transfer);
    transfer_detach(r);
    if (r->is_rdb_only) {
        tape_reader_close(&r->stream);
        replica_set_state(r, REPLICA_SERVED);
        return;
    }
    replica_set_state(r, REPLICA_ONLINE);
    LOG_NOTICE("Synchronization with replica %s succeeded", r->client->peer);
}

/* Not to one that still waits for the RDB file. */
static int stream_vectors(struct replica *r, struct iovec *vectors, int max) {
    if (!r->stream.block || r->stream_is_held || !is_online(r)) return 0;
    uint64_t end = backlog_offset(), until = may_send < end ? may_send : end;
    return r->stream.at < until ? tape_vectors(&r->stream, until, vectors, max) : 0;
}

int replica_vectors(struct replica *r, struct iovec *vectors, int max) {
    if (r->transfer) {
        switch (transfer_look(r)) {
        case TRANSFER_HAS_BYTES: return transfer_vectors(r, vectors, max);
        case TRANSFER_WAITS: return 0;
        case TRANSFER_BROKEN: return -1;
        case TRANSFER_DONE: end_transfer(r);
        }
    }
    if (atomic_load(&r->state) == REPLICA_SERVED) return -1;
    return stream_vectors(r, vectors, max);
}

void replica_sent(struct replica *r, size_t bytes) {
    if (r->transfer) {
        transfer_advance(r, bytes);
        return;
    }
    tape_advance(&r->stream, bytes);
    atomic_store_explicit(&r->stream_sent, r->stream.at, memory_order_relaxed);
}

size_t replica_lag(const struct replica *r) {
    return r->stream.block ? (size_t)(backlog_offset() - r->stream.at) : 0;
}

size_t replica_client_lag(const struct client *c) { return c->replica ? replica_lag(c->replica) : 0; }

bool replica_may_lag(struct replica *r) {
    size_t lag = replica_lag(r);
    if (is_online(r) && lag <= options.repl_backlog_size) r->lag_max = 0; /* it has caught up */
    return lag < r->lag_max;
}

void replicas_may_send(uint64_t offset) { may_send = offset; }
bool replicas_wait_for_flush(void) { return backlog_offset() > may_send; }

/* ---- waking workers ---- */

bool replicas_here(void) {
    return atomic_load_explicit(&here[worker_self()].replicas, memory_order_relaxed) > 0;
}

static void send_here(void) {
    CLIENTS_OF(worker_self(), c)
    if (c->replica) client_hooks.output(c);
}

static void on_wake(struct letter *l) {
    (void)l;
    atomic_store(&here[worker_self()].is_woken, false);
    send_here();
}

static void wake(int worker) {
    if (atomic_load_explicit(&here[worker].replicas, memory_order_relaxed) == 0) return;
    if (atomic_exchange(&here[worker].is_woken, true)) return;
    here[worker].letter.run = on_wake;
    worker_post(worker, &here[worker].letter);
}

void replicas_wake(void) {
    for (int i = 0; i < thread_worker_count; i++) wake(i);
}

void replicas_turn_ends(void) {
    if (LIKELY(replicas_count() == 0)) return;
    uint64_t offset = backlog_offset();
    if (offset == seen_offset) return;
    seen_offset = offset;
    for (int i = 0; i < thread_worker_count; i++)
        if (i != worker_self()) wake(i);
    if (replicas_here()) send_here();
}
