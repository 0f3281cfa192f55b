/* test_compaction.c: passes of compaction: what they give back, what they leave as it is, and who may work
 * beside them. With slabs in every variant; and once more without, where a sanitizer sees who uses an entry
 * that moved. */
#include "fixture.h"
#include "trivet/base/random.h"
#include "trivet/keyspace/compaction.h"
#include <pthread.h>

#define KEYS 60000
#define WORKERS 4

static atomic_int_fast64_t clock_ms = NOW_MS;

static int start(void **state) {
    if (!slab_init((size_t)1 << 28)) return -1;
    return keyspace_start(state);
}

/* All blocks came back: slab_release() asserts it. */
static int end(void **state) {
    int result = keyspace_end(state);
    slab_thread_end();
    slab_check();
    slab_release();
    return result;
}

static struct slice text_of(char *room, size_t n) { return key_text(room, "the text of key ", n); }

static void fill(uint32_t db, size_t count, int64_t expiry_ms) {
    char key[KEY_ROOM], text[KEY_ROOM];
    for (size_t i = 0; i < count; i++)
        put(db, NOW_MS, key_text(key, "k", i), text_of(text, i), i % 2 ? expiry_ms : NO_EXPIRY);
}

static bool is_kept(size_t n) { return n * 0x9e3779b97f4a7c15ULL >> 60 == 0; }

/* All but one of sixteen, without a pattern. */
static void delete_most(uint32_t db, size_t count) {
    char key[KEY_ROOM];
    struct keyspace_view view = view_at(db, NOW_MS);
    for (size_t i = 0; i < count; i++)
        if (!is_kept(i)) keyspace_delete(&view, keyspace_write(&view, key_text(key, "k", i)), false);
}

static void check_rest(uint32_t db, size_t count, int64_t expiry_ms) {
    char key[KEY_ROOM], text[KEY_ROOM], scratch[INT64_TEXT_MAX];
    for (size_t i = 0; i < count; i++) {
        struct entry *e = look(db, NOW_MS, key_text(key, "k", i));
        assert_int_equal(e != NULL, is_kept(i));
        if (!e) continue;
        assert_true(slice_equal(entry_text(e, scratch), text_of(text, i)));
        assert_int_equal(entry_expiry_ms(e), i % 2 ? expiry_ms : NO_EXPIRY);
    }
    assert_int_equal(keyspace_bytes(db), keyspace_bytes_walked(db));
}

static size_t slabs_in_use(void) {
    struct slab_stats stats;
    slab_stats(&stats);
    return stats.slabs;
}

/* Asks for a pass and does it to its end, in bites. Returns how many bites. */
static size_t run_pass(void) {
    size_t bites = 0;
    clock_ms += 60000;
    compaction_cron(clock_ms);
    while (compaction_step(clock_ms) > 0) bites++;
    assert_int_equal(compaction_effort(), 0);
    return bites;
}

static void what_a_big_deletion_left_is_given_back(void **state) {
    (void)state;
    for (uint32_t db = 0; db < 2; db++) fill(db, 2 * KEYS, NOW_MS + 1000);
    size_t before = slabs_in_use(), used = mem_used_exact();
    for (uint32_t db = 0; db < 2; db++) delete_most(db, 2 * KEYS);
    assert_true(slabs_in_use() > before * 9 / 10);
    assert_true(mem_used_exact() < used / 2);
    used = mem_used_exact();
    compaction_settings.bite_us = 1;
    assert_true(run_pass() > shard_count / 4);
    compaction_settings.bite_us = 500;
    assert_true(slabs_in_use() < before / 8);
    assert_true(mem_used_exact() <= used); /* tables may have shrunk */
    assert_true(COUNTER_SUM(moved) > 2 * 2 * KEYS / 16 * 3 / 4);
    for (uint32_t db = 0; db < 2; db++) check_rest(db, 2 * KEYS, NOW_MS + 1000);
    check_counts();
    assert_int_equal(run_pass(), 0); /* nothing more is worth it */
}

static void the_settings_say_from_where_on_and_how_hard(void **state) {
    (void)state;
    struct compaction_settings before = compaction_settings;
    fill(0, KEYS, NO_EXPIRY);
    delete_most(0, KEYS);
    assert_true(slab_surplus() < (size_t)4 << 20);
    assert_int_equal(run_pass(), 0); /* too little, unless asked for */
    compaction_settings.active = true;
    assert_int_equal(run_pass(), 0);
    compaction_settings.ignore_bytes = slab_surplus() + 1;
    assert_int_equal(run_pass(), 0);
    compaction_settings.ignore_bytes = 1;
    compaction_settings.lower = 100000;
    assert_int_equal(run_pass(), 0);
    compaction_settings = before;
    compaction_settings.active = true;
    compaction_settings.ignore_bytes = 1;
    compaction_cron(clock_ms += 2000);
    assert_int_equal(compaction_effort(), before.cycle_max); /* far above the upper threshold */
    int64_t wait_us = compaction_step(clock_ms);
    assert_true(wait_us > 0);
    assert_int_equal(compaction_current_ms(clock_ms + 7), 7);
    while (compaction_step(clock_ms) > 0) continue;
    assert_true(slab_surplus() == 0);
    compaction_settings = before;
}

static void what_the_snapshot_has_not_saved_moves_unsaved(void **state) {
    (void)state;
    fill(0, 2 * KEYS, NO_EXPIRY);
    delete_most(0, 2 * KEYS);
    keyspace_walk_begin(&note_saver);
    assert_true(run_pass() > 0);
    assert_int_equal(notes.saved, 0);
    char key[KEY_ROOM];
    struct keyspace_view view = view_at(0, NOW_MS);
    size_t left = 0;
    for (size_t i = 0; i < 2 * KEYS; i++) left += keyspace_write(&view, key_text(key, "k", i)) != NULL;
    assert_int_equal(notes.saved, left); /* each is still to be saved before it changes */
}

static void an_entry_outside_of_the_tables_stays_and_is_no_harm(void **state) {
    (void)state;
    char key[KEY_ROOM], scratch[INT64_TEXT_MAX];
    fill(0, 2 * KEYS, NO_EXPIRY);
    delete_most(0, 2 * KEYS);
    size_t first = 0;
    while (!is_kept(first)) first++;
    struct keyspace_view view = view_at(0, NOW_MS);
    struct entry *held = keyspace_write(&view, key_text(key, "k", first));
    keyspace_detach(&view, held);
    assert_true(run_pass() > 0);
    assert_false(slab_is_condemned(held));
    assert_true(slice_equal(entry_text(held, scratch), text_of(key, first)));
    entry_free(held);
}

/* ---- four workers, each under the locks of its shards ---- */

static pthread_barrier_t barrier;
static atomic_bool done;

/* Writes and reads keys of all shards, and takes its bites between two commands. */
static void *work(void *arg) {
    char key[KEY_ROOM], text[KEY_ROOM], scratch[INT64_TEXT_MAX];
    thread_worker_index = (int)(uintptr_t)arg;
    (void)slab_thread_begin();
    pthread_barrier_wait(&barrier);
    for (size_t n = 0; n < 40000 || !atomic_load(&done); n++) {
        size_t i = random_below(KEYS);
        struct slice name = key_text(key, "k", i);
        struct shard *s = shard_of(name);
        struct keyspace_view view = view_at(0, NOW_MS);
        shard_lock(s);
        struct entry *e = keyspace_write(&view, name);
        if (e) assert_true(slice_equal(entry_text(e, scratch), text_of(text, i)));
        if (e && n % 3 == 0) keyspace_delete(&view, e, false);
        if (!e && is_kept(i)) keyspace_put(&view, entry_new_string(name, text_of(text, i), NO_EXPIRY));
        shard_unlock(s);
        if (n % 16 == 0) (void)compaction_step(clock_ms);
        if (n % 5000 == 0 && thread_worker_index == 0) {
            atomic_store(&done, COUNTER_SUM(moved) > 0 && compaction_effort() == 0);
            if (!atomic_load(&done)) compaction_cron(clock_ms += 60000);
        }
    }
    slab_thread_end();
    return NULL;
}

static void run_workers(void) {
    pthread_t threads[WORKERS];
    shards_are_mine = false;
    compaction_settings.active = true;
    compaction_settings.ignore_bytes = 1;
    atomic_store(&done, false);
    pthread_barrier_init(&barrier, NULL, WORKERS);
    for (size_t i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, (void *)(uintptr_t)i), 0);
    for (size_t i = 0; i < WORKERS; i++) pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&barrier);
    compaction_settings.active = false;
    shards_are_mine = true;
}

static int start_four(void **state) {
    (void)state;
    if (!slab_init((size_t)1 << 28)) return -1;
    return keyspace_start_with(WORKERS);
}

static int start_four_without_slabs(void **state) {
    (void)state;
    return keyspace_start_with(WORKERS);
}

static void workers_write_while_entries_move(void **state) {
    (void)state;
    fill(0, KEYS, NO_EXPIRY);
    delete_most(0, KEYS);
    run_workers();
    assert_true(COUNTER_SUM(moved) > 0);
    assert_int_equal(keyspace_bytes(0), keyspace_bytes_walked(0));
    check_counts();
}

/* Only a sanitizer build moves without slabs. */
static void entries_move_without_slabs_for_sanitizers(void **state) {
#ifndef TRIVET_SANITIZE
    (void)state;
    skip();
#else
    workers_write_while_entries_move(state);
    size_t moved = COUNTER_SUM(moved);
    thread_worker_count = 1;
    run_pass();
    thread_worker_count = WORKERS; /* whose counters are summed up */
    assert_true(COUNTER_SUM(moved) > moved);
    check_counts();
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_a_big_deletion_left_is_given_back, start, end),
        cmocka_unit_test_setup_teardown(the_settings_say_from_where_on_and_how_hard, start, end),
        cmocka_unit_test_setup_teardown(what_the_snapshot_has_not_saved_moves_unsaved, start, end),
        cmocka_unit_test_setup_teardown(an_entry_outside_of_the_tables_stays_and_is_no_harm, start, end),
        cmocka_unit_test_setup_teardown(workers_write_while_entries_move, start_four, end),
        cmocka_unit_test_setup_teardown(entries_move_without_slabs_for_sanitizers, start_four_without_slabs,
                                        keyspace_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
