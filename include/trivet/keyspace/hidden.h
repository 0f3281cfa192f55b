/* hidden.h: in a cluster, slots whose keys are here but that this node does not serve: they are on their way
 * from another node. Nobody sees such a key: not KEYS, SCAN and RANDOMKEY, and no count of keys. Whoever
 * names one is sent to the slot's owner. Files and replicas get them all the same.
 *
 * Thread: slots are hidden and shown with the gate closed; read under any gate. */
#ifndef TRIVET_KEYSPACE_HIDDEN_H
#define TRIVET_KEYSPACE_HIDDEN_H

#include "trivet/keyspace/shard.h"

extern uint32_t hidden_slots; /* how many there are: mostly none */
extern uint64_t hidden_slot_bits[SLOT_COUNT / 64];

static inline bool slot_is_hidden(uint32_t slot) {
    if (LIKELY(hidden_slots == 0)) return false;
    return hidden_slot_bits[slot / 64] >> (slot % 64) & 1;
}
/* Hiding a hidden slot does nothing, nor showing one that is seen. */
void slot_hide(uint16_t slot);
void slot_show(uint16_t slot);

/* keyspace_count() and keyspace_expires() without what is hidden. Takes the locks of hidden slots itself. */
size_t keyspace_count_seen(uint32_t db);
size_t keyspace_expires_seen(uint32_t db);

#endif
