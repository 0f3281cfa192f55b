/* string_multi.c: commands on several strings at once.
 *
 * Setting several keys is one effect in the journal, so a torn file never has half of it. It goes there after
 * all keys are set, behind the deletions of keys that turned out to be expired on the way. */
#include "string_value.h"
#include "trivet/base/mem.h"
#include "trivet/base/number.h"
#include "trivet/commands/arguments/expiry_option.h"
#include "trivet/commands/arguments/integer.h"
#include "trivet/commands/arguments/refuse.h"
#include "trivet/commands/groups.h"
#include "trivet/engine/run/change.h"
#include "trivet/engine/settings/options.h"

/* MGET key [key ...] */
static void cmd_mget(struct call *c) {
    reply_array(c->out, c->argc - 1);
    for (size_t i = 1; i < c->argc; i++) {
        struct entry *e = keyspace_read(&c->view, c->argv[i]);
        string_reply(c->out, e && e->type == TYPE_STRING ? e : NULL);
    }
}

/* ---- setting many ---- */

/* How many of the keys argv[first], argv[first + 2], ... exist. */
static size_t count_existing(struct call *c, size_t first, size_t count) {
    size_t existing = 0;
    for (size_t i = 0; i < count; i++) existing += keyspace_write(&c->view, c->argv[first + 2 * i]) != NULL;
    return existing;
}

/* Sets `count` pairs from argument `first` on. The effect is the caller's. */
static void set_pairs(struct call *c, size_t first, size_t count, const struct expiry_option *expiry) {
    for (size_t i = first; i < first + 2 * count; i += 2) {
        struct slice key = c->argv[i];
        struct entry *old = keyspace_write(&c->view, key);
        int64_t expiry_ms = expiry->at_ms;
        if (expiry->word == EXPIRY_KEEPTTL && old) expiry_ms = entry_expiry_ms(old);
        string_store(c, key, i + 1, old, expiry_ms);
        changed(c, key, NOTIFY_STRING, "set", EFFECT_NONE);
        if (expiry_option_has_time(expiry)) notify(c->view.db, NOTIFY_GENERIC, "expire", key);
    }
}

static const struct expiry_option no_expiry = { .word = EXPIRY_NONE, .at_ms = NO_EXPIRY };

static void reply_arity(struct call *c) {
    reply_error_printf(c->out, "ERR wrong number of arguments for '%s' command", c->command->full_name);
}

/* MSET key value [key value ...] */
static void cmd_mset(struct call *c) {
    if (c->argc % 2 == 0) {
        reply_arity(c);
        return;
    }
    set_pairs(c, 1, c->argc / 2, &no_expiry);
    reply_ok(c->out);
    journal_effect(c, EFFECT_SAME(c));
}

/* MSETNX key value [key value ...] */
static void cmd_msetnx(struct call *c) {
    if (c->argc % 2 == 0) {
        reply_arity(c);
        return;
    }
    bool free_to_set = count_existing(c, 1, c->argc / 2) == 0;
    if (free_to_set) {
        set_pairs(c, 1, c->argc / 2, &no_expiry);
        journal_effect(c, EFFECT_SAME(c));
    }
    reply_int(c->out, free_to_set);
}

struct msetex_plan {
    size_t count;
    bool if_missing, if_present; /* NX: none of the keys exists; XX: all do */
    struct expiry_option expiry;
};

/* The options behind the pairs. */
static bool read_msetex_options(const struct call *c, struct msetex_plan *plan) {
    size_t at = 2 + 2 * plan->count;
    while (at < c->argc) {
        enum expiry_read read = expiry_option_read(c, &at, EXPIRY_PERSIST, &plan->expiry);
        if (read == EXPIRY_READ) continue;
        if (read == EXPIRY_REFUSED) return false;
        if (call_is(c, at, "NX"))
            plan->if_missing = true;
        else if (call_is(c, at, "XX"))
            plan->if_present = true;
        else
            return false;
        at++;
    }
    return !(plan->if_missing && plan->if_present);
}

/* A SET for each pair, which every server can replay; they stand together in the journal. */
static void journal_msetex(struct call *c, const struct msetex_plan *plan) {
    char digits[INT64_TEXT_MAX];
    struct slice words[2] = { { NULL, 0 } };
    size_t extra = 0;
    if (plan->expiry.word == EXPIRY_KEEPTTL) {
        words[extra++] = LIT("KEEPTTL");
    } else if (plan->expiry.word != EXPIRY_NONE) {
        words[extra++] = LIT("PXAT");
        words[extra++] = slice_make(digits, int64_format(digits, plan->expiry.at_ms));
    }
    for (size_t i = 0; i < plan->count; i++) {
        const struct slice *pair = &c->argv[2 + 2 * i];
        const struct slice argv[5] = { LIT_INIT("SET"), pair[0], pair[1], words[0], words[1] };
        journal_effect(c, (struct effect){ argv, 3 + extra });
    }
}

/* MSETEX numkeys key value [key value ...] [NX | XX] [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL] */
static void cmd_msetex(struct call *c) {
    struct msetex_plan plan = { 0 };
    int64_t count;
    if (!int64_parse(c->argv[1], &count) || count < 1 || count > INT32_MAX) {
        reply_error_text(c->out, LIT("ERR invalid numkeys value or out of range"));
        return;
    }
    plan.count = (size_t)count;
    if (plan.count > (c->argc - 2) / 2 || !read_msetex_options(c, &plan)) {
        reply_error(c->out, ERR_SYNTAX);
        return;
    }
    if (!expiry_option_resolve(c, &plan.expiry)) return;

    size_t existing = plan.if_missing || plan.if_present ? count_existing(c, 2, plan.count) : 0;
    if ((plan.if_missing && existing > 0) || (plan.if_present && existing < plan.count)) {
        reply_int(c->out, 0);
        return;
    }
    set_pairs(c, 2, plan.count, &plan.expiry);
    reply_int(c->out, 1);
    journal_msetex(c, &plan);
}

/* ---- the longest common subsequence ---- */

struct lcs {
    struct slice a, b;
    uint32_t *lengths; /* (a.len + 1) rows of b.len + 1: the answer for each pair of beginnings */
};

struct lcs_plan {
    bool only_length, with_ranges, with_range_lengths;
    int64_t shortest; /* ranges below this length are left out */
};

static uint32_t *lcs_at(const struct lcs *l, size_t i, size_t j) {
    return &l->lengths[i * (l->b.len + 1) + j];
}

static bool read_lcs_options(struct call *c, struct lcs_plan *plan) {
    for (size_t i = 3; i < c->argc; i++) {
        if (call_is(c, i, "IDX")) {
            plan->with_ranges = true;
        } else if (call_is(c, i, "LEN")) {
            plan->only_length = true;
        } else if (call_is(c, i, "WITHMATCHLEN")) {
            plan->with_range_lengths = true;
        } else if (call_is(c, i, "MINMATCHLEN") && i + 1 < c->argc) {
            if (!integer_argument(c, ++i, &plan->shortest)) return false;
        } else {
            return refuse_syntax(c);
        }
    }
    if (!plan->with_ranges || !plan->only_length) return true;
    reply_error_text(c->out, LIT("ERR If you want both the length and indexes, please just use IDX."));
    return false;
}

/* Allocates and fills the table; false after replying that it would be too big. */
static bool lcs_compute(struct call *c, struct lcs *l) {
    size_t cells, bytes;
    if (l->a.len >= UINT32_MAX - 1 || l->b.len >= UINT32_MAX - 1) {
        reply_error_text(c->out, LIT("ERR String too long for LCS"));
        return false;
    }
    if (__builtin_mul_overflow(l->a.len + 1, l->b.len + 1, &cells) ||
        __builtin_mul_overflow(cells, sizeof *l->lengths, &bytes) || bytes > options.proto_max_bulk_len) {
        reply_error_text(c->out,
                         LIT("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len"));
        return false;
    }
    l->lengths = mem_try_alloc(bytes);
    if (!l->lengths) {
        reply_error_text(c->out, LIT("ERR Insufficient memory, failed allocating transient memory for LCS"));
        return false;
    }
    for (size_t j = 0; j <= l->b.len; j++) *lcs_at(l, 0, j) = 0;
    for (size_t i = 1; i <= l->a.len; i++) {
        *lcs_at(l, i, 0) = 0;
        for (size_t j = 1; j <= l->b.len; j++) {
            uint32_t up = *lcs_at(l, i - 1, j), left = *lcs_at(l, i, j - 1);
            bool same = l->a.ptr[i - 1] == l->b.ptr[j - 1];
            *lcs_at(l, i, j) = same ? *lcs_at(l, i - 1, j - 1) + 1 : up > left ? up : left;
        }
    }
    return true;
}

/* A run of bytes that both strings share, found from the end: a[i..i+len) equals b[j..j+len). */
struct lcs_run {
    size_t i, j, len;
};

/* Moves run (at first the ends of both strings, length 0) to the run before it; false if there is none. */
static bool lcs_run_before(const struct lcs *l, struct lcs_run *run) {
    size_t i = run->i, j = run->j;
    while (i > 0 && j > 0 && l->a.ptr[i - 1] != l->b.ptr[j - 1]) {
        if (*lcs_at(l, i - 1, j) > *lcs_at(l, i, j - 1))
            i--;
        else
            j--;
    }
    size_t end = i;
    while (i > 0 && j > 0 && l->a.ptr[i - 1] == l->b.ptr[j - 1]) i--, j--;
    *run = (struct lcs_run){ i, j, end - i };
    return run->len > 0;
}

static void reply_lcs_text(struct call *c, const struct lcs *l) {
    uint32_t left = *lcs_at(l, l->a.len, l->b.len);
    struct blob *text = blob_new(left, left);
    struct lcs_run run = { l->a.len, l->b.len, 0 };
    while (lcs_run_before(l, &run)) {
        left -= (uint32_t)run.len;
        memcpy(text->bytes + left, l->a.ptr + run.i, run.len);
    }
    assert(left == 0);
    reply_bulk_blob(c->out, text);
    blob_unref(text);
}

static void reply_range(struct reply *out, size_t start, size_t len) {
    reply_array(out, 2);
    reply_int(out, (int64_t)start);
    reply_int(out, (int64_t)(start + len - 1));
}

static void reply_lcs_ranges(struct call *c, const struct lcs *l, const struct lcs_plan *plan) {
    reply_map(c->out, 2);
    reply_bulk(c->out, LIT("matches"));
    struct chunk *later = reply_later(c->out);
    size_t count = 0;
    struct lcs_run run = { l->a.len, l->b.len, 0 };
    while (lcs_run_before(l, &run)) {
        if ((int64_t)run.len < plan->shortest) continue;
        reply_array(c->out, plan->with_range_lengths ? 3 : 2);
        reply_range(c->out, run.i, run.len);
        reply_range(c->out, run.j, run.len);
        if (plan->with_range_lengths) reply_int(c->out, (int64_t)run.len);
        count++;
    }
    reply_later_array(c->out, later, count);
    reply_bulk(c->out, LIT("len"));
    reply_int(c->out, *lcs_at(l, l->a.len, l->b.len));
}

/* LCS key1 key2 [LEN] [IDX] [MINMATCHLEN min-match-len] [WITHMATCHLEN] */
static void cmd_lcs(struct call *c) {
    struct entry *a = keyspace_read(&c->view, c->argv[1]), *b = keyspace_read(&c->view, c->argv[2]);
    if ((a && a->type != TYPE_STRING) || (b && b->type != TYPE_STRING)) {
        reply_error_text(c->out, LIT("ERR The specified keys must contain string values"));
        return;
    }
    struct lcs_plan plan = { 0 };
    if (!read_lcs_options(c, &plan)) return;
    char digits[2][INT64_TEXT_MAX];
    struct lcs l = { a ? entry_text(a, digits[0]) : LIT(""), b ? entry_text(b, digits[1]) : LIT(""), NULL };
    if (!lcs_compute(c, &l)) return;
    if (plan.only_length)
        reply_int(c->out, *lcs_at(&l, l.a.len, l.b.len));
    else if (plan.with_ranges)
        reply_lcs_ranges(c, &l, &plan);
    else
        reply_lcs_text(c, &l);
    mem_free(l.lengths);
}

/* ---- the table ---- */

const struct command string_multi_commands[] = {
    { .name = "LCS",
      .run = cmd_lcs,
      .arity = -3,
      .kind = KEYED,
      .flags = READS,
      .categories = CAT_STRING,
      .keys = { KEYS(KEY_RO | KEY_ACCESS, 1, 1) },
      .since = "7.0.0",
      .summary = "Finds the longest subsequence that two strings have in common.",
      .complexity = "O(N*M) where N and M are the lengths of the strings.",
      .syntax = "key1 key2 [LEN] [IDX] [MINMATCHLEN min-match-len] [WITHMATCHLEN]" },
    { .name = "MGET",
      .run = cmd_mget,
      .arity = -2,
      .kind = KEYED,
      .flags = READS | FAST,
      .categories = CAT_STRING,
      .keys = { KEYS(KEY_RO | KEY_ACCESS, -1, 1) },
      .since = "1.0.0",
      .summary = "Returns the strings of several keys.",
      .complexity = "O(N) where N is the number of keys.",
      .syntax = "key [key ...]",
      .tips = "request_policy:multi_shard" },
    { .name = "MSET",
      .run = cmd_mset,
      .arity = -3,
      .kind = KEYED,
      .flags = WRITES | GROWS,
      .categories = CAT_STRING,
      .keys = { KEYS(KEY_OW | KEY_UPDATE, -1, 2) },
      .since = "1.0.1",
      .summary = "Sets the strings of several keys at once.",
      .complexity = "O(N) where N is the number of keys.",
      .syntax = "key value [key value ...]",
      .tips = "request_policy:multi_shard,response_policy:all_succeeded" },
    { .name = "MSETEX",
      .run = cmd_msetex,
      .arity = -4,
      .kind = KEYED,
      .flags = WRITES | GROWS,
      .categories = CAT_STRING,
      .keys = { { .flags = KEY_OW | KEY_UPDATE,
                  .begin = BEGIN_INDEX,
                  .index = 1,
                  .find = FIND_KEYNUM,
                  .keynum_index = 0,
                  .first_key = 1,
                  .step = 2 } },
      .since = "9.1.0",
      .summary = "Sets the strings of several keys at once, with one expiration time for all.",
      .complexity = "O(N) where N is the number of keys.",
      .syntax = "numkeys key value [key value ...] [NX | XX] [EX seconds | PX milliseconds | "
                "EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]" },
    { .name = "MSETNX",
      .run = cmd_msetnx,
      .arity = -3,
      .kind = KEYED,
      .flags = WRITES | GROWS,
      .categories = CAT_STRING,
      .keys = { KEYS(KEY_OW | KEY_INSERT, -1, 2) },
      .since = "1.0.1",
      .summary = "Sets the strings of several keys at once if none of them exists.",
      .complexity = "O(N) where N is the number of keys.",
      .syntax = "key value [key value ...]" },
    { .name = NULL },
};
