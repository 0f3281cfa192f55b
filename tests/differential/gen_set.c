/* gen_set.c: random commands of group set. What chance decides (SPOP, SRANDMEMBER) is compared by its kind
 * alone or done by probes, which leave it no choice, so that both sides stay equal. */
#include "differential.h"
#include <stdlib.h>

/* Keys of their own, so that sets grow across the limits; now and then one that all groups share. */
static void add_set_key(struct chance *c, struct words *w) {
    if (chance_of(c, 25))
        add_key(c, w);
    else
        words_printf(w, "set:%zu", chance_below(c, 8));
}

static void add_member(struct chance *c, struct words *w) {
    size_t roll = chance_below(c, 100);
    if (roll < 40)
        words_printf(w, "%lld", (long long)chance_below(c, 900) - 100);
    else if (roll < 80)
        words_printf(w, "m%zu", chance_below(c, 250));
    else
        add_small_value(c, w);
}

/* Up to `most` members of one kind: few commands then make a set of a certain form. */
static void add_members(struct chance *c, struct words *w, size_t most) {
    size_t count = 1 + limit_below(c, chance_of(c, 10) ? most : 6, "set-max-intset-entries");
    bool integers = chance_of(c, 60);
    for (; count > 0; count--) {
        if (integers)
            words_printf(w, "%lld", (long long)chance_below(c, 900) - 100);
        else
            add_member(c, w);
    }
}

static void make_sadd(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, "SADD");
    add_set_key(c, w);
    add_members(c, w, 500);
}

static void make_srem(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, "SREM");
    add_set_key(c, w);
    add_members(c, w, 500);
}

static void make_about_members(struct chance *c, struct script *s) {
    static const char *const names[] = { "SISMEMBER", "SMISMEMBER", NULL };
    const char *name = chance_pick(c, names);
    struct words *w = script_command(s, COMPARE_EXACT, name);
    add_set_key(c, w);
    add_member(c, w);
    if (name[1] == 'M') add_members(c, w, 10);
}

static void make_of_key(struct chance *c, struct script *s) {
    static const char *const names[] = { "SCARD", "SMEMBERS", "TYPE", "scard", NULL };
    const char *name = chance_pick(c, names);
    add_set_key(c, script_command(s, name[1] == 'M' ? COMPARE_SORTED : COMPARE_EXACT, name));
}

static void make_smove(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, "SMOVE");
    add_set_key(c, w);
    add_set_key(c, w);
    add_member(c, w);
}

static void make_combine(struct chance *c, struct script *s) {
    static const char *const names[] = { "SINTER", "SUNION", "SDIFF", NULL };
    struct words *w = script_command(s, COMPARE_SORTED, chance_pick(c, names));
    for (size_t i = 1 + chance_below(c, 4); i > 0; i--) add_set_key(c, w);
}

static void make_store(struct chance *c, struct script *s) {
    static const char *const names[] = { "SINTERSTORE", "SUNIONSTORE", "SDIFFSTORE", NULL };
    struct words *w = script_command(s, COMPARE_EXACT, chance_pick(c, names));
    for (size_t i = 2 + chance_below(c, 4); i > 0; i--) add_set_key(c, w);
}

static void make_sintercard(struct chance *c, struct script *s) {
    static const char *const wrong[] = { "0", "-1", "a", "9", "99999999999999999999", NULL };
    struct words *w = script_command(s, COMPARE_EXACT, "SINTERCARD");
    size_t keys = 1 + chance_below(c, 3);
    if (chance_of(c, 92))
        words_printf(w, "%zu", keys);
    else
        words_add_str(w, chance_pick(c, wrong));
    for (; keys > 0; keys--) add_set_key(c, w);
    if (chance_of(c, 40)) {
        words_add_str(w, chance_of(c, 95) ? "LIMIT" : "FOO");
        if (chance_of(c, 95)) add_index(c, w);
    }
}

static void make_srandmember(struct chance *c, struct script *s) {
    static const char *const counts[] = {
        "1", "-1", "3", "-7", "0", "100", "200", "a", "9223372036854775807", "-9223372036854775808", NULL
    };
    struct words *w = script_command(s, COMPARE_KIND, "SRANDMEMBER");
    words_printf(w, "set:%zu", chance_below(c, 8));
    if (chance_of(c, 70)) {
        w = script_command(s, COMPARE_EXACT, "SRANDMEMBER none");
        words_add_str(w, chance_pick(c, counts));
    }
}

static void make_del(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, "DEL");
    words_printf(w, "set:%zu", chance_below(c, 8));
}

static void make_copy(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, chance_of(c, 50) ? "COPY" : "RENAME");
    add_set_key(c, w);
    add_set_key(c, w);
}

const struct generator set_generators[] = {
    { "SADD", 40, make_sadd },
    { "SREM", 14, make_srem },
    { "SISMEMBER SMISMEMBER", 8, make_about_members },
    { "SCARD SMEMBERS", 10, make_of_key },
    { "SMOVE", 10, make_smove },
    { "SINTER SUNION SDIFF", 10, make_combine },
    { "SINTERSTORE SUNIONSTORE SDIFFSTORE", 8, make_store },
    { "SINTERCARD", 6, make_sintercard },
    { "SRANDMEMBER", 3, make_srandmember },
    { "COPY RENAME", 2, make_copy },
    { "DEL", 1, make_del },
    { NULL, 0, NULL },
};

/* ---- a whole iteration with SSCAN, or with its like ---- */

static void scan_side(struct side *side, const char *command, const char *options, struct node *all) {
    struct text cursor = { 0 };
    text_append_str(&cursor, "0");
    do {
        struct node *page = client_ask_node(side->inspector, "%s %s %s", command, text_str(&cursor), options);
        text_clear(&cursor);
        text_append_str(&cursor, page->count == 2 ? text_str(&page->items[0]->bytes) : "0");
        struct node *found = page->count == 2 ? page->items[1] : NULL;
        for (size_t i = 0; found && i < found->count; i++) {
            all->items = realloc(all->items, (all->count + 1) * sizeof(all->items[0]));
            if (!all->items) abort();
            all->items[all->count++] = found->items[i];
            found->items[i] = NULL;
        }
        node_free(page);
    } while (strcmp(text_str(&cursor), "0") != 0);
    text_release(&cursor);
    node_sort(all);
}

void probe_collection(struct pair *p, const char *command, const char *options) {
    struct node *all[2];
    struct side *sides[2] = { &p->reference, &p->trivet };
    for (int i = 0; i < 2; i++) {
        all[i] = calloc(1, sizeof *all[i]);
        if (!all[i]) abort();
        all[i]->kind = '*';
        scan_side(sides[i], command, options, all[i]);
    }
    struct words words = { 0 };
    if (!words_split(&words, command)) abort();
    words_add_str(&words, "(all)");
    words_add_str(&words, options);
    if (!replies_match(&words, COMPARE_EXACT, all[0], all[1]))
        report_difference(&words, all[0], all[1], "probe");
    node_free(all[0]);
    node_free(all[1]);
    words_release(&words);
}

static void probe_sscan(struct pair *p, struct chance *c) {
    static const char *const options[] = { "",  "COUNT 1", "COUNT 1000", "MATCH m*", "MATCH *[0-3] COUNT 50",
                                           NULL };
    struct text command = { 0 };
    struct words select = { 0 };
    words_add_str(&select, "SELECT");
    words_printf(&select, "%zu", chance_below(c, DATABASES));
    node_free(ask_both(p, COMPARE_EXACT, &select));
    text_printf(&command, "SSCAN set:%zu", chance_below(c, 8));
    probe_collection(p, text_str(&command), chance_pick(c, options));
    text_release(&command);
    words_release(&select);
}

/* Sets of one member, where chance has no choice. */
static void probe_single(struct pair *p, struct chance *c) {
    static const char *const asks[] = { "SPOP single",
                                        "SRANDMEMBER single",
                                        "SRANDMEMBER single 3",
                                        "SPOP single 1",
                                        "SRANDMEMBER single -3",
                                        "SPOP single 2",
                                        NULL };
    for (int i = 0; i < 6; i++) {
        struct words words = { 0 };
        if (!words_split(&words, i % 3 == 0 ? "SADD single" : i == 5 ? "DEL single" : chance_pick(c, asks)))
            abort();
        if (i % 3 == 0) words_add_str(&words, chance_of(c, 50) ? "17" : "text");
        node_free(ask_both(p, COMPARE_EXACT, &words));
        if (i % 3 == 2 && words_split(&words, "DEL single")) node_free(ask_both(p, COMPARE_EXACT, &words));
        words_release(&words);
    }
}

/* A count that takes whole sets, or none, or is wrong: never one that leaves chance a choice. */
static void probe_spop(struct pair *p, struct chance *c) {
    static const char *const counts[] = { "100000",  "100000", "0", "-1", "a", "\"\"", "9223372036854775807",
                                          "5 extra", NULL };
    struct text line = { 0 };
    struct words words = { 0 };
    text_printf(&line, "SPOP set:%zu %s", chance_below(c, 8), chance_pick(c, counts));
    if (!words_split(&words, text_str(&line))) abort();
    node_free(ask_both(p, COMPARE_SORTED, &words));
    words_release(&words);
    text_release(&line);
}

const struct probe set_probes[] = {
    { "SSCAN", probe_sscan }, { "SPOP", probe_spop }, { "SPOP of one", probe_single }, { NULL, NULL }
};
