/* What the first line of a script or a library says, and what is wrong with it. */
#include "trivet/base/mem.h"
#include "trivet/script/lua/interpreter.h"
#include "trivet/script/store/shebang.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define REST "\nreturn 1"

static void a_script_without_the_line_is_compatible(void **state) {
    (void)state;
    static const char *const scripts[] = { "", "#", "return 1", " #!lua\nreturn 1", "\n#!lua\n" };
    for (size_t i = 0; i < COUNT_OF(scripts); i++) {
        struct shebang line;
        struct buf error = { 0 };
        assert_true(shebang_of_script(slice_of(scripts[i]), &line, &error));
        assert_int_equal(line.flags, SCRIPT_COMPATIBLE);
        assert_int_equal(line.len, 0);
        assert_int_equal(error.len, 0);
    }
}

static void a_script_says_its_flags(void **state) {
    (void)state;
    static const struct {
        const char *line;
        unsigned flags;
    } rows[] = {
        { "#!lua", 0 },
        { "#!lua ", 0 },
        { "#!lua\r", 0 },
        { "#!lua flags=", 0 },
        { "#!lua flags=no-writes", SCRIPT_NO_WRITES },
        { "#!lua \t flags=allow-oom  ", SCRIPT_ALLOW_OOM },
        { "#!lua flags=allow-stale,no-cluster", SCRIPT_ALLOW_STALE | SCRIPT_NO_CLUSTER },
        { "#!lua flags=no-writes,no-writes", SCRIPT_NO_WRITES },
        { "#!lua flags=allow-cross-slot-keys flags=no-writes", SCRIPT_CROSS_SLOT_KEYS | SCRIPT_NO_WRITES },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct shebang line;
        struct buf source = { 0 }, error = { 0 };
        buf_printf(&source, "%s" REST, rows[i].line);
        assert_true(shebang_of_script(buf_slice(&source), &line, &error));
        assert_int_equal(line.flags, rows[i].flags);
        assert_int_equal(line.len, strlen(rows[i].line)); /* the line's end stays: lines keep their numbers */
        buf_release(&source);
    }
}

struct refusal {
    const char *source, *error;
};

typedef bool reader(struct slice source, struct shebang *out, struct buf *error);

static void assert_refused(reader *read, const struct refusal *rows, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct shebang line;
        struct buf error = { 0 };
        assert_false(read(slice_of(rows[i].source), &line, &error));
        assert_string_equal(buf_cstr(&error), rows[i].error);
        buf_release(&error);
    }
}

static void a_wrong_line_of_a_script_is_refused(void **state) {
    (void)state;
    static const struct refusal rows[] = {
        { "#!", "ERR Invalid script shebang" },
        { "#!lua", "ERR Invalid script shebang" },
        { "#!foo" REST, "ERR Unexpected engine in script shebang: #!foo" },
        { "#!LUA" REST, "ERR Unexpected engine in script shebang: #!LUA" },
        { "#! lua" REST, "ERR Unexpected engine in script shebang: #!" },
        { "#!" REST, "ERR Unexpected engine in script shebang: #!" },
        { "#!lua name=x" REST, "ERR Unknown lua shebang option: name=x" },
        { "#!lua flags" REST, "ERR Unknown lua shebang option: flags" },
        { "#!lua flags=foo" REST, "ERR Unexpected flag in script shebang: foo" },
        { "#!lua flags=no-writes,foo" REST, "ERR Unexpected flag in script shebang: foo" },
        { "#!lua flags=,no-writes" REST, "ERR Unexpected flag in script shebang: " },
        { "#!lua flags=NO-WRITES" REST, "ERR Unexpected flag in script shebang: NO-WRITES" },
    };
    assert_refused(shebang_of_script, rows, COUNT_OF(rows));
}

static void a_library_says_its_name(void **state) {
    (void)state;
    static const struct {
        const char *line, *name;
    } rows[] = {
        { "#!lua name=lib", "lib" },    { "#!LUA name=lib", "lib" }, { "#!lua   name=A_1  ", "A_1" },
        { "#!lua\tname=lib\r", "lib" }, { "#!lua NAME=_", "_" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct shebang line;
        struct buf source = { 0 }, error = { 0 };
        buf_printf(&source, "%s" REST, rows[i].line);
        assert_true(shebang_of_library(buf_slice(&source), &line, &error));
        assert_int_equal(line.name.len, strlen(rows[i].name));
        assert_memory_equal(line.name.ptr, rows[i].name, line.name.len);
        assert_int_equal(line.len, strlen(rows[i].line));
        mem_free(unconst(line.name.ptr));
        buf_release(&source);
    }
}

#define NAME_RULE                                                                                      \
    "ERR Library names can only contain letters, numbers, or underscores(_) and must be at least one " \
    "character long"

static void a_wrong_line_of_a_library_is_refused(void **state) {
    (void)state;
    static const struct refusal rows[] = {
        { "", "ERR Missing library metadata" },
        { "return 1", "ERR Missing library metadata" },
        { "#!lua name=lib", "ERR Invalid library metadata" },
        { "#!lua" REST, "ERR Library name was not given" },
        { "#!foo" REST, "ERR Library name was not given" },
        { "#!foo name=lib" REST, "ERR Engine 'foo' not found" },
        { "#!lua name=" REST, NAME_RULE },
        { "#!lua name=a-b" REST, NAME_RULE },
        { "#!lua name=\xc3\xa4" REST, NAME_RULE },
        { "#!lua name=a name=b" REST,
          "ERR Invalid metadata value, name argument was given multiple times" },
        { "#!lua foo=bar name=a" REST, "ERR Invalid metadata value given: foo=bar" },
        { "#!lua name=a flags=no-writes" REST, "ERR Invalid metadata value given: flags=no-writes" },
    };
    assert_refused(shebang_of_library, rows, COUNT_OF(rows));
}

static void a_name_has_letters_digits_and_underscores(void **state) {
    (void)state;
    assert_true(script_name_is_valid(LIT("aZ_09")));
    assert_true(script_name_is_valid(LIT("0")));
    assert_false(script_name_is_valid(LIT("")));
    assert_false(script_name_is_valid(LIT("a b")));
    assert_false(script_name_is_valid(LIT("a\0b")));
    assert_false(script_name_is_valid(LIT("a.b")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_script_without_the_line_is_compatible),
        cmocka_unit_test(a_script_says_its_flags),
        cmocka_unit_test(a_wrong_line_of_a_script_is_refused),
        cmocka_unit_test(a_library_says_its_name),
        cmocka_unit_test(a_wrong_line_of_a_library_is_refused),
        cmocka_unit_test(a_name_has_letters_digits_and_underscores),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
