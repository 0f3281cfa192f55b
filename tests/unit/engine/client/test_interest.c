/* Keys that somebody wants to hear of: one struct a key and database, gone with the last who cares. */
#include "trivet/base/hashing.h"
#include "trivet/base/mem.h"
#include "trivet/engine/client/interest.h"
#include "trivet/keyspace/keyspace.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static int begin(void **state) {
    (void)state;
    thread_worker_index = 0;
    thread_worker_count = 1;
    hash_init();
    keyspace_init(16, false);
    return 0;
}

static int end(void **state) {
    (void)state;
    keyspace_release();
    return 0;
}

static void a_key_is_found_in_its_database_only(void **state) {
    (void)state;
    char long_key[1000];
    memset(long_key, 'x', sizeof long_key);
    const struct slice keys[] = { LIT("k"), LIT(""), slice_make(long_key, sizeof long_key),
                                  slice_make("a\0b", 3) };
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        uint32_t shard = keyref_of(keys[i]).shard, db;
        struct shard *s = &shards[shard];
        assert_null(interest_find(s, 2, keys[i]));
        struct interest *made = interest_make(shard, 2, keys[i]);
        assert_ptr_equal(interest_make(shard, 2, keys[i]), made);
        assert_ptr_equal(interest_find(s, 2, keys[i]), made);
        assert_null(interest_find(s, 0, keys[i]));
        assert_null(interest_find(s, 2, LIT("another")));
        assert_true(slice_equal(interest_key(made, &db), keys[i]));
        assert_int_equal(db, 2);
        interest_drop(made);
    }
}

static void it_goes_when_nobody_cares_any_more(void **state) {
    (void)state;
    uint32_t shard = keyref_of(LIT("k")).shard;
    struct shard *s = &shards[shard];
    struct interest *i = interest_make(shard, 0, LIT("k"));
    struct interest *other = interest_make(shard, 1, LIT("k"));
    struct chain *const lists[] = { &i->watchers, &i->waiting };
    for (size_t n = 0; n < COUNT_OF(lists); n++) {
        struct chain_link somebody = { 0 };
        chain_insert_last(lists[n], &somebody);
        interest_drop(i);
        assert_ptr_equal(interest_find(s, 0, LIT("k")), i);
        chain_remove(lists[n], &somebody);
    }
    interest_drop(i);
    assert_null(interest_find(s, 0, LIT("k")));
    assert_non_null(s->interests);
    interest_drop(other);
    assert_null(s->interests); /* a write tests this one pointer */
}

static void count_databases(void *arg, struct interest *i) {
    uint32_t db;
    interest_key(i, &db);
    ((int *)arg)[db]++;
}

static void each_visits_every_one_once(void **state) {
    (void)state;
    uint32_t shard = keyref_of(LIT("k")).shard;
    struct interest *made[8];
    int seen[8] = { 0 };
    interest_each(&shards[shard], count_databases, seen);
    for (uint32_t db = 0; db < 8; db++) made[db] = interest_make(shard, db, LIT("k"));
    interest_each(&shards[shard], count_databases, seen);
    for (uint32_t db = 0; db < 8; db++) {
        assert_int_equal(seen[db], 1);
        interest_drop(made[db]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_found_in_its_database_only),
        cmocka_unit_test(it_goes_when_nobody_cares_any_more),
        cmocka_unit_test(each_visits_every_one_once),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
