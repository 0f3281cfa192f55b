/* gen_generic.c: random commands of group generic, and the databases they move keys between. */
#include "differential.h"
#include <stdlib.h>

static void make_delete_or_count(struct chance *c, struct script *s) {
    static const char *const names[] = { "DEL", "UNLINK", "EXISTS", "TOUCH", "exists", NULL };
    struct words *w = script_command(s, COMPARE_EXACT, chance_pick(c, names));
    for (size_t i = 1 + chance_below(c, 4); i > 0; i--) add_key(c, w);
}

static void make_expire(struct chance *c, struct script *s) {
    static const char *const conditions[] = { "NX", "XX", "GT", "LT", "nx", "lt", "FOO", "", NULL };
    static const struct {
        const char *name;
        void (*add_time)(struct chance *, struct words *);
    } forms[] = {
        { "EXPIRE", add_seconds },
        { "PEXPIRE", add_milliseconds },
        { "EXPIREAT", add_unix_seconds },
        { "PEXPIREAT", add_unix_milliseconds },
    };
    size_t form = chance_below(c, COUNT_OF(forms));
    struct words *w = script_command(s, COMPARE_EXACT, forms[form].name);
    add_key(c, w);
    forms[form].add_time(c, w);
    if (chance_of(c, 50)) words_add_str(w, chance_pick(c, conditions));
    if (chance_of(c, 10)) words_add_str(w, chance_pick(c, conditions));
}

static void make_ttl(struct chance *c, struct script *s) {
    static const char *const seconds[] = { "TTL", "EXPIRETIME", NULL };
    static const char *const milliseconds[] = { "PTTL", "PEXPIRETIME", NULL };
    if (chance_of(c, 50))
        add_key(c, script_command(s, COMPARE_NEAR_S, chance_pick(c, seconds)));
    else
        add_key(c, script_command(s, COMPARE_NEAR_MS, chance_pick(c, milliseconds)));
}

static void make_of_key(struct chance *c, struct script *s) {
    static const char *const names[] = { "PERSIST",         "TYPE",        "OBJECT ENCODING",
                                         "OBJECT ENCODING", "OBJECT FREQ", NULL };
    add_key(c, script_command(s, COMPARE_EXACT, chance_pick(c, names)));
}

static void make_rename(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, chance_of(c, 60) ? "RENAME" : "RENAMENX");
    add_key(c, w);
    add_key(c, w);
}

static void make_copy(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, "COPY");
    add_key(c, w);
    add_key(c, w);
    if (chance_of(c, 40)) words_add_str(w, "REPLACE");
    if (chance_of(c, 40)) {
        words_add_str(w, "DB");
        add_database(c, w);
    }
    if (chance_of(c, 2)) words_add_str(w, "FOO");
}

static void make_move(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, "MOVE");
    add_key(c, w);
    add_database(c, w);
}

static void make_select(struct chance *c, struct script *s) {
    add_database(c, script_command(s, COMPARE_EXACT, "SELECT"));
}

static void make_swapdb(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, "SWAPDB");
    add_database(c, w);
    add_database(c, w);
}

static void make_dbsize(struct chance *c, struct script *s) {
    (void)c;
    /* KEYS removes what is over, which a 7.0 without its expiry cycle would count. */
    script_command(s, COMPARE_SORTED, "KEYS *");
    script_command(s, COMPARE_EXACT, "DBSIZE");
}

static void make_flush(struct chance *c, struct script *s) {
    static const char *const lines[] = { "FLUSHDB",  "FLUSHDB ASYNC", "FLUSHALL SYNC",
                                         "FLUSHALL", "FLUSHDB FOO",   "FLUSHALL SYNC ASYNC",
                                         NULL };
    script_command(s, COMPARE_EXACT, chance_pick(c, lines));
}

static void make_keys(struct chance *c, struct script *s) {
    static const char *const patterns[] = { "*",    "k*",    "k[0-5]", "k?",    "k1*",        "?",
                                            "\"\"", "*tag*", "k\\\\*", "[^k]*", "\"*\\xff\"", "nothing*",
                                            "k[",   "k[^",   "**",     NULL };
    struct text line = { 0 };
    text_printf(&line, "KEYS %s", chance_pick(c, patterns));
    script_command(s, COMPARE_SORTED, text_str(&line));
    text_release(&line);
}

static void make_unordered(struct chance *c, struct script *s) {
    /* How many references an object has is each server's own business (7.0 shares small integers). */
    static const char *const names[] = { "OBJECT IDLETIME", "OBJECT REFCOUNT", "MEMORY USAGE", NULL };
    if (chance_of(c, 60))
        script_command(s, COMPARE_KIND, "RANDOMKEY");
    else
        add_key(c, script_command(s, COMPARE_KIND, chance_pick(c, names)));
}

const struct generator generic_generators[] = {
    { "DEL UNLINK EXISTS TOUCH", 16, make_delete_or_count },
    { "EXPIRE PEXPIRE EXPIREAT PEXPIREAT", 16, make_expire },
    { "TTL PTTL EXPIRETIME PEXPIRETIME", 10, make_ttl },
    { "PERSIST TYPE OBJECT", 12, make_of_key },
    { "RENAME RENAMENX", 8, make_rename },
    { "COPY", 8, make_copy },
    { "MOVE", 4, make_move },
    { "SELECT", 3, make_select },
    { "SWAPDB", 1, make_swapdb },
    { "DBSIZE", 2, make_dbsize },
    { "KEYS", 2, make_keys },
    { "RANDOMKEY OBJECT MEMORY USAGE", 2, make_unordered },
    { "FLUSHDB FLUSHALL", 1, make_flush },
    { NULL, 0, NULL },
};

/* Collects a whole iteration, sorted; the cursors themselves are each server's own. */
static void scan_side(struct side *side, const char *options, struct node *all) {
    struct text cursor = { 0 };
    text_append_str(&cursor, "0");
    do {
        struct node *page = client_ask_node(side->inspector, "SCAN %s %s", text_str(&cursor), options);
        text_clear(&cursor);
        text_append_str(&cursor, page->count == 2 ? text_str(&page->items[0]->bytes) : "0");
        struct node *keys = page->count == 2 ? page->items[1] : NULL;
        for (size_t i = 0; keys && i < keys->count; i++) {
            all->items = realloc(all->items, (all->count + 1) * sizeof(all->items[0]));
            if (!all->items) abort();
            all->items[all->count++] = keys->items[i];
            keys->items[i] = NULL;
        }
        node_free(page);
    } while (strcmp(text_str(&cursor), "0") != 0);
    text_release(&cursor);
    node_sort(all);
}

static struct node *empty_array(void) {
    struct node *n = calloc(1, sizeof(*n));
    if (!n) abort();
    n->kind = '*';
    return n;
}

static void probe_scan(struct pair *p, struct chance *c) {
    static const char *const options[] = { "",
                                           "COUNT 1",
                                           "COUNT 3",
                                           "MATCH k*",
                                           "MATCH k? COUNT 2",
                                           "TYPE string",
                                           "TYPE list",
                                           "MATCH *[0-3] COUNT 100 TYPE string",
                                           NULL };
    const char *option = chance_pick(c, options);
    struct words command = { 0 };
    words_printf(&command, "SELECT");
    words_printf(&command, "%zu", chance_below(c, DATABASES));
    node_free(ask_both(p, COMPARE_EXACT, &command));

    struct node *reference = empty_array(), *trivet = empty_array();
    scan_side(&p->reference, option, reference);
    scan_side(&p->trivet, option, trivet);
    words_clear(&command);
    words_add_str(&command, "SCAN");
    words_printf(&command, "(all) %s", option);
    if (!replies_match(&command, COMPARE_EXACT, reference, trivet))
        report_difference(&command, reference, trivet, "probe");
    node_free(reference);
    node_free(trivet);
    words_release(&command);
}

const struct probe generic_probes[] = { { "SCAN", probe_scan }, { NULL, NULL } };
