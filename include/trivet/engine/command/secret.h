/* secret.h: which arguments of a command must not reach the log, the slow log or MONITOR: passwords. The
 * command's row says it (command.h). Thread: any. */
#ifndef TRIVET_ENGINE_COMMAND_SECRET_H
#define TRIVET_ENGINE_COMMAND_SECRET_H

#include "trivet/base/slice.h"
#include "trivet/engine/command/command.h"

#define SECRET_SHOWN_AS LIT("(redacted)")

/* What may be shown of argv[index]. */
static inline struct slice argument_shown(const struct command *command, const struct slice *argv,
                                          size_t argc, size_t index) {
    bool secret = command->secret && command->secret(argv, argc, index);
    return secret ? SECRET_SHOWN_AS : argv[index];
}

#endif
