/* newer.c: commands that the reference does not know: nobody to compare them with, but what they did must
 * outlive a kill (restart.c). They run in a database of their own. Times are far away or past. */
#include "differential.h"
#include <stdlib.h>

#define DATABASE 9
#define COMMANDS 3000

static void add_hash(struct chance *c, struct words *w) { words_printf(w, "n:h%zu", chance_below(c, 4)); }
static void add_string(struct chance *c, struct words *w) { words_printf(w, "n:s%zu", chance_below(c, 6)); }

/* FIELDS n field [value] ... */
static void add_fields(struct chance *c, struct words *w, bool values) {
    size_t count = 1 + chance_below(c, chance_of(c, 5) ? 200 : 4);
    words_add_str(w, "FIELDS");
    words_printf(w, "%zu", count);
    for (size_t i = 0; i < count; i++) {
        words_printf(w, "f%zu", chance_below(c, chance_of(c, 10) ? 700 : 12));
        if (values) add_small_value(c, w);
    }
}

static void add_expiry(struct chance *c, struct words *w, const char *last) {
    unsigned which = (unsigned)chance_below(c, 6);
    if (which < EXPIRY_FORMS)
        add_expiry_form(c, w, which);
    else if (which == EXPIRY_FORMS)
        words_add_str(w, last);
}

static void make_hexpire(struct chance *c, struct words *w) {
    static const char *const conditions[] = { "NX", "XX", "GT", "LT", NULL };
    static const struct {
        const char *name;
        void (*add_time)(struct chance *, struct words *);
    } forms[] = {
        { "HEXPIRE", add_seconds },
        { "HPEXPIRE", add_milliseconds },
        { "HEXPIREAT", add_unix_seconds },
        { "HPEXPIREAT", add_unix_milliseconds },
    };
    size_t form = chance_below(c, COUNT_OF(forms));
    words_add_str(w, forms[form].name);
    add_hash(c, w);
    forms[form].add_time(c, w);
    if (chance_of(c, 30)) words_add_str(w, chance_pick(c, conditions));
    add_fields(c, w, false);
}

static void make_of_fields(struct chance *c, struct words *w) {
    static const char *const names[] = { "HPERSIST", "HGETEX", "HSETEX", "HSETEX", "HGETDEL", NULL };
    static const char *const conditions[] = { "FNX", "FXX", NULL };
    const char *name = chance_pick(c, names);
    words_add_str(w, name);
    add_hash(c, w);
    if (name[1] == 'S' && chance_of(c, 30)) words_add_str(w, chance_pick(c, conditions));
    if (strcmp(name, "HGETEX") == 0) add_expiry(c, w, "PERSIST");
    if (name[1] == 'S') add_expiry(c, w, "KEEPTTL");
    add_fields(c, w, name[1] == 'S');
}

/* What the reference knows too, but not on fields that have a time. */
static void make_of_hash(struct chance *c, struct words *w) {
    static const char *const lines[] = { "HSET", "HINCRBY", "HINCRBYFLOAT", "HSETNX", "HDEL",
                                         "COPY", "RENAME",  "DEL",          "HMSET",  NULL };
    const char *name = chance_pick(c, lines);
    words_add_str(w, name);
    add_hash(c, w);
    if (name[0] == 'D') return;
    if (name[0] != 'H') {
        add_hash(c, w);
        if (name[0] == 'C') words_add_str(w, "REPLACE");
        return;
    }
    words_printf(w, "f%zu", chance_below(c, 12));
    if (name[1] == 'D') return;
    if (name[1] == 'I')
        words_printf(w, "%zu", chance_below(c, 100));
    else
        add_small_value(c, w);
}

static void make_of_string(struct chance *c, struct words *w) {
    static const char *const conditions[] = { "NX", "XX", NULL };
    size_t which = chance_below(c, 3), keys = 1 + chance_below(c, 3);
    words_add_str(w, which == 0 ? "MSETEX" : which == 1 ? "DELIFEQ" : "SET");
    if (which == 0) words_printf(w, "%zu", keys);
    for (size_t i = which == 0 ? keys : 1; i > 0; i--) {
        add_string(c, w);
        words_printf(w, "%zu", chance_below(c, 3));
    }
    if (which == 0 && chance_of(c, 30)) words_add_str(w, chance_pick(c, conditions));
    if (which == 2) words_add_str(w, "IFEQ");
    if (which == 2) words_printf(w, "%zu", chance_below(c, 3));
    if (which == 2 && chance_of(c, 30)) words_add_str(w, "GET");
    if (which != 1) add_expiry(c, w, "KEEPTTL");
}

void newer_make(struct chance *c, struct words *w) {
    static void (*const makes[])(struct chance *, struct words *) = { make_hexpire, make_of_fields,
                                                                      make_of_hash, make_of_string };
    makes[chance_below(c, COUNT_OF(makes))](c, w);
}

void newer_run(struct side *side, struct chance *c) {
    struct words w = { 0 };
    node_free(client_ask_node(side->inspector, "SELECT %d", DATABASE));
    for (int i = 0; i < COMMANDS; i++) {
        words_clear(&w);
        newer_make(c, &w);
        client_queue_words(side->inspector, &w);
    }
    client_flush(side->inspector);
    for (int i = 0; i < COMMANDS; i++) node_free(client_read(side->inspector));
    words_release(&w);
}

void newer_forget(struct side *side) {
    node_free(client_ask_node(side->inspector, "SELECT %d", DATABASE));
    node_free(client_ask_node(side->inspector, "FLUSHDB"));
}
