/* command_keys.c: see command_keys.h. */
#include "trivet/engine/command/command_keys.h"
#include "trivet/base/mem.h"
#include "trivet/engine/command/registry.h"

#define KEEP_ROOM 1024 /* a bigger allocation is not kept for the next command */

const struct command_keys no_keys;

static void make_room(struct command_keys *keys, size_t count) {
    if (keys->room > KEEP_ROOM) command_keys_release(keys);
    if (count <= KEYS_INSIDE && keys->room == 0) {
        keys->at = keys->inside;
    } else if (count > keys->room) {
        mem_free(keys->room ? keys->at : NULL);
        keys->at = mem_alloc(count * sizeof *keys->at);
        keys->room = count;
    }
}

void command_keys_resolve(struct command_keys *keys, const struct command *command, const struct slice *argv,
                          size_t argc) {
    keys->count = 0;
    if (!command->names_keys || !command_arity_fits(command, argc)) return;
    if (command->simple_key > 0) {
        command_keys_set_one(keys, command, argv);
        return;
    }
    struct key_positions found = { 0 };
    /* Where a spec finds none the others count all the same: PFMERGE needs no source. */
    (void)command_key_positions(command, argv, argc, &found);
    make_room(keys, found.count);
    for (size_t i = 0; i < found.count; i++) {
        const struct key_position *p = &found.at[i];
        assert(p->index > 0 && p->index < argc);
        keys->at[i] = keyref_of(argv[p->index]);
        keys->at[i].access = p->flags;
        keys->at[i].argument = (uint32_t)p->index;
    }
    keys->count = found.count;
    key_positions_release(&found);
}

void command_keys_release(struct command_keys *keys) {
    if (keys->room) mem_free(keys->at);
    keys->at = NULL;
    keys->count = keys->room = 0;
}
