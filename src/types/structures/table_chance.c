/* table_chance.c: items by lot, see table.h. */
#include "table_private.h"

/* Throws of the dice before table_random takes the next item it finds. */
#define RANDOM_TRIES 128

/* One of `count` things, from the upper bits of `random`. */
static inline size_t scaled(uint64_t random, size_t count) {
    return (size_t)(((unsigned __int128)random * count) >> 64);
}

/* The next of a row of random numbers that starts from the caller's (Vigna's splitmix64). */
static inline uint64_t random_next(uint64_t *state) {
    uint64_t x = *state += 0x9e3779b97f4a7c15ULL;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

/* A bucket and the group it is in. The buckets of a table form a ring: groups by prefix, in each of them the
 * lines and then the chain. */
struct spot {
    struct group group;
    struct bucket *at;
};

/* Any line, each as likely as another. */
static struct spot spot_random(const struct table *t, uint64_t random) {
    size_t line = scaled(random, table_lines(t)), below = (size_t)t->border * t->lines[0];
    unsigned side = line >= below;
    size_t number = side ? line - below : line, lines = t->lines[side];
    uint64_t first = side ? ((uint64_t)t->border << t->shift[0]) >> t->shift[1] : 0;
    struct spot s;
    s.group = (struct group){ NULL, (uint32_t)lines, (uint8_t)side, first + number / lines };
    s.group.first = group_first(t, side, s.group.number);
    s.at = s.group.first + number % lines;
    return s;
}

static void spot_next(const struct table *t, struct spot *s) {
    s->at = group_after(&s->group, s->at);
    if (s->at) return;
    uint64_t end = group_end(t, &s->group);
    s->group = group_of(t, end == PREFIX_END ? 0 : end);
    s->at = s->group.first;
}

/* A chain counts as part of the last line, so that its items have their chance. */
static const struct bucket *chain_behind(const struct spot *s, const struct bucket *b) {
    return s->at == group_last(&s->group) || b != s->at ? bucket_next(b) : NULL;
}

static size_t spot_count(const struct spot *s) {
    size_t items = 0;
    for (const struct bucket *b = s->at; b; b = chain_behind(s, b)) items += slots_count(slots_used(b));
    return items;
}

static void *spot_item(const struct spot *s, size_t nth) {
    const struct bucket *b = s->at;
    uint64_t used = slots_used(b);
    for (; nth >= slots_count(used); used = slots_used(b)) {
        nth -= slots_count(used);
        b = chain_behind(s, b);
    }
    while (nth-- > 0) used &= used - 1;
    return bucket_item(b, slot_first(used));
}

void *table_random(const struct table *t, uint64_t random) {
    if (t->count == 0) return NULL;
    struct spot s;
    size_t sides = table_lines(t) == 1 ? 1 : t->chained ? 2 * SLOTS : SLOTS;
    for (int tries = 0; tries < RANDOM_TRIES; tries++) {
        s = spot_random(t, random_next(&random));
        size_t items = spot_count(&s);
        size_t die = scaled(random_next(&random), items > sides ? items : sides);
        if (die < items) return spot_item(&s, die);
    }
    while (!slots_used(s.at)) spot_next(t, &s);
    return spot_item(&s, scaled(random_next(&random), slots_count(slots_used(s.at))));
}

/* Copies the items from number `from` to before number `to` of a bucket, as many as there is room for. */
static size_t bucket_copy(const struct bucket *b, size_t from, size_t to, void **out, size_t room) {
    size_t nth = 0, got = 0;
    for (uint64_t used = slots_used(b); used && nth < to && got < room; used &= used - 1, nth++)
        if (nth >= from) out[got++] = bucket_item(b, slot_first(used));
    return got;
}

size_t table_sample(const struct table *t, uint64_t random, void **out, size_t max) {
    if (max == 0 || t->count == 0) return 0;
    struct spot s = spot_random(t, random_next(&random));
    /* Starts anywhere in a chain, so that the end of a long one has its chance, too. */
    size_t skip = scaled(random_next(&random), spot_count(&s));
    while (!slots_used(s.at)) spot_next(t, &s);
    for (; skip >= slots_count(slots_used(s.at)); spot_next(t, &s)) skip -= slots_count(slots_used(s.at));
    const struct bucket *first = s.at;
    size_t got = bucket_copy(first, skip, SLOTS, out, max);
    /* A wide table with few items would mean a long search: what so many buckets gave is enough then. */
    size_t patience = 64 + 2 * max;
    for (spot_next(t, &s); s.at != first; spot_next(t, &s)) {
        if (got == max || patience-- == 0) return got;
        got += bucket_copy(s.at, 0, SLOTS, out + got, max - got);
    }
    return got + bucket_copy(first, 0, skip, out + got, max - got);
}
