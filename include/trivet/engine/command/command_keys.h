/* command_keys.h: the keys of one command: found among the arguments and hashed once, before anything else is
 * done with it. Locks, permission, tracking, transactions and the keyspace read them from here.
 *
 * Owner: whoever resolved them. The slices point into the arguments. A zeroed struct holds no keys. It may
 * not be copied (`at` may point inside); resolving again reuses its memory. */
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
 * the command itself says what is wrong with them. */
void command_keys_resolve(struct command_keys *keys, const struct command *command, const struct slice *argv,
                          size_t argc);
/* The short way for a command whose specs say one key (command->simple_key), and that has this argument. */
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
