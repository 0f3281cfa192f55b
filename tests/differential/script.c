/* script.c: the commands that generators write, and the choice of a generator. */
#include "differential.h"
#include <stdlib.h>

struct words *script_next(struct script *s, enum compare compare) {
    if (s->count == s->room) {
        size_t room = s->room ? s->room * 2 : 64;
        s->commands = realloc(s->commands, room * sizeof(s->commands[0]));
        if (!s->commands) abort();
        memset(s->commands + s->room, 0, (room - s->room) * sizeof(s->commands[0]));
        s->room = room;
    }
    struct planned *next = &s->commands[s->count++];
    next->compare = compare;
    words_clear(&next->words);
    return &next->words;
}

struct words *script_command(struct script *s, enum compare compare, const char *line) {
    struct words *w = script_next(s, compare);
    if (!words_split(w, line)) abort();
    return w;
}

void script_release(struct script *s) {
    for (size_t i = 0; i < s->room; i++) words_release(&s->commands[i].words);
    free(s->commands);
}

static unsigned total_weight(const struct generator *const *groups) {
    unsigned total = 0;
    for (; *groups; groups++)
        for (const struct generator *g = *groups; g->name; g++) total += g->weight;
    return total;
}

const struct generator *script_generator(const struct generator *const *groups, struct chance *c) {
    size_t at = chance_below(c, total_weight(groups));
    for (; *groups; groups++) {
        for (const struct generator *g = *groups; g->name; g++) {
            if (at < g->weight) return g;
            at -= g->weight;
        }
    }
    abort();
}

void script_of(const struct generator *const *groups, struct script *s, struct chance *c) {
    script_generator(groups, c)->make(c, s);
}

static const struct generator *const *taking_part = all_generators;

void script_take(const struct generator *const *groups) { taking_part = groups; }

void script_any(struct script *s, struct chance *c) { script_of(taking_part, s, c); }

bool command_is(const struct words *w, const char *name) {
    return w->count > 0 && slice_equal_nocase(text_slice(&w->items[0]), slice_of(name));
}

/* Now and then a wrong number of arguments or a name in another case. A spoilt end would leave a transaction
 * open, a mended HELLO, COMMAND and the like tells of the server, GET removes what a past SET EXAT left
 * behind, and Valkey reads all arguments of BITCOUNT and BITPOS before it looks for the key; XGROUP makes the
 * consumers that 7.0 would make later; ACL must not leave a user behind, whom a restart does not know. */
void spoil(struct chance *c, struct words *w) {
    static const char *const spared[] = { "MULTI",  "EXEC",  "DISCARD",  "HELLO",   "COMMAND",
                                          "GET",    "INFO",  "SLOWLOG",  "LATENCY", "BITCOUNT",
                                          "BITPOS", "ZRANK", "ZREVRANK", "XGROUP",  "ACL" };
    for (size_t i = 0; i < COUNT_OF(spared); i++)
        if (command_is(w, spared[i])) return;
    switch (chance_below(c, 3)) {
    case 0: words_add_str(w, "extra"); break;
    case 1:
        if (w->count > 1) w->count--;
        break;
    default:
        for (size_t i = 0; i < w->items[0].len; i++)
            if (chance_of(c, 50)) w->items[0].ptr[i] = (char)(w->items[0].ptr[i] ^ ' ');
    }
}
