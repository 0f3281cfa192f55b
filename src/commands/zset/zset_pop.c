/* zset_pop.c: taking members from either end of a sorted set, of the first of several that is not empty, and
 * waiting for one.
 *
 * The journal gets ZPOPMIN or ZPOPMAX with a count, whatever the command: what it takes follows from the set.
 */
#include "trivet/commands/arguments/refuse.h"
#include "trivet/commands/groups.h"
#include "trivet/engine/client/blocking.h"
#include "zset_value.h"

/* Takes `count` members (at most all) from the open set, replies with them and closes it. */
static void pop(struct call *c, struct keyspace_change *zset, bool highest, size_t count,
                enum member_form form) {
    size_t all = zset_count(zset->value);
    if (count > all) count = all;
    struct zset_walk w;
    zset_walk_begin(&w, zset->value, highest ? all - 1 : 0, count, highest);
    while (zset_walk_next(&w)) reply_member(c->out, form, w.member, w.score);
    zset_remove_range(&zset->value, highest ? all - count : 0, count);

    char digits[INT64_TEXT_MAX];
    struct slice number = slice_make(digits, int64_format(digits, (int64_t)count));
    struct slice name = highest ? LIT("ZPOPMAX") : LIT("ZPOPMIN");
    change_close(c, zset, count, highest ? "zpopmax" : "zpopmin", EFFECT(name, zset->key, number));
}

static bool positive_argument(struct call *c, size_t index, int64_t *n) {
    if (int64_parse(c->argv[index], n) && *n >= 0) return true;
    reply_error(c->out, ERR_NOT_POSITIVE);
    return false;
}

static void pop_from_one(struct call *c, bool highest) {
    int64_t count = 1;
    if (c->argc > 3) {
        reply_error(c->out, ERR_SYNTAX);
        return;
    }
    if (c->argc == 3 && !positive_argument(c, 2, &count)) return;
    struct keyspace_change zset;
    if (!change_open(c, c->argv[1], TYPE_ZSET, &zset)) return;
    if (!zset.entry || count == 0) {
        reply_array(c->out, 0);
        return;
    }
    size_t all = zset_count(zset.value), taken = (size_t)count < all ? (size_t)count : all;
    enum member_form form = c->argc == 3 ? member_form(c, true) : MEMBER_FLAT;
    reply_members(c->out, form, taken);
    pop(c, &zset, highest, taken, form);
}

/* ZPOPMIN key [count] */
static void cmd_zpopmin(struct call *c) { pop_from_one(c, false); }

/* ZPOPMAX key [count] */
static void cmd_zpopmax(struct call *c) { pop_from_one(c, true); }

/* ---- the first of several ---- */

enum found { FOUND_NONE, FOUND_ONE, FOUND_WRONG };

/* Opens the first of the keys that is there. One of another type is an error, which is replied. */
static enum found find_first(struct call *c, size_t first, size_t count, struct keyspace_change *zset) {
    for (size_t i = first; i < first + count; i++) {
        if (!call_may_touch(c, i)) continue;
        if (!change_open(c, c->argv[i], TYPE_ZSET, zset)) return FOUND_WRONG;
        if (zset->entry) return FOUND_ONE;
    }
    return FOUND_NONE;
}

static void pop_or_wait(struct call *c, bool highest) {
    int64_t timeout_ms;
    struct keyspace_change zset;
    size_t keys = c->argc - 2;
    if (!blocking_parse_seconds(c, c->argv[c->argc - 1], &timeout_ms)) return;
    enum found found = find_first(c, 1, keys, &zset);
    if (found == FOUND_NONE)
        blocking_on_keys(c, (struct key_range){ 1, keys, false, TYPE_ZSET }, timeout_ms, BLOCKED_NULL_ARRAY);
    if (found != FOUND_ONE) return;
    reply_array(c->out, 3);
    reply_bulk(c->out, zset.key);
    pop(c, &zset, highest, 1, MEMBER_FLAT);
}

/* BZPOPMIN key [key ...] timeout */
static void cmd_bzpopmin(struct call *c) { pop_or_wait(c, false); }

/* BZPOPMAX key [key ...] timeout */
static void cmd_bzpopmax(struct call *c) { pop_or_wait(c, true); }

struct mpop_plan {
    size_t first, keys; /* arguments */
    bool highest;
    size_t count;
};

/* An integer of at least one; false after replying `refusal`. */
static bool count_argument(struct call *c, size_t index, const char *refusal, size_t *out) {
    int64_t n;
    bool is_one = int64_parse(c->argv[index], &n) && n > 0;
    if (is_one)
        *out = (size_t)n;
    else
        reply_error_text(c->out, slice_of(refusal));
    return is_one;
}

/* Number of keys, keys, MIN or MAX, COUNT: from argument `at` on. */
static bool read_mpop(struct call *c, size_t at, struct mpop_plan *plan) {
    plan->first = at + 1;
    plan->count = 1;
    if (!count_argument(c, at, "ERR numkeys should be greater than 0", &plan->keys)) return false;
    if (plan->keys >= c->argc - plan->first) return refuse_syntax(c);
    size_t where = plan->first + plan->keys;
    plan->highest = call_is(c, where, "MAX");
    if (!plan->highest && !call_is(c, where, "MIN")) return refuse_syntax(c);
    bool counted = false;
    for (size_t i = where + 1; i < c->argc; i += 2) {
        if (counted || i + 1 == c->argc || !call_is(c, i, "COUNT")) return refuse_syntax(c);
        if (!count_argument(c, i + 1, "ERR count should be greater than 0", &plan->count)) return false;
        counted = true;
    }
    return true;
}

static enum found mpop(struct call *c, const struct mpop_plan *plan) {
    struct keyspace_change zset;
    enum found found = find_first(c, plan->first, plan->keys, &zset);
    if (found != FOUND_ONE) return found;
    size_t all = zset_count(zset.value), taken = plan->count < all ? plan->count : all;
    reply_array(c->out, 2);
    reply_bulk(c->out, zset.key);
    reply_members(c->out, MEMBER_NESTED, taken);
    pop(c, &zset, plan->highest, taken, MEMBER_NESTED);
    return found;
}

/* ZMPOP numkeys key [key ...] MIN | MAX [COUNT count] */
static void cmd_zmpop(struct call *c) {
    struct mpop_plan plan;
    if (read_mpop(c, 1, &plan) && mpop(c, &plan) == FOUND_NONE) reply_null_array(c->out);
}

/* BZMPOP timeout numkeys key [key ...] MIN | MAX [COUNT count] */
static void cmd_bzmpop(struct call *c) {
    struct mpop_plan plan;
    int64_t timeout_ms;
    if (!blocking_parse_seconds(c, c->argv[1], &timeout_ms) || !read_mpop(c, 2, &plan)) return;
    if (mpop(c, &plan) != FOUND_NONE) return;
    blocking_on_keys(c, (struct key_range){ plan.first, plan.keys, false, TYPE_ZSET }, timeout_ms,
                     BLOCKED_NULL_ARRAY);
}

/* ---- the table ---- */

#define ZSET_FACTS .kind = KEYED, .categories = CAT_SORTEDSET
#define POP_KEY (KEY_RW | KEY_ACCESS | KEY_DELETE)
#define POP_COMPLEXITY "O(M log N) where M is the number of members returned and N that of the set."

const struct command zset_pop_commands[] = {
    { .name = "BZMPOP", .run = cmd_bzmpop, .arity = -5, ZSET_FACTS, .flags = WRITES | BLOCKS,
      .keys = { KEYNUM_AT(2, POP_KEY) }, .since = "7.0.0",
      .summary = "Takes the lowest or highest members of the first sorted set that is not empty, or waits.",
      .complexity = POP_COMPLEXITY,
      .syntax = "timeout numkeys key [key ...] <MIN | MAX> [COUNT count]" },
    { .name = "BZPOPMAX", .run = cmd_bzpopmax, .arity = -3, ZSET_FACTS, .flags = WRITES | BLOCKS | FAST,
      .keys = { KEYS(POP_KEY, -2, 1) }, .since = "5.0.0",
      .summary = "Takes the highest member of the first sorted set that is not empty, or waits.",
      .complexity = "O(log N) where N is the number of members.", .syntax = "key [key ...] timeout" },
    { .name = "BZPOPMIN", .run = cmd_bzpopmin, .arity = -3, ZSET_FACTS, .flags = WRITES | BLOCKS | FAST,
      .keys = { KEYS(POP_KEY, -2, 1) }, .since = "5.0.0",
      .summary = "Takes the lowest member of the first sorted set that is not empty, or waits.",
      .complexity = "O(log N) where N is the number of members.", .syntax = "key [key ...] timeout" },
    { .name = "ZMPOP", .run = cmd_zmpop, .arity = -4, ZSET_FACTS, .flags = WRITES,
      .keys = { KEYNUM_AT(1, POP_KEY) }, .since = "7.0.0",
      .summary = "Takes the lowest or highest members of the first sorted set that is not empty.",
      .complexity = POP_COMPLEXITY, .syntax = "numkeys key [key ...] <MIN | MAX> [COUNT count]" },
    { .name = "ZPOPMAX", .run = cmd_zpopmax, .arity = -2, ZSET_FACTS, .flags = WRITES | FAST,
      .keys = { KEY(POP_KEY) }, .since = "5.0.0", .summary = "Takes the highest members of a sorted set.",
      .complexity = POP_COMPLEXITY, .syntax = "key [count]" },
    { .name = "ZPOPMIN", .run = cmd_zpopmin, .arity = -2, ZSET_FACTS, .flags = WRITES | FAST,
      .keys = { KEY(POP_KEY) }, .since = "5.0.0", .summary = "Takes the lowest members of a sorted set.",
      .complexity = POP_COMPLEXITY, .syntax = "key [count]" },
    { .name = NULL },
};
