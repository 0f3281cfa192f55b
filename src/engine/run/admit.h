/* admit.h: between dispatch.c and admit.c. */
#ifndef ENGINE_RUN_ADMIT_H
#define ENGINE_RUN_ADMIT_H

#include "trivet/engine/command/call.h"

/* May this command run, or be queued, now? If not, the error reply was written and a transaction being queued
 * is broken. */
bool dispatch_admit(struct call *call);

#endif
