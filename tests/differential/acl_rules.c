/* acl_rules.c: random users and random rules for them.
 *
 * Patterns are made for the keys of add_key and the channels of add_channel, so that they match some of them
 * and not others. Passwords are few, so that they are said, hashed and removed again. */
#include "differential.h"
#include <openssl/sha.h>
#include <stdlib.h>

void add_user(struct chance *c, struct words *w) { words_printf(w, "u%zu", chance_below(c, ACL_USERS)); }

void add_password(struct chance *c, struct words *w) { words_printf(w, "p%zu", chance_below(c, 3)); }

void add_channel(struct chance *c, struct words *w) {
    static const char *const channels[] = { "c1", "c2", "c3", "d1", "d", "\"\"", "c*", NULL };
    words_add_str(w, chance_pick(c, channels));
}

static const char *const categories[] = {
    "all",    "keyspace",    "read", "write",  "set",    "sortedset", "list",     "hash",
    "string", "bitmap",      "geo",  "stream", "pubsub", "admin",     "fast",     "slow",
    "all",    "hyperloglog", "read", "write",  "fast",   "slow",      "blocking", "dangerous",
    "all",    "connection",  "read", "write",  "fast",   "slow",      "keyspace", "transaction",
    "string", "scripting",   "ALL",  "Read",   "foo",    NULL
};

static void add_command_rule(struct chance *c, struct words *w) {
    const char *sign = chance_of(c, 60) ? "+" : "-";
    if (chance_of(c, 45))
        words_printf(w, "%s@%s", sign, chance_pick(c, categories));
    else
        words_printf(w, "%s%s", sign, coverage_any_name(c));
}

/* Of which argument a command may be called with, and what takes that back; those that gen_acl.c tries. */
static void add_first_argument(struct chance *c, struct words *w) {
    static const char *const rules[] = {
        "+select|0",  "+select|1",     "+get|k1",     "+set|k1",   "+GET|K2",    "+get|k1",   "+select|0",
        "+set|k2",    "+mget|k1",      "+publish|c1", "+get|k2",   "-get",       "-select",   "-set",
        "-@read",     "-@connection",  "-@string",    "+get",      "-select|0",  "+config|x", "+config|get",
        "+config|set|x", "+get|",      "+nosuch|k1",  "+|get",     "-config|set", "+client|id", "+eval|x",
        NULL
    };
    words_add_str(w, chance_pick(c, rules));
}

static void add_key_rule(struct chance *c, struct words *w) {
    static const char *const signs[] = { "~",    "~",    "~",    "~",    "~",     "%R~", "%W~", "%RW~",
                                         "%R~",  "%W~",  "%WR~", "%r~",  "%RR~",  "%~",  "%R",  "%X~",
                                         "%rW~", "%Rk~", "%R~%", "%R~ ", "%R~~x", NULL };
    static const char *const patterns[] = { "k*",     "k1*",     "k1",      "k[0-5]", "*",     "{tag}*",
                                            "sort:*", "*:*",     "long*",   "k?",     "12345", "",
                                            "?*",     "binary*", "weight*", "k\\*",   "k[^1]", "*k*",
                                            "acl:*",  "[a-m]*",  NULL };
    if (chance_of(c, 75))
        words_printf(w, "%s%s",
                     chance_of(c, 80)   ? "~"
                     : chance_of(c, 50) ? "%R~"
                                        : "%W~",
                     chance_pick(c, patterns));
    else
        words_printf(w, "%s%s", chance_pick(c, signs), chance_pick(c, patterns));
}

static void add_channel_rule(struct chance *c, struct words *w) {
    static const char *const rules[] = { "&c*", "&c1", "&c[12]",        "&d",  "&*",
                                         "&",   "&c?", "resetchannels", "& x", NULL };
    words_add_str(w, chance_pick(c, rules));
}

static void add_word_of_selector(struct chance *c, struct words *w) {
    static const char *const rules[] = {
        "allkeys", "resetkeys", "allchannels", "resetchannels", "allcommands", "nocommands", "+@all",
        "-@all",   "~*",        "&*",          "AllKeys",       "foo",         "",           "+@read",
        "+@write", NULL
    };
    words_add_str(w, chance_pick(c, rules));
}

/* What a selector takes. */
static void add_permission(struct chance *c, struct words *w) {
    size_t roll = chance_below(c, 100);
    if (roll < 45)
        add_command_rule(c, w);
    else if (roll < 75)
        add_key_rule(c, w);
    else if (roll < 85)
        add_channel_rule(c, w);
    else if (roll < 92)
        add_first_argument(c, w);
    else
        add_word_of_selector(c, w);
}

static void add_hash(struct words *w, char sign, const char *password, bool upper) {
    unsigned char sum[SHA256_DIGEST_LENGTH];
    struct text hex = { 0 };
    SHA256((const unsigned char *)password, strlen(password), sum);
    text_append_char(&hex, sign);
    for (size_t i = 0; i < sizeof sum; i++) text_printf(&hex, upper ? "%02X" : "%02x", sum[i]);
    words_add(w, hex.ptr, hex.len);
    text_release(&hex);
}

static void add_password_rule(struct chance *c, struct words *w) {
    static const char *const plain[] = { ">p0", ">p1", ">p2", "<p0",    "<p1",       ">",
                                         "#",   "!zz", "#p0", "nopass", "resetpass", NULL };
    static const char *const passwords[] = { "p0", "p1", "p2", NULL };
    if (chance_of(c, 60))
        words_add_str(w, chance_pick(c, plain));
    else
        add_hash(w, chance_of(c, 60) ? '#' : '!', chance_pick(c, passwords), chance_of(c, 5));
}

/* Most in parentheses of one argument, some in those of several. */
static void add_selector(struct chance *c, struct words *w) {
    struct words inside = { 0 };
    struct text whole = { 0 };
    for (size_t i = chance_below(c, 4); i > 0; i--) add_permission(c, &inside);
    bool parted = inside.count > 1 && chance_of(c, 30);
    text_append_str(&whole, "(");
    for (size_t i = 0; i < inside.count; i++) {
        text_append(&whole, inside.items[i].ptr, inside.items[i].len);
        if (i + 1 == inside.count) break;
        if (parted) words_add(w, whole.ptr, whole.len);
        if (parted)
            text_clear(&whole);
        else
            text_append_char(&whole, ' ');
    }
    text_append_char(&whole, ')');
    words_add(w, whole.ptr, whole.len);
    text_release(&whole);
    words_release(&inside);
}

static void add_rule(struct chance *c, struct words *w) {
    static const char *const states[] = {
        "on", "off", "ON", "sanitize-payload", "skip-sanitize-payload", "reset", "Reset", "clearselectors",
        NULL
    };
    size_t roll = chance_below(c, 100);
    if (roll < 72)
        add_permission(c, w);
    else if (roll < 82)
        add_selector(c, w);
    else if (roll < 92)
        add_password_rule(c, w);
    else
        words_add_str(w, chance_pick(c, states));
}

/* The last rule may lack its parenthesis: where others follow, 7.0 forgets what stands between it and the
 * next one. Wrong ones make the whole of it fail: some rules, tried one by one, make more of a user than many
 * at once. */
void make_setuser(struct chance *c, struct script *s, const char *name) {
    for (size_t i = 1 + chance_below(c, 6); i > 0; i--) {
        struct words *w = script_command(s, COMPARE_EXACT, "ACL SETUSER");
        words_add_str(w, name);
        for (size_t rules = 1 + chance_below(c, 4); rules > 0; rules--) add_rule(c, w);
        if (chance_of(c, 2)) words_add_str(w, "(+get");
    }
}
