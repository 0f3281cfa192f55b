/* command.c: COMMAND: what this server can do, for clients that route by keys and for people who ask. */
#include "command.h"
#include "trivet/base/glob.h"
#include "trivet/commands/arguments/help.h"
#include "trivet/commands/groups.h"
#include "trivet/engine/command/registry.h"

/* COMMAND */
static void cmd_command(struct call *c) {
    reply_array(c->out, registry_count());
    for (size_t i = 0; i < registry_count(); i++) reply_command_info(c->out, registry_at(i));
}

/* COMMAND COUNT */
static void cmd_command_count(struct call *c) { reply_int(c->out, (int64_t)registry_count()); }

/* COMMAND INFO [name ...] */
static void cmd_command_info(struct call *c) {
    if (c->argc == 2) {
        cmd_command(c);
        return;
    }
    reply_array(c->out, c->argc - 2);
    for (size_t i = 2; i < c->argc; i++) {
        const struct command *command = registry_find_full(c->argv[i]);
        if (command)
            reply_command_info(c->out, command);
        else
            reply_null(c->out);
    }
}

/* COMMAND DOCS [name ...] */
static void cmd_command_docs(struct call *c) {
    struct chunk *at = reply_later(c->out);
    size_t count = 0;
    for (size_t i = 0; c->argc == 2 && i < registry_count(); i++, count++)
        reply_command_docs(c->out, registry_at(i));
    for (size_t i = 2; i < c->argc; i++) {
        const struct command *command = registry_find_full(c->argv[i]);
        if (!command) continue;
        reply_command_docs(c->out, command);
        count++;
    }
    reply_later_map(c->out, at, count);
}

/* ---- LIST ---- */

struct filter {
    enum { NO_FILTER, BY_MODULE, BY_CATEGORY, BY_PATTERN } by;
    struct slice text;
    uint32_t category; /* 0: no such one */
};

static uint32_t category_of(struct slice name) {
    for (int i = 0; i < CATEGORY_COUNT; i++)
        if (slice_equal_nocase(name, slice_of(category_names[i]))) return 1u << i;
    return 0;
}

static bool passes(const struct filter *f, const struct command *command) {
    switch (f->by) {
    case BY_MODULE: return false; /* no command comes from a module */
    case BY_CATEGORY: return command->categories & f->category;
    case BY_PATTERN: return glob_match_nocase(f->text, slice_of(command->full_name));
    default: return true;
    }
}

/* Reads [FILTERBY MODULE name | ACLCAT category | PATTERN pattern]. */
static bool read_filter(const struct call *c, struct filter *f) {
    *f = (struct filter){ .by = NO_FILTER };
    if (c->argc == 2) return true;
    if (c->argc != 5 || !call_is(c, 2, "FILTERBY")) return false;
    f->text = c->argv[4];
    if (call_is(c, 3, "MODULE")) f->by = BY_MODULE;
    if (call_is(c, 3, "ACLCAT")) f->by = BY_CATEGORY;
    if (call_is(c, 3, "PATTERN")) f->by = BY_PATTERN;
    if (f->by == BY_CATEGORY) f->category = category_of(f->text);
    return f->by != NO_FILTER;
}

/* COMMAND LIST [FILTERBY ...] */
static void cmd_command_list(struct call *c) {
    struct filter f;
    if (!read_filter(c, &f)) {
        reply_error(c->out, ERR_SYNTAX);
        return;
    }
    struct chunk *at = reply_later(c->out);
    size_t count = 0;
    for (uint32_t id = 0; id < registry_ids(); id++) {
        const struct command *command = registry_by_id(id);
        if (!command || !command_top(command)->current_name || !passes(&f, command)) continue;
        reply_bulk(c->out, slice_of(command->full_name));
        count++;
    }
    reply_later_array(c->out, at, count);
}

/* ---- keys ---- */

static bool may_have_keys(const struct command *command) {
    if (command->find_keys) return true;
    for (size_t i = 0; i < KEY_SPECS_MAX && command->keys[i].begin != BEGIN_NONE; i++)
        if (!(command->keys[i].flags & KEY_NOT_KEY)) return true;
    return false;
}

/* The keys of the command in argv[2] and on; false after replying an error, or an empty array. */
static bool find_keys(struct call *c, struct key_positions *keys) {
    const struct slice *argv = c->argv + 2;
    size_t argc = c->argc - 2;
    const struct command *container, *command = registry_resolve(argv, argc, &container);
    if (!command)
        reply_error_text(c->out, LIT("ERR Invalid command specified"));
    else if (!may_have_keys(command))
        reply_error_text(c->out, LIT("ERR The command has no key arguments"));
    else if (!command_arity_fits(command, argc))
        reply_error_text(c->out, LIT("ERR Invalid number of arguments specified for command"));
    else if (command_key_positions(command, argv, argc, keys) && keys->count > 0)
        return true;
    else if (command->flags & NO_MANDATORY_KEYS)
        reply_array(c->out, 0);
    else
        reply_error_text(c->out, LIT("ERR Invalid arguments specified for command"));
    return false;
}

static void reply_keys(struct call *c, bool with_flags) {
    struct key_positions keys = { 0 };
    if (find_keys(c, &keys)) {
        reply_array(c->out, keys.count);
        for (size_t i = 0; i < keys.count; i++) {
            if (with_flags) reply_array(c->out, 2);
            reply_bulk(c->out, c->argv[2 + keys.at[i].index]);
            if (with_flags) reply_key_flags(c->out, keys.at[i].flags);
        }
    }
    key_positions_release(&keys);
}

/* COMMAND GETKEYS command [arg ...] */
static void cmd_command_getkeys(struct call *c) { reply_keys(c, false); }

/* COMMAND GETKEYSANDFLAGS command [arg ...] */
static void cmd_command_getkeysandflags(struct call *c) { reply_keys(c, true); }

static void cmd_command_help(struct call *c) {
    static const char *const lines[] = {
        "(no subcommand)",
        "    Return the facts about all commands.",
        "COUNT",
        "    Return the number of commands.",
        "DOCS [<command> ...]",
        "    Return what documentation says about these commands, or all.",
        "GETKEYS <command> [<arg> ...]",
        "    Return the keys of a full command.",
        "GETKEYSANDFLAGS <command> [<arg> ...]",
        "    Return the keys of a full command, and what it does to each.",
        "INFO [<command> ...]",
        "    Return the facts about these commands, or all.",
        "LIST [FILTERBY MODULE <name> | ACLCAT <category> | PATTERN <pattern>]",
        "    Return the names of commands.",
        NULL,
    };
    reply_help(c, lines);
}

#define COMMAND_ROW .kind = LOCAL, .flags = LOADING | STALE, .categories = CAT_CONNECTION

static const struct command command_subcommands[] = {
    { .name = "COUNT", .run = cmd_command_count, .arity = 2, COMMAND_ROW, .since = "2.8.13",
      .summary = "Returns the number of commands.", .complexity = "O(1)" },
    { .name = "DOCS", .run = cmd_command_docs, .arity = -2, COMMAND_ROW, .since = "7.0.0",
      .summary = "Returns what documentation says about commands.",
      .complexity = "O(N) where N is the number of commands asked for.",
      .syntax = "[command-name [command-name ...]]", .tips = "nondeterministic_output_order" },
    { .name = "GETKEYS", .run = cmd_command_getkeys, .arity = -3, COMMAND_ROW, .since = "2.8.13",
      .summary = "Returns the keys of a full command.",
      .complexity = "O(N) where N is the number of its arguments.", .syntax = "command [arg [arg ...]]" },
    { .name = "GETKEYSANDFLAGS", .run = cmd_command_getkeysandflags, .arity = -3, COMMAND_ROW,
      .since = "7.0.0", .summary = "Returns the keys of a full command and what it does to them.",
      .complexity = "O(N) where N is the number of its arguments.", .syntax = "command [arg [arg ...]]" },
    { .name = "HELP", .run = cmd_command_help, .arity = 2, COMMAND_ROW, .since = "5.0.0",
      .summary = "Tells about the subcommands.", .complexity = "O(1)" },
    { .name = "INFO", .run = cmd_command_info, .arity = -2, COMMAND_ROW, .since = "2.8.13",
      .summary = "Returns the facts about some or all commands.",
      .complexity = "O(N) where N is the number of commands asked for.",
      .syntax = "[command-name [command-name ...]]", .tips = "nondeterministic_output_order" },
    { .name = "LIST", .run = cmd_command_list, .arity = -2, COMMAND_ROW, .since = "7.0.0",
      .summary = "Returns the names of commands.", .complexity = "O(N) where N is the number of commands.",
      .syntax = "[FILTERBY <MODULE module-name | ACLCAT category | PATTERN pattern>]",
      .tips = "nondeterministic_output_order" },
    { .name = NULL },
};

const struct command command_commands[] = {
    { .name = "COMMAND", .run = cmd_command, .arity = -1, COMMAND_ROW, .subcommands = command_subcommands,
      .since = "2.8.13", .summary = "Returns the facts about all commands.",
      .complexity = "O(N) where N is the number of commands.", .tips = "nondeterministic_output_order" },
    { .name = NULL },
};
