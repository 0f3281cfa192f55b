/* test_stream.c: streams against a plain array of entries, the invariants checked after every random step. */
#include "trivet/base/mem.h"
#include "trivet/types/stream.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static uint64_t state;

static size_t below(size_t bound) {
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (size_t)((z ^ z >> 31) % bound);
}

static struct stream_id make_id(uint64_t ms, uint64_t seq) { return (struct stream_id){ ms, seq }; }

/* ---- ids ---- */

static void ids_are_read_strictly(void **unused) {
    (void)unused;
    static const struct {
        const char *text;
        bool ok;
        uint64_t ms, seq;
    } rows[] = {
        { "0", true, 0, 7 },
        { "5-3", true, 5, 3 },
        { "007-01", true, 7, 1 },
        { "18446744073709551615-18446744073709551615", true, UINT64_MAX, UINT64_MAX },
        { "", false, 0, 0 },
        { "-", false, 0, 0 },
        { "5-", false, 0, 0 },
        { "-5", false, 0, 0 },
        { "a-1", false, 0, 0 },
        { "1-2-3", false, 0, 0 },
        { "5-*", false, 0, 0 },
        { "*", false, 0, 0 },
        { "18446744073709551616", false, 0, 0 },
        { "1-18446744073709551616", false, 0, 0 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct stream_id id;
        assert_int_equal(stream_id_parse(slice_of(rows[i].text), 7, &id, NULL), rows[i].ok);
        if (rows[i].ok) assert_true(stream_id_equal(id, make_id(rows[i].ms, rows[i].seq)));
    }
    struct stream_id id;
    bool any = false;
    assert_true(stream_id_parse(LIT("5-*"), 7, &id, &any) && any && id.ms == 5 && id.seq == 0);
    char text[STREAM_ID_TEXT_MAX];
    size_t len = stream_id_format(text, STREAM_ID_MAX);
    assert_memory_equal(text, "18446744073709551615-18446744073709551615", len);
}

static void ids_step_up_and_down_to_the_ends(void **unused) {
    (void)unused;
    struct stream_id id = make_id(1, UINT64_MAX), end = STREAM_ID_MAX, zero = STREAM_ID_MIN;
    assert_true(stream_id_increment(&id) && id.ms == 2 && id.seq == 0);
    assert_true(stream_id_decrement(&id) && id.ms == 1 && id.seq == UINT64_MAX);
    assert_false(stream_id_increment(&end));
    assert_false(stream_id_decrement(&zero));
}

/* ---- against the model ---- */

#define MODEL_MAX 20000

/* An entry: its fields follow from its number. */
static struct entry_model {
    struct stream_id id;
    size_t number;
    bool gone;
} entries[MODEL_MAX];
static size_t entry_count;

static size_t make_fields(size_t number, struct slice *out, char texts[8][32]) {
    size_t pairs = 1 + number % 3;
    if (number % 10) pairs = 2;
    for (size_t i = 0; i < pairs; i++) {
        int len = snprintf(texts[2 * i], 32, number % 7 ? "field-%zu" : "other-%zu", i);
        out[2 * i] = slice_make(texts[2 * i], (size_t)len);
        len = snprintf(texts[2 * i + 1], 32, i ? "value %zu" : "%zu", number * 37);
        out[2 * i + 1] = slice_make(texts[2 * i + 1], (size_t)len);
    }
    return pairs;
}

static bool item_is(struct listpack_item item, struct slice text) {
    char scratch[INT64_TEXT_MAX];
    if (item.text.ptr) return slice_equal(item.text, text);
    return slice_equal(slice_make(scratch, int64_format(scratch, item.number)), text);
}

static void assert_entry(struct stream_walk *w, const struct entry_model *e, bool read_fields) {
    struct slice fields[8];
    char texts[8][32];
    size_t pairs = make_fields(e->number, fields, texts);
    assert_true(stream_id_equal(w->id, e->id));
    assert_int_equal(w->pairs, pairs);
    for (size_t i = 0; read_fields && i < pairs; i++) {
        struct listpack_item field, value;
        stream_walk_pair(w, &field, &value);
        assert_true(item_is(field, fields[2 * i]) && item_is(value, fields[2 * i + 1]));
    }
}

static bool is_inside(const struct entry_model *e, struct stream_id start, struct stream_id end) {
    return !e->gone && stream_id_compare(e->id, start) >= 0 && stream_id_compare(e->id, end) <= 0;
}

static void assert_range(const struct stream *s, struct stream_id start, struct stream_id end) {
    struct stream_walk w;
    stream_walk_begin(&w, s, start, end, false);
    for (size_t i = 0; i < entry_count; i++) {
        if (!is_inside(&entries[i], start, end)) continue;
        assert_true(stream_walk_next(&w));
        assert_entry(&w, &entries[i], below(3) > 0);
    }
    assert_false(stream_walk_next(&w));
    stream_walk_begin(&w, s, start, end, true);
    for (size_t i = entry_count; i > 0; i--) {
        if (!is_inside(&entries[i - 1], start, end)) continue;
        assert_true(stream_walk_next(&w));
        assert_entry(&w, &entries[i - 1], below(3) > 0);
    }
    assert_false(stream_walk_next(&w));
}

static void add_one(struct stream *s) {
    struct slice fields[8];
    char texts[8][32];
    struct stream_id id = s->last_id;
    if (below(2))
        id = make_id(id.ms + 1 + below(3), below(5));
    else
        id.seq += 1 + below(3);
    struct entry_model *e = &entries[entry_count++];
    *e = (struct entry_model){ .id = id, .number = below(1000) };
    size_t pairs = make_fields(e->number, fields, texts);
    assert_true(stream_add(s, id, fields, pairs));
}

static void delete_one(struct stream *s) {
    if (entry_count == 0) return;
    struct entry_model *e = &entries[below(entry_count)];
    assert_int_equal(stream_delete(s, e->id), !e->gone);
    e->gone = true;
}

static uint64_t model_length(void) {
    uint64_t length = 0;
    for (size_t i = 0; i < entry_count; i++) length += entries[i].gone ? 0 : 1;
    return length;
}

/* Exact trimming takes the oldest; a whole-node trim takes no more than that, and oldest first. */
static void trim_some(struct stream *s) {
    struct stream_trim how = { .whole_nodes = below(2), .by_id = below(2) };
    uint64_t length = model_length();
    if (how.by_id && entry_count > 0) how.min_id = entries[below(entry_count)].id;
    how.max_length = length > 30 ? length - below(30) : below(200);
    uint64_t wanted = 0;
    for (size_t i = 0; i < entry_count; i++)
        wanted += !entries[i].gone && stream_id_compare(entries[i].id, how.min_id) < 0;
    if (!how.by_id) wanted = length > how.max_length ? length - how.max_length : 0;
    uint64_t gone = stream_trim(s, &how);
    assert_true(how.whole_nodes ? gone <= wanted : gone == wanted);
    for (size_t i = 0; gone > 0; i++) {
        if (entries[i].gone) continue;
        entries[i].gone = true;
        gone--;
    }
}

static void random_steps_match_a_plain_array(void **unused) {
    (void)unused;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        state = seed;
        entry_count = 0;
        encoding_limits.stream_node_entries = seed % 2 ? 100 : 7;
        encoding_limits.stream_node_bytes = seed > 2 ? 512 : 4096;
        struct stream *s = stream_new();
        for (size_t step = 0; step < 4000; step++) {
            size_t dice = below(100);
            if (dice < 65)
                add_one(s);
            else if (dice < 96)
                delete_one(s);
            else
                trim_some(s);
            stream_check(s);
            assert_int_equal(s->length, model_length());
            if (step % 40 == 0 && entry_count > 0)
                assert_range(s, entries[below(entry_count)].id, entries[below(entry_count)].id);
        }
        assert_range(s, STREAM_ID_MIN, STREAM_ID_MAX);
        struct stream *copy = stream_copy(s);
        stream_free(s);
        stream_check(copy);
        assert_range(copy, STREAM_ID_MIN, STREAM_ID_MAX);
        stream_free(copy);
    }
    encoding_limits.stream_node_entries = 100;
    encoding_limits.stream_node_bytes = 4096;
}

/* ---- nodes ---- */

static void a_node_has_the_public_format(void **unused) {
    (void)unused;
    struct stream *s = stream_new();
    const struct slice one[] = { LIT_INIT("a"), LIT_INIT("1") };
    const struct slice two[] = { LIT_INIT("b"), LIT_INIT("x") };
    assert_true(stream_add(s, make_id(5, 1), one, 1) && stream_add(s, make_id(6, 0), one, 1));
    assert_true(stream_add(s, make_id(6, 1), two, 1) && stream_delete(s, make_id(6, 0)));
    static const char *const expected[] = { "2", "1",  "1", "a", "0", "2", "0", "0", "1", "4", "3",
                                            "1", "-1", "1", "4", "0", "1", "0", "1", "b", "x", "6" };
    const unsigned char *lp = stream_node(s, id_map_first(&s->nodes)), *at = listpack_first(lp);
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++, at = listpack_next(lp, at))
        assert_true(item_is(listpack_get(at), slice_of(expected[i])));
    assert_null(at);
    stream_free(s);
}

static void loaded_nodes_make_the_same_stream(void **unused) {
    (void)unused;
    struct stream *s = stream_new(), *loaded = stream_new();
    state = 3;
    entry_count = 0;
    for (size_t i = 0; i < 1000; i++) add_one(s);
    for (size_t i = 0; i < 100; i++) delete_one(s);
    struct id_cursor at = id_map_first(&s->nodes);
    for (; id_map_has(&s->nodes, at); at = id_map_next(&s->nodes, at)) {
        const unsigned char *lp = stream_node(s, at);
        struct stream_id master = id_map_id(&s->nodes, at);
        assert_true(stream_node_is_valid(lp, listpack_bytes(lp), master));
        assert_true(stream_load_node(loaded, master, listpack_copy(lp)));
        unsigned char *again = listpack_copy(lp);
        assert_false(stream_load_node(loaded, master, again));
        listpack_free(again);
    }
    stream_find_first(loaded);
    loaded->last_id = s->last_id;
    stream_check(loaded);
    assert_range(loaded, STREAM_ID_MIN, STREAM_ID_MAX);
    stream_free(s);
    stream_free(loaded);
}

static void no_broken_node_passes_as_valid_and_breaks_a_walk(void **unused) {
    (void)unused;
    struct stream *s = stream_new();
    state = 9;
    entry_count = 0;
    for (size_t i = 0; i < 12; i++) add_one(s);
    delete_one(s);
    struct stream_id master = id_map_id(&s->nodes, id_map_first(&s->nodes));
    const unsigned char *lp = stream_node(s, id_map_first(&s->nodes));
    size_t len = listpack_bytes(lp), refused = 0;
    for (size_t at = 0; at < len; at++) {
        for (unsigned flip = 1; flip < 256; flip++) {
            unsigned char *bytes = mem_alloc(len);
            memcpy(bytes, lp, len);
            bytes[at] = (unsigned char)(bytes[at] ^ flip);
            struct stream *other = stream_new();
            if (stream_node_is_valid(bytes, len, master) && stream_load_node(other, master, bytes)) {
                stream_find_first(other);
                other->last_id = STREAM_ID_MAX;
                stream_check(other);
            } else {
                refused++;
                listpack_free(bytes);
            }
            stream_free(other);
        }
    }
    assert_true(refused > len * 100);
    for (size_t cut = 0; cut < len; cut++) assert_false(stream_node_is_valid(lp, cut, master));
    stream_free(s);
}

static void the_next_id_never_goes_back_with_the_clock(void **unused) {
    (void)unused;
    struct stream *s = stream_new();
    struct stream_id id;
    assert_true(stream_next_id(s, 100, &id) && stream_id_equal(id, make_id(100, 0)));
    s->last_id = make_id(200, 4);
    assert_true(stream_next_id(s, 100, &id) && stream_id_equal(id, make_id(200, 5)));
    s->last_id = make_id(200, UINT64_MAX);
    assert_true(stream_next_id(s, 100, &id) && stream_id_equal(id, make_id(201, 0)));
    s->last_id = STREAM_ID_MAX;
    assert_false(stream_next_id(s, 100, &id));
    stream_free(s);
}

/* ---- groups ---- */

#define PENDING_IDS 600

static void pending_entries_always_have_one_owner(void **unused) {
    (void)unused;
    int owner_of[PENDING_IDS];
    struct stream *s = stream_new();
    struct stream_group *g = stream_group_create(s, LIT("g"), STREAM_ID_MIN, 0);
    struct stream_consumer *consumers[3];
    char names[3][2] = { "b", "a", "c" };
    assert_null(stream_group_create(s, LIT("g"), STREAM_ID_MIN, 0));
    for (size_t i = 0; i < 3; i++) consumers[i] = stream_consumer_create(g, slice_of(names[i]), 5);
    assert_null(stream_consumer_create(g, LIT("a"), 5));
    assert_ptr_equal(stream_consumer_at(g, 0), consumers[1]);
    for (size_t i = 0; i < PENDING_IDS; i++) owner_of[i] = -1;
    state = 4;
    for (size_t step = 0; step < 20000; step++) {
        size_t i = below(PENDING_IDS), who = below(3);
        if (below(2)) {
            struct stream_pending *p = stream_pending_give(g, make_id(i, 0), consumers[who]);
            assert_int_equal(p->deliveries, owner_of[i] >= 0 ? 1 : 0);
            p->deliveries = 1;
            owner_of[i] = (int)who;
        } else {
            assert_int_equal(stream_pending_remove(g, make_id(i, 0)), owner_of[i] >= 0);
            owner_of[i] = -1;
        }
        if (step % 50 == 0) stream_check(s);
        const struct stream_pending *p = stream_pending_find(g, make_id(i, 0));
        assert_ptr_equal(p ? p->owner : NULL, owner_of[i] < 0 ? NULL : consumers[owner_of[i]]);
    }
    struct stream *copy = stream_copy(s);
    stream_check(copy);
    size_t pending = g->pending.count, of_first = consumers[0]->pending.count;
    stream_consumer_delete(g, consumers[0]);
    assert_int_equal(g->pending.count, pending - of_first);
    stream_groups_check(s);
    stream_group_delete(s, g);
    assert_null(stream_group_find(s, LIT("g")));
    assert_int_equal(stream_group_find(copy, LIT("g"))->pending.count, pending);
    stream_free(s);
    stream_free(copy);
}

static void a_value_tells_its_memory_and_effort(void **unused) {
    (void)unused;
    struct stream *s = stream_new();
    state = 8;
    entry_count = 0;
    for (size_t i = 0; i < 10000; i++) add_one(s);
    size_t bytes = stream_value_ops.bytes(stream_value(s));
    assert_true(bytes > 10000 * 20 && bytes < 10000 * 80);
    assert_true(stream_value_ops.effort(stream_value(s)) >= 100);
    stream_value_ops.free(stream_value(s));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_read_strictly),
        cmocka_unit_test(ids_step_up_and_down_to_the_ends),
        cmocka_unit_test(random_steps_match_a_plain_array),
        cmocka_unit_test(a_node_has_the_public_format),
        cmocka_unit_test(loaded_nodes_make_the_same_stream),
        cmocka_unit_test(no_broken_node_passes_as_valid_and_breaks_a_walk),
        cmocka_unit_test(the_next_id_never_goes_back_with_the_clock),
        cmocka_unit_test(pending_entries_always_have_one_owner),
        cmocka_unit_test(a_value_tells_its_memory_and_effort),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
