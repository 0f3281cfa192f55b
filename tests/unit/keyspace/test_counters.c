/* test_counters.c: blocks that only their workers write, and sums over all of them. */
#include "fixture.h"

#define WORKERS 3

static int start(void **state) {
    (void)state;
    return keyspace_start_with(WORKERS);
}

static void a_sum_is_that_of_all_workers(void **state) {
    (void)state;
    for (int worker = 0; worker < WORKERS; worker++) {
        thread_worker_index = worker;
        COUNTER_ADD(counters_mine()->expired, (uint64_t)worker + 1);
        COUNTER_ADD(uses_mine(1)->hits, (uint64_t)worker + 1);
    }
    thread_worker_index = THREAD_NO_WORKER; /* a thread that is none counts with the first */
    COUNTER_ADD(counters_mine()->expired, 10);
    COUNTER_ADD(uses_mine(3)->hits, 10);
    thread_worker_index = 0;
    assert_int_equal(COUNTER_SUM(expired), 16);
    assert_int_equal(COUNTER_SUM(expiry_us), 0);
    assert_int_equal(COUNTER_SUM_USES(hits, 1), 6);
    assert_int_equal(COUNTER_SUM_USES(hits, 3), 10);
    assert_int_equal(COUNTER_SUM_ALL_USES(hits), 16);
    assert_int_equal(COUNTER_SUM_ALL_USES(misses), 0);
}

static void a_sum_by_database_may_be_negative_in_one_block_only(void **state) {
    (void)state;
    COUNTER_ADD(keyspace_counters[0].keys[2], -3);
    assert_int_equal(COUNTER_SUM_DATABASE(keys, 2), 0);
    COUNTER_ADD(keyspace_counters[2].keys[2], 5);
    assert_int_equal(COUNTER_SUM_DATABASE(keys, 2), 2);
    assert_int_equal(COUNTER_SUM_DATABASE(keys, 1), 0);
    assert_int_equal(COUNTER_SUM_DATABASE(dated, 2), 0);
}

static void databases_change_places_with_all_that_they_hold_and_keep_their_uses(void **state) {
    (void)state;
    struct keyspace_counters *c = &keyspace_counters[1];
    atomic_int_fast64_t *const arrays[] = { c->keys, c->expires, c->dated, c->average_ttl_ms, c->ttl_weight };
    for (size_t i = 0; i < COUNT_OF(arrays); i++) atomic_store(&arrays[i][0], (int64_t)i + 1);
    COUNTER_ADD(c->uses[3].hits, 5);
    counters_swap_databases(c, 0, 3);
    assert_int_equal(c->uses[0].hits, 0);
    assert_int_equal(c->uses[3].hits, 5);
    for (size_t i = 0; i < COUNT_OF(arrays); i++) {
        assert_int_equal(arrays[i][0], 0);
        assert_int_equal(arrays[i][3], i + 1);
    }
}

static void a_reset_leaves_what_databases_hold_and_changes(void **state) {
    (void)state;
    struct keyspace_counters *c = &keyspace_counters[0];
    atomic_uint_fast64_t *const all[] = {
        &c->expired, &c->expired_fields, &c->expiry_us, &c->eviction_us, &c->expiry_cap_reached,
        &c->uses[2].hits, &c->uses[2].misses, &c->uses[2].evicted, &c->uses[2].refused
    };
    for (size_t i = 0; i < COUNT_OF(all); i++) COUNTER_ADD(*all[i], 7);
    COUNTER_ADD(c->dirty, 7);
    COUNTER_ADD(c->keys[0], 7);
    counters_reset();
    for (size_t i = 0; i < COUNT_OF(all); i++) assert_int_equal(*all[i], 0);
    assert_int_equal(c->dirty, 7);
    assert_int_equal(c->keys[0], 7);
    atomic_store(&c->dirty, 0);
}

#define COUNTERS_TEST(f) cmocka_unit_test_setup_teardown(f, start, keyspace_end)

int main(void) {
    const struct CMUnitTest tests[] = {
        COUNTERS_TEST(a_sum_is_that_of_all_workers),
        COUNTERS_TEST(a_sum_by_database_may_be_negative_in_one_block_only),
        COUNTERS_TEST(databases_change_places_with_all_that_they_hold_and_keep_their_uses),
        COUNTERS_TEST(a_reset_leaves_what_databases_hold_and_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
