/* Users: rules of the user itself, words joined to selectors, what is shown. */
#include "access_support.h"

#define HASH_OF_P "148de9c5a7a44d19e56cd9ae1a554bf67847afb0c58f6e12fa29ac7ddfca9940"

static void names_have_no_blanks_and_no_nul(void **state) {
    (void)state;
    assert_true(user_name_is_valid(LIT("")));
    assert_true(user_name_is_valid(LIT("\x01\xff\"'#()~")));
    for (const char *blank = " \t\n\v\f\r"; *blank; blank++) {
        char name[] = { 'a', *blank, 'b' };
        assert_false(user_name_is_valid(slice_make(name, 3)));
    }
    assert_false(user_name_is_valid(slice_make("a\0b", 3)));
}

static void rules_are_described_in_their_canonical_form(void **state) {
    (void)state;
    static const struct {
        const char *rules, *text;
    } cases[] = {
        { "", "off sanitize-payload resetchannels -@all" },
        { "on nopass ~* &* +@all", "on nopass sanitize-payload ~* &* +@all" },
        { ">p on", "on sanitize-payload #" HASH_OF_P " resetchannels -@all" },
        { "#" HASH_OF_P " >p", "off sanitize-payload #" HASH_OF_P " resetchannels -@all" },
        { ">p <p", "off sanitize-payload resetchannels -@all" },
        { ">p !" HASH_OF_P " nopass", "off nopass sanitize-payload resetchannels -@all" },
        { "(+get ~a) ~b", "off sanitize-payload ~b resetchannels -@all (~a resetchannels -@all +get)" },
        { "(+get ~a &c )", "off sanitize-payload resetchannels -@all (~a resetchannels &c -@all +get)" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct user *u = user_with(cases[i].rules);
        assert_described(u, cases[i].text);
        struct user *again = user_with(cases[i].text);
        assert_described(again, cases[i].text);
        user_free(u);
        user_free(again);
    }
}

static void an_error_names_the_rule_and_why(void **state) {
    (void)state;
    static const struct {
        const char *rules, *error;
    } cases[] = {
        { "on foo", "In rule 'foo': Syntax error" },
        { "+nosuch +get", "In rule '+nosuch': Unknown command or category name in ACL" },
        { "(+get +nosuch)", "In rule '(+get +nosuch)': Unknown command or category name in ACL" },
        { "(on)", "In rule '(on)': Syntax error" },
        { "(+get", "Unmatched parenthesis in acl selector starting at '(+get'." },
        { "on (+get ~a", "Unmatched parenthesis in acl selector starting at '(+get'." },
        { "(+get (~a)", "In rule '(+get (~a)': Syntax error" },
        { "\"(+get ~a))\"", "In rule '(+get ~a))': Syntax error" },
        { "<p", "In rule '<p': The password you are trying to remove from the user does not exist" },
        { "#00", "In rule '#00': The password hash must be exactly 64 characters and contain only lowercase "
                 "hexadecimal characters" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct user *u = user_new(LIT("u"));
        assert_string_equal(apply(u, cases[i].rules), cases[i].error);
        user_free(u);
    }
}

static void words_of_a_selector_are_joined(void **state) {
    (void)state;
    static const struct slice words[] = { LIT_INIT("on"),    LIT_INIT("(+get"), LIT_INIT("~a"),
                                          LIT_INIT("%R~b)"), LIT_INIT("(x)"),   LIT_INIT("("),
                                          LIT_INIT(")"),     LIT_INIT("") };
    static const char *const joined[] = { "on", "(+get ~a %R~b)", "(x)", "( )", "" };
    struct rules r;
    struct buf error = { 0 };
    assert_true(rules_join(words, COUNT_OF(words), &r, &error));
    assert_int_equal(r.count, COUNT_OF(joined));
    for (size_t i = 0; i < r.count; i++) assert_true(slice_equal(r.at[i], slice_of(joined[i])));
    rules_release(&r);
    assert_false(rules_join(words, 3, &r, &error));
    assert_true(rules_join(words, 0, &r, &error));
    assert_int_equal(r.count, 0);
    rules_release(&r);
    buf_release(&error);
}

static void passwords_are_compared_by_their_digest(void **state) {
    (void)state;
    struct user *u = user_with(">p >q");
    uint8_t digest[SHA256_SIZE];
    sha256(LIT("q"), digest);
    assert_true(user_has_password(u, digest));
    sha256(LIT("r"), digest);
    assert_false(user_has_password(u, digest));
    user_add_password(u, LIT("r"));
    user_add_password(u, LIT("r"));
    assert_int_equal(u->password_count, 3);
    assert_true(user_has_password(u, digest));
    assert_string_equal(apply(u, "<p"), "");
    assert_int_equal(u->password_count, 2);
    assert_true(user_has_password(u, digest));
    user_forget_passwords(u);
    assert_false(user_has_password(u, digest));
    user_free(u);
}

static void many_passwords_patterns_and_selectors_fit(void **state) {
    (void)state;
    struct user *u = user_new(LIT("u"));
    char rule[64];
    for (int i = 0; i < 1000; i++) {
        snprintf(rule, sizeof rule, ">%d ~k%d &c%d (+get ~s%d)", i, i, i, i);
        assert_string_equal(apply(u, rule), "");
    }
    assert_int_equal(u->password_count, 1000);
    assert_int_equal(u->selector_count, 1001);
    struct user *copy = user_copy(u);
    struct buf first = { 0 }, second = { 0 };
    user_describe(u, &first);
    user_free(u);
    user_describe(copy, &second);
    assert_string_equal(text_of(&first), text_of(&second));
    assert_string_equal(apply(copy, "clearselectors"), "");
    assert_int_equal(copy->selector_count, 1);
    buf_release(&first);
    buf_release(&second);
    user_free(copy);
}

static void a_copy_is_the_same_user_in_every_respect(void **state) {
    (void)state;
    static const char *const kinds[] = { "on nopass ~* &* +@all", "off >p skip-sanitize-payload ~a (+get)",
                                         "" };
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        struct user *u = user_with(kinds[i]), *copy = user_copy(u);
        struct buf was = { 0 };
        user_describe(u, &was);
        assert_described(copy, text_of(&was));
        assert_int_equal(copy->is_unlimited, u->is_unlimited);
        assert_int_equal(copy->is_unlimited, i == 0);
        assert_string_equal(copy->name, "u");
        buf_release(&was);
        user_free(u);
        user_free(copy);
    }
}

static void parts_are_described_for_each_selector(void **state) {
    (void)state;
    struct user *u = user_with("~a %R~b &c +get db=1,2 (~* &* +@all resetdbs)");
    static const char *const expected[][PERMISSION_PARTS] = {
        { [PART_COMMANDS] = "-@all +get", [PART_KEYS] = "~a %R~b", [PART_CHANNELS] = "&c",
          [PART_DATABASES] = "db=1,2" },
        { [PART_COMMANDS] = "+@all", [PART_KEYS] = "~*", [PART_CHANNELS] = "&*",
          [PART_DATABASES] = "resetdbs" },
    };
    for (size_t s = 0; s < COUNT_OF(expected); s++)
        for (enum permission_part part = 0; part < PERMISSION_PARTS; part++) {
            struct buf out = { 0 };
            user_describe_part(u, s, part, &out);
            assert_string_equal(text_of(&out), expected[s][part]);
            buf_release(&out);
        }
    user_free(u);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(names_have_no_blanks_and_no_nul),
        TEST(rules_are_described_in_their_canonical_form),
        TEST(an_error_names_the_rule_and_why),
        TEST(words_of_a_selector_are_joined),
        TEST(passwords_are_compared_by_their_digest),
        TEST(many_passwords_patterns_and_selectors_fit),
        TEST(a_copy_is_the_same_user_in_every_respect),
        TEST(parts_are_described_for_each_selector),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
