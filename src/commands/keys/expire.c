/* expire.c: the time to live of keys: setting it, asking for it, taking it away.
 *
 * Whatever the unit, the journal gets an instant in milliseconds (PEXPIREAT), or DEL if it is past. */
#include "trivet/base/number.h"
#include "trivet/commands/arguments/expire_condition.h"
#include "trivet/commands/arguments/expiry_option.h"
#include "trivet/commands/groups.h"
#include "trivet/engine/run/change.h"

/* ---- setting ---- */

static void expire_key(struct call *c, struct entry *e, int64_t at_ms) {
    struct slice key = c->argv[1];
    if (keyspace_is_past(&c->view, at_ms)) {
        expire_at_once(c, key, e);
        return;
    }
    /* The loader may meet a time before 1970, which must not look like "none". */
    if (at_ms < 0) at_ms = 0;
    char digits[INT64_TEXT_MAX];
    struct slice at = slice_make(digits, int64_format(digits, at_ms));
    keyspace_set_expiry(&c->view, e, at_ms);
    changed(c, key, NOTIFY_GENERIC, "expire", EFFECT(LIT("PEXPIREAT"), key, at));
}

static void expire(struct call *c, struct expire_unit unit) {
    unsigned conditions = 0;
    int64_t at_ms;
    if (!expire_conditions_read(c, 3, c->argc, &conditions)) return;
    if (!expire_instant_read(c, c->argv[2], unit, &at_ms)) return;
    struct entry *e = keyspace_write(&c->view, c->argv[1]);
    bool applies = e && expire_conditions_hold(conditions, entry_expiry_ms(e), at_ms);
    if (applies) expire_key(c, e, at_ms);
    reply_int(c->out, applies);
}

/* EXPIRE key seconds [NX | XX | GT | LT] */
static void cmd_expire(struct call *c) { expire(c, (struct expire_unit){ true, true }); }

/* PEXPIRE key milliseconds [NX | XX | GT | LT] */
static void cmd_pexpire(struct call *c) { expire(c, (struct expire_unit){ false, true }); }

/* EXPIREAT key unix-time-seconds [NX | XX | GT | LT] */
static void cmd_expireat(struct call *c) { expire(c, (struct expire_unit){ true, false }); }

/* PEXPIREAT key unix-time-milliseconds [NX | XX | GT | LT] */
static void cmd_pexpireat(struct call *c) { expire(c, (struct expire_unit){ false, false }); }

/* PERSIST key */
static void cmd_persist(struct call *c) {
    struct slice key = c->argv[1];
    struct entry *e = keyspace_write(&c->view, key);
    bool had = e && e->has_expiry;
    if (had) {
        keyspace_set_expiry(&c->view, e, NO_EXPIRY);
        changed(c, key, NOTIFY_GENERIC, "persist", EFFECT_SAME(c));
    }
    reply_int(c->out, had);
}

/* ---- asking ---- */

enum { TTL_NO_KEY = -2, TTL_NO_EXPIRY = -1 };

static void reply_expiry(struct call *c, struct expire_unit unit) {
    struct entry *e = keyspace_peek(&c->view, c->argv[1]);
    if (!e || !e->has_expiry) {
        reply_int(c->out, e ? TTL_NO_EXPIRY : TTL_NO_KEY);
        return;
    }
    int64_t ms = entry_expiry_ms(e);
    if (unit.relative) ms = ms > c->view.now_ms ? ms - c->view.now_ms : 0;
    reply_int(c->out, unit.in_seconds ? ms / 1000 + (ms % 1000 >= 500) : ms);
}

/* TTL key */
static void cmd_ttl(struct call *c) { reply_expiry(c, (struct expire_unit){ true, true }); }

/* PTTL key */
static void cmd_pttl(struct call *c) { reply_expiry(c, (struct expire_unit){ false, true }); }

/* EXPIRETIME key */
static void cmd_expiretime(struct call *c) { reply_expiry(c, (struct expire_unit){ true, false }); }

/* PEXPIRETIME key */
static void cmd_pexpiretime(struct call *c) { reply_expiry(c, (struct expire_unit){ false, false }); }

/* ---- the table ---- */

#define EXPIRY_FACTS .kind = KEYED, .categories = CAT_KEYSPACE, .complexity = "O(1)"
#define SETTING EXPIRY_FACTS, .flags = WRITES | FAST, .keys = { KEY(KEY_RW | KEY_UPDATE) }
#define ASKING_FOR EXPIRY_FACTS, .flags = READS | FAST, .keys = { KEY(KEY_RO | KEY_ACCESS) }, .syntax = "key"

const struct command expire_commands[] = {
    { .name = "EXPIRE", .run = cmd_expire, .arity = -3, SETTING, .since = "1.0.0",
      .summary = "Sets after how many seconds a key expires.", .syntax = "key seconds [NX | XX | GT | LT]" },
    { .name = "EXPIREAT", .run = cmd_expireat, .arity = -3, SETTING, .since = "1.2.0",
      .summary = "Sets the time, in seconds since 1970, at which a key expires.",
      .syntax = "key unix-time-seconds [NX | XX | GT | LT]" },
    { .name = "EXPIRETIME", .run = cmd_expiretime, .arity = 2, ASKING_FOR, .since = "7.0.0",
      .summary = "Returns the time, in seconds since 1970, at which a key expires." },
    { .name = "PERSIST", .run = cmd_persist, .arity = 2, SETTING, .since = "2.2.0",
      .summary = "Takes a key's expiration time away.", .syntax = "key" },
    { .name = "PEXPIRE", .run = cmd_pexpire, .arity = -3, SETTING, .since = "2.6.0",
      .summary = "Sets after how many milliseconds a key expires.",
      .syntax = "key milliseconds [NX | XX | GT | LT]" },
    { .name = "PEXPIREAT", .run = cmd_pexpireat, .arity = -3, SETTING, .since = "2.6.0",
      .summary = "Sets the time, in milliseconds since 1970, at which a key expires.",
      .syntax = "key unix-time-milliseconds [NX | XX | GT | LT]" },
    { .name = "PEXPIRETIME", .run = cmd_pexpiretime, .arity = 2, ASKING_FOR, .since = "7.0.0",
      .summary = "Returns the time, in milliseconds since 1970, at which a key expires." },
    { .name = "PTTL", .run = cmd_pttl, .arity = 2, ASKING_FOR, .since = "2.6.0",
      .summary = "Returns the milliseconds until a key expires.", .tips = "nondeterministic_output" },
    { .name = "TTL", .run = cmd_ttl, .arity = 2, ASKING_FOR, .since = "1.0.0",
      .summary = "Returns the seconds until a key expires.", .tips = "nondeterministic_output" },
    { .name = NULL },
};
