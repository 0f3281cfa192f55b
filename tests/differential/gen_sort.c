/* gen_sort.c: random commands SORT and SORT_RO, on keys of their own. Weights
 * are often equal, but never where the elements' order would depend on a table. */
#include "differential.h"

/* No sorted sets: the reference turns a small one into its big form for good when it sorts it. By text only
 * what has no zero byte: there the reference's comparison (strcoll) ends. */
static void add_sort_key(struct chance *c, struct words *w, bool alpha) {
    static const char *const kinds[] = { "sort", "numbers", "weight", "weights", "texts", NULL };
    words_printf(w, "%s:%zu", alpha ? "texts" : chance_pick(c, kinds), chance_below(c, 5));
}

static void make_set_of_numbers(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, chance_of(c, 80) ? "SADD" : "SREM");
    words_printf(w, "numbers:%zu", chance_below(c, 5));
    for (size_t i = 1 + chance_below(c, 5); i > 0; i--) words_printf(w, "%zu", chance_below(c, 1000));
}

static void make_texts(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, chance_of(c, 80) ? "SADD" : "SREM");
    words_printf(w, "texts:%zu", chance_below(c, 5));
    for (size_t i = 1 + chance_below(c, 6); i > 0; i--) {
        char text[8];
        size_t len = chance_below(c, sizeof text);
        for (size_t at = 0; at < len; at++)
            text[at] = (char)(chance_of(c, 50) ? 'a' + chance_below(c, 3) : 1 + chance_below(c, 255));
        words_add(w, text, len);
    }
}

static void add_pattern(struct chance *c, struct words *w) {
    static const char *const patterns[] = {
        "#", "weight:*",   "weight:*", "weight:*->f", "weights:*->f", "k*", "none:*",
        "*", "weight:*->", "weight",   "weight:*-",   "->*",          NULL
    };
    words_add_str(w, chance_pick(c, patterns));
}

static void make_numbers(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, chance_of(c, 50) ? "RPUSH" : "LPUSH");
    words_printf(w, "sort:%zu", chance_below(c, 5));
    for (size_t i = 1 + chance_below(c, 12); i > 0; i--) words_printf(w, "%zu", chance_below(c, 40));
}

static void make_weight(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, chance_of(c, 50) ? "SET" : "HSET");
    bool hash = w->items[0].len == 4;
    words_printf(w, hash ? "weights:%zu" : "weight:%zu", chance_below(c, 40));
    if (hash) words_add_str(w, "f");
    if (chance_of(c, 10))
        add_small_value(c, w);
    else
        words_printf(w, "%zu", chance_below(c, 30));
}

static void make_trim(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, "LTRIM");
    words_printf(w, "sort:%zu", chance_below(c, 5));
    words_add_str(w, "0");
    words_add_str(w, "30");
}

static void add_options(struct chance *c, struct words *w, bool sorts) {
    if (sorts && chance_of(c, 40)) {
        words_add_str(w, "BY");
        add_pattern(c, w);
    }
    if (chance_of(c, 30)) {
        words_add_str(w, "limit");
        add_index(c, w);
        add_index(c, w);
    }
    for (size_t i = chance_of(c, 30) ? 1 + chance_below(c, 3) : 0; i > 0; i--) {
        words_add_str(w, "GET");
        add_pattern(c, w);
    }
    if (chance_of(c, 40)) words_add_str(w, chance_of(c, 60) ? "DESC" : "asc");
    if (chance_of(c, 2)) words_add_str(w, "FOO");
}

/* ALPHA only where no two weights can be equal: without BY. */
static void make_sort(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, chance_of(c, 70) ? "SORT" : "SORT_RO");
    bool alpha = chance_of(c, 40);
    /* only texts: Redis 7.0 now and then calls a number none, because of an errno that another command left
     */
    bool stores = alpha && w->items[0].len == 4 && chance_of(c, 50);
    if (chance_of(c, 60))
        words_printf(w, "sort:%zu", chance_below(c, 5));
    else
        add_sort_key(c, w, alpha);
    if (alpha) words_add_str(w, "ALPHA");
    add_options(c, w, !alpha && strncmp(text_str(&w->items[1]), "sort", 4) == 0);
    if (!stores) return;
    words_add_str(w, "STORE");
    words_printf(w, "sort:%zu", chance_below(c, 5));
}

const struct generator sort_generators[] = {
    { "sort-push", 8, make_numbers },
    { "sort-texts", 3, make_texts },
    { "sort-numbers", 3, make_set_of_numbers },
    { "sort-weight", 6, make_weight },
    { "sort-trim", 2, make_trim },
    { "SORT", 14, make_sort },
    { NULL, 0, NULL },
};
