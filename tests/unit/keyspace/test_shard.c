/* test_shard.c: the databases of a shard, and whose it is. */
#include "fixture.h"
#include <pthread.h>

static void databases_are_made_on_first_use(void **state) {
    (void)state;
    struct shard *s = &shards[7];
    assert_ptr_equal(shard_db(s, 0), &s->first);
    assert_ptr_equal(shard_db_make(s, 0), &s->first);
    assert_null(shard_db(s, 1));
    assert_null(shard_db(s, 1000));
    assert_int_equal(shard_last_db(s), 0);
    struct keydb *third = shard_db_make(s, 3);
    assert_non_null(third);
    assert_int_equal(shard_last_db(s), 3);
    assert_null(shard_db(s, 2));
    struct keydb *second = shard_db_make(s, 2);
    assert_ptr_equal(shard_db_make(s, 3), third);
    assert_ptr_equal(shard_db(s, 2), second);
    assert_int_equal(table_count(&second->table) + second->expires + second->expiry_cursor, 0);
    assert_null(shard_db(&shards[8], 3));
}

static void a_key_lives_in_the_shard_of_its_hash(void **state) {
    (void)state;
    size_t used = 0;
    bool seen[SHARD_MAX] = { false };
    for (size_t i = 0; i < 20000; i++) {
        uint32_t shard = SHARD_OF(hash_bytes(slice_make(&i, sizeof i)));
        assert_in_range(shard, 0, shard_count - 1);
        used += !seen[shard];
        seen[shard] = true;
    }
    assert_in_range(used, shard_count - 5, shard_count);
}

static void *ask(void *arg) {
    *(bool *)arg = shard_is_mine(&shards[3]);
    return NULL;
}

static bool another_has_it(void) {
    bool answer = true;
    pthread_t other;
    assert_int_equal(pthread_create(&other, NULL, ask, &answer), 0);
    pthread_join(other, NULL);
    return answer;
}

/* Without debugging nobody knows, and everybody is believed. */
static void a_shared_shard_is_of_whoever_locked_it_or_runs_alone(void **state) {
    (void)state;
#ifdef TRIVET_DEBUG
    const bool known = true;
#else
    const bool known = false;
#endif
    shards_are_mine = false;
    assert_true(shard_is_mine(&shards[3])); /* one worker */
    shards_are_shared = true;
    assert_int_equal(shard_is_mine(&shards[3]), !known);
    shard_lock(&shards[3]);
    assert_true(shard_is_mine(&shards[3]));
    assert_int_equal(shard_is_mine(&shards[4]), !known);
    assert_int_equal(another_has_it(), !known);
    shard_unlock(&shards[3]);
    assert_int_equal(shard_is_mine(&shards[3]), !known);
    walk_halt();
    assert_true(shard_is_mine(&shards[3]));
    assert_int_equal(another_has_it(), !known);
    walk_resume();
    shards_are_shared = false;
}

#define SHARD_TEST(f) cmocka_unit_test_setup_teardown(f, keyspace_start, keyspace_end)

int main(void) {
    const struct CMUnitTest tests[] = {
        SHARD_TEST(databases_are_made_on_first_use),
        SHARD_TEST(a_key_lives_in_the_shard_of_its_hash),
        SHARD_TEST(a_shared_shard_is_of_whoever_locked_it_or_runs_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
