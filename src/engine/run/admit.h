/* admit.h: may a command of a conversation run now? */
#ifndef ENGINE_RUN_ADMIT_H
#define ENGINE_RUN_ADMIT_H

#include "trivet/engine/command/call.h"

/* May this command run, or be queued, now? If not, the error reply was written and a transaction being queued
 * is broken. Looks at the conversation first, then does what command_admit does. */
bool dispatch_admit(struct call *call);
/* Is it one of those that run while a script is busy? If not, the error was written. */
bool command_admit_busy(struct call *call);
/* This server may have become a replica since it was admitted. If it must not run now, the error was
 * written. */
bool command_admit_role(struct call *call);
/* In a cluster: are its slots this node's? If not, the error was written. */
bool command_admit_slot(struct call *call);
/* While slots are moving, under the locks of its keys: are they here? If not, the error was written. */
bool command_admit_keys(struct call *call);

#endif
