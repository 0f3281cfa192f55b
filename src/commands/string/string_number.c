/* string_number.c: strings that are numbers: counters with a sign and 64 bits, and decimal fractions.
 *
 * A counter changes in place: its entry holds the integer itself. INCRBYFLOAT leaves its result in the
 * journal, not itself, because sums of fractions need not come out the same on another machine. */
#include "string_value.h"
#include "trivet/base/number.h"
#include "trivet/commands/groups.h"
#include "trivet/engine/run/change.h"
#include <math.h>

/* The number at the key, 0 if there is none; false after replying that it is no number. */
static bool counter_value(struct call *c, const struct entry *e, int64_t *out) {
    char scratch[INT64_TEXT_MAX];
    if (!string_or_missing(c, e)) return false;
    if (!e) {
        *out = 0;
    } else if (LIKELY(e->encoding == ENCODING_INT)) {
        *out = entry_int(e);
    } else if (!int64_parse(entry_text(e, scratch), out)) {
        reply_error(c->out, ERR_NOT_INT);
        return false;
    }
    return true;
}

static void store_number(struct call *c, struct slice key, struct entry *old, int64_t n) {
    struct keyspace_view *view = &c->view;
    if (!old)
        keyspace_insert(view, entry_new_int(key, n, NO_EXPIRY));
    else if (LIKELY(old->encoding == ENCODING_INT))
        entry_set_int(old, n);
    else
        keyspace_replace(view, old, entry_new_int(key, n, entry_expiry_ms(old)));
}

static void add_to_counter(struct call *c, int64_t step) {
    struct slice key = c->argv[1];
    struct entry *e = keyspace_write(&c->view, key);
    int64_t n;
    if (!counter_value(c, e, &n)) return;
    if (__builtin_add_overflow(n, step, &n)) {
        reply_error(c->out, ERR_OVERFLOW);
        return;
    }
    store_number(c, key, e, n);
    reply_int(c->out, n);
    changed(c, key, NOTIFY_STRING, "incrby", EFFECT_SAME(c));
}

/* INCR key */
static void cmd_incr(struct call *c) { add_to_counter(c, 1); }

/* DECR key */
static void cmd_decr(struct call *c) { add_to_counter(c, -1); }

/* INCRBY key increment */
static void cmd_incrby(struct call *c) {
    int64_t step;
    if (int64_parse(c->argv[2], &step))
        add_to_counter(c, step);
    else
        reply_error(c->out, ERR_NOT_INT);
}

/* DECRBY key decrement */
static void cmd_decrby(struct call *c) {
    int64_t step;
    if (!int64_parse(c->argv[2], &step))
        reply_error(c->out, ERR_NOT_INT);
    else if (step == INT64_MIN)
        reply_error_text(c->out, LIT("ERR decrement would overflow"));
    else
        add_to_counter(c, -step);
}

/* The digits stay text even if they are a whole number: OBJECT ENCODING shows the difference. */
static struct entry *write_digits(struct entry *e, struct slice digits) {
    memcpy(entry_make_writable(&e, digits.len, digits.len), digits.ptr, digits.len);
    e->raw_or_dated = false;
    return e;
}

static void store_digits(struct call *c, struct slice key, struct entry *old, struct slice digits) {
    if (!old) {
        struct entry *e = entry_new_string(key, LIT(""), NO_EXPIRY);
        keyspace_insert(&c->view, write_digits(e, digits));
    } else {
        struct keyspace_before before = keyspace_before(old);
        keyspace_moved(&c->view, before, write_digits(old, digits));
    }
}

/* INCRBYFLOAT key increment */
static void cmd_incrbyfloat(struct call *c) {
    struct slice key = c->argv[1];
    struct entry *e = keyspace_write(&c->view, key);
    if (!string_or_missing(c, e)) return;
    char digits[LONG_DOUBLE_TEXT_MAX];
    long double n = 0, step;
    if ((e && !long_double_parse(entry_text(e, digits), &n)) || !long_double_parse(c->argv[2], &step)) {
        reply_error(c->out, ERR_NOT_FLOAT);
        return;
    }
    n += step;
    if (isnan(n) || isinf(n)) {
        reply_error(c->out, ERR_NAN);
        return;
    }
    struct slice text = slice_make(digits, long_double_format(digits, n));
    store_digits(c, key, e, text);
    reply_bulk(c->out, text);
    changed(c, key, NOTIFY_STRING, "incrbyfloat", EFFECT(LIT("SET"), key, text, LIT("KEEPTTL")));
}

/* ---- the table ---- */

#define COUNTER_FACTS                                                        \
    .kind = KEYED, .flags = WRITES | GROWS | FAST, .categories = CAT_STRING, \
    .keys = { KEY(KEY_RW | KEY_ACCESS | KEY_UPDATE) }, .complexity = "O(1)"

const struct command string_number_commands[] = {
    { .name = "DECR",
      .run = cmd_decr,
      .arity = 2,
      COUNTER_FACTS,
      .since = "1.0.0",
      .summary = "Subtracts one from the integer of a key; a missing key counts as 0.",
      .syntax = "key" },
    { .name = "DECRBY",
      .run = cmd_decrby,
      .arity = 3,
      COUNTER_FACTS,
      .since = "1.0.0",
      .summary = "Subtracts a number from the integer of a key; a missing key counts as 0.",
      .syntax = "key decrement" },
    { .name = "INCR",
      .run = cmd_incr,
      .arity = 2,
      COUNTER_FACTS,
      .since = "1.0.0",
      .summary = "Adds one to the integer of a key; a missing key counts as 0.",
      .syntax = "key" },
    { .name = "INCRBY",
      .run = cmd_incrby,
      .arity = 3,
      COUNTER_FACTS,
      .since = "1.0.0",
      .summary = "Adds a number to the integer of a key; a missing key counts as 0.",
      .syntax = "key increment" },
    { .name = "INCRBYFLOAT",
      .run = cmd_incrbyfloat,
      .arity = 3,
      COUNTER_FACTS,
      .since = "2.6.0",
      .summary = "Adds a decimal fraction to the number of a key; a missing key counts as 0.",
      .syntax = "key increment" },
    { .name = NULL },
};
