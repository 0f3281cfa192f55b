/* stream_read.c: reading new entries: XREAD by ids that the client knows, XREADGROUP by what a group has got
 * so far.
 *
 * Both may wait. The command then runs again when one of its keys changes; "$", which means "what comes after
 * this moment", and "+", which means "the last entry, or else the next", are replaced by ids before the wait
 * begins. What XREADGROUP does is journaled as XCLAIM for
 * each entry that became pending, and as XGROUP SETID. */
#include "stream.h"
#include "trivet/base/compiler.h"
#include "trivet/base/mem.h"
#include "trivet/commands/arguments/integer.h"
#include "trivet/commands/arguments/refuse.h"
#include "trivet/commands/groups.h"
#include "trivet/engine/client/blocking.h"
#include "trivet/engine/command/registry.h"

/* Both have the same options; GROUP and NOACK are XREADGROUP's. */
struct read_plan {
    bool for_group, no_ack, blocks;
    size_t count_at, timeout_at, group_at; /* arguments; 0: not given */
    size_t first, streams;                 /* the keys; their ids follow them */
};

enum read_word { WORD_OTHER, WORD_BLOCK, WORD_COUNT, WORD_STREAMS, WORD_GROUP, WORD_NOACK };

static enum read_word word_at(const struct slice *argv, size_t argc, size_t i) {
    static const struct {
        const char *text;
        size_t follow; /* arguments that must follow */
        enum read_word word;
    } words[] = {
        { "BLOCK", 1, WORD_BLOCK },     { "COUNT", 1, WORD_COUNT }, { "GROUP", 2, WORD_GROUP },
        { "STREAMS", 1, WORD_STREAMS }, { "NOACK", 0, WORD_NOACK },
    };
    for (size_t w = 0; w < COUNT_OF(words); w++)
        if (argc - 1 - i >= words[w].follow && slice_equal_nocase(argv[i], slice_of(words[w].text)))
            return words[w].word;
    return WORD_OTHER;
}

/* ---- which arguments are keys: for the locks ---- */

/* Finds STREAMS as the command itself does, so that a group or consumer may be called "streams". */
static bool find_keys(const struct slice *argv, size_t argc, struct key_positions *out) {
    size_t i = 1;
    for (enum read_word word; i < argc && (word = word_at(argv, argc, i)) != WORD_STREAMS; i++) {
        if (word == WORD_OTHER) return false;
        if (word == WORD_BLOCK || word == WORD_COUNT) i++;
        if (word == WORD_GROUP) i += 2;
    }
    size_t first = i + 1;
    if (first >= argc || (argc - first) % 2 != 0) return false;
    for (size_t key = first; key < first + (argc - first) / 2; key++)
        key_positions_add(out, key, KEY_RO | KEY_ACCESS);
    return true;
}

/* ---- options ---- */

static bool group_only(struct call *c, const struct read_plan *plan, const char *word) {
    if (plan->for_group) return true;
    reply_error_printf(c->out, "ERR The %s option is only supported by XREADGROUP. You called XREAD instead.",
                       word);
    return false;
}

/* What follows STREAMS, which stands before `first`. */
static bool read_streams(struct call *c, size_t first, struct read_plan *plan) {
    plan->first = first;
    plan->streams = (c->argc - first) / 2;
    if ((c->argc - first) % 2 == 0) return true;
    reply_error_printf(
        c->out, "ERR Unbalanced '%s' list of streams: for each stream key an ID or '%c' must be specified.",
        c->command->full_name, plan->for_group ? '>' : '$');
    return false;
}

static bool read_options(struct call *c, struct read_plan *plan, int64_t *count, int64_t *timeout_ms) {
    for (size_t i = 1; i < c->argc; i++) {
        switch (word_at(c->argv, c->argc, i)) {
        case WORD_BLOCK:
            i++;
            if (!c->origin->waits_already && !blocking_parse_ms(c, c->argv[i], timeout_ms)) return false;
            plan->blocks = true;
            break;
        case WORD_COUNT:
            if (!integer_argument(c, ++i, count)) return false;
            if (*count < 0) *count = 0;
            break;
        case WORD_GROUP:
            if (!group_only(c, plan, "GROUP")) return false;
            plan->group_at = i + 1;
            i += 2;
            break;
        case WORD_NOACK:
            if (!group_only(c, plan, "NOACK")) return false;
            plan->no_ack = true;
            break;
        case WORD_STREAMS: return read_streams(c, i + 1, plan);
        case WORD_OTHER: return refuse_syntax(c);
        }
    }
    return refuse_syntax(c);
}

/* ---- what each stream is asked for ---- */

struct asked {
    struct keyspace_change change; /* of a group: the stream is open */
    struct stream *stream;         /* NULL: there is none, or it must not be touched now */
    struct stream_group *group;    /* XREADGROUP */
    struct stream_id after;
    bool newest; /* XREADGROUP's ">" */
};

struct reading {
    struct read_plan plan;
    uint64_t count; /* 0: no limit */
    struct asked *asked;
};

/* The id before the last entry, so that this one comes next; that of "$" if there is none. */
static struct stream_id before_last_entry(const struct stream *s) {
    if (s->length == 0) return s->last_id;
    struct stream_id id = stream_last_entry(s);
    bool any_before = stream_id_decrement(&id);
    assert(any_before); /* 0-0 is no entry's id */
    return id;
}

static bool refuse_meaningless(struct call *c, char id) {
    reply_error_printf(
        c->out,
        "ERR The %c ID is meaningless in the context of XREADGROUP: you want to read the history of this "
        "consumer by specifying a proper ID, or use the > ID to get new messages. The %c ID would just "
        "return an empty result set.",
        id, id);
    return false;
}

static bool read_id(struct call *c, const struct reading *r, struct slice text, struct asked *a) {
    bool dollar = slice_equal(text, LIT("$")), plus = slice_equal(text, LIT("+"));
    bool newest = slice_equal(text, LIT(">"));
    if ((dollar || plus) && r->plan.for_group) return refuse_meaningless(c, dollar ? '$' : '+');
    if (newest && !r->plan.for_group)
        return refuse_text(
            c, "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> "
               "<consumer> option.");
    a->newest = newest;
    if (dollar && a->stream) a->after = a->stream->last_id;
    if (plus && a->stream) a->after = before_last_entry(a->stream);
    return dollar || plus || newest || stream_id_argument(c, text, 0, &a->after);
}

/* A group's reading changes the stream's groups. */
static bool open_stream(struct call *c, const struct read_plan *plan, struct slice key, struct asked *a) {
    if (plan->for_group) return stream_open(c, key, &a->change, &a->stream);
    return stream_in_entry(c, keyspace_read(&c->view, key), &a->stream);
}

/* Stream number `i`; false after an error. */
static bool look_up(struct call *c, const struct reading *r, size_t i, struct asked *a) {
    const struct read_plan *plan = &r->plan;
    size_t key = plan->first + i;
    if (!call_may_touch(c, key)) return true;
    if (!open_stream(c, plan, c->argv[key], a)) return false;
    if (plan->for_group) {
        a->group = a->stream ? stream_group_find(a->stream, c->argv[plan->group_at]) : NULL;
        if (!a->group) {
            reply_no_group(c, c->argv[key], c->argv[plan->group_at], " in XREADGROUP with GROUP option");
            return false;
        }
    }
    return read_id(c, r, c->argv[key + plan->streams], a);
}

static bool look_up_all(struct call *c, struct reading *r) {
    for (size_t i = 0; i < r->plan.streams; i++)
        if (!look_up(c, r, i, &r->asked[i])) return false;
    return true;
}

/* ---- serving ---- */

/* Replies the entries after a->after; returns how many. */
static size_t reply_entries(struct call *c, const struct reading *r, const struct asked *a,
                            void (*each)(void *arg, struct stream_id id), void *arg) {
    struct chunk *later = reply_later(c->out);
    struct stream_id start = a->after;
    struct stream_walk w;
    size_t found = 0;
    bool any = stream_id_increment(&start);
    stream_walk_begin(&w, a->stream, start, STREAM_ID_MAX, false);
    for (; any && (r->count == 0 || found < r->count) && stream_walk_next(&w); found++) {
        reply_stream_entry(c->out, &w);
        if (each) each(arg, w.id);
    }
    reply_later_array(c->out, later, found);
    return found;
}

struct delivery {
    struct call *call;
    struct slice key;
    const struct asked *asked;
    struct stream_consumer *consumer;
    bool no_ack, moved;
};

static void deliver(void *arg, struct stream_id id) {
    struct delivery *d = arg;
    struct stream_group *g = d->asked->group;
    int64_t now = d->call->view.now_ms;
    if (stream_id_compare(id, g->last_id) > 0) {
        stream_group_advance(d->asked->stream, g, id);
        d->moved = true;
    }
    d->consumer->active_ms = now;
    if (d->no_ack) return;
    struct stream_pending *p = stream_pending_give(g, id, d->consumer);
    p->delivered_ms = now;
    p->deliveries = 1;
    stream_pending_changed(d->call, d->key, g, id, p);
}

/* The consumer's own pending entries after a->after; those that were deleted meanwhile without fields.
 * Returns how many were delivered once more. */
static size_t reply_history(struct call *c, const struct reading *r, const struct asked *a, struct slice key,
                            const struct stream_consumer *consumer) {
    struct chunk *later = reply_later(c->out);
    struct stream_id start = a->after;
    size_t found = 0, delivered = 0;
    const struct id_map *pending = &consumer->pending;
    bool any = stream_id_increment(&start);
    struct id_cursor at = id_map_seek(pending, start);
    for (; any && id_map_has(pending, at) && (r->count == 0 || found < r->count); found++) {
        struct stream_id id = id_map_id(pending, at);
        at = id_map_next(pending, at);
        if (reply_stream_entry_of(c->out, a->stream, id)) {
            struct stream_pending *p = stream_pending_find(a->group, id);
            p->delivered_ms = c->view.now_ms;
            p->deliveries = stream_count_one(p->deliveries);
            stream_pending_changed(c, key, a->group, id, p);
            delivered++;
        } else {
            reply_array(c->out, 2);
            reply_stream_id(c->out, id);
            reply_null_array(c->out);
        }
    }
    reply_later_array(c->out, later, found);
    return delivered;
}

/* Is there something to reply for this stream? A group's consumer is always answered about its history. */
static bool has_reply(struct asked *a) {
    if (!a->stream) return false;
    if (a->group && !a->newest) return true;
    if (a->group) a->after = a->group->last_id;
    return a->stream->length > 0 && stream_id_compare(stream_last_entry(a->stream), a->after) > 0;
}

static void serve_group(struct call *c, const struct reading *r, struct asked *a, struct slice key,
                        struct stream_consumer *consumer) {
    if (!a->newest) {
        if (reply_history(c, r, a, key, consumer) > 0) stream_group_changed(c, key, 1, NULL, EFFECT_NONE);
        return;
    }
    struct delivery d = { .call = c, .key = key, .asked = a, .consumer = consumer, .no_ack = r->plan.no_ack };
    reply_entries(c, r, a, deliver, &d);
    stream_group_changed(c, key, 1, NULL, EFFECT_NONE);
    if (d.moved) stream_group_moved(c, key, a->group);
}

/* True if it replied. */
static bool serve(struct call *c, const struct reading *r) {
    const struct read_plan *plan = &r->plan;
    size_t served = 0;
    struct chunk *later = NULL;
    for (size_t i = 0; i < plan->streams; i++) {
        struct asked *a = &r->asked[i];
        struct slice key = c->argv[plan->first + i];
        struct stream_consumer *consumer = NULL;
        if (a->group) keyspace_reopen(&a->change); /* the same stream may have been named before */
        if (a->group) consumer = stream_consumer_of(c, key, a->group, c->argv[plan->group_at + 1]);
        if (!has_reply(a)) {
            if (a->group) stream_close(c, &a->change);
            continue;
        }
        if (served++ == 0) later = reply_later(c->out);
        if (c->out->protocol == 2) reply_array(c->out, 2);
        reply_bulk(c->out, key);
        if (!a->group) {
            reply_entries(c, r, a, NULL, NULL);
            continue;
        }
        serve_group(c, r, a, key, consumer);
        stream_close(c, &a->change);
    }
    if (served == 0) return false;
    if (c->out->protocol == 2)
        reply_later_array(c->out, later, served);
    else
        reply_later_map(c->out, later, served);
    return true;
}

/* ---- waiting ---- */

/* Waits with what it was called with, but ids in place of "$" and "+". */
static void wait_for_entries(struct call *c, const struct reading *r, int64_t timeout_ms) {
    const struct read_plan *plan = &r->plan;
    if (c->origin->waits_already) return;
    size_t ids_at = plan->first + plan->streams;
    struct slice *argv = mem_alloc(c->argc * sizeof *argv);
    struct id_text *texts = mem_alloc(plan->streams * sizeof *texts);
    memcpy(argv, c->argv, c->argc * sizeof *argv);
    for (size_t i = 0; i < plan->streams; i++)
        if (!r->asked[i].newest) argv[ids_at + i] = stream_id_text(&texts[i], r->asked[i].after);
    struct call resolved = *c;
    resolved.argv = argv;
    /* Who waits without a group waits on when the key becomes something else; with one, there is an error to
     * tell. */
    struct key_range keys = { .first = plan->first,
                              .count = plan->streams,
                              .only = plan->for_group ? TYPE_STRING : TYPE_STREAM };
    blocking_on_keys(&resolved, keys, timeout_ms, BLOCKED_NULL_ARRAY);
    mem_free(texts);
    mem_free(argv);
}

static void read_streams_of(struct call *c, bool for_group) {
    struct reading r = { .plan = { .for_group = for_group } };
    int64_t count = 0, timeout_ms = 0;
    if (!read_options(c, &r.plan, &count, &timeout_ms)) return;
    if (for_group && r.plan.group_at == 0) {
        refuse_text(c, "ERR Missing GROUP option for XREADGROUP");
        return;
    }
    r.count = (uint64_t)count;
    r.asked = mem_alloc_zero(r.plan.streams * sizeof *r.asked);
    if (look_up_all(c, &r) && !serve(c, &r)) {
        if (r.plan.blocks)
            wait_for_entries(c, &r, timeout_ms);
        else
            reply_null_array(c->out);
    }
    mem_free(r.asked);
}

/* XREAD [COUNT count] [BLOCK milliseconds] STREAMS key [key ...] id [id ...] */
static void cmd_xread(struct call *c) { read_streams_of(c, false); }

/* XREADGROUP GROUP group consumer [COUNT count] [BLOCK milliseconds] [NOACK] STREAMS key [key ...] id [id
 * ...] */
static void cmd_xreadgroup(struct call *c) { read_streams_of(c, true); }

/* ---- the table ---- */

#define STREAMS_KEYS(from)                                                                               \
    {                                                                                                    \
        {                                                                                                \
            .flags = KEY_RO | KEY_ACCESS, .begin = BEGIN_KEYWORD, .keyword = "STREAMS", .index = (from), \
            .find = FIND_RANGE, .last = -1, .step = 1, .limit = 2                                        \
        }                                                                                                \
    }

const struct command stream_read_commands[] = {
    { .name = "XREAD", .run = cmd_xread, .arity = -4, .kind = KEYED, .flags = READS | BLOCKS | MOVABLE_KEYS,
      .categories = CAT_STREAM, .keys = STREAMS_KEYS(1), .find_keys = find_keys, .since = "5.0.0",
      .summary = "Returns the entries of streams after given ids; waits for some if asked.",
      .complexity = "O(log(N)+M) for each stream, where N is the number of nodes and M that of the entries.",
      .syntax = "[COUNT count] [BLOCK milliseconds] STREAMS key [key ...] id [id ...]" },
    { .name = "XREADGROUP", .run = cmd_xreadgroup, .arity = -7, .kind = KEYED,
      .flags = WRITES | BLOCKS | MOVABLE_KEYS, .categories = CAT_STREAM, .keys = STREAMS_KEYS(4),
      .find_keys = find_keys, .since = "5.0.0",
      .summary = "Delivers the entries that a group has not got yet to one of its consumers, or repeats "
                 "those that it has not acknowledged.",
      .complexity = "O(M) for each stream, where M is the number of the returned entries.",
      .syntax = "GROUP group consumer [COUNT count] [BLOCK milliseconds] [NOACK] STREAMS key [key ...] id "
                "[id ...]" },
    { .name = NULL },
};
