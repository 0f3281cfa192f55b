/* kept.h: a command that outlives the bytes it came in: queued by MULTI, or blocked.
 *
 * Owner: the caller of kept_new; freed with kept_free. Its memory does not move, so its keys stay valid. */
#ifndef TRIVET_ENGINE_COMMAND_KEPT_H
#define TRIVET_ENGINE_COMMAND_KEPT_H

#include "trivet/engine/command/call.h"

struct kept {
    const struct command *command;
    struct slice *argv;  /* one allocation with the bytes after them */
    struct blob **blobs; /* NULL, or for each argument a reference to the blob that holds it, or NULL */
    size_t argc;
    size_t bytes;  /* of all arguments */
    size_t memory; /* of the allocation, and of the blobs */
    struct command_keys keys;
};

/* Copies the call's command; big arguments are shared, not copied. */
struct kept *kept_new(const struct call *call);
void kept_free(struct kept *k);

#endif
