/* command_docs.c: a command's row as COMMAND DOCS shows it, with its arguments as a tree. */
#include "command.h"
#include "command_syntax.h"
#include "trivet/base/buf.h"

/* ---- names and types of arguments ---- */

static bool is_one_of(struct slice name, const char *const *names) {
    for (; *names; names++)
        if (slice_equal(name, slice_of(*names))) return true;
    return false;
}

static bool has_keys(const struct command *command) {
    return command->keys[0].begin != BEGIN_NONE && !(command->keys[0].flags & KEY_NOT_KEY);
}

static bool is_key(const struct command *command, const struct syntax *s) {
    static const char *const names[] = { "key",  "newkey", "source",  "destination",
                                         "key1", "key2",   "destkey", NULL };
    return s->kind == SYNTAX_ARGUMENT && has_keys(command) && is_one_of(s->name, names);
}

/* What a value is follows from its name: the rows use the same words for the same things. */
static const char *type_of(const struct command *command, const struct syntax *s) {
    static const char *const integers[] = {
        "seconds",        "milliseconds", "count",         "numkeys",   "numfields",  "offset",
        "start",          "end",          "stop",          "increment", "decrement",  "db",
        "destination-db", "index",        "index1",        "index2",    "cursor",     "protover",
        "numlocal",       "numreplicas",  "min-match-len", "timeout",   "client-id",  "samples",
        "rank",           "num-matches",  "len",           "max-age",   "iterations", "num-vertices",
        "version",        NULL,
    };
    static const char *const doubles[] = { "score",    "min-score", "max-score", "weight", "longitude",
                                           "latitude", "radius",    "width",     "height", NULL };
    if (s->kind == SYNTAX_TOKEN) return "pure-token";
    if (s->kind == SYNTAX_ONEOF) return "oneof";
    if (s->kind == SYNTAX_BLOCK) return "block";
    if (is_key(command, s)) return "key";
    if (slice_equal(s->name, LIT("pattern"))) return "pattern";
    if (slice_starts_with(s->name, LIT("unix-time"))) return "unix-time";
    bool fractional = strstr(command->name, "FLOAT") && slice_equal(s->name, LIT("increment"));
    if (fractional || is_one_of(s->name, doubles)) return "double";
    return is_one_of(s->name, integers) ? "integer" : "string";
}

/* A choice has no name in the syntax; these are the ones that documentation gives to common ones. */
static const char *choice_name(const struct syntax *oneof) {
    static const struct {
        const char *first, *name;
    } names[] = {
        { "NX", "condition" },    { "EX", "expiration" }, { "ASYNC", "flush-type" },     { "LEFT", "where" },
        { "ASC", "order" },       { "BEFORE", "where" },  { "MIN", "aggregate" },        { "BYTE", "unit" },
        { "M", "unit" },          { "SLOW", "type" },     { "NOSAVE", "save-selector" }, { "ON", "switch" },
        { "MODULE", "filterby" },
    };
    struct slice first = oneof->children->token;
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (slice_equal(first, slice_of(names[i].first))) return names[i].name;
    return "option";
}

static void append_lower(struct buf *out, struct slice text) {
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        buf_append_byte(out, c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c);
    }
}

/* A block is called by all its parts: "field_value". */
static void append_name(struct buf *out, const struct syntax *s) {
    switch (s->kind) {
    case SYNTAX_ARGUMENT: append_lower(out, s->name); return;
    case SYNTAX_TOKEN: append_lower(out, s->token); return;
    case SYNTAX_ONEOF: buf_append(out, slice_of(choice_name(s))); return;
    case SYNTAX_BLOCK:
        for (const struct syntax *child = s->children; child; child = child->next) {
            if (child != s->children) buf_append_byte(out, '_');
            append_name(out, child);
        }
    }
}

/* ---- replies ---- */

static void reply_text(struct reply *out, const char *name, const char *text) {
    reply_bulk(out, slice_of(name));
    reply_bulk(out, slice_of(text));
}

static void reply_argument_flags(struct reply *out, const struct syntax *s) {
    reply_bulk(out, LIT("flags"));
    reply_set(out, (size_t)s->optional + s->multiple + s->multiple_token);
    if (s->optional) reply_simple(out, LIT("optional"));
    if (s->multiple) reply_simple(out, LIT("multiple"));
    if (s->multiple_token) reply_simple(out, LIT("multiple_token"));
}

struct argument_writer {
    struct reply *out;
    const struct command *command;
    int64_t keys; /* arguments that are keys, so far */
};

static void reply_arguments(struct argument_writer *w, const struct syntax *list);

/* The key spec of this key: they stand in the order of the arguments; the last one covers what is left. */
static int64_t next_key_spec(struct argument_writer *w) {
    int64_t specs = 0;
    while (specs < KEY_SPECS_MAX && w->command->keys[specs].begin != BEGIN_NONE) specs++;
    int64_t index = w->keys++;
    return index < specs ? index : specs - 1;
}

static size_t reply_name_and_type(struct argument_writer *w, const struct syntax *s) {
    struct buf name = { 0 };
    append_name(&name, s);
    reply_bulk(w->out, LIT("name"));
    reply_bulk(w->out, buf_slice(&name));
    reply_text(w->out, "type", type_of(w->command, s));
    bool is_leaf = s->kind == SYNTAX_ARGUMENT || s->kind == SYNTAX_TOKEN;
    if (is_leaf) {
        reply_bulk(w->out, LIT("display_text"));
        reply_bulk(w->out, buf_slice(&name));
    }
    buf_release(&name);
    return is_leaf ? 3 : 2;
}

static void reply_argument(struct argument_writer *w, const struct syntax *s) {
    struct chunk *at = reply_later(w->out);
    size_t pairs = reply_name_and_type(w, s);
    if (is_key(w->command, s)) {
        reply_bulk(w->out, LIT("key_spec_index"));
        reply_int(w->out, next_key_spec(w));
        pairs++;
    }
    if (s->token.len > 0) {
        reply_bulk(w->out, LIT("token"));
        reply_bulk(w->out, s->token);
        pairs++;
    }
    if (s->optional || s->multiple) {
        reply_argument_flags(w->out, s);
        pairs++;
    }
    if (s->children) {
        reply_bulk(w->out, LIT("arguments"));
        reply_arguments(w, s->children);
        pairs++;
    }
    reply_later_map(w->out, at, pairs);
}

static void reply_arguments(struct argument_writer *w, const struct syntax *list) {
    reply_array(w->out, syntax_length(list));
    for (; list; list = list->next) reply_argument(w, list);
}

static void reply_syntax(struct reply *out, const struct command *command) {
    struct argument_writer w = { .out = out, .command = command };
    struct syntax *list = syntax_parse(command->syntax);
    reply_bulk(out, LIT("arguments"));
    reply_arguments(&w, list);
    syntax_free(list);
}

static void reply_doc_flags(struct reply *out, uint32_t flags) {
    bool deprecated = flags & DEPRECATED, internal = flags & SYSCMD;
    reply_bulk(out, LIT("doc_flags"));
    reply_set(out, (size_t)deprecated + internal);
    if (deprecated) reply_simple(out, LIT("deprecated"));
    if (internal) reply_simple(out, LIT("syscmd"));
}

/* One text field, if the row has it; returns how many pairs that was. */
static size_t reply_text_if(struct reply *out, const char *name, const char *text) {
    if (!text) return 0;
    reply_text(out, name, text);
    return 1;
}

static size_t reply_children(struct reply *out, const struct command *command) {
    if (command->child_count == 0) return 0;
    reply_bulk(out, LIT("subcommands"));
    reply_map(out, command->child_count);
    for (uint32_t i = 0; i < command->child_count; i++) reply_command_docs(out, &command->children[i]);
    return 1;
}

void reply_command_docs(struct reply *out, const struct command *command) {
    reply_bulk(out, slice_of(command->full_name));
    struct chunk *at = reply_later(out);
    size_t pairs = reply_text_if(out, "summary", command->summary);
    pairs += reply_text_if(out, "since", command->since);
    pairs += reply_text_if(out, "group", command->group);
    pairs += reply_text_if(out, "complexity", command->complexity);
    if (command->flags & (DEPRECATED | SYSCMD)) {
        reply_doc_flags(out, command->flags);
        pairs++;
    }
    pairs += reply_text_if(out, "deprecated_since", command->deprecated_since);
    pairs += reply_text_if(out, "replaced_by", command->replaced_by);
    if (command->syntax && command->syntax[0]) {
        reply_syntax(out, command);
        pairs++;
    }
    pairs += reply_children(out, command);
    reply_later_map(out, at, pairs);
}
