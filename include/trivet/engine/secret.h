/* secret.h: which arguments of a command must not reach the log, the slow log or MONITOR: passwords.
 * Thread: any. */
#ifndef TRIVET_ENGINE_SECRET_H
#define TRIVET_ENGINE_SECRET_H

#include "trivet/base/slice.h"
#include "trivet/engine/command.h"

/* True if argv[index] is one: AUTH's, HELLO's after AUTH, a sensitive setting's value, rules of a user. */
bool argument_is_secret(const struct command *command, const struct slice *argv, size_t argc, size_t index);

#define SECRET_SHOWN_AS "(redacted)"

#endif
