/* secret.h: which arguments of a command must not reach the log, the slow log or MONITOR: passwords.
 * Thread: any. */
#ifndef TRIVET_ENGINE_COMMAND_SECRET_H
#define TRIVET_ENGINE_COMMAND_SECRET_H

#include "trivet/base/slice.h"
#include "trivet/engine/command/command.h"

/* True if argv[index] is one: AUTH's, HELLO's after AUTH, a sensitive setting's value, rules of a user,
 * MIGRATE's after AUTH and AUTH2. */
bool argument_is_secret(const struct command *command, const struct slice *argv, size_t argc, size_t index);

/* MIGRATE's passwords lie in from..to - 1; both are 0 if there is none. */
void migrate_secrets(const struct slice *argv, size_t argc, size_t *from, size_t *to);

#define SECRET_SHOWN_AS "(redacted)"

#endif
