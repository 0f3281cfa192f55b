/* gen_string.c: random commands of group string. */
#include "differential.h"

/* A past SET EXAT leaves the reference with a dead key that only the next touch removes: so touch it. */
static void touch_after(struct script *s) {
    size_t at = s->count - 1;
    struct words *get = script_command(s, COMPARE_EXACT, "GET");
    const struct text *key = &s->commands[at].words.items[1];
    words_add(get, key->ptr, key->len);
}

static void add_expiry_option(struct chance *c, struct words *w) {
    unsigned which = (unsigned)chance_below(c, 5);
    if (which < EXPIRY_FORMS)
        add_expiry_form(c, w, which);
    else
        words_add_str(w, "KEEPTTL");
}

static void make_set(struct chance *c, struct script *s) {
    static const char *const conditions[] = { "NX", "XX", "nx", "GET", "get", NULL };
    static const char *const wrong[] = { "FOO", "EX", "PERSIST", "", NULL };
    struct words *w = script_command(s, COMPARE_EXACT, "SET");
    add_key(c, w);
    add_value(c, w);
    if (chance_of(c, 25)) words_add_str(w, chance_pick(c, conditions));
    if (chance_of(c, 30)) add_expiry_option(c, w);
    if (chance_of(c, 10)) words_add_str(w, chance_pick(c, conditions));
    if (chance_of(c, 2)) add_expiry_option(c, w);
    if (chance_of(c, 1)) words_add_str(w, chance_pick(c, wrong));
    touch_after(s);
}

static void make_get(struct chance *c, struct script *s) {
    add_key(c, script_command(s, COMPARE_EXACT, "GET"));
}

static void make_getex(struct chance *c, struct script *s) {
    static const char *const wrong[] = { "NX", "EX", "FOO", "PERSIST", NULL };
    struct words *w = script_command(s, COMPARE_EXACT, "GETEX");
    add_key(c, w);
    if (chance_of(c, 20))
        words_add_str(w, "PERSIST");
    else if (chance_of(c, 70))
        add_expiry_option(c, w);
    if (chance_of(c, 4)) words_add_str(w, chance_pick(c, wrong));
}

static void make_of_key(struct chance *c, struct script *s) {
    static const char *const names[] = { "GETDEL", "STRLEN", "INCR", "DECR", "INCR", "strlen", NULL };
    add_key(c, script_command(s, COMPARE_EXACT, chance_pick(c, names)));
}

static void make_of_key_and_value(struct chance *c, struct script *s) {
    static const char *const names[] = { "GETSET", "SETNX", NULL };
    struct words *w = script_command(s, COMPARE_EXACT, chance_pick(c, names));
    add_key(c, w);
    add_value(c, w);
}

static void make_append(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, "APPEND");
    add_key(c, w);
    add_small_value(c, w);
}

static void make_incrby(struct chance *c, struct script *s) {
    static const char *const names[] = { "INCRBY", "DECRBY", NULL };
    struct words *w = script_command(s, COMPARE_EXACT, chance_pick(c, names));
    add_key(c, w);
    add_integer(c, w);
}

static void make_incrbyfloat(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, "INCRBYFLOAT");
    add_key(c, w);
    add_float(c, w);
}

static void make_setex(struct chance *c, struct script *s) {
    bool in_ms = chance_of(c, 50);
    struct words *w = script_command(s, COMPARE_EXACT, in_ms ? "PSETEX" : "SETEX");
    add_key(c, w);
    if (in_ms)
        add_milliseconds(c, w);
    else
        add_seconds(c, w);
    add_value(c, w);
}

static void make_setrange(struct chance *c, struct script *s) {
    static const char *const edges[] = { "0", "44", "45", "20000", "-1", "536870912", "9223372036854775807",
                                         "a", NULL };
    struct words *w = script_command(s, COMPARE_EXACT, "SETRANGE");
    add_key(c, w);
    if (chance_of(c, 80))
        words_printf(w, "%zu", chance_below(c, 100));
    else
        words_add_str(w, chance_pick(c, edges));
    add_small_value(c, w);
}

static void make_getrange(struct chance *c, struct script *s) {
    static const char *const names[] = { "GETRANGE", "SUBSTR", NULL };
    struct words *w = script_command(s, COMPARE_EXACT, chance_pick(c, names));
    add_key(c, w);
    add_index(c, w);
    add_index(c, w);
}

static void make_mget(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, "MGET");
    for (size_t i = 1 + chance_below(c, 8); i > 0; i--) add_key(c, w);
}

static void make_mset(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, chance_of(c, 60) ? "MSET" : "MSETNX");
    for (size_t i = 1 + chance_below(c, 5); i > 0; i--) {
        add_key(c, w);
        add_value(c, w);
    }
}

/* On keys of its own with short values: the work of LCS is the product of both lengths. */
static void make_lcs(struct chance *c, struct script *s) {
    static const char *const options[] = { "LEN", "IDX", "WITHMATCHLEN", "MINMATCHLEN", "idx", "FOO", NULL };
    for (int side = 0; side < 2; side++) {
        struct words *set = script_command(s, COMPARE_EXACT, side ? "SET lcs:b" : "SET lcs:a");
        size_t len = chance_below(c, 40);
        struct text value = { 0 };
        for (size_t i = 0; i < len; i++) text_append_char(&value, (char)('a' + chance_below(c, 3)));
        words_add(set, text_str(&value), len);
        text_release(&value);
    }
    struct words *w =
        script_command(s, COMPARE_EXACT, chance_of(c, 90) ? "LCS lcs:a lcs:b" : "LCS lcs:a none");
    for (size_t i = chance_below(c, 4); i > 0; i--) {
        const char *option = chance_pick(c, options);
        words_add_str(w, option);
        if (option[0] == 'M' && chance_of(c, 95)) words_printf(w, "%lld", (long long)chance_below(c, 8) - 1);
    }
}

const struct generator string_generators[] = {
    { "SET", 30, make_set },
    { "GET", 20, make_get },
    { "GETEX", 8, make_getex },
    { "GETDEL STRLEN INCR DECR", 14, make_of_key },
    { "GETSET SETNX", 6, make_of_key_and_value },
    { "APPEND", 8, make_append },
    { "INCRBY DECRBY", 10, make_incrby },
    { "INCRBYFLOAT", 8, make_incrbyfloat },
    { "SETEX PSETEX", 6, make_setex },
    { "SETRANGE", 8, make_setrange },
    { "GETRANGE SUBSTR", 10, make_getrange },
    { "MGET", 6, make_mget },
    { "MSET MSETNX", 6, make_mset },
    { "LCS", 4, make_lcs },
    { NULL, 0, NULL },
};
