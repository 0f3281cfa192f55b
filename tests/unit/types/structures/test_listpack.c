/* Listpacks: the public bytes, random changes against a model, and hostile bytes. */
#include "trivet/base/buf.h"
#include "trivet/base/mem.h"
#include "trivet/base/random.h"
#include "trivet/types/structures/listpack.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void elements_have_the_public_bytes(void **state) {
    (void)state;
    static const struct {
        struct slice text, bytes; /* of the element alone */
    } rows[] = {
        { LIT_INIT("0"), LIT_INIT("\x00\x01") },
        { LIT_INIT("127"), LIT_INIT("\x7f\x01") },
        { LIT_INIT("128"), LIT_INIT("\xc0\x80\x02") },
        { LIT_INIT("-1"), LIT_INIT("\xdf\xff\x02") },
        { LIT_INIT("-4096"), LIT_INIT("\xd0\x00\x02") },
        { LIT_INIT("4096"), LIT_INIT("\xf1\x00\x10\x03") },
        { LIT_INIT("-32769"), LIT_INIT("\xf2\xff\x7f\xff\x04") },
        { LIT_INIT("8388608"), LIT_INIT("\xf3\x00\x00\x80\x00\x05") },
        { LIT_INIT("2147483648"), LIT_INIT("\xf4\x00\x00\x00\x80\x00\x00\x00\x00\x09") },
        { LIT_INIT(""), LIT_INIT("\x80\x01") },
        { LIT_INIT("abc"), LIT_INIT("\x83"
                                    "abc\x04") },
        { LIT_INIT("007"), LIT_INIT("\x83"
                                    "007\x04") }, /* no canonical number */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unsigned char *lp = listpack_append(listpack_new(), rows[i].text);
        assert_int_equal(listpack_bytes(lp), LISTPACK_EMPTY_BYTES + rows[i].bytes.len);
        assert_memory_equal(lp + LISTPACK_HEADER, rows[i].bytes.ptr, rows[i].bytes.len);
        assert_int_equal(lp[listpack_bytes(lp) - 1], 0xff);
        assert_int_equal(listpack_element_bytes(rows[i].text), rows[i].bytes.len);
        listpack_free(lp);
    }
}

/* ---- a model beside ---- */

#define MODEL_MAX 200

struct model {
    struct buf at[MODEL_MAX];
    size_t count;
};

static void model_insert(struct model *m, size_t index, struct slice text) {
    memmove(&m->at[index + 1], &m->at[index], (m->count - index) * sizeof m->at[0]);
    m->at[index] = (struct buf){ 0 };
    buf_append(&m->at[index], text);
    m->count++;
}

static void model_delete(struct model *m, size_t index) {
    buf_release(&m->at[index]);
    memmove(&m->at[index], &m->at[index + 1], (m->count - index - 1) * sizeof m->at[0]);
    m->count--;
}

static void check(const unsigned char *lp, const struct model *m) {
    assert_true(listpack_is_valid(lp, listpack_bytes(lp), NULL, NULL));
    assert_int_equal(listpack_count(lp), m->count);
    const unsigned char *at = listpack_first(lp);
    for (size_t i = 0; i < m->count; i++, at = listpack_next(lp, at)) {
        char scratch[INT64_TEXT_MAX];
        assert_non_null(at);
        assert_true(slice_equal(listpack_text(at, scratch), buf_slice(&m->at[i])));
        assert_true(listpack_equals(at, buf_slice(&m->at[i])));
        assert_ptr_equal(listpack_at(lp, (int64_t)i), at);
        assert_ptr_equal(listpack_at(lp, (int64_t)i - (int64_t)m->count), at);
    }
    assert_null(at);
    at = listpack_last(lp);
    for (size_t i = m->count; i > 0; i--) at = listpack_previous(lp, at);
    assert_null(at);
}

/* Texts around every border of the encodings. */
static struct slice any_text(char *room) {
    static const size_t lengths[] = { 0, 1, 20, 62, 63, 64, 65, 126, 127, 128, 4095, 4096, 5000 };
    static const int64_t numbers[] = { 0,         127,       128,       -1,       4095,    4096,
                                       -4096,     -4097,     32767,     32768,    8388607, -8388609,
                                       INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN };
    if (random_below(2)) {
        int64_t n = numbers[random_below(sizeof numbers / sizeof numbers[0])];
        return slice_make(room, int64_format(room, n));
    }
    size_t len = lengths[random_below(sizeof lengths / sizeof lengths[0])];
    memset(room, 'a' + (int)random_below(3), len);
    return slice_make(room, len);
}

static void random_changes_agree_with_a_model(void **state) {
    (void)state;
    static char room[5000 + INT64_TEXT_MAX];
    unsigned char *lp = listpack_new();
    struct model m = { .count = 0 };
    for (int step = 0; step < 4000; step++) {
        size_t index = m.count ? random_below(m.count) : 0;
        unsigned char *at = listpack_at(lp, (int64_t)index);
        uint64_t what = random_below(3);
        if (m.count == MODEL_MAX || (m.count > 0 && what == 0)) {
            lp = listpack_delete(lp, at, 1, NULL);
            model_delete(&m, index);
        } else if (m.count > 0 && what == 1) {
            struct slice text = any_text(room);
            lp = listpack_replace(lp, &at, text);
            buf_clear(&m.at[index]);
            buf_append(&m.at[index], text);
            assert_ptr_equal(at, listpack_at(lp, (int64_t)index));
        } else {
            struct slice text = any_text(room);
            lp = listpack_insert(lp, at, text);
            model_insert(&m, index, text);
        }
        check(lp, &m);
    }
    while (m.count > 0) model_delete(&m, 0);
    listpack_free(lp);
}

static void a_range_is_deleted_and_what_follows_is_told(void **state) {
    (void)state;
    unsigned char *lp = listpack_new();
    for (int64_t i = 0; i < 10; i++) lp = listpack_append_number(lp, i);
    unsigned char *after;
    lp = listpack_delete(lp, listpack_at(lp, 2), 5, &after);
    assert_int_equal(listpack_count(lp), 5);
    assert_int_equal(listpack_get(after).number, 7);
    lp = listpack_delete(lp, listpack_at(lp, 3), 100, &after);
    assert_null(after);
    assert_int_equal(listpack_count(lp), 3);
    listpack_free(lp);
}

static void finding_looks_at_every_nth_element(void **state) {
    (void)state;
    unsigned char *lp = listpack_new();
    static const char *const words[] = { "a", "b", "b", "a", "7", "c" };
    for (size_t i = 0; i < 6; i++) lp = listpack_append(lp, slice_of(words[i]));
    assert_ptr_equal(listpack_find(lp, listpack_first(lp), LIT("b"), 0), listpack_at(lp, 1));
    assert_ptr_equal(listpack_find(lp, listpack_first(lp), LIT("b"), 1), listpack_at(lp, 2));
    assert_ptr_equal(listpack_find(lp, listpack_first(lp), LIT("7"), 1), listpack_at(lp, 4));
    assert_null(listpack_find(lp, listpack_first(lp), LIT("c"), 1));
    assert_null(listpack_find(lp, listpack_first(lp), LIT("07"), 0));
    listpack_free(lp);
}

static void joined_listpacks_hold_both(void **state) {
    (void)state;
    unsigned char *lp = listpack_append(listpack_new(), LIT("one")),
                  *tail = listpack_append_number(listpack_new(), 2);
    lp = listpack_join(lp, tail);
    assert_int_equal(listpack_count(lp), 2);
    assert_int_equal(listpack_get(listpack_last(lp)).number, 2);
    assert_true(listpack_is_valid(lp, listpack_bytes(lp), NULL, NULL));
    listpack_free(tail);
    listpack_free(lp);
}

static void more_than_65534_elements_are_counted(void **state) {
    (void)state;
    unsigned char *lp = listpack_new();
    for (int i = 0; i < 70000; i++) lp = listpack_append_number(lp, i & 63);
    assert_int_equal(listpack_count(lp), 70000);
    lp = listpack_delete(lp, listpack_first(lp), 10000, NULL);
    assert_int_equal(listpack_count(lp), 60000);
    assert_int_equal(listpack_get(listpack_at(lp, -1)).number, 69999 & 63);
    listpack_free(lp);
}

/* Every cut and every changed byte is refused or read without leaving the bytes (the sanitizers watch). */
static void damaged_bytes_are_refused_or_harmless(void **state) {
    (void)state;
    static char room[5000 + INT64_TEXT_MAX];
    unsigned char *lp = listpack_new();
    for (int i = 0; i < 30; i++) lp = listpack_append(lp, any_text(room));
    size_t len = listpack_bytes(lp);
    size_t shorter = len < 400 ? len : 400;
    for (size_t cut = 0; cut < shorter; cut++) {
        unsigned char *part = mem_alloc(cut ? cut : 1);
        memcpy(part, lp, cut);
        assert_false(listpack_is_valid(part, cut, NULL, NULL));
        mem_free(part);
    }
    for (int i = 0; i < 20000; i++) {
        unsigned char *bad = listpack_copy(lp);
        bad[random_below(len)] ^= (unsigned char)(1 + random_below(255));
        if (listpack_is_valid(bad, len, NULL, NULL)) {
            char scratch[INT64_TEXT_MAX];
            size_t bytes = 0;
            for (unsigned char *at = listpack_first(bad); at; at = listpack_next(bad, at))
                bytes += listpack_text(at, scratch).len;
            assert_true(bytes < 10 * len);
        }
        listpack_free(bad);
    }
    listpack_free(lp);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_have_the_public_bytes),
        cmocka_unit_test(random_changes_agree_with_a_model),
        cmocka_unit_test(a_range_is_deleted_and_what_follows_is_told),
        cmocka_unit_test(finding_looks_at_every_nth_element),
        cmocka_unit_test(joined_listpacks_hold_both),
        cmocka_unit_test(more_than_65534_elements_are_counted),
        cmocka_unit_test(damaged_bytes_are_refused_or_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
