/* stream_info.c: XINFO: what there is to know of a stream, its groups and their consumers. */
#include "stream.h"
#include "trivet/commands/arguments/help.h"
#include "trivet/commands/groups.h"

/* The stream of argument 2, or NULL after the error. */
static struct stream *info_stream(struct call *c) {
    struct stream *s;
    const struct entry *e = keyspace_read(&c->view, c->argv[2]);
    if (!stream_in_entry(c, e, &s)) return NULL;
    if (!s) reply_error(c->out, ERR_NO_KEY);
    return s;
}

static void name_int(struct call *c, const char *name, int64_t n) {
    reply_bulk(c->out, slice_of(name));
    reply_int(c->out, n);
}

static void name_id(struct call *c, const char *name, struct stream_id id) {
    reply_bulk(c->out, slice_of(name));
    reply_stream_id(c->out, id);
}

static void name_text_of(struct call *c, const struct name *n) {
    reply_bulk(c->out, LIT("name"));
    reply_bulk(c->out, name_text(n));
}

/* How far a group has read, and how many entries it lacks, where that is known. */
static void reply_progress(struct call *c, const struct stream *s, const struct stream_group *g) {
    reply_bulk(c->out, LIT("entries-read"));
    if (g->entries_read == ENTRIES_READ_UNKNOWN)
        reply_null(c->out);
    else
        reply_int(c->out, g->entries_read);
    int64_t lag;
    reply_bulk(c->out, LIT("lag"));
    if (stream_group_lag(s, g, &lag))
        reply_int(c->out, lag);
    else
        reply_null(c->out);
}

/* ---- XINFO STREAM ---- */

/* Nodes lie in no radix tree; what clients know as its size is told as if each had a leaf under one root. */
static void reply_numbers(struct call *c, const struct stream *s) {
    name_int(c, "length", (int64_t)s->length);
    name_int(c, "radix-tree-keys", (int64_t)s->nodes.count);
    name_int(c, "radix-tree-nodes", (int64_t)s->nodes.count + 1);
    name_id(c, "last-generated-id", s->last_id);
    name_id(c, "max-deleted-entry-id", s->max_deleted_id);
    name_int(c, "entries-added", (int64_t)s->entries_added);
    name_id(c, "recorded-first-entry-id", s->first_id);
}

static void reply_edge(struct call *c, const struct stream *s, const char *name, bool last) {
    struct stream_walk w;
    reply_bulk(c->out, slice_of(name));
    stream_walk_begin(&w, s, STREAM_ID_MIN, STREAM_ID_MAX, last);
    if (stream_walk_next(&w))
        reply_stream_entry(c->out, &w);
    else
        reply_null(c->out);
}

/* `count` 0 is no limit, as everywhere below. */
static void reply_entries(struct call *c, const struct stream *s, uint64_t count) {
    struct chunk *later = reply_later(c->out);
    struct stream_walk w;
    size_t found = 0;
    stream_walk_begin(&w, s, STREAM_ID_MIN, STREAM_ID_MAX, false);
    for (; (count == 0 || found < count) && stream_walk_next(&w); found++) reply_stream_entry(c->out, &w);
    reply_later_array(c->out, later, found);
}

/* The pending entries of `ids`; with their owners if they are a group's. */
static void reply_pending(struct call *c, const struct stream_group *g, const struct id_map *ids,
                          uint64_t count, bool with_owner) {
    uint64_t shown = count == 0 || count > ids->count ? ids->count : count;
    name_int(c, "pel-count", (int64_t)ids->count);
    reply_bulk(c->out, LIT("pending"));
    reply_array(c->out, shown);
    struct id_cursor at = id_map_first(ids);
    for (; shown > 0; shown--, at = id_map_next(ids, at)) {
        struct stream_id id = id_map_id(ids, at);
        const struct stream_pending *p = stream_pending_find(g, id);
        reply_array(c->out, with_owner ? 4 : 3);
        reply_stream_id(c->out, id);
        if (with_owner) reply_bulk(c->out, name_text(&p->owner->name));
        reply_int(c->out, p->delivered_ms);
        reply_int(c->out, (int64_t)p->deliveries);
    }
}

static void reply_full_group(struct call *c, const struct stream *s, const struct stream_group *g,
                             uint64_t count) {
    reply_map(c->out, 7);
    name_text_of(c, &g->name);
    name_id(c, "last-delivered-id", g->last_id);
    reply_progress(c, s, g);
    reply_pending(c, g, &g->pending, count, true);
    reply_bulk(c->out, LIT("consumers"));
    reply_array(c->out, g->consumers.count);
    for (size_t i = 0; i < g->consumers.count; i++) {
        const struct stream_consumer *consumer = stream_consumer_at(g, i);
        reply_map(c->out, 5);
        name_text_of(c, &consumer->name);
        name_int(c, "seen-time", consumer->seen_ms);
        name_int(c, "active-time", consumer->active_ms);
        reply_pending(c, g, &consumer->pending, count, false);
    }
}

static void reply_full(struct call *c, const struct stream *s, uint64_t count) {
    reply_map(c->out, 9);
    reply_numbers(c, s);
    reply_bulk(c->out, LIT("entries"));
    reply_entries(c, s, count);
    reply_bulk(c->out, LIT("groups"));
    reply_array(c->out, s->groups.count);
    for (size_t i = 0; i < s->groups.count; i++) reply_full_group(c, s, stream_group_at(s, i), count);
}

static void reply_short(struct call *c, const struct stream *s) {
    reply_map(c->out, 10);
    reply_numbers(c, s);
    name_int(c, "groups", s->groups.count);
    reply_edge(c, s, "first-entry", false);
    reply_edge(c, s, "last-entry", true);
}

#define FULL_COUNT 10 /* without COUNT, or with a negative one */

/* XINFO STREAM key [FULL [COUNT count]] */
static void cmd_xinfo_stream(struct call *c) {
    int64_t count = FULL_COUNT;
    const struct stream *s = info_stream(c);
    if (!s) return;
    if (c->argc == 3) {
        reply_short(c, s);
        return;
    }
    bool full = call_is(c, 3, "FULL") && (c->argc == 4 || (c->argc == 6 && call_is(c, 4, "COUNT")));
    if (!full) {
        reply_subcommand_error(c);
        return;
    }
    if (c->argc == 6 && !int64_parse(c->argv[5], &count)) {
        reply_error(c->out, ERR_NOT_INT);
        return;
    }
    reply_full(c, s, count < 0 ? FULL_COUNT : (uint64_t)count);
}

/* ---- XINFO GROUPS, CONSUMERS ---- */

/* XINFO GROUPS key */
static void cmd_xinfo_groups(struct call *c) {
    const struct stream *s = info_stream(c);
    if (!s) return;
    reply_array(c->out, s->groups.count);
    for (size_t i = 0; i < s->groups.count; i++) {
        const struct stream_group *g = stream_group_at(s, i);
        reply_map(c->out, 6);
        name_text_of(c, &g->name);
        name_int(c, "consumers", g->consumers.count);
        name_int(c, "pending", (int64_t)g->pending.count);
        name_id(c, "last-delivered-id", g->last_id);
        reply_progress(c, s, g);
    }
}

/* XINFO CONSUMERS key group */
static void cmd_xinfo_consumers(struct call *c) {
    const struct stream *s = info_stream(c);
    if (!s) return;
    const struct stream_group *g = stream_group_find(s, c->argv[3]);
    if (!g) {
        reply_error_printf(c->out, "NOGROUP No such consumer group '%.*s' for key name '%.*s'",
                           SLICE_ARG(c->argv[3]), SLICE_ARG(c->argv[2]));
        return;
    }
    reply_array(c->out, g->consumers.count);
    for (size_t i = 0; i < g->consumers.count; i++) {
        const struct stream_consumer *consumer = stream_consumer_at(g, i);
        reply_map(c->out, 4);
        name_text_of(c, &consumer->name);
        name_int(c, "pending", (int64_t)consumer->pending.count);
        name_int(c, "idle", stream_idle_ms(c, consumer->seen_ms));
        name_int(c, "inactive", consumer->active_ms == -1 ? -1 : stream_idle_ms(c, consumer->active_ms));
    }
}

/* XINFO HELP */
static void cmd_xinfo_help(struct call *c) {
    static const char *const lines[] = {
        "CONSUMERS <key> <groupname>",
        "    Show consumers of <groupname>.",
        "GROUPS <key>",
        "    Show the stream consumer groups.",
        "STREAM <key> [FULL [COUNT <count>]",
        "    Show information about the stream.",
        NULL,
    };
    reply_help(c, lines);
}

/* ---- the table ---- */

#define XINFO_FACTS                                                                                      \
    .kind = KEYED, .flags = READS, .categories = CAT_STREAM, .keys = { KEY_AT(2, KEY_RO | KEY_ACCESS) }, \
    .since = "5.0.0"

static const struct command xinfo_commands[] = {
    { .name = "CONSUMERS", .run = cmd_xinfo_consumers, .arity = 4, XINFO_FACTS,
      .summary = "Returns what is known of the consumers of a group.",
      .complexity = "O(N) where N is the number of consumers.", .syntax = "key group",
      .tips = "nondeterministic_output" },
    { .name = "GROUPS", .run = cmd_xinfo_groups, .arity = 3, XINFO_FACTS,
      .summary = "Returns what is known of the groups of a stream.",
      .complexity = "O(N) where N is the number of groups.", .syntax = "key" },
    { .name = "HELP", .run = cmd_xinfo_help, .arity = 2, .kind = LOCAL, .flags = LOADING | STALE,
      .categories = CAT_STREAM, .since = "5.0.0", .summary = "Lists the subcommands.", .complexity = "O(1)" },
    { .name = "STREAM", .run = cmd_xinfo_stream, .arity = -3, XINFO_FACTS,
      .summary = "Returns what is known of a stream.",
      .complexity = "O(1), or O(N) for FULL, where N is the number of returned entries.",
      .syntax = "key [FULL [COUNT count]]" },
    { .name = NULL },
};

const struct command stream_info_commands[] = {
    { .name = "XINFO", .arity = -2, .kind = KEYED, .subcommands = xinfo_commands, .since = "5.0.0",
      .summary = "Holds the commands that look at the inner form of streams.",
      .complexity = "Depends on the subcommand." },
    { .name = NULL },
};
