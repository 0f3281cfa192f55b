/* slots.c: see slots.h. The words are those of Valkey. */
#include "slots.h"
#include "trivet/engine/slots/redirect.h"
#include "trivet/engine/slots/routes.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/keyspace/slot_stats.h"

static void refuse_command(const struct call *call, const char *reason, struct buf *why) {
    buf_append(why, LIT("ERR "));
    if (strchr(reason, '%'))
        buf_printf(why, reason, call->command->full_name);
    else
        buf_append(why, slice_of(reason));
}

static const char *words_of(enum redirect what) {
    switch (what) {
    case REDIRECT_CROSSSLOT:
        return "Command '%s' in script attempted to access keys that don't hash to the same slot";
    case REDIRECT_UNSERVED: return "Script attempted to access a slot not served";
    case REDIRECT_DOWN: return "Script attempted to execute a command while the cluster is down";
    case REDIRECT_DOWN_READS:
        return "Script attempted to execute a write command while the cluster is down and readonly";
    case REDIRECT_ASK:
    case REDIRECT_TRYAGAIN:
        return "Unable to execute command '%s' in script because undeclared keys were accessed during "
               "rehashing of the slot";
    default: return "Script attempted to access a non local key in a cluster node";
    }
}

/* The slot of the keys that the script was called with counts, or that of the first key that it used. */
static bool leaves_its_slot(struct script_run *run, uint16_t slot) {
    if (run->subject->flags & (SCRIPT_COMPATIBLE | SCRIPT_CROSS_SLOT_KEYS)) return false;
    if (run->slot < 0) run->slot = slot;
    return run->slot != slot;
}

/* While the slot moves: are the keys here? The script keeps their shard, or the gate is closed. */
static enum redirect look_for_keys(const struct script_run *run, const struct call *call, uint16_t slot) {
    struct call probe = *call;
    struct origin unlocked = *call->origin;
    unlocked.has_locks = false;
    probe.origin = &unlocked;
    bool lock = !run->origin.has_locks;
    if (lock) shard_lock(&shards[slot]);
    enum redirect what = redirect_of_keys(&probe).what;
    if (lock) shard_unlock(&shards[slot]);
    return what;
}

bool script_slots_admit(struct script_run *run, const struct call *call, struct buf *why) {
    if (LIKELY(!routes) || run->origin.is_replay) return true;
    struct redirection r = redirect_of(call);
    if (r.what == REDIRECT_NONE && call->keys->count == 0) return true;
    if (r.what == REDIRECT_NONE && leaves_its_slot(run, r.slot)) {
        refuse_command(call, "Script attempted to access keys that do not hash to the same slot", why);
        return false;
    }
    if (r.what == REDIRECT_NONE && routes->moving[r.slot] != ROUTE_NOBODY)
        r.what = look_for_keys(run, call, r.slot);
    if (r.what == REDIRECT_NONE) {
        if (UNLIKELY(slot_stats_on)) slot_stats_note_use(r.slot);
        return true;
    }
    refuse_command(call, words_of(r.what), why);
    return false;
}
