/* function.c: FUNCTION: libraries of functions. */
#include "trivet/base/clock.h"
#include "trivet/base/glob.h"
#include "trivet/commands/arguments/flush_mode.h"
#include "trivet/commands/arguments/help.h"
#include "trivet/commands/groups.h"
#include "trivet/engine/run/change.h"
#include "trivet/engine/run/run.h"
#include "trivet/keyspace/counters.h"
#include "trivet/script/run/busy.h"
#include "trivet/script/store/functions.h"

/* Libraries are no keys: nobody watches them. But they are in the journal and in the files. */
static void libraries_changed(struct call *c) {
    COUNTER_ADD(counters_mine()->dirty, 1);
    journal_effect(c, EFFECT_SAME(c));
}

/* FUNCTION LOAD [REPLACE] code */
static void cmd_function_load(struct call *c) {
    struct slice name;
    struct buf error = { 0 };
    bool replace = false;
    for (size_t i = 2; i + 1 < c->argc; i++) {
        replace = call_is(c, i, "REPLACE");
        if (replace) continue;
        reply_error_printf(c->out, "ERR Unknown option given: %.*s", SLICE_ARG(c->argv[i]));
        return;
    }
    if (functions_load(c->argv[c->argc - 1], replace, &name, &error)) {
        libraries_changed(c);
        reply_bulk(c->out, name);
    } else {
        reply_error_text(c->out, buf_slice(&error));
    }
    buf_release(&error);
}

/* FUNCTION DELETE library */
static void cmd_function_delete(struct call *c) {
    if (!functions_delete(c->argv[2])) {
        reply_error_text(c->out, LIT("ERR Library not found"));
        return;
    }
    libraries_changed(c);
    reply_ok(c->out);
}

/* FUNCTION FLUSH [ASYNC | SYNC] */
static void cmd_function_flush(struct call *c) {
    bool later;
    if (c->argc > 3) {
        reply_subcommand_error(c);
        return;
    }
    if (!flush_mode(c, 2, &later)) {
        reply_error_text(c->out, LIT("ERR FUNCTION FLUSH only supports SYNC|ASYNC option"));
        return;
    }
    functions_flush(later);
    libraries_changed(c);
    reply_ok(c->out);
}

/* FUNCTION KILL */
static void cmd_function_kill(struct call *c) {
    if (script_kill(c, true)) reply_ok(c->out);
}

/* ---- what there is ---- */

static void reply_flags(struct reply *out, unsigned flags) {
    size_t count = 0;
    unsigned flag;
    for (size_t i = 0; script_flag_name(i, &flag); i++) count += (flags & flag) != 0;
    reply_set(out, count);
    const char *name;
    for (size_t i = 0; (name = script_flag_name(i, &flag)); i++)
        if (flags & flag) reply_simple(out, slice_of(name));
}

static void reply_function(struct reply *out, const struct function *f) {
    reply_map(out, 3);
    reply_bulk(out, LIT("name"));
    reply_bulk(out, slice_of(f->name));
    reply_bulk(out, LIT("description"));
    if (f->description.ptr)
        reply_bulk(out, f->description);
    else
        reply_null(out);
    reply_bulk(out, LIT("flags"));
    reply_flags(out, f->subject.flags);
}

static void reply_library(struct reply *out, const struct library *l, bool with_code) {
    size_t count = 0;
    FUNCTIONS_OF(l, each) count++;
    reply_map(out, with_code ? 4 : 3);
    reply_bulk(out, LIT("library_name"));
    reply_bulk(out, l->name);
    reply_bulk(out, LIT("engine"));
    reply_bulk(out, LIT("LUA"));
    reply_bulk(out, LIT("functions"));
    reply_array(out, count);
    FUNCTIONS_OF(l, f) reply_function(out, f);
    if (!with_code) return;
    reply_bulk(out, LIT("library_code"));
    reply_bulk(out, l->code);
}

struct list_options {
    struct slice pattern; /* ptr is NULL: all */
    bool with_code;
};

static bool read_list_options(struct call *c, struct list_options *o) {
    *o = (struct list_options){ .with_code = false };
    for (size_t i = 2; i < c->argc; i++) {
        if (!o->with_code && call_is(c, i, "WITHCODE")) {
            o->with_code = true;
        } else if (!o->pattern.ptr && call_is(c, i, "LIBRARYNAME")) {
            if (i + 1 == c->argc) {
                reply_error_text(c->out, LIT("ERR library name argument was not given"));
                return false;
            }
            o->pattern = c->argv[++i];
        } else {
            reply_error_printf(c->out, "ERR Unknown argument %.*s", SLICE_ARG(c->argv[i]));
            return false;
        }
    }
    return true;
}

/* FUNCTION LIST [LIBRARYNAME pattern] [WITHCODE] */
static void cmd_function_list(struct call *c) {
    struct list_options o;
    if (!read_list_options(c, &o)) return;
    struct chunk *at = reply_later(c->out);
    size_t count = 0;
    for (const struct library *l = functions_first(); l; l = functions_after(l)) {
        if (o.pattern.ptr && !glob_match_nocase(o.pattern, l->name)) continue;
        reply_library(c->out, l, o.with_code);
        count++;
    }
    reply_later_array(c->out, at, count);
}

static void reply_running(struct reply *out, const struct script_run *run) {
    reply_map(out, 3);
    reply_bulk(out, LIT("name"));
    reply_bulk(out, slice_of(run->subject->name));
    reply_bulk(out, LIT("command"));
    reply_array(out, run->caller->argc);
    for (size_t i = 0; i < run->caller->argc; i++) reply_bulk(out, run->caller->argv[i]);
    reply_bulk(out, LIT("duration_ms"));
    reply_int(out, (clock_ticks_ns() - run->began_ns) / 1000000);
}

/* FUNCTION STATS */
static void cmd_function_stats(struct call *c) {
    const struct script_run *run = script_busy();
    if (run && !run->subject->is_function) {
        reply_error_text(c->out, slice_of(command_busy_text));
        return;
    }
    struct functions_info info;
    functions_info(&info);
    reply_map(c->out, 2);
    reply_bulk(c->out, LIT("running_script"));
    if (run)
        reply_running(c->out, run);
    else
        reply_null(c->out);
    reply_bulk(c->out, LIT("engines"));
    reply_map(c->out, 1);
    reply_bulk(c->out, LIT("LUA"));
    reply_map(c->out, 2);
    reply_bulk(c->out, LIT("libraries_count"));
    reply_int(c->out, (int64_t)info.libraries);
    reply_bulk(c->out, LIT("functions_count"));
    reply_int(c->out, (int64_t)info.functions);
}

/* ---- as a payload ---- */

/* FUNCTION DUMP */
static void cmd_function_dump(struct call *c) {
    struct buf payload = { 0 };
    functions_dump(&payload);
    reply_bulk(c->out, buf_slice(&payload));
    buf_release(&payload);
}

static bool read_policy(struct call *c, enum restore_policy *policy) {
    *policy = RESTORE_APPEND;
    if (c->argc == 3 || (c->argc == 4 && call_is(c, 3, "APPEND"))) return true;
    if (c->argc > 4) {
        reply_subcommand_error(c);
        return false;
    }
    if (call_is(c, 3, "FLUSH"))
        *policy = RESTORE_FLUSH;
    else if (call_is(c, 3, "REPLACE"))
        *policy = RESTORE_REPLACE;
    else
        reply_error_text(
            c->out, LIT("ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE."));
    return *policy != RESTORE_APPEND;
}

/* FUNCTION RESTORE payload [FLUSH | APPEND | REPLACE] */
static void cmd_function_restore(struct call *c) {
    enum restore_policy policy;
    struct buf error = { 0 };
    if (!read_policy(c, &policy)) return;
    if (functions_restore(c->argv[2], policy, &error)) {
        libraries_changed(c);
        reply_ok(c->out);
    } else {
        reply_error_text(c->out, buf_slice(&error));
    }
    buf_release(&error);
}

/* FUNCTION HELP */
static void cmd_function_help(struct call *c) {
    static const char *const lines[] = {
        "DELETE <library-name>",
        "    Remove a library with all its functions.",
        "DUMP",
        "    Return all libraries as one string, for FUNCTION RESTORE.",
        "FLUSH [ASYNC|SYNC]",
        "    Remove all libraries, in the background (ASYNC) or at once (SYNC).",
        "    lazyfree-lazy-user-flush decides if neither is given.",
        "KILL",
        "    End the function that is running, if it has not written.",
        "LIST [LIBRARYNAME <pattern>] [WITHCODE]",
        "    Tell of the libraries and their functions, and show their code.",
        "LOAD [REPLACE] <code>",
        "    Make a library of its code; REPLACE: even if there is one of its name.",
        "RESTORE <payload> [FLUSH|APPEND|REPLACE]",
        "    Make the libraries of a dump. Those that are there already:",
        "    * APPEND: stay, and one of the same name is an error (the default).",
        "    * FLUSH: are all removed.",
        "    * REPLACE: stay, unless the dump has one of the same name.",
        "STATS",
        "    Tell which function is running, and how many there are.",
        NULL,
    };
    reply_help(c, lines);
}

#define WRITES_FUNCTIONS (WRITES | NOSCRIPT)
#define ON_ALL_SHARDS "request_policy:all_shards,response_policy:all_succeeded"

/* clang-format off */
static const struct command function_children[] = {
    { .name = "DELETE", .run = cmd_function_delete, .arity = 3, .kind = EXCLUSIVE, .flags = WRITES_FUNCTIONS,
      .categories = CAT_SCRIPTING, .since = "7.0.0", .summary = "Removes a library and its functions.",
      .complexity = "O(1)", .syntax = "library-name", .tips = ON_ALL_SHARDS },
    { .name = "DUMP", .run = cmd_function_dump, .arity = 2, .kind = LOCAL, .flags = NOSCRIPT,
      .categories = CAT_SCRIPTING, .since = "7.0.0", .summary = "Returns all libraries as one string.",
      .complexity = "O(N) where N is the number of functions" },
    { .name = "FLUSH", .run = cmd_function_flush, .arity = -2, .kind = EXCLUSIVE, .flags = WRITES_FUNCTIONS,
      .categories = CAT_SCRIPTING, .since = "7.0.0", .summary = "Removes all libraries.",
      .complexity = "O(N) where N is the number of functions deleted", .syntax = "[ASYNC | SYNC]",
      .tips = ON_ALL_SHARDS },
    { .name = "HELP", .run = cmd_function_help, .arity = 2, .kind = LOCAL, .flags = LOADING | STALE,
      .categories = CAT_SCRIPTING, .since = "7.0.0", .summary = "Returns helpful text.",
      .complexity = "O(1)" },
    { .name = "KILL", .run = cmd_function_kill, .arity = 2, .kind = LOCAL, .flags = NOSCRIPT | ALLOW_BUSY,
      .categories = CAT_SCRIPTING, .since = "7.0.0", .summary = "Ends a function that runs for long.",
      .complexity = "O(1)", .tips = "request_policy:all_shards,response_policy:one_succeeded" },
    { .name = "LIST", .run = cmd_function_list, .arity = -2, .kind = LOCAL, .flags = NOSCRIPT,
      .categories = CAT_SCRIPTING, .since = "7.0.0", .summary = "Tells about all libraries.",
      .complexity = "O(N) where N is the number of functions",
      .syntax = "[LIBRARYNAME library-name-pattern] [WITHCODE]", .tips = "nondeterministic_output_order" },
    { .name = "LOAD", .run = cmd_function_load, .arity = -3, .kind = EXCLUSIVE,
      .flags = WRITES_FUNCTIONS | GROWS, .categories = CAT_SCRIPTING, .since = "7.0.0",
      .summary = "Makes a library of its code.",
      .complexity = "O(1) (considering compilation time is redundant)",
      .syntax = "[REPLACE] function-code", .tips = ON_ALL_SHARDS },
    { .name = "RESTORE", .run = cmd_function_restore, .arity = -3, .kind = EXCLUSIVE,
      .flags = WRITES_FUNCTIONS | GROWS, .categories = CAT_SCRIPTING, .since = "7.0.0",
      .summary = "Makes the libraries of a dump.",
      .complexity = "O(N) where N is the number of functions on the payload",
      .syntax = "serialized-value [FLUSH | APPEND | REPLACE]", .tips = ON_ALL_SHARDS },
    { .name = "STATS", .run = cmd_function_stats, .arity = 2, .kind = LOCAL, .flags = NOSCRIPT | ALLOW_BUSY,
      .categories = CAT_SCRIPTING, .since = "7.0.0",
      .summary = "Tells which function runs, and how many there are.",
      .complexity = "O(1)",
      .tips = "nondeterministic_output,request_policy:all_shards,response_policy:special" },
    { .name = NULL },
};

const struct command function_commands[] = {
    { .name = "FUNCTION", .arity = -2, .kind = LOCAL, .since = "7.0.0", .subcommands = function_children,
      .summary = "A container for the commands about functions.", .complexity = "Depends on subcommand." },
    { .name = NULL },
};
/* clang-format on */
