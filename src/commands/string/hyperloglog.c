/* hyperloglog.c: counting different things about.
 *
 * A dense string is changed in its place; a sparse one is short and may change its length with each element,
 * so a command works on a copy and writes it back. What a command refuses half way (a broken string) is not
 * written. */
#include "trivet/types/hyperloglog.h"
#include "string_value.h"
#include "trivet/base/mem.h"
#include "trivet/base/random.h"
#include "trivet/commands/groups.h"
#include "trivet/engine/run/change.h"
#include "trivet/keyspace/eviction.h"
#include <math.h>

static void reply_broken(struct call *c) {
    reply_error_text(c->out, LIT("INVALIDOBJ Corrupted HLL object detected"));
}

/* True for NULL and for a string that can be one; else replies what it is not. */
static bool is_hll_or_missing(struct call *c, const struct entry *e) {
    if (!e) return true;
    if (!string_or_missing(c, e)) return false;
    char scratch[INT64_TEXT_MAX];
    if (hll_is_one(entry_text(e, scratch))) return true;
    reply_error_text(c->out, LIT("WRONGTYPE Key is not a valid HyperLogLog string value."));
    return false;
}

static struct slice hll_text(const struct entry *e) {
    char unused[INT64_TEXT_MAX]; /* it begins with "HYLL", so it is no number */
    return entry_text(e, unused);
}

/* Stores the copy as the value of the key. */
static void write_back(struct call *c, struct slice key, struct entry *e, const struct buf *b) {
    memcpy(string_writable_or_new(c, key, e, b->len), b->ptr, b->len);
}

/* A copy of the value, or an empty one. */
static void copy_value(const struct entry *e, struct buf *out) {
    if (e)
        buf_append(out, hll_text(e));
    else
        hll_append_empty(out);
}

/* ---- PFADD ---- */

/* Both count in *changes the elements that changed the value. HLL_BROKEN: nothing was changed. */
static enum hll_outcome add_to_dense(struct call *c, struct entry *e, size_t *changes) {
    char *bytes = string_writable(c, e, HLL_DENSE_BYTES);
    for (size_t i = 2; i < c->argc; i++) *changes += hll_add_dense(bytes, c->argv[i]) == HLL_CHANGED;
    return *changes > 0 ? HLL_CHANGED : HLL_SAME;
}

static enum hll_outcome add_to_copy(struct call *c, struct entry *e, size_t *changes) {
    struct buf b = { 0 };
    copy_value(e, &b);
    *changes = !e; /* a new key is a change, even without elements */
    enum hll_outcome one = HLL_SAME;
    for (size_t i = 2; i < c->argc && one != HLL_BROKEN; i++) {
        one = hll_add(&b, c->argv[i]);
        *changes += one == HLL_CHANGED;
    }
    if (*changes > 0) hll_forget_count(b.ptr);
    if (one != HLL_BROKEN) write_back(c, c->argv[1], e, &b);
    buf_release(&b);
    if (one == HLL_BROKEN) return HLL_BROKEN;
    return *changes > 0 ? HLL_CHANGED : HLL_SAME;
}

/* PFADD key [element ...] */
static void cmd_pfadd(struct call *c) {
    struct slice key = c->argv[1];
    size_t changes = 0;
    struct entry *e = keyspace_write(&c->view, key);
    if (!is_hll_or_missing(c, e)) return;
    enum hll_outcome outcome =
        e && hll_is_dense(hll_text(e)) ? add_to_dense(c, e, &changes) : add_to_copy(c, e, &changes);
    if (outcome == HLL_BROKEN) {
        reply_broken(c);
        return;
    }
    reply_int(c->out, outcome == HLL_CHANGED);
    if (changes > 0) changed_times(c, key, changes, NOTIFY_STRING, "pfadd", EFFECT_SAME(c));
}

/* ---- PFCOUNT ---- */

/* One key: the count is kept in the value, which is therefore changed. */
static void count_one(struct call *c, struct slice key) {
    struct entry *e = keyspace_read(&c->view, key);
    if (!is_hll_or_missing(c, e)) return;
    uint64_t count = 0;
    if (e && !hll_cached_count(hll_text(e), &count)) {
        if (!hll_count(hll_text(e), &count)) {
            reply_broken(c);
            return;
        }
        e = keyspace_write(&c->view, key);
        hll_cache_count(string_writable(c, e, hll_text(e).len), count);
        changed(c, key, NOTIFY_STRING, NULL, EFFECT_SAME(c));
    }
    reply_int(c->out, (int64_t)count);
}

/* Raises the registers to those of the keys from argument `from` on; false after replying what is wrong. */
static bool raise_to_keys(struct call *c, size_t from, struct hll_registers *r, bool *any_dense) {
    for (size_t i = from; i < c->argc; i++) {
        struct entry *e = keyspace_read(&c->view, c->argv[i]);
        if (!is_hll_or_missing(c, e)) return false;
        if (!e) continue;
        if (hll_is_dense(hll_text(e))) *any_dense = true;
        if (hll_raise(r, hll_text(e))) continue;
        reply_broken(c);
        return false;
    }
    return true;
}

/* PFCOUNT key [key ...] */
static void cmd_pfcount(struct call *c) {
    if (c->argc == 2) {
        count_one(c, c->argv[1]);
        return;
    }
    struct hll_registers all = { { 0 } };
    bool any_dense;
    if (raise_to_keys(c, 1, &all, &any_dense)) reply_int(c->out, (int64_t)hll_registers_count(&all));
}

/* PFMERGE destkey [sourcekey ...] */
static void cmd_pfmerge(struct call *c) {
    struct slice key = c->argv[1];
    struct hll_registers all = { { 0 } };
    bool dense = false;
    if (!raise_to_keys(c, 1, &all, &dense)) return;

    struct buf b = { 0 };
    struct entry *e = keyspace_write(&c->view, key);
    copy_value(e, &b);
    bool sound = (!dense || hll_make_dense(&b)) && hll_raise_to(&b, &all);
    if (sound) {
        hll_forget_count(b.ptr);
        write_back(c, key, e, &b);
        reply_ok(c->out);
        changed(c, key, NOTIFY_STRING, "pfadd", EFFECT_SAME(c));
    } else {
        reply_broken(c);
    }
    buf_release(&b);
}

/* ---- PFDEBUG ---- */

static bool debug_make_dense(struct call *c, struct entry *e, bool *converted) {
    *converted = false;
    if (hll_is_dense(hll_text(e))) return true;
    struct buf b = { 0 };
    copy_value(e, &b);
    *converted = hll_make_dense(&b);
    if (*converted) {
        write_back(c, c->argv[2], e, &b);
        changed(c, c->argv[2], NOTIFY_STRING, NULL, EFFECT_SAME(c));
    } else {
        reply_broken(c);
    }
    buf_release(&b);
    return *converted;
}

static void debug_getreg(struct call *c, struct entry *e) {
    bool converted;
    if (!debug_make_dense(c, e, &converted)) return;
    struct hll_registers r = { { 0 } };
    if (!hll_raise(&r, hll_text(keyspace_peek(&c->view, c->argv[2])))) {
        reply_broken(c);
        return;
    }
    reply_array(c->out, HLL_REGISTERS);
    for (int i = 0; i < HLL_REGISTERS; i++) reply_int(c->out, r.values[i]);
}

static void describe_run(void *arg, unsigned value, unsigned run, bool is_long) {
    struct buf *text = arg;
    if (text->len) buf_append_byte(text, ' ');
    if (value)
        buf_printf(text, "v:%u,%u", value, run);
    else
        buf_printf(text, "%c:%u", is_long ? 'Z' : 'z', run);
}

static void debug_decode(struct call *c, struct entry *e) {
    struct buf text = { 0 };
    if (hll_is_dense(hll_text(e)))
        reply_error_text(c->out, LIT("ERR HLL encoding is not sparse"));
    else if (!hll_each_run(hll_text(e), describe_run, &text))
        reply_broken(c);
    else
        reply_bulk(c->out, buf_slice(&text));
    buf_release(&text);
}

static void debug_encoding(struct call *c, struct entry *e) {
    reply_simple(c->out, hll_is_dense(hll_text(e)) ? LIT("dense") : LIT("sparse"));
}

static void debug_todense(struct call *c, struct entry *e) {
    bool converted;
    if (debug_make_dense(c, e, &converted)) reply_int(c->out, converted);
}

/* PFDEBUG SIMD ON | OFF: there is one way of counting, so there is nothing to choose. */
static void debug_simd(struct call *c) {
    if (call_is(c, 2, "ON") || call_is(c, 2, "OFF"))
        reply_ok(c->out);
    else
        reply_error_text(c->out, LIT("ERR Argument must be ON or OFF"));
}

/* PFDEBUG subcommand key */
static void cmd_pfdebug(struct call *c) {
    static const struct {
        const char *name;
        void (*run)(struct call *c, struct entry *e);
    } subcommands[] = {
        { "GETREG", debug_getreg },
        { "DECODE", debug_decode },
        { "ENCODING", debug_encoding },
        { "TODENSE", debug_todense },
    };
    if (call_is(c, 1, "SIMD")) {
        debug_simd(c);
        return;
    }
    struct entry *e = keyspace_write(&c->view, c->argv[2]);
    if (!e) {
        reply_error_text(c->out, LIT("ERR The specified key does not exist"));
        return;
    }
    if (!is_hll_or_missing(c, e)) return;
    string_writable(c, e, hll_text(e).len); /* it counts as raw from now on, as clients know it */
    e = keyspace_write(&c->view, c->argv[2]);
    for (size_t i = 0; i < COUNT_OF(subcommands); i++) {
        if (!call_is(c, 1, subcommands[i].name)) continue;
        subcommands[i].run(c, e);
        return;
    }
    reply_error_printf(c->out, "ERR Unknown PFDEBUG subcommand '%.*s'", SLICE_ARG(c->argv[1]));
}

/* ---- PFSELFTEST ---- */

#define SELFTEST_ELEMENTS 1000000
#define SELFTEST_SIGMAS 4 /* how far off an estimate may be: once in 16000 times by chance */

/* Why the estimate of `count` elements cannot be right, or NULL. */
static const char *selftest_judge(const struct buf *sparse, const struct buf *dense, uint64_t count) {
    uint64_t estimate, other;
    if (!hll_count(buf_slice(sparse), &estimate) || !hll_count(buf_slice(dense), &other))
        return "a structure is broken";
    if (estimate != other) return "sparse and dense differ";
    double error = 1.04 / sqrt(HLL_REGISTERS) * SELFTEST_SIGMAS * (double)count;
    if (fabs((double)estimate - (double)count) > ceil(error)) return "the error is too big";
    return NULL;
}

/* PFSELFTEST */
static void cmd_pfselftest(struct call *c) {
    struct buf sparse = { 0 }, dense = { 0 };
    hll_append_empty(&sparse);
    hll_append_empty(&dense);
    const char *fault = hll_make_dense(&dense) ? NULL : "an empty one cannot be made dense";
    uint64_t salt = random_u64();
    for (uint64_t i = 1, next = 1; i <= SELFTEST_ELEMENTS && !fault; i++) {
        uint64_t n = salt ^ i;
        struct slice element = slice_make(&n, sizeof n);
        enum hll_outcome a = hll_add(&sparse, element), b = hll_add_dense(dense.ptr, element);
        if (a != b) fault = "an element counts in one form only";
        if (i != next) continue;
        if (!fault) fault = selftest_judge(&sparse, &dense, i);
        next *= 10;
    }
    buf_release(&sparse);
    buf_release(&dense);
    if (fault)
        reply_error_printf(c->out, "TESTFAILED %s", fault);
    else
        reply_ok(c->out);
}

/* ---- the table ---- */

const struct command hyperloglog_commands[] = {
    { .name = "PFADD", .run = cmd_pfadd, .arity = -2, .kind = KEYED, .flags = WRITES | GROWS | FAST,
      .categories = CAT_HYPERLOGLOG, .keys = { KEY(KEY_RW | KEY_INSERT) }, .since = "2.8.9",
      .summary = "Counts elements in a HyperLogLog; a missing key is created.",
      .complexity = "O(1) for each element.", .syntax = "key [element [element ...]]" },
    { .name = "PFCOUNT", .run = cmd_pfcount, .arity = -2, .kind = KEYED, .flags = READS | MAY_REPLICATE,
      .categories = CAT_HYPERLOGLOG, .keys = { KEYS(KEY_RW | KEY_ACCESS, -1, 1) }, .since = "2.8.9",
      .summary = "Returns about how many different elements were counted in all of the keys.",
      .complexity = "O(1) with one key, O(N) with a big constant for N keys.", .syntax = "key [key ...]" },
    { .name = "PFDEBUG", .run = cmd_pfdebug, .arity = 3, .kind = KEYED,
      .flags = WRITES | GROWS | ADMIN | SYSCMD,
      .categories = CAT_HYPERLOGLOG, .keys = { KEY_AT(2, KEY_RW | KEY_ACCESS) }, .since = "2.8.9",
      .summary = "Looks inside a HyperLogLog.", .complexity = "O(1)", .syntax = "subcommand key" },
    { .name = "PFMERGE", .run = cmd_pfmerge, .arity = -2, .kind = KEYED, .flags = WRITES | GROWS,
      .categories = CAT_HYPERLOGLOG,
      .keys = { KEY(KEY_RW | KEY_ACCESS | KEY_INSERT), KEYS_FROM(2, KEY_RO | KEY_ACCESS, -1, 1) },
      .since = "2.8.9", .summary = "Counts in one HyperLogLog what others have counted.",
      .complexity = "O(N) where N is the number of keys, with a big constant.",
      .syntax = "destkey [sourcekey [sourcekey ...]]" },
    { .name = "PFSELFTEST", .run = cmd_pfselftest, .arity = 1, .kind = LOCAL, .flags = ADMIN | SYSCMD,
      .categories = CAT_HYPERLOGLOG, .since = "2.8.9", .summary = "Tests the HyperLogLog code.",
      .complexity = "N/A" },
    { .name = NULL },
};
