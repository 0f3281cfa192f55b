/* test_function.c: FUNCTION and FCALL over the wire: libraries come, run, are listed, travel and go. */
#include "../harness/fixture.h"
#include "../harness/scripts.h"
#include <stdlib.h>
#include <string.h>

#define LIB "#!lua name=lib\n"
#define FUNC(name, body) "redis.register_function('" name "', function(keys, args) " body " end)\n"

static int open_without_functions(void **state) {
    fixture_open(state);
    assert_reply(fixture_client(state), "FUNCTION FLUSH", "+OK");
    return 0;
}
#define FUNCTION_TEST(name) cmocka_unit_test_setup_teardown(name, open_without_functions, fixture_close)

/* ---- arguments ---- */

static void arguments_are_checked(void **state) {
    static const struct exchange rows[] = {
        { "FUNCTION", "-ERR wrong number of arguments for 'function' command" },
        { "FUNCTION FOO", "-ERR unknown subcommand 'FOO'. Try FUNCTION HELP." },
        { "FUNCTION LOAD", "-ERR wrong number of arguments for 'function|load' command" },
        { "FUNCTION LOAD FOO x", "-ERR Unknown option given: FOO" },
        { "FUNCTION DELETE", "-ERR wrong number of arguments for 'function|delete' command" },
        { "FUNCTION DELETE nolib", "-ERR Library not found" },
        { "FUNCTION FLUSH FOO", "-ERR FUNCTION FLUSH only supports SYNC|ASYNC option" },
        { "FUNCTION FLUSH SYNC x",
          "-ERR unknown subcommand or wrong number of arguments for 'FLUSH'. Try FUNCTION HELP." },
        { "FUNCTION FLUSH SYNC", "+OK" },
        { "FUNCTION FLUSH async", "+OK" },
        { "FUNCTION LIST FOO", "-ERR Unknown argument FOO" },
        { "FUNCTION LIST LIBRARYNAME", "-ERR library name argument was not given" },
        { "FUNCTION LIST WITHCODE WITHCODE", "-ERR Unknown argument WITHCODE" },
        { "FUNCTION LIST LIBRARYNAME a LIBRARYNAME b", "-ERR Unknown argument LIBRARYNAME" },
        { "FUNCTION LIST", "*[]" },
        { "FUNCTION STATS x", "-ERR wrong number of arguments for 'function|stats' command" },
        { "FUNCTION DUMP x", "-ERR wrong number of arguments for 'function|dump' command" },
        { "FUNCTION KILL", "-NOTBUSY No scripts in execution right now." },
        { "FUNCTION HELP", "*[+FUNCTION <subcommand> [<arg> [value] [opt] ...]. Subcommands are:, "
          "+DELETE ..." },
        { "FCALL f", "-ERR wrong number of arguments for 'fcall' command" },
        { "FCALL_RO f", "-ERR wrong number of arguments for 'fcall_ro' command" },
        { "FCALL nof 0", "-ERR Function not found" },
        { "FCALL nof a", "-ERR Function not found" },
        { NULL, NULL },
    };
    struct client *c = fixture_client(state);
    assert_exchanges(c, rows);
    assert_load(c, LIB FUNC("f", "return 1"), "$\"lib\"");
    assert_reply(c, "FCALL f a", "-ERR Bad number of keys provided");
    assert_reply(c, "FCALL f -1", "-ERR Number of keys can't be negative");
    assert_reply(c, "FCALL f 2 a", "-ERR Number of keys can't be greater than number of args");
}

/* ---- loading ---- */

#define BAD_NAME \
    " names can only contain letters, numbers, or underscores(_) and must be at least one character long"

static void the_first_line_names_engine_and_library(void **state) {
    static const struct script_row rows[] = {
        { "return 1", "-ERR Missing library metadata" },
        { "", "-ERR Missing library metadata" },
        { "#!lua name=x", "-ERR Invalid library metadata" },
        { "#!lua\nreturn 1", "-ERR Library name was not given" },
        { "#!foo name=x\nreturn 1", "-ERR Engine 'foo' not found" },
        { "#!lua name=x foo=1\nreturn 1", "-ERR Invalid metadata value given: foo=1" },
        { "#!lua name=x name=y\nreturn 1",
          "-ERR Invalid metadata value, name argument was given multiple times" },
        { "#!lua name=\nreturn 1", "-ERR Library" BAD_NAME },
        { "#!lua name=bad-name\nreturn 1", "-ERR Library" BAD_NAME },
        { LIB "return 1", "-ERR No functions registered" },
        { "#!LUA name=x_1\n" FUNC("f", "return 1"), "$\"x_1\"" },
        { NULL, NULL },
    };
    assert_loads(fixture_client(state), rows);
}

#define REGISTERING "-ERR Error registering functions: ERR "
#define UNKNOWN(name) \
    REGISTERING "user_function:2: Script attempted to access nonexistent global variable '" name "'"
#define CHANGES REGISTERING "user_function:2: Attempt to modify a readonly table"

static void loading_code_finds_nearly_nothing(void **state) {
    static const char *const names[] = { "pairs", "tostring",     "error",  "string", "table",
                                         "math",  "cjson",        "os",     "_G",     "KEYS",
                                         "pcall", "getmetatable", "rawset", "load",   "setfenv" };
    static const char *const fields[] = { "call",    "pcall",    "error_reply", "sha1hex",
                                          "setresp", "set_repl", "REPL_ALL",    "breakpoint" };
    static const struct script_row rows[] = {
        { LIB "x = 1", CHANGES },
        { LIB "redis.x = 1", CHANGES },
        { LIB "function f() end", CHANGES },
        { LIB "foo(", "-ERR Error compiling function: user_function:2: unexpected symbol near '<eof>'" },
        { LIB "\x1bLuaQ", "-ERR Error compiling function: user_function:2: unexpected symbol near "
          "'char(27)'" },
        { LIB "local t = nil; t.x = 1", REGISTERING "user_function:2: attempt to index local 't' (a nil "
          "value)" },
        { LIB "while true do end", REGISTERING "FUNCTION LOAD timeout" },
        { LIB "redis.log(redis.LOG_DEBUG, redis.REDIS_VERSION, server.VALKEY_VERSION_NUM)",
          "-ERR No functions registered" },
        { NULL, NULL },
    };
    struct client *c = fixture_client(state);
    assert_loads(c, rows);
    for (size_t i = 0; i < COUNT_OF(names) + COUNT_OF(fields); i++) {
        bool is_field = i >= COUNT_OF(names);
        const char *name = is_field ? fields[i - COUNT_OF(names)] : names[i];
        struct text code = { 0 }, reply = { 0 };
        text_printf(&code, LIB "return %s%s", is_field ? "redis." : "", name);
        text_printf(&reply, UNKNOWN("%s"), name);
        assert_load(c, text_str(&code), text_str(&reply));
        text_release(&code);
        text_release(&reply);
    }
    assert_reply(c, "FUNCTION LIST", "*[]");
}

#define REGISTER LIB "redis.register_function"

static void functions_are_registered_with_care(void **state) {
    static const struct script_row rows[] = {
        { REGISTER "()", REGISTERING "wrong number of arguments to server.register_function" },
        { REGISTER "('f',function() end,1)",
          REGISTERING "wrong number of arguments to server.register_function" },
        { REGISTER "('f')", REGISTERING "calling server.register_function with a single argument is only "
                                        "applicable to Lua table (representing named arguments)." },
        { REGISTER "({},function() end)",
          REGISTERING "first argument to server.register_function must be a string" },
        { REGISTER "('f','g')", REGISTERING "second argument to server.register_function must be a "
          "function" },
        { REGISTER "('f-1',function() end)", "-ERR Function" BAD_NAME },
        { REGISTER "('',function() end)", "-ERR Function" BAD_NAME },
        { REGISTER "('f',function() end) redis.register_function('f',function() end)",
          "-ERR Function already exists in the library" },
        { REGISTER "('f',function() end) redis.register_function('F',function() end)",
          "-ERR Function already exists in the library" },
        { REGISTER "{[1]='x'}", REGISTERING "unknown argument given to server.register_function" },
        { REGISTER "{[{}]='x'}",
          REGISTERING "named argument key given to server.register_function is not a string" },
        { REGISTER "{function_name={}}",
          REGISTERING "function_name argument given to server.register_function must be a string" },
        { REGISTER "{description={}}",
          REGISTERING "description argument given to server.register_function must be a string" },
        { REGISTER "{callback=1}",
          REGISTERING "callback argument given to server.register_function must be a function" },
        { REGISTER "{flags=1}", REGISTERING "flags argument to server.register_function must be a table "
                                            "representing function flags" },
        { REGISTER "{function_name='f',callback=function() end,flags={'foo'}}",
          REGISTERING "unknown flag given" },
        { REGISTER "{function_name='f',callback=function() end,flags={1}}", REGISTERING "unknown flag "
          "given" },
        { REGISTER "{foo=1}", REGISTERING "unknown argument given to server.register_function" },
        { REGISTER "{callback=function() end}",
          REGISTERING "server.register_function must get a function name argument" },
        { REGISTER "{function_name='f'}",
          REGISTERING "server.register_function must get a callback argument" },
        { REGISTER "(5,function() return 'five' end)", "$\"lib\"" },
        { NULL, NULL },
    };
    struct client *c = fixture_client(state);
    assert_loads(c, rows);
    assert_reply(c, "FCALL 5 0", "$\"five\"");
    assert_string_equal(info_field(c, "memory", "number_of_functions"), "1");
}

static void a_library_is_replaced_as_a_whole_or_not_at_all(void **state) {
    struct client *c = fixture_client(state);
    assert_load(c, LIB FUNC("f", "return 1") FUNC("g", "return 2"), "$\"lib\"");
    assert_load(c, LIB FUNC("h", "return 3"), "-ERR Library 'lib' already exists");
    assert_load(c, "#!lua name=other\n" FUNC("F", "return 3"), "-ERR Function F already exists");
    assert_load(c, "#!lua name=other\n" FUNC("o", "return 4"), "$\"other\"");
    static const char *const bad[] = { LIB "foo(", LIB "return 1", LIB FUNC("f", "") "x=1",
                                       LIB FUNC("new", "") FUNC("f-", ""),
                                       LIB FUNC("new", "") FUNC("o", "") };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_reload(c, bad[i], "-ERR ...");
        assert_reply(c, "FCALL f 0", ":1");
        assert_reply(c, "FCALL g 0", ":2");
        assert_reply(c, "FCALL new 0", "-ERR Function not found");
    }
    assert_reload(c, LIB FUNC("f", "return 'new'"), "$\"lib\"");
    assert_reply(c, "FCALL f 0", "$\"new\"");
    assert_reply(c, "FCALL g 0", "-ERR Function not found");
    assert_reply(c, "FCALL o 0", ":4");
    assert_script(c, "FUNCTION LOAD replace REPLACE", LIB FUNC("f", "return 5"), "", "$\"lib\"");
    assert_reply(c, "FUNCTION DELETE LIB", "-ERR Library not found");
    assert_reply(c, "FUNCTION DELETE lib", "+OK");
    assert_reply(c, "FCALL f 0", "-ERR Function not found");
    assert_reply(c, "FUNCTION STATS",
                 "*[$\"running_script\", $-1, $\"engines\", *[$\"LUA\", *[$\"libraries_count\", :1, "
                 "$\"functions_count\", :1]]]");
}

/* ---- running ---- */

static const char counter[] = LIB "local n = 0\n" FUNC("count", "n = n + 1 return n")
    FUNC("back", "return {keys, args}") FUNC("write", "return redis.call('set', keys[1], args[1])")
        FUNC("fails", "error('boom')") FUNC("assigns", "x = 1") FUNC("no_keys", "return KEYS")
            FUNC("json", "return cjson.encode({1,'a'})")
                FUNC("names", "local t={} for k in pairs(_G) do t[#t+1]=k end table.sort(t) "
                              "return table.concat(t,' ')")
                    FUNC("registers", "return type(redis.register_function)");

static void functions_run_with_keys_and_arguments_as_parameters(void **state) {
    static const struct exchange rows[] = {
        { "FCALL back 2 a b c d", "*[*[$\"a\", $\"b\"], *[$\"c\", $\"d\"]]" },
        { "FCALL BACK 0", "*[*[], *[]]" },
        { "fcall bAcK 0 x", "*[*[], *[$\"x\"]]" },
        { "FCALL write 1 k v", "+OK" },
        { "GET k", "$\"v\"" },
        { "FCALL count 0", ":1" },
        { "FCALL count 0", ":2" },
        { "FLUSHALL", "+OK" },
        { "SCRIPT FLUSH", "+OK" },
        { "FCALL count 0", ":3" },
        { "FCALL json 0", "$\"[1,\\\"a\\\"]\"" },
        { "FCALL registers 0", "$\"nil\"" },
        { "FCALL fails 0", "-ERR user_function:6: boom" IN_FUNCTION("fails", 6) },
        { "FCALL FAILS 0", "-ERR user_function:6: boom" IN_FUNCTION("fails", 6) },
        { "FCALL assigns 0",
          "-ERR user_function:7: Attempt to modify a readonly table" IN_FUNCTION("assigns", 7) },
        { "FCALL no_keys 0", "-ERR user_function:8: Script attempted to access nonexistent global variable "
                             "'KEYS'" IN_FUNCTION("no_keys", 8) },
        { "FCALL names 0",
          "$\"_G _VERSION __redis__err__handler __server__err__handler assert bit cjson cmsgpack "
          "collectgarbage "
          "coroutine error gcinfo getmetatable ipairs load loadstring math next os pairs pcall rawequal "
          "rawget "
          "rawset redis select server setmetatable string struct table tonumber tostring type unpack "
          "xpcall\"" },
        { "MULTI", "+OK" },
        { "FCALL count 0", "+QUEUED" },
        { "FCALL none 0", "+QUEUED" },
        { "EXEC", "*[:4, -ERR Function not found]" },
        { "EVAL \"return redis.pcall('fcall','count',0)\" 0", "-ERR This Redis command is not allowed "
          "from script" },
        { NULL, NULL },
    };
    struct client *c = fixture_client(state);
    assert_load(c, counter, "$\"lib\"");
    assert_exchanges(c, rows);
}

/* What the code keeps of the time when it was loaded must not work later. */
static void register_function_works_while_loading_only(void **state) {
    struct client *c = fixture_client(state);
    assert_load(
        c,
        LIB "local kept, table = redis.register_function, server\n" FUNC("later",
                                                                         "return kept('new', function() end)")
            FUNC("by_table", "return table.register_function{function_name='new',callback=function() end}")
                FUNC("reads", "return {type(redis.call), table.REDIS_VERSION}")
                    FUNC("unknown", "return table.call"),
        "$\"lib\"");
#define TOO_LATE "-ERR server.register_function can only be called on FUNCTION LOAD command"
    assert_reply(c, "FCALL later 0", TOO_LATE IN_FUNCTION("later", 3));
    assert_reply(c, "FCALL by_table 0", TOO_LATE IN_FUNCTION("by_table", 4));
    assert_reply(c, "FCALL reads 0", "*[$\"function\", $\"7.2.4\"]");
    assert_reply(c, "FCALL unknown 0", "-ERR user_function:6: Script attempted to access nonexistent...");
    assert_reply(c, "FCALL new 0", "-ERR Function not found");
}

#define FLAGGED(name, flags, body)                                                                  \
    "redis.register_function{function_name='" name "', flags={" flags "}, callback=function(keys) " \
    "return " body " end}\n"
#define SET "redis.call('set','k','v')"
#define GET "redis.call('get','k')"

static void flags_have_their_effects(void **state) {
    static const struct exchange rows[] = {
        { "FCALL writes 0", "+OK" },
        { "FCALL reads 0", "$\"v\"" },
        { "FCALL_RO reads 0", "$\"v\"" },
        { "FCALL_RO writes 0", "-ERR Can not execute a script with write flag using *_ro command." },
        { "FCALL lies 0",
          "-ERR Write commands are not allowed from read-only scripts." IN_FUNCTION("lies", 4) },
        { "CONFIG SET maxmemory 1", "+OK" },
        { "FCALL writes 0", "-OOM command not allowed when used memory > 'maxmemory'." },
        { "FCALL none 0", "-ERR Function not found" },
        { "FCALL oom 0", "+OK" },
        { "FCALL reads 0", "$\"v\"" },
        { "FUNCTION LOAD x", "-OOM command not allowed when used memory > 'maxmemory'." },
        { "FUNCTION RESTORE x", "-OOM command not allowed when used memory > 'maxmemory'." },
        { "CONFIG SET maxmemory 0", "+OK" },
        { "FUNCTION LIST",
          "*[*[$\"library_name\", $\"lib\", $\"engine\", $\"LUA\", $\"functions\", *["
          "*[$\"name\", $\"writes\", $\"description\", $-1, $\"flags\", *[]], "
          "*[$\"name\", $\"reads\", $\"description\", $-1, $\"flags\", *[+no-writes]], "
          "*[$\"name\", $\"lies\", $\"description\", $-1, $\"flags\", *[+no-writes]], "
          "*[$\"name\", $\"oom\", $\"description\", $-1, $\"flags\", *[+allow-oom, +allow-stale, "
          "+no-cluster, "
          "+allow-cross-slot-keys]]]]]" },
        { NULL, NULL },
    };
    struct client *c = fixture_client(state);
    assert_load(c,
                LIB FLAGGED("writes", "", SET) FLAGGED("reads", "'no-writes'", GET)
                    FLAGGED("lies", "'no-writes'", SET)
                        FLAGGED("oom", "'allow-oom','allow-stale','no-cluster','allow-cross-slot-keys'", SET),
                "$\"lib\"");
    assert_exchanges(c, rows);
}

/* ---- listing ---- */

#define DESCRIBED                                                                                         \
    "#!lua name=Abc\nredis.register_function{function_name='d', description='says', callback=function() " \
    "end}"

static void libraries_are_listed_by_pattern_and_with_their_code(void **state) {
    struct client *c = fixture_client(state);
    assert_load(c, DESCRIBED, "$\"Abc\"");
    assert_load(c, LIB FUNC("f", ""), "$\"lib\"");
    assert_reply(
        c, "FUNCTION LIST LIBRARYNAME a*",
        "*[*[$\"library_name\", $\"Abc\", $\"engine\", $\"LUA\", $\"functions\", *[*[$\"name\", $\"d\", "
        "$\"description\", $\"says\", $\"flags\", *[]]]]]");
    assert_reply(c, "FUNCTION LIST LIBRARYNAME ab", "*[]");
    assert_reply(
        c, "FUNCTION LIST withcode libraryname L?B",
        "*[*[$\"library_name\", $\"lib\", ..., $\"library_code\", $\"#!lua name=lib\\nredis.reg...\"]]");
    assert_reply(c, "FUNCTION LIST", "*[*[...Abc...], *[...lib...]]");
    assert_reply(c, "HELLO 3", "%{...}");
    assert_reply(
        c, "FUNCTION LIST LIBRARYNAME Abc WITHCODE",
        "*[%{$\"library_name\": $\"Abc\", $\"engine\": $\"LUA\", $\"functions\": *[%{$\"name\": $\"d\", "
        "$\"description\": $\"says\", $\"flags\": ~[]}], $\"library_code\": $\"#!lua name=Abc\\n...\"}]");
    assert_reply(c, "FUNCTION LIST LIBRARYNAME lib", "*[%{...$\"description\": _, $\"flags\": ~[]}]}]");
    assert_reply(c, "FUNCTION STATS",
                 "%{$\"running_script\": _, $\"engines\": %{$\"LUA\": %{$\"libraries_count\": :2, "
                 "$\"functions_count\": :2}}}");
}

/* ---- travelling ---- */

static void take_dump(struct client *c, struct text *out) {
    struct node *dump = client_ask_node(c, "FUNCTION DUMP");
    text_clear(out);
    text_append(out, dump->bytes.ptr, dump->bytes.len);
    node_free(dump);
}

static void restore(struct client *c, const struct text *dump, const char *policy, const char *expected) {
    struct words w = { 0 };
    words_add_str(&w, "FUNCTION");
    words_add_str(&w, "RESTORE");
    words_add(&w, dump->ptr, dump->len);
    if (policy) words_add_str(&w, policy);
    client_queue_words(c, &w);
    client_flush(c);
    assert_next(c, expected);
    words_release(&w);
}

static void dumps_are_restored_by_policy(void **state) {
    struct client *c = fixture_client(state);
    struct text dump = { 0 };
    assert_load(c, "#!lua name=a\n" FUNC("fa", "return 'a1'"), "$\"a\"");
    assert_load(c, "#!lua name=b\n" FUNC("fb", "return 'b1'"), "$\"b\"");
    take_dump(c, &dump);
    restore(c, &dump, NULL, "-ERR Library a already exists");
    restore(c, &dump, "APPEND", "-ERR Library a already exists");
    restore(c, &dump, "REPLACE", "+OK");
    assert_reply(c, "FUNCTION DELETE a", "+OK");
    restore(c, &dump, "append", "-ERR Library b already exists");
    assert_reply(c, "FCALL fa 0", "-ERR Function not found"); /* all or nothing */
    assert_reload(c, "#!lua name=b\n" FUNC("fb", "return 'b2'"), "$\"b\"");
    assert_load(c, "#!lua name=c\n" FUNC("fc", "return 'c'"), "$\"c\"");
    restore(c, &dump, "replace", "+OK");
    assert_reply(c, "FCALL fa 0", "$\"a1\"");
    assert_reply(c, "FCALL fb 0", "$\"b1\"");
    assert_reply(c, "FCALL fc 0", "$\"c\"");
    restore(c, &dump, "FLUSH", "+OK");
    assert_reply(c, "FCALL fc 0", "-ERR Function not found");
    assert_reply(c, "FCALL fb 0", "$\"b1\"");
    assert_reply(c, "FUNCTION FLUSH", "+OK");
    assert_load(c, "#!lua name=other\n" FUNC("FB", "return 1"), "$\"other\"");
    restore(c, &dump, NULL, "-ERR Function fb already exists");
    restore(c, &dump, "REPLACE", "-ERR Function fb already exists");
    assert_reply(c, "FCALL fa 0", "-ERR Function not found");
    assert_reply(c, "FCALL fb 0", ":1");
    restore(c, &dump, "FLUSH", "+OK");
    assert_reply(c, "FCALL fb 0", "$\"b1\"");
    text_release(&dump);
}

static void bad_payloads_are_refused_and_change_nothing(void **state) {
    struct client *c = fixture_client(state);
    struct text dump = { 0 }, empty = { 0 };
    take_dump(c, &empty);
    assert_int_equal(empty.len, 10);
    restore(c, &empty, NULL, "+OK");
    assert_load(c, LIB FUNC("f", "return 1"), "$\"lib\"");
    take_dump(c, &dump);
    for (size_t i = 0; i < dump.len; i++) {
        dump.ptr[i] ^= 1;
        restore(c, &dump, "FLUSH", "-ERR DUMP payload version or checksum are wrong");
        dump.ptr[i] ^= 1;
    }
    for (size_t len = 0; len < dump.len; len++) {
        struct text part = { dump.ptr, len, 0 };
        restore(c, &part, "FLUSH", "-ERR DUMP payload version or checksum are wrong");
    }
    restore(c, &dump, "FOO",
            "-ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.");
    assert_reply(c, "SET k v", "+OK");
    struct node *value = client_ask_node(c, "DUMP k");
    struct text other = { value->bytes.ptr, value->bytes.len, 0 };
    restore(c, &other, "FLUSH", "-ERR given type is not a function");
    node_free(value);
    assert_reply(c, "FCALL f 0", ":1");
    restore(c, &empty, "FLUSH", "+OK");
    assert_reply(c, "FUNCTION LIST", "*[]");
    text_release(&dump);
    text_release(&empty);
}

/* ---- staying ---- */

static void functions_survive_restarts_with_both_kinds_of_files(void **state) {
    static const char *const modes[] = { "yes", "no" };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(modes); i++) {
        struct server *s = server_start("--appendonly", modes[i], NULL);
        struct client *c = server_connect(s);
        assert_load(c, "#!lua name=gone\n" FUNC("gone", ""), "$\"gone\"");
        assert_load(c, counter, "$\"lib\"");
        assert_reload(c, LIB FUNC("f", "return redis.call('incr','n')"), "$\"lib\"");
        assert_load(c, "#!lua name=more\n" FUNC("m", "return 'm'"), "$\"more\"");
        assert_reply(c, "FUNCTION DELETE gone", "+OK");
        assert_load(c, LIB "foo(", "-ERR ...");
        assert_reply(c, "FCALL f 0", ":1");
        assert_reply(c, "FLUSHALL", "+OK");
        assert_reply(c, "FCALL f 0", ":1");
        if (i == 1) assert_reply(c, "SAVE", "+OK");
        client_close(c);
        server_kill(s);
        server_restart(s);
        c = server_connect(s);
        assert_reply(c, "FCALL f 0", ":2");
        assert_reply(c, "FCALL m 0", "$\"m\"");
        assert_reply(c, "FCALL gone 0", "-ERR Function not found");
        assert_reply(c, "FCALL count 0", "-ERR Function not found");
        assert_reply(c, "DEBUG RELOAD", "+OK");
        assert_reply(c, "FCALL m 0", "$\"m\"");
        client_close(c);
        server_free(s);
    }
}

static void changes_of_libraries_count(void **state) {
    struct client *c = fixture_client(state);
    int64_t before = info_number(c, "persistence", "rdb_changes_since_last_save");
    assert_load(c, LIB FUNC("f", ""), "$\"lib\"");
    assert_load(c, LIB FUNC("f", ""), "-ERR ...");
    assert_reply(c, "FUNCTION DELETE lib", "+OK");
    assert_reply(c, "FUNCTION DELETE lib", "-ERR ...");
    assert_reply(c, "FUNCTION FLUSH", "+OK");
    assert_int_equal(info_number(c, "persistence", "rdb_changes_since_last_save") - before, 3);
}

static void monitors_see_the_call_and_then_its_commands(void **state) {
    struct client *c = fixture_client(state), *m = connect_another(state);
    assert_load(c, counter, "$\"lib\"");
    assert_reply(m, "MONITOR", "+OK");
    assert_reply(c, "FCALL write 1 k v", "+OK");
    assert_next(m, "+... [0 unix:...] \"FCALL\" \"write\" \"1\" \"k\" \"v\"");
    assert_next(m, "+... [0 lua] \"set\" \"k\" \"v\"");
    client_close(m);
}

/* ---- at the same time ---- */

static void libraries_change_while_their_functions_run(void **state) {
    enum { ROUNDS = 200, CALLERS = 4 };
    struct client *c = fixture_client(state), *caller[CALLERS];
    assert_load(c, LIB FUNC("f", "return 1"), "$\"lib\"");
    for (int i = 0; i < CALLERS; i++) {
        caller[i] = connect_another(state);
        for (int round = 0; round < ROUNDS; round++) client_queue(caller[i], "FCALL f 0");
        for (int round = 0; round < ROUNDS / 10; round++) client_queue(caller[i], "FUNCTION LIST WITHCODE");
    }
    for (int i = 0; i < CALLERS; i++) assert_true(client_flush(caller[i]));
    for (int round = 0; round < ROUNDS / 10; round++) {
        assert_reload(c, LIB FUNC("f", "return 2") FUNC("g", "return 3"), "$\"lib\"");
        assert_reload(c, LIB FUNC("f", "return 1"), "$\"lib\"");
    }
    for (int i = 0; i < CALLERS; i++) {
        for (int round = 0; round < ROUNDS; round++) assert_next(caller[i], ":1..2");
        for (int round = 0; round < ROUNDS / 10; round++) assert_next(caller[i], "*[*[...]]");
        client_close(caller[i]);
    }
}

static int run_with(const char *workers) {
    const struct CMUnitTest tests[] = {
        FUNCTION_TEST(arguments_are_checked),
        FUNCTION_TEST(the_first_line_names_engine_and_library),
        FUNCTION_TEST(loading_code_finds_nearly_nothing),
        FUNCTION_TEST(functions_are_registered_with_care),
        FUNCTION_TEST(a_library_is_replaced_as_a_whole_or_not_at_all),
        FUNCTION_TEST(functions_run_with_keys_and_arguments_as_parameters),
        FUNCTION_TEST(register_function_works_while_loading_only),
        FUNCTION_TEST(flags_have_their_effects),
        FUNCTION_TEST(libraries_are_listed_by_pattern_and_with_their_code),
        FUNCTION_TEST(dumps_are_restored_by_policy),
        FUNCTION_TEST(bad_payloads_are_refused_and_change_nothing),
        FUNCTION_TEST(functions_survive_restarts_with_both_kinds_of_files),
        FUNCTION_TEST(changes_of_libraries_count),
        FUNCTION_TEST(monitors_see_the_call_and_then_its_commands),
        FUNCTION_TEST(libraries_change_while_their_functions_run),
    };
    setenv("TRIVET_IO_THREADS", workers, 1);
    return cmocka_run_group_tests_name(workers, tests, fixture_start, fixture_stop);
}

int main(void) { return run_with("4") + run_with("1"); }
