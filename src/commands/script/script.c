/* script.c: SCRIPT: the scripts that EVALSHA finds. */
#include "script_arguments.h"
#include "trivet/commands/arguments/flush_mode.h"
#include "trivet/commands/arguments/help.h"
#include "trivet/commands/groups.h"
#include "trivet/script/run/busy.h"

/* SCRIPT LOAD script */
static void cmd_script_load(struct call *c) {
    struct buf error = { 0 };
    const struct script *script = scripts_add(c->argv[2], true, &error);
    if (script)
        reply_bulk(c->out, slice_of(script_subject_of(script)->name));
    else
        reply_error_text(c->out, buf_slice(&error));
    buf_release(&error);
}

/* SCRIPT EXISTS sha1 [sha1 ...] */
static void cmd_script_exists(struct call *c) {
    reply_array(c->out, c->argc - 2);
    for (size_t i = 2; i < c->argc; i++) reply_int(c->out, scripts_find(c->argv[i]) != NULL);
}

/* SCRIPT SHOW sha1 */
static void cmd_script_show(struct call *c) {
    const struct script *script = scripts_find(c->argv[2]);
    if (script)
        reply_bulk(c->out, script_source(script));
    else
        reply_error_text(c->out, LIT("NOSCRIPT No matching script."));
}

/* SCRIPT FLUSH [ASYNC | SYNC] */
static void cmd_script_flush(struct call *c) {
    bool later;
    if (!flush_mode(c, 2, &later)) {
        reply_error_text(c->out, LIT("ERR SCRIPT FLUSH only support SYNC|ASYNC option"));
        return;
    }
    scripts_flush(later);
    reply_ok(c->out);
}

/* SCRIPT KILL */
static void cmd_script_kill(struct call *c) {
    if (script_kill(c, false)) reply_ok(c->out);
}

/* SCRIPT DEBUG YES | SYNC | NO */
static void cmd_script_debug(struct call *c) {
    if (call_is(c, 2, "NO"))
        reply_ok(c->out);
    else if (call_is(c, 2, "YES") || call_is(c, 2, "SYNC"))
        reply_error_text(
            c->out, LIT("ERR There is no script debugger in this server. Use redis.log() in the script, or "
                        "debug it on a development server."));
    else
        reply_error_text(c->out, LIT("ERR Use SCRIPT DEBUG YES/SYNC/NO"));
}

/* SCRIPT HELP */
static void cmd_script_help(struct call *c) {
    static const char *const lines[] = {
        "DEBUG <YES|SYNC|NO>",
        "    There is no debugger: only NO is accepted.",
        "EXISTS <sha1> [<sha1> ...]",
        "    Tell which of these scripts are in the cache.",
        "FLUSH [ASYNC|SYNC]",
        "    Empty the cache, in the background (ASYNC) or at once (SYNC).",
        "    lazyfree-lazy-user-flush decides if neither is given.",
        "KILL",
        "    End the script that is running, if it has not written.",
        "LOAD <script>",
        "    Put a script into the cache without running it.",
        "SHOW <sha1>",
        "    Return the text of a script in the cache.",
        NULL,
    };
    reply_help(c, lines);
}

/* clang-format off */
static const struct command script_children[] = {
    { .name = "DEBUG", .run = cmd_script_debug, .arity = 3, .kind = LOCAL, .flags = NOSCRIPT,
      .categories = CAT_SCRIPTING, .since = "3.2.0", .summary = "Refuses to debug scripts.",
      .complexity = "O(1)", .syntax = "<YES | SYNC | NO>" },
    { .name = "EXISTS", .run = cmd_script_exists, .arity = -3, .kind = LOCAL, .flags = NOSCRIPT,
      .categories = CAT_SCRIPTING, .since = "2.6.0", .summary = "Says which scripts are there.",
      .complexity = "O(N) with N being the number of scripts to check (so checking a single script is an "
                    "O(1) operation).",
      .syntax = "sha1 [sha1 ...]", .tips = "request_policy:all_shards,response_policy:agg_logical_and" },
    { .name = "FLUSH", .run = cmd_script_flush, .arity = -2, .kind = EXCLUSIVE, .flags = NOSCRIPT,
      .categories = CAT_SCRIPTING, .since = "2.6.0", .summary = "Forgets all scripts.",
      .complexity = "O(N) with N being the number of scripts in cache",
      .syntax = "[ASYNC | SYNC]", .tips = "request_policy:all_nodes,response_policy:all_succeeded" },
    { .name = "HELP", .run = cmd_script_help, .arity = 2, .kind = LOCAL, .flags = LOADING | STALE,
      .categories = CAT_SCRIPTING, .since = "5.0.0", .summary = "Returns helpful text.",
      .complexity = "O(1)" },
    { .name = "KILL", .run = cmd_script_kill, .arity = 2, .kind = LOCAL, .flags = NOSCRIPT | ALLOW_BUSY,
      .categories = CAT_SCRIPTING, .since = "2.6.0", .summary = "Ends a script that runs for long.",
      .complexity = "O(1)", .tips = "request_policy:all_shards,response_policy:one_succeeded" },
    { .name = "LOAD", .run = cmd_script_load, .arity = 3, .kind = EXCLUSIVE, .flags = NOSCRIPT | STALE,
      .categories = CAT_SCRIPTING, .since = "2.6.0", .summary = "Keeps a script for EVALSHA.",
      .complexity = "O(N) with N being the length in bytes of the script body.",
      .syntax = "script", .tips = "request_policy:all_nodes,response_policy:all_succeeded" },
    { .name = "SHOW", .run = cmd_script_show, .arity = 3, .kind = LOCAL, .flags = NOSCRIPT,
      .categories = CAT_SCRIPTING, .since = "8.0.0", .summary = "Returns the text of a script.",
      .complexity = "O(1)", .syntax = "sha1" },
    { .name = NULL },
};

const struct command script_commands[] = {
    { .name = "SCRIPT", .arity = -2, .kind = LOCAL, .since = "2.6.0", .subcommands = script_children,
      .summary = "A container for the commands about scripts.", .complexity = "Depends on subcommand." },
    { .name = NULL },
};
/* clang-format on */
