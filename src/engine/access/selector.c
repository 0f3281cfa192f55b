/* selector.c: see selector.h. */
#include "selector.h"
#include "trivet/base/glob.h"
#include "trivet/base/grow.h"
#include "trivet/base/mem.h"
#include "trivet/base/number.h"
#include "trivet/engine/command/registry.h"
#include "trivet/engine/settings/options.h"
#include <ctype.h>
#include <limits.h>

struct selector *selector_new(void) {
    struct selector *s = mem_alloc_zero(sizeof *s);
    s->all_databases = true;
    s->all_channels = !options.acl_pubsub_resetchannels;
    selector_compile(s);
    return s;
}

static void forget_rules(struct selector *s) {
    for (size_t i = 0; i < s->rule_count; i++) mem_free(s->rules[i].text);
    s->rule_count = 0;
}

static void forget_keys(struct selector *s) {
    for (size_t i = 0; i < s->key_count; i++) mem_free(s->keys[i].glob);
    s->key_count = 0;
}

static void forget_channels(struct selector *s) {
    for (size_t i = 0; i < s->channel_count; i++) mem_free(s->channels[i]);
    s->channel_count = 0;
}

void selector_free(struct selector *s) {
    forget_rules(s);
    forget_keys(s);
    forget_channels(s);
    mem_free(s->rules);
    mem_free(s->keys);
    mem_free(s->channels);
    mem_free(s->databases);
    mem_free(s->commands);
    mem_free(s->first_arguments);
    mem_free(s);
}

static void add_command_rule(struct selector *s, bool allows, char *text_taken) {
    GROW(s->rules, s->rule_count, &s->rule_room, 4);
    s->rules[s->rule_count++] = (struct command_rule){ allows, text_taken };
}

/* How many bytes stand before the one star that ends it; 0 if it is a pattern of another form. */
static size_t prefix_of(const char *glob) {
    size_t len = strcspn(glob, "*?[\\");
    return glob[len] == '*' && glob[len + 1] == '\0' ? len : 0;
}

static void add_key(struct selector *s, struct slice glob, unsigned access) {
    GROW(s->keys, s->key_count, &s->key_room, 4);
    char *text = slice_to_cstr(glob);
    s->keys[s->key_count++] = (struct key_pattern){ text, prefix_of(text), access };
}

static void add_channel(struct selector *s, struct slice glob) {
    GROW(s->channels, s->channel_count, &s->channel_room, 4);
    s->channels[s->channel_count++] = slice_to_cstr(glob);
}

static void add_database(struct selector *s, uint32_t db) {
    GROW(s->databases, s->database_count, &s->database_room, 4);
    s->databases[s->database_count++] = db;
}

struct selector *selector_copy(const struct selector *s) {
    struct selector *copy = mem_alloc_zero(sizeof *copy);
    copy->all_keys = s->all_keys;
    copy->all_channels = s->all_channels;
    copy->all_databases = s->all_databases;
    copy->begins_with_all = s->begins_with_all;
    for (size_t i = 0; i < s->rule_count; i++)
        add_command_rule(copy, s->rules[i].allows, mem_strdup(s->rules[i].text));
    for (size_t i = 0; i < s->key_count; i++) add_key(copy, slice_of(s->keys[i].glob), s->keys[i].access);
    for (size_t i = 0; i < s->channel_count; i++) add_channel(copy, slice_of(s->channels[i]));
    for (size_t i = 0; i < s->database_count; i++) add_database(copy, s->databases[i]);
    selector_compile(copy);
    return copy;
}

/* ---- rules that are a word ---- */

static void set_all_keys(struct selector *s) {
    forget_keys(s);
    s->all_keys = true;
}

static void reset_keys(struct selector *s) {
    forget_keys(s);
    s->all_keys = false;
}

static void set_all_channels(struct selector *s) {
    forget_channels(s);
    s->all_channels = true;
}

static void reset_channels(struct selector *s) {
    forget_channels(s);
    s->all_channels = false;
}

static void set_all_commands(struct selector *s) {
    forget_rules(s);
    s->begins_with_all = true;
}

static void reset_commands(struct selector *s) {
    forget_rules(s);
    s->begins_with_all = false;
}

static void set_all_databases(struct selector *s) {
    s->database_count = 0;
    s->all_databases = true;
}

static void reset_databases(struct selector *s) {
    s->database_count = 0;
    s->all_databases = false;
}

static const struct {
    const char *word;
    void (*set)(struct selector *s);
} words[] = {
    { "allkeys", set_all_keys },         { "~*", set_all_keys },          { "resetkeys", reset_keys },
    { "allchannels", set_all_channels }, { "&*", set_all_channels },      { "resetchannels", reset_channels },
    { "allcommands", set_all_commands }, { "+@all", set_all_commands },   { "nocommands", reset_commands },
    { "-@all", reset_commands },         { "alldbs", set_all_databases }, { "resetdbs", reset_databases },
};

/* ---- patterns ---- */

/* Neither could be written into a file of rules and read back. */
static bool has_blanks(struct slice text) {
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] == '\0' || isspace((unsigned char)text.ptr[i])) return true;
    return false;
}

/* Reads "R", "W" or "RW" up to the '~'. 0 if it is something else. */
static unsigned read_access(struct slice rule, size_t *at) {
    unsigned access = 0;
    for (; *at < rule.len && rule.ptr[*at] != '~'; ++*at) {
        int letter = toupper((unsigned char)rule.ptr[*at]);
        unsigned one = letter == 'R' ? KEY_READ : letter == 'W' ? KEY_WRITE : 0;
        if (one == 0 || (access & one)) return 0;
        access |= one;
    }
    if (*at < rule.len) ++*at;
    return access;
}

static const char *set_key_pattern(struct selector *s, struct slice rule) {
    if (s->all_keys)
        return "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have "
               "any effect. Try 'resetkeys' to start with an empty list of patterns";
    size_t at = 1;
    unsigned access = rule.ptr[0] == '~' ? KEY_READ_WRITE : read_access(rule, &at);
    struct slice glob = slice_make(rule.ptr + at, rule.len - at);
    if (access == 0 || has_blanks(glob)) return RULE_SYNTAX;
    for (size_t i = 0; i < s->key_count; i++)
        if (slice_equal(slice_of(s->keys[i].glob), glob)) {
            s->keys[i].access |= access;
            return NULL;
        }
    add_key(s, glob, access);
    return NULL;
}

static const char *set_channel_pattern(struct selector *s, struct slice rule) {
    if (s->all_channels)
        return "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not "
               "have any effect. Try 'resetchannels' to start with an empty list of channels";
    struct slice glob = slice_make(rule.ptr + 1, rule.len - 1);
    if (has_blanks(glob)) return RULE_SYNTAX;
    for (size_t i = 0; i < s->channel_count; i++)
        if (slice_equal(slice_of(s->channels[i]), glob)) return NULL;
    add_channel(s, glob);
    return NULL;
}

/* ---- databases ---- */

/* The numbers of "0,2,7", which take the place of the old ones. */
static const char *set_databases(struct selector *s, struct slice list) {
    struct selector fresh = { 0 };
    const char *wrong = NULL;
    for (const char *at = list.ptr, *end = list.ptr + list.len; !wrong;) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        int64_t db;
        if (!int64_parse(slice_between(at, comma ? comma : end), &db))
            wrong = RULE_SYNTAX;
        else if (db < 0 || db > INT_MAX)
            wrong = "The provided database ID is out of range";
        else
            add_database(&fresh, (uint32_t)db);
        if (!comma) break;
        at = comma + 1;
    }
    if (wrong) {
        mem_free(fresh.databases);
        return wrong;
    }
    mem_free(s->databases);
    s->databases = fresh.databases;
    s->database_count = fresh.database_count;
    s->database_room = fresh.database_room;
    s->all_databases = false;
    return NULL;
}

/* ---- commands ---- */

/* A later rule for "config" is about "config|set" too. */
static bool covers(const char *text, const char *older) {
    size_t len = strlen(text);
    return strncmp(text, older, len) == 0 && (older[len] == '\0' || older[len] == '|');
}

/* What an older rule said about the same thing does not count any more. */
static void forget_covered(struct selector *s, const char *text) {
    size_t kept = 0;
    for (size_t i = 0; i < s->rule_count; i++) {
        if (covers(text, s->rules[i].text))
            mem_free(s->rules[i].text);
        else
            s->rules[kept++] = s->rules[i];
    }
    s->rule_count = kept;
}

static uint32_t category_named(struct slice name) {
    for (size_t i = 0; i < CATEGORY_COUNT; i++)
        if (slice_equal_nocase(name, slice_of(category_names[i]))) return 1u << i;
    return 0;
}

/* The command of "select|0", which has no subcommands, and where the argument begins. NULL and *wrong if
 * there is none. */
static const struct command *command_before_bar(struct slice name, const char **word, const char **wrong) {
    const char *bar = memrchr(name.ptr, '|', name.len);
    const struct command *command = bar ? registry_find_declared(slice_between(name.ptr, bar)) : NULL;
    *wrong = RULE_UNKNOWN;
    if (!command) return NULL;
    if (command->parent) *wrong = "Allowing first-arg of a subcommand is not supported";
    if (bar + 1 == name.ptr + name.len) *wrong = RULE_SYNTAX;
    if (command->parent || command->children || bar + 1 == name.ptr + name.len) return NULL;
    *word = bar + 1;
    return command;
}

static const char *check_command_rule(bool allows, struct slice name) {
    const char *word, *wrong;
    if (name.len > 0 && name.ptr[0] == '@')
        return category_named(slice_make(name.ptr + 1, name.len - 1)) ? NULL : RULE_UNKNOWN;
    if (registry_find_declared(name)) return NULL;
    const struct command *command = name.len > 0 ? command_before_bar(name, &word, &wrong) : NULL;
    if (!command) return name.len > 0 ? wrong : RULE_UNKNOWN;
    return allows ? NULL : RULE_UNKNOWN;
}

static const char *set_command(struct selector *s, struct slice rule) {
    bool allows = rule.ptr[0] == '+';
    struct slice name = slice_make(rule.ptr + 1, rule.len - 1);
    if (has_blanks(name)) return RULE_UNKNOWN;
    const char *wrong = check_command_rule(allows, name);
    if (wrong) return wrong;
    char *text = slice_to_cstr(name);
    for (char *at = text; *at; at++) *at = (char)tolower((unsigned char)*at);
    forget_covered(s, text);
    add_command_rule(s, allows, text);
    return NULL;
}

const char *selector_set(struct selector *s, struct slice rule) {
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (slice_equal_nocase(rule, slice_of(words[i].word))) {
            words[i].set(s);
            return NULL;
        }
    switch (rule.len > 0 ? rule.ptr[0] : '\0') {
    case '~':
    case '%': return set_key_pattern(s, rule);
    case '&': return set_channel_pattern(s, rule);
    case '+':
    case '-': return set_command(s, rule);
    default: break;
    }
    bool is_list = rule.len > 3 && slice_equal_nocase(slice_make(rule.ptr, 3), LIT("db="));
    return is_list ? set_databases(s, slice_make(rule.ptr + 3, rule.len - 3)) : RULE_SYNTAX;
}

/* ---- which commands that makes ---- */

static void forget_first_arguments(struct selector *s, uint32_t id) {
    size_t kept = 0;
    for (size_t i = 0; i < s->first_count; i++)
        if (s->first_arguments[i].command != id) s->first_arguments[kept++] = s->first_arguments[i];
    s->first_count = kept;
}

static void set_one(struct selector *s, const struct command *c, bool allows) {
    uint64_t bit = (uint64_t)1 << c->id % 64;
    assert(c->id / 64 < s->words);
    if (allows)
        s->commands[c->id / 64] |= bit;
    else
        s->commands[c->id / 64] &= ~bit;
    forget_first_arguments(s, c->id);
}

static void set_with_children(struct selector *s, const struct command *c, bool allows) {
    set_one(s, c, allows);
    for (uint32_t i = 0; i < c->child_count; i++) set_one(s, &c->children[i], allows);
}

static void set_category(struct selector *s, uint32_t category, bool allows) {
    for (uint32_t id = 0; id < registry_ids(); id++) {
        const struct command *c = registry_by_id(id);
        if (c && (c->categories & category)) set_one(s, c, allows);
    }
}

static void compile_rule(struct selector *s, const struct command_rule *rule) {
    struct slice text = slice_of(rule->text);
    s->all_commands &= rule->allows;
    if (text.ptr[0] == '@') {
        set_category(s, category_named(slice_make(text.ptr + 1, text.len - 1)), rule->allows);
        return;
    }
    const struct command *command = registry_find_declared(text);
    if (command) {
        set_with_children(s, command, rule->allows);
        return;
    }
    const char *word, *wrong;
    command = command_before_bar(text, &word, &wrong);
    if (!command) return; /* it was removed since, or is not here yet */
    GROW(s->first_arguments, s->first_count, &s->first_room, 4);
    s->first_arguments[s->first_count++] = (struct first_argument){ command->id, word };
}

void selector_compile(struct selector *s) {
    s->words = (registry_ids() + 63) / 64;
    s->commands = mem_realloc(s->commands, (s->words + 1) * sizeof *s->commands);
    memset(s->commands, s->begins_with_all ? 0xff : 0, s->words * sizeof *s->commands);
    s->all_commands = s->begins_with_all;
    s->first_count = 0;
    for (size_t i = 0; i < s->rule_count; i++) compile_rule(s, &s->rules[i]);
}

/* ---- asking ---- */

bool selector_allows_command(const struct selector *s, const struct command *command,
                             const struct slice *argv, size_t argc) {
    if (selector_has_command(s, command)) return true;
    for (size_t i = 0; i < s->first_count && argc > 1; i++)
        if (s->first_arguments[i].command == command->id &&
            slice_equal_nocase(argv[1], slice_of(s->first_arguments[i].word)))
            return true;
    return false;
}

static bool pattern_matches(const struct key_pattern *p, struct slice key) {
    if (p->prefix == 0) return glob_match(slice_of(p->glob), key);
    return slice_starts_with(key, slice_make(p->glob, p->prefix));
}

bool selector_allows_key(const struct selector *s, struct slice key, unsigned access) {
    if (s->all_keys) return true;
    for (size_t i = 0; i < s->key_count; i++) {
        const struct key_pattern *p = &s->keys[i];
        if ((p->access & access) == access && pattern_matches(p, key)) return true;
    }
    return false;
}

bool selector_allows_channel(const struct selector *s, struct slice channel, bool is_pattern) {
    if (s->all_channels) return true;
    for (size_t i = 0; i < s->channel_count; i++) {
        struct slice allowed = slice_of(s->channels[i]);
        if (is_pattern ? slice_equal(allowed, channel) : glob_match(allowed, channel)) return true;
    }
    return false;
}

bool selector_allows_database(const struct selector *s, uint32_t db) {
    if (s->all_databases) return true;
    for (size_t i = 0; i < s->database_count; i++)
        if (s->databases[i] == db) return true;
    return false;
}

bool selector_allows_all_keys(const struct selector *s, unsigned access) {
    if (s->all_keys) return true;
    for (size_t i = 0; i < s->key_count; i++) {
        const struct key_pattern *p = &s->keys[i];
        if ((p->access & access) == access && strcmp(p->glob, "*") == 0) return true;
    }
    return false;
}

bool selector_is_unlimited(const struct selector *s) {
    return s->all_commands && s->all_keys && s->all_channels && s->all_databases;
}

/* ---- as text ---- */

/* A blank between two rules. */
static void separate(struct buf *out, size_t begin) {
    if (out->len > begin) buf_append_byte(out, ' ');
}

/* "%RW~*" is "~*", but that takes the place of all patterns before it and lets none stand behind it. */
static const char *key_sign(const struct selector *s, size_t i) {
    static const char *const signs[] = { [KEY_READ] = "%R~", [KEY_WRITE] = "%W~", [KEY_READ_WRITE] = "~" };
    const struct key_pattern *p = &s->keys[i];
    bool has_others = s->key_count > 1;
    return p->access == KEY_READ_WRITE && has_others && strcmp(p->glob, "*") == 0 ? "%RW~" : signs[p->access];
}

void selector_describe_keys(const struct selector *s, struct buf *out) {
    size_t begin = out->len;
    if (s->all_keys) buf_append(out, LIT("~*"));
    for (size_t i = 0; i < s->key_count; i++) {
        separate(out, begin);
        buf_printf(out, "%s%s", key_sign(s, i), s->keys[i].glob);
    }
}

void selector_describe_channels(const struct selector *s, struct buf *out) {
    size_t begin = out->len;
    if (s->all_channels) buf_append(out, LIT("&*"));
    for (size_t i = 0; i < s->channel_count; i++) {
        separate(out, begin);
        buf_printf(out, "&%s", s->channels[i]);
    }
}

void selector_describe_databases(const struct selector *s, struct buf *out) {
    if (s->all_databases || s->database_count == 0) {
        buf_append(out, s->all_databases ? LIT("alldbs") : LIT("resetdbs"));
        return;
    }
    for (size_t i = 0; i < s->database_count; i++)
        buf_printf(out, "%s%u", i == 0 ? "db=" : ",", s->databases[i]);
}

void selector_describe_commands(const struct selector *s, struct buf *out) {
    buf_append(out, s->begins_with_all ? LIT("+@all") : LIT("-@all"));
    for (size_t i = 0; i < s->rule_count; i++)
        buf_printf(out, " %c%s", s->rules[i].allows ? '+' : '-', s->rules[i].text);
}

/* Every database is what older servers give too, who do not know the word for it: it is left out. */
void selector_describe(const struct selector *s, struct buf *out) {
    size_t begin = out->len;
    selector_describe_keys(s, out);
    separate(out, begin);
    if (!s->all_channels) buf_append(out, s->channel_count ? LIT("resetchannels ") : LIT("resetchannels"));
    selector_describe_channels(s, out);
    if (!s->all_databases) {
        buf_append_byte(out, ' ');
        selector_describe_databases(s, out);
    }
    buf_append_byte(out, ' ');
    selector_describe_commands(s, out);
}
