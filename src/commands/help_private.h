/* help_private.h: the HELP subcommand of containers (OBJECT HELP, CONFIG HELP, ...), all in one form. */
#ifndef COMMANDS_HELP_PRIVATE_H
#define COMMANDS_HELP_PRIVATE_H

#include "trivet/base/compiler.h"
#include "trivet/engine/call.h"

/* Replies with the first line that names the container, `lines` (ended by NULL; explanations are indented by
 * four spaces) and what HELP itself does. For the HELP row of a container only. */
void reply_help(struct call *c, const char *const *lines);

#endif
