/* slot.h: which of the 16384 slots of a cluster a key belongs to. Pure functions. Thread: any. */
#ifndef TRIVET_CLUSTER_SLOTS_SLOT_H
#define TRIVET_CLUSTER_SLOTS_SLOT_H

#include "trivet/base/slice.h"

#define SLOT_COUNT 16384u

/* The part of a key that chooses its slot: what stands between the first '{' and the next '}' after it, if
 * that is at least one byte; else the whole key. The slice lies inside the key. */
struct slice slot_tag(struct slice key);
/* 0..SLOT_COUNT-1. */
unsigned slot_of_key(struct slice key);

#endif
