/* fcall.c: FCALL: running a function. */
#include "script_arguments.h"
#include "trivet/base/clock.h"
#include "trivet/commands/groups.h"
#include "trivet/engine/client/monitor.h"
#include "trivet/script/store/functions.h"

/* FCALL function numkeys [key [key ...]] [arg [arg ...]], and FCALL_RO */
static void cmd_fcall(struct call *c) {
    struct script_arguments with;
    struct function *f = functions_find(c->argv[1]);
    if (!f) {
        reply_error_text(c->out, LIT("ERR Function not found"));
        return;
    }
    if (!script_arguments(c, LIT("ERR Bad number of keys provided"), &with)) return;
    /* It is not shown after it ran, as other commands are, but before what it calls. */
    if (obstacle_is_set(OBSTACLE_MONITOR)) monitor_feed(c, clock_wall_us());
    function_run(f, c, &with, c->command->flags & READS);
}

static uint32_t flags_of_fcall(const struct command *command, const struct slice *argv, size_t argc) {
    const struct function *f = argc > 1 ? functions_find(argv[1]) : NULL;
    return f ? script_command_flags(command, f->subject.flags) : command->flags;
}

/* command.runs_alone */
static bool fcall_alone(const struct call *c) {
    const struct function *f = functions_find(c->argv[1]);
    return f && script_wanders(&f->subject);
}

#define RUNS_FUNCTION (NOSCRIPT | STALE | SKIP_MONITOR | NO_MANDATORY_KEYS | MOVABLE_KEYS)
#define SYNTAX "function numkeys [key [key ...]] [arg [arg ...]]"

/* clang-format off */
const struct command fcall_commands[] = {
    { .name = "FCALL", .run = cmd_fcall, .arity = -3, .kind = EXCLUSIVE,
      .keys = { KEYNUM_AT(2, KEY_RW | KEY_ACCESS | KEY_UPDATE) }, .flags = RUNS_FUNCTION | MAY_REPLICATE,
      .flags_of = flags_of_fcall, .runs_alone = fcall_alone, .categories = CAT_SCRIPTING, .since = "7.0.0",
      .summary = "Runs a function.", .complexity = "Depends on the function that is executed.",
      .syntax = SYNTAX },
    { .name = "FCALL_RO", .run = cmd_fcall, .arity = -3, .kind = EXCLUSIVE,
      .keys = { KEYNUM_AT(2, KEY_RO | KEY_ACCESS) }, .flags = RUNS_FUNCTION | READS,
      .flags_of = flags_of_fcall, .runs_alone = fcall_alone, .categories = CAT_SCRIPTING, .since = "7.0.0",
      .summary = "Runs a function; it may not write.",
      .complexity = "Depends on the function that is executed.", .syntax = SYNTAX },
    { .name = NULL },
};
/* clang-format on */
