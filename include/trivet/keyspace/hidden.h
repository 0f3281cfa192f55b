/* hidden.h: in a cluster, slots whose keys are here but that this node does not serve: they are on their way
 * from another node, or left over because the slot has gone (leaving.h). Nobody sees such a key: not KEYS,
 * SCAN and RANDOMKEY, and no count of keys. Whoever names one is sent to the slot's owner. Files and replicas
 * get them all the same.
 *
 * Thread: slots are hidden and shown with the gate closed; read under any gate. */
#ifndef TRIVET_KEYSPACE_HIDDEN_H
#define TRIVET_KEYSPACE_HIDDEN_H

#include "trivet/keyspace/shard.h"

enum hiding { SLOT_ARRIVES = 1, SLOT_LEAVES = 2 };

extern uint32_t hidden_slots; /* how many there are: mostly none */
extern uint64_t hidden_slot_bits[SLOT_COUNT / 64];

static inline bool slot_is_hidden(uint32_t slot) {
    if (LIKELY(hidden_slots == 0)) return false;
    return hidden_slot_bits[slot / 64] >> (slot % 64) & 1;
}
/* Hidden for this reason? */
bool slot_is_hidden_as(uint32_t slot, enum hiding why);
/* It is seen when no reason is left. Hiding it twice for one reason does nothing, nor showing it twice. */
void slot_hide(uint16_t slot, enum hiding why);
void slot_show(uint16_t slot, enum hiding why);

/* keyspace_count() and keyspace_expires() without what is hidden. While slots are hidden, all others are
 * asked for their counts, under their locks. */
size_t keyspace_count_seen(uint32_t db);
size_t keyspace_expires_seen(uint32_t db);
/* keyspace_count() without what is leaving, likewise. */
size_t keyspace_count_staying(uint32_t db);

#endif
