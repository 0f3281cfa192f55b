/* load.h: clients that write all the time, with the generators of the differential test and the changes of
 * churn.h; replies are read, but not looked at. And a data set of every type and encoding.
 *
 * The generators' commands repeat with the seed; how connections interleave does not. One load at a time.
 * Thread: threads of its own; the rest is called from the test's. */
#ifndef TESTS_REPLICATION_LOAD_H
#define TESTS_REPLICATION_LOAD_H

#include "../harness/server.h"
#include <stdint.h>

struct load_plan {
    struct server *server;
    uint64_t seed;
    bool newer;   /* also commands that Redis 7.0 does not know */
    bool empties; /* also FLUSHALL, FLUSHDB and SWAPDB, seldom */
    bool lasting; /* no keys that expire soon, so that nothing happens by itself afterwards */
    bool slow;    /* some thousand commands a second at most, which a bad link can carry too */
    bool churns;  /* also changes of what load_fill made */
};

struct load;

/* Values of every type in every encoding in database 0, with and without an expiry, and functions. */
void load_fill(struct client *c);
/* So many keys more, small ones. They go to no replica: fill before there is one. */
void load_populate(struct client *c, size_t keys);

struct load *load_start(const struct load_plan *plan);
/* Waits until so many more commands were answered. */
void load_await(struct load *l, size_t commands);
/* Ends it; returns how many commands were answered in all. */
size_t load_stop(struct load *l);

/* What TRIVET_REPLICATION_KEYS and TRIVET_REPLICATION_CUTS say, or as much as given. */
size_t load_keys(size_t usual);
size_t load_cuts(size_t usual);
/* TRIVET_SEED, or another one in each run; it is printed. */
uint64_t load_seed(void);

#endif
