/* geo_search.c: what is near: GEOSEARCH and GEOSEARCHSTORE, and GEORADIUS in its four older spellings.
 *
 * The shape is covered by a few ranges of scores (geohash.h); each member in them is then measured. */
#include "geo.h"
#include "trivet/base/buf.h"
#include "trivet/base/mem.h"
#include "trivet/commands/arguments/integer.h"
#include "trivet/commands/groups.h"
#include "trivet/engine/command/registry.h"
#include <math.h>
#include <stdlib.h>

enum shape { SHAPE_NONE, SHAPE_CIRCLE, SHAPE_BOX, SHAPE_POLYGON };
enum order { ORDER_NONE, ORDER_RISING, ORDER_FALLING };
enum spelling { BY_POINT, BY_MEMBER, BY_OPTIONS, BY_OPTIONS_STORE };

/* A member that was found; its name is in the search's texts. */
struct found {
    size_t at, len;
    double score, distance;
    struct geo_point point;
};

struct search {
    struct call *call;
    enum spelling spelling;
    bool may_store;
    struct value places; /* ptr NULL: no such key */
    enum shape shape;
    bool has_centre;
    struct geo_point centre;
    double unit;                  /* metres */
    double radius, width, height; /* in that unit */
    struct geo_point *corners;
    size_t corner_count;
    bool with_distance, with_hash, with_point, any, store_distances;
    int64_t count; /* 0: all */
    enum order order;
    struct slice store; /* ptr NULL: reply */
    struct found *found;
    size_t found_count, found_room;
    struct buf texts;
};

/* ---- arguments ---- */

static bool refuse(struct search *s, const char *why) {
    reply_error_text(s->call->out, slice_of(why));
    return false;
}

static bool read_radius(struct search *s, size_t at) {
    if (!geo_length_argument(s->call, at, "radius", &s->radius)) return false;
    if (s->radius < 0) return refuse(s, "ERR radius cannot be negative");
    s->shape = SHAPE_CIRCLE;
    return geo_unit_argument(s->call, at + 1, &s->unit);
}

static bool read_box(struct search *s, size_t at) {
    if (!geo_length_argument(s->call, at, "width", &s->width) ||
        !geo_length_argument(s->call, at + 1, "height", &s->height))
        return false;
    if (s->height < 0 || s->width < 0) return refuse(s, "ERR height or width cannot be negative");
    s->shape = SHAPE_BOX;
    return geo_unit_argument(s->call, at + 2, &s->unit);
}

/* The number of corners at argument *at, then the corners; *at moves to the last of them. Distances are
 * measured from the mean direction of the corners. */
static bool read_polygon(struct search *s, size_t *at) {
    struct call *c = s->call;
    int64_t count;
    if (!integer_argument(c, *at, &count)) return false;
    if (count < 3 || (uint64_t)count > (c->argc - *at - 1) / 2)
        return refuse(s, "ERR GEOSEARCH BYPOLYGON must have at least 3 vertices");
    s->corner_count = (size_t)count;
    s->corners = mem_alloc(s->corner_count * sizeof *s->corners);
    for (size_t i = 0; i < s->corner_count; i++)
        if (!geo_point_argument(c, *at + 1 + 2 * i, &s->corners[i])) return false;
    s->centre = geo_mean_direction(s->corners, s->corner_count);
    *at += 2 * s->corner_count;
    s->shape = SHAPE_POLYGON;
    s->unit = 1;
    return true;
}

/* The place of a member becomes the centre; without a key there is nothing to find, and so no centre needed.
 */
static bool read_member(struct search *s, size_t at) {
    double score;
    s->has_centre = true;
    if (!s->places.ptr) return true;
    struct slice member = s->call->argv[at];
    if (!zset_score(s->places, member, &score)) {
        reply_error_printf(s->call->out, "ERR member %.*s does not exist", SLICE_ARG(member));
        return false;
    }
    s->centre = geo_point_of(score);
    return true;
}

static bool read_count(struct search *s, size_t at) {
    if (!int64_parse(s->call->argv[at], &s->count)) {
        reply_error(s->call->out, ERR_NOT_INT);
        return false;
    }
    return s->count > 0 || refuse(s, "ERR COUNT must be > 0");
}

enum reading { READ, UNKNOWN, REFUSED };

static enum reading judged(bool good) { return good ? READ : REFUSED; }

/* Words that all spellings know. */
static enum reading read_common(struct search *s, size_t *at) {
    struct call *c = s->call;
    size_t i = *at;
    if (call_is(c, i, "WITHDIST"))
        s->with_distance = true;
    else if (call_is(c, i, "WITHHASH"))
        s->with_hash = true;
    else if (call_is(c, i, "WITHCOORD"))
        s->with_point = true;
    else if (call_is(c, i, "ANY"))
        s->any = true;
    else if (call_is(c, i, "ASC"))
        s->order = ORDER_RISING;
    else if (call_is(c, i, "DESC"))
        s->order = ORDER_FALLING;
    else if (call_is(c, i, "COUNT") && i + 1 < c->argc)
        return judged(read_count(s, ++*at));
    else
        return UNKNOWN;
    return READ;
}

static enum reading read_store(struct search *s, size_t *at) {
    struct call *c = s->call;
    bool old = s->spelling < BY_OPTIONS, distances = call_is(c, *at, "STOREDIST");
    if (s->spelling == BY_OPTIONS_STORE && distances) {
        s->store_distances = true;
        return READ;
    }
    if (!old || !s->may_store || *at + 1 >= c->argc || !(distances || call_is(c, *at, "STORE")))
        return UNKNOWN;
    s->store_distances = distances;
    s->store = c->argv[++*at];
    return READ;
}

/* Where and how far, of GEOSEARCH. */
static enum reading read_shape(struct search *s, size_t *at) {
    struct call *c = s->call;
    size_t i = *at, left = c->argc - i - 1;
    if (s->spelling < BY_OPTIONS) return UNKNOWN;
    if (call_is(c, i, "FROMMEMBER") && left >= 1 && !s->has_centre) {
        *at += 1;
        return judged(read_member(s, i + 1));
    }
    if (call_is(c, i, "FROMLONLAT") && left >= 2 && !s->has_centre) {
        *at += 2;
        s->has_centre = true;
        return judged(geo_point_argument(c, i + 1, &s->centre));
    }
    if (s->shape != SHAPE_NONE) return UNKNOWN;
    if (call_is(c, i, "BYRADIUS") && left >= 2) {
        *at += 2;
        return judged(read_radius(s, i + 1));
    }
    if (call_is(c, i, "BYBOX") && left >= 3) {
        *at += 3;
        return judged(read_box(s, i + 1));
    }
    if (!call_is(c, i, "BYPOLYGON") || left < 1) return UNKNOWN;
    *at += 1;
    return judged(read_polygon(s, at));
}

static bool read_options(struct search *s, size_t from) {
    static enum reading (*const readers[])(struct search * s, size_t * at) = { read_common, read_store,
                                                                               read_shape };
    for (size_t at = from; at < s->call->argc; at++) {
        enum reading r = UNKNOWN;
        for (size_t i = 0; i < COUNT_OF(readers) && r == UNKNOWN; i++) r = readers[i](s, &at);
        if (r == UNKNOWN) reply_error(s->call->out, ERR_SYNTAX);
        if (r != READ) return false;
    }
    return true;
}

/* Do the options make sense together? */
static bool options_fit(struct search *s) {
    struct call *c = s->call;
    struct slice name = c->argv[0];
    if (s->store.ptr && (s->with_distance || s->with_hash || s->with_point)) {
        const char *who = s->spelling == BY_OPTIONS_STORE ? "GEOSEARCHSTORE" : "STORE option in GEORADIUS";
        reply_error_printf(c->out, "ERR %s is not compatible with WITHDIST, WITHHASH and WITHCOORD options",
                           who);
        return false;
    }
    bool polygon = s->shape == SHAPE_POLYGON;
    if (s->spelling >= BY_OPTIONS && s->has_centre == polygon) {
        if (polygon)
            reply_error(c->out, ERR_SYNTAX);
        else
            reply_error_printf(c->out,
                               "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for %.*s",
                               SLICE_ARG(name));
        return false;
    }
    if (s->shape == SHAPE_NONE) {
        reply_error_printf(c->out,
                           "ERR exactly one of BYRADIUS, BYBOX and BYPOLYGON can be specified for %.*s",
                           SLICE_ARG(name));
        return false;
    }
    if (s->any && s->count == 0) return refuse(s, "ERR the ANY argument requires COUNT argument");
    return true;
}

/* All arguments; false after replying what is wrong. */
static bool read_arguments(struct search *s) {
    switch (s->spelling) {
    case BY_POINT:
        if (!geo_point_argument(s->call, 2, &s->centre) || !read_radius(s, 4)) return false;
        return read_options(s, 6) && options_fit(s);
    case BY_MEMBER:
        s->shape = SHAPE_CIRCLE;
        if (s->places.ptr && (!read_member(s, 2) || !read_radius(s, 3))) return false;
        return read_options(s, 5) && options_fit(s);
    case BY_OPTIONS: return read_options(s, 2) && options_fit(s);
    case BY_OPTIONS_STORE: s->store = s->call->argv[1]; return read_options(s, 3) && options_fit(s);
    }
    return false;
}

/* ---- finding ---- */

/* Even and odd: how often a ray from the point to the east meets an edge. */
static bool is_in_polygon(const struct search *s, struct geo_point p) {
    bool inside = false;
    for (size_t i = 0, j = s->corner_count - 1; i < s->corner_count; j = i++) {
        struct geo_point a = s->corners[i], b = s->corners[j];
        if ((a.latitude > p.latitude) == (b.latitude > p.latitude)) continue;
        double part = (p.latitude - a.latitude) / (b.latitude - a.latitude);
        if (p.longitude < a.longitude + part * (b.longitude - a.longitude)) inside = !inside;
    }
    return inside;
}

static bool is_inside(const struct search *s, struct geo_point p, double *distance) {
    *distance = geo_distance(s->centre, p);
    if (s->shape == SHAPE_CIRCLE) return *distance <= s->radius * s->unit;
    if (s->shape == SHAPE_POLYGON) return is_in_polygon(s, p);
    if (geo_latitude_distance(p.latitude, s->centre.latitude) > s->height * s->unit / 2) return false;
    struct geo_point aside = { s->centre.longitude, p.latitude };
    return geo_distance(p, aside) <= s->width * s->unit / 2;
}

/* True if that is enough. */
static bool add_found(struct search *s, struct slice member, struct found f) {
    if (s->found_count == s->found_room) {
        s->found_room = s->found_room ? 2 * s->found_room : 32;
        s->found = mem_realloc(s->found, s->found_room * sizeof *s->found);
    }
    f.at = s->texts.len;
    f.len = member.len;
    buf_append(&s->texts, member);
    s->found[s->found_count++] = f;
    return s->any && s->found_count >= (uint64_t)s->count;
}

static bool search_range(struct search *s, struct geo_range r) {
    size_t from = zset_before_score(s->places, r.first, false),
           to = zset_before_score(s->places, r.end, false);
    struct zset_walk w;
    if (from >= to) return false;
    zset_walk_begin(&w, s->places, from, to - from, false);
    while (zset_walk_next(&w)) {
        struct found f = { .score = w.score, .point = geo_point_of(w.score) };
        if (is_inside(s, f.point, &f.distance) && add_found(s, w.member, f)) return true;
    }
    return false;
}

static size_t cover(const struct search *s, struct geo_range *ranges) {
    if (s->shape == SHAPE_POLYGON) {
        struct geo_box box = { INFINITY, INFINITY, -INFINITY, -INFINITY };
        for (size_t i = 0; i < s->corner_count; i++) {
            box.west = fmin(box.west, s->corners[i].longitude);
            box.east = fmax(box.east, s->corners[i].longitude);
            box.south = fmin(box.south, s->corners[i].latitude);
            box.north = fmax(box.north, s->corners[i].latitude);
        }
        return geo_cover_box(box, ranges);
    }
    bool circle = s->shape == SHAPE_CIRCLE;
    double half_width = s->unit * (circle ? s->radius : s->width / 2);
    double half_height = s->unit * (circle ? s->radius : s->height / 2);
    double reach =
        circle ? half_width : s->unit * sqrt(s->width / 2 * (s->width / 2) + s->height / 2 * (s->height / 2));
    return geo_cover_circle(s->centre, reach, geo_box_around(s->centre, half_width, half_height), ranges);
}

static int compare_rising(const void *left, const void *right) {
    const struct found *a = left, *b = right;
    if (a->distance != b->distance) return a->distance < b->distance ? -1 : 1;
    return a->at < b->at ? -1 : a->at > b->at;
}

static int compare_falling(const void *left, const void *right) {
    const struct found *a = left, *b = right;
    if (a->distance != b->distance) return a->distance > b->distance ? -1 : 1;
    return a->at < b->at ? -1 : a->at > b->at;
}

static void find_all(struct search *s) {
    struct geo_range ranges[GEO_RANGES_MAX];
    size_t count = cover(s, ranges);
    for (size_t i = 0; i < count && !search_range(s, ranges[i]); i++) continue;
    /* a count without an order means the nearest */
    if (s->count > 0 && s->order == ORDER_NONE && !s->any) s->order = ORDER_RISING;
    if (s->order != ORDER_NONE && s->found_count > 1)
        qsort(s->found, s->found_count, sizeof *s->found,
              s->order == ORDER_RISING ? compare_rising : compare_falling);
    if (s->count > 0 && s->found_count > (uint64_t)s->count) s->found_count = (size_t)s->count;
}

/* ---- results ---- */

static struct slice found_text(const struct search *s, const struct found *f) {
    return (struct slice){ f->len ? s->texts.ptr + f->at : "", f->len };
}

static void reply_found(struct search *s) {
    struct reply *out = s->call->out;
    size_t extras = (size_t)s->with_distance + s->with_hash + s->with_point;
    reply_array(out, s->found_count);
    for (size_t i = 0; i < s->found_count; i++) {
        const struct found *f = &s->found[i];
        if (extras) reply_array(out, 1 + extras);
        reply_bulk(out, found_text(s, f));
        if (s->with_distance) geo_reply_distance(out, f->distance / s->unit);
        if (s->with_hash) reply_int(out, (int64_t)f->score);
        if (s->with_point) geo_reply_point(out, f->point);
    }
}

static void store_found(struct search *s) {
    struct value v = zset_new();
    for (size_t i = 0; i < s->found_count; i++) {
        const struct found *f = &s->found[i];
        zset_add(&v, found_text(s, f), s->store_distances ? f->distance / s->unit : f->score);
    }
    zset_store(s->call, s->store, v, s->found_count,
               s->spelling == BY_OPTIONS_STORE ? "geosearchstore" : "georadiusstore");
}

static void search(struct call *c, enum spelling spelling, bool may_store) {
    struct search s = { .call = c, .spelling = spelling, .may_store = may_store };
    struct entry *e = keyspace_read(&c->view, c->argv[spelling == BY_OPTIONS_STORE ? 2 : 1]);
    if (!is_type_or_missing(c, e, TYPE_ZSET)) return;
    if (e) s.places = entry_value(e);
    if (read_arguments(&s)) {
        if (e) find_all(&s);
        if (s.store.ptr)
            store_found(&s);
        else
            reply_found(&s);
    }
    mem_free(s.corners);
    mem_free(s.found);
    buf_release(&s.texts);
}

/* GEOSEARCH key FROMMEMBER member | FROMLONLAT lon lat, BYRADIUS radius unit | BYBOX width height unit; or
 * BYPOLYGON ... */
static void cmd_geosearch(struct call *c) { search(c, BY_OPTIONS, false); }

/* GEOSEARCHSTORE destination source ... [STOREDIST] */
static void cmd_geosearchstore(struct call *c) { search(c, BY_OPTIONS_STORE, true); }

/* GEORADIUS key longitude latitude radius unit ... */
static void cmd_georadius(struct call *c) { search(c, BY_POINT, true); }
static void cmd_georadius_ro(struct call *c) { search(c, BY_POINT, false); }

/* GEORADIUSBYMEMBER key member radius unit ... */
static void cmd_georadiusbymember(struct call *c) { search(c, BY_MEMBER, true); }
static void cmd_georadiusbymember_ro(struct call *c) { search(c, BY_MEMBER, false); }

/* The key, and those of every STORE and STOREDIST: the last one counts, but all of them may be locked. */
static bool find_radius_keys(const struct slice *argv, size_t argc, struct key_positions *out) {
    key_positions_add(out, 1, KEY_RO | KEY_ACCESS);
    for (size_t i = 5; i + 1 < argc; i++)
        if (slice_equal_nocase(argv[i], LIT("STORE")) || slice_equal_nocase(argv[i], LIT("STOREDIST")))
            key_positions_add(out, ++i, KEY_OW | KEY_UPDATE);
    return true;
}

#define NEAR_COMPLEXITY \
    "O(N+log(M)) where N is the number of members in the box around the shape and M that of all members."
#define SEARCH_SYNTAX                                                                                        \
    "[FROMMEMBER member | FROMLONLAT longitude latitude] <BYRADIUS radius <M | KM | FT | MI> | BYBOX width " \
    "height <M | KM | FT | MI> | BYPOLYGON num-vertices longitude latitude [longitude latitude ...]> "       \
    "[ASC | DESC] [COUNT count [ANY]]"
#define RADIUS_SYNTAX \
    " radius <M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] [ASC | DESC]"
#define STORE_SYNTAX " [STORE key | STOREDIST key]"
#define STORE_KEY(word, from)                                                                     \
    {                                                                                             \
        .flags = KEY_OW | KEY_UPDATE, .begin = BEGIN_KEYWORD, .keyword = (word), .index = (from), \
        .find = FIND_RANGE, .last = 0, .step = 1                                                  \
    }
#define OLD_FACTS \
    .kind = KEYED, .categories = CAT_GEO, .complexity = NEAR_COMPLEXITY, .deprecated_since = "6.2.0"

const struct command geo_search_commands[] = {
    { .name = "GEORADIUS", .run = cmd_georadius, .arity = -6, OLD_FACTS,
      .flags = WRITES | GROWS | MOVABLE_KEYS | DEPRECATED, .find_keys = find_radius_keys,
      .keys = { KEY(KEY_RO | KEY_ACCESS), STORE_KEY("STORE", 6), STORE_KEY("STOREDIST", 6) },
      .since = "3.2.0",
      .summary = "Finds members around a place, and may store them.",
      .syntax = "key longitude latitude" RADIUS_SYNTAX STORE_SYNTAX,
      .replaced_by = "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument" },
    { .name = "GEORADIUSBYMEMBER", .run = cmd_georadiusbymember, .arity = -5, OLD_FACTS,
      .flags = WRITES | GROWS | MOVABLE_KEYS | DEPRECATED, .find_keys = find_radius_keys,
      .keys = { KEY(KEY_RO | KEY_ACCESS), STORE_KEY("STORE", 5), STORE_KEY("STOREDIST", 5) },
      .since = "3.2.0",
      .summary = "Finds members around another one, and may store them.",
      .syntax = "key member" RADIUS_SYNTAX STORE_SYNTAX,
      .replaced_by = "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` arguments" },
    { .name = "GEORADIUSBYMEMBER_RO", .run = cmd_georadiusbymember_ro, .arity = -5, OLD_FACTS,
      .flags = READS | DEPRECATED, .keys = { KEY(KEY_RO | KEY_ACCESS) }, .since = "3.2.10",
      .summary = "Finds members around another one.", .syntax = "key member" RADIUS_SYNTAX,
      .replaced_by = "`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments" },
    { .name = "GEORADIUS_RO", .run = cmd_georadius_ro, .arity = -6, OLD_FACTS, .flags = READS | DEPRECATED,
      .keys = { KEY(KEY_RO | KEY_ACCESS) }, .since = "3.2.10", .summary = "Finds members around a place.",
      .syntax = "key longitude latitude" RADIUS_SYNTAX,
      .replaced_by = "`GEOSEARCH` with the `BYRADIUS` argument" },
    { .name = "GEOSEARCH", .run = cmd_geosearch, .arity = -7, .kind = KEYED, .flags = READS,
      .categories = CAT_GEO,
      .keys = { KEY(KEY_RO | KEY_ACCESS) }, .since = "6.2.0",
      .summary = "Finds members inside a circle, a box or a polygon.", .complexity = NEAR_COMPLEXITY,
      .syntax = "key " SEARCH_SYNTAX " [WITHCOORD] [WITHDIST] [WITHHASH]" },
    { .name = "GEOSEARCHSTORE", .run = cmd_geosearchstore, .arity = -8, .kind = KEYED,
      .flags = WRITES | GROWS,
      .categories = CAT_GEO, .keys = { KEY(KEY_OW | KEY_UPDATE), KEY_AT(2, KEY_RO | KEY_ACCESS) },
      .since = "6.2.0",
      .summary = "Stores members inside a circle, a box or a polygon.", .complexity = NEAR_COMPLEXITY,
      .syntax = "destination source " SEARCH_SYNTAX " [STOREDIST]" },
    { .name = NULL },
};
