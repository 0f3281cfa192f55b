/* test_keyspace.c: the doors against a model that is a plain array of keys. */
#include "fixture.h"
#include "trivet/base/background.h"
#include "trivet/base/buf.h"
#include "trivet/base/random.h"
#include "trivet/types/hash.h"

#define KEYS 400

/* What should be in each database: the number behind key i, and when it expires. */
struct expected {
    bool there;
    int64_t n, expiry_ms;
};
static struct expected model[DATABASES][KEYS];
static int64_t now_ms;

static struct expected *expected_at(uint32_t db, size_t i) {
    struct expected *x = &model[db][i];
    if (x->there && x->expiry_ms != NO_EXPIRY && x->expiry_ms < now_ms) x->there = false;
    return x;
}

static void assert_matches(struct entry *e, const struct expected *x) {
    assert_int_equal(e != NULL, x->there);
    if (!e) return;
    char scratch[INT64_TEXT_MAX], wanted[KEY_ROOM];
    assert_true(slice_equal(entry_text(e, scratch), key_text(wanted, "v", (size_t)x->n)));
    assert_int_equal(entry_expiry_ms(e), x->expiry_ms);
}

static int64_t random_expiry(void) {
    return random_below(2) ? NO_EXPIRY : now_ms + (int64_t)random_below(300);
}

static struct entry *fresh_entry(struct slice key, struct expected *x) {
    char text[KEY_ROOM];
    *x = (struct expected){ true, (int64_t)random_below(1000), random_expiry() };
    struct slice value = key_text(text, "v", (size_t)x->n);
    return entry_new_string(key, value, x->expiry_ms);
}

/* One random command on key i, as a command would do it. */
static void random_command(struct keyspace_view *view, struct slice key, struct expected *x) {
    struct entry *e;
    switch (random_below(7)) {
    case 0: assert_matches(keyspace_read(view, key), x); return;
    case 1: assert_matches(keyspace_peek(view, key), x); return;
    case 2: keyspace_put(view, fresh_entry(key, x)); return;
    case 3:
        e = keyspace_write(view, key);
        assert_matches(e, x);
        if (e)
            keyspace_replace(view, e, fresh_entry(key, x));
        else
            keyspace_insert(view, fresh_entry(key, x));
        return;
    case 4:
        e = keyspace_write(view, key);
        if (e) keyspace_delete(view, e, random_below(2));
        x->there = false;
        return;
    case 5:
        e = keyspace_write(view, key);
        if (!e) return;
        x->expiry_ms = random_expiry();
        assert_matches(keyspace_set_expiry(view, e, x->expiry_ms), x);
        return;
    default:
        e = keyspace_write(view, key);
        if (!e) return;
        keyspace_detach(view, e);
        assert_null(keyspace_peek(view, key));
        keyspace_insert(view, e);
    }
}

/* Half of the commands come with hashed refs, as from the dispatcher. */
static void run_random_command(uint32_t db, size_t i) {
    char text[KEY_ROOM], other_text[KEY_ROOM];
    struct slice key = key_text(text, "key:", i), other = key_text(other_text, "key:", i + 1);
    struct keyref refs[] = { keyref_of(other), keyref_of(key) };
    struct keyspace_view view = view_at(db, now_ms);
    if (random_below(2)) {
        view.refs = refs;
        view.ref_count = COUNT_OF(refs);
    }
    random_command(&view, key, expected_at(db, i));
}

static void flush_model(uint32_t db) {
    bool there = false;
    for (size_t i = 0; i < KEYS; i++) there |= expected_at(db, i)->there;
    size_t gone = keyspace_flush(db, random_below(2));
    assert_true(gone > 0 || !there);
    memset(model[db], 0, sizeof model[db]);
    assert_int_equal(keyspace_count(db), 0);
    assert_int_equal(keyspace_expires(db), 0);
}

static void swap_model(uint32_t a, uint32_t b) {
    static struct expected old[KEYS];
    keyspace_swap(a, b);
    memcpy(old, model[a], sizeof old);
    memcpy(model[a], model[b], sizeof old);
    memcpy(model[b], old, sizeof old);
}

static void assert_model(void) {
    for (uint32_t db = 0; db < DATABASES; db++) {
        size_t keys = 0, expires = 0;
        for (size_t i = 0; i < KEYS; i++) {
            char text[KEY_ROOM];
            const struct expected *x = expected_at(db, i);
            assert_matches(look(db, now_ms, key_text(text, "key:", i)), x);
            keys += x->there;
            expires += x->there && x->expiry_ms != NO_EXPIRY;
        }
        assert_int_equal(keyspace_count(db), keys);
        assert_int_equal(keyspace_expires(db), expires);
    }
    check_counts();
}

static void any_row_of_commands_matches_the_model(void **state) {
    (void)state;
    memset(model, 0, sizeof model);
    now_ms = NOW_MS;
    for (size_t step = 1; step <= 60000; step++) {
        now_ms += random_below(20) == 0;
        run_random_command((uint32_t)random_below(DATABASES), random_below(KEYS));
        if (step % 20000 == 0) flush_model((uint32_t)random_below(DATABASES));
        uint32_t a = (uint32_t)random_below(DATABASES), b = (uint32_t)random_below(DATABASES);
        if (step % 3000 == 0) swap_model(a, b);
        if (step % 6000 == 0) assert_model();
    }
    assert_int_equal(notes.expired, COUNTER_SUM(expired));
    assert_true(notes.expired > 0);
    assert_int_equal(notes.missed, COUNTER_SUM_ALL_USES(misses));
    assert_int_equal(notes.saved, 0);
}

static void a_hash_is_taken_from_the_ref_at_the_same_address(void **state) {
    (void)state;
    char text[] = "abcabc";
    struct keyref refs[] = { { .key = { text, 3 }, .hash = 11 },
                             { .key = { text + 3, 3 }, .hash = 22 },
                             { .key = { text, 6 }, .hash = 33 } };
    struct keyspace_view view = { .refs = refs, .ref_count = COUNT_OF(refs) };
    for (int round = 0; round < 3; round++) {
        assert_int_equal(keyspace_hash(&view, slice_make(text, 3)), 11);
        assert_int_equal(keyspace_hash(&view, slice_make(text, 6)), 33);
        assert_int_equal(keyspace_hash(&view, slice_make(text + 3, 3)), 22);
    }
    char elsewhere[] = "abc";
    assert_int_equal(keyspace_hash(&view, slice_make(elsewhere, 3)), hash_bytes(LIT("abc")));
    struct keyspace_view bare = view_at(0, NOW_MS);
    assert_int_equal(keyspace_hash(&bare, slice_make(text, 3)), hash_bytes(LIT("abc")));
}

static void an_expired_key_is_reported_counted_and_gone(void **state) {
    (void)state;
    put(2, NOW_MS, LIT("late"), LIT("v"), NOW_MS + 10);
    assert_non_null(look(2, NOW_MS + 10, LIT("late")));
    assert_null(look(2, NOW_MS + 11, LIT("late")));
    assert_int_equal(notes.expired, 1);
    assert_int_equal(notes.db, 2);
    assert_int_equal(notes.now_ms, NOW_MS + 11);
    assert_string_equal(notes.key, "late");
    assert_int_equal(keyspace_count(2), 0);
    assert_int_equal(keyspace_expires(2), 0);
    assert_int_equal(COUNTER_SUM(expired), 1);
}

/* Each door, and the random key, by the three ways with what is over. */
static void what_is_over_is_deleted_hidden_or_kept(void **state) {
    (void)state;
    static const struct {
        enum expiry expiry;
        bool seen;
        size_t count, expired;
    } rows[] = { { EXPIRY_DELETES, false, 0, 1 },
                 { EXPIRY_HIDES, false, 1, 0 },
                 { EXPIRY_KEEPS, true, 1, 0 } };
    struct entry *(*const doors[])(struct keyspace_view *, struct slice) = { keyspace_read, keyspace_peek,
                                                                             keyspace_write };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (size_t d = 0; d < COUNT_OF(doors); d++) {
            struct keyspace_view view = view_at(0, NOW_MS);
            struct buf key = { 0 };
            view.expiry = rows[i].expiry;
            notes.expired = 0;
            put(0, NOW_MS, LIT("old"), LIT("v"), NOW_MS - 10);
            assert_int_equal(keyspace_random_key(&view, &key), rows[i].seen);
            assert_int_equal(doors[d](&view, LIT("old")) != NULL, rows[i].seen);
            assert_int_equal(keyspace_count(0), rows[i].count);
            assert_int_equal(notes.expired, rows[i].expired);
            buf_release(&key);
        }
    }
}

static void an_insert_takes_the_place_of_what_is_hidden(void **state) {
    (void)state;
    struct keyspace_view view = view_at(0, NOW_MS);
    view.expiry = EXPIRY_HIDES;
    put(0, NOW_MS, LIT("k"), LIT("old"), NOW_MS - 10);
    keyspace_walk_begin(&note_saver);
    assert_null(keyspace_write(&view, LIT("k")));
    keyspace_insert(&view, entry_new_string(LIT("k"), LIT("new"), NO_EXPIRY));
    assert_int_equal(notes.overwritten, 1);
    assert_int_equal(notes.saved, 1);
    assert_int_equal(notes.expired + COUNTER_SUM(expired) + COUNTER_SUM_ALL_USES(evicted), 0);
    assert_int_equal(keyspace_count(0), 1);
    assert_int_equal(keyspace_expires(0), 0);
    check_counts();
}

static struct entry *new_hash(struct slice key, int64_t expiry_ms) {
    struct value v = hash_new();
    (void)hash_set(&v, LIT("f"), LIT("v"), expiry_ms);
    (void)hash_set(&v, LIT("g"), LIT("v"), HASH_NO_EXPIRY);
    return entry_new_value(key, TYPE_HASH, v, NO_EXPIRY);
}

/* Gives the field f of the hash at `key` another time; returns the entry, which may have moved. */
static struct entry *date_field(struct keyspace_view *view, struct slice key, int64_t expiry_ms) {
    struct keyspace_change h;
    assert_true(keyspace_open(view, key, TYPE_HASH, &h));
    (void)hash_set_expiry(&h.value, LIT("f"), expiry_ms);
    assert_int_equal(keyspace_close(view, &h), CLOSED_KEPT);
    return h.entry;
}

static void keys_with_elements_that_expire_are_counted_wherever_they_are(void **state) {
    (void)state;
    struct keyspace_view view = view_at(0, NOW_MS), other = view_at(1, NOW_MS);
    struct slice key = LIT("h");
    keyspace_insert(&view, new_hash(key, HASH_NO_EXPIRY));
    assert_int_equal(keyspace_dated(0), 0);
    (void)date_field(&view, key, NOW_MS + 100);
    struct entry *e = date_field(&view, key, NOW_MS + 200);
    assert_int_equal(keyspace_dated(0), 1);
    e = keyspace_set_expiry(&view, e, NOW_MS + 1000); /* it moves */
    assert_int_equal(keyspace_dated(0), 1);
    keyspace_insert(&other, entry_copy(e, key, NO_EXPIRY));
    (void)date_field(&view, key, HASH_NO_EXPIRY);
    check_counts();
    assert_int_equal(keyspace_dated(0), 0);
    assert_int_equal(keyspace_dated(1), 1);
    e = keyspace_write(&other, key);
    keyspace_detach(&other, e);
    assert_int_equal(keyspace_dated(1), 0);
    keyspace_put(&view, entry_renamed(e, key)); /* over the one that has none any more */
    assert_int_equal(keyspace_dated(0), 1);
    keyspace_swap(0, 1);
    assert_int_equal(keyspace_dated(1), 1);
    check_counts();
    put(1, NOW_MS, key, LIT("text"), NO_EXPIRY);
    assert_int_equal(keyspace_dated(1), 0);
    keyspace_put(&other, new_hash(key, NOW_MS + 5));
    keyspace_put(&view, new_hash(key, NOW_MS + 5));
    expiry_cycle(NOW_MS + 6, INT64_MAX / 2, NULL);
    assert_int_equal(keyspace_dated(0) + keyspace_dated(1), 0);
    assert_int_equal(COUNTER_SUM(expired_fields), 2);
    check_counts();
    keyspace_put(&other, new_hash(key, NOW_MS + 50));
    keyspace_flush(1, false);
    assert_int_equal(keyspace_dated(1), 0);
    check_counts();
}

/* Each way to change or lose an entry tells a running snapshot once, and before. */
static void an_old_image_is_saved_once_before_any_change(void **state) {
    (void)state;
    static const char *const keys[] = { "written", "put", "expired" };
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        put(1, NOW_MS, slice_of(keys[i]), LIT("v"), i == 2 ? NOW_MS + 1 : NO_EXPIRY);
    keyspace_walk_begin(&note_saver);
    struct keyspace_view view = view_at(1, NOW_MS + 5);
    keyspace_read(&view, LIT("written"));
    assert_int_equal(notes.saved, 0);
    keyspace_write(&view, LIT("written"));
    assert_int_equal(notes.saved, 1);
    struct entry *e = keyspace_write(&view, LIT("written"));
    keyspace_delete(&view, e, true);
    assert_int_equal(notes.saved, 1);
    put(1, NOW_MS, LIT("put"), LIT("w"), NO_EXPIRY);
    assert_int_equal(notes.saved, 2);
    put(1, NOW_MS, LIT("put"), LIT("x"), NO_EXPIRY);
    assert_int_equal(notes.saved, 2);
    assert_null(keyspace_read(&view, LIT("expired")));
    assert_int_equal(notes.saved, 3);
}

static void hits_and_misses_are_counted_by_reading_alone(void **state) {
    (void)state;
    put(0, NOW_MS, LIT("k"), LIT("v"), NO_EXPIRY);
    struct keyspace_view view = view_at(0, NOW_MS);
    keyspace_read(&view, LIT("k"));
    keyspace_peek(&view, LIT("k"));
    keyspace_read(&view, LIT("none"));
    keyspace_write(&view, LIT("k"));
    keyspace_write(&view, LIT("none"));
    assert_int_equal(COUNTER_SUM_ALL_USES(hits), 2);
    assert_int_equal(COUNTER_SUM_ALL_USES(misses), 1);
    assert_int_equal(notes.missed, 1);
}

static void reading_refreshes_the_clock_and_peeking_does_not(void **state) {
    (void)state; /* 5120: 40 ticks */
    put(0, NOW_MS, LIT("k"), LIT("v"), NO_EXPIRY);
    struct keyspace_view later = view_at(0, NOW_MS + 5120);
    assert_int_equal(eviction_idle_ms(keyspace_peek(&later, LIT("k"))->access, later.now_ms), 5120);
    later.no_touch = true;
    assert_int_equal(eviction_idle_ms(keyspace_read(&later, LIT("k"))->access, later.now_ms), 5120);
    later.no_touch = false;
    assert_int_equal(eviction_idle_ms(keyspace_read(&later, LIT("k"))->access, later.now_ms), 0);
}

static void a_random_key_is_about_evenly_chosen(void **state) {
    (void)state;
    static const size_t sizes[] = { 2, 10, 3000 };
    for (size_t s = 0; s < COUNT_OF(sizes); s++) {
        size_t drawn[3000] = { 0 }, draws = sizes[s] * 200;
        char text[KEY_ROOM];
        for (size_t i = 0; i < sizes[s]; i++) put(1, NOW_MS, key_text(text, "", i), LIT("v"), NO_EXPIRY);
        struct keyspace_view view = view_at(1, NOW_MS);
        struct buf out = { 0 };
        for (size_t i = 0; i < draws; i++) {
            assert_true(keyspace_random_key(&view, &out));
            int64_t n;
            assert_true(int64_parse(buf_slice(&out), &n));
            drawn[n]++;
        }
        /* Wide bounds: an even choice gives 200 each; what lies alone in a shard may come a few times as
         * often. */
        for (size_t i = 0; i < sizes[s]; i++) assert_in_range(drawn[i], 5, 3000);
        buf_release(&out);
        keyspace_flush(1, false);
    }
}

static void a_random_key_is_never_an_expired_one(void **state) {
    (void)state;
    char text[KEY_ROOM];
    struct keyspace_view view = view_at(0, NOW_MS);
    struct buf out = { 0 };
    assert_false(keyspace_random_key(&view, &out));
    for (size_t i = 0; i < 3000; i++) put(0, NOW_MS, key_text(text, "dead", i), LIT("v"), NOW_MS - 1);
    assert_false(keyspace_random_key(&view, &out));
    put(0, NOW_MS, LIT("alive"), LIT("v"), NO_EXPIRY);
    for (int i = 0; i < 20; i++) {
        assert_true(keyspace_random_key(&view, &out));
        assert_true(slice_equal(buf_slice(&out), LIT("alive")));
    }
    buf_release(&out);
}

static void a_flush_in_the_background_gives_all_memory_back(void **state) {
    (void)state;
    assert_true(background_start());
    char text[KEY_ROOM];
    for (size_t i = 0; i < 5000; i++) put(3, NOW_MS, key_text(text, "k", i), LIT("v"), NOW_MS + 5);
    assert_true(keyspace_table_memory(3) > 0);
    assert_int_equal(keyspace_flush(3, true), 5000);
    assert_int_equal(keyspace_table_memory(3), 0);
    check_counts();
    background_stop();
}

#define KEYSPACE_TEST(f) cmocka_unit_test_setup_teardown(f, keyspace_start, keyspace_end)

int main(void) {
    const struct CMUnitTest tests[] = {
        KEYSPACE_TEST(any_row_of_commands_matches_the_model),
        KEYSPACE_TEST(a_hash_is_taken_from_the_ref_at_the_same_address),
        KEYSPACE_TEST(an_expired_key_is_reported_counted_and_gone),
        KEYSPACE_TEST(what_is_over_is_deleted_hidden_or_kept),
        KEYSPACE_TEST(an_insert_takes_the_place_of_what_is_hidden),
        KEYSPACE_TEST(keys_with_elements_that_expire_are_counted_wherever_they_are),
        KEYSPACE_TEST(an_old_image_is_saved_once_before_any_change),
        KEYSPACE_TEST(hits_and_misses_are_counted_by_reading_alone),
        KEYSPACE_TEST(reading_refreshes_the_clock_and_peeking_does_not),
        KEYSPACE_TEST(a_random_key_is_about_evenly_chosen),
        KEYSPACE_TEST(a_random_key_is_never_an_expired_one),
        KEYSPACE_TEST(a_flush_in_the_background_gives_all_memory_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
