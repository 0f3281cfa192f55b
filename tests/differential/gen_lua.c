/* gen_lua.c: scripts with random values and calls of the libraries.
 *
 * Most are arguments of one script that compiles them, so that the server does not keep them all: of scripts
 * that came by EVAL Valkey keeps 500. Left out is what tells of the server or of memory (addresses of
 * tables), what the reference has not (`os`, `server`), and what kills it: error() of nil or of a table
 * without a text. */
#include "differential.h"
#include <stdio.h>

#define DEPTH_MAX 3

/* ---- values ---- */

static void put_number(struct chance *c, struct text *out) {
    static const char *const numbers[] = {
        "0",     "-0",   "1",      "-1",         "2",          "3.7",        "-3.99",     "0.1",
        "1e15",  "1e16", "1e300",  "-1e300",     "1e-7",       "5e-324",     "9.3e18",    "-9.3e18",
        "1/0",   "-1/0", "0/0",    "0x7fffffff", "4294967296", "2147483648", "123456.789", "-32769",
        "65536", "127",  "128",    "255",        "256",        "-128",       "-129",      "16777217",
        "0.5",   "1.25", "-2.5e9", "9007199254740993",         "9223372036854775807",
        "-9223372036854775808",    "18446744073709551615",     NULL,
    };
    if (chance_of(c, 50))
        text_append_str(out, chance_pick(c, numbers));
    else if (chance_of(c, 70))
        text_printf(out, "%lld", (long long)chance_below(c, 2000) - 1000);
    else
        text_printf(out, "%.3f", ((double)chance_below(c, 2000000) - 1000000) / 1000);
}

/* Their text is the same in 17 digits and in the shortest form. */
static void put_dyadic(struct chance *c, struct text *out) {
    text_printf(out, "%.2f", ((double)chance_below(c, 20000) - 10000) / 4);
}

static void put_index(struct chance *c, struct text *out) {
    text_printf(out, "%lld", (long long)chance_below(c, 12) - 3);
}

static void put_string(struct chance *c, struct text *out) {
    static const char *const strings[] = {
        "''",           "'a'",         "'abc'",           "'hello world'",     "'a,b,,c'",  "'  x  '",
        "'1'",          "'0x10'",      "' 12 '",          "'1e3'",             "'nil'",     "'-'",
        "'\\0\\1\\255'", "'a\\r\\nb'",   "'\"quoted\\\\'",    "'/\\127\\t'",       "'f(a(b)c)'",
        "'\\195\\169'",
        "'ERR text'",   "'-ERR text'", "string.rep('x', 300)", "string.rep('ab', 70)", "'%d%s'",
        "'key=value'", NULL,
    };
    if (chance_of(c, 70)) {
        text_append_str(out, chance_pick(c, strings));
        return;
    }
    text_append_char(out, '\'');
    for (size_t i = chance_below(c, 40); i > 0; i--) text_append_char(out, (char)('a' + chance_below(c, 6)));
    text_append_char(out, '\'');
}

static void put_value(struct chance *c, struct text *out, int depth);

static void put_list(struct chance *c, struct text *out, int depth) {
    text_append_char(out, '{');
    for (size_t i = chance_below(c, chance_of(c, 5) ? 40 : 5); i > 0; i--) {
        put_value(c, out, depth + 1);
        text_append_char(out, ',');
    }
    text_append_char(out, '}');
}

/* Of strings or of numbers only, for table.sort and table.concat. */
static void put_plain_list(struct chance *c, struct text *out) {
    bool strings = chance_of(c, 50), mixed = chance_of(c, 10);
    text_append_char(out, '{');
    for (size_t i = chance_below(c, 12); i > 0; i--) {
        if (strings != (mixed && chance_of(c, 50)))
            put_string(c, out);
        else
            put_dyadic(c, out);
        text_append_char(out, ',');
    }
    text_append_char(out, '}');
}

static void put_fields(struct chance *c, struct text *out, int depth) {
    static const char *const keys[] = {
        "a",      "b",      "c",      "['']",     "['x y']", "[1]", "[2]", "[3]",        "[10]",
        "[1.5]",  "[-1]",   "ok",     "err",      "double",  "map", "set", "big_number", "verbatim_string",
        "string", "format", "[true]", "[100000]", NULL
    };
    text_append_char(out, '{');
    for (size_t i = chance_below(c, 5); i > 0; i--) {
        const char *key = chance_pick(c, keys);
        text_printf(out, "%s=", key);
        if (strcmp(key, "double") == 0 && chance_of(c, 80))
            put_dyadic(c, out);
        else if (strcmp(key, "double") == 0)
            put_string(c, out);
        else
            put_value(c, out, depth + 1);
        text_append_char(out, ',');
    }
    text_append_char(out, '}');
}

/* Tables that stand for one reply. */
static void put_special(struct chance *c, struct text *out, int depth) {
    static const char *const fixed[] = {
        "{ok='OK'}",
        "{ok='a\\r\\nb'}",
        "{ok=''}",
        "{ok=5}",
        "{err='ERR text'}",
        "{err='My text'}",
        "{err='a\\nb'}",
        "{err='word'}",
        "{err=5}",
        "{ok='a', err='b'}",
        "{double=1/0}",
        "{double=-1/0}",
        "{double=-0.5}",
        "{double='1'}",
        "{big_number='12345678901234567890123'}",
        "{big_number='1\\r\\n2'}",
        "{big_number=12}",
        "{verbatim_string={string='text', format='txt'}}",
        "{verbatim_string={string='a\\r\\nb', format='mkd'}}",
        "{verbatim_string={string='text'}}",
        "{verbatim_string={format='txt'}}",
        "{verbatim_string='text'}",
        "{map={}}",
        "{set={}}",
        "{map={a=1, b={map={c='d'}}}}",
        "{set={a=true, b=true, [1]=false}}",
        "{map=5}",
        "redis.error_reply('My Err')",
        "redis.status_reply('TEXT')",
        NULL,
    };
    switch (chance_below(c, 6)) {
    case 0:
        text_append_str(out, "{double=");
        put_dyadic(c, out);
        text_append_char(out, '}');
        break;
    case 1:
    case 2:
        text_append_str(out, chance_of(c, 70) ? "{map=" : "{set=");
        put_fields(c, out, depth + 1);
        text_append_char(out, '}');
        break;
    default: text_append_str(out, chance_pick(c, fixed));
    }
}

static void put_value(struct chance *c, struct text *out, int depth) {
    static const char *const others[] = { "nil", "true", "false", "nil", "false", "cjson.null", NULL };
    size_t roll = chance_below(c, depth < DEPTH_MAX ? 100 : 60);
    if (roll < 25)
        put_number(c, out);
    else if (roll < 45)
        put_string(c, out);
    else if (roll < 60)
        text_append_str(out, chance_pick(c, others));
    else if (roll < 76)
        put_list(c, out, depth);
    else if (roll < 88)
        put_fields(c, out, depth);
    else
        put_special(c, out, depth);
}

/* ---- other arguments ---- */

static void put_pattern(struct chance *c, struct text *out) {
    static const char *const patterns[] = {
        "'a'",      "'(%a+)'", "'%d+'",     "'()'",    "'(a)(b)?'", "'^%s*(.-)%s*$'", "'[^,]*'",  "'%b()'",
        "'%f[%w]'", "'.'",     "'(.)(.)'",  "''",      "'['",       "'%'",            "'(a'",     "'a)'",
        "'[a-c]+'", "'[%]x]'", "'(a*(b))'", "'%1'",    "'x-'",      "'%z'",           "'(%w+)=(%w+)'", NULL,
    };
    text_append_str(out, chance_pick(c, patterns));
}

static void put_format(struct chance *c, struct text *out) {
    static const char *const formats[] = {
        "'%d'",   "'%5d|%-5d'", "'%05.1f'", "'%x %X'", "'%o'",  "'%e'", "'%g'",   "'%.14g'", "'%c'",
        "'%s'",   "'%q'",       "'%10s'",   "'%.3s'",  "'%i'",  "'%u'", "'%%'",   "'%'",     "'%y'",
        "'%+d'",  "'% d'",      "'%#x'",    "'%.99f'", "'%-s'", "'%E'", "'%.20s'", NULL,
    };
    text_append_str(out, chance_pick(c, formats));
}

static void put_struct_format(struct chance *c, struct text *out) {
    static const char *const parts[] = { "b", "B",  "h",  "H",  "i",  "I",   "l",  "L",  "T",
                                         "f", "d",  "s",  "c0", "c3", "x",   ">",  "<",  "=",
                                         "!", "!4", "i3", "I2", "i8", "I7",  "i1", "i9", "i33",
                                         " ", "z",  "!3", "!8", "c1", "Bc0", NULL };
    text_append_char(out, '\'');
    for (size_t i = 1 + chance_below(c, 4); i > 0; i--) text_append_str(out, chance_pick(c, parts));
    text_append_char(out, '\'');
}

static void put_json(struct chance *c, struct text *out) {
    static const char *const texts[] = {
        "[1,2,3]",         "{\"a\":1,\"b\":[true,false,null]}", "\"a\\\\u00e9\\\\n\"", "1.5e3",
        "[]",              "{}",               "[[[[1]]]]",        "{\"a\":{\"b\":{\"c\":\"d\"}}}",
        "nan",             "0x1F",             "[1,]",             "{\"a\"}",
        "tru",             " [ 1 , \"x\" ] ",  "\"\\\\ud83d\\\\ude00\"", "\"\\\\ud83d\"",
        "[1 2]",           "",                 "{\"a\":1,}",       "-Infinity",
        "12345678901234567890", "\"\\\\x\"",   "[1] x",            "[\"a\",null]",
        "{\"1\":\"one\"}", "-0",               "01",               NULL,
    };
    struct text json = { 0 };
    text_append_str(&json, chance_pick(c, texts));
    if (json.len > 0 && chance_of(c, 20)) {
        char *at = &json.ptr[chance_below(c, json.len)];
        if (*at != '\\') *at = "[]{},:\"a1 "[chance_below(c, 10)];
    }
    text_printf(out, "'%s'", text_str(&json));
    text_release(&json);
}

/* Bytes that look like MessagePack. */
static void put_packed(struct chance *c, struct text *out) {
    static const unsigned firsts[] = { 0x01, 0x7f, 0x81, 0x82, 0x91, 0x92, 0x9f, 0xa1, 0xa3, 0xbf, 0xc0, 0xc1,
                                       0xc2, 0xc3, 0xc4, 0xc7, 0xca, 0xcb, 0xcc, 0xcd, 0xce, 0xcf, 0xd0, 0xd1,
                                       0xd2, 0xd3, 0xd9, 0xda, 0xdc, 0xe0, 0xff, 0xdb, 0xdd, 0xde, 0xdf };
    text_append_char(out, '\'');
    for (size_t i = 1 + chance_below(c, 12); i > 0; i--)
        text_printf(out, "\\%03u",
                    chance_of(c, 50) ? firsts[chance_below(c, COUNT_OF(firsts))]
                                     : (unsigned)chance_below(c, chance_of(c, 70) ? 4 : 256));
    text_append_char(out, '\'');
}

/* ---- calls ---- */

/* A letter after '$': n number, d dyadic number, i small integer, s string, v value, t plain list, p pattern,
 * f format, r format of struct, j JSON, b packed. */
static const char *const calls[] = {
    "cjson.encode($v)",
    "cjson.encode($v)",
    "cjson.decode(cjson.encode($v))",
    "cjson.encode(cjson.decode($j))",
    "cjson.decode($j)",
    "(function(v) cjson.encode_sparse_array(true, 2, 10) local r = {pcall(cjson.encode, v)} "
    "cjson.encode_sparse_array(false, 2, 10) return unpack(r) end)($v)",
    "(function(v) cjson.encode_number_precision(3) local r = {pcall(cjson.encode, v)} "
    "cjson.encode_number_precision(14) return unpack(r) end)($v)",
    "(function(v) cjson.encode_invalid_numbers(true) local r = {pcall(cjson.encode, v)} "
    "cjson.encode_invalid_numbers(false) return unpack(r) end)($v)",
    "(function(v) cjson.decode_max_depth(2) local r = {pcall(cjson.decode, v)} "
    "cjson.decode_max_depth(1000) return unpack(r) end)($j)",
    "cjson.encode_number_precision($s)",
    "cmsgpack.pack($v)",
    "cmsgpack.pack($v, $v)",
    "cmsgpack.pack($n, $n, $n)",
    "cmsgpack.pack()",
    "cmsgpack.unpack(cmsgpack.pack($v, $v))",
    "cmsgpack.unpack($b)",
    "cmsgpack.unpack($b)",
    "cmsgpack.unpack($v)",
    "cmsgpack.unpack_one(cmsgpack.pack($v, $v), $i)",
    "cmsgpack.unpack_limit(cmsgpack.pack($v, $v, $v), $i, $i)",
    "cmsgpack.unpack_one($b)",
    "struct.pack($r, $n, $s, $n)",
    "struct.pack($r, $i, $i, $s, $d)",
    "struct.pack($r, $s, $s)",
    "struct.unpack($r, $s)",
    "struct.unpack($r, $b, $i)",
    "(function(f) return struct.unpack(f, struct.pack(f, $i, $i, $i, $i, $i)) end)($r)",
    "(function(f) return struct.unpack(f, struct.pack(f, $s, $s, $s, $s)) end)($r)",
    "struct.size($r)",
    "bit.tobit($n)",
    "bit.bnot($n)",
    "bit.band($n, $n)",
    "bit.bor($n, $n, $n)",
    "bit.bxor($n, $v)",
    "bit.lshift($n, $i)",
    "bit.rshift($n, $i)",
    "bit.arshift($n, $i)",
    "bit.rol($n, $i)",
    "bit.ror($n, $i)",
    "bit.bswap($n)",
    "bit.tohex($n, $i)",
    "string.format($f, $n, $n)",
    "string.format($f, $s, $s)",
    "string.format('%q', $s)",
    "string.rep($s, $i)",
    "string.sub($s, $i, $i)",
    "string.find($s, $p, $i)",
    "string.find($s, $s, 1, true)",
    "string.match($s, $p)",
    "string.gsub($s, $p, $s)",
    "string.gsub($s, $p, string.upper, 2)",
    "string.gsub($s, $p, $v)",
    "(function() local r = {} for a, b in string.gmatch($s, $p) do r[#r + 1] = a r[#r + 1] = b end return r "
    "end)()",
    "string.byte($s, 1, -1)",
    "string.char($i, 65, 255)",
    "string.len($v)",
    "string.reverse($s)",
    "string.lower(string.upper($s))",
    "($s)..($n)",
    "($s) < ($s)",
    "($v) == ($v)",
    "($n) + ($s)",
    "($n) % ($n)",
    "($n) ^ ($i)",
    "#($s)",
    "table.concat($t, $s)",
    "table.concat($t, $s, $i, $i)",
    "(function(t) table.sort(t) return t end)($t)",
    "(function(t) table.sort(t, function(a, b) return a > b end) return t end)($t)",
    "(function(t) table.insert(t, $i, $v) return t end)($t)",
    "(function(t) table.insert(t, $v) return t end)($t)",
    "(function(t) return table.remove(t, $i), t end)($t)",
    "table.maxn($v)",
    "table.getn($t)",
    "unpack($t)",
    "unpack($t, $i, $i)",
    "select($i, $v, $v)",
    "select('#', $v, nil)",
    "tonumber($v)",
    "tonumber($s, $i)",
    "tostring($n)",
    "type($v)",
    "next($t)",
    "rawequal($s, $s)",
    "rawget($t, $i)",
    "ipairs($s)",
    "math.floor($n)",
    "math.ceil($n)",
    "math.abs($n)",
    "math.max($n, $n)",
    "math.min($n, $v)",
    "math.fmod($n, $n)",
    "math.modf($n)",
    "math.frexp($n)",
    "tostring(math.sqrt($n))",
    "tostring(math.ldexp($n, $i))",
    "(function() math.randomseed($i) return math.random(1000), math.random(5, 9), tostring(math.random()) "
    "end)()",
    "(function() math.randomseed($i) return math.random($i), math.random($i, $i) end)()",
    "redis.sha1hex($s)",
    "redis.sha1hex($n)",
    "redis.sha1hex()",
    "redis.error_reply($s)",
    "redis.error_reply($v)",
    "redis.status_reply($s)",
    "redis.status_reply($v, $v)",
    "redis.acl_check_cmd($s, $s)",
    "redis.acl_check_cmd('set', $s, $s)",
    "redis.acl_check_cmd($v)",
    "redis.acl_check_cmd()",
    "redis.log(0, $s)",
    "redis.log($v, $s)",
    "redis.log(0)",
    "redis.setresp($n)",
    "redis.setresp($v)",
    "redis.setresp()",
    "redis.set_repl($s)",
    "redis.set_repl(redis.REPL_ALL)",
    "redis.set_repl()",
    "redis.replicate_commands()",
    "redis.breakpoint()",
    "redis.pcall('ECHO', $d)",
    "redis.pcall('ECHO', $i)",
    "redis.pcall('ECHO', {$v})",
    "redis.pcall('ECHO', $s)",
    "redis.pcall($v, $v)",
    "redis.call($v, $s)",
    "redis.call()",
    "redis.pcall()",
    "redis.call('GET', $s, $s)",
    "redis.call('MULTI')",
    "redis.call('EVAL', 'return 1', 0)",
    "redis.REPL_ALL + redis.REPL_NONE + redis.REPL_SLAVE + redis.REPL_REPLICA + redis.REPL_AOF",
    "redis.LOG_DEBUG + redis.LOG_VERBOSE * 10 + redis.LOG_NOTICE * 100 + redis.LOG_WARNING * 1000",
    "assert($v, $s)",
    "error($s)",
    "error($s, $i)",
    "pcall(error, $s)",
    "pcall(error, $n)",
    "pcall(error, {err=$s, a=$n})",
    "loadstring($s)",
    "loadstring('return ' .. $s)()",
    "load(function() return nil end)()",
    "xpcall(function() error($s) end, function(e) return $v end)",
    "coroutine.wrap(function(...) coroutine.yield(...) return 2 end)($v, $v)",
    "coroutine.resume(coroutine.create(function() error($s) end))",
    "getmetatable($s) == nil",
    "setmetatable($t, {__index = $t})[$i]",
    "setmetatable($v, $v)",
    "nosuch",
    "nosuch($v)",
    "($v).x",
    "($v)[$v]",
    "_G[$s]",
    "rawset(_G, 'x', 1)",
    "rawset(redis, 'x', 1)",
    "setmetatable(_G, {})",
    "(function() redis.call = nil end)()",
    "(function() string.len = nil end)()",
    "(function() getmetatable('').__index = nil end)()",
    "(function() x = 1 end)()",
    "KEYS[$i]",
    "ARGV",
    NULL,
};

static void put_argument(struct chance *c, struct text *out, char kind) {
    switch (kind) {
    case 'n': put_number(c, out); break;
    case 'd': put_dyadic(c, out); break;
    case 'i': put_index(c, out); break;
    case 's': put_string(c, out); break;
    case 'v': put_value(c, out, 1); break;
    case 't': put_plain_list(c, out); break;
    case 'p': put_pattern(c, out); break;
    case 'f': put_format(c, out); break;
    case 'r': put_struct_format(c, out); break;
    case 'j': put_json(c, out); break;
    default: put_packed(c, out);
    }
}

static void put_call(struct chance *c, struct text *out) {
    for (const char *at = chance_pick(c, calls); *at; at++) {
        if (*at == '$')
            put_argument(c, out, *++at);
        else
            text_append_char(out, *at);
    }
}

/* ---- scripts ---- */

static void put_script(struct chance *c, struct text *out) {
    if (chance_of(c, 15)) text_append_str(out, "redis.setresp(3) ");
    if (chance_of(c, 40)) {
        text_append_str(out, "return ");
        put_value(c, out, 0);
    } else if (chance_of(c, 90)) {
        text_append_str(out, "return {pcall(function() return ");
        put_call(c, out);
        text_append_str(out, " end)}");
    } else {
        text_append_str(out, "return ");
        put_call(c, out);
    }
}

static void add_arguments(struct chance *c, struct words *w) {
    size_t keys = chance_below(c, 3);
    words_printf(w, "%zu", keys);
    for (; keys > 0; keys--) add_key(c, w);
}

static void make_lua(struct chance *c, struct script *s) {
    struct text text = { 0 };
    put_script(c, &text);
    bool direct = chance_of(c, 5);
    struct words *w = script_command(s, COMPARE_EXACT, chance_of(c, 90) ? "EVAL" : "EVAL_RO");
    if (direct)
        words_add(w, text.ptr, text.len);
    else
        words_add_str(w, "return assert(loadstring(ARGV[1], '=code'))()");
    if (direct) {
        add_arguments(c, w);
        for (size_t i = chance_below(c, 3); i > 0; i--) add_value(c, w);
    } else {
        add_arguments(c, w);
        words_add(w, text.ptr, text.len);
    }
    text_release(&text);
}

/* Whole scripts that are wrong, or that show where an error was. */
static const char *const fixed_scripts[] = {
    "return 1, 2",
    "return",
    "",
    "foo bar",
    "return 1\nreturn 2",
    "return nosuch",
    "nosuch = 1",
    "KEYS = 5",
    "KEYS[1] = 'x' return KEYS",
    "return {KEYS, ARGV}",
    "return #KEYS",
    "error('boom')",
    "\n\nerror('boom')",
    "error('boom', 0)",
    "error('boom', 2)",
    "error(5)",
    "error(true)",
    "error({err='CODE text'})",
    "error({err='a\\r\\nb', other=1})",
    "error(redis.error_reply('My Err'))",
    "local function f() error('deep') end f()",
    "local function f() return f() end",
    "return redis.call('GET')",
    "return redis.call('NOSUCH')",
    "return redis.pcall('NOSUCH')",
    "return {redis.pcall('NOSUCH'), redis.pcall('GET')}",
    "return redis.pcall('NOSUCH').err",
    "local e = redis.pcall('GET') return {e.err, e.source, e.line}",
    "local ok, e = pcall(redis.call, 'GET') return {ok, e.err, e.source, e.line}",
    "redis.call('SET', KEYS[1], 1) error('after a write')",
    "redis.call('SET', KEYS[1], 1) return redis.call('LPUSH', KEYS[1], 1)",
    "redis.call('SELECT', 1) redis.call('INCR', 'k1') return redis.call('SELECT', 99)",
    "redis.setresp(3) local n = 0 for k in pairs(redis.call('HGETALL', KEYS[1]).map) do n = n + 1 end "
    "return n",
    "redis.setresp(3) return redis.call('CONFIG')",
    "redis.setresp(3) return redis.call('NOSUCH')",
    "#!lua\nreturn 1",
    "#!lua",
    "#!lua flags=\nreturn 1",
    "#!lua flags=no-writes\nreturn redis.call('SET', KEYS[1], 1)",
    "#!lua flags=no-writes\nreturn redis.pcall('PUBLISH', 'a', 1)",
    "#!lua flags=no-writes,allow-oom,allow-stale,no-cluster,allow-cross-slot-keys\nreturn 1",
    "#!lua flags=foo\nreturn 1",
    "#!lua flags=no-writes,\nreturn 1",
    "#!lua flags=,\nreturn 1",
    "#!lua name=x\nreturn 1",
    "#!lua x\nreturn 1",
    "#!lua flags=no-writes flags=allow-oom\nreturn redis.call('SET', KEYS[1], 1)",
    "#!foo\nreturn 1",
    "#!LUA\nreturn 1",
    "#! lua\nreturn 1",
    "#!\nreturn 1",
    "#!lua\nerror('second line')",
    "#!lua\nfoo bar",
    "#!lua \"flags=no-writes\"\nreturn 1",
    "#!lua 'flags=no-writes\nreturn 1",
    "#!lua FLAGS=no-writes\nreturn 1",
    "return 'a' .. nil",
    "return {1, {2, {3, {4, {5}}}}, nil, 6}",
    "local t = {} for i = 1, 1000 do t[i] = i end return t",
    "return string.dump(function() return 1 end)",
    "for i = 1, 3 do redis.call('RPUSH', 'k' .. i, i) end return redis.call('LRANGE', 'k1', 0, -1)",
    "return redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])",
    "redis.call(1, 2)",
    "return redis.call({})",
    "return tostring(redis.REDIS_VERSION_NUM > 0)",
    "return _VERSION",
    "return table.concat({1, 2, {}})",
    "return unpack({}, 1, 1e7)",
    "return string.rep('x', -1)",
    "goto = 1",
    "return (('x'):rep(10))",
    "return print",
    "return dofile",
    "return require",
    "return debug",
    "return load == nil",
    "print('x')",
    "return pcall(nil)",
    "return {pcall(error)}",
    "return coroutine.yield(1)",
    NULL,
};

static void make_fixed(struct chance *c, struct script *s) {
    static const char *const counts[] = { "-1", "a", "5", "99999999999999999999", "", "1.5", "2", NULL };
    struct words *w = script_command(s, COMPARE_EXACT, chance_of(c, 85) ? "EVAL" : "EVAL_RO");
    words_add_str(w, chance_pick(c, fixed_scripts));
    words_add_str(w, chance_of(c, 90) ? "1" : chance_pick(c, counts));
    add_key(c, w);
    for (size_t i = chance_below(c, 3); i > 0; i--) add_small_value(c, w);
}

/* By a sum that no script has, or that is none. */
static void make_unknown(struct chance *c, struct script *s) {
    static const char *const sums[] = { "ffffffffffffffffffffffffffffffffffffffff",
                                        "",
                                        "abc",
                                        "e0e1f9fabfc9d4800c877a703b823ac0578ff8db",
                                        "E0E1F9FABFC9D4800C877A703B823AC0578FF8DB",
                                        "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz",
                                        NULL };
    if (chance_of(c, 20)) script_command(s, COMPARE_EXACT, "EVAL 'return 1' 0");
    struct words *w = script_command(s, COMPARE_EXACT, chance_of(c, 70) ? "EVALSHA" : "EVALSHA_RO");
    words_add_str(w, chance_pick(c, sums));
    words_add_str(w, chance_of(c, 90) ? "0" : "1");
}

const struct generator lua_generators[] = {
    { "EVAL of random code", 50, make_lua },
    { "EVAL of fixed code", 14, make_fixed },
    { "EVALSHA of unknown scripts", 2, make_unknown },
    { NULL, 0, NULL },
};
