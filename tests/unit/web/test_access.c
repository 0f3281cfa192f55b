/* HTTP basic authentication: what is read from the field, and who is admitted. */
#include "trivet/base/mem.h"
#include "trivet/commands/groups.h"
#include "trivet/engine/access/access_log.h"
#include "trivet/engine/access/users.h"
#include "trivet/engine/command/registry.h"
#include "trivet/engine/settings/options.h"
#include "web/access.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* ---- the field ---- */

static void a_name_and_a_password_are_read(void **state) {
    (void)state;
    static const struct {
        const char *field, *name, *password;
    } rows[] = {
        { "Basic YWxpY2U6c2VjcmV0", "alice", "secret" },
        { "bASIC   YWxpY2U6c2VjcmV0", "alice", "secret" },
        { "Basic Og==", "", "" },
        { "Basic YTo=", "a", "" },
        { "Basic OmI=", "", "b" },
        { "Basic YTpiOmM=", "a", "b:c" },
        { "Basic w6Q6w7/DvyvDuw==", "\xc3\xa4", "\xc3\xbf\xc3\xbf+\xc3\xbb" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct credentials c;
        if (!credentials_read(slice_of(rows[i].field), &c)) fail_msg("%s", rows[i].field);
        assert_true(c.are_there);
        assert_true(slice_equal(credentials_name(&c), slice_of(rows[i].name)));
        assert_true(slice_equal(credentials_password(&c), slice_of(rows[i].password)));
        credentials_release(&c);
        assert_null(c.text.ptr);
    }
}

static void what_is_malformed_is_nothing(void **state) {
    (void)state;
    static const char *const fields[] = {
        "",
        "Basic",
        "Basic ",
        "Basic=YTpi",
        "Bearer YTpi",
        "Basic YTp",         /* not in fours */
        "Basic YTpiYTp",     /* likewise */
        "Basic YWxpY2U=",    /* no colon */
        "Basic YT!i",        /* no digit */
        "Basic YT=i",        /* padding in the middle */
        "Basic YTo=YTo=",    /* likewise */
        "Basic Y===",        /* too much of it */
        "Basic ====",        /* nothing else */
        "Basic Oh==",        /* bits that are left over */
        "Basic YTp=",        /* likewise */
        "Basic YTpi YTpi",   /* a blank inside */
        "Basic YTpi\tYTpi ", /* likewise */
        "Basic -_-_",        /* another alphabet */
    };
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        struct credentials c;
        if (credentials_read(slice_of(fields[i]), &c)) fail_msg("'%s' was read", fields[i]);
        assert_false(c.are_there);
        assert_null(c.text.ptr);
    }
}

static void any_byte_may_be_in_a_password(void **state) {
    (void)state;
    struct credentials c;
    assert_true(credentials_read(LIT("Basic OgD/"), &c)); /* ":", 0, 255 */
    assert_true(slice_equal(credentials_password(&c), slice_make("\0\xff", 2)));
    credentials_release(&c);
}

/* ---- who is admitted ---- */

static int begin(void **state) {
    (void)state;
    options_init();
    for (const struct command_group *g = command_groups; g->name; g++)
        assert_true(registry_add(g->name, g->rows));
    users_init();
    return 0;
}

static int end(void **state) {
    (void)state;
    users_release();
    access_log_reset();
    access_log_reset_counts();
    registry_release();
    options_release();
    return 0;
}

static void add_user(const char *name, const char *first, const char *second, const char *third) {
    struct user *u = user_new(slice_of(name));
    const struct slice rules[] = { slice_of(first), slice_of(second), slice_of(third) };
    struct buf error = { 0 };
    assert_true(user_set_rules(u, rules, COUNT_OF(rules), "", &error));
    users_put(u);
}

static enum admission ask_as(const char *name, const char *password, bool is_local) {
    struct credentials c = { .are_there = name != NULL, .name_len = name ? strlen(name) : 0 };
    if (name) buf_printf(&c.text, "%s:%s", name, password);
    enum admission a = admission_ask(&c, "10.0.0.1:5", is_local, 1000);
    credentials_release(&c);
    return a;
}

static void without_a_password_this_machine_is_admitted(void **state) {
    (void)state;
    assert_int_equal(ask_as(NULL, NULL, true), ADMITTED);
    assert_int_equal(ask_as("", "whatever", true), ADMITTED); /* as AUTH takes any password then */
    assert_int_equal(ask_as(NULL, NULL, false), ADMISSION_PROTECTED);
    options.protected_mode = false;
    assert_int_equal(ask_as(NULL, NULL, false), ADMITTED);
    options.protected_mode = true;
}

static void users_log_in_as_by_auth(void **state) {
    (void)state;
    users_set_default_password(LIT("s3cret"));
    add_user("watcher", "on", ">w", "+info");
    add_user("reader", "on", ">r", "+@read");
    add_user("gone", "off", ">g", "+@all");
    assert_int_equal(ask_as(NULL, NULL, true), ADMISSION_UNKNOWN);
    assert_int_equal(ask_as("", "s3cret", false), ADMITTED);
    assert_int_equal(ask_as("default", "s3cret", false), ADMITTED);
    assert_int_equal(ask_as("default", "S3cret", true), ADMISSION_WRONG);
    assert_int_equal(ask_as("", "", true), ADMISSION_WRONG);
    assert_int_equal(ask_as("watcher", "w", false), ADMITTED);
    assert_int_equal(ask_as("watcher", "s3cret", true), ADMISSION_WRONG);
    assert_int_equal(ask_as("reader", "r", true), ADMISSION_DENIED);
    assert_int_equal(ask_as("gone", "g", true), ADMISSION_WRONG);
    assert_int_equal(ask_as("nobody", "x", true), ADMISSION_WRONG);
    assert_int_equal(access_log_count(ACCESS_LOGIN), 5);
    assert_int_equal(access_log_count(ACCESS_COMMAND), 1);
}

static void a_default_user_without_info_admits_nobody_unasked(void **state) {
    (void)state;
    add_user("default", "on", "nopass", "-info");
    assert_int_equal(ask_as(NULL, NULL, true), ADMISSION_UNKNOWN);
    add_user("watcher", "on", ">w", "+info");
    assert_int_equal(ask_as("watcher", "w", true), ADMITTED);
}

static void a_password_of_its_own_is_the_only_one(void **state) {
    (void)state;
    users_set_default_password(LIT("s3cret"));
    mem_free(options.metrics_password);
    options.metrics_password = mem_strdup("scrape");
    assert_int_equal(ask_as(NULL, NULL, true), ADMISSION_UNKNOWN);
    assert_int_equal(ask_as("any", "scrape", false), ADMITTED);
    assert_int_equal(ask_as("", "scrape", false), ADMITTED);
    assert_int_equal(ask_as("default", "s3cret", true), ADMISSION_WRONG);
    assert_int_equal(ask_as("x", "scrape ", true), ADMISSION_WRONG);
    assert_int_equal(access_log_count(ACCESS_LOGIN), 2);
}

static void look_for_secret(void *arg, const struct access_entry *e) {
    size_t *seen = arg;
    struct buf all = { 0 };
    buf_printf(&all, "%.*s %.*s %.*s", SLICE_ARG(e->event.object), SLICE_ARG(e->event.username),
               SLICE_ARG(e->event.client));
    assert_string_equal(buf_cstr(&all), "Authorization mallory addr=10.0.0.1:5 name=metrics user=mallory");
    buf_release(&all);
    *seen += e->count;
}

static void no_secret_is_in_the_log(void **state) {
    (void)state;
    size_t seen = 0;
    users_set_default_password(LIT("s3cret"));
    assert_int_equal(ask_as("mallory", "guess1", false), ADMISSION_WRONG);
    assert_int_equal(ask_as("mallory", "guess2", false), ADMISSION_WRONG);
    access_log_each(10, look_for_secret, &seen);
    assert_int_equal(seen, 2);
}

#define ASKED(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_and_a_password_are_read),
        cmocka_unit_test(what_is_malformed_is_nothing),
        cmocka_unit_test(any_byte_may_be_in_a_password),
        ASKED(without_a_password_this_machine_is_admitted),
        ASKED(users_log_in_as_by_auth),
        ASKED(a_default_user_without_info_admits_nobody_unasked),
        ASKED(a_password_of_its_own_is_the_only_one),
        ASKED(no_secret_is_in_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
