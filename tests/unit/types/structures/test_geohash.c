/* test_geohash.c: scores and texts as other servers have them, and what must hold of any place on the map. */
#include "../../chance.h"
#include "trivet/types/structures/geohash.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define ROUNDS 20000
#define CELL_WIDTH (2 * GEO_LONGITUDE_MAX / (1 << GEO_STEPS))
#define CELL_HEIGHT (2 * GEO_LATITUDE_MAX / (1 << GEO_STEPS))
#define HALF_AROUND (M_PI * 6372797.560856) /* metres from pole to pole, on the sphere that clients know */

static double between(double low, double high) { return low + (high - low) * chance_share(); }

static struct geo_point anywhere(void) {
    return (struct geo_point){ between(-GEO_LONGITUDE_MAX, GEO_LONGITUDE_MAX),
                               between(-GEO_LATITUDE_MAX, GEO_LATITUDE_MAX) };
}

static void assert_near(double got, double wanted, double most_off) {
    if (fabs(got - wanted) <= most_off) return;
    print_error("%.17g is not within %.3g of %.17g\n", got, most_off, wanted);
    fail();
}

/* ---- known places ---- */

static const struct {
    struct geo_point point;
    double score, metres; /* to Palermo */
    char text[GEOHASH_TEXT + 1];
    struct geo_point middle;
} places[] = {
    { { 13.361389, 38.115556 },
      3479099956230698,
      0,
      "sqc8b49rny0",
      { 13.36138933897018433, 38.11555639549629859 } },
    { { 15.087269, 37.502669 },
      3479447370796909,
      166274.1516,
      "sqdtr74hyu0",
      { 15.08726745843887329, 37.50266842333162032 } },
    { { 2.349014, 48.864716 },
      3663832805879806,
      1486391.4204,
      "u09tvrw3xg0",
      { 2.34901160001754761, 48.86471570750150306 } },
    { { -122.27652, 37.805186 },
      1367952638197536,
      10431665.6681,
      "9q9p1d0znt0",
      { -122.27652043104171753, 37.80518485897756165 } },
    { { 151.2093, -33.8688 },
      3252046221964352,
      16230616.4547,
      "r3gx2f77bj0",
      { 151.20929986238479614, -33.86880091934155956 } },
    { { 179.999999, -16.5 },
      3355687726874346,
      17284888.7268,
      "rvpfpurbxc0",
      { 179.99999731779098511, -16.49999931370297901 } },
    { { 0, 0 }, 3377699720527872, 4454733.0204, "s0000000000", { 0.00000268220901489, 0.00000126736058093 } },
    { { -180, -85.05112878 },
      0,
      14784257.5187,
      "00bh0hbj200",
      { -179.99999731779098511, -85.05112751263942528 } },
    { { 180, 85.05112878 }, 13510798882111488, 6307362.7206, "bp05b5048p0", { 180, 85.05112878 } },
};

static void known_places_have_the_known_numbers(void **state) {
    (void)state;
    struct geo_point palermo = geo_point_of(places[0].score);
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        char text[GEOHASH_TEXT];
        assert_true(geo_is_valid(places[i].point));
        double score = geo_score(places[i].point);
        assert_true(score == places[i].score);
        struct geo_point middle = geo_point_of(score);
        assert_near(middle.longitude, places[i].middle.longitude, 1e-13);
        assert_near(middle.latitude, places[i].middle.latitude, 1e-13);
        geo_text(middle, text);
        assert_memory_equal(text, places[i].text, GEOHASH_TEXT);
        assert_near(geo_distance(middle, palermo), places[i].metres, 0.0001);
    }
}

static void what_is_not_on_the_map_is_not_valid(void **state) {
    static const struct geo_point beyond[] = {
        { 180.000001, 0 },  { -180.000001, 0 },  { 0, 85.0511288 }, { 0, -85.0511288 }, { NAN, 0 },
        { 0, NAN },         { INFINITY, 0 },     { 0, -INFINITY },  { 1e300, 1e300 },   { 0, 90 },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(beyond); i++) assert_false(geo_is_valid(beyond[i]));
}

/* ---- scores ---- */

static void a_place_comes_back_from_its_score(void **state) {
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        struct geo_point p = anywhere();
        double score = geo_score(p);
        assert_true(score >= 0 && score < 0x1p52 && score == floor(score));
        struct geo_point back = geo_point_of(score);
        assert_near(back.longitude, p.longitude, CELL_WIDTH * 0.51);
        assert_near(back.latitude, p.latitude, CELL_HEIGHT * 0.51);
        assert_true(geo_is_valid(back) && geo_score(back) == score);
    }
}

/* East of the last cell a score takes 54 bits, of which a double drops the last: hence a cell more. */
static void the_edges_of_the_map_have_scores_and_places(void **state) {
    static const double longitudes[] = { -GEO_LONGITUDE_MAX, -179.9999999, 0, 179.9999999,
                                         GEO_LONGITUDE_MAX };
    static const double latitudes[] = { -GEO_LATITUDE_MAX, -85.0511287, 0, 85.0511287, GEO_LATITUDE_MAX };
    (void)state;
    for (size_t x = 0; x < COUNT_OF(longitudes); x++)
        for (size_t y = 0; y < COUNT_OF(latitudes); y++) {
            struct geo_point p = { longitudes[x], latitudes[y] }, back = geo_point_of(geo_score(p));
            assert_true(geo_is_valid(p) && geo_is_valid(back));
            assert_near(back.longitude, p.longitude, CELL_WIDTH * 1.51);
            assert_near(back.latitude, p.latitude, CELL_HEIGHT * 1.51);
        }
}

/* A sorted set may hold any score. */
static void any_score_is_some_place(void **state) {
    static const double scores[] = { -1,     -INFINITY, INFINITY, 1e300, 0x1p52, 0x1p53,
                                     0x1p63, 0x1p64,    0.5,      -0.0,  NAN };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(scores); i++) assert_true(geo_is_valid(geo_point_of(scores[i])));
    for (int round = 0; round < ROUNDS; round++)
        assert_true(geo_is_valid(geo_point_of((double)(chance() >> chance_below(64)))));
}

/* The standard's cells are those of a map that reaches to the poles. */
static void a_text_names_the_cell_around_the_place(void **state) {
    static const char alphabet[] = "0123456789bcdefghjkmnpqrstuvwxyz";
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        struct geo_point p = anywhere();
        char text[GEOHASH_TEXT];
        geo_text(p, text);
        double low[2] = { -180, -90 }, high[2] = { 180, 90 }, at[2] = { p.longitude, p.latitude };
        for (int bit = 0; bit < 50; bit++) {
            const char *digit = strchr(alphabet, text[bit / 5]);
            assert_non_null(digit);
            bool upper = (digit - alphabet) >> (4 - bit % 5) & 1;
            double middle = (low[bit % 2] + high[bit % 2]) / 2;
            *(upper ? &low[bit % 2] : &high[bit % 2]) = middle;
        }
        for (int axis = 0; axis < 2; axis++) assert_true(at[axis] >= low[axis] && at[axis] <= high[axis]);
        assert_int_equal(text[GEOHASH_TEXT - 1], '0');
    }
}

/* ---- distances ---- */

static void distances_are_those_of_a_sphere(void **state) {
    (void)state;
    struct geo_point origin = { 0, 0 };
    assert_true(geo_distance(origin, origin) == 0);
    assert_near(geo_distance(origin, (struct geo_point){ 90, 0 }), HALF_AROUND / 2, 0.01);
    assert_near(geo_distance(origin, (struct geo_point){ 180, 0 }), HALF_AROUND, 0.01);
    assert_near(geo_distance((struct geo_point){ -180, 20 }, (struct geo_point){ 180, 20 }), 0, 0.0001);
    assert_near(geo_latitude_distance(-45, 45), HALF_AROUND / 2, 0.01);
    for (int round = 0; round < ROUNDS; round++) {
        struct geo_point a = anywhere(), b = anywhere(), c = anywhere();
        double ab = geo_distance(a, b), bc = geo_distance(b, c), ac = geo_distance(a, c);
        assert_true(ab >= 0 && ab <= HALF_AROUND + 1);
        assert_near(geo_distance(b, a), ab, 1e-6);
        assert_true(ac <= ab + bc + 1e-6);
        b.longitude = a.longitude;
        assert_near(geo_distance(a, b), geo_latitude_distance(a.latitude, b.latitude), 1e-6);
    }
}

static void the_other_side_of_the_earth_is_half_the_way_around(void **state) {
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        struct geo_point a = anywhere();
        struct geo_point b = { a.longitude > 0 ? a.longitude - 180 : a.longitude + 180, -a.latitude };
        assert_near(geo_distance(a, b), HALF_AROUND, 1);
    }
}

/* ---- covering ---- */

static bool is_covered(const struct geo_range *ranges, size_t count, struct geo_point p) {
    double score = geo_score(p);
    for (size_t i = 0; i < count; i++)
        if (score >= ranges[i].first && score < ranges[i].end) return true;
    return false;
}

/* Of one size, on the map, none twice. */
static void check_ranges(const struct geo_range *ranges, size_t count) {
    assert_in_range(count, 1, GEO_RANGES_MAX);
    double size = ranges[0].end - ranges[0].first;
    for (size_t i = 0; i < count; i++) {
        assert_true(ranges[i].first >= 0 && ranges[i].end <= 0x1p52);
        assert_true(ranges[i].end - ranges[i].first == size && fmod(ranges[i].first, size) == 0);
        for (size_t k = 0; k < i; k++) assert_true(ranges[i].first != ranges[k].first);
    }
}

static void the_ranges_of_a_box_hold_all_places_in_it(void **state) {
    (void)state;
    for (int round = 0; round < ROUNDS / 4; round++) {
        struct geo_range ranges[GEO_RANGES_MAX];
        struct geo_point a = anywhere();
        double width = pow(10, between(-6, 2)), height = pow(10, between(-6, 2));
        struct geo_box box = { a.longitude, a.latitude, fmin(a.longitude + width, GEO_LONGITUDE_MAX - 1e-9),
                               fmin(a.latitude + height, GEO_LATITUDE_MAX - 1e-9) };
        size_t count = geo_cover_box(box, ranges);
        check_ranges(ranges, count);
        for (int i = 0; i < 20; i++) {
            struct geo_point p = { between(box.west, box.east), between(box.south, box.north) };
            assert_true(is_covered(ranges, count, p));
        }
    }
}

static void a_box_as_big_as_the_map_is_covered(void **state) {
    struct geo_range ranges[GEO_RANGES_MAX];
    (void)state;
    size_t count = geo_cover_box((struct geo_box){ -400, -200, 400, 200 }, ranges);
    check_ranges(ranges, count);
    for (int round = 0; round < 1000; round++) assert_true(is_covered(ranges, count, anywhere()));
}

static void the_box_around_a_circle_holds_the_circle(void **state) {
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        struct geo_point centre = { between(-180, 180), between(-70, 70) };
        double radius = pow(10, between(0, 6));
        struct geo_box box = geo_box_around(centre, radius, radius);
        assert_near((box.west + box.east) / 2, centre.longitude, 1e-9);
        assert_near((box.south + box.north) / 2, centre.latitude, 1e-9);
        /* a place just outside of the box is outside of the circle */
        double y = between(box.south, box.north), aside = (box.east - box.west) / 2 * 1.000001;
        assert_true(geo_distance(centre, (struct geo_point){ centre.longitude + aside, y }) > radius);
        double up = (box.north - box.south) / 2 * 1.000001;
        assert_true(geo_latitude_distance(centre.latitude, centre.latitude + up) > radius);
    }
}

/* A place in the circle, on the map. */
static bool place_within(struct geo_point centre, double radius, struct geo_box box, struct geo_point *out) {
    for (int tries = 0; tries < 100; tries++) {
        *out = (struct geo_point){ between(box.west, box.east), between(box.south, box.north) };
        if (geo_is_valid(*out) && geo_distance(centre, *out) <= radius) return true;
    }
    return false;
}

static void the_ranges_of_a_circle_hold_all_places_in_it(void **state) {
    (void)state;
    size_t tried = 0;
    for (int round = 0; round < ROUNDS; round++) {
        struct geo_point centre = { between(-179.9, 179.9), between(-80, 80) };
        double radius = pow(10, between(0, 5.7));
        struct geo_box box = geo_box_around(centre, radius, radius);
        struct geo_range ranges[GEO_RANGES_MAX];
        size_t count = geo_cover_circle(centre, radius, box, ranges);
        check_ranges(ranges, count);
        assert_in_range(count, 1, 9);
        struct geo_point p;
        for (int i = 0; i < 5 && place_within(centre, radius, box, &p); i++, tried++)
            assert_true(is_covered(ranges, count, p));
    }
    assert_true(tried > ROUNDS);
}

static void a_small_circle_is_covered_by_a_cell_and_its_neighbours(void **state) {
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        struct geo_point centre = { between(-170, 170), between(-60, 60) };
        double radius = pow(10, between(0, 4));
        struct geo_range ranges[GEO_RANGES_MAX];
        size_t count = geo_cover_circle(centre, radius, geo_box_around(centre, radius, radius), ranges);
        double cells = sqrt(ranges[0].end - ranges[0].first);
        double width = cells * CELL_WIDTH, height = cells * CELL_HEIGHT;
        assert_true(is_covered(ranges, 1, centre)); /* its own cell comes first */
        struct geo_point first = geo_point_of(ranges[0].first);
        for (size_t i = 1; i < count; i++) {
            struct geo_point corner = geo_point_of(ranges[i].first);
            double x = fabs(corner.longitude - first.longitude), y = fabs(corner.latitude - first.latitude);
            assert_true(x < 1e-9 || fabs(x - width) < 1e-6);
            assert_true(y < 1e-9 || fabs(y - height) < 1e-6);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_places_have_the_known_numbers),
        cmocka_unit_test(what_is_not_on_the_map_is_not_valid),
        cmocka_unit_test(a_place_comes_back_from_its_score),
        cmocka_unit_test(the_edges_of_the_map_have_scores_and_places),
        cmocka_unit_test(any_score_is_some_place),
        cmocka_unit_test(a_text_names_the_cell_around_the_place),
        cmocka_unit_test(distances_are_those_of_a_sphere),
        cmocka_unit_test(the_other_side_of_the_earth_is_half_the_way_around),
        cmocka_unit_test(the_ranges_of_a_box_hold_all_places_in_it),
        cmocka_unit_test(a_box_as_big_as_the_map_is_covered),
        cmocka_unit_test(the_box_around_a_circle_holds_the_circle),
        cmocka_unit_test(the_ranges_of_a_circle_hold_all_places_in_it),
        cmocka_unit_test(a_small_circle_is_covered_by_a_cell_and_its_neighbours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
