/* help.h: the HELP subcommand of containers (OBJECT HELP, CONFIG HELP, ...), all in one form. */
#ifndef TRIVET_COMMANDS_ARGUMENTS_HELP_H
#define TRIVET_COMMANDS_ARGUMENTS_HELP_H

#include "trivet/base/compiler.h"
#include "trivet/engine/command/call.h"

/* "unknown subcommand or wrong number of arguments": for a subcommand whose row cannot say how many. */
void reply_subcommand_error(struct call *c);
/* Replies with the first line that names the container, `lines` (ended by NULL; explanations are indented by
 * four spaces) and what HELP itself does. For the HELP row of a container only. */
void reply_help(struct call *c, const char *const *lines);

#endif
