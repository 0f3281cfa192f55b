/* test_entry.c: entries against a model that has a key, a text, an expiry and two flags. */
#include "fixture.h"
#include "trivet/base/random.h"
#include "trivet/types/list.h"
#include "trivet/types/set.h"
#include "trivet/types/structures/intset.h"
#include "trivet/types/structures/listpack.h"

#define TEXT_MAX_TESTED 70000

struct model {
    char *key, *text;
    size_t key_len, text_len;
    int64_t expiry_ms;
    bool raw; /* was changed in place */
};

static const size_t key_lengths[] = { 0, 1, 23, 254, 255, 256, 257, 70000 };
static const size_t text_lengths[] = { 0,   1,   7,   8,   20,   21,    22,    44,    45,   253,
                                       254, 255, 256, 257, 1000, 16383, 16384, 16385, 70000 };
static const int64_t expiries[] = { NO_EXPIRY, 0, 1, INT64_MAX };

static void fill(char *to, size_t len, unsigned seed) {
    for (size_t i = 0; i < len; i++) to[i] = (char)('a' + (i * 7 + seed) % 26);
}

static struct model model_new(size_t key_len, size_t text_len, int64_t expiry_ms, unsigned seed) {
    struct model m = { malloc(key_len + 1), malloc(TEXT_MAX_TESTED), key_len, text_len, expiry_ms, false };
    fill(m.key, key_len, seed);
    fill(m.text, text_len, seed + 3);
    return m;
}

static void model_free(struct model *m) {
    free(m->key);
    free(m->text);
}

static struct slice model_key(const struct model *m) { return slice_make(m->key, m->key_len); }
static struct slice model_text(const struct model *m) { return slice_make(m->text, m->text_len); }

static const char *model_encoding(const struct model *m) {
    int64_t n;
    if (m->raw || m->text_len > EMBSTR_MAX) return "raw";
    return int64_parse(model_text(m), &n) ? "int" : "embstr";
}

static void assert_same(const struct entry *e, const struct model *m) {
    char scratch[INT64_TEXT_MAX];
    assert_true(slice_equal(entry_key(e), model_key(m)));
    assert_true(slice_equal(entry_text(e, scratch), model_text(m)));
    assert_int_equal(entry_text_len(e), m->text_len);
    assert_int_equal(entry_expiry_ms(e), m->expiry_ms);
    assert_string_equal(entry_encoding_name(e), model_encoding(m));
    assert_int_equal(e->type, TYPE_STRING);
    assert_true(entry_memory(e) >= m->key_len + (e->encoding == ENCODING_INT ? 8 : m->text_len));
}

static struct entry *build(const struct model *m) {
    struct entry *e = entry_new_string(model_key(m), model_text(m), m->expiry_ms);
    assert_int_equal(e->access, ENTRY_NOT_STAMPED);
    e->access = 0x1234567;
    return e;
}

static void every_builder_keeps_key_text_and_expiry(void **state) {
    (void)state;
    for (size_t k = 0; k < COUNT_OF(key_lengths); k++)
        for (size_t t = 0; t < COUNT_OF(text_lengths); t++)
            for (size_t x = 0; x < COUNT_OF(expiries); x++) {
                unsigned seed = (unsigned)(k + t + x);
                struct model m = model_new(key_lengths[k], text_lengths[t], expiries[x], seed);
                struct entry *e = build(&m);
                assert_same(e, &m);
                assert_int_equal(e->access, 0x1234567);
                assert_int_equal(e->encoding == ENCODING_BLOB, m.text_len > STRING_EMBED_MAX);
                entry_free(e);
                model_free(&m);
            }
}

static void texts_are_kept_as_numbers_only_if_they_read_back_the_same(void **state) {
    (void)state;
    static const struct { const char *text; enum encoding encoding; } cases[] = {
        { "0", ENCODING_INT }, { "-1", ENCODING_INT }, { "9223372036854775807", ENCODING_INT },
        { "-9223372036854775808", ENCODING_INT }, { "9223372036854775808", ENCODING_EMBEDDED },
        { "-9223372036854775809", ENCODING_EMBEDDED },
        { "007", ENCODING_EMBEDDED }, { "-0", ENCODING_EMBEDDED },
        { "+1", ENCODING_EMBEDDED }, { " 1", ENCODING_EMBEDDED }, { "1 ", ENCODING_EMBEDDED },
        { "", ENCODING_EMBEDDED }, { "-", ENCODING_EMBEDDED }, { "1.0", ENCODING_EMBEDDED },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char scratch[INT64_TEXT_MAX];
        struct entry *e = entry_new_string(LIT("k"), slice_of(cases[i].text), NO_EXPIRY);
        assert_int_equal(e->encoding, cases[i].encoding);
        assert_true(slice_equal(entry_text(e, scratch), slice_of(cases[i].text)));
        entry_free(e);
    }
}

static void a_number_is_read_and_set_in_place(void **state) {
    (void)state;
    static const int64_t numbers[] = { 0, -1, 1, INT64_MAX, INT64_MIN, 1234567890123 };
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        struct entry *e = entry_new_int(LIT("counter"), 5, 77);
        entry_set_int(e, numbers[i]);
        assert_int_equal(entry_int(e), numbers[i]);
        assert_int_equal(entry_expiry_ms(e), 77);
        assert_true(slice_equal(entry_key(e), LIT("counter")));
        entry_free(e);
    }
}

static void expired_means_strictly_later_than_its_time(void **state) {
    (void)state;
    struct entry *e = entry_new_string(LIT("k"), LIT("v"), 1000);
    assert_false(entry_is_expired(e, 999));
    assert_false(entry_is_expired(e, 1000));
    assert_true(entry_is_expired(e, 1001));
    e = entry_with_expiry(e, NO_EXPIRY);
    assert_false(entry_is_expired(e, INT64_MAX));
    entry_free(e);
}

/* Overwriting either does what building anew does, or refuses and changes nothing. */
static void overwriting_does_all_or_nothing(void **state) {
    (void)state;
    size_t done = 0;
    for (size_t from = 0; from < COUNT_OF(text_lengths); from++)
        for (size_t to = 0; to < COUNT_OF(text_lengths); to++)
            for (size_t x = 0; x < 4; x++) {
                struct model m = model_new(x == 3 ? 300 : 10, text_lengths[from], expiries[x % 3], 1);
                struct model other = model_new(m.key_len, text_lengths[to], expiries[(x + 1) % 3], 1);
                struct entry *e = build(&m);
                size_t size = slab_size(e);
                bool ok = entry_overwrite(e, model_text(&other), other.expiry_ms);
                assert_same(e, ok ? &other : &m);
                assert_int_equal(slab_size(e), size);
                done += ok;
                entry_free(e);
                model_free(&m);
                model_free(&other);
            }
    assert_true(done > 0);
}

static void a_text_of_the_same_length_is_overwritten_in_place(void **state) {
    (void)state;
    for (size_t t = 0; t < COUNT_OF(text_lengths) && text_lengths[t] <= STRING_EMBED_MAX; t++) {
        struct model m = model_new(20, text_lengths[t], 5, 1);
        struct entry *e = build(&m);
        fill(m.text, m.text_len, 99);
        m.expiry_ms = 6;
        assert_true(entry_overwrite(e, model_text(&m), 6));
        assert_same(e, &m);
        entry_free(e);
        model_free(&m);
    }
}

static void overwriting_takes_a_part_of_the_old_text(void **state) {
    (void)state;
    char text[300], expected[300];
    fill(text, sizeof text, 4);
    struct entry *e = entry_new_string(LIT("k"), slice_make(text, 262), NO_EXPIRY);
    char scratch[INT64_TEXT_MAX];
    struct slice part = { entry_text(e, scratch).ptr + 1, 261 };
    memcpy(expected, part.ptr, part.len);
    if (entry_overwrite(e, part, NO_EXPIRY))
        assert_true(slice_equal(entry_text(e, scratch), slice_make(expected, part.len)));
    entry_free(e);
}

static void numbers_and_texts_overwrite_each_other(void **state) {
    (void)state;
    struct model m = model_new(10, 7, NO_EXPIRY, 1);
    struct entry *e = build(&m);
    memcpy(m.text, "1234567", 7);
    assert_true(entry_overwrite(e, model_text(&m), NO_EXPIRY));
    assert_same(e, &m);
    memcpy(m.text, "seven77", 7);
    assert_true(entry_overwrite(e, model_text(&m), NO_EXPIRY));
    assert_same(e, &m);
    entry_free(e);
    model_free(&m);
}

static struct entry *resize(struct entry *e, struct model *m, size_t len, size_t room) {
    char *at = entry_make_writable(&e, len, room);
    if (len > m->text_len) memset(m->text + m->text_len, 0, len - m->text_len);
    m->text_len = len;
    m->raw = true;
    assert_same(e, m);
    fill(at, len, (unsigned)len);
    fill(m->text, len, (unsigned)len);
    assert_same(e, m);
    return e;
}

static void a_string_is_writable_at_every_length(void **state) {
    (void)state;
    for (size_t k = 0; k < COUNT_OF(key_lengths); k++)
        for (size_t from = 0; from < COUNT_OF(text_lengths); from++)
            for (size_t to = 0; to < COUNT_OF(text_lengths); to++) {
                struct model m = model_new(key_lengths[k], text_lengths[from], expiries[(from + to) % 4], 5);
                struct entry *e = build(&m);
                e = resize(e, &m, text_lengths[to], to % 2 ? 0 : text_lengths[to] * 2);
                e = resize(e, &m, text_lengths[from], 0);
                assert_int_equal(e->access, 0x1234567);
                entry_free(e);
                model_free(&m);
            }
}

static void a_number_becomes_writable_digits(void **state) {
    (void)state;
    char scratch[INT64_TEXT_MAX];
    struct entry *e = entry_new_int(LIT("k"), -1234, NO_EXPIRY);
    char *at = entry_make_writable(&e, 8, 8);
    memcpy(at + 5, "abc", 3);
    assert_true(slice_equal(entry_text(e, scratch), LIT("-1234abc")));
    assert_string_equal(entry_encoding_name(e), "raw");
    entry_free(e);
}

static void writing_to_a_shared_blob_leaves_the_other_holder_alone(void **state) {
    (void)state;
    struct model m = model_new(5, 20000, NO_EXPIRY, 2);
    struct entry *e = build(&m);
    struct blob *shared = blob_ref(entry_blob(e));
    entry_make_writable(&e, 20001, 0)[0] = '!';
    assert_ptr_not_equal(entry_blob(e), shared);
    assert_true(slice_equal(blob_slice(shared), model_text(&m)));
    m.text[0] = '!';
    m.text[m.text_len++] = '\0';
    m.raw = true;
    assert_same(e, &m);
    blob_unref(shared);
    entry_free(e);
    model_free(&m);
}

static struct entry *random_change(struct entry *e, struct model *m) {
    char key[300];
    size_t key_len = random_below(sizeof key);
    switch (random_below(5)) {
    case 0: m->expiry_ms = expiries[random_below(4)]; return entry_with_expiry(e, m->expiry_ms);
    case 1:
        fill(key, key_len, (unsigned)random_below(26));
        e = entry_renamed(e, slice_make(key, key_len));
        m->key = realloc(m->key, key_len + 1);
        memcpy(m->key, key, key_len);
        m->key_len = key_len;
        return e;
    case 2: {
        struct entry *twin = entry_copy(e, model_key(m), m->expiry_ms);
        assert_int_equal(twin->access, e->access);
        assert_same(e, m);
        entry_free(e);
        return twin;
    }
    case 3: return resize(e, m, text_lengths[random_below(COUNT_OF(text_lengths))], 0);
    default:
        if (entry_overwrite(e, model_text(m), m->expiry_ms)) m->raw = false;
        return e;
    }
}

static void any_row_of_changes_matches_the_model(void **state) {
    (void)state;
    for (int round = 0; round < 200; round++) {
        size_t key_len = key_lengths[random_below(COUNT_OF(key_lengths))];
        size_t text_len = text_lengths[random_below(COUNT_OF(text_lengths))];
        struct model m = model_new(key_len, text_len, expiries[random_below(4)], (unsigned)random_below(100));
        struct entry *e = build(&m);
        for (int i = 0; i < 50; i++) {
            e = random_change(e, &m);
            assert_same(e, &m);
        }
        entry_free(e);
        model_free(&m);
    }
}

/* ---- values inside ---- */

static const size_t listpack_lengths[] = { 7, 8, 9, 15, 100, 255, 256, 257, 511, 512, 513, 514, 2000 };

/* Of so many bytes, or one or two fewer, with a number besides the text where there is room. */
static struct value listpack_of_bytes(size_t bytes) {
    static char text[2000];
    memset(text, 'x', sizeof text);
    unsigned char *lp = listpack_new_roomy();
    if (bytes > 40) lp = listpack_append_number(lp, INT64_MIN);
    size_t left = bytes - listpack_bytes(lp);
    size_t len = left;
    while (len > 0 && listpack_element_bytes(slice_make(text, len)) > left) len--;
    if (left > 1) lp = listpack_append(lp, slice_make(text, len));
    return (struct value){ lp, ENCODING_LISTPACK };
}

static struct entry *entry_of_copy(struct slice key, struct value v, int64_t expiry_ms) {
    return entry_new_value(key, TYPE_LIST, list_value_ops.copy(v), expiry_ms);
}

static void assert_holds(const struct entry *e, struct slice key, int64_t expiry_ms, struct value v) {
    struct value here = entry_value(e);
    assert_true(slice_equal(entry_key(e), key));
    assert_int_equal(entry_expiry_ms(e), expiry_ms);
    assert_int_equal(e->type, TYPE_LIST);
    assert_int_equal(entry_encoding(e), v.encoding);
    assert_true(slice_equal(value_packed(here), value_packed(v)));
    assert_int_equal(list_count(here), list_count(v));
    assert_int_equal(entry_memory(e), slab_size(e) + (entry_is_inside(e) ? 0 : mem_size(here.ptr)));
    assert_true(entry_rough_size(e) <= entry_memory(e));
    assert_int_equal(entry_free_effort(e), 1);
}

static void small_values_lie_inside_whatever_becomes_of_the_entry(void **state) {
    (void)state;
    for (size_t k = 0; k < COUNT_OF(key_lengths); k++)
        for (size_t n = 0; n < COUNT_OF(listpack_lengths); n++) {
            struct value v = listpack_of_bytes(listpack_lengths[n]);
            struct model m = model_new(key_lengths[k], 0, NO_EXPIRY, (unsigned)k);
            struct entry *e = entry_of_copy(model_key(&m), v, NO_EXPIRY);
            assert_int_equal(entry_is_inside(e), value_packed(v).len <= ENTRY_INSIDE_MAX);
            assert_holds(e, model_key(&m), NO_EXPIRY, v);
            struct entry *twin = entry_copy(e, LIT("twin"), 77);
            e = entry_with_expiry(e, 5);
            assert_holds(e, model_key(&m), 5, v);
            e = entry_renamed(e, LIT("another key"));
            assert_holds(e, LIT("another key"), 5, v);
            e = entry_with_expiry(e, NO_EXPIRY);
            assert_holds(e, LIT("another key"), NO_EXPIRY, v);
            entry_free(e);
            assert_holds(twin, LIT("twin"), 77, v);
            entry_free_lazily(twin);
            list_value_ops.free(v);
            model_free(&m);
        }
}

/* Stores `v` in the place of what lies inside, as closing a change does. */
static struct entry *store(struct entry *e, struct value v) {
    if (value_packed(v).len > ENTRY_INSIDE_MAX) return entry_with_pointer(e, list_value_ops.copy(v));
    return entry_overwrite_inside(e, v) ? e : entry_with_inside(e, v);
}

static void a_value_inside_may_become_any_other(void **state) {
    (void)state;
    struct slice key = LIT("some key");
    for (size_t from = 0; listpack_lengths[from] <= ENTRY_INSIDE_MAX; from++)
        for (size_t to = 0; to < COUNT_OF(listpack_lengths); to++) {
            struct value before = listpack_of_bytes(listpack_lengths[from]);
            struct value after = listpack_of_bytes(listpack_lengths[to]);
            struct entry *e = store(entry_of_copy(key, before, 5), after);
            assert_holds(e, key, 5, after);
            size_t need = ENTRY_HEADER + sizeof(int64_t) + key.len + value_packed(after).len;
            if (entry_is_inside(e)) assert_true(slab_size(e) <= slab_good_size(need) + slab_size(e) / 4);
            if (!entry_is_inside(e)) {
                struct value block = entry_value(e);
                e = entry_with_inside(e, before);
                list_value_ops.free(block);
                assert_holds(e, key, 5, before);
            }
            entry_free(e);
            list_value_ops.free(before);
            list_value_ops.free(after);
        }
}

static void integers_are_read_inside_at_any_address(void **state) {
    (void)state;
    static const char key[] = "a key of up to sixteen bytes";
    for (size_t len = 0; len < 16; len++) {
        bool added;
        unsigned char *is = intset_new();
        for (int64_t n = 0; n < 20; n++) is = intset_add(is, n * INT64_C(3000000000) - 7, &added);
        struct value v = { is, ENCODING_INTSET };
        struct entry *e = entry_new_value(slice_make(key, len), TYPE_SET, v, NO_EXPIRY);
        assert_true(entry_is_inside(e));
        assert_string_equal(entry_encoding_name(e), "intset");
        set_check(entry_value(e));
        assert_true(set_contains(entry_value(e), LIT("56999999993")));
        assert_false(set_contains(entry_value(e), LIT("56999999994")));
        entry_free(e);
    }
}

static void a_moved_entry_keeps_its_epoch_and_access(void **state) {
    (void)state;
    struct entry *e = entry_new_string(LIT("k"), LIT("v"), NO_EXPIRY);
    e->access = 0xabcdef0;
    keyspace_epoch = !keyspace_epoch;
    e = entry_with_expiry(e, 5);
    e = entry_renamed(e, LIT("a longer key than before"));
    entry_make_writable(&e, 300, 0);
    entry_make_writable(&e, 30000, 0);
    assert_int_not_equal(e->epoch, keyspace_epoch);
    assert_int_equal(e->access, 0xabcdef0);
    struct entry *twin = entry_copy(e, LIT("t"), NO_EXPIRY);
    assert_int_equal(twin->epoch, keyspace_epoch);
    entry_free(e);
    entry_free_lazily(twin);
    assert_int_equal(entry_leaving_bytes(), 0);
}

#define ENTRY_TEST(f) cmocka_unit_test_setup_teardown(f, keyspace_start, keyspace_end)

int main(void) {
    const struct CMUnitTest tests[] = {
        ENTRY_TEST(every_builder_keeps_key_text_and_expiry),
        ENTRY_TEST(texts_are_kept_as_numbers_only_if_they_read_back_the_same),
        ENTRY_TEST(a_number_is_read_and_set_in_place),
        ENTRY_TEST(expired_means_strictly_later_than_its_time),
        ENTRY_TEST(overwriting_does_all_or_nothing),
        ENTRY_TEST(a_text_of_the_same_length_is_overwritten_in_place),
        ENTRY_TEST(overwriting_takes_a_part_of_the_old_text),
        ENTRY_TEST(numbers_and_texts_overwrite_each_other),
        ENTRY_TEST(a_string_is_writable_at_every_length),
        ENTRY_TEST(a_number_becomes_writable_digits),
        ENTRY_TEST(writing_to_a_shared_blob_leaves_the_other_holder_alone),
        ENTRY_TEST(any_row_of_changes_matches_the_model),
        ENTRY_TEST(a_moved_entry_keeps_its_epoch_and_access),
        ENTRY_TEST(small_values_lie_inside_whatever_becomes_of_the_entry),
        ENTRY_TEST(a_value_inside_may_become_any_other),
        ENTRY_TEST(integers_are_read_inside_at_any_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
