/* Selectors: which commands, keys, channels and databases rules make, and how they are shown. */
#include "access_support.h"
#include "engine/access/selector.h"

/* NULL-terminated rules; none may be wrong. */
static struct selector *selector_with(const char *const *rule) {
    struct selector *s = selector_new();
    for (; *rule; rule++) assert_null(selector_set(s, slice_of(*rule)));
    selector_compile(s);
    return s;
}
#define SELECTOR(...) selector_with((const char *const[]){ __VA_ARGS__, NULL })

static bool allows(const struct selector *s, const char *name, const char *argument) {
    const struct command *command = registry_find_declared(slice_of(name));
    const struct slice argv[] = { slice_of(name), slice_of(argument ? argument : "") };
    assert_non_null(command);
    return selector_allows_command(s, command, argv, argument ? 2 : 1);
}

/* The names of all commands that it allows without arguments. */
static void assert_allows(struct selector *s, const char *expected) {
    struct buf names = { 0 };
    for (uint32_t id = 0; id < registry_ids(); id++) {
        const struct command *c = registry_by_id(id);
        if (allows(s, c->full_name, NULL)) buf_printf(&names, "%s%s", names.len ? " " : "", c->full_name);
    }
    assert_string_equal(text_of(&names), expected);
    buf_release(&names);
    selector_free(s);
}

static void a_new_selector_permits_nothing_but_databases(void **state) {
    (void)state;
    struct selector *s = selector_new();
    assert_false(selector_allows_key(s, LIT("k"), 0));
    assert_false(selector_allows_channel(s, LIT("c"), false));
    assert_true(selector_allows_database(s, 0));
    assert_true(selector_allows_database(s, UINT32_MAX));
    assert_false(selector_is_unlimited(s));
    assert_allows(s, "auth");
    options.acl_pubsub_resetchannels = false;
    s = selector_new();
    assert_true(selector_allows_channel(s, LIT("c"), false));
    assert_true(selector_allows_channel(s, LIT("c*"), true));
    selector_free(s);
}

#define ALL                                                                                         \
    "get set mset copy exists incr config config|get config|set select ping auth flushall publish " \
    "subscribe psubscribe"

static void rules_for_commands_are_worked_out_in_their_order(void **state) {
    (void)state;
    assert_allows(SELECTOR("+@all"), ALL);
    assert_allows(SELECTOR("+get", "+set"), "get set auth");
    assert_allows(SELECTOR("+GET", "-get"), "auth");
    assert_allows(SELECTOR("-get", "+get"), "get auth");
    assert_allows(SELECTOR("+@string"), "get set mset auth");
    assert_allows(SELECTOR("+@string", "-@write"), "get auth");
    assert_allows(SELECTOR("-@write", "+@string"), "get set mset auth");
    assert_allows(SELECTOR("+@string", "-@write", "+set"), "get set auth");
    assert_allows(SELECTOR("+config"), "config config|get config|set auth");
    assert_allows(SELECTOR("+config", "-config|set"), "config config|get auth");
    assert_allows(SELECTOR("-config|set", "+config"), "config config|get config|set auth");
    assert_allows(SELECTOR("+config|set"), "config|set auth");
    assert_allows(SELECTOR("+@admin"), "config|get config|set auth");
    assert_allows(SELECTOR("+@all", "-@all", "+ping"), "ping auth");
    assert_allows(SELECTOR("+@connection", "-auth"), "select ping auth"); /* who may not log in is nobody */
}

static void all_commands_means_later_ones_too(void **state) {
    (void)state;
    static const struct command more[] = {
        { .name = "LATER", .run = do_nothing, .arity = 1 },
        { .name = NULL },
    };
    struct selector *all = SELECTOR("+@all"), *most = SELECTOR("+@all", "-get"),
                    *with = SELECTOR("+@all", "+get");
    assert_true(registry_add("more", more));
    assert_true(allows(all, "later", NULL));
    assert_true(allows(with, "later", NULL));
    assert_true(all->all_commands && with->all_commands);
    assert_false(most->all_commands);
    selector_compile(most);
    assert_true(allows(most, "later", NULL));
    assert_false(allows(most, "get", NULL));
    selector_free(all);
    selector_free(most);
    selector_free(with);
}

static void a_first_argument_allows_the_command_with_it_alone(void **state) {
    (void)state;
    struct selector *s = SELECTOR("+select|0", "+select|Two");
    assert_false(allows(s, "select", NULL));
    assert_true(allows(s, "select", "0"));
    assert_true(allows(s, "select", "TWO"));
    assert_false(allows(s, "select", "1"));
    assert_false(allows(s, "get", "0"));
    assert_null(selector_set(s, LIT("-@connection")));
    selector_compile(s);
    assert_false(allows(s, "select", "0"));
    selector_free(s);
}

static void keys_match_with_the_access_that_they_are_allowed_for(void **state) {
    (void)state;
    struct selector *s = SELECTOR("%R~r*", "%W~w*", "~b?", "%R~x", "%W~x");
    static const struct {
        const char *key;
        unsigned access;
        bool may;
    } cases[] = {
        { "r1", 0, true },
        { "r1", KEY_READ, true },
        { "r1", KEY_WRITE, false },
        { "r1", KEY_READ_WRITE, false },
        { "w1", 0, true },
        { "w1", KEY_READ, false },
        { "w1", KEY_WRITE, true },
        { "w1", KEY_READ_WRITE, false },
        { "bc", KEY_READ_WRITE, true },
        { "b", 0, false },
        { "bcd", 0, false },
        { "", 0, false },
        { "x", KEY_READ_WRITE, true },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_int_equal(selector_allows_key(s, slice_of(cases[i].key), cases[i].access), cases[i].may);
    assert_false(selector_allows_all_keys(s, KEY_READ));
    selector_free(s);
    s = SELECTOR("%R~*");
    assert_true(selector_allows_all_keys(s, KEY_READ));
    assert_false(selector_allows_all_keys(s, KEY_READ_WRITE));
    selector_free(s);
    s = SELECTOR("~a*", "allkeys");
    assert_true(selector_allows_all_keys(s, KEY_READ_WRITE));
    assert_true(selector_allows_key(s, slice_make("\0\xff", 2), KEY_READ_WRITE));
    selector_free(s);
}

static void channels_match_by_glob_and_patterns_by_their_text(void **state) {
    (void)state;
    struct selector *s = SELECTOR("&c*", "&d");
    assert_true(selector_allows_channel(s, LIT("c1"), false));
    assert_true(selector_allows_channel(s, LIT("c*"), true));
    assert_true(selector_allows_channel(s, LIT("d"), true));
    assert_false(selector_allows_channel(s, LIT("c1"), true));
    assert_false(selector_allows_channel(s, LIT("*"), true));
    assert_false(selector_allows_channel(s, LIT("e"), false));
    selector_free(s);
}

static void databases_are_a_list_that_the_next_one_replaces(void **state) {
    (void)state;
    struct selector *s = SELECTOR("db=1,3", "db=0,2147483647");
    assert_true(selector_allows_database(s, 0));
    assert_true(selector_allows_database(s, 2147483647));
    assert_false(selector_allows_database(s, 1));
    assert_non_null(selector_set(s, LIT("db=1,x")));
    assert_true(selector_allows_database(s, 0)); /* what is wrong changes nothing */
    assert_null(selector_set(s, LIT("resetdbs")));
    assert_false(selector_allows_database(s, 0));
    selector_free(s);
}

static void unlimited_is_who_may_use_everything_everywhere(void **state) {
    (void)state;
    static const char *const limits[] = {
        "-get", "resetkeys", "resetchannels", "db=0", "-@all", "-config|get"
    };
    for (size_t i = 0; i < COUNT_OF(limits); i++) {
        struct selector *s = SELECTOR("+@all", "~*", "&*");
        assert_true(selector_is_unlimited(s));
        assert_null(selector_set(s, slice_of(limits[i])));
        selector_compile(s);
        assert_false(selector_is_unlimited(s));
        selector_free(s);
    }
    struct selector *s =
        SELECTOR("+@all", "%RW~*", "&*"); /* all keys but the empty one, which no star matches */
    assert_false(selector_is_unlimited(s));
    selector_free(s);
}

static void a_rule_that_is_wrong_changes_nothing(void **state) {
    (void)state;
    static const char *const wrong[] = {
        "",    "x",      "%",       "%~k",        "%RR~k",       "~a b", "&a b", "+", "-", "+@", "+@foo",
        "+no", "+get|", "-select|0", "+config|no", "+config|get|x", "db",  "db=",  "db=-1", "db=a", "on",
    };
    struct selector *s = SELECTOR("~a", "&b", "+get", "db=1");
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        struct buf out = { 0 };
        assert_non_null(selector_set(s, slice_of(wrong[i])));
        selector_describe(s, &out);
        assert_string_equal(text_of(&out), "~a resetchannels &b db=1 -@all +get");
        buf_release(&out);
    }
    selector_free(s);
}

static void a_copy_is_equal_and_independent(void **state) {
    (void)state;
    struct selector *s = SELECTOR("~a", "%R~b", "&c", "db=1,2", "+@string", "-set", "+select|0");
    struct selector *copy = selector_copy(s);
    struct buf first = { 0 }, second = { 0 };
    selector_describe(s, &first);
    assert_null(selector_set(s, LIT("allkeys")));
    assert_null(selector_set(s, LIT("+@all")));
    assert_null(selector_set(s, LIT("alldbs")));
    selector_free(s);
    selector_describe(copy, &second);
    assert_string_equal(text_of(&first), text_of(&second));
    assert_true(allows(copy, "select", "0"));
    assert_false(allows(copy, "select", "1"));
    assert_false(selector_allows_database(copy, 0));
    assert_false(selector_allows_key(copy, LIT("b"), KEY_WRITE));
    buf_release(&first);
    buf_release(&second);
    assert_allows(copy, "get mset auth");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_new_selector_permits_nothing_but_databases),
        TEST(rules_for_commands_are_worked_out_in_their_order),
        TEST(all_commands_means_later_ones_too),
        TEST(a_first_argument_allows_the_command_with_it_alone),
        TEST(keys_match_with_the_access_that_they_are_allowed_for),
        TEST(channels_match_by_glob_and_patterns_by_their_text),
        TEST(databases_are_a_list_that_the_next_one_replaces),
        TEST(unlimited_is_who_may_use_everything_everywhere),
        TEST(a_rule_that_is_wrong_changes_nothing),
        TEST(a_copy_is_equal_and_independent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
