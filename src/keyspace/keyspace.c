/* keyspace.c: the doors, and the few primitives behind them that change a table.
 *
 * All changes of a table of keys go through insert_at, swap_in and take_out below: they keep the counters
 * of keys and expiries, the marks of the buckets and the epoch right, so the doors need not. */
#include "trivet/keyspace/keyspace.h"
#include "keyspace_private.h"
#include "trivet/base/background.h"
#include "trivet/base/buf.h"
#include "trivet/base/hashing.h"
#include "trivet/base/mem.h"
#include "trivet/base/random.h"
#include "trivet/keyspace/counters.h"
#include "trivet/keyspace/eviction.h"
#include "trivet/keyspace/scan.h"
#include "trivet/keyspace/walk.h"

struct keyspace_hooks keyspace_hooks;
bool keyspace_epoch;
atomic_size_t keyspace_dated_tables;
static uint32_t database_count;

void keyspace_init(uint32_t databases) {
    database_count = databases;
    shards_are_shared = thread_is_parallel();
    shards_init();
    for (int i = 0; i < thread_worker_count; i++) {
        keyspace_counters[i].keys = mem_alloc_zero(databases * sizeof(atomic_int_fast64_t));
        keyspace_counters[i].expires = mem_alloc_zero(databases * sizeof(atomic_int_fast64_t));
        keyspace_counters[i].average_ttl_ms = mem_alloc_zero(databases * sizeof(atomic_int_fast64_t));
    }
}

void keyspace_release(void) {
    shards_release();
    for (int i = 0; i < WORKERS_MAX; i++) {
        mem_free(keyspace_counters[i].keys);
        mem_free(keyspace_counters[i].expires);
        mem_free(keyspace_counters[i].average_ttl_ms);
        keyspace_counters[i].keys = keyspace_counters[i].expires = keyspace_counters[i].average_ttl_ms = NULL;
    }
}

uint32_t keyspace_databases(void) { return database_count; }

/* Commands name their keys in order, so the next one is close behind the last; further off, hashing is
 * cheaper than looking (MSET may name a million). */
#define REFS_LOOKED_AT 8

uint64_t keyspace_hash(struct keyspace_view *view, struct slice key) {
    size_t looks = view->ref_count < REFS_LOOKED_AT ? view->ref_count : REFS_LOOKED_AT;
    for (size_t at = view->ref_hint; looks > 0; looks--, at++) {
        if (at >= view->ref_count) at = 0;
        if (view->refs[at].key.ptr != key.ptr || view->refs[at].key.len != key.len) continue;
        view->ref_hint = at + 1;
        return view->refs[at].hash;
    }
    return hash_bytes(key);
}

uint32_t keyspace_shard(struct keyspace_view *view, struct slice key) {
    return SHARD_OF(keyspace_hash(view, key));
}

/* The hash of an entry's own key, which no ref has by address: mostly it is the key that was looked up
 * last. */
static uint64_t hash_of(const struct keyspace_view *view, const struct entry *e) {
    struct slice key = entry_key(e);
    size_t last = view->ref_hint - 1;
    if (view->ref_hint > 0 && slice_equal(view->refs[last].key, key)) return view->refs[last].hash;
    return hash_bytes(key);
}

/* ---- the primitives ---- */

static void count_entry(uint32_t db, struct keydb *kdb, const struct entry *e, int sign) {
    struct keyspace_counters *mine = counters_mine();
    COUNTER_ADD(mine->keys[db], sign);
    if (!e->has_expiry) return;
    COUNTER_ADD(mine->expires[db], sign);
    kdb->expires = sign > 0 ? kdb->expires + 1 : kdb->expires - 1;
}

static void set_dated(struct keydb *kdb, bool dated) {
    if (kdb->dated == dated) return;
    kdb->dated = dated;
    if (dated)
        atomic_fetch_add_explicit(&keyspace_dated_tables, 1, memory_order_relaxed);
    else
        atomic_fetch_sub_explicit(&keyspace_dated_tables, 1, memory_order_relaxed);
}

/* Lets the expiry cycle find the entry if it, or what it holds, expires. */
static void mark_if_expiring(struct keydb *kdb, struct entry *e, uint64_t hash) {
    bool dated = e->type != TYPE_STRING && entry_due_ms(e) != INT64_MAX;
    if (dated) set_dated(kdb, true);
    if (dated || e->has_expiry) table_mark(&kdb->table, e, hash);
}

static void insert_at(uint32_t db, struct keydb *kdb, struct entry *e, uint64_t hash) {
    table_insert(&kdb->table, e, hash);
    mark_if_expiring(kdb, e, hash);
    count_entry(db, kdb, e, +1);
    if (UNLIKELY(keyspace_saver != NULL) && e->type != TYPE_STRING) keyspace_saver->placed(e, SHARD_OF(hash));
}

static void expiry_changed(uint32_t db, struct keydb *kdb, struct entry *e, uint64_t hash, bool had) {
    mark_if_expiring(kdb, e, hash);
    if (e->has_expiry == had) return;
    int sign = e->has_expiry ? +1 : -1;
    COUNTER_ADD(counters_mine()->expires[db], sign);
    kdb->expires = sign > 0 ? kdb->expires + 1 : kdb->expires - 1;
}

static void take_out(uint32_t db, struct keydb *kdb, struct entry *e, uint64_t hash) {
    table_remove_item(&kdb->table, e, hash);
    count_entry(db, kdb, e, -1);
}

static inline void save_image(uint32_t db, struct entry *e) {
    if (LIKELY(e->epoch == keyspace_epoch)) return;
    if (keyspace_saver) keyspace_saver->before_change(db, e);
    e->epoch = keyspace_epoch;
}

/* Frees what is out of its table. */
static void discard(struct entry *e, bool lazily) {
    if (UNLIKELY(keyspace_saver != NULL) && e->type != TYPE_STRING && keyspace_saver->adopted(e)) return;
    if (lazily)
        entry_free_lazily(e);
    else
        entry_free(e);
}

static struct keydb *db_of(struct keyspace_view *view, uint64_t hash) {
    return shard_db_make(&shards[SHARD_OF(hash)], view->db);
}

/* ---- looking up ---- */

void keyspace_vanish(struct keyspace_view *view, struct keydb *kdb, struct entry *e,
                     enum vanish_reason reason, bool lazily) {
    struct keyspace_counters *mine = counters_mine();
    save_image(view->db, e);
    count_entry(view->db, kdb, e, -1);
    if (reason == VANISHED_EXPIRED)
        COUNTER_ADD(mine->expired, 1);
    else
        COUNTER_ADD(mine->evicted, 1);
    if (keyspace_hooks.vanished) keyspace_hooks.vanished(view, entry_key(e), reason);
    discard(e, lazily);
}

bool keyspace_reclaim(struct keyspace_view *view, struct keydb *kdb, struct entry *e) {
    const struct value_ops *ops = value_ops[e->type];
    struct value v = entry_value(e);
    struct gone gone;
    if (ops->due_ms(v) >= view->now_ms) return false;
    save_image(view->db, e);
    ops->take_due(&v, view->now_ms, &gone);
    entry_set_value(e, v);
    bool emptied = ops->effort(v) == 0;
    if (gone.count > 0 && keyspace_hooks.elements_vanished)
        keyspace_hooks.elements_vanished(view, entry_key(e), &gone, emptied);
    for (size_t i = 0; i < gone.count; i++) mem_free(gone.items[i]);
    COUNTER_ADD(counters_mine()->expired_fields, gone.count);
    if (!emptied) return ops->due_ms(v) < view->now_ms;
    take_out(view->db, kdb, e, hash_bytes(entry_key(e)));
    discard(e, false);
    return false;
}

static struct entry *find(struct keyspace_view *view, struct slice key) {
    uint64_t hash = keyspace_hash(view, key);
    struct keydb *kdb = shard_db(&shards[SHARD_OF(hash)], view->db);
    struct entry *e = kdb ? table_find(&kdb->table, key, hash) : NULL;
    if (!e || LIKELY(!entry_is_expired(e, view->now_ms)) || view->keep_expired) return e;
    table_remove_item(&kdb->table, e, hash);
    keyspace_vanish(view, kdb, e, VANISHED_EXPIRED, true);
    return NULL;
}

static inline void touch(struct keyspace_view *view, struct entry *e) {
    if (!view->no_touch) e->access = eviction_access_used(e->access, view->now_ms) & 0xfffffff;
}

struct entry *keyspace_peek(struct keyspace_view *view, struct slice key) {
    struct entry *e = find(view, key);
    if (e) {
        COUNTER_ADD(counters_mine()->hits, 1);
        return e;
    }
    COUNTER_ADD(counters_mine()->misses, 1);
    if (keyspace_hooks.missed) keyspace_hooks.missed(view, key);
    return NULL;
}

struct entry *keyspace_read(struct keyspace_view *view, struct slice key) {
    struct entry *e = keyspace_peek(view, key);
    if (e) touch(view, e);
    return e;
}

struct entry *keyspace_write(struct keyspace_view *view, struct slice key) {
    struct entry *e = find(view, key);
    if (!e) return NULL;
    save_image(view->db, e);
    touch(view, e);
    return e;
}

/* ---- changing ---- */

void keyspace_insert(struct keyspace_view *view, struct entry *e) {
    uint64_t hash = hash_of(view, e);
    insert_at(view->db, db_of(view, hash), e, hash);
}

void keyspace_moved(struct keyspace_view *view, const void *old, bool had_expiry, struct entry *fresh) {
    uint64_t hash = hash_of(view, fresh);
    struct keydb *kdb = db_of(view, hash);
    if (old != fresh) {
        void **slot = table_slot_of(&kdb->table, old, hash);
        *slot = fresh;
    }
    expiry_changed(view->db, kdb, fresh, hash, had_expiry);
}

void keyspace_replace(struct keyspace_view *view, struct entry *old, struct entry *fresh) {
    keyspace_moved(view, old, old->has_expiry, fresh);
    if (UNLIKELY(keyspace_saver != NULL) && fresh->type != TYPE_STRING)
        keyspace_saver->placed(fresh, SHARD_OF(hash_of(view, fresh)));
    discard(old, true);
}

void keyspace_put(struct keyspace_view *view, struct entry *fresh) {
    uint64_t hash = hash_of(view, fresh);
    struct keydb *kdb = db_of(view, hash);
    struct entry *old = table_find(&kdb->table, entry_key(fresh), hash);
    if (!old) {
        insert_at(view->db, kdb, fresh, hash);
        return;
    }
    save_image(view->db, old);
    keyspace_replace(view, old, fresh);
}

void keyspace_detach(struct keyspace_view *view, struct entry *e) {
    uint64_t hash = hash_of(view, e);
    take_out(view->db, db_of(view, hash), e, hash);
}

void keyspace_delete(struct keyspace_view *view, struct entry *e, bool lazily) {
    keyspace_detach(view, e);
    discard(e, lazily);
}

struct entry *keyspace_set_expiry(struct keyspace_view *view, struct entry *e, int64_t expiry_ms) {
    bool had = e->has_expiry;
    struct entry *fresh = entry_with_expiry(e, expiry_ms);
    keyspace_moved(view, e, had, fresh);
    return fresh;
}

void keyspace_note_dated(struct keyspace_view *view, struct entry *e) {
    uint64_t hash = hash_of(view, e);
    mark_if_expiring(db_of(view, hash), e, hash);
}

bool keyspace_has_dated(void) {
    return atomic_load_explicit(&keyspace_dated_tables, memory_order_relaxed) > 0;
}

/* ---- whole databases ---- */

static void free_entry(void *item) { entry_free(item); }

void keyspace_flushed_free(struct keyspace_flushed *f) {
    for (uint32_t i = 0; i < SHARD_COUNT; i++) table_release(&f->tables[i], free_entry);
    mem_free(f);
}

static void free_flushed(void *arg) { keyspace_flushed_free(arg); }

size_t keyspace_flush(uint32_t db, bool lazily) {
    size_t count = keyspace_count(db);
    struct keyspace_flushed *f = mem_alloc_zero(sizeof *f);
    for (uint32_t i = 0; i < SHARD_COUNT; i++) {
        struct keydb *kdb = shard_db(&shards[i], db);
        if (!kdb) {
            table_init(&f->tables[i], &entry_table_ops);
            continue;
        }
        f->tables[i] = kdb->table;
        table_init(&kdb->table, &entry_table_ops);
        COUNTER_ADD(counters_mine()->expires[db], -(int_fast64_t)kdb->expires);
        kdb->expires = 0;
        kdb->expiry_cursor = 0;
        set_dated(kdb, false);
    }
    COUNTER_ADD(counters_mine()->keys[db], -(int_fast64_t)count);
    if (keyspace_saver)
        keyspace_saver->flushed(db, f);
    else if (lazily && count > 0)
        background_post(free_flushed, f, count);
    else
        free_flushed(f);
    return count;
}

static void swap_counts(atomic_int_fast64_t *counts, uint32_t a, uint32_t b) {
    int_fast64_t old = atomic_load_explicit(&counts[a], memory_order_relaxed);
    int_fast64_t other = atomic_load_explicit(&counts[b], memory_order_relaxed);
    atomic_store_explicit(&counts[a], other, memory_order_relaxed);
    atomic_store_explicit(&counts[b], old, memory_order_relaxed);
}

void keyspace_swap(uint32_t a, uint32_t b) {
    for (uint32_t i = 0; i < SHARD_COUNT; i++) {
        if (!shard_db(&shards[i], a) && !shard_db(&shards[i], b)) continue;
        struct keydb *x = shard_db_make(&shards[i], a), *y = shard_db_make(&shards[i], b);
        struct keydb old = *x;
        *x = *y;
        *y = old;
    }
    for (int i = 0; i < thread_worker_count; i++) {
        swap_counts(keyspace_counters[i].keys, a, b);
        swap_counts(keyspace_counters[i].expires, a, b);
        swap_counts(keyspace_counters[i].average_ttl_ms, a, b);
    }
    if (keyspace_saver) keyspace_saver->swapped(a, b);
}

static size_t sum_db(bool expires, uint32_t db) {
    int64_t sum = 0;
    for (int i = 0; i < thread_worker_count; i++) {
        atomic_int_fast64_t *counts = expires ? keyspace_counters[i].expires : keyspace_counters[i].keys;
        sum += atomic_load_explicit(&counts[db], memory_order_relaxed);
    }
    return sum < 0 ? 0 : (size_t)sum; /* a sum taken in the middle of changes may be off for an instant */
}

size_t keyspace_count(uint32_t db) { return sum_db(false, db); }
size_t keyspace_expires(uint32_t db) { return sum_db(true, db); }

/* ---- a random key, and sizes ---- */

/* Picks from this shard into `out`; false if some tries met no entry that is not expired. */
static bool random_from(uint32_t index, const struct keyspace_view *view, struct buf *out) {
    struct shard *s = &shards[index];
    bool found = false;
    shard_lock(s);
    struct keydb *kdb = shard_db(s, view->db);
    for (int tries = 0; kdb && table_count(&kdb->table) > 0 && tries < 16 && !found; tries++) {
        struct entry *e = table_random(&kdb->table, random_u64());
        if (entry_is_expired(e, view->now_ms)) continue;
        buf_clear(out);
        buf_append(out, entry_key(e));
        found = true;
    }
    shard_unlock(s);
    return found;
}

/* The shard of the nth key, counting through all of them: each key is as likely as the next, however few
 * there are. */
static uint32_t shard_of_nth(uint32_t db, uint64_t n) {
    for (uint32_t i = 0; i < SHARD_COUNT; i++) {
        shard_lock(&shards[i]);
        struct keydb *kdb = shard_db(&shards[i], db);
        size_t count = kdb ? table_count(&kdb->table) : 0;
        shard_unlock(&shards[i]);
        if (n < count) return i;
        n -= count;
    }
    return SHARD_COUNT - 1; /* keys went away meanwhile */
}

struct first_alive {
    int64_t now_ms;
    struct buf *out;
};

static bool stop_at_alive(void *arg, struct entry *e) {
    struct first_alive *first = arg;
    if (entry_is_expired(e, first->now_ms)) return true;
    buf_clear(first->out);
    buf_append(first->out, entry_key(e));
    return false;
}

bool keyspace_random_key(struct keyspace_view *view, struct buf *out) {
    size_t count = keyspace_count(view->db);
    if (count == 0) return false;
    /* A random shard will do where keys are many; where they are few, hitting none is likely and does
     * not bias. */
    for (int tries = 0; tries < 16; tries++) {
        if (random_from((uint32_t)random_below(SHARD_COUNT), view, out)) return true;
    }
    for (int tries = 0; tries < 4; tries++) {
        if (random_from(shard_of_nth(view->db, random_below(count)), view, out)) return true;
    }
    /* Nearly all is expired: any that is not will do. */
    struct first_alive first = { view->now_ms, out };
    return !keyspace_each(view->db, stop_at_alive, &first);
}

size_t keyspace_table_memory(uint32_t db) {
    size_t bytes = 0;
    for (uint32_t i = 0; i < SHARD_COUNT; i++) {
        shard_lock(&shards[i]);
        struct keydb *kdb = shard_db(&shards[i], db);
        if (kdb) bytes += table_memory(&kdb->table);
        shard_unlock(&shards[i]);
    }
    return bytes;
}

size_t keyspace_moving_memory(void) {
    size_t bytes = 0;
    for (uint32_t i = 0; i < SHARD_COUNT; i++) {
        struct shard *s = &shards[i];
        shard_lock(s);
        for (uint32_t db = 0; db <= shard_last_db(s); db++) {
            const struct keydb *kdb = shard_db(s, db);
            if (kdb) bytes += table_moving_memory(&kdb->table);
        }
        shard_unlock(s);
    }
    return bytes;
}
