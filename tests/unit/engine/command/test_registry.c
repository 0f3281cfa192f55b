/* The registry: names to commands, rows that come and go, and what is left for those who still hold one. */
#include "trivet/base/mem.h"
#include "trivet/base/thread.h"
#include "trivet/engine/client/client.h"
#include "trivet/engine/command/registry.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/watch/stats.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void run(struct call *c) { reply_ok(c->out); }

static const struct command subs[] = {
    { .name = "SET", .run = run, .arity = 3 },
    { .name = "GET", .run = run, .arity = -3, .flags = READS },
    { .name = NULL },
};
static const struct command base_rows[] = {
    { .name = "GET", .run = run, .arity = 2, .flags = READS | FAST, .keys = { KEY(KEY_RO) } },
    { .name = "CONF", .arity = -2, .flags = KEEPS_CACHING, .subcommands = subs },
    { .name = "DEL", .run = run, .arity = -2, .flags = WRITES, .keys = { KEYS(KEY_RM, -1, 1) } },
    { .name = NULL },
};

static int owner, other_owner;
static const struct command guest_rows[] = {
    { .name = "GUEST.GET", .run = run, .arity = -1, .owner = &owner },
    { .name = "GUEST.CONF", .arity = -2, .subcommands = subs, .owner = &owner },
    { .name = NULL },
};
static const struct command other_rows[] = {
    { .name = "OTHER", .run = run, .arity = 1, .owner = &other_owner },
    { .name = NULL },
};

static int begin(void **state) {
    (void)state;
    thread_worker_index = 0;
    thread_worker_count = 2;
    assert_true(registry_add("base", base_rows));
    return 0;
}

static int end(void **state) {
    (void)state;
    registry_release();
    return 0;
}

static const char *resolve(const char *first, const char *second) {
    const struct slice argv[] = { slice_of(first), second ? slice_of(second) : LIT("") };
    const struct command *container;
    const struct command *c = registry_resolve(argv, second ? 2 : 1, &container);
    if (container) return "a container";
    return c ? c->full_name : "none";
}

static void names_are_found_in_any_case(void **state) {
    (void)state;
    static const struct { const char *first, *second, *expected; } cases[] = {
        { "GET", NULL, "get" },           { "gEt", "x", "get" },       { "CONF", "SET", "conf|set" },
        { "conf", "get", "conf|get" },    { "CONF", NULL, "conf" },    { "CONF", "nosuch", "a container" },
        { "nosuch", "SET", "none" },      { "", NULL, "none" },
    };
    char endless[2000];
    memset(endless, 'x', sizeof endless);
    assert_null(registry_find(slice_make(endless, sizeof endless)));
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_string_equal(resolve(cases[i].first, cases[i].second), cases[i].expected);
    assert_ptr_equal(registry_find_full(LIT("conf|SET")),
                     registry_find_child(registry_find(LIT("conf")), LIT("set")));
    assert_null(registry_find_full(LIT("conf|nosuch")));
    assert_null(registry_find_full(LIT("nosuch|set")));
}

static void rows_are_completed(void **state) {
    (void)state;
    const struct command *get = registry_find(LIT("get")), *del = registry_find(LIT("del"));
    assert_int_equal(get->categories, CAT_READ | CAT_FAST);
    assert_int_equal(del->categories, CAT_WRITE | CAT_SLOW);
    assert_int_equal(get->simple_key, 1);
    assert_int_equal(del->simple_key, 0);
    assert_string_equal(get->group, "base");
    const struct command *child = registry_find_full(LIT("conf|get"));
    assert_ptr_equal(child->parent, registry_find(LIT("conf")));
    assert_true(child->flags & KEEPS_CACHING);
    assert_int_equal(registry_count(), 3);
    assert_int_equal(registry_ids(), 5);
    for (uint32_t id = 0; id < registry_ids(); id++) assert_int_equal(registry_by_id(id)->id, id);
}

static void a_name_that_is_taken_keeps_the_whole_table_out(void **state) {
    (void)state;
    static const struct command rows[] = {
        { .name = "FRESH", .run = run, .arity = 1 },
        { .name = "get", .run = run, .arity = 1 },
        { .name = NULL },
    };
    assert_false(registry_add("more", rows));
    assert_null(registry_find(LIT("fresh")));
    assert_int_equal(registry_count(), 3);
}

static void rows_of_an_owner_go_and_come_again(void **state) {
    (void)state;
    assert_true(registry_add("guest", guest_rows));
    assert_true(registry_add("other", other_rows));
    assert_int_equal(registry_count(), 6);
    uint32_t generation = registry_generation, ids = registry_ids();
    assert_int_equal(registry_remove(&owner), 2);
    assert_int_equal(registry_count(), 4);
    assert_string_equal(registry_at(3)->full_name, "other");
    assert_int_not_equal(registry_generation, generation);
    assert_null(registry_find(LIT("guest.get")));
    assert_null(registry_find_full(LIT("guest.conf|set")));
    assert_non_null(registry_find(LIT("other")));
    assert_int_equal(registry_remove(&owner), 0);
    assert_int_equal(registry_ids(), ids);

    assert_true(registry_add("guest", guest_rows));
    const struct command *again = registry_find(LIT("guest.get"));
    assert_true(again->id >= ids); /* its numbers begin anew */
    size_t gone = 0;
    for (uint32_t id = 0; id < registry_ids(); id++) gone += registry_by_id(id) == NULL;
    assert_int_equal(gone, 4);
}

static void a_renamed_command_is_found_by_its_new_name(void **state) {
    (void)state;
    const struct command *get = registry_find(LIT("get")), *conf = registry_find(LIT("conf"));
    uint32_t generation = registry_generation;
    assert_int_equal(registry_rename(LIT("Get"), LIT("Fetch")), RENAME_DONE);
    assert_int_equal(registry_rename(LIT("conf"), LIT("get")), RENAME_DONE);
    assert_int_not_equal(registry_generation, generation);
    assert_ptr_equal(registry_find(LIT("fEtCh")), get);
    assert_ptr_equal(registry_find(LIT("get")), conf);
    assert_ptr_equal(registry_find_declared(LIT("GET")), get);
    assert_ptr_equal(registry_find_declared(LIT("conf|get")), registry_find_full(LIT("get|GET")));
    assert_string_equal(get->full_name, "get");
    assert_string_equal(get->current_name, "fetch");
    assert_true(command_is_renamed(registry_find_full(LIT("get|set"))));
    assert_int_equal(registry_rename(LIT("get"), LIT("conf")), RENAME_DONE);
    assert_false(command_is_renamed(conf));
    assert_int_equal(registry_count(), 3);
}

static void a_command_without_a_name_is_left_to_the_journal(void **state) {
    (void)state;
    const struct command *del = registry_find(LIT("del")), *get = registry_find(LIT("get"));
    const struct slice argv[] = { LIT_INIT("DEL"), LIT_INIT("x") }, other[] = { LIT_INIT("Fetch") };
    assert_int_equal(registry_rename(LIT("del"), LIT("")), RENAME_DONE);
    assert_int_equal(registry_rename(LIT("get"), LIT("fetch")), RENAME_DONE);
    assert_null(registry_find(LIT("del")));
    assert_null(del->current_name);
    assert_int_equal(registry_count(), 2);
    assert_ptr_equal(registry_find_declared(LIT("del")), del);
    assert_ptr_equal(registry_resolve_journaled(argv, 2), del);
    assert_ptr_equal(registry_resolve_journaled(other, 1), get);
    assert_ptr_equal(registry_by_id(del->id), del);
    static const struct command rows[] = { { .name = "DEL", .run = run, .arity = 1 }, { .name = NULL } };
    assert_false(registry_add("more", rows)); /* the journal would not know which is meant */
}

static void a_wrong_renaming_changes_nothing(void **state) {
    (void)state;
    assert_int_equal(registry_rename(LIT("nosuch"), LIT("x")), RENAME_UNKNOWN);
    assert_int_equal(registry_rename(LIT("conf|get"), LIT("x")), RENAME_UNKNOWN);
    assert_int_equal(registry_rename(LIT("get"), LIT("Del")), RENAME_TAKEN);
    assert_int_equal(registry_rename(LIT("get"), LIT("a\nb")), RENAME_IMPOSSIBLE);
    assert_int_equal(registry_rename(LIT("get"), slice_make("a\0b", 3)), RENAME_IMPOSSIBLE);
    assert_int_equal(registry_rename(LIT("get"), LIT("GET")), RENAME_DONE);
    assert_false(command_is_renamed(registry_find(LIT("get"))));
    assert_int_equal(registry_count(), 3);
}

static void who_holds_a_removed_command_gets_an_error(void **state) {
    (void)state;
    struct client client = { .worker = 0 };
    reply_init(&client.reply, 2);
    assert_true(registry_add("guest", guest_rows));
    const struct command *held[] = { registry_find(LIT("guest.get")),
                                     registry_find_full(LIT("guest.conf|set")) };
    registry_remove(&owner);
    for (size_t i = 0; i < COUNT_OF(held); i++) {
        struct call c = { .client = &client, .out = &client.reply, .command = held[i] };
        client.reply.failed = false;
        held[i]->run(&c);
        assert_true(client.reply.failed);
        assert_string_equal(client.reply.error_code, "ERR");
        assert_null(held[i]->find_keys);
        assert_null(held[i]->owner);
    }
    reply_release(&client.reply);
    reply_thread_release();
}

static void statistics_have_room_for_commands_that_come_later(void **state) {
    (void)state;
    options.latency_tracking = true;
    stats_init(registry_ids());
    const struct command *get = registry_find(LIT("get"));
    stats_command_ran(get, 5000, false);
    assert_true(registry_add("guest", guest_rows));
    const struct command *late = registry_find_full(LIT("guest.conf|get"));
    for (int w = 0; w < thread_worker_count; w++) {
        thread_worker_index = w;
        stats_command_ran(late, 1000, w == 1);
    }
    thread_worker_index = 0;
    assert_int_equal(stats_command(late).calls, 2);
    assert_int_equal(stats_command(late).failed, 1);
    assert_int_equal(stats_command(get).calls, 1);
    assert_true(stats_command_percentile(get, 50) > 4.9);
    registry_remove(&owner);
    assert_int_equal(stats_command_us(), 7); /* what a removed one took was taken all the same */
    stats_release();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(names_are_found_in_any_case),
        TEST(rows_are_completed),
        TEST(a_name_that_is_taken_keeps_the_whole_table_out),
        TEST(rows_of_an_owner_go_and_come_again),
        TEST(a_renamed_command_is_found_by_its_new_name),
        TEST(a_command_without_a_name_is_left_to_the_journal),
        TEST(a_wrong_renaming_changes_nothing),
        TEST(who_holds_a_removed_command_gets_an_error),
        TEST(statistics_have_room_for_commands_that_come_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
