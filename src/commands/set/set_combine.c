/* set_combine.c: intersections, unions and differences of sets, replied or stored.
 *
 * What is to be stored is built as a new value first, so the destination may be one of the sources. Its form
 * follows from how it is built: from an empty intset on, member by member. */
#include "trivet/base/mem.h"
#include "trivet/commands/arguments/refuse.h"
#include "trivet/commands/arguments/typed.h"
#include "trivet/commands/groups.h"
#include "trivet/engine/run/change.h"
#include "trivet/types/set.h"
#include <stdlib.h>

/* The sources of one command. Most name few keys; others are allocated. */
#define SOURCES_INLINE 16
struct sources {
    size_t count, missing;
    struct value *sets; /* ptr NULL where the key is missing */
    struct value few[SOURCES_INLINE];
};

static void sources_release(struct sources *s) {
    if (s->sets != s->few) mem_free(s->sets);
}

/* Looks the keys argv[first..] up; false after replying that one of them is no set. */
static bool sources_read(struct call *c, size_t first, size_t count, struct sources *s) {
    s->count = count;
    s->missing = 0;
    s->sets = count <= SOURCES_INLINE ? s->few : mem_alloc(count * sizeof *s->sets);
    for (size_t i = 0; i < count; i++) {
        struct entry *e = keyspace_read(&c->view, c->argv[first + i]);
        if (!is_type_or_missing(c, e, TYPE_SET)) {
            sources_release(s);
            return false;
        }
        s->missing += !e;
        s->sets[i] = e ? entry_value(e) : (struct value){ NULL, ENCODING_INTSET };
    }
    return true;
}

static size_t size_of(struct value v) { return v.ptr ? set_count(v) : 0; }

static int by_size(const void *a, const void *b) {
    size_t x = size_of(*(const struct value *)a), y = size_of(*(const struct value *)b);
    return (x > y) - (x < y);
}

static int by_falling_size(const void *a, const void *b) { return by_size(b, a); }

/* ---- the three operations: each calls emit for the members of the result ---- */

struct combining {
    const void *self;           /* the set that is gone through */
    const struct value *others; /* that its members are looked for in */
    size_t count;
    bool (*emit)(void *arg, struct slice member); /* false: enough */
    void *arg;
};

static bool emit_if_in_all(void *arg, struct slice member) {
    const struct combining *k = arg;
    for (size_t i = 0; i < k->count; i++)
        if (k->others[i].ptr != k->self && !set_contains(k->others[i], member)) return true;
    return k->emit(k->arg, member);
}

static bool emit_if_in_none(void *arg, struct slice member) {
    const struct combining *k = arg;
    for (size_t i = 0; i < k->count; i++)
        if (k->others[i].ptr && set_contains(k->others[i], member)) return true;
    return k->emit(k->arg, member);
}

/* Goes through the smallest set and asks the others, smaller ones first. */
static void intersect(struct sources *s, bool (*emit)(void *arg, struct slice member), void *arg) {
    if (s->missing > 0) return;
    qsort(s->sets, s->count, sizeof *s->sets, by_size);
    struct combining k = { s->sets[0].ptr, s->sets + 1, s->count - 1, emit, arg };
    (void)set_each(s->sets[0], emit_if_in_all, &k);
}

static bool add_member(void *arg, struct slice member) {
    (void)set_add(arg, member);
    return true;
}

static bool remove_member(void *arg, struct slice member) {
    (void)set_remove(arg, member);
    return set_count(*(struct value *)arg) > 0;
}

static void unite(const struct sources *s, struct value *result) {
    for (size_t i = 0; i < s->count; i++)
        if (s->sets[i].ptr) (void)set_each(s->sets[i], add_member, result);
}

static bool first_is_repeated(const struct sources *s) {
    for (size_t i = 1; i < s->count; i++)
        if (s->sets[i].ptr == s->sets[0].ptr) return true;
    return false;
}

/* Asking the others for each member of the first costs up to its size times their number; taking all their
 * members out of a copy costs the sum of their sizes. The first is favoured, because it often stops early. */
static bool asking_is_cheaper(const struct sources *s) {
    uint64_t asking = 0, taking = 0;
    for (size_t i = 0; i < s->count; i++) {
        if (!s->sets[i].ptr) continue;
        asking += size_of(s->sets[0]);
        taking += size_of(s->sets[i]);
    }
    return asking / 2 <= taking;
}

static void subtract(struct sources *s, struct value *result) {
    if (!s->sets[0].ptr || first_is_repeated(s)) return;
    if (asking_is_cheaper(s)) {
        qsort(s->sets + 1, s->count - 1, sizeof *s->sets, by_falling_size);
        struct combining k = { s->sets[0].ptr, s->sets + 1, s->count - 1, add_member, result };
        (void)set_each(s->sets[0], emit_if_in_none, &k);
        return;
    }
    (void)set_each(s->sets[0], add_member, result);
    for (size_t i = 1; i < s->count && set_count(*result) > 0; i++)
        if (s->sets[i].ptr) (void)set_each(s->sets[i], remove_member, result);
}

/* ---- replying ---- */

struct replying {
    struct reply *out;
    size_t count;
};

static bool reply_each(void *arg, struct slice member) {
    struct replying *r = arg;
    reply_bulk(r->out, member);
    r->count++;
    return true;
}

/* SINTER key [key ...] */
static void cmd_sinter(struct call *c) {
    struct sources s;
    if (!sources_read(c, 1, c->argc - 1, &s)) return;
    struct replying r = { c->out, 0 };
    struct chunk *later = reply_later(c->out);
    intersect(&s, reply_each, &r);
    reply_later_set(c->out, later, r.count);
    sources_release(&s);
}

static void free_built(struct value v) { set_value_ops.free(v); }

static void reply_built(struct call *c, struct value v) {
    struct replying r = { c->out, 0 };
    reply_set(c->out, set_count(v));
    (void)set_each(v, reply_each, &r);
    free_built(v);
}

/* SUNION key [key ...] */
static void cmd_sunion(struct call *c) {
    struct sources s;
    if (!sources_read(c, 1, c->argc - 1, &s)) return;
    struct value result = set_new_empty();
    unite(&s, &result);
    reply_built(c, result);
    sources_release(&s);
}

/* SDIFF key [key ...] */
static void cmd_sdiff(struct call *c) {
    struct sources s;
    if (!sources_read(c, 1, c->argc - 1, &s)) return;
    struct value result = set_new_empty();
    subtract(&s, &result);
    reply_built(c, result);
    sources_release(&s);
}

struct counting {
    uint64_t count, limit;
};

static bool count_member(void *arg, struct slice member) {
    struct counting *k = arg;
    (void)member;
    return ++k->count != k->limit;
}

/* Which keys, and the limit behind them (0: none). */
static bool read_sintercard(struct call *c, size_t *keys, uint64_t *limit) {
    int64_t n;
    if (!int64_parse(c->argv[1], &n) || n < 1) return refuse_text(c, "ERR numkeys should be greater than 0");
    if ((uint64_t)n > c->argc - 2)
        return refuse_text(c, "ERR Number of keys can't be greater than number of args");
    *keys = (size_t)n;
    *limit = 0;
    for (size_t i = 2 + *keys; i < c->argc; i += 2) {
        if (!call_is(c, i, "LIMIT") || i + 1 == c->argc) {
            return refuse_syntax(c);
        }
        if (!int64_parse(c->argv[i + 1], &n) || n < 0) return refuse_text(c, "ERR LIMIT can't be negative");
        *limit = (uint64_t)n;
    }
    return true;
}

/* SINTERCARD numkeys key [key ...] [LIMIT limit] */
static void cmd_sintercard(struct call *c) {
    size_t keys = 0;
    struct sources s;
    struct counting k = { 0, 0 };
    if (!read_sintercard(c, &keys, &k.limit) || !sources_read(c, 2, keys, &s)) return;
    intersect(&s, count_member, &k);
    reply_int(c->out, (int64_t)k.count);
    sources_release(&s);
}

/* ---- storing ---- */

static void store(struct call *c, struct value result, const char *event) {
    reply_int(c->out, (int64_t)set_count(result));
    if (set_count(result) > 0) set_shrink(&result);
    change_store(c, c->argv[1], TYPE_SET, result, 1, event);
}

/* SINTERSTORE destination key [key ...] */
static void cmd_sinterstore(struct call *c) {
    struct sources s;
    if (!sources_read(c, 2, c->argc - 2, &s)) return;
    struct value result = set_new_empty();
    intersect(&s, add_member, &result);
    sources_release(&s);
    store(c, result, "sinterstore");
}

/* SUNIONSTORE destination key [key ...] */
static void cmd_sunionstore(struct call *c) {
    struct sources s;
    if (!sources_read(c, 2, c->argc - 2, &s)) return;
    struct value result = set_new_empty();
    unite(&s, &result);
    sources_release(&s);
    store(c, result, "sunionstore");
}

/* SDIFFSTORE destination key [key ...] */
static void cmd_sdiffstore(struct call *c) {
    struct sources s;
    if (!sources_read(c, 2, c->argc - 2, &s)) return;
    struct value result = set_new_empty();
    subtract(&s, &result);
    sources_release(&s);
    store(c, result, "sdiffstore");
}

/* ---- the table ---- */

#define COMBINES                                                                         \
    .arity = -2, .kind = KEYED, .categories = CAT_SET, .flags = READS, .since = "1.0.0", \
    .keys = { KEYS(KEY_RO | KEY_ACCESS, -1, 1) }, .syntax = "key [key ...]",             \
    .tips = "nondeterministic_output_order"
#define STORES                                                                                    \
    .arity = -3, .kind = KEYED, .categories = CAT_SET, .flags = WRITES | GROWS, .since = "1.0.0", \
    .keys = { KEY(KEY_OW | KEY_UPDATE), KEYS_FROM(2, KEY_RO | KEY_ACCESS, -1, 1) },               \
    .syntax = "destination key [key ...]"
#define OF_ALL_MEMBERS "O(N) where N is the number of members of all sets."
#define OF_SMALLEST "O(N*M) at most, where N is the size of the smallest set and M the number of sets."

const struct command set_combine_commands[] = {
    { .name = "SDIFF", .run = cmd_sdiff, COMBINES, .complexity = OF_ALL_MEMBERS,
      .summary = "Returns the members of the first set that no other set has." },
    { .name = "SDIFFSTORE", .run = cmd_sdiffstore, STORES, .complexity = OF_ALL_MEMBERS,
      .summary = "Stores the members of the first set that no other set has." },
    { .name = "SINTER", .run = cmd_sinter, COMBINES, .complexity = OF_SMALLEST,
      .summary = "Returns the members that all sets have." },
    { .name = "SINTERCARD", .run = cmd_sintercard, .arity = -3, .kind = KEYED, .categories = CAT_SET,
      .flags = READS | MOVABLE_KEYS, .keys = { KEYNUM_AT(1, KEY_RO | KEY_ACCESS) }, .since = "7.0.0",
      .summary = "Counts the members that all sets have.", .complexity = OF_SMALLEST,
      .syntax = "numkeys key [key ...] [LIMIT limit]" },
    { .name = "SINTERSTORE", .run = cmd_sinterstore, STORES, .complexity = OF_SMALLEST,
      .summary = "Stores the members that all sets have." },
    { .name = "SUNION", .run = cmd_sunion, COMBINES, .complexity = OF_ALL_MEMBERS,
      .summary = "Returns the members that any of the sets has." },
    { .name = "SUNIONSTORE", .run = cmd_sunionstore, STORES, .complexity = OF_ALL_MEMBERS,
      .summary = "Stores the members that any of the sets has." },
    { .name = NULL },
};
