/* trouble.h: what happens to a simulated cluster: faults of nodes, disks, clocks and networks, and operators
 * who do things at a bad moment; and how it is set right again. */
#ifndef TESTS_SIM_TROUBLE_H
#define TESTS_SIM_TROUBLE_H

#include "world.h"

/* One of all kinds. */
void trouble_make(struct world *w);
/* Networks, clocks and weather are good again, and everybody is up. */
void trouble_end(struct world *w);
/* What an operator has to do by hand after that: names that are gone are forgotten, nodes that lost their
 * disk join, slots that nobody has get an owner. Fails if there is something to do that the nodes should have
 * done by themselves: replace a primary that has a living replica. */
void trouble_repair(struct world *w);

/* SETSLOT at both sides, and the keys go over, as redis-cli does it. `whole`: in the end the source is told
 * too, and all must be well. */
void operator_moves_slot(struct world *w, struct sim_node *from, struct sim_node *to, bool whole);
void operator_fails_over(struct world *w, struct sim_node *n, enum cluster_failover way);
struct sim_node *some_node(struct world *w);
struct sim_node *some_primary(struct world *w); /* with slots, and up; NULL: none was found */
struct sim_node *some_replica(struct world *w);

#endif
