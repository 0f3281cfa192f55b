/* limits.c: the limits of the encodings. Each run draws its own, for both servers, so that values cross them
 * at other sizes than the usual ones.
 *
 * No command brings more elements than the limit: since 7.2 SADD, HSET and ZADD choose a new value's form by
 * the number of their arguments, equal ones or not. */
#include "differential.h"
#include <stdio.h>

/* The usual value first. */
struct limit limits[LIMITS] = {
    { "hash-max-listpack-entries", { 512, 5, 100 }, 0 }, { "hash-max-listpack-value", { 64, 5, 300 }, 0 },
    { "set-max-intset-entries", { 512, 5, 100 }, 0 },    { "zset-max-listpack-entries", { 128, 5, 20 }, 0 },
    { "zset-max-listpack-value", { 64, 5, 300 }, 0 },    { "list-max-listpack-size", { -2, 4, -1 }, 0 },
    { "list-compress-depth", { 0, 1, 2 }, 0 },           { "stream-node-max-entries", { 100, 10, 0 }, 0 },
    { "stream-node-max-bytes", { 4096, 200, 0 }, 0 },    { "hll-sparse-max-bytes", { 3000, 100, 0 }, 0 },
};

void limits_draw(struct chance *c) {
    for (int i = 0; i < LIMITS; i++) {
        limits[i].value = limits[i].choices[chance_of(c, 60) ? 0 : 1 + chance_below(c, 2)];
        if (limits[i].value != limits[i].choices[0]) printf("  %s %d\n", limits[i].name, limits[i].value);
    }
    fflush(stdout);
}

size_t limit_below(struct chance *c, size_t bound, const char *name) {
    for (int i = 0; i < LIMITS; i++)
        if (strcmp(limits[i].name, name) == 0 && (size_t)limits[i].value < bound)
            bound = (size_t)limits[i].value;
    return chance_below(c, bound);
}

void limits_add_options(struct words *w) {
    for (int i = 0; i < LIMITS; i++) {
        words_printf(w, "--%s", limits[i].name);
        words_printf(w, "%d", limits[i].value);
    }
}
