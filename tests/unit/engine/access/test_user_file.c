/* Users in files and in lines of the configuration: read, written, and who the server has after the start. */
#include "access_support.h"
#include "trivet/engine/access/user_file.h"
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[] = "/tmp/trivet-users-XXXXXX";
static char path[64];

static int make_folder(void **state) {
    (void)state;
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/users.acl", folder);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static int begin_users(void **state) {
    begin(state);
    users_init();
    return 0;
}

static int end_users(void **state) {
    user_lines_release();
    users_release();
    return end(state);
}

#define FILE_TEST(name) cmocka_unit_test_setup_teardown(name, begin_users, end_users)

static void write_file(const char *bytes, size_t len) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

/* ACL LIST's lines of a list of users, or the errors. */
static void assert_read(const char *bytes, size_t len, const char *expected) {
    struct user_list list = { 0 };
    struct buf told = { 0 };
    write_file(bytes, len);
    if (user_file_read(path, &list, &told)) {
        assert_int_equal(told.len, 0);
        for (size_t i = 0; i < list.count; i++) {
            user_describe_line(list.at[i], &told);
            buf_append_byte(&told, '\n');
        }
    } else {
        assert_int_equal(list.count, 0);
    }
    assert_string_equal(text_of(&told), expected);
    buf_release(&told);
    user_list_release(&list);
}

#define NOTHING_ON " on sanitize-payload resetchannels -@all\n"

static void lines_are_read_with_or_without_an_end(void **state) {
    (void)state;
    static const struct {
        const char *text, *users;
    } cases[] = {
        { "", "" },
        { "\n\n", "" },
        { "# user a on", "" },
        { "user a on", "user a" NOTHING_ON },
        { "user a on\n", "user a" NOTHING_ON },
        { "user a on\r\nuser b on\r\n", "user a" NOTHING_ON "user b" NOTHING_ON },
        { "  user a   on  \n\t\nuser b on\n", "user a" NOTHING_ON "user b" NOTHING_ON },
        { "user  on\n", "user " NOTHING_ON },
        { "user a on (+get   ~x )\n",
          "user a on sanitize-payload resetchannels -@all (~x resetchannels -@all +get)\n" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_read(cases[i].text, strlen(cases[i].text), cases[i].users);
}

static void any_bytes_are_read_without_harm(void **state) {
    (void)state;
    static const char zero[] = "user a\0b on\n", late[] = "user a on ~x\0y\n", quotes[] = "user a on ~\"x\n";
    struct user_list list = { 0 };
    struct buf told = { 0 };
    write_file(zero, sizeof zero - 1);
    assert_false(user_file_read(path, &list, &told));
    assert_non_null(strstr(text_of(&told), "contains invalid characters. "));
    buf_clear(&told);
    write_file(late, sizeof late - 1);
    assert_false(user_file_read(path, &list, &told));
    assert_non_null(strstr(text_of(&told), ":1: Syntax error. "));
    assert_read(quotes, sizeof quotes - 1, "user a on sanitize-payload ~\"x resetchannels -@all\n");
    buf_release(&told);
}

static void what_was_written_is_read_as_the_same_users(void **state) {
    (void)state;
    static const char *const rules[] = { "on >p ~a %R~b &c +@all -get (+set ~d db=1)", "off nopass resetdbs",
                                         "" };
    static const char *const names[] = { "", "a\"'\xff", "z" };
    struct buf before = { 0 }, after = { 0 }, errors = { 0 };
    struct user_list list = { 0 };
    for (size_t i = 0; i < COUNT_OF(rules); i++) {
        struct user *u = user_new(slice_of(names[i]));
        assert_string_equal(apply(u, rules[i]), "");
        users_put(u);
    }
    for (size_t i = 0; i < users_count(); i++) user_describe_line(users_at(i), &before);
    assert_true(user_file_write(path));
    assert_true(user_file_read(path, &list, &errors));
    assert_int_equal(list.count, users_count());
    for (size_t i = 0; i < list.count; i++) user_describe_line(list.at[i], &after);
    assert_string_equal(text_of(&before), text_of(&after));
    user_list_release(&list);
    buf_release(&before);
    buf_release(&after);
}

static void writing_where_nothing_is_fails(void **state) {
    (void)state;
    char nowhere[96];
    snprintf(nowhere, sizeof nowhere, "%s/nosuch/users.acl", folder);
    assert_false(user_file_write(nowhere));
    assert_int_equal(errno, ENOENT);
}

static const char *add_line(const char *line) {
    static char told[256];
    struct slice *argv;
    size_t argc;
    char *text;
    struct buf why = { 0 };
    assert_true(split_line(slice_of(line), &argv, &argc, &text));
    bool added = user_lines_add(argv, argc, &why);
    snprintf(told, sizeof told, "%s", text_of(&why));
    assert_int_equal(added, told[0] == '\0');
    buf_release(&why);
    mem_free(argv);
    mem_free(text);
    return told;
}

static void lines_make_the_users_of_the_start(void **state) {
    (void)state;
    struct buf error = { 0 };
    assert_string_equal(add_line("a on (+get ~x) +set"), "");
    assert_string_equal(add_line("\"\" off"), "");
    assert_string_equal(add_line("a off"),
                        "Error in user declaration 'a': Duplicate user found. A user can only be "
                        "defined once in config files");
    assert_string_equal(add_line("\"b c\" on"),
                        "Error in user declaration 'b c': Usernames can't contain spaces or "
                        "null characters");
    assert_string_equal(add_line("d (+get"), "Unmatched parenthesis in acl selector starting at '(+get'.");
    assert_true(users_load(&error));
    assert_int_equal(users_count(), 3);
    assert_described(users_find(LIT("a")),
                     "on sanitize-payload resetchannels -@all +set (~x resetchannels -@all +get)");
    assert_non_null(users_find(LIT("")));
    assert_true(user_default->is_unlimited);
    buf_release(&error);
}

static void a_line_with_a_wrong_rule_makes_no_user(void **state) {
    (void)state;
    struct buf error = { 0 };
    assert_string_equal(add_line("a on"), "");
    assert_string_equal(add_line("b on +nosuch"),
                        "Error loading ACL rule '+nosuch' for the user named 'b': Unknown command "
                        "or category name in ACL");
    assert_string_equal(add_line("b on <secret"),
                        "Error loading ACL rule '<(redacted)' for the user named 'b': The password you are "
                        "trying to remove from the user does not exist");
    assert_string_equal(add_line("b on huh"),
                        "Error loading ACL rule 'huh' for the user named 'b': Syntax error");
    assert_true(users_load(&error));
    assert_null(users_find(LIT("b")));
    buf_release(&error);
}

static void append_line(void *arg, struct slice name, struct slice described) {
    buf_printf(arg, "[%.*s %.*s]", SLICE_ARG(name), SLICE_ARG(described));
}

static void assert_lines(const char *expected) {
    struct buf out = { 0 };
    user_lines_each(append_line, &out);
    assert_string_equal(text_of(&out), expected);
    buf_release(&out);
}

static void lines_for_the_next_start_are_needed_for_all_but_a_plain_default_user(void **state) {
    (void)state;
    assert_lines("");
    users_set_default_password(LIT("not in requirepass"));
    struct buf out = { 0 };
    user_lines_each(append_line, &out);
    assert_non_null(strstr(text_of(&out), "[default on sanitize-payload #"));
    buf_release(&out);
    users_set_default_password(LIT(""));
    users_put(user_with("off"));
    assert_lines(
        "[default on nopass sanitize-payload ~* &* +@all][u off sanitize-payload resetchannels -@all]");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FILE_TEST(lines_are_read_with_or_without_an_end),
        FILE_TEST(any_bytes_are_read_without_harm),
        FILE_TEST(what_was_written_is_read_as_the_same_users),
        FILE_TEST(writing_where_nothing_is_fails),
        FILE_TEST(lines_make_the_users_of_the_start),
        FILE_TEST(a_line_with_a_wrong_rule_makes_no_user),
        FILE_TEST(lines_for_the_next_start_are_needed_for_all_but_a_plain_default_user),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
