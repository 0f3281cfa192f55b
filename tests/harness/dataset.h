/* dataset.h: compares all that two servers keep, whichever kind they are: databases, keys, values, times of
 * expiry, groups of streams, functions. And makes some. */
#ifndef TESTS_HARNESS_DATASET_H
#define TESTS_HARNESS_DATASET_H

#include "client.h"

/* What of a stream's groups is not looked at, because Redis 7.0 does not tell its replicas: */
#define DATASET_WITHOUT_COUNTS 1     /* how many entries a group has read */
#define DATASET_WITHOUT_DELIVERIES 2 /* how often and when a pending entry was delivered again */

/* Sets key:0, key:1, ... to value:0, value:1, ... in the client's database. */
void dataset_fill(struct client *c, int keys);

/* Is it the same on both? If not, says in *difference which key differs first, and how. Selects databases of
 * both connections. */
bool dataset_same(struct client *a, struct client *b, unsigned without, struct text *difference);

#endif
