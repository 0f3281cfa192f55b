/* call.h: one running command: who asks, with which arguments, where the reply goes.
 *
 * A command gets this and nothing else. It never locks: what it may touch is what its kind allows
 * (command.h). Owner: whoever calls command_run (engine/run/run.h), on its stack. */
#ifndef TRIVET_ENGINE_COMMAND_CALL_H
#define TRIVET_ENGINE_COMMAND_CALL_H

#include "trivet/base/blob.h"
#include "trivet/engine/command/command.h"
#include "trivet/engine/command/command_keys.h"
#include "trivet/keyspace/keyspace.h"
#include "trivet/resp/reply.h"

struct client;
struct shard_set;

/* On whose behalf a command runs, as plain properties. Nobody asks where a command comes from, only what
 * follows from it. */
struct origin {
    bool may_wait;      /* finding nothing, it may block the client; else it replies that there is nothing */
    bool waits_already; /* it runs again for a client that waits: without a reply, that waits on */
    bool is_nested;     /* its reply is a part of another command's reply */
    bool has_locks;     /* somebody took the locks of its keys, or closed the gate */
    bool is_replay;     /* its effects are in the journal already, and limits for clients do not bind it */
};
extern const struct origin origin_connection, origin_transaction, origin_waiter, origin_journal;

struct call {
    struct client *client;
    const struct origin *origin;
    struct reply *out; /* where the reply goes: the client's own, or a sink of who runs it */
    const struct command *command;
    const struct slice *argv; /* argv[0] is the name; borrowed for the call's time */
    struct blob **blobs;      /* NULL, or for each argument the blob that holds it, or NULL (see parser.h) */
    size_t argc;
    const struct command_keys *keys; /* its keys, resolved; never NULL */
    const struct shard_set
        *locked;               /* EXEC: the shards of all it runs and watches; NULL: the gate is closed */
    struct keyspace_view view; /* its sight of the keyspace */
    size_t ready_key;          /* of a call that waits already: the argument that is the changed key */
    uint64_t request_bytes;    /* on the wire; 0 inside a transaction */
    /* What command_run found out. */
    int64_t ns;           /* time spent in the handler, before it waited and after */
    uint64_t reply_bytes; /* added to `out` */
    bool held;            /* it has not run: a pause began while it waited for the gate */
};

/* Detaches the blob of a big argument, to be stored without a copy; NULL if the argument is not one, or its
 * blob holds more than the argument. The caller owns the reference. */
struct blob *call_take_blob(struct call *c, size_t index);

/* The most bytes that a string may get by this command. proto-max-bulk-len is a limit of clients: what the
 * journal holds was allowed when it was written. */
uint64_t call_bulk_max(const struct call *c);

static inline void call_set_keys(struct call *c, const struct command_keys *keys) {
    c->keys = keys;
    c->view.refs = keys->at;
    c->view.ref_count = keys->count;
    c->view.ref_hint = 0;
}

static inline bool call_is(const struct call *c, size_t index, const char *word) {
    return slice_equal_nocase(c->argv[index], slice_of(word));
}

#endif
