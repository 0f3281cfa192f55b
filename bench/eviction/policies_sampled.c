/* policies_sampled.c: policies that look at some keys drawn at random and keep the best candidates in a pool:
 * random, sampled LRU, LFU with exact counts, and Trivet's own, which learns with the server's code. */
#include "cache.h"
#include "trivet/base/mem.h"
#include "trivet/keyspace/ghosts.h"
#include <math.h>

#define SEED UINT64_C(0x853c49e6748fea9b)
#define POOL 16
#define SAMPLES 15       /* as the server: three times maxmemory-samples */
#define SUIT_EVERY 1024u /* evictions */

struct sampled {
    uint64_t chance;
    uint64_t *last; /* by key: when it was used */
    uint32_t *uses; /* by key: how often since it came in */
    uint32_t pool[POOL];
    size_t pooled;
    struct ghosts ghosts;
    uint32_t evicted;
};

/* The higher, the sooner the key goes. */
typedef double (*age_of)(const struct sampled *s, const struct cache *c, uint32_t key);

static void *sampled_new(const struct cache *c) {
    struct sampled *s = mem_alloc_zero(sizeof *s);
    s->chance = SEED;
    s->last = mem_alloc_zero(c->trace->key_count * sizeof *s->last);
    s->uses = mem_alloc_zero(c->trace->key_count * sizeof *s->uses);
    ghosts_init(&s->ghosts, c->capacity / 128);
    return s;
}

static void sampled_free(void *state) {
    struct sampled *s = state;
    ghosts_release(&s->ghosts);
    mem_free(s->last);
    mem_free(s->uses);
    mem_free(s);
}

static void sampled_hit(void *state, const struct cache *c, uint32_t key) {
    struct sampled *s = state;
    s->last[key] = c->now;
    s->uses[key]++;
}

static void sampled_inserted(void *state, const struct cache *c, uint32_t key) {
    struct sampled *s = state;
    s->last[key] = c->now;
    s->uses[key] = 0;
}

static void pool_drop(struct sampled *s, size_t at) { s->pool[at] = s->pool[--s->pooled]; }

static void sampled_removed(void *state, const struct cache *c, uint32_t key, bool evicted) {
    struct sampled *s = state;
    (void)c, (void)evicted;
    for (size_t i = 0; i < s->pooled; i++)
        if (s->pool[i] == key) pool_drop(s, i);
}

static bool pool_has(const struct sampled *s, uint32_t key) {
    for (size_t i = 0; i < s->pooled; i++)
        if (s->pool[i] == key) return true;
    return false;
}

/* The place in the pool of the youngest or the oldest. */
static size_t pool_find(const struct sampled *s, const struct cache *c, age_of age, bool oldest) {
    size_t found = 0;
    double best = age(s, c, s->pool[0]);
    for (size_t i = 1; i < s->pooled; i++) {
        double other = age(s, c, s->pool[i]);
        if (oldest ? other <= best : other >= best) continue;
        best = other;
        found = i;
    }
    return found;
}

static uint32_t any_key(struct sampled *s, const struct cache *c) {
    return c->keys[chance_below(&s->chance, c->count)];
}

static uint32_t oldest(struct sampled *s, const struct cache *c, age_of age) {
    for (int i = 0; i < SAMPLES; i++) {
        uint32_t key = any_key(s, c);
        if (pool_has(s, key)) continue;
        if (s->pooled < POOL) {
            s->pool[s->pooled++] = key;
            continue;
        }
        size_t youngest = pool_find(s, c, age, false);
        if (age(s, c, key) > age(s, c, s->pool[youngest])) s->pool[youngest] = key;
    }
    return s->pool[pool_find(s, c, age, true)];
}

/* ---- random, LRU, LFU ---- */

static uint32_t random_victim(void *state, const struct cache *c) { return any_key(state, c); }

static double idle_time(const struct sampled *s, const struct cache *c, uint32_t key) {
    return (double)(c->now - s->last[key]);
}
static uint32_t lru_victim(void *state, const struct cache *c) { return oldest(state, c, idle_time); }

/* The fewest uses; of those the one that was not used for longest. */
static double rarity(const struct sampled *s, const struct cache *c, uint32_t key) {
    return -(double)s->uses[key] - (double)s->last[key] / (double)(c->now + 1);
}
static uint32_t lfu_victim(void *state, const struct cache *c) { return oldest(state, c, rarity); }

const struct policy policy_random = { "random",      sampled_new,     sampled_hit, sampled_inserted,
                                      random_victim, sampled_removed, sampled_free };
const struct policy policy_sampled_lru = { "sampled LRU", sampled_new,     sampled_hit, sampled_inserted,
                                           lru_victim,    sampled_removed, sampled_free };
const struct policy policy_lfu = { "LFU",      sampled_new,     sampled_hit, sampled_inserted,
                                   lfu_victim, sampled_removed, sampled_free };

/* ---- Trivet's ---- */

static uint64_t hash_of(uint32_t key) {
    uint64_t x = (key + 1) * UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 31) * UINT64_C(0xff51afd7ed558ccd);
    return x ^ x >> 33;
}

/* Of twice the size, it ages a fifth faster. */
static double weighted_idle_time(const struct sampled *s, const struct cache *c, uint32_t key) {
    double by_uses = (double)ghosts_weight(&s->ghosts, s->uses[key]);
    return (idle_time(s, c, key) + 0.5) * by_uses * sqrt(sqrt((double)cache_weight(c, key)));
}
static uint32_t trivet_victim(void *state, const struct cache *c) {
    return oldest(state, c, weighted_idle_time);
}

static void trivet_hit(void *state, const struct cache *c, uint32_t key) {
    struct sampled *s = state;
    sampled_hit(s, c, key);
    if (s->uses[key] > GHOST_USES_MAX) s->uses[key] = GHOST_USES_MAX;
}

static void trivet_inserted(void *state, const struct cache *c, uint32_t key) {
    struct sampled *s = state;
    sampled_inserted(s, c, key);
    s->uses[key] = ghosts_take(&s->ghosts, hash_of(key));
}

static void trivet_removed(void *state, const struct cache *c, uint32_t key, bool evicted) {
    struct sampled *s = state;
    sampled_removed(s, c, key, evicted);
    if (!evicted) return;
    if (s->evicted++ % SUIT_EVERY == 0) ghosts_suit(&s->ghosts, c->count);
    ghosts_add(&s->ghosts, hash_of(key), s->uses[key]);
}

const struct policy policy_trivet = { "Trivet",      sampled_new,    trivet_hit,  trivet_inserted,
                                      trivet_victim, trivet_removed, sampled_free };
