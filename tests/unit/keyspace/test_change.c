/* test_change.c: collections that are opened and closed, beside twins that are in no entry. */
#include "../chance.h"
#include "fixture.h"
#include "trivet/types/hash.h"
#include "trivet/types/list.h"
#include "trivet/types/set.h"
#include "trivet/types/structures/listpack.h"
#include "trivet/types/zset.h"

#define TEXT_ROOM 3000

static void check_bytes(void) {
    for (uint32_t db = 0; db < DATABASES; db++)
        assert_int_equal(keyspace_bytes(db), keyspace_bytes_walked(db));
    check_counts();
}

static struct slice text_of(char *room, size_t dice) {
    if (dice % 5 == 0) return slice_make(room, int64_format(room, (int64_t)(dice % 100000)));
    size_t len = dice % 97 == 0 ? dice % TEXT_ROOM : dice % 40;
    memset(room, 'a' + (int)(dice % 7), len);
    return slice_make(room, len);
}

/* ---- one change by chance, of each type: the same for a value and its twin ---- */

typedef void change_value(struct value *v, size_t id, size_t dice);

static void change_hash(struct value *v, size_t id, size_t dice) {
    char name[64], text[TEXT_ROOM];
    struct slice field = slice_make(name, int64_format(name, (int64_t)id));
    if (dice % 3 == 0)
        (void)hash_remove(v, field);
    else if (dice % 301 == 1)
        (void)hash_set_expiry(v, field, INT64_MAX - 1);
    else
        (void)hash_set(v, field, text_of(text, dice), HASH_KEEP_EXPIRY);
}

static void change_list(struct value *v, size_t id, size_t dice) {
    char text[TEXT_ROOM];
    size_t count = list_count(*v);
    if (dice % 3 != 0 || count == 0)
        list_push(v, dice % 2 ? LIST_HEAD : LIST_TAIL, text_of(text, dice));
    else if (dice % 2)
        list_delete(v, id % count, 1);
    else
        list_replace(v, id % count, text_of(text, dice));
    list_settle(v);
}

static void change_set(struct value *v, size_t id, size_t dice) {
    char text[TEXT_ROOM];
    struct slice member = slice_make(text, int64_format(text, (int64_t)(dice % 7 ? id : id * 100000)));
    if (dice % 101 == 1) member = text_of(text, dice);
    if (dice % 3 == 0)
        (void)set_remove(v, member);
    else
        (void)set_add(v, member);
}

static void change_zset(struct value *v, size_t id, size_t dice) {
    char text[TEXT_ROOM];
    struct slice member = slice_make(text, int64_format(text, (int64_t)id));
    if (dice % 3 == 0)
        (void)zset_remove(v, member);
    else
        zset_add(v, member, (double)(dice % 1000) / 2);
}

static struct value new_set(void) { return set_new(LIT("1"), 1); }

static const struct kind {
    const char *what;
    enum value_type type;
    struct value (*make)(void);
    change_value *change;
    void (*check)(struct value v);
} kinds[] = {
    { "hash", TYPE_HASH, hash_new, change_hash, hash_check },
    { "list", TYPE_LIST, list_new, change_list, list_check },
    { "set", TYPE_SET, new_set, change_set, set_check },
    { "sorted set", TYPE_ZSET, zset_new, change_zset, zset_check },
};

/* ---- the model ---- */

/* A key of the keyspace, and a value that should be the same; NULL ptr: the key should not be there. */
struct twin {
    const struct kind *kind;
    char name[KEY_ROOM];
    struct slice key;
    struct value value;
};

static void drop_twin(struct twin *t) {
    if (t->value.ptr) value_ops[t->kind->type]->free(t->value);
    t->value.ptr = NULL;
}

static void assert_same(struct keyspace_view *view, const struct twin *t) {
    struct entry *e = keyspace_peek(view, t->key);
    if (!t->value.ptr) {
        assert_null(e);
        return;
    }
    struct value here = entry_value(e);
    t->kind->check(here);
    if (here.encoding != t->value.encoding) fail_msg("%s: encoding %d", t->kind->what, here.encoding);
    assert_int_equal(value_ops[t->kind->type]->count(here), value_ops[t->kind->type]->count(t->value));
    if (!value_is_packed(here)) return;
    struct slice bytes = value_packed(here);
    assert_true(slice_equal(bytes, value_packed(t->value)));
    assert_true(bytes.len <= ENTRY_INSIDE_MAX || !entry_is_inside(e));
    assert_true(bytes.len > ENTRY_INSIDE_MAX / 2 || entry_is_inside(e));
}

/* Some changes at once, closed or left open; the twin follows those that are closed. */
static void change_both(struct keyspace_view *view, struct twin *t, size_t spread) {
    struct keyspace_change change;
    assert_true(keyspace_open(view, t->key, t->kind->type, &change));
    bool is_closed = !change.entry || chance_below(10) > 0;
    if (!change.entry) change.value = t->kind->make();
    if (!t->value.ptr) t->value = t->kind->make();
    for (size_t n = is_closed ? 1 + chance_below(3) : 0; n > 0; n--) {
        size_t id = chance_below(spread), dice = chance_below(100000);
        t->kind->change(&change.value, id, dice);
        t->kind->change(&t->value, id, dice);
    }
    if (!is_closed) return;
    change.drops = chance_below(400) == 0;
    if (change.drops || value_ops[t->kind->type]->count(t->value) == 0) drop_twin(t);
    enum keyspace_closed closed = keyspace_close(view, &change);
    assert_int_equal(closed == CLOSED_MADE || closed == CLOSED_KEPT, t->value.ptr != NULL);
    assert_same(view, t);
}

static void closed_changes_are_those_of_a_twin(void **state) {
    (void)state;
    enum { KEYS = 4 };
    for (size_t k = 0; k < COUNT_OF(kinds); k++) {
        struct keyspace_view view = view_at((uint32_t)k, NOW_MS);
        struct twin twins[KEYS];
        for (size_t i = 0; i < KEYS; i++) {
            twins[i].kind = &kinds[k];
            twins[i].key = key_text(twins[i].name, i % 2 ? "key" : "quite a long key ", i);
            twins[i].value.ptr = NULL;
        }
        for (size_t round = 0; round < 4000; round++) {
            struct twin *t = &twins[chance_below(KEYS)];
            change_both(&view, t, 4 + round / 50);
            struct entry *e = round % 20 ? NULL : keyspace_write(&view, t->key);
            if (e) (void)keyspace_set_expiry(&view, e, chance_below(2) ? NOW_MS + 1000 : NO_EXPIRY);
            if (round % 50 == 0) check_bytes();
        }
        for (size_t i = 0; i < KEYS; i++) drop_twin(&twins[i]);
        check_bytes();
    }
}

/* ---- single facts ---- */

static struct entry *put_list(struct keyspace_view *view, struct slice key, struct slice text, size_t count) {
    struct value v = list_new();
    for (size_t i = 0; i < count; i++) list_push(&v, LIST_TAIL, text);
    keyspace_put(view, entry_new_value(key, TYPE_LIST, v, NO_EXPIRY));
    return keyspace_peek(view, key);
}

static void assert_list_length(struct keyspace_view *view, struct slice key, size_t length) {
    struct entry *e = keyspace_peek(view, key);
    assert_int_equal(e ? list_count(entry_value(e)) : 0, length);
}

static void a_change_that_is_left_open_never_was(void **state) {
    (void)state;
    struct keyspace_view view = view_at(0, NOW_MS);
    struct entry *e = put_list(&view, LIT("l"), LIT("element"), 3);
    for (size_t i = 0; i < 3 * KEYSPACE_OPEN_MAX; i++) {
        struct keyspace_change change;
        assert_true(keyspace_open(&view, LIT("l"), TYPE_LIST, &change));
        list_push(&change.value, LIST_TAIL, LIT("more"));
    }
    assert_ptr_equal(keyspace_peek(&view, LIT("l")), e);
    assert_list_length(&view, LIT("l"), 3);
    check_bytes();
}

static void several_changes_are_open_at_once(void **state) {
    (void)state;
    struct keyspace_view view = view_at(0, NOW_MS);
    struct keyspace_change open[KEYSPACE_OPEN_MAX];
    char names[KEYSPACE_OPEN_MAX][KEY_ROOM]; /* a change borrows its key */
    for (size_t i = 0; i < KEYSPACE_OPEN_MAX; i++) {
        struct slice key = key_text(names[i], "l", i);
        (void)put_list(&view, key, LIT("x"), i + 1);
        assert_true(keyspace_open(&view, key, TYPE_LIST, &open[i]));
    }
    for (size_t i = 0; i < KEYSPACE_OPEN_MAX; i++) list_push(&open[i].value, LIST_HEAD, LIT("some more"));
    for (size_t i = KEYSPACE_OPEN_MAX; i > 0; i--)
        assert_int_equal(keyspace_close(&view, &open[i - 1]), CLOSED_KEPT);
    for (size_t i = 0; i < KEYSPACE_OPEN_MAX; i++) assert_list_length(&view, open[i].key, i + 2);
    check_bytes();
}

static void push_and_close(struct keyspace_view *view, struct slice key, struct slice text) {
    struct keyspace_change change;
    assert_true(keyspace_open(view, key, TYPE_LIST, &change));
    list_push(&change.value, LIST_TAIL, text);
    assert_int_equal(keyspace_close(view, &change), CLOSED_KEPT);
}

static void pop_and_close(struct keyspace_view *view, struct slice key) {
    struct keyspace_change change;
    assert_true(keyspace_open(view, key, TYPE_LIST, &change));
    list_delete(&change.value, 0, 1);
    assert_int_equal(keyspace_close(view, &change), CLOSED_KEPT);
}

static void a_value_comes_out_when_it_is_big_and_back_at_half_of_that(void **state) {
    (void)state;
    struct keyspace_view view = view_at(0, NOW_MS);
    struct slice key = LIT("l"), text = LIT("an element of some length");
    struct entry *e = put_list(&view, key, text, 1);
    size_t most = 0;
    for (; entry_is_inside(e); most++) {
        push_and_close(&view, key, text);
        e = keyspace_peek(&view, key);
    }
    struct slice bytes = value_packed(entry_value(e));
    assert_in_range(bytes.len, ENTRY_INSIDE_MAX + 1, ENTRY_INSIDE_MAX + 40);
    assert_int_equal(mem_size(bytes.ptr), mem_good_size(bytes.len)); /* no room is left in it */
    check_bytes();
    size_t least = most + 1;
    for (; !entry_is_inside(e); least--) {
        pop_and_close(&view, key);
        e = keyspace_peek(&view, key);
    }
    assert_in_range(least, most / 2 - 2, most / 2 + 2);
    check_bytes();
}

static void an_entry_that_moves_stays_the_same_in_all_else(void **state) {
    (void)state;
    struct keyspace_view view = view_at(0, NOW_MS);
    view.no_touch = true;
    struct entry *e = put_list(&view, LIT("l"), LIT("x"), 1);
    e = keyspace_set_expiry(&view, e, NOW_MS + 5000);
    e->access = 0x1234567;
    keyspace_walk_begin(&note_saver); /* a snapshot begins */
    for (size_t i = 1; i < 100; i++) {
        push_and_close(&view, LIT("l"), LIT("element"));
        e = keyspace_peek(&view, LIT("l"));
        assert_int_equal(e->access, 0x1234567);
        assert_int_equal(entry_expiry_ms(e), NOW_MS + 5000);
        assert_int_equal(e->epoch, keyspace_epoch);
        assert_list_length(&view, LIT("l"), 1 + i);
    }
    assert_int_equal(notes.saved, 1);
    keyspace_walk_end();
    check_bytes();
}

static void what_loses_its_last_element_in_another_form_goes_too(void **state) {
    (void)state;
    struct keyspace_view view = view_at(0, NOW_MS);
    struct value v = hash_new();
    (void)hash_set(&v, LIT("f"), LIT("v"), HASH_NO_EXPIRY);
    keyspace_put(&view, entry_new_value(LIT("h"), TYPE_HASH, v, NO_EXPIRY));
    struct keyspace_change change;
    assert_true(keyspace_open(&view, LIT("h"), TYPE_HASH, &change));
    (void)hash_set_expiry(&change.value, LIT("f"), NOW_MS + 5);
    assert_int_equal(change.value.encoding, ENCODING_TABLE);
    (void)hash_remove(&change.value, LIT("f"));
    assert_int_equal(keyspace_close(&view, &change), CLOSED_DELETED);
    assert_null(keyspace_peek(&view, LIT("h")));
    check_bytes();
}

/* As in a server: entries of sizes that lie close together. */
static int start_with_slabs(void **state) {
    if (!slab_init((size_t)1 << 28)) return -1;
    return keyspace_start(state);
}

/* All blocks came back: slab_release() asserts it. */
static int end_with_slabs(void **state) {
    int result = keyspace_end(state);
    slab_release();
    return result;
}

#define CHANGE_TEST(f) cmocka_unit_test_setup_teardown(f, keyspace_start, keyspace_end)

int main(void) {
    const struct CMUnitTest tests[] = {
        CHANGE_TEST(closed_changes_are_those_of_a_twin),
        cmocka_unit_test_setup_teardown(closed_changes_are_those_of_a_twin, start_with_slabs, end_with_slabs),
        CHANGE_TEST(a_change_that_is_left_open_never_was),
        CHANGE_TEST(several_changes_are_open_at_once),
        CHANGE_TEST(a_value_comes_out_when_it_is_big_and_back_at_half_of_that),
        CHANGE_TEST(an_entry_that_moves_stays_the_same_in_all_else),
        CHANGE_TEST(what_loses_its_last_element_in_another_form_goes_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
