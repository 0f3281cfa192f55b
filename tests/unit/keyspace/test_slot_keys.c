/* test_slot_keys.c: in a cluster, what is asked of a slot concerns its keys and no others. */
#include "fixture.h"

#define HERE 700
#define OTHERS 30

static int start_by_slot(void **state) {
    if (keyspace_start(state) != 0) return -1;
    keyspace_release();
    keyspace_init(DATABASES, true);
    return 0;
}

static void fill(void) {
    char room[KEY_ROOM];
    for (size_t i = 0; i < HERE; i++)
        put(i % 2, 0, key_text(room, "{here}", i), LIT("v"), i % 3 ? NO_EXPIRY : 5000);
    for (size_t i = 0; i < OTHERS; i++) put(0, 0, key_text(room, "other", i), LIT("v"), NO_EXPIRY);
}

static void its_keys_are_counted_by_database(void **state) {
    (void)state;
    uint16_t slot = slot_of_key(LIT("here"));
    fill();
    assert_int_equal(keyspace_slot_count(0, slot), HERE / 2);
    assert_int_equal(keyspace_slot_count(1, slot), HERE / 2);
    assert_int_equal(keyspace_slot_count(2, slot), 0);
    assert_int_equal(keyspace_slot_count(0, (uint16_t)(slot + 1)), 0);
    check_counts();
}

struct seen {
    size_t count, most;
};

static bool see(void *arg, const struct entry *e) {
    struct seen *s = arg;
    assert_int_equal(slot_of_key(entry_key(e)), slot_of_key(LIT("here")));
    return ++s->count < s->most;
}

static void its_keys_are_visited_until_it_is_enough(void **state) {
    (void)state;
    struct seen all = { 0, SIZE_MAX }, some = { 0, 10 };
    fill();
    keyspace_slot_each(0, slot_of_key(LIT("here")), see, &all);
    keyspace_slot_each(0, slot_of_key(LIT("here")), see, &some);
    keyspace_slot_each(3, slot_of_key(LIT("here")), see, &some);
    assert_int_equal(all.count, HERE / 2);
    assert_int_equal(some.count, 10);
}

static void they_go_and_the_others_stay(void **state) {
    (void)state;
    uint16_t slot = slot_of_key(LIT("here"));
    fill();
    assert_int_equal(keyspace_slot_drop(slot, true, 0), HERE);
    assert_int_equal(notes.moved, HERE);
    assert_int_equal(keyspace_slot_count(0, slot) + keyspace_slot_count(1, slot), 0);
    assert_int_equal(keyspace_count(0), OTHERS);
    assert_int_equal(keyspace_count(1), 0);
    assert_int_equal(keyspace_expires(0) + keyspace_expires(1), 0);
    check_counts();
    assert_int_equal(keyspace_slot_drop(slot, false, 0), 0);
}

#define SLOT_TEST(f) cmocka_unit_test_setup_teardown(f, start_by_slot, keyspace_end)

int main(void) {
    const struct CMUnitTest tests[] = {
        SLOT_TEST(its_keys_are_counted_by_database),
        SLOT_TEST(its_keys_are_visited_until_it_is_enough),
        SLOT_TEST(they_go_and_the_others_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
