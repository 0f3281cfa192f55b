/* test_leaving.c: keys of slots that are another node's are hidden at once and deleted in slices. */
#include "fixture.h"
#include "trivet/base/buf.h"
#include "trivet/keyspace/hidden.h"
#include "trivet/keyspace/leaving.h"

#define THERE 700 /* keys of the slot that leaves, in two databases */
#define OTHERS 30

static uint16_t slot;

static int start_by_slot(void **state) {
    if (keyspace_start(state) != 0) return -1;
    keyspace_release();
    keyspace_init(DATABASES, true);
    leaving_begin();
    slot = slot_of_key(LIT("there"));
    char room[KEY_ROOM];
    for (size_t i = 0; i < THERE; i++)
        put(i % 2, 0, key_text(room, "{there}", i), LIT("v"), i % 3 ? NO_EXPIRY : NOW_MS);
    for (size_t i = 0; i < OTHERS; i++) put(0, 0, key_text(room, "other", i), LIT("v"), NO_EXPIRY);
    return 0;
}

static int end(void **state) {
    slot_stay(slot);
    slot_show(slot, SLOT_ARRIVES);
    return keyspace_end(state);
}

/* Slices of nothing but a bite. */
static size_t finish(void) {
    size_t slices = 0;
    for (; leaving_is_due(); slices++) leaving_go_on(0, 0, true, note_flush);
    return slices;
}

static void its_keys_are_seen_no_more(void **state) {
    (void)state;
    struct keyspace_view view = view_at(0, 0);
    struct buf key = { 0 };
    assert_int_equal(slot_leave(slot), THERE);
    assert_true(slot_is_leaving(slot));
    assert_int_equal(keyspace_count(0), THERE / 2 + OTHERS);
    assert_int_equal(keyspace_count_seen(0), OTHERS);
    assert_int_equal(keyspace_count_staying(0), OTHERS);
    assert_int_equal(keyspace_count_seen(1), 0);
    assert_int_equal(keyspace_expires_seen(0), 0);
    assert_int_equal(keyspace_slot_count(0, slot), 0);
    view.db = 1;
    assert_false(keyspace_random_key(&view, &key));
    buf_release(&key);
}

static void they_go_in_slices(void **state) {
    (void)state;
    (void)slot_leave(slot);
    leaving_go_on(0, 0, true, note_flush);
    assert_int_equal(notes.flushed, 1);
    assert_in_range(notes.moved, 1, THERE / 4);
    assert_in_range(finish(), 5, THERE);
    assert_int_equal(notes.moved, THERE);
    assert_int_equal(keyspace_count(0), OTHERS);
    assert_int_equal(keyspace_count(1), 0);
    check_counts();
    assert_true(leaving_can_end());
    assert_int_equal(leaving_end(), 0);
    assert_false(leaving_can_end());
    assert_false(slot_is_hidden(slot));
}

static void one_slice_may_do_it_all(void **state) {
    (void)state;
    (void)slot_leave(slot);
    leaving_go_on(0, INT32_MAX, true, NULL);
    assert_int_equal(notes.moved, THERE);
    assert_false(leaving_is_due());
    leaving_go_on(0, INT32_MAX, true, NULL);
    assert_int_equal(notes.moved, THERE);
}

static void an_empty_slot_does_not_leave(void **state) {
    (void)state;
    assert_int_equal(slot_leave((uint16_t)(slot + 1)), 0);
    assert_false(slot_is_hidden(slot + 1u));
    assert_false(leaving_is_due());
}

static void one_that_comes_back_is_cleared(void **state) {
    (void)state;
    (void)slot_leave(slot);
    leaving_go_on(0, 0, true, NULL);
    size_t before = notes.moved;
    assert_int_equal(slot_clear(slot, true, 0), THERE - before);
    assert_int_equal(notes.moved, THERE);
    assert_false(slot_is_hidden(slot));
    put(1, 0, LIT("{there}new"), LIT("v"), NO_EXPIRY);
    (void)finish();
    assert_int_equal(keyspace_slot_count(1, slot), 1);
    assert_int_equal(notes.moved, THERE);
    check_counts();
}

static void one_that_stays_keeps_what_it_has(void **state) {
    (void)state;
    (void)slot_leave(slot);
    leaving_go_on(0, 0, true, NULL);
    slot_stay(slot);
    (void)finish();
    assert_int_equal(keyspace_slot_count(0, slot) + keyspace_slot_count(1, slot), THERE - notes.moved);
    assert_int_equal(keyspace_count_seen(0), keyspace_count(0));
    check_counts();
}

static void nothing_goes_while_data_stands_still(void **state) {
    (void)state;
    (void)slot_leave(slot);
    leaving_give_up();
    assert_false(leaving_is_due());
    leaving_go_on(0, INT32_MAX, true, NULL);
    assert_int_equal(notes.moved, 0);
    leaving_begin();
    (void)finish();
    assert_int_equal(notes.moved, THERE);
}

static void a_flush_takes_what_is_leaving(void **state) {
    (void)state;
    (void)slot_leave(slot);
    leaving_go_on(0, 0, true, NULL);
    size_t before = notes.moved;
    for (uint32_t db = 0; db < DATABASES; db++) (void)keyspace_flush(db, false);
    (void)finish();
    assert_int_equal(notes.moved, before);
    assert_int_equal(leaving_end(), 0);
}

static void what_a_walk_has_not_seen_is_saved_before_it_goes(void **state) {
    (void)state;
    (void)slot_leave(slot);
    leaving_go_on(0, 0, true, NULL);
    size_t before = notes.moved;
    keyspace_walk_begin(&note_saver);
    (void)finish();
    assert_int_equal(notes.saved, THERE - before);
}

static void a_busy_shard_is_left_for_later(void **state) {
    (void)state;
    (void)slot_leave(slot);
    atomic_fetch_add(&shards_kept, 1);
    shard_keeper[slot] = 7;
    shards_are_shared = true;
    leaving_go_on(0, INT32_MAX, true, NULL);
    assert_false(leaving_is_due());
    assert_int_equal(notes.moved, 0);
    shard_keeper[slot] = 0;
    atomic_fetch_sub(&shards_kept, 1);
    leaving_begin();
    (void)finish();
    assert_int_equal(notes.moved, THERE);
}

static void one_that_arrives_and_leaves_is_hidden_until_both_are_over(void **state) {
    (void)state;
    slot_hide(slot, SLOT_ARRIVES);
    assert_int_equal(keyspace_slot_count(0, slot), THERE / 2);
    assert_int_equal(keyspace_count_staying(0), THERE / 2 + OTHERS);
    (void)slot_leave(slot);
    slot_show(slot, SLOT_ARRIVES);
    assert_true(slot_is_hidden(slot));
    slot_stay(slot);
    assert_false(slot_is_hidden(slot));
}

#define SLOT_TEST(f) cmocka_unit_test_setup_teardown(f, start_by_slot, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        SLOT_TEST(its_keys_are_seen_no_more),
        SLOT_TEST(they_go_in_slices),
        SLOT_TEST(one_slice_may_do_it_all),
        SLOT_TEST(an_empty_slot_does_not_leave),
        SLOT_TEST(one_that_comes_back_is_cleared),
        SLOT_TEST(one_that_stays_keeps_what_it_has),
        SLOT_TEST(nothing_goes_while_data_stands_still),
        SLOT_TEST(a_flush_takes_what_is_leaving),
        SLOT_TEST(what_a_walk_has_not_seen_is_saved_before_it_goes),
        SLOT_TEST(a_busy_shard_is_left_for_later),
        SLOT_TEST(one_that_arrives_and_leaves_is_hidden_until_both_are_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
