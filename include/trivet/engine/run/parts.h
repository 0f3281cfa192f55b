/* parts.h: commands that do their work in parts, so that other clients are answered in between.
 *
 * For work that grows with the arguments, all alike, up to any number, and needs no locks. Only a command
 * that a connection sent is cut; in transactions and scripts, and from a primary, it is done at once. The
 * parts run in turns of the worker, one in each (dispatch_go_on): its client is UNFINISHED in between, and
 * what it sends waits. To statistics and the slow log it is one command. Thread: the client's worker, in the
 * handler. */
#ifndef TRIVET_ENGINE_RUN_PARTS_H
#define TRIVET_ENGINE_RUN_PARTS_H

#include "trivet/engine/command/call.h"

#define PART_ARGUMENTS 32

/* At the beginning of a handler: cuts the call down to its first arguments, if it has many. */
void parts_take(struct call *c);
/* Without arguments: how much of the work may be done now; if some is left, parts_go_on calls the handler
 * again. */
size_t parts_room(const struct call *c);
void parts_go_on(struct call *c);

#endif
