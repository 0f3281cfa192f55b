/* slot_set.c: walks over a set of slots, 64 at a time: most sets are a few long runs. */
#include "trivet/cluster/slots/slot_set.h"
#include <endian.h>

/* Slot n is bit n % 64 of word n / 64. */
static uint64_t word_of(const struct slot_set *set, unsigned slot) {
    uint64_t word;
    memcpy(&word, set->bits + slot / 64 * sizeof word, sizeof word);
    return le64toh(word);
}

unsigned slot_set_count(const struct slot_set *set) {
    unsigned count = 0;
    for (unsigned slot = 0; slot < SLOT_COUNT; slot += 64)
        count += (unsigned)__builtin_popcountll(word_of(set, slot));
    return count;
}

/* The first slot from here on that is in the set, or, with all bits of `flip` set, that is not. */
static inline unsigned next(const struct slot_set *set, unsigned from, uint64_t flip) {
    assert(from <= SLOT_COUNT);
    while (from < SLOT_COUNT) {
        uint64_t left = (word_of(set, from) ^ flip) >> from % 64;
        if (left != 0) return from + (unsigned)__builtin_ctzll(left);
        from = (from / 64 + 1) * 64;
    }
    return SLOT_COUNT;
}

unsigned slot_set_next(const struct slot_set *set, unsigned from) { return next(set, from, 0); }

bool slot_set_next_range(const struct slot_set *set, unsigned from, unsigned *first, unsigned *last) {
    unsigned slot = next(set, from, 0);
    if (slot == SLOT_COUNT) return false;
    *first = slot;
    *last = next(set, slot, UINT64_MAX) - 1;
    return true;
}
