/* gen_stream.c: random commands of group stream.
 *
 * Ids come from a counter that stands in for the clock, so that both servers choose the same; times of
 * delivery are either now (replies that tell them are compared by kind) or long ago. */
#include "differential.h"

#define LONG_AGO_MS "1000"
#define LONG_IDLE_MS \
    "1000000000" /* more than a run takes, less than the idle time of what was delivered long ago */

static uint64_t ticks = 1;

static void add_stream_key(struct chance *c, struct words *w) {
    if (chance_of(c, 85))
        words_printf(w, "s%zu", chance_below(c, 4));
    else
        add_key(c, w);
}

static const char *const group_names[] = { "g", "g", "g", "h", "none", "", NULL };
static const char *const consumer_names[] = { "a", "a", "b", "c", "nobody", NULL };

static void add_group(struct chance *c, struct words *w) { words_add_str(w, chance_pick(c, group_names)); }
static void add_consumer(struct chance *c, struct words *w) {
    words_add_str(w, chance_pick(c, consumer_names));
}

static void add_near_id(struct chance *c, struct words *w) {
    uint64_t back = chance_below(c, chance_of(c, 70) ? 15 : 200);
    uint64_t ms = ticks > back ? ticks - back : 0;
    if (chance_of(c, 20))
        words_printf(w, "%llu", (unsigned long long)ms);
    else
        words_printf(w, "%llu-%zu", (unsigned long long)ms, chance_below(c, 4));
}

static void add_id(struct chance *c, struct words *w) {
    static const char *const odd[] = { "0",
                                       "0-0",
                                       "-1",
                                       "a",
                                       "1-2-3",
                                       "007-01",
                                       "5-",
                                       "",
                                       "1-a",
                                       "-",
                                       "+",
                                       "18446744073709551615",
                                       "$",
                                       ">",
                                       "0-1",
                                       "1-*",
                                       "18446744073709551616-1",
                                       NULL };
    if (chance_of(c, 4))
        words_add_str(w, chance_pick(c, odd));
    else
        add_near_id(c, w);
}

static void add_end(struct chance *c, struct words *w, const char *outermost) {
    if (chance_of(c, 40)) {
        words_add_str(w, outermost);
    } else if (chance_of(c, 80)) {
        add_id(c, w);
    } else {
        struct words id = { 0 };
        add_id(c, &id);
        words_printf(w, "(%s", text_str(&id.items[0]));
        words_release(&id);
    }
}

static void add_count(struct chance *c, struct words *w) {
    words_add_str(w, "COUNT");
    if (chance_of(c, 95))
        words_printf(w, "%zu", 1 + chance_below(c, 12));
    else
        add_integer(c, w);
}

static void add_threshold(struct chance *c, struct words *w) {
    static const char *const how[] = { "~", "=", NULL };
    bool by_length = chance_of(c, 60);
    words_add_str(w, by_length ? "MAXLEN" : "minid");
    if (chance_of(c, 60)) words_add_str(w, chance_pick(c, how));
    if (!by_length)
        add_id(c, w);
    else if (chance_of(c, 95))
        words_printf(w, "%zu", chance_below(c, chance_of(c, 50) ? 12 : 250));
    else
        add_integer(c, w);
    if (chance_of(c, 15)) {
        words_add_str(w, "LIMIT");
        words_printf(w, "%zu", chance_below(c, 300));
    }
}

static void add_fields(struct chance *c, struct words *w) {
    static const char *const names[] = { "field", "f", "7", "", "another-field", NULL };
    size_t pairs = chance_of(c, 60) ? 1 : chance_below(c, 4);
    for (size_t i = 0; i < pairs; i++) {
        words_add_str(w, chance_of(c, 70) ? "field" : chance_pick(c, names));
        if (chance_of(c, 50))
            words_printf(w, "%zu", chance_below(c, 100000));
        else
            add_small_value(c, w);
    }
    if (chance_of(c, 1)) words_add_str(w, "odd");
}

static void add_new_id(struct chance *c, struct words *w) {
    static const char *const odd[] = {
        "0", "0-0", "-1", "a", "5-", "-", "0-*", "18446744073709551616-1", NULL
    };
    if (chance_of(c, 10)) {
        if (chance_of(c, 20))
            words_add_str(w, chance_pick(c, odd));
        else
            add_near_id(c, w);
        return;
    }
    ticks += chance_below(c, 3);
    words_printf(w, "%llu-*", (unsigned long long)ticks);
}

static void make_xadd(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, "XADD");
    add_stream_key(c, w);
    if (chance_of(c, 10)) words_add_str(w, "NOMKSTREAM");
    if (chance_of(c, 25)) add_threshold(c, w);
    if (chance_of(c, 1)) add_threshold(c, w);
    add_new_id(c, w);
    add_fields(c, w);
}

/* Enough to fill nodes. */
static void make_burst(struct chance *c, struct script *s) {
    struct words key = { 0 };
    add_stream_key(c, &key);
    for (size_t i = chance_below(c, 120); i > 0; i--) {
        struct words *w = script_command(s, COMPARE_EXACT, "XADD");
        words_add(w, key.items[0].ptr, key.items[0].len);
        ticks += chance_below(c, 2);
        words_printf(w, "%llu-*", (unsigned long long)ticks);
        words_add_str(w, "field");
        words_printf(w, "%zu", chance_below(c, 1000));
    }
    words_release(&key);
}

static void make_xtrim(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, "XTRIM");
    add_stream_key(c, w);
    add_threshold(c, w);
    if (chance_of(c, 2)) add_threshold(c, w);
}

static void make_xdel(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, chance_of(c, 70) ? "XDEL" : "XLEN");
    add_stream_key(c, w);
    if (!slice_equal(text_slice(&w->items[0]), LIT("XDEL"))) return;
    for (size_t i = 1 + chance_below(c, 5); i > 0; i--) add_id(c, w);
}

static void make_xsetid(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, "XSETID");
    add_stream_key(c, w);
    words_printf(w, "%llu", (unsigned long long)++ticks); /* 7.0 lets it fall below the greatest deleted id */
    if (chance_of(c, 30)) {
        words_add_str(w, "ENTRIESADDED");
        words_printf(w, "%zu", chance_below(c, 300));
    }
    if (chance_of(c, 30)) {
        words_add_str(w, "MAXDELETEDID");
        add_id(c, w);
    }
}

static void make_range(struct chance *c, struct script *s) {
    bool backwards = chance_of(c, 50);
    struct words *w = script_command(s, COMPARE_EXACT, backwards ? "XREVRANGE" : "XRANGE");
    add_stream_key(c, w);
    add_end(c, w, backwards ? "+" : "-");
    add_end(c, w, backwards ? "-" : "+");
    if (chance_of(c, 50)) add_count(c, w);
}

/* Keys and ids after STREAMS, always as many of both: what 7.0 says otherwise is known to differ. */
static void add_streams(struct chance *c, struct words *w, const char *usual) {
    size_t streams = 1 + chance_below(c, 3);
    words_add_str(w, "STREAMS");
    for (size_t i = 0; i < streams; i++) add_stream_key(c, w);
    for (size_t i = 0; i < streams; i++) {
        if (chance_of(c, 60))
            words_add_str(w, usual);
        else
            add_id(c, w);
    }
}

static void make_xread(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, "XREAD");
    if (chance_of(c, 60)) add_count(c, w);
    if (chance_of(c, 1)) words_add_str(w, "NOACK");
    add_streams(c, w, "0");
}

/* Reading and claiming makes the consumer always, in 7.0 only if there is something to get: so it is there
 * before. */
static void make_consumer(struct script *s, const struct text *key, const char *group, const char *consumer) {
    struct words *w = script_command(s, COMPARE_EXACT, "XGROUP CREATECONSUMER");
    words_add(w, key->ptr, key->len);
    words_add_str(w, group);
    words_add_str(w, consumer);
}

static void make_xreadgroup(struct chance *c, struct script *s) {
    const char *group = chance_of(c, 95) ? "g" : chance_pick(c, group_names);
    const char *consumer = chance_pick(c, consumer_names);
    struct words keys = { 0 };
    for (size_t i = chance_of(c, 80) ? 1 : 1 + chance_below(c, 3); i > 0; i--) add_stream_key(c, &keys);
    for (size_t i = 0; i < keys.count; i++) make_consumer(s, &keys.items[i], group, consumer);
    struct words *w = script_command(s, COMPARE_EXACT, "XREADGROUP GROUP");
    words_add_str(w, group);
    words_add_str(w, consumer);
    if (chance_of(c, 80)) add_count(c, w);
    if (chance_of(c, 10)) words_add_str(w, "NOACK");
    words_add_str(w, "STREAMS");
    for (size_t i = 0; i < keys.count; i++) words_add(w, keys.items[i].ptr, keys.items[i].len);
    for (size_t i = 0; i < keys.count; i++) {
        if (chance_of(c, 75))
            words_add_str(w, ">");
        else
            add_id(c, w);
    }
    words_release(&keys);
}

static void make_xgroup(struct chance *c, struct script *s) {
    static const char *const lines[] = { "XGROUP CREATE",      "XGROUP CREATE",
                                         "XGROUP CREATE",      "XGROUP SETID",
                                         "XGROUP DESTROY",     "XGROUP CREATECONSUMER",
                                         "XGROUP DELCONSUMER", NULL };
    const char *line = chance_pick(c, lines);
    struct words *w = script_command(s, COMPARE_EXACT, line);
    add_stream_key(c, w);
    add_group(c, w);
    bool has_id = strstr(line, "CREATE") == line + 7 && !strstr(line, "CONSUMER");
    if (strstr(line, "CONSUMER")) add_consumer(c, w);
    if (!has_id && !strstr(line, "SETID")) return;
    if (chance_of(c, 60))
        words_add_str(w, chance_of(c, 50) ? "0" : "$");
    else
        add_id(c, w);
    if (has_id && chance_of(c, 60)) words_add_str(w, "MKSTREAM");
    if (chance_of(c, 20)) {
        words_add_str(w, "ENTRIESREAD");
        words_printf(w, "%d", (int)chance_below(c, 50) - 2);
    }
    if (chance_of(c, 2)) words_add_str(w, "FOO");
}

static void make_xack(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, "XACK");
    add_stream_key(c, w);
    add_group(c, w);
    for (size_t i = 1 + chance_below(c, 5); i > 0; i--) add_id(c, w);
}

static void make_xpending(struct chance *c, struct script *s) {
    bool range = chance_of(c, 50);
    struct words *w = script_command(s, range ? COMPARE_KIND : COMPARE_EXACT, "XPENDING");
    add_stream_key(c, w);
    add_group(c, w);
    if (!range) return;
    if (chance_of(c, 40)) {
        words_add_str(w, "IDLE");
        words_add_str(w, chance_of(c, 90) ? LONG_IDLE_MS : "x");
    }
    add_end(c, w, "-");
    add_end(c, w, "+");
    words_printf(w, "%zu", chance_below(c, 30));
    if (chance_of(c, 30)) add_consumer(c, w);
}

static void make_claim(struct chance *c, struct script *s) {
    const char *group = chance_pick(c, group_names), *consumer = chance_pick(c, consumer_names);
    struct words key = { 0 };
    add_stream_key(c, &key);
    make_consumer(s, &key.items[0], group, consumer);
    bool automatic = chance_of(c, 40);
    struct words *w = script_command(s, COMPARE_EXACT, automatic ? "XAUTOCLAIM" : "XCLAIM");
    words_add(w, key.items[0].ptr, key.items[0].len);
    words_add_str(w, group);
    words_add_str(w, consumer);
    words_release(&key);
    words_add_str(w, chance_of(c, 60) ? "0" : LONG_IDLE_MS);
    if (automatic) {
        words_add_str(w, chance_of(c, 60) ? "0" : "5-1");
        if (chance_of(c, 50)) add_count(c, w);
        if (chance_of(c, 30)) words_add_str(w, "JUSTID");
        return;
    }
    for (size_t i = 1 + chance_below(c, 5); i > 0; i--) add_id(c, w);
    if (chance_of(c, 60)) return;
    words_add_str(w, "TIME");
    if (chance_of(c, 95)) words_add_str(w, LONG_AGO_MS);
}

static void make_claim_options(struct chance *c, struct script *s) {
    static const char *const options[] = { "FORCE", "JUSTID", "TIME",  "RETRYCOUNT", "LASTID",
                                           "IDLE",  "FOO",    "force", NULL };
    make_claim(c, s);
    struct words *w = &s->commands[s->count - 1].words;
    if (!slice_equal(text_slice(&w->items[0]), LIT("XCLAIM"))) return;
    for (size_t i = chance_below(c, 4); i > 0; i--) {
        const char *option = chance_pick(c, options);
        words_add_str(w, option);
        if (strcmp(option, "TIME") == 0) words_add_str(w, chance_of(c, 90) ? LONG_AGO_MS : "x");
        if (strcmp(option, "IDLE") == 0) words_add_str(w, chance_of(c, 90) ? "0" : "x");
        if (strcmp(option, "RETRYCOUNT") == 0) words_printf(w, "%d", (int)chance_below(c, 9) - 1);
        if (strcmp(option, "LASTID") == 0) add_id(c, w);
    }
}

static void make_xinfo(struct chance *c, struct script *s) {
    static const char *const lines[] = { "XINFO GROUPS", "XINFO GROUPS", "XINFO CONSUMERS", "XINFO STREAM",
                                         NULL };
    const char *line = chance_pick(c, lines);
    bool groups = strstr(line, "GROUPS");
    struct words *w = script_command(s, groups ? COMPARE_GROUPS : COMPARE_KIND, line);
    add_stream_key(c, w);
    if (strstr(line, "CONSUMERS")) add_group(c, w);
}

static void make_remove(struct chance *c, struct script *s) {
    static const char *const names[] = { "DEL", "UNLINK", "TYPE", "OBJECT ENCODING", NULL };
    add_stream_key(c, script_command(s, COMPARE_EXACT, chance_pick(c, names)));
}

static void make_copy(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, chance_of(c, 60) ? "COPY" : "RENAME");
    add_stream_key(c, w);
    add_stream_key(c, w);
}

const struct generator stream_generators[] = {
    { "XADD", 30, make_xadd },
    { "XADD many", 3, make_burst },
    { "XTRIM", 4, make_xtrim },
    { "XDEL XLEN", 8, make_xdel },
    { "XSETID", 2, make_xsetid },
    { "XRANGE XREVRANGE", 12, make_range },
    { "XREAD", 6, make_xread },
    { "XREADGROUP", 20, make_xreadgroup },
    { "XGROUP", 10, make_xgroup },
    { "XACK", 6, make_xack },
    { "XPENDING", 6, make_xpending },
    { "XCLAIM XAUTOCLAIM", 6, make_claim },
    { "XCLAIM with options", 6, make_claim_options },
    { "XINFO", 5, make_xinfo },
    { "DEL of streams", 2, make_remove },
    { "COPY RENAME of streams", 2, make_copy },
    { NULL, 0, NULL },
};

/* ---- everything about a stream, without the clock ---- */

/* Times of now. */
static void forget_times(struct node *n) {
    for (size_t i = 0; i < n->count; i++) forget_times(n->items[i]);
    if (n->kind == ':' && n->number > 1000000000000 && n->number < 4000000000000) n->number = 0;
}

/* 7.0 has no active-time, and only one of them has a radix tree. */
static struct node *ask_all(struct side *side, const char *key) {
    static const char *const own[] = { "active-time", "radix-tree-nodes", NULL };
    struct node *n = client_ask_node(side->inspector, "XINFO STREAM %s FULL COUNT 0", key);
    node_drop_fields(n, own);
    forget_times(n);
    return n;
}

static void probe_xinfo(struct pair *p, struct chance *c) {
    struct words command = { 0 };
    words_add_str(&command, "SELECT");
    words_printf(&command, "%zu", chance_below(c, DATABASES));
    node_free(ask_both(p, COMPARE_EXACT, &command));
    for (int i = 0; i < 4; i++) {
        char key[3] = { 's', (char)('0' + i), 0 };
        struct node *reference = ask_all(&p->reference, key), *trivet = ask_all(&p->trivet, key);
        words_clear(&command);
        words_printf(&command, "XINFO STREAM %s FULL COUNT 0 (without times)", key);
        if (!replies_match(&command, COMPARE_GROUPS, reference, trivet))
            report_difference(&command, reference, trivet, "probe");
        node_free(reference);
        node_free(trivet);
    }
    words_release(&command);
}

const struct probe stream_probes[] = { { "XINFO STREAM FULL", probe_xinfo }, { NULL, NULL } };
