/* string.c: one string at one key: setting, getting, and parts of it.
 *
 * SET in all its spellings (SETEX, PSETEX, GETSET, ...) leaves one effect in the journal: SET, with PXAT if
 * there is an expiry, so that a replay depends neither on its time nor on what was there before. */
#include "string_value.h"
#include "trivet/base/number.h"
#include "trivet/commands/arguments/expiry_option.h"
#include "trivet/commands/arguments/integer.h"
#include "trivet/commands/groups.h"
#include "trivet/engine/command/registry.h"
#include "trivet/engine/run/change.h"
#include "trivet/engine/settings/options.h"

/* ---- SET and its kin ---- */

enum set_condition { SET_ALWAYS, SET_IF_MISSING, SET_IF_PRESENT, SET_IF_EQUAL };

struct set_plan {
    enum set_condition condition;
    struct slice comparison; /* of SET_IF_EQUAL */
    bool get;                /* reply with the old value */
    struct expiry_option expiry;
};

/* One condition at most, though NX NX is the same as NX. */
static bool choose_condition(struct set_plan *plan, enum set_condition condition) {
    if (plan->condition != SET_ALWAYS && plan->condition != condition) return false;
    plan->condition = condition;
    return true;
}

/* One option that is not about expiry, at argument *at. */
static bool read_set_word(const struct call *c, size_t *at, struct set_plan *plan) {
    size_t i = (*at)++;
    if (call_is(c, i, "NX")) return choose_condition(plan, SET_IF_MISSING);
    if (call_is(c, i, "XX")) return choose_condition(plan, SET_IF_PRESENT);
    if (call_is(c, i, "GET")) return plan->get = true;
    if (!call_is(c, i, "IFEQ") || i + 1 == c->argc) return false;
    plan->comparison = c->argv[i + 1];
    (*at)++;
    return choose_condition(plan, SET_IF_EQUAL);
}

static bool read_set_options(const struct call *c, struct set_plan *plan) {
    size_t at = 3;
    while (at < c->argc) {
        enum expiry_read read = expiry_option_read(c, &at, EXPIRY_PERSIST, &plan->expiry);
        if (read == EXPIRY_READ) continue;
        if (read == EXPIRY_REFUSED || !read_set_word(c, &at, plan)) return false;
    }
    return true;
}

/* What SET does to its key: GET and IFEQ look at the old value. */
static bool find_set_key(const struct slice *argv, size_t argc, struct key_positions *out) {
    bool reads = false;
    for (size_t i = 3; i < argc && !reads; i++)
        reads = slice_equal_nocase(argv[i], LIT("GET")) || slice_equal_nocase(argv[i], LIT("IFEQ"));
    key_positions_add(out, 1, reads ? KEY_RW | KEY_ACCESS | KEY_UPDATE : KEY_OW | KEY_UPDATE);
    return true;
}

static bool text_equals(const struct entry *e, struct slice text) {
    char scratch[INT64_TEXT_MAX];
    return slice_equal(entry_text(e, scratch), text);
}

static bool set_may_go_on(const struct set_plan *plan, const struct entry *old) {
    switch (plan->condition) {
    case SET_ALWAYS: return true;
    case SET_IF_MISSING: return !old;
    case SET_IF_PRESENT: return old;
    case SET_IF_EQUAL: return old && text_equals(old, plan->comparison);
    }
    return false;
}

/* What is left to do after a string was set: events, and the effect in a form that replays the same. */
static void changed_by_set(struct call *c, struct slice value, const struct expiry_option *expiry) {
    struct slice key = c->argv[1];
    if (expiry->word == EXPIRY_KEEPTTL) {
        changed(c, key, NOTIFY_STRING, "set", EFFECT(LIT("SET"), key, value, LIT("KEEPTTL")));
    } else if (expiry->word == EXPIRY_NONE) {
        changed(c, key, NOTIFY_STRING, "set", EFFECT(LIT("SET"), key, value));
    } else {
        char digits[INT64_TEXT_MAX];
        struct slice at = slice_make(digits, int64_format(digits, expiry->at_ms));
        changed(c, key, NOTIFY_STRING, "set", EFFECT(LIT("SET"), key, value, LIT("PXAT"), at));
        notify(c->view.db, NOTIFY_GENERIC, "expire", key);
    }
}

static void set_with_options(struct call *c) {
    struct set_plan plan = { .condition = SET_ALWAYS };
    if (!read_set_options(c, &plan)) {
        reply_error(c->out, ERR_SYNTAX);
        return;
    }
    if (!expiry_option_resolve(c, &plan.expiry)) return;

    struct slice key = c->argv[1];
    struct entry *old = keyspace_write(&c->view, key);
    bool looks_inside = plan.get || plan.condition == SET_IF_EQUAL;
    if (looks_inside && !string_or_missing(c, old)) return;
    if (plan.get) string_reply(c->out, old);
    if (!set_may_go_on(&plan, old)) {
        if (!plan.get) reply_null(c->out);
        return;
    }
    if (!plan.get) reply_ok(c->out);
    if (expiry_option_has_time(&plan.expiry) && keyspace_is_past(&c->view, plan.expiry.at_ms)) {
        if (old) expire_at_once(c, key, old); /* and the new one never comes to be */
        return;
    }
    int64_t expiry_ms = plan.expiry.at_ms;
    if (plan.expiry.word == EXPIRY_KEEPTTL && old) expiry_ms = entry_expiry_ms(old);
    string_store(c, key, 2, old, expiry_ms);
    changed_by_set(c, c->argv[2], &plan.expiry);
}

/* SET key value [NX | XX | IFEQ comparison-value] [GET] [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL] */
static void cmd_set(struct call *c) {
    if (c->argc > 3) {
        set_with_options(c);
        return;
    }
    struct slice key = c->argv[1];
    string_store(c, key, 2, keyspace_write(&c->view, key), NO_EXPIRY);
    reply_ok(c->out);
    changed(c, key, NOTIFY_STRING, "set", EFFECT_SAME(c));
}

/* SETNX key value */
static void cmd_setnx(struct call *c) {
    struct slice key = c->argv[1];
    if (keyspace_write(&c->view, key)) {
        reply_int(c->out, 0);
        return;
    }
    string_store(c, key, 2, NULL, NO_EXPIRY);
    reply_int(c->out, 1);
    changed(c, key, NOTIFY_STRING, "set", EFFECT_SAME(c));
}

static void set_for_a_time(struct call *c, enum expiry_word word) {
    struct expiry_option expiry = { .word = word, .amount = c->argv[2] };
    if (!expiry_option_resolve(c, &expiry)) return;
    struct slice key = c->argv[1];
    string_store(c, key, 3, keyspace_write(&c->view, key), expiry.at_ms);
    reply_ok(c->out);
    changed_by_set(c, c->argv[3], &expiry);
}

/* SETEX key seconds value */
static void cmd_setex(struct call *c) { set_for_a_time(c, EXPIRY_EX); }

/* PSETEX key milliseconds value */
static void cmd_psetex(struct call *c) { set_for_a_time(c, EXPIRY_PX); }

/* ---- reading the whole ---- */

/* GET key */
static void cmd_get(struct call *c) {
    struct entry *e = keyspace_read(&c->view, c->argv[1]);
    if (!string_or_missing(c, e)) return;
    string_reply(c->out, e);
}

/* GETSET key value */
static void cmd_getset(struct call *c) {
    struct slice key = c->argv[1];
    struct entry *old = keyspace_read(&c->view, key);
    if (!string_or_missing(c, old)) return;
    string_reply(c->out, old);
    string_store(c, key, 2, keyspace_write(&c->view, key), NO_EXPIRY);
    changed(c, key, NOTIFY_STRING, "set", EFFECT(LIT("SET"), key, c->argv[2]));
}

static void delete_string(struct call *c, struct slice key) {
    keyspace_delete(&c->view, keyspace_write(&c->view, key), options.lazyfree_lazy_user_del);
    changed(c, key, NOTIFY_GENERIC, "del", EFFECT(LIT("DEL"), key));
}

/* GETDEL key */
static void cmd_getdel(struct call *c) {
    struct entry *e = keyspace_read(&c->view, c->argv[1]);
    if (!string_or_missing(c, e)) return;
    string_reply(c->out, e);
    if (e) delete_string(c, c->argv[1]);
}

/* DELIFEQ key value */
static void cmd_delifeq(struct call *c) {
    struct entry *e = keyspace_write(&c->view, c->argv[1]);
    if (!string_or_missing(c, e)) return;
    bool equal = e && text_equals(e, c->argv[2]);
    if (equal) delete_string(c, c->argv[1]);
    reply_int(c->out, equal);
}

/* What GETEX does to the key it just read. */
static void give_expiry(struct call *c, struct slice key, const struct expiry_option *expiry) {
    if (expiry->word == EXPIRY_NONE) return;
    struct entry *e = keyspace_write(&c->view, key);
    if (expiry->word == EXPIRY_PERSIST) {
        if (!e->has_expiry) return;
        keyspace_set_expiry(&c->view, e, NO_EXPIRY);
        changed(c, key, NOTIFY_GENERIC, "persist", EFFECT(LIT("PERSIST"), key));
        return;
    }
    if (keyspace_is_past(&c->view, expiry->at_ms)) {
        expire_at_once(c, key, e);
        return;
    }
    char digits[INT64_TEXT_MAX];
    struct slice at = slice_make(digits, int64_format(digits, expiry->at_ms));
    keyspace_set_expiry(&c->view, e, expiry->at_ms);
    changed(c, key, NOTIFY_GENERIC, "expire", EFFECT(LIT("PEXPIREAT"), key, at));
}

/* GETEX key [EX seconds | PX milliseconds | EXAT s | PXAT ms | PERSIST] */
static void cmd_getex(struct call *c) {
    struct expiry_option expiry = { .word = EXPIRY_NONE };
    for (size_t at = 2; at < c->argc;) {
        if (expiry_option_read(c, &at, EXPIRY_KEEPTTL, &expiry) == EXPIRY_READ) continue;
        reply_error(c->out, ERR_SYNTAX);
        return;
    }
    if (!expiry_option_resolve(c, &expiry)) return;
    struct entry *e = keyspace_read(&c->view, c->argv[1]);
    if (!string_or_missing(c, e)) return;
    string_reply(c->out, e);
    if (e) give_expiry(c, c->argv[1], &expiry);
}

/* STRLEN key */
static void cmd_strlen(struct call *c) {
    struct entry *e = keyspace_read(&c->view, c->argv[1]);
    if (!string_or_missing(c, e)) return;
    reply_int(c->out, e ? (int64_t)entry_text_len(e) : 0);
}

/* ---- parts ---- */

/* Turns the ends as given, negative ones counted from the end, into a part of `text`. */
static struct slice part_of(struct slice text, int64_t start, int64_t end) {
    int64_t len = (int64_t)text.len;
    if (start < 0 && end < 0 && start > end) return LIT("");
    if (start < 0) start += len;
    if (end < 0) end += len;
    if (start < 0) start = 0;
    if (end < 0) end = 0;
    if (end >= len) end = len - 1;
    if (start > end) return LIT("");
    return slice_make(text.ptr + start, (size_t)(end - start + 1));
}

/* GETRANGE key start end */
static void cmd_getrange(struct call *c) {
    int64_t start, end;
    if (!integer_argument(c, 2, &start) || !integer_argument(c, 3, &end)) return;
    struct entry *e = keyspace_read(&c->view, c->argv[1]);
    if (!string_or_missing(c, e)) return;
    char scratch[INT64_TEXT_MAX];
    reply_bulk(c->out, e ? part_of(entry_text(e, scratch), start, end) : LIT(""));
}

/* Replies with an error if a string of offset + extra bytes would be too long for the protocol. */
static bool length_is_allowed(struct call *c, uint64_t offset, uint64_t extra) {
    uint64_t total;
    if (!__builtin_add_overflow(offset, extra, &total) && total <= call_bulk_max(c)) return true;
    reply_error(c->out, ERR_TOO_LONG);
    return false;
}

/* Writes `text` at `offset` into the string, which grows with zeros as needed; returns its new length. */
static size_t write_at(struct call *c, struct entry *e, size_t offset, struct slice text) {
    size_t old_len = entry_text_len(e), len = offset + text.len;
    if (len < old_len) len = old_len;
    memcpy(string_writable(c, e, len) + offset, text.ptr, text.len);
    return len;
}

/* APPEND key value */
static void cmd_append(struct call *c) {
    struct slice key = c->argv[1], text = c->argv[2];
    struct entry *e = keyspace_write(&c->view, key);
    if (!string_or_missing(c, e)) return;
    size_t len = text.len;
    if (e) {
        size_t old_len = entry_text_len(e);
        if (!length_is_allowed(c, old_len, text.len)) return;
        len = write_at(c, e, old_len, text);
    } else {
        string_store(c, key, 2, NULL, NO_EXPIRY);
    }
    reply_int(c->out, (int64_t)len);
    changed(c, key, NOTIFY_STRING, "append", EFFECT_SAME(c));
}

/* SETRANGE key offset value */
static void cmd_setrange(struct call *c) {
    struct slice key = c->argv[1], text = c->argv[3];
    int64_t offset;
    if (!integer_argument(c, 2, &offset)) return;
    if (offset < 0) {
        reply_error_text(c->out, LIT("ERR offset is out of range"));
        return;
    }
    struct entry *e = keyspace_write(&c->view, key);
    if (!string_or_missing(c, e)) return;
    if (text.len == 0) {
        reply_int(c->out, e ? (int64_t)entry_text_len(e) : 0);
        return;
    }
    if (!length_is_allowed(c, (uint64_t)offset, text.len)) return;
    if (!e) {
        e = entry_new_string(key, LIT(""), NO_EXPIRY);
        keyspace_insert(&c->view, e);
    }
    reply_int(c->out, (int64_t)write_at(c, e, (size_t)offset, text));
    changed(c, key, NOTIFY_STRING, "setrange", EFFECT_SAME(c));
}

/* ---- the table ---- */

const struct command string_commands[] = {
    { .name = "APPEND",
      .run = cmd_append,
      .arity = 3,
      .kind = KEYED,
      .flags = WRITES | GROWS | FAST,
      .categories = CAT_STRING,
      .keys = { KEY(KEY_RW | KEY_INSERT) },
      .since = "2.0.0",
      .summary = "Adds bytes at the end of a string; a missing key is created.",
      .complexity = "O(1) on average, because strings grow in big steps.",
      .syntax = "key value" },
    { .name = "DELIFEQ",
      .run = cmd_delifeq,
      .arity = 3,
      .kind = KEYED,
      .flags = WRITES | FAST,
      .categories = CAT_STRING,
      .keys = { KEY(KEY_RM | KEY_ACCESS | KEY_DELETE) },
      .since = "9.0.0",
      .summary = "Deletes a key if its string equals the given value.",
      .complexity = "O(1)",
      .syntax = "key value" },
    { .name = "GET",
      .run = cmd_get,
      .arity = 2,
      .kind = KEYED,
      .flags = READS | FAST,
      .categories = CAT_STRING,
      .keys = { KEY(KEY_RO | KEY_ACCESS) },
      .since = "1.0.0",
      .summary = "Returns the string of a key.",
      .complexity = "O(1)",
      .syntax = "key" },
    { .name = "GETDEL",
      .run = cmd_getdel,
      .arity = 2,
      .kind = KEYED,
      .flags = WRITES | FAST,
      .categories = CAT_STRING,
      .keys = { KEY(KEY_RW | KEY_ACCESS | KEY_DELETE) },
      .since = "6.2.0",
      .summary = "Returns the string of a key and deletes the key.",
      .complexity = "O(1)",
      .syntax = "key" },
    { .name = "GETEX",
      .run = cmd_getex,
      .arity = -2,
      .kind = KEYED,
      .flags = WRITES | FAST,
      .categories = CAT_STRING,
      .keys = { KEY(KEY_RW | KEY_ACCESS | KEY_UPDATE) },
      .since = "6.2.0",
      .summary = "Returns the string of a key and sets or removes its expiration time.",
      .complexity = "O(1)",
      .syntax = "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | "
                "PERSIST]" },
    { .name = "GETRANGE",
      .run = cmd_getrange,
      .arity = 4,
      .kind = KEYED,
      .flags = READS,
      .categories = CAT_STRING,
      .keys = { KEY(KEY_RO | KEY_ACCESS) },
      .since = "2.4.0",
      .summary = "Returns a part of a string.",
      .complexity = "O(N) where N is the length of the returned part.",
      .syntax = "key start end" },
    { .name = "GETSET",
      .run = cmd_getset,
      .arity = 3,
      .kind = KEYED,
      .flags = WRITES | GROWS | FAST | DEPRECATED,
      .categories = CAT_STRING,
      .keys = { KEY(KEY_RW | KEY_ACCESS | KEY_UPDATE) },
      .since = "1.0.0",
      .summary = "Sets the string of a key and returns the one it had.",
      .complexity = "O(1)",
      .syntax = "key value",
      .deprecated_since = "6.2.0",
      .replaced_by = "`SET` with the `GET` argument" },
    { .name = "PSETEX",
      .run = cmd_psetex,
      .arity = 4,
      .kind = KEYED,
      .flags = WRITES | GROWS | DEPRECATED,
      .categories = CAT_STRING,
      .keys = { KEY(KEY_OW | KEY_UPDATE) },
      .since = "2.6.0",
      .summary = "Sets the string and the time to live, in milliseconds, of a key.",
      .complexity = "O(1)",
      .syntax = "key milliseconds value",
      .deprecated_since = "2.6.12",
      .replaced_by = "`SET` with the `PX` argument" },
    { .name = "SET",
      .run = cmd_set,
      .arity = -3,
      .kind = KEYED,
      .flags = WRITES | GROWS,
      .categories = CAT_STRING,
      .keys = { KEY(KEY_RW | KEY_ACCESS | KEY_UPDATE | KEY_VARIABLE_FLAGS) },
      .find_keys = find_set_key,
      .since = "1.0.0",
      .summary = "Sets the string of a key, whatever it held before.",
      .complexity = "O(1)",
      .syntax = "key value [NX | XX | IFEQ comparison-value] [GET] [EX seconds | PX milliseconds | "
                "EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]" },
    { .name = "SETEX",
      .run = cmd_setex,
      .arity = 4,
      .kind = KEYED,
      .flags = WRITES | GROWS | DEPRECATED,
      .categories = CAT_STRING,
      .keys = { KEY(KEY_OW | KEY_UPDATE) },
      .since = "2.0.0",
      .summary = "Sets the string and the time to live, in seconds, of a key.",
      .complexity = "O(1)",
      .syntax = "key seconds value",
      .deprecated_since = "2.6.12",
      .replaced_by = "`SET` with the `EX` argument" },
    { .name = "SETNX",
      .run = cmd_setnx,
      .arity = 3,
      .kind = KEYED,
      .flags = WRITES | GROWS | FAST | DEPRECATED,
      .categories = CAT_STRING,
      .keys = { KEY(KEY_OW | KEY_INSERT) },
      .since = "1.0.0",
      .summary = "Sets the string of a key that does not exist.",
      .complexity = "O(1)",
      .syntax = "key value",
      .deprecated_since = "2.6.12",
      .replaced_by = "`SET` with the `NX` argument" },
    { .name = "SETRANGE",
      .run = cmd_setrange,
      .arity = 4,
      .kind = KEYED,
      .flags = WRITES | GROWS,
      .categories = CAT_STRING,
      .keys = { KEY(KEY_RW | KEY_UPDATE) },
      .since = "2.2.0",
      .summary = "Overwrites a part of a string from an offset on; a missing key is created.",
      .complexity = "O(1), or O(N) where N is the value's length if it is long.",
      .syntax = "key offset value" },
    { .name = "STRLEN",
      .run = cmd_strlen,
      .arity = 2,
      .kind = KEYED,
      .flags = READS | FAST,
      .categories = CAT_STRING,
      .keys = { KEY(KEY_RO) },
      .since = "2.2.0",
      .summary = "Returns the length of a string.",
      .complexity = "O(1)",
      .syntax = "key" },
    { .name = "SUBSTR",
      .run = cmd_getrange,
      .arity = 4,
      .kind = KEYED,
      .flags = READS | DEPRECATED,
      .categories = CAT_STRING,
      .keys = { KEY(KEY_RO | KEY_ACCESS) },
      .since = "1.0.0",
      .summary = "Returns a part of a string.",
      .complexity = "O(N) where N is the length of the returned part.",
      .syntax = "key start end",
      .deprecated_since = "2.0.0",
      .replaced_by = "`GETRANGE`" },
    { .name = NULL },
};
