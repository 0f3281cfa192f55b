/* gen_function.c: FUNCTION, and FCALL of functions that come and go. The order of a library's functions is
 * the reference's hash table's, so it does not count. */
#include "differential.h"

static void add_library_name(struct chance *c, struct text *out) {
    static const char *const odd[] = { "wrapped", "no-dash", "", "a_1", "1", NULL };
    if (chance_of(c, 92))
        text_printf(out, "lib%zu", chance_below(c, 4));
    else
        text_append_str(out, chance_pick(c, odd));
}

/* No name in two cases: the reference would take both into one library, and fall over them later. */
static void add_function_name(struct chance *c, struct text *out) {
    static const char *const odd[] = { "pcall2", "no-dash", "", "x_1", "1", NULL };
    if (chance_of(c, 92))
        text_printf(out, "fn%zu", chance_below(c, 8));
    else
        text_append_str(out, chance_pick(c, odd));
}

static const char *const bodies[] = {
    "return 1",
    "return {keys, args}",
    "return redis.call('SET', keys[1], args[1] or 'x')",
    "return redis.call('GET', keys[1])",
    "return redis.pcall('LPUSH', keys[1], 'a', 'b')",
    "redis.call('INCR', keys[1]) error('after a write')",
    "redis.setresp(3) return redis.call('GET', keys[1])",
    "return nosuch",
    "x = 1",
    "return KEYS",
    "return redis.register_function",
    "return redis.call('FCALL', 'fn1', 0)",
    "return redis.call('NOSUCH')",
    "\nerror({err = 'CODE text'})",
    "return cjson.encode({keys, args})",
    "count = (count or 0) + 1",
    "return state()",
    NULL,
};
static const char *const flags[] = { "'no-writes'",
                                     "'no-writes', 'allow-oom'",
                                     "'allow-stale', 'no-cluster', 'allow-cross-slot-keys'",
                                     "",
                                     "'foo'",
                                     "5",
                                     NULL };
/* Instead of a function. */
static const char *const broken[] = {
    "redis.register_function()",
    "redis.register_function('fn1')",
    "redis.register_function('fn1', 5)",
    "redis.register_function(5, function() end)",
    "redis.register_function({}, function() end)",
    "redis.register_function(function() end, 'fn1')",
    "redis.register_function('fn1', function() end, 1)",
    "redis.register_function{}",
    "redis.register_function{function_name='fn1'}",
    "redis.register_function{callback=function() end}",
    "redis.register_function{function_name={}, callback=function() end}",
    "redis.register_function{function_name='fn1', callback=5}",
    "redis.register_function{function_name='fn1', callback=function() end, flags=5}",
    "redis.register_function{function_name='fn1', callback=function() end, description={}}",
    "redis.register_function{function_name='fn1', callback=function() end, foo=1}",
    "redis.register_function{function_name='fn1', callback=function() end, [1]=1}",
    "redis.register_function{function_name='fn1', callback=function() end, [true]=1}",
    "pairs({})",
    "redis.call('PING')",
    "redis.foo()",
    "error('x')",
    "local x = math.random",
    "x = 1",
    "redis.x = 1",
    "foo bar",
    "local t = nil t.x = 1",
    "local s = #5",
    "redis.log(redis.LOG_DEBUG, 'loading')",
    "redis.log('x', 'loading')",
    "redis.log(1)",
    "local n = redis.REDIS_VERSION_NUM + redis.LOG_WARNING",
    "return 5",
    "",
    NULL,
};

static void put_function(struct chance *c, struct text *out) {
    const char *body = chance_pick(c, bodies);
    if (chance_of(c, 50)) {
        text_append_str(out, "redis.register_function('");
        add_function_name(c, out);
        text_printf(out, "', function(keys, args) %s end)\n", body);
        return;
    }
    text_append_str(out, "redis.register_function{function_name='");
    add_function_name(c, out);
    text_printf(out, "', callback=function(keys, args) %s end", body);
    if (chance_of(c, 60)) text_printf(out, ", flags={%s}", chance_pick(c, flags));
    if (chance_of(c, 30)) text_printf(out, ", description='text %zu'", chance_below(c, 10));
    text_append_str(out, "}\n");
}

static void put_first_line(struct chance *c, struct text *out) {
    static const char *const wrong[] = {
        "", "#!", "#!lua", "#!lua\n", "#!lua name=\n", "#!foo name=lib1\n", "#!lua name=lib1 name=lib2\n",
        "#!lua foo=lib1\n", "#!lua name=lib1 foo\n", "#!LUA name=lib1\n", "#! lua name=lib1\n",
        "#!lua name=lib1", "\n", "#!lua \"name=lib1\"\n", "#!lua name='lib1'\n",
        "#!lua name='lib1\n", "#!lua NAME=lib1\n", "#!'lua' name=lib1\n", NULL,
    };
    if (chance_of(c, 8)) {
        text_append_str(out, chance_pick(c, wrong));
        return;
    }
    text_append_str(out, "#!lua name=");
    add_library_name(c, out);
    text_append_char(out, '\n');
}

static void put_library(struct chance *c, struct text *out) {
    put_first_line(c, out);
    text_append_str(out, "local n = 0\nlocal function state() n = n + 1 return n end\n");
    for (size_t i = chance_of(c, 95) ? 1 + chance_below(c, 3) : 0; i > 0; i--) put_function(c, out);
    if (chance_of(c, 12)) text_append_str(out, chance_pick(c, broken));
}

static void make_load(struct chance *c, struct script *s) {
    struct text code = { 0 };
    put_library(c, &code);
    struct words *w =
        script_command(s, COMPARE_EXACT, chance_of(c, 70) ? "FUNCTION LOAD REPLACE" : "FUNCTION LOAD");
    if (chance_of(c, 2)) words_add_str(w, chance_of(c, 50) ? "replace" : "FOO");
    words_add(w, code.ptr, code.len);
    text_release(&code);
}

/* The functions around commands of other groups (gen_wrapped.c). */
static void make_load_wrapped(struct chance *c, struct script *s) {
    (void)c;
    struct words *w = script_command(s, COMPARE_EXACT, "FUNCTION LOAD REPLACE");
    add_wrapped_library(w);
}

static void make_call(struct chance *c, struct script *s) {
    struct text name = { 0 };
    if (chance_of(c, 5))
        text_append_str(&name, "FN1");
    else
        add_function_name(c, &name);
    struct words *w = script_command(s, COMPARE_EXACT, chance_of(c, 75) ? "FCALL" : "FCALL_RO");
    words_add(w, name.ptr, name.len);
    static const char *const counts[] = { "-1", "a", "9", "99999999999999999999", "0", NULL };
    words_add_str(w, chance_of(c, 90) ? "1" : chance_pick(c, counts));
    add_key(c, w);
    for (size_t i = chance_below(c, 3); i > 0; i--) add_small_value(c, w);
    text_release(&name);
}

static void make_delete(struct chance *c, struct script *s) {
    struct text name = { 0 };
    add_library_name(c, &name);
    struct words *w = script_command(s, COMPARE_EXACT, "FUNCTION DELETE");
    words_add(w, name.ptr, name.len);
    text_release(&name);
}

static void make_other(struct chance *c, struct script *s) {
    static const char *const exact[] = {
        "FUNCTION FLUSH",
        "FUNCTION FLUSH ASYNC",
        "FUNCTION FLUSH SYNC",
        "FUNCTION FLUSH FOO",
        "FUNCTION FLUSH SYNC x",
        "FUNCTION STATS",
        "FUNCTION STATS",
        "FUNCTION STATS x",
        "FUNCTION KILL",
        "FUNCTION FOO",
        "FUNCTION",
        "FUNCTION LOAD",
        "FUNCTION DELETE",
        "FUNCTION RESTORE abc",
        "FUNCTION RESTORE \"\"",
        "FUNCTION RESTORE abc FOO",
        "FUNCTION RESTORE abc FLUSH x",
        "FUNCTION RESTORE",
        NULL,
    };
    static const char *const lists[] = {
        "FUNCTION LIST",
        "FUNCTION LIST WITHCODE",
        "FUNCTION LIST LIBRARYNAME lib*",
        "FUNCTION LIST LIBRARYNAME lib1 WITHCODE",
        "FUNCTION LIST withcode libraryname LIB?",
        "FUNCTION LIST LIBRARYNAME none",
        "FUNCTION LIST FOO",
        "FUNCTION LIST LIBRARYNAME",
        "FUNCTION LIST WITHCODE WITHCODE",
        "FUNCTION LIST LIBRARYNAME a LIBRARYNAME b",
        NULL,
    };
    static const char *const kinds[] = { "FUNCTION DUMP", "FUNCTION DUMP x", "FUNCTION HELP",
                                         "FUNCTION HELP x", NULL };
    size_t roll = chance_below(c, 100);
    if (roll < 40)
        script_command(s, COMPARE_DEEP, chance_pick(c, lists));
    else if (roll < 95)
        script_command(s, COMPARE_EXACT, chance_pick(c, exact));
    else
        script_command(s, COMPARE_KIND, chance_pick(c, kinds));
}

const struct generator function_generators[] = {
    { "FUNCTION LOAD", 8, make_load },
    { "FUNCTION LOAD of what calls commands", 3, make_load_wrapped },
    { "FCALL", 20, make_call },
    { "FUNCTION DELETE", 2, make_delete },
    { "FUNCTION, others", 4, make_other },
    { NULL, 0, NULL },
};

/* ---- payloads ---- */

static void restore(struct pair *p, struct chance *c, const struct text *payload) {
    static const char *const policies[] = { "", "", "FLUSH", "APPEND", "REPLACE", "REPLACE", "FOO", NULL };
    struct words w = { 0 };
    if (chance_of(c, 50)) ask_line(p, COMPARE_EXACT, "FUNCTION FLUSH");
    words_add_str(&w, "FUNCTION");
    words_add_str(&w, "RESTORE");
    words_add(&w, payload->ptr, payload->len);
    if (chance_of(c, 15)) w.items[2].ptr[chance_below(c, payload->len)] ^= (char)(1 + chance_below(c, 255));
    const char *policy = chance_pick(c, policies);
    if (*policy) words_add_str(&w, policy);
    node_free(ask_both(p, COMPARE_EXACT, &w));
    ask_line(p, COMPARE_DEEP, "FUNCTION LIST WITHCODE");
    ask_line(p, COMPARE_EXACT, "FUNCTION STATS");
    words_release(&w);
}

/* What each side dumps goes to both, after some other libraries took its place. */
static void probe_restore(struct pair *p, struct chance *c) {
    struct script loads = { 0 };
    struct node *reference = client_ask_node(p->reference.inspector, "FUNCTION DUMP");
    struct node *trivet = client_ask_node(p->trivet.inspector, "FUNCTION DUMP");
    for (size_t i = chance_below(c, 3); i > 0; i--) make_load(c, &loads);
    for (size_t i = 0; i < loads.count; i++) node_free(ask_both(p, COMPARE_EXACT, &loads.commands[i].words));
    restore(p, c, &reference->bytes);
    restore(p, c, &trivet->bytes);
    script_release(&loads);
    node_free(reference);
    node_free(trivet);
}

/* The reference refuses it inside of a pipeline. */
static void probe_debug(struct pair *p, struct chance *c) {
    (void)c;
    ask_line(p, COMPARE_EXACT, "SCRIPT DEBUG NO");
    ask_line(p, COMPARE_EXACT, "SCRIPT DEBUG x");
}

const struct probe function_probes[] = {
    { "FUNCTION RESTORE", probe_restore },
    { "SCRIPT DEBUG", probe_debug },
    { NULL, NULL },
};
