/* gen_zset.c: random commands of group sorted-set. Scores are few, so that members tie, and of the kind that
 * all versions print alike (no long decimals, no integers that 7.0 writes with an exponent). What chance
 * decides is compared by its kind alone. */
#include "differential.h"
#include <stdio.h>
#include <stdlib.h>

/* Keys of their own, of which some have only one score: by text only those are in order. */
static void add_zset_key(struct chance *c, struct words *w) {
    if (chance_of(c, 12))
        add_key(c, w);
    else
        words_printf(w, "z%zu", chance_below(c, 8));
}

static void add_lex_key(struct chance *c, struct words *w) { words_printf(w, "lex%zu", chance_below(c, 3)); }

/* Sets too, where commands take both. */
static void add_source_key(struct chance *c, struct words *w) {
    if (chance_of(c, 25))
        words_printf(w, "set:%zu", chance_below(c, 8));
    else
        add_zset_key(c, w);
}

static void add_score(struct chance *c, struct words *w) {
    static const char *const some[] = { "0",        "-1",   "0.5",       "-2.25",  "inf", "-inf",
                                        "+inf",     "1e3",  "1e9",       "-0.125", "3.0", "0x10",
                                        "infinity", "1024", "123456789", NULL };
    static const char *const wrong[] = { "", "a", "nan", "1 ", "--1", "1e400", NULL };
    size_t roll = chance_below(c, 100);
    if (roll < 60)
        words_printf(w, "%lld", (long long)chance_below(c, 40) - 10);
    else if (roll < 98)
        words_add_str(w, chance_pick(c, some));
    else
        words_add_str(w, chance_pick(c, wrong));
}

static void add_member(struct chance *c, struct words *w) {
    size_t roll = chance_below(c, 200);
    if (roll < 80)
        words_printf(w, "m%zu", chance_below(c, 200));
    else if (roll < 199)
        words_printf(w, "%lld", (long long)chance_below(c, 100) - 20);
    else
        add_small_value(c, w);
}

static void add_score_end(struct chance *c, struct words *w) {
    static const char *const some[] = { "-inf", "+inf", "(-inf", "(inf", "(0",  "0.5",
                                        "(",    "",     "a",     "(a",   "nan", NULL };
    if (chance_of(c, 30))
        words_add_str(w, chance_pick(c, some));
    else
        words_printf(w, "%s%lld", chance_of(c, 30) ? "(" : "", (long long)chance_below(c, 50) - 15);
}

static void add_lex_end(struct chance *c, struct words *w) {
    static const char *const some[] = {
        "-", "+", "-", "+", "[", "(", "[m", "(m1", "[9", "a", "", "+a", NULL
    };
    if (chance_of(c, 50))
        words_add_str(w, chance_pick(c, some));
    else
        words_printf(w, "%sm%zu", chance_of(c, 50) ? "(" : "[", chance_below(c, 200));
}

static void add_limit(struct chance *c, struct words *w) {
    if (!chance_of(c, 40)) return;
    words_add_str(w, chance_of(c, 50) ? "LIMIT" : "limit");
    words_printf(w, "%lld", (long long)chance_below(c, 20) - 2);
    if (chance_of(c, 98)) words_printf(w, "%lld", (long long)chance_below(c, 20) - 2);
}

static void maybe_add(struct chance *c, struct words *w, unsigned percent, const char *word) {
    if (chance_of(c, percent)) words_add_str(w, word);
}

static void make_zadd(struct chance *c, struct script *s) {
    static const char *const options[] = { "NX", "XX", "GT", "LT", "CH", "ch", "xx", NULL };
    struct words *w = script_command(s, COMPARE_EXACT, "ZADD");
    add_zset_key(c, w);
    if (chance_of(c, 40)) words_add_str(w, chance_pick(c, options));
    if (chance_of(c, 20)) words_add_str(w, chance_pick(c, options));
    bool incr = chance_of(c, 15);
    if (incr) words_add_str(w, "INCR");
    size_t pairs = incr && chance_of(c, 95)
                       ? 1
                       : 1 + limit_below(c, chance_of(c, 10) ? 60 : 4, "zset-max-listpack-entries");
    for (; pairs > 0; pairs--) {
        add_score(c, w);
        add_member(c, w);
    }
    if (chance_of(c, 1)) words_add_str(w, "odd");
}

static void make_lex_zadd(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, "ZADD");
    add_lex_key(c, w);
    for (size_t i = 1 + limit_below(c, 20, "zset-max-listpack-entries"); i > 0; i--) {
        words_add_str(w, "7");
        add_member(c, w);
    }
}

static void make_zincrby(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, "ZINCRBY");
    add_zset_key(c, w);
    add_score(c, w);
    add_member(c, w);
}

static void make_of_members(struct chance *c, struct script *s) {
    static const char *const names[] = { "ZREM", "ZREM", "ZMSCORE", NULL };
    struct words *w = script_command(s, COMPARE_EXACT, chance_pick(c, names));
    add_zset_key(c, w);
    for (size_t i = 1 + chance_below(c, chance_of(c, 10) ? 60 : 5); i > 0; i--) add_member(c, w);
}

static void make_of_member(struct chance *c, struct script *s) {
    static const char *const names[] = { "ZSCORE", "ZRANK", "ZREVRANK", "zscore", NULL };
    struct words *w = script_command(s, COMPARE_EXACT, chance_pick(c, names));
    add_zset_key(c, w);
    add_member(c, w);
}

static void make_of_key(struct chance *c, struct script *s) {
    static const char *const names[] = { "ZCARD", "TYPE", "OBJECT ENCODING", "ZPOPMIN", "ZPOPMAX", NULL };
    const char *name = chance_pick(c, names);
    struct words *w = script_command(s, COMPARE_EXACT, name);
    add_zset_key(c, w);
    if (name[1] == 'P' && chance_of(c, 50)) add_index(c, w);
}

static void make_by_rank(struct chance *c, struct script *s) {
    static const char *const names[] = { "ZRANGE", "ZREVRANGE", "ZREMRANGEBYRANK", NULL };
    const char *name = chance_pick(c, names);
    struct words *w = script_command(s, COMPARE_EXACT, name);
    add_zset_key(c, w);
    add_index(c, w);
    if (name[3] == 'M')
        words_printf(w, "%lld", (long long)chance_below(c, 40) - 45);
    else
        add_index(c, w);
    if (name[3] == 'M') return;
    maybe_add(c, w, 40, "WITHSCORES");
    maybe_add(c, w, 15, "REV");
    maybe_add(c, w, 1, "FOO");
    if (chance_of(c, 5)) add_limit(c, w);
}

static void make_by_score(struct chance *c, struct script *s) {
    static const char *const names[] = { "ZRANGEBYSCORE", "ZREVRANGEBYSCORE", "ZCOUNT", "ZREMRANGEBYSCORE",
                                         NULL };
    const char *name = chance_pick(c, names);
    struct words *w = script_command(s, COMPARE_EXACT, name);
    add_zset_key(c, w);
    add_score_end(c, w);
    add_score_end(c, w);
    if (name[1] == 'C' || strcmp(name, "ZREMRANGEBYSCORE") == 0) return;
    maybe_add(c, w, 40, "withscores");
    add_limit(c, w);
}

static void make_by_lex(struct chance *c, struct script *s) {
    static const char *const names[] = { "ZRANGEBYLEX", "ZREVRANGEBYLEX", "ZLEXCOUNT", "ZREMRANGEBYLEX",
                                         NULL };
    const char *name = chance_pick(c, names);
    struct words *w = script_command(s, COMPARE_EXACT, name);
    add_lex_key(c, w);
    add_lex_end(c, w);
    add_lex_end(c, w);
    if (name[1] == 'L' || strcmp(name, "ZREMRANGEBYLEX") == 0) return;
    maybe_add(c, w, 2, "WITHSCORES");
    add_limit(c, w);
}

/* ZRANGE with words for everything, and ZRANGESTORE, which takes the same. */
static void make_range_by_words(struct chance *c, struct script *s) {
    bool store = chance_of(c, 40), lex = chance_of(c, 30);
    struct words *w = script_command(s, COMPARE_EXACT, store ? "ZRANGESTORE" : "ZRANGE");
    if (store) add_zset_key(c, w);
    if (lex)
        add_lex_key(c, w);
    else
        add_zset_key(c, w);
    bool by_score = !lex && chance_of(c, 60);
    for (int i = 0; i < 2; i++) {
        if (lex)
            add_lex_end(c, w);
        else if (by_score)
            add_score_end(c, w);
        else
            add_index(c, w);
    }
    if (lex) words_add_str(w, "BYLEX");
    if (by_score) words_add_str(w, "byscore");
    maybe_add(c, w, 40, "REV");
    maybe_add(c, w, store || lex ? 3 : 40, "WITHSCORES");
    if (lex || by_score || chance_of(c, 5)) add_limit(c, w);
}

static void add_source_keys(struct chance *c, struct words *w, size_t keys) {
    static const char *const wrong[] = { "0", "-1", "a", "9", "", NULL };
    if (chance_of(c, 97))
        words_printf(w, "%zu", keys);
    else
        words_add_str(w, chance_pick(c, wrong));
    for (size_t i = 0; i < keys; i++) add_source_key(c, w);
}

/* The order in which sources are combined is the server's own, so nothing here may depend on it: no
 * infinities, whose sums do, and for MIN and MAX no weight that makes a zero negative. */
static void add_weights(struct chance *c, struct words *w, size_t keys) {
    static const char *const any[] = { "0", "1", "-1", "2", "0.5", "-3", NULL };
    static const char *const positive[] = { "1", "2", "0.5", NULL };
    static const char *const aggregates[] = { "SUM", "MIN", "MAX", "max", "min", "MEAN", NULL };
    const char *aggregate = chance_of(c, 40) ? chance_pick(c, aggregates) : NULL;
    if (chance_of(c, 40)) {
        words_add_str(w, "WEIGHTS");
        for (; keys > 0; keys--)
            words_add_str(w, chance_of(c, 99) ? chance_pick(c, aggregate ? positive : any) : "a");
    }
    if (!aggregate) return;
    words_add_str(w, "AGGREGATE");
    words_add_str(w, aggregate);
}

static void make_combine(struct chance *c, struct script *s) {
    static const char *const names[] = { "ZUNION", "ZINTER", "ZDIFF", NULL };
    const char *name = chance_pick(c, names);
    struct words *w = script_command(s, COMPARE_EXACT, name);
    size_t keys = 1 + chance_below(c, 3);
    add_source_keys(c, w, keys);
    if (name[1] != 'D' || chance_of(c, 3)) add_weights(c, w, keys);
    maybe_add(c, w, 50, "WITHSCORES");
}

/* Into keys that are no sources: sums of sums would grow to numbers that 7.0 writes differently. */
static void make_combine_store(struct chance *c, struct script *s) {
    static const char *const names[] = { "ZUNIONSTORE", "ZINTERSTORE", "ZDIFFSTORE", NULL };
    const char *name = chance_pick(c, names);
    struct words *w = script_command(s, COMPARE_EXACT, name);
    size_t keys = 1 + chance_below(c, 3);
    words_printf(w, "zd%zu", chance_below(c, 3));
    add_source_keys(c, w, keys);
    if (name[1] != 'D' || chance_of(c, 3)) add_weights(c, w, keys);
    maybe_add(c, w, 2, "WITHSCORES");
}

static void make_zintercard(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, "ZINTERCARD");
    add_source_keys(c, w, 1 + chance_below(c, 3));
    if (!chance_of(c, 40)) return;
    words_add_str(w, chance_of(c, 95) ? "LIMIT" : "FOO");
    if (chance_of(c, 95)) add_index(c, w);
}

static void make_zmpop(struct chance *c, struct script *s) {
    static const char *const wheres[] = { "MIN", "MAX", "min", "FOO", NULL };
    static const char *const counts[] = { "1", "2", "5", "0", "-1", "a", NULL };
    struct words *w = script_command(s, COMPARE_EXACT, "ZMPOP");
    add_source_keys(c, w, 1 + chance_below(c, 3));
    words_add_str(w, chance_pick(c, wheres));
    if (!chance_of(c, 50)) return;
    words_add_str(w, "COUNT");
    if (chance_of(c, 97)) words_add_str(w, chance_pick(c, counts));
}

/* In a transaction it does not wait; alone it would, were there no such member. */
static void make_blocking(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, "ZADD");
    words_printf(w, "z%zu", chance_below(c, 8));
    size_t at = s->count - 1;
    add_score(c, w);
    add_member(c, w);
    w = script_command(s, COMPARE_EXACT, chance_of(c, 50) ? "BZPOPMIN" : "BZPOPMAX");
    const struct text *key = &s->commands[at].words.items[1];
    if (chance_of(c, 30)) words_add_str(w, "none");
    words_add(w, key->ptr, key->len);
    words_add_str(w, "0.001");
}

static void make_zrandmember(struct chance *c, struct script *s) {
    static const char *const counts[] = { "1",
                                          "-1",
                                          "3",
                                          "-7",
                                          "0",
                                          "100",
                                          "200",
                                          "a",
                                          "-9223372036854775808",
                                          "9223372036854775807",
                                          "-4611686018427387904",
                                          NULL };
    struct words *w = script_command(s, COMPARE_KIND, "ZRANDMEMBER");
    words_printf(w, "z%zu", chance_below(c, 8));
    w = script_command(s, COMPARE_EXACT, "ZRANDMEMBER none");
    words_add_str(w, chance_pick(c, counts));
    maybe_add(c, w, 50, "WITHSCORES");
    maybe_add(c, w, 3, "WITHSCORES");
}

static void make_key_changes(struct chance *c, struct script *s) {
    static const char *const names[] = { "DEL", "COPY", "RENAME", NULL };
    const char *name = chance_pick(c, names);
    struct words *w = script_command(s, COMPARE_EXACT, name);
    words_printf(w, "z%zu", chance_below(c, 8));
    if (name[0] != 'D') words_printf(w, "z%zu", chance_below(c, 8));
}

const struct generator zset_generators[] = {
    { "ZADD", 40, make_zadd },
    { "ZADD of one score", 8, make_lex_zadd },
    { "ZINCRBY", 10, make_zincrby },
    { "ZREM ZMSCORE", 8, make_of_members },
    { "ZSCORE ZRANK ZREVRANK", 10, make_of_member },
    { "ZCARD TYPE OBJECT ZPOPMIN ZPOPMAX", 8, make_of_key },
    { "ZRANGE ZREVRANGE ZREMRANGEBYRANK", 12, make_by_rank },
    { "ZRANGEBYSCORE ZREVRANGEBYSCORE ZCOUNT ZREMRANGEBYSCORE", 12, make_by_score },
    { "ZRANGEBYLEX ZREVRANGEBYLEX ZLEXCOUNT ZREMRANGEBYLEX", 12, make_by_lex },
    { "ZRANGE ZRANGESTORE", 14, make_range_by_words },
    { "ZUNION ZINTER ZDIFF", 10, make_combine },
    { "ZUNIONSTORE ZINTERSTORE ZDIFFSTORE", 10, make_combine_store },
    { "ZINTERCARD", 4, make_zintercard },
    { "ZMPOP", 5, make_zmpop },
    { "BZPOPMIN BZPOPMAX", 3, make_blocking },
    { "ZRANDMEMBER", 2, make_zrandmember },
    { "DEL COPY RENAME", 2, make_key_changes },
    { NULL, 0, NULL },
};

/* Walks over a whole set on one side; sorted, since the order is each server's own. */
static struct node *scan_all(struct side *side, const char *key) {
    struct text cursor = { 0 }, line = { 0 };
    struct node *all = calloc(1, sizeof *all);
    if (!all) abort();
    all->kind = '*';
    text_append_str(&cursor, "0");
    do {
        text_clear(&line);
        text_printf(&line, "ZSCAN %s %s COUNT 7", key, text_str(&cursor));
        struct node *page = client_ask_node(side->inspector, "%s", text_str(&line));
        text_clear(&cursor);
        text_append_str(&cursor, page->count == 2 ? text_str(&page->items[0]->bytes) : "0");
        struct node *found = page->count == 2 ? page->items[1] : NULL;
        for (size_t i = 0; found && i < found->count; i += 2) {
            all->items = realloc(all->items, (all->count + 1) * sizeof all->items[0]);
            if (!all->items) abort();
            /* Member and score as one text, so that sorting keeps them together. */
            text_append_char(&found->items[i]->bytes, ' ');
            text_append_str(&found->items[i]->bytes, text_str(&found->items[i + 1]->bytes));
            all->items[all->count++] = found->items[i];
            found->items[i] = NULL;
        }
        node_free(page);
    } while (strcmp(text_str(&cursor), "0") != 0);
    text_release(&cursor);
    text_release(&line);
    node_sort(all);
    return all;
}

static void probe_zscan(struct pair *p, struct chance *c) {
    struct words command = { 0 };
    char key[8];
    snprintf(key, sizeof key, "z%zu", chance_below(c, 8));
    words_printf(&command, "TYPE");
    words_add_str(&command, key);
    struct node *type = ask_both(p, COMPARE_EXACT, &command);
    if (strcmp(text_str(&type->bytes), "zset") == 0) {
        words_clear(&command);
        words_printf(&command, "ZSCAN (all) %s", key);
        struct node *reference = scan_all(&p->reference, key), *trivet = scan_all(&p->trivet, key);
        if (!replies_match(&command, COMPARE_EXACT, reference, trivet))
            report_difference(&command, reference, trivet, "probe");
        node_free(reference);
        node_free(trivet);
    }
    node_free(type);
    words_release(&command);
}

const struct probe zset_probes[] = { { "ZSCAN", probe_zscan }, { NULL, NULL } };
