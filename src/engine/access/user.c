/* user.c: see user.h. */
#include "trivet/engine/access/user.h"
#include "selector.h"
#include "trivet/base/grow.h"
#include "trivet/base/mem.h"
#include "trivet/resp/parser.h"
#include <ctype.h>
#include <openssl/crypto.h>

bool user_name_is_valid(struct slice name) {
    for (size_t i = 0; i < name.len; i++)
        if (name.ptr[i] == '\0' || isspace((unsigned char)name.ptr[i])) return false;
    return true;
}

static void add_selector(struct user *u, struct selector *taken) {
    GROW(u->selectors, u->selector_count, &u->selector_room, 1);
    u->selectors[u->selector_count++] = taken;
}

struct user *user_new(struct slice name) {
    assert(user_name_is_valid(name));
    struct user *u = mem_alloc_zero(sizeof *u);
    u->name = slice_to_cstr(name);
    add_selector(u, selector_new());
    return u;
}

static void forget_selectors(struct user *u, size_t kept) {
    while (u->selector_count > kept) selector_free(u->selectors[--u->selector_count]);
}

void user_free(struct user *u) {
    forget_selectors(u, 0);
    mem_free(u->selectors);
    mem_free(u->passwords);
    mem_free(u->name);
    mem_free(u);
}

/* ---- passwords ---- */

/* Looks at every byte of every password: the time it takes tells nothing. */
bool user_has_password(const struct user *u, const uint8_t digest[SHA256_SIZE]) {
    bool found = false;
    for (size_t i = 0; i < u->password_count; i++)
        found |= CRYPTO_memcmp(u->passwords[i], digest, SHA256_SIZE) == 0;
    return found;
}

static void add_digest(struct user *u, const uint8_t digest[SHA256_SIZE]) {
    u->needs_no_password = false;
    if (user_has_password(u, digest)) return;
    GROW(u->passwords, u->password_count, &u->password_room, 1);
    memcpy(u->passwords[u->password_count++], digest, SHA256_SIZE);
}

void user_add_password(struct user *u, struct slice password) {
    uint8_t digest[SHA256_SIZE];
    sha256(password, digest);
    add_digest(u, digest);
}

static const char *remove_digest(struct user *u, const uint8_t digest[SHA256_SIZE]) {
    for (size_t i = 0; i < u->password_count; i++) {
        if (CRYPTO_memcmp(u->passwords[i], digest, SHA256_SIZE) != 0) continue;
        memmove(u->passwords + i, u->passwords + i + 1, (--u->password_count - i) * sizeof *u->passwords);
        return NULL;
    }
    return "The password you are trying to remove from the user does not exist";
}

void user_forget_passwords(struct user *u) {
    u->password_count = 0;
    u->needs_no_password = false;
}

static bool read_digest(struct slice hex, uint8_t out[SHA256_SIZE]) {
    if (hex.len != SHA256_HEX) return false;
    for (size_t i = 0; i < SHA256_HEX; i++) {
        char c = hex.ptr[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0) return false;
        out[i / 2] = (uint8_t)(i % 2 ? out[i / 2] | digit : digit << 4);
    }
    return true;
}

/* ">password", "<password", "#digest", "!digest" */
static const char *set_password(struct user *u, struct slice rule) {
    uint8_t digest[SHA256_SIZE];
    char sign = rule.ptr[0];
    struct slice rest = slice_make(rule.ptr + 1, rule.len - 1);
    if (sign == '>' || sign == '<')
        sha256(rest, digest);
    else if (!read_digest(rest, digest))
        return "The password hash must be exactly 64 characters and contain only lowercase hexadecimal "
               "characters";
    if (sign == '<' || sign == '!') return remove_digest(u, digest);
    add_digest(u, digest);
    return NULL;
}

/* ---- other rules of the user itself ---- */

static void set_on(struct user *u) { u->is_on = true; }
static void set_off(struct user *u) { u->is_on = false; }
static void set_sanitize(struct user *u) { u->skips_sanitizing = false; }
static void set_skip_sanitize(struct user *u) { u->skips_sanitizing = true; }
static void clear_selectors(struct user *u) { forget_selectors(u, 1); }

static void set_no_password(struct user *u) {
    user_forget_passwords(u);
    u->needs_no_password = true;
}

static void reset_user(struct user *u) {
    forget_selectors(u, 0);
    add_selector(u, selector_new());
    user_forget_passwords(u);
    u->is_on = u->skips_sanitizing = false;
}

static const struct {
    const char *word;
    void (*set)(struct user *u);
} words[] = {
    { "on", set_on },
    { "off", set_off },
    { "nopass", set_no_password },
    { "resetpass", user_forget_passwords },
    { "sanitize-payload", set_sanitize },
    { "skip-sanitize-payload", set_skip_sanitize },
    { "clearselectors", clear_selectors },
    { "reset", reset_user },
};

/* Could a line of rules repeat this word of a selector? Not if the word would end the selector, or if it has
 * a quote, which is read as one there. */
static bool can_be_repeated(struct slice word) {
    return word.ptr[word.len - 1] != ')' && !memchr(word.ptr, '"', word.len) &&
           !memchr(word.ptr, '\'', word.len);
}

/* "(+get ~key:*)" */
static const char *set_selector(struct user *u, struct slice rule) {
    struct slice *argv;
    size_t argc;
    char *text;
    if (!split_line(slice_make(rule.ptr + 1, rule.len - 2), &argv, &argc, &text)) return RULE_SYNTAX;
    struct selector *s = selector_new();
    const char *wrong = NULL;
    for (size_t i = 0; i < argc && !wrong; i++)
        wrong = argv[i].len == 0 || can_be_repeated(argv[i]) ? selector_set(s, argv[i]) : RULE_SYNTAX;
    mem_free(argv);
    mem_free(text);
    if (wrong) {
        selector_free(s);
        return wrong;
    }
    add_selector(u, s);
    return NULL;
}

const char *user_set(struct user *u, struct slice rule) {
    if (rule.len == 0) return NULL; /* says nothing */
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (slice_equal_nocase(rule, slice_of(words[i].word))) {
            words[i].set(u);
            return NULL;
        }
    if (strchr("><#!", rule.ptr[0]) && rule.ptr[0]) return set_password(u, rule);
    if (rule.len > 1 && rule.ptr[0] == '(' && rule.ptr[rule.len - 1] == ')') return set_selector(u, rule);
    return selector_set(u->selectors[0], rule);
}

void user_compile(struct user *u) {
    for (size_t i = 0; i < u->selector_count; i++) selector_compile(u->selectors[i]);
    u->is_unlimited = selector_is_unlimited(u->selectors[0]);
}

struct user *user_copy(const struct user *u) {
    struct user *copy = user_new(slice_of(u->name));
    forget_selectors(copy, 0);
    copy->is_on = u->is_on;
    copy->skips_sanitizing = u->skips_sanitizing;
    for (size_t i = 0; i < u->password_count; i++) add_digest(copy, u->passwords[i]);
    copy->needs_no_password = u->needs_no_password;
    for (size_t i = 0; i < u->selector_count; i++) add_selector(copy, selector_copy(u->selectors[i]));
    copy->is_unlimited = u->is_unlimited;
    return copy;
}

/* ---- several rules ---- */

static bool opens(struct slice word) {
    return word.len > 0 && word.ptr[0] == '(' && word.ptr[word.len - 1] != ')';
}

/* The number of words up to the one that closes the selector; 0 if none does. */
static size_t words_of_selector(const struct slice *words_, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (words_[i].len > 0 && words_[i].ptr[words_[i].len - 1] == ')') return i + 1;
    return 0;
}

static struct slice join(const struct slice *parts, size_t count, struct buf *text) {
    size_t begin = text->len;
    for (size_t i = 0; i < count; i++) {
        if (i > 0) buf_append_byte(text, ' ');
        buf_append(text, parts[i]);
    }
    return slice_make(text->ptr + begin, text->len - begin);
}

bool rules_join(const struct slice *parts, size_t count, struct rules *out, struct buf *error) {
    *out = (struct rules){ .at = mem_alloc((count + 1) * sizeof *out->at) };
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) bytes += parts[i].len + 1;
    buf_reserve(&out->text, bytes); /* so that it does not move */
    for (size_t i = 0; i < count;) {
        size_t joined = opens(parts[i]) ? words_of_selector(parts + i, count - i) : 1;
        if (joined == 0) {
            buf_printf(error, "Unmatched parenthesis in acl selector starting at '%.*s'.",
                       SLICE_ARG(parts[i]));
            rules_release(out);
            return false;
        }
        out->at[out->count++] = joined == 1 ? parts[i] : join(parts + i, joined, &out->text);
        i += joined;
    }
    return true;
}

void rules_release(struct rules *r) {
    mem_free(r->at);
    buf_release(&r->text);
    *r = (struct rules){ 0 };
}

bool user_set_rules(struct user *u, const struct slice *rules, size_t count, const char *prefix,
                    struct buf *error) {
    struct rules joined;
    if (!rules_join(rules, count, &joined, error)) return false;
    const char *wrong = NULL;
    for (size_t i = 0; i < joined.count && !wrong; i++) {
        wrong = user_set(u, joined.at[i]);
        if (wrong) buf_printf(error, "%s '%.*s': %s", prefix, SLICE_ARG(joined.at[i]), wrong);
    }
    rules_release(&joined);
    user_compile(u);
    return !wrong;
}

/* ---- as text ---- */

void user_describe(const struct user *u, struct buf *out) {
    buf_append(out, u->is_on ? LIT("on ") : LIT("off "));
    if (u->needs_no_password) buf_append(out, LIT("nopass "));
    buf_append(out, u->skips_sanitizing ? LIT("skip-sanitize-payload ") : LIT("sanitize-payload "));
    for (size_t i = 0; i < u->password_count; i++) {
        char hex[SHA256_HEX];
        hex_format(u->passwords[i], SHA256_SIZE, hex);
        buf_printf(out, "#%.*s ", SHA256_HEX, hex);
    }
    for (size_t i = 0; i < u->selector_count; i++) {
        if (i > 0) buf_append(out, LIT(" ("));
        selector_describe(u->selectors[i], out);
        if (i > 0) buf_append_byte(out, ')');
    }
}

void user_describe_line(const struct user *u, struct buf *out) {
    buf_printf(out, "user %s ", u->name);
    user_describe(u, out);
}

const char *const permission_part_names[PERMISSION_PARTS] = { "commands", "keys", "channels", "databases" };

void user_describe_part(const struct user *u, size_t selector, enum permission_part part, struct buf *out) {
    static void (*const describe[PERMISSION_PARTS])(const struct selector *s, struct buf *out) = {
        selector_describe_commands,
        selector_describe_keys,
        selector_describe_channels,
        selector_describe_databases,
    };
    assert(selector < u->selector_count && part < PERMISSION_PARTS);
    describe[part](u->selectors[selector], out);
}
