/* test_script_values.c: what becomes of values between scripts, commands and clients: conversions both ways
 * in RESP2 and RESP3, numbers, errors as tables, and the functions of the table `redis`. */
#include "../harness/fixture.h"
#include "../harness/scripts.h"
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A script and its reply to a client of each protocol; NULL: the same. */
struct value_row {
    const char *script, *resp2, *resp3;
};

static void check_values(struct client *c, const struct value_row *rows) {
    for (const struct value_row *row = rows; row->script; row++) {
        assert_eval(c, row->script, row->resp2);
        assert_reply(c, "FLUSHALL", "+OK");
    }
    assert_reply(c, "HELLO 3", "%{...}");
    for (const struct value_row *row = rows; row->script; row++) {
        assert_eval(c, row->script, row->resp3 ? row->resp3 : row->resp2);
        assert_reply(c, "FLUSHALL", "+OK");
    }
}

/* ---- what a script returns ---- */

static void plain_values_become_replies(void **state) {
    static const struct value_row rows[] = {
        { "return {KEYS[1],KEYS[2],ARGV[1],ARGV[2],#KEYS,#ARGV}",
          "*[$\"k1\", $\"k2\", $\"a1\", $\"a2\", :2, :2]", NULL },
        { "return 3.99", ":3", NULL },
        { "return -3.99", ":-3", NULL },
        { "return 2^53", ":9007199254740992", NULL },
        { "return 1e300", ":-9223372036854775808", NULL },
        { "return -1e300", ":-9223372036854775808", NULL },
        { "return 0/0", ":-9223372036854775808", NULL },
        { "return 'a\\0b'", "$\"a\\x00b\"", NULL },
        { "return ''", "$\"\"", NULL },
        { "return true", ":1", NULL },
        { "return false", "$-1", "_" },
        { "return nil", "$-1", "_" },
        { "return", "$-1", "_" },
        { "return 1, 2", ":1", NULL },
        { "return function() end", "$-1", "_" },
        { "return coroutine.create(function() end)", "$-1", "_" },
        { "return cjson.null", "$-1", "_" },
        { "return {}", "*[]", NULL },
        { "return {{},{{}}}", "*[*[], *[*[]]]", NULL },
        { "return {1,2,nil,4}", "*[:1, :2]", NULL },
        { "return {1,'a',true,false,3}", "*[:1, $\"a\", :1, $-1, :3]", "*[:1, $\"a\", :1, _, :3]" },
        { "return {1,2,x=3}", "*[:1, :2]", NULL },
        { "return setmetatable({1,2},{__index=function() return 7 end})", "*[:1, :2]", NULL },
        { NULL, NULL, NULL },
    };
    check_values(fixture_client(state), rows);
}

static void tables_with_special_fields_become_replies_of_these_kinds(void **state) {
    static const struct value_row rows[] = {
        { "return {ok='fine'}", "+fine", NULL },
        { "return {ok=''}", "+", NULL },
        { "return {ok='fi\\r\\nne'}", "+fi  ne", NULL },
        { "return {err='ER\\r\\nR x'}", "-ER  R x", NULL },
        { "return {err='word'}", "-word", NULL },
        { "return {err=''}", "-", NULL },
        { "return {1,{err='E x'},{ok='y'}}", "*[:1, -E x, +y]", NULL },
        { "return {double=3.5}", "$\"3.5\"", ",3.5" },
        { "return {double=3}", "$\"3\"", ",3" },
        { "return {double=1e300}", "$\"1e+300\"", ",1e+300" },
        { "return {double=1/0}", "$\"inf\"", ",inf" },
        { "return {double=-1/0}", "$\"-inf\"", ",-inf" },
        { "return {double=0/0}", "$\"nan\"", ",nan" },
        { "return {map={a=1}}", "*[$\"a\", :1]", "%{$\"a\": :1}" },
        { "return {map={}}", "*[]", "%{}" },
        { "return {map={[1]={map={x={set={y=1}}}}}}", "*[:1, *[$\"x\", *[$\"y\"]]]",
          "%{:1: %{$\"x\": ~[$\"y\"]}}" },
        { "return {set={a=true}}", "*[$\"a\"]", "~[$\"a\"]" },
        { "return {set={}}", "*[]", "~[]" },
        { "return {big_number='123'}", "$\"123\"", "(123" },
        { "return {big_number='12\\r\\n3'}", "$\"12  3\"", "(12  3" },
        { "return {verbatim_string={string='hello',format='txt'}}", "$\"hello\"", "=\"txt:hello\"" },
        { "return {verbatim_string={string='hello',format='txtx'}}", "$\"hello\"", "=\"txt:hello\"" },
        { "return {verbatim_string={string='a\\nb',format='mkd'}}", "$\"a\\nb\"", "=\"mkd:a\\nb\"" },
        { NULL, NULL, NULL },
    };
    check_values(fixture_client(state), rows);
}

static void special_fields_count_in_an_order_and_with_the_right_type_only(void **state) {
    static const struct value_row rows[] = {
        { "return {err='a',ok='b',double=1,map={},set={},big_number='1'}", "-a", NULL },
        { "return {ok='b',double=1,map={},set={},big_number='1'}", "+b", NULL },
        { "return {double=1,map={},set={},big_number='1'}", "$\"1\"", ",1" },
        { "return {map={},set={1},big_number='1'}", "$\"1\"", "(1" },
        { "return {map={},set={1},verbatim_string={string='s',format='txt'}}", "$\"s\"", "=\"txt:s\"" },
        { "return {map={},set={1}}", "*[]", "%{}" },
        { "return {big_number='1',verbatim_string={string='s',format='txt'}}", "$\"1\"", "(1" },
        { "return {err=3}", "*[]", NULL },
        { "return {ok=3}", "*[]", NULL },
        { "return {ok={},'x'}", "*[$\"x\"]", NULL },
        { "return {double='3'}", "*[]", NULL },
        { "return {map=1,set='x'}", "*[]", NULL },
        { "return {big_number=1}", "*[]", NULL },
        { "return {verbatim_string={string='hello'}}", "*[]", NULL },
        { "return {verbatim_string={format='txt'}}", "*[]", NULL },
        { "return setmetatable({},{__index={ok='x'}})", "*[]", NULL },
        { NULL, NULL, NULL },
    };
    check_values(fixture_client(state), rows);
}

static void booleans_are_their_own_kind_after_setresp_3(void **state) {
    static const struct value_row rows[] = {
        { "redis.setresp(3) return true", ":1", "#t" },
        { "redis.setresp(3) return false", ":0", "#f" },
        { "redis.setresp(3) return {true,false}", "*[:1, :0]", "*[#t, #f]" },
        { "redis.setresp(3) return nil", "$-1", "_" },
        { "redis.setresp(3) redis.setresp(2) return false", "$-1", "_" },
        { "return false", "$-1", "_" }, /* each run begins with 2 */
        { NULL, NULL, NULL },
    };
    check_values(fixture_client(state), rows);
}

/* The harness reads no such depth: the bytes are looked at until the error comes. */
static void check_deep(void **state, const char *script, const char *error) {
    struct client *c = connect_another(state);
    struct text got = { 0 };
    script_queue(c, "EVAL", script, "0");
    assert_true(client_flush(c));
    do {
        struct pollfd wait = { .fd = client_fd(c), .events = POLLIN };
        assert_int_equal(poll(&wait, 1, CLIENT_PATIENCE_MS), 1);
        ssize_t count = read(client_fd(c), text_reserve(&got, 65536), 65536);
        assert_true(count > 0);
        got.len += (size_t)count;
        got.ptr[got.len] = '\0';
    } while (!strstr(got.ptr, error));
    client_abandon(c);
    text_release(&got);
}

static void a_reply_without_end_ends_in_an_error(void **state) {
    static const char *const deep[] = {
        "local t={} for i=1,20000 do t={t} end return t",
        "local t={} t[1]=t return t",
        "local t={} t[1]=t t[2]=t return t",
        "local t={} t.map={x=t} return t",
        "local t={} t.map={x=t,y=t} redis.setresp(3) return t",
    };
    struct client *c = fixture_client(state);
    for (size_t i = 0; i < COUNT_OF(deep); i++) check_deep(state, deep[i], "ERR reached lua stack limit");
    assert_reply(c, "CONFIG SET script-memory-limit 2mb", "+OK");
    assert_eval(c, "local t={} for i=1,24 do t={t,t} end return t",
                "*[*[...-ERR the reply is larger than 'script-memory-limit'...]");
    assert_eval(c, "return {1,2}", "*[:1, :2]");
    assert_reply(c, "CONFIG SET script-memory-limit 512mb", "+OK");
}

/* ---- what a command's reply is in a script ---- */

static void replies_become_values_by_the_protocol_of_the_script(void **state) {
    static const struct value_row rows[] = {
        { "return type(redis.call('incr','k1'))", "$\"number\"", NULL },
        { "redis.call('set','k1',5) return type(redis.call('get','k1'))", "$\"string\"", NULL },
        { "return redis.call('set','k1',5)", "+OK", NULL },
        { "return redis.call('set','k1',5).ok", "$\"OK\"", NULL },
        { "return redis.call('get','k1')", "$-1", "_" },
        { "return type(redis.call('get','k1'))", "$\"boolean\"", NULL },
        { "redis.setresp(3) return type(redis.call('get','k1'))", "$\"nil\"", NULL },
        { "return type(redis.call('mget','k1','k2')[2])", "$\"boolean\"", NULL },
        { "redis.call('hset','k1','f','v') return redis.call('hgetall','k1')", "*[$\"f\", $\"v\"]", NULL },
        { "redis.setresp(3) redis.call('hset','k1','f','v') return redis.call('hgetall','k1')",
          "*[$\"f\", $\"v\"]", "%{$\"f\": $\"v\"}" },
        { "redis.setresp(3) redis.call('hset','k1','f','v') return redis.call('hgetall','k1').map.f",
          "$\"v\"", NULL },
        { "redis.call('sadd','k1','m') return redis.call('smembers','k1')[1]", "$\"m\"", NULL },
        { "redis.setresp(3) redis.call('sadd','k1','m') return redis.call('smembers','k1')", "*[$\"m\"]",
          "~[$\"m\"]" },
        { "redis.setresp(3) redis.call('sadd','k1','m') return tostring(redis.call('smembers','k1').set.m)",
          "$\"true\"", NULL },
        { "redis.call('zadd','k1','1.5','m') return redis.call('zscore','k1','m')", "$\"1.5\"", NULL },
        { "redis.setresp(3) redis.call('zadd','k1','1.5','m') return redis.call('zscore','k1','m')",
          "$\"1.5\"", ",1.5" },
        { "redis.setresp(3) redis.call('zadd','k1','1.5','m') "
          "return tostring(redis.call('zscore','k1','m').double)",
          "$\"1.5\"", NULL },
        { "redis.call('zadd','k1','inf','m') return redis.call('zrange','k1',0,-1,'withscores')",
          "*[$\"m\", $\"inf\"]", NULL },
        { "redis.setresp(3) redis.call('zadd','k1','inf','m') "
          "return redis.call('zrange','k1',0,-1,'withscores')",
          "*[*[$\"m\", $\"inf\"]]", "*[*[$\"m\", ,inf]]" },
        { "return type(redis.call('info','server'))", "$\"string\"", NULL },
        { "redis.setresp(3) return redis.call('info','server').verbatim_string.format", "$\"txt\"", NULL },
        { "redis.setresp(3) redis.setresp(2) return redis.call('get','k1') == false", ":1", NULL },
        { NULL, NULL, NULL },
    };
    check_values(fixture_client(state), rows);
}

static void big_replies_and_many_arguments_pass(void **state) {
    static const struct script_row rows[] = {
        { "redis.call('set','k1',string.rep('x',3000000)) return #redis.call('get','k1')", ":3000000" },
        { "local t={} for i=1,7000 do t[i]=i end redis.call('rpush','k2',unpack(t)) "
          "local r=redis.call('lrange','k2',0,-1) return {#r,r[1],r[7000]}",
          "*[:7000, $\"1\", $\"7000\"]" },
        { "for i=1,100 do redis.call('rpush','k2',string.rep('y',5000)) end "
          "local n=0 for _,v in ipairs(redis.call('lrange','k2',7000,-1)) do n=n+#v end return n",
          ":500000" },
        { NULL, NULL },
    };
    assert_evals(fixture_client(state), rows);
}

static void numbers_as_arguments_have_their_shortest_form(void **state) {
    static const struct {
        const char *number, *text;
    } rows[] = {
        { "10", "10" },
        { "10.0", "10" },
        { "-7", "-7" },
        { "0.1", "0.1" },
        { "1/3", "0.3333333333333333" },
        { "1e300", "1e+300" },
        { "1e17", "100000000000000000" },
        { "123456789012", "123456789012" },
        { "2^53", "9007199254740992" },
        { "-2^63", "-9223372036854775808" },
        { "1/0", "inf" },
        { "-1/0", "-inf" },
        { "0/0", "-nan" },
    };
    struct client *c = fixture_client(state);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct text script = { 0 }, reply = { 0 };
        text_printf(&script, "redis.call('set','k1',%s) return redis.call('get','k1')", rows[i].number);
        text_printf(&reply, "$\"%s\"", rows[i].text);
        assert_eval(c, text_str(&script), text_str(&reply));
        text_release(&script);
        text_release(&reply);
    }
    assert_eval(c, "return {tostring(0.1), tostring(1e15), tostring(2^53), 0.1 .. ''}",
                "*[$\"0.1\", $\"1e+15\", $\"9.007199254741e+15\", $\"0.1\"]");
}

/* ---- errors ---- */

static const char fields_of[] =
    "local function fields(e) if type(e) ~= 'table' then return {type(e), tostring(e)} end local t={} "
    "for k,v in pairs(e) do t[#t+1]=k..'='..tostring(v) end table.sort(t) return t end ";

/* What `fields` says of an error that this script makes. */
static void check_fields(struct client *c, const char *script, const char *expected) {
    struct text whole = { 0 };
    text_printf(&whole, "%s%s", fields_of, script);
    assert_eval(c, text_str(&whole), expected);
    text_release(&whole);
}

#define NO_INTEGER "ERR value is not an integer or out of range"

static void errors_of_commands_are_tables(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "SET k1 x", "+OK");
    check_fields(c, "return fields(redis.pcall('incr','k1'))",
                 "*[$\"err=" NO_INTEGER "\", $\"ignore_error_stats_update=true\"]");
    check_fields(c, "return fields(redis.pcall('nosuch'))",
                 "*[$\"err=ERR Unknown command called from script\", $\"ignore_error_stats_update=true\"]");
    check_fields(c,
                 "local e xpcall(function() redis.call('incr','k1') end, function(x) e=x end) "
                 "return fields(e)",
                 "*[$\"err=" NO_INTEGER "\", $\"ignore_error_stats_update=true\"]");
    check_fields(c,
                 "local _,e=xpcall(function() redis.call('incr','k1') end, __redis__err__handler) "
                 "return fields(e)",
                 "*[$\"err=" NO_INTEGER "\", $\"ignore_error_stats_update=true\", $\"line=1\", "
                 "$\"source=@user_script\"]");
    check_fields(c, "local _,e=xpcall(function() error('boom') end, __server__err__handler) return fields(e)",
                 "*[$\"err=ERR user_script:1: boom\", $\"line=1\", $\"source=@user_script\"]");
    check_fields(c, "return fields({err=redis.error_reply('A b').err})", "*[$\"err=A b\"]");
}

static void pcall_gives_errors_as_texts(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "SET k1 x", "+OK");
    check_fields(c, "local ok,e=pcall(redis.call,'incr','k1') return fields(e)",
                 "*[$\"string\", $\"" NO_INTEGER "\"]");
    check_fields(c, "local ok,e=pcall(function() redis.call('incr','k1') end) return fields(e)",
                 "*[$\"string\", $\"" NO_INTEGER "\"]");
    check_fields(c, "local ok,e=pcall(error,'boom') return fields(e)", "*[$\"string\", $\"boom\"]");
    check_fields(c, "local ok,e=pcall(error,{err='X y'}) return fields(e)", "*[$\"string\", $\"X y\"]");
    check_fields(c, "local ok,e=pcall(error,{code=5}) return fields(e)", "*[$\"code=5\"]");
    assert_eval(c, "local ok,a,b=pcall(function() return 1,2 end) return {ok,a,b}", "*[:1, :1, :2]");
    assert_eval(c, "return {pcall(error)}", "*[$-1]");
}

static void uncaught_errors_say_where(void **state) {
    static const struct script_row rows[] = {
        { "error('boom')", "-ERR user_script:1: boom" AT(1) },
        { "\n\nerror('boom')", "-ERR user_script:3: boom" AT(3) },
        { "error('boom',0)", "-ERR boom" AT(1) },
        { "local function f()\nerror('boom',2)\nend\nf()", "-ERR user_script:4: boom" AT(2) },
        { "error(5)", "-ERR user_script:1: 5" AT(1) },
        { "error(true)", "-ERR true" AT(1) },
        { "error({err='CODE text'})", "-CODE text" AT(1) },
        { "error({err='nocode'})", "-nocode" AT(1) },
        { "error({err=''})", "-" AT(1) },
        { "error({err='a\\r\\nb'})", "-a  b" AT(1) },
        { "error({})", "-ERR unknown error" AT(1) },
        { "error({err={}})", "-ERR unknown error" AT(1) },
        { "error(nil)", "-ERR nil" AT(1) },
        { "error()", "-ERR nil" AT(1) },
        { "error(redis)", "-ERR unknown error" AT(1) },
        { "local x = nil; return x.y", "-ERR user_script:1: attempt to index local 'x' (a nil value)" AT(1) },
        { "return 1 + {}", "-ERR user_script:1: attempt to perform arithmetic on a table value" AT(1) },
        { "local function f() return 1 + f() end return f()", "-ERR user_script:1: stack overflow..." },
        { "return coroutine.yield(1)",
          "-ERR attempt to yield across metamethod/C-call boundary" AT(1) },
        { "return string.rep()", "-ERR user_script:1: bad argument #1 to 'rep' (string expected, got no "
                                 "value)" AT(1) },
        { NULL, NULL },
    };
    assert_evals(fixture_client(state), rows);
}

/* ---- the table `redis` ---- */

static void wrong_calls_are_refused(void **state) {
    static const struct script_row rows[] = {
        { "return redis.call()", "-ERR Please specify at least one argument for this call" AT(1) },
        { "return redis.pcall()", "-ERR Please specify at least one argument for this call" },
        { "return redis.call({})", "-ERR Command arguments must be strings or integers" AT(1) },
        { "return redis.call('set','k1',true)", "-ERR Command arguments must be strings or integers" AT(1) },
        { "return redis.call('set','k1',nil)", "-ERR Command arguments must be strings or integers" AT(1) },
        { "return redis.pcall('set','k1',{})", "-ERR Command arguments must be strings or integers" },
        { "return redis.call('nosuch')", "-ERR Unknown command called from script" AT(1) },
        { "return redis.call(1)", "-ERR Unknown command called from script" AT(1) },
        { "return redis.call('')", "-ERR Unknown command called from script" AT(1) },
        { "return redis.pcall('nosuch')", "-ERR Unknown command called from script" },
        { "return redis.call('get')", "-ERR Wrong number of args calling command from script" AT(1) },
        { "return redis.pcall('get')", "-ERR Wrong number of args calling command from script" },
        { "return redis.call('multi')", "-ERR This Redis command is not allowed from script" AT(1) },
        { "return redis.call('subscribe','c')", "-ERR This Redis command is not allowed from script" AT(1) },
        { "return redis.call('eval','return 1',0)",
          "-ERR This Redis command is not allowed from script" AT(1) },
        { "return redis.call('config','get','save')",
          "-ERR This Redis command is not allowed from script" AT(1) },
        { "return redis.pcall('script','flush')", "-ERR This Redis command is not allowed from script" },
        { "return redis.pcall('fcall','f',0)", "-ERR This Redis command is not allowed from script" },
        { "return redis.pcall('client','id')", "-ERR This Redis command is not allowed from script" },
        { NULL, NULL },
    };
    assert_evals(fixture_client(state), rows);
}

#define WRONG_TYPE "-ERR wrong number or type of arguments"

static void helpers_make_replies_and_checksums(void **state) {
    static const struct script_row rows[] = {
        { "return redis.error_reply('My Err')", "-My Err" },
        { "return redis.error_reply('word')", "-ERR word" },
        { "return redis.error_reply('-word')", "-ERR word" },
        { "return redis.error_reply('-MY x')", "-MY x" },
        { "return redis.error_reply('')", "-ERR " },
        { "return redis.error_reply('My Err').err", "$\"My Err\"" },
        { "return redis.error_reply(5)", WRONG_TYPE },
        { "return redis.error_reply({})", WRONG_TYPE },
        { "return redis.error_reply()", WRONG_TYPE },
        { "return redis.error_reply('a','b')", WRONG_TYPE },
        { "return redis.status_reply('FINE')", "+FINE" },
        { "return redis.status_reply('FINE').ok", "$\"FINE\"" },
        { "return redis.status_reply(5)", WRONG_TYPE },
        { "return redis.status_reply()", WRONG_TYPE },
        { "return redis.status_reply('a','b')", WRONG_TYPE },
        { "return redis.sha1hex('')", "$\"da39a3ee5e6b4b0d3255bfef95601890afd80709\"" },
        { "return redis.sha1hex('abc')", "$\"a9993e364706816aba3e25717850c26c9cd0d89d\"" },
        { "return redis.sha1hex('a\\0b') == redis.sha1hex('a')", "$-1" },
        { "return redis.sha1hex(12) == redis.sha1hex('12')", ":1" },
        { "return redis.sha1hex({})", "$\"da39a3ee5e6b4b0d3255bfef95601890afd80709\"" },
        { "return redis.sha1hex()", "-ERR wrong number of arguments" AT(1) },
        { "return redis.sha1hex('a','b')", "-ERR wrong number of arguments" AT(1) },
        { NULL, NULL },
    };
    assert_evals(fixture_client(state), rows);
}

#define BAD_FLAGS "-ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE." AT(1)

static void settings_of_a_run_check_their_arguments(void **state) {
    static const struct script_row rows[] = {
        { "return redis.setresp()", "-ERR server.setresp() requires one argument." AT(1) },
        { "return redis.setresp(2,3)", "-ERR server.setresp() requires one argument." AT(1) },
        { "return redis.setresp(4)", "-ERR RESP version must be 2 or 3." AT(1) },
        { "return redis.setresp('x')", "-ERR RESP version must be 2 or 3." AT(1) },
        { "return redis.setresp('3')", "$-1" },
        { "return redis.set_repl()", "-ERR server.set_repl() requires one argument." AT(1) },
        { "return redis.set_repl(1,2)", "-ERR server.set_repl() requires one argument." AT(1) },
        { "return redis.set_repl(4)", BAD_FLAGS },
        { "return redis.set_repl(-1)", BAD_FLAGS },
        { "return redis.set_repl(redis.REPL_ALL)", "$-1" },
        { "return redis.replicate_commands()", ":1" },
        { "return redis.breakpoint()", "$-1" },
        { "return redis.debug('x', {})", "$-1" },
        { "return redis.acl_check_cmd()", "-ERR Please specify at least one argument for this call" AT(1) },
        { "return redis.acl_check_cmd({})", "-ERR Command arguments must be strings or integers" AT(1) },
        { "return redis.acl_check_cmd('nosuch')",
          "-ERR Invalid command passed to server.acl_check_cmd()" AT(1) },
        { "return redis.acl_check_cmd('config|get')",
          "-ERR Invalid command passed to server.acl_check_cmd()" AT(1) },
        { "return redis.acl_check_cmd('get','k')", ":1" },
        { "return redis.acl_check_cmd('config','get','save')", ":1" },
        { NULL, NULL },
    };
    assert_evals(fixture_client(state), rows);
}

static void lines_go_to_the_log(void **state) {
    static const struct script_row rows[] = {
        { "return redis.log()", "-ERR server.log() requires two arguments or more." AT(1) },
        { "return redis.log(1)", "-ERR server.log() requires two arguments or more." AT(1) },
        { "return redis.log('x','x')", "-ERR First argument must be a number (log level)." AT(1) },
        { "return redis.log(4,'x')", "-ERR Invalid log level." AT(1) },
        { "return redis.log(-1,'x')", "-ERR Invalid log level." AT(1) },
        { "return redis.log(redis.LOG_WARNING,'one',2,nil,{},'three %s %n')", "$-1" },
        { "return redis.log('2','told as a text')", "$-1" },
        { "return redis.log(redis.LOG_DEBUG,'not told at all')", "$-1" },
        { NULL, NULL },
    };
    struct server *s = ((struct fixture *)*state)->server;
    assert_evals(fixture_client(state), rows);
    server_await_log(s, "one 2 three %s %n", 1);
    server_await_log(s, "told as a text", 1);
    assert_null(strstr(server_log(s), "not told at all"));
}

static void constants_are_these(void **state) {
    static const struct script_row rows[] = {
        { "return {redis.LOG_DEBUG,redis.LOG_VERBOSE,redis.LOG_NOTICE,redis.LOG_WARNING}",
          "*[:0, :1, :2, :3]" },
        { "return {redis.REPL_NONE,redis.REPL_AOF,redis.REPL_SLAVE,redis.REPL_REPLICA,redis.REPL_ALL}",
          "*[:0, :1, :2, :2, :3]" },
        { "return {redis.REDIS_VERSION,redis.REDIS_VERSION_NUM}", "*[$\"7.2.4\", :459268]" },
        { "return {server.SERVER_NAME,type(server.VALKEY_VERSION),type(server.VALKEY_VERSION_NUM)}",
          "*[$\"trivet\", $\"string\", $\"number\"]" },
        { "local a,b,c=string.match(server.VALKEY_VERSION,'^(%d+)%.(%d+)%.(%d+)$') "
          "return server.VALKEY_VERSION_NUM == a*65536+b*256+c",
          ":1" },
        { "return redis == server and redis.call == server.call", ":1" },
        { "return redis.nosuch", "$-1" },
        { NULL, NULL },
    };
    assert_evals(fixture_client(state), rows);
}

static int run_with(const char *workers) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(plain_values_become_replies),
        FIXTURE_TEST(tables_with_special_fields_become_replies_of_these_kinds),
        FIXTURE_TEST(special_fields_count_in_an_order_and_with_the_right_type_only),
        FIXTURE_TEST(booleans_are_their_own_kind_after_setresp_3),
        FIXTURE_TEST(a_reply_without_end_ends_in_an_error),
        FIXTURE_TEST(replies_become_values_by_the_protocol_of_the_script),
        FIXTURE_TEST(big_replies_and_many_arguments_pass),
        FIXTURE_TEST(numbers_as_arguments_have_their_shortest_form),
        FIXTURE_TEST(errors_of_commands_are_tables),
        FIXTURE_TEST(pcall_gives_errors_as_texts),
        FIXTURE_TEST(uncaught_errors_say_where),
        FIXTURE_TEST(wrong_calls_are_refused),
        FIXTURE_TEST(helpers_make_replies_and_checksums),
        FIXTURE_TEST(settings_of_a_run_check_their_arguments),
        FIXTURE_TEST(lines_go_to_the_log),
        FIXTURE_TEST(constants_are_these),
    };
    setenv("TRIVET_IO_THREADS", workers, 1);
    return cmocka_run_group_tests_name(workers, tests, fixture_start, fixture_stop);
}

int main(void) { return run_with("4") + run_with("1"); }
