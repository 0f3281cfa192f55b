/* slot_set.c: walks over a set of slots. Most sets are a few long runs, so empty bytes are passed over eight
 * at a time. */
#include "trivet/cluster/slots/slot_set.h"

unsigned slot_set_count(const struct slot_set *set) {
    unsigned count = 0;
    for (size_t i = 0; i < sizeof set->bits; i += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, set->bits + i, sizeof word);
        count += (unsigned)__builtin_popcountll(word);
    }
    return count;
}

static bool eight_are_empty(const struct slot_set *set, size_t byte) {
    uint64_t word;
    memcpy(&word, set->bits + byte, sizeof word);
    return word == 0;
}

unsigned slot_set_next(const struct slot_set *set, unsigned from) {
    assert(from <= SLOT_COUNT);
    while (from < SLOT_COUNT) {
        if (from % 64 == 0 && eight_are_empty(set, from / 8)) {
            from += 64;
            continue;
        }
        unsigned rest = (unsigned)set->bits[from / 8] >> (from % 8);
        if (rest != 0) return from + (unsigned)__builtin_ctz(rest);
        from = (from / 8 + 1) * 8;
    }
    return SLOT_COUNT;
}

bool slot_set_next_range(const struct slot_set *set, unsigned from, unsigned *first, unsigned *last) {
    unsigned slot = slot_set_next(set, from);
    if (slot == SLOT_COUNT) return false;
    *first = slot;
    while (slot + 1 < SLOT_COUNT && slot_set_has(set, slot + 1)) slot++;
    *last = slot;
    return true;
}
