/* test_geo.c: the commands of group geo over the wire. Numbers are those of Redis 7.0 for the same places. */
#include "../harness/fixture.h"

#define UNIT "-ERR unsupported unit provided. please use M, KM, FT, MI"
#define SYNTAX "-ERR syntax error"
#define NO_MEMBER "-ERR member none does not exist"
#define VERTICES "-ERR GEOSEARCH BYPOLYGON must have at least 3 vertices"
#define SICILY "GEOADD s 13.361389 38.115556 Palermo 15.087269 37.502669 Catania"

static void places_are_added_and_asked_about(void **state) {
    static const struct exchange rows[] = {
        { SICILY, ":2" },
        { SICILY, ":0" },
        { "ZSCORE s Palermo", "$\"3479099956230698\"" },
        { "GEODIST s Palermo Catania", "$\"166274.1516\"" },
        { "GEODIST s Palermo Catania km", "$\"166.2742\"" },
        { "GEODIST s Palermo none", "$-1" },
        { "GEODIST none a b", "$-1" },
        { "GEOHASH s Palermo none Catania", "*[$\"sqc8b49rny0\", $-1, $\"sqdtr74hyu0\"]" },
        { "GEOPOS s Palermo none", "*[*[$\"13.36138933897018433\", $\"38.11555639549629859\"], *-1]" },
        { "GEOPOS none a", "*[*-1]" },
        { "GEOADD s XX CH 13 38 Palermo 1 1 New", ":1" },
        { "GEOADD s NX 1 1 Palermo", ":0" },
        { "GEOADD none XX 1 1 a", ":0" },
        { "EXISTS none", ":0" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void a_search_finds_what_is_in_the_shape(void **state) {
    static const struct exchange rows[] = {
        { SICILY, ":2" },
        { "GEOADD s 12.758489 38.788135 edge1 17.241510 38.788135 edge2", ":2" },
        { "GEOSEARCH s FROMLONLAT 15 37 BYRADIUS 200 km ASC", "*[$\"Catania\", $\"Palermo\"]" },
        { "GEOSEARCH s FROMLONLAT 15 37 BYBOX 400 400 km ASC WITHDIST",
          "*[*[$\"Catania\", $\"56.4413\"], *[$\"Palermo\", $\"190.4424\"], *[$\"edge2\", $\"279.7403\"], "
          "*[$\"edge1\", $\"279.7405\"]]" },
        { "GEOSEARCH s FROMMEMBER Catania BYRADIUS 0 m WITHHASH WITHCOORD",
          "*[*[$\"Catania\", :3479447370796909, *[$\"15.08726745843887329\", $\"37.50266842333162032\"]]]" },
        { "GEOSEARCH s FROMLONLAT 15 37 BYRADIUS 200 km COUNT 1", "*[$\"Catania\"]" },
        { "GEOSEARCH s FROMLONLAT 15 37 BYRADIUS 200 km DESC COUNT 1", "*[$\"Palermo\"]" },
        { "GEOSEARCH s BYPOLYGON 4 13 37 16 37 16 39 13 39 ASC", "*[$\"Catania\", $\"Palermo\"]" },
        { "GEOSEARCH s BYPOLYGON 3 14 37 16 37 15 38 ASC", "*[$\"Catania\"]" },
        { "GEORADIUS s 15 37 200 km ASC", "*[$\"Catania\", $\"Palermo\"]" },
        { "GEORADIUSBYMEMBER_RO s Palermo 10 km", "*[$\"Palermo\"]" },
        { "GEOSEARCH none FROMMEMBER a BYRADIUS 1 m", "*[]" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void a_polygon_is_measured_from_the_mean_direction_of_its_corners(void **state) {
    static const struct exchange rows[] = {
        { "GEOADD wide 0 35 south 0 45 north", ":2" },
        { "GEOSEARCH wide BYPOLYGON 3 -60 50 60 50 0 0 ASC WITHDIST",
          "*[*[$\"north\", $\"222111.0776\"], *[$\"south\", $\"890152.1666\"]]" },
        { "GEOSEARCH wide BYPOLYGON 3 -60 50 60 50 0 0 COUNT 1", "*[$\"north\"]" },
        { SICILY, ":2" },
        { "GEOSEARCH s BYPOLYGON 3 10 30 20 30 15 45 DESC WITHDIST",
          "*[*[$\"Palermo\", $\"369997.5654\"], *[$\"Catania\", $\"271790.7291\"]]" },
        { "GEOSEARCH s BYPOLYGON 4 12 36 16 36 16 39 12 39 COUNT 1 DESC WITHDIST",
          "*[*[$\"Catania\", $\"...\"]]" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void a_search_may_be_stored(void **state) {
    static const struct exchange rows[] = {
        { SICILY, ":2" },
        { "GEOSEARCHSTORE d s FROMLONLAT 15 37 BYRADIUS 100 km", ":1" },
        { "ZRANGE d 0 -1 WITHSCORES", "*[$\"Catania\", $\"3479447370796909\"]" },
        { "GEOSEARCHSTORE d s FROMLONLAT 15 37 BYRADIUS 100 km STOREDIST", ":1" },
        { "ZRANGE d 0 -1 WITHSCORES", "*[$\"Catania\", $\"56.4412578701582\"]" },
        { "GEORADIUS s 15 37 200 km STORE d", ":2" },
        { "ZCARD d", ":2" },
        { "GEORADIUS s 100 37 1 km STORE d", ":0" },
        { "EXISTS d", ":0" },
        { "GEORADIUSBYMEMBER none a 1 km STORE s", ":0" },
        { "EXISTS s", ":0" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void what_is_wrong_is_refused(void **state) {
    static const struct exchange rows[] = {
        { "GEOADD k 200 100 m", "-ERR invalid longitude,latitude pair 200.000000,100.000000" },
        { "GEOADD k a 1 m", "-ERR value is not a valid float" },
        { "GEOADD k 1 1 m 200 1 n", "-ERR invalid longitude,latitude pair 200.000000,1.000000" },
        { "GEOADD k NX XX 1 1 m", SYNTAX },
        { "GEOADD k 1 1 m 2", SYNTAX },
        { "EXISTS k", ":0" },
        { "GEOADD k 1 1 m", ":1" },
        { "GEODIST k m m xx", UNIT },
        { "GEODIST k m m m m", SYNTAX },
        { "GEOSEARCH k FROMLONLAT 1 1 BYRADIUS 1 xx", UNIT },
        { "GEOSEARCH k FROMLONLAT 1 1 BYRADIUS a m", "-ERR need numeric radius" },
        { "GEOSEARCH k FROMLONLAT 1 1 BYRADIUS -1 m", "-ERR radius cannot be negative" },
        { "GEOSEARCH k FROMLONLAT 1 1 BYRADIUS 1 m COUNT 0", "-ERR COUNT must be > 0" },
        { "GEOSEARCH k FROMLONLAT 1 1 BYRADIUS 1 m ANY", "-ERR the ANY argument requires COUNT argument" },
        { "GEOSEARCH k FROMMEMBER none BYRADIUS 1 m", NO_MEMBER },
        { "GEORADIUSBYMEMBER k none 1 m", NO_MEMBER },
        { "GEOSEARCH k FROMLONLAT 1 1 FROMMEMBER m BYRADIUS 1 m", SYNTAX },
        { "GEOSEARCH k FROMMEMBER m ASC ASC ASC ASC",
          "-ERR exactly one of BYRADIUS, BYBOX and BYPOLYGON can be specified for GEOSEARCH" },
        { "GEOSEARCH k BYRADIUS 1 m ASC ASC",
          "-ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for GEOSEARCH" },
        { "GEOSEARCHSTORE d k FROMMEMBER none BYRADIUS 1 m", NO_MEMBER },
        { "GEOSEARCH k BYPOLYGON 2 1 1 2 2", VERTICES },
        { "GEOSEARCH k BYPOLYGON 3 1 1 2 2", VERTICES },
        { "GEOSEARCH k BYPOLYGON x 1 1 2 2 3 3", "-ERR value is not an integer or out of range" },
        { "GEOSEARCH k FROMLONLAT 1 1 BYPOLYGON 3 1 1 2 2 3 3", SYNTAX },
        { "GEOSEARCH k BYPOLYGON 3 1 1 2 2 3 3 FROMMEMBER m", SYNTAX },
        { "GEORADIUS k 1 1 1 m STORE d WITHDIST",
          "-ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options" },
        { "GEOSEARCHSTORE d k FROMLONLAT 1 1 BYRADIUS 1 m WITHDIST",
          "-ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options" },
        { "GEORADIUS_RO k 1 1 1 m STORE d", SYNTAX },
        { "RPUSH l a", ":1" },
        { "GEOADD l 1 1 m", "-WRONGTYPE Operation against a key holding the wrong kind of value" },
        { "GEOSEARCH l FROMLONLAT 1 1 BYRADIUS 1 m",
          "-WRONGTYPE Operation against a key holding the wrong kind of value" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(places_are_added_and_asked_about),
        FIXTURE_TEST(a_search_finds_what_is_in_the_shape),
        FIXTURE_TEST(a_polygon_is_measured_from_the_mean_direction_of_its_corners),
        FIXTURE_TEST(a_search_may_be_stored),
        FIXTURE_TEST(what_is_wrong_is_refused),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
