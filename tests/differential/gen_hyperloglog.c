/* gen_hyperloglog.c: random commands of group hyperloglog. The bytes are compared too, by GET. */
#include "differential.h"

static void add_hll_key(struct chance *c, struct words *w) {
    if (chance_of(c, 8))
        add_key(c, w);
    else
        words_printf(w, "hll:%zu", chance_below(c, 6));
}

static void make_pfadd(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, "PFADD");
    add_hll_key(c, w);
    for (size_t i = chance_below(c, chance_of(c, 20) ? 300 : 8); i > 0; i--) {
        if (chance_of(c, 10))
            add_small_value(c, w);
        else
            words_printf(w, "e%zu", chance_below(c, 100000));
    }
}

static void make_pfcount(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, "PFCOUNT");
    for (size_t i = chance_of(c, 50) ? 1 : 1 + chance_below(c, 4); i > 0; i--) add_hll_key(c, w);
}

static void make_pfmerge(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, "PFMERGE");
    for (size_t i = 1 + chance_below(c, 4); i > 0; i--) add_hll_key(c, w);
}

static void make_pfdebug(struct chance *c, struct script *s) {
    static const char *const subcommands[] = { "DECODE", "decode", "ENCODING", "ENCODING", "FOO", NULL };
    struct words *w = script_command(s, COMPARE_EXACT, "PFDEBUG");
    words_add_str(w, chance_of(c, 1) ? "TODENSE" : chance_pick(c, subcommands));
    add_hll_key(c, w);
}

static void make_get(struct chance *c, struct script *s) {
    add_hll_key(c, script_command(s, COMPARE_EXACT, "GET"));
}

/* Now and then one begins anew, or sparse bytes come from a client. */
static void make_reset(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, chance_of(c, 50) ? "DEL" : "SET");
    add_hll_key(c, w);
    if (w->items[0].len == 3 && w->items[0].ptr[0] == 'D') return;
    static const char empty[] = "HYLL\1\0\0\0\0\0\0\0\0\0\0\0\x7f\xff";
    words_add(w, empty, sizeof empty - 1);
}

const struct generator hyperloglog_generators[] = {
    { "PFADD", 14, make_pfadd },   { "PFCOUNT", 6, make_pfcount }, { "PFMERGE", 2, make_pfmerge },
    { "PFDEBUG", 3, make_pfdebug }, { "hll-GET", 3, make_get },     { "hll-reset", 1, make_reset },
    { NULL, 0, NULL },
};
