/* room.h: is there memory for a command: of the whole, and of the databases that it works on? */
#ifndef ENGINE_RUN_ROOM_H
#define ENGINE_RUN_ROOM_H

#include "trivet/engine/command/call.h"

/* The flags of a call that count: those of the queue for EXEC. */
uint32_t flags_of_call(const struct call *call);

/* Evicts what the limits and policies ask for. False if the call must be refused, because it grows and
 * nothing more can be evicted. No shard is locked. */
bool room_for_call(const struct call *call);

#endif
