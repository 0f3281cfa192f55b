/* slots.h: the commands of a script in a cluster: they must keep to what this node serves, and to one slot.
 */
#ifndef SCRIPT_RUN_SLOTS_H
#define SCRIPT_RUN_SLOTS_H

#include "trivet/script/run/run.h"

/* May this command of the script run here? If not, `why` gets the error. */
MUST_CHECK bool script_slots_admit(struct script_run *run, const struct call *call, struct buf *why);

#endif
