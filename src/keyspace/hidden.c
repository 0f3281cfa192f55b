/* hidden.c: see hidden.h. */
#include "trivet/keyspace/hidden.h"
#include "trivet/keyspace/keyspace.h"

uint32_t hidden_slots;
uint64_t hidden_slot_bits[SLOT_COUNT / 64];

void slot_hide(uint16_t slot) {
    assert(shard_count == SLOT_COUNT);
    if (slot_is_hidden(slot)) return;
    hidden_slot_bits[slot / 64] |= UINT64_C(1) << (slot % 64);
    hidden_slots++;
}

void slot_show(uint16_t slot) {
    if (!slot_is_hidden(slot)) return;
    hidden_slot_bits[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
    hidden_slots--;
}

struct hidden_keys {
    size_t all, expires;
};

static struct hidden_keys hidden_keys_of(uint32_t db) {
    struct hidden_keys sum = { 0 };
    for (uint32_t slot = 0; slot < SLOT_COUNT && hidden_slots > 0; slot++) {
        if (!slot_is_hidden(slot)) continue;
        shard_lock(&shards[slot]);
        const struct keydb *kdb = shard_db(&shards[slot], db);
        if (kdb) sum.all += table_count(&kdb->table);
        if (kdb) sum.expires += kdb->expires;
        shard_unlock(&shards[slot]);
    }
    return sum;
}

/* Counts of other workers are read while they change. */
static size_t less(size_t all, size_t hidden) { return all > hidden ? all - hidden : 0; }

size_t keyspace_count_seen(uint32_t db) {
    size_t all = keyspace_count(db);
    return LIKELY(hidden_slots == 0) ? all : less(all, hidden_keys_of(db).all);
}

size_t keyspace_expires_seen(uint32_t db) {
    size_t all = keyspace_expires(db);
    return LIKELY(hidden_slots == 0) ? all : less(all, hidden_keys_of(db).expires);
}
