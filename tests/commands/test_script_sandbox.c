/* test_script_sandbox.c: what scripts find, and that nothing they do stays: no script can change what the
 * next one sees, get out, or bring the server down. */
#include "../harness/fixture.h"
#include "../harness/scripts.h"
#include <stdlib.h>
#include <string.h>

/* ---- what there is ---- */

static const struct {
    const char *table, *fields;
} tables[] = {
    { "_G",
      "ARGV KEYS _G _VERSION __redis__err__handler __server__err__handler assert bit cjson cmsgpack "
      "collectgarbage coroutine error gcinfo getmetatable ipairs load loadstring math next os pairs pcall "
      "rawequal rawget rawset redis select server setmetatable string struct table tonumber tostring type "
      "unpack xpcall" },
    { "redis",
      "LOG_DEBUG LOG_NOTICE LOG_VERBOSE LOG_WARNING REDIS_VERSION REDIS_VERSION_NUM REPL_ALL REPL_AOF "
      "REPL_NONE REPL_REPLICA REPL_SLAVE SERVER_NAME VALKEY_VERSION VALKEY_VERSION_NUM acl_check_cmd "
      "breakpoint call debug error_reply log pcall replicate_commands set_repl setresp sha1hex "
      "status_reply" },
    { "string", "byte char dump find format gfind gmatch gsub len lower match rep reverse sub upper" },
    { "table", "concat foreach foreachi getn insert maxn remove setn sort" },
    { "math",
      "abs acos asin atan atan2 ceil cos cosh deg exp floor fmod frexp huge ldexp log log10 max min mod "
      "modf pi pow rad random randomseed sin sinh sqrt tan tanh" },
    { "os", "clock" },
    { "coroutine", "create resume running status wrap yield" },
    { "bit", "arshift band bnot bor bswap bxor lshift rol ror rshift tobit tohex" },
    { "cjson", "_NAME _VERSION decode decode_invalid_numbers decode_max_depth encode encode_invalid_numbers "
               "encode_keep_buffer encode_max_depth encode_number_precision encode_sparse_array new null" },
    { "cmsgpack", "_COPYRIGHT _DESCRIPTION _NAME _VERSION pack unpack unpack_limit unpack_one" },
    { "struct", "pack size unpack" },
};

static void tables_have_these_fields_and_no_others(void **state) {
    struct client *c = fixture_client(state);
    for (size_t i = 0; i < COUNT_OF(tables); i++) {
        struct text script = { 0 }, reply = { 0 };
        text_printf(&script,
                    "local names={} for name in pairs(%s) do names[#names+1]=name end table.sort(names) "
                    "return table.concat(names,' ')",
                    tables[i].table);
        text_printf(&reply, "$\"%s\"", tables[i].fields);
        assert_eval(c, text_str(&script), text_str(&reply));
        text_release(&script);
        text_release(&reply);
    }
}

static void what_leads_out_is_not_there(void **state) {
    static const char *const names[] = { "print",   "dofile", "loadfile", "require", "module",      "package",
                                         "io",      "debug",  "getfenv",  "setfenv", "newproxy",    "loadlib",
                                         "_LOADED", "arg",    "jit",      "lfs",     "luaopen_bit", "foo" };
    static const char *const fields[] = { "os.execute",
                                          "os.exit",
                                          "os.time",
                                          "os.getenv",
                                          "os.remove",
                                          "os.tmpname",
                                          "string.gsubx",
                                          "table.unpack",
                                          "redis.nosuch",
                                          "cjson.cjson",
                                          "redis.register_function" };
    struct client *c = fixture_client(state);
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct text script = { 0 }, reply = { 0 };
        text_printf(&script, "return %s", names[i]);
        text_printf(&reply,
                    "-ERR user_script:1: Script attempted to access nonexistent global variable '%s'" AT(1),
                    names[i]);
        assert_eval(c, text_str(&script), text_str(&reply));
        text_release(&script);
        text_release(&reply);
    }
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        struct text script = { 0 };
        text_printf(&script, "return type(%s)", fields[i]);
        assert_eval(c, text_str(&script), "$\"nil\"");
        text_release(&script);
    }
}

/* ---- nothing can be changed ---- */

/* All that scripts see, as one text: names, kinds and values; functions by their addresses. */
static const char inventory[] =
    "local lines={} local seen={} local function walk(t,path) if seen[t] then return end seen[t]=true "
    "for k,v in pairs(t) do if v~=KEYS and v~=ARGV then local p=path..'.'..tostring(k) "
    "lines[#lines+1]=p..'='..tostring(v) if type(v)=='table' then walk(v,p) end end end end "
    "walk(_G,'_G') walk(getmetatable(''),'strings') "
    "lines[#lines+1]=('x'):upper()..tostring(getmetatable('').__index==string)..type(getmetatable(redis)) "
    "table.sort(lines) return redis.sha1hex(table.concat(lines,'\\n'))";

static void take_inventory(struct client *c, struct text *out) {
    text_clear(out);
    script_queue(c, "EVAL", inventory, "0");
    client_flush(c);
    text_append_str(out, client_read_text(c));
    assert_int_equal(text_str(out)[0], '$');
}

/* Runs each script, whose reply must be the one it has, and looks whether anything is different after it. */
static void check_nothing_changes(struct client *c, const struct script_row *rows) {
    struct text before = { 0 }, after = { 0 };
    take_inventory(c, &before);
    for (; rows->script; rows++) {
        assert_eval(c, rows->script, rows->reply);
        take_inventory(c, &after);
        if (strcmp(text_str(&before), text_str(&after)) != 0) fail_msg("changed by: %s", rows->script);
    }
    text_release(&before);
    text_release(&after);
}

#define READ_ONLY "-ERR Attempt to modify a readonly table" AT(1)
#define READ_ONLY_AT "-ERR user_script:1: Attempt to modify a readonly table" AT(1)

static void shared_tables_cannot_be_assigned_to(void **state) {
    static const struct script_row rows[] = {
        { "x=1", READ_ONLY_AT },
        { "function f() end", READ_ONLY_AT },
        { "_G.x=1", READ_ONLY_AT },
        { "_G._G=nil", READ_ONLY_AT },
        { "KEYS=nil", READ_ONLY_AT },
        { "redis={}", READ_ONLY_AT },
        { "redis.x=1", READ_ONLY_AT },
        { "redis.call=nil", READ_ONLY_AT },
        { "redis[1]=1", READ_ONLY_AT },
        { "string.upper=string.lower", READ_ONLY_AT },
        { "table.x=1", READ_ONLY_AT },
        { "math.pi=3", READ_ONLY_AT },
        { "os.execute=1", READ_ONLY_AT },
        { "coroutine.x=1", READ_ONLY_AT },
        { "bit.band=nil", READ_ONLY_AT },
        { "cjson.encode=nil", READ_ONLY_AT },
        { "cmsgpack.pack=nil", READ_ONLY_AT },
        { "struct.pack=nil", READ_ONLY_AT },
        { "server.x=1", READ_ONLY_AT },
        { "getmetatable('').x=1", READ_ONLY_AT },
        { "getmetatable('').__index=nil", READ_ONLY_AT },
        { "getmetatable('').__index.upper=nil", READ_ONLY_AT },
        { "getmetatable('').__metatable=nil", READ_ONLY_AT },
        { "getmetatable('').__newindex=rawset", READ_ONLY_AT },
        { NULL, NULL },
    };
    check_nothing_changes(fixture_client(state), rows);
}

static void functions_that_go_past_metatables_know_shared_tables(void **state) {
    static const struct script_row rows[] = {
        { "rawset(_G,'x',1)", READ_ONLY },
        { "rawset(redis,'call',nil)", READ_ONLY },
        { "rawset(string,'x',1)", READ_ONLY },
        { "rawset(getmetatable(''),'__index',nil)", READ_ONLY },
        { "setmetatable(_G,{})", READ_ONLY },
        { "setmetatable(_G,nil)", READ_ONLY },
        { "setmetatable(redis,nil)", READ_ONLY },
        { "setmetatable(string,{})", READ_ONLY },
        { "setmetatable(getmetatable(''),{})", READ_ONLY },
        { "table.insert(redis,'x')", READ_ONLY },
        { "table.insert(_G,1,'x')", READ_ONLY },
        { "table.setn(redis,1)", "-ERR user_script:1: 'setn' is obsolete" AT(1) },
        { "table.sort(redis) table.sort(_G)", "$-1" },
        { "return {table.remove(redis),table.remove(redis,1)}", "*[]" },
        { "for k in pairs(redis) do redis[k]=nil end", READ_ONLY_AT },
        { "local k=next(redis) rawset(redis,k,1)", READ_ONLY },
        { "table.foreach(redis,function(k,v) rawset(redis,k,1) end)", "$-1" },
        { "return {tostring(getmetatable(_G)),tostring(getmetatable(redis)),tostring(getmetatable(math))}",
          "*[$\"nil\", $\"nil\", $\"nil\"]" },
        { "return {rawget(_G,'nosuch')==nil,rawget(redis,'call')==redis.call,rawequal(_G,_G._G)}",
          "*[:1, :1, :1]" },
        { "for k,v in pairs(_G) do if type(v)=='table' and k~='KEYS' and k~='ARGV' and "
          "(pcall(rawset,v,'zz',1) or pcall(setmetatable,v,{}) or pcall(table.insert,v,1) or "
          "pcall(function() v.zz=1 end)) then return k end end return 'none'",
          "$\"none\"" },
        { "for k,v in pairs(getmetatable('')) do if type(v)=='table' and pcall(rawset,v,'zz',1) then "
          "return k end end return 'none'",
          "$\"none\"" },
        { NULL, NULL },
    };
    check_nothing_changes(fixture_client(state), rows);
}

static void chains_and_errors_do_not_lead_to_shared_tables(void **state) {
    static const struct script_row rows[] = {
        { "local t=setmetatable({},{__index=_G,__newindex=_G}) t.x=1", READ_ONLY_AT },
        { "local t=setmetatable({},{__newindex=redis}) t.call=nil", READ_ONLY_AT },
        { "local t=setmetatable({},{__index=redis}) return rawget(t,'call')==nil", ":1" },
        { "local t=setmetatable({},{__newindex=rawset}) t.a=1 return t.a", ":1" },
        { "setmetatable(KEYS,{__index=_G}) KEYS.redis=1 return type(redis)", "$\"table\"" },
        { "rawset(KEYS,'x',1) return KEYS.x", ":1" },
        { "error(redis)", "-ERR unknown error" AT(1) },
        { "error(_G)", "-ERR unknown error" AT(1) },
        { "error(getmetatable(''))", "-ERR unknown error" AT(1) },
        { "error(KEYS)", "-ERR unknown error" AT(1) },
        { "return {pcall(error,redis)}", "*[$-1, *[]]" },
        { "local ok,e=pcall(error,_G) e.x=1", READ_ONLY_AT },
        { "return {xpcall(function() error(redis) end, function(e) e.x=1 end)}",
          "*[$-1, $\"error in error handling\"]" },
        { "__redis__err__handler(redis)", "$-1" },
        { "__redis__err__handler(_G)", "$-1" },
        { "return {xpcall(function() error(_G) end, __redis__err__handler)}", "*[$-1, -ERR unknown error]" },
        { "return __server__err__handler()", "..." },
        { "local t=setmetatable({},{__metatable=false}) setmetatable(t,{})",
          "-ERR user_script:1: cannot change a protected metatable" AT(1) },
        { "return tostring(setmetatable({},{__tostring=function() x=1 end}))", READ_ONLY_AT },
        { "local t=setmetatable({},{__gc=function() redis.call('set','k1','gone') end}) t=nil "
          "collectgarbage() "
          "return redis.call('exists','k1')",
          ":0" },
        { NULL, NULL },
    };
    check_nothing_changes(fixture_client(state), rows);
}

#define DUMPED "local d=string.dump(function() return 1 end) "

static void loaded_code_is_text_with_the_same_globals(void **state) {
    static const struct script_row rows[] = {
        { "return loadstring('return 1+1')()", ":2" },
        { "loadstring('x=1')()", "-ERR [string \"x=1\"]:1: Attempt to modify a readonly table..." },
        { "loadstring('rawset(_G,1,1)')()", "-ERR Attempt to modify a readonly table..." },
        { "local told=false load(function() if told then return nil end told=true return 'y=1' end)()",
          "-ERR (load):1: Attempt to modify a readonly table..." },
        { "return select(2,loadstring('x x'))", "$\"[string \\\"x x\\\"]:1: '=' expected near 'x'\"" },
        { DUMPED "return {type(loadstring(d)),select(2,loadstring(d,'=d'))}",
          "*[$\"nil\", $\"d:1: unexpected symbol near 'char(27)'\"]" },
        { DUMPED "local told=false return type(load(function() if told then return nil end told=true "
                 "return d end))",
          "$\"nil\"" },
        { DUMPED "local i=0 return type(load(function() i=i+1 return i<=#d and d:sub(i,i) or nil end))",
          "$\"nil\"" },
        { DUMPED "local i=-1 return type(load(function() i=i+1 return i<=#d and d:sub(i,i) or nil end))",
          "$\"nil\"" }, /* the first piece is empty */
        { "\x1bLua", "-ERR Error compiling script (new function): user_script:1: unexpected symbol near "
                     "'char(27)'" },
        { "#!lua\n\x1bLuaQ", "-ERR Error compiling script (new function): user_script:2: unexpected symbol "
                             "near 'char(27)'" },
        { " \x1bLuaQ", "-ERR Error compiling script (new function): user_script:1: unexpected symbol near "
                       "'char(27)'" },
        { "return {pcall(load,5)}", "*[$-1, $\"bad argument #1 to ...\"]" },
        { "return type(load(function() error('x') end))", "$\"nil\"" },
        { "return type(load(function() return {} end))", "$\"nil\"" },
        { NULL, NULL },
    };
    check_nothing_changes(fixture_client(state), rows);
}

/* A dumped function sent as the text of a script. */
static void compiled_scripts_are_refused(void **state) {
    struct client *c = fixture_client(state);
    script_queue(c, "EVAL", "return string.dump(function() return 1 end)", "0");
    client_flush(c);
    struct node *dump = client_read(c);
    struct words w = { 0 };
    for (int round = 0; round < 2; round++) {
        words_clear(&w);
        words_add_str(&w, round ? "SCRIPT" : "EVAL");
        if (round) words_add_str(&w, "LOAD");
        words_add(&w, dump->bytes.ptr, dump->bytes.len);
        if (!round) words_add_str(&w, "0");
        client_queue_words(c, &w);
        client_flush(c);
        assert_next(c, "-ERR Error compiling script (new function): user_script:1: unexpected symbol near "
                       "'char(27)'");
    }
    words_release(&w);
    node_free(dump);
}

static void coroutines_see_the_same_and_leave_nothing(void **state) {
    static const struct script_row rows[] = {
        { "return {coroutine.resume(coroutine.create(function() x=1 end))}",
          "*[$-1, $\"user_script:1: Attempt to modify a readonly table\"]" },
        { "coroutine.wrap(function() rawset(redis,'x',1) end)()", READ_ONLY_AT },
        { "local co=coroutine.wrap(function(a) local b=coroutine.yield(a+1) return b*2 end) "
          "return {co(1),co(5)}",
          "*[:2, :10]" },
        { "return coroutine.wrap(function() return redis.call('set','k1','v') end)()", "+OK" },
        { "local co=coroutine.create(function() coroutine.yield() end) coroutine.resume(co) "
          "return coroutine.status(co)",
          "$\"suspended\"" },
        { "return coroutine.wrap(function() return pcall(coroutine.yield) end)()", "$-1" },
        { "local function f() return coroutine.wrap(f)() end return f()", "-ERR ...C stack overflow..." },
        { NULL, NULL },
    };
    check_nothing_changes(fixture_client(state), rows);
}

static void libraries_given_shared_tables_do_not_open_them(void **state) {
    static const struct script_row rows[] = {
        { "return cjson.encode(redis)", "$\"{}\"" },
        { "return cjson.encode({redis=_G})", "$\"{\\\"redis\\\":{}}\"" },
        { "return cmsgpack.unpack(cmsgpack.pack(redis))", "*[]" },
        { "return #redis", ":0" },
        { "return table.concat(redis)", "$\"\"" },
        { "return {unpack(redis)}", "*[]" },
        { "return table.maxn(redis)", ":0" },
        { "return redis", "*[]" },
        { "return _G", "*[]" },
        { "return {map=redis}", "*[]" },
        { "return redis.call('set','k1',redis)", "-ERR Command arguments must be strings or integers" AT(1) },
        { "cjson.new().encode=nil return type(cjson.new().encode)", "$\"function\"" },
        { "struct.unpack('b',redis)", "-ERR user_script:1: bad argument #2 to 'unpack'..." },
        { NULL, NULL },
    };
    check_nothing_changes(fixture_client(state), rows);
}

/* ---- nothing brings it down ---- */

#define TOO_MANY "-ERR user_script:1: too many results to unpack" AT(1)

static void calls_that_crash_lua_elsewhere_are_errors(void **state) {
    static const struct script_row rows[] = {
        { "return {unpack({},0,2147483647)}", TOO_MANY },
        { "return {unpack({},-2147483648,2147483647)}", TOO_MANY },
        { "return {unpack({},1,1e8)}", TOO_MANY },
        { "return {unpack({},2147483647,2147483647)}", "*[]" },
        { "return {unpack({1,2,3},2)}", "*[:2, :3]" },
        { "return {unpack({1,2,3},2,1)}", "*[]" },
        { "return string.find(string.rep('a',300000),string.rep('a?',300000))",
          "-ERR user_script:1: pattern too complex" AT(1) },
        { "return (string.rep('a',300000)):match(string.rep('a-',300000)..'b')",
          "-ERR user_script:1: pattern too complex" AT(1) },
        { "return string.gsub('a',string.rep('a*',300000),'')",
          "-ERR user_script:1: pattern too complex" AT(1) },
        { "for _ in string.gmatch('a',string.rep('(a',300000)) do end",
          "-ERR user_script:1: pattern too complex" AT(1) },
        { "return string.find(string.rep('-',3000),string.rep('-',3000),1,true)", ":1" },
        { "return string.match(string.rep('a',1000),string.rep('a?',1000)) == string.rep('a',1000)", ":1" },
        { "return string.match('x',string.rep('(',100))", "-ERR user_script:1: too many captures" AT(1) },
        { "return {bit.tohex(1,-2147483648),bit.tohex(255,-2),bit.tohex(-1,100),bit.tohex(5,0)}",
          "*[$\"00000001\", $\"FF\", $\"ffffffff\", $\"\"]" },
        { "local t={} t.__index=function(a,b) return a[b..'x'] end setmetatable(t,t) return t.x",
          "-ERR user_script:1: C stack overflow" AT(1) },
        { "local t={} t[1]=t return cjson.encode(t)",
          "-ERR user_script:1: Cannot serialise, excessive nesting (1001)" AT(1) },
        { "return #cmsgpack.pack((function() local t={} t[1]=t return t end)())", ":17" },
        { "return cmsgpack.unpack(string.rep('\\145',100000))",
          "-ERR user_script:1: stack overflow (in function mp_decode_to_lua_array)" AT(1) },
        { "return cmsgpack.unpack('\\221\\127\\255\\255\\255')",
          "-ERR user_script:1: Missing bytes in input." AT(1) },
        { "return struct.unpack('c2147483647','x')",
          "-ERR user_script:1: bad argument #2 to 'unpack' (data string too short)" AT(1) },
        { "return loadstring('return '..string.rep('(',100000))", "$-1" },
        { "table.sort({1,2,3,4,5,6,7,8,9,10},function() return true end)",
          "-ERR user_script:1: invalid order function for sorting" AT(1) },
        { "return string.format('%99.99f',1e308):len()", ":409" },
        { "return string.rep('x',-1)", "$\"\"" },
        { NULL, NULL },
    };
    check_nothing_changes(fixture_client(state), rows);
}

#define NO_MEMORY "-ERR not enough memory script: <sha>"

static void memory_bombs_end_in_an_error(void **state) {
    static const struct script_row rows[] = {
        { "local s='x' while true do s=s..s end", NO_MEMORY },
        { "return string.rep('x',1e8)", NO_MEMORY },
        { "local t={} while true do t[#t+1]={} end", NO_MEMORY },
        { "local t={} for i=1,1e8 do t[i]=i end", NO_MEMORY },
        { "local t={} while true do t[#t+1]=string.rep('x',1000)..#t end", NO_MEMORY },
        { "local t={} while true do t[#t+1]=coroutine.create(function() end) end", NO_MEMORY },
        { "local t={} while true do t[#t+1]=loadstring('return '..#t) end", NO_MEMORY },
        { "return string.gsub(string.rep('a',10000),'a',string.rep('%0',10000))", NO_MEMORY },
        { "return cjson.decode('['..string.rep('{},',400000)..'1]')", NO_MEMORY },
        { "collectgarbage('stop') while true do local t={} end", NO_MEMORY },
        { "local t={} for i=1,40 do t={t,t} end return cjson.encode(t)",
          "-ERR not enough memory" AT(1) },
        { "local t={} for i=1,40 do t={t,t} end return cjson.new().encode(t)",
          "-ERR not enough memory" AT(1) },
        { NULL, NULL },
    };
    struct client *c = fixture_client(state);
    assert_reply(c, "SET k1 xxxxxxxxxx", "+OK");
    assert_reply(c, "CONFIG SET script-memory-limit 4mb", "+OK");
    int64_t before = info_number(c, "memory", "used_memory");
    for (const struct script_row *row = rows; row->script; row++) {
        assert_eval(c, row->script, row->reply);
        assert_eval(c, "local t={} for i=1,1000 do t[i]={i} end return #t", ":1000");
    }
    assert_eval(
        c,
        "local t={} local ok,e=pcall(function() while true do t[#t+1]=string.rep('x',1e5)..#t end end) "
        "return {ok,e}",
        "*[$-1, $\"not enough memory\"]");
    assert_eval(c,
                "local t={} for i=1,30 do t[i]=string.rep('x',1e5)..i end return redis.call('get',KEYS[1])",
                "...");
    assert_eval(c, "return redis.call('get',KEYS[1])", "$\"xxxxxxxxxx\"");
    assert_true(info_number(c, "memory", "used_memory_vm_eval") < 4 << 20);
    assert_reply(c, "SCRIPT FLUSH SYNC", "+OK");
    assert_true(info_number(c, "memory", "used_memory") < before + (1 << 20));
    assert_true(info_number(c, "memory", "used_memory_vm_eval") < 1 << 20);
    assert_reply(c, "CONFIG SET script-memory-limit 512mb", "+OK");
}

/* Replies of commands are turned into values under the same limit. */
static void big_replies_hit_the_limit_too(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "CONFIG SET script-memory-limit 4mb", "+OK");
    assert_eval(c, "for i=1,100 do redis.call('rpush','k1',string.rep(i,50000)) end return 1", ":1");
    assert_eval(c, "return #redis.call('lrange','k1',0,-1)", NO_MEMORY);
    assert_eval(c, "return {pcall(redis.call,'lrange','k1',0,-1)}", "*[$-1, $\"not enough memory\"]");
    assert_eval(c, "return redis.call('llen','k1')", ":100");
    assert_eval(c, "return #redis.call('lindex','k1',-1)", ":150000");
    assert_reply(c, "CONFIG SET script-memory-limit 512mb", "+OK");
    assert_eval(c, "return #redis.call('lrange','k1',0,-1)", ":100");
}

static void a_stopped_collector_starts_again_for_the_next_script(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "CONFIG SET script-memory-limit 16mb", "+OK");
    assert_eval(c, "return collectgarbage('stop')", ":0");
    assert_eval(c, "return collectgarbage('setpause',100000)", ":200");
    assert_eval(c, "return collectgarbage('setpause')", ":200");
    assert_eval(c, "return collectgarbage('setstepmul',1)", ":200");
    assert_eval(c, "for i=1,300000 do local t={i,i,i} end return 'done'", "$\"done\"");
    assert_eval(c, "return collectgarbage('nosuch')",
                "-ERR user_script:1: bad argument #1 to 'collectgarbage' (invalid option 'nosuch')" AT(1));
    assert_eval(c, "return {collectgarbage('count')>0,gcinfo()>0,type(collectgarbage('step'))}",
                "*[:1, :1, $\"boolean\"]");
    assert_reply(c, "CONFIG SET script-memory-limit 512mb", "+OK");
}

static void os_clock_runs(void **state) {
    assert_eval(fixture_client(state),
                "local a=os.clock() for i=1,1e6 do end return type(a)=='number' and os.clock()>=a", ":1");
}

static void random_numbers_begin_the_same_on_every_server(void **state) {
    (void)state;
    for (int round = 0; round < 2; round++) {
        struct server *s = server_start(NULL, NULL);
        struct client *c = server_connect(s);
        assert_eval(c, "return {math.random(1000),math.random(1000)}", "*[:397, :841]");
        assert_eval(c, "return {math.random(1000),math.random(1000)}", "*[:354, :447]");
        assert_eval(c, "math.randomseed(7) local a=math.random() math.randomseed(7) return a==math.random()",
                    ":1");
        assert_eval(c, "return math.random(0)",
                    "-ERR user_script:1: bad argument #1 to 'random' (interval is empty)" AT(1));
        client_close(c);
        server_free(s);
    }
}

static int run_with(const char *workers) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(tables_have_these_fields_and_no_others),
        FIXTURE_TEST(what_leads_out_is_not_there),
        FIXTURE_TEST(shared_tables_cannot_be_assigned_to),
        FIXTURE_TEST(functions_that_go_past_metatables_know_shared_tables),
        FIXTURE_TEST(chains_and_errors_do_not_lead_to_shared_tables),
        FIXTURE_TEST(loaded_code_is_text_with_the_same_globals),
        FIXTURE_TEST(compiled_scripts_are_refused),
        FIXTURE_TEST(coroutines_see_the_same_and_leave_nothing),
        FIXTURE_TEST(libraries_given_shared_tables_do_not_open_them),
        FIXTURE_TEST(calls_that_crash_lua_elsewhere_are_errors),
        FIXTURE_TEST(memory_bombs_end_in_an_error),
        FIXTURE_TEST(big_replies_hit_the_limit_too),
        FIXTURE_TEST(a_stopped_collector_starts_again_for_the_next_script),
        FIXTURE_TEST(os_clock_runs),
        FIXTURE_TEST(random_numbers_begin_the_same_on_every_server),
    };
    setenv("TRIVET_IO_THREADS", workers, 1);
    return cmocka_run_group_tests_name(workers, tests, fixture_start, fixture_stop);
}

int main(void) { return run_with("4") + run_with("1"); }
