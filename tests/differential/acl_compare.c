/* acl_compare.c: what the two versions say of a user in other words.
 *
 * 7.0 names in a denial neither the user nor, in a script, the command; Trivet, as Valkey, names both. And it
 * prints the commands that a user may run as the shortest list of rules that makes them, Valkey as the rules
 * that were given. Which commands they are, ACL DRYRUN tells. */
#include "differential.h"
#include <stdlib.h>

/* ---- denials ---- */

/* "@" is the user's name, "..." anything. */
static const struct {
    const char *trivet, *reference;
} denials[] = {
    { "ACL failure in script: User @ has no permissions to run the '...' command",
      "The user executing the script can't run this command or subcommand" },
    { "ACL failure in script: No permissions to access a key",
      "The user executing the script can't access at least one of the keys mentioned in the command "
      "arguments" },
    { "ACL failure in script: No permissions to access a channel",
      "The user executing the script can't publish to the channel mentioned in the command" },
    { "NOPERM User @ has no permissions", "NOPERM this user has no permissions" },
    { "User @ has no permissions", "This user has no permissions" },
    { "NOPERM No permissions to access a key",
      "NOPERM this user has no permissions to access one of the keys used as arguments" },
    { "NOPERM No permissions to access a channel",
      "NOPERM this user has no permissions to access one of the channels used as arguments" },
};

/* The end of what matches at the beginning of `text`, or NULL. */
static const char *match_prefix(const char *pattern, const char *text, const char *user) {
    for (; *pattern; pattern++) {
        if (*pattern == '@') {
            if (strncmp(text, user, strlen(user)) != 0) return NULL;
            text += strlen(user);
        } else if (strncmp(pattern, "...", 3) == 0) {
            pattern += 2;
            text = strchr(text, pattern[1]);
            if (!text) return NULL;
        } else if (*text++ != *pattern) {
            return NULL;
        }
    }
    return text;
}

static const char *find_denial(const char *text, const char *user, size_t which, const char **end) {
    for (; *text; text++) {
        *end = match_prefix(denials[which].trivet, text, user);
        if (*end) return text;
    }
    return NULL;
}

void reword_denials(struct node *trivet, const char *user) {
    for (size_t i = 0; i < trivet->count; i++) reword_denials(trivet->items[i], user);
    if (!node_is_error(trivet) && trivet->kind != '$') return;
    for (size_t i = 0; i < COUNT_OF(denials); i++) {
        const char *text = text_str(&trivet->bytes), *end, *at = find_denial(text, user, i, &end);
        if (!at) continue;
        struct text out = { 0 };
        text_append(&out, text, (size_t)(at - text));
        text_append_str(&out, denials[i].reference);
        text_append(&out, end, trivet->bytes.len - (size_t)(end - text));
        text_release(&trivet->bytes);
        trivet->bytes = out;
        return;
    }
}

/* ---- commands that name their keys wrongly ---- */

/* Where the number of keys is. */
static const struct {
    const char *name;
    size_t at;
} counting[] = {
    { "EVAL", 2 },     { "EVAL_RO", 2 },     { "EVALSHA", 2 },    { "EVALSHA_RO", 2 },  { "FCALL", 2 },
    { "FCALL_RO", 2 }, { "ZUNIONSTORE", 2 }, { "ZDIFFSTORE", 2 }, { "ZINTERSTORE", 2 }, { "ZUNION", 1 },
    { "ZINTER", 1 },   { "ZDIFF", 1 },       { "ZINTERCARD", 1 }, { "SINTERCARD", 1 },  { "ZMPOP", 1 },
    { "LMPOP", 1 },    { "BLMPOP", 2 },      { "BZMPOP", 2 },
};

/* Is the number of keys none, or more than there are? */
static bool counts_wrongly(const struct words *command, size_t at) {
    if (at >= command->count) return true;
    const char *text = text_str(&command->items[at]);
    char *end;
    unsigned long long count = strtoull(text, &end, 10);
    return *end || end == text || count == 0 || count > command->count - at - 1;
}

static size_t find_word(const struct words *command, size_t from, const char *word) {
    while (from < command->count && !slice_equal_nocase(text_slice(&command->items[from]), slice_of(word)))
        from++;
    return from;
}

static bool is_word(const struct words *command, size_t at, const char *word) {
    return find_word(command, at, word) == at;
}

/* XREAD STREAMS key key id */
static bool is_unbalanced(const struct words *command, size_t from) {
    size_t at = find_word(command, from, "STREAMS");
    return at >= command->count - 1 || (command->count - at) % 2 == 0;
}

/* MIGRATE with a key and KEYS */
static bool migrates_both(const struct words *command, size_t from) {
    return find_word(command, from, "KEYS") < command->count && from + 3 < command->count &&
           command->items[from + 3].len > 0;
}

bool names_keys_wrongly(const struct words *command, size_t from) {
    if (from >= command->count) return false;
    if (is_word(command, from, "PFMERGE")) return command->count == from + 2;
    if (is_word(command, from, "XREAD") || is_word(command, from, "XREADGROUP"))
        return is_unbalanced(command, from);
    if (is_word(command, from, "MIGRATE")) return migrates_both(command, from);
    for (size_t i = 0; i < COUNT_OF(counting); i++)
        if (is_word(command, from, counting[i].name)) return counts_wrongly(command, from + counting[i].at);
    return false;
}

/* Which keys such a command has, each version has its own view of: 7.0 takes any number that a text begins
 * with, and forgets all other keys if it finds none in one place. */
static bool denies_key_or_nothing(const struct node *n) {
    const char *text = text_str(&n->bytes);
    return (n->kind == '+' && strcmp(text, "OK") == 0) ||
           (n->kind == '$' && text_matches("This user has no permissions to access the '...' key", text));
}

bool dryruns_match(const struct words *command, const struct node *reference, struct node *trivet) {
    if (command->count > 2) reword_denials(trivet, text_str(&command->items[2]));
    return names_keys_wrongly(command, 3) && denies_key_or_nothing(reference) &&
           denies_key_or_nothing(trivet);
}

/* ---- users ---- */

/* In Trivet's way: a pattern behind "~*", which 7.0 prints, cannot be read again. */
static const char all_keys[] = "%RW~*";

/* A command's rule, and what 7.0 prints only where it was said. What closes a selector stays. */
static void append_word(struct text *out, const char *word, size_t len) {
    static const char sanitize[] = "sanitize-payload";
    bool closes = len > 0 && word[len - 1] == ')';
    if (len == sizeof sanitize - 1 && strncmp(word, sanitize, len) == 0) return;
    if (len > 0 && (word[0] == '+' || word[0] == '-')) {
        if (closes) text_append_char(out, ')');
        return;
    }
    text_append_char(out, ' ');
    bool opens = len > 0 && word[0] == '(';
    if (opens) text_append_char(out, '(');
    word += opens;
    len -= opens;
    if (len == sizeof all_keys - 1 && strncmp(word, all_keys, len) == 0)
        text_append_str(out, "~*");
    else
        text_append(out, word, len);
}

static void forget_form_of_line(struct text *line) {
    struct text out = { 0 };
    const char *at = text_str(line), *end = at + line->len;
    while (at <= end) {
        const char *blank = memchr(at, ' ', (size_t)(end - at));
        if (!blank) blank = end;
        append_word(&out, at, (size_t)(blank - at));
        at = blank + 1;
    }
    text_release(line);
    *line = out;
}

/* Those that only repeat what the patterns and the commands say. */
static bool is_derived_flag(const struct node *n) {
    static const char *const flags[] = { "allkeys", "allchannels", "allcommands", "sanitize-payload" };
    for (size_t i = 0; i < COUNT_OF(flags); i++)
        if (strcmp(text_str(&n->bytes), flags[i]) == 0) return true;
    return false;
}

static void forget_derived_flags(struct node *flags) {
    size_t kept = 0;
    for (size_t i = 0; i < flags->count; i++) {
        if (is_derived_flag(flags->items[i]))
            node_free(flags->items[i]);
        else
            flags->items[kept++] = flags->items[i];
    }
    flags->count = kept;
    node_sort(flags);
}

/* The keys in a reply of GETUSER, and those of the selectors in it. */
static void forget_forms_of_keys(struct node *n) {
    for (size_t i = 0; i < n->count; i++) forget_forms_of_keys(n->items[i]);
    for (size_t i = 0; i + 1 < n->count; i += 2)
        if (strcmp(text_str(&n->items[i]->bytes), "keys") == 0) forget_form_of_line(&n->items[i + 1]->bytes);
}

void forget_forms(struct node *n) {
    static const char *const own[] = { "commands", "databases", NULL };
    bool is_line =
        n->count == 0 || n->items[0]->kind != '$' || strncmp(text_str(&n->items[0]->bytes), "user ", 5) == 0;
    if (!is_line && strcmp(text_str(&n->items[0]->bytes), "flags") == 0) {
        forget_derived_flags(n->items[1]);
        node_drop_fields(n, own);
        forget_forms_of_keys(n);
        return;
    }
    for (size_t i = 0; i < n->count && is_line; i++) forget_form_of_line(&n->items[i]->bytes);
}

/* A rule for a command that only one side knows is left out, but not a parenthesis behind it; "~*" before
 * other patterns can be read again. The rule is followed by a blank or by the line's end. */
static void add_known_rule(struct words *out, const char *rule, size_t len) {
    bool closes = len > 0 && rule[len - 1] == ')';
    bool is_command = len > 1 && (rule[0] == '+' || rule[0] == '-') && rule[1] != '@';
    struct text name = { 0 };
    if (is_command) text_append(&name, rule + 1, len - 1 - closes);
    if (is_command && !coverage_knows_rule(text_str(&name))) {
        rule += len - closes;
        len = closes;
    }
    bool more_keys = rule[len] == ' ' && (rule[len + 1] == '~' || rule[len + 1] == '%');
    if (more_keys && len == 2 && strncmp(rule, "~*", len) == 0)
        words_add_str(out, all_keys);
    else if (more_keys && len == 3 && strncmp(rule, "(~*", len) == 0)
        words_printf(out, "(%s", all_keys);
    else if (len > 0)
        words_add(out, rule, len);
    text_release(&name);
}

bool rules_of_user(const struct node *list, const char *user, struct words *out) {
    struct text begin = { 0 };
    text_printf(&begin, "user %s ", user);
    bool found = false;
    for (size_t i = 0; i < list->count && !found; i++) {
        const char *line = text_str(&list->items[i]->bytes);
        found = strncmp(line, text_str(&begin), begin.len) == 0;
        if (!found) continue;
        for (const char *at = line + begin.len, *blank; at; at = blank ? blank + 1 : NULL) {
            blank = strchr(at, ' ');
            add_known_rule(out, at, blank ? (size_t)(blank - at) : strlen(at));
        }
    }
    text_release(&begin);
    return found;
}
