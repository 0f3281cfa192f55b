/* stream_group.c: groups of consumers: making and deleting them, what is pending, acknowledging it. */
#include "stream.h"
#include "trivet/base/mem.h"
#include "trivet/commands/arguments/help.h"
#include "trivet/commands/arguments/integer.h"
#include "trivet/commands/arguments/refuse.h"
#include "trivet/commands/groups.h"
#include "trivet/engine/client/blocking.h"
#include "trivet/keyspace/counters.h"

/* ---- changes of groups: see stream_private.h ---- */

void stream_group_changed(struct call *c, struct slice key, size_t times, const char *event,
                          struct effect effect) {
    count_changes(c->view.db, times);
    if (event) notify(c->view.db, NOTIFY_STREAM, event, key);
    journal_effect(c, effect);
}

static void consumer_created(struct call *c, struct slice key, const struct stream_group *g,
                             struct slice name) {
    stream_group_changed(c, key, 1, "xgroup-createconsumer",
                         EFFECT(LIT("XGROUP"), LIT("CREATECONSUMER"), key, name_text(&g->name), name));
}

struct stream_consumer *stream_consumer_of(struct call *c, struct slice key, struct stream_group *g,
                                           struct slice name) {
    struct stream_consumer *consumer = stream_consumer_find(g, name);
    if (!consumer) {
        consumer = stream_consumer_create(g, name, c->view.now_ms);
        consumer_created(c, key, g, name);
    }
    consumer->seen_ms = c->view.now_ms;
    return consumer;
}

void stream_pending_changed(struct call *c, struct slice key, const struct stream_group *g,
                            struct stream_id id, const struct stream_pending *p) {
    char when[INT64_TEXT_MAX], often[INT64_TEXT_MAX];
    struct id_text entry, last;
    stream_group_changed(c, key, 0, NULL,
                         EFFECT(LIT("XCLAIM"), key, name_text(&g->name), name_text(&p->owner->name), LIT("0"),
                                stream_id_text(&entry, id), LIT("TIME"),
                                slice_make(when, int64_format(when, p->delivered_ms)), LIT("RETRYCOUNT"),
                                slice_make(often, uint64_format(often, p->deliveries)), LIT("FORCE"),
                                LIT("JUSTID"), LIT("LASTID"), stream_id_text(&last, g->last_id)));
}

void stream_group_moved(struct call *c, struct slice key, const struct stream_group *g) {
    char read[INT64_TEXT_MAX];
    struct id_text last;
    stream_group_changed(c, key, 0, NULL,
                         EFFECT(LIT("XGROUP"), LIT("SETID"), key, name_text(&g->name),
                                stream_id_text(&last, g->last_id), LIT("ENTRIESREAD"),
                                slice_make(read, int64_format(read, g->entries_read))));
}

void reply_no_group(struct call *c, struct slice key, struct slice group, const char *rest) {
    reply_error_printf(c->out, "NOGROUP No such key '%.*s' or consumer group '%.*s'%s", SLICE_ARG(key),
                       SLICE_ARG(group), rest);
}

/* ---- XGROUP ---- */

struct group_plan {
    bool make_stream;
    int64_t entries_read;
};

/* MKSTREAM, where it is allowed, and ENTRIESREAD. */
static bool read_group_options(struct call *c, bool creates, struct group_plan *plan) {
    plan->entries_read = ENTRIES_READ_UNKNOWN;
    for (size_t i = 5; i < c->argc; i++) {
        if (creates && call_is(c, i, "MKSTREAM")) {
            plan->make_stream = true;
            continue;
        }
        if (!call_is(c, i, "ENTRIESREAD") || i + 1 == c->argc) {
            reply_subcommand_error(c);
            return false;
        }
        if (!integer_argument(c, ++i, &plan->entries_read)) return false;
        if (plan->entries_read < ENTRIES_READ_UNKNOWN && c->origin->is_replay)
            plan->entries_read = (int64_t)STREAM_COUNTER_MAX; /* a server that counted on past the limit */
        if (plan->entries_read < ENTRIES_READ_UNKNOWN) {
            reply_error_text(c->out, LIT("ERR value for ENTRIESREAD must be positive or -1"));
            return false;
        }
    }
    return true;
}

/* The stream of argument 2; false if it is no stream, or is missing and must not be. */
static bool group_stream(struct call *c, bool may_be_missing, struct keyspace_change *change,
                         struct stream **s) {
    if (!stream_open(c, c->argv[2], change, s)) return false;
    if (*s || may_be_missing) return true;
    reply_error_text(c->out,
                     LIT("ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may "
                         "want to use the MKSTREAM option to create an empty stream automatically."));
    return false;
}

/* The group of argument 3, its stream open; or NULL after the error. */
static struct stream_group *existing_group(struct call *c, struct keyspace_change *change,
                                           struct stream **s) {
    if (!group_stream(c, false, change, s)) return NULL;
    struct stream_group *g = stream_group_find(*s, c->argv[3]);
    if (!g)
        reply_error_printf(c->out, "NOGROUP No such consumer group '%.*s' for key name '%.*s'",
                           SLICE_ARG(c->argv[3]), SLICE_ARG(c->argv[2]));
    return g;
}

/* XGROUP CREATE key group id | $ [MKSTREAM] [ENTRIESREAD entries-read] */
static void cmd_xgroup_create(struct call *c) {
    struct group_plan plan = { .make_stream = false };
    struct keyspace_change change;
    struct stream *s;
    struct stream_id id = STREAM_ID_MIN;
    if (!read_group_options(c, true, &plan) || !group_stream(c, plan.make_stream, &change, &s)) return;
    if (!slice_equal(c->argv[4], LIT("$"))) {
        if (!stream_id_argument(c, c->argv[4], 0, &id)) return;
    } else if (s) {
        id = s->last_id;
    }
    bool is_new = !s;
    if (is_new) s = stream_new();
    change.value = stream_value(s);
    if (!stream_group_create(s, c->argv[3], id, plan.entries_read)) {
        reply_error_text(c->out, LIT("BUSYGROUP Consumer Group name already exists"));
        return;
    }
    reply_ok(c->out);
    stream_close(c, &change);
    if (is_new) changed_times(c, c->argv[2], 0, NOTIFY_STREAM, NULL, EFFECT_NONE);
    stream_group_changed(c, c->argv[2], 1, "xgroup-create", EFFECT_SAME(c));
}

/* XGROUP SETID key group id | $ [ENTRIESREAD entries-read] */
static void cmd_xgroup_setid(struct call *c) {
    struct group_plan plan = { .make_stream = false };
    struct keyspace_change change;
    struct stream *s;
    if (!read_group_options(c, false, &plan)) return;
    struct stream_group *g = existing_group(c, &change, &s);
    if (!g) return;
    struct stream_id id = s->last_id;
    bool dollar = slice_equal(c->argv[4], LIT("$"));
    if (!dollar && !stream_end_argument(c, c->argv[4], 0, &id)) return;
    g->last_id = id;
    g->entries_read = plan.entries_read;
    reply_ok(c->out);
    stream_close(c, &change);
    stream_group_changed(c, c->argv[2], 1, "xgroup-setid", EFFECT_SAME(c));
}

/* XGROUP DESTROY key group */
static void cmd_xgroup_destroy(struct call *c) {
    struct keyspace_change change;
    struct stream *s;
    struct slice key = c->argv[2];
    if (!group_stream(c, false, &change, &s)) return;
    struct stream_group *g = stream_group_find(s, c->argv[3]);
    reply_int(c->out, g != NULL);
    if (!g) return;
    stream_group_delete(s, g);
    stream_close(c, &change);
    stream_group_changed(c, key, 1, "xgroup-destroy", EFFECT_SAME(c));
    /* Who waits for it learns that it is gone. */
    struct shard *shard = &shards[keyspace_shard(&c->view, key)];
    if (shard->interests) blocking_key_changed(shard, c->view.db, key);
}

/* XGROUP CREATECONSUMER key group consumer */
static void cmd_xgroup_createconsumer(struct call *c) {
    struct keyspace_change change;
    struct stream *s;
    struct stream_group *g = existing_group(c, &change, &s);
    if (!g) return;
    bool created = stream_consumer_create(g, c->argv[4], c->view.now_ms) != NULL;
    reply_int(c->out, created);
    stream_close(c, &change);
    if (created) consumer_created(c, c->argv[2], g, c->argv[4]);
}

/* XGROUP DELCONSUMER key group consumer */
static void cmd_xgroup_delconsumer(struct call *c) {
    struct keyspace_change change;
    struct stream *s;
    struct stream_group *g = existing_group(c, &change, &s);
    if (!g) return;
    struct stream_consumer *consumer = stream_consumer_find(g, c->argv[4]);
    reply_int(c->out, consumer ? (int64_t)consumer->pending.count : 0);
    if (!consumer) return;
    stream_consumer_delete(g, consumer);
    stream_close(c, &change);
    stream_group_changed(c, c->argv[2], 1, "xgroup-delconsumer", EFFECT_SAME(c));
}

/* XGROUP HELP */
static void cmd_xgroup_help(struct call *c) {
    static const char *const lines[] = {
        "CREATE <key> <groupname> <id|$> [option]",
        "    Create a new consumer group. Options are:",
        "    * MKSTREAM",
        "      Create the empty stream if it does not exist.",
        "    * ENTRIESREAD entries_read",
        "      Set the group's entries_read counter (internal use).",
        "CREATECONSUMER <key> <groupname> <consumer>",
        "    Create a new consumer in the specified group.",
        "DELCONSUMER <key> <groupname> <consumer>",
        "    Remove the specified consumer.",
        "DESTROY <key> <groupname>",
        "    Remove the specified group.",
        "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
        "    Set the current group ID and entries_read counter.",
        NULL,
    };
    reply_help(c, lines);
}

/* ---- XACK ---- */

/* XACK key group id [id ...] */
static void cmd_xack(struct call *c) {
    struct keyspace_change change;
    struct stream *s;
    struct stream_id *ids;
    if (!stream_open(c, c->argv[1], &change, &s)) return;
    struct stream_group *g = s ? stream_group_find(s, c->argv[2]) : NULL;
    if (!g) {
        reply_int(c->out, 0);
        return;
    }
    if (!stream_id_arguments(c, 3, &ids)) return;
    size_t acknowledged = 0;
    for (size_t i = 0; i + 3 < c->argc; i++) acknowledged += stream_pending_remove(g, ids[i]);
    mem_free(ids);
    reply_int(c->out, (int64_t)acknowledged);
    stream_close(c, &change);
    if (acknowledged > 0) stream_group_changed(c, c->argv[1], acknowledged, NULL, EFFECT_SAME(c));
}

/* ---- XPENDING ---- */

static void reply_pending_summary(struct call *c, const struct stream_group *g) {
    const struct id_map *pending = &g->pending;
    reply_array(c->out, 4);
    reply_int(c->out, (int64_t)pending->count);
    if (pending->count == 0) {
        reply_null(c->out);
        reply_null(c->out);
        reply_null_array(c->out);
        return;
    }
    reply_stream_id(c->out, id_map_id(pending, id_map_first(pending)));
    reply_stream_id(c->out, id_map_id(pending, id_map_last(pending)));
    struct chunk *later = reply_later(c->out);
    size_t found = 0;
    for (size_t i = 0; i < g->consumers.count; i++) {
        const struct stream_consumer *consumer = stream_consumer_at(g, i);
        if (consumer->pending.count == 0) continue;
        reply_array(c->out, 2);
        reply_bulk(c->out, name_text(&consumer->name));
        reply_bulk_int(c->out, (int64_t)consumer->pending.count);
        found++;
    }
    reply_later_array(c->out, later, found);
}

struct pending_plan {
    int64_t min_idle_ms, count;
    struct stream_id start, stop;
    size_t consumer_at; /* 0: of all */
};

static bool read_pending_plan(struct call *c, struct pending_plan *plan) {
    size_t at = 3;
    if (c->argc < 6 || c->argc > 9) {
        return refuse_syntax(c);
    }
    if (call_is(c, 3, "IDLE")) {
        if (!integer_argument(c, 4, &plan->min_idle_ms)) return false;
        if (c->argc < 8) {
            return refuse_syntax(c);
        }
        at = 5;
    }
    if (!integer_argument(c, at + 2, &plan->count)) return false;
    if (at + 3 < c->argc) plan->consumer_at = at + 3;
    return stream_start_argument(c, c->argv[at], &plan->start) &&
           stream_stop_argument(c, c->argv[at + 1], &plan->stop);
}

static void reply_pending(struct call *c, const struct stream_group *g, const struct pending_plan *plan) {
    const struct id_map *ids = &g->pending;
    if (plan->consumer_at) {
        const struct stream_consumer *consumer = stream_consumer_find(g, c->argv[plan->consumer_at]);
        if (!consumer) {
            reply_array(c->out, 0);
            return;
        }
        ids = &consumer->pending;
    }
    struct chunk *later = reply_later(c->out);
    int64_t found = 0;
    struct id_cursor at = id_map_seek(ids, plan->start);
    for (; id_map_has(ids, at) && found < plan->count; at = id_map_next(ids, at)) {
        struct stream_id id = id_map_id(ids, at);
        if (stream_id_compare(id, plan->stop) > 0) break;
        const struct stream_pending *p = stream_pending_find(g, id);
        if (plan->min_idle_ms && c->view.now_ms - p->delivered_ms < plan->min_idle_ms) continue;
        reply_array(c->out, 4);
        reply_stream_id(c->out, id);
        reply_bulk(c->out, name_text(&p->owner->name));
        reply_int(c->out, stream_idle_ms(c, p->delivered_ms));
        reply_int(c->out, (int64_t)p->deliveries);
        found++;
    }
    reply_later_array(c->out, later, (size_t)found);
}

/* XPENDING key group [[IDLE min-idle-time] start end count [consumer]] */
static void cmd_xpending(struct call *c) {
    struct pending_plan plan = { .count = 0 };
    struct stream *s;
    if (c->argc > 3 && !read_pending_plan(c, &plan)) return;
    if (!stream_in_entry(c, keyspace_read(&c->view, c->argv[1]), &s)) return;
    const struct stream_group *g = s ? stream_group_find(s, c->argv[2]) : NULL;
    if (!g)
        reply_no_group(c, c->argv[1], c->argv[2], "");
    else if (c->argc == 3)
        reply_pending_summary(c, g);
    else
        reply_pending(c, g, &plan);
}

/* ---- the tables ---- */

#define XGROUP_FACTS(keyflag) \
    .kind = KEYED, .categories = CAT_STREAM, .keys = { KEY_AT(2, KEY_RW | (keyflag)) }

static const struct command xgroup_commands[] = {
    { .name = "CREATE", .run = cmd_xgroup_create, .arity = -5, .flags = WRITES | GROWS,
      XGROUP_FACTS(KEY_INSERT), .since = "5.0.0",
      .summary = "Makes a group of consumers of a stream.", .complexity = "O(1)",
      .syntax = "key group <id | $> [MKSTREAM] [ENTRIESREAD entries-read]" },
    { .name = "CREATECONSUMER", .run = cmd_xgroup_createconsumer, .arity = 5, .flags = WRITES | GROWS,
      XGROUP_FACTS(KEY_INSERT), .since = "6.2.0", .summary = "Makes a consumer of a group.",
      .complexity = "O(1)", .syntax = "key group consumer" },
    { .name = "DELCONSUMER", .run = cmd_xgroup_delconsumer, .arity = 5, .flags = WRITES,
      XGROUP_FACTS(KEY_DELETE), .since = "5.0.0",
      .summary = "Deletes a consumer of a group, and what is pending for it.",
      .complexity = "O(N) where N is the number of its pending entries.", .syntax = "key group consumer" },
    { .name = "DESTROY", .run = cmd_xgroup_destroy, .arity = 4, .flags = WRITES, XGROUP_FACTS(KEY_DELETE),
      .since = "5.0.0", .summary = "Deletes a group of consumers.",
      .complexity = "O(N) where N is the number of its pending entries.", .syntax = "key group" },
    { .name = "HELP", .run = cmd_xgroup_help, .arity = 2, .kind = LOCAL, .flags = LOADING | STALE,
      .categories = CAT_STREAM, .since = "5.0.0", .summary = "Lists the subcommands.", .complexity = "O(1)" },
    { .name = "SETID", .run = cmd_xgroup_setid, .arity = -5, .flags = WRITES, XGROUP_FACTS(KEY_UPDATE),
      .since = "5.0.0", .summary = "Sets the last delivered id of a group.", .complexity = "O(1)",
      .syntax = "key group <id | $> [ENTRIESREAD entries-read]" },
    { .name = NULL },
};

const struct command stream_group_commands[] = {
    { .name = "XACK", .run = cmd_xack, .arity = -4, .kind = KEYED, .flags = WRITES | FAST,
      .categories = CAT_STREAM, .keys = { KEY(KEY_RW | KEY_UPDATE) }, .since = "5.0.0",
      .summary = "Acknowledges pending entries of a group; returns how many there were.",
      .complexity = "O(log(N)) for each id, where N is the number of pending entries.",
      .syntax = "key group id [id ...]" },
    { .name = "XGROUP", .arity = -2, .kind = KEYED, .subcommands = xgroup_commands, .since = "5.0.0",
      .summary = "Holds the commands that manage groups of consumers.",
      .complexity = "Depends on the subcommand." },
    { .name = "XPENDING", .run = cmd_xpending, .arity = -3, .kind = KEYED, .flags = READS,
      .categories = CAT_STREAM, .keys = { KEY(KEY_RO | KEY_ACCESS) }, .since = "5.0.0",
      .summary = "Returns which entries of a group are pending, or how many for whom.",
      .complexity = "O(log(N)+M) where N is the number of pending entries and M that of the returned ones; "
                    "entries that are not idle enough add theirs.",
      .syntax = "key group [[IDLE min-idle-time] start end count [consumer]]",
      .tips = "nondeterministic_output" },
    { .name = NULL },
};
