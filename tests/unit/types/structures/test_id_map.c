/* test_id_map.c: the ordered map of ids against a plain array of marks, invariants checked after every step.
 */
#include "trivet/types/structures/id_map.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define IDS 3000

static uint64_t model[IDS]; /* payload; 0: not there */
static uint64_t state;

static size_t below(size_t bound) {
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (size_t)((z ^ z >> 31) % bound);
}

static struct stream_id id_of(size_t i) { return (struct stream_id){ i / 7, i % 7 }; }
static size_t index_of(struct stream_id id) { return (size_t)(id.ms * 7 + id.seq); }

static void put(struct id_map *m, size_t i, uint64_t payload) {
    bool fresh;
    uint64_t *place = id_map_put(m, id_of(i), &fresh);
    assert_int_equal(fresh, model[i] == 0);
    assert_int_equal(*place, model[i]);
    *place = model[i] = payload;
}

static void assert_same(const struct id_map *m) {
    struct id_cursor at = id_map_first(m);
    uint64_t count = 0;
    id_map_check(m);
    for (size_t i = 0; i < IDS; i++) {
        if (model[i] == 0) continue;
        assert_true(id_map_has(m, at));
        assert_int_equal(index_of(id_map_id(m, at)), i);
        assert_int_equal(*(uint64_t *)id_map_payload(m, at), model[i]);
        at = id_map_next(m, at);
        count++;
    }
    assert_false(id_map_has(m, at));
    assert_int_equal(m->count, count);
}

static void assert_seeks(const struct id_map *m, size_t i) {
    size_t up = i, down = i + 1;
    while (up < IDS && model[up] == 0) up++;
    while (down > 0 && model[down - 1] == 0) down--;
    struct id_cursor at = id_map_seek(m, id_of(i));
    assert_int_equal(id_map_has(m, at), up < IDS);
    if (up < IDS) assert_int_equal(index_of(id_map_id(m, at)), up);
    at = id_map_seek_back(m, id_of(i));
    assert_int_equal(id_map_has(m, at), down > 0);
    if (down == 0) return;
    assert_int_equal(index_of(id_map_id(m, at)), down - 1);
    at = id_map_previous(m, at);
    for (down--; down > 0 && model[down - 1] == 0;) down--;
    assert_int_equal(id_map_has(m, at), down > 0);
}

static void random_puts_and_removals_match_a_plain_array(void **unused) {
    (void)unused;
    for (state = 1; state < 6; state++) {
        struct id_map m;
        size_t held = 0, copy_held = 0;
        id_map_init(&m, sizeof(uint64_t), &held);
        memset(model, 0, sizeof model);
        for (size_t step = 0; step < 20000; step++) {
            size_t i = below(IDS);
            if (below(100) < (step / 4000 % 2 ? 25 : 75)) {
                put(&m, i, step + 1);
            } else {
                assert_int_equal(id_map_remove(&m, id_of(i)), model[i] != 0);
                model[i] = 0;
            }
            assert_seeks(&m, below(IDS));
            assert_int_equal(id_map_check(&m), held);
            if (step % 500 == 0) assert_same(&m);
        }
        assert_same(&m);
        struct id_map copy;
        id_map_copy(&copy, &m, &copy_held);
        id_map_release(&m);
        assert_int_equal(held, 0);
        assert_int_equal(id_map_check(&copy), copy_held);
        assert_same(&copy);
        id_map_release(&copy);
        assert_int_equal(copy_held, 0);
    }
}

static void a_queue_keeps_its_memory_small(void **unused) {
    (void)unused;
    struct id_map m;
    size_t held = 0;
    id_map_init(&m, 24, &held);
    for (size_t i = 0; i < 200000; i++) {
        bool fresh;
        id_map_put(&m, id_of(i), &fresh);
        assert_true(fresh);
        if (i >= 1000) assert_true(id_map_remove(&m, id_of(i - 1000)));
        if (i % 1000 == 0) id_map_check(&m);
    }
    assert_int_equal(m.count, 1000);
    assert_true(held < 1000 * 40 * 2);
    assert_null(id_map_find(&m, id_of(5)));
    assert_non_null(id_map_find(&m, id_of(199500)));
    id_map_release(&m);
    assert_false(id_map_has(&m, id_map_first(&m)));
}

static void a_map_without_payload_holds_ids_only(void **unused) {
    (void)unused;
    struct id_map m;
    bool fresh;
    size_t held = 0;
    id_map_init(&m, 0, &held);
    for (size_t i = 5000; i > 0; i--) id_map_put(&m, id_of(i), &fresh);
    assert_int_equal(id_map_check(&m), held);
    assert_int_equal(m.count, 5000);
    assert_true(held < 5000 * 16 * 3);
    for (size_t i = 1; i <= 5000; i++) assert_true(id_map_remove(&m, id_of(i)));
    assert_int_equal(held, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_puts_and_removals_match_a_plain_array),
        cmocka_unit_test(a_queue_keeps_its_memory_small),
        cmocka_unit_test(a_map_without_payload_holds_ids_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
