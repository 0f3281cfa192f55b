/* dispatch.h: a connection's conversation: its commands one after the other, as they come in.
 *
 * The connection parses a batch, prepares each command (look-up, keys, prefetching the bucket), prefetches
 * the entries, then runs them in order: memory latency overlaps instead of adding up. Thread: the
 * connection's worker, with its gate held. */
#ifndef TRIVET_ENGINE_RUN_DISPATCH_H
#define TRIVET_ENGINE_RUN_DISPATCH_H

#include "trivet/engine/client/client.h"
#include "trivet/engine/command/call.h"
#include "trivet/resp/parser.h"

#define PREFETCH_KEYS 128 /* of a batch, at most */

/* A command ready to run. A zeroed struct is empty; its memory is used again by the next command. */
struct prepared {
    const struct command *command; /* NULL: no such command; the run says so */
    struct command_keys keys;
} CACHE_ALIGNED;
static_assert(sizeof(struct prepared) == CACHE_LINE, "a command of a batch is prepared in one cache line");

enum dispatched {
    DISPATCH_DONE,      /* go on with the next command */
    DISPATCH_BLOCKED,   /* it ran and the client is blocked: run the next command after client_hooks.resume */
    DISPATCH_POSTPONED, /* it did not run: run it again after client_hooks.resume */
    DISPATCH_UNFINISHED, /* a part of it ran: dispatch_go_on in the next turn; its arguments are still needed
                          */
    DISPATCH_CLOSE,      /* close the client */
};

/* The arguments must stay where they are until the command has run. */
void dispatch_prepare(const struct slice *argv, size_t argc, struct prepared *out);
/* The same for a command of the journal, which is called by its declared name. */
void dispatch_prepare_replay(const struct slice *argv, size_t argc, struct prepared *out);
void prepared_release(struct prepared *p);
/* Before a batch runs: fetches its cache lines, all buckets first, then all entries, then values. */
void dispatch_prefetch(const struct client *c, const struct prepared *batch, size_t count);
/* `wire`: all bytes of the command, if they are in one piece, else empty. */
enum dispatched dispatch_run(struct client *c, const struct args *args, const struct prepared *p,
                             struct slice wire);

/* The next part of a command that is unfinished. */
enum dispatched dispatch_go_on(struct client *c, struct args *args, const struct prepared *p);

/* Replays one command of the journal for an internal client. False if there is no such command: `error` says
 * so. True if it ran: the text of an error reply is in `error` then. */
bool dispatch_replay(struct client *c, const struct slice *argv, size_t argc, struct buf *error);

#endif
