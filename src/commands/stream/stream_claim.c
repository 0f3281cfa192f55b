/* stream_claim.c: giving pending entries of a group to another consumer, by id or by how long they have been
 * idle.
 *
 * Entries that were deleted from the stream meanwhile stop being pending. What happens is journaled entry by
 * entry, with absolute times. */
#include "stream.h"
#include "trivet/base/mem.h"
#include "trivet/commands/arguments/refuse.h"
#include "trivet/commands/groups.h"

/* The stream, open, and the group of arguments 1 and 2; false after the error. */
static bool find_group(struct call *c, struct keyspace_change *change, struct stream **s,
                       struct stream_group **g) {
    if (!stream_open(c, c->argv[1], change, s)) return false;
    *g = *s ? stream_group_find(*s, c->argv[2]) : NULL;
    if (*g) return true;
    reply_no_group(c, c->argv[1], c->argv[2], "");
    return false;
}

/* A deleted entry is not pending any more. */
static void drop_pending(struct call *c, struct stream_group *g, struct stream_id id) {
    struct id_text text;
    stream_pending_remove(g, id);
    stream_group_changed(c, c->argv[1], 1, NULL,
                         EFFECT(LIT("XACK"), c->argv[1], c->argv[2], stream_id_text(&text, id)));
}

static bool read_min_idle(struct call *c, const char *error, int64_t *ms) {
    if (!int64_parse(c->argv[4], ms)) return refuse_text(c, error);
    if (*ms < 0) *ms = 0;
    return true;
}

static bool idle_enough(const struct call *c, const struct stream_pending *p, int64_t min_idle_ms) {
    return min_idle_ms == 0 || c->view.now_ms - p->delivered_ms >= min_idle_ms;
}

/* ---- XCLAIM ---- */

struct claim {
    int64_t min_idle_ms;
    int64_t delivered_ms, deliveries; /* to be set; deliveries -1: count up */
    bool force, just_id;
    struct stream_id last_id;
    struct stream_id *ids;
    size_t id_count;
    struct stream *stream;
    struct stream_group *group;
    struct stream_consumer *consumer;
    size_t claimed, journaled;
};

static bool number_option(struct call *c, size_t at, const char *error, int64_t *out) {
    return int64_parse(c->argv[at], out) || refuse_text(c, error);
}

/* The option at *i. */
static bool read_claim_option(struct call *c, size_t *i, struct claim *claim) {
    size_t at = *i;
    bool more = at + 1 < c->argc;
    int64_t idle_ms;
    if (call_is(c, at, "FORCE")) return claim->force = true;
    if (call_is(c, at, "JUSTID")) return claim->just_id = true;
    if (more) (*i)++;
    if (more && call_is(c, at, "IDLE")) {
        if (!number_option(c, *i, "ERR Invalid IDLE option argument for XCLAIM", &idle_ms)) return false;
        if (__builtin_sub_overflow(c->view.now_ms, idle_ms, &claim->delivered_ms)) claim->delivered_ms = -1;
        return true;
    }
    if (more && call_is(c, at, "TIME"))
        return number_option(c, *i, "ERR Invalid TIME option argument for XCLAIM", &claim->delivered_ms);
    if (more && call_is(c, at, "RETRYCOUNT"))
        return number_option(c, *i, "ERR Invalid RETRYCOUNT option argument for XCLAIM", &claim->deliveries);
    if (more && call_is(c, at, "LASTID")) return stream_id_argument(c, c->argv[*i], 0, &claim->last_id);
    reply_error_printf(c->out, "ERR Unrecognized XCLAIM option '%.*s'", SLICE_ARG(c->argv[at]));
    return false;
}

/* Ids up to the first argument that is none, then options. */
static bool read_claim(struct call *c, struct claim *claim) {
    size_t i = 5;
    for (; i < c->argc && stream_id_parse(c->argv[i], 0, &claim->ids[i - 5], NULL); i++) claim->id_count++;
    for (; i < c->argc; i++)
        if (!read_claim_option(c, &i, claim)) return false;
    if (claim->delivered_ms < 0 || claim->delivered_ms > c->view.now_ms) claim->delivered_ms = c->view.now_ms;
    return true;
}

static void claim_one(struct call *c, struct claim *claim, struct stream_id id) {
    struct stream_group *g = claim->group;
    struct stream_pending *p = stream_pending_find(g, id);
    if (!p && !claim->force) return;
    /* In a journal it is how a base of commands tells that a deleted entry is pending still; in the stream of
     * a Redis primary it tells that it is not any more. */
    if (!stream_has(claim->stream, id) && !c->origin->is_journaled) {
        if (p) drop_pending(c, g, id);
        return;
    }
    if (p && !idle_enough(c, p, claim->min_idle_ms)) return;
    bool fresh = !p;
    p = stream_pending_give(g, id, claim->consumer);
    if (fresh) p->deliveries = 1;
    p->delivered_ms = claim->delivered_ms;
    if (claim->deliveries >= 0)
        p->deliveries = (uint64_t)claim->deliveries;
    else if (!claim->just_id)
        p->deliveries = stream_count_one(p->deliveries);
    claim->consumer->active_ms = c->view.now_ms;
    claim->claimed++;
    claim->journaled++;
    if (claim->just_id)
        reply_stream_id(c->out, id);
    else
        reply_stream_entry_of(c->out, claim->stream, id);
    stream_pending_changed(c, c->argv[1], g, id, p);
    stream_group_changed(c, c->argv[1], 1, NULL, EFFECT_NONE);
}

static void run_claim(struct call *c, struct claim *claim) {
    struct stream_group *g = claim->group;
    bool moved = stream_id_compare(claim->last_id, g->last_id) > 0;
    if (moved) g->last_id = claim->last_id;
    claim->consumer = stream_consumer_of(c, c->argv[1], g, c->argv[3]);
    struct chunk *later = reply_later(c->out);
    for (size_t i = 0; i < claim->id_count; i++) claim_one(c, claim, claim->ids[i]);
    reply_later_array(c->out, later, claim->claimed);
    if (moved && claim->journaled == 0) stream_group_moved(c, c->argv[1], g);
}

/* XCLAIM key group consumer min-idle-time id [id ...] [IDLE ms | TIME unix-ms] [RETRYCOUNT n] [FORCE]
 * [JUSTID] [LASTID id] */
static void cmd_xclaim(struct call *c) {
    struct claim claim = { .delivered_ms = -1, .deliveries = -1 };
    struct keyspace_change change;
    if (!find_group(c, &change, &claim.stream, &claim.group)) return;
    if (!read_min_idle(c, "ERR Invalid min-idle-time argument for XCLAIM", &claim.min_idle_ms)) return;
    claim.ids = mem_alloc((c->argc - 5) * sizeof *claim.ids);
    if (read_claim(c, &claim)) run_claim(c, &claim);
    stream_close(c, &change);
    mem_free(claim.ids);
}

/* ---- XAUTOCLAIM ---- */

#define LOOKS_FOR_EACH 10 /* entries looked at for each that may be returned */
#define AUTOCLAIM_MAX (INT64_MAX / 16)

struct id_list {
    struct stream_id *ids;
    size_t count, room;
};

static void id_list_add(struct id_list *list, struct stream_id id) {
    if (list->count == list->room) {
        list->room = list->room ? list->room * 2 : 16;
        list->ids = mem_realloc(list->ids, list->room * sizeof *list->ids);
    }
    list->ids[list->count++] = id;
}

struct autoclaim {
    int64_t min_idle_ms, count;
    struct stream_id next; /* where to look on; 0-0: at the end */
    bool just_id;
    struct stream *stream;
    struct stream_group *group;
    struct id_list claimed, deleted;
};

static bool read_autoclaim(struct call *c, struct autoclaim *a) {
    if (!read_min_idle(c, "ERR Invalid min-idle-time argument for XAUTOCLAIM", &a->min_idle_ms)) return false;
    if (!stream_start_argument(c, c->argv[5], &a->next)) return false;
    for (size_t i = 6; i < c->argc; i++) {
        if (call_is(c, i, "COUNT") && i + 1 < c->argc) {
            bool number = int64_parse(c->argv[++i], &a->count);
            if (!number || a->count < 1 || a->count > AUTOCLAIM_MAX)
                return refuse_text(c, "ERR COUNT must be > 0");
        } else if (call_is(c, i, "JUSTID")) {
            a->just_id = true;
        } else {
            return refuse_syntax(c);
        }
    }
    return true;
}

/* Takes over what it finds from a->next on; a->next becomes the place to look on. */
static void take_over(struct call *c, struct autoclaim *a, struct stream_consumer *consumer) {
    struct stream_group *g = a->group;
    int64_t left = a->count, looks = a->count * LOOKS_FOR_EACH;
    struct id_cursor at = id_map_seek(&g->pending, a->next);
    for (; id_map_has(&g->pending, at) && left > 0 && looks > 0; looks--) {
        struct stream_id id = id_map_id(&g->pending, at);
        if (!stream_has(a->stream, id)) {
            drop_pending(c, g, id);
            id_list_add(&a->deleted, id);
            at = id_map_seek(&g->pending, id);
            left--;
            continue;
        }
        struct stream_pending *p = id_map_payload(&g->pending, at);
        at = id_map_next(&g->pending, at);
        if (!idle_enough(c, p, a->min_idle_ms)) continue;
        p = stream_pending_give(g, id, consumer);
        p->delivered_ms = c->view.now_ms;
        if (!a->just_id) p->deliveries = stream_count_one(p->deliveries);
        consumer->active_ms = c->view.now_ms;
        stream_pending_changed(c, c->argv[1], g, id, p);
        stream_group_changed(c, c->argv[1], 1, NULL, EFFECT_NONE);
        id_list_add(&a->claimed, id);
        left--;
    }
    a->next = id_map_has(&g->pending, at) ? id_map_id(&g->pending, at) : STREAM_ID_MIN;
}

/* XAUTOCLAIM key group consumer min-idle-time start [COUNT count] [JUSTID] */
static void cmd_xautoclaim(struct call *c) {
    struct autoclaim a = { .count = 100 };
    struct keyspace_change change;
    if (!read_autoclaim(c, &a) || !find_group(c, &change, &a.stream, &a.group)) return;
    take_over(c, &a, stream_consumer_of(c, c->argv[1], a.group, c->argv[3]));
    stream_close(c, &change);
    reply_array(c->out, 3);
    reply_stream_id(c->out, a.next);
    reply_array(c->out, a.claimed.count);
    for (size_t i = 0; i < a.claimed.count; i++) {
        if (a.just_id)
            reply_stream_id(c->out, a.claimed.ids[i]);
        else
            reply_stream_entry_of(c->out, a.stream, a.claimed.ids[i]);
    }
    reply_array(c->out, a.deleted.count);
    for (size_t i = 0; i < a.deleted.count; i++) reply_stream_id(c->out, a.deleted.ids[i]);
    mem_free(a.claimed.ids);
    mem_free(a.deleted.ids);
}

/* ---- the table ---- */

const struct command stream_claim_commands[] = {
    { .name = "XAUTOCLAIM", .run = cmd_xautoclaim, .arity = -6, .kind = KEYED, .flags = WRITES | FAST,
      .categories = CAT_STREAM, .keys = { KEY(KEY_RW | KEY_DELETE) }, .since = "6.2.0",
      .summary = "Gives pending entries that have been idle for long to a consumer.",
      .complexity = "O(1) if COUNT is small.",
      .syntax = "key group consumer min-idle-time start [COUNT count] [JUSTID]",
      .tips = "nondeterministic_output" },
    { .name = "XCLAIM", .run = cmd_xclaim, .arity = -6, .kind = KEYED, .flags = WRITES | FAST,
      .categories = CAT_STREAM, .keys = { KEY(KEY_RW | KEY_UPDATE) }, .since = "5.0.0",
      .summary = "Gives pending entries to a consumer, as if they had been delivered to it.",
      .complexity = "O(log(N)) for each id, where N is the number of pending entries.",
      .syntax = "key group consumer min-idle-time id [id ...] [IDLE ms] [TIME unix-time-milliseconds] "
                "[RETRYCOUNT count] [FORCE] [JUSTID] [LASTID lastid]",
      .tips = "nondeterministic_output" },
    { .name = NULL },
};
