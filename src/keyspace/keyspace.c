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
#include "trivet/base/slab.h"
#include "trivet/keyspace/counters.h"
#include "trivet/keyspace/eviction.h"
#include "trivet/keyspace/hidden.h"
#include "trivet/keyspace/scan.h"
#include "trivet/keyspace/walk.h"

struct keyspace_hooks keyspace_hooks;
bool keyspace_epoch;
atomic_size_t keyspace_dated_tables;
static uint32_t database_count;

void keyspace_init(uint32_t databases, bool by_slot) {
    database_count = databases;
    shards_are_shared = thread_is_parallel();
    shards_init(by_slot);
    for (int i = 0; i < thread_worker_count; i++) counters_init(&keyspace_counters[i], keyspace_numbers());
}

void keyspace_release(void) {
    shards_release();
    eviction_release();
    databases_release();
    for (int i = 0; i < WORKERS_MAX; i++) counters_release(&keyspace_counters[i]);
}

uint32_t keyspace_databases(void) { return database_count; }
uint32_t keyspace_beside(uint32_t db) {
    assert(db < database_count);
    return database_count + db;
}
uint32_t keyspace_numbers(void) { return 2 * database_count; }
uint32_t keyspace_last_db(const struct shard *s) {
    uint32_t last = shard_last_db(s);
    return last < database_count ? last : database_count - 1;
}

/* Commands name their keys in order, so the next one is close behind the last; further off, hashing is
 * cheaper than looking (MSET may name a million). */
#define REFS_LOOKED_AT 8

static uint64_t hash_of_ref(struct keyspace_view *view, struct slice key) {
    size_t looks = view->ref_count < REFS_LOOKED_AT ? view->ref_count : REFS_LOOKED_AT;
    for (size_t at = view->ref_hint; looks > 0; looks--, at++) {
        if (at >= view->ref_count) at = 0;
        if (view->refs[at].key.ptr != key.ptr || view->refs[at].key.len != key.len) continue;
        view->ref_hint = at + 1;
        return view->refs[at].hash;
    }
    return key_hash(key);
}

/* Most commands have one key. */
static inline uint64_t hash_of_key(struct keyspace_view *view, struct slice key) {
    const struct keyref *first = view->refs;
    if (UNLIKELY(view->ref_count != 1) || first->key.ptr != key.ptr || first->key.len != key.len)
        return hash_of_ref(view, key);
    view->ref_hint = 1;
    return first->hash;
}

uint64_t keyspace_hash(struct keyspace_view *view, struct slice key) { return hash_of_key(view, key); }

uint32_t keyspace_shard(struct keyspace_view *view, struct slice key) {
    return SHARD_OF(keyspace_hash(view, key));
}

/* The hash of an entry's own key, which no ref has by address. Mostly that key was looked up last. */
static uint64_t hash_of(const struct keyspace_view *view, const struct entry *e) {
    struct slice key = entry_key(e);
    size_t last = view->ref_hint - 1;
    if (view->ref_hint > 0 && slice_equal(view->refs[last].key, key)) return view->refs[last].hash;
    return key_hash(key);
}

/* ---- the primitives ---- */

#define SHARD_IS_MINE(hash) shard_is_mine(&shards[SHARD_OF(hash)])

void keyspace_weigh(uint32_t db, size_t before, size_t after) {
    COUNTER_ADD(counters_mine()->bytes[db], (int_fast64_t)(after - before));
}

static void count_expires(uint32_t db, struct keydb *kdb, int sign) {
    assert(sign > 0 || kdb->expires > 0);
    COUNTER_ADD(counters_mine()->expires[db], sign);
    kdb->expires = sign > 0 ? kdb->expires + 1 : kdb->expires - 1;
}

/* The entry's own mark says whether it is counted, even if its value has changed since. */
static void count_dated(uint32_t db, struct entry *e, bool dated) {
    if (e->raw_or_dated == dated) return;
    e->raw_or_dated = dated;
    COUNTER_ADD(counters_mine()->dated[db], dated ? +1 : -1);
}

/* It is out of its table. */
static void uncount(uint32_t db, struct keydb *kdb, struct entry *e) {
    keyspace_weigh(db, entry_memory(e), 0);
    COUNTER_ADD(counters_mine()->keys[db], -1);
    if (e->has_expiry) count_expires(db, kdb, -1);
    if (e->type != TYPE_STRING) count_dated(db, e, false);
}

static void set_dated(struct keydb *kdb, bool dated) {
    if (kdb->dated == dated) return;
    kdb->dated = dated;
    if (dated)
        atomic_fetch_add_explicit(&keyspace_dated_tables, 1, memory_order_relaxed);
    else
        atomic_fetch_sub_explicit(&keyspace_dated_tables, 1, memory_order_relaxed);
}

/* Counts the entry, in its table or about to be, by what it holds now. True if elements expire by themselves.
 */
static bool note_elements(uint32_t db, struct keydb *kdb, struct entry *e) {
    if (e->type == TYPE_STRING) return false;
    bool dated = entry_due_ms(e) != INT64_MAX;
    count_dated(db, e, dated);
    if (dated) set_dated(kdb, true);
    return dated;
}

/* Lets the expiry cycle find the entry if it, or what it holds, expires. */
static void mark_if_expiring(uint32_t db, struct keydb *kdb, struct entry *e, uint64_t hash) {
    if (note_elements(db, kdb, e) || e->has_expiry) table_mark(&kdb->table, e, hash);
}

static void insert_at(uint32_t db, struct keydb *kdb, struct entry *e, uint64_t hash) {
    assert(SHARD_IS_MINE(hash));
    table_insert(&kdb->table, e, hash);
    mark_if_expiring(db, kdb, e, hash);
    COUNTER_ADD(counters_mine()->keys[db], +1);
    keyspace_weigh(db, 0, entry_memory(e));
    if (e->has_expiry) count_expires(db, kdb, +1);
    if (UNLIKELY(keyspace_saver != NULL) && e->type != TYPE_STRING) keyspace_saver->placed(e, SHARD_OF(hash));
}

/* Who hides what is over, because another decides when it goes, may have to see to its own keys. */
static inline void note_dated(struct keyspace_view *view, const struct entry *e) {
    if (LIKELY(view->expiry != EXPIRY_HIDES) || !e->has_expiry) return;
    if (keyspace_hooks.dated) keyspace_hooks.dated(view, entry_key(e));
}

static void expiry_changed(uint32_t db, struct keydb *kdb, struct entry *e, uint64_t hash, bool had) {
    assert(SHARD_IS_MINE(hash));
    mark_if_expiring(db, kdb, e, hash);
    if (e->has_expiry != had) count_expires(db, kdb, e->has_expiry ? +1 : -1);
}

static void take_out(uint32_t db, struct keydb *kdb, struct entry *e, uint64_t hash) {
    assert(SHARD_IS_MINE(hash));
    table_remove_item(&kdb->table, e, hash);
    uncount(db, kdb, e);
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
    assert(view->db < keyspace_numbers());
    return shard_db_make(&shards[SHARD_OF(hash)], view->db);
}

/* ---- looking up ---- */

void keyspace_vanish(struct keyspace_view *view, struct keydb *kdb, struct entry *e,
                     enum vanish_reason reason, bool lazily) {
    save_image(view->db, e);
    uncount(view->db, kdb, e);
    if (reason == VANISHED_EXPIRED) COUNTER_ADD(counters_mine()->expired, 1);
    if (reason == VANISHED_EVICTED) COUNTER_ADD(uses_mine(view->db)->evicted, 1);
    if (keyspace_hooks.vanished) keyspace_hooks.vanished(view, entry_key(e), reason);
    discard(e, lazily);
}

bool keyspace_reclaim(struct keyspace_view *view, struct keydb *kdb, struct entry *e) {
    const struct value_ops *ops = value_ops[e->type];
    struct value v = entry_value(e);
    struct gone gone;
    if (ops->due_ms(v) >= view->now_ms) return false;
    save_image(view->db, e);
    size_t before = entry_memory(e);
    ops->take_due(&v, view->now_ms, &gone);
    entry_set_value(e, v);
    keyspace_weigh(view->db, before, entry_memory(e));
    bool emptied = ops->count(v) == 0;
    if (gone.count > 0 && keyspace_hooks.elements_vanished)
        keyspace_hooks.elements_vanished(view, entry_key(e), &gone, emptied);
    for (size_t i = 0; i < gone.count; i++) mem_free(gone.items[i]);
    COUNTER_ADD(counters_mine()->expired_fields, gone.count);
    (void)note_elements(view->db, kdb, e);
    if (!emptied) return ops->due_ms(v) < view->now_ms;
    take_out(view->db, kdb, e, key_hash(entry_key(e)));
    discard(e, false);
    return false;
}

/* What is over goes, as far as the view says so. */
RARE static struct entry *find_over(struct keyspace_view *view, struct keydb *kdb, struct entry *e,
                                    uint64_t hash) {
    if (view->expiry == EXPIRY_HIDES) return NULL;
    table_remove_item(&kdb->table, e, hash);
    keyspace_vanish(view, kdb, e, VANISHED_EXPIRED, true);
    return NULL;
}

ALWAYS_INLINE struct entry *find(struct keyspace_view *view, struct slice key) {
    uint64_t hash = hash_of_key(view, key);
    assert(SHARD_IS_MINE(hash));
    struct keydb *kdb = shard_db(&shards[SHARD_OF(hash)], view->db);
    struct entry *e = kdb ? table_find(&kdb->table, key, hash) : NULL;
    return !e || LIKELY(!keyspace_hides(view, e)) ? e : find_over(view, kdb, e, hash);
}

bool keyspace_holds(const struct keyspace_view *view, const struct keyref *ref) {
    assert(shard_is_mine(&shards[ref->shard]));
    const struct keydb *kdb = shard_db(&shards[ref->shard], view->db);
    const struct entry *e = kdb ? table_find(&kdb->table, ref->key, ref->hash) : NULL;
    return e && !keyspace_hides(view, e);
}

static inline void touch(struct keyspace_view *view, struct entry *e) {
    if (UNLIKELY(view->no_touch)) return;
    uint32_t access = eviction_access_used(view->db, e->access, view->now_ms);
    if (access == e->access) return; /* a line that many read should not be written for nothing */
    e->access = access & ENTRY_ACCESS_MASK;
}

ALWAYS_INLINE struct entry *peek(struct keyspace_view *view, struct slice key) {
    struct entry *e = find(view, key);
    if (LIKELY(e)) {
        COUNTER_ADD(uses_mine(view->db)->hits, 1);
        return e;
    }
    COUNTER_ADD(uses_mine(view->db)->misses, 1);
    if (keyspace_hooks.missed) keyspace_hooks.missed(view, key);
    return NULL;
}

struct entry *keyspace_peek(struct keyspace_view *view, struct slice key) {
    return peek(view, key);
}

struct entry *keyspace_read(struct keyspace_view *view, struct slice key) {
    struct entry *e = peek(view, key);
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

/* A hidden entry may be in the place of `e`. The journal gets a DEL for it: in a replay, the next commands
 * would find it otherwise. */
static void make_place(struct keyspace_view *view, struct keydb *kdb, const struct entry *e, uint64_t hash) {
    struct entry *hidden = table_find(&kdb->table, entry_key(e), hash);
    if (!hidden) return;
    assert(keyspace_hides(view, hidden));
    table_remove_item(&kdb->table, hidden, hash);
    keyspace_vanish(view, kdb, hidden, VANISHED_OVERWRITTEN, true);
}

static inline void stamp(const struct keyspace_view *view, struct entry *e, uint64_t hash) {
    if (LIKELY(e->access == ENTRY_NOT_STAMPED))
        e->access = eviction_access_back(view->db, hash, view->now_ms) & ENTRY_ACCESS_MASK;
}

void keyspace_insert(struct keyspace_view *view, struct entry *e) {
    uint64_t hash = hash_of(view, e);
    struct keydb *kdb = db_of(view, hash);
    if (UNLIKELY(view->expiry == EXPIRY_HIDES)) make_place(view, kdb, e, hash);
    stamp(view, e, hash);
    insert_at(view->db, kdb, e, hash);
    note_dated(view, e);
    if (keyspace_hooks.made) keyspace_hooks.made(view, entry_key(e));
}

void keyspace_load(struct keyspace_view *view, struct entry *e) {
    uint64_t hash = hash_of(view, e);
    insert_at(view->db, db_of(view, hash), e, hash);
}

static void swap_in(struct keyspace_view *view, struct keyspace_before before, struct entry *fresh) {
    uint64_t hash = hash_of(view, fresh);
    struct keydb *kdb = db_of(view, hash);
    if (before.address != fresh) table_swap(&kdb->table, before.address, fresh, hash);
    keyspace_weigh(view->db, before.bytes, entry_memory(fresh));
    expiry_changed(view->db, kdb, fresh, hash, before.had_expiry);
    note_dated(view, fresh);
}

void keyspace_relocate(struct keyspace_view *view, const void *address, struct entry *fresh) {
    if (address == fresh) return;
    uint64_t hash = hash_of(view, fresh);
    table_swap(&db_of(view, hash)->table, address, fresh, hash);
}

void keyspace_moved(struct keyspace_view *view, struct keyspace_before before, struct entry *fresh) {
    swap_in(view, before, fresh);
}

void keyspace_replace(struct keyspace_view *view, struct entry *old, struct entry *fresh) {
    if (old->type != TYPE_STRING) count_dated(view->db, old, false);
    if (LIKELY(fresh->access == ENTRY_NOT_STAMPED)) fresh->access = old->access;
    swap_in(view, keyspace_before(old), fresh);
    if (UNLIKELY(keyspace_saver != NULL) && fresh->type != TYPE_STRING)
        keyspace_saver->placed(fresh, SHARD_OF(hash_of(view, fresh)));
    discard(old, true);
}

void keyspace_put(struct keyspace_view *view, struct entry *fresh) {
    uint64_t hash = hash_of(view, fresh);
    struct keydb *kdb = db_of(view, hash);
    struct entry *old = table_find(&kdb->table, entry_key(fresh), hash);
    stamp(view, fresh, hash);
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
    struct keyspace_before before = keyspace_before(e);
    struct entry *fresh = entry_with_expiry(e, expiry_ms);
    keyspace_moved(view, before, fresh);
    return fresh;
}

enum keyspace_due keyspace_expire(struct keyspace_view *view, struct slice key) {
    uint64_t hash = keyspace_hash(view, key);
    struct keydb *kdb = shard_db(&shards[SHARD_OF(hash)], view->db);
    struct entry *e = kdb ? table_find(&kdb->table, key, hash) : NULL;
    if (!e || !e->has_expiry) return DUE_NEVER;
    if (!entry_is_expired(e, view->now_ms)) return DUE_LATER;
    table_remove_item(&kdb->table, e, hash);
    keyspace_vanish(view, kdb, e, VANISHED_EXPIRED, true);
    return DUE_NOW;
}

void keyspace_note_elements(struct keyspace_view *view, struct entry *e) {
    uint64_t hash = hash_of(view, e);
    mark_if_expiring(view->db, db_of(view, hash), e, hash);
}

bool keyspace_has_dated(void) {
    return atomic_load_explicit(&keyspace_dated_tables, memory_order_relaxed) > 0;
}

/* ---- a slot of a cluster ---- */

size_t keyspace_slot_count(uint32_t db, uint16_t slot) {
    struct shard *s = &shards[slot];
    assert(shard_count == SLOT_COUNT);
    shard_lock(s);
    const struct keydb *kdb = shard_db(s, db);
    size_t count = kdb && !slot_is_hidden_as(slot, SLOT_LEAVES) ? table_count(&kdb->table) : 0;
    shard_unlock(s);
    return count;
}

struct slot_visit {
    bool (*visit)(void *arg, const struct entry *e);
    void *arg;
};

static bool visit_item(void *arg, void *item) {
    struct slot_visit *v = arg;
    return v->visit(v->arg, item);
}

void keyspace_slot_each(uint32_t db, uint16_t slot, bool (*visit)(void *arg, const struct entry *e),
                        void *arg) {
    struct slot_visit v = { visit, arg };
    assert(shard_count == SLOT_COUNT);
    const struct keydb *kdb = shard_db(&shards[slot], db);
    if (kdb) (void)table_each(&kdb->table, visit_item, &v);
}

/* Entries of one chain of buckets. */
struct some_entries {
    size_t met, count;
    struct entry *at[64];
};

static void collect(void *arg, void *item) {
    struct some_entries *some = arg;
    if (some->count < COUNT_OF(some->at)) some->at[some->count++] = item;
    some->met++;
}

size_t keyspace_drop_some(struct keyspace_view *view, struct keydb *kdb, uint64_t *cursor, bool lazily) {
    struct some_entries some;
    some.met = some.count = 0;
    uint64_t next = table_scan(&kdb->table, *cursor, collect, &some);
    for (size_t i = 0; i < some.count; i++) {
        table_remove_item(&kdb->table, some.at[i], key_hash(entry_key(some.at[i])));
        keyspace_vanish(view, kdb, some.at[i], VANISHED_SLOT, lazily);
    }
    if (some.met == some.count) *cursor = next; /* else the chain is long: once more */
    return some.count;
}

static size_t drop_all(struct keyspace_view *view, struct keydb *kdb, bool lazily) {
    uint64_t cursor = 0;
    size_t gone = 0;
    while (table_count(&kdb->table) > 0) gone += keyspace_drop_some(view, kdb, &cursor, lazily);
    return gone;
}

size_t keyspace_slot_drop(uint16_t slot, bool lazily, int64_t now_ms) {
    struct shard *s = &shards[slot];
    size_t gone = 0;
    assert(shard_count == SLOT_COUNT && shards_are_mine);
    for (uint32_t db = 0; db <= keyspace_last_db(s); db++) {
        struct keyspace_view view = { .db = db, .now_ms = now_ms };
        struct keydb *kdb = shard_db(s, db);
        if (kdb) gone += drop_all(&view, kdb, lazily);
    }
    return gone;
}

/* ---- whole databases ---- */

static void free_entry(void *item) { entry_free(item); }

void keyspace_flushed_free(struct keyspace_flushed *f) {
    bool began = slab_thread_begin();
    for (uint32_t i = 0; i < f->count; i++) table_release(&f->tables[i], free_entry);
    if (began) slab_thread_end();
    mem_free(f);
}

static void free_flushed(void *arg) { keyspace_flushed_free(arg); }

size_t keyspace_flush(uint32_t db, bool lazily) {
    size_t count = keyspace_count(db);
    struct keyspace_flushed *f = mem_alloc_zero(sizeof *f + shard_count * sizeof f->tables[0]);
    f->count = shard_count;
    for (uint32_t i = 0; i < shard_count; i++) {
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
    COUNTER_ADD(counters_mine()->dated[db], -(int_fast64_t)keyspace_dated(db));
    keyspace_weigh(db, keyspace_bytes(db), 0);
    for (int i = 0; i < thread_worker_count; i++)
        atomic_store_explicit(&keyspace_counters[i].ttl_weight[db], 0, memory_order_relaxed);
    if (keyspace_saver)
        keyspace_saver->flushed(db, f);
    else if (lazily && count > 0)
        background_post(free_flushed, f, count);
    else
        free_flushed(f);
    return count;
}

void keyspace_swap(uint32_t a, uint32_t b) {
    for (uint32_t i = 0; i < shard_count; i++) {
        if (!shard_db(&shards[i], a) && !shard_db(&shards[i], b)) continue;
        struct keydb *x = shard_db_make(&shards[i], a), *y = shard_db_make(&shards[i], b);
        struct keydb old = *x;
        *x = *y;
        *y = old;
    }
    for (int i = 0; i < thread_worker_count; i++) {
        counters_swap_databases(&keyspace_counters[i], a, b);
    }
    if (keyspace_saver) keyspace_saver->swapped(a, b);
}

size_t keyspace_count(uint32_t db) { return COUNTER_SUM_DATABASE(keys, db); }
size_t keyspace_bytes(uint32_t db) { return COUNTER_SUM_DATABASE(bytes, db); }
size_t keyspace_expires(uint32_t db) { return COUNTER_SUM_DATABASE(expires, db); }
size_t keyspace_dated(uint32_t db) { return COUNTER_SUM_DATABASE(dated, db); }

static bool weigh_entry(void *arg, struct entry *e) {
    *(size_t *)arg += entry_memory(e);
    return true;
}

size_t keyspace_bytes_walked(uint32_t db) {
    size_t bytes = 0;
    (void)keyspace_each(db, weigh_entry, &bytes);
    return bytes;
}

/* ---- a random key, and sizes ---- */

/* Picks from this shard into `out`; false if some tries met no entry that is not expired. */
static bool random_from(uint32_t index, const struct keyspace_view *view, struct buf *out) {
    struct shard *s = &shards[index];
    bool found = false;
    if (slot_is_hidden(index)) return false;
    shard_lock(s);
    struct keydb *kdb = shard_db(s, view->db);
    for (int tries = 0; kdb && table_count(&kdb->table) > 0 && tries < 16 && !found; tries++) {
        struct entry *e = table_random(&kdb->table, random_u64());
        if (keyspace_hides(view, e)) continue;
        buf_clear(out);
        buf_append(out, entry_key(e));
        found = true;
    }
    shard_unlock(s);
    return found;
}

/* The shard of the nth key, counted through all shards. So every key has the same chance, even if few. */
static uint32_t shard_of_nth(uint32_t db, uint64_t n) {
    for (uint32_t i = 0; i < shard_count; i++) {
        if (slot_is_hidden(i)) continue;
        shard_lock(&shards[i]);
        struct keydb *kdb = shard_db(&shards[i], db);
        size_t count = kdb ? table_count(&kdb->table) : 0;
        shard_unlock(&shards[i]);
        if (n < count) return i;
        n -= count;
    }
    return shard_count - 1; /* keys went away meanwhile */
}

struct first_alive {
    const struct keyspace_view *view;
    struct buf *out;
};

static bool stop_at_alive(void *arg, struct entry *e) {
    struct first_alive *first = arg;
    if (keyspace_hides(first->view, e)) return true;
    buf_clear(first->out);
    buf_append(first->out, entry_key(e));
    return false;
}

bool keyspace_random_key(struct keyspace_view *view, struct buf *out) {
    size_t count = keyspace_count_seen(view->db);
    if (count == 0) return false;
    /* With many keys, a random shard is good enough. With few, most tries find an empty shard, which adds no
     * bias. */
    for (int tries = 0; tries < 16; tries++) {
        if (random_from((uint32_t)random_below(shard_count), view, out)) return true;
    }
    for (int tries = 0; tries < 4; tries++) {
        if (random_from(shard_of_nth(view->db, random_below(count)), view, out)) return true;
    }
    /* Nearly all keys have expired: take any that has not. */
    struct first_alive first = { view, out };
    return !keyspace_each_seen(view->db, stop_at_alive, &first);
}

size_t keyspace_table_memory(uint32_t db) {
    size_t bytes = 0;
    for (uint32_t i = 0; i < shard_count; i++) {
        shard_lock(&shards[i]);
        struct keydb *kdb = shard_db(&shards[i], db);
        if (kdb) bytes += table_memory(&kdb->table);
        shard_unlock(&shards[i]);
    }
    return bytes;
}
