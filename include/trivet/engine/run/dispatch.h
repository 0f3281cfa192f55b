/* dispatch.h: from arguments to a run command: look-up, arity, permission, memory, locks, statistics.
 *
 * The connection parses a batch, prepares each command (look-up and hash, prefetching the bucket), prefetches
 * the entries, then runs them in order: memory latency overlaps instead of adding up. */
#ifndef TRIVET_ENGINE_RUN_DISPATCH_H
#define TRIVET_ENGINE_RUN_DISPATCH_H

#include "trivet/engine/client/client.h"
#include "trivet/engine/command/call.h"
#include "trivet/resp/parser.h"

/* A command ready to run. */
struct prepared {
    const struct command *command; /* NULL: no such command; the run says so */
    struct keyref ref;             /* the key of a command with one, hashed; key.ptr NULL if not */
};

enum dispatched {
    DISPATCH_DONE,      /* go on with the next command */
    DISPATCH_BLOCKED,   /* it ran and the client is blocked: the next command waits for client_hooks.resume */
    DISPATCH_POSTPONED, /* it did not run: run it again after client_hooks.resume */
    DISPATCH_CLOSE,     /* the client is to be closed */
};

void dispatch_prepare(struct client *c, const struct args *args, struct prepared *out);
/* Fetches the cache lines of a batch: all buckets first, then all entries. */
void dispatch_prefetch(const struct client *c, const struct prepared *batch, size_t count);
enum dispatched dispatch_run(struct client *c, struct args *args, const struct prepared *p);

/* Replays one command of the journal for an internal client; false if there is no such command or it made an
 * error reply, which is left in c->reply. */
bool dispatch_replay(struct client *c, const struct slice *argv, size_t argc, struct buf *error);
/* Runs a queued command inside EXEC: locks are held, checks of queueing time are done. */
void dispatch_nested(struct client *c, const struct command *command, const struct slice *argv,
                     struct blob **blobs, size_t argc, struct keyref *refs, size_t ref_count);

#endif
