/* table_bench.c: how fast the hash table is, and how many bytes an item costs it.
 *
 * Usage: table_bench [items]. Items are looked up in a random order, each an allocation of its own, so
 * what is measured is memory latency more than instructions, as in a server. Not part of the tests. */
#include "trivet/base/hashing.h"
#include "trivet/base/mem.h"
#include "trivet/types/structures/table.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define KEY_LEN 16
#define GROUP 32 /* keys prefetched together, as a pipeline's are */

struct item {
    uint64_t header;
    char key[KEY_LEN];
    char value[40];
};

static struct slice item_key(const void *item) {
    const struct item *i = item;
    return slice_make(i->key, KEY_LEN);
}
static const struct table_ops ops = { item_key };

static uint64_t state = 88172645463325252ULL;
static uint64_t chance(void) {
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

static double now_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts); /* what others take of the core does not count */
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static void name(char *out, size_t i) {
    char text[32];
    snprintf(text, sizeof text, "key:%012zu", i);
    memcpy(out, text, KEY_LEN);
}

static void report(const char *what, double since, size_t count) {
    double ns = (now_ns() - since) / (double)count;
    printf("%-28s %7.1f ns  %6.2f M/s\n", what, ns, 1e3 / ns);
}

static void look(const struct table *t, char (*keys)[KEY_LEN], size_t count, const char *what, bool group) {
    double start = now_ns();
    size_t found = 0;
    uint64_t hashes[GROUP];
    for (size_t i = 0; i + GROUP <= count; i += GROUP) {
        for (size_t k = 0; k < GROUP; k++) {
            hashes[k] = hash_bytes(slice_make(keys[i + k], KEY_LEN));
            if (group) table_prefetch_bucket(t, hashes[k]);
        }
        for (size_t k = 0; group && k < GROUP; k++) table_prefetch_item(t, hashes[k]);
        for (size_t k = 0; k < GROUP; k++)
            found += table_find(t, slice_make(keys[i + k], KEY_LEN), hashes[k]) != NULL;
    }
    report(what, start, count);
    if (found != 0 && found < count - GROUP) abort();
}

static bool count_it(void *arg, void *item) {
    *(uint64_t *)arg += ((struct item *)item)->header;
    return true;
}

/* What a look-up reads and an item takes now. */
static void describe(const struct table *tables, size_t count) {
    struct table_survey sum = { 0 };
    size_t bytes = 0, chained = 0, reads = 0, ways = 0;
    for (size_t i = 0; i < count; i++) {
        table_survey(&tables[i], &sum);
        bytes += table_memory(&tables[i]);
        chained += tables[i].chained;
    }
    for (size_t i = 0; i < TABLE_WAYS; i++) {
        reads += (i + 1) * sum.ways[i];
        ways += sum.ways[i];
    }
    printf("%9zu items: %5.2f bytes an item, %zu buckets and %zu chained, a miss reads %.3f\n", sum.items,
           (double)bytes / (double)sum.items, sum.buckets, chained, (double)reads / (double)ways);
}

/* Fills tables as the keyspace does, and tells of them while they grow. */
static void memory_at_fills(struct item **items, size_t count, size_t tables) {
    struct table *t = mem_alloc(tables * sizeof *t);
    for (size_t i = 0; i < tables; i++) table_init(&t[i], &ops);
    size_t next = count / 8;
    double slowest = 0;
    printf("%zu tables\n", tables);
    for (size_t i = 0; i < count; i++) {
        uint64_t hash = hash_bytes(item_key(items[i]));
        double start = now_ns();
        table_insert(&t[(hash >> 40) % tables], items[i], hash);
        double took = now_ns() - start;
        if (took > slowest) slowest = took;
        if (i + 1 < next) continue;
        describe(t, tables);
        next += next / 10;
    }
    printf("slowest insert %.0f us\n", slowest / 1e3);
    slowest = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t hash = hash_bytes(item_key(items[i]));
        double start = now_ns();
        table_remove_item(&t[(hash >> 40) % tables], items[i], hash);
        double took = now_ns() - start;
        if (took > slowest) slowest = took;
    }
    printf("slowest removal %.0f us\n", slowest / 1e3);
    for (size_t i = 0; i < tables; i++) table_release(&t[i], NULL);
    mem_free(t);
}

static void note_next(void *arg, void *item) {
    struct item ***next = arg;
    *(*next)++ = item;
}

/* SCAN and UNLINK: what is left lies in fewer and fewer groups. */
static void remove_as_scanned(struct table *t, size_t count) {
    struct item **order = mem_alloc(count * sizeof *order), **next = order;
    uint64_t cursor = 0;
    do cursor = table_scan(t, cursor, note_next, &next);
    while (cursor != 0);
    if (next != order + count) abort();
    double start = now_ns();
    for (size_t i = 0; i < count; i++) table_remove_item(t, order[i], hash_bytes(item_key(order[i])));
    report("remove, as scanned", start, count);
    mem_free(order);
}

int main(int argc, char **argv) {
    size_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    hash_init();
    struct item **items = mem_alloc(count * sizeof *items);
    char(*hits)[KEY_LEN] = mem_alloc(count * KEY_LEN), (*misses)[KEY_LEN] = mem_alloc(count * KEY_LEN);
    for (size_t i = 0; i < count; i++) {
        items[i] = mem_alloc_zero(sizeof **items);
        name(items[i]->key, i);
        name(hits[i], i);
        name(misses[i], i + count);
    }
    for (size_t i = count - 1; i > 0; i--) {
        size_t j = chance() % (i + 1);
        char swap[KEY_LEN];
        memcpy(swap, hits[i], KEY_LEN);
        memcpy(hits[i], hits[j], KEY_LEN);
        memcpy(hits[j], swap, KEY_LEN);
    }
    struct table t;
    table_init(&t, &ops);
    double start = now_ns();
    for (size_t i = 0; i < count; i++) table_insert(&t, items[i], hash_bytes(item_key(items[i])));
    report("insert, growing", start, count);
    describe(&t, 1);
    for (int round = 0; round < 2; round++) {
        look(&t, hits, count, "find, hit", false);
        look(&t, misses, count, "find, miss", false);
        look(&t, hits, count, "find, hit, in groups", true);
        look(&t, misses, count, "find, miss, in groups", true);
    }
    uint64_t sum = 0;
    start = now_ns();
    table_each(&t, count_it, &sum);
    report("each", start, count);
    start = now_ns();
    for (size_t i = 0; i < count; i++) sum += ((struct item *)table_random(&t, chance()))->header;
    report("random", start, count);
    void *sample[5];
    start = now_ns();
    for (size_t i = 0; i < count; i++) sum += table_sample(&t, chance(), sample, 5);
    report("sample of 5", start, count);
    start = now_ns();
    for (size_t i = 0; i < count; i++) {
        struct slice key = slice_make(hits[i], KEY_LEN);
        if (!table_remove(&t, key, hash_bytes(key))) abort();
    }
    report("remove, shrinking", start, count);
    for (size_t i = 0; i < count; i++) table_insert(&t, items[i], hash_bytes(item_key(items[i])));
    remove_as_scanned(&t, count);
    memory_at_fills(items, count, 1024);
    memory_at_fills(items, count, 1);
    return sum == 1;
}
