/* dump.c: a value as bytes and back: DUMP and RESTORE.
 *
 * A payload is the type (1 byte), the value in the RDB format, the format's version (2 bytes, little endian)
 * and the crc64 of all before (8). What comes from a client is checked to the last byte whatever
 * sanitize-dump-payload says. */
#include "dump.h"
#include "trivet/base/buf.h"
#include "trivet/commands/arguments/integer.h"
#include "trivet/commands/arguments/refuse.h"
#include "trivet/commands/groups.h"
#include "trivet/engine/run/change.h"
#include "trivet/engine/settings/options.h"
#include "trivet/keyspace/eviction.h"
#include "trivet/persist/journal.h"
#include "trivet/persist/rdb/payload.h"
#include "trivet/persist/rdb/values.h"

/* ---- DUMP ---- */

static void put_payload(struct buf *payload, const struct entry *e, int version, int64_t now_ms) {
    struct rdb_out out = { .compress = options.rdbcompression };
    buf_append_byte(&out.bytes, (char)rdb_type_of(e, version));
    rdb_put_value(&out, e, version, now_ms);
    rdb_payload_end(&out, version);
    *payload = out.bytes;
}

void make_dump_payload(struct buf *payload, const struct entry *e, int64_t now_ms) {
    int version = options.rdb_write_version == RDB_WRITE_AUTO ? rdb_version_of(e) : options.rdb_write_version;
    put_payload(payload, e, version, now_ms);
}

void make_migration_payload(struct buf *payload, const struct entry *e, int64_t now_ms) {
    int version = options.rdb_write_version;
    if (version == RDB_WRITE_AUTO) {
        version = rdb_version_of(e);
        if (version == RDB_VERSION_MAX) version = RDB_VERSION_COMMON;
    }
    put_payload(payload, e, version, now_ms);
}

void journal_value(struct call *c, uint32_t db, const struct entry *e) {
    if (!effects_are_wanted) return;
    struct buf payload;
    char digits[INT64_TEXT_MAX];
    int64_t expiry_ms = entry_expiry_ms(e);
    put_payload(&payload, e, rdb_version_of(e), c->view.now_ms);
    struct slice at = slice_make(digits, int64_format(digits, expiry_ms == NO_EXPIRY ? 0 : expiry_ms));
    journal_effect_in(
        c, db, EFFECT(LIT("RESTORE"), entry_key(e), at, buf_slice(&payload), LIT("REPLACE"), LIT("ABSTTL")));
    buf_release(&payload);
}

/* DUMP key */
static void cmd_dump(struct call *c) {
    struct entry *e = keyspace_read(&c->view, c->argv[1]);
    if (!e) {
        reply_null(c->out);
        return;
    }
    struct buf payload;
    make_dump_payload(&payload, e, c->view.now_ms);
    reply_bulk(c->out, buf_slice(&payload));
    buf_release(&payload);
}

/* ---- RESTORE ---- */

struct restore_plan {
    bool replace, absolute;
    int64_t ttl, idle_s, frequency; /* -1: not given */
};

/* A number in its range, or a reply that it is not. */
static bool read_number(struct call *c, size_t index, const char *what, int64_t max, int64_t *out) {
    if (!integer_argument(c, index, out)) return false;
    if (*out >= 0 && *out <= max) return true;
    reply_error_printf(c->out,
                       max == UINT8_MAX ? "ERR Invalid %s value, must be >= 0 and <= 255"
                                        : "ERR Invalid %s value, must be >= 0",
                       what);
    return false;
}

static bool read_options(struct call *c, struct restore_plan *plan) {
    *plan = (struct restore_plan){ .idle_s = -1, .frequency = -1 };
    for (size_t i = 4; i < c->argc; i++) {
        bool more = i + 1 < c->argc;
        if (call_is(c, i, "REPLACE")) {
            plan->replace = true;
        } else if (call_is(c, i, "ABSTTL")) {
            plan->absolute = true;
        } else if (call_is(c, i, "IDLETIME") && more && plan->frequency == -1) {
            if (!read_number(c, ++i, "IDLETIME", INT64_MAX, &plan->idle_s)) return false;
        } else if (call_is(c, i, "FREQ") && more && plan->idle_s == -1) {
            if (!read_number(c, ++i, "FREQ", UINT8_MAX, &plan->frequency)) return false;
        } else {
            return refuse_syntax(c);
        }
    }
    return true;
}

/* The type and the value of a payload whose footer is right. Under 'relaxed' maybe another version can be
 * read all the same; one in the journal was. */
static bool open_payload(const struct call *c, struct slice payload, struct slice *body) {
    bool any_version = options.rdb_version_check != 0 || c->origin->is_replay;
    return rdb_payload_open(payload, any_version, body) && body->len > 0;
}

static uint32_t access_of(const struct call *c, const struct restore_plan *plan) {
    if (plan->frequency >= 0 && eviction_counts_uses(c->view.db))
        return eviction_access_frequency((uint8_t)plan->frequency, c->view.now_ms);
    if (plan->idle_s >= 0 && !eviction_counts_uses(c->view.db)) {
        int64_t most = INT64_MAX / 1000;
        return eviction_access_idle((plan->idle_s < most ? plan->idle_s : most) * 1000, c->view.now_ms);
    }
    return eviction_access_new(c->view.db, c->view.now_ms);
}

/* The whole body must be one value. */
static struct entry *read_body(struct call *c, struct slice body, const struct restore_plan *plan,
                               int64_t expiry_ms) {
    struct rdb_in in = { (const unsigned char *)body.ptr + 1, (const unsigned char *)body.ptr + body.len };
    bool empty;
    struct entry *e = rdb_take_value(&in, (unsigned char)body.ptr[0], c->argv[1], expiry_ms, &empty);
    if (e && rdb_left(&in) == 0) {
        e->access = access_of(c, plan) & ENTRY_ACCESS_MASK;
        return e;
    }
    if (e) entry_free(e);
    reply_error_text(c->out, LIT("ERR Bad data format"));
    return NULL;
}

/* What was there goes, if anything was; a key whose time has passed already does not come. */
static void restore_nothing(struct call *c, struct entry *old) {
    if (old) {
        keyspace_delete(&c->view, old, options.lazyfree_lazy_server_del);
        changed(c, c->argv[1], NOTIFY_GENERIC, "del", EFFECT(LIT("DEL"), c->argv[1]));
    }
    reply_ok(c->out);
}

static void restore(struct call *c, struct entry *old, struct entry *fresh, int64_t expiry_ms) {
    struct slice key = c->argv[1];
    if (old)
        keyspace_replace(&c->view, old, fresh);
    else
        keyspace_insert(&c->view, fresh);
    reply_ok(c->out);
    char digits[INT64_TEXT_MAX];
    struct slice at = slice_make(digits, int64_format(digits, expiry_ms == NO_EXPIRY ? 0 : expiry_ms));
    changed(c, key, NOTIFY_GENERIC, "restore",
            EFFECT(LIT("RESTORE"), key, at, c->argv[3], LIT("REPLACE"), LIT("ABSTTL")));
}

/* The time of expiry; false after replying that it is none. */
static bool read_expiry(struct call *c, const struct restore_plan *plan, int64_t *expiry_ms) {
    int64_t ttl;
    if (!read_number(c, 2, "TTL", INT64_MAX, &ttl)) return false;
    *expiry_ms = NO_EXPIRY;
    if (ttl == 0) return true;
    if (plan->absolute)
        *expiry_ms = ttl;
    else if (__builtin_add_overflow(ttl, c->view.now_ms, expiry_ms))
        *expiry_ms = INT64_MAX;
    return true;
}

/* RESTORE key ttl payload [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency] */
static void cmd_restore(struct call *c) {
    struct restore_plan plan;
    int64_t expiry_ms;
    struct slice body;
    if (!read_options(c, &plan)) return;
    struct entry *old = keyspace_write(&c->view, c->argv[1]);
    if (old && !plan.replace) {
        reply_error_text(c->out, LIT("BUSYKEY Target key name already exists."));
        return;
    }
    if (!read_expiry(c, &plan, &expiry_ms)) return;
    if (!open_payload(c, c->argv[3], &body)) {
        reply_error_text(c->out, LIT("ERR DUMP payload version or checksum are wrong"));
        return;
    }
    struct entry *fresh = read_body(c, body, &plan, expiry_ms);
    if (!fresh) return;
    if (expiry_ms != NO_EXPIRY && keyspace_is_past(&c->view, expiry_ms)) {
        entry_free_lazily(fresh);
        restore_nothing(c, old);
        return;
    }
    restore(c, old, fresh, expiry_ms);
}

/* ---- the tables ---- */

#define RESTORE_FACTS                                                                                   \
    .run = cmd_restore, .arity = -4, .kind = KEYED, .categories = CAT_KEYSPACE | CAT_DANGEROUS,         \
    .keys = { KEY(KEY_OW | KEY_UPDATE) },                                                               \
    .complexity = "O(1) for the key, O(N) for the elements of the value, O(N log N) for a sorted set.", \
    .syntax = "key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]"

const struct command dump_commands[] = {
    { .name = "DUMP", .run = cmd_dump, .arity = 2, .kind = KEYED, .flags = READS, .categories = CAT_KEYSPACE,
      .keys = { KEY(KEY_RO | KEY_ACCESS) }, .since = "2.6.0",
      .summary = "Returns the value of a key as bytes.",
      .complexity = "O(1) for the key, O(N) for the elements of the value.", .syntax = "key",
      .tips = "nondeterministic_output" },
    { .name = "RESTORE", RESTORE_FACTS, .flags = WRITES | GROWS, .since = "2.6.0",
      .summary = "Makes a key from the bytes that DUMP gave." },
    { .name = NULL },
};

const struct command restore_asking_commands[] = {
    { .name = "RESTORE-ASKING", RESTORE_FACTS, .flags = WRITES | GROWS | ASKING | SYSCMD, .since = "3.0.0",
      .summary = "Makes a key from the bytes that DUMP gave, while its slot is being moved here." },
    { .name = NULL },
};
