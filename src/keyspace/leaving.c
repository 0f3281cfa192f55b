/* leaving.c: see leaving.h.
 *
 * A worker's pass through its share ends with nothing left to do, unless slots have been added since it began
 * or a shard was busy: then another pass follows. */
#include "trivet/keyspace/leaving.h"
#include "keyspace_private.h"
#include "trivet/base/clock.h"
#include <stdatomic.h>

static uint32_t leaving;   /* slots; changes with the gate closed */
static atomic_uint rounds; /* how often slots were added */

#define BITE_KEYS 64

/* Private to its worker. */
struct share {
    unsigned done;    /* the round that it has seen to */
    unsigned passing; /* that in which its pass began */
    uint32_t slot;    /* where it is; 0 to workers - 1: at the beginning */
    uint32_t db;
    uint64_t cursor;
    bool met_busy; /* shards, in this pass */
    bool waits;    /* for leaving_begin() */
} CACHE_ALIGNED;
static struct share shares[WORKERS_MAX];

static uint32_t worker_here(void) { return thread_worker_index < 0 ? 0 : (uint32_t)thread_worker_index; }
static struct share *share_here(void) { return &shares[worker_here()]; }

/* ---- marks ---- */

static size_t count_keys(uint32_t slot) {
    size_t keys = 0;
    struct shard *s = &shards[slot];
    shard_lock(s);
    for (uint32_t db = 0; db <= keyspace_last_db(s); db++) {
        const struct keydb *kdb = shard_db(s, db);
        if (kdb) keys += table_count(&kdb->table);
    }
    shard_unlock(s);
    return keys;
}

size_t slot_leave(uint16_t slot) {
    size_t keys = count_keys(slot);
    if (keys == 0 || slot_is_leaving(slot)) return keys;
    slot_hide(slot, SLOT_LEAVES);
    leaving++;
    atomic_fetch_add_explicit(&rounds, 1, memory_order_relaxed);
    return keys;
}

void slot_stay(uint16_t slot) {
    if (!slot_is_leaving(slot)) return;
    slot_show(slot, SLOT_LEAVES);
    leaving--;
}

size_t slot_clear(uint16_t slot, bool lazily, int64_t now_ms) {
    size_t gone = keyspace_slot_drop(slot, lazily, now_ms);
    slot_stay(slot);
    return gone;
}

static bool is_gone(uint32_t slot) { return slot_is_leaving(slot) && count_keys(slot) == 0; }

bool leaving_can_end(void) {
    for (uint32_t slot = 0; slot < SLOT_COUNT && leaving > 0; slot++)
        if (is_gone(slot)) return true;
    return false;
}

uint32_t leaving_end(void) {
    for (uint32_t slot = 0; slot < SLOT_COUNT && leaving > 0; slot++)
        if (is_gone(slot)) slot_stay((uint16_t)slot);
    return leaving;
}

/* ---- slices ---- */

bool leaving_is_due(void) {
    const struct share *w = share_here();
    return UNLIKELY(atomic_load_explicit(&rounds, memory_order_relaxed) != w->done) && !w->waits;
}

void leaving_give_up(void) { share_here()->waits = true; }
void leaving_begin(void) { share_here()->waits = false; }

/* The table to go on with; NULL: nothing is left in this shard. */
static struct keydb *next_db(struct share *w, struct shard *s) {
    for (; w->db <= keyspace_last_db(s); w->db++, w->cursor = 0) {
        struct keydb *kdb = shard_db(s, w->db);
        if (kdb && table_count(&kdb->table) > 0) return kdb;
    }
    return NULL;
}

static void go_to_next_slot(struct share *w) {
    w->slot += (uint32_t)thread_worker_count;
    w->db = 0;
    w->cursor = 0;
}

/* One bite of the slot where the worker is. */
static void take_bite(struct share *w, int64_t now_ms, bool lazily, void (*flush)(void)) UNCHECKED;
static void take_bite(struct share *w, int64_t now_ms, bool lazily, void (*flush)(void)) {
    struct shard *s = &shards[w->slot];
    if (!shard_try_lock(s)) {
        w->met_busy = true;
        go_to_next_slot(w);
        return;
    }
    struct keydb *kdb = next_db(w, s);
    if (kdb) {
        struct keyspace_view view = { .db = w->db, .now_ms = now_ms };
        for (size_t gone = 0; gone < BITE_KEYS && table_count(&kdb->table) > 0;)
            gone += keyspace_drop_some(&view, kdb, &w->cursor, lazily);
        if (flush) flush();
    }
    shard_unlock(s);
    if (!kdb) go_to_next_slot(w);
}

static void begin_pass(struct share *w) {
    w->passing = atomic_load_explicit(&rounds, memory_order_relaxed);
    w->slot = worker_here();
    w->db = 0;
    w->cursor = 0;
    w->met_busy = false;
}

/* What was busy is looked for again some time later. */
static void end_pass(struct share *w) {
    if (w->met_busy)
        w->waits = true;
    else
        w->done = w->passing;
    w->slot = worker_here();
}

/* To the next slot that is leaving, from here on. False: the pass is through. */
static bool find_slot(struct share *w) {
    uint32_t workers = (uint32_t)thread_worker_count;
    if (w->slot < workers) begin_pass(w);
    while (w->slot < SLOT_COUNT && !slot_is_leaving(w->slot)) go_to_next_slot(w);
    if (w->slot < SLOT_COUNT) return true;
    end_pass(w);
    return false;
}

void leaving_go_on(int64_t now_ms, int64_t slice_us, bool lazily, void (*flush)(void)) {
    struct share *w = share_here();
    int64_t until_us = clock_steady_us() + slice_us;
    if (!leaving_is_due()) return;
    do {
        if (!find_slot(w)) return;
        take_bite(w, now_ms, lazily, flush);
    } while (clock_steady_us() < until_us);
}
