/* policies_lists.c: policies that keep all keys in lists: exact LRU, 2Q, S3-FIFO, SIEVE and W-TinyLFU, after
 * the papers that describe them, with shares counted in bytes. A server with no room for two pointers an
 * entry cannot use them as they are; they show what there is to win. */
#include "cache.h"
#include "lists.h"
#include <string.h>

/* One state for all: a policy uses what it needs. Lists of ghosts hold keys that have left. */
enum { FIRST = 1, MAIN, GHOSTS, PROTECTED };

struct lists {
    struct links links;
    struct list first, main, ghosts, protected;
    uint8_t *uses;    /* by key, a few */
    uint32_t hand;    /* SIEVE's */
    uint8_t *sketch;  /* TinyLFU's counters */
    uint8_t *seen;    /* and the bits of its doorkeeper */
    uint32_t mask;    /* of places in both */
    size_t additions; /* until the counters are halved */
    size_t sample;
};

static void *lists_new(const struct cache *c) {
    struct lists *s = mem_alloc_zero(sizeof *s);
    s->links = links_new(c->trace->key_count);
    s->first = list_empty(FIRST);
    s->main = list_empty(MAIN);
    s->ghosts = list_empty(GHOSTS);
    s->protected = list_empty(PROTECTED);
    s->uses = mem_alloc_zero(c->trace->key_count);
    s->hand = NO_KEY;
    return s;
}

static void lists_free(void *state) {
    struct lists *s = state;
    links_release(&s->links);
    mem_free(s->uses);
    mem_free(s->sketch);
    mem_free(s->seen);
    mem_free(s);
}

static struct list *list_of(struct lists *s, uint32_t key) {
    switch (s->links.list_of[key]) {
    case FIRST: return &s->first;
    case MAIN: return &s->main;
    case GHOSTS: return &s->ghosts;
    case PROTECTED: return &s->protected;
    default: return NULL;
    }
}

static void drop(struct lists *s, const struct cache *c, uint32_t key) {
    struct list *list = list_of(s, key);
    if (list) list_remove(list, &s->links, key, cache_weight(c, key));
}

static void move(struct lists *s, const struct cache *c, uint32_t key, struct list *to) {
    drop(s, c, key);
    list_push(to, &s->links, key, cache_weight(c, key));
}

static void lists_removed(void *state, const struct cache *c, uint32_t key, bool evicted) {
    (void)evicted;
    drop(state, c, key);
}

/* ---- exact LRU ---- */

static void lru_used(void *state, const struct cache *c, uint32_t key) {
    struct lists *s = state;
    move(s, c, key, &s->main);
}

static uint32_t lru_victim(void *state, const struct cache *c) {
    (void)c;
    return ((struct lists *)state)->main.oldest;
}

const struct policy policy_lru = {
    "LRU", lists_new, lru_used, lru_used, lru_victim, lists_removed, lists_free
};

/* ---- 2Q: a quarter for newcomers, first in first out; ghosts of half the cache; the rest LRU ---- */

static void twoq_hit(void *state, const struct cache *c, uint32_t key) {
    struct lists *s = state;
    if (s->links.list_of[key] == MAIN) move(s, c, key, &s->main);
}

static void twoq_inserted(void *state, const struct cache *c, uint32_t key) {
    struct lists *s = state;
    move(s, c, key, s->links.list_of[key] == GHOSTS ? &s->main : &s->first);
}

static uint32_t twoq_victim(void *state, const struct cache *c) {
    struct lists *s = state;
    return s->main.count == 0 || s->first.bytes > c->capacity / 4 ? s->first.oldest : s->main.oldest;
}

static void twoq_removed(void *state, const struct cache *c, uint32_t key, bool evicted) {
    struct lists *s = state;
    bool newcomer = s->links.list_of[key] == FIRST;
    drop(s, c, key);
    if (!evicted || !newcomer) return;
    move(s, c, key, &s->ghosts);
    while (s->ghosts.bytes > c->capacity / 2) drop(s, c, s->ghosts.oldest);
}

const struct policy policy_2q = { "2Q",        lists_new,    twoq_hit,  twoq_inserted,
                                  twoq_victim, twoq_removed, lists_free };

/* ---- S3-FIFO: a tenth for newcomers, two bits of uses, ghosts as many as the main queue has ---- */

static void s3_hit(void *state, const struct cache *c, uint32_t key) {
    struct lists *s = state;
    (void)c;
    if (s->uses[key] < 3) s->uses[key]++;
}

static void s3_inserted(void *state, const struct cache *c, uint32_t key) {
    struct lists *s = state;
    move(s, c, key, s->links.list_of[key] == GHOSTS ? &s->main : &s->first);
    s->uses[key] = 0;
}

static uint32_t s3_victim(void *state, const struct cache *c) {
    struct lists *s = state;
    for (;;) {
        if (s->first.bytes >= c->capacity / 10 || s->main.count == 0) {
            uint32_t key = s->first.oldest;
            if (s->uses[key] <= 1) return key;
            s->uses[key] = 0;
            move(s, c, key, &s->main);
        } else {
            uint32_t key = s->main.oldest;
            if (s->uses[key] == 0) return key;
            s->uses[key]--;
            move(s, c, key, &s->main);
        }
    }
}

static void s3_removed(void *state, const struct cache *c, uint32_t key, bool evicted) {
    struct lists *s = state;
    bool newcomer = s->links.list_of[key] == FIRST;
    drop(s, c, key);
    if (!evicted || !newcomer) return;
    move(s, c, key, &s->ghosts);
    while (s->ghosts.bytes > c->capacity / 10 * 9) drop(s, c, s->ghosts.oldest);
}

const struct policy policy_s3fifo = { "S3-FIFO", lists_new,  s3_hit,    s3_inserted,
                                      s3_victim, s3_removed, lists_free };

/* ---- SIEVE: one queue, a bit, and a hand that goes from old to new ---- */

static void sieve_hit(void *state, const struct cache *c, uint32_t key) {
    (void)c;
    ((struct lists *)state)->uses[key] = 1;
}

static void sieve_inserted(void *state, const struct cache *c, uint32_t key) {
    struct lists *s = state;
    move(s, c, key, &s->main);
    s->uses[key] = 0;
}

static uint32_t sieve_victim(void *state, const struct cache *c) {
    struct lists *s = state;
    uint32_t key = s->hand;
    (void)c;
    for (;; key = s->links.newer[key]) {
        if (key == NO_KEY) key = s->main.oldest;
        if (s->uses[key] == 0) break;
        s->uses[key] = 0;
    }
    s->hand = key;
    return key;
}

static void sieve_removed(void *state, const struct cache *c, uint32_t key, bool evicted) {
    struct lists *s = state;
    (void)evicted;
    if (s->hand == key) s->hand = s->links.newer[key];
    drop(s, c, key);
}

const struct policy policy_sieve = { "SIEVE",      lists_new,     sieve_hit, sieve_inserted,
                                     sieve_victim, sieve_removed, lists_free };

/* ---- W-TinyLFU: a window of a hundredth, a main part in two segments, admission by a sketch ---- */

enum { ROWS = 4, COUNTER_MAX = 15 };

static void *tiny_new(const struct cache *c) {
    struct lists *s = lists_new(c);
    /* As many counters a row as the cache can hold entries, about: a power of two. */
    uint32_t places = 1;
    while (places < c->capacity / ((TRACE_VALUE_LEAST + TRACE_VALUE_MOST) / 2 + ENTRY_OVERHEAD)) places *= 2;
    s->mask = places - 1;
    s->sketch = mem_alloc_zero((size_t)ROWS * places);
    s->seen = mem_alloc_zero(places);
    s->sample = 10 * (size_t)places;
    return s;
}

static uint32_t scattered(uint32_t key, uint32_t row) {
    uint64_t x = (key + 1) * UINT64_C(0x9e3779b97f4a7c15) + row * UINT64_C(0xc2b2ae3d27d4eb4f);
    x ^= x >> 31;
    x *= UINT64_C(0xff51afd7ed558ccd);
    return (uint32_t)(x >> 32);
}

static uint8_t *sketch_at(struct lists *s, uint32_t key, uint32_t row) {
    return &s->sketch[row * ((size_t)s->mask + 1) + (scattered(key, row) & s->mask)];
}

static unsigned estimate(struct lists *s, uint32_t key) {
    unsigned least = COUNTER_MAX;
    for (uint32_t row = 0; row < ROWS; row++) {
        unsigned n = *sketch_at(s, key, row);
        if (n < least) least = n;
    }
    return least + s->seen[scattered(key, ROWS) & s->mask];
}

static void halve(struct lists *s) {
    size_t places = (size_t)s->mask + 1;
    for (size_t i = 0; i < ROWS * places; i++) s->sketch[i] /= 2;
    memset(s->seen, 0, places);
    s->additions /= 2;
}

static void count_use(struct lists *s, uint32_t key) {
    uint8_t *door = &s->seen[scattered(key, ROWS) & s->mask];
    if (++s->additions >= s->sample) halve(s);
    if (!*door) {
        *door = 1;
        return;
    }
    unsigned least = estimate(s, key) - 1;
    for (uint32_t row = 0; row < ROWS; row++) {
        uint8_t *n = sketch_at(s, key, row);
        if (*n == least && *n < COUNTER_MAX) ++*n;
    }
}

static void tiny_hit(void *state, const struct cache *c, uint32_t key) {
    struct lists *s = state;
    count_use(s, key);
    if (s->links.list_of[key] == FIRST) {
        move(s, c, key, &s->first);
        return;
    }
    move(s, c, key, &s->protected);
    while (s->protected.bytes > c->capacity / 100 * 79) move(s, c, s->protected.oldest, &s->main);
}

static void tiny_inserted(void *state, const struct cache *c, uint32_t key) {
    struct lists *s = state;
    count_use(s, key);
    move(s, c, key, &s->first);
}

static uint32_t tiny_victim(void *state, const struct cache *c) {
    struct lists *s = state;
    while (s->first.bytes > c->capacity / 100) {
        uint32_t newcomer = s->first.oldest;
        if (s->main.count == 0 || s->main.bytes + s->protected.bytes < c->capacity / 100 * 98) {
            move(s, c, newcomer, &s->main); /* the first filling */
            continue;
        }
        uint32_t resident = s->main.oldest;
        if (estimate(s, newcomer) <= estimate(s, resident)) return newcomer;
        move(s, c, newcomer, &s->main);
        return resident;
    }
    if (s->main.count > 0) return s->main.oldest;
    return s->protected.count > 0 ? s->protected.oldest : s->first.oldest;
}

const struct policy policy_tinylfu = { "W-TinyLFU", tiny_new,      tiny_hit,  tiny_inserted,
                                       tiny_victim, lists_removed, lists_free };
