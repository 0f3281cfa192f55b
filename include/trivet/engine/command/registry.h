/* registry.h: from a name to a command.
 *
 * Setup fills it at start-up. Rows may be added and removed later. Changes need the gate closed; every worker
 * reads without a lock. */
#ifndef TRIVET_ENGINE_COMMAND_REGISTRY_H
#define TRIVET_ENGINE_COMMAND_REGISTRY_H

#include "trivet/base/compiler.h"
#include "trivet/engine/command/command.h"
#include <stdbool.h>
#include <stddef.h>

/* Registers the rows of a table under a group name ("string", "generic", ...). False if one of the names is
 * taken, or too long: nothing is added then. The rows' texts must stay valid while they are registered. */
MUST_CHECK bool registry_add(const char *group, const struct command *rows);
/* What rename-command does: clients find the command `name` (its current one) as `fresh` from now on, or not
 * at all if that is empty. Its row keeps the declared name: statistics, errors and COMMAND show that, and ACL
 * rules and the journal use it. Nothing changes unless it is RENAME_DONE. At start-up, before rows of
 * other owners come. */
enum registry_renamed {
    RENAME_DONE,
    RENAME_UNKNOWN,    /* there is no such command */
    RENAME_TAKEN,      /* another command has the fresh name */
    RENAME_IMPOSSIBLE, /* nobody could ask for that name */
};
MUST_CHECK enum registry_renamed registry_rename(struct slice name, struct slice fresh);
/* Removes every command of this owner; returns how many. Their structs stay until registry_release, because
 * clients remember their last command, queue commands and parse ahead. Such a removed command answers like an
 * unknown one. Ids are not used again. */
size_t registry_remove(const void *owner);
/* Counts removals. Keep it beside a command that you keep for longer than one call, and look the command up
 * again when it has changed. */
extern uint32_t registry_generation;
/* Called after rows were added, with registry_ids(), to make room in arrays by id. May be NULL. */
extern void (*registry_grew)(uint32_t ids);
void registry_release(void);

/* The command that clients call so, in any case, or NULL. */
const struct command *registry_find(struct slice name);
/* The subcommand, or NULL. */
const struct command *registry_find_child(const struct command *parent, struct slice name);
/* "get" or "config|get". */
const struct command *registry_find_full(struct slice full_name);
/* What argv asks for: the subcommand of a container, or the command itself. *container is set if argv[0]
 * names a container but argv[1] no subcommand of it (the result is NULL then). */
const struct command *registry_resolve(const struct slice *argv, size_t argc,
                                       const struct command **container);

/* The command or subcommand ("config|get") that its row calls so, also if clients know it by another name or
 * not at all. */
const struct command *registry_find_declared(struct slice full_name);
/* What a journal's argv asks for. Ours has declared names. Redis and Valkey write what their clients said: a
 * name that no row declares may be a current one. */
const struct command *registry_resolve_journaled(const struct slice *argv, size_t argc);

size_t registry_count(void);                       /* commands that clients can call, without subcommands */
uint32_t registry_ids(void);                       /* number of ids, subcommands included */
const struct command *registry_at(size_t index);   /* by order of registration, 0..registry_count()-1 */
const struct command *registry_by_id(uint32_t id); /* NULL if it was removed */

static inline bool command_arity_fits(const struct command *command, size_t argc) {
    return command->arity >= 0 ? argc == (size_t)command->arity : argc >= (size_t)-command->arity;
}

/* Positions of the keys among the arguments. Zero-initialise; key_positions_release when done. */
struct key_position {
    size_t index;
    uint16_t flags;
};
struct key_positions {
    struct key_position *at;
    size_t count, room;
    struct key_position inside[16];
};
void key_positions_add(struct key_positions *p, size_t index, uint16_t flags);
void key_positions_release(struct key_positions *p);
/* False if the arguments make no sense for the command (a wrong numkeys). Zero keys is a success. Specs
 * flagged not_key (sharded pub/sub channels) are included: the caller looks at the flags. */
bool command_key_positions(const struct command *command, const struct slice *argv, size_t argc,
                           struct key_positions *out);

extern const char *const category_names[CATEGORY_COUNT];

#endif
