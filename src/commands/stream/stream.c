/* stream.c: the entries of streams: adding, trimming, deleting, reading.
 *
 * XADD is journaled with the id it chose, trimming as the length that was left, so that a replay does not
 * depend on the clock or on how entries lie in nodes. */
#include "stream.h"
#include "trivet/base/mem.h"
#include "trivet/commands/arguments/integer.h"
#include "trivet/commands/arguments/refuse.h"
#include "trivet/commands/groups.h"

/* ---- XADD and XTRIM ---- */

struct add_plan {
    struct stream_trim trim;
    bool trims, no_create;
    bool limited; /* LIMIT was given: trim.limit */
    enum { ID_AUTO, ID_AUTO_SEQUENCE, ID_GIVEN } id_form;
    struct stream_id id;
    size_t fields; /* the first argument after the id */
};

static bool read_count(struct call *c, struct slice text, const char *negative, uint64_t *out) {
    int64_t n;
    if (!int64_parse(text, &n)) {
        reply_error(c->out, ERR_NOT_INT);
        return false;
    }
    if (n < 0) return refuse_text(c, negative);
    *out = (uint64_t)n;
    return true;
}

/* MAXLEN or MINID at argument *at, "~" or "=" and the threshold. */
static bool read_strategy(struct call *c, size_t *at, struct add_plan *plan) {
    if (plan->trims)
        return refuse_text(c,
                           "ERR syntax error, MAXLEN and MINID options at the same time are not compatible");
    plan->trims = true;
    plan->trim.by_id = call_is(c, *at, "MINID");
    (*at)++;
    if (*at + 1 < c->argc && (call_is(c, *at, "~") || call_is(c, *at, "="))) {
        plan->trim.whole_nodes = call_is(c, *at, "~");
        (*at)++;
    }
    struct slice threshold = c->argv[(*at)++];
    if (plan->trim.by_id) return stream_id_argument(c, threshold, 0, &plan->trim.min_id);
    return read_count(c, threshold, "ERR The MAXLEN argument must be >= 0.", &plan->trim.max_length);
}

/* The entry's id at `at`. */
static bool read_new_id(struct call *c, size_t at, struct add_plan *plan) {
    plan->fields = at + 1;
    plan->id_form = ID_AUTO;
    if (slice_equal(c->argv[at], LIT("*"))) return true;
    bool any = false;
    if (!stream_id_parse(c->argv[at], 0, &plan->id, &any)) {
        reply_invalid_id(c);
        return false;
    }
    plan->id_form = any ? ID_AUTO_SEQUENCE : ID_GIVEN;
    return true;
}

/* How much work trimming may do if the client did not say. */
static uint64_t default_limit(void) {
    uint64_t limit = 100 * (uint64_t)encoding_limits.stream_node_entries;
    if (limit == 0) return 10000;
    return limit < 1000000 ? limit : 1000000;
}

static bool finish_trim(struct call *c, bool adds, struct add_plan *plan) {
    if (plan->trim.limit > 0 && !plan->trims)
        return refuse_text(c,
                           "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy");
    if (!adds && !plan->trims)
        return refuse_text(c, "ERR syntax error, XTRIM must be called with a trimming strategy");
    if (c->origin->is_replay)
        plan->trim.limit = 0;
    else if (plan->limited && !plan->trim.whole_nodes)
        return refuse_text(c, "ERR syntax error, LIMIT cannot be used without the special ~ option");
    else if (!plan->limited && plan->trim.whole_nodes)
        plan->trim.limit = default_limit();
    return true;
}

/* The options of XADD up to the id, or all of XTRIM's. */
static bool read_plan(struct call *c, bool adds, struct add_plan *plan) {
    for (size_t i = 2; i < c->argc;) {
        bool more = i + 1 < c->argc;
        if (more && (call_is(c, i, "MAXLEN") || call_is(c, i, "MINID"))) {
            if (!read_strategy(c, &i, plan)) return false;
        } else if (more && call_is(c, i, "LIMIT")) {
            if (!read_count(c, c->argv[i + 1], "ERR The LIMIT argument must be >= 0.", &plan->trim.limit))
                return false;
            plan->limited = true;
            i += 2;
        } else if (adds && call_is(c, i, "NOMKSTREAM")) {
            plan->no_create = true;
            i++;
        } else if (adds) {
            if (!read_new_id(c, i, plan)) return false;
            break;
        } else {
            return refuse_syntax(c);
        }
    }
    return finish_trim(c, adds, plan);
}

static bool too_small(struct call *c) {
    return refuse_text(c, "ERR The ID specified in XADD is equal or smaller than the target stream top item");
}

/* Works out the new entry's id; `s` is NULL for a new stream. */
static bool choose_id(struct call *c, const struct stream *s, struct add_plan *plan) {
    struct stream_id last = s ? s->last_id : STREAM_ID_MIN;
    if (stream_id_equal(last, STREAM_ID_MAX))
        return refuse_text(c, "ERR The stream has exhausted the last possible ID, unable to add more items");
    if (plan->id_form == ID_AUTO) {
        static const struct stream none;
        return stream_next_id(s ? s : &none, (uint64_t)c->view.now_ms, &plan->id);
    }
    if (plan->id_form == ID_AUTO_SEQUENCE && plan->id.ms == last.ms) {
        if (last.seq == UINT64_MAX) return too_small(c);
        plan->id.seq = last.seq + 1;
    }
    if (stream_id_compare(plan->id, last) <= 0) return too_small(c);
    return true;
}

#define EFFECT_INSIDE 32

/* XADD key [MAXLEN = length] id field value ...: as it turned out. */
static void close_added(struct call *c, const struct add_plan *plan, struct keyspace_change *change,
                        uint64_t trimmed) {
    struct slice inside[EFFECT_INSIDE], *argv = inside;
    size_t count = 0, fields = c->argc - plan->fields;
    if (fields + 6 > EFFECT_INSIDE) argv = mem_alloc((fields + 6) * sizeof *argv);
    char length[INT64_TEXT_MAX];
    struct id_text id;
    argv[count++] = LIT("XADD");
    argv[count++] = c->argv[1];
    if (trimmed > 0) {
        argv[count++] = LIT("MAXLEN");
        argv[count++] = LIT("=");
        argv[count++] = slice_make(length, uint64_format(length, stream_of(change->value)->length));
    }
    argv[count++] = stream_id_text(&id, plan->id);
    memcpy(argv + count, c->argv + plan->fields, fields * sizeof *argv);
    change_close(c, change, 1, "xadd", (struct effect){ argv, count + fields });
    if (argv != inside) mem_free(argv);
}

static const struct slice *fields_of(const struct call *c, const struct add_plan *plan, size_t *pairs) {
    *pairs = (c->argc - plan->fields) / 2;
    return c->argv + plan->fields;
}

/* The change owns the stream then, or nobody if it was to be a new one and the entry is too big. */
static void add_entry(struct call *c, struct stream *s, const struct add_plan *plan,
                      struct keyspace_change *change) {
    size_t pairs;
    const struct slice *fields = fields_of(c, plan, &pairs);
    if (!stream_add(s, plan->id, fields, pairs)) {
        if (!change->entry) stream_free(s);
        refuse_text(c, "ERR Elements are too large to be stored");
        return;
    }
    change->value = stream_value(s);
    reply_stream_id(c->out, plan->id);
    uint64_t trimmed = plan->trims ? stream_trim(s, &plan->trim) : 0;
    close_added(c, plan, change, trimmed);
    if (trimmed > 0) notify(c->view.db, NOTIFY_STREAM, "xtrim", c->argv[1]);
}

static bool xadd_is_well_formed(struct call *c, const struct add_plan *plan) {
    size_t fields = plan->fields ? c->argc - plan->fields : 0;
    if (fields < 2 || fields % 2 != 0)
        return refuse_text(c, "ERR wrong number of arguments for 'xadd' command");
    if (plan->id_form == ID_GIVEN && stream_id_equal(plan->id, STREAM_ID_MIN))
        return refuse_text(c, "ERR The ID specified in XADD must be greater than 0-0");
    return true;
}

/* XADD key [NOMKSTREAM] [MAXLEN | MINID [= | ~] threshold [LIMIT count]] * | id field value [field value ...]
 */
static void cmd_xadd(struct call *c) {
    struct add_plan plan = { .trims = false };
    if (!read_plan(c, true, &plan) || !xadd_is_well_formed(c, &plan)) return;
    struct keyspace_change change;
    struct stream *s;
    if (!stream_open(c, c->argv[1], &change, &s)) return;
    if (!s && plan.no_create) {
        reply_null(c->out);
        return;
    }
    if (!choose_id(c, s, &plan)) return;
    if (!s) s = stream_new();
    add_entry(c, s, &plan, &change);
}

/* XTRIM key MAXLEN | MINID [= | ~] threshold [LIMIT count] */
static void cmd_xtrim(struct call *c) {
    struct add_plan plan = { .trims = false };
    if (!read_plan(c, false, &plan)) return;
    struct keyspace_change change;
    struct stream *s;
    if (!stream_open(c, c->argv[1], &change, &s)) return;
    uint64_t trimmed = s ? stream_trim(s, &plan.trim) : 0;
    reply_int(c->out, (int64_t)trimmed);
    if (trimmed == 0) return;
    char length[INT64_TEXT_MAX];
    struct slice left = slice_make(length, uint64_format(length, s->length));
    change_close(c, &change, trimmed, "xtrim",
                 EFFECT(LIT("XTRIM"), c->argv[1], LIT("MAXLEN"), LIT("="), left));
}

/* ---- single entries, the numbers of a stream ---- */

/* XDEL key id [id ...] */
static void cmd_xdel(struct call *c) {
    struct keyspace_change change;
    struct stream *s;
    struct stream_id *ids;
    if (!stream_open(c, c->argv[1], &change, &s)) return;
    if (!s) {
        reply_int(c->out, 0);
        return;
    }
    if (!stream_id_arguments(c, 2, &ids)) return;
    size_t deleted = 0;
    for (size_t i = 0; i + 2 < c->argc; i++) deleted += stream_delete(s, ids[i]);
    mem_free(ids);
    reply_int(c->out, (int64_t)deleted);
    change_close(c, &change, deleted, "xdel", EFFECT_SAME(c));
}

/* XLEN key */
static void cmd_xlen(struct call *c) {
    struct stream *s;
    if (!stream_in_entry(c, keyspace_read(&c->view, c->argv[1]), &s)) return;
    reply_int(c->out, s ? (int64_t)s->length : 0);
}

struct setid_plan {
    struct stream_id id, max_deleted;
    int64_t added; /* -1: not given */
};

static bool read_setid(struct call *c, struct setid_plan *plan) {
    if (!stream_id_argument(c, c->argv[2], 0, &plan->id)) return false;
    for (size_t i = 3; i < c->argc; i += 2) {
        bool more = i + 1 < c->argc;
        if (more && call_is(c, i, "ENTRIESADDED")) {
            if (!integer_argument(c, i + 1, &plan->added)) return false;
            if (plan->added < 0) return refuse_text(c, "ERR entries_added must be positive");
        } else if (more && call_is(c, i, "MAXDELETEDID")) {
            if (!stream_id_argument(c, c->argv[i + 1], 0, &plan->max_deleted)) return false;
            if (stream_id_compare(plan->id, plan->max_deleted) < 0)
                return refuse_text(
                    c, "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id");
        } else {
            return refuse_syntax(c);
        }
    }
    return true;
}

static bool setid_fits(struct call *c, const struct stream *s, const struct setid_plan *plan) {
    if (stream_id_compare(plan->id, s->max_deleted_id) < 0)
        return refuse_text(c, "ERR The ID specified in XSETID is smaller than current max_deleted_entry_id");
    if (s->length == 0) return true;
    if (stream_id_compare(plan->id, stream_last_entry(s)) < 0)
        return refuse_text(c, "ERR The ID specified in XSETID is smaller than the target stream top item");
    if (plan->added != -1 && s->length > (uint64_t)plan->added)
        return refuse_text(
            c, "ERR The entries_added specified in XSETID is smaller than the target stream length");
    return true;
}

/* XSETID key last-id [ENTRIESADDED entries-added] [MAXDELETEDID max-deleted-id] */
static void cmd_xsetid(struct call *c) {
    struct setid_plan plan = { .added = -1 };
    struct keyspace_change change;
    struct stream *s;
    if (!read_setid(c, &plan) || !stream_open(c, c->argv[1], &change, &s)) return;
    if (!s) {
        reply_error(c->out, ERR_NO_KEY);
        return;
    }
    if (!setid_fits(c, s, &plan)) return;
    stream_set_last_id(s, plan.id);
    if (plan.added != -1) s->entries_added = (uint64_t)plan.added;
    if (!stream_id_equal(plan.max_deleted, STREAM_ID_MIN)) s->max_deleted_id = plan.max_deleted;
    reply_ok(c->out);
    change_close(c, &change, 1, "xsetid", EFFECT_SAME(c));
}

/* ---- ranges ---- */

static bool read_range_count(struct call *c, int64_t *count) {
    for (size_t i = 4; i < c->argc; i += 2) {
        if (i + 1 == c->argc || !call_is(c, i, "COUNT")) {
            return refuse_syntax(c);
        }
        if (!integer_argument(c, i + 1, count)) return false;
        if (*count < 0) *count = 0;
    }
    return true;
}

static void range(struct call *c, size_t start_at, size_t stop_at, bool backwards) {
    struct stream_id start, stop;
    int64_t count = -1;
    struct stream *s;
    if (!stream_start_argument(c, c->argv[start_at], &start)) return;
    if (!stream_stop_argument(c, c->argv[stop_at], &stop)) return;
    if (!read_range_count(c, &count)) return;
    if (!stream_in_entry(c, keyspace_read(&c->view, c->argv[1]), &s)) return;
    if (s && count == 0) {
        reply_null_array(c->out);
        return;
    }
    if (!s) {
        reply_array(c->out, 0);
        return;
    }
    struct chunk *later = reply_later(c->out);
    struct stream_walk w;
    int64_t found = 0;
    stream_walk_begin(&w, s, start, stop, backwards);
    for (; found != count && stream_walk_next(&w); found++) reply_stream_entry(c->out, &w);
    reply_later_array(c->out, later, (size_t)found);
}

/* XRANGE key start end [COUNT count] */
static void cmd_xrange(struct call *c) { range(c, 2, 3, false); }

/* XREVRANGE key end start [COUNT count] */
static void cmd_xrevrange(struct call *c) { range(c, 3, 2, true); }

/* ---- the table ---- */

const struct command stream_commands[] = {
    { .name = "XADD", .run = cmd_xadd, .arity = -5, .kind = KEYED, .flags = WRITES | GROWS | FAST,
      .categories = CAT_STREAM, .keys = { KEY(KEY_RW | KEY_UPDATE) }, .since = "5.0.0",
      .summary = "Adds an entry to a stream; a missing key is created.",
      .complexity = "O(1); trimming adds O(N) where N is the number of entries that go.",
      .syntax = "key [NOMKSTREAM] [<MAXLEN | MINID> [= | ~] threshold [LIMIT count]] <* | id> field value "
                "[field value ...]",
      .tips = "nondeterministic_output" },
    { .name = "XDEL", .run = cmd_xdel, .arity = -3, .kind = KEYED, .flags = WRITES | FAST,
      .categories = CAT_STREAM, .keys = { KEY(KEY_RW | KEY_DELETE) }, .since = "5.0.0",
      .summary = "Deletes entries of a stream; returns how many there were.",
      .complexity = "O(log(N)) for each id, where N is the number of nodes.", .syntax = "key id [id ...]" },
    { .name = "XLEN", .run = cmd_xlen, .arity = 2, .kind = KEYED, .flags = READS | FAST,
      .categories = CAT_STREAM, .keys = { KEY(KEY_RO) }, .since = "5.0.0",
      .summary = "Returns the number of entries of a stream.", .complexity = "O(1)", .syntax = "key" },
    { .name = "XRANGE", .run = cmd_xrange, .arity = -4, .kind = KEYED, .flags = READS,
      .categories = CAT_STREAM, .keys = { KEY(KEY_RO | KEY_ACCESS) }, .since = "5.0.0",
      .summary = "Returns the entries of a stream whose ids are in an interval.",
      .complexity = "O(log(N)+M) where N is the number of nodes and M that of the returned entries.",
      .syntax = "key start end [COUNT count]" },
    { .name = "XREVRANGE", .run = cmd_xrevrange, .arity = -4, .kind = KEYED, .flags = READS,
      .categories = CAT_STREAM, .keys = { KEY(KEY_RO | KEY_ACCESS) }, .since = "5.0.0",
      .summary = "Returns the entries of a stream whose ids are in an interval, the last one first.",
      .complexity = "O(log(N)+M) where N is the number of nodes and M that of the returned entries.",
      .syntax = "key end start [COUNT count]" },
    { .name = "XSETID", .run = cmd_xsetid, .arity = -3, .kind = KEYED, .flags = WRITES | GROWS | FAST,
      .categories = CAT_STREAM, .keys = { KEY(KEY_RW | KEY_UPDATE) }, .since = "5.0.0",
      .summary = "Sets the last id and the counters of a stream; for internal use.", .complexity = "O(1)",
      .syntax = "key last-id [ENTRIESADDED entries-added] [MAXDELETEDID max-deleted-id]" },
    { .name = "XTRIM", .run = cmd_xtrim, .arity = -4, .kind = KEYED, .flags = WRITES,
      .categories = CAT_STREAM, .keys = { KEY(KEY_RW | KEY_DELETE) }, .since = "5.0.0",
      .summary = "Deletes the oldest entries of a stream.",
      .complexity = "O(N) where N is the number of entries that go, with a small constant.",
      .syntax = "key <MAXLEN | MINID> [= | ~] threshold [LIMIT count]", .tips = "nondeterministic_output" },
    { .name = NULL },
};
