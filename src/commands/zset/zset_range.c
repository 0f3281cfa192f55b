/* zset_range.c: parts of a sorted set between two ends: by rank, by score, by the members' bytes.
 *
 * Whatever the ends are, they come down to a span of ranks: how many members are before each. Counting,
 * replying, storing and removing then are the same for all, and a LIMIT is arithmetic. */
#include "trivet/commands/arguments/refuse.h"
#include "trivet/commands/groups.h"
#include "zset_value.h"

/* ---- ends ---- */

enum range_by { BY_RANK, BY_SCORE, BY_LEX };

/* One end of a range. By rank `number` counts, negative from the end; by score `score`; by lex `text`, unless
 * it is beyond all texts. */
struct range_end {
    int64_t number;
    double score;
    struct slice text;
    int beyond; /* lex: -1 is "-", below everything, 1 is "+", above everything */
    bool open;  /* the end itself is not in the range */
};

struct range {
    enum range_by by;
    struct range_end min, max;
};

/* Ranks first..first+count. */
struct span {
    size_t first, count;
};

static bool read_score_end(struct slice text, struct range_end *out) {
    out->open = text.len > 0 && text.ptr[0] == '(';
    if (out->open) text = slice_make(text.ptr + 1, text.len - 1);
    if (text.len > 0) return double_parse(text, &out->score);
    out->score = 0; /* nothing is read as zero, as clients know it */
    return true;
}

static bool read_lex_end(struct slice text, struct range_end *out) {
    if (text.len == 0) return false;
    char mark = text.ptr[0];
    out->open = mark == '(';
    out->beyond = mark == '-' ? -1 : mark == '+';
    out->text = slice_make(text.ptr + 1, text.len - 1);
    return mark == '(' || mark == '[' || (out->beyond != 0 && text.len == 1);
}

/* The two ends from these arguments; false after replying what is wrong. */
static bool read_range(struct call *c, enum range_by by, size_t min, size_t max, struct range *out) {
    *out = (struct range){ .by = by };
    if (by == BY_RANK)
        return integer_argument(c, min, &out->min.number) && integer_argument(c, max, &out->max.number);
    bool (*read)(struct slice text, struct range_end * end) = by == BY_SCORE ? read_score_end : read_lex_end;
    if (read(c->argv[min], &out->min) && read(c->argv[max], &out->max)) return true;
    reply_error_text(c->out, by == BY_SCORE ? LIT("ERR min or max is not a float")
                                            : LIT("ERR min or max not valid string range item"));
    return false;
}

/* ---- from ends to ranks ---- */

static struct span rank_span(size_t all, int64_t start, int64_t stop) {
    int64_t count = (int64_t)all;
    if (start < 0) start = start + count < 0 ? 0 : start + count;
    if (stop < 0) stop += count;
    if (stop >= count) stop = count - 1;
    if (start > stop) return (struct span){ 0, 0 };
    return (struct span){ (size_t)start, (size_t)(stop - start + 1) };
}

/* How many members are before an end; an end belongs to what is before it if `include`. */
static size_t before_end(struct value v, enum range_by by, const struct range_end *end, bool include) {
    if (by == BY_SCORE) return zset_before_score(v, end->score, include);
    if (end->beyond != 0) return end->beyond < 0 ? 0 : zset_count(v);
    return zset_before_text(v, end->text, include);
}

/* Ranks counted from the lowest; BY_RANK with `down` counts the ends from the highest. */
static struct span span_of(struct value v, const struct range *r, bool down) {
    if (r->by == BY_RANK) {
        size_t all = zset_count(v);
        struct span s = rank_span(all, r->min.number, r->max.number);
        if (down) s.first = all - s.first - s.count;
        return s;
    }
    size_t first = before_end(v, r->by, &r->min, r->min.open),
           end = before_end(v, r->by, &r->max, !r->max.open);
    return end > first ? (struct span){ first, end - first } : (struct span){ 0, 0 };
}

/* ---- ZRANGE and its kin ---- */

struct range_plan {
    size_t source;             /* argument: the key; its two ends follow */
    bool store;                /* ZRANGESTORE: into argument 1 */
    bool by_given, down_given; /* the command's name says it */
    enum range_by by;
    bool down;
    bool with_scores;
    int64_t offset, limit; /* limit -1: all */
};

static bool read_limit(struct call *c, size_t at, struct range_plan *plan) {
    return integer_argument(c, at + 1, &plan->offset) && integer_argument(c, at + 2, &plan->limit);
}

static bool choose_by(struct range_plan *plan, enum range_by by) {
    if (plan->by_given) return false;
    plan->by_given = true;
    plan->by = by;
    return true;
}

static bool choose_down(struct range_plan *plan) {
    if (plan->down_given) return false;
    return plan->down_given = plan->down = true;
}

/* The words after the ends. */
static bool read_range_words(struct call *c, struct range_plan *plan) {
    for (size_t i = plan->source + 3; i < c->argc; i++) {
        bool known = false;
        if (call_is(c, i, "WITHSCORES"))
            known = plan->with_scores = !plan->store;
        else if (call_is(c, i, "REV"))
            known = choose_down(plan);
        else if (call_is(c, i, "BYLEX"))
            known = choose_by(plan, BY_LEX);
        else if (call_is(c, i, "BYSCORE"))
            known = choose_by(plan, BY_SCORE);
        if (known) continue;
        if (!call_is(c, i, "LIMIT") || i + 2 >= c->argc) {
            return refuse_syntax(c);
        }
        if (!read_limit(c, i, plan)) return false;
        i += 2;
    }
    return true;
}

static bool range_words_agree(struct call *c, const struct range_plan *plan) {
    if (plan->limit != -1 && plan->by == BY_RANK) {
        reply_error_text(c->out,
                         LIT("ERR syntax error, LIMIT is only supported in combination with either BYSCORE "
                             "or BYLEX"));
        return false;
    }
    if (plan->with_scores && plan->by == BY_LEX) {
        reply_error_text(c->out, LIT("ERR syntax error, WITHSCORES not supported in combination with BYLEX"));
        return false;
    }
    return true;
}

/* The part of the span that offset and limit leave, seen from the side where the reply begins. */
static struct span limited(struct span s, const struct range_plan *plan) {
    if (plan->by == BY_RANK) return s;
    if (plan->offset < 0 || (uint64_t)plan->offset >= s.count) return (struct span){ 0, 0 };
    size_t skipped = (size_t)plan->offset, count = s.count - skipped;
    if (plan->limit >= 0 && (uint64_t)plan->limit < count) count = (size_t)plan->limit;
    size_t first = plan->down ? s.first + s.count - skipped - count : s.first + skipped;
    return (struct span){ first, count };
}

static void walk_span(struct zset_walk *w, struct value v, struct span s, bool down) {
    size_t from = down && s.count > 0 ? s.first + s.count - 1 : s.first;
    zset_walk_begin(w, v, from, s.count, down);
}

static void store_span(struct call *c, struct value from, struct span s) {
    struct value result = zset_new();
    struct zset_walk w;
    walk_span(&w, from, s, false);
    zset_reserve(&result, s.count, 0);
    while (zset_walk_next(&w)) zset_add(&result, w.member, w.score);
    zset_store(c, c->argv[1], result, 1, "zrangestore");
}

static void reply_missing_range(struct call *c, const struct range_plan *plan) {
    if (plan->store)
        zset_store(c, c->argv[1], zset_new(), 1, "zrangestore");
    else
        reply_array(c->out, 0);
}

static void range(struct call *c, struct range_plan plan) {
    plan.limit = -1;
    struct range r;
    if (!read_range_words(c, &plan) || !range_words_agree(c, &plan)) return;
    /* By score or text the higher end comes first when going down. */
    bool turned = plan.down && plan.by != BY_RANK;
    if (!read_range(c, plan.by, plan.source + (turned ? 2 : 1), plan.source + (turned ? 1 : 2), &r)) return;
    struct entry *e = keyspace_read(&c->view, c->argv[plan.source]);
    if (!is_type_or_missing(c, e, TYPE_ZSET)) return;
    if (!e) {
        reply_missing_range(c, &plan);
        return;
    }
    struct value v = entry_value(e);
    struct span s = limited(span_of(v, &r, plan.down), &plan);
    if (plan.store) {
        store_span(c, v, s);
        return;
    }
    struct zset_walk w;
    walk_span(&w, v, s, plan.down);
    reply_member_range(c->out, member_form(c, plan.with_scores), &w);
}

/* ZRANGE key start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES] */
static void cmd_zrange(struct call *c) { range(c, (struct range_plan){ .source = 1 }); }

/* ZRANGESTORE destination key start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count] */
static void cmd_zrangestore(struct call *c) { range(c, (struct range_plan){ .source = 2, .store = true }); }

static void range_of_kind(struct call *c, enum range_by by, bool down) {
    range(c,
          (struct range_plan){ .source = 1, .by_given = true, .by = by, .down_given = true, .down = down });
}

/* ZREVRANGE key start stop [WITHSCORES] */
static void cmd_zrevrange(struct call *c) { range_of_kind(c, BY_RANK, true); }

/* ZRANGEBYSCORE key min max [WITHSCORES] [LIMIT offset count] */
static void cmd_zrangebyscore(struct call *c) { range_of_kind(c, BY_SCORE, false); }

/* ZREVRANGEBYSCORE key max min [WITHSCORES] [LIMIT offset count] */
static void cmd_zrevrangebyscore(struct call *c) { range_of_kind(c, BY_SCORE, true); }

/* ZRANGEBYLEX key min max [LIMIT offset count] */
static void cmd_zrangebylex(struct call *c) { range_of_kind(c, BY_LEX, false); }

/* ZREVRANGEBYLEX key max min [LIMIT offset count] */
static void cmd_zrevrangebylex(struct call *c) { range_of_kind(c, BY_LEX, true); }

/* ---- counting and removing ---- */

static void count_range(struct call *c, enum range_by by) {
    struct range r;
    struct value v;
    if (!read_range(c, by, 2, 3, &r) || !zset_argument(c, 1, &v, reply_zero)) return;
    reply_int(c->out, (int64_t)span_of(v, &r, false).count);
}

/* ZCOUNT key min max */
static void cmd_zcount(struct call *c) { count_range(c, BY_SCORE); }

/* ZLEXCOUNT key min max */
static void cmd_zlexcount(struct call *c) { count_range(c, BY_LEX); }

static void remove_range(struct call *c, enum range_by by, const char *event) {
    struct range r;
    struct span s = { 0, 0 };
    struct keyspace_change zset;
    if (!read_range(c, by, 2, 3, &r) || !change_open(c, c->argv[1], TYPE_ZSET, &zset)) return;
    if (zset.entry) {
        s = span_of(zset.value, &r, false);
        zset_remove_range(&zset.value, s.first, s.count);
    }
    change_close(c, &zset, s.count, event, EFFECT_SAME(c));
    reply_int(c->out, (int64_t)s.count);
}

/* ZREMRANGEBYRANK key start stop */
static void cmd_zremrangebyrank(struct call *c) { remove_range(c, BY_RANK, "zremrangebyrank"); }

/* ZREMRANGEBYSCORE key min max */
static void cmd_zremrangebyscore(struct call *c) { remove_range(c, BY_SCORE, "zremrangebyscore"); }

/* ZREMRANGEBYLEX key min max */
static void cmd_zremrangebylex(struct call *c) { remove_range(c, BY_LEX, "zremrangebylex"); }

/* ---- the table ---- */

#define ZSET_FACTS .kind = KEYED, .categories = CAT_SORTEDSET
#define READ_KEY .keys = { KEY(KEY_RO | KEY_ACCESS) }
#define REMOVE_KEY .keys = { KEY(KEY_RW | KEY_DELETE) }
#define RANGE_COMPLEXITY \
    "O(log N + M) where N is the number of members of the set and M the number of those returned."
#define COUNT_COMPLEXITY "O(log N) where N is the number of members."
#define REMOVE_COMPLEXITY \
    "O(log N + M) where N is the number of members of the set and M that of those removed."

const struct command zset_range_commands[] = {
    { .name = "ZCOUNT", .run = cmd_zcount, .arity = 4, ZSET_FACTS, .flags = READS | FAST, READ_KEY,
      .since = "2.0.0", .summary = "Counts the members of a sorted set whose scores are in a range.",
      .complexity = COUNT_COMPLEXITY, .syntax = "key min max" },
    { .name = "ZLEXCOUNT", .run = cmd_zlexcount, .arity = 4, ZSET_FACTS, .flags = READS | FAST, READ_KEY,
      .since = "2.8.9", .summary = "Counts the members of a sorted set that are in a range of texts.",
      .complexity = COUNT_COMPLEXITY, .syntax = "key min max" },
    { .name = "ZRANGE", .run = cmd_zrange, .arity = -4, ZSET_FACTS, .flags = READS, READ_KEY,
      .since = "1.2.0",
      .summary = "Returns the members of a sorted set in a range of ranks, scores or texts.",
      .complexity = RANGE_COMPLEXITY,
      .syntax = "key start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]" },
    { .name = "ZRANGEBYLEX", .run = cmd_zrangebylex, .arity = -4, ZSET_FACTS, .flags = READS | DEPRECATED,
      READ_KEY, .since = "2.8.9", .summary = "Returns the members of a sorted set in a range of texts.",
      .complexity = RANGE_COMPLEXITY, .syntax = "key min max [LIMIT offset count]",
      .deprecated_since = "6.2.0", .replaced_by = "`ZRANGE` with the `BYLEX` argument" },
    { .name = "ZRANGEBYSCORE", .run = cmd_zrangebyscore, .arity = -4, ZSET_FACTS,
      .flags = READS | DEPRECATED, READ_KEY, .since = "1.0.5",
      .summary = "Returns the members of a sorted set in a range of scores.", .complexity = RANGE_COMPLEXITY,
      .syntax = "key min max [WITHSCORES] [LIMIT offset count]", .deprecated_since = "6.2.0",
      .replaced_by = "`ZRANGE` with the `BYSCORE` argument" },
    { .name = "ZRANGESTORE", .run = cmd_zrangestore, .arity = -5, ZSET_FACTS, .flags = WRITES | GROWS,
      .keys = { KEY(KEY_OW | KEY_UPDATE), KEY_AT(2, KEY_RO | KEY_ACCESS) }, .since = "6.2.0",
      .summary = "Stores the members of a sorted set that are in a range under another key.",
      .complexity = "O(log N + M) where N is the number of members of the set and M that of those stored.",
      .syntax = "dst src min max [BYSCORE | BYLEX] [REV] [LIMIT offset count]" },
    { .name = "ZREMRANGEBYLEX", .run = cmd_zremrangebylex, .arity = 4, ZSET_FACTS, .flags = WRITES,
      REMOVE_KEY, .since = "2.8.9",
      .summary = "Removes the members of a sorted set that are in a range of texts.",
      .complexity = REMOVE_COMPLEXITY, .syntax = "key min max" },
    { .name = "ZREMRANGEBYRANK", .run = cmd_zremrangebyrank, .arity = 4, ZSET_FACTS, .flags = WRITES,
      REMOVE_KEY, .since = "2.0.0",
      .summary = "Removes the members of a sorted set that are in a range of ranks.",
      .complexity = REMOVE_COMPLEXITY, .syntax = "key start stop" },
    { .name = "ZREMRANGEBYSCORE", .run = cmd_zremrangebyscore, .arity = 4, ZSET_FACTS, .flags = WRITES,
      REMOVE_KEY, .since = "1.2.0",
      .summary = "Removes the members of a sorted set whose scores are in a range.",
      .complexity = REMOVE_COMPLEXITY, .syntax = "key min max" },
    { .name = "ZREVRANGE", .run = cmd_zrevrange, .arity = -4, ZSET_FACTS, .flags = READS | DEPRECATED,
      READ_KEY, .since = "1.2.0",
      .summary = "Returns the members of a sorted set in a range of ranks, from the highest down.",
      .complexity = RANGE_COMPLEXITY, .syntax = "key start stop [WITHSCORES]", .deprecated_since = "6.2.0",
      .replaced_by = "`ZRANGE` with the `REV` argument" },
    { .name = "ZREVRANGEBYLEX", .run = cmd_zrevrangebylex, .arity = -4, ZSET_FACTS,
      .flags = READS | DEPRECATED, READ_KEY, .since = "2.8.9",
      .summary = "Returns the members of a sorted set in a range of texts, from the highest down.",
      .complexity = RANGE_COMPLEXITY, .syntax = "key max min [LIMIT offset count]",
      .deprecated_since = "6.2.0", .replaced_by = "`ZRANGE` with the `REV` and `BYLEX` arguments" },
    { .name = "ZREVRANGEBYSCORE", .run = cmd_zrevrangebyscore, .arity = -4, ZSET_FACTS,
      .flags = READS | DEPRECATED, READ_KEY, .since = "2.2.0",
      .summary = "Returns the members of a sorted set in a range of scores, from the highest down.",
      .complexity = RANGE_COMPLEXITY, .syntax = "key max min [WITHSCORES] [LIMIT offset count]",
      .deprecated_since = "6.2.0", .replaced_by = "`ZRANGE` with the `REV` and `BYSCORE` arguments" },
    { .name = NULL },
};
