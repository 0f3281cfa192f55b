/* hash_walk.c: commands that go through a hash: all of it, a part at a time, or at random. */
#include "hash.h"
#include "trivet/base/mem.h"
#include "trivet/base/random.h"
#include "trivet/commands/arguments/integer.h"
#include "trivet/commands/arguments/refuse.h"
#include "trivet/commands/arguments/scan_option.h"
#include "trivet/commands/groups.h"

/* ---- the whole ---- */

enum part { NAMES = 1, VALUES = 2 };

struct listing {
    struct reply *out;
    unsigned parts;
    int64_t now_ms;
    size_t count; /* of fields that were seen */
};

static bool list_field(void *arg, const struct hash_field *f) {
    struct listing *l = arg;
    if (hash_field_is_expired(f, l->now_ms)) return true;
    if (l->parts & NAMES) reply_bulk(l->out, f->name);
    if (l->parts & VALUES) reply_bulk(l->out, f->value);
    l->count++;
    return true;
}

static void list(struct call *c, unsigned parts) {
    struct value v;
    bool missing, pairs = parts == (NAMES | VALUES);
    bool found = hash_read(c, &v, &missing);
    if (!found && !missing) return;
    struct listing l = { c->out, parts, hash_now(c), 0 };
    if (found && hash_may_hide(c, v)) { /* then the number is known at the end only */
        struct chunk *later = reply_later(c->out);
        (void)hash_each(v, list_field, &l);
        if (pairs)
            reply_later_map(c->out, later, l.count);
        else
            reply_later_array(c->out, later, l.count);
        return;
    }
    size_t count = found ? hash_count(v) : 0;
    if (pairs)
        reply_map(c->out, count);
    else
        reply_array(c->out, count);
    if (found) (void)hash_each(v, list_field, &l);
}

/* HGETALL key */
static void cmd_hgetall(struct call *c) { list(c, NAMES | VALUES); }

/* HKEYS key */
static void cmd_hkeys(struct call *c) { list(c, NAMES); }

/* HVALS key */
static void cmd_hvals(struct call *c) { list(c, VALUES); }

/* ---- a part at a time ---- */

struct hash_scanning {
    struct collection_scan scan;
    int64_t now_ms;
};

static void scan_field(void *arg, const struct hash_field *f) {
    struct hash_scanning *s = arg;
    if (hash_field_is_expired(f, s->now_ms) || !collection_scan_wants(&s->scan, f->name)) return;
    reply_bulk(&s->scan.elements, f->name);
    if (!s->scan.only_names) reply_bulk(&s->scan.elements, f->value);
    s->scan.found += s->scan.only_names ? 1 : 2;
}

/* HSCAN key cursor [MATCH pattern] [COUNT count] [NOVALUES] */
static void cmd_hscan(struct call *c) {
    struct hash_scanning s = { .now_ms = hash_now(c) };
    struct value v;
    bool missing;
    if (!collection_scan_cursor(c, &s.scan)) return;
    if (!hash_read(c, &v, &missing)) {
        if (missing) collection_scan_nothing(c);
        return;
    }
    if (!collection_scan_options(c, TYPE_HASH, &s.scan)) return;
    collection_scan_begin(c, &s.scan);
    collection_scan_end(c, &s.scan, hash_scan(v, s.scan.cursor, s.scan.count, scan_field, &s));
}

/* ---- chance ---- */

/* What HRANDFIELD chooses from: the hash itself, or, while some of its fields are hidden, a list of the
 * others. */
struct pool {
    struct value v;
    struct hash_field *live; /* NULL: all fields of v */
    size_t count, room;
    int64_t now_ms;
};

/* Only a table hides fields, so the slices stay where they are. */
static bool pool_add(void *arg, const struct hash_field *f) {
    struct pool *p = arg;
    if (hash_field_is_expired(f, p->now_ms)) return true;
    if (p->count == p->room) {
        p->room *= 2;
        p->live = mem_realloc(p->live, p->room * sizeof *p->live);
    }
    p->live[p->count++] = *f;
    return true;
}

static void pool_init(struct pool *p, const struct call *c, struct value v) {
    *p = (struct pool){ .v = v, .count = hash_count(v), .now_ms = hash_now(c) };
    if (!hash_may_hide(c, v)) return;
    p->count = 0;
    p->room = 16;
    p->live = mem_alloc(p->room * sizeof *p->live);
    (void)hash_each(v, pool_add, p);
}

static void pool_random(const struct pool *p, struct hash_field *out, struct hash_scratch *scratch) {
    if (p->live)
        *out = p->live[random_below(p->count)];
    else
        hash_random(p->v, out, scratch);
}

static void pool_sample(struct pool *p, size_t count, void (*visit)(void *arg, const struct hash_field *f),
                        void *arg) {
    if (!p->live) {
        hash_sample(p->v, count, visit, arg);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        size_t at = i + (size_t)random_below(p->count - i);
        struct hash_field chosen = p->live[at];
        p->live[at] = p->live[i];
        p->live[i] = chosen;
        visit(arg, &chosen);
    }
}

struct answer {
    struct reply *out;
    bool with_values;
};

static void reply_field(void *arg, const struct hash_field *f) {
    const struct answer *a = arg;
    if (a->with_values && a->out->protocol > 2) reply_array(a->out, 2);
    reply_bulk(a->out, f->name);
    if (a->with_values) reply_bulk(a->out, f->value);
}

static void reply_fields(struct pool *p, struct answer *a, int64_t count) {
    uint64_t wanted = count < 0 ? (uint64_t)-count : (uint64_t)count;
    if (p->count == 0 || (count > 0 && wanted > p->count)) wanted = p->count;
    bool flat_pairs = a->with_values && a->out->protocol == 2;
    reply_array(a->out, flat_pairs ? 2 * wanted : wanted);
    if (count >= 0) {
        pool_sample(p, wanted, reply_field, a);
        return;
    }
    for (; wanted > 0 && !reply_takes_nothing(a->out); wanted--) { /* the same may come again */
        struct hash_field f;
        struct hash_scratch scratch;
        pool_random(p, &f, &scratch);
        reply_field(a, &f);
    }
}

/* count [WITHVALUES]; false after replying what is wrong. */
static bool read_random_options(struct call *c, int64_t *count, bool *with_values) {
    static const int64_t most = INT64_MAX;
    if (!integer_argument(c, 2, count)) return false;
    if (*count < -most) {
        reply_error_printf(c->out, "ERR value is out of range, value must between -%lld and %lld",
                           (long long)most, (long long)most);
        return false;
    }
    *with_values = c->argc == 4;
    if (c->argc > 4 || (c->argc == 4 && !call_is(c, 3, "WITHVALUES"))) {
        return refuse_syntax(c);
    }
    if (!*with_values || (*count >= -(most / 2) && *count <= most / 2)) return true;
    reply_error(c->out, ERR_OUT_OF_RANGE);
    return false;
}

static void reply_one_random(struct call *c, const struct pool *p) {
    struct hash_field f;
    struct hash_scratch scratch;
    if (p->count == 0) {
        reply_null(c->out);
        return;
    }
    pool_random(p, &f, &scratch);
    reply_bulk(c->out, f.name);
}

/* HRANDFIELD key [count [WITHVALUES]] */
static void cmd_hrandfield(struct call *c) {
    struct value v;
    struct pool p;
    int64_t count = 0;
    bool missing, with_values = false, one = c->argc == 2;
    if (!one && !read_random_options(c, &count, &with_values)) return;
    if (!hash_read(c, &v, &missing)) {
        if (missing && one) reply_null(c->out);
        if (missing && !one) reply_array(c->out, 0);
        return;
    }
    pool_init(&p, c, v);
    if (one)
        reply_one_random(c, &p);
    else
        reply_fields(&p, &(struct answer){ c->out, with_values }, count);
    mem_free(p.live);
}

/* ---- the table ---- */

#define WALKS .kind = KEYED, .categories = CAT_HASH, .flags = READS, .keys = { KEY(KEY_RO | KEY_ACCESS) }
#define LISTS                                                                                   \
    WALKS, .arity = 2, .since = "2.0.0", .complexity = "O(N) where N is the number of fields.", \
           .syntax = "key", .tips = "nondeterministic_output_order"

const struct command hash_walk_commands[] = {
    { .name = "HGETALL", .run = cmd_hgetall, LISTS,
      .summary = "Returns all fields of a hash and their values." },
    { .name = "HKEYS", .run = cmd_hkeys, LISTS, .summary = "Returns all fields of a hash." },
    { .name = "HRANDFIELD", .run = cmd_hrandfield, .arity = -2, WALKS, .since = "6.2.0",
      .summary = "Returns random fields of a hash.",
      .complexity = "O(N) where N is the number of fields returned.",
      .syntax = "key [count [WITHVALUES]]", .tips = "nondeterministic_output" },
    { .name = "HSCAN", .run = cmd_hscan, .arity = -3, WALKS, .since = "2.8.0",
      .summary = "Walks over the fields of a hash.",
      .complexity = "O(1) a call, O(N) for the whole walk, where N is the number of fields.",
      .syntax = "key cursor [MATCH pattern] [COUNT count] [NOVALUES]", .tips = "nondeterministic_output" },
    { .name = "HVALS", .run = cmd_hvals, LISTS, .summary = "Returns the values of all fields of a hash." },
    { .name = NULL },
};
