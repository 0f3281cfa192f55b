/* cluster_slot_stats.c: CLUSTER SLOT-STATS: what the slots of this shard hold and cost. */
#include "cluster.h"
#include "trivet/base/mem.h"
#include "trivet/base/number.h"
#include "trivet/keyspace/keyspace.h"
#include "trivet/keyspace/slot_stats.h"
#include <stdlib.h>

/* In the order in which they are told. */
static const struct {
    const char *name;
    bool is_counted; /* there only while cluster-slot-stats-enabled is on */
    enum slot_metric metric;
    uint64_t unit;
} metrics[] = {
    { "key-count", false, 0, 1 },
    { "cpu-usec", true, SLOT_CPU_NS, 1000 },
    { "network-bytes-in", true, SLOT_BYTES_IN, 1 },
    { "network-bytes-out", true, SLOT_BYTES_OUT, 1 },
};

static size_t metrics_told(void) { return slot_stats_on ? COUNT_OF(metrics) : 1; }

static uint64_t keys_of(uint16_t slot) {
    uint64_t count = 0;
    for (uint32_t db = 0; db < keyspace_databases(); db++) count += keyspace_slot_count(db, slot);
    return count;
}

static uint64_t value_of(size_t metric, uint16_t slot) {
    if (!metrics[metric].is_counted) return keys_of(slot);
    return slot_stats_get(slot, metrics[metric].metric) / metrics[metric].unit;
}

/* A replica tells of its primary's slots. */
static bool is_of_this_shard(unsigned slot) {
    const struct cluster_node *self = member->state.self, *owner = member->state.owners[slot];
    return owner && owner == (node_is_primary(self) ? self : self->primary);
}

static void reply_slot(struct call *c, uint16_t slot) {
    reply_array(c->out, 2);
    reply_int(c->out, slot);
    reply_map(c->out, metrics_told());
    for (size_t i = 0; i < metrics_told(); i++) {
        reply_bulk(c->out, slice_of(metrics[i].name));
        reply_int(c->out, (int64_t)value_of(i, slot));
    }
}

/* ---- SLOTSRANGE ---- */

static void reply_range(struct call *c) {
    unsigned first, last;
    size_t count = 0;
    if (!slot_argument(c, 3, &first) || !slot_argument(c, 4, &last)) return;
    if (first > last) {
        reply_error_printf(c->out, "ERR Start slot number %u is greater than end slot number %u", first,
                           last);
        return;
    }
    for (unsigned slot = first; slot <= last; slot++) count += is_of_this_shard(slot);
    reply_array(c->out, count);
    for (unsigned slot = first; slot <= last; slot++)
        if (is_of_this_shard(slot)) reply_slot(c, (uint16_t)slot);
}

/* ---- ORDERBY ---- */

struct ranking {
    size_t metric;
    size_t limit;
    bool rises;
};

struct ranked {
    uint64_t value;
    uint16_t slot;
};

static bool read_metric(struct call *c, size_t *metric) {
    for (*metric = 0; *metric < metrics_told(); ++*metric)
        if (call_is(c, 3, metrics[*metric].name)) return true;
    reply_error_text(c->out, LIT("ERR Unrecognized sort metric for ORDERBY."));
    return false;
}

static bool read_limit(struct call *c, size_t at, size_t *limit) {
    int64_t n;
    if (!int64_parse(c->argv[at], &n) || n < 1 || n > (int64_t)SLOT_COUNT) {
        reply_error_text(c->out,
                         LIT("ERR Limit has to lie in between 1 and 16384 (maximum number of slots)."));
        return false;
    }
    *limit = (size_t)n;
    return true;
}

static bool read_ranking(struct call *c, struct ranking *r) {
    size_t limits = 0, orders = 0;
    *r = (struct ranking){ .limit = SLOT_COUNT };
    if (!read_metric(c, &r->metric)) return false;
    for (size_t i = 4; i < c->argc; i++) {
        if (call_is(c, i, "limit") && i + 1 < c->argc) {
            if (!read_limit(c, ++i, &r->limit)) return false;
            limits++;
        } else if (call_is(c, i, "asc") || call_is(c, i, "desc")) {
            r->rises = call_is(c, i, "asc");
            orders++;
        } else {
            reply_error(c->out, ERR_SYNTAX);
            return false;
        }
        if (limits <= 1 && orders <= 1) continue;
        reply_error_text(c->out, LIT("ERR Multiple filters of the same type are disallowed."));
        return false;
    }
    return true;
}

/* Slots that are equal stand in the order of their numbers, whichever way the values go. */
static int compare_rising(const void *a, const void *b) {
    const struct ranked *x = a, *y = b;
    if (x->value != y->value) return x->value < y->value ? -1 : 1;
    return x->slot < y->slot ? -1 : 1;
}

static int compare_falling(const void *a, const void *b) {
    const struct ranked *x = a, *y = b;
    if (x->value != y->value) return x->value > y->value ? -1 : 1;
    return x->slot < y->slot ? -1 : 1;
}

static void reply_ranking(struct call *c) {
    struct ranking r;
    size_t count = 0;
    if (!read_ranking(c, &r)) return;
    struct ranked *all = mem_alloc(SLOT_COUNT * sizeof *all);
    for (unsigned slot = 0; slot < SLOT_COUNT; slot++)
        if (is_of_this_shard(slot))
            all[count++] = (struct ranked){ value_of(r.metric, (uint16_t)slot), (uint16_t)slot };
    qsort(all, count, sizeof *all, r.rises ? compare_rising : compare_falling);
    if (count > r.limit) count = r.limit;
    reply_array(c->out, count);
    for (size_t i = 0; i < count; i++) reply_slot(c, all[i].slot);
    mem_free(all);
}

/* CLUSTER SLOT-STATS SLOTSRANGE first last | ORDERBY metric [LIMIT n] [ASC | DESC] */
void cmd_cluster_slot_stats(struct call *c) {
    if (!is_node(c)) return;
    if (c->argc == 5 && call_is(c, 2, "slotsrange"))
        reply_range(c);
    else if (call_is(c, 2, "orderby"))
        reply_ranking(c);
    else
        reply_error_printf(
            c->out, "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try CLUSTER HELP.",
            SLICE_ARG(c->argv[1]));
}
