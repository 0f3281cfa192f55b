/* test_walk.c: what the keyspace tells the saver of a walk, and how exclusive commands halt it. */
#include "fixture.h"
#include "trivet/base/clock.h"
#include "trivet/types/set.h"
#include <sched.h>
#include <stdatomic.h>

#include <cmocka.h>

/* What the saver of these tests was told. */
static struct {
    const struct entry *changing; /* the last one */
    uint32_t db;
    size_t changes, placed;
    uint32_t placed_in;
    bool adopts;
    struct entry *adopted;
    struct keyspace_flushed *flushed;
    uint32_t flushed_db, swapped_a, swapped_b;
} told;

static void on_change(uint32_t db, struct entry *e) {
    assert_int_not_equal(e->epoch, keyspace_epoch);
    told.changing = e;
    told.db = db;
    told.changes++;
}

static void on_placed(const struct entry *e, uint32_t shard) {
    assert_int_not_equal(e->type, TYPE_STRING);
    told.placed++;
    told.placed_in = shard;
}

static bool on_adopted(struct entry *e) {
    if (told.adopts) told.adopted = e;
    return told.adopts;
}

static void on_flushed(uint32_t db, struct keyspace_flushed *f) {
    told.flushed_db = db;
    told.flushed = f;
}

static void on_swapped(uint32_t a, uint32_t b) {
    told.swapped_a = a;
    told.swapped_b = b;
}

static const struct keyspace_saver saver = { on_change, on_placed, on_adopted, on_flushed, on_swapped };

static int start(void **state) {
    memset(&told, 0, sizeof told);
    return keyspace_start(state);
}

static void put_set(uint32_t db, const char *key) {
    struct keyspace_view view = view_at(db, NOW_MS);
    struct value v = set_new_empty();
    set_add(&v, LIT("member"));
    keyspace_put(&view, entry_new_value(slice_of(key), TYPE_SET, v, NO_EXPIRY));
}

static void new_entries_are_none_of_its_business(void **state) {
    (void)state;
    keyspace_walk_begin(&saver);
    put(0, NOW_MS, LIT("new"), LIT("v"), NO_EXPIRY);
    struct keyspace_view view = view_at(0, NOW_MS);
    assert_non_null(keyspace_write(&view, LIT("new")));
    assert_int_equal(told.changes, 0);
}

static void an_entry_is_told_once_whatever_is_done_to_it(void **state) {
    (void)state;
    put(2, NOW_MS, LIT("old"), LIT("v"), NO_EXPIRY);
    keyspace_walk_begin(&saver);
    struct keyspace_view view = view_at(2, NOW_MS);
    struct entry *e = keyspace_write(&view, LIT("old"));
    assert_ptr_equal(told.changing, e);
    assert_int_equal(told.db, 2);
    e = keyspace_set_expiry(&view, e, NOW_MS + 1000);
    keyspace_detach(&view, e);
    keyspace_insert(&view, entry_renamed(e, LIT("renamed")));
    e = keyspace_write(&view, LIT("renamed"));
    keyspace_delete(&view, e, false);
    assert_int_equal(told.changes, 1);
}

static void what_would_be_freed_can_be_taken_over(void **state) {
    (void)state;
    put_set(0, "taken");
    put_set(0, "left");
    put(0, NOW_MS, LIT("string"), LIT("v"), NO_EXPIRY);
    keyspace_walk_begin(&saver);
    struct keyspace_view view = view_at(0, NOW_MS);
    keyspace_delete(&view, keyspace_write(&view, LIT("left")), true);
    told.adopts = true;
    keyspace_delete(&view, keyspace_write(&view, LIT("string")), true); /* strings are not offered */
    assert_null(told.adopted);
    struct entry *e = keyspace_write(&view, LIT("taken"));
    keyspace_put(&view, entry_new_string(LIT("taken"), LIT("over"), NO_EXPIRY));
    assert_ptr_equal(told.adopted, e);
    entry_free(e);
}

static void a_value_is_placed_where_its_new_key_is(void **state) {
    (void)state;
    put_set(0, "from");
    keyspace_walk_begin(&saver);
    struct keyspace_view view = view_at(0, NOW_MS);
    struct entry *e = keyspace_write(&view, LIT("from"));
    keyspace_detach(&view, e);
    keyspace_insert(&view, entry_renamed(e, LIT("to")));
    assert_int_equal(told.placed, 1);
    assert_int_equal(told.placed_in, SHARD_OF(hash_bytes(LIT("to"))));
    put(0, NOW_MS, LIT("there"), LIT("v"), NO_EXPIRY);
    e = keyspace_write(&view, LIT("to"));
    keyspace_detach(&view, e);
    keyspace_put(&view, entry_renamed(e, LIT("there"))); /* in the place of another */
    assert_int_equal(told.placed, 2);
    assert_int_equal(told.placed_in, SHARD_OF(hash_bytes(LIT("there"))));
}

static void whole_databases_are_handed_over_and_change_places(void **state) {
    (void)state;
    for (int i = 0; i < 100; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        put(1, NOW_MS, slice_of(key), LIT("v"), NO_EXPIRY);
    }
    keyspace_walk_begin(&saver);
    keyspace_swap(1, 3);
    assert_int_equal(told.swapped_a, 1);
    assert_int_equal(told.swapped_b, 3);
    assert_int_equal(keyspace_flush(3, true), 100);
    assert_int_equal(told.flushed_db, 3);
    size_t entries = 0;
    for (uint32_t i = 0; i < shard_count; i++) entries += table_count(&told.flushed->tables[i]);
    assert_int_equal(entries, 100);
    assert_int_equal(keyspace_count(3), 0);
    keyspace_flushed_free(told.flushed);
}

static void one_worker_needs_locks_only_during_a_walk(void **state) {
    (void)state;
    bool epoch = keyspace_epoch;
    assert_false(shards_are_shared);
    keyspace_walk_begin(&saver);
    assert_true(shards_are_shared && keyspace_is_walked());
    assert_int_equal(keyspace_epoch, !epoch);
    keyspace_walk_end();
    assert_false(shards_are_shared || keyspace_is_walked());
}

/* ---- halting ---- */

static atomic_int inside; /* the walker is in a slice */
static atomic_bool ending;

static void *walk_on(void *arg) {
    while (!atomic_load(&ending)) {
        walk_enter();
        atomic_fetch_add(&inside, 1);
        sched_yield();
        atomic_fetch_sub(&inside, 1);
        walk_leave();
    }
    return arg;
}

static void a_halt_comes_through_and_keeps_the_walker_out(void **state) {
    (void)state;
    atomic_store(&ending, false);
    pthread_t walker;
    assert_true(thread_start(&walker, "walker", walk_on, NULL));
    for (int i = 0; i < 200; i++) {
        walk_halt();
        assert_int_equal(atomic_load(&inside), 0);
        sched_yield();
        assert_int_equal(atomic_load(&inside), 0);
        walk_resume();
    }
    atomic_store(&ending, true);
    pthread_join(walker, NULL);
}

#define WALK_TEST(f) cmocka_unit_test_setup_teardown(f, start, keyspace_end)

int main(void) {
    const struct CMUnitTest tests[] = {
        WALK_TEST(new_entries_are_none_of_its_business),
        WALK_TEST(an_entry_is_told_once_whatever_is_done_to_it),
        WALK_TEST(what_would_be_freed_can_be_taken_over),
        WALK_TEST(a_value_is_placed_where_its_new_key_is),
        WALK_TEST(whole_databases_are_handed_over_and_change_places),
        WALK_TEST(one_worker_needs_locks_only_during_a_walk),
        WALK_TEST(a_halt_comes_through_and_keeps_the_walker_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
