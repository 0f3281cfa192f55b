/* expiry.c: each worker goes through its own shards in a circle. A cycle is done in slices, between which the
 * worker answers its clients. When the cycle's time is up it ends, and the next one goes on from there.
 *
 * The work is cut into bites: a few buckets of one table while the shard's lock is held. Bites add up to
 * rounds of ROUND_WORK. The hash spreads keys over the shards, so the entries of a round are a fair sample of
 * all. If more than STALE_ACCEPTED percent of them had expired, another round follows within the budget. If
 * not, the rest can wait for the next cycle, and an idle server stays idle. A bucket costs next to nothing
 * unless it is marked, so a few expiries among millions of keys are found too. */
#include "trivet/keyspace/expiry.h"
#include "keyspace_private.h"
#include "trivet/base/clock.h"
#include "trivet/keyspace/counters.h"

#define BITE_BUCKETS 8
#define BITE_GONE_MAX 128  /* removed in one bite at most; more of very long chains waits */
#define DATED_MAX 16       /* values that lose elements in one bite at most; the others wait */
#define SHRINK_STEPS 128   /* of a table that has too much room, after each walk through it */
#define EMPTY_AT_ONCE 16   /* shards without an expiry, between two looks at the clock */
#define ROUND_WORK 2000    /* shards, buckets and entries looked at */
#define STALE_ACCEPTED 10  /* percent */
#define TTL_MEMORY_MS 250  /* half-life of older values in the average TTL */
#define TTL_UNIT 1000      /* weights are kept in thousandths of an entry */
#define PERCENT_UNIT 10000 /* shares are kept in millionths */

/* From expiry_begin until it has nothing more to do, or no time. */
struct cycle {
    bool under_way;
    int64_t left_us; /* of its time */
    struct keyspace_view view;
    void (*flush)(void);
    uint32_t shards_left;  /* until every one was seen to its end */
    size_t work;           /* in this round */
    size_t checked, stale; /* in this round */
    size_t all_checked, all_stale;
    size_t dated, dated_stale; /* values with elements that expire, and those with expired ones */
};

/* Where a worker goes on. Private to the worker, except for the estimates, which any thread may read. */
struct watch {
    struct cycle cycle;
    uint32_t shard;          /* not yet walked to its end */
    uint32_t db;             /* in that shard */
    int64_t cycle_ms;        /* the last cycle's time */
    atomic_uint stale;       /* running average of the share of stale entries met, in millionths */
    atomic_uint dated_stale; /* the same of values with elements that expire: those with expired ones */
} CACHE_ALIGNED;
static struct watch watches[WORKERS_MAX];
static bool active = true; /* changed with the gate closed */

static uint32_t worker_here(void) { return thread_worker_index < 0 ? 0 : (uint32_t)thread_worker_index; }
static struct watch *watch_here(void) { return &watches[worker_here()]; }

struct bite {
    int64_t now_ms;
    double ttl_sum; /* a double, because a time may be as far away as an int64 goes */
    size_t alive;
    size_t stale; /* the first of which are in `gone` */
    struct entry *gone[BITE_GONE_MAX];
    size_t due; /* entries with elements that have expired, the first of which are in `dated` */
    struct entry *dated[DATED_MAX];
    size_t with_dates, past_dates; /* values with elements that expire, and those with expired ones */
};

/* For an entry that stays: do elements of its value expire? Elements that have expired are removed later,
 * because the walk through the table must not be disturbed. */
static bool look_inside(struct bite *b, struct entry *e) {
    int64_t due_ms = entry_due_ms(e);
    b->with_dates += due_ms != INT64_MAX;
    b->past_dates += due_ms < b->now_ms;
    if (due_ms < b->now_ms && b->due < DATED_MAX) b->dated[b->due++] = e;
    return due_ms != INT64_MAX;
}

static enum table_verdict visit(void *arg, void *item) {
    struct bite *b = arg;
    struct entry *e = item;
    if (!e->has_expiry) return look_inside(b, e) ? TABLE_KEEP : TABLE_UNMARK;
    if (!entry_is_expired(e, b->now_ms)) {
        (void)look_inside(b, e);
        b->alive++;
        b->ttl_sum += (double)(entry_expiry_ms(e) - b->now_ms);
        return TABLE_KEEP;
    }
    if (b->stale == BITE_GONE_MAX) return TABLE_KEEP;
    b->gone[b->stale++] = item;
    return TABLE_REMOVE;
}

/* ---- the average TTL ---- */

/* Folds what was seen into this worker's average for the database. */
static void note_ttl(uint32_t db, const struct bite *b) {
    if (b->alive == 0) return;
    atomic_int_fast64_t *average = &counters_mine()->average_ttl_ms[db];
    atomic_int_fast64_t *weight = &counters_mine()->ttl_weight[db];
    double old = (double)atomic_load_explicit(average, memory_order_relaxed);
    double before = (double)atomic_load_explicit(weight, memory_order_relaxed);
    double seen = b->ttl_sum / (double)b->alive, weighs = (double)b->alive * TTL_UNIT;
    double now = (old * before + seen * weighs) / (before + weighs);
    atomic_store_explicit(average, (int64_t)now, memory_order_relaxed);
    atomic_store_explicit(weight, (int64_t)(before + weighs), memory_order_relaxed);
}

/* Older values lose weight as time passes. */
static void forget_ttls(struct watch *w, int64_t now_ms) {
    int64_t passed_ms = now_ms > w->cycle_ms ? now_ms - w->cycle_ms : 0;
    double kept = (double)TTL_MEMORY_MS / (double)(TTL_MEMORY_MS + passed_ms);
    w->cycle_ms = now_ms;
    for (uint32_t db = 0; db < keyspace_databases(); db++) {
        atomic_int_fast64_t *weight = &counters_mine()->ttl_weight[db];
        int64_t old = atomic_load_explicit(weight, memory_order_relaxed);
        if (old > 0) atomic_store_explicit(weight, (int64_t)((double)old * kept), memory_order_relaxed);
    }
}

int64_t expiry_average_ttl_ms(uint32_t db) {
    if (keyspace_expires(db) == 0) return 0;
    double sum = 0, weights = 0;
    for (int i = 0; i < thread_worker_count; i++) {
        const struct keyspace_counters *c = &keyspace_counters[i];
        double weight = (double)atomic_load_explicit(&c->ttl_weight[db], memory_order_relaxed);
        sum += weight * (double)atomic_load_explicit(&c->average_ttl_ms[db], memory_order_relaxed);
        weights += weight;
    }
    return weights > 0 ? (int64_t)(sum / weights) : 0;
}

/* ---- walking ---- */

/* The database of this shard to go on with. Skips databases without an expiry; NULL at the shard's end. */
static struct keydb *next_db(struct shard *s, struct watch *w) NEEDS(s->lock) {
    for (; w->db <= keyspace_last_db(s); w->db++) {
        struct keydb *kdb = shard_db(s, w->db);
        if (kdb && (kdb->expires > 0 || kdb->dated)) return kdb;
    }
    return NULL;
}

static void take_bite(struct watch *w, struct keydb *kdb) {
    struct cycle *c = &w->cycle;
    struct bite b = { .now_ms = c->view.now_ms };
    size_t cursor = kdb->expiry_cursor;
    bool more = false;
    c->view.db = w->db;
    kdb->expiry_cursor = table_walk_marked(&kdb->table, kdb->expiry_cursor, BITE_BUCKETS, visit, &b);
    for (size_t i = 0; i < b.stale; i++) keyspace_vanish(&c->view, kdb, b.gone[i], VANISHED_EXPIRED, true);
    for (size_t i = 0; i < b.due; i++) more |= keyspace_reclaim(&c->view, kdb, b.dated[i]);
    if (more) {
        kdb->expiry_cursor = cursor; /* repeat this bite, if there is time */
    } else if (kdb->expiry_cursor == 0) {
        /* Others' removals may have begun to shrink the table, and perhaps nobody will use it and go on. */
        (void)table_move_some(&kdb->table, SHRINK_STEPS);
        w->db++;
    }
    note_ttl(c->view.db, &b);
    c->work += BITE_BUCKETS + b.alive + b.stale + b.due;
    c->checked += b.alive + b.stale + b.due;
    c->stale += b.stale + b.due;
    c->dated += b.with_dates;
    c->dated_stale += b.past_dates;
    if (b.stale + b.due > 0 && c->flush) c->flush();
}

/* Does one bite in the worker's present shard. False if there was nothing to look at, or if the shard is
 * busy: the next round comes to it again. */
static bool step(struct watch *w) UNCHECKED {
    struct cycle *c = &w->cycle;
    struct shard *s = &shards[w->shard];
    struct keydb *kdb = NULL;
    if (shard_try_lock(s)) {
        kdb = next_db(s, w);
        if (kdb) take_bite(w, kdb);
        shard_unlock(s);
    }
    if (kdb) return true;
    uint32_t stride = (uint32_t)thread_worker_count;
    w->shard = w->shard + stride < shard_count ? w->shard + stride : w->shard % stride;
    w->db = 0;
    c->work++;
    c->shards_left--;
    return false;
}

static bool was_stale(const struct cycle *c) { return c->stale * 100 > c->checked * STALE_ACCEPTED; }

static void end_round(struct cycle *c) {
    c->all_checked += c->checked;
    c->all_stale += c->stale;
    c->work = c->checked = c->stale = 0;
}

/* Does rounds until little is left to do or the time is up. True if the time was up. */
static bool run(struct watch *w, int64_t deadline_us) {
    struct cycle *c = &w->cycle;
    for (unsigned empty = 0; c->shards_left > 0;) {
        if ((step(w) || ++empty % EMPTY_AT_ONCE == 0) && clock_steady_us() >= deadline_us) return true;
        if (c->work < ROUND_WORK) continue;
        if (!was_stale(c)) return false;
        end_round(c);
    }
    return false;
}

static bool anything_expires(void) {
    if (atomic_load_explicit(&keyspace_dated_tables, memory_order_relaxed) > 0) return true;
    for (uint32_t db = 0; db < keyspace_databases(); db++)
        if (keyspace_expires(db) > 0) return true;
    return false;
}

static void note_share(atomic_uint *average, size_t checked, size_t stale) {
    uint64_t share = checked > 0 ? stale * 100 * PERCENT_UNIT / checked : 0;
    uint64_t old = atomic_load_explicit(average, memory_order_relaxed);
    atomic_store_explicit(average, (unsigned)((old * 19 + share) / 20), memory_order_relaxed);
}

static void end_cycle(struct watch *w) {
    struct cycle *c = &w->cycle;
    end_round(c);
    note_share(&w->stale, c->all_checked, c->all_stale);
    note_share(&w->dated_stale, c->dated, c->dated_stale);
    c->under_way = false;
}

static void end_for_want_of_time(struct watch *w) {
    COUNTER_ADD(counters_mine()->expiry_cap_reached, 1);
    end_cycle(w);
}

void expiry_begin(int64_t now_ms, int64_t budget_us) {
    struct watch *w = watch_here();
    uint32_t worker = worker_here(), workers = (uint32_t)thread_worker_count;
    if (w->cycle.under_way) end_for_want_of_time(w); /* clients came first */
    if (!active) return;
    forget_ttls(w, now_ms);
    /* One more shard than there are: the first one may have been begun in the middle. */
    w->cycle = (struct cycle){ .under_way = true,
                               .left_us = budget_us,
                               .shards_left = (shard_count - worker + workers - 1) / workers + 1 };
    if (w->shard % workers != worker) w->shard = worker; /* the first time */
    if (!anything_expires()) end_cycle(w);
}

bool expiry_is_due(void) { return watch_here()->cycle.under_way; }

void expiry_give_up(void) { watch_here()->cycle.under_way = false; }

bool expiry_go_on(int64_t now_ms, int64_t slice_us, void (*flush)(void)) {
    struct watch *w = watch_here();
    struct cycle *c = &w->cycle;
    if (!active) expiry_give_up();
    if (!c->under_way) return false;
    c->view = (struct keyspace_view){ .now_ms = now_ms };
    c->flush = flush;
    int64_t started_us = clock_steady_us();
    bool out_of_time = run(w, started_us + (slice_us < c->left_us ? slice_us : c->left_us));
    bool much_left = out_of_time && was_stale(c);
    int64_t took_us = clock_steady_us() - started_us;
    COUNTER_ADD(counters_mine()->expiry_us, (uint64_t)took_us);
    c->left_us -= took_us;
    if (!out_of_time)
        end_cycle(w);
    else if (c->left_us <= 0)
        end_for_want_of_time(w);
    return much_left;
}

void expiry_set_active(bool on) { active = on; }

static double mean_percent(uint64_t sum) { return (double)sum / thread_worker_count / PERCENT_UNIT; }

double expiry_stale_percent(void) {
    uint64_t sum = 0;
    for (int i = 0; i < thread_worker_count; i++)
        sum += atomic_load_explicit(&watches[i].stale, memory_order_relaxed);
    return mean_percent(sum);
}

double expiry_fields_stale_percent(void) {
    uint64_t sum = 0;
    for (int i = 0; i < thread_worker_count; i++)
        sum += atomic_load_explicit(&watches[i].dated_stale, memory_order_relaxed);
    return mean_percent(sum);
}
