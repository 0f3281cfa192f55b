/* geo.h: what geo.c and geo_search.c share: arguments that are places and units, and replies that are
 * distances and places. */
#ifndef COMMANDS_ZSET_GEO_H
#define COMMANDS_ZSET_GEO_H

#include "trivet/types/structures/geohash.h"
#include "zset_value.h"

/* Arguments `index` and the one behind it; false after replying what is wrong. */
MUST_CHECK bool geo_point_argument(struct call *c, size_t index, struct geo_point *p);
/* m, km, ft or mi; false after replying that it is none. */
MUST_CHECK bool geo_unit_argument(struct call *c, size_t index, double *metres);
/* A number of at least 0. `what` is named in the reply. */
MUST_CHECK bool geo_length_argument(struct call *c, size_t index, const char *what, double *n);

void geo_reply_distance(struct reply *out, double distance);
void geo_reply_point(struct reply *out, struct geo_point p);

#endif
