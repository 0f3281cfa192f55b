/* test_scan.c: SCAN's promise over all shards, while the tables grow and shrink under it. */
#include "fixture.h"
#include "trivet/base/random.h"

#define STAYING 3000  /* keys that are there all the time */
#define PASSING 30000 /* keys that come and go */

static uint8_t seen[STAYING];

static void mark_seen(void *arg, struct entry *e) {
    size_t *visits = arg;
    ++*visits;
    struct slice key = entry_key(e);
    int64_t n;
    if (key.ptr[0] != 's' || !int64_parse(slice_make(key.ptr + 1, key.len - 1), &n)) return;
    assert_in_range(n, 0, STAYING - 1);
    seen[n] = 1;
}

static void fill(const char *prefix, size_t count) {
    char text[KEY_ROOM];
    for (size_t i = 0; i < count; i++) put(1, NOW_MS, key_text(text, prefix, i), LIT("v"), NO_EXPIRY);
}

static void drop(const char *prefix, size_t from, size_t to) {
    char text[KEY_ROOM];
    struct keyspace_view view = view_at(1, NOW_MS);
    for (size_t i = from; i < to; i++) {
        struct entry *e = keyspace_write(&view, key_text(text, prefix, i));
        if (e) keyspace_delete(&view, e, false);
    }
}

static size_t seen_count(void) {
    size_t count = 0;
    for (size_t i = 0; i < STAYING; i++) count += seen[i];
    return count;
}

/* Goes through the database; before each call, a step of `between` may change it. Returns the visits. */
static uint64_t scan_db(uint32_t db, uint64_t cursor, uint64_t count, size_t *visits) {
    struct keyspace_view view = view_at(db, NOW_MS);
    return keyspace_scan(&view, cursor, count, &(struct scan_visitor){ .visit = mark_seen, .arg = visits });
}

static size_t scan_all(uint64_t count, void (*between)(size_t call)) {
    size_t visits = 0, calls = 0;
    uint64_t cursor = 0;
    memset(seen, 0, sizeof seen);
    do {
        if (between) between(calls);
        cursor = scan_db(1, cursor, count, &visits);
        assert_true(++calls < 1000000);
    } while (cursor != 0);
    return visits;
}

static void at_rest_every_key_is_visited_exactly_once(void **state) {
    (void)state;
    static const uint64_t counts[] = { 1, 10, 1000, UINT64_MAX };
    fill("s", STAYING);
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        assert_int_equal(scan_all(counts[i], NULL), STAYING);
        assert_int_equal(seen_count(), STAYING);
    }
}

static void grow(size_t call) {
    char text[KEY_ROOM];
    for (size_t i = 0; i < 100; i++) put(1, NOW_MS, key_text(text, "p", call * 100 + i), LIT("v"), NO_EXPIRY);
}

static void shrink(size_t call) { drop("p", call * 100, call * 100 + 100); }

static void grow_and_shrink(size_t call) {
    size_t big = call % 600;
    if (big < 300)
        grow(big);
    else
        shrink(big - 300);
}

static void keys_that_stay_are_visited_however_tables_change(void **state) {
    (void)state;
    static void (*const changes[])(size_t) = { grow, shrink, grow_and_shrink };
    for (size_t i = 0; i < COUNT_OF(changes); i++) {
        fill("s", STAYING);
        if (changes[i] == shrink) fill("p", PASSING);
        scan_all(40, changes[i]);
        assert_int_equal(seen_count(), STAYING);
        check_counts();
        keyspace_flush(1, false);
    }
}

static void an_empty_database_ends_in_one_call(void **state) {
    (void)state;
    size_t visits = 0;
    assert_int_equal(scan_db(1, 0, 10, &visits), 0);
    assert_int_equal(scan_db(3, 0, 1, &visits), 0);
    assert_int_equal(visits, 0);
}

static void any_cursor_of_a_client_is_harmless(void **state) {
    (void)state;
    fill("s", STAYING);
    size_t visits = 0;
    for (uint64_t i = 0; i < 3000; i++) {
        uint64_t cursor = random_u64() >> random_below(64);
        for (int more = 0; more < 3; more++) cursor = scan_db(1, cursor, 1 + i % 50, &visits);
    }
    assert_true(visits > 0);
}

static bool wants_even(void *arg, const struct entry *e) {
    (void)arg;
    struct slice key = entry_key(e);
    return (key.ptr[key.len - 1] - '0') % 2 == 0;
}

/* Half of the keys are over; of those only the wanted half goes, and only if the view deletes. */
static void what_is_over_and_wanted_is_deleted(void **state) {
    (void)state;
    static const struct {
        enum expiry expiry;
        size_t visits, left;
    } rows[] = { { EXPIRY_HIDES, 250, 1000 }, { EXPIRY_KEEPS, 500, 1000 }, { EXPIRY_DELETES, 250, 750 } };
    char text[KEY_ROOM];
    for (size_t i = 0; i < 1000; i++)
        put(1, NOW_MS, key_text(text, "s", i), LIT("v"), i % 4 < 2 ? NOW_MS - 1 : NOW_MS + 1);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct keyspace_view view = view_at(1, NOW_MS);
        size_t visits = 0;
        struct scan_visitor v = { wants_even, mark_seen, &visits, note_flush };
        view.expiry = rows[i].expiry;
        for (uint64_t cursor = 0; (cursor = keyspace_scan(&view, cursor, 10, &v)) != 0;) {
        }
        assert_int_equal(visits, rows[i].visits);
        assert_int_equal(keyspace_count(1), rows[i].left);
        assert_int_equal(notes.expired, 1000 - rows[i].left);
        assert_int_equal(notes.flushed > 0, rows[i].left < 1000);
    }
    check_counts();
}

static bool stop_after_ten(void *arg, struct entry *e) {
    (void)e;
    return ++*(size_t *)arg < 10;
}

static bool count_all(void *arg, struct entry *e) {
    mark_seen(arg, e);
    return true;
}

static void each_visits_every_key_once_or_stops_when_told(void **state) {
    (void)state;
    fill("s", STAYING);
    size_t visits = 0;
    memset(seen, 0, sizeof seen);
    assert_true(keyspace_each(1, count_all, &visits));
    assert_int_equal(visits, STAYING);
    assert_int_equal(seen_count(), STAYING);
    visits = 0;
    assert_false(keyspace_each(1, stop_after_ten, &visits));
    assert_int_equal(visits, 10);
    assert_true(keyspace_each(2, stop_after_ten, &visits));
}

#define SCAN_TEST(f) cmocka_unit_test_setup_teardown(f, keyspace_start, keyspace_end)

int main(void) {
    const struct CMUnitTest tests[] = {
        SCAN_TEST(at_rest_every_key_is_visited_exactly_once),
        SCAN_TEST(keys_that_stay_are_visited_however_tables_change),
        SCAN_TEST(an_empty_database_ends_in_one_call),
        SCAN_TEST(any_cursor_of_a_client_is_harmless),
        SCAN_TEST(what_is_over_and_wanted_is_deleted),
        SCAN_TEST(each_visits_every_key_once_or_stops_when_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
