/* eviction.c: the choice of the entry to evict.
 *
 * Every policy computes one number for an entry, the *turn*: the entry with the smallest turn is evicted
 * first: the time when the counter will have decayed to zero (LFU), the expiry (TTL), a random number, or the
 * idle time, weighted (LRU; the longest comes first). Expired entries come before all others. Only a weighted
 * idle time depends on when it is computed, and those in the pool are computed again for each eviction; so
 * candidates that were sampled at different times can be compared, and the pool may keep them.
 *
 * Each eviction draws some samples, keeps the best it ever saw in the pool, and evicts the first of the pool
 * if that entry still exists and was not used since. The pool holds copies, never pointers into a table. */
#include "trivet/keyspace/eviction.h"
#include "access_private.h"
#include "keyspace_private.h"
#include "trivet/base/background.h"
#include "trivet/base/buf.h"
#include "trivet/base/clock.h"
#include "trivet/base/hashing.h"
#include "trivet/base/mem.h"
#include "trivet/base/random.h"
#include "trivet/keyspace/counters.h"
#include "trivet/keyspace/ghosts.h"
#include <math.h>
#include <stdatomic.h>
#include <time.h>

#define POOL_SIZE 16
#define SAMPLE_TIMES 3   /* times maxmemory-samples are sampled for an eviction: neighbours cost little */
#define REFRESH_EVERY 16 /* evictions within one tick, until the pool's turns are computed again */
#define DRAWS_MAX 4      /* places sampled for an eviction, where shards hold few entries */
#define SAMPLES_MAX 64   /* items looked at in one place */
#define PROBES 8         /* random shards tried before going through them in a row */
#define RECOUNT_EVERY 16 /* evictions between two looks at the memory and the clock */
#define DRIFT_THREADS 4  /* threads that allocate but are not workers */
/* This part of the limit may wait for the background thread; beyond it, the worker frees the entry itself. */
#define LEAVING_SHARE 16
#define LEAVING_MIN ((size_t)1024 * 1024)
#define WAIT_NS 100000 /* between two looks at what the background thread has freed */

struct eviction_settings eviction_settings = {
    .policy = POLICY_NOEVICTION,
    .samples = 5,
    .tenacity = 10,
    .lfu_log_factor = 10,
    .lfu_decay_minutes = 1,
    .lazily = true,
};
size_t (*eviction_not_counted)(void);

/* ---- what evictions teach ---- */

#define GHOST_SHARE 128 /* of the limit */
#define SUIT_EVERY 1024 /* evictions of a worker, until the ghosts suit themselves to the keys again */

static struct ghosts ghosts;      /* of all databases without a limit of their own */
static struct ghosts *own_ghosts; /* by database; NULL: none has any */

/* No more than there are of its kind: a database with a limit has its own, if its policy is LRU. */
static struct ghosts *ghosts_of(uint32_t db) {
    if (LIKELY(!own_ghosts) || db >= keyspace_databases() || database_at(db)->maxmemory == 0) return &ghosts;
    return &own_ghosts[db];
}

static bool any_shares_ghosts(void) {
    if (database_differences == 0) return eviction_settings.policy & EVICT_LRU;
    for (uint32_t db = 0; db < keyspace_databases(); db++)
        if (database_at(db)->maxmemory == 0 && (database_at(db)->policy & EVICT_LRU)) return true;
    return false;
}

static void suit_ghosts(struct ghosts *g, bool wanted, uint64_t limit) {
    size_t bytes = wanted ? (size_t)limit / GHOST_SHARE : 0;
    if (ghosts_bytes_for(bytes) == ghosts_bytes(g)) return;
    ghosts_release(g);
    ghosts_init(g, bytes);
}

static void release_own_ghosts(void) {
    for (uint32_t db = 0; own_ghosts && db < keyspace_databases(); db++) ghosts_release(&own_ghosts[db]);
    mem_free(own_ghosts);
    own_ghosts = NULL;
}

void eviction_settings_changed(void) {
    suit_ghosts(&ghosts, any_shares_ghosts(), eviction_settings.maxmemory);
    if (!(database_differences & DATABASES_HAVE_LIMITS)) {
        release_own_ghosts();
        return;
    }
    if (!own_ghosts) own_ghosts = mem_alloc_zero(keyspace_databases() * sizeof *own_ghosts);
    for (uint32_t db = 0; db < keyspace_databases(); db++) {
        const struct database *d = database_at(db);
        suit_ghosts(&own_ghosts[db], d->policy & EVICT_LRU, d->maxmemory);
    }
}

void eviction_configure(const struct eviction_settings *settings, const struct database *rows,
                        int64_t now_ms) {
    uint32_t numbers = keyspace_numbers();
    bool *counted = mem_alloc(numbers * sizeof *counted);
    for (uint32_t db = 0; db < numbers; db++) counted[db] = eviction_counts_uses(db);
    eviction_settings = *settings;
    databases_set(rows);
    if (database_differences & DATABASES_HAVE_POLICIES) eviction_settings.policy |= EVICT_VARIES;
    for (uint32_t db = 0; db < numbers; db++)
        if (counted[db] != eviction_counts_uses(db)) access_translate(db, now_ms);
    mem_free(counted);
    eviction_settings_changed();
}

void eviction_release(void) {
    release_own_ghosts();
    ghosts_release(&ghosts);
    eviction_settings.policy &= ~(unsigned)EVICT_VARIES;
}

size_t eviction_ghost_bytes(void) {
    size_t bytes = ghosts_bytes(&ghosts);
    for (uint32_t db = 0; own_ghosts && db < keyspace_databases(); db++)
        bytes += ghosts_bytes(&own_ghosts[db]);
    return bytes;
}

uint32_t eviction_access_back(uint32_t db, uint64_t hash, int64_t now_ms) {
    unsigned policy = eviction_policy(db);
    uint32_t access = eviction_access_new(db, now_ms);
    struct ghosts *g = ghosts_of(db);
    return g->lines && (policy & EVICT_LRU) ? access | ghosts_take(g, hash) : access;
}

/* ---- pools ---- */

struct candidate {
    int64_t stamp;
    float by_size; /* under LRU */
    uint32_t db;
    struct buf key;
};

#define ALL_DATABASES UINT32_MAX

/* The candidates of one database that is at its limit, or of all that share a policy, for the limit of the
 * whole. The first `count` are in use. Each worker has its own pools. */
struct pool {
    uint32_t db;     /* or ALL_DATABASES */
    unsigned policy; /* the turns are of this policy */
    size_t count;
    size_t last;       /* whose turn comes last, if the pool is full */
    int64_t last_turn; /* a candidate must come before it to get in */
    uint32_t tick;     /* when turns under LRU were computed */
    unsigned refreshed;
    unsigned evictions;
    int64_t turns[POOL_SIZE];
    uint64_t hashes[POOL_SIZE];
    struct candidate candidates[POOL_SIZE];
    struct pool *next;
};
static _Thread_local struct pool first_pool = { .db = ALL_DATABASES, .last_turn = INT64_MAX };
static _Thread_local struct pool *pool; /* the one in use */

static void pool_empty(void) {
    pool->count = 0;
    pool->last_turn = INT64_MAX;
}

/* A database's pool is kept for it; where its policy is another now, what it holds is worth nothing. Of the
 * whole there is one for each policy, but mostly there is one policy, and it has the first pool. */
static void pool_choose(uint32_t db, unsigned policy) {
    struct pool **at = &first_pool.next;
    pool = &first_pool;
    bool is_main = db == ALL_DATABASES && !(eviction_settings.policy & EVICT_VARIES);
    while (!is_main && *at && ((*at)->db != db || (db == ALL_DATABASES && (*at)->policy != policy)))
        at = &(*at)->next;
    if (!is_main && !*at) {
        *at = mem_alloc_zero(sizeof **at);
        (*at)->db = db;
        (*at)->last_turn = INT64_MAX;
    }
    if (!is_main) pool = *at;
    if (pool->policy != policy) pool_empty();
    pool->policy = policy;
}

/* May entries of this database be candidates of the pool in use? */
static bool pool_takes(uint32_t db) {
    return pool->db == ALL_DATABASES ? eviction_policy(db) == pool->policy : pool->db == db;
}

/* ---- whose turn ---- */

#define TURN_NOW INT64_MIN
#define TURN_SCALE 64 /* turns are whole numbers, weights from 1/64 on */

/* The fourth root of the size in bytes, rounded down to a power of two. Of twice the size, an entry's idle
 * time counts a fifth more: for the memory of a big value many small ones may stay. */
static float size_weight(const struct entry *e) {
#define ROOTS(n) n * 1.0f, n * 1.1892071f, n * 1.4142136f, n * 1.6817928f
    static const float roots[64] = {
        ROOTS(1), ROOTS(2), ROOTS(4), ROOTS(8), ROOTS(16), ROOTS(32), ROOTS(64), ROOTS(128), ROOTS(256),
        ROOTS(512), ROOTS(1024), ROOTS(2048), ROOTS(4096), ROOTS(8192), ROOTS(16384), ROOTS(32768),
    };
#undef ROOTS
    size_t bytes = entry_rough_size(e);
    return roots[63 - (unsigned)__builtin_clzll(bytes | 1)];
}

static int64_t lru_turn(uint32_t db, uint32_t access, float by_size, int64_t now_ms) {
    const struct ghosts *g = ghosts_of(db);
    float by_uses = g->lines ? ghosts_weight(g, uses_of(access)) : 1.0f;
    float halves = 2 * (float)idle_ticks(access, now_ms) + 1;
    return -(int64_t)(halves * by_uses * by_size * TURN_SCALE);
}

static int64_t turn_of(uint32_t db, const struct entry *e, float by_size, int64_t now_ms) {
    unsigned policy = pool->policy;
    if (entry_is_expired(e, now_ms)) return TURN_NOW;
    if (policy & EVICT_TTL) return entry_expiry_ms(e);
    if (policy & EVICT_RANDOM) return (int64_t)(random_u64() >> 1);
    if (policy & EVICT_LRU) return lru_turn(db, e->access, by_size, now_ms);
    int64_t counter = e->access & 0xff;
    int64_t last = now_ms / 60000 - (int64_t)((minute_of(now_ms) - (e->access >> 8)) & MINUTE_MASK);
    int64_t period = eviction_settings.lfu_decay_minutes;
    return period > 0 ? last + counter * period : (counter << 32) + last;
}

/* Differs once a candidate was used, or got another expiry, after it was sampled. */
static int64_t stamp_of(const struct entry *e) {
    unsigned policy = pool->policy;
    if (policy & EVICT_TTL) return entry_expiry_ms(e);
    return policy & EVICT_RANDOM ? 0 : (int64_t)e->access;
}

static bool may_go(const struct entry *e) { return pool->policy & EVICT_ALLKEYS || e->has_expiry; }

/* ---- the pool in use ---- */

static void pool_note_last(void) {
    pool->last_turn = INT64_MAX;
    if (pool->count < POOL_SIZE) return;
    pool->last = 0;
    for (size_t i = 1; i < POOL_SIZE; i++)
        if (pool->turns[i] > pool->turns[pool->last]) pool->last = i;
    pool->last_turn = pool->turns[pool->last];
}

static void pool_drop(size_t place) {
    size_t end = --pool->count;
    struct candidate gone = pool->candidates[place];
    pool->candidates[place] = pool->candidates[end];
    pool->candidates[end] = gone; /* keeps its buffer for the next */
    pool->turns[place] = pool->turns[end];
    pool->hashes[place] = pool->hashes[end];
    pool->last_turn = INT64_MAX;
}

/* There is at least one. */
static size_t pool_first(void) {
    size_t first = 0;
    for (size_t i = 1; i < pool->count; i++)
        if (pool->turns[i] < pool->turns[first]) first = i;
    return first;
}

/* The place for a candidate that may get in: the one it has already, a free one, or the last one's. */
static size_t pool_place(uint64_t hash, uint32_t db) {
    for (size_t i = 0; i < pool->count; i++)
        if (UNLIKELY(pool->hashes[i] == hash) && pool->candidates[i].db == db) return i;
    return pool->count < POOL_SIZE ? pool->count++ : pool->last;
}

static void pool_consider(uint32_t db, const struct entry *e, int64_t now_ms) {
    float by_size = pool->policy & EVICT_LRU ? size_weight(e) : 0;
    int64_t turn = turn_of(db, e, by_size, now_ms);
    if (LIKELY(turn >= pool->last_turn)) return;
    uint64_t hash = key_hash(entry_key(e));
    size_t place = pool_place(hash, db);
    struct candidate *c = &pool->candidates[place];
    pool->turns[place] = turn;
    pool->hashes[place] = hash;
    c->stamp = stamp_of(e);
    c->by_size = by_size;
    c->db = db;
    buf_clear(&c->key);
    buf_append(&c->key, entry_key(e));
    pool_note_last();
}

/* Time has passed, and weights have changed a little, since they were sampled. */
static void pool_refresh(int64_t now_ms) {
    if (!(pool->policy & EVICT_LRU)) return;
    if (pool->tick == tick_of(now_ms) && ++pool->refreshed % REFRESH_EVERY != 0) return;
    pool->tick = tick_of(now_ms);
    for (size_t i = 0; i < pool->count; i++) {
        const struct candidate *c = &pool->candidates[i];
        if (pool->turns[i] != TURN_NOW)
            pool->turns[i] = lru_turn(c->db, (uint32_t)c->stamp, c->by_size, now_ms);
    }
    pool_note_last();
}

static void release_candidates(struct pool *p) {
    for (size_t i = 0; i < POOL_SIZE; i++) buf_release(&p->candidates[i].key);
}

void eviction_thread_release(void) {
    release_candidates(&first_pool);
    while (first_pool.next) {
        struct pool *gone = first_pool.next;
        first_pool.next = gone->next;
        release_candidates(gone);
        mem_free(gone);
    }
    pool = &first_pool;
    pool_empty();
}

/* ---- drawing samples ---- */

static size_t eligible_under(unsigned policy, const struct keydb *kdb) {
    if (!kdb || (policy & (unsigned)~EVICT_VARIES) == POLICY_NOEVICTION) return 0;
    return policy & EVICT_ALLKEYS ? table_count(&kdb->table) : kdb->expires;
}

static size_t eligible(const struct keydb *kdb, uint32_t db) {
    return pool_takes(db) ? eligible_under(pool->policy, kdb) : 0;
}

/* Picks one of the shard's databases, with a chance in proportion to its evictable entries; NULL if none has
 * any. The hash spreads every database alike, so one shard has the proportions of all. */
static struct keydb *pick_db(struct shard *s, uint32_t *db) NEEDS(s->lock) {
    size_t total = 0;
    uint32_t last = keyspace_last_db(s);
    for (uint32_t i = 0; i <= last; i++) total += eligible(shard_db(s, i), i);
    if (total == 0) return NULL;
    uint64_t nth = last ? random_below(total) : 0;
    for (*db = 0; nth >= eligible(shard_db(s, *db), *db); ++*db) nth -= eligible(shard_db(s, *db), *db);
    return shard_db(s, *db);
}

/* Called for every entry of a table that has an expiry; each ends up in `kept` with the same chance. */
struct reservoir {
    struct entry *kept[SAMPLES_MAX];
    size_t room, seen;
};

static enum table_verdict pass_by(void *arg, void *item) {
    struct reservoir *r = arg;
    const struct entry *e = item;
    if (!e->has_expiry) return TABLE_UNMARK;
    size_t place = r->seen < r->room ? r->seen : (size_t)random_below(r->seen + 1);
    if (place < r->room) r->kept[place] = item;
    r->seen++;
    return TABLE_KEEP;
}

static size_t sample_neighbours(const struct keydb *kdb, uint32_t db, size_t samples, int64_t now_ms) {
    void *items[SAMPLES_MAX];
    size_t got = table_sample(&kdb->table, random_u64(), items, samples);
    for (size_t i = 0; i < got; i++) __builtin_prefetch(items[i]);
    for (size_t i = 0; i < got; i++)
        if (may_go(items[i])) pool_consider(db, items[i], now_ms);
    return got;
}

/* Where few entries have an expiry, random samples would miss them. So look at all marked buckets. */
static size_t sample_marked(struct keydb *kdb, uint32_t db, size_t samples, int64_t now_ms) {
    struct reservoir r = { .room = samples };
    (void)table_walk_marked(&kdb->table, 0, SIZE_MAX, pass_by, &r);
    assert(r.seen > 0); /* as kdb->expires says */
    size_t got = r.seen < r.room ? r.seen : r.room;
    for (size_t i = 0; i < got; i++) pool_consider(db, r.kept[i], now_ms);
    return got;
}

/* Considers entries of one place in this shard until about `samples` of them may be evicted. Returns how many
 * it looked at; 0 if nothing in this shard may be evicted, or if the shard is busy. */
static size_t draw_from(uint32_t index, size_t samples, int64_t now_ms) UNCHECKED {
    struct shard *s = &shards[index];
    uint32_t db;
    size_t got = 0;
    if (!shard_try_lock(s)) return 0;
    struct keydb *kdb = pick_db(s, &db);
    if (kdb) {
        size_t looks = samples * table_count(&kdb->table) / eligible(kdb, db);
        if (looks <= SAMPLES_MAX)
            got = sample_neighbours(kdb, db, looks, now_ms);
        else
            got = sample_marked(kdb, db, samples, now_ms);
    }
    shard_unlock(s);
    return got;
}

/* The same in a random shard; 0 if nothing in the whole keyspace may be evicted. */
static size_t draw(size_t samples, int64_t now_ms) {
    size_t got = 0;
    for (int i = 0; i < PROBES && !got; i++)
        got = draw_from((uint32_t)random_below(shard_count), samples, now_ms);
    uint32_t start = (uint32_t)random_below(shard_count);
    for (uint32_t i = 0; i < shard_count && !got; i++)
        got = draw_from((start + i) % shard_count, samples, now_ms);
    return got;
}

/* Draws the samples for one eviction. False if nothing may be evicted. */
static bool fill_pool(int64_t now_ms) {
    size_t samples = (size_t)eviction_settings.samples;
    if (!(pool->policy & EVICT_RANDOM)) samples *= SAMPLE_TIMES;
    if (samples > SAMPLES_MAX) samples = SAMPLES_MAX;
    size_t got = 0, drawn = 1;
    for (int i = 0; i < DRAWS_MAX && drawn > 0 && got < samples; i++) {
        drawn = draw(samples - got, now_ms);
        got += drawn;
    }
    return got > 0;
}

/* ---- evicting ---- */

static bool frees_lazily(void) {
    size_t most = (size_t)eviction_settings.maxmemory / LEAVING_SHARE;
    return eviction_settings.lazily && entry_leaving_bytes() < (most > LEAVING_MIN ? most : LEAVING_MIN);
}

static void remember_evicted(uint32_t db, uint64_t hash, uint32_t access) {
    struct ghosts *g = ghosts_of(db);
    if (!g->lines || !(eviction_policy(db) & EVICT_LRU)) return;
    if (pool->evictions++ % SUIT_EVERY == 0) {
        size_t entries = keyspace_count(db);
        for (uint32_t other = 0; g == &ghosts && other < keyspace_databases(); other++)
            if (other != db && ghosts_of(other) == g) entries += keyspace_count(other);
        ghosts_suit(g, entries);
    }
    ghosts_add(g, hash, uses_of(access));
}

/* Evicts the pool's candidate at this place if it is unchanged since it was sampled and its shard is not
 * busy; returns the freed bytes, or 0. */
static size_t evict(size_t place, int64_t now_ms, void (*flush)(void)) UNCHECKED {
    const struct candidate *c = &pool->candidates[place];
    uint64_t hash = pool->hashes[place];
    struct shard *s = &shards[SHARD_OF(hash)];
    struct keyspace_view view = { .db = c->db, .now_ms = now_ms };
    size_t bytes = 0;
    if (!shard_try_lock(s)) return 0;
    struct keydb *kdb = shard_db(s, c->db);
    struct entry *e = kdb ? table_find(&kdb->table, buf_slice(&c->key), hash) : NULL;
    bool expired = e && entry_is_expired(e, now_ms);
    if (e && (expired || (may_go(e) && stamp_of(e) == c->stamp))) {
        bytes = entry_memory(e);
        table_remove_item(&kdb->table, e, hash);
        if (!expired) remember_evicted(c->db, hash, e->access);
        keyspace_vanish(&view, kdb, e, expired ? VANISHED_EXPIRED : VANISHED_EVICTED, frees_lazily());
        if (flush) flush();
    }
    shard_unlock(s);
    return bytes;
}

/* Evicts one entry and returns its bytes; 0 if nothing may be evicted. */
static size_t evict_one(int64_t now_ms, void (*flush)(void)) {
    for (;;) {
        pool_refresh(now_ms);
        bool any = fill_pool(now_ms);
        while (pool->count > 0) {
            size_t first = pool_first(), bytes = evict(first, now_ms, flush);
            pool_drop(first);
            if (bytes > 0) return bytes;
        }
        if (!any) return 0;
    }
}

/* ---- how much, how long ---- */

/* How wrong mem_used() may be: the bytes that threads have not published. */
static size_t drift(void) { return (size_t)(thread_worker_count + DRIFT_THREADS) * MEM_PUBLISH_STEP; }

/* When a write has found no room, the worker goes on until this much is free, in slices that clients do not
 * wait for. Then the next writes are surely under the limit and can use the cheap mem_used() instead of
 * mem_used_exact(), which takes a lock that all threads share. 0 if the limit is small. */
static size_t headroom(void) {
    size_t wanted = 2 * drift();
    return wanted <= (size_t)eviction_settings.maxmemory / 64 ? wanted : 0;
}

/* Bytes over the limit less `spare`. Bytes that the background thread is about to free count as free, or they
 * would be evicted twice; frees_lazily() keeps them few. */
static size_t bytes_over(size_t spare) {
    if (eviction_settings.maxmemory == 0) return 0;
    size_t limit = (size_t)eviction_settings.maxmemory - spare;
    size_t free_of_charge = entry_leaving_bytes() + (eviction_not_counted ? eviction_not_counted() : 0);
    if (mem_used() + drift() <= limit + free_of_charge)
        return 0; /* surely under: the cheap reading will do */
    size_t used = mem_used_exact();
    return used > limit + free_of_charge ? used - limit - free_of_charge : 0;
}

static int64_t time_limit_us(void) {
    int tenacity = eviction_settings.tenacity;
    if (tenacity >= 100) return INT64_MAX;
    if (tenacity <= 10) return 50 * tenacity;
    return (int64_t)(500.0 * pow(1.15, tenacity - 10));
}

/* Nothing may be evicted, but the background thread may still be freeing what FLUSHALL or UNLINK gave it. */
static enum room wait_for_background(int64_t started_us) {
    while (background_pending() > 0) {
        if (bytes_over(0) == 0) return ROOM_ENOUGH;
        if (clock_steady_us() - started_us >= time_limit_us()) return ROOM_WORKING;
        nanosleep(&(struct timespec){ .tv_nsec = WAIT_NS }, NULL);
    }
    return bytes_over(0) == 0 ? ROOM_ENOUGH : ROOM_NONE;
}

/* What a call has to reach: no more than `leave` over the limit less `spare`. */
struct aim {
    size_t spare, leave;
    int64_t until_us; /* or this time */
};

/* The policy of a database that has something to give, by chance: the more it has, the likelier. All
 * databases of one policy compete then. NOEVICTION if there is none in the shard, or if it is busy. */
static unsigned policy_in(uint32_t index) UNCHECKED;
static unsigned policy_in(uint32_t index) {
    struct shard *s = &shards[index];
    unsigned policy = POLICY_NOEVICTION;
    size_t total = 0;
    if (!shard_try_lock(s)) return policy;
    for (uint32_t db = 0; db <= keyspace_last_db(s); db++) {
        size_t more = eligible_under(eviction_policy(db), shard_db(s, db));
        total += more;
        if (more > 0 && random_below(total) < more) policy = eviction_policy(db);
    }
    shard_unlock(s);
    return policy;
}

/* False if no policy lets anything go. */
static bool choose_policy(void) {
    unsigned policy = eviction_settings.policy;
    if (UNLIKELY(policy & EVICT_VARIES)) {
        uint32_t start = (uint32_t)random_below(shard_count);
        policy = POLICY_NOEVICTION;
        for (uint32_t i = 0; i < shard_count && policy == POLICY_NOEVICTION; i++)
            policy = policy_in((start + i) % shard_count);
    }
    if (policy == POLICY_NOEVICTION) return false;
    pool_choose(ALL_DATABASES, policy);
    return true;
}

/* `over`: by how much memory is over the limit less aim.spare now. */
static enum room evict_down(size_t over, struct aim aim, int64_t now_ms, void (*flush)(void)) {
    size_t freed = 0;
    for (unsigned evicted = 1;; evicted++) {
        size_t bytes = choose_policy() ? evict_one(now_ms, flush) : 0;
        if (bytes == 0) return ROOM_NONE;
        freed += bytes;
        bool recount = evicted % RECOUNT_EVERY == 0;
        if (freed + aim.leave < over && !recount) continue;
        over = bytes_over(aim.spare);
        if (over <= aim.leave) return ROOM_ENOUGH;
        freed = 0;
        if (recount && clock_steady_us() >= aim.until_us) return ROOM_WORKING;
    }
}

/* What this worker's last call has left over the limit. The slices see to it: a write that finds it does a
 * little about it, and makes room only for what came since. Else each of them would use up its time while
 * there is much to do, and they would queue. */
static _Thread_local size_t debt;
/* What the worker's chores are to do, see eviction_go_on. */
static _Thread_local bool headroom_is_wanted, databases_are_wanted;

/* When one call must end that begins now. */
static int64_t end_of_call_us(int64_t started_us) {
    int64_t limit_us = time_limit_us();
    return limit_us < INT64_MAX - started_us ? started_us + limit_us : INT64_MAX;
}

static enum room make_room(size_t over, int64_t now_ms, void (*flush)(void)) {
    if (eviction_settings.policy == POLICY_NOEVICTION) return ROOM_NONE;
    int64_t started_us = clock_steady_us();
    struct aim aim = { .until_us = started_us };
    if (over > debt) {
        aim.leave = debt;
        aim.until_us = end_of_call_us(started_us);
    }
    headroom_is_wanted = true;
    enum room room = evict_down(over, aim, now_ms, flush);
    if (room == ROOM_NONE) return wait_for_background(started_us);
    debt = bytes_over(0);
    return debt == 0 ? ROOM_ENOUGH : ROOM_WORKING;
}

/* When memory went over the limit, in steady microseconds; 0 if it is not over. All workers share it. */
static atomic_int_fast64_t over_since_us;

static void note(enum room room) {
    if (room != ROOM_ENOUGH) {
        int_fast64_t none = 0;
        if (atomic_load_explicit(&over_since_us, memory_order_relaxed) == 0)
            atomic_compare_exchange_strong(&over_since_us, &none, clock_steady_us());
        return;
    }
    if (LIKELY(atomic_load_explicit(&over_since_us, memory_order_relaxed) == 0)) return;
    int64_t since = atomic_exchange(&over_since_us, 0);
    if (since != 0) COUNTER_ADD(counters_mine()->eviction_us, (uint64_t)(clock_steady_us() - since));
}

enum room eviction_make_room(int64_t now_ms, void (*flush)(void)) {
    size_t over = bytes_over(0);
    enum room room = ROOM_ENOUGH;
    if (UNLIKELY(over > 0))
        room = make_room(over, now_ms, flush);
    else
        debt = 0;
    note(room);
    return room;
}

enum room eviction_look(void) {
    enum room room = bytes_over(0) == 0 ? ROOM_ENOUGH : ROOM_NONE;
    note(room);
    return room;
}

/* ---- the limit of one database ---- */

/* What it holds is known exactly at any time, so nothing is spared here. */
static bool is_over(uint32_t db) {
    if (!(database_differences & DATABASES_HAVE_LIMITS)) return false;
    uint64_t limit = database_at(db)->maxmemory;
    return limit > 0 && keyspace_bytes(db) > limit;
}

bool eviction_is_stuck(uint32_t db) {
    if (!is_over(db)) return false;
    unsigned policy = eviction_policy(db);
    if (policy & EVICT_ALLKEYS) return false;
    return policy == POLICY_NOEVICTION || keyspace_expires(db) == 0;
}

enum room eviction_look_in(uint32_t db) { return is_over(db) ? ROOM_NONE : ROOM_ENOUGH; }

/* The same for a database that is over its limit. */
static enum room evict_down_in(uint32_t db, int64_t until_us, int64_t now_ms, void (*flush)(void)) {
    unsigned policy = eviction_policy(db);
    if (policy == POLICY_NOEVICTION) return ROOM_NONE;
    pool_choose(db, policy);
    for (unsigned evicted = 1;; evicted++) {
        if (evict_one(now_ms, flush) == 0) return is_over(db) ? ROOM_NONE : ROOM_ENOUGH;
        if (!is_over(db)) return ROOM_ENOUGH;
        if (evicted % RECOUNT_EVERY == 0 && clock_steady_us() >= until_us) return ROOM_WORKING;
    }
}

enum room eviction_make_room_in(uint32_t db, int64_t now_ms, void (*flush)(void)) {
    if (LIKELY(!is_over(db))) return ROOM_ENOUGH;
    return evict_down_in(db, end_of_call_us(clock_steady_us()), now_ms, flush);
}

void eviction_make_room_everywhere(int64_t now_ms, void (*flush)(void)) {
    (void)eviction_make_room(now_ms, flush);
    if (!(database_differences & DATABASES_HAVE_LIMITS)) return;
    for (uint32_t db = 0; db < keyspace_databases(); db++) (void)eviction_make_room_in(db, now_ms, flush);
}

/* ---- beside the commands ---- */

bool eviction_is_needed(void) {
    if (eviction_look() != ROOM_ENOUGH) return true;
    if (!(database_differences & DATABASES_HAVE_LIMITS)) return false;
    for (uint32_t db = 0; db < keyspace_databases(); db++)
        if (is_over(db) && !eviction_is_stuck(db)) return true;
    return false;
}

void eviction_begin(void) { headroom_is_wanted = databases_are_wanted = true; }
bool eviction_is_due(void) { return headroom_is_wanted || databases_are_wanted; }
void eviction_give_up(void) { headroom_is_wanted = databases_are_wanted = false; }

/* False when all is done that can be. */
static bool go_on_in_databases(int64_t until_us, int64_t now_ms, void (*flush)(void)) {
    if (!(database_differences & DATABASES_HAVE_LIMITS)) return false;
    for (uint32_t db = 0; db < keyspace_databases(); db++)
        if (is_over(db) && evict_down_in(db, until_us, now_ms, flush) == ROOM_WORKING) return true;
    return false;
}

void eviction_go_on(int64_t now_ms, int64_t slice_us, void (*flush)(void)) {
    int64_t until_us = clock_steady_us() + slice_us;
    bool may_evict = headroom_is_wanted && eviction_settings.policy != POLICY_NOEVICTION;
    size_t spare = may_evict ? headroom() : 0, over = may_evict ? bytes_over(spare) : 0;
    struct aim aim = { .spare = spare, .until_us = until_us };
    headroom_is_wanted = over > 0 && evict_down(over, aim, now_ms, flush) == ROOM_WORKING;
    debt = may_evict ? bytes_over(0) : 0;
    if (databases_are_wanted && !headroom_is_wanted)
        databases_are_wanted = go_on_in_databases(until_us, now_ms, flush);
}

int64_t eviction_exceeded_us(void) {
    int64_t since = atomic_load_explicit(&over_since_us, memory_order_relaxed);
    return since == 0 || !eviction_has_limit() ? 0 : clock_steady_us() - since;
}
