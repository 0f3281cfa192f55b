/* geohash.h: places on the earth as numbers, so that a sorted set finds neighbours: pure arithmetic.
 *
 * Longitude and latitude are cut into 2^step parts each (latitude within +-85.05112878 degrees, as in web
 * maps), and the bits of the two numbers are interleaved, latitude in the even ones: a cell. With 26 steps a
 * cell has 52 bits, fits into a double without loss, and is what GEOADD stores as a score. All cells within a
 * coarser cell are a range of scores. Angles are degrees, distances metres on a sphere. Thread: any. */
#ifndef TRIVET_TYPES_STRUCTURES_GEOHASH_H
#define TRIVET_TYPES_STRUCTURES_GEOHASH_H

#include "trivet/base/compiler.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GEO_STEPS 26
#define GEO_LONGITUDE_MAX 180.0
#define GEO_LATITUDE_MAX 85.05112878
#define GEOHASH_TEXT 11

struct geo_point {
    double longitude, latitude;
};

struct geo_cell {
    uint64_t bits;
    unsigned step;
};

/* West, south, east, north. */
struct geo_box {
    double west, south, east, north;
};

bool geo_is_valid(struct geo_point p);
double geo_score(struct geo_point p);
/* The middle of the smallest cell. */
struct geo_point geo_point_of(double score);
/* The standard text of 11 characters. */
void geo_text(struct geo_point p, char out[GEOHASH_TEXT]);
double geo_distance(struct geo_point a, struct geo_point b);
/* Between two places of the same longitude. */
double geo_latitude_distance(double a, double b);

/* The place in the direction that unit vectors to these places have on average. */
struct geo_point geo_mean_direction(const struct geo_point *at, size_t count);

/* Scores from `first` to below `end`. */
struct geo_range {
    double first, end;
};
#define GEO_RANGES_MAX 16
/* Ranges in which all points within `radius` of the centre are; `bounds` is the shape's box: what
 * lies beyond is left out. Returns how many. */
size_t geo_cover_circle(struct geo_point centre, double radius, struct geo_box bounds,
                        struct geo_range out[GEO_RANGES_MAX]);
/* Ranges that cover a box. */
size_t geo_cover_box(struct geo_box box, struct geo_range out[GEO_RANGES_MAX]);
/* The box around a centre that reaches so far to each side. */
struct geo_box geo_box_around(struct geo_point centre, double half_width, double half_height);

#endif
