/* admit.h: may a command of a conversation run now? */
#ifndef ENGINE_RUN_ADMIT_H
#define ENGINE_RUN_ADMIT_H

#include "trivet/engine/command/call.h"

/* May this command run, or be queued, now? If not, the error reply was written and a transaction being queued
 * is broken. Looks at the conversation first, then does what command_admit does. */
bool dispatch_admit(struct call *call);

#endif
