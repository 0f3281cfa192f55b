/* zset.c: members and their scores: adding, removing, asking, choosing at random.
 *
 * What adds to a score is journaled as the score it led to, so that a replay does not depend on how sums of
 * doubles are rounded. */
#include "trivet/base/mem.h"
#include "trivet/base/random.h"
#include "trivet/commands/arguments/refuse.h"
#include "trivet/commands/arguments/scan_option.h"
#include "trivet/commands/groups.h"
#include "zset_value.h"

#define NAN_TEXT "ERR resulting score is not a number (NaN)"

/* ---- adding ---- */

struct add_plan {
    unsigned conditions;
    bool count_changed; /* CH */
    size_t first;       /* argument of the first score */
    size_t pairs;
};

static const struct {
    const char *word;
    unsigned condition;
} add_words[] = {
    { "NX", ZSET_IF_MISSING }, { "XX", ZSET_IF_PRESENT }, { "GT", ZSET_IF_GREATER },
    { "LT", ZSET_IF_LESS },    { "INCR", ZSET_ADD_TO },
};

static bool read_add_word(const struct call *c, size_t at, struct add_plan *plan) {
    for (size_t i = 0; i < COUNT_OF(add_words); i++) {
        if (!call_is(c, at, add_words[i].word)) continue;
        plan->conditions |= add_words[i].condition;
        return true;
    }
    return call_is(c, at, "CH") && (plan->count_changed = true);
}

/* What is wrong with the words as a whole; an empty text if nothing is. */
static struct slice add_conflict(const struct add_plan *plan) {
    unsigned missing = plan->conditions & ZSET_IF_MISSING, present = plan->conditions & ZSET_IF_PRESENT;
    unsigned greater = plan->conditions & ZSET_IF_GREATER, less = plan->conditions & ZSET_IF_LESS;
    if (missing && present) return LIT("ERR XX and NX options at the same time are not compatible");
    if ((greater && missing) || (less && missing) || (greater && less))
        return LIT("ERR GT, LT, and/or NX options at the same time are not compatible");
    if ((plan->conditions & ZSET_ADD_TO) && plan->pairs > 1)
        return LIT("ERR INCR option supports a single increment-element pair");
    return LIT("");
}

/* The words before the pairs. */
static bool read_add_plan(struct call *c, struct add_plan *plan) {
    size_t at = 2;
    while (at < c->argc && read_add_word(c, at, plan)) at++;
    plan->first = at;
    plan->pairs = (c->argc - at) / 2;
    if (plan->pairs == 0 || (c->argc - at) % 2 != 0) {
        return refuse_syntax(c);
    }
    struct slice conflict = add_conflict(plan);
    if (conflict.len > 0) reply_error_text(c->out, conflict);
    return conflict.len == 0;
}

#define SCORES_ON_STACK 16

/* What became of a run of pairs. */
struct added {
    size_t added, updated;
    double last_score;
    enum zset_outcome last;
};

static void put_pairs(struct call *c, const struct add_plan *plan, const double *scores, struct value *v,
                      struct added *out) {
    for (size_t i = 0; i < plan->pairs; i++) {
        double score = scores[i];
        out->last = zset_put(v, c->argv[plan->first + 2 * i + 1], &score, plan->conditions);
        out->last_score = score;
        out->added += out->last == ZSET_ADDED;
        out->updated += out->last == ZSET_UPDATED;
    }
}

static void reply_added(struct call *c, const struct add_plan *plan, const struct added *a) {
    if (!(plan->conditions & ZSET_ADD_TO))
        reply_int(c->out, (int64_t)(plan->count_changed ? a->added + a->updated : a->added));
    else if (a->last == ZSET_NAN)
        reply_error_text(c->out, LIT(NAN_TEXT));
    else if (a->last == ZSET_REFUSED)
        reply_null(c->out);
    else
        reply_double(c->out, a->last_score);
}

static void close_added(struct call *c, const struct add_plan *plan, const struct added *a,
                        struct keyspace_change *zset) {
    if (!(plan->conditions & ZSET_ADD_TO)) {
        change_close(c, zset, a->added + a->updated, "zadd", EFFECT_SAME(c));
        return;
    }
    char digits[DOUBLE_TEXT_MAX];
    struct slice score = slice_make(digits, double_format(digits, a->last_score));
    change_close(c, zset, a->added + a->updated, "zincr",
                 EFFECT(LIT("ZADD"), zset->key, score, c->argv[plan->first + 1]));
}

/* All scores are numbers: adds the pairs. */
static void add_pairs(struct call *c, const struct add_plan *plan, const double *scores) {
    struct keyspace_change zset;
    struct added a = { .last = ZSET_REFUSED };
    if (!change_open(c, c->argv[1], TYPE_ZSET, &zset)) return;
    if (!zset.entry && (plan->conditions & ZSET_IF_PRESENT)) {
        reply_added(c, plan, &a);
        return;
    }
    if (!zset.entry) zset.value = zset_new();
    put_pairs(c, plan, scores, &zset.value, &a);
    reply_added(c, plan, &a);
    close_added(c, plan, &a, &zset);
}

static bool read_scores(struct call *c, const struct add_plan *plan, double *scores) {
    for (size_t i = 0; i < plan->pairs; i++) {
        if (double_parse(c->argv[plan->first + 2 * i], &scores[i])) continue;
        reply_error(c->out, ERR_NOT_FLOAT);
        return false;
    }
    return true;
}

static void add_by_plan(struct call *c, const struct add_plan *plan) {
    double few[SCORES_ON_STACK];
    double *scores = plan->pairs > SCORES_ON_STACK ? mem_alloc(plan->pairs * sizeof *scores) : few;
    if (read_scores(c, plan, scores)) add_pairs(c, plan, scores);
    if (scores != few) mem_free(scores);
}

/* ZADD key [NX | XX] [GT | LT] [CH] [INCR] score member [score member ...] */
static void cmd_zadd(struct call *c) {
    struct add_plan plan = { 0 };
    if (read_add_plan(c, &plan)) add_by_plan(c, &plan);
}

/* ZINCRBY key increment member */
static void cmd_zincrby(struct call *c) {
    add_by_plan(c, &(struct add_plan){ .conditions = ZSET_ADD_TO, .first = 2, .pairs = 1 });
}

/* ---- removing ---- */

/* ZREM key member [member ...] */
static void cmd_zrem(struct call *c) {
    struct keyspace_change zset;
    if (!change_open(c, c->argv[1], TYPE_ZSET, &zset)) return;
    size_t removed = 0;
    for (size_t i = 2; zset.entry && i < c->argc; i++) removed += zset_remove(&zset.value, c->argv[i]);
    change_close(c, &zset, removed, "zrem", EFFECT_SAME(c));
    reply_int(c->out, (int64_t)removed);
}

/* ---- asking ---- */

/* ZCARD key */
static void cmd_zcard(struct call *c) {
    struct value v;
    if (zset_argument(c, 1, &v, reply_zero)) reply_int(c->out, (int64_t)zset_count(v));
}

/* ZSCORE key member */
static void cmd_zscore(struct call *c) {
    struct value v;
    double score;
    if (!zset_argument(c, 1, &v, reply_nothing)) return;
    if (zset_score(v, c->argv[2], &score))
        reply_double(c->out, score);
    else
        reply_null(c->out);
}

/* ZMSCORE key member [member ...] */
static void cmd_zmscore(struct call *c) {
    struct entry *e = keyspace_read(&c->view, c->argv[1]);
    if (!is_type_or_missing(c, e, TYPE_ZSET)) return;
    reply_array(c->out, c->argc - 2);
    for (size_t i = 2; i < c->argc; i++) {
        double score;
        if (e && zset_score(entry_value(e), c->argv[i], &score))
            reply_double(c->out, score);
        else
            reply_null(c->out);
    }
}

static void reply_no_rank_and_score(struct call *c) { reply_null_array(c->out); }

static void rank(struct call *c, bool from_highest) {
    if (c->argc > 4) {
        reply_error_printf(c->out, "ERR wrong number of arguments for '%s' command", c->command->full_name);
        return;
    }
    bool with_score = c->argc == 4;
    if (with_score && !call_is(c, 3, "WITHSCORE")) {
        reply_error(c->out, ERR_SYNTAX);
        return;
    }
    void (*missing)(struct call *) = with_score ? reply_no_rank_and_score : reply_nothing;
    struct value v;
    size_t found;
    double score;
    if (!zset_argument(c, 1, &v, missing)) return;
    if (!zset_rank(v, c->argv[2], &found, &score)) {
        missing(c);
        return;
    }
    if (from_highest) found = zset_count(v) - 1 - found;
    if (with_score) reply_array(c->out, 2);
    reply_int(c->out, (int64_t)found);
    if (with_score) reply_double(c->out, score);
}

/* ZRANK key member [WITHSCORE] */
static void cmd_zrank(struct call *c) { rank(c, false); }

/* ZREVRANK key member [WITHSCORE] */
static void cmd_zrevrank(struct call *c) { rank(c, true); }

/* ---- walking over all ---- */

static void scan_member(void *arg, struct slice member, double score) {
    struct collection_scan *s = arg;
    if (!collection_scan_wants(s, member)) return;
    reply_bulk(&s->elements, member);
    s->found++;
    if (s->only_names) return;
    char digits[DOUBLE_TEXT_MAX];
    reply_bulk(&s->elements, slice_make(digits, double_format(digits, score)));
    s->found++;
}

/* ZSCAN key cursor [MATCH pattern] [COUNT count] [NOSCORES] */
static void cmd_zscan(struct call *c) {
    struct collection_scan s;
    struct value v;
    if (!collection_scan_cursor(c, &s) || !zset_argument(c, 1, &v, collection_scan_nothing)) return;
    if (!collection_scan_options(c, TYPE_ZSET, &s)) return;
    collection_scan_begin(c, &s);
    collection_scan_end(c, &s, zset_scan(v, s.cursor, s.count, scan_member, &s));
}

/* ---- chance ---- */

static void reply_at_rank(struct call *c, enum member_form form, struct value v, size_t at) {
    struct zset_walk w;
    zset_walk_begin(&w, v, at, 1, false);
    if (zset_walk_next(&w)) reply_member(c->out, form, w.member, w.score);
}

static void random_with_repetition(struct call *c, enum member_form form, struct value v, size_t count) {
    reply_members(c->out, form, count);
    size_t all = zset_count(v);
    for (size_t i = 0; i < count && !reply_takes_nothing(c->out); i++)
        reply_at_rank(c, form, v, (size_t)random_below(all));
}

/* From many, few different ones: Floyd's choice, with the ranks chosen so far in a small hash table of open
 * places. */
static void random_few(struct call *c, enum member_form form, struct value v, size_t count) {
    size_t all = zset_count(v), places = 4;
    while (places < 2 * count) places *= 2;
    size_t *chosen = mem_alloc_zero(places * sizeof *chosen); /* rank + 1; 0: free */
    for (size_t i = all - count; i < all; i++) {
        size_t at = (size_t)random_below(i + 1);
        for (int tries = 0; tries < 2; tries++, at = i) {
            size_t place = at * 0x9e3779b97f4a7c15u % places;
            while (chosen[place] != 0 && chosen[place] != at + 1) place = (place + 1) % places;
            if (chosen[place] == at + 1) continue; /* so i itself, which cannot be there yet */
            chosen[place] = at + 1;
            reply_at_rank(c, form, v, at);
            break;
        }
    }
    mem_free(chosen);
}

/* From few, many: each is taken with the chance that is due to it, in order. */
static void random_many(struct call *c, enum member_form form, struct value v, size_t count) {
    struct zset_walk w;
    zset_walk_all(&w, v);
    for (size_t left = zset_count(v); count > 0 && zset_walk_next(&w); left--) {
        if (random_below(left) >= count) continue;
        reply_member(c->out, form, w.member, w.score);
        count--;
    }
}

#define FEW_OF 8 /* below one in so many, walking over all costs more than searching each */

static void random_members(struct call *c, int64_t count, bool with_scores) {
    struct value v;
    if (!zset_argument(c, 1, &v, reply_empty_array)) return;
    enum member_form form = member_form(c, with_scores);
    if (count < 0) {
        random_with_repetition(c, form, v, (size_t)-count);
        return;
    }
    size_t all = zset_count(v), wanted = (size_t)count < all ? (size_t)count : all;
    reply_members(c->out, form, wanted);
    if (wanted < all / FEW_OF)
        random_few(c, form, v, wanted);
    else
        random_many(c, form, v, wanted);
}

/* ZRANDMEMBER key [count [WITHSCORES]] */
static void cmd_zrandmember(struct call *c) {
    struct value v;
    int64_t count;
    if (c->argc == 2) {
        if (!zset_argument(c, 1, &v, reply_nothing)) return;
        reply_at_rank(c, MEMBER_ALONE, v, (size_t)random_below(zset_count(v)));
        return;
    }
    if (!integer_argument(c, 2, &count)) return;
    if (count < -INT64_MAX) {
        reply_error_text(c->out, LIT("ERR value is out of range, value must between -9223372036854775807 and "
                                     "9223372036854775807"));
        return;
    }
    if (c->argc > 4 || (c->argc == 4 && !call_is(c, 3, "WITHSCORES"))) {
        reply_error(c->out, ERR_SYNTAX);
        return;
    }
    if (c->argc == 4 && (count < -INT64_MAX / 2 || count > INT64_MAX / 2)) {
        reply_error(c->out, ERR_OUT_OF_RANGE);
        return;
    }
    random_members(c, count, c->argc == 4);
}

/* ---- the table ---- */

#define ZSET_FACTS .kind = KEYED, .categories = CAT_SORTEDSET

const struct command zset_commands[] = {
    { .name = "ZADD", .run = cmd_zadd, .arity = -4, ZSET_FACTS, .flags = WRITES | GROWS | FAST,
      .keys = { KEY(KEY_RW | KEY_UPDATE) }, .since = "1.2.0",
      .summary = "Adds members to a sorted set, or changes their scores; a missing key is created.",
      .complexity = "O(log N) for each member, where N is the number of members.",
      .syntax = "key [NX | XX] [GT | LT] [CH] [INCR] score member [score member ...]" },
    { .name = "ZCARD", .run = cmd_zcard, .arity = 2, ZSET_FACTS, .flags = READS | FAST,
      .keys = { KEY(KEY_RO) }, .since = "1.2.0", .summary = "Returns the number of members of a sorted set.",
      .complexity = "O(1)", .syntax = "key" },
    { .name = "ZINCRBY", .run = cmd_zincrby, .arity = 4, ZSET_FACTS, .flags = WRITES | GROWS | FAST,
      .keys = { KEY(KEY_RW | KEY_ACCESS | KEY_UPDATE) }, .since = "1.2.0",
      .summary = "Adds to the score of a member of a sorted set.",
      .complexity = "O(log N) where N is the number of members.", .syntax = "key increment member" },
    { .name = "ZMSCORE", .run = cmd_zmscore, .arity = -3, ZSET_FACTS, .flags = READS | FAST,
      .keys = { KEY(KEY_RO | KEY_ACCESS) }, .since = "6.2.0",
      .summary = "Returns the scores of several members of a sorted set.",
      .complexity = "O(N) where N is the number of members asked for.", .syntax = "key member [member ...]" },
    { .name = "ZRANDMEMBER", .run = cmd_zrandmember, .arity = -2, ZSET_FACTS, .flags = READS,
      .keys = { KEY(KEY_RO | KEY_ACCESS) }, .since = "6.2.0",
      .summary = "Returns random members of a sorted set.",
      .complexity = "O(N log M) where N is the number of members returned and M that of the set.",
      .syntax = "key [count [WITHSCORES]]", .tips = "nondeterministic_output" },
    { .name = "ZRANK", .run = cmd_zrank, .arity = -3, ZSET_FACTS, .flags = READS | FAST,
      .keys = { KEY(KEY_RO | KEY_ACCESS) }, .since = "2.0.0",
      .summary = "Returns how many members of a sorted set are before a member.",
      .complexity = "O(log N) where N is the number of members.", .syntax = "key member [WITHSCORE]" },
    { .name = "ZREM", .run = cmd_zrem, .arity = -3, ZSET_FACTS, .flags = WRITES | FAST,
      .keys = { KEY(KEY_RW | KEY_DELETE) }, .since = "1.2.0",
      .summary = "Removes members from a sorted set; an empty one is deleted.",
      .complexity = "O(M log N) where M is the number of members to remove and N that of the set.",
      .syntax = "key member [member ...]" },
    { .name = "ZREVRANK", .run = cmd_zrevrank, .arity = -3, ZSET_FACTS, .flags = READS | FAST,
      .keys = { KEY(KEY_RO | KEY_ACCESS) }, .since = "2.0.0",
      .summary = "Returns how many members of a sorted set are behind a member.",
      .complexity = "O(log N) where N is the number of members.", .syntax = "key member [WITHSCORE]" },
    { .name = "ZSCAN", .run = cmd_zscan, .arity = -3, ZSET_FACTS, .flags = READS,
      .keys = { KEY(KEY_RO | KEY_ACCESS) }, .since = "2.8.0",
      .summary = "Walks over the members and scores of a sorted set.",
      .complexity = "O(1) a call, O(N) for the whole walk, where N is the number of members.",
      .syntax = "key cursor [MATCH pattern] [COUNT count] [NOSCORES]", .tips = "nondeterministic_output" },
    { .name = "ZSCORE", .run = cmd_zscore, .arity = 3, ZSET_FACTS, .flags = READS | FAST,
      .keys = { KEY(KEY_RO | KEY_ACCESS) }, .since = "1.2.0",
      .summary = "Returns the score of a member of a sorted set.", .complexity = "O(1)",
      .syntax = "key member" },
    { .name = NULL },
};
