/* gen_wrapped.c: scripts and functions that call the commands of all other groups.
 *
 * The commands are arguments (wrapped.c), so there are only a few scripts: they differ in how they call, in
 * the protocol they choose, and in their flags. EVALSHA finds them only if they were there before, on both
 * sides. A script that goes on behind an error has to do the same on both sides. So where they may differ in
 * whether a command fails, the error is caught. */
#include "differential.h"
#include <openssl/sha.h>
#include <stdio.h>

static const char common[] = "local function parse(keys, args)\n"
                             "  local all, i = {}, 1\n"
                             "  while args[i] do\n"
                             "    local n, k = string.match(args[i], '^(%d+) %d+ (%d+) [01]$')\n"
                             "    local a = { n = tonumber(n) }\n"
                             "    for j = 1, a.n do a[j] = args[i + j] end\n"
                             "    if k ~= '0' then a[2] = keys[tonumber(k)] end\n"
                             "    all[#all + 1] = a\n"
                             "    i = i + a.n + 1\n"
                             "  end\n"
                             "  return all\n"
                             "end\n"
                             "local function run(keys, args, how, protocol)\n"
                             "  local all, results = parse(keys, args), {}\n"
                             "  if protocol == 3 then redis.setresp(3) end\n"
                             "  for i, a in ipairs(all) do\n"
                             "    local r, good\n"
                             "    if how == 'pcall' then r = redis.pcall(unpack(a, 1, a.n))\n"
                             "    elseif how == 'catch' then \n"
                             "      good, r = pcall(redis.call, unpack(a, 1, a.n))\n"
                             "      if not good then r = {err = r} end\n"
                             "    else r = redis.call(unpack(a, 1, a.n)) end\n"
                             "    if how == 'alone' then return r end\n"
                             "    if r == nil then r = 'nil' end\n"
                             "    results[i] = r\n"
                             "  end\n"
                             "  return results\n"
                             "end\n";

static const char registering[] =
    "local function add(how, protocol, ro)\n"
    "  redis.register_function{function_name = how .. protocol .. ro,\n"
    "    callback = function(keys, args) return run(keys, args, how, protocol) end,\n"
    "    flags = ro == 'ro' and {'no-writes'} or {}}\n"
    "end\n"
    "add('pcall', 2, '') add('pcall', 3, '') add('pcall', 2, 'ro') add('pcall', 3, 'ro')\n"
    "add('catch', 2, '') add('catch', 3, '') add('catch', 2, 'ro') add('catch', 3, 'ro')\n"
    "add('call', 2, '') add('call', 3, '') add('call', 2, 'ro') add('call', 3, 'ro')\n"
    "add('alone', 2, '') add('alone', 3, '') add('alone', 2, 'ro') add('alone', 3, 'ro')\n";

void add_wrapped_library(struct words *w) {
    words_printf(w, "#!lua name=wrapped\n%s%s", common, registering);
}

static const char *const ways[] = { "pcall", "pcall", "catch", "call", "alone", NULL };
static const char *const first_lines[] = { "", "", "", "#!lua\n", "#!lua flags=no-writes\n", NULL };

static bool inside;

static bool is_one_of(const struct words *w, const char *const *names) {
    for (; *names; names++)
        if (w->count > 0 && slice_equal_nocase(text_slice(&w->items[0]), slice_of(*names))) return true;
    return false;
}

/* 7.0 refuses in scripts what 7.2 lets run there without waiting. */
static const char *const blocking[] = { "BLPOP",    "BRPOP",    "BRPOPLPUSH", "BLMOVE", "BLMPOP",
                                        "BZPOPMIN", "BZPOPMAX", "BZMPOP",     "WAIT",   NULL };
/* They fail on one side only, now and then: compare.c knows when. */
static const char *const one_sided[] = { "GETEX", "SORT",     "SORT_RO", "LPOS",    "XREAD", "XREADGROUP",
                                         "ZRANK", "ZREVRANK", "PFDEBUG", "RESTORE", NULL };

static void make_inner(struct chance *c, struct script *inner, const char *way) {
    size_t wanted = 1 + chance_below(c, chance_of(c, 5) ? 20 : 4);
    if (chance_of(c, 10)) {
        add_database(c, script_command(inner, COMPARE_EXACT, "SELECT"));
        wanted++;
    }
    inside = true;
    while (inner->count < wanted) {
        size_t before = inner->count;
        script_any(inner, c);
        bool stops = strcmp(way, "call") == 0;
        for (size_t i = before; i < inner->count; i++) {
            const struct words *w = &inner->commands[i].words;
            if (is_one_of(w, blocking) || (stops && is_one_of(w, one_sided))) inner->count = before;
        }
    }
    inside = false;
    if (strcmp(way, "alone") == 0) inner->count = 1;
    for (size_t i = 0; i < inner->count; i++)
        if (chance_of(c, 2)) spoil(c, &inner->commands[i].words);
}

static void add_sha(struct chance *c, struct words *w, const char *text) {
    unsigned char sum[SHA_DIGEST_LENGTH];
    struct text hex = { 0 };
    SHA1((const unsigned char *)text, strlen(text), sum);
    bool upper = chance_of(c, 20);
    for (size_t i = 0; i < sizeof sum; i++) text_printf(&hex, upper ? "%02X" : "%02x", sum[i]);
    words_add(w, hex.ptr, hex.len);
    text_release(&hex);
}

static void script_text(struct chance *c, struct text *out, const char *way) {
    text_printf(out, "%s%sreturn run(KEYS, ARGV, '%s', %d)\n", chance_pick(c, first_lines), common, way,
                chance_of(c, 70) ? 2 : 3);
}

/* How the script is called, up to its text, its sum or its name. */
static void add_call(struct chance *c, struct words *w, const char *way) {
    static const char *const names[] = { "EVAL",    "EVAL",     "EVAL",    "EVAL",       "EVAL",
                                         "EVAL_RO", "EVALSHA",  "EVALSHA", "EVALSHA_RO", "FCALL",
                                         "FCALL",   "FCALL_RO", NULL };
    const char *name = chance_pick(c, names);
    words_add_str(w, name);
    if (name[0] == 'F') {
        words_printf(w, "%s%d%s", way, chance_of(c, 70) ? 2 : 3, chance_of(c, name[5] ? 90 : 10) ? "ro" : "");
        return;
    }
    struct text text = { 0 };
    script_text(c, &text, way);
    if (strncmp(name, "EVALSHA", 7) == 0)
        add_sha(c, w, text_str(&text));
    else
        words_add(w, text.ptr, text.len);
    text_release(&text);
}

static bool goes_by_key(struct chance *c, const struct planned *p) {
    return p->words.count > 1 && chance_of(c, 70);
}

static void make_wrapped(struct chance *c, struct script *s) {
    if (inside) return;
    struct script inner = { 0 };
    const char *way = chance_pick(c, ways);
    make_inner(c, &inner, way);
    struct words *w = script_next(s, COMPARE_WRAPPED);
    add_call(c, w, way);
    bool by_key[256] = { false };
    size_t keys = 0;
    for (size_t i = 0; i < inner.count && i < COUNT_OF(by_key); i++) {
        by_key[i] = goes_by_key(c, &inner.commands[i]);
        keys += by_key[i];
    }
    words_printf(w, "%zu", keys);
    for (size_t i = 0; i < inner.count && i < COUNT_OF(by_key); i++) {
        const struct text *key = &inner.commands[i].words.items[1];
        if (by_key[i]) words_add(w, key->ptr, key->len);
    }
    for (size_t i = 0, key = 0; i < inner.count; i++) {
        bool by = i < COUNT_OF(by_key) && by_key[i];
        key += by;
        wrapped_add(w, &inner.commands[i], by ? key : 0, strcmp(way, "alone") == 0);
    }
    script_release(&inner);
}

/* SCRIPT, about the same scripts. */
static void make_script(struct chance *c, struct script *s) {
    static const char *const lines[] = {
        "SCRIPT FLUSH",
        "SCRIPT FLUSH ASYNC",
        "SCRIPT FLUSH SYNC",
        "SCRIPT FLUSH FOO",
        "SCRIPT FLUSH SYNC x",
        "SCRIPT KILL",
        "SCRIPT EXISTS",
        "SCRIPT LOAD",
        "SCRIPT LOAD foo(",
        "SCRIPT FOO",
        "SCRIPT",
        NULL,
    };
    struct text text = { 0 };
    script_text(c, &text, chance_pick(c, ways));
    if (chance_of(c, 40)) {
        struct words *w = script_command(s, COMPARE_EXACT, "SCRIPT LOAD");
        words_add(w, text.ptr, text.len);
    } else if (chance_of(c, 50)) {
        struct words *w = script_command(s, COMPARE_EXACT, "SCRIPT EXISTS");
        for (size_t i = 1 + chance_below(c, 4); i > 0; i--) {
            add_sha(c, w, text_str(&text));
            text_clear(&text);
            script_text(c, &text, chance_pick(c, ways));
        }
    } else if (chance_of(c, 5)) {
        script_command(s, COMPARE_KIND, chance_of(c, 50) ? "SCRIPT HELP" : "SCRIPT HELP x");
    } else {
        script_command(s, COMPARE_EXACT, chance_pick(c, lines));
    }
    text_release(&text);
}

const struct generator wrapped_generators[] = {
    { "scripts around commands", 50, make_wrapped },
    { "SCRIPT", 6, make_script },
    { NULL, 0, NULL },
};
