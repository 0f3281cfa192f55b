/* commands_of_unordered.c: sets and hashes as commands: SADD and HSET of up to 64 elements, HPEXPIREAT for
 * each field that expires. */
#include "commands_of_types.h"
#include "trivet/types/hash.h"
#include "trivet/types/set.h"

#define ELEMENTS_AT_ONCE 64

/* One command that fills up. Texts of small forms are borrowed for one visit only, so short ones are copied.
 */
struct gathering {
    aof_emit *emit;
    void *arg;
    struct slice argv[2 + 2 * ELEMENTS_AT_ONCE];
    size_t argc;
    char digits[2 * ELEMENTS_AT_ONCE][INT64_TEXT_MAX];
};

static void begin_command(struct gathering *g, aof_emit *emit, void *arg, struct slice name,
                          struct slice key) {
    g->emit = emit;
    g->arg = arg;
    g->argv[0] = name;
    g->argv[1] = key;
    g->argc = 2;
}

static void flush(struct gathering *g) {
    if (g->argc > 2) g->emit(g->arg, g->argv, g->argc);
    g->argc = 2;
}

static void gather_text(struct gathering *g, struct slice text) {
    if (text.len < INT64_TEXT_MAX) {
        char *copy = g->digits[g->argc - 2];
        if (text.len) memcpy(copy, text.ptr, text.len);
        text.ptr = copy;
    }
    g->argv[g->argc++] = text;
}

static bool gather_member(void *arg, struct slice member) {
    struct gathering *g = arg;
    gather_text(g, member);
    if (g->argc == 2 + ELEMENTS_AT_ONCE) flush(g);
    return true;
}

void rebuild_set(aof_emit *emit, void *arg, const struct entry *e) {
    struct gathering g;
    begin_command(&g, emit, arg, LIT("SADD"), entry_key(e));
    set_each(entry_value(e), gather_member, &g);
    flush(&g);
}

static bool gather_field(void *arg, const struct hash_field *f) {
    struct gathering *g = arg;
    gather_text(g, f->name);
    gather_text(g, f->value);
    if (g->argc == COUNT_OF(g->argv)) flush(g);
    return true;
}

static bool emit_field_expiry(void *arg, const struct hash_field *f) {
    const struct gathering *g = arg;
    if (f->expiry_ms == HASH_NO_EXPIRY) return true;
    char digits[INT64_TEXT_MAX];
    struct slice argv[] = {
        LIT_INIT("HPEXPIREAT"), g->argv[1],    slice_make(digits, int64_format(digits, f->expiry_ms)),
        LIT_INIT("FIELDS"),     LIT_INIT("1"), f->name
    };
    g->emit(g->arg, argv, COUNT_OF(argv));
    return true;
}

void rebuild_hash(aof_emit *emit, void *arg, const struct entry *e) {
    struct gathering g;
    begin_command(&g, emit, arg, LIT("HSET"), entry_key(e));
    hash_each(entry_value(e), gather_field, &g);
    flush(&g);
    if (entry_encoding(e) != ENCODING_LISTPACK && hash_dated(entry_value(e)) > 0)
        hash_each(entry_value(e), emit_field_expiry, &g);
}
