/* module.c: MODULE. This server has no modules: the list is empty, and loading one fails as it does where the
 * library is no module. The guard enable-module-command is asked first, as everywhere. */
#include "trivet/base/log.h"
#include "trivet/commands/arguments/caller.h"
#include "trivet/commands/arguments/help.h"
#include "trivet/commands/groups.h"

/* MODULE LIST */
static void cmd_module_list(struct call *c) { reply_array(c->out, 0); }

static bool is_allowed(struct call *c) {
    if (caller_passes(c, options.enable_module_command)) return true;
    reply_error_text(c->out, CALLER_REFUSED("MODULE", "enable-module-command"));
    return false;
}

/* MODULE LOAD path [arg ...] */
static void cmd_module_load(struct call *c) {
    if (!is_allowed(c)) return;
    LOG_WARNING("Module %.*s failed to load: Trivet has no modules", SLICE_ARG(c->argv[2]));
    reply_error_text(c->out, LIT("ERR Error loading the extension. Please check the server logs."));
}

/* MODULE UNLOAD name */
static void cmd_module_unload(struct call *c) {
    if (!is_allowed(c)) return;
    reply_error_text(c->out, LIT("ERR Error unloading module: no such module with that name"));
}

static void cmd_module_help(struct call *c) {
    static const char *const lines[] = {
        "LIST",
        "    Return the loaded modules: none.",
        "LOAD <path> [<arg> ...]",
        "    Load a module; Trivet has none, so this fails.",
        "LOADEX <path> [CONFIG <name> <value> ...] [ARGS <arg> ...]",
        "    Load a module with its settings; fails likewise.",
        "UNLOAD <name>",
        "    Unload a module.",
        NULL,
    };
    reply_help(c, lines);
}

#define CHANGES .kind = EXCLUSIVE, .flags = ADMIN | NOSCRIPT | NO_ASYNC_LOADING

static const struct command module_subcommands[] = {
    { .name = "HELP", .run = cmd_module_help, .arity = 2, .kind = LOCAL, .flags = LOADING | STALE,
      .since = "5.0.0", .summary = "Tells about the subcommands.", .complexity = "O(1)" },
    { .name = "LIST", .run = cmd_module_list, .arity = 2, .kind = LOCAL, .flags = ADMIN | NOSCRIPT,
      .since = "4.0.0", .summary = "Returns the loaded modules.", .complexity = "O(1)",
      .tips = "nondeterministic_output_order" },
    { .name = "LOAD", .run = cmd_module_load, .arity = -3, CHANGES, .since = "4.0.0",
      .summary = "Loads a module.", .complexity = "O(1)", .syntax = "path [arg [arg ...]]" },
    { .name = "LOADEX", .run = cmd_module_load, .arity = -3, CHANGES, .since = "7.0.0",
      .summary = "Loads a module with its settings.", .complexity = "O(1)",
      .syntax = "path [CONFIG name value [CONFIG name value ...]] [ARGS arg [arg ...]]" },
    { .name = "UNLOAD", .run = cmd_module_unload, .arity = 3, CHANGES, .since = "4.0.0",
      .summary = "Unloads a module.", .complexity = "O(1)", .syntax = "name" },
    { .name = NULL },
};

const struct command module_commands[] = {
    { .name = "MODULE", .arity = -2, .kind = LOCAL, .subcommands = module_subcommands, .since = "4.0.0",
      .summary = "Holds the commands for modules.", .complexity = "Depends on the subcommand." },
    { .name = NULL },
};
