/* load.h: clients that write to a cluster while nodes fail, and know what it owes them; and one that watches
 * whether two nodes serve one slot.
 *
 * Each writer sets keys that nobody else has, goes where it is sent, and asks with WAIT 1 whether a replica
 * has its write. If so, the write is covered: it must be there in the end. For clusters with one replica a
 * primary: among several, another one than that which answered may take over.
 *
 * The watcher writes to a key of each primary's slots at every node. A write that is taken belongs to the
 * epoch that the node tells before and after it. In one epoch a slot has one owner: two are an error at once.
 * In two epochs two nodes may take writes for as long as the old owner needs to see that it is alone.
 *
 * Thread: orders come from the test's. */
#ifndef TESTS_CLUSTER_LOAD_H
#define TESTS_CLUSTER_LOAD_H

#include "fleet.h"

/* The nodes must not go away before load_end(). */
void load_start(struct fleet *g);
/* A fleet of this plan under load, of which so many writes are covered already. */
void load_start_fleet(struct fleet *g, const struct fleet_plan *plan, size_t writes);
/* Until so many more writes were covered. */
void load_await(size_t more);
/* Until a write to the slots of each primary, as they were at first, was acknowledged after now. */
void load_await_all_slots(void);
/* The clients end what they do; then all that is covered must be there, and the watcher content. */
void load_end(void);
/* The fleet must be well at last; then the load ends, and the fleet. */
void load_end_fleet(struct fleet *g);

#endif
