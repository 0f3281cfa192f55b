/* access_support.h: what the tests of users share: a small registry of commands, and users made of words.
 * Every test file includes it once. */
#ifndef TRIVET_TESTS_UNIT_ENGINE_ACCESS_SUPPORT_H
#define TRIVET_TESTS_UNIT_ENGINE_ACCESS_SUPPORT_H

#include "trivet/base/mem.h"
#include "trivet/base/thread.h"
#include "trivet/engine/access/user.h"
#include "trivet/engine/client/client.h"
#include "trivet/engine/command/registry.h"
#include "trivet/engine/settings/options.h"
#include "trivet/resp/parser.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define HELP __attribute__((unused)) static

static void do_nothing(struct call *c) { reply_ok(c->out); }

static size_t first_is_database(const struct slice *argv, size_t argc, size_t at[DATABASE_ARGUMENTS_MAX]) {
    (void)argv, (void)argc;
    at[0] = 1;
    return 1;
}

static const struct command config_rows[] = {
    { .name = "GET", .run = do_nothing, .arity = -3, .flags = ADMIN },
    { .name = "SET", .run = do_nothing, .arity = -4, .flags = ADMIN },
    { .name = NULL },
};
static const struct command rows[] = {
    { .name = "GET", .run = do_nothing, .arity = 2, .flags = READS | FAST,
      .keys = { KEY(KEY_RO | KEY_ACCESS) }, .categories = CAT_STRING },
    { .name = "SET", .run = do_nothing, .arity = -3, .flags = WRITES, .keys = { KEY(KEY_OW | KEY_UPDATE) },
      .categories = CAT_STRING },
    { .name = "MSET", .run = do_nothing, .arity = -3, .flags = WRITES,
      .keys = { KEYS(KEY_OW | KEY_UPDATE, -1, 2) }, .categories = CAT_STRING },
    { .name = "COPY", .run = do_nothing, .arity = 3, .flags = WRITES,
      .keys = { KEY(KEY_RO | KEY_ACCESS), KEY_AT(2, KEY_OW | KEY_UPDATE) } },
    { .name = "EXISTS", .run = do_nothing, .arity = -2, .flags = READS | FAST,
      .keys = { KEYS(KEY_RO, -1, 1) } },
    { .name = "INCR", .run = do_nothing, .arity = 2, .flags = WRITES,
      .keys = { KEY(KEY_RW | KEY_ACCESS | KEY_UPDATE) } },
    { .name = "CONFIG", .arity = -2, .subcommands = config_rows },
    { .name = "SELECT", .run = do_nothing, .arity = 2, .flags = FAST | SWITCHES_DATABASE,
      .categories = CAT_CONNECTION, .database_arguments = first_is_database },
    { .name = "PING", .run = do_nothing, .arity = -1, .flags = FAST, .categories = CAT_CONNECTION },
    { .name = "AUTH", .run = do_nothing, .arity = -2, .flags = FAST | NO_AUTH, .categories = CAT_CONNECTION },
    { .name = "FLUSHALL", .run = do_nothing, .arity = -1, .flags = WRITES | ALL_DATABASES },
    { .name = "PUBLISH", .run = do_nothing, .arity = 3, .channels = CHANNEL_FIRST },
    { .name = "SUBSCRIBE", .run = do_nothing, .arity = -2, .channels = CHANNELS_ALL },
    { .name = "PSUBSCRIBE", .run = do_nothing, .arity = -2, .channels = CHANNELS_PATTERNS },
    { .name = NULL },
};

HELP int begin(void **state) {
    (void)state;
    thread_worker_index = 0;
    thread_worker_count = 1;
    options_init();
    assert_true(registry_add("access", rows));
    return 0;
}

HELP int end(void **state) {
    (void)state;
    registry_release();
    options_release();
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

HELP const char *text_of(struct buf *b) {
    buf_append_byte(b, '\0');
    b->len--;
    return b->ptr;
}

/* Applies the words of a line; the error, or "". Valid until the next call. */
HELP const char *apply(struct user *u, const char *line) {
    static char told[512];
    struct slice *argv;
    size_t argc;
    char *text;
    struct buf error = { 0 };
    assert_true(split_line(slice_of(line), &argv, &argc, &text));
    bool done = user_set_rules(u, argv, argc, "In rule", &error);
    snprintf(told, sizeof told, "%s", text_of(&error));
    assert_int_equal(done, told[0] == '\0');
    buf_release(&error);
    mem_free(argv);
    mem_free(text);
    return told;
}

/* "u" with these rules. */
HELP struct user *user_with(const char *rules) {
    struct user *u = user_new(LIT("u"));
    assert_string_equal(apply(u, rules), "");
    return u;
}

HELP void assert_described(const struct user *u, const char *expected) {
    struct buf out = { 0 };
    user_describe(u, &out);
    assert_string_equal(text_of(&out), expected);
    buf_release(&out);
}

#endif
