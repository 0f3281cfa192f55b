/* test_eviction.c: the access field, the policies, and the time and memory that eviction may take.
 * How well it chooses is in test_eviction_quality.c. */
#include "fixture.h"
#include "trivet/base/background.h"
#include "trivet/base/random.h"
#include <semaphore.h>

#define WORKERS 4
#define MINUTE_MS INT64_C(60000)
#define TICK_MS 128
#define WRAP_MS ((INT64_C(1) << 27) * TICK_MS) /* the LRU clock goes round once in this time */
#define DAY_MS INT64_C(86400000)

static char big_text[1 << 20];

static void limit_to(size_t bytes) { eviction_settings.maxmemory = bytes; }
static size_t used(void) { return mem_used_exact(); }

/* Keys "k0".. of a database, with `size` bytes each; those from `persistent` on have no expiry. */
static void fill(uint32_t db, size_t count, size_t persistent, size_t size) {
    char text[KEY_ROOM];
    for (size_t i = 0; i < count; i++)
        put(db, NOW_MS, key_text(text, "k", i), slice_make(big_text, size),
            i < persistent ? NOW_MS + 1000000 + (int64_t)i : NO_EXPIRY);
}

/* ---- the access field ---- */

static void idle_time_is_right_to_an_eighth_of_a_second(void **state) {
    (void)state;
    static const int64_t starts[] = { NOW_MS, 0, WRAP_MS - 100, WRAP_MS * 7 - 5000 };
    static const int64_t idles[] = { 0, 100, 12300, DAY_MS, 190 * DAY_MS };
    eviction_settings.policy = POLICY_ALLKEYS_LRU;
    for (size_t s = 0; s < COUNT_OF(starts); s++)
        for (size_t i = 0; i < COUNT_OF(idles); i++) {
            int64_t now_ms = starts[s] + idles[i];
            uint32_t access = eviction_access_used(0, 0, starts[s]);
            assert_true(access <= ENTRY_ACCESS_MASK);
            assert_in_range(eviction_idle_ms(access, now_ms) - idles[i] + TICK_MS, 1, 2 * TICK_MS - 1);
            /* What was asked for in seconds is never less. */
            access = eviction_access_idle(idles[i], now_ms);
            assert_in_range(eviction_idle_ms(access, now_ms) - idles[i], 0, TICK_MS - 1);
        }
}

static void uses_are_counted_up_to_three_beside_the_idle_time(void **state) {
    (void)state;
    eviction_settings.policy = POLICY_ALLKEYS_LRU;
    uint32_t access = eviction_access_new(0, NOW_MS);
    for (uint32_t uses = 0; uses <= 5; uses++) {
        int64_t now_ms = NOW_MS + (int64_t)uses * 10 * TICK_MS;
        assert_int_equal(access & 3, uses < 3 ? uses : 3);
        assert_int_equal(eviction_idle_ms(access, now_ms + 5 * TICK_MS),
                         uses > 0 ? 15 * TICK_MS : 5 * TICK_MS);
        access = eviction_access_used(0, access, now_ms);
    }
}

static void a_clock_that_was_set_back_makes_nobody_old(void **state) {
    (void)state;
    eviction_settings.policy = POLICY_ALLKEYS_LRU;
    uint32_t access = eviction_access_new(0, NOW_MS);
    assert_int_equal(eviction_idle_ms(access, NOW_MS - 100), 0);
    assert_int_equal(eviction_idle_ms(access, NOW_MS - 3000000), 0);
    int64_t most = eviction_idle_ms(eviction_access_idle(INT64_MAX, NOW_MS), NOW_MS);
    assert_true(most > 194 * DAY_MS);
}

static void the_counter_starts_at_five_and_decays_each_period(void **state) {
    (void)state;
    eviction_settings.policy = POLICY_ALLKEYS_LFU;
    assert_int_equal(eviction_frequency(eviction_access_new(0, NOW_MS), NOW_MS), 5);
    static const struct { int period; uint8_t from; int minutes; uint8_t to; } cases[] = {
        { 1, 100, 0, 100 }, { 1, 100, 30, 70 }, { 1, 100, 200, 0 }, { 10, 100, 9, 100 }, { 10, 100, 10, 99 },
        { 10, 100, 65, 94 }, { 0, 100, 10000, 100 }, { 1, 255, 1, 254 }, { 1, 0, 5, 0 }, { 1, 3, 65535, 0 },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        for (int64_t start = NOW_MS; start < NOW_MS + 70000 * MINUTE_MS; start += 7001 * MINUTE_MS) {
            eviction_settings.lfu_decay_minutes = cases[i].period;
            uint32_t access = eviction_access_frequency(cases[i].from, start);
            assert_true(access <= ENTRY_ACCESS_MASK);
            assert_int_equal(eviction_frequency(access, start), cases[i].from);
            assert_int_equal(eviction_frequency(access, start + cases[i].minutes * MINUTE_MS), cases[i].to);
        }
}

/* Used in every minute, it still loses one in ten: the begun period goes on. */
static void uses_do_not_put_off_the_decay(void **state) {
    (void)state;
    eviction_settings.policy = POLICY_ALLKEYS_LFU;
    eviction_settings.lfu_decay_minutes = 10;
    eviction_settings.lfu_log_factor = 1000000000;
    uint32_t access = eviction_access_frequency(100, NOW_MS);
    for (int minute = 1; minute <= 100; minute++)
        access = eviction_access_used(0, access, NOW_MS + minute * MINUTE_MS);
    assert_int_equal(eviction_frequency(access, NOW_MS + 100 * MINUTE_MS), 90);
}

static void the_counter_grows_with_the_logarithm_of_the_uses(void **state) {
    (void)state;
    static const struct { int factor; int uses; int least, most; } cases[] = {
        { 0, 100, 105, 105 }, { 0, 1000, 255, 255 }, { 10, 100, 6, 25 }, { 10, 1000, 8, 45 },
        { 10, 100000, 110, 185 }, { 10, 3000000, 255, 255 }, { 100, 100000, 30, 75 },
    };
    eviction_settings.policy = POLICY_ALLKEYS_LFU;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        eviction_settings.lfu_log_factor = cases[i].factor;
        uint32_t access = eviction_access_new(0, NOW_MS);
        for (int n = 0; n < cases[i].uses; n++) access = eviction_access_used(0, access, NOW_MS);
        assert_in_range(eviction_frequency(access, NOW_MS), cases[i].least, cases[i].most);
    }
}

/* ---- the policies ---- */

static const unsigned policies[] = {
    POLICY_VOLATILE_LRU, POLICY_VOLATILE_LFU, POLICY_VOLATILE_TTL, POLICY_VOLATILE_RANDOM,
    POLICY_ALLKEYS_LRU, POLICY_ALLKEYS_LFU, POLICY_ALLKEYS_RANDOM,
};

static void every_policy_gets_under_the_limit(void **state) {
    (void)state;
    for (size_t p = 0; p < COUNT_OF(policies); p++) {
        eviction_settings.policy = policies[p];
        limit_to(0);
        for (uint32_t db = 0; db < DATABASES; db += 2) fill(db, 2000, 1000, 1000);
        limit_to(used() - 500 * 1000);
        size_t before = notes.evicted;
        assert_int_equal(eviction_make_room(NOW_MS, note_flush), ROOM_ENOUGH);
        assert_true(used() <= eviction_settings.maxmemory);
        size_t gone = notes.evicted - before;
        assert_in_range(gone, 300, 520); /* not many more than it takes */
        assert_int_equal(notes.flushed, notes.evicted);
        assert_int_equal(notes.evicted, COUNTER_SUM_ALL_USES(evicted));
        assert_int_equal(keyspace_count(0) + keyspace_count(2), 4000 - gone);
        /* Both databases give, as both are of one size. */
        assert_in_range(keyspace_count(0), 2000 - gone, 1999);
        size_t expires = keyspace_expires(0) + keyspace_expires(2);
        if (!(policies[p] & EVICT_ALLKEYS)) assert_int_equal(expires, 2000 - gone);
        check_counts();
        for (uint32_t db = 0; db < DATABASES; db++) keyspace_flush(db, false);
    }
}

static void ghosts_take_less_than_a_hundredth_and_only_under_lru(void **state) {
    (void)state;
    limit_to(64 << 20);
    for (size_t p = 0; p < COUNT_OF(policies); p++) {
        size_t before = used();
        eviction_settings.policy = policies[p];
        eviction_settings_changed();
        size_t least = policies[p] & EVICT_LRU ? (64 << 20) / 200 : 0, most = least * 2;
        assert_in_range(eviction_ghost_bytes(), least, most);
        eviction_settings.policy = POLICY_NOEVICTION;
        eviction_settings_changed();
        assert_int_equal(eviction_ghost_bytes(), 0);
        assert_int_equal(used(), before);
    }
}

static void of_one_age_the_big_go_first(void **state) {
    (void)state;
    char text[KEY_ROOM];
    eviction_settings.policy = POLICY_ALLKEYS_LRU;
    for (size_t i = 0; i < 2000; i++)
        put(0, NOW_MS, key_text(text, "k", i), slice_make(big_text, i % 2 ? 10000 : 100), NO_EXPIRY);
    limit_to(used() - 500 * 10000);
    assert_int_equal(eviction_make_room(NOW_MS + 60000, NULL), ROOM_ENOUGH);
    size_t small = 0;
    for (size_t i = 0; i < 2000; i += 2) small += look(0, NOW_MS, key_text(text, "k", i)) != NULL;
    assert_in_range(small, 990, 1000);
}

static void a_limit_not_reached_evicts_nothing(void **state) {
    (void)state;
    eviction_settings.policy = POLICY_ALLKEYS_LRU;
    fill(0, 1000, 0, 100);
    limit_to(used() + 1000);
    assert_int_equal(eviction_make_room(NOW_MS, note_flush), ROOM_ENOUGH);
    assert_int_equal(notes.evicted, 0);
    limit_to(0);
    assert_false(eviction_has_limit());
    assert_int_equal(eviction_make_room(NOW_MS, note_flush), ROOM_ENOUGH);
}

static void noeviction_evicts_nothing_and_says_so(void **state) {
    (void)state;
    fill(0, 1000, 1000, 100);
    limit_to(used() / 2);
    assert_int_equal(eviction_make_room(NOW_MS, note_flush), ROOM_NONE);
    assert_int_equal(notes.evicted, 0);
}

static void volatile_policies_find_the_last_key_that_may_go(void **state) {
    (void)state;
    fill(1, 30000, 3, 1); /* one in ten thousand */
    for (size_t p = 0; p < COUNT_OF(policies) && !(policies[p] & EVICT_ALLKEYS); p++) {
        char text[KEY_ROOM];
        eviction_settings.policy = policies[p];
        limit_to(0);
        for (size_t i = 0; i < 3; i++) put(1, NOW_MS, key_text(text, "k", i), LIT("v"), NOW_MS + 1);
        notes.evicted = 0;
        limit_to(1);
        assert_int_equal(eviction_make_room(NOW_MS, NULL), ROOM_NONE);
        assert_int_equal(notes.evicted, 3);
        assert_int_equal(keyspace_count(1), 29997);
        assert_int_equal(keyspace_expires(1), 0);
    }
}

static void allkeys_policies_can_empty_everything(void **state) {
    (void)state;
    for (size_t p = 4; p < COUNT_OF(policies); p++) {
        eviction_settings.policy = policies[p];
        for (uint32_t db = 0; db < DATABASES; db++) fill(db, 300, 100, 10);
        limit_to(1);
        assert_int_equal(eviction_make_room(NOW_MS, NULL), ROOM_NONE);
        for (uint32_t db = 0; db < DATABASES; db++) assert_int_equal(keyspace_count(db), 0);
        limit_to(0);
    }
}

static void what_has_expired_goes_first_and_counts_as_expired(void **state) {
    (void)state;
    eviction_settings.policy = POLICY_ALLKEYS_LRU;
    char text[KEY_ROOM];
    for (size_t i = 0; i < 4000; i++) {
        int64_t expiry_ms = i < 2000 ? NOW_MS - 1 : NO_EXPIRY;
        put(0, NOW_MS, key_text(text, "k", i), slice_make(big_text, 1000), expiry_ms);
    }
    limit_to(used() - 500 * 1000);
    assert_int_equal(eviction_make_room(NOW_MS, NULL), ROOM_ENOUGH);
    assert_true(notes.expired > 300);
    assert_true(notes.evicted < 20);
    check_counts();
}

/* Keys 0..999 are the first to go, so the pool fills with them; then they become the last. */
static void a_candidate_that_was_used_meanwhile_stays(void **state) {
    (void)state;
    for (unsigned lfu = 0; lfu < 2; lfu++) {
        char text[KEY_ROOM];
        int64_t later = NOW_MS + 1000;
        eviction_settings.policy = lfu ? POLICY_ALLKEYS_LFU : POLICY_ALLKEYS_LRU;
        eviction_settings.lfu_log_factor = 0;
        limit_to(0);
        fill(0, 2000, 0, 1000);
        uint32_t middle = lfu ? eviction_access_frequency(20, NOW_MS) : eviction_access_idle(500, later);
        for (size_t i = 1000; i < 2000; i++)
            look(0, NOW_MS, key_text(text, "k", i))->access = middle & ENTRY_ACCESS_MASK;
        limit_to(used() - 100);
        assert_int_equal(eviction_make_room(later, NULL), ROOM_ENOUGH);
        struct keyspace_view view = view_at(0, later);
        size_t before = notes.evicted, hot_before = 0, hot = 0;
        for (size_t i = 0; i < 1000 * 50; i++) {
            bool there = keyspace_read(&view, key_text(text, "k", i % 1000)) != NULL;
            hot_before += there && i < 1000;
        }
        limit_to(used() - 100 * 1000);
        assert_int_equal(eviction_make_room(later, NULL), ROOM_ENOUGH);
        for (size_t i = 0; i < 1000; i++) hot += look(0, later, key_text(text, "k", i)) != NULL;
        assert_in_range(notes.evicted - before, 60, 130);
        assert_in_range(hot_before - hot, 0, 1);
        keyspace_flush(0, false);
    }
}

static void an_old_image_is_saved_before_an_eviction(void **state) {
    (void)state;
    eviction_settings.policy = POLICY_ALLKEYS_RANDOM;
    fill(0, 1000, 0, 1000);
    keyspace_walk_begin(&note_saver);
    limit_to(used() - 100000);
    assert_int_equal(eviction_make_room(NOW_MS, NULL), ROOM_ENOUGH);
    assert_true(notes.saved > 0);
    assert_int_equal(notes.saved, notes.evicted);
}

static size_t hundred_thousand(void) { return 100000; }

static void memory_that_does_not_count_is_left_out(void **state) {
    (void)state;
    eviction_settings.policy = POLICY_ALLKEYS_LRU;
    fill(0, 1000, 0, 1000);
    limit_to(used() - 100000);
    eviction_not_counted = hundred_thousand;
    enum room room = eviction_make_room(NOW_MS, NULL);
    eviction_not_counted = NULL;
    assert_int_equal(room, ROOM_ENOUGH);
    assert_int_equal(notes.evicted, 0);
}

/* ---- time and memory ---- */

static void without_tenacity_a_call_stops_and_the_next_goes_on(void **state) {
    (void)state;
    eviction_settings.policy = POLICY_ALLKEYS_LRU;
    eviction_settings.tenacity = 0;
    fill(0, 1000, 0, 1000);
    assert_int_equal(eviction_exceeded_us(), 0);
    limit_to(used() - 200000);
    assert_int_equal(eviction_make_room(NOW_MS, NULL), ROOM_WORKING);
    assert_int_equal(notes.evicted, 16);
    while (eviction_exceeded_us() == 0) {
    } /* until the clock's next microsecond */
    size_t calls = 1;
    for (; eviction_make_room(NOW_MS, NULL) == ROOM_WORKING; calls++) assert_true(calls < 100);
    assert_true(calls > 5);
    assert_int_equal(eviction_exceeded_us(), 0);
    assert_true(COUNTER_SUM(eviction_us) > 0);
}

/* A write waits for no more than it needs. The room ahead, here some hundred entries, is made in slices. */
static void room_ahead_is_made_in_slices(void **state) {
    (void)state;
    eviction_settings.policy = POLICY_ALLKEYS_LRU;
    fill(0, 50000, 0, 1000);
    limit_to(used() - 5000);
    eviction_give_up(); /* what the tests before have begun */
    assert_int_equal(eviction_make_room(NOW_MS, note_flush), ROOM_ENOUGH);
    assert_in_range(notes.evicted, 5, 16);
    size_t before = notes.evicted, slices = 0;
    for (; eviction_is_due(); slices++) {
        eviction_go_on(NOW_MS, 0, note_flush);
        assert_true(notes.evicted - before <= 16);
        before = notes.evicted;
    }
    assert_true(slices > 10);
    assert_true(used() < eviction_settings.maxmemory - 500000);
    assert_true(used() > eviction_settings.maxmemory - 700000);
    eviction_make_room(NOW_MS, note_flush);
    assert_false(eviction_is_due()); /* there is room */
}

/* A lowered limit is no reason for every write to use up its time: one does, the others pay for their own. */
static void a_write_makes_room_for_what_came_since_the_last(void **state) {
    (void)state;
    eviction_settings.policy = POLICY_ALLKEYS_LRU;
    eviction_settings.tenacity = 0;
    fill(0, 20000, 0, 1000);
    limit_to(used() - 10000000);
    assert_int_equal(eviction_make_room(NOW_MS, note_flush), ROOM_WORKING); /* its time is up at once */
    size_t before = notes.evicted;
    eviction_settings.tenacity = 100; /* as much time as it takes */
    for (int i = 0; i < 10; i++, before = notes.evicted) {
        assert_int_equal(eviction_make_room(NOW_MS, note_flush), ROOM_WORKING);
        assert_int_equal(notes.evicted - before, 16); /* it does a little about the rest */
    }
    size_t over = used() - eviction_settings.maxmemory;
    char text[KEY_ROOM];
    for (size_t i = 0; i < 100; i++)
        put(0, NOW_MS, key_text(text, "new", i), slice_make(big_text, 1000), NO_EXPIRY);
    assert_int_equal(eviction_make_room(NOW_MS, note_flush), ROOM_WORKING);
    assert_true(used() - eviction_settings.maxmemory <= over);
    assert_in_range(notes.evicted - before, 50, 150);
    while (eviction_is_due()) eviction_go_on(NOW_MS, 1000, note_flush);
    assert_true(used() <= eviction_settings.maxmemory);
    assert_int_equal(eviction_make_room(NOW_MS, note_flush), ROOM_ENOUGH);
}

static sem_t held;

static void hold_up(void *arg) {
    (void)arg;
    while (sem_wait(&held) != 0) {
    }
}

/* While the background thread is held up, what was handed to it is not evicted for a second time. */
static void memory_on_its_way_is_not_evicted_twice(void **state) {
    (void)state;
    sem_init(&held, 0, 0);
    assert_true(background_start());
    background_post(hold_up, NULL, 1);
    eviction_settings.policy = POLICY_ALLKEYS_LRU;
    fill(0, 100, 0, sizeof big_text);
    limit_to(used() - 3 * sizeof big_text);
    for (int i = 0; i < 10; i++) assert_int_equal(eviction_make_room(NOW_MS, NULL), ROOM_ENOUGH);
    size_t gone = notes.evicted;
    size_t leaving = entry_leaving_bytes();
    sem_post(&held);
    background_stop();
    assert_in_range(gone, 3, 4);
    assert_true(leaving >= gone * sizeof big_text);
    assert_int_equal(entry_leaving_bytes(), 0);
    assert_true(used() <= eviction_settings.maxmemory);
    sem_destroy(&held);
}

/* But it does not pile up: beyond a part of the limit, the worker frees by itself. */
static void little_waits_for_a_background_thread_that_is_slow(void **state) {
    (void)state;
    sem_init(&held, 0, 0);
    assert_true(background_start());
    background_post(hold_up, NULL, 1);
    eviction_settings.policy = POLICY_ALLKEYS_RANDOM;
    fill(0, 100, 0, sizeof big_text);
    limit_to(used() / 2);
    enum room room = eviction_make_room(NOW_MS, NULL);
    size_t leaving = entry_leaving_bytes();
    sem_post(&held);
    background_stop();
    assert_int_equal(room, ROOM_ENOUGH);
    assert_in_range(notes.evicted, 45, 60);
    assert_true(leaving < eviction_settings.maxmemory / 8);
    sem_destroy(&held);
}

static void a_flush_under_way_is_no_reason_to_refuse(void **state) {
    (void)state;
    sem_init(&held, 0, 0);
    assert_true(background_start());
    background_post(hold_up, NULL, 1);
    eviction_settings.policy = POLICY_ALLKEYS_LRU;
    eviction_settings.tenacity = 0;
    fill(0, 1000, 0, 1000);
    limit_to(used() - 500000);
    keyspace_flush(0, true);
    enum room room = eviction_make_room(NOW_MS, NULL);
    sem_post(&held);
    background_stop();
    assert_int_equal(room, ROOM_WORKING);
    assert_int_equal(eviction_make_room(NOW_MS, NULL), ROOM_ENOUGH);
    sem_destroy(&held);
}

/* ---- threads ---- */

static void *work(void *arg) {
    thread_worker_index = (int)(uintptr_t)arg;
    char text[KEY_ROOM];
    for (size_t i = 0; i < 10000; i++) {
        int64_t now_ms = NOW_MS + (int64_t)i;
        struct slice key = key_text(text, "k", random_below(20000));
        uint32_t db = (uint32_t)random_below(2);
        if (eviction_make_room(now_ms, note_flush) == ROOM_NONE) abort();
        shard_lock(shard_of(key));
        int64_t expiry_ms = random_below(2) ? NO_EXPIRY : now_ms + 200;
        if (i % 3)
            put(db, now_ms, key, slice_make(big_text, 200), expiry_ms);
        else
            (void)look(db, now_ms, key);
        shard_unlock(shard_of(key));
        if (i % 100 == 0) expiry_cycle(now_ms, 100, note_flush);
    }
    eviction_thread_release();
    return NULL;
}

static int start_four(void **state) {
    (void)state;
    return keyspace_start_with(WORKERS);
}

static void four_workers_evict_side_by_side(void **state) {
    (void)state;
    eviction_settings.policy = POLICY_ALLKEYS_LRU;
    limit_to(used() + 1000000);
    eviction_settings_changed();
    assert_true(eviction_ghost_bytes() > 0); /* the workers share them */
    pthread_t threads[WORKERS];
    for (size_t i = 0; i < WORKERS; i++) assert_true(thread_start(&threads[i], "work", work, (void *)i));
    for (size_t i = 0; i < WORKERS; i++) pthread_join(threads[i], NULL);
    assert_int_equal(eviction_make_room(NOW_MS, NULL), ROOM_ENOUGH);
    assert_true(used() <= eviction_settings.maxmemory);
    assert_true(used() > eviction_settings.maxmemory - 300000);
    assert_int_equal(notes.evicted, COUNTER_SUM_ALL_USES(evicted));
    assert_true(notes.evicted > 0);
    check_counts();
}

#define EVICTION_TEST(f) cmocka_unit_test_setup_teardown(f, keyspace_start, keyspace_end)

int main(void) {
    const struct CMUnitTest tests[] = {
        EVICTION_TEST(idle_time_is_right_to_an_eighth_of_a_second),
        EVICTION_TEST(uses_are_counted_up_to_three_beside_the_idle_time),
        EVICTION_TEST(a_clock_that_was_set_back_makes_nobody_old),
        EVICTION_TEST(the_counter_starts_at_five_and_decays_each_period),
        EVICTION_TEST(uses_do_not_put_off_the_decay),
        EVICTION_TEST(the_counter_grows_with_the_logarithm_of_the_uses),
        EVICTION_TEST(every_policy_gets_under_the_limit),
        EVICTION_TEST(ghosts_take_less_than_a_hundredth_and_only_under_lru),
        EVICTION_TEST(of_one_age_the_big_go_first),
        EVICTION_TEST(a_limit_not_reached_evicts_nothing),
        EVICTION_TEST(noeviction_evicts_nothing_and_says_so),
        EVICTION_TEST(volatile_policies_find_the_last_key_that_may_go),
        EVICTION_TEST(allkeys_policies_can_empty_everything),
        EVICTION_TEST(what_has_expired_goes_first_and_counts_as_expired),
        EVICTION_TEST(a_candidate_that_was_used_meanwhile_stays),
        EVICTION_TEST(an_old_image_is_saved_before_an_eviction),
        EVICTION_TEST(memory_that_does_not_count_is_left_out),
        EVICTION_TEST(without_tenacity_a_call_stops_and_the_next_goes_on),
        EVICTION_TEST(room_ahead_is_made_in_slices),
        EVICTION_TEST(a_write_makes_room_for_what_came_since_the_last),
        EVICTION_TEST(memory_on_its_way_is_not_evicted_twice),
        EVICTION_TEST(little_waits_for_a_background_thread_that_is_slow),
        EVICTION_TEST(a_flush_under_way_is_no_reason_to_refuse),
        cmocka_unit_test_setup_teardown(four_workers_evict_side_by_side, start_four, keyspace_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
