/* The keys of a command, found and hashed once. */
#include "trivet/base/hashing.h"
#include "trivet/base/mem.h"
#include "trivet/engine/command/command_keys.h"
#include "trivet/engine/command/registry.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* "SECOND x key": the key, or none if x is "-", or no sense if it is "?". */
static bool find_second(const struct slice *argv, size_t argc, struct key_positions *out) {
    (void)argc;
    if (slice_equal(argv[1], LIT("?"))) return false;
    if (!slice_equal(argv[1], LIT("-"))) key_positions_add(out, 2, KEY_OW);
    return true;
}

static const struct command rows[] = {
    { .name = "ONE", .arity = 2, .kind = KEYED, .keys = { KEY(KEY_RO | KEY_ACCESS) } },
    { .name = "FROMTO", .arity = 3, .kind = KEYED, .keys = { KEY(KEY_RO), KEY_AT(2, KEY_OW | KEY_UPDATE) } },
    { .name = "MANY", .arity = -2, .kind = KEYED, .keys = { KEYS(KEY_RM, -1, 1) } },
    { .name = "REST", .arity = -2, .kind = KEYED, .keys = { KEY(KEY_RW), KEYS_FROM(2, KEY_RO, -1, 1) } },
    { .name = "COUNTED", .arity = -3, .kind = KEYED, .keys = { KEYNUM_AT(1, KEY_RO) } },
    { .name = "SECOND", .arity = 3, .kind = KEYED, .find_keys = find_second },
    { .name = "EXCLUSIVE", .arity = 2, .kind = EXCLUSIVE, .keys = { KEY(KEY_RW) } },
    { .name = "LOCAL", .arity = 2, .kind = LOCAL, .keys = { KEY(KEY_RO) } },
    { .name = "NONE", .arity = -1, .kind = KEYED },
    { .name = NULL },
};

static int begin(void **state) {
    (void)state;
    hash_init();
    return registry_add("test", rows) ? 0 : -1;
}

static int end(void **state) {
    (void)state;
    registry_release();
    return 0;
}

static void keys_have_hash_shard_place_and_access(void **state) {
    (void)state;
    static const struct {
        const char *argv[5];
        size_t argc;
        uint32_t at[4]; /* arguments that are keys, ended by 0 */
        uint16_t access[3];
    } cases[] = {
        { { "one", "k" }, 2, { 1 }, { KEY_RO | KEY_ACCESS } },
        { { "one", "" }, 2, { 1 }, { KEY_RO | KEY_ACCESS } },
        { { "one" }, 1, { 0 }, { 0 } },
        { { "one", "k", "x" }, 3, { 0 }, { 0 } },
        { { "fromto", "a", "b" }, 3, { 1, 2 }, { KEY_RO, KEY_OW | KEY_UPDATE } },
        { { "many", "a", "b", "a" }, 4, { 1, 2, 3 }, { KEY_RM, KEY_RM, KEY_RM } }, /* twice is twice */
        { { "rest", "a", "b" }, 3, { 1, 2 }, { KEY_RW, KEY_RO } },
        { { "rest", "a" }, 2, { 1 }, { KEY_RW } }, /* a range without keys takes none from the others */
        { { "counted", "2", "a", "b", "x" }, 5, { 2, 3 }, { KEY_RO, KEY_RO } },
        { { "counted", "9", "a" }, 3, { 0 }, { 0 } },
        { { "second", "x", "k" }, 3, { 2 }, { KEY_OW } },
        { { "second", "-", "k" }, 3, { 0 }, { 0 } },
        { { "second", "?", "k" }, 3, { 0 }, { 0 } },
        { { "exclusive", "k" }, 2, { 1 }, { KEY_RW } },
        { { "local", "k" }, 2, { 0 }, { 0 } },
        { { "none", "k" }, 2, { 0 }, { 0 } },
    };
    struct command_keys keys = { 0 }; /* one for all: nothing may be left of the one before */
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct slice argv[5];
        for (size_t a = 0; a < cases[i].argc; a++) argv[a] = slice_of(cases[i].argv[a]);
        command_keys_resolve(&keys, registry_find(argv[0]), argv, cases[i].argc);
        size_t count = 0;
        for (; cases[i].at[count]; count++) {
            struct keyref right = keyref_of(argv[cases[i].at[count]]);
            assert_true(count < keys.count);
            assert_int_equal(keys.at[count].hash, right.hash);
            assert_int_equal(keys.at[count].shard, right.shard);
            assert_int_equal(keys.at[count].argument, cases[i].at[count]);
            assert_int_equal(keys.at[count].access, cases[i].access[count]);
            assert_ptr_equal(keys.at[count].key.ptr, right.key.ptr);
        }
        assert_int_equal(keys.count, count);
    }
    command_keys_release(&keys);
}

static void few_keys_need_no_allocation(void **state) {
    (void)state;
    struct slice argv[KEYS_INSIDE + 2];
    for (size_t i = 0; i < COUNT_OF(argv); i++) argv[i] = LIT("k");
    struct command_keys keys = { 0 };
    const struct command *many = registry_find(LIT("many"));
    size_t before = mem_used_exact();
    command_keys_resolve(&keys, many, argv, KEYS_INSIDE + 1);
    assert_ptr_equal(keys.at, keys.inside);
    assert_int_equal(mem_used_exact(), before);
    command_keys_resolve(&keys, many, argv, KEYS_INSIDE + 2);
    assert_int_equal(keys.count, KEYS_INSIDE + 1);
    assert_ptr_not_equal(keys.at, keys.inside);
    const struct keyref *allocated = keys.at;
    command_keys_resolve(&keys, many, argv, 2);
    assert_ptr_equal(keys.at, allocated); /* what is there is used */
    command_keys_set_one(&keys, registry_find(LIT("one")), argv);
    assert_int_equal(keys.count, 1);
    command_keys_release(&keys);
    assert_int_equal(mem_used_exact(), before);
    command_keys_resolve(&keys, many, argv, 2); /* a released struct is an empty one */
    assert_int_equal(keys.count, 1);
    command_keys_release(&keys);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_have_hash_shard_place_and_access),
        cmocka_unit_test(few_keys_need_no_allocation),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
