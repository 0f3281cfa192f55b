/* test_eviction_quality.c: a cache in front of a database, simulated: how many requests does it answer,
 * beside a cache of the same number of keys that evicts exactly the least recently used?
 *
 * The trace is Zipf's: key n is asked for 1/n^0.9 as often as key 1; it is drawn from a fixed seed, so
 * only the sampling itself differs from run to run, by much less than the bounds. */
#include "fixture.h"

#define KEYS 20000
#define REQUESTS 300000
#define WARM_UP 100000 /* not counted */
#define VALUE_SIZE 500
#define ROOM_FOR 2000 /* keys, about */

static uint32_t trace[REQUESTS];

static uint64_t next_random(uint64_t *x) { /* xorshift64 */
    *x ^= *x << 13;
    *x ^= *x >> 7;
    return *x ^= *x << 17;
}

/* Draws by the sums of 1/n^0.9 and a search in them. */
static void draw_trace(void) {
    static double up_to[KEYS];
    double sum = 0;
    for (size_t n = 0; n < KEYS; n++) {
        sum += __builtin_pow((double)(n + 1), -0.9);
        up_to[n] = sum;
    }
    uint64_t seed = 88172645463325252ULL;
    for (size_t i = 0; i < REQUESTS; i++) {
        double at = (double)(next_random(&seed) >> 11) * 0x1p-53 * sum;
        size_t low = 0, high = KEYS - 1;
        while (low < high) {
            size_t middle = (low + high) / 2;
            if (up_to[middle] < at)
                low = middle + 1;
            else
                high = middle;
        }
        trace[i] = (uint32_t)low;
    }
}

struct result {
    double hit_ratio;
    size_t keys; /* in the cache on average */
};

/* Every request is a read and, if that misses, a write: through the real thing. */
static struct result run_cache(unsigned policy, bool learning, int64_t step_ms) {
    static const char value[VALUE_SIZE];
    size_t hits = 0, keys = 0;
    eviction_settings.policy = policy;
    eviction_settings.maxmemory = mem_used_exact() + (size_t)ROOM_FOR * (VALUE_SIZE + 80);
    if (learning) eviction_settings_changed();
    for (size_t i = 0; i < REQUESTS; i++) {
        char text[KEY_ROOM];
        struct slice key = key_text(text, "key", trace[i]);
        struct keyspace_view view = view_at(0, NOW_MS + (int64_t)i * step_ms);
        bool hit = keyspace_read(&view, key) != NULL;
        if (!hit) {
            assert_int_equal(eviction_make_room(view.now_ms, NULL), ROOM_ENOUGH);
            put(0, view.now_ms, key, slice_make(value, sizeof value), view.now_ms + INT64_C(86400000000));
        }
        if (i < WARM_UP) continue;
        hits += hit;
        keys += keyspace_count(0);
    }
    keyspace_flush(0, false);
    eviction_settings.maxmemory = 0;
    eviction_settings_changed();
    return (struct result){ (double)hits / (REQUESTS - WARM_UP), keys / (REQUESTS - WARM_UP) };
}

/* The exact one: a list in the order of use, as indices; KEYS is its head. */
static uint32_t newer[KEYS + 1], older[KEYS + 1];
static bool cached[KEYS];

static void unlink_key(uint32_t k) {
    older[newer[k]] = older[k];
    newer[older[k]] = newer[k];
}

static void link_newest(uint32_t k) {
    older[k] = older[KEYS];
    newer[k] = KEYS;
    newer[older[KEYS]] = k;
    older[KEYS] = k;
}

static double true_lru(size_t room) {
    size_t hits = 0, count = 0;
    memset(cached, 0, sizeof cached);
    older[KEYS] = newer[KEYS] = KEYS;
    for (size_t i = 0; i < REQUESTS; i++) {
        uint32_t k = trace[i];
        hits += i >= WARM_UP && cached[k];
        if (cached[k]) {
            unlink_key(k);
        } else if (++count > room) {
            uint32_t oldest = newer[KEYS];
            unlink_key(oldest);
            cached[oldest] = false;
            count--;
        }
        link_newest(k);
        cached[k] = true;
    }
    return (double)hits / (REQUESTS - WARM_UP);
}

/* Without ghosts nothing is learned, and uses count for nothing. */
static void without_ghosts_five_samples_come_close_to_true_lru(void **state) {
    (void)state;
    draw_trace();
    struct result lru = run_cache(POLICY_ALLKEYS_LRU, false, 100);
    double exact = true_lru(lru.keys);
    print_message("allkeys-lru %.2f%%, exact %.2f%% (%zu keys)\n", lru.hit_ratio * 100, exact * 100,
                  lru.keys);
    assert_in_range(lru.keys, ROOM_FOR / 2, ROOM_FOR * 2);
    assert_true(lru.hit_ratio > exact - 0.005);
    assert_true(lru.hit_ratio < exact + 0.005);
}

static void lru_learns_to_beat_true_lru_where_popularity_stays(void **state) {
    (void)state;
    static const unsigned of[] = { POLICY_ALLKEYS_LRU, POLICY_VOLATILE_LRU };
    static const int64_t steps_ms[] = { 0, 1, 100 }; /* at rest, fast and slow, by the clock of the entries */
    draw_trace();
    for (size_t i = 0; i < sizeof of / sizeof *of; i++)
        for (size_t s = 0; s < sizeof steps_ms / sizeof *steps_ms; s++) {
            struct result lru = run_cache(of[i], true, steps_ms[s]);
            double exact = true_lru(lru.keys);
            print_message("%s, %d ms: %.2f%%, exact LRU %.2f%% (%zu keys)\n", i ? "volatile" : "allkeys",
                          (int)steps_ms[s], lru.hit_ratio * 100, exact * 100, lru.keys);
            assert_true(lru.hit_ratio > exact + 0.04);
        }
}

/* Reads these keys, puts those that are not there, and returns how many were. */
static size_t read_through(const char *prefix, size_t from, size_t count, int64_t now_ms) {
    static const char value[VALUE_SIZE];
    size_t hits = 0;
    for (size_t i = from; i < from + count; i++) {
        char text[KEY_ROOM];
        struct slice key = key_text(text, prefix, i);
        struct keyspace_view view = view_at(0, now_ms);
        if (keyspace_read(&view, key)) {
            hits++;
            continue;
        }
        assert_int_equal(eviction_make_room(now_ms, NULL), ROOM_ENOUGH);
        put(0, now_ms, key, slice_make(value, sizeof value), NO_EXPIRY);
    }
    return hits;
}

static void limit_and_learn(void) {
    eviction_settings.policy = POLICY_ALLKEYS_LRU;
    eviction_settings.maxmemory = mem_used_exact() + (size_t)ROOM_FOR * (VALUE_SIZE + 80);
    eviction_settings_changed();
}

/* Between two uses of the hot ones come more keys than there is room for: true LRU would keep none. */
static void keys_used_once_do_not_flush_the_others(void **state) {
    (void)state;
    enum { HOT = ROOM_FOR / 2, ROUNDS = 20, ONCE = ROOM_FOR };
    int64_t now_ms = NOW_MS;
    size_t hits = 0;
    limit_and_learn();
    for (size_t round = 0; round < ROUNDS; round++, now_ms += 10000) {
        size_t found = read_through("hot", 0, HOT, now_ms);
        if (round >= ROUNDS / 2) hits += found;
        for (size_t i = 0; i < ONCE; i += ONCE / 100)
            (void)read_through("once", round * ONCE + i, ONCE / 100, now_ms + (int64_t)i);
    }
    print_message("%zu of %d hot keys found\n", hits, HOT * ROUNDS / 2);
    assert_true(hits > HOT * ROUNDS / 2 / 10 * 9);
}

/* Whatever it has learned. */
static void what_was_used_just_now_stays(void **state) {
    (void)state;
    enum { USED = ROOM_FOR / 4 };
    limit_and_learn();
    (void)read_through("once", 0, 20 * ROOM_FOR, NOW_MS);
    int64_t later = NOW_MS + 60000;
    for (int round = 0; round < 20; round++, later += 60000) {
        (void)read_through("used", (size_t)round * USED, USED, later);
        (void)read_through("used", (size_t)round * USED, USED, later + 1000);
        (void)read_through("other", (size_t)round * USED, USED, later + 2000);
        size_t there = 0;
        for (size_t i = 0; i < USED; i++) {
            char text[KEY_ROOM];
            there += look(0, later + 2000, key_text(text, "used", (size_t)round * USED + i)) != NULL;
        }
        assert_in_range(there, USED - USED / 100, USED);
    }
}

static void frequency_beats_recency_where_popularity_stays(void **state) {
    (void)state;
    draw_trace();
    struct result lfu = run_cache(POLICY_ALLKEYS_LFU, false, 1);
    struct result lru = run_cache(POLICY_VOLATILE_LRU, false, 1);
    struct result random = run_cache(POLICY_ALLKEYS_RANDOM, false, 1);
    print_message("allkeys-lfu %.2f%%, volatile-lru %.2f%%, allkeys-random %.2f%%\n", lfu.hit_ratio * 100,
                  lru.hit_ratio * 100, random.hit_ratio * 100);
    assert_true(lfu.hit_ratio > lru.hit_ratio + 0.03);
    assert_true(lru.hit_ratio > random.hit_ratio + 0.02);
}

/* Slow traffic: most counters have decayed to nothing, and only the day they did tells the entries apart. */
static void frequency_still_tells_where_all_counters_are_low(void **state) {
    (void)state;
    draw_trace();
    struct result lfu = run_cache(POLICY_ALLKEYS_LFU, false, 100);
    struct result random = run_cache(POLICY_ALLKEYS_RANDOM, false, 100);
    print_message("slow: allkeys-lfu %.2f%%, allkeys-random %.2f%%\n", lfu.hit_ratio * 100,
                  random.hit_ratio * 100);
    assert_true(lfu.hit_ratio > random.hit_ratio + 0.015);
}

/* With 10,000 keys of which a tenth goes, the average place of those that went, in the order of expiry. */
static void the_nearest_expiry_goes_first(void **state) {
    (void)state;
    static const char value[VALUE_SIZE];
    char text[KEY_ROOM];
    eviction_settings.policy = POLICY_VOLATILE_TTL;
    for (size_t i = 0; i < 10000; i++)
        put(0, NOW_MS, key_text(text, "k", i), slice_make(value, sizeof value), NOW_MS + 1000 + (int64_t)i);
    eviction_settings.maxmemory = mem_used_exact() - 1000 * VALUE_SIZE;
    assert_int_equal(eviction_make_room(NOW_MS, NULL), ROOM_ENOUGH);
    size_t gone = 0, places = 0;
    for (size_t i = 0; i < 10000; i++) {
        if (look(0, NOW_MS, key_text(text, "k", i))) continue;
        gone++;
        places += i;
    }
    print_message("volatile-ttl: place %zu of 10000 on average, %zu gone\n", places / gone, gone);
    assert_in_range(gone, 500, 1100);
    assert_true(places / gone < 1000); /* the best possible is 500, by chance it were 5000 */
}

#define QUALITY_TEST(f) cmocka_unit_test_setup_teardown(f, keyspace_start, keyspace_end)

int main(void) {
    const struct CMUnitTest tests[] = {
        QUALITY_TEST(without_ghosts_five_samples_come_close_to_true_lru),
        QUALITY_TEST(lru_learns_to_beat_true_lru_where_popularity_stays),
        QUALITY_TEST(keys_used_once_do_not_flush_the_others),
        QUALITY_TEST(what_was_used_just_now_stays),
        QUALITY_TEST(frequency_beats_recency_where_popularity_stays),
        QUALITY_TEST(frequency_still_tells_where_all_counters_are_low),
        QUALITY_TEST(the_nearest_expiry_goes_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
