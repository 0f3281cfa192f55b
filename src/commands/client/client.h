/* client.h: the subcommands of CLIENT that live in another file than their table (client.c). */
#ifndef COMMANDS_CLIENT_CLIENT_H
#define COMMANDS_CLIENT_CLIENT_H

#include "trivet/engine/command/call.h"

/* client_tracking.c. TRACKING runs with the gate closed, the others on the client's own worker. */
void cmd_client_tracking(struct call *c);
void cmd_client_caching(struct call *c);
void cmd_client_trackinginfo(struct call *c);
void cmd_client_getredir(struct call *c);

#endif
