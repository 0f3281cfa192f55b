/* redirect.h: may this node run a command on these keys, or where has the client to go?
 *
 * Asked twice. Before the locks, from the slots alone. While slots are moving also under the locks of the
 * keys, because of a slot that goes to another node each key is either still here or there already. Thread:
 * the client's worker, its gate held. */
#ifndef TRIVET_ENGINE_SLOTS_REDIRECT_H
#define TRIVET_ENGINE_SLOTS_REDIRECT_H

#include "trivet/base/buf.h"
#include "trivet/engine/command/call.h"
#include "trivet/engine/slots/routes.h"

enum redirect {
    REDIRECT_NONE, /* it may run here */
    REDIRECT_CROSSSLOT,
    REDIRECT_UNSERVED, /* nobody has the slot */
    REDIRECT_DOWN,
    REDIRECT_DOWN_READS, /* only reads are served */
    REDIRECT_ASK,
    REDIRECT_TRYAGAIN,
    REDIRECT_MOVED,
};

struct redirection {
    enum redirect what;
    uint16_t slot, node;
};

/* The slot of its keys or sharded channels, of all queued commands if it is EXEC; -1: it has none, or they
 * are of several. */
int32_t slot_of_call(const struct call *call);
/* What mostly is: all keys are in one slot, which this node serves. Then redirect_of() would say the same.
 * EXEC has no keys of its own. */
static inline bool redirect_is_needless(const struct call *call) {
    const struct command_keys *keys = call->keys;
    if (keys->count == 0) return false;
    uint16_t slot = keys->at[0].shard;
    for (size_t i = 1; i < keys->count; i++)
        if (keys->at[i].shard != slot) return false;
    return routes_serve(slot);
}
/* From the slots of its keys: those of all queued commands if it is EXEC. Only while routes is not NULL. */
struct redirection redirect_of(const struct call *call);
/* Once more under the locks of its keys, which redirect_of let through: are they here? */
struct redirection redirect_of_keys(const struct call *call);
/* The error. The port is that of the client's kind of connection. */
void redirect_tell(struct redirection r, const struct client *c, struct buf *text);

#endif
