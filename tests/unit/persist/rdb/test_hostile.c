/* test_hostile.c: payloads with a byte missing or a bit turned: each is refused or is another sound
 * value, whose every element can be looked at, and which goes out and in again unchanged. */
#include "rdb_fixtures.h"

/* Payloads in allocations of just their size, so that the address sanitizer sees a step beyond. */
static struct entry *take_exactly(const char *bytes, size_t len, bool *empty) {
    char *copy = mem_alloc(len);
    memcpy(copy, bytes, len);
    struct entry *e = entry_of(slice_make(copy, len), empty);
    mem_free(copy);
    return e;
}

/* Of -0 a small sorted set knows only 0, so that one is not compared. */
static bool has_minus_zero(const struct entry *e) {
    struct zset_walk w;
    if (e->type != TYPE_ZSET) return false;
    zset_walk_all(&w, entry_value(e));
    while (zset_walk_next(&w))
        if (w.score == 0 && signbit(w.score)) return true;
    return false;
}

static void check_sound(const char *what, const struct entry *e) {
    check_entry(e);
    struct buf payload = payload_of(e, RDB_VERSION_VALKEY, true);
    bool empty;
    struct entry *again = entry_of(buf_slice(&payload), &empty);
    if (!again || (!has_minus_zero(e) && !same_contents(e, again)))
        fail_msg("%s: what was taken does not come out and in again", what);
    entry_free(again);
    buf_release(&payload);
}

struct tally {
    size_t refused, taken;
};

static void turn_each_bit(const char *what, struct buf *payload, struct tally *t) {
    for (size_t bit = 0; bit < 8 * payload->len; bit++) {
        char *byte = payload->ptr + bit / 8;
        *byte = (char)(*byte ^ 1 << bit % 8);
        bool empty;
        struct entry *e = take_exactly(payload->ptr, payload->len, &empty);
        if (e) {
            check_sound(what, e);
            entry_free(e);
        }
        *(e ? &t->taken : &t->refused) += 1;
        *byte = (char)(*byte ^ 1 << bit % 8);
    }
}

/* A value's bytes say where it ends, so no beginning of them is a whole one. */
static void cut_everywhere(const char *what, const struct buf *payload) {
    for (size_t len = 1; len < payload->len; len++) {
        bool empty;
        if (take_exactly(payload->ptr, len, &empty)) fail_msg("%s: taken when cut to %zu bytes", what, len);
    }
}

static void try_payload(const char *what, struct buf *payload, struct tally *t) {
    cut_everywhere(what, payload);
    turn_each_bit(what, payload, t);
    buf_release(payload);
}

static void no_cut_and_no_turned_bit_breaks_anything(void **state) {
    static const struct {
        int version;
        bool compress;
    } ways[] = { { 10, false }, { RDB_VERSION_VALKEY, false }, { RDB_VERSION_VALKEY, true } };
    (void)state;
    struct tally t = { 0 };
    for (size_t i = 0; i < SMALL_SAMPLES; i++)
        for (size_t k = 0; k < COUNT_OF(ways); k++) {
            struct entry *e = samples[i].make();
            struct buf payload = payload_of(e, ways[k].version, ways[k].compress);
            entry_free(e);
            try_payload(samples[i].what, &payload, &t);
        }
    assert_true(t.refused > 10000 && t.taken > 10000);
}

static void nor_in_the_forms_of_old_servers(void **state) {
    (void)state;
    struct tally t = { 0 };
    for (size_t i = 0; i < COUNT_OF(fixtures); i++) {
        struct buf payload = fixture_payload(&fixtures[i]);
        try_payload(fixtures[i].what, &payload, &t);
    }
    assert_true(t.refused > 1000 && t.taken > 1000);
}

/* Big ones at random places: all would take too long. */
static void nor_in_big_values(void **state) {
    (void)state;
    for (size_t i = SMALL_SAMPLES; i < COUNT_OF(samples); i++) {
        struct entry *e = samples[i].make();
        struct buf payload = payload_of(e, RDB_VERSION_VALKEY, i % 2);
        entry_free(e);
        for (int round = 0; round < 150; round++) {
            bool empty;
            size_t at = chance_below(round % 3 ? payload.len : 100), len = chance_below(payload.len - 1) + 1;
            char was = payload.ptr[at];
            assert_null(take_exactly(payload.ptr, len, &empty));
            payload.ptr[at] = (char)(was ^ 1 << chance_below(8));
            e = take_exactly(payload.ptr, payload.len, &empty);
            if (e) check_sound(samples[i].what, e), entry_free(e);
            payload.ptr[at] = was;
        }
        buf_release(&payload);
    }
}

static void nor_do_random_bytes(void **state) {
    (void)state;
    for (int round = 0; round < 20000; round++) {
        char bytes[64];
        size_t len = 1 + chance_below(sizeof bytes - 1);
        for (size_t i = 0; i < len; i++)
            bytes[i] = (char)(round % 2 ? chance() >> 30 : chance_below(24)); /* mostly small lengths */
        bytes[0] = (char)chance_below(RDB_HASH_2 + 2);
        bool empty;
        struct entry *e = take_exactly(bytes, len, &empty);
        if (e) check_sound("random bytes", e), entry_free(e);
    }
}

/* A listpack of the texts "7" and "8", which we would have written as numbers. */
#define DIGITS_AS_TEXT "\x0d\x0d\0\0\0\2\0\x81\x37\x02\x81\x38\x02\xff"

/* What is in the payload, to be changed. */
static struct value value_of(struct slice payload) {
    bool empty;
    struct entry *e = entry_of(payload, &empty);
    assert_non_null(e);
    struct value v = value_ops[e->type]->copy(entry_value(e));
    entry_free(e);
    return v;
}

static void numbers_that_were_written_as_text_are_found(void **state) {
    (void)state;
    struct hash_field f;
    struct hash_scratch scratch;
    struct value v = value_of(LIT("\x10" DIGITS_AS_TEXT));
    assert_true(hash_find(v, LIT("7"), &f, &scratch) && slice_equal(f.value, LIT("8")));
    assert_false(hash_set(&v, LIT("7"), LIT("9"), HASH_NO_EXPIRY));
    assert_int_equal(hash_count(v), 1);
    hash_value_ops.free(v);

    v = value_of(LIT("\x14" DIGITS_AS_TEXT)); /* set */
    assert_true(set_contains(v, LIT("7")) && !set_add(&v, LIT("8")) && set_remove(&v, LIT("8")));
    set_value_ops.free(v);

    double score;
    v = value_of(LIT("\x11" DIGITS_AS_TEXT)); /* sorted set */
    assert_true(zset_score(v, LIT("7"), &score) && score == 8);
    zset_value_ops.free(v);

    v = value_of(LIT("\x12\x01\x02" DIGITS_AS_TEXT)); /* list */
    assert_int_equal(list_remove(&v, LIT("7"), 10, false), 1);
    assert_int_equal(list_remove(&v, LIT("8"), 10, true), 1);
    list_value_ops.free(v);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_cut_and_no_turned_bit_breaks_anything),
        cmocka_unit_test(nor_in_the_forms_of_old_servers),
        cmocka_unit_test(nor_in_big_values),
        cmocka_unit_test(nor_do_random_bytes),
        cmocka_unit_test(numbers_that_were_written_as_text_are_found),
    };
    return cmocka_run_group_tests(tests, fix_the_secret, NULL);
}
