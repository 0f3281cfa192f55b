/* link.h: the connection between two nodes that hand over slots (engine/cluster/migrations.h), as the way of
 * a command sees it. The client is CLIENT_SLOT_IMPORT where the slots arrive, and CLIENT_SLOT_EXPORT where
 * they leave. */
#ifndef TRIVET_ENGINE_SLOTS_LINK_H
#define TRIVET_ENGINE_SLOTS_LINK_H

#include "trivet/engine/client/client.h"

/* A command on it could not be run, for this reason. On the client's worker, its gate held. Set at start-up.
 */
extern void (*slot_link_failed)(struct client *c, struct slice why);
/* Whole databases were emptied, with what has arrived in them. Gate closed. Set at start-up. */
extern void (*slot_data_flushed)(void);

#endif
