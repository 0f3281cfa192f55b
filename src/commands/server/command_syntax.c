/* command_syntax.c: reads the notation of documented arguments: [optional], <grouped>, a | b, "x [x ...]" for
 * repetition, words in UPPER CASE for themselves (with what follows belonging to them), others for values.
 *
 * The texts are the rows' own, so they are well-formed; an unbalanced bracket is a bug and asserted. */
#include "command_syntax.h"
#include "trivet/base/compiler.h"
#include "trivet/base/mem.h"

struct reader {
    const char *at;
    bool dots; /* "..." was seen in the group being read */
};

struct list {
    struct syntax *first, *last;
};

static void list_add(struct list *l, struct syntax *s) {
    if (l->last)
        l->last->next = s;
    else
        l->first = s;
    l->last = s;
}

static struct syntax *syntax_new(enum syntax_kind kind) {
    struct syntax *s = mem_alloc_zero(sizeof *s);
    s->kind = kind;
    return s;
}

void syntax_free(struct syntax *list) {
    while (list) {
        struct syntax *next = list->next;
        syntax_free(list->children);
        mem_free(list);
        list = next;
    }
}

size_t syntax_length(const struct syntax *list) {
    size_t count = 0;
    for (; list; list = list->next) count++;
    return count;
}

/* ---- words ---- */

static bool is_mark(char c) { return c == '[' || c == ']' || c == '<' || c == '>' || c == '|'; }

/* The next word or mark without consuming it; empty at the end. */
static struct slice peek(struct reader *r) {
    while (*r->at == ' ') r->at++;
    const char *end = r->at;
    if (is_mark(*end)) return slice_make(r->at, 1);
    while (*end && *end != ' ' && !is_mark(*end)) end++;
    return slice_between(r->at, end);
}

static bool next_is(struct reader *r, char mark) {
    struct slice word = peek(r);
    return word.len == 1 && word.ptr[0] == mark;
}

static void skip(struct reader *r, struct slice word) { r->at = word.ptr + word.len; }

static void expect(struct reader *r, char mark) {
    assert(next_is(r, mark));
    r->at++;
}

static bool is_value(struct slice word) {
    for (size_t i = 0; i < word.len; i++)
        if (word.ptr[i] >= 'a' && word.ptr[i] <= 'z') return true;
    return false;
}

/* ---- repetition ---- */

static bool alike(const struct syntax *a, const struct syntax *b) {
    return a->kind == b->kind && slice_equal(a->name, b->name) && slice_equal(a->token, b->token);
}

static void mark_multiple(struct syntax *s) {
    s->multiple = true;
    s->multiple_token = s->token.len > 0;
}

/* If the list ends with the same as `again`, "again ..." says that this end repeats; several become
 * a block. */
static bool repeats(struct list *l, const struct syntax *again) {
    size_t count = syntax_length(again), before = syntax_length(l->first);
    if (count == 0 || count > before) return false;
    struct syntax *previous = NULL, *from = l->first;
    for (size_t i = count; i < before; i++) {
        previous = from;
        from = from->next;
    }
    const struct syntax *a = from;
    for (const struct syntax *b = again; b; a = a->next, b = b->next)
        if (!alike(a, b)) return false;
    if (count > 1) {
        struct syntax *block = syntax_new(SYNTAX_BLOCK);
        block->children = from;
        if (previous)
            previous->next = block;
        else
            l->first = block;
        l->last = block;
        from = block;
    }
    mark_multiple(from);
    return true;
}

/* ---- the grammar ---- */

static struct syntax *read_alternatives(struct reader *r);

/* One of several becomes itself, several a block. */
static struct syntax *wrap(struct syntax *list) {
    assert(list);
    if (!list->next) return list;
    struct syntax *block = syntax_new(SYNTAX_BLOCK);
    block->children = list;
    return block;
}

/* What stands between brackets; *dots tells whether it ended with "...". */
static struct syntax *read_group(struct reader *r, char open, char close, bool *dots) {
    bool outer = r->dots;
    r->dots = false;
    expect(r, open);
    struct syntax *inside = read_alternatives(r);
    expect(r, close);
    *dots = r->dots;
    r->dots = outer;
    return inside;
}

static struct syntax *read_value(struct reader *r) {
    struct slice word = peek(r);
    skip(r, word);
    struct syntax *s = syntax_new(SYNTAX_ARGUMENT);
    s->name = word;
    return s;
}

static void read_angle_group(struct reader *r, struct list *l) {
    bool dots;
    struct syntax *s = wrap(read_group(r, '<', '>', &dots));
    if (dots) mark_multiple(s);
    list_add(l, s);
}

/* "[x ...]" right behind x: true, and consumed. Anything else stays to be read. */
static bool read_repetition(struct reader *r, struct list *l) {
    struct reader start = *r;
    bool dots;
    struct syntax *inside = read_group(r, '[', ']', &dots);
    bool repeated = dots && repeats(l, inside);
    syntax_free(inside);
    if (!repeated) *r = start;
    return repeated;
}

/* A word in upper case and the values that follow it. */
static struct syntax *read_token(struct reader *r) {
    struct slice token = peek(r);
    struct list values = { 0 };
    skip(r, token);
    for (bool more = true; more;) {
        if (next_is(r, '<'))
            read_angle_group(r, &values);
        else if (next_is(r, '['))
            more = values.first && read_repetition(r, &values);
        else if (is_value(peek(r)))
            list_add(&values, read_value(r));
        else
            more = false;
    }
    struct syntax *s = values.first ? wrap(values.first) : syntax_new(SYNTAX_TOKEN);
    s->token = token;
    return s;
}

static void read_optional(struct reader *r, struct list *l) {
    bool dots;
    if (l->first && read_repetition(r, l)) return;
    struct syntax *s = wrap(read_group(r, '[', ']', &dots));
    s->optional = true;
    if (dots) mark_multiple(s);
    list_add(l, s);
}

static struct syntax *read_sequence(struct reader *r) {
    struct list l = { 0 };
    for (struct slice word = peek(r); word.len > 0; word = peek(r)) {
        if (next_is(r, ']') || next_is(r, '>') || next_is(r, '|')) break;
        if (slice_equal(word, LIT("..."))) {
            r->dots = true;
            skip(r, word);
        } else if (next_is(r, '[')) {
            read_optional(r, &l);
        } else if (next_is(r, '<')) {
            read_angle_group(r, &l);
        } else {
            list_add(&l, is_value(word) ? read_value(r) : read_token(r));
        }
    }
    return l.first;
}

static struct syntax *read_alternatives(struct reader *r) {
    struct syntax *first = read_sequence(r);
    if (!next_is(r, '|')) return first;
    struct list l = { 0 };
    list_add(&l, wrap(first));
    while (next_is(r, '|')) {
        r->at++;
        list_add(&l, wrap(read_sequence(r)));
    }
    struct syntax *oneof = syntax_new(SYNTAX_ONEOF);
    oneof->children = l.first;
    return oneof;
}

struct syntax *syntax_parse(const char *text) {
    struct reader r = { .at = text };
    struct syntax *list = read_alternatives(&r);
    assert(peek(&r).len == 0);
    return list;
}
