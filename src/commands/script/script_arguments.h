/* script_arguments.h: what EVAL and FCALL have in common: "numkeys key [key ...] arg [arg ...]", and the
 * flags of what they run. */
#ifndef COMMANDS_SCRIPT_SCRIPT_ARGUMENTS_H
#define COMMANDS_SCRIPT_SCRIPT_ARGUMENTS_H

#include "trivet/engine/command/call.h"
#include "trivet/script/store/scripts.h"

/* Reads them from argument 2 on. False after replying; `no_number` is the error for what is no number. */
MUST_CHECK bool script_arguments(struct call *c, struct slice no_number, struct script_arguments *out);

/* The flags of a command that runs a script with these flags (enum script_flag). */
uint32_t script_command_flags(const struct command *command, unsigned script_flags);

#endif
