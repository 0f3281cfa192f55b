/* gen_list.c: random commands of group list. Mostly on keys of their own, so that lists grow beyond a node.
 */
#include "differential.h"

static void add_list(struct chance *c, struct words *w) {
    if (chance_of(c, 85))
        words_printf(w, "list:%zu", chance_below(c, 6));
    else
        add_key(c, w);
}

/* Few different ones, so that LREM, LPOS and LINSERT find some. */
static void add_element(struct chance *c, struct words *w) {
    if (chance_of(c, 60))
        words_printf(w, chance_of(c, 70) ? "%zu" : "e%zu", chance_below(c, 8));
    else if (chance_of(c, 97))
        add_small_value(c, w);
    else
        add_value(c, w);
}

static void add_end(struct chance *c, struct words *w) {
    static const char *const ends[] = { "LEFT", "RIGHT", "left", "Right", "UP", NULL };
    words_add_str(w, chance_of(c, 97) ? (chance_of(c, 50) ? "LEFT" : "RIGHT") : chance_pick(c, ends));
}

static void make_push(struct chance *c, struct script *s) {
    static const char *const names[] = { "LPUSH", "RPUSH", "LPUSH", "RPUSH", "LPUSHX", "RPUSHX", NULL };
    struct words *w = script_command(s, COMPARE_EXACT, chance_pick(c, names));
    add_list(c, w);
    size_t count = 1 + chance_below(c, chance_of(c, 5) ? 200 : 6);
    for (size_t i = 0; i < count; i++) add_element(c, w);
}

static void make_pop(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, chance_of(c, 50) ? "LPOP" : "RPOP");
    add_list(c, w);
    if (chance_of(c, 40))
        words_printf(w, "%zu", chance_below(c, chance_of(c, 10) ? 500 : 5));
    else if (chance_of(c, 5))
        add_integer(c, w);
}

static void make_of_index(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, "LINDEX");
    add_list(c, w);
    add_index(c, w);
}

static void make_set(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, "LSET");
    add_list(c, w);
    add_index(c, w);
    add_element(c, w);
}

static void make_range(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, "LRANGE");
    add_list(c, w);
    add_index(c, w);
    add_index(c, w);
}

/* Mostly a few elements from the ends; now and then next to nothing is left. */
static void make_trim(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, "LTRIM");
    add_list(c, w);
    if (chance_of(c, 85)) {
        words_printf(w, "%zu", chance_below(c, 4));
        words_printf(w, "-%zu", 1 + chance_below(c, 4));
    } else {
        add_index(c, w);
        add_index(c, w);
    }
}

static void make_insert(struct chance *c, struct script *s) {
    static const char *const wheres[] = { "BEFORE", "AFTER", "before", "After", "MIDDLE", NULL };
    struct words *w = script_command(s, COMPARE_EXACT, "LINSERT");
    add_list(c, w);
    words_add_str(w, chance_of(c, 95) ? (chance_of(c, 50) ? "BEFORE" : "AFTER") : chance_pick(c, wheres));
    add_element(c, w);
    add_element(c, w);
}

static void make_remove(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, "LREM");
    add_list(c, w);
    if (chance_of(c, 90))
        words_printf(w, "%lld", (long long)chance_below(c, 9) - 4);
    else
        add_integer(c, w);
    add_element(c, w);
}

static void make_pos(struct chance *c, struct script *s) {
    static const char *const options[] = { "RANK", "COUNT", "MAXLEN", "rank", "FOO", NULL };
    struct words *w = script_command(s, COMPARE_EXACT, "LPOS");
    add_list(c, w);
    add_element(c, w);
    for (size_t i = chance_below(c, 4); i > 0; i--) {
        words_add_str(w, chance_pick(c, options));
        if (chance_of(c, 2)) continue;
        if (chance_of(c, 85))
            words_printf(w, "%lld", (long long)chance_below(c, 30) - 5);
        else
            add_integer(c, w);
    }
}

static void make_length(struct chance *c, struct script *s) {
    static const char *const names[] = { "LLEN", "TYPE", "OBJECT ENCODING", NULL };
    add_list(c, script_command(s, COMPARE_EXACT, chance_pick(c, names)));
}

static void make_move(struct chance *c, struct script *s) {
    bool old = chance_of(c, 30);
    struct words *w = script_command(s, COMPARE_EXACT, old ? "RPOPLPUSH" : "LMOVE");
    add_list(c, w);
    add_list(c, w);
    if (old) return;
    add_end(c, w);
    add_end(c, w);
}

static void add_mpop(struct chance *c, struct words *w) {
    size_t keys = 1 + chance_below(c, 3);
    if (chance_of(c, 95))
        words_printf(w, "%zu", keys);
    else
        add_integer(c, w);
    for (size_t i = 0; i < keys; i++) add_list(c, w);
    add_end(c, w);
    if (chance_of(c, 50)) {
        words_add_str(w, chance_of(c, 95) ? "COUNT" : "FOO");
        if (chance_of(c, 90))
            words_printf(w, "%zu", chance_below(c, 8));
        else
            add_integer(c, w);
    }
    if (chance_of(c, 2)) words_add_str(w, "COUNT");
}

static void make_mpop(struct chance *c, struct script *s) {
    add_mpop(c, script_command(s, COMPARE_EXACT, "LMPOP"));
}

/* Short enough that nobody minds if there is nothing to take. */
static void add_timeout(struct chance *c, struct words *w) {
    static const char *const bad[] = { "-1", "a", "", "-0.5", " 1", NULL };
    words_add_str(w, chance_of(c, 95) ? "0.002" : chance_pick(c, bad));
}

static void make_blocking(struct chance *c, struct script *s) {
    static const char *const names[] = { "BLPOP", "BRPOP", "BLMOVE", "BRPOPLPUSH", "BLMPOP", NULL };
    size_t which = chance_below(c, 5);
    struct words *w = script_command(s, COMPARE_EXACT, names[which]);
    switch (which) {
    case 0:
    case 1:
        for (size_t i = 1 + chance_below(c, 3); i > 0; i--) add_list(c, w);
        break;
    case 2:
    case 3:
        add_list(c, w);
        add_list(c, w);
        if (which == 3) break;
        add_end(c, w);
        add_end(c, w);
        break;
    default:
        add_timeout(c, w);
        add_mpop(c, w);
        return;
    }
    add_timeout(c, w);
}

static void make_whole(struct chance *c, struct script *s) {
    static const char *const names[] = { "DEL", "UNLINK", "RENAME", "COPY", NULL };
    const char *name = chance_pick(c, names);
    struct words *w = script_command(s, COMPARE_EXACT, name);
    add_list(c, w);
    if (name[0] == 'R' || name[0] == 'C') add_list(c, w);
    if (name[0] == 'C' && chance_of(c, 70)) words_add_str(w, "REPLACE");
}

const struct generator list_generators[] = {
    { "LPUSH RPUSH LPUSHX RPUSHX", 30, make_push },
    { "LPOP RPOP", 14, make_pop },
    { "LINDEX", 6, make_of_index },
    { "LSET", 8, make_set },
    { "LRANGE", 8, make_range },
    { "LTRIM", 4, make_trim },
    { "LINSERT", 10, make_insert },
    { "LREM", 6, make_remove },
    { "LPOS", 8, make_pos },
    { "LLEN TYPE OBJECT", 4, make_length },
    { "LMOVE RPOPLPUSH", 8, make_move },
    { "LMPOP", 4, make_mpop },
    { "BLPOP BRPOP BLMOVE BRPOPLPUSH BLMPOP", 3, make_blocking },
    { "DEL UNLINK RENAME COPY", 1, make_whole },
    { NULL, 0, NULL },
};
