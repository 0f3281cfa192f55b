/* gen_geo.c: random commands of group geo. Members lie together in a few regions, so that searches find some
 * of them. */
#include "differential.h"

static void add_geo_key(struct chance *c, struct words *w) {
    if (chance_of(c, 8))
        add_key(c, w);
    else
        words_printf(w, "geo:%zu", chance_below(c, 4));
}

static void add_place(struct chance *c, struct words *w) {
    static const double regions[][2] = { { 13.4, 52.5 }, { 0, 0 },   { 179.9, -20 },
                                         { -179.9, 70 }, { 30, 84 }, { 15, 37 } };
    size_t r = chance_below(c, COUNT_OF(regions));
    double spread = chance_of(c, 50) ? 0.1 : 3, x = (double)chance_below(c, 20001) / 10000 - 1,
           y = (double)chance_below(c, 20001) / 10000 - 1;
    if (chance_of(c, 1)) spread = 200;
    words_printf(w, "%.6f", regions[r][0] + x * spread);
    words_printf(w, "%.6f", regions[r][1] + y * spread);
}

static void add_place_name(struct chance *c, struct words *w) {
    words_printf(w, "p%zu", chance_below(c, 400));
}

static void add_unit(struct chance *c, struct words *w) {
    static const char *const units[] = { "m", "km", "FT", "mi", NULL };
    words_add_str(w, chance_of(c, 1) ? "xx" : chance_pick(c, units));
}

static void add_distance(struct chance *c, struct words *w) {
    static const char *const lengths[] = { "0",        "10",       "1000", "200000.5", "20000",
                                           "10000000", "30000000", "500",  NULL };
    words_add_str(w, chance_of(c, 1) ? "-1" : chance_of(c, 1) ? "a" : chance_pick(c, lengths));
}

static void make_geoadd(struct chance *c, struct script *s) {
    static const char *const words[] = { "NX", "XX", "CH", "ch", NULL };
    struct words *w = script_command(s, COMPARE_EXACT, "GEOADD");
    add_geo_key(c, w);
    if (chance_of(c, 20)) words_add_str(w, chance_pick(c, words));
    if (chance_of(c, 5)) words_add_str(w, chance_pick(c, words));
    for (size_t i = 1 + chance_below(c, 5); i > 0; i--) {
        add_place(c, w);
        add_place_name(c, w);
    }
}

static void make_about_members(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, chance_of(c, 50) ? "GEOPOS" : "GEOHASH");
    add_geo_key(c, w);
    for (size_t i = chance_below(c, 4); i > 0; i--) add_place_name(c, w);
}

static void make_geodist(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, "GEODIST");
    add_geo_key(c, w);
    add_place_name(c, w);
    add_place_name(c, w);
    if (chance_of(c, 60)) add_unit(c, w);
}

/* COUNT with ANY, or without an order of equal distances, may take any of them: the reference's first ones
 * are those of the same cells, so even these must agree. */
static void add_options(struct chance *c, struct words *w, bool with) {
    if (chance_of(c, 40)) words_add_str(w, chance_of(c, 50) ? "ASC" : "desc");
    if (chance_of(c, 30)) {
        words_add_str(w, "COUNT");
        words_printf(w, "%zu", chance_below(c, 20));
        if (chance_of(c, 30)) words_add_str(w, "ANY");
    }
    if (!with) return;
    if (chance_of(c, 30)) words_add_str(w, "WITHDIST");
    if (chance_of(c, 30)) words_add_str(w, "WITHCOORD");
    if (chance_of(c, 30)) words_add_str(w, "withhash");
}

static void add_centre(struct chance *c, struct words *w) {
    if (chance_of(c, 50)) {
        words_add_str(w, "FROMMEMBER");
        add_place_name(c, w);
    } else {
        words_add_str(w, "FROMLONLAT");
        add_place(c, w);
    }
}

static void add_shape(struct chance *c, struct words *w) {
    bool circle = chance_of(c, 50);
    words_add_str(w, circle ? "BYRADIUS" : "BYBOX");
    add_distance(c, w);
    if (!circle) add_distance(c, w);
    add_unit(c, w);
}

static void make_geosearch(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, "GEOSEARCH");
    add_geo_key(c, w);
    if (chance_of(c, 98)) add_centre(c, w);
    add_shape(c, w);
    add_options(c, w, true);
}

static void make_geosearchstore(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, "GEOSEARCHSTORE");
    words_printf(w, "geo:%zu", 4 + chance_below(c, 2));
    add_geo_key(c, w);
    add_centre(c, w);
    add_shape(c, w);
    add_options(c, w, chance_of(c, 3)); /* no STOREDIST: Redis 7.0 writes such scores with more digits */
}

static void make_georadius(struct chance *c, struct script *s) {
    bool member = chance_of(c, 50), read_only = chance_of(c, 30);
    struct words *w = script_command(s, COMPARE_EXACT,
                                     member      ? read_only ? "GEORADIUSBYMEMBER_RO" : "GEORADIUSBYMEMBER"
                                     : read_only ? "GEORADIUS_RO"
                                                 : "GEORADIUS");
    bool stores = chance_of(c, 20);
    add_geo_key(c, w);
    if (member)
        add_place_name(c, w);
    else
        add_place(c, w);
    add_distance(c, w);
    add_unit(c, w);
    add_options(c, w, !stores || chance_of(c, 3));
    if (!stores) return;
    words_add_str(w, "STORE");
    words_printf(w, "geo:%zu", 4 + chance_below(c, 2));
}

static void make_drop(struct chance *c, struct script *s) {
    add_geo_key(c, script_command(s, COMPARE_EXACT, "DEL"));
}

const struct generator geo_generators[] = {
    { "GEOADD", 14, make_geoadd },     { "GEOPOS", 4, make_about_members }, { "GEODIST", 4, make_geodist },
    { "GEOSEARCH", 10, make_geosearch }, { "GEOSEARCHSTORE", 3, make_geosearchstore },
    { "GEORADIUS", 8, make_georadius }, { "geo-DEL", 1, make_drop },         { NULL, 0, NULL },
};
