/* rig.h: rounds in which nodes of a fleet die under load, and another takes over.
 *
 * In a round some things happen to replicas, then usually one to the primary; after it there is a new
 * primary, everybody follows it, and what was promised must be there. A round's plan comes from its seed;
 * when things happen is counted in answers. What is done is printed as it is done. Thread: the test's. */
#ifndef TESTS_CRASH_RIG_H
#define TESTS_CRASH_RIG_H

#include "fleet.h"
#include "load.h"

struct rig_plan {
    const char *name;
    const char *kinds; /* of fleet_plan; TRIVET_NODES, if it is set, wins */
    bool aof;          /* all nodes have one: they may die all at once */
    bool sentinels;    /* they do the failover */
    int rounds;
};

/* Plays them. TRIVET_SEED is the first round's seed, TRIVET_ROUNDS how many there are. */
void rig_run(const struct rig_plan *plan);

#endif
