/* hash.c: commands on single fields of a hash: setting, getting, counting, deleting.
 *
 * What the other hash files use too stands first. */
#include "hash.h"
#include "trivet/base/mem.h"
#include "trivet/commands/arguments/integer.h"
#include "trivet/commands/groups.h"
#include "trivet/keyspace/counters.h"
#include <math.h>

/* ---- reading ---- */

bool hash_read(struct call *c, struct value *v, bool *missing) {
    struct entry *e = keyspace_read(&c->view, c->argv[1]);
    *missing = !e;
    if (!e || !is_type_or_missing(c, e, TYPE_HASH)) return false;
    *v = entry_value(e);
    return true;
}

bool hash_find_live(const struct call *c, struct value v, struct slice name, struct hash_field *out,
                    struct hash_scratch *scratch) {
    return hash_find(v, name, out, scratch) && !hash_field_is_expired(out, hash_now(c));
}

bool hash_remove_live(const struct call *c, struct value *v, struct slice name) {
    struct hash_field f;
    struct hash_scratch scratch;
    if (UNLIKELY(hash_may_hide(c, *v)) && !hash_find_live(c, *v, name, &f, &scratch)) return false;
    return hash_remove(v, name);
}

void hash_reply_value(struct call *c, const struct value *v, struct slice name) {
    struct hash_field f;
    struct hash_scratch scratch;
    if (v && hash_find_live(c, *v, name, &f, &scratch))
        reply_bulk(c->out, f.value);
    else
        reply_null(c->out);
}

/* ---- changing ---- */

/* They are out of the hash. Where they were only hidden nobody is told but the journal. */
static void tell_settled(struct call *c, struct slice key, struct effect hdel) {
    if (c->view.expiry == EXPIRY_HIDES) {
        journal_effect(c, hdel);
        return;
    }
    COUNTER_ADD(counters_mine()->expired_fields, hdel.argc - 2);
    changed_times(c, key, hdel.argc - 2, NOTIFY_HASH, "hexpired", hdel);
}

void hash_settle(struct call *c, struct keyspace_change *h, struct field_names names, bool will_set) {
    if (LIKELY(!hash_may_hide(c, h->value))) return;
    if (c->view.expiry == EXPIRY_HIDES && !will_set) return;
    struct slice *argv = mem_alloc((2 + names.count) * sizeof *argv);
    size_t argc = 2;
    for (size_t i = 0; i < names.count; i++) {
        struct hash_field f;
        struct hash_scratch scratch;
        struct slice name = names.first[i * names.step];
        if (!hash_find(h->value, name, &f, &scratch) || !hash_field_is_expired(&f, hash_now(c))) continue;
        (void)hash_remove(&h->value, name);
        argv[argc++] = name;
    }
    if (argc > 2) {
        argv[0] = LIT("HDEL");
        argv[1] = h->key;
        tell_settled(c, h->key, (struct effect){ argv, argc });
    }
    mem_free(argv);
}

/* ---- setting ---- */

/* Sets all pairs; false after replying why not. */
static bool set_pairs(struct call *c, int64_t *added) {
    if (c->argc % 2 == 1) {
        reply_error_printf(c->out, "ERR wrong number of arguments for '%s' command", c->command->full_name);
        return false;
    }
    struct keyspace_change h;
    size_t count = (c->argc - 2) / 2;
    if (!hash_open(c, &h)) return false;
    hash_settle(c, &h, (struct field_names){ c->argv + 2, count, 2 }, true);
    hash_expect(&h.value, c->argv + 2, count);
    *added = 0;
    for (size_t i = 2; i < c->argc; i += 2)
        *added += hash_set(&h.value, c->argv[i], c->argv[i + 1], HASH_NO_EXPIRY);
    change_close(c, &h, count, "hset", EFFECT_SAME(c));
    return true;
}

/* HSET key field value [field value ...] */
static void cmd_hset(struct call *c) {
    int64_t added;
    if (set_pairs(c, &added)) reply_int(c->out, added);
}

/* HMSET key field value [field value ...] */
static void cmd_hmset(struct call *c) {
    int64_t added;
    if (set_pairs(c, &added)) reply_ok(c->out);
}

/* HSETNX key field value */
static void cmd_hsetnx(struct call *c) {
    struct keyspace_change h;
    struct hash_field f;
    struct hash_scratch scratch;
    if (!hash_open(c, &h)) return;
    hash_settle(c, &h, (struct field_names){ &c->argv[2], 1, 1 }, true);
    bool is_free = !hash_find(h.value, c->argv[2], &f, &scratch);
    reply_int(c->out, is_free);
    if (is_free) {
        hash_expect(&h.value, &c->argv[2], 1);
        (void)hash_set(&h.value, c->argv[2], c->argv[3], HASH_NO_EXPIRY);
    }
    change_close(c, &h, is_free, "hset", EFFECT_SAME(c));
}

/* ---- counting ---- */

/* The number in the field, 0 if it is not there; false after replying that it is none. */
static bool integer_value(struct call *c, struct value v, int64_t *n) {
    struct hash_field f;
    struct hash_scratch scratch;
    *n = 0;
    if (!hash_find(v, c->argv[2], &f, &scratch) || int64_parse(f.value, n)) return true;
    reply_error_text(c->out, LIT("ERR hash value is not an integer"));
    return false;
}

/* HINCRBY key field increment */
static void cmd_hincrby(struct call *c) {
    struct keyspace_change h;
    int64_t n, step;
    if (!integer_argument(c, 3, &step)) return;
    if (!hash_open(c, &h)) return;
    hash_settle(c, &h, (struct field_names){ &c->argv[2], 1, 1 }, true);
    bool ok = integer_value(c, h.value, &n);
    if (ok && __builtin_add_overflow(n, step, &n)) {
        reply_error(c->out, ERR_OVERFLOW);
        ok = false;
    }
    if (ok) {
        char digits[INT64_TEXT_MAX];
        (void)hash_set(&h.value, c->argv[2], slice_make(digits, int64_format(digits, n)), HASH_KEEP_EXPIRY);
        reply_int(c->out, n);
    }
    change_close(c, &h, ok, "hincrby", EFFECT_SAME(c));
}

static bool fraction_value(struct call *c, struct value v, long double *n, bool *is_dated) {
    struct hash_field f;
    struct hash_scratch scratch;
    *n = 0;
    *is_dated = false;
    if (!hash_find(v, c->argv[2], &f, &scratch)) return true;
    *is_dated = f.expiry_ms != HASH_NO_EXPIRY;
    if (long_double_parse(f.value, n)) return true;
    reply_error_text(c->out, LIT("ERR hash value is not a float"));
    return false;
}

/* The increment; false after replying that it is none. */
static bool read_fraction(struct call *c, long double *step) {
    if (!long_double_parse(c->argv[3], step)) {
        reply_error(c->out, ERR_NOT_FLOAT);
        return false;
    }
    if (isfinite(*step)) return true;
    reply_error_text(c->out, LIT("ERR value is NaN or Infinity"));
    return false;
}

/* HINCRBYFLOAT key field increment. The journal gets the result: sums of fractions need not come out the same
 * elsewhere. */
static void cmd_hincrbyfloat(struct call *c) {
    struct keyspace_change h;
    struct slice key = c->argv[1], name = c->argv[2];
    long double n, step;
    bool is_dated;
    if (!read_fraction(c, &step) || !hash_open(c, &h)) return;
    hash_settle(c, &h, (struct field_names){ &c->argv[2], 1, 1 }, true);
    bool ok = fraction_value(c, h.value, &n, &is_dated);
    n += step;
    if (ok && !isfinite(n)) {
        reply_error(c->out, ERR_NAN);
        ok = false;
    }
    if (!ok) {
        change_close(c, &h, 0, NULL, EFFECT_NONE);
        return;
    }
    char digits[LONG_DOUBLE_TEXT_MAX];
    struct slice text = slice_make(digits, long_double_format(digits, n));
    (void)hash_set(&h.value, name, text, HASH_KEEP_EXPIRY);
    reply_bulk(c->out, text);
    if (is_dated)
        change_close(c, &h, 1, "hincrbyfloat",
                     EFFECT(LIT("HSETEX"), key, LIT("KEEPTTL"), LIT("FIELDS"), LIT("1"), name, text));
    else
        change_close(c, &h, 1, "hincrbyfloat", EFFECT(LIT("HSET"), key, name, text));
}

/* ---- deleting ---- */

/* HDEL key field [field ...] */
static void cmd_hdel(struct call *c) {
    struct keyspace_change h;
    int64_t removed = 0;
    if (!hash_open(c, &h)) return;
    if (h.entry) {
        hash_settle(c, &h, (struct field_names){ &c->argv[2], c->argc - 2, 1 }, false);
        for (size_t i = 2; i < c->argc && hash_count(h.value) > 0; i++)
            removed += hash_remove_live(c, &h.value, c->argv[i]);
    }
    reply_int(c->out, removed);
    change_close(c, &h, (size_t)removed, "hdel", EFFECT_SAME(c));
}

/* ---- getting ---- */

/* HGET key field */
static void cmd_hget(struct call *c) {
    struct value v;
    bool missing;
    if (hash_read(c, &v, &missing))
        hash_reply_value(c, &v, c->argv[2]);
    else if (missing)
        reply_null(c->out);
}

/* HMGET key field [field ...] */
static void cmd_hmget(struct call *c) {
    struct value v;
    bool missing;
    if (!hash_read(c, &v, &missing) && !missing) return;
    reply_array(c->out, c->argc - 2);
    for (size_t i = 2; i < c->argc; i++) hash_reply_value(c, missing ? NULL : &v, c->argv[i]);
}

/* HLEN key. Fields that have expired count until they are taken out. */
static void cmd_hlen(struct call *c) {
    struct value v;
    bool missing;
    if (hash_read(c, &v, &missing))
        reply_int(c->out, (int64_t)hash_count(v));
    else if (missing)
        reply_int(c->out, 0);
}

/* HEXISTS key field */
static void cmd_hexists(struct call *c) {
    struct value v;
    struct hash_field f;
    struct hash_scratch scratch;
    bool missing;
    if (hash_read(c, &v, &missing))
        reply_int(c->out, hash_find_live(c, v, c->argv[2], &f, &scratch));
    else if (missing)
        reply_int(c->out, 0);
}

/* HSTRLEN key field */
static void cmd_hstrlen(struct call *c) {
    struct value v;
    struct hash_field f;
    struct hash_scratch scratch;
    bool missing;
    if (hash_read(c, &v, &missing))
        reply_int(c->out, hash_find_live(c, v, c->argv[2], &f, &scratch) ? (int64_t)f.value.len : 0);
    else if (missing)
        reply_int(c->out, 0);
}

/* ---- the table ---- */

#define HASH_FACTS .kind = KEYED, .categories = CAT_HASH
#define SETS HASH_FACTS, .flags = WRITES | GROWS | FAST
#define ASKS HASH_FACTS, .flags = READS | FAST

const struct command hash_commands[] = {
    { .name = "HDEL", .run = cmd_hdel, .arity = -3, HASH_FACTS, .flags = WRITES | FAST,
      .keys = { KEY(KEY_RW | KEY_DELETE) }, .since = "2.0.0",
      .summary = "Deletes fields of a hash; an emptied hash is deleted.",
      .complexity = "O(N) where N is the number of fields to be deleted.",
      .syntax = "key field [field ...]" },
    { .name = "HEXISTS", .run = cmd_hexists, .arity = 3, ASKS, .keys = { KEY(KEY_RO) }, .since = "2.0.0",
      .summary = "Tells whether a hash has a field.", .complexity = "O(1)", .syntax = "key field" },
    { .name = "HGET", .run = cmd_hget, .arity = 3, ASKS, .keys = { KEY(KEY_RO | KEY_ACCESS) },
      .since = "2.0.0",
      .summary = "Returns the value of a field.", .complexity = "O(1)", .syntax = "key field" },
    { .name = "HINCRBY", .run = cmd_hincrby, .arity = 4, SETS,
      .keys = { KEY(KEY_RW | KEY_ACCESS | KEY_UPDATE) },
      .since = "2.0.0", .summary = "Adds a number to the integer of a field; a missing field counts as 0.",
      .complexity = "O(1)", .syntax = "key field increment" },
    { .name = "HINCRBYFLOAT", .run = cmd_hincrbyfloat, .arity = 4, SETS,
      .keys = { KEY(KEY_RW | KEY_ACCESS | KEY_UPDATE) }, .since = "2.6.0",
      .summary = "Adds a decimal fraction to the number of a field; a missing field counts as 0.",
      .complexity = "O(1)", .syntax = "key field increment" },
    { .name = "HLEN", .run = cmd_hlen, .arity = 2, ASKS, .keys = { KEY(KEY_RO) }, .since = "2.0.0",
      .summary = "Returns the number of fields of a hash.", .complexity = "O(1)", .syntax = "key" },
    { .name = "HMGET", .run = cmd_hmget, .arity = -3, ASKS, .keys = { KEY(KEY_RO | KEY_ACCESS) },
      .since = "2.0.0", .summary = "Returns the values of several fields.",
      .complexity = "O(N) where N is the number of fields asked for.", .syntax = "key field [field ...]" },
    { .name = "HMSET", .run = cmd_hmset, .arity = -4, HASH_FACTS, .flags = WRITES | GROWS | FAST | DEPRECATED,
      .keys = { KEY(KEY_RW | KEY_UPDATE) }, .since = "2.0.0", .summary = "Sets the values of several fields.",
      .complexity = "O(N) where N is the number of fields.", .syntax = "key field value [field value ...]",
      .deprecated_since = "4.0.0", .replaced_by = "`HSET` with several fields" },
    { .name = "HSET", .run = cmd_hset, .arity = -4, SETS, .keys = { KEY(KEY_RW | KEY_UPDATE) },
      .since = "2.0.0",
      .summary = "Sets the values of fields; a missing key is created.", .complexity = "O(1) for each field.",
      .syntax = "key field value [field value ...]" },
    { .name = "HSETNX", .run = cmd_hsetnx, .arity = 4, SETS, .keys = { KEY(KEY_RW | KEY_INSERT) },
      .since = "2.0.0", .summary = "Sets the value of a field that does not exist.", .complexity = "O(1)",
      .syntax = "key field value" },
    { .name = "HSTRLEN", .run = cmd_hstrlen, .arity = 3, ASKS, .keys = { KEY(KEY_RO) }, .since = "3.2.0",
      .summary = "Returns the length of a field's value.", .complexity = "O(1)", .syntax = "key field" },
    { .name = NULL },
};
