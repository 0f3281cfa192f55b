/* caller.h: where the client of a call comes from, for guards that let local clients pass. */
#ifndef TRIVET_COMMANDS_ARGUMENTS_CALLER_H
#define TRIVET_COMMANDS_ARGUMENTS_CALLER_H

#include "trivet/engine/client/client.h"

/* Over the loopback or a unix socket. */
static inline bool caller_is_local(const struct call *c) {
    const struct client *who = c->client;
    struct slice peer = slice_of(who->peer);
    return (who->flags & (CLIENT_UNIX_SOCKET | CLIENT_INTERNAL)) || slice_starts_with(peer, LIT("127.")) ||
           slice_starts_with(peer, LIT("[::1]:"));
}

#endif
