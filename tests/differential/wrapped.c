/* wrapped.c: commands inside of a script: how its arguments carry them, and how its reply is compared.
 *
 * Each command is a word "<number of words> <rule of comparison> <key> <alone>" and then its words. If <key>
 * is not 0, the second word is that key of the script. The script (gen_wrapped.c) returns the array of what
 * the commands returned, or, of one that is alone, just this. */
#include "differential.h"
#include <stdio.h>
#include <stdlib.h>

/* ---- arguments ---- */

void wrapped_add(struct words *w, const struct planned *inner, size_t key, bool alone) {
    words_printf(w, "%zu %d %zu %d", inner->words.count, (int)inner->compare, key, alone);
    for (size_t i = 0; i < inner->words.count; i++) {
        if (i == 1 && key > 0)
            words_add_str(w, "in KEYS");
        else
            words_add(w, inner->words.items[i].ptr, inner->words.items[i].len);
    }
}

static void copy_word(struct words *to, const struct text *from) { words_add(to, from->ptr, from->len); }

/* The command at `at` of a script's words; false if there is none. */
static bool unwrap(const struct words *w, size_t *at, struct script *out, bool *alone) {
    size_t count = 0, key = 0;
    int compare = 0, is_alone = 0;
    if (*at >= w->count ||
        sscanf(text_str(&w->items[*at]), "%zu %d %zu %d", &count, &compare, &key, &is_alone) != 4 ||
        key > *at - 3)
        return false;
    if (count > w->count - *at - 1) count = w->count - *at - 1; /* the last word was taken away */
    struct words *inner = script_next(out, (enum compare)compare);
    for (size_t i = 0; i < count; i++) copy_word(inner, &w->items[i == 1 && key > 0 ? 2 + key : *at + 1 + i]);
    *at += count + 1;
    *alone = is_alone;
    return true;
}

static void unwrap_all(const struct words *w, struct script *out, bool *alone) {
    *alone = false;
    if (w->count < 3) return;
    size_t at = 3 + strtoull(text_str(&w->items[2]), NULL, 10);
    while (unwrap(w, &at, out, alone)) continue;
}

bool wrapped_names_keys_wrongly(const struct words *command) {
    struct script inner = { 0 };
    bool alone, found = false;
    unwrap_all(command, &inner, &alone);
    for (size_t i = 0; i < inner.count; i++) found |= names_keys_wrongly(&inner.commands[i].words, 0);
    script_release(&inner);
    return found;
}

/* ---- replies ---- */

/* An error without " script: <name>, on @user_script:<line>." */
static void cut_place(struct node *n) {
    const char *end = node_is_error(n) ? strstr(text_str(&n->bytes), " script: ") : NULL;
    if (!end) return;
    struct text kept = { 0 };
    text_append(&kept, n->bytes.ptr, (size_t)(end - n->bytes.ptr));
    text_release(&n->bytes);
    n->bytes = kept;
}

/* An error ended the script: which of the commands made it, the reply does not tell. */
static bool ends_match(const struct script *inner, const struct words *command, struct node *reference,
                       struct node *trivet) {
    if (!node_is_error(reference) || !node_is_error(trivet))
        return replies_match(command, COMPARE_EXACT, reference, trivet);
    cut_place(reference);
    cut_place(trivet);
    for (size_t i = 0; i < inner->count; i++)
        if (replies_match(&inner->commands[i].words, COMPARE_EXACT, reference, trivet)) return true;
    return replies_match(command, COMPARE_EXACT, reference, trivet);
}

/* Numbers that a script had as such: 7.0 writes 17 digits, 7.2 the fewest that tell them from all others. */
static void use_all_digits(struct node *n) {
    for (size_t i = 0; i < n->count; i++) use_all_digits(n->items[i]);
    if ((n->kind != '$' && n->kind != ',') || n->null || n->bytes.len == 0) return;
    const char *text = text_str(&n->bytes);
    char *end;
    double d = strtod(text, &end);
    if (*end != '\0' || end != text + n->bytes.len || !strpbrk(text, ".e")) return;
    text_clear(&n->bytes);
    text_printf(&n->bytes, "%.17g", d);
}

static void forget_form(struct node *n) {
    use_all_digits(n);
    node_sort_deep(n);
}

/* What became of a map or a set in a script that has it as such has an order of its own. */
static bool item_matches(const struct planned *inner, struct node *reference, struct node *trivet) {
    if (replies_match(&inner->words, inner->compare, reference, trivet)) return true;
    forget_form(reference);
    forget_form(trivet);
    return replies_match(&inner->words, inner->compare, reference, trivet);
}

static bool items_match(const struct script *inner, const struct words *command, struct node *reference,
                        struct node *trivet) {
    bool whole = reference->kind == '*' && trivet->kind == '*' && reference->count == inner->count &&
                 trivet->count == inner->count;
    if (!whole) return ends_match(inner, command, reference, trivet);
    for (size_t i = 0; i < inner->count; i++) {
        if (item_matches(&inner->commands[i], reference->items[i], trivet->items[i])) continue;
        history_note("in script", &inner->commands[i].words, reference->items[i]);
        return false;
    }
    return true;
}

static bool alone_matches(const struct planned *inner, const struct words *command, struct node *reference,
                          struct node *trivet) {
    if (node_is_error(reference) && replies_match(command, COMPARE_EXACT, reference, trivet)) return true;
    cut_place(reference);
    cut_place(trivet);
    return item_matches(inner, reference, trivet);
}

bool wrapped_match(const struct words *command, struct node *reference, struct node *trivet) {
    struct script inner = { 0 };
    bool alone;
    if (!reference || !trivet) return reference == trivet;
    unwrap_all(command, &inner, &alone);
    bool same = alone && inner.count == 1 ? alone_matches(&inner.commands[0], command, reference, trivet)
                                          : items_match(&inner, command, reference, trivet);
    script_release(&inner);
    return same;
}

/* ---- words ---- */

static const struct {
    const char *reference, *trivet;
} wordings[] = {
    { "Unknown Redis command called from script", "Unknown command called from script" },
    { "Wrong number of args calling Redis command from script",
      "Wrong number of args calling command from script" },
    { "Please specify at least one argument for this redis.call()",
      "Please specify at least one argument for this call" },
    { "Please specify at least one argument for this redis lib call",
      "Please specify at least one argument for this call" },
    { "Lua redis lib command arguments must be strings or integers",
      "Command arguments must be strings or integers" },
    { "NOSCRIPT No matching script. Please use EVAL.", "NOSCRIPT No matching script." },
    { "redis.log()", "server.log()" },
    { "redis.setresp()", "server.setresp()" },
    { "Invalid debug level.", "Invalid log level." },
    { "redis.set_repl() requires two arguments.", "server.set_repl() requires one argument." },
    { "redis.set_repl()", "server.set_repl()" },
    { "redis.acl_check_cmd()", "server.acl_check_cmd()" },
    { "Error registering functions: ERR Library names", "Function names" },
    { "Error registering functions: ERR Function already exists", "Function already exists" },
    { "redis.register_function", "server.register_function" },
    { "This Redis instance is not configured", "This instance is not configured" },
    { "have a Redis configuration file", "have a configuration file" },
    { "store users in the Redis configuration", "store users in the configuration" },
};

static void replace_all(struct text *in, const char *from, const char *to) {
    struct text out = { 0 };
    const char *rest = text_str(in), *found;
    while ((found = strstr(rest, from))) {
        text_append(&out, rest, (size_t)(found - rest));
        text_append_str(&out, to);
        rest = found + strlen(from);
    }
    text_append_str(&out, rest);
    text_release(in);
    *in = out;
}

void reword(struct text *reference) {
    for (size_t i = 0; i < COUNT_OF(wordings); i++)
        replace_all(reference, wordings[i].reference, wordings[i].trivet);
}
