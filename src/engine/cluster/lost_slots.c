/* lost_slots.c: see lost_slots.h. */
#include "trivet/engine/cluster/lost_slots.h"
#include "trivet/base/clock.h"
#include "trivet/base/log.h"
#include "trivet/engine/client/tracking.h"
#include "trivet/engine/client/transaction.h"
#include "trivet/engine/cluster/member.h"
#include "trivet/engine/replication/primary.h"
#include "trivet/engine/run/change.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/keyspace/leaving.h"

static bool some_leave; /* slots; worker 0, or the gate closed */

/* This node's, or its primary's. */
static bool is_served_here(const struct routes *r, uint16_t slot) {
    uint16_t owner = r->owner[slot];
    return owner == ROUTE_MYSELF || (owner != ROUTE_NOBODY && owner == r->primary);
}

static size_t clear(uint16_t slot) {
    return slot_clear(slot, options.lazyfree_lazy_server_del, clock_wall_ms());
}

/* Whoever watches a key hears of it before the key goes. */
static size_t leave(uint16_t slot) {
    size_t keys = slot_leave(slot);
    if (keys == 0) return 0;
    transaction_touch_shard(&shards[slot]);
    some_leave = true;
    return keys;
}

/* On a replica nothing is deleted but by its primary. */
static size_t give_up(uint16_t slot) {
    if (!is_served_here(routes, slot)) return leave(slot);
    return primary_is_set() ? 0 : clear(slot);
}

/* To name each key takes as long as to delete it, and the slot's new owner may change it meanwhile. */
static void tell_trackers(size_t keys) {
    if (keys > 0) tracking_invalidate_all();
}

void lost_slots_leave(const struct slot_set *slots) {
    size_t keys = 0;
    assert(exclusive_is_mine());
    SLOT_SET_EACH(slots, slot) keys += give_up((uint16_t)slot);
    tell_trackers(keys);
    change_flush_quietly();
    if (keys > 0 && !primary_is_set())
        LOG_NOTICE("Deleting %zu keys of slots that are another node's now", keys);
}

void lost_slots_clear(const struct slot_set *slots) {
    size_t gone = 0;
    assert(exclusive_is_mine());
    SLOT_SET_EACH(slots, slot) gone += clear((uint16_t)slot);
    change_flush_quietly();
    if (gone > 0) LOG_NOTICE("Deleted %zu keys of slots that come from another node now", gone);
}

void lost_slots_arrive(const struct slot_set *slots) { SLOT_SET_EACH(slots, slot) slot_stay((uint16_t)slot); }

/* ---- routes ---- */

/* Keys may come: it is served here, or it is moved here key by key. */
static bool comes_back(const struct routes *now, uint16_t slot) {
    return is_served_here(now, slot) || now->moving[slot] != ROUTE_NOBODY;
}

/* Nobody of this shard serves it. */
static bool is_foreign(unsigned slot) {
    const struct cluster_node *owner = member->state.owners[slot];
    return owner && !cluster_same_shard(owner, member->state.self);
}

/* The primary that this replica follows has lost it. Who has never heard that the primary had it may have
 * missed more, and leaves its keys alone. */
static bool is_lost_by_primary(const struct routes *now, uint16_t slot) {
    if (!routes || now->primary == ROUTE_NOBODY || routes->owner[slot] == ROUTE_NOBODY) return false;
    return routes->owner[slot] == routes->primary && is_foreign(slot) && !comes_back(now, slot);
}

void lost_slots_routes_change(const struct routes *now) {
    size_t gone = 0, hidden = 0;
    assert(exclusive_is_mine());
    for (unsigned n = 0; n < SLOT_COUNT; n++) {
        uint16_t slot = (uint16_t)n;
        if (!slot_is_leaving(slot)) {
            if (is_lost_by_primary(now, slot)) hidden += leave(slot);
        } else if (comes_back(now, slot)) {
            if (primary_is_set())
                slot_stay(slot);
            else
                gone += clear(slot);
        }
    }
    tell_trackers(hidden);
    if (gone > 0) change_flush_quietly();
}

/* ---- the end ---- */

void lost_slots_cron(void) {
    if (!some_leave || !leaving_can_end()) return;
    exclusive_begin();
    some_leave = leaving_end() > 0;
    exclusive_end();
    if (!some_leave) LOG_NOTICE("All keys of slots that are another node's now are gone");
}
