/* hidden.c: see hidden.h. */
#include "trivet/keyspace/hidden.h"
#include "trivet/keyspace/keyspace.h"

uint32_t hidden_slots;
uint64_t hidden_slot_bits[SLOT_COUNT / 64];
static uint8_t reasons[SLOT_COUNT]; /* of enum hiding */

bool slot_is_hidden_as(uint32_t slot, enum hiding why) { return slot_is_hidden(slot) && reasons[slot] & why; }

void slot_hide(uint16_t slot, enum hiding why) {
    assert(shard_count == SLOT_COUNT);
    if (reasons[slot] == 0) {
        hidden_slot_bits[slot / 64] |= UINT64_C(1) << (slot % 64);
        hidden_slots++;
    }
    reasons[slot] = (uint8_t)(reasons[slot] | why);
}

void slot_show(uint16_t slot, enum hiding why) {
    if (reasons[slot] == 0) return;
    reasons[slot] = (uint8_t)(reasons[slot] & ~(unsigned)why);
    if (reasons[slot] != 0) return;
    hidden_slot_bits[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
    hidden_slots--;
}

struct counts {
    size_t keys, expires;
};

/* Of slots that are not hidden for one of these reasons. Each is counted where it is: sums of the workers'
 * counters less what is hidden would be wrong while that is being deleted. */
static struct counts count_without(uint32_t db, unsigned why) {
    struct counts sum = { 0 };
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
        if (reasons[slot] & why) continue;
        shard_lock(&shards[slot]);
        const struct keydb *kdb = shard_db(&shards[slot], db);
        if (kdb) sum.keys += table_count(&kdb->table);
        if (kdb) sum.expires += kdb->expires;
        shard_unlock(&shards[slot]);
    }
    return sum;
}

size_t keyspace_count_seen(uint32_t db) {
    if (LIKELY(hidden_slots == 0)) return keyspace_count(db);
    return count_without(db, SLOT_ARRIVES | SLOT_LEAVES).keys;
}

size_t keyspace_expires_seen(uint32_t db) {
    if (LIKELY(hidden_slots == 0)) return keyspace_expires(db);
    return count_without(db, SLOT_ARRIVES | SLOT_LEAVES).expires;
}

size_t keyspace_count_staying(uint32_t db) {
    if (LIKELY(hidden_slots == 0)) return keyspace_count(db);
    return count_without(db, SLOT_LEAVES).keys;
}
