/* command.h: the long replies of COMMAND, one file each. */
#ifndef COMMANDS_SERVER_COMMAND_H
#define COMMANDS_SERVER_COMMAND_H

#include "trivet/engine/command/call.h"

/* COMMAND INFO's ten elements. */
void reply_command_info(struct reply *out, const struct command *command);
/* The names of a key's flags, as a set. */
void reply_key_flags(struct reply *out, unsigned flags);
/* COMMAND DOCS' name and map. */
void reply_command_docs(struct reply *out, const struct command *command);

#endif
