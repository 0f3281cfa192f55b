/* set.c: commands on one set (and SMOVE, between two): adding, removing, asking, taking at random.
 *
 * What chance chose is journaled as what it did: SPOP leaves SREM or DEL. */
#include "trivet/types/set.h"
#include "trivet/base/buf.h"
#include "trivet/commands/arguments/integer.h"
#include "trivet/commands/arguments/scan_option.h"
#include "trivet/commands/arguments/typed.h"
#include "trivet/commands/groups.h"
#include "trivet/engine/run/change.h"

/* ---- adding and removing ---- */

/* SADD key member [member ...] */
static void cmd_sadd(struct call *c) {
    struct keyspace_change set;
    if (!change_open(c, c->argv[1], TYPE_SET, &set)) return;
    if (set.entry)
        set_expect(&set.value, c->argc - 2);
    else
        set.value = set_new(c->argv[2], c->argc - 2);
    size_t added = 0;
    for (size_t i = 2; i < c->argc; i++) added += set_add(&set.value, c->argv[i]);
    reply_int(c->out, (int64_t)added);
    change_close(c, &set, added, "sadd", EFFECT_SAME(c));
}

/* SREM key member [member ...] */
static void cmd_srem(struct call *c) {
    struct keyspace_change set;
    if (!change_open(c, c->argv[1], TYPE_SET, &set)) return;
    size_t removed = 0;
    for (size_t i = 2; set.entry && i < c->argc && set_count(set.value) > 0; i++)
        removed += set_remove(&set.value, c->argv[i]);
    reply_int(c->out, (int64_t)removed);
    change_close(c, &set, removed, "srem", EFFECT_SAME(c));
}

/* Moves a member that is in `from` to the other key. */
static void move_member(struct call *c, struct keyspace_change *from, struct keyspace_change *to) {
    struct slice member = c->argv[3];
    (void)set_remove(&from->value, member);
    change_close(c, from, 1, "srem", EFFECT_SAME(c));
    if (!to->entry) to->value = set_new(member, 1);
    bool added = set_add(&to->value, member);
    change_close(c, to, added, "sadd", EFFECT_NONE);
}

/* SMOVE source destination member */
static void cmd_smove(struct call *c) {
    struct keyspace_change from, to;
    if (!change_open(c, c->argv[1], TYPE_SET, &from)) return;
    if (!from.entry) {
        reply_int(c->out, 0);
        return;
    }
    if (!change_open(c, c->argv[2], TYPE_SET, &to)) return;
    bool has = set_contains(from.value, c->argv[3]);
    reply_int(c->out, has);
    if (has && from.entry != to.entry) move_member(c, &from, &to);
}

/* ---- asking ---- */

/* The set to read; *v is it. False if there is none: missing, which is the caller's to reply, or no set,
 * which is replied. */
static bool read_set(struct call *c, struct value *v, bool *missing) {
    struct entry *e = keyspace_read(&c->view, c->argv[1]);
    *missing = !e;
    if (!e || !is_type_or_missing(c, e, TYPE_SET)) return false;
    *v = entry_value(e);
    return true;
}

/* SCARD key */
static void cmd_scard(struct call *c) {
    struct value v;
    bool missing;
    if (read_set(c, &v, &missing))
        reply_int(c->out, (int64_t)set_count(v));
    else if (missing)
        reply_int(c->out, 0);
}

/* SISMEMBER key member */
static void cmd_sismember(struct call *c) {
    struct value v;
    bool missing;
    if (read_set(c, &v, &missing))
        reply_int(c->out, set_contains(v, c->argv[2]));
    else if (missing)
        reply_int(c->out, 0);
}

/* SMISMEMBER key member [member ...] */
static void cmd_smismember(struct call *c) {
    struct value v;
    bool missing;
    if (!read_set(c, &v, &missing) && !missing) return;
    reply_array(c->out, c->argc - 2);
    for (size_t i = 2; i < c->argc; i++) reply_int(c->out, !missing && set_contains(v, c->argv[i]));
}

static void reply_member(void *arg, struct slice member) { reply_bulk(arg, member); }

static bool reply_each(void *arg, struct slice member) {
    reply_bulk(arg, member);
    return true;
}

/* SMEMBERS key */
static void cmd_smembers(struct call *c) {
    struct value v;
    bool missing;
    if (!read_set(c, &v, &missing)) {
        if (missing) reply_set(c->out, 0);
        return;
    }
    reply_set(c->out, set_count(v));
    (void)set_each(v, reply_each, c->out);
}

static void scan_member(void *arg, struct slice member) {
    struct collection_scan *s = arg;
    if (!collection_scan_wants(s, member)) return;
    reply_bulk(&s->elements, member);
    s->found++;
}

/* SSCAN key cursor [MATCH pattern] [COUNT count] */
static void cmd_sscan(struct call *c) {
    struct collection_scan s;
    struct value v;
    bool missing;
    if (!collection_scan_cursor(c, &s)) return;
    if (!read_set(c, &v, &missing)) {
        if (missing) collection_scan_nothing(c);
        return;
    }
    if (!collection_scan_options(c, TYPE_SET, &s)) return;
    collection_scan_begin(c, &s);
    collection_scan_end(c, &s, set_scan(v, s.cursor, s.count, scan_member, &s));
}

/* ---- chance ---- */

#define COUNT_OF_RANDOM_MAX INT64_MAX

/* Argument 2 of SRANDMEMBER; false after replying that it is none. */
static bool read_signed_count(struct call *c, int64_t *count) {
    if (!integer_argument(c, 2, count)) return false;
    if (*count >= -COUNT_OF_RANDOM_MAX) return true;
    reply_error_printf(c->out, "ERR value is out of range, value must between -%lld and %lld",
                       (long long)COUNT_OF_RANDOM_MAX, (long long)COUNT_OF_RANDOM_MAX);
    return false;
}

static void randmember_with_count(struct call *c) {
    struct value v;
    bool missing;
    int64_t count;
    char scratch[INT64_TEXT_MAX];
    if (!read_signed_count(c, &count)) return;
    if (!read_set(c, &v, &missing)) {
        if (missing) reply_array(c->out, 0);
        return;
    }
    if (count < 0) { /* the same may come again */
        reply_array(c->out, (size_t)-count);
        for (; count < 0 && !reply_takes_nothing(c->out); count++) reply_bulk(c->out, set_random(v, scratch));
        return;
    }
    size_t all = set_count(v), wanted = (size_t)count < all ? (size_t)count : all;
    reply_array(c->out, wanted);
    set_sample(v, wanted, reply_member, c->out);
}

/* SRANDMEMBER key [count] */
static void cmd_srandmember(struct call *c) {
    struct value v;
    bool missing;
    char scratch[INT64_TEXT_MAX];
    if (c->argc > 3) {
        reply_error(c->out, ERR_SYNTAX);
    } else if (c->argc == 3) {
        randmember_with_count(c);
    } else if (read_set(c, &v, &missing)) {
        reply_bulk(c->out, set_random(v, scratch));
    } else if (missing) {
        reply_null(c->out);
    }
}

#define BATCH 1024 /* members of one SREM in the journal */

/* Members on their way out: replied at once, gathered for the journal. */
struct popping {
    struct call *call;
    struct buf texts;
    size_t lengths[BATCH], count;
};

static void journal_batch(struct popping *p) {
    struct slice argv[2 + BATCH] = { LIT_INIT("SREM"), p->call->argv[1] };
    const char *at = p->texts.ptr;
    for (size_t i = 0; i < p->count; at += p->lengths[i++]) argv[2 + i] = slice_make(at, p->lengths[i]);
    if (p->count > 0) journal_effect(p->call, (struct effect){ argv, 2 + p->count });
    p->count = 0;
    buf_clear(&p->texts);
}

static void pop_member(void *arg, struct slice member) {
    struct popping *p = arg;
    reply_bulk(p->call->out, member);
    buf_append(&p->texts, member);
    p->lengths[p->count++] = member.len;
    if (p->count == BATCH) journal_batch(p);
}

/* SPOP with count; a set of that many members or fewer goes as a whole. */
static void pop_count(struct call *c) {
    struct keyspace_change set;
    int64_t count;
    if (!int64_parse(c->argv[2], &count) || count < 0) {
        reply_error(c->out, ERR_NOT_POSITIVE);
        return;
    }
    if (!change_open(c, c->argv[1], TYPE_SET, &set)) return;
    if (!set.entry || count == 0) {
        reply_set(c->out, 0);
        return;
    }
    size_t there = set_count(set.value);
    if ((size_t)count >= there) {
        reply_set(c->out, there);
        (void)set_each(set.value, reply_each, c->out);
        set.drops = true;
        change_close(c, &set, there, "spop", EFFECT(LIT("DEL"), set.key));
        return;
    }
    struct popping p = { .call = c };
    reply_set(c->out, (size_t)count);
    set_take(&set.value, (size_t)count, pop_member, &p);
    journal_batch(&p);
    buf_release(&p.texts);
    change_close(c, &set, (size_t)count, "spop", EFFECT_NONE);
}

static void pop_one(struct call *c) {
    struct keyspace_change set;
    if (!change_open(c, c->argv[1], TYPE_SET, &set)) return;
    if (!set.entry) {
        reply_null(c->out);
        return;
    }
    char scratch[INT64_TEXT_MAX];
    struct slice member = set_random(set.value, scratch);
    reply_bulk(c->out, member);
    journal_effect(c, EFFECT(LIT("SREM"), set.key, member));
    (void)set_remove(&set.value, member);
    change_close(c, &set, 1, "spop", EFFECT_NONE);
}

/* SPOP key [count] */
static void cmd_spop(struct call *c) {
    if (c->argc > 3)
        reply_error(c->out, ERR_SYNTAX);
    else if (c->argc == 3)
        pop_count(c);
    else
        pop_one(c);
}

/* ---- the table ---- */

#define SET_FACTS .kind = KEYED, .categories = CAT_SET
#define ASKS SET_FACTS, .flags = READS | FAST

const struct command set_commands[] = {
    { .name = "SADD", .run = cmd_sadd, .arity = -3, SET_FACTS, .flags = WRITES | GROWS | FAST,
      .keys = { KEY(KEY_RW | KEY_INSERT) }, .since = "1.0.0",
      .summary = "Adds members to a set; a missing key is created.",
      .complexity = "O(1) for each member.", .syntax = "key member [member ...]" },
    { .name = "SCARD", .run = cmd_scard, .arity = 2, ASKS, .keys = { KEY(KEY_RO) }, .since = "1.0.0",
      .summary = "Returns the number of members of a set.", .complexity = "O(1)", .syntax = "key" },
    { .name = "SISMEMBER", .run = cmd_sismember, .arity = 3, ASKS, .keys = { KEY(KEY_RO) }, .since = "1.0.0",
      .summary = "Tells whether a set has a member.", .complexity = "O(1)", .syntax = "key member" },
    { .name = "SMEMBERS", .run = cmd_smembers, .arity = 2, SET_FACTS, .flags = READS,
      .keys = { KEY(KEY_RO | KEY_ACCESS) }, .since = "1.0.0", .summary = "Returns all members of a set.",
      .complexity = "O(N) where N is the number of members.", .syntax = "key",
      .tips = "nondeterministic_output_order" },
    { .name = "SMISMEMBER", .run = cmd_smismember, .arity = -3, ASKS, .keys = { KEY(KEY_RO | KEY_ACCESS) },
      .since = "6.2.0", .summary = "Tells of several members whether a set has them.",
      .complexity = "O(N) where N is the number of members asked for.", .syntax = "key member [member ...]" },
    { .name = "SMOVE", .run = cmd_smove, .arity = 4, SET_FACTS, .flags = WRITES | FAST,
      .keys = { KEY(KEY_RW | KEY_ACCESS | KEY_DELETE), KEY_AT(2, KEY_RW | KEY_INSERT) }, .since = "1.0.0",
      .summary = "Moves a member from one set to another.", .complexity = "O(1)",
      .syntax = "source destination member" },
    { .name = "SPOP", .run = cmd_spop, .arity = -2, SET_FACTS, .flags = WRITES | FAST,
      .keys = { KEY(KEY_RW | KEY_ACCESS | KEY_DELETE) }, .since = "1.0.0",
      .summary = "Takes random members out of a set and returns them.",
      .complexity = "O(1) without count, else O(N) where N is the count.", .syntax = "key [count]",
      .tips = "nondeterministic_output" },
    { .name = "SRANDMEMBER", .run = cmd_srandmember, .arity = -2, SET_FACTS, .flags = READS,
      .keys = { KEY(KEY_RO | KEY_ACCESS) }, .since = "1.0.0", .summary = "Returns random members of a set.",
      .complexity = "O(1) without count, else O(N) where N is the count.", .syntax = "key [count]",
      .tips = "nondeterministic_output" },
    { .name = "SREM", .run = cmd_srem, .arity = -3, SET_FACTS, .flags = WRITES | FAST,
      .keys = { KEY(KEY_RW | KEY_DELETE) }, .since = "1.0.0",
      .summary = "Removes members from a set; an emptied set is deleted.",
      .complexity = "O(N) where N is the number of members to be removed.",
      .syntax = "key member [member ...]" },
    { .name = "SSCAN", .run = cmd_sscan, .arity = -3, SET_FACTS, .flags = READS,
      .keys = { KEY(KEY_RO | KEY_ACCESS) }, .since = "2.8.0", .summary = "Walks over the members of a set.",
      .complexity = "O(1) a call, O(N) for the whole walk, where N is the number of members.",
      .syntax = "key cursor [MATCH pattern] [COUNT count]", .tips = "nondeterministic_output" },
    { .name = NULL },
};
