/* integer.h: arguments that are integers. Thread: any. */
#ifndef TRIVET_COMMANDS_ARGUMENTS_INTEGER_H
#define TRIVET_COMMANDS_ARGUMENTS_INTEGER_H

#include "trivet/base/compiler.h"
#include "trivet/engine/command/call.h"

/* The integer of argument `index`; false after replying that it is none. */
MUST_CHECK bool integer_argument(struct call *c, size_t index, int64_t *n);

#endif
