/* dispatch_private.h: between dispatch.c and admit.c. */
#ifndef TRIVET_ENGINE_DISPATCH_PRIVATE_H
#define TRIVET_ENGINE_DISPATCH_PRIVATE_H

#include "trivet/engine/call.h"

/* May this command run, or be queued, now? If not, the error reply was written and a transaction being queued
 * is broken. */
bool dispatch_admit(struct call *call);
unsigned obstacles_now(void);

#endif
