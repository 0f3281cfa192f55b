/* test_database.c: limits and policies of single databases: whose entries go, what the access field means
 * where policies differ, and what one database's limit leaves to the others. */
#include "fixture.h"
#include "trivet/keyspace/database.h"

#define MINUTE_MS INT64_C(60000)

static char big_text[1 << 20];

static void fill(uint32_t db, size_t count, size_t dated, size_t size) {
    char text[KEY_ROOM];
    for (size_t i = 0; i < count; i++)
        put(db, NOW_MS, key_text(text, "k", i), slice_make(big_text, size),
            i < dated ? NOW_MS + 1000000 + (int64_t)i : NO_EXPIRY);
}

static void configure(uint64_t maxmemory, unsigned policy, const struct database rows[DATABASES]) {
    struct eviction_settings settings = eviction_settings;
    settings.maxmemory = maxmemory;
    settings.policy = policy;
    eviction_configure(&settings, rows, NOW_MS);
}

#define NOTHING \
    { .policy = POLICY_NOEVICTION }

static void only_the_database_at_its_limit_gives(void **state) {
    (void)state;
    static const unsigned policies[] = {
        POLICY_ALLKEYS_LRU, POLICY_ALLKEYS_LFU, POLICY_ALLKEYS_RANDOM, POLICY_VOLATILE_LRU,
        POLICY_VOLATILE_LFU, POLICY_VOLATILE_TTL, POLICY_VOLATILE_RANDOM,
    };
    for (size_t p = 0; p < COUNT_OF(policies); p++) {
        for (uint32_t db = 0; db < DATABASES; db++) fill(db, 1000, 1000, 500);
        size_t each = keyspace_bytes(0), before = notes.evicted;
        configure(0, POLICY_NOEVICTION,
                  (struct database[]){ NOTHING,
                                       { .maxmemory = each / 2, .policy = policies[p] },
                                       { .maxmemory = each * 2, .policy = POLICY_ALLKEYS_LRU },
                                       NOTHING });
        for (uint32_t db = 0; db < DATABASES; db++)
            assert_int_equal(eviction_make_room_in(db, NOW_MS, note_flush), ROOM_ENOUGH);
        assert_true(keyspace_bytes(1) <= each / 2);
        assert_in_range(keyspace_bytes(1), each / 2 - 2000, each / 2); /* and no more than it takes */
        size_t gone = notes.evicted - before;
        assert_int_equal(keyspace_count(1), 1000 - gone);
        assert_int_equal(COUNTER_SUM_USES(evicted, 1), notes.evicted);
        for (uint32_t db = 0; db < DATABASES; db++)
            if (db != 1) assert_int_equal(keyspace_count(db), 1000);
        assert_int_equal(notes.db, 1);
        check_counts();
        for (uint32_t db = 0; db < DATABASES; db++) keyspace_flush(db, false);
    }
    assert_int_equal(notes.flushed, notes.evicted);
}

static void a_database_without_anything_to_give_is_stuck(void **state) {
    (void)state;
    for (uint32_t db = 0; db < DATABASES; db++) fill(db, 100, 0, 500);
    size_t each = keyspace_bytes(0);
    configure(0, POLICY_ALLKEYS_LRU,
              (struct database[]){ { .maxmemory = each - 1, .policy = POLICY_NOEVICTION },
                                   { .maxmemory = each - 1, .policy = POLICY_VOLATILE_TTL },
                                   { .maxmemory = each, .policy = POLICY_NOEVICTION },
                                   { .policy = POLICY_ALLKEYS_LRU } });
    static const bool stuck[DATABASES] = { true, true, false, false };
    for (uint32_t db = 0; db < DATABASES; db++) {
        assert_int_equal(eviction_is_stuck(db), stuck[db]);
        assert_int_equal(eviction_look_in(db), stuck[db] ? ROOM_NONE : ROOM_ENOUGH);
        assert_int_equal(eviction_make_room_in(db, NOW_MS, NULL), stuck[db] ? ROOM_NONE : ROOM_ENOUGH);
    }
    assert_int_equal(notes.evicted, 0);
    /* One more with an expiry, and it can give. */
    put(1, NOW_MS, LIT("dated"), LIT("x"), NOW_MS + 5000);
    assert_false(eviction_is_stuck(1));
    assert_int_equal(eviction_make_room_in(1, NOW_MS, NULL), ROOM_NONE); /* but that was not enough */
    assert_int_equal(notes.evicted, 1);
    assert_null(look(1, NOW_MS, LIT("dated")));
    /* What goes makes it free. */
    struct keyspace_view view = view_at(0, NOW_MS);
    keyspace_delete(&view, keyspace_write(&view, LIT("k7")), false);
    assert_false(eviction_is_stuck(0));
    assert_int_equal(eviction_make_room_in(0, NOW_MS, NULL), ROOM_ENOUGH);
}

static void a_limit_stays_with_the_number_when_databases_change_places(void **state) {
    (void)state;
    fill(0, 100, 0, 500);
    configure(
        0, POLICY_NOEVICTION,
        (struct database[]){ NOTHING, { .maxmemory = 1000, .policy = POLICY_NOEVICTION }, NOTHING, NOTHING });
    assert_false(eviction_is_stuck(0) || eviction_is_stuck(1));
    keyspace_swap(0, 1);
    assert_true(eviction_is_stuck(1));
    assert_false(eviction_is_stuck(0));
}

/* The whole is at its limit: a database whose own policy is noeviction keeps all. */
static void the_limit_of_the_whole_takes_where_policies_let_it(void **state) {
    (void)state;
    for (uint32_t db = 0; db < DATABASES; db++) fill(db, 1000, db == 3 ? 500 : 0, 500);
    configure(mem_used_exact() - 500 * 500, POLICY_NOEVICTION,
              (struct database[]){ { .policy = POLICY_ALLKEYS_LRU },
                                   NOTHING,
                                   { .policy = POLICY_ALLKEYS_LFU },
                                   { .policy = POLICY_VOLATILE_TTL } });
    assert_int_equal(eviction_make_room(NOW_MS, note_flush), ROOM_ENOUGH);
    assert_true(mem_used_exact() <= eviction_settings.maxmemory);
    assert_int_equal(keyspace_count(1), 1000);
    static const uint32_t giving[] = { 0, 2, 3 };
    for (size_t i = 0; i < COUNT_OF(giving); i++) assert_in_range(keyspace_count(giving[i]), 500, 950);
    /* In proportion to what each may give: twice as many entries may go from 0 as from 3. */
    assert_true(1000 - keyspace_count(0) > 1000 - keyspace_count(3));
    assert_in_range(keyspace_count(3), 500, 1000);
    check_counts();
}

static void without_any_policy_that_gives_there_is_no_room(void **state) {
    (void)state;
    for (uint32_t db = 0; db < DATABASES; db++) fill(db, 100, 50, 500);
    configure(mem_used_exact() / 2, POLICY_ALLKEYS_LRU,
              (struct database[]){ NOTHING, NOTHING, NOTHING, NOTHING });
    assert_int_equal(eviction_make_room(NOW_MS, NULL), ROOM_NONE);
    assert_int_equal(notes.evicted, 0);
    /* An empty database that would give changes nothing. */
    keyspace_flush(2, false);
    configure(mem_used_exact() / 2, POLICY_NOEVICTION,
              (struct database[]){ NOTHING, NOTHING, { .policy = POLICY_ALLKEYS_LRU }, NOTHING });
    assert_int_equal(eviction_make_room(NOW_MS, NULL), ROOM_NONE);
    assert_int_equal(notes.evicted, 0);
}

/* Of two databases of one policy the older entries go, in whichever they are. */
static void databases_of_one_policy_compete_for_the_whole(void **state) {
    (void)state;
    char text[KEY_ROOM];
    for (size_t i = 0; i < 1000; i++)
        put(0, NOW_MS - 50 * MINUTE_MS, key_text(text, "k", i), slice_make(big_text, 500), NO_EXPIRY);
    fill(2, 1000, 0, 500);
    configure(mem_used_exact() - 300 * 500, POLICY_ALLKEYS_RANDOM,
              (struct database[]){
                  { .policy = POLICY_ALLKEYS_LRU }, NOTHING, { .policy = POLICY_ALLKEYS_LRU }, NOTHING });
    assert_int_equal(eviction_make_room(NOW_MS, NULL), ROOM_ENOUGH);
    assert_true(keyspace_count(2) > 990); /* a sample may have met none of the old ones */
    assert_true(keyspace_count(0) < 800);
}

static void everywhere_is_the_whole_and_each_database(void **state) {
    (void)state;
    for (uint32_t db = 0; db < DATABASES; db++) fill(db, 500, 0, 500);
    size_t each = keyspace_bytes(0);
    configure(0, POLICY_ALLKEYS_LRU,
              (struct database[]){ { .maxmemory = each / 2, .policy = POLICY_ALLKEYS_LRU },
                                   { .policy = POLICY_ALLKEYS_LRU },
                                   { .maxmemory = each / 4, .policy = POLICY_ALLKEYS_RANDOM },
                                   { .policy = POLICY_ALLKEYS_LRU } });
    eviction_make_room_everywhere(NOW_MS, note_flush);
    assert_true(keyspace_bytes(0) <= each / 2 && keyspace_bytes(2) <= each / 4);
    assert_int_equal(keyspace_count(1) + keyspace_count(3), 1000);
}

/* ---- the access field ---- */

static const struct database lfu_in_one[DATABASES] = {
    { .policy = POLICY_ALLKEYS_LRU }, { .policy = POLICY_ALLKEYS_LFU }, { .policy = POLICY_VOLATILE_LFU },
    { .policy = POLICY_NOEVICTION },
};

static void a_field_means_what_the_policy_of_its_database_says(void **state) {
    (void)state;
    configure(0, POLICY_ALLKEYS_LRU, lfu_in_one);
    for (uint32_t db = 0; db < DATABASES; db++) {
        put(db, NOW_MS, LIT("k"), LIT("v"), NO_EXPIRY);
        struct keyspace_view later = view_at(db, NOW_MS + 10 * MINUTE_MS);
        assert_int_equal(eviction_counts_uses(db), db == 1 || db == 2);
        uint32_t access = keyspace_peek(&later, LIT("k"))->access;
        if (eviction_counts_uses(db))
            assert_int_equal(eviction_frequency(access, NOW_MS), 5);
        else
            assert_in_range(eviction_idle_ms(access, later.now_ms), 10 * MINUTE_MS - 256, 10 * MINUTE_MS);
        access = keyspace_read(&later, LIT("k"))->access;
        if (!eviction_counts_uses(db)) assert_int_equal(eviction_idle_ms(access, later.now_ms), 0);
    }
}

static void a_field_is_translated_on_its_way_to_another_database(void **state) {
    (void)state;
    configure(0, POLICY_ALLKEYS_LRU, lfu_in_one);
    uint32_t idle = eviction_access_idle(30 * MINUTE_MS, NOW_MS),
             often = eviction_access_frequency(77, NOW_MS);
    assert_int_equal(eviction_access_moved(0, 3, idle, NOW_MS), idle);
    assert_int_equal(eviction_access_moved(1, 2, often, NOW_MS), often);
    assert_int_equal(eviction_frequency(eviction_access_moved(0, 1, idle, NOW_MS), NOW_MS - 30 * MINUTE_MS),
                     5);
    assert_int_equal(eviction_frequency(eviction_access_moved(0, 1, idle, NOW_MS), NOW_MS), 0);
    uint32_t later = eviction_access_moved(2, 3, often, NOW_MS + 20 * MINUTE_MS);
    assert_in_range(eviction_idle_ms(later, NOW_MS + 20 * MINUTE_MS), 19 * MINUTE_MS, 21 * MINUTE_MS);
}

static uint32_t field(uint32_t db) { return look(db, NOW_MS, LIT("k"))->access; }

static void fields_follow_a_change_of_policy_and_of_places(void **state) {
    (void)state;
    put(0, NOW_MS - 5 * MINUTE_MS, LIT("k"), LIT("v"), NO_EXPIRY);
    configure(0, POLICY_ALLKEYS_LFU, NULL);
    assert_int_equal(eviction_frequency(field(0), NOW_MS - 5 * MINUTE_MS), 5);
    configure(0, POLICY_ALLKEYS_LFU,
              (struct database[]){ { .policy = POLICY_ALLKEYS_LRU },
                                   { .policy = POLICY_ALLKEYS_LFU },
                                   { .policy = POLICY_ALLKEYS_LFU },
                                   { .policy = POLICY_ALLKEYS_LFU } });
    assert_in_range(eviction_idle_ms(field(0), NOW_MS), 4 * MINUTE_MS, 6 * MINUTE_MS);
    put(1, NOW_MS, LIT("k"), LIT("v"), NO_EXPIRY);
    keyspace_swap(0, 1);
    eviction_swapped(0, 1, NOW_MS);
    assert_in_range(eviction_idle_ms(field(0), NOW_MS), 0, MINUTE_MS);
    assert_int_equal(eviction_frequency(field(1), NOW_MS - 5 * MINUTE_MS), 5);
    configure(0, POLICY_ALLKEYS_LRU, NULL);
    assert_in_range(eviction_idle_ms(field(1), NOW_MS), 4 * MINUTE_MS, 6 * MINUTE_MS);
}

/* ---- ghosts ---- */

static void a_database_with_a_limit_has_its_own_ghosts(void **state) {
    (void)state;
    configure(64 << 20, POLICY_NOEVICTION, NULL);
    assert_int_equal(eviction_ghost_bytes(), 0);
    configure(0, POLICY_NOEVICTION,
              (struct database[]){ { .maxmemory = 32 << 20, .policy = POLICY_ALLKEYS_LRU },
                                   { .maxmemory = 32 << 20, .policy = POLICY_ALLKEYS_LFU },
                                   { .maxmemory = 32 << 20, .policy = POLICY_NOEVICTION },
                                   { .policy = POLICY_ALLKEYS_LRU } });
    assert_int_equal(eviction_ghost_bytes(), (32 << 20) / 128);
    configure(64 << 20, POLICY_NOEVICTION,
              (struct database[]){ { .maxmemory = 32 << 20, .policy = POLICY_ALLKEYS_LRU },
                                   NOTHING,
                                   NOTHING,
                                   { .policy = POLICY_ALLKEYS_LRU } });
    assert_int_equal(eviction_ghost_bytes(), (96 << 20) / 128);
    configure(0, POLICY_NOEVICTION, NULL);
    assert_int_equal(eviction_ghost_bytes(), 0);
}

/* Every key of database 0 is evicted, and comes back in both databases. */
static void a_key_that_comes_back_is_known_in_its_own_database_only(void **state) {
    (void)state;
    enum { KEYS = 500 };
    const struct database rows[DATABASES] = { { .maxmemory = 400000, .policy = POLICY_ALLKEYS_LRU },
                                              { .maxmemory = 400000, .policy = POLICY_ALLKEYS_LRU },
                                              { .policy = POLICY_ALLKEYS_LRU },
                                              NOTHING };
    char text[KEY_ROOM];
    size_t known[DATABASES] = { 0 };
    configure(0, POLICY_ALLKEYS_LRU, rows);
    fill(0, KEYS, 0, 500);
    put(0, NOW_MS + MINUTE_MS, LIT("big"), slice_make(big_text, 399000), NO_EXPIRY);
    assert_int_equal(eviction_make_room_in(0, NOW_MS + MINUTE_MS, NULL), ROOM_ENOUGH);
    assert_true(notes.evicted >= KEYS - 5);
    for (uint32_t db = 0; db < DATABASES; db++)
        for (size_t i = 0; i < KEYS; i++) {
            if (look(db, NOW_MS, key_text(text, "k", i))) continue;
            put(db, NOW_MS, key_text(text, "k", i), LIT("back"), NO_EXPIRY);
            known[db] += (look(db, NOW_MS, key_text(text, "k", i))->access & 3) > 0;
        }
    assert_true(known[0] > KEYS / 2);
    assert_int_equal(known[1] + known[2] + known[3], 0);
}

#define DATABASE_TEST(f) cmocka_unit_test_setup_teardown(f, keyspace_start, keyspace_end)

int main(void) {
    const struct CMUnitTest tests[] = {
        DATABASE_TEST(only_the_database_at_its_limit_gives),
        DATABASE_TEST(a_database_without_anything_to_give_is_stuck),
        DATABASE_TEST(a_limit_stays_with_the_number_when_databases_change_places),
        DATABASE_TEST(the_limit_of_the_whole_takes_where_policies_let_it),
        DATABASE_TEST(without_any_policy_that_gives_there_is_no_room),
        DATABASE_TEST(databases_of_one_policy_compete_for_the_whole),
        DATABASE_TEST(everywhere_is_the_whole_and_each_database),
        DATABASE_TEST(a_field_means_what_the_policy_of_its_database_says),
        DATABASE_TEST(a_field_is_translated_on_its_way_to_another_database),
        DATABASE_TEST(fields_follow_a_change_of_policy_and_of_places),
        DATABASE_TEST(a_database_with_a_limit_has_its_own_ghosts),
        DATABASE_TEST(a_key_that_comes_back_is_known_in_its_own_database_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
