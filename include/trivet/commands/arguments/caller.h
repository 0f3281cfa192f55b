/* caller.h: where the client of a call comes from, for guards that let local clients pass. */
#ifndef TRIVET_COMMANDS_ARGUMENTS_CALLER_H
#define TRIVET_COMMANDS_ARGUMENTS_CALLER_H

#include "trivet/engine/client/client.h"
#include "trivet/engine/settings/options.h"

/* Over the loopback or a unix socket. */
static inline bool caller_is_local(const struct call *c) {
    const struct client *who = c->client;
    struct slice peer = slice_of(who->peer);
    return (who->flags & (CLIENT_UNIX_SOCKET | CLIENT_INTERNAL)) || slice_starts_with(peer, LIT("127.")) ||
           slice_starts_with(peer, LIT("[::1]:"));
}

/* Does a guard (enable-debug-command and its like) let this client pass? */
static inline bool caller_passes(const struct call *c, int guard) {
    return guard == GUARD_YES || (guard == GUARD_LOCAL && caller_is_local(c));
}

/* What clients read if it does not. */
#define CALLER_REFUSED(command, option)                                                                      \
    LIT("ERR " command " command not allowed. If the " option " option is set to \"local\", you can run it " \
        "from a local connection, otherwise you need to set this option in the configuration file, and "     \
        "then restart the server.")

#endif
