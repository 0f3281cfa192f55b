/* geohash.c: see geohash.h. The constants are those that clients' data was made with. */
#include "trivet/types/structures/geohash.h"
#include <math.h>

#define EARTH_RADIUS 6372797.560856
#define MERCATOR_MAX 20037726.37 /* half the way around, as web maps have it */

static double radians(double degrees) { return degrees * (M_PI / 180); }
static double degrees(double rad) { return rad / (M_PI / 180); }

bool geo_is_valid(struct geo_point p) {
    return p.longitude >= -GEO_LONGITUDE_MAX && p.longitude <= GEO_LONGITUDE_MAX &&
           p.latitude >= -GEO_LATITUDE_MAX && p.latitude <= GEO_LATITUDE_MAX;
}

/* ---- cells ---- */

/* A zero before each bit. */
static uint64_t spread(uint32_t n) {
    static const uint64_t masks[] = { 0x0000ffff0000ffff, 0x00ff00ff00ff00ff, 0x0f0f0f0f0f0f0f0f,
                                      0x3333333333333333, 0x5555555555555555 };
    uint64_t x = n;
    for (int i = 0, shift = 16; shift > 0; i++, shift /= 2) x = (x | x << shift) & masks[i];
    return x;
}

/* Every second bit. */
static uint32_t gather(uint64_t x) {
    static const uint64_t masks[] = { 0x3333333333333333, 0x0f0f0f0f0f0f0f0f, 0x00ff00ff00ff00ff,
                                      0x0000ffff0000ffff, 0x00000000ffffffff };
    x &= 0x5555555555555555;
    for (int i = 0, shift = 1; shift <= 16; i++, shift *= 2) x = (x | x >> shift) & masks[i];
    return (uint32_t)x;
}

/* Which of 2^step parts; the upper end belongs to none, and is given to the one beyond the last. */
static uint32_t part_of(double value, double max, unsigned step) {
    double offset = (value + max) / (2 * max);
    return (uint32_t)(offset * (double)(1ULL << step));
}

static struct geo_cell cell_at(struct geo_point p, double latitude_max, unsigned step) {
    uint32_t x = part_of(p.longitude, GEO_LONGITUDE_MAX, step), y = part_of(p.latitude, latitude_max, step);
    return (struct geo_cell){ spread(y) | spread(x) << 1, step };
}

static struct geo_box box_of(struct geo_cell c) {
    double parts = (double)(1ULL << c.step), width = 2 * GEO_LONGITUDE_MAX, height = 2 * GEO_LATITUDE_MAX;
    double x = gather(c.bits >> 1), y = gather(c.bits);
    return (struct geo_box){
        .west = -GEO_LONGITUDE_MAX + x / parts * width,
        .south = -GEO_LATITUDE_MAX + y / parts * height,
        .east = -GEO_LONGITUDE_MAX + (x + 1) / parts * width,
        .north = -GEO_LATITUDE_MAX + (y + 1) / parts * height,
    };
}

static double clamp(double n, double max) { return n > max ? max : n < -max ? -max : n; }

double geo_score(struct geo_point p) { return (double)cell_at(p, GEO_LATITUDE_MAX, GEO_STEPS).bits; }

struct geo_point geo_point_of(double score) {
    uint64_t bits = score >= 0 && score < 0x1p63 ? (uint64_t)score : 0;
    struct geo_box b = box_of((struct geo_cell){ bits, GEO_STEPS });
    return (struct geo_point){ clamp((b.west + b.east) / 2, GEO_LONGITUDE_MAX),
                               clamp((b.south + b.north) / 2, GEO_LATITUDE_MAX) };
}

struct geo_point geo_mean_direction(const struct geo_point *at, size_t count) {
    double x = 0, y = 0, z = 0;
    for (size_t i = 0; i < count; i++) {
        double longitude = radians(at[i].longitude), latitude = radians(at[i].latitude);
        x += cos(latitude) * cos(longitude);
        y += cos(latitude) * sin(longitude);
        z += sin(latitude);
    }
    return (struct geo_point){ degrees(atan2(y, x)), degrees(atan2(z, hypot(x, y))) };
}

/* The standard divides all 180 degrees of latitude, and 55 bits; the last three are not known here. */
void geo_text(struct geo_point p, char out[GEOHASH_TEXT]) {
    static const char alphabet[] = "0123456789bcdefghjkmnpqrstuvwxyz";
    uint64_t bits = cell_at(p, 90, GEO_STEPS).bits;
    for (int i = 0; i < GEOHASH_TEXT - 1; i++) out[i] = alphabet[bits >> (2 * GEO_STEPS - 5 * (i + 1)) & 31];
    out[GEOHASH_TEXT - 1] = '0';
}

/* ---- distances ---- */

double geo_latitude_distance(double a, double b) { return EARTH_RADIUS * fabs(radians(b) - radians(a)); }

/* The haversine formula. */
double geo_distance(struct geo_point a, struct geo_point b) {
    double v = sin((radians(b.longitude) - radians(a.longitude)) / 2);
    if (v == 0) return geo_latitude_distance(a.latitude, b.latitude);
    double y1 = radians(a.latitude), y2 = radians(b.latitude), u = sin((y2 - y1) / 2);
    return 2 * EARTH_RADIUS * asin(sqrt(u * u + cos(y1) * cos(y2) * v * v));
}

/* ---- covering ---- */

struct geo_box geo_box_around(struct geo_point centre, double half_width, double half_height) {
    double up = degrees(half_height / EARTH_RADIUS), wide = half_width / EARTH_RADIUS;
    /* a degree of longitude is shortest at the end that is nearer to a pole */
    double far = centre.latitude < 0 ? centre.latitude - up : centre.latitude + up;
    double aside = degrees(wide / cos(radians(far)));
    return (struct geo_box){ centre.longitude - aside, centre.latitude - up, centre.longitude + aside,
                             centre.latitude + up };
}

/* The step at which a cell and its neighbours are likely to hold the circle. */
static unsigned estimate_step(double radius, double latitude) {
    if (radius == 0) return GEO_STEPS;
    int step = 1;
    for (; radius < MERCATOR_MAX; radius *= 2) step++;
    step -= 2;
    double polar = fabs(latitude);
    if (polar > 66) step--;
    if (polar > 80) step--;
    return step < 1 ? 1 : step > GEO_STEPS ? GEO_STEPS : (unsigned)step;
}

static struct geo_cell neighbour(struct geo_cell c, int east, int north) {
    uint32_t mask = (uint32_t)(1ULL << c.step) - 1;
    uint32_t x = gather(c.bits >> 1), y = gather(c.bits);
    if (east) x = (x + (uint32_t)east) & mask;
    if (north) y = (y + (uint32_t)north) & mask;
    return (struct geo_cell){ spread(y) | spread(x) << 1, c.step };
}

/* Do the neighbours reach as far as the shape, in all four directions? At the edge of the map they are on its
 * other side, and do not. */
static bool neighbours_suffice(struct geo_cell c, struct geo_box bounds) {
    return box_of(neighbour(c, 0, 1)).north >= bounds.north &&
           box_of(neighbour(c, 0, -1)).south <= bounds.south &&
           box_of(neighbour(c, 1, 0)).east >= bounds.east && box_of(neighbour(c, -1, 0)).west <= bounds.west;
}

/* Adds a cell's range unless it is there. */
static size_t add_cell(struct geo_range *out, size_t count, struct geo_cell c) {
    unsigned shift = 2 * (GEO_STEPS - c.step);
    struct geo_range r = { (double)(c.bits << shift), (double)((c.bits + 1) << shift) };
    for (size_t i = 0; i < count; i++)
        if (out[i].first == r.first) return count;
    out[count] = r;
    return count + 1;
}

size_t geo_cover_circle(struct geo_point centre, double radius, struct geo_box bounds,
                        struct geo_range out[GEO_RANGES_MAX]) {
    static const struct {
        int east, north;
    } ways[] = { { 0, 0 }, { 0, 1 },  { 0, -1 }, { 1, 0 },  { -1, 0 },
                 { 1, 1 }, { -1, 1 }, { 1, -1 }, { -1, -1 } };
    unsigned step = estimate_step(radius, centre.latitude);
    struct geo_cell c = cell_at(centre, GEO_LATITUDE_MAX, step);
    if (step > 1 && !neighbours_suffice(c, bounds)) c = cell_at(centre, GEO_LATITUDE_MAX, --step);
    struct geo_box own = box_of(c);
    size_t count = 0;
    for (size_t i = 0; i < COUNT_OF(ways); i++) {
        int east = ways[i].east, north = ways[i].north;
        /* the shape ends inside the middle cell on that side */
        bool useless = (north < 0 && own.south < bounds.south) || (north > 0 && own.north > bounds.north) ||
                       (east < 0 && own.west < bounds.west) || (east > 0 && own.east > bounds.east);
        if (step >= 2 && useless) continue;
        count = add_cell(out, count, neighbour(c, east, north));
    }
    return count;
}

size_t geo_cover_box(struct geo_box box, struct geo_range out[GEO_RANGES_MAX]) {
    for (unsigned step = GEO_STEPS;; step--) {
        uint32_t last = (uint32_t)(1ULL << step) - 1;
        uint32_t x0 = part_of(clamp(box.west, GEO_LONGITUDE_MAX), GEO_LONGITUDE_MAX, step);
        uint32_t x1 = part_of(clamp(box.east, GEO_LONGITUDE_MAX), GEO_LONGITUDE_MAX, step);
        uint32_t y0 = part_of(clamp(box.south, GEO_LATITUDE_MAX), GEO_LATITUDE_MAX, step);
        uint32_t y1 = part_of(clamp(box.north, GEO_LATITUDE_MAX), GEO_LATITUDE_MAX, step);
        /* at least as coarse as four by four cells, and all of the earth at step 2 */
        if (step > 2 && (x1 - x0 > 3 || y1 - y0 > 3)) continue;
        size_t count = 0;
        for (uint32_t y = y0; y <= y1 && y <= last; y++)
            for (uint32_t x = x0; x <= x1 && x <= last; x++)
                count = add_cell(out, count, (struct geo_cell){ spread(y) | spread(x) << 1, step });
        return count;
    }
}
