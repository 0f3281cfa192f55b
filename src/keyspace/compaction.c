/* compaction.c: the phases of a pass. Worker 0 begins and ends it, the worker that is the last to finish a
 * phase begins the next.
 *
 * Whether an entry has to move is seen by its address, so the walk touches only buckets, and the entries that
 * move. An entry has one pointer to it, its slot in the table. Everything else about it stays: the snapshot's
 * mark, the expiry, the bytes that are counted. What lies outside of entries stays where it is. */
#include "trivet/keyspace/compaction.h"
#include "keyspace_private.h"
#include "trivet/base/background.h"
#include "trivet/base/clock.h"
#include "trivet/base/slab.h"
#include "trivet/keyspace/counters.h"
#include <sched.h>

#define CONDEMN_AT_ONCE 512
#define TRIM_AT_ONCE 16
#define BITE_BUCKETS 32  /* while a shard's lock is held */
#define MOVED_MAX 64     /* of one bucket; more of a very long chain wait for the next pass */
#define SHRINK_STEPS 128 /* of a table that has too much room */
#define LOOK_EVERY_MS 1000
#define WAIT_US 10000         /* while other workers have something to do */
#define TRIES 100             /* at a shard that is busy, until this pass leaves it out */
#define DISAPPOINTED_MS 30000 /* to the next pass, if most of the condemned slabs did not become empty */
/* With `activedefrag no`. */
#define QUIET_BYTES ((size_t)4 << 20)
#define QUIET_PERCENT 30
#define QUIET_EFFORT 5
#define QUIET_BITE_US 100

struct compaction_settings compaction_settings = {
    .ignore_bytes = 100 << 20,
    .lower = 10,
    .upper = 100,
    .cycle_min = 1,
    .cycle_max = 25,
    .bite_us = 500,
};

enum phase { PHASE_NONE, PHASE_CONDEMN, PHASE_FLUSH, PHASE_WALK, PHASE_END };

static struct {
    atomic_int phase;
    atomic_int unfinished; /* workers that are not through with this phase */
    atomic_uint number;    /* of the pass; changes before the phase does */
    atomic_int effort;     /* percent; 0: there is no pass */
    atomic_int_fast64_t bite_us;
    atomic_int_fast64_t began_ms, total_ms;
    size_t condemned; /* worker 0's own, like the rest */
    int64_t looked_ms, not_before_ms;
} pass;
static atomic_bool trimming; /* the background thread does, or is about to */

/* Where a worker is. Its own. */
struct hand {
    unsigned flushed, walked; /* the pass for which this is done */
    uint32_t shard, db, tries;
    uint64_t cursor;
} CACHE_ALIGNED;
static struct hand hands[WORKERS_MAX];

static uint32_t own_index(void) { return thread_worker_index < 0 ? 0 : (uint32_t)thread_worker_index; }

static enum phase phase_now(void) {
    return (enum phase)atomic_load_explicit(&pass.phase, memory_order_acquire);
}

/* Those who see it see what was done before. */
static void enter_phase(enum phase phase) {
    atomic_store_explicit(&pass.unfinished, thread_worker_count, memory_order_relaxed);
    atomic_store_explicit(&pass.phase, phase, memory_order_release);
}

/* This worker is through; the last one goes on to `next`. */
static void finish_phase(enum phase next) {
    if (atomic_fetch_sub_explicit(&pass.unfinished, 1, memory_order_acq_rel) == 1) enter_phase(next);
}

/* ---- is it worth it? ---- */

static int between(int64_t percent) {
    const struct compaction_settings *s = &compaction_settings;
    if (percent >= s->upper || s->upper <= s->lower || s->cycle_max <= s->cycle_min) return (int)s->cycle_max;
    return (int)(s->cycle_min + (s->cycle_max - s->cycle_min) * (percent - s->lower) / (s->upper - s->lower));
}

static int settle(int effort, int64_t bite_us) {
    atomic_store_explicit(&pass.bite_us, bite_us, memory_order_relaxed);
    return effort;
}

/* The effort of a pass that begins now, whose bites are settled too; 0: none is worth it. A sanitizer build
 * without slabs moves all the same, as often as it can: so it sees who uses an entry that has moved. */
static int effort_wanted(void) {
    const struct compaction_settings *s = &compaction_settings;
#ifdef TRIVET_SANITIZE
    if (!slab_is_on()) return settle((int)s->cycle_max, s->bite_us);
#endif
    struct slab_stats stats;
    size_t surplus = slab_surplus();
    if (surplus == 0) return 0;
    slab_stats(&stats);
    size_t held = stats.slabs * SLAB_BYTES, needed = held > surplus ? held - surplus : 1;
    size_t percent = surplus / (needed / 100 + 1);
    if (s->active && surplus >= s->ignore_bytes && percent >= (size_t)s->lower)
        return settle(between((int64_t)percent), s->bite_us);
    if (surplus < QUIET_BYTES || percent < QUIET_PERCENT) return 0;
    return settle(s->cycle_max < QUIET_EFFORT ? (int)s->cycle_max : QUIET_EFFORT,
                  s->bite_us < QUIET_BITE_US ? s->bite_us : QUIET_BITE_US);
}

/* ---- a pass ---- */

/* The system takes its time to take memory back: some milliseconds for what a big deletion left. */
static void trim(void *arg) {
    (void)arg;
    while (slab_trim(TRIM_AT_ONCE) > 0) sched_yield();
    atomic_store_explicit(&trimming, false, memory_order_release);
}

static void trim_aside(void) {
    if (!slab_wants_trim() || atomic_exchange_explicit(&trimming, true, memory_order_acquire)) return;
    background_post(trim, NULL, 0);
}

void compaction_cron(int64_t now_ms) {
    trim_aside();
    if (now_ms - pass.looked_ms < LOOK_EVERY_MS && now_ms >= pass.looked_ms) return;
    pass.looked_ms = now_ms;
    if (phase_now() != PHASE_NONE || now_ms < pass.not_before_ms) return;
    int effort = effort_wanted();
    if (effort == 0) return;
    pass.condemned = 0;
    atomic_store_explicit(&pass.began_ms, now_ms, memory_order_relaxed);
    atomic_store_explicit(&pass.effort, effort, memory_order_relaxed);
    atomic_fetch_add_explicit(&pass.number, 1, memory_order_relaxed);
    enter_phase(PHASE_CONDEMN);
}

static void end_pass(int64_t now_ms) {
    size_t left = slab_reprieve();
    int64_t took_ms = now_ms - atomic_load_explicit(&pass.began_ms, memory_order_relaxed);
    pass.not_before_ms = left > pass.condemned / 2 ? now_ms + DISAPPOINTED_MS : 0;
    if (took_ms > 0) atomic_fetch_add_explicit(&pass.total_ms, took_ms, memory_order_relaxed);
    atomic_store_explicit(&pass.effort, 0, memory_order_relaxed);
    enter_phase(PHASE_NONE);
}

/* ---- walking ---- */

struct look {
    size_t met, count;
    struct entry *found[MOVED_MAX];
};

static void visit(void *arg, void *item) {
    struct look *l = arg;
    l->met++;
    if (!slab_is_condemned(item)) return;
    if (l->count < MOVED_MAX) l->found[l->count] = item;
    l->count++;
    __builtin_prefetch(item);
}

/* Looks at a bucket and its chain, and moves what has to. Goes on to the next one in *cursor. */
static void look_at_chain(struct keydb *kdb, uint64_t *cursor) {
    struct look l;
    struct keyspace_counters *mine = counters_mine();
    l.met = l.count = 0;
    uint64_t next = table_scan(&kdb->table, *cursor, visit, &l);
    size_t count = l.count < MOVED_MAX ? l.count : MOVED_MAX;
    for (size_t i = 0; i < count; i++) {
        uint64_t hash = key_hash(entry_key(l.found[i]));
        table_swap(&kdb->table, l.found[i], slab_move(l.found[i]), hash);
    }
    COUNTER_ADD(mine->moved, count);
    COUNTER_ADD(mine->stayed, l.met - count);
    *cursor = next;
}

/* Some buckets of the hand's shard; false at its end. What made the slabs sparse has made tables shrink, and
 * perhaps nobody else will use them and carry that on. */
static bool walk_some(struct hand *h, struct shard *s) NEEDS(s->lock) {
    for (size_t buckets = BITE_BUCKETS; buckets > 0; buckets--) {
        struct keydb *kdb = shard_db(s, h->db);
        bool empty = !kdb || table_count(&kdb->table) == 0;
        if (!empty && h->cursor == 0 && table_move_some(&kdb->table, SHRINK_STEPS)) return true;
        if (!empty) look_at_chain(kdb, &h->cursor);
        if (!empty && h->cursor != 0) continue;
        h->cursor = 0;
        if (h->db++ == keyspace_last_db(s)) return false;
    }
    return true;
}

static void next_shard(struct hand *h) {
    h->shard += (uint32_t)thread_worker_count;
    h->db = h->tries = 0;
    h->cursor = 0;
}

/* Until the time is up, or the worker's last shard is done. A shard that is busy is tried again in the next
 * bite. */
static void walk(struct hand *h, int64_t deadline_us) UNCHECKED;
static void walk(struct hand *h, int64_t deadline_us) {
    do {
        struct shard *s = &shards[h->shard];
        if (!shard_try_lock(s)) {
            if (++h->tries > TRIES) next_shard(h);
            return;
        }
        bool more = walk_some(h, s);
        shard_unlock(s);
        if (!more) next_shard(h);
    } while (h->shard < shard_count && clock_steady_us() < deadline_us);
}

/* ---- the bites ---- */

static void condemn_some(void) {
    size_t count = slab_condemn(CONDEMN_AT_ONCE);
    pass.condemned += count;
    if (count == 0) enter_phase(PHASE_FLUSH);
}

static void flush(struct hand *h, unsigned number) {
    slab_thread_flush();
    h->flushed = number;
    h->shard = own_index();
    h->db = h->tries = 0;
    h->cursor = 0;
    finish_phase(PHASE_WALK);
}

static void walk_on(struct hand *h, unsigned number, int64_t deadline_us) {
    if (h->shard < shard_count) walk(h, deadline_us);
    if (h->shard < shard_count) return;
    h->walked = number;
    finish_phase(PHASE_END);
}

/* False if this worker has to wait for others. */
static bool bite(struct hand *h, int64_t deadline_us, int64_t now_ms) {
    enum phase phase = phase_now();
    unsigned number = atomic_load_explicit(&pass.number, memory_order_relaxed);
    bool first = own_index() == 0;
    if (phase == PHASE_CONDEMN && first)
        condemn_some();
    else if (phase == PHASE_FLUSH && h->flushed != number)
        flush(h, number);
    else if (phase == PHASE_WALK && h->walked != number)
        walk_on(h, number, deadline_us);
    else if (phase == PHASE_END && first)
        end_pass(now_ms);
    else
        return false;
    return true;
}

int64_t compaction_step(int64_t now_ms) {
    int effort = atomic_load_explicit(&pass.effort, memory_order_relaxed);
    if (effort == 0) return 0;
    int64_t began_us = clock_steady_us();
    if (!bite(&hands[own_index()], began_us + atomic_load_explicit(&pass.bite_us, memory_order_relaxed),
              now_ms))
        return WAIT_US;
    int64_t took_us = clock_steady_us() - began_us;
    COUNTER_ADD(counters_mine()->compaction_us, (uint64_t)took_us);
    return took_us * (100 - effort) / effort + 1;
}

/* ---- what there is to tell ---- */

int compaction_effort(void) { return atomic_load_explicit(&pass.effort, memory_order_relaxed); }

int64_t compaction_current_ms(int64_t now_ms) {
    if (compaction_effort() == 0) return 0;
    int64_t ms = now_ms - atomic_load_explicit(&pass.began_ms, memory_order_relaxed);
    return ms > 0 ? ms : 0;
}

int64_t compaction_total_ms(int64_t now_ms) {
    return atomic_load_explicit(&pass.total_ms, memory_order_relaxed) + compaction_current_ms(now_ms);
}

void compaction_reset(void) { atomic_store_explicit(&pass.total_ms, 0, memory_order_relaxed); }
