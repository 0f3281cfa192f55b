/* bitmap.c: a string as a row of bits. Bit 0 is the highest bit of the first byte. */
#include "bit_argument.h"
#include "string_value.h"
#include "trivet/base/number.h"
#include "trivet/commands/arguments/integer.h"
#include "trivet/commands/arguments/refuse.h"
#include "trivet/commands/groups.h"
#include "trivet/engine/run/change.h"
#include "trivet/engine/settings/options.h"

bool bit_offset_parse(struct call *c, struct slice text, unsigned width, uint64_t *offset) {
    int64_t n;
    bool scaled = width > 0 && text.len > 0 && text.ptr[0] == '#';
    struct slice digits = scaled ? slice_make(text.ptr + 1, text.len - 1) : text;
    bool ok = int64_parse(digits, &n) && n >= 0;
    if (ok && scaled) ok = !__builtin_mul_overflow(n, (int64_t)width, &n);
    if (ok && (uint64_t)n >> 3 < call_bulk_max(c)) {
        *offset = (uint64_t)n;
        return true;
    }
    reply_error_text(c->out, LIT("ERR bit offset is not an integer or out of range"));
    return false;
}

/* The string at argument `index` as bytes, empty if it is missing; false after replying WRONGTYPE. */
static bool read_bytes(struct call *c, size_t index, char *scratch, struct slice *out) {
    struct entry *e = keyspace_read(&c->view, c->argv[index]);
    if (!string_or_missing(c, e)) return false;
    *out = e ? entry_text(e, scratch) : LIT("");
    return true;
}

static bool bit_at(struct slice bytes, uint64_t offset) {
    size_t byte = (size_t)(offset >> 3);
    return byte < bytes.len && ((unsigned char)bytes.ptr[byte] >> (7 - (offset & 7)) & 1);
}

/* SETBIT key offset value */
static void cmd_setbit(struct call *c) {
    uint64_t offset;
    int64_t bit;
    if (!bit_offset_parse(c, c->argv[2], 0, &offset)) return;
    if (!int64_parse(c->argv[3], &bit) || (bit & ~1)) {
        reply_error(c->out, ERR_NOT_BIT);
        return;
    }
    struct slice key = c->argv[1];
    struct entry *e = keyspace_write(&c->view, key);
    if (!string_or_missing(c, e)) return;
    size_t byte = (size_t)(offset >> 3), len = e ? entry_text_len(e) : 0;
    char *bytes = string_writable_or_new(c, key, e, byte < len ? len : byte + 1);
    unsigned char mask = (unsigned char)(0x80 >> (offset & 7));
    bool old = (unsigned char)bytes[byte] & mask;
    bytes[byte] = (char)(bit ? (unsigned char)bytes[byte] | mask : (unsigned char)bytes[byte] & ~mask);
    reply_int(c->out, old);
    if (old != (bit == 1) || byte >= len) changed(c, key, NOTIFY_STRING, "setbit", EFFECT_SAME(c));
}

/* GETBIT key offset */
static void cmd_getbit(struct call *c) {
    uint64_t offset;
    char scratch[INT64_TEXT_MAX];
    struct slice bytes;
    if (!bit_offset_parse(c, c->argv[2], 0, &offset) || !read_bytes(c, 1, scratch, &bytes)) return;
    reply_int(c->out, bit_at(bytes, offset));
}

/* ---- ranges ---- */

/* Bits first..last, both included; empty if last < first. */
struct bit_range {
    int64_t first, last;
    bool in_bits; /* given as BIT */
    bool has_end;
};

/* The shape of the command is judged before the numbers in it. */
static bool read_range(struct call *c, size_t at, struct bit_range *r) {
    *r = (struct bit_range){ .first = 0, .last = -1, .has_end = c->argc > at + 1 };
    if (c->argc > at + 2) {
        r->in_bits = call_is(c, at + 2, "BIT");
        if (c->argc > at + 3 || (!r->in_bits && !call_is(c, at + 2, "BYTE"))) {
            return refuse_syntax(c);
        }
    }
    bool good = (c->argc <= at || int64_parse(c->argv[at], &r->first)) &&
                (!r->has_end || int64_parse(c->argv[at + 1], &r->last));
    if (!good) reply_error(c->out, ERR_NOT_INT);
    return good;
}

static int64_t from_end(int64_t n, int64_t total) {
    if (n < 0) n += total;
    return n < 0 ? 0 : n;
}

/* Resolves negative positions and turns bytes into bits; false if the range is empty. */
static bool resolve_range(struct bit_range *r, struct slice bytes) {
    int64_t total = (int64_t)bytes.len * (r->in_bits ? 8 : 1);
    r->first = from_end(r->first, total);
    r->last = from_end(r->last, total);
    if (r->last >= total) r->last = total - 1;
    if (r->first > r->last || total == 0) return false;
    if (r->in_bits) return true;
    r->first *= 8;
    r->last = r->last * 8 + 7;
    return true;
}

static uint64_t load_word(const char *at) {
    uint64_t w;
    memcpy(&w, at, sizeof w);
    return w;
}

static uint64_t count_bits(struct slice bytes, int64_t first, int64_t last) {
    uint64_t count = 0;
    int64_t i = first;
    for (; i <= last && (i & 7); i++) count += bit_at(bytes, (uint64_t)i);
    for (; i + 63 <= last; i += 64) count += (uint64_t)__builtin_popcountll(load_word(bytes.ptr + i / 8));
    for (; i <= last; i++) count += bit_at(bytes, (uint64_t)i);
    return count;
}

/* BITCOUNT key [start [end [BYTE | BIT]]] */
static void cmd_bitcount(struct call *c) {
    struct bit_range range;
    char scratch[INT64_TEXT_MAX];
    struct slice bytes;
    if (!read_range(c, 2, &range) || !read_bytes(c, 1, scratch, &bytes)) return;
    /* Both from the end and the wrong way round is nothing, though cut to the string's beginning they might
     * meet. */
    bool backwards = range.first < 0 && range.last < 0 && range.first > range.last;
    reply_int(c->out, !backwards && resolve_range(&range, bytes)
                          ? (int64_t)count_bits(bytes, range.first, range.last)
                          : 0);
}

/* The first bit of this value in first..last, or -1. */
static int64_t find_bit(struct slice bytes, bool value, int64_t first, int64_t last) {
    const uint64_t nothing = value ? 0 : UINT64_MAX;
    int64_t i = first;
    for (; i <= last && (i & 7); i++)
        if (bit_at(bytes, (uint64_t)i) == value) return i;
    while (i + 63 <= last && load_word(bytes.ptr + i / 8) == nothing) i += 64;
    for (; i <= last; i++)
        if (bit_at(bytes, (uint64_t)i) == value) return i;
    return -1;
}

/* BITPOS key bit [start [end [BYTE | BIT]]] */
static void cmd_bitpos(struct call *c) {
    int64_t bit;
    struct bit_range range;
    char scratch[INT64_TEXT_MAX];
    struct slice bytes;
    if (!integer_argument(c, 2, &bit)) return;
    if (bit & ~1) {
        reply_error_text(c->out, LIT("ERR The bit argument must be 1 or 0."));
        return;
    }
    if (!read_range(c, 3, &range)) return;
    struct entry *e = keyspace_read(&c->view, c->argv[1]);
    if (!string_or_missing(c, e)) return;
    if (!e) {
        reply_int(c->out, bit ? -1 : 0);
        return;
    }
    bytes = entry_text(e, scratch);
    if (!resolve_range(&range, bytes)) {
        reply_int(c->out, -1);
        return;
    }
    int64_t at = find_bit(bytes, bit, range.first, range.last);
    /* A string is thought to go on with zeros, unless the caller said where to stop. */
    if (at < 0 && bit == 0 && !range.has_end) at = (int64_t)bytes.len * 8;
    reply_int(c->out, at);
}

/* ---- BITOP ---- */

enum bit_operation { BIT_AND, BIT_OR, BIT_XOR, BIT_NOT };

static bool read_operation(struct call *c, enum bit_operation *op) {
    static const char *const names[] = { "AND", "OR", "XOR", "NOT" };
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (!call_is(c, 1, names[i])) continue;
        *op = (enum bit_operation)i;
        if (*op != BIT_NOT || c->argc == 4) return true;
        reply_error_text(c->out, LIT("ERR BITOP NOT must be called with a single source key."));
        return false;
    }
    return refuse_syntax(c);
}

/* Combines `from` into `to`; beyond its end `from` is zeros. */
static void combine(enum bit_operation op, unsigned char *to, size_t len, struct slice from) {
    const unsigned char *at = (const unsigned char *)from.ptr;
    size_t both = from.len < len ? from.len : len;
    switch (op) {
    case BIT_AND:
        for (size_t i = 0; i < both; i++) to[i] &= at[i];
        memset(to + both, 0, len - both);
        break;
    case BIT_OR:
        for (size_t i = 0; i < both; i++) to[i] |= at[i];
        break;
    case BIT_XOR:
        for (size_t i = 0; i < both; i++) to[i] ^= at[i];
        break;
    case BIT_NOT:
        for (size_t i = 0; i < both; i++) to[i] = (unsigned char)~at[i];
        break;
    }
}

/* The longest source's length; false after replying WRONGTYPE. */
static bool longest_source(struct call *c, size_t *len) {
    char scratch[INT64_TEXT_MAX];
    struct slice bytes;
    *len = 0;
    for (size_t i = 3; i < c->argc; i++) {
        if (!read_bytes(c, i, scratch, &bytes)) return false;
        if (bytes.len > *len) *len = bytes.len;
    }
    return true;
}

/* A new entry for the destination with the result. Built in place, it is "raw" whatever its bytes look like.
 */
static struct entry *operate(struct call *c, enum bit_operation op, size_t len) {
    char scratch[INT64_TEXT_MAX];
    struct entry *result = entry_new_string(c->argv[2], LIT(""), NO_EXPIRY);
    unsigned char *to = (unsigned char *)entry_make_writable(&result, len, len);
    for (size_t i = 3; i < c->argc; i++) {
        struct entry *e = keyspace_peek(&c->view, c->argv[i]);
        struct slice from = e ? entry_text(e, scratch) : LIT("");
        combine(i == 3 && op != BIT_NOT ? BIT_OR : op, to, len, from);
    }
    return result;
}

/* BITOP AND | OR | XOR | NOT destkey key [key ...] */
static void cmd_bitop(struct call *c) {
    enum bit_operation op;
    size_t len;
    if (!read_operation(c, &op) || !longest_source(c, &len)) return;
    struct slice destination = c->argv[2];
    struct entry *fresh = len > 0 ? operate(c, op, len) : NULL;
    reply_int(c->out, (int64_t)len);
    change_store_entry(c, destination, fresh, 1, NOTIFY_STRING, "set");
}

const struct command bitmap_commands[] = {
    { .name = "BITCOUNT",
      .run = cmd_bitcount,
      .arity = -2,
      .kind = KEYED,
      .keys = { KEY(KEY_RO | KEY_ACCESS) },
      .flags = READS,
      .categories = CAT_BITMAP,
      .since = "2.6.0",
      .summary = "Counts the set bits of a string.",
      .complexity = "O(N)",
      .syntax = "key [start [end [BYTE | BIT]]]" },
    { .name = "BITOP",
      .run = cmd_bitop,
      .arity = -4,
      .kind = KEYED,
      .keys = { KEY_AT(2, KEY_OW | KEY_UPDATE), KEYS_FROM(3, KEY_RO | KEY_ACCESS, -1, 1) },
      .flags = WRITES | GROWS,
      .categories = CAT_BITMAP,
      .since = "2.6.0",
      .summary = "Combines strings bit by bit and stores the result.",
      .complexity = "O(N)",
      .syntax = "<AND | OR | XOR | NOT> destkey key [key ...]" },
    { .name = "BITPOS",
      .run = cmd_bitpos,
      .arity = -3,
      .kind = KEYED,
      .keys = { KEY(KEY_RO | KEY_ACCESS) },
      .flags = READS,
      .categories = CAT_BITMAP,
      .since = "2.8.7",
      .summary = "Finds the first set or clear bit of a string.",
      .complexity = "O(N)",
      .syntax = "key bit [start [end [BYTE | BIT]]]" },
    { .name = "GETBIT",
      .run = cmd_getbit,
      .arity = 3,
      .kind = KEYED,
      .keys = { KEY(KEY_RO | KEY_ACCESS) },
      .flags = READS | FAST,
      .categories = CAT_BITMAP,
      .since = "2.2.0",
      .summary = "Returns one bit of a string.",
      .complexity = "O(1)",
      .syntax = "key offset" },
    { .name = "SETBIT",
      .run = cmd_setbit,
      .arity = 4,
      .kind = KEYED,
      .keys = { KEY(KEY_RW | KEY_ACCESS | KEY_UPDATE) },
      .flags = WRITES | GROWS,
      .categories = CAT_BITMAP,
      .since = "2.2.0",
      .summary = "Sets or clears one bit of a string, which grows as needed.",
      .complexity = "O(1)",
      .syntax = "key offset value" },
    { .name = NULL },
};
