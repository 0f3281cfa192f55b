/* Items are found by their hash, whatever else lies in the same place, and nothing else is. */
#include "trivet/base/map.h"
#include "trivet/base/mem.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct item {
    int number;
    struct map_link link; /* not the first field: the offset must be taken off */
};

#define ITEMS 1000

static struct map map;
static struct item items[ITEMS];

static int set_up(void **state) {
    (void)state;
    map = (struct map){ .count = 0 };
    for (int i = 0; i < ITEMS; i++) items[i] = (struct item){ .number = i };
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    map_release(&map);
    assert_int_equal(mem_used(), 0);
    return 0;
}

static struct item *find(uint64_t hash, int number) {
    MAP_EACH_OF(&map, hash, struct item, link, one)
    if (one->number == number) return one;
    return NULL;
}

static size_t count_of(uint64_t hash) {
    size_t count = 0;
    MAP_EACH_OF(&map, hash, struct item, link, one) count++;
    return count;
}

static void an_empty_map_has_nothing(void **state) {
    (void)state;
    assert_null(map_first_of(&map, 0));
    assert_int_equal(map_memory(&map), 0);
    assert_int_equal(count_of(7), 0);
    map_release(&map);
}

static void what_was_inserted_is_found(void **state) {
    (void)state;
    for (int i = 0; i < ITEMS; i++) {
        map_insert(&map, &items[i].link, (uint64_t)i * 0x9e3779b97f4a7c15u);
        assert_int_equal(map.count, i + 1);
        assert_true(map.room >= map.count);
    }
    for (int i = 0; i < ITEMS; i++) {
        assert_ptr_equal(find((uint64_t)i * 0x9e3779b97f4a7c15u, i), &items[i]);
        assert_int_equal(count_of((uint64_t)i * 0x9e3779b97f4a7c15u), 1);
    }
    assert_int_equal(count_of(1), 0);
    assert_int_equal(map_memory(&map), map.room * sizeof(void *));
}

static void items_of_one_hash_are_all_visited(void **state) {
    (void)state;
    for (int i = 0; i < 100; i++) map_insert(&map, &items[i].link, i % 2 ? 5 : 5 + 1024);
    assert_int_equal(count_of(5), 50);
    assert_int_equal(count_of(5 + 1024), 50);
    assert_int_equal(count_of(5 + 2048), 0); /* the same place, but another hash */
    for (int i = 0; i < 100; i++) assert_ptr_equal(find(i % 2 ? 5 : 5 + 1024, i), &items[i]);
}

static void what_was_removed_is_not_found(void **state) {
    (void)state;
    for (int i = 0; i < ITEMS; i++) map_insert(&map, &items[i].link, (uint64_t)(i / 3));
    for (int i = 0; i < ITEMS; i += 2) map_remove(&map, &items[i].link);
    assert_int_equal(map.count, ITEMS / 2);
    for (int i = 0; i < ITEMS; i++) assert_ptr_equal(find((uint64_t)(i / 3), i), i % 2 ? &items[i] : NULL);
    for (int i = 0; i < ITEMS; i += 2) map_insert(&map, &items[i].link, (uint64_t)(i / 3));
    for (int i = 0; i < ITEMS; i++) assert_ptr_equal(find((uint64_t)(i / 3), i), &items[i]);
}

static int visits;

static void free_item(struct map_link *link) {
    visits++;
    mem_free(MAP_ITEM(link, struct item, link));
}

static void each_is_visited_once_and_may_be_freed(void **state) {
    (void)state;
    for (int i = 0; i < 100; i++) {
        struct item *one = mem_alloc_zero(sizeof *one);
        map_insert(&map, &one->link, (uint64_t)(i / 10));
    }
    visits = 0;
    map_each(&map, free_item);
    assert_int_equal(visits, 100);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(an_empty_map_has_nothing),
        TEST(what_was_inserted_is_found),
        TEST(items_of_one_hash_are_all_visited),
        TEST(what_was_removed_is_not_found),
        TEST(each_is_visited_once_and_may_be_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
