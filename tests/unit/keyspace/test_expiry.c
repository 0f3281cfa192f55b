/* test_expiry.c: cycles over all shards; what they take, what they leave, when they stop. */
#include "fixture.h"
#include "trivet/base/buf.h"
#include "trivet/base/random.h"

#define FOREVER_US INT64_C(3600000000)
#define PLENTY 20000
#define WORKERS 4

/* Keys 0..count-1 of a database; every nth expired a second ago, the others have an hour. */
static void fill(uint32_t db, size_t count, size_t nth) {
    char text[KEY_ROOM];
    for (size_t i = 0; i < count; i++)
        put(db, NOW_MS, key_text(text, "k", i), LIT("v"), i % nth ? NOW_MS + 3600000 : NOW_MS - 1000);
}

static void all_that_expired_goes_from_every_database(void **state) {
    (void)state;
    for (uint32_t db = 0; db < DATABASES; db++) fill(db, PLENTY, 2);
    put(0, NOW_MS, LIT("for good"), LIT("v"), NO_EXPIRY);
    assert_false(expiry_cycle(NOW_MS, FOREVER_US, note_flush));
    assert_int_equal(notes.expired, DATABASES * PLENTY / 2);
    assert_int_equal(COUNTER_SUM(expired), DATABASES * PLENTY / 2);
    assert_true(notes.flushed > 0);
    assert_int_equal(keyspace_count(0), PLENTY / 2 + 1);
    for (uint32_t db = 0; db < DATABASES; db++) assert_int_equal(keyspace_expires(db), PLENTY / 2);
    check_counts();
    assert_int_equal(COUNTER_SUM(expiry_cap_reached), 0);
}

static void the_hook_learns_key_database_and_instant(void **state) {
    (void)state;
    put(3, NOW_MS, LIT("lonely"), LIT("v"), NOW_MS);
    expiry_cycle(NOW_MS, FOREVER_US, NULL);
    assert_int_equal(notes.expired, 0);
    expiry_cycle(NOW_MS + 1, FOREVER_US, NULL);
    assert_int_equal(notes.expired, 1);
    assert_int_equal(notes.db, 3);
    assert_int_equal(notes.now_ms, NOW_MS + 1);
    assert_string_equal(notes.key, "lonely");
    assert_int_equal(notes.saved, 0);
}

static void a_running_snapshot_gets_the_image_first(void **state) {
    (void)state;
    fill(1, 100, 1);
    keyspace_walk_begin(&note_saver);
    expiry_cycle(NOW_MS, FOREVER_US, NULL);
    assert_int_equal(notes.expired, 100);
    assert_int_equal(notes.saved, 100);
}

/* With few stale entries a cycle does a modest part, and the cycles together get round. */
static void little_that_is_stale_is_left_to_later_cycles(void **state) {
    (void)state;
    fill(0, 10 * PLENTY, 20);
    expiry_cycle(NOW_MS, FOREVER_US, NULL);
    size_t first = notes.expired;
    assert_in_range(first, 1, PLENTY / 2 / 10);
    size_t cycles = 1;
    for (; notes.expired < PLENTY / 2; cycles++) {
        assert_true(cycles < 1000);
        expiry_cycle(NOW_MS, FOREVER_US, NULL);
    }
    assert_true(cycles > 10);
    check_counts();
}

static void a_cycle_out_of_time_goes_on_where_it_stopped(void **state) {
    (void)state;
    fill(0, PLENTY, 2);
    fill(2, PLENTY, 2);
    size_t calls = 0, before = 0, wants_more = 0;
    while (notes.expired < PLENTY) {
        wants_more += expiry_cycle(NOW_MS, 0, NULL);
        assert_true(notes.expired - before <= 128); /* one bite */
        before = notes.expired;
        assert_true(++calls < 100 * PLENTY);
    }
    assert_true(wants_more > 100); /* chance may leave a single bite with nothing stale in it */
    assert_true(COUNTER_SUM(expiry_cap_reached) > 100);
    check_counts();
}

/* However long the cycle may take, a slice ends with the bite in which its time is up. */
static void a_slice_does_no_more_than_it_may(void **state) {
    (void)state;
    fill(0, PLENTY, 1);
    uint64_t capped = COUNTER_SUM(expiry_cap_reached);
    size_t before = 0, slices = 0;
    expiry_begin(NOW_MS, FOREVER_US);
    while (expiry_is_due()) {
        (void)expiry_go_on(NOW_MS, 0, note_flush);
        assert_true(notes.expired - before <= 128); /* one bite */
        before = notes.expired;
        assert_true(++slices < 100 * PLENTY);
    }
    assert_int_equal(notes.expired, PLENTY); /* the cycle went on through all slices */
    assert_true(slices >= PLENTY / 128);
    assert_int_equal(COUNTER_SUM(expiry_cap_reached), capped);
    assert_false(expiry_go_on(NOW_MS, FOREVER_US, note_flush));
    check_counts();
}

static void a_cycle_that_the_next_one_overtakes_ran_out_of_time(void **state) {
    (void)state;
    fill(0, PLENTY, 1);
    uint64_t capped = COUNTER_SUM(expiry_cap_reached);
    expiry_begin(NOW_MS, FOREVER_US);
    (void)expiry_go_on(NOW_MS, 0, NULL);
    assert_true(expiry_is_due());
    expiry_begin(NOW_MS, FOREVER_US);
    assert_int_equal(COUNTER_SUM(expiry_cap_reached), capped + 1);
    (void)expiry_go_on(NOW_MS, FOREVER_US, NULL);
    assert_int_equal(notes.expired, PLENTY);
    assert_false(expiry_is_due());
}

static void switched_off_nothing_goes(void **state) {
    (void)state;
    fill(0, 100, 1);
    expiry_set_active(false);
    assert_false(expiry_cycle(NOW_MS, FOREVER_US, NULL));
    assert_int_equal(notes.expired, 0);
    expiry_set_active(true);
    expiry_cycle(NOW_MS, FOREVER_US, NULL);
    assert_int_equal(notes.expired, 100);
}

static void few_expiries_among_many_keys_are_found_in_one_cycle(void **state) {
    (void)state;
    char text[KEY_ROOM];
    for (size_t i = 0; i < PLENTY; i++) put(0, NOW_MS, key_text(text, "k", i), LIT("v"), NO_EXPIRY);
    for (size_t i = 0; i < 20; i++) put(0, NOW_MS, key_text(text, "x", i), LIT("v"), NOW_MS - 1);
    expiry_cycle(NOW_MS, FOREVER_US, NULL);
    expiry_cycle(NOW_MS, FOREVER_US, NULL);
    assert_int_equal(notes.expired, 20);
    assert_int_equal(keyspace_count(0), PLENTY);
}

static void changed_expiries_are_seen_as_they_are_now(void **state) {
    (void)state;
    fill(0, 1000, 1);
    struct keyspace_view view = view_at(0, NOW_MS - 2000);
    char text[KEY_ROOM];
    for (size_t i = 0; i < 1000; i++) {
        struct entry *e = keyspace_write(&view, key_text(text, "k", i));
        if (i % 4 < 2) e = keyspace_set_expiry(&view, e, NO_EXPIRY);
        if (i % 2) keyspace_set_expiry(&view, e, NOW_MS + 1);
    }
    expiry_cycle(NOW_MS, FOREVER_US, NULL);
    assert_int_equal(notes.expired, 250); /* i % 4 == 2 */
    assert_int_equal(keyspace_expires(0), 500);
    assert_int_equal(keyspace_count(0), 750);
    expiry_cycle(NOW_MS + 2, FOREVER_US, NULL);
    assert_int_equal(notes.expired, 750);
    check_counts();
}

static void the_estimates_follow_what_was_met(void **state) {
    (void)state;
    for (int i = 0; i < 400; i++) expiry_cycle(NOW_MS, FOREVER_US, NULL); /* forgets the tests before */
    assert_true(expiry_stale_percent() < 0.01);
    assert_int_equal(expiry_average_ttl_ms(1), 0);
    fill(1, PLENTY, 2);
    expiry_cycle(NOW_MS, FOREVER_US, NULL);
    assert_true(expiry_stale_percent() > 1 && expiry_stale_percent() < 5); /* a twentieth of 50 % */
    assert_int_equal(expiry_average_ttl_ms(1), 3600000);
    assert_int_equal(expiry_average_ttl_ms(0), 0);
    for (int i = 0; i < 200; i++) expiry_cycle(NOW_MS + 1800000, FOREVER_US, NULL);
    assert_in_range(expiry_average_ttl_ms(1), 1790000, 1900000);
    assert_true(expiry_stale_percent() < 0.01);
    keyspace_swap(1, 2);
    assert_int_equal(expiry_average_ttl_ms(1), 0);
    assert_true(expiry_average_ttl_ms(2) > 0);
}

/* Each thread is a worker: it sets and reads random keys and runs its cycles. */
static void *work(void *arg) {
    thread_worker_index = (int)(uintptr_t)arg;
    char text[KEY_ROOM];
    for (size_t i = 0; i < 20000; i++) {
        struct slice key = key_text(text, "k", random_below(5000));
        struct shard *s = shard_of(key);
        uint32_t db = (uint32_t)random_below(DATABASES);
        shard_lock(s);
        if (i % 3)
            put(db, NOW_MS, key, LIT("v"), NOW_MS + (int64_t)random_below(2000) - 1000);
        else
            (void)look(db, NOW_MS, key);
        shard_unlock(s);
        if (i % 50 == 0) expiry_cycle(NOW_MS, 200, note_flush);
        if (i % 1000 == 0) (void)expiry_average_ttl_ms(db), (void)expiry_stale_percent();
    }
    while (expiry_cycle(NOW_MS, FOREVER_US, note_flush)) {
    }
    return NULL;
}

static int start_four(void **state) {
    (void)state;
    return keyspace_start_with(WORKERS);
}

static bool is_not_expired(void *arg, struct entry *e) {
    (void)arg;
    return !entry_is_expired(e, NOW_MS);
}

static void four_workers_share_the_shards(void **state) {
    (void)state;
    pthread_t threads[WORKERS];
    for (size_t i = 0; i < WORKERS; i++) assert_true(thread_start(&threads[i], "work", work, (void *)i));
    for (size_t i = 0; i < WORKERS; i++) pthread_join(threads[i], NULL);
    /* Each in turn now, so that nobody adds any more: until all is gone. */
    for (int round = 0; round < 100; round++)
        for (thread_worker_index = 0; thread_worker_index < WORKERS; thread_worker_index++)
            expiry_cycle(NOW_MS, FOREVER_US, note_flush);
    thread_worker_index = 0;
    for (uint32_t db = 0; db < DATABASES; db++) assert_true(keyspace_each(db, is_not_expired, NULL));
    assert_int_equal(notes.expired, COUNTER_SUM(expired));
    check_counts();
}

#define EXPIRY_TEST(f) cmocka_unit_test_setup_teardown(f, keyspace_start, keyspace_end)

int main(void) {
    const struct CMUnitTest tests[] = {
        EXPIRY_TEST(all_that_expired_goes_from_every_database),
        EXPIRY_TEST(the_hook_learns_key_database_and_instant),
        EXPIRY_TEST(a_running_snapshot_gets_the_image_first),
        EXPIRY_TEST(little_that_is_stale_is_left_to_later_cycles),
        EXPIRY_TEST(a_cycle_out_of_time_goes_on_where_it_stopped),
        EXPIRY_TEST(a_slice_does_no_more_than_it_may),
        EXPIRY_TEST(a_cycle_that_the_next_one_overtakes_ran_out_of_time),
        EXPIRY_TEST(switched_off_nothing_goes),
        EXPIRY_TEST(few_expiries_among_many_keys_are_found_in_one_cycle),
        EXPIRY_TEST(changed_expiries_are_seen_as_they_are_now),
        EXPIRY_TEST(the_estimates_follow_what_was_met),
        cmocka_unit_test_setup_teardown(four_workers_share_the_shards, start_four, keyspace_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
