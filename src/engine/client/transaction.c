/* transaction.c: the queue of MULTI and the watched keys. See transaction.h for the locking.
 *
 * The watchers of a key hang on its struct interest, one for each client. A client's transaction points to
 * its watchers. */
#include "trivet/engine/client/transaction.h"
#include "trivet/base/grow.h"
#include "trivet/base/hashing.h"
#include "trivet/base/mem.h"
#include "trivet/base/number.h"
#include "trivet/engine/client/interest.h"

struct watcher {
    struct client *client;
    struct interest *on;
    struct chain_link at_key; /* in its interest's `watchers` */
};

struct transaction {
    struct kept **queue;
    size_t count, room;
    size_t memory, bytes; /* of the queue; of its arguments alone */
    uint32_t flags;
    uint32_t db; /* in which the next command will run */
    bool exclusive;
    struct watcher **watchers;
    size_t watcher_count, watcher_room;
    size_t watched_bytes; /* of the watched keys' names */
};

static atomic_size_t watching_clients, watched_keys;

static struct transaction *transaction_of(struct client *c) {
    if (!c->transaction) c->transaction = mem_alloc_zero(sizeof *c->transaction);
    return c->transaction;
}

/* ---- the queue ---- */

void transaction_begin(struct client *c) {
    assert(!(c->flags & CLIENT_IN_MULTI) && transaction_length(c) == 0);
    transaction_of(c)->db = c->db;
    c->flags |= CLIENT_IN_MULTI;
}

void transaction_queue(struct call *call) {
    struct transaction *t = transaction_of(call->client);
    assert(call->client->flags & CLIENT_IN_MULTI);
    GROW(t->queue, t->count, &t->room, 8);
    struct kept *k = kept_new(call);
    t->queue[t->count++] = k;
    t->memory += sizeof *k + k->memory;
    t->bytes += k->bytes;
    t->flags |= command_flags(k->command, k->argv, k->argc);
    int64_t db;
    if ((k->command->flags & SWITCHES_DATABASE) && int64_parse(k->argv[1], &db) && db >= 0 &&
        db < keyspace_databases())
        t->db = (uint32_t)db;
    /* A LOCAL command that reads keys locks shards by itself: it must find them free. */
    bool locks_itself = k->command->kind == LOCAL && (k->command->flags & (READS | WRITES));
    t->exclusive |= k->command->kind == EXCLUSIVE || locks_itself;
}

size_t transaction_length(const struct client *c) { return c->transaction ? c->transaction->count : 0; }
const struct kept *transaction_at(const struct client *c, size_t index) {
    assert(index < transaction_length(c));
    return c->transaction->queue[index];
}
uint32_t transaction_db(const struct client *c) {
    return c->flags & CLIENT_IN_MULTI ? c->transaction->db : c->db;
}
bool transaction_lacks(const struct client *c, uint32_t flag) {
    for (size_t i = 0; i < transaction_length(c); i++)
        if (!(c->transaction->queue[i]->command->flags & flag)) return true;
    return false;
}
uint32_t transaction_flags(const struct client *c) { return c->transaction ? c->transaction->flags : 0; }
bool transaction_is_exclusive(const struct client *c) { return c->transaction && c->transaction->exclusive; }

void transaction_end(struct client *c) {
    assert((c->flags & CLIENT_IN_MULTI) || !(c->flags & CLIENT_MULTI_BROKEN));
    assert((c->flags & CLIENT_IN_MULTI) || transaction_length(c) == 0);
    c->flags &= ~(uint32_t)(CLIENT_IN_MULTI | CLIENT_MULTI_BROKEN);
    struct transaction *t = c->transaction;
    if (!t) return;
    for (size_t i = 0; i < t->count; i++) kept_free(t->queue[i]);
    mem_free(t->queue);
    t->queue = NULL;
    t->count = t->room = 0;
    t->memory = t->bytes = 0;
    t->flags = 0;
    t->exclusive = false;
}

/* ---- watching ---- */

static bool is_watching(const struct transaction *t, const struct interest *w) {
    for (size_t i = 0; i < t->watcher_count; i++)
        if (t->watchers[i]->on == w) return true;
    return false;
}

void transaction_watch(struct call *call, struct slice key) {
    struct transaction *t = transaction_of(call->client);
    /* Looking it up lets it expire now, before it is watched, and not later as if it had changed. */
    keyspace_peek(&call->view, key);
    struct interest *w = interest_make(keyspace_shard(&call->view, key), call->view.db, key);
    if (is_watching(t, w)) return;
    assert(!(call->client->flags & (CLIENT_IN_MULTI | CLIENT_INTERNAL)));
    if (chain_is_empty(&w->watchers)) atomic_fetch_add_explicit(&watched_keys, 1, memory_order_relaxed);
    struct watcher *one = mem_alloc(sizeof *one);
    *one = (struct watcher){ .client = call->client, .on = w };
    chain_insert_first(&w->watchers, &one->at_key);
    GROW(t->watchers, t->watcher_count, &t->watcher_room, 4);
    if (t->watcher_count++ == 0) atomic_fetch_add_explicit(&watching_clients, 1, memory_order_relaxed);
    t->watchers[t->watcher_count - 1] = one;
    t->watched_bytes += key.len;
}

static void watcher_free(struct watcher *one) {
    struct interest *w = one->on;
    chain_remove(&w->watchers, &one->at_key);
    mem_free(one);
    if (chain_is_empty(&w->watchers)) {
        size_t keys = atomic_fetch_sub_explicit(&watched_keys, 1, memory_order_relaxed);
        assert(keys > 0);
    }
    interest_drop(w);
}

static bool is_locked(const struct shard_set *locked, uint32_t shard) {
    return exclusive_is_mine() || (locked && shard_set_has(locked, shard));
}

void transaction_unwatch(struct client *c, const struct shard_set *locked) {
    struct transaction *t = c->transaction;
    if (t && t->watcher_count > 0) {
        for (size_t i = 0; i < t->watcher_count; i++) {
            uint32_t shard = t->watchers[i]->on->shard;
            bool lock = !is_locked(locked, shard);
            if (lock) shard_lock(&shards[shard]);
            watcher_free(t->watchers[i]);
            if (lock) shard_unlock(&shards[shard]);
        }
        t->watcher_count = 0;
        t->watched_bytes = 0;
        size_t clients = atomic_fetch_sub_explicit(&watching_clients, 1, memory_order_relaxed);
        assert(clients > 0);
    }
    atomic_store_explicit(&c->watch_broken, false, memory_order_relaxed);
}

size_t transaction_watched(const struct client *c) {
    return c->transaction ? c->transaction->watcher_count : 0;
}

bool transaction_is_broken(const struct client *c) {
    return atomic_load_explicit(&c->watch_broken, memory_order_relaxed);
}

bool transaction_must_fail(struct call *call) {
    struct transaction *t = call->client->transaction;
    assert(call->client->flags & CLIENT_IN_MULTI);
    for (size_t i = 0; t && i < t->watcher_count; i++) {
        /* Looking at the key lets it expire, which touches its watchers: us. */
        struct keyspace_view view = call->view;
        struct slice key = interest_key(t->watchers[i]->on, &view.db);
        keyspace_peek(&view, key);
    }
    return transaction_is_broken(call->client);
}

void transaction_shards(const struct client *c, struct shard_set *out) {
    const struct transaction *t = c->transaction;
    assert(t || !(c->flags & CLIENT_IN_MULTI));
    if (!t) return;
    for (size_t i = 0; i < t->watcher_count; i++) shard_set_add(out, t->watchers[i]->on->shard);
    for (size_t i = 0; i < t->count; i++) {
        const struct kept *k = t->queue[i];
        for (size_t n = 0; k->command->kind == KEYED && n < k->keys.count; n++)
            shard_set_add(out, k->keys.at[n].shard);
    }
}

/* ---- being touched ---- */

static void break_watchers(struct interest *w) {
    CHAIN_EACH(&w->watchers, struct watcher, at_key, one)
    atomic_store_explicit(&one->client->watch_broken, true, memory_order_relaxed);
}

void transaction_touch(struct shard *s, uint32_t db, struct slice key) {
    struct interest *w = interest_find(s, db, key);
    if (w) break_watchers(w);
}

struct database_touch {
    struct keyspace_view view;
    uint32_t db, other;
};

/* A key whose time is over goes now, as its watchers know it, and is none where it would come to. */
static bool key_lives(const struct database_touch *t, uint32_t db, struct slice key) {
    struct keyspace_view view = t->view;
    view.db = db;
    return keyspace_write(&view, key);
}

static void touch_if_there(void *arg, struct interest *w) {
    struct database_touch *t = arg;
    uint32_t db;
    struct slice key = interest_key(w, &db);
    if (db != t->db && db != t->other) return;
    bool here = key_lives(t, t->db, key), there = key_lives(t, t->other, key);
    if (here || there) break_watchers(w);
}

void transaction_touch_database(const struct keyspace_view *view, uint32_t db, uint32_t other) {
    assert(exclusive_is_mine());
    if (transaction_watched_keys() == 0) return;
    struct database_touch t = { *view, db, other };
    for (uint32_t i = 0; i < shard_count; i++) interest_each(&shards[i], touch_if_there, &t);
}

static void touch(void *arg, struct interest *w) {
    (void)arg;
    break_watchers(w);
}

void transaction_touch_shard(const struct shard *s) { interest_each(s, touch, NULL); }

void transaction_touch_everything(void) {
    assert(exclusive_is_mine());
    if (transaction_watched_keys() == 0) return;
    for (uint32_t i = 0; i < shard_count; i++) interest_each(&shards[i], touch, NULL);
}

/* ---- the whole ---- */

size_t transaction_memory(const struct client *c) {
    const struct transaction *t = c->transaction;
    if (!t) return 0;
    return sizeof *t + t->memory + t->room * sizeof(struct kept *) +
           t->watcher_count * (sizeof(struct watcher) + sizeof(struct interest)) + t->watched_bytes;
}

size_t transaction_arguments(const struct client *c) { return c->transaction ? c->transaction->bytes : 0; }

void transaction_release(struct client *c) {
    transaction_end(c);
    transaction_unwatch(c, NULL);
    if (!c->transaction) return;
    mem_free(c->transaction->watchers);
    mem_free(c->transaction);
    c->transaction = NULL;
}

size_t transaction_watching_clients(void) {
    return atomic_load_explicit(&watching_clients, memory_order_relaxed);
}
size_t transaction_watched_keys(void) { return atomic_load_explicit(&watched_keys, memory_order_relaxed); }
