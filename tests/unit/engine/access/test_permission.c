/* Permission: the whole of a command by one selector, the closest denial, and its words. */
#include "access_support.h"
#include "trivet/engine/access/permission.h"

/* The verdict about a command line. */
struct asked {
    struct slice *argv;
    size_t argc;
    char *text;
    const struct command *command;
    struct verdict verdict;
};

static struct asked ask_in(const struct user *u, const char *line, uint32_t db) {
    struct asked a;
    const struct command *container;
    assert_true(split_line(slice_of(line), &a.argv, &a.argc, &a.text));
    a.command = registry_resolve(a.argv, a.argc, &container);
    assert_non_null(a.command);
    assert_true(command_arity_fits(a.command, a.argc));
    a.verdict = permission_ask(u, a.command, a.argv, a.argc, db);
    return a;
}

static void asked_release(struct asked *a) {
    mem_free(a->argv);
    mem_free(a->text);
}

struct row {
    const char *rules, *line;
    uint32_t db;
    enum denial denial;
    size_t argument;
};

#define YES DENIED_NOTHING, 0
#define NO_COMMAND DENIED_COMMAND, 0
#define NO_KEY(argument) DENIED_KEY, argument
#define NO_CHANNEL(argument) DENIED_CHANNEL, argument
#define NO_DATABASE(argument) DENIED_DATABASE, argument

static void check_rows(const struct row *row) {
    for (; row->rules; row++) {
        struct user *u = user_with(row->rules);
        struct asked a = ask_in(u, row->line, row->db);
        if (a.verdict.denial != row->denial || a.verdict.argument != row->argument)
            fail_msg("%s: %s: denial %d of argument %zu", row->rules, row->line, (int)a.verdict.denial,
                     a.verdict.argument);
        asked_release(&a);
        user_free(u);
    }
}

static void a_command_needs_itself_its_keys_and_its_channels(void **state) {
    (void)state;
    static const struct row table[] = {
        { "+@all ~* &*", "GET k", 0, YES },
        { "+get ~a", "GET a", 0, YES },
        { "+get ~a", "GET b", 0, NO_KEY(1) },
        { "~a", "GET a", 0, NO_COMMAND },
        { "+mset ~a", "MSET a 1 b 2", 0, NO_KEY(3) },
        { "+mset ~b", "MSET a 1 b 2", 0, NO_KEY(1) },
        { "+mset %W~*", "MSET a 1 b 2", 0, YES },
        { "+mset %R~*", "MSET a 1 b 2", 0, NO_KEY(1) },
        { "+copy %R~a %W~b", "COPY a b", 0, YES },
        { "+copy %R~a %W~b", "COPY b a", 0, NO_KEY(1) },
        { "+copy ~a %R~b", "COPY a b", 0, NO_KEY(2) },
        { "+incr %R~a %W~a", "INCR a", 0, YES },
        { "+incr %R~a* %W~a", "INCR a", 0, NO_KEY(1) },
        { "+exists %R~a %W~b", "EXISTS a b", 0, YES },
        { "+exists %R~a", "EXISTS a b", 0, NO_KEY(2) },
        { "+config|get", "CONFIG GET x", 0, YES },
        { "+config|get", "CONFIG SET x y", 0, NO_COMMAND },
        { "+publish &c*", "PUBLISH c1 d", 0, YES },
        { "+publish &c*", "PUBLISH d c1", 0, NO_CHANNEL(1) },
        { "+subscribe &c*", "SUBSCRIBE c1 c2 d", 0, NO_CHANNEL(3) },
        { "+psubscribe &c*", "PSUBSCRIBE c*", 0, YES },
        { "+psubscribe &c*", "PSUBSCRIBE c* c1", 0, NO_CHANNEL(2) },
        { "", "AUTH x", 0, YES },
        { "", "PING", 0, NO_COMMAND },
        { NULL, NULL, 0, YES },
    };
    check_rows(table);
}

static void databases_are_those_that_are_named_and_the_current_one(void **state) {
    (void)state;
    static const struct row table[] = {
        { "+@all ~* db=1", "GET k", 1, YES },
        { "+@all ~* db=1", "GET k", 0, NO_DATABASE(0) },
        { "+@all ~* db=1", "PING", 0, YES },
        { "+@all ~* db=1", "SELECT 1", 0, YES },
        { "+@all ~* db=1", "SELECT 0", 1, NO_DATABASE(1) },
        { "+@all ~* db=1", "SELECT 4294967297", 1, NO_DATABASE(1) },
        { "+@all ~* db=1", "SELECT -1", 0, YES }, /* the command says what is wrong */
        { "+@all ~* db=1", "SELECT x", 0, YES },
        { "+@all ~* db=1", "FLUSHALL", 1, NO_DATABASE(0) },
        { "+@all ~* &*", "FLUSHALL", 1, YES },
        { "+@all ~* resetdbs", "GET k", 0, NO_DATABASE(0) },
        { NULL, NULL, 0, YES },
    };
    check_rows(table);
}

static void one_selector_must_permit_all_and_the_closest_denial_is_told(void **state) {
    (void)state;
    static const struct row table[] = {
        { "+get ~a (+set ~b)", "SET b 1", 0, YES },
        { "+get ~a (+set ~b)", "SET a 1", 0, NO_KEY(1) },
        { "+get ~a (+set ~b)", "GET b", 0, NO_KEY(1) },
        { "+get ~a (+set ~b)", "PING", 0, NO_COMMAND },
        { "(+mset ~a) (+mset ~b)", "MSET a 1 b 2", 0, NO_KEY(3) },
        { "(+mset ~b) (+mset ~a)", "MSET a 1 b 2", 0, NO_KEY(3) },
        { "db=1 (+get ~a db=0)", "GET b", 0, NO_KEY(1) },
        { "+get ~b (+get ~a db=1)", "GET a", 1, YES },
        { "+get ~b (+get ~a db=1)", "GET a", 0, NO_KEY(1) },
        { "(+@all ~* &*)", "CONFIG GET x", 5, YES },
        { NULL, NULL, 0, YES },
    };
    check_rows(table);
}

static void reading_all_keys_needs_the_command_and_every_key_in_one_selector(void **state) {
    (void)state;
    static const struct {
        const char *rules;
        bool may;
    } cases[] = {
        { "+get ~*", true }, { "+get %R~*", true },  { "+get %W~*", false },          { "+get ~a", false },
        { "~*", false },     { "+get (~*)", false }, { "+set ~* (+get %R~*)", true }, { "+get %RW~*", true },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct user *u = user_with(cases[i].rules);
        const struct command *get = registry_find_declared(LIT("get"));
        const struct slice argv[] = { LIT_INIT("GET"), LIT_INIT("k") };
        assert_int_equal(permission_to_read_all(u, get, argv, 2), cases[i].may);
        user_free(u);
    }
}

static void a_command_may_be_asked_about_without_its_arguments(void **state) {
    (void)state;
    struct user *u = user_with("+get +select|0 (+publish)");
    static const struct {
        const char *name;
        bool may;
    } cases[] = {
        { "get", true }, { "publish", true }, { "select", false }, { "set", false }, { "auth", true }
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const struct slice name = slice_of(cases[i].name);
        assert_int_equal(permission_for_command(u, registry_find_declared(name), &name, 1), cases[i].may);
    }
    user_free(u);
}

static void listening_is_permitted_by_any_selector(void **state) {
    (void)state;
    struct user *u = user_with("&a* (&b)");
    assert_true(permission_to_listen(u, LIT("a1"), false));
    assert_true(permission_to_listen(u, LIT("b"), false));
    assert_true(permission_to_listen(u, LIT("a*"), true));
    assert_false(permission_to_listen(u, LIT("a1"), true));
    assert_false(permission_to_listen(u, LIT("c"), false));
    user_free(u);
}

static void a_denial_is_told_and_explained_in_words(void **state) {
    (void)state;
    static const struct {
        const char *rules, *line, *told, *explained;
    } cases[] = {
        { "", "CONFIG SET a b", "User u has no permissions to run the 'config|set' command",
          "User u has no permissions to run the 'config|set' command" },
        { "+get", "GET key", "No permissions to access a key",
          "User u has no permissions to access the 'key' key" },
        { "+publish", "PUBLISH chan m", "No permissions to access a channel",
          "User u has no permissions to access the 'chan' channel" },
        { "+select db=1", "SELECT 7", "No permissions to access database",
          "User u has no permissions to access database 7" },
        { "+get ~* db=1", "GET a", "No permissions to access database",
          "User u has no permissions to access database GET" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct user *u = user_with(cases[i].rules);
        struct asked a = ask_in(u, cases[i].line, 0);
        struct buf told = { 0 }, explained = { 0 };
        denial_tell(u, a.command, a.verdict, &told);
        denial_explain(u, a.command, a.argv, a.verdict, &explained);
        assert_string_equal(text_of(&told), cases[i].told);
        assert_string_equal(text_of(&explained), cases[i].explained);
        buf_release(&told);
        buf_release(&explained);
        asked_release(&a);
        user_free(u);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_command_needs_itself_its_keys_and_its_channels),
        TEST(databases_are_those_that_are_named_and_the_current_one),
        TEST(one_selector_must_permit_all_and_the_closest_denial_is_told),
        TEST(reading_all_keys_needs_the_command_and_every_key_in_one_selector),
        TEST(a_command_may_be_asked_about_without_its_arguments),
        TEST(listening_is_permitted_by_any_selector),
        TEST(a_denial_is_told_and_explained_in_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
