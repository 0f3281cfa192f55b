/* traces.c: the generators. Each fills `requests`; popularity is Zipf's by a table of sums and a search in
 * it, and ranks are scattered over the keys, so that no policy can profit from their order. */
#include "traces.h"
#include "trivet/base/mem.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEED UINT64_C(88172645463325252)
#define KEYS 400000 /* of the plain traces; 30 MB hold about an eighth of them */

/* ---- Zipf ---- */

struct zipf {
    double *up_to;
    uint32_t count;
};

static struct zipf zipf_new(uint32_t count, double exponent) {
    struct zipf z = { mem_alloc(count * sizeof *z.up_to), count };
    double sum = 0;
    for (uint32_t n = 0; n < count; n++) z.up_to[n] = sum += pow(n + 1.0, -exponent);
    return z;
}

static uint32_t zipf_rank(const struct zipf *z, uint64_t *seed) {
    double at = chance_unit(seed) * z->up_to[z->count - 1];
    uint32_t low = 0, high = z->count - 1;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (z->up_to[middle] < at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* ---- the traces ---- */

static void begin(struct trace *t, uint32_t key_count) {
    t->key_count = key_count;
    t->requests = mem_alloc(t->count * sizeof *t->requests);
}

static void make_zipf(struct trace *t, uint64_t *seed) {
    struct zipf z = zipf_new(KEYS, 0.9);
    begin(t, KEYS);
    for (size_t i = 0; i < t->count; i++) t->requests[i] = zipf_rank(&z, seed);
    mem_free(z.up_to);
}

/* One request of five is for a key that was never asked for and never will be again. */
static void make_one_time(struct trace *t, uint64_t *seed) {
    struct zipf z = zipf_new(KEYS, 0.9);
    uint32_t fresh = KEYS;
    begin(t, KEYS + (uint32_t)t->count);
    for (size_t i = 0; i < t->count; i++)
        t->requests[i] = chance_below(seed, 5) == 0 ? fresh++ : zipf_rank(&z, seed);
    mem_free(z.up_to);
}

/* Three of five requests are for some key of a window over the keys; the window moves on by its own width in
 * an eighth of the trace. The rest is Zipf's. */
static void make_moving(struct trace *t, uint64_t *seed) {
    enum { WINDOW = 50000 };
    struct zipf inside = zipf_new(WINDOW, 0.6), rest = zipf_new(KEYS, 0.9);
    begin(t, KEYS + 9 * WINDOW);
    for (size_t i = 0; i < t->count; i++) {
        uint32_t from = KEYS + (uint32_t)(i * 8 * WINDOW / t->count);
        /* By its place in the window's ring, so that a key keeps its popularity while it is inside. */
        uint32_t place = zipf_rank(&inside, seed);
        uint32_t key = from / WINDOW * WINDOW + (uint32_t)(place * UINT64_C(7919) % WINDOW);
        if (key < from) key += WINDOW;
        t->requests[i] = chance_below(seed, 5) > 1 ? key : zipf_rank(&rest, seed);
    }
    mem_free(inside.up_to);
    mem_free(rest.up_to);
}

/* The popularity of all keys is dealt anew four times. */
static void make_shuffled(struct trace *t, uint64_t *seed) {
    struct zipf z = zipf_new(KEYS, 0.9);
    begin(t, KEYS);
    for (size_t i = 0; i < t->count; i++) {
        uint64_t phase = i * 4 / t->count;
        t->requests[i] = (uint32_t)((zipf_rank(&z, seed) * UINT64_C(7919) + phase * 104729) % KEYS);
    }
    mem_free(z.up_to);
}

/* Sizes from 30 bytes to 60 KB; the logarithm is even. No connection with popularity. */
static void make_sizes(struct trace *t, uint64_t *seed) {
    enum { COUNT = 100000 };
    struct zipf z = zipf_new(COUNT, 0.9);
    begin(t, COUNT);
    t->sizes = mem_alloc(COUNT * sizeof *t->sizes);
    for (uint32_t k = 0; k < COUNT; k++) t->sizes[k] = (uint32_t)(30 * exp(chance_unit(seed) * log(2000)));
    for (size_t i = 0; i < t->count; i++) t->requests[i] = zipf_rank(&z, seed);
    mem_free(z.up_to);
}

/* A job walks over many keys, each once, while others use the cache: eight times, together a third of all
 * requests. The walked keys are always the same. */
static void make_scans(struct trace *t, uint64_t *seed) {
    struct zipf z = zipf_new(KEYS, 0.9);
    size_t phase = t->count / 8;
    uint32_t walked = (uint32_t)(phase / 3);
    begin(t, KEYS + walked);
    uint32_t at = 0;
    for (size_t i = 0; i < t->count; i++) {
        if (i % phase == 0) at = 0;
        bool walking = i % phase < 2 * (size_t)walked && at < walked && chance_below(seed, 2) == 0;
        t->requests[i] = walking ? KEYS + at++ : zipf_rank(&z, seed);
    }
    mem_free(z.up_to);
}

/* What a Rails application does with a cache. Of 100 requests:
 *   70 for fragments, whose keys hold a version: one write in 200 requests makes a new key of one of them,
 *      and nobody asks for the old one again; pages are 0.2 to 8 KB;
 *   15 for counters of requests by address, 8 bytes, gone after a while: some addresses come all the time,
 *      most few times;
 *   15 for sessions of 300 bytes: a visitor comes, makes some ten requests, and leaves. */
enum { FRAGMENTS = 60000, ADDRESSES = 100000, VISITORS = 2000 };

struct rails {
    struct zipf fragments, addresses;
    uint32_t *version_of; /* the key of each fragment's current version */
    uint32_t *visitor;    /* the session's key of each */
    uint32_t next;        /* the next key that was never used */
};

static uint32_t rails_new_key(struct trace *t, struct rails *r, uint32_t size, bool brief) {
    t->sizes[r->next] = size;
    t->brief[r->next] = brief;
    return r->next++;
}

static uint32_t rails_fragment_size(uint64_t *seed) {
    return (uint32_t)(200 * exp(chance_unit(seed) * log(40)));
}

static uint32_t rails_request(struct trace *t, struct rails *r, uint64_t *seed) {
    if (chance_below(seed, 200) == 0) {
        uint32_t f = zipf_rank(&r->fragments, seed), size = t->sizes[r->version_of[f]];
        r->version_of[f] = rails_new_key(t, r, size, false);
    }
    uint32_t kind = chance_below(seed, 100);
    if (kind < 70) return r->version_of[zipf_rank(&r->fragments, seed)];
    if (kind < 85) return zipf_rank(&r->addresses, seed); /* their keys are the first */
    uint32_t v = chance_below(seed, VISITORS);
    if (chance_below(seed, 10) == 0) r->visitor[v] = rails_new_key(t, r, 300, false);
    return r->visitor[v];
}

static void make_rails(struct trace *t, uint64_t *seed) {
    struct rails r = { zipf_new(FRAGMENTS, 0.8), zipf_new(ADDRESSES, 0.9), NULL, NULL, 0 };
    begin(t, ADDRESSES + FRAGMENTS + VISITORS + (uint32_t)(t->count / 20));
    t->sizes = mem_alloc(t->key_count * sizeof *t->sizes);
    t->brief = mem_alloc_zero(t->key_count * sizeof *t->brief);
    t->ttl = t->count / 100;
    r.version_of = mem_alloc(FRAGMENTS * sizeof *r.version_of);
    r.visitor = mem_alloc(VISITORS * sizeof *r.visitor);
    for (uint32_t i = 0; i < ADDRESSES; i++) (void)rails_new_key(t, &r, 8, true);
    for (uint32_t i = 0; i < FRAGMENTS; i++)
        r.version_of[i] = rails_new_key(t, &r, rails_fragment_size(seed), false);
    for (uint32_t i = 0; i < VISITORS; i++) r.visitor[i] = rails_new_key(t, &r, 300, false);
    for (size_t i = 0; i < t->count; i++) t->requests[i] = rails_request(t, &r, seed);
    t->key_count = r.next;
    mem_free(r.fragments.up_to);
    mem_free(r.addresses.up_to);
    mem_free(r.version_of);
    mem_free(r.visitor);
}

/* ---- by name ---- */

static const struct {
    const char *name, *title;
    void (*make)(struct trace *t, uint64_t *seed);
} makers[] = {
    { "zipf", "Zipf 0.9", make_zipf },
    { "onetime", "20 % one-time keys", make_one_time },
    { "moving", "moving hot set", make_moving },
    { "shuffled", "popularity dealt anew", make_shuffled },
    { "sizes", "30 bytes to 60 KB", make_sizes },
    { "rails", "Rails-like", make_rails },
    { "scans", "scans", make_scans },
};
#define MAKERS (sizeof makers / sizeof *makers)

const char *const trace_names[] = {
    "zipf", "onetime", "moving", "shuffled", "sizes", "rails", "scans", NULL
};

struct trace trace_make(const char *name, size_t count) {
    uint64_t seed = SEED;
    for (size_t i = 0; i < MAKERS; i++) {
        if (strcmp(makers[i].name, name) != 0) continue;
        struct trace t = { .name = makers[i].name, .title = makers[i].title, .count = count };
        makers[i].make(&t, &seed);
        return t;
    }
    fprintf(stderr, "no trace %s\n", name);
    exit(2);
}

void trace_release(struct trace *t) {
    mem_free(t->requests);
    mem_free(t->sizes);
    mem_free(t->brief);
}
