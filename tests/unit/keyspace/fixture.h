/* fixture.h: a fresh keyspace for each test, hooks that take notes, and a check that all memory came back. */
#ifndef TESTS_UNIT_KEYSPACE_FIXTURE_H
#define TESTS_UNIT_KEYSPACE_FIXTURE_H

#include "trivet/base/hashing.h"
#include "trivet/base/mem.h"
#include "trivet/base/slab.h"
#include "trivet/base/thread.h"
#include "trivet/keyspace/change.h"
#include "trivet/keyspace/counters.h"
#include "trivet/keyspace/eviction.h"
#include "trivet/keyspace/expiry.h"
#include "trivet/keyspace/keyspace.h"
#include "trivet/keyspace/scan.h"
#include "trivet/keyspace/walk.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define DATABASES 4
#define NOW_MS INT64_C(1700000000000)
#define KEY_ROOM 32

/* What the hooks were told; the counts may be added to by several threads. */
struct notes {
    atomic_size_t saved, expired, evicted, moved, overwritten, missed, flushed;
    uint32_t db;
    int64_t now_ms;
    char key[KEY_ROOM];
};
static struct notes notes;
static size_t memory_before;

static void note_saved(uint32_t db, struct entry *e) {
    (void)db, (void)e;
    notes.saved++;
}

static void note_placed(const struct entry *e, uint32_t shard) { (void)e, (void)shard; }

static bool note_adopted(struct entry *e) {
    (void)e;
    return false;
}

static void note_tables(uint32_t db, struct keyspace_flushed *f) {
    (void)db;
    keyspace_flushed_free(f);
}

static void note_swapped(uint32_t a, uint32_t b) { (void)a, (void)b; }

/* For keyspace_walk_begin(). */
static const struct keyspace_saver note_saver = { note_saved, note_placed, note_adopted, note_tables,
                                                  note_swapped };

static void note_vanished(struct keyspace_view *view, struct slice key, enum vanish_reason reason) {
    switch (reason) {
    case VANISHED_EXPIRED: notes.expired++; break;
    case VANISHED_EVICTED: notes.evicted++; break;
    case VANISHED_SLOT: notes.moved++; break;
    case VANISHED_OVERWRITTEN: notes.overwritten++; break;
    }
    if (thread_is_parallel()) return;
    notes.db = view->db;
    notes.now_ms = view->now_ms;
    snprintf(notes.key, sizeof notes.key, "%.*s", SLICE_ARG(key));
}

static void note_missed(struct keyspace_view *view, struct slice key) {
    (void)view, (void)key;
    notes.missed++;
}

static inline void note_flush(void) { notes.flushed++; }

/* A cycle in one slice. True if it ran out of time with much left to do. */
static inline bool expiry_cycle(int64_t now_ms, int64_t budget_us, void (*flush)(void)) {
    expiry_begin(now_ms, budget_us);
    return expiry_go_on(now_ms, budget_us, flush);
}

static inline int keyspace_start_with(int workers) {
    hash_init();
    thread_worker_index = 0;
    thread_worker_count = workers;
    memory_before = mem_used_exact();
    memset(&notes, 0, sizeof notes);
    keyspace_hooks = (struct keyspace_hooks){ .vanished = note_vanished, .missed = note_missed };
    keyspace_epoch = false;
    eviction_settings = (struct eviction_settings){
        .samples = 5, .tenacity = 100, .lfu_log_factor = 10, .lfu_decay_minutes = 1, .lazily = true
    };
    counters_reset();
    keyspace_init(DATABASES, false);
    shards_are_mine = true; /* as if the gate were closed; other threads lock */
    return 0;
}

static inline int keyspace_start(void **state) {
    (void)state;
    return keyspace_start_with(1);
}

static inline int keyspace_end(void **state) {
    (void)state;
    if (keyspace_is_walked()) keyspace_walk_end();
    keyspace_release();
    eviction_thread_release();
    keyspace_change_thread_release();
    eviction_settings.maxmemory = 0;
    eviction_settings_changed();
    thread_worker_count = 1;
    return mem_used_exact() == memory_before ? 0 : -1;
}

static inline struct keyspace_view view_at(uint32_t db, int64_t now_ms) {
    return (struct keyspace_view){ .db = db, .now_ms = now_ms };
}

/* Puts key -> text the way a command would. */
static inline void put(uint32_t db, int64_t now_ms, struct slice key, struct slice text, int64_t expiry_ms) {
    struct keyspace_view view = view_at(db, now_ms);
    keyspace_put(&view, entry_new_string(key, text, expiry_ms));
}

static inline struct slice key_text(char *room, const char *prefix, size_t n) {
    return slice_make(room, (size_t)snprintf(room, KEY_ROOM, "%s%zu", prefix, n));
}

static inline struct entry *look(uint32_t db, int64_t now_ms, struct slice key) {
    struct keyspace_view view = view_at(db, now_ms);
    return keyspace_peek(&view, key);
}

static inline struct shard *shard_of(struct slice key) {
    struct keyspace_view view = view_at(0, 0);
    return &shards[SHARD_OF(keyspace_hash(&view, key))];
}

static bool count_if_dated(void *arg, void *item) {
    *(size_t *)arg += entry_due_ms(item) != INT64_MAX;
    return true;
}

/* Checks every table, and that the counters tell what is in them. */
static inline void check_counts(void) {
    for (uint32_t db = 0; db < DATABASES; db++) {
        size_t keys = 0, expires = 0, dated = 0;
        for (uint32_t i = 0; i < shard_count; i++) {
            struct keydb *kdb = shard_db(&shards[i], db);
            if (!kdb) continue;
            table_check(&kdb->table);
            keys += table_count(&kdb->table);
            expires += kdb->expires;
            (void)table_each(&kdb->table, count_if_dated, &dated);
        }
        assert_int_equal(keyspace_dated(db), dated);
        assert_int_equal(keyspace_count(db), keys);
        assert_int_equal(keyspace_expires(db), expires);
    }
}

#endif
