/* export.c: see export.h.
 *
 * What the walk has met is told by a place in the order of slots, databases and hashes: it lies before it.
 * The place inside a slot moves only under the lock of the slot's shard, which whoever writes there holds.
 *
 * An effect on several keys of which the walk has met only some (RENAME) would not do the same at the
 * receiver. Then its keys are sent as they are now, and so are all keys of the piece of the journal in which
 * it stands, because later effects of the piece are in them already. */
#include "trivet/engine/slots/export.h"
#include "trivet/base/clock.h"
#include "trivet/base/grow.h"
#include "trivet/base/lock.h"
#include "trivet/base/mem.h"
#include "trivet/engine/command/command_keys.h"
#include "trivet/engine/command/registry.h"
#include "trivet/keyspace/keyspace.h"
#include "trivet/persist/aof/commands_of.h"
#include "trivet/persist/journal_sink.h"
#include <string.h>

#define WAITING_MAX ((size_t)1024 * 1024) /* the walk waits while so much was not taken yet */
#define NO_DB UINT32_MAX

bool slot_exports_are_on;
void (*slot_export_wakes)(void);

struct slot_export {
    struct slot_export *next;
    struct slot_set slots;
    /* The walk's place. */
    atomic_uint slot; /* SLOT_COUNT: all is read */
    uint32_t db;      /* this and `order` under the lock of the slot's shard */
    uint64_t order;
    int64_t now_ms;
    _Atomic(const char *) failure;
    struct lock lock;    /* of what follows: a leaf */
    struct buf waiting;  /* bytes for the receiver */
    uint32_t waiting_db; /* in which it is after them */
    atomic_size_t waiting_len;
};

static struct slot_export *exports; /* changes with the gate closed */

/* ---- life ---- */

struct slot_export *slot_export_begin(const struct slot_set *slots) {
    struct slot_export *x = mem_alloc_zero(sizeof *x);
    x->slots = *slots;
    x->waiting_db = NO_DB;
    atomic_init(&x->slot, slot_set_next(slots, 0));
    lock_init(&x->lock, LOCK_RANK_LEAF);
    x->next = exports;
    exports = x;
    slot_exports_are_on = true;
    journal_note_followers(true);
    return x;
}

void slot_export_end(struct slot_export *x) {
    struct slot_export **at = &exports;
    while (*at != x) at = &(*at)->next;
    *at = x->next;
    slot_exports_are_on = exports != NULL;
    journal_note_followers(slot_exports_are_on);
    buf_release(&x->waiting);
    lock_release(&x->lock);
    mem_free(x);
}

const char *slot_export_failure(const struct slot_export *x) { return atomic_load(&x->failure); }
bool slot_export_is_walking(const struct slot_export *x) { return atomic_load(&x->slot) < SLOT_COUNT; }
size_t slot_export_waiting(const struct slot_export *x) { return atomic_load(&x->waiting_len); }

/* ---- bytes ---- */

/* Adding begins and ends with these. */
static void open_bytes(struct slot_export *x) UNCHECKED;
static void open_bytes(struct slot_export *x) { lock_take(&x->lock); }

static void close_bytes(struct slot_export *x) UNCHECKED;
static void close_bytes(struct slot_export *x) {
    size_t len = x->waiting.len, before = atomic_exchange(&x->waiting_len, len);
    lock_drop(&x->lock);
    if (before == 0 && len > 0) slot_export_wakes();
}

static void choose_db(struct slot_export *x, uint32_t db) {
    if (x->waiting_db == db) return;
    wire_select(&x->waiting, db);
    x->waiting_db = db;
}

static void emit(void *arg, const struct slice *argv, size_t argc) {
    struct slot_export *x = arg;
    wire_command(&x->waiting, argv, argc);
}

void slot_export_put(struct slot_export *x, const struct slice *argv, size_t argc) {
    open_bytes(x);
    emit(x, argv, argc);
    close_bytes(x);
}

void slot_export_take(struct slot_export *x, struct buf *empty) {
    assert(empty->len == 0);
    lock_take(&x->lock);
    struct buf full = x->waiting;
    x->waiting = *empty;
    atomic_store(&x->waiting_len, 0);
    lock_drop(&x->lock);
    *empty = full;
}

/* ---- the walk ---- */

static void read_entry(void *arg, void *item) {
    struct slot_export *x = arg;
    choose_db(x, x->db);
    rebuild_entry(emit, x, item, x->now_ms);
}

/* The next group of keys, or database. False: the slot is through. Under its shard's lock. */
static bool read_some(struct slot_export *x, struct shard *s) {
    struct keydb *kdb = shard_db(s, x->db);
    uint64_t order = TABLE_ORDER_END;
    if (kdb) {
        open_bytes(x);
        order = table_visit_from(&kdb->table, x->order, read_entry, x);
        close_bytes(x);
    }
    x->order = order;
    if (order < TABLE_ORDER_END) return true;
    if (x->db >= keyspace_last_db(s)) return false;
    x->db++;
    x->order = 0;
    return true;
}

/* Under the lock of the slot that is through: who holds the next one's finds the place at its beginning. */
static void go_to_next_slot(struct slot_export *x, uint32_t slot) {
    x->db = 0;
    x->order = 0;
    atomic_store(&x->slot, slot_set_next(&x->slots, slot + 1));
}

bool slot_export_walk(struct slot_export *x, int64_t now_ms, int64_t for_us) {
    int64_t until = clock_ticks_ns() + for_us * 1000;
    uint32_t slot;
    x->now_ms = now_ms;
    while ((slot = atomic_load(&x->slot)) < SLOT_COUNT) {
        struct shard *s = &shards[slot];
        shard_lock(s);
        if (!read_some(x, s)) go_to_next_slot(x, slot);
        shard_unlock(s);
        if (slot_export_waiting(x) > WAITING_MAX || clock_ticks_ns() > until) break;
    }
    return slot_export_is_walking(x);
}

/* ---- what is written meanwhile ---- */

static bool has_met(struct slot_export *x, uint32_t db, const struct keyref *ref) {
    uint32_t slot = atomic_load(&x->slot);
    if (ref->shard != slot) return ref->shard < slot;
    if (db != x->db) return db < x->db;
    return table_order(ref->hash) < x->order;
}

/* One effect. */
struct followed {
    const struct command *command;
    struct slice wire;
    uint32_t db;
    struct command_keys keys;
};

/* A piece of the journal, for one export. */
struct piece {
    struct followed *at;
    size_t count;
    bool by_state; /* the keys are sent as they are, not what happened to them */
};

static bool moves_between_databases(const struct command *command) {
    return command->flags & NAMES_ITS_DATABASES || strcmp(command->full_name, "move") == 0 ||
           strcmp(command->full_name, "copy") == 0;
}

/* How many of its keys go to the receiver, and of those how many it has. */
static size_t count_met(struct slot_export *x, const struct followed *f, size_t *going) {
    size_t met = 0;
    *going = 0;
    for (size_t i = 0; i < f->keys.count; i++) {
        const struct keyref *ref = &f->keys.at[i];
        if (!slot_set_has(&x->slots, ref->shard)) continue;
        ++*going;
        met += has_met(x, f->db, ref);
    }
    return met;
}

static void look_at_piece(struct slot_export *x, struct piece *p) {
    static const char *const of_all[] = { "flushdb", "flushall", "swapdb" };
    p->by_state = false;
    for (size_t i = 0; i < p->count; i++) {
        const struct followed *f = &p->at[i];
        size_t going, met = count_met(x, f, &going);
        if (going > 0 && ((met > 0 && met < going) || moves_between_databases(f->command)))
            p->by_state = true;
        for (size_t n = 0; n < COUNT_OF(of_all); n++)
            if (strcmp(f->command->full_name, of_all[n]) == 0)
                atomic_store(&x->failure, "The data was flushed or swapped");
    }
}

static void send_state(struct slot_export *x, uint32_t db, const struct keyref *ref) {
    if (!has_met(x, db, ref)) return;
    struct keydb *kdb = shard_db(&shards[ref->shard], db);
    const struct slice argv[] = { LIT_INIT("DEL"), ref->key };
    choose_db(x, db);
    emit(x, argv, 2);
    const struct entry *e = kdb ? table_find(&kdb->table, ref->key, ref->hash) : NULL;
    if (e) rebuild_entry(emit, x, e, INT64_MIN);
}

static void send_states(struct slot_export *x, const struct followed *f) {
    for (size_t i = 0; i < f->keys.count; i++) {
        if (!slot_set_has(&x->slots, f->keys.at[i].shard)) continue;
        for (uint32_t db = 0; db < keyspace_databases(); db++)
            if (db == f->db || moves_between_databases(f->command)) send_state(x, db, &f->keys.at[i]);
    }
}

static void send_effect(struct slot_export *x, const struct followed *f) {
    size_t going;
    if (count_met(x, f, &going) == 0) return;
    choose_db(x, f->db);
    buf_append(&x->waiting, f->wire);
}

static void follow(struct slot_export *x, struct piece *p) {
    look_at_piece(x, p);
    open_bytes(x);
    for (size_t i = 0; i < p->count; i++) {
        if (p->by_state)
            send_states(x, &p->at[i]);
        else
            send_effect(x, &p->at[i]);
    }
    close_bytes(x);
}

/* "SELECT 3" is no effect: it says the database of those behind it. */
static bool is_select(const struct followed *f, const struct slice *argv, uint32_t *db) {
    if (strcmp(f->command->full_name, "select") != 0) return false;
    *db = 0;
    for (size_t i = 0; i < argv[1].len; i++) *db = *db * 10 + (uint32_t)(argv[1].ptr[i] - '0');
    return true;
}

static const struct slice *words_of(const struct buf *words, size_t *argc) {
    *argc = words->len / sizeof(struct slice);
    return (const struct slice *)(const void *)words->ptr;
}

static void find_commands(const struct effects *e, struct piece *p, struct buf *words) {
    struct slice rest = effects_bytes(e);
    uint32_t db = e->stream_first_db;
    size_t room = 0, argc;
    while (rest.len > 0) {
        struct followed f = { .db = db };
        wire_split(&rest, words, &f.wire);
        const struct slice *argv = words_of(words, &argc);
        f.command = registry_resolve_journaled(argv, argc);
        if (!f.command || is_select(&f, argv, &db)) continue;
        GROW(p->at, p->count, &room, 4);
        p->at[p->count++] = f;
    }
}

/* When all are in their places: keys may not be moved. */
static void find_keys(struct piece *p, struct buf *words) {
    for (size_t i = 0; i < p->count; i++) {
        struct slice rest = p->at[i].wire, wire;
        size_t argc;
        wire_split(&rest, words, &wire);
        const struct slice *argv = words_of(words, &argc);
        command_keys_resolve(&p->at[i].keys, p->at[i].command, argv, argc);
    }
}

void slot_exports_follow(const struct effects *e) {
    struct piece p = { 0 };
    struct buf words = { 0 };
    if (e->count == 0) return;
    find_commands(e, &p, &words);
    find_keys(&p, &words);
    buf_release(&words);
    for (struct slot_export *x = exports; x; x = x->next) follow(x, &p);
    for (size_t i = 0; i < p.count; i++) command_keys_release(&p.at[i].keys);
    mem_free(p.at);
}
