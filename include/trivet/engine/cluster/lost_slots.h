/* lost_slots.h: what becomes of the keys of slots that went to another node, or did not come: they are hidden
 * at once and deleted in slices (keyspace/leaving.h), and never seen again, whoever serves the slot next.
 *
 * A replica hides the keys of a slot that its primary has lost, too, and deletes them only if it becomes a
 * primary before its own has done so. Thread: a worker with the gate closed, unless said. */
#ifndef TRIVET_ENGINE_CLUSTER_LOST_SLOTS_H
#define TRIVET_ENGINE_CLUSTER_LOST_SLOTS_H

#include "trivet/cluster/slots/slot_set.h"
#include "trivet/engine/slots/routes.h"

/* The keys of slots that are not this node's are to go. Whoever watches one hears of it; clients that
 * remember keys are told to forget all. */
void lost_slots_leave(const struct slot_set *slots);
/* They go now: others come in their place. */
void lost_slots_clear(const struct slot_set *slots);
/* The routes are about to be replaced by these: slots that come back are cleared before. */
void lost_slots_routes_change(const struct routes *now);
/* The keys of the slots belong to the primary's import from now on. */
void lost_slots_arrive(const struct slot_set *slots);
/* Worker 0, its own gate, every tenth of a second. */
void lost_slots_cron(void);

#endif
