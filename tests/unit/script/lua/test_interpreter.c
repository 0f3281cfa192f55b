/* An interpreter keeps within its memory, whatever a script does, and the next script finds it as it was. */
#include "../../../harness/loopback.h"
#include "trivet/base/mem.h"
#include "trivet/engine/settings/options.h"
#include "trivet/script/lua/interpreter.h"
#include "trivet/script/store/scripts.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static int set_up(void **state) {
    loopback_empty(state);
    scripts_flush(false);
    return 0;
}

static size_t memory_of_eval(void) {
    struct scripts_info info;
    scripts_info(&info);
    return info.interpreter;
}

/* ---- its life ---- */

static void it_gives_all_its_memory_back(void **state) {
    (void)state;
    size_t before = mem_balance(); /* of this thread: others have something to free, too */
    for (int kind = INTERPRETER_EVAL; kind <= INTERPRETER_FUNCTIONS; kind++) {
        struct interpreter *in = interpreter_new((enum interpreter_kind)kind);
        struct buf error = { 0 };
        assert_in_range(interpreter_memory(in), 10000, 200000);
        assert_true(mem_balance() - before >= interpreter_memory(in));
        assert_int_not_equal(interpreter_compile(in, LIT("return {}"), &error), NO_HANDLE);
        interpreter_free(in);
        assert_int_equal(mem_balance(), before);
    }
    interpreter_free(NULL);
}

/* ---- compiling ---- */

static void what_is_no_lua_is_told_with_its_line(void **state) {
    (void)state;
    static const struct {
        struct slice source;
        const char *says;
    } rows[] = {
        { LIT_INIT("foo bar"), "user_script:1: '=' expected near 'bar'" },
        { LIT_INIT("\n\nif"), "user_script:3: unexpected symbol near '<eof>'" },
        { LIT_INIT("return '"), "user_script:1: unfinished string near '<eof>'" },
        { LIT_INIT("\x1bLuaQ"), "user_script:1: unexpected symbol near 'char(27)'" },
        { LIT_INIT("break"), "user_script:1: no loop to break near '<eof>'" },
        { LIT_INIT("goto x"), "user_script:1: '=' expected near 'x'" },
    };
    struct interpreter *in = interpreter_new(INTERPRETER_EVAL);
    struct interpreter *functions = interpreter_new(INTERPRETER_FUNCTIONS);
    struct buf error = { 0 };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        buf_clear(&error);
        assert_int_equal(interpreter_compile(in, rows[i].source, &error), NO_HANDLE);
        assert_string_equal(buf_cstr(&error), rows[i].says);
    }
    buf_clear(&error);
    assert_int_equal(interpreter_compile(functions, LIT("foo bar"), &error), NO_HANDLE);
    assert_string_equal(buf_cstr(&error), "user_function:1: '=' expected near 'bar'");
    buf_release(&error);
    interpreter_free(in);
    interpreter_free(functions);
}

static void the_empty_script_is_lua(void **state) {
    (void)state;
    struct interpreter *in = interpreter_new(INTERPRETER_EVAL);
    struct buf error = { 0 };
    assert_int_not_equal(interpreter_compile(in, LIT(""), &error), NO_HANDLE);
    assert_int_not_equal(interpreter_compile(in, LIT("-- only a remark"), &error), NO_HANDLE);
    assert_int_equal(error.len, 0);
    interpreter_free(in);
}

static void a_forgotten_handle_is_given_again(void **state) {
    (void)state;
    struct interpreter *in = interpreter_new(INTERPRETER_EVAL);
    struct buf error = { 0 };
    int one = interpreter_compile(in, LIT("return 1"), &error);
    int two = interpreter_compile(in, LIT("return 2"), &error);
    assert_int_not_equal(one, two);
    interpreter_forget(in, one);
    assert_int_equal(interpreter_compile(in, LIT("return 3"), &error), one);
    interpreter_free(in);
}

/* ---- memory ---- */

#define LIMIT "4mb"
#define LIMIT_BYTES ((size_t)4 << 20)
#define OUT_OF_MEMORY "-ERR not enough memory script: "

static void assert_begins(const char *text, const char *beginning) {
    if (strncmp(text, beginning, strlen(beginning)) != 0) assert_string_equal(text, beginning);
}

static void a_script_that_wants_too_much_gets_an_error(void **state) {
    (void)state;
    static const char *const scripts[] = {
        "local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end",
        "local t = {} for i = 1, 1e9 do t[i] = i end",
        "return ('x'):rep(1e8)",
        "local s = 'x' while true do s = s .. s end",
        "local t = {} while true do t[#t + 1] = function() return t end end",
        "local t = {} while true do t[#t + 1] = coroutine.create(function() end) end",
        "local t = {} while true do t[#t + 1] = redis.call('GET', 'big') .. #t end",
        "local t = {} for i = 1, 1e9 do t[i] = 'x' end return table.concat(t)",
        "local t = {} while true do t = {t} end",
    };
    struct loopback *l = loopback_open();
    assert_says(l, "CONFIG SET script-memory-limit " LIMIT, "+OK");
    loopback_ask(l, "SETRANGE big 100000 end");
    for (size_t i = 0; i < COUNT_OF(scripts); i++) {
        assert_begins(loopback_ask(l, "EVAL \"%s\" 0", scripts[i]), OUT_OF_MEMORY);
        assert_true(memory_of_eval() < LIMIT_BYTES);
        assert_says(l, "EVAL 'return 1' 0", ":1");
        assert_true(memory_of_eval() < LIMIT_BYTES / 2);
    }
    assert_says(l, "CONFIG SET script-memory-limit 512mb", "+OK");
    loopback_close(l);
}

static void it_may_catch_that_error_and_go_on(void **state) {
    (void)state;
    struct loopback *l = loopback_open();
    assert_says(l, "CONFIG SET script-memory-limit " LIMIT, "+OK");
    assert_says(l, "EVAL \"return {pcall(string.rep, 'x', 1e8)}\" 0", "*[$-1, $\"not enough memory\"]");
    assert_says(l,
                "EVAL \"pcall(string.rep, 'x', 1e8) redis.call('SET', 'k', 'v') "
                "return redis.call('GET', 'k')\" 0",
                "$\"v\"");
    loopback_ask(l, "SETRANGE big 10000000 end");
    assert_begins(loopback_ask(l, "EVAL \"return redis.pcall('GET', 'big')\" 0"), OUT_OF_MEMORY);
    assert_says(l, "EVAL \"return {pcall(redis.call, 'GET', 'big')}\" 0", "*[$-1, $\"not enough memory\"]");
    assert_says(l, "EVAL \"return redis.call('STRLEN', 'big')\" 0", ":10000003");
    assert_says(l, "CONFIG SET script-memory-limit 512mb", "+OK");
    loopback_close(l);
}

static void the_limit_is_not_for_arguments_and_replies_of_others(void **state) {
    (void)state;
    struct loopback *l = loopback_open();
    assert_says(l, "CONFIG SET script-memory-limit 1mb", "+OK");
    assert_says(l, "EVAL 'return #KEYS[1] + #ARGV[1]' 1 key argument", ":11");
    assert_begins(loopback_ask(l, "EVAL 'local t = {} for i = 1, 1000 do t[i] = i end return t' 0"),
                  "*[:1, :2");
    assert_says(l, "CONFIG SET script-memory-limit 512mb", "+OK");
    loopback_close(l);
}

/* ---- the collector ---- */

static void rubbish_of_many_scripts_is_collected(void **state) {
    (void)state;
    struct loopback *l = loopback_open();
    for (int i = 0; i < 3000; i++)
        loopback_ask(l, "EVAL 'local t = {} for i = 1, 50 do t[i] = {tostring(i) .. ARGV[1]} end' 0 %d", i);
    assert_true(memory_of_eval() < (size_t)2 << 20);
    loopback_close(l);
}

static void what_a_script_tells_the_collector_ends_with_it(void **state) {
    (void)state;
    struct loopback *l = loopback_open();
    for (int i = 0; i < 2000; i++)
        loopback_ask(l, "EVAL \"collectgarbage('stop') collectgarbage('setpause', 100000) "
                        "collectgarbage('setstepmul', 1) local t = {} for i = 1, 50 do t[i] = {i} end\" 0");
    assert_true(memory_of_eval() < (size_t)2 << 20);
    loopback_close(l);
}

static void a_run_leaves_the_next_one_as_it_was(void **state) {
    (void)state;
    struct loopback *l = loopback_open();
    static const char *const scripts[] = {
        "return KEYS[1] .. ARGV[1]",
        "KEYS = nil",
        "KEYS[1] = 'changed' ARGV[9] = 'more' error('boom')",
        "local co = coroutine.wrap(function() coroutine.yield() end) co() error({err = 'CODE text'})",
        "redis.setresp(3) error('boom')",
        "return setmetatable({}, {__index = function() return 1 end})",
    };
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT_OF(scripts); i++) {
            loopback_ask(l, "EVAL \"%s\" 1 k a", scripts[i]);
            assert_says(l, "EVAL 'return {KEYS[1], ARGV[1], #KEYS, #ARGV}' 1 key arg",
                        "*[$\"key\", $\"arg\", :1, :1]");
        }
    }
    loopback_close(l);
}

/* ---- libraries ---- */

static size_t taken;
static int kept[8];

static bool take(void *arg, const struct registered_function *f, struct buf *error) {
    assert_ptr_equal(arg, &taken);
    if (slice_equal(f->name, LIT("refused"))) {
        buf_append(error, LIT("ERR refused by the taker"));
        return false;
    }
    kept[taken++] = f->function;
    return true;
}

static void a_library_registers_until_it_fails(void **state) {
    (void)state;
    struct interpreter *in = interpreter_new(INTERPRETER_FUNCTIONS);
    struct buf error = { 0 };
    taken = 0;
    assert_true(interpreter_load(in,
                                 LIT("redis.register_function('f', function() end) "
                                     "server.register_function{function_name = 'g', callback = "
                                     "function() end}"),
                                 take, &taken, &error));
    assert_int_equal(taken, 2);
    assert_int_not_equal(kept[0], kept[1]);
    assert_false(interpreter_load(in,
                                  LIT("redis.register_function('h', function() end) "
                                      "redis.register_function('refused', function() end)"),
                                  take, &taken, &error));
    assert_int_equal(taken, 3);
    assert_string_equal(buf_cstr(&error), "ERR refused by the taker");
    for (size_t i = 0; i < taken; i++) interpreter_forget(in, kept[i]);
    buf_clear(&error);
    assert_false(interpreter_load(in, LIT("\n)"), take, &taken, &error));
    assert_string_equal(buf_cstr(&error),
                        "Error compiling function: user_function:2: unexpected symbol near ')'");
    buf_release(&error);
    interpreter_free(in);
}

static void a_library_too_has_its_limit_of_memory(void **state) {
    (void)state;
    struct interpreter *in = interpreter_new(INTERPRETER_FUNCTIONS);
    struct buf error = { 0 };
    uint64_t before = options.script_memory_limit;
    options.script_memory_limit = 1 << 20;
    assert_false(interpreter_load(in, LIT("local t = {} while true do t = {t} end"), take, &taken, &error));
    assert_string_equal(buf_cstr(&error), "Error registering functions: not enough memory");
    options.script_memory_limit = before;
    buf_release(&error);
    interpreter_free(in);
}

static void flags_have_names(void **state) {
    (void)state;
    unsigned flag, all = 0;
    size_t count = 0;
    for (const char *name; (name = script_flag_name(count, &flag)); count++) {
        assert_int_equal(script_flag_of(slice_of(name)), flag);
        assert_false(all & flag);
        all |= flag;
    }
    assert_int_equal(count, 5);
    assert_int_equal(script_flag_of(LIT("NO-WRITES")), 0);
    assert_int_equal(script_flag_of(LIT("")), 0);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(it_gives_all_its_memory_back),
        TEST(what_is_no_lua_is_told_with_its_line),
        TEST(the_empty_script_is_lua),
        TEST(a_forgotten_handle_is_given_again),
        TEST(a_script_that_wants_too_much_gets_an_error),
        TEST(it_may_catch_that_error_and_go_on),
        TEST(the_limit_is_not_for_arguments_and_replies_of_others),
        TEST(rubbish_of_many_scripts_is_collected),
        TEST(what_a_script_tells_the_collector_ends_with_it),
        TEST(a_run_leaves_the_next_one_as_it_was),
        TEST(a_library_registers_until_it_fails),
        TEST(a_library_too_has_its_limit_of_memory),
        TEST(flags_have_names),
    };
    return cmocka_run_group_tests(tests, loopback_start, loopback_stop);
}
