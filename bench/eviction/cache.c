/* cache.c: what is inside, how much it weighs, and when it expires. */
#include "cache.h"
#include "trivet/base/mem.h"
#include <assert.h>

/* Those that expire, in the order of insertion; all live equally long, so it is the order of expiry too. */
struct expiring {
    struct deadline {
        uint64_t at;
        uint32_t key;
    } * ring;
    size_t size, first, count;
    uint64_t *at; /* by key: when what is inside now expires; a deadline of an earlier life does not count */
};

static void put_in(struct cache *c, uint32_t key) {
    c->place[key] = c->count;
    c->keys[c->count++] = key;
    c->used += cache_weight(c, key);
}

static void take_out(struct cache *c, uint32_t key) {
    uint32_t place = c->place[key], last = c->keys[--c->count];
    c->keys[place] = last;
    c->place[last] = place;
    c->place[key] = NOT_INSIDE;
    c->used -= cache_weight(c, key);
}

static void note_deadline(struct expiring *x, const struct cache *c, uint32_t key) {
    x->at[key] = c->now + c->trace->ttl;
    assert(x->count < x->size);
    x->ring[(x->first + x->count++) % x->size] = (struct deadline){ x->at[key], key };
}

static void expire(struct expiring *x, struct cache *c, const struct policy *p, void *state) {
    while (x->count > 0 && x->ring[x->first].at <= c->now) {
        struct deadline d = x->ring[x->first];
        x->first = (x->first + 1) % x->size;
        x->count--;
        if (!cache_has(c, d.key) || x->at[d.key] != d.at) continue;
        p->removed(state, c, d.key, false);
        take_out(c, d.key);
    }
}

static void make_room(struct cache *c, const struct policy *p, void *state, size_t wanted) {
    while (c->count > 0 && c->used + wanted > c->capacity) {
        uint32_t key = p->victim(state, c);
        assert(cache_has(c, key));
        p->removed(state, c, key, true);
        take_out(c, key);
    }
}

static void miss(struct cache *c, const struct policy *p, void *state, uint32_t key) {
    make_room(c, p, state, cache_weight(c, key));
    put_in(c, key);
    p->inserted(state, c, key);
}

static struct outcome run(struct cache *c, struct expiring *x, const struct policy *p, void *state) {
    const struct trace *t = c->trace;
    size_t warm_up = t->count / 5;
    double hits = 0, bytes = 0, bytes_hit = 0, keys = 0;
    for (size_t i = 0; i < t->count; i++) {
        uint32_t key = t->requests[i];
        c->now = i;
        if (t->brief) expire(x, c, p, state);
        bool hit = cache_has(c, key);
        if (hit) {
            p->hit(state, c, key);
        } else {
            miss(c, p, state, key);
            if (t->brief && t->brief[key]) note_deadline(x, c, key);
        }
        if (i < warm_up) continue;
        double size = trace_value_size(t, key);
        hits += hit;
        bytes += size;
        bytes_hit += hit ? size : 0;
        keys += c->count;
    }
    double counted = (double)(t->count - warm_up);
    return (struct outcome){ hits / counted, bytes_hit / bytes, (size_t)(keys / counted) };
}

struct outcome cache_run(const struct trace *t, size_t capacity, const struct policy *p) {
    struct cache c = { .trace = t, .capacity = capacity };
    struct expiring x = { .size = t->ttl + 1 };
    c.keys = mem_alloc(t->key_count * sizeof *c.keys);
    c.place = mem_alloc(t->key_count * sizeof *c.place);
    for (uint32_t k = 0; k < t->key_count; k++) c.place[k] = NOT_INSIDE;
    if (t->brief) {
        x.ring = mem_alloc(x.size * sizeof *x.ring);
        x.at = mem_alloc_zero(t->key_count * sizeof *x.at);
    }
    void *state = p->new (&c);
    struct outcome out = run(&c, &x, p, state);
    p->free(state);
    mem_free(c.keys);
    mem_free(c.place);
    mem_free(x.ring);
    mem_free(x.at);
    return out;
}
