/* flush_mode.h: [ASYNC | SYNC] as the last argument of commands that empty something. Thread: the command's.
 */
#ifndef TRIVET_COMMANDS_ARGUMENTS_FLUSH_MODE_H
#define TRIVET_COMMANDS_ARGUMENTS_FLUSH_MODE_H

#include "trivet/base/compiler.h"
#include "trivet/engine/command/call.h"

/* Reads it at argument `at`, where the arguments may end. Without it lazyfree-lazy-user-flush decides. False
 * if there is something else; the caller replies. */
MUST_CHECK bool flush_mode(const struct call *c, size_t at, bool *lazily);

#endif
