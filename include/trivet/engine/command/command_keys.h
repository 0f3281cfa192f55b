/* command_keys.h: the keys of one command: found among the arguments and hashed once, as the first step.
 * Locks, permission, tracking, transactions and the keyspace read them from here.
 *
 * Owner: the caller that resolved them. The slices point into the arguments. A zeroed struct holds no keys.
 * Do not copy it (`at` may point inside); resolving again reuses its memory. */
#ifndef TRIVET_ENGINE_COMMAND_COMMAND_KEYS_H
#define TRIVET_ENGINE_COMMAND_COMMAND_KEYS_H

#include "trivet/engine/command/command.h"
#include "trivet/keyspace/keyspace.h"

#define KEYS_INSIDE 1 /* most commands have one; more would spread a batch over more cache lines */

struct command_keys {
    struct keyref *at; /* `inside`, or an allocation; in the order of the key specs */
    size_t count, room;
    struct keyref inside[KEYS_INSIDE];
};

/* LOCAL commands have no keys to resolve. If the arguments make no sense (a wrong numkeys) there are none:
 * the command itself replies with the error. */
void command_keys_resolve(struct command_keys *keys, const struct command *command, const struct slice *argv,
                          size_t argc);
/* The short way for a command with exactly one key (command->simple_key). The argument must be there. */
static inline void command_keys_set_one(struct command_keys *keys, const struct command *command,
                                        const struct slice *argv) {
    if (!keys->at) keys->at = keys->inside;
    *keys->at = keyref_of(argv[command->simple_key]);
    keys->at->access = command->keys[0].flags;
    keys->at->argument = command->simple_key;
    keys->count = 1;
}
void command_keys_release(struct command_keys *keys);

extern const struct command_keys no_keys;

#endif
