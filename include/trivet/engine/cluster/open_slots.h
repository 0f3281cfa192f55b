/* open_slots.h: the replicas of this node hear of slots that are being moved, so that whoever takes over goes
 * on with it: each step of CLUSTER SETSLOT goes into the stream before this node takes it, and what has been
 * done before a replica came is told when it has its data.
 *
 * The stream is one for all: while a replica has older software than Valkey 8, which would not understand it,
 * nobody is told. Thread: a worker with the gate closed. */
#ifndef TRIVET_ENGINE_CLUSTER_OPEN_SLOTS_H
#define TRIVET_ENGINE_CLUSTER_OPEN_SLOTS_H

#include "trivet/base/compiler.h"
#include "trivet/cluster/rules/cluster.h"

/* Puts the step into the stream. Returns how many replicas will acknowledge it; 0 also if there is none that
 * could be told. */
MUST_CHECK size_t open_slots_tell(const struct slot_step *step);
/* The cluster has changed: are there slots of which replicas will have to be told? */
void open_slots_changed(void);

#endif
