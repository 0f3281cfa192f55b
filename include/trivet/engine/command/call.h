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
struct keeping;
struct shard_set;

/* On whose behalf a command runs, as plain properties. Nobody asks where a command comes from, only what
 * follows from it. */
struct origin {
    bool may_wait;       /* if it finds nothing, it may block the client; else it replies with a null */
    bool waits_already;  /* it runs again for a client that waits; without a reply, the wait goes on */
    bool is_nested;      /* its reply is part of another command's reply */
    bool has_locks;      /* the caller took the locks of its keys, or closed the gate */
    bool is_replay;      /* it ran before, here or on the primary: limits for clients do not bind it */
    bool is_journaled;   /* its effects are in the journal already */
    bool is_silent;      /* its effects do not go into the journal (redis.set_repl) */
    int64_t frozen_us;   /* 0, or the wall clock as it sees it: time stands still for it */
    const char *speaker; /* NULL, or who MONITOR says asks, in place of the client's address */
};
extern const struct origin origin_connection, origin_transaction, origin_waiter, origin_journal,
    origin_stream, origin_stream_transaction;

struct call {
    struct client *client;
    const struct origin *origin;
    struct reply *out; /* where the reply goes: to the client, or into a reply of the caller's own */
    const struct command *command;
    const struct slice *argv; /* argv[0] is the name; borrowed for the call's time */
    struct blob **blobs;      /* NULL, or for each argument the blob that holds it, or NULL (see parser.h) */
    size_t argc;
    struct slice wire;               /* the whole command as it came, an array of bulk strings; or empty */
    const struct command_keys *keys; /* its keys, resolved; never NULL */
    const struct shard_set
        *locked; /* EXEC: the shards of all keys that it uses and watches; NULL: the gate is closed */
    struct keeping *keeping;   /* of a script that runs beside other workers, else NULL */
    struct keyspace_view view; /* how it sees the keyspace */
    size_t ready_key;          /* if origin->waits_already: the argument that is the changed key */
    uint64_t request_bytes;    /* on the wire; 0 inside a transaction */
    /* What command_run found out. */
    int64_t ns;           /* time spent in the handler, before it waited and after */
    int64_t ended_ns;     /* clock_ticks_ns when the handler was through */
    uint64_t reply_bytes; /* added to `out` */
    bool held;            /* it has not run: a pause began while it waited for the gate */
};

/* Detaches the blob of a big argument, to be stored without a copy; NULL if the argument is not one, or its
 * blob holds more than the argument. The caller owns the reference. */
struct blob *call_take_blob(struct call *c, size_t index);

/* The longest string that this command may make, in bytes. proto-max-bulk-len limits clients only: what the
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
