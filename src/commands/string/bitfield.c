/* bitfield.c: integers of any width at any bit offset of a string.
 *
 * The arguments are read into a list of operations first, so that an error anywhere changes nothing; then the
 * string is made long enough for the furthest write, and the operations run in order. */
#include "bit_argument.h"
#include "string_value.h"
#include "trivet/base/mem.h"
#include "trivet/base/number.h"
#include "trivet/commands/arguments/refuse.h"
#include "trivet/commands/groups.h"
#include "trivet/engine/command/registry.h"
#include "trivet/engine/run/change.h"

enum field_verb { FIELD_GET, FIELD_SET, FIELD_INCRBY };
enum field_overflow { OVERFLOW_WRAP, OVERFLOW_SAT, OVERFLOW_FAIL };

struct field {
    enum field_verb verb;
    enum field_overflow overflow;
    bool is_signed;
    unsigned width;
    uint64_t offset; /* bits */
    int64_t operand;
};

struct fields {
    struct field *at;
    size_t count;
    bool any_write;
    uint64_t end; /* bits that the writes need */
};

/* ---- arguments ---- */

static bool read_width(struct call *c, struct slice text, struct field *f) {
    int64_t width = 0;
    bool known = text.len > 1 && (text.ptr[0] == 'i' || text.ptr[0] == 'u');
    f->is_signed = known && text.ptr[0] == 'i';
    if (known && int64_parse(slice_make(text.ptr + 1, text.len - 1), &width) && width >= 1 &&
        width <= (f->is_signed ? 64 : 63)) {
        f->width = (unsigned)width;
        return true;
    }
    return refuse_text(
        c, "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but "
           "i64 is.");
}

static bool read_overflow(struct call *c, struct slice word, enum field_overflow *out) {
    static const char *const names[] = { "WRAP", "SAT", "FAIL" };
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (slice_equal_nocase(word, slice_of(names[i]))) {
            *out = (enum field_overflow)i;
            return true;
        }
    return refuse_text(c, "ERR Invalid OVERFLOW type specified");
}

/* The verb at argument *at; moves *at behind its operands. */
static bool read_field(struct call *c, size_t *at, struct field *f) {
    size_t left = c->argc - *at - 1;
    if (call_is(c, *at, "GET") && left >= 2)
        f->verb = FIELD_GET;
    else if (call_is(c, *at, "SET") && left >= 3)
        f->verb = FIELD_SET;
    else if (call_is(c, *at, "INCRBY") && left >= 3)
        f->verb = FIELD_INCRBY;
    else {
        return refuse_syntax(c);
    }
    const struct slice *words = &c->argv[*at];
    if (!read_width(c, words[1], f) || !bit_offset_parse(c, words[2], f->width, &f->offset)) return false;
    *at += f->verb == FIELD_GET ? 3 : 4;
    if (f->verb == FIELD_GET || int64_parse(words[3], &f->operand)) return true;
    reply_error(c->out, ERR_NOT_INT);
    return false;
}

static bool read_fields(struct call *c, bool only_get, struct fields *out) {
    enum field_overflow overflow = OVERFLOW_WRAP;
    for (size_t at = 2; at < c->argc;) {
        if (call_is(c, at, "OVERFLOW") && at + 1 < c->argc) {
            if (!read_overflow(c, c->argv[at + 1], &overflow)) return false;
            at += 2;
            continue;
        }
        struct field f = { .overflow = overflow };
        if (!read_field(c, &at, &f)) return false;
        if (f.verb != FIELD_GET) {
            out->any_write = true;
            if (f.offset + f.width > out->end) out->end = f.offset + f.width;
        }
        out->at[out->count++] = f;
    }
    if (only_get && out->any_write) return refuse_text(c, "ERR BITFIELD_RO only supports the GET subcommand");
    return true;
}

static size_t words_of(struct slice verb) {
    if (slice_equal_nocase(verb, LIT("GET"))) return 3;
    return slice_equal_nocase(verb, LIT("OVERFLOW")) ? 2 : 0;
}

/* What BITFIELD does to its key: it only reads if nothing but GET is asked for. */
static bool find_bitfield_key(const struct slice *argv, size_t argc, struct key_positions *out) {
    size_t at = 2;
    while (at < argc && words_of(argv[at]) > 0) at += words_of(argv[at]);
    key_positions_add(out, 1, at < argc ? KEY_RW | KEY_ACCESS | KEY_UPDATE : KEY_RO | KEY_ACCESS);
    return true;
}

/* ---- bits ---- */

static uint64_t read_bits(struct slice bytes, uint64_t offset, unsigned width) {
    uint64_t n = 0;
    for (unsigned i = 0; i < width; i++, offset++) {
        size_t byte = (size_t)(offset >> 3);
        unsigned bit = byte < bytes.len ? (unsigned char)bytes.ptr[byte] >> (7 - (offset & 7)) & 1u : 0;
        n = n << 1 | bit;
    }
    return n;
}

static void write_bits(char *bytes, uint64_t offset, unsigned width, uint64_t n) {
    for (unsigned i = 0; i < width; i++, offset++) {
        unsigned char mask = (unsigned char)(0x80 >> (offset & 7));
        unsigned char *byte = (unsigned char *)bytes + (offset >> 3);
        bool bit = n >> (width - 1 - i) & 1;
        *byte = (unsigned char)(bit ? *byte | mask : *byte & ~mask);
    }
}

static int64_t as_number(const struct field *f, uint64_t bits) {
    if (!f->is_signed || f->width == 64 || !(bits >> (f->width - 1) & 1)) return (int64_t)bits;
    return (int64_t)(bits | ~(uint64_t)0 << f->width);
}

/* value + step as it fits the field, by the overflow rule; false: FAIL, leave it alone. 128 bits hold any
 * sum. */
static bool fit(const struct field *f, int64_t value, int64_t step, int64_t *out) {
    __int128 sum = (__int128)value + step;
    __int128 lowest = f->is_signed ? -((__int128)1 << (f->width - 1)) : 0;
    __int128 highest = f->is_signed ? ((__int128)1 << (f->width - 1)) - 1 : ((__int128)1 << f->width) - 1;
    if (sum >= lowest && sum <= highest) {
        *out = (int64_t)sum;
        return true;
    }
    if (f->overflow == OVERFLOW_FAIL) return false;
    if (f->overflow == OVERFLOW_SAT) {
        *out = (int64_t)(sum < lowest ? lowest : highest);
        return true;
    }
    uint64_t mask = f->width == 64 ? UINT64_MAX : ((uint64_t)1 << f->width) - 1;
    *out = as_number(f, (uint64_t)(unsigned __int128)sum & mask);
    return true;
}

/* SET of a negative number into an unsigned field is taken as the unsigned number with those bits. */
static bool fit_set(const struct field *f, int64_t *out) {
    if (f->is_signed || f->operand >= 0) return fit(f, f->operand, 0, out);
    struct field as_unsigned = *f;
    __int128 value = (__int128)(uint64_t)f->operand;
    if (as_unsigned.overflow == OVERFLOW_FAIL) return false;
    uint64_t mask = ((uint64_t)1 << f->width) - 1;
    *out = f->overflow == OVERFLOW_SAT ? (int64_t)mask : (int64_t)((uint64_t)value & mask);
    return true;
}

/* ---- running ---- */

/* One write; false if it was refused (OVERFLOW FAIL) or changed no bit. */
static bool run_write(struct call *c, const struct field *f, char *bytes, size_t len, bool grown) {
    uint64_t bits = read_bits(slice_make(bytes, len), f->offset, f->width);
    int64_t old = as_number(f, bits), fresh;
    bool fits = f->verb == FIELD_SET ? fit_set(f, &fresh) : fit(f, old, f->operand, &fresh);
    if (!fits) {
        reply_null(c->out);
        return false;
    }
    reply_int(c->out, f->verb == FIELD_SET ? old : fresh);
    if (fresh == old) return grown;
    write_bits(bytes, f->offset, f->width, (uint64_t)fresh);
    return true;
}

static void run_reads(struct call *c, const struct fields *fields) {
    struct entry *e = keyspace_read(&c->view, c->argv[1]);
    if (!string_or_missing(c, e)) return;
    char scratch[INT64_TEXT_MAX];
    struct slice bytes = e ? entry_text(e, scratch) : LIT("");
    reply_array(c->out, fields->count);
    for (size_t i = 0; i < fields->count; i++) {
        const struct field *f = &fields->at[i];
        reply_int(c->out, as_number(f, read_bits(bytes, f->offset, f->width)));
    }
}

static void run_all(struct call *c, const struct fields *fields) {
    struct slice key = c->argv[1];
    struct entry *e = keyspace_write(&c->view, key);
    if (!string_or_missing(c, e)) return;
    size_t needed = (size_t)((fields->end + 7) / 8), old_len = e ? entry_text_len(e) : 0;
    size_t len = old_len > needed ? old_len : needed;
    char *bytes = string_writable_or_new(c, key, e, len);
    bool grown = len > old_len;
    size_t changes = 0;
    reply_array(c->out, fields->count);
    for (size_t i = 0; i < fields->count; i++) {
        const struct field *f = &fields->at[i];
        if (f->verb == FIELD_GET)
            reply_int(c->out, as_number(f, read_bits(slice_make(bytes, len), f->offset, f->width)));
        else
            changes += run_write(c, f, bytes, len, grown);
    }
    if (changes > 0)
        changed_times(c, key, changes, NOTIFY_STRING, "setbit", EFFECT_SAME(c));
    else if (grown) /* all writes were refused, but the string is longer: nobody is told, as in Redis */
        journal_effect(c, EFFECT_SAME(c));
}

static void bitfield(struct call *c, bool only_get) {
    struct fields fields = { .at = mem_alloc(c->argc * sizeof *fields.at) };
    if (read_fields(c, only_get, &fields)) {
        if (fields.any_write)
            run_all(c, &fields);
        else
            run_reads(c, &fields);
    }
    mem_free(fields.at);
}

/* BITFIELD key [GET encoding offset | [OVERFLOW WRAP | SAT | FAIL] SET ... | INCRBY ...] ... */
static void cmd_bitfield(struct call *c) { bitfield(c, false); }

/* BITFIELD_RO key [GET encoding offset ...] */
static void cmd_bitfield_ro(struct call *c) { bitfield(c, true); }

const struct command bitfield_commands[] = {
    { .name = "BITFIELD",
      .run = cmd_bitfield,
      .arity = -2,
      .kind = KEYED,
      .keys = { KEY(KEY_RW | KEY_ACCESS | KEY_UPDATE | KEY_VARIABLE_FLAGS) },
      .find_keys = find_bitfield_key,
      .flags = WRITES | GROWS,
      .categories = CAT_BITMAP,
      .since = "3.2.0",
      .summary = "Reads and changes integers inside a string.",
      .complexity = "O(1) for each subcommand",
      .syntax = "key [GET encoding offset | [OVERFLOW <WRAP | SAT | FAIL>] <SET encoding offset value | "
                "INCRBY encoding "
                "offset increment> ...]" },
    { .name = "BITFIELD_RO",
      .run = cmd_bitfield_ro,
      .arity = -2,
      .kind = KEYED,
      .keys = { KEY(KEY_RO | KEY_ACCESS) },
      .flags = READS | FAST,
      .categories = CAT_BITMAP,
      .since = "6.0.0",
      .summary = "Reads integers inside a string.",
      .complexity = "O(1) for each subcommand",
      .syntax = "key [GET encoding offset ...]" },
    { .name = NULL },
};
