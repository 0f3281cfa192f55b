/* local_keys.c: see local_keys.h. A table of names; the expiry itself is in the entry, where a later command
 * may change it. */
#include "trivet/engine/replication/local_keys.h"
#include "trivet/base/clock.h"
#include "trivet/base/grow.h"
#include "trivet/base/hashing.h"
#include "trivet/base/lock.h"
#include "trivet/base/mem.h"
#include "trivet/engine/run/change.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/types/structures/table.h"
#include <stdatomic.h>
#include <string.h>

#define DATABASES_MAX 64
#define BITE 64        /* names that are copied under the lock, about */
#define BUDGET_US 5000 /* of one call */

struct local_key {
    uint64_t databases; /* a bit for each */
    size_t len;
    char name[];
};

static struct slice name_of(const void *item) {
    const struct local_key *k = item;
    return slice_make(k->name, k->len);
}
static const struct table_ops name_ops = { .key = name_of };

static struct {
    struct lock lock; /* of what follows */
    bool is_made;
    struct table table;
    uint64_t cursor;
    atomic_size_t count;
} names = { .lock = LOCK_INIT(LOCK_RANK_LEAF) };

size_t local_keys_count(void) { return atomic_load_explicit(&names.count, memory_order_relaxed); }

static struct local_key *name_new(struct slice key) {
    struct local_key *k = mem_alloc(sizeof *k + key.len);
    k->databases = 0;
    k->len = key.len;
    memcpy(k->name, key.ptr, key.len);
    return k;
}

static void note_count(void) {
    atomic_store_explicit(&names.count, table_count(&names.table), memory_order_relaxed);
}

void local_keys_note(struct keyspace_view *view, struct slice key) {
    if (!obstacle_is_set(OBSTACLE_REPLICA) || view->db >= DATABASES_MAX) return;
    uint64_t hash = hash_bytes(key);
    lock_take(&names.lock);
    if (!names.is_made) table_init(&names.table, &name_ops);
    names.is_made = true;
    struct local_key *k = table_find(&names.table, key, hash);
    if (!k) {
        k = name_new(key);
        table_insert(&names.table, k, hash);
    }
    k->databases |= UINT64_C(1) << view->db;
    note_count();
    lock_drop(&names.lock);
}

static void forget(struct slice key, uint32_t db) {
    uint64_t hash = hash_bytes(key);
    lock_take(&names.lock);
    struct local_key *k = names.is_made ? table_find(&names.table, key, hash) : NULL;
    if (k) k->databases &= ~(UINT64_C(1) << db);
    if (k && !k->databases) {
        table_remove_item(&names.table, k, hash);
        mem_free(k);
        note_count();
    }
    lock_drop(&names.lock);
}

/* Under the shard's lock to its end: meanwhile no client gives the key another expiry. A shard that is busy
 * waits for the next round. */
static void expire_in(struct slice key, uint32_t db, int64_t now_ms) UNCHECKED;
static void expire_in(struct slice key, uint32_t db, int64_t now_ms) {
    struct keyspace_view view = { .db = db, .now_ms = now_ms, .expiry = EXPIRY_DELETES };
    struct shard *s = &shards[keyspace_shard(&view, key)];
    if (!shard_try_lock(s)) return;
    if (keyspace_expire(&view, key) != DUE_LATER) forget(key, db);
    change_flush_quietly();
    shard_unlock(s);
}

struct bite {
    size_t count, room;
    struct local_key **copies;
};

static void copy(void *arg, void *item) {
    struct bite *b = arg;
    const struct local_key *k = item;
    GROW(b->copies, b->count, &b->room, BITE);
    struct local_key *mine = name_new(name_of(k));
    mine->databases = k->databases;
    b->copies[b->count++] = mine;
}

/* False at the end of the table. */
static bool take_bite(struct bite *b) {
    lock_take(&names.lock);
    bool any = names.is_made && table_count(&names.table) > 0;
    while (any && b->count < BITE) {
        names.cursor = table_scan(&names.table, names.cursor, copy, b);
        if (names.cursor == 0) any = false;
    }
    lock_drop(&names.lock);
    return any;
}

static void expire_all(struct bite *b, int64_t now_ms) {
    for (size_t i = 0; i < b->count; i++) {
        struct local_key *k = b->copies[i];
        for (uint32_t db = 0; db < DATABASES_MAX; db++)
            if (k->databases >> db & 1) expire_in(name_of(k), db, now_ms);
        mem_free(k);
    }
    b->count = 0;
}

void local_keys_expire(int64_t now_ms) {
    if (local_keys_count() == 0) return;
    struct bite b = { .count = 0 };
    int64_t deadline_us = clock_steady_us() + BUDGET_US;
    bool more = true;
    while (more && clock_steady_us() < deadline_us) {
        more = take_bite(&b);
        expire_all(&b, now_ms);
    }
    mem_free(b.copies);
}

static void free_name(void *item) { mem_free(item); }

void local_keys_forget(void) {
    lock_take(&names.lock);
    if (names.is_made) table_release(&names.table, free_name);
    names.is_made = false;
    names.cursor = 0;
    atomic_store_explicit(&names.count, 0, memory_order_relaxed);
    lock_drop(&names.lock);
}
