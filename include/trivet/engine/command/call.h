/* call.h: one running command: who asks, with which arguments, where the reply goes.
 *
 * A command gets this and nothing else. It never locks: what it may touch is what its kind allows
 * (command.h). */
#ifndef TRIVET_ENGINE_COMMAND_CALL_H
#define TRIVET_ENGINE_COMMAND_CALL_H

#include "trivet/base/blob.h"
#include "trivet/engine/command/command.h"
#include "trivet/keyspace/keyspace.h"
#include "trivet/resp/reply.h"

struct client;

/* Where a command comes from. */
enum call_source {
    FROM_CLIENT,
    FROM_TRANSACTION, /* inside EXEC */
    FROM_WAITER,  /* again, for a blocked client, because a key changed that it waits for: see blocking.h */
    FROM_JOURNAL, /* the AOF is being replayed: it is not journaled again, nothing expires by itself */
};

struct call {
    struct client *client;
    struct reply *out; /* the client's reply */
    const struct command *command;
    const struct slice *argv; /* argv[0] is the name; borrowed for the call's time */
    struct blob **blobs;      /* NULL, or for each argument the blob that holds it, or NULL (see parser.h) */
    size_t argc;
    uint64_t request_bytes; /* on the wire; 0 inside a transaction */
    enum call_source source;
    struct keyspace_view view; /* its sight of the keyspace */
    size_t ready_key;          /* FROM_WAITER: the argument that is the changed key */
};

/* Detaches the blob of a big argument, to be stored without a copy; NULL if the argument is not one, or its
 * blob holds more than the argument. The caller owns the reference. */
struct blob *call_take_blob(struct call *c, size_t index);

static inline bool call_is(const struct call *c, size_t index, const char *word) {
    return slice_equal_nocase(c->argv[index], slice_of(word));
}

#endif
