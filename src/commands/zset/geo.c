/* geo.c: places on the earth: sorted sets whose scores are cells (geohash.h). Adding, and asking about
 * members; what is near is geo_search.c. */
#include "geo.h"
#include "trivet/base/buf.h"
#include "trivet/base/mem.h"
#include "trivet/commands/arguments/refuse.h"
#include "trivet/commands/groups.h"
#include <stdio.h>

/* ---- arguments and replies ---- */

bool geo_point_argument(struct call *c, size_t index, struct geo_point *p) {
    if (!double_parse(c->argv[index], &p->longitude) || !double_parse(c->argv[index + 1], &p->latitude)) {
        reply_error(c->out, ERR_NOT_FLOAT);
        return false;
    }
    if (geo_is_valid(*p)) return true;
    reply_error_printf(c->out, "ERR invalid longitude,latitude pair %f,%f", p->longitude, p->latitude);
    return false;
}

bool geo_unit_argument(struct call *c, size_t index, double *metres) {
    static const struct {
        const char *name;
        double metres;
    } units[] = { { "m", 1 }, { "km", 1000 }, { "ft", 0.3048 }, { "mi", 1609.34 } };
    for (size_t i = 0; i < COUNT_OF(units); i++) {
        if (!call_is(c, index, units[i].name)) continue;
        *metres = units[i].metres;
        return true;
    }
    reply_error_text(c->out, LIT("ERR unsupported unit provided. please use M, KM, FT, MI"));
    return false;
}

bool geo_length_argument(struct call *c, size_t index, const char *what, double *n) {
    if (!double_parse(c->argv[index], n)) {
        reply_error_printf(c->out, "ERR need numeric %s", what);
        return false;
    }
    return true;
}

void geo_reply_distance(struct reply *out, double distance) { reply_bulk_printf(out, "%.4f", distance); }

/* Up to 17 decimals. */
static void reply_coordinate(struct reply *out, double n) {
    char text[LONG_DOUBLE_TEXT_MAX];
    size_t len = long_double_format(text, n);
    if (out->protocol == 2) {
        reply_bulk(out, slice_make(text, len));
        return;
    }
    char wire[DOUBLE_TEXT_MAX];
    int total = snprintf(wire, sizeof wire, ",%.*s\r\n", (int)len, text);
    reply_raw(out, slice_make(wire, (size_t)total));
}

void geo_reply_point(struct reply *out, struct geo_point p) {
    reply_array(out, 2);
    reply_coordinate(out, p.longitude);
    reply_coordinate(out, p.latitude);
}

/* ---- GEOADD ---- */

struct add_plan {
    unsigned conditions;
    bool count_changed; /* CH */
    size_t first;       /* argument: the first longitude */
};

static bool read_add_plan(struct call *c, struct add_plan *plan) {
    *plan = (struct add_plan){ .first = 2 };
    for (; plan->first < c->argc; plan->first++) {
        if (call_is(c, plan->first, "NX"))
            plan->conditions |= ZSET_IF_MISSING;
        else if (call_is(c, plan->first, "XX"))
            plan->conditions |= ZSET_IF_PRESENT;
        else if (call_is(c, plan->first, "CH"))
            plan->count_changed = true;
        else
            break;
    }
    size_t left = c->argc - plan->first;
    if (left > 0 && left % 3 == 0 && plan->conditions != (ZSET_IF_MISSING | ZSET_IF_PRESENT)) return true;
    return refuse_syntax(c);
}

static bool points_are_valid(struct call *c, size_t first) {
    struct geo_point p;
    for (size_t i = first; i < c->argc; i += 3)
        if (!geo_point_argument(c, i, &p)) return false;
    return true;
}

/* Puts all points into the set; returns how many members were added, and how many changed beside those. */
static void put_points(struct call *c, const struct add_plan *plan, struct value *v, size_t *added,
                       size_t *updated) {
    for (size_t i = plan->first; i < c->argc; i += 3) {
        struct geo_point p = { 0, 0 };
        bool valid = double_parse(c->argv[i], &p.longitude) && double_parse(c->argv[i + 1], &p.latitude);
        assert(valid); /* checked before */
        double score = geo_score(p);
        enum zset_outcome outcome = zset_put(v, c->argv[i + 2], &score, plan->conditions);
        if (outcome == ZSET_ADDED) ++*added;
        if (outcome == ZSET_UPDATED) ++*updated;
    }
}

/* GEOADD key [NX | XX] [CH] longitude latitude member [longitude latitude member ...] */
static void cmd_geoadd(struct call *c) {
    struct keyspace_change zset;
    struct add_plan plan;
    if (!read_add_plan(c, &plan) || !points_are_valid(c, plan.first)) return;
    if (!change_open(c, c->argv[1], TYPE_ZSET, &zset)) return;
    if (!zset.entry && (plan.conditions & ZSET_IF_PRESENT)) {
        reply_int(c->out, 0);
        return;
    }
    size_t added = 0, updated = 0;
    if (!zset.entry) zset.value = zset_new();
    put_points(c, &plan, &zset.value, &added, &updated);
    reply_int(c->out, (int64_t)(plan.count_changed ? added + updated : added));
    change_close(c, &zset, added + updated, "zadd", EFFECT_SAME(c));
}

/* ---- asking about members ---- */

/* The sorted set of the key; false after replying that it is something else. *v has no pointer if there is
 * none. */
static bool read_places(struct call *c, struct value *v) {
    struct entry *e = keyspace_read(&c->view, c->argv[1]);
    if (!is_type_or_missing(c, e, TYPE_ZSET)) return false;
    *v = e ? entry_value(e) : (struct value){ NULL, ENCODING_LISTPACK };
    return true;
}

static bool find_place(struct value v, struct slice member, struct geo_point *p) {
    double score;
    if (!v.ptr || !zset_score(v, member, &score)) return false;
    *p = geo_point_of(score);
    return true;
}

/* GEOHASH key [member ...] */
static void cmd_geohash(struct call *c) {
    struct value v;
    if (!read_places(c, &v)) return;
    reply_array(c->out, c->argc - 2);
    for (size_t i = 2; i < c->argc; i++) {
        struct geo_point p;
        char text[GEOHASH_TEXT];
        if (find_place(v, c->argv[i], &p)) {
            geo_text(p, text);
            reply_bulk(c->out, slice_make(text, sizeof text));
        } else {
            reply_null(c->out);
        }
    }
}

/* GEOPOS key [member ...] */
static void cmd_geopos(struct call *c) {
    struct value v;
    if (!read_places(c, &v)) return;
    reply_array(c->out, c->argc - 2);
    for (size_t i = 2; i < c->argc; i++) {
        struct geo_point p;
        if (find_place(v, c->argv[i], &p))
            geo_reply_point(c->out, p);
        else
            reply_null_array(c->out);
    }
}

/* GEODIST key member1 member2 [M | KM | FT | MI] */
static void cmd_geodist(struct call *c) {
    struct value v;
    struct geo_point a, b;
    double metres = 1;
    if (c->argc == 5 && !geo_unit_argument(c, 4, &metres)) return;
    if (c->argc > 5) {
        reply_error(c->out, ERR_SYNTAX);
        return;
    }
    if (!read_places(c, &v)) return;
    if (find_place(v, c->argv[2], &a) && find_place(v, c->argv[3], &b))
        geo_reply_distance(c->out, geo_distance(a, b) / metres);
    else
        reply_null(c->out);
}

const struct command geo_commands[] = {
    { .name = "GEOADD", .run = cmd_geoadd, .arity = -5, .kind = KEYED, .flags = WRITES | GROWS,
      .categories = CAT_GEO,
      .keys = { KEY(KEY_RW | KEY_UPDATE) }, .since = "3.2.0", .summary = "Adds places to a sorted set.",
      .complexity = "O(log(N)) for each place, where N is the number of members.",
      .syntax = "key [NX | XX] [CH] longitude latitude member [longitude latitude member ...]" },
    { .name = "GEODIST", .run = cmd_geodist, .arity = -4, .kind = KEYED, .flags = READS,
      .categories = CAT_GEO,
      .keys = { KEY(KEY_RO | KEY_ACCESS) }, .since = "3.2.0",
      .summary = "Returns the distance of two members.",
      .complexity = "O(1)", .syntax = "key member1 member2 [M | KM | FT | MI]" },
    { .name = "GEOHASH", .run = cmd_geohash, .arity = -2, .kind = KEYED, .flags = READS,
      .categories = CAT_GEO,
      .keys = { KEY(KEY_RO | KEY_ACCESS) }, .since = "3.2.0", .summary = "Returns members as geohash texts.",
      .complexity = "O(1) for each member.", .syntax = "key [member [member ...]]" },
    { .name = "GEOPOS", .run = cmd_geopos, .arity = -2, .kind = KEYED, .flags = READS, .categories = CAT_GEO,
      .keys = { KEY(KEY_RO | KEY_ACCESS) }, .since = "3.2.0",
      .summary = "Returns the longitudes and latitudes of members.", .complexity = "O(1) for each member.",
      .syntax = "key [member [member ...]]" },
    { .name = NULL },
};
