/* slot_set.h: a set of slots, laid out as the bus sends it: slot n is bit n%8 of byte n/8. It is made of
 * bytes only, so a pointer into a packet may be read as one. Thread: the owner's. */
#ifndef TRIVET_CLUSTER_SLOTS_SLOT_SET_H
#define TRIVET_CLUSTER_SLOTS_SLOT_SET_H

#include "trivet/keyspace/slot.h"
#include <assert.h>
#include <stdint.h>

struct slot_set {
    uint8_t bits[SLOT_COUNT / 8];
};
static_assert(sizeof(struct slot_set) == 2048, "the size that packets have room for");

static inline bool slot_set_has(const struct slot_set *set, unsigned slot) {
    assert(slot < SLOT_COUNT);
    return set->bits[slot / 8] >> (slot % 8) & 1;
}
static inline void slot_set_add(struct slot_set *set, unsigned slot) {
    assert(slot < SLOT_COUNT);
    set->bits[slot / 8] = (uint8_t)(set->bits[slot / 8] | 1u << (slot % 8));
}
static inline void slot_set_remove(struct slot_set *set, unsigned slot) {
    assert(slot < SLOT_COUNT);
    set->bits[slot / 8] = (uint8_t)(set->bits[slot / 8] & ~(1u << (slot % 8)));
}
static inline bool slot_set_equal(const struct slot_set *a, const struct slot_set *b) {
    return memcmp(a, b, sizeof *a) == 0;
}
unsigned slot_set_count(const struct slot_set *set);
/* The first slot at or after `from` that is in the set; SLOT_COUNT if there is none. `from` may be
 * SLOT_COUNT. */
unsigned slot_set_next(const struct slot_set *set, unsigned from);
/* The first run of neighbours at or after `from`: *first..*last, both included. False if there is none. */
bool slot_set_next_range(const struct slot_set *set, unsigned from, unsigned *first, unsigned *last);

#define SLOT_SET_EACH(set, slot) \
    for (unsigned slot = slot_set_next((set), 0); slot < SLOT_COUNT; slot = slot_set_next((set), slot + 1))

#endif
