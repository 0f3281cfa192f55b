/* Which arguments are keys: every form of key spec, and arguments that do not fit it. */
#include "trivet/base/mem.h"
#include "trivet/engine/command/command_keys.h"
#include "trivet/engine/command/registry.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* SORT's way: the argument behind each STORE. */
static bool find_stores(const struct slice *argv, size_t argc, struct key_positions *out) {
    for (size_t i = 1; i < argc; i++) {
        if (!slice_equal(argv[i], LIT("STORE"))) continue;
        if (i + 1 == argc) return false;
        key_positions_add(out, i + 1, KEY_OW);
    }
    return true;
}

static const struct command rows[] = {
    { .name = "ONE", .arity = -2, .kind = KEYED, .keys = { KEY(KEY_RO) } },
    { .name = "ALL", .arity = -2, .kind = KEYED, .keys = { KEYS(KEY_RM, -1, 1) } },
    { .name = "PAIRS", .arity = -3, .kind = KEYED, .keys = { KEYS(KEY_OW, -1, 2) } },
    { .name = "BUTLAST", .arity = -3, .kind = KEYED, .keys = { KEYS(KEY_RW, -2, 1) } },
    { .name = "NUM", .arity = -3, .kind = KEYED, .keys = { KEYNUM_AT(1, KEY_RO) } },
    { .name = "BOTH", .arity = -4, .kind = KEYED, .keys = { KEY(KEY_OW), KEYNUM_AT(2, KEY_RO) } },
    { .name = "STREAMS", .arity = -4, .kind = KEYED,
      .keys = { { .flags = KEY_RO, .begin = BEGIN_KEYWORD, .index = 1, .keyword = "STREAMS",
                  .find = FIND_RANGE, .last = -1, .step = 1, .limit = 2 } } },
    { .name = "FROMEND", .arity = -2, .kind = KEYED,
      .keys = { { .flags = KEY_RW, .begin = BEGIN_KEYWORD, .index = -2, .keyword = "KEYS",
                  .find = FIND_RANGE, .last = -1, .step = 1 } } },
    { .name = "FOUND", .arity = -2, .kind = KEYED, .find_keys = find_stores },
    { .name = "LOCALLY", .arity = -2, .kind = LOCAL, .keys = { KEY(KEY_NOT_KEY) } },
    { .name = NULL },
};

static int begin(void **state) {
    (void)state;
    assert_true(registry_add("test", rows));
    return 0;
}

static int end(void **state) {
    (void)state;
    registry_release();
    return 0;
}

#define WORDS_MAX 64

static size_t split(char *line, struct slice *argv) {
    size_t argc = 0;
    for (char *word = strtok(line, " "); word; word = strtok(NULL, " ")) argv[argc++] = slice_of(word);
    return argc;
}

/* The positions as text: "1 3", or "no" if the arguments make no sense. */
static void positions_of(const char *line, char out[256]) {
    char copy[512];
    struct slice argv[WORDS_MAX];
    struct key_positions found = { 0 };
    snprintf(copy, sizeof copy, "%s", line);
    size_t argc = split(copy, argv), len = 0;
    out[0] = '\0';
    const struct command *c = registry_find(argv[0]);
    assert_non_null(c);
    if (!command_key_positions(c, argv, argc, &found)) len = (size_t)snprintf(out, 256, "no");
    for (size_t i = 0; len == 0 ? i < found.count : i < found.count && out[0] != 'n'; i++)
        len += (size_t)snprintf(out + len, 256 - len, i ? " %zu" : "%zu", found.at[i].index);
    key_positions_release(&found);
}

static void every_form_of_spec_finds_its_keys(void **state) {
    (void)state;
    static const struct { const char *line, *expected; } cases[] = {
        { "ONE k v", "1" },
        { "ALL a", "1" },
        { "ALL a b c", "1 2 3" },
        { "PAIRS a 1 b 2", "1 3" },
        { "BUTLAST a b 0", "1 2" },
        { "NUM 2 a b x", "2 3" },
        { "NUM 0 x", "" },
        { "NUM 3 a b", "no" },
        { "NUM x a", "no" },
        { "NUM -1 a", "no" },
        { "NUM 99999999999999999999 a", "no" },
        { "BOTH d 2 a b", "1 3 4" },
        { "BOTH d 3 a b", "no" },
        { "STREAMS COUNT 2 streams a b 0 0", "4 5" },
        { "STREAMS COUNT 2 nothing", "" },
        { "FROMEND x KEYS a b", "3 4" },
        { "FROMEND a b c", "" },
        { "FOUND x STORE a STORE b", "3 5" },
        { "FOUND x STORE", "no" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char got[256];
        positions_of(cases[i].line, got);
        if (strcmp(got, cases[i].expected) != 0)
            fail_msg("%s: \"%s\", not \"%s\"", cases[i].line, got, cases[i].expected);
    }
}

static void more_keys_than_fit_inside_get_memory(void **state) {
    (void)state;
    struct key_positions p = { 0 };
    for (size_t i = 0; i < 1000; i++) key_positions_add(&p, i, KEY_RO);
    for (size_t i = 0; i < 1000; i++) assert_int_equal(p.at[i].index, i);
    key_positions_release(&p);
    assert_int_equal(p.count, 0);
}

/* ---- resolved ---- */

static void resolved_keys_are_hashed_and_know_their_argument(void **state) {
    (void)state;
    struct command_keys keys = { 0 };
    const struct slice argv[] = { LIT_INIT("BOTH"), LIT_INIT("d"), LIT_INIT("2"), LIT_INIT("a"),
                                  LIT_INIT("b") };
    static const struct { const char *key; uint32_t argument; uint16_t access; } expected[] = {
        { "d", 1, KEY_OW }, { "a", 3, KEY_RO }, { "b", 4, KEY_RO }
    };
    command_keys_resolve(&keys, registry_find(LIT("both")), argv, COUNT_OF(argv));
    assert_int_equal(keys.count, COUNT_OF(expected));
    for (size_t i = 0; i < keys.count; i++) {
        struct keyref same = keyref_of(slice_of(expected[i].key));
        assert_true(slice_equal(keys.at[i].key, slice_of(expected[i].key)));
        assert_int_equal(keys.at[i].hash, same.hash);
        assert_int_equal(keys.at[i].argument, expected[i].argument);
        assert_int_equal(keys.at[i].access, expected[i].access);
    }
    command_keys_release(&keys);
}

static void memory_is_used_again_and_nonsense_has_no_keys(void **state) {
    (void)state;
    struct command_keys keys = { 0 };
    struct slice argv[WORDS_MAX] = { LIT("ALL") };
    for (size_t i = 1; i < WORDS_MAX; i++) argv[i] = LIT("k");
    const struct command *all = registry_find(LIT("all"));
    command_keys_resolve(&keys, all, argv, WORDS_MAX);
    assert_int_equal(keys.count, WORDS_MAX - 1);
    const struct keyref *at = keys.at;
    command_keys_resolve(&keys, all, argv, 30);
    assert_int_equal(keys.count, 29);
    assert_ptr_equal(keys.at, at);
    command_keys_resolve(&keys, all, argv, 1);
    assert_int_equal(keys.count, 0);
    command_keys_resolve(&keys, registry_find(LIT("locally")), argv, 2);
    assert_int_equal(keys.count, 0);
    command_keys_release(&keys);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(every_form_of_spec_finds_its_keys),
        TEST(more_keys_than_fit_inside_get_memory),
        TEST(resolved_keys_are_hashed_and_know_their_argument),
        TEST(memory_is_used_again_and_nonsense_has_no_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
