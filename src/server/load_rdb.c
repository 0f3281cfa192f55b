/* load_rdb.c: an RDB file into the keyspace, on all workers.
 *
 * The loading thread cuts the file into records, which is quick, and gathers them in batches. A batch goes by
 * letter to a worker that has few of them. That worker decodes the values and inserts them under the locks of
 * their shards. When all workers have enough, the loading thread does a batch itself. So there are never more
 * batches than workers can use, and no worker keeps its clients waiting longer than a batch (or one big
 * value) takes.
 *
 * Keys are inserted in any order. So a duplicate key is an error: neither of them is the last one. */
#include "load_private.h"
#include "trivet/base/clock.h"
#include "trivet/base/grow.h"
#include "trivet/base/hashing.h"
#include "trivet/base/log.h"
#include "trivet/base/mem.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/engine/turn/workers.h"
#include "trivet/keyspace/keyspace.h"
#include "trivet/persist/rdb/file.h"
#include <stdarg.h>
#include <time.h>

#define BATCH_RECORDS 256
#define BATCH_BYTES ((size_t)256 * 1024)
#define EMPTY_LOGGED 4         /* keys without elements, of a batch */
#define BATCHES_MAX 3          /* waiting at one worker */
#define GROUP 16               /* keys whose buckets are fetched together */
#define WAIT_NS 1000000        /* between two looks at the clients while others finish */
#define RDB_VERSION_WITH_SUM 5 /* the first that ends with a checksum */
#define KEY_BYTES_MIN 3        /* type, length of the key, value */

struct loading {
    const struct rdb_plan *plan;
    struct rdb_reader *reader;
    struct batch *filling;
    int64_t now_ms;
    bool facts_are_logged;
    bool keeps_expired; /* set before the first batch */
    /* Workers change the fields below: under the lock. */
    struct lock lock;
    pthread_cond_t less; /* a batch is done */
    unsigned waiting[WORKERS_MAX], under_way;
    bool failed;
    struct rdb_error error; /* of the failure that comes first in the file */
    struct rdb_outcome counts;
};

struct batch {
    struct letter letter;
    struct loading *loading;
    int worker;
    size_t count, bytes;
    struct rdb_record records[BATCH_RECORDS];
};

/* Entries on their way into the tables. */
struct group {
    size_t count;
    struct {
        struct entry *entry;
        struct keyref ref;
        const struct rdb_record *record;
    } items[GROUP];
};

/* ---- failing ---- */

/* Takes over what `e` owns. */
static void fail(struct loading *l, struct rdb_error *e) {
    lock_take(&l->lock);
    if (!l->failed || e->offset < l->error.offset) {
        rdb_error_release(&l->error);
        l->error = *e;
    } else {
        rdb_error_release(e);
    }
    l->failed = true;
    lock_drop(&l->lock);
}

static void fail_at(struct loading *l, uint64_t offset, const char *format, ...) PRINTF_LIKE(3, 4);
static void fail_at(struct loading *l, uint64_t offset, const char *format, ...) {
    struct rdb_error e = { .offset = offset, .doing = "load", .type = -1 };
    va_list args;
    va_start(args, format);
    buf_vprintf(&e.what, format, args);
    va_end(args);
    fail(l, &e);
}

static bool has_failed(struct loading *l) {
    lock_take(&l->lock);
    bool failed = l->failed;
    lock_drop(&l->lock);
    return failed;
}

/* ---- a batch, on any worker ---- */

static uint32_t place_of(const struct loading *l, uint32_t db) {
    return l->plan->beside ? keyspace_beside(db) : db;
}

/* Under the lock of the shard. False if the key is there and is to stay. */
static bool insert(struct loading *l, struct shard *s, struct entry *e, struct keyref *ref, uint32_t db) {
    struct keyspace_view view = {
        .db = db, .expiry = EXPIRY_KEEPS, .now_ms = l->now_ms, .refs = ref, .ref_count = 1, .ref_hint = 1
    };
    struct keydb *kdb = shard_db_make(s, db);
    bool is_new = !table_find(&kdb->table, ref->key, ref->hash);
    if (is_new)
        keyspace_load(&view, e);
    else if (l->plan->replace)
        keyspace_put(&view, e);
    return is_new || l->plan->replace;
}

static void fail_twice(struct loading *l, const struct rdb_record *record) {
    struct rdb_error e = { .offset = record->offset, .doing = "load", .type = record->type };
    rdb_record_describe_key(record, &e.key);
    buf_append(&e.what, LIT("The key is there already"));
    fail(l, &e);
}

static void insert_group(struct loading *l, struct group *g) {
    for (size_t i = 0; i < g->count; i++) {
        struct entry *e = g->items[i].entry;
        struct shard *s = &shards[g->items[i].ref.shard];
        shard_lock(s);
        bool taken = insert(l, s, e, &g->items[i].ref, place_of(l, g->items[i].record->db));
        shard_unlock(s);
        if (taken) continue;
        entry_free(e);
        fail_twice(l, g->items[i].record);
    }
    g->count = 0;
}

/* Starts to fetch the bucket; the table may be looked at only under its shard's lock. */
static void prefetch(const struct loading *l, const struct group *g) {
    for (size_t i = 0; i < g->count; i++) {
        const struct keyref *ref = &g->items[i].ref;
        struct shard *s = &shards[ref->shard];
        shard_lock(s);
        struct keydb *kdb = shard_db(s, place_of(l, g->items[i].record->db));
        if (kdb) table_prefetch_bucket(&kdb->table, ref->hash);
        shard_unlock(s);
    }
}

static void add_to_group(struct group *g, struct entry *e, const struct rdb_record *record) {
    struct keyref ref = keyref_of(entry_key(e));
    __builtin_prefetch(&shards[ref.shard]);
    __builtin_prefetch(&shards[ref.shard].first);
    g->items[g->count].entry = e;
    g->items[g->count].ref = ref;
    g->items[g->count].record = record;
    g->count++;
}

static bool is_dropped(const struct loading *l, const struct rdb_record *record) {
    return !l->keeps_expired && record->expiry_ms != NO_EXPIRY && record->expiry_ms < l->now_ms;
}

/* The first few of a batch; how many there were is logged at the end. */
static void log_empty(const struct rdb_record *record, uint64_t before) {
    struct buf key = { 0 };
    if (before >= EMPTY_LOGGED) return;
    rdb_record_describe_key(record, &key);
    LOG_NOTICE("The RDB file has a collection without elements, skipping empty key: %.*s",
               SLICE_ARG(buf_slice(&key)));
    buf_release(&key);
}

/* One record into the group; false if the load has failed. */
static bool take_record(struct loading *l, const struct rdb_record *record, struct group *g,
                        struct rdb_outcome *counts) {
    struct rdb_error error = { .type = -1 };
    struct entry *e;
    if (is_dropped(l, record)) {
        counts->expired++;
        return true;
    }
    switch (rdb_record_decode(record, l->now_ms, &e, &error)) {
    case RDB_DECODED:
        counts->loaded++;
        add_to_group(g, e, record);
        return true;
    case RDB_DECODED_NOTHING: log_empty(record, counts->empty++); return true;
    case RDB_DECODED_BROKEN: break;
    }
    fail(l, &error);
    return false;
}

static void take_batch(struct loading *l, const struct batch *b) {
    struct rdb_outcome counts = { 0 };
    struct group g = { 0 };
    bool good = !has_failed(l);
    for (size_t at = 0; at < b->count && good;) {
        size_t end = at + GROUP < b->count ? at + GROUP : b->count;
        for (; at < end && good; at++) good = take_record(l, &b->records[at], &g, &counts);
        prefetch(l, &g);
        insert_group(l, &g);
    }
    lock_take(&l->lock);
    l->counts.loaded += counts.loaded;
    l->counts.expired += counts.expired;
    l->counts.empty += counts.empty;
    lock_drop(&l->lock);
}

/* Under another worker's gate. The struct may be freed as soon as its lock is dropped. */
static void run_batch(struct letter *letter) {
    struct batch *b = CONTAINER_OF(letter, struct batch, letter);
    struct loading *l = b->loading;
    take_batch(l, b);
    lock_take(&l->lock);
    l->waiting[b->worker]--;
    l->under_way--;
    pthread_cond_signal(&l->less);
    lock_drop(&l->lock);
    mem_free(b);
}

/* ---- the loading thread ---- */

/* The other worker that has the fewest batches, or -1 if all have enough. */
static int choose_worker(struct loading *l) {
    int best = -1;
    if (l->plan->alone || !thread_is_parallel()) return best;
    lock_take(&l->lock);
    for (int i = 0; i < thread_worker_count; i++) {
        if (i == worker_self() || l->waiting[i] >= BATCHES_MAX) continue;
        if (best < 0 || l->waiting[i] < l->waiting[best]) best = i;
    }
    if (best >= 0) {
        l->waiting[best]++;
        l->under_way++;
    }
    lock_drop(&l->lock);
    return best;
}

/* The gate has been held since the last look at whether the server ends: so a worker that gets a batch still
 * reads its letters. */
static void send_batch(struct loading *l) {
    struct batch *b = l->filling;
    if (!b || b->count == 0) return;
    b->worker = choose_worker(l);
    if (b->worker < 0) {
        take_batch(l, b);
        b->count = b->bytes = 0;
        return;
    }
    l->filling = NULL;
    b->loading = l;
    b->letter.run = run_batch;
    worker_post(b->worker, &b->letter);
}

/* False: stop. Batches may have been sent; what they hold stays mapped. */
static bool breathe(struct loading *l) {
    uint64_t size = rdb_reader_size(l->reader);
    if (!l->plan->breathe(l->plan->arg, rdb_reader_offset(l->reader), size)) {
        fail_at(l, rdb_reader_offset(l->reader), "The server is asked to shut down");
        return false;
    }
    return !has_failed(l);
}

static void wait_for_others(struct loading *l) {
    while (!l->plan->alone) {
        gate_leave(); /* an exclusive command of a worker that has a batch goes first */
        lock_take(&l->lock);
        bool wait = l->under_way > 0;
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += WAIT_NS;
        if (until.tv_nsec >= 1000000000) {
            until.tv_sec++;
            until.tv_nsec -= 1000000000;
        }
        if (wait) pthread_cond_timedwait(&l->less, &l->lock.mutex, &until);
        lock_drop(&l->lock);
        gate_enter();
        if (!wait) return;
        /* Ignores a shutdown here: the batches on their way must finish first. */
        (void)l->plan->breathe(l->plan->arg, rdb_reader_offset(l->reader), rdb_reader_size(l->reader));
    }
}

/* Before the first key. */
static void take_facts(struct loading *l) {
    if (l->facts_are_logged) return;
    l->facts_are_logged = true;
    const struct rdb_facts *f = rdb_reader_facts(l->reader);
    l->keeps_expired = l->plan->keep_expired || (l->plan->keep_expired_of_history && f->position.known);
    bool is_valkey = f->valkey_version[0];
    if (is_valkey || f->redis_version[0])
        LOG_NOTICE("Loading RDB produced by %sversion %s", is_valkey ? "Valkey " : "",
                   is_valkey ? f->valkey_version : f->redis_version);
    if (f->written_s >= 0) LOG_NOTICE("RDB age %lld seconds", (long long)(l->now_ms / 1000 - f->written_s));
    if (f->used_memory >= 0)
        LOG_NOTICE("RDB memory usage when created %.2f Mb", (double)f->used_memory / (1024 * 1024));
    if (f->is_aof_base) LOG_NOTICE("RDB is base AOF");
}

static void add_record(struct loading *l, const struct rdb_record *record) {
    take_facts(l);
    if (!l->filling) {
        l->filling = mem_alloc(sizeof *l->filling);
        l->filling->count = l->filling->bytes = 0;
    }
    struct batch *b = l->filling;
    b->records[b->count++] = *record;
    b->bytes += record->body.len;
}

static bool batch_is_full(const struct loading *l) {
    return l->filling && (l->filling->count == BATCH_RECORDS || l->filling->bytes >= BATCH_BYTES);
}

/* The file's own count is trusted as far as its length allows. */
static void reserve(struct loading *l, uint32_t db, uint64_t keys) {
    uint64_t most = (rdb_reader_size(l->reader) - rdb_reader_offset(l->reader)) / KEY_BYTES_MIN;
    size_t each = (size_t)((keys < most ? keys : most) / shard_count);
    if (each == 0) return;
    for (uint32_t i = 0; i < shard_count; i++) {
        shard_lock(&shards[i]);
        struct keydb *kdb = shard_db_make(&shards[i], place_of(l, db));
        table_reserve(&kdb->table, table_count(&kdb->table) + each);
        shard_unlock(&shards[i]);
    }
}

static void take_database(struct loading *l, uint64_t number) {
    take_facts(l);
    if (number >= keyspace_databases())
        fail_at(l, rdb_reader_offset(l->reader),
                "The file has a database %llu, and 'databases' allows %u of them", (unsigned long long)number,
                (unsigned)keyspace_databases());
}

/* INFO of another worker counts the libraries. */
static void take_library(struct loading *l, struct slice code) {
    struct libraries *kept = l->plan->libraries;
    if (kept) {
        GROW(kept->codes, kept->count, &kept->room, 8);
        kept->codes[kept->count++] = slice_make(slice_to_cstr(code), code.len);
        return;
    }
    struct buf error = { 0 };
    exclusive_begin();
    bool taken = rdb_libraries.take(code, &error);
    exclusive_end();
    if (!taken)
        fail_at(l, rdb_reader_offset(l->reader), "Failed loading a library of functions: %.*s",
                SLICE_ARG(buf_slice(&error)));
    buf_release(&error);
}

static void take_import(struct loading *l, struct slice name, struct slice ends) {
    struct imports *kept = l->plan->imports;
    uint16_t pair[2];
    if (!kept) return;
    GROW(kept->at, kept->count, &kept->room, 4);
    struct import *import = &kept->at[kept->count++];
    *import = (struct import){ .slots = { { 0 } } };
    memcpy(import->name, name.ptr, sizeof import->name);
    for (size_t at = 0; at < ends.len; at += sizeof pair) {
        memcpy(pair, ends.ptr + at, sizeof pair);
        for (unsigned slot = pair[0]; slot <= pair[1]; slot++) slot_set_add(&import->slots, slot);
    }
}

/* All but records. False at the end. */
static bool take_event(struct loading *l, enum rdb_event event, const struct rdb_item *item, uint32_t *db) {
    switch (event) {
    case RDB_EVENT_DATABASE:
        take_database(l, item->number);
        *db = (uint32_t)item->number;
        break;
    case RDB_EVENT_SIZES:
        if (!has_failed(l)) reserve(l, *db, item->keys);
        break;
    case RDB_EVENT_LIBRARY: take_library(l, item->value); break;
    case RDB_EVENT_IMPORT: take_import(l, item->name, item->value); break;
    case RDB_EVENT_MODULE:
        LOG_WARNING("The RDB file has data of the module type '%.*s' outside of keys: skipped, because this "
                    "server has no modules",
                    SLICE_ARG(item->name));
        break;
    case RDB_EVENT_BROKEN: {
        const struct rdb_error *e = rdb_reader_error(l->reader);
        struct rdb_error copy = { .offset = e->offset, .doing = e->doing, .type = e->type };
        buf_append(&copy.what, buf_slice(&e->what));
        buf_append(&copy.key, buf_slice(&e->key));
        fail(l, &copy);
        return false;
    }
    case RDB_EVENT_END:
        l->counts.has_no_checksum = rdb_reader_sum(l->reader) == RDB_SUM_NONE &&
                                    rdb_reader_version(l->reader) >= RDB_VERSION_WITH_SUM;
        return false;
    case RDB_EVENT_AUX:
    case RDB_EVENT_SLOTS:
    case RDB_EVENT_RECORD: break;
    }
    return !has_failed(l);
}

/* key-load-delay, for tests: waits that many microseconds for each key, or for -n 1 microsecond for every n
 * keys. */
static bool delay(uint64_t *keys) {
    int64_t us = options.key_load_delay_us;
    if (LIKELY(us == 0)) return false;
    if (us < 0) us = ++*keys % (uint64_t)-us == 0;
    if (us > 0) nanosleep(&(struct timespec){ us / 1000000, us % 1000000 * 1000 }, NULL);
    return true;
}

static void read_all(struct loading *l) {
    struct rdb_item item;
    uint64_t keys = 0;
    uint32_t db = 0;
    for (bool more = breathe(l); more;) {
        enum rdb_event event = rdb_reader_next(l->reader, &item);
        if (event != RDB_EVENT_RECORD) {
            more = take_event(l, event, &item, &db);
            continue;
        }
        add_record(l, &item.record);
        bool slow = delay(&keys);
        if (batch_is_full(l))
            send_batch(l);
        else if (!slow)
            continue;
        more = breathe(l);
    }
    if (!has_failed(l)) send_batch(l);
    wait_for_others(l);
}

static bool loading_init(struct loading *l, const char *path, const struct rdb_plan *plan,
                         struct buf *error) {
    struct rdb_rules rules = { .no_checksum = !options.rdbchecksum,
                               .relaxed = options.rdb_version_check != 0 };
    *l = (struct loading){ .plan = plan, .now_ms = clock_wall_ms(), .error.type = -1 };
    l->reader = rdb_reader_open(path, rules, error);
    if (!l->reader) return false;
    lock_init(&l->lock, LOCK_RANK_LEAF);
    pthread_condattr_t steady;
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_cond_init(&l->less, &steady);
    pthread_condattr_destroy(&steady);
    return true;
}

static void loading_release(struct loading *l) {
    rdb_reader_close(l->reader);
    rdb_error_release(&l->error);
    pthread_cond_destroy(&l->less);
    lock_release(&l->lock);
    mem_free(l->filling);
}

bool load_rdb(const char *path, const struct rdb_plan *plan, struct rdb_outcome *out, struct buf *error) {
    struct loading l;
    assert(gate_is_mine());
    if (!loading_init(&l, path, plan, error)) return false;
    read_all(&l);
    *out = l.counts;
    out->end = rdb_reader_offset(l.reader);
    out->size = rdb_reader_size(l.reader);
    out->position = rdb_reader_facts(l.reader)->position;
    if (out->position.db >= (int64_t)keyspace_databases())
        out->position = (struct stream_position){ .offset = -1, .db = -1 };
    if (l.failed) rdb_error_describe(&l.error, error);
    bool loaded = !l.failed;
    loading_release(&l);
    return loaded;
}
