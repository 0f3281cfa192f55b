/* Scripts are found by their SHA1; what EVAL alone brought is bounded, what SCRIPT LOAD brought stays. */
#include "../../../harness/loopback.h"
#include "trivet/script/store/scripts.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define SHA_OF_RETURN_1 "e0e1f9fabfc9d4800c877a703b823ac0578ff8db"

static int set_up(void **state) {
    loopback_empty(state);
    scripts_flush(false);
    return 0;
}

static struct script *add(const char *source, bool stays) {
    struct buf error = { 0 };
    struct script *s = scripts_add(slice_of(source), stays, &error);
    assert_int_equal(error.len, 0);
    assert_non_null(s);
    return s;
}

static size_t count(void) {
    struct scripts_info info;
    scripts_info(&info);
    return info.count;
}

static uint64_t evicted(void) {
    struct scripts_info info;
    scripts_info(&info);
    return info.evicted;
}

static void a_script_is_found_by_sha_and_by_source(void **state) {
    (void)state;
    struct script *s = add("return 1", true);
    assert_string_equal(script_subject_of(s)->name, SHA_OF_RETURN_1);
    assert_false(script_subject_of(s)->is_function);
    assert_true(slice_equal(script_source(s), LIT("return 1")));
    assert_ptr_equal(scripts_find(LIT(SHA_OF_RETURN_1)), s);
    assert_ptr_equal(scripts_find(LIT("E0E1F9FABFC9D4800C877A703B823AC0578FF8DB")), s);
    assert_ptr_equal(scripts_find_source(LIT("return 1")), s);
    assert_null(scripts_find_source(LIT("return 1 ")));
    assert_null(scripts_find(LIT("e0e1f9fabfc9d4800c877a703b823ac0578ff8d")));
    assert_null(scripts_find(LIT(SHA_OF_RETURN_1 "0")));
    /* The first 16 digits are the hash, but the others count too. */
    assert_null(scripts_find(LIT("e0e1f9fabfc9d4800c877a703b823ac0578ff8dc")));
    assert_null(scripts_find(LIT("g0e1f9fabfc9d4800c877a703b823ac0578ff8db")));
    assert_null(scripts_find(LIT("")));
    assert_ptr_equal(add("return 1", false), s);
    assert_int_equal(count(), 1);
}

#define NO_LUA "ERR Error compiling script (new function): "

static void a_script_that_is_none_is_refused_and_not_kept(void **state) {
    (void)state;
    struct buf error = { 0 };
    assert_null(scripts_add(LIT("return +"), true, &error));
    assert_string_equal(buf_cstr(&error), NO_LUA "user_script:1: unexpected "
                                                 "symbol near '+'");
    buf_clear(&error);
    assert_null(scripts_add(LIT("#!lua flags=x\nreturn 1"), false, &error));
    assert_string_equal(buf_cstr(&error), "ERR Unexpected flag in script shebang: x");
    buf_clear(&error);
    assert_null(scripts_add(LIT("\x1bLua"), false, &error));
    assert_string_equal(buf_cstr(&error), NO_LUA "user_script:1: unexpected "
                                                 "symbol near 'char(27)'");
    assert_int_equal(count(), 0);
    buf_release(&error);
}

static void the_first_line_counts_as_line_1(void **state) {
    (void)state;
    struct buf error = { 0 };
    assert_null(scripts_add(LIT("#!lua\n\nreturn +"), true, &error));
    assert_string_equal(buf_cstr(&error), NO_LUA "user_script:3: unexpected "
                                                 "symbol near '+'");
    buf_release(&error);
}

static struct script *add_number(int number, bool stays) {
    char source[32];
    sprintf(source, "return %d", number);
    return add(source, stays);
}

static bool has_number(int number) {
    char source[32];
    sprintf(source, "return %d", number);
    return scripts_find_source(slice_of(source));
}

static void of_those_that_eval_brought_the_last_500_stay(void **state) {
    (void)state;
    uint64_t before = evicted();
    struct loopback *l = loopback_open();
    add_number(-1, true);
    for (int i = 0; i < SCRIPTS_BY_EVAL_MAX; i++) add_number(i, false);
    assert_int_equal(count(), SCRIPTS_BY_EVAL_MAX + 1);
    assert_int_equal(evicted(), before);
    assert_says(l, "EVAL 'return 0' 0", ":0"); /* used again */
    add_number(1, true);                       /* stays from now on */
    for (int i = 0; i < 2; i++) add_number(1000 + i, false);
    assert_int_equal(evicted(), before + 1);
    assert_true(has_number(0));
    assert_true(has_number(1));
    assert_false(has_number(2));
    assert_true(has_number(3));
    for (int i = 0; i < 2 * SCRIPTS_BY_EVAL_MAX; i++) add_number(2000 + i, false);
    assert_true(has_number(-1));
    assert_true(has_number(1));
    assert_false(has_number(0));
    assert_int_equal(count(), SCRIPTS_BY_EVAL_MAX + 2);
    loopback_close(l);
}

static void flushing_forgets_all(void **state) {
    (void)state;
    struct loopback *l = loopback_open();
    struct scripts_info info;
    for (int later = 0; later < 2; later++) {
        add("return 1", true);
        add("return 2", false);
        assert_says(l, "EVALSHA " SHA_OF_RETURN_1 " 0", ":1");
        scripts_flush(later);
        assert_null(scripts_find(LIT(SHA_OF_RETURN_1)));
        assert_says(l, "EVALSHA " SHA_OF_RETURN_1 " 0", "-NOSCRIPT No matching script.");
        scripts_info(&info);
        assert_int_equal(info.count, 0);
        assert_int_equal(info.memory, 0);
        assert_true(info.interpreter > 0);
    }
    loopback_close(l);
}

static void memory_is_what_scripts_and_places_take(void **state) {
    (void)state;
    struct scripts_info none, one, two;
    scripts_info(&none);
    add("return 1", false);
    scripts_info(&one);
    add("return 12345678901234567890", true);
    scripts_info(&two);
    assert_true(none.memory < one.memory && one.memory < two.memory);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_script_is_found_by_sha_and_by_source),
        TEST(a_script_that_is_none_is_refused_and_not_kept),
        TEST(the_first_line_counts_as_line_1),
        TEST(of_those_that_eval_brought_the_last_500_stay),
        TEST(flushing_forgets_all),
        TEST(memory_is_what_scripts_and_places_take),
    };
    return cmocka_run_group_tests(tests, loopback_start, loopback_stop);
}
