/* eval.c: EVAL and EVALSHA: running a script. */
#include "script_arguments.h"
#include "trivet/base/clock.h"
#include "trivet/base/sha.h"
#include "trivet/commands/groups.h"
#include "trivet/engine/client/monitor.h"
#include "trivet/script/store/shebang.h"

static void run(struct call *c, struct script *script, const struct script_arguments *with) {
    /* EVAL is not shown after it ran, as other commands are, but before what it calls. */
    if (obstacle_is_set(OBSTACLE_MONITOR)) monitor_feed(c, clock_wall_us());
    script_run(script, c, with, c->command->flags & READS);
}

/* EVAL script numkeys [key [key ...]] [arg [arg ...]], and EVAL_RO */
static void cmd_eval(struct call *c) {
    struct script_arguments with;
    if (!script_arguments(c, error_text(ERR_NOT_INT), &with)) return;
    struct script *script = scripts_find_source(c->argv[1]);
    if (!script) {
        struct buf error = { 0 };
        script = scripts_add(c->argv[1], false, &error);
        if (!script) reply_error_text(c->out, buf_slice(&error));
        buf_release(&error);
    }
    if (script) run(c, script, &with);
}

/* EVALSHA sha1 numkeys [key [key ...]] [arg [arg ...]], and EVALSHA_RO */
static void cmd_evalsha(struct call *c) {
    struct script_arguments with;
    bool is_sha = c->argv[1].len == SHA1_HEX; /* or else even the number of keys may be wrong */
    if (is_sha && !script_arguments(c, error_text(ERR_NOT_INT), &with)) return;
    struct script *script = is_sha ? scripts_find(c->argv[1]) : NULL;
    if (script)
        run(c, script, &with);
    else
        reply_error_text(c->out, LIT("NOSCRIPT No matching script."));
}

/* command.flags_of. A script that is not known yet is asked for its first line only. */
static uint32_t flags_of_eval(const struct command *command, const struct slice *argv, size_t argc) {
    const struct script *script = argc > 1 ? scripts_find_source(argv[1]) : NULL;
    if (script) return script_command_flags(command, script_subject_of(script)->flags);
    struct shebang line = { .flags = SCRIPT_COMPATIBLE };
    struct buf error = { 0 };
    bool good = argc > 1 && shebang_of_script(argv[1], &line, &error);
    buf_release(&error);
    return good ? script_command_flags(command, line.flags) : command->flags;
}

static uint32_t flags_of_evalsha(const struct command *command, const struct slice *argv, size_t argc) {
    const struct script *script = argc > 1 ? scripts_find(argv[1]) : NULL;
    return script ? script_command_flags(command, script_subject_of(script)->flags) : command->flags;
}

/* command.runs_alone: a script that must be compiled first, or that is known to use other keys. */
static bool eval_alone(const struct call *c) {
    const struct script *script = scripts_find_source(c->argv[1]);
    return !script || script_wanders(script_subject_of(script));
}

static bool evalsha_alone(const struct call *c) {
    const struct script *script = scripts_find(c->argv[1]);
    return script && script_wanders(script_subject_of(script));
}

#define RUNS_SCRIPT (NOSCRIPT | STALE | SKIP_MONITOR | NO_MANDATORY_KEYS | MOVABLE_KEYS)
#define WRITING \
    { KEYNUM_AT(2, KEY_RW | KEY_ACCESS | KEY_UPDATE) }
#define READING \
    { KEYNUM_AT(2, KEY_RO | KEY_ACCESS) }
#define DEPENDS "Depends on the script that is executed."

/* clang-format off */
const struct command eval_commands[] = {
    { .name = "EVAL", .run = cmd_eval, .arity = -3, .kind = EXCLUSIVE, .keys = WRITING,
      .flags = RUNS_SCRIPT | MAY_REPLICATE, .flags_of = flags_of_eval, .runs_alone = eval_alone,
      .categories = CAT_SCRIPTING, .since = "2.6.0", .summary = "Runs a Lua script.",
      .complexity = DEPENDS,
      .syntax = "script numkeys [key [key ...]] [arg [arg ...]]" },
    { .name = "EVAL_RO", .run = cmd_eval, .arity = -3, .kind = EXCLUSIVE, .keys = READING,
      .flags = RUNS_SCRIPT | READS, .flags_of = flags_of_eval, .runs_alone = eval_alone,
      .categories = CAT_SCRIPTING, .since = "7.0.0", .summary = "Runs a Lua script that may not write.",
      .complexity = DEPENDS,
      .syntax = "script numkeys [key [key ...]] [arg [arg ...]]" },
    { .name = "EVALSHA", .run = cmd_evalsha, .arity = -3, .kind = EXCLUSIVE, .keys = WRITING,
      .flags = RUNS_SCRIPT | MAY_REPLICATE, .flags_of = flags_of_evalsha, .runs_alone = evalsha_alone,
      .categories = CAT_SCRIPTING, .since = "2.6.0", .summary = "Runs a script by its SHA1.",
      .complexity = DEPENDS,
      .syntax = "sha1 numkeys [key [key ...]] [arg [arg ...]]" },
    { .name = "EVALSHA_RO", .run = cmd_evalsha, .arity = -3, .kind = EXCLUSIVE, .keys = READING,
      .flags = RUNS_SCRIPT | READS, .flags_of = flags_of_evalsha, .runs_alone = evalsha_alone,
      .categories = CAT_SCRIPTING, .since = "7.0.0",
      .summary = "Runs a script by its SHA1; it may not write.",
      .complexity = DEPENDS,
      .syntax = "sha1 numkeys [key [key ...]] [arg [arg ...]]" },
    { .name = NULL },
};
/* clang-format on */
