/* zset_combine.c: the union, intersection and difference of sorted sets and sets; a set's members score 1.
 *
 * Results gather in a table of items (the union must find members again) or a list of them. A result to reply
 * with is sorted as an array; one to store goes into a sorted set in that order, which fills its nodes to the
 * brim. Scores are added up from the smallest source to the largest, so that sums round as clients know them.
 */
#include "trivet/base/hashing.h"
#include "trivet/base/mem.h"
#include "trivet/commands/arguments/refuse.h"
#include "trivet/commands/groups.h"
#include "trivet/types/set.h"
#include "trivet/types/structures/table.h"
#include "zset_value.h"
#include <math.h>
#include <stdlib.h>

enum combine_as { UNION, INTER, DIFF };
enum aggregate { SUM, MIN, MAX };

struct source {
    const struct entry *entry; /* NULL: a missing key, an empty source */
    double weight;
    size_t count;
};

struct combine_plan {
    enum combine_as as;
    bool store;             /* into argument 1 */
    bool only_count;        /* ZINTERCARD */
    size_t numkeys;         /* argument */
    struct source *sources; /* as named, then by size */
    size_t count;
    enum aggregate aggregate;
    bool with_scores;
    size_t limit; /* of only_count */
};

/* ---- the arguments ---- */

static bool read_source(struct call *c, size_t index, struct source *out) {
    const struct entry *e = keyspace_read(&c->view, c->argv[index]);
    if (e && e->type != TYPE_ZSET && e->type != TYPE_SET) {
        reply_error(c->out, ERR_WRONGTYPE);
        return false;
    }
    *out = (struct source){ .entry = e, .weight = 1 };
    if (e) out->count = e->type == TYPE_ZSET ? zset_count(entry_value(e)) : set_count(entry_value(e));
    return true;
}

static bool read_sources(struct call *c, struct combine_plan *plan) {
    int64_t count;
    if (!integer_argument(c, plan->numkeys, &count)) return false;
    if (count < 1) {
        reply_error_printf(c->out, "ERR at least 1 input key is needed for '%s' command",
                           c->command->full_name);
        return false;
    }
    size_t first = plan->numkeys + 1;
    if ((uint64_t)count > c->argc - first) return refuse_syntax(c);
    plan->count = (size_t)count;
    plan->sources = mem_alloc(plan->count * sizeof plan->sources[0]);
    for (size_t i = 0; i < plan->count; i++)
        if (!read_source(c, first + i, &plan->sources[i])) return false;
    return true;
}

static bool read_weights(struct call *c, size_t first, struct combine_plan *plan) {
    for (size_t i = 0; i < plan->count; i++) {
        if (double_parse(c->argv[first + i], &plan->sources[i].weight)) continue;
        reply_error_text(c->out, LIT("ERR weight value is not a float"));
        return false;
    }
    return true;
}

static bool read_aggregate(struct call *c, size_t at, struct combine_plan *plan) {
    if (call_is(c, at, "SUM"))
        plan->aggregate = SUM;
    else if (call_is(c, at, "MIN"))
        plan->aggregate = MIN;
    else if (call_is(c, at, "MAX"))
        plan->aggregate = MAX;
    else
        return refuse_syntax(c);
    return true;
}

static bool read_count_limit(struct call *c, size_t at, struct combine_plan *plan) {
    int64_t limit;
    bool valid = int64_parse(c->argv[at], &limit) && limit >= 0;
    if (valid)
        plan->limit = (size_t)limit;
    else
        reply_error_text(c->out, LIT("ERR LIMIT can't be negative"));
    return valid;
}

/* The option at *at, which is moved behind it. */
static bool read_option(struct call *c, size_t *at, struct combine_plan *plan) {
    size_t i = *at, left = c->argc - i - 1;
    bool may_weigh = plan->as != DIFF && !plan->only_count;
    if (may_weigh && left >= plan->count && call_is(c, i, "WEIGHTS")) {
        *at += 1 + plan->count;
        return read_weights(c, i + 1, plan);
    }
    if (may_weigh && left >= 1 && call_is(c, i, "AGGREGATE")) {
        *at += 2;
        return read_aggregate(c, i + 1, plan);
    }
    if (plan->only_count && left >= 1 && call_is(c, i, "LIMIT")) {
        *at += 2;
        return read_count_limit(c, i + 1, plan);
    }
    if (plan->store || plan->only_count || !call_is(c, i, "WITHSCORES")) return refuse_syntax(c);
    *at += 1;
    return plan->with_scores = true;
}

static bool read_plan(struct call *c, struct combine_plan *plan) {
    if (!read_sources(c, plan)) return false;
    size_t at = plan->numkeys + 1 + plan->count;
    while (at < c->argc)
        if (!read_option(c, &at, plan)) return false;
    return true;
}

/* ---- sources ---- */

/* Sources of equal size keep their order. */
static void sort_by_size(struct source *sources, size_t count) {
    for (size_t i = 1; i < count; i++) {
        struct source s = sources[i];
        size_t at = i;
        for (; at > 0 && sources[at - 1].count > s.count; at--) sources[at] = sources[at - 1];
        sources[at] = s;
    }
}

typedef bool source_visit(void *arg, struct slice member, double score);

struct set_visit {
    source_visit *visit;
    void *arg;
};

static bool visit_set_member(void *arg, struct slice member) {
    struct set_visit *v = arg;
    return v->visit(v->arg, member, 1);
}

/* Every member; the visit returns false to stop. */
static void source_each(const struct source *s, source_visit *visit, void *arg) {
    if (!s->entry) return;
    struct value v = entry_value(s->entry);
    if (s->entry->type == TYPE_SET) {
        struct set_visit sv = { visit, arg };
        (void)set_each(v, visit_set_member, &sv);
        return;
    }
    struct zset_walk w;
    zset_walk_all(&w, v);
    while (zset_walk_next(&w))
        if (!visit(arg, w.member, w.score)) return;
}

static bool source_find(const struct source *s, struct slice member, double *score) {
    if (!s->entry) return false;
    if (s->entry->type == TYPE_ZSET) return zset_score(entry_value(s->entry), member, score);
    *score = 1;
    return set_contains(entry_value(s->entry), member);
}

/* ---- combining ---- */

/* A list of new items that it owns. */
struct items {
    struct scored **list;
    size_t count, room;
};

static void items_add(struct items *out, struct scored *item) {
    if (out->count == out->room) {
        out->room = out->room ? 2 * out->room : 64;
        out->list = mem_realloc(out->list, out->room * sizeof out->list[0]);
    }
    out->list[out->count++] = item;
}

static double weighed(double score, double weight) {
    double product = score * weight;
    return isnan(product) ? 0 : product; /* infinity times zero */
}

static double aggregated(enum aggregate how, double a, double b) {
    if (how == MIN) return b < a ? b : a;
    if (how == MAX) return b > a ? b : a;
    return isnan(a + b) ? 0 : a + b; /* opposite infinities */
}

struct combining {
    const struct combine_plan *plan;
    const struct source *source; /* which is being visited */
    struct items *out;
    struct table found; /* of UNION: all items of `out` by member */
    size_t matches;     /* of INTER */
};

static bool add_to_union(void *arg, struct slice member, double score) {
    struct combining *u = arg;
    uint64_t hash = hash_bytes(member);
    struct scored *item = table_find(&u->found, member, hash);
    score = weighed(score, u->source->weight);
    if (item) {
        item->score = aggregated(u->plan->aggregate, item->score, score);
        return true;
    }
    item = scored_new(member, score);
    table_insert(&u->found, item, hash);
    items_add(u->out, item);
    return true;
}

static struct slice item_key(const void *item) { return scored_text(item); }
static const struct table_ops found_ops = { item_key };

static void unite(const struct combine_plan *plan, struct items *out) {
    struct combining u = { .plan = plan, .out = out };
    table_init(&u.found, &found_ops);
    table_reserve(&u.found, plan->sources[plan->count - 1].count);
    for (size_t i = 0; i < plan->count; i++) {
        u.source = &plan->sources[i];
        source_each(u.source, add_to_union, &u);
    }
    table_release(&u.found, NULL);
}

/* A member of the smallest source: is it in all others? */
static bool add_to_intersection(void *arg, struct slice member, double score) {
    struct combining *n = arg;
    const struct source *sources = n->plan->sources;
    score = weighed(score, sources[0].weight);
    for (size_t i = 1; i < n->plan->count; i++) {
        double other;
        if (!source_find(&sources[i], member, &other)) return true;
        /* No number (infinity times zero) counts as zero in the first score alone: here it makes a sum zero
         * and is neither less nor more than the rest, as clients know it. */
        score = aggregated(n->plan->aggregate, score, other * sources[i].weight);
    }
    n->matches++;
    if (!n->plan->only_count) items_add(n->out, scored_new(member, score));
    return n->matches != n->plan->limit;
}

static size_t intersect(const struct combine_plan *plan, struct items *out) {
    struct combining n = { .plan = plan, .out = out };
    source_each(&plan->sources[0], add_to_intersection, &n);
    return n.matches;
}

/* A member of the first source: is it in none of the others? */
static bool add_to_difference(void *arg, struct slice member, double score) {
    struct combining *d = arg;
    for (size_t i = 1; i < d->plan->count; i++) {
        double other;
        if (source_find(&d->plan->sources[i], member, &other)) return true;
    }
    items_add(d->out, scored_new(member, score));
    return true;
}

static void subtract(const struct combine_plan *plan, struct items *out) {
    struct combining d = { .plan = plan, .out = out };
    source_each(&plan->sources[0], add_to_difference, &d);
}

static size_t combine_sources(struct combine_plan *plan, struct items *out) {
    if (plan->as == DIFF) {
        subtract(plan, out);
        return out->count;
    }
    sort_by_size(plan->sources, plan->count);
    if (plan->as == INTER) return intersect(plan, out);
    unite(plan, out);
    return out->count;
}

/* ---- what becomes of the result ---- */

static int compare_items(const void *a, const void *b) {
    return scored_compare(*(struct scored *const *)a, *(struct scored *const *)b);
}

/* In its final form from the start: one that grew to it would lose the sign of zeros on the way. */
static void store_items(struct call *c, const struct items *items, const char *event) {
    struct value v = zset_new();
    size_t longest = 0;
    for (size_t i = 0; i < items->count; i++) {
        size_t len = scored_text(items->list[i]).len;
        if (len > longest) longest = len;
    }
    zset_reserve(&v, items->count, longest);
    for (size_t i = 0; i < items->count; i++)
        zset_add(&v, scored_text(items->list[i]), items->list[i]->score);
    zset_store(c, c->argv[1], v, 1, event);
}

static void reply_items(struct call *c, const struct items *items, bool with_scores) {
    enum member_form form = member_form(c, with_scores);
    reply_members(c->out, form, items->count);
    for (size_t i = 0; i < items->count; i++)
        reply_member(c->out, form, scored_text(items->list[i]), items->list[i]->score);
}

static void combine(struct call *c, struct combine_plan plan) {
    static const char *const events[] = { "zunionstore", "zinterstore", "zdiffstore" };
    plan.numkeys = plan.store ? 2 : 1;
    if (read_plan(c, &plan)) {
        struct items items = { 0 };
        size_t count = combine_sources(&plan, &items);
        if (items.count > 1) qsort(items.list, items.count, sizeof items.list[0], compare_items);
        if (plan.only_count)
            reply_int(c->out, (int64_t)count);
        else if (plan.store)
            store_items(c, &items, events[plan.as]);
        else
            reply_items(c, &items, plan.with_scores);
        for (size_t i = 0; i < items.count; i++) mem_free(items.list[i]);
        mem_free(items.list);
    }
    mem_free(plan.sources);
}

/* ZUNION numkeys key [key ...] [WEIGHTS weight ...] [AGGREGATE SUM | MIN | MAX] [WITHSCORES] */
static void cmd_zunion(struct call *c) { combine(c, (struct combine_plan){ .as = UNION }); }

/* ZINTER numkeys key [key ...] [WEIGHTS weight ...] [AGGREGATE SUM | MIN | MAX] [WITHSCORES] */
static void cmd_zinter(struct call *c) { combine(c, (struct combine_plan){ .as = INTER }); }

/* ZDIFF numkeys key [key ...] [WITHSCORES] */
static void cmd_zdiff(struct call *c) { combine(c, (struct combine_plan){ .as = DIFF }); }

/* ZUNIONSTORE destination numkeys key [key ...] [WEIGHTS weight ...] [AGGREGATE SUM | MIN | MAX] */
static void cmd_zunionstore(struct call *c) {
    combine(c, (struct combine_plan){ .as = UNION, .store = true });
}

/* ZINTERSTORE destination numkeys key [key ...] [WEIGHTS weight ...] [AGGREGATE SUM | MIN | MAX] */
static void cmd_zinterstore(struct call *c) {
    combine(c, (struct combine_plan){ .as = INTER, .store = true });
}

/* ZDIFFSTORE destination numkeys key [key ...] */
static void cmd_zdiffstore(struct call *c) { combine(c, (struct combine_plan){ .as = DIFF, .store = true }); }

/* ZINTERCARD numkeys key [key ...] [LIMIT limit] */
static void cmd_zintercard(struct call *c) {
    combine(c, (struct combine_plan){ .as = INTER, .only_count = true });
}

/* ---- the table ---- */

#define ZSET_FACTS .kind = KEYED, .categories = CAT_SORTEDSET
#define READ_KEYS .flags = READS, .keys = { KEYNUM_AT(1, KEY_RO | KEY_ACCESS) }
#define STORE_KEYS \
    .flags = WRITES | GROWS, .keys = { KEY(KEY_OW | KEY_UPDATE), KEYNUM_AT(2, KEY_RO | KEY_ACCESS) }
#define WEIGHTS "[WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>]"
#define UNION_COMPLEXITY \
    "O(N + M log M) where N is the number of members of all inputs and M that of the result."
#define INTER_COMPLEXITY                                                                                     \
    "O(N*K + M log M) where N is the number of members of the smallest input, K the number of inputs and M " \
    "the number of members of the result."
#define DIFF_COMPLEXITY                                                                                   \
    "O(N*K + M log M) where N is the number of members of the first input, K the number of inputs and M " \
    "the number of members of the result."

const struct command zset_combine_commands[] = {
    { .name = "ZDIFF", .run = cmd_zdiff, .arity = -3, ZSET_FACTS, READ_KEYS, .since = "6.2.0",
      .summary = "Returns the members of the first sorted set that are in none of the others.",
      .complexity = DIFF_COMPLEXITY, .syntax = "numkeys key [key ...] [WITHSCORES]" },
    { .name = "ZDIFFSTORE", .run = cmd_zdiffstore, .arity = -4, ZSET_FACTS, STORE_KEYS, .since = "6.2.0",
      .summary = "Stores the members of the first sorted set that are in none of the others.",
      .complexity = DIFF_COMPLEXITY, .syntax = "destination numkeys key [key ...]" },
    { .name = "ZINTER", .run = cmd_zinter, .arity = -3, ZSET_FACTS, READ_KEYS, .since = "6.2.0",
      .summary = "Returns the members that several sorted sets have in common.",
      .complexity = INTER_COMPLEXITY, .syntax = "numkeys key [key ...] " WEIGHTS " [WITHSCORES]" },
    { .name = "ZINTERCARD", .run = cmd_zintercard, .arity = -3, ZSET_FACTS, READ_KEYS, .since = "7.0.0",
      .summary = "Counts the members that several sorted sets have in common.",
      .complexity =
          "O(N*K) where N is the number of members of the smallest input and K the number of inputs.",
      .syntax = "numkeys key [key ...] [LIMIT limit]" },
    { .name = "ZINTERSTORE", .run = cmd_zinterstore, .arity = -4, ZSET_FACTS, STORE_KEYS, .since = "2.0.0",
      .summary = "Stores the members that several sorted sets have in common.",
      .complexity = INTER_COMPLEXITY, .syntax = "destination numkeys key [key ...] " WEIGHTS },
    { .name = "ZUNION", .run = cmd_zunion, .arity = -3, ZSET_FACTS, READ_KEYS, .since = "6.2.0",
      .summary = "Returns the members of several sorted sets together.", .complexity = UNION_COMPLEXITY,
      .syntax = "numkeys key [key ...] " WEIGHTS " [WITHSCORES]" },
    { .name = "ZUNIONSTORE", .run = cmd_zunionstore, .arity = -4, ZSET_FACTS, STORE_KEYS, .since = "2.0.0",
      .summary = "Stores the members of several sorted sets together.", .complexity = UNION_COMPLEXITY,
      .syntax = "destination numkeys key [key ...] " WEIGHTS },
    { .name = NULL },
};
