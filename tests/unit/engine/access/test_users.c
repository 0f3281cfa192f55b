/* The server's users: found by name, put, removed, replaced, and logging in. */
#include "access_support.h"
#include "trivet/engine/access/users.h"

static int begin_users(void **state) {
    begin(state);
    users_init();
    return 0;
}

static int end_users(void **state) {
    users_release();
    assert_null(user_default);
    return end(state);
}

#define USERS_TEST(name) cmocka_unit_test_setup_teardown(name, begin_users, end_users)

static struct user *put(const char *name, const char *rules) {
    struct user *u = user_new(slice_of(name));
    assert_string_equal(apply(u, rules), "");
    return users_put(u);
}

static void assert_names(const char *expected) {
    struct buf names = { 0 };
    for (size_t i = 0; i < users_count(); i++) buf_printf(&names, "%s[%s]", i ? " " : "", users_at(i)->name);
    assert_string_equal(text_of(&names), expected);
    buf_release(&names);
}

static void there_is_a_default_user_who_may_do_everything(void **state) {
    (void)state;
    assert_names("[default]");
    assert_ptr_equal(users_find(LIT("default")), user_default);
    assert_described(user_default, "on nopass sanitize-payload ~* &* +@all");
    assert_true(user_default->is_unlimited);
    assert_true(users_admit_strangers());
}

static void users_are_in_the_order_of_their_names(void **state) {
    (void)state;
    static const char *const names[] = { "m", "zz", "", "a", "\xff", "Z", "def", "default2", "z" };
    for (size_t i = 0; i < COUNT_OF(names); i++) put(names[i], "on");
    assert_names("[] [Z] [a] [def] [default] [default2] [m] [z] [zz] [\xff]");
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct user *u = users_find(slice_of(names[i]));
        assert_non_null(u);
        users_remove(u);
        assert_null(users_find(slice_of(names[i])));
        user_free(u);
    }
    assert_names("[default]");
    assert_null(users_find(LIT("defaul")));
    assert_null(users_find(LIT("")));
}

static void who_is_put_again_stays_where_it_was(void **state) {
    (void)state;
    struct user *u = put("u", "on >p ~a");
    assert_ptr_equal(put("u", "off +get"), u);
    assert_described(u, "off sanitize-payload resetchannels -@all +get");
    assert_int_equal(users_count(), 2);
    struct user *before = user_default;
    assert_ptr_equal(put("default", "on nopass ~x"), before);
    assert_ptr_equal(user_default, before);
    assert_false(user_default->is_unlimited);
}

static struct user_list list_of(const char *first, const char *second) {
    struct user_list list = { 0 };
    if (first) user_list_add(&list, user_new(slice_of(first)));
    if (second) user_list_add(&list, user_new(slice_of(second)));
    return list;
}

static void replacing_keeps_addresses_and_gives_back_who_is_gone(void **state) {
    (void)state;
    struct user *a = put("a", "on ~*"), *b = put("b", "on"), *was = user_default;
    struct user_list list = list_of("a", "c"), gone = { 0 };
    users_set_default_password(LIT("old"));
    users_replace(&list, LIT(""), &gone);
    assert_names("[a] [c] [default]");
    assert_ptr_equal(users_find(LIT("a")), a);
    assert_described(a, "off sanitize-payload resetchannels -@all");
    assert_int_equal(gone.count, 1);
    assert_ptr_equal(gone.at[0], b);
    assert_ptr_equal(user_default, was);
    assert_true(users_default_is_plain(LIT("")));
    assert_int_equal(list.count, 0);
    user_list_release(&gone);
    list = list_of("default", NULL);
    users_replace(&list, LIT("secret"), &gone); /* the list has its own default user */
    assert_names("[default]");
    assert_described(user_default, "off sanitize-payload resetchannels -@all");
    user_list_release(&gone);
    list = list_of(NULL, NULL);
    users_replace(&list, LIT("secret"), &gone);
    assert_true(users_default_is_plain(LIT("secret")));
    assert_false(users_default_is_plain(LIT("")));
    assert_int_equal(gone.count, 0);
}

static void lists_find_by_name(void **state) {
    (void)state;
    struct user_list list = list_of("a", "b");
    assert_string_equal(user_list_find(&list, LIT("b"))->name, "b");
    assert_null(user_list_find(&list, LIT("c")));
    user_list_release(&list);
    assert_null(user_list_find(&list, LIT("a")));
}

static void a_right_password_of_a_user_that_is_on_logs_in(void **state) {
    (void)state;
    struct user *u = put("u", "on >p >q"), *open = put("open", "on nopass");
    put("off", "off >p");
    put("locked", "on");
    static const struct {
        const char *name, *password;
        int who; /* 1: u, 2: open */
    } cases[] = {
        { "u", "p", 1 },   { "u", "q", 1 },     { "u", "r", 0 },      { "u", "", 0 },
        { "U", "p", 0 },   { "", "p", 0 },      { "open", "", 2 },    { "open", "x", 2 },
        { "off", "p", 0 }, { "locked", "", 0 }, { "locked", "p", 0 }, { "nosuch", "p", 0 },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct user *wanted = cases[i].who == 1 ? u : cases[i].who == 2 ? open : NULL;
        assert_ptr_equal(users_authenticate(slice_of(cases[i].name), slice_of(cases[i].password)), wanted);
    }
    /* Not even if the default user has that password. */
    users_set_default_password(LIT("p"));
    assert_null(users_authenticate(LIT("nosuch"), LIT("p")));
    assert_ptr_equal(users_authenticate(LIT("default"), LIT("p")), user_default);
}

static void the_default_password_is_the_only_one_and_leaves_the_rest(void **state) {
    (void)state;
    assert_string_equal(apply(user_default, ">a >b resetkeys ~x"), "");
    users_set_default_password(LIT("secret"));
    assert_int_equal(user_default->password_count, 1);
    assert_false(users_admit_strangers());
    assert_false(users_default_is_plain(LIT("secret"))); /* its keys are not */
    users_set_default_password(LIT(""));
    assert_described(user_default, "on nopass sanitize-payload ~x &* +@all");
    assert_true(users_admit_strangers());
    assert_string_equal(apply(user_default, "off"), "");
    assert_false(users_admit_strangers());
}

int main(void) {
    const struct CMUnitTest tests[] = {
        USERS_TEST(there_is_a_default_user_who_may_do_everything),
        USERS_TEST(users_are_in_the_order_of_their_names),
        USERS_TEST(who_is_put_again_stays_where_it_was),
        USERS_TEST(replacing_keeps_addresses_and_gives_back_who_is_gone),
        USERS_TEST(lists_find_by_name),
        USERS_TEST(a_right_password_of_a_user_that_is_on_logs_in),
        USERS_TEST(the_default_password_is_the_only_one_and_leaves_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
