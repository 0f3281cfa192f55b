/* A command that outlives its input: its own bytes, shared blobs, keys that stay valid. */
#include "trivet/base/mem.h"
#include "trivet/engine/command/kept.h"
#include "trivet/engine/command/registry.h"
#include "trivet/engine/command/secret.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static bool third(const struct slice *argv, size_t argc, size_t index) {
    (void)argv, (void)argc;
    return index == 2;
}

static const struct command rows[] = {
    { .name = "PUT", .arity = 3, .kind = KEYED, .keys = { KEY(KEY_OW) }, .secret = third },
    { .name = "SHOW", .arity = 3, .kind = LOCAL },
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

static void a_kept_command_needs_nothing_of_its_input(void **state) {
    (void)state;
    char input[] = "PUTkeyvalue";
    const struct slice argv[] = { slice_make(input, 3), slice_make(input + 3, 3), slice_make(input + 6, 5) };
    struct call c = { .command = registry_find(LIT("put")), .argv = argv, .argc = 3 };
    struct kept *k = kept_new(&c);
    memset(input, 'x', sizeof input);
    assert_true(slice_equal(k->argv[0], LIT("PUT")) && slice_equal(k->argv[1], LIT("key")) &&
                slice_equal(k->argv[2], LIT("value")));
    assert_int_equal(k->bytes, 11);
    assert_int_equal(k->keys.count, 1);
    assert_ptr_equal(k->keys.at[0].key.ptr, k->argv[1].ptr);
    kept_free(k);
}

static void a_big_argument_is_shared(void **state) {
    (void)state;
    static char bytes[100000];
    struct blob *big = blob_of(slice_make(bytes, sizeof bytes));
    struct blob *blobs[] = { NULL, NULL, big };
    const struct slice argv[] = { LIT_INIT("PUT"), LIT_INIT(""), blob_slice(big) };
    struct call c = { .command = registry_find(LIT("put")), .argv = argv, .argc = 3, .blobs = blobs };
    struct kept *k = kept_new(&c);
    assert_ptr_equal(k->argv[2].ptr, big->bytes);
    assert_false(blob_is_sole(big));
    assert_int_equal(k->argv[1].len, 0);
    kept_free(k);
    assert_true(blob_is_sole(big));
    blob_unref(big);
}

static void the_row_says_what_is_secret(void **state) {
    (void)state;
    const struct slice argv[] = { LIT_INIT("PUT"), LIT_INIT("name"), LIT_INIT("hush") };
    const struct command *put = registry_find(LIT("put")), *show = registry_find(LIT("show"));
    assert_true(slice_equal(argument_shown(put, argv, 3, 1), LIT("name")));
    assert_true(slice_equal(argument_shown(put, argv, 3, 2), LIT("(redacted)")));
    assert_true(slice_equal(argument_shown(show, argv, 3, 2), LIT("hush")));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_kept_command_needs_nothing_of_its_input),
        TEST(a_big_argument_is_shared),
        TEST(the_row_says_what_is_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
