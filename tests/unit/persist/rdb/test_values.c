/* test_values.c: a value of every type in every encoding goes out, in every version, and comes in again.
 */
#include "rdb_support.h"

static const int versions[] = { 10, 11, RDB_VERSION_VALKEY };

static void values_are_what_the_samples_say(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        struct entry *e = samples[i].make();
        check_entry(e);
        if (entry_encoding(e) != samples[i].encoding)
            fail_msg("%s has encoding %d", samples[i].what, entry_encoding(e));
        entry_free(e);
    }
}

static bool loses_its_dates(const struct entry *e, int version) {
    return version < RDB_VERSION_VALKEY && rdb_version_of(e) == RDB_VERSION_VALKEY;
}

/* The same without the times of its fields. */
static struct entry *without_dates(const struct entry *e) {
    struct value v = value_ops[TYPE_HASH]->copy(entry_value(e));
    char room[40];
    for (size_t i = 0; i < hash_count(entry_value(e)); i++)
        assert_true(hash_set_expiry(&v, sample_text(room, i % 3 ? "f" : "", i), HASH_NO_EXPIRY));
    return entry_with(TYPE_HASH, v);
}

static void there_and_back(const struct sample *sample, const struct entry *e, int version, bool compress) {
    struct buf payload = payload_of(e, version, compress);
    bool empty;
    struct entry *back = entry_of(buf_slice(&payload), &empty);
    if (!back || empty) fail_msg("%s does not come back from version %d", sample->what, version);
    check_entry(back);
    if (loses_its_dates(e, version)) {
        struct entry *plain = without_dates(e);
        if (!same_contents(plain, back)) fail_msg("%s is another in version %d", sample->what, version);
        entry_free(plain);
    } else {
        if (!same_contents(e, back)) fail_msg("%s is another in version %d", sample->what, version);
        assert_int_equal(entry_encoding(back), entry_encoding(e));
    }
    entry_free(back);
    buf_release(&payload);
}

static void every_encoding_comes_back_in_every_version(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        struct entry *e = samples[i].make();
        for (size_t k = 0; k < COUNT_OF(versions); k++) {
            assert_int_equal(rdb_type_of(e, versions[k]), samples[i].types[k]);
            there_and_back(&samples[i], e, versions[k], false);
            there_and_back(&samples[i], e, versions[k], true);
        }
        entry_free(e);
    }
}

static void the_key_and_its_expiry_are_the_callers(void **state) {
    (void)state;
    struct entry *e = sample_small_hash();
    struct buf payload = payload_of(e, 11, false);
    struct rdb_in in = { (unsigned char *)payload.ptr + 1, (unsigned char *)payload.ptr + payload.len };
    bool empty;
    struct entry *back = rdb_take_value(&in, RDB_HASH_LISTPACK, LIT("another"), 12345, &empty);
    assert_non_null(back);
    assert_true(slice_equal(entry_key(back), LIT("another")));
    assert_int_equal(entry_expiry_ms(back), 12345);
    assert_int_equal(back->access, ENTRY_NOT_STAMPED);
    entry_free(back);
    entry_free(e);
    buf_release(&payload);
}

static void input_ends_right_behind_the_value(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        struct entry *e = samples[i].make();
        struct buf payload = payload_of(e, 11, true);
        size_t len = payload.len;
        buf_append(&payload, LIT("what follows"));
        struct rdb_in in = { (unsigned char *)payload.ptr + 1, (unsigned char *)payload.ptr + payload.len };
        bool empty;
        struct entry *back =
            rdb_take_value(&in, (unsigned char)payload.ptr[0], LIT("key"), NO_EXPIRY, &empty);
        assert_non_null(back);
        assert_int_equal((size_t)(in.at - (unsigned char *)payload.ptr), len);
        entry_free(back);
        entry_free(e);
        buf_release(&payload);
    }
}

static void only_dates_of_fields_need_a_newer_version(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        struct entry *e = samples[i].make();
        bool dated = samples[i].types[2] == RDB_HASH_2;
        assert_int_equal(rdb_version_of(e), dated ? RDB_VERSION_VALKEY : RDB_VERSION_MAX);
        entry_free(e);
    }
}

static void expired_fields_are_left_out_where_their_time_is_lost(void **state) {
    static const struct {
        int version;
        int64_t now_ms;
        const char *left;
    } rows[] = {
        { 11, 100, "a=1\nb=2\nc=3\n" },
        { 11, 101, "a=1\nc=3\n" },
        { 10, 201, "a=1\n" },
        { RDB_VERSION_VALKEY, 201, "a=1\nb=2 until 100\nc=3 until 200\n" },
    };
    (void)state;
    struct value v = hash_new();
    hash_set(&v, LIT("a"), LIT("1"), HASH_NO_EXPIRY);
    hash_set(&v, LIT("b"), LIT("2"), 100);
    hash_set(&v, LIT("c"), LIT("3"), 200);
    struct entry *e = entry_with(TYPE_HASH, v);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct rdb_out out = { 0 };
        buf_append_byte(&out.bytes, (char)rdb_type_of(e, rows[i].version));
        rdb_put_value(&out, e, rows[i].version, rows[i].now_ms);
        bool empty;
        struct entry *back = entry_of(buf_slice(&out.bytes), &empty);
        assert_non_null(back);
        struct buf text = { 0 };
        describe(back, &text);
        assert_true(slice_equal(buf_slice(&text), slice_of(rows[i].left)));
        buf_release(&text);
        buf_release(&out.bytes);
        entry_free(back);
    }
    entry_free(e);
}

static void a_consumer_keeps_both_of_its_times_from_form_3_on(void **state) {
    (void)state;
    struct stream *s = stream_with(3);
    struct stream_group *g = stream_group_create(s, LIT("g"), s->last_id, 3);
    struct stream_consumer *c = stream_consumer_create(g, LIT("c"), 500);
    c->active_ms = -1;
    struct entry *e = entry_with(TYPE_STREAM, stream_value(s));
    for (size_t i = 0; i < COUNT_OF(versions); i++) {
        struct buf payload = payload_of(e, versions[i], false);
        bool empty;
        struct entry *back = entry_of(buf_slice(&payload), &empty);
        assert_non_null(back);
        c = stream_consumer_at(stream_group_at(stream_of(entry_value(back)), 0), 0);
        assert_int_equal(c->seen_ms, 500);
        assert_int_equal(c->active_ms, versions[i] == 10 ? 500 : -1);
        entry_free(back);
        buf_release(&payload);
    }
    entry_free(e);
}

/* ---- draining ---- */

static void take_away(void *arg, struct buf *bytes) {
    buf_append(arg, buf_slice(bytes));
    buf_clear(bytes);
}

static void drained_bytes_are_the_same_bytes(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        struct entry *e = samples[i].make();
        struct buf whole = payload_of(e, 11, false), drained = { 0 };
        struct rdb_out out = { .drain = take_away, .drain_arg = &drained };
        buf_append_byte(&drained, whole.ptr[0]);
        rdb_put_value(&out, e, 11, 0);
        buf_append(&drained, buf_slice(&out.bytes));
        assert_true(slice_equal(buf_slice(&whole), buf_slice(&drained)));
        buf_release(&out.bytes);
        buf_release(&drained);
        buf_release(&whole);
        entry_free(e);
    }
}

static void a_huge_value_does_not_pile_up_in_memory(void **state) {
    (void)state;
    struct entry *e = entry_with(TYPE_SET, set_with(60000, "quite a long member, number ", 1));
    struct buf drained = { 0 };
    struct rdb_out out = { .drain = take_away, .drain_arg = &drained };
    rdb_put_value(&out, e, 11, 0);
    assert_in_range(out.bytes.room, 1, 300 * 1024);
    assert_true(drained.len > 60000 * (size_t)30 - 300 * 1024);
    buf_release(&out.bytes);
    buf_release(&drained);
    entry_free(e);
}

/* ---- limits ---- */

/* Limits of today decide the form, not those under which the payload was written. */
static void small_forms_beyond_todays_limits_become_big(void **state) {
    static const struct {
        struct entry *(*make)(void);
        enum encoding encoding;
    } rows[] = {
        { sample_integers, ENCODING_TABLE },   { sample_small_set, ENCODING_TABLE },
        { sample_small_zset, ENCODING_BTREE }, { sample_small_hash, ENCODING_TABLE },
        { sample_small_list, ENCODING_DEQUE },
    };
    (void)state;
    struct encoding_limits before = encoding_limits;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct entry *e = rows[i].make();
        struct buf payload = payload_of(e, 11, false);
        encoding_limits.set_ints = encoding_limits.set_entries = encoding_limits.hash_entries =
            encoding_limits.zset_entries = 5;
        encoding_limits.list_size = 5;
        bool empty;
        struct entry *back = entry_of(buf_slice(&payload), &empty);
        encoding_limits = before;
        assert_non_null(back);
        check_entry(back);
        assert_int_equal(entry_encoding(back), rows[i].encoding);
        assert_true(same_contents(e, back));
        entry_free(back);
        entry_free(e);
        buf_release(&payload);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_what_the_samples_say),
        cmocka_unit_test(every_encoding_comes_back_in_every_version),
        cmocka_unit_test(the_key_and_its_expiry_are_the_callers),
        cmocka_unit_test(input_ends_right_behind_the_value),
        cmocka_unit_test(only_dates_of_fields_need_a_newer_version),
        cmocka_unit_test(expired_fields_are_left_out_where_their_time_is_lost),
        cmocka_unit_test(a_consumer_keeps_both_of_its_times_from_form_3_on),
        cmocka_unit_test(drained_bytes_are_the_same_bytes),
        cmocka_unit_test(a_huge_value_does_not_pile_up_in_memory),
        cmocka_unit_test(small_forms_beyond_todays_limits_become_big),
    };
    return cmocka_run_group_tests(tests, fix_the_secret, NULL);
}
