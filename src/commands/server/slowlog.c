/* slowlog.c: COMMANDLOG and its older name for one of its three logs, SLOWLOG. */
#include "trivet/base/number.h"
#include "trivet/commands/arguments/help.h"
#include "trivet/commands/groups.h"
#include "trivet/engine/watch/commandlog.h"

#define SLOWLOG_DEFAULT_COUNT 10
#define LOG_TYPES "<SLOW | LARGE-REQUEST | LARGE-REPLY>"

struct entry_list {
    struct reply *out;
    size_t count;
};

static void add_entry(void *arg, const struct commandlog_entry *e) {
    struct entry_list *list = arg;
    struct reply *out = list->out;
    list->count++;
    reply_array(out, 6);
    reply_int(out, (int64_t)e->id);
    reply_int(out, e->time_s);
    reply_int(out, e->value);
    reply_array(out, e->argc);
    for (size_t i = 0; i < e->argc; i++) reply_bulk(out, e->argv[i]);
    reply_bulk(out, slice_of(e->peer));
    reply_bulk(out, slice_of(e->name));
}

/* Reads the argument as a count, -1 for all; false after replying the error. */
static bool read_count(struct call *c, size_t index, size_t *max) {
    int64_t n;
    if (!int64_parse(c->argv[index], &n) || n < -1) {
        reply_error_text(c->out, LIT("ERR count should be greater than or equal to -1"));
        return false;
    }
    *max = n == -1 ? SIZE_MAX : (size_t)n;
    return true;
}

static void reply_entries(struct call *c, enum commandlog_type type, size_t max) {
    struct entry_list list = { .out = c->out };
    struct chunk *at = reply_later(c->out);
    commandlog_each(type, max, add_entry, &list);
    reply_later_array(c->out, at, list.count);
}

/* ---- SLOWLOG ---- */

/* SLOWLOG GET [count] */
static void cmd_slowlog_get(struct call *c) {
    size_t max = SLOWLOG_DEFAULT_COUNT;
    if (c->argc > 3) {
        reply_error_text(c->out, LIT("ERR wrong number of arguments for 'slowlog|get' command"));
        return;
    }
    if (c->argc == 3 && !read_count(c, 2, &max)) return;
    reply_entries(c, COMMANDLOG_SLOW, max);
}

/* SLOWLOG LEN */
static void cmd_slowlog_len(struct call *c) {
    reply_int(c->out, (int64_t)commandlog_length(COMMANDLOG_SLOW));
}

/* SLOWLOG RESET */
static void cmd_slowlog_reset(struct call *c) {
    commandlog_reset(COMMANDLOG_SLOW);
    reply_ok(c->out);
}

static void cmd_slowlog_help(struct call *c) {
    static const char *const lines[] = {
        "GET [<count>]",
        "    Return the newest entries (10 unless told, -1 for all): id, time, microseconds,",
        "    arguments, client address, client name.",
        "LEN",
        "    Return the number of entries.",
        "RESET",
        "    Forget all entries.",
        NULL,
    };
    reply_help(c, lines);
}

/* ---- COMMANDLOG ---- */

/* Reads the argument as the name of a log; false after replying the error. */
static bool read_type(struct call *c, size_t index, enum commandlog_type *type) {
    static const char *const names[COMMANDLOG_TYPES] = { "slow", "large-request", "large-reply" };
    for (int i = 0; i < COMMANDLOG_TYPES; i++) {
        if (!call_is(c, index, names[i])) continue;
        *type = (enum commandlog_type)i;
        return true;
    }
    reply_error_text(c->out,
                     LIT("ERR type should be one of the following: slow, large-request, large-reply"));
    return false;
}

/* COMMANDLOG GET count type */
static void cmd_commandlog_get(struct call *c) {
    enum commandlog_type type;
    size_t max;
    if (!read_count(c, 2, &max) || !read_type(c, 3, &type)) return;
    reply_entries(c, type, max);
}

/* COMMANDLOG LEN type */
static void cmd_commandlog_len(struct call *c) {
    enum commandlog_type type;
    if (read_type(c, 2, &type)) reply_int(c->out, (int64_t)commandlog_length(type));
}

/* COMMANDLOG RESET type */
static void cmd_commandlog_reset(struct call *c) {
    enum commandlog_type type;
    if (!read_type(c, 2, &type)) return;
    commandlog_reset(type);
    reply_ok(c->out);
}

static void cmd_commandlog_help(struct call *c) {
    static const char *const lines[] = {
        "GET <count> <type>",
        "    Return the newest entries (-1 for all) of a log: id, time, microseconds or bytes,",
        "    arguments, client address, client name. <type> is slow, large-request or large-reply.",
        "LEN <type>",
        "    Return the number of entries of a log.",
        "RESET <type>",
        "    Forget all entries of a log.",
        NULL,
    };
    reply_help(c, lines);
}

#define LOG_FLAGS (ADMIN | LOADING | STALE)

static const struct command slowlog_subcommands[] = {
    { .name = "GET", .run = cmd_slowlog_get, .arity = -2, .kind = LOCAL, .flags = LOG_FLAGS | DEPRECATED,
      .since = "2.2.12", .summary = "Returns entries of the slow log.",
      .complexity = "O(N) where N is the number of entries returned.", .syntax = "[count]",
      .tips = "request_policy:all_nodes,nondeterministic_output", .deprecated_since = "8.1.0",
      .replaced_by = "`COMMANDLOG GET`" },
    { .name = "HELP", .run = cmd_slowlog_help, .arity = 2, .kind = LOCAL,
      .flags = LOADING | STALE | DEPRECATED, .since = "6.2.0", .summary = "Tells about the subcommands.",
      .complexity = "O(1)", .deprecated_since = "8.1.0", .replaced_by = "`COMMANDLOG HELP`" },
    { .name = "LEN", .run = cmd_slowlog_len, .arity = 2, .kind = LOCAL, .flags = LOG_FLAGS | DEPRECATED,
      .since = "2.2.12", .summary = "Returns the number of entries in the slow log.", .complexity = "O(1)",
      .tips = "request_policy:all_nodes,response_policy:agg_sum,nondeterministic_output",
      .deprecated_since = "8.1.0", .replaced_by = "`COMMANDLOG LEN`" },
    { .name = "RESET", .run = cmd_slowlog_reset, .arity = 2, .kind = LOCAL, .flags = LOG_FLAGS | DEPRECATED,
      .since = "2.2.12", .summary = "Empties the slow log.",
      .complexity = "O(N) where N is the number of entries.",
      .tips = "request_policy:all_nodes,response_policy:all_succeeded", .deprecated_since = "8.1.0",
      .replaced_by = "`COMMANDLOG RESET`" },
    { .name = NULL },
};

static const struct command commandlog_subcommands[] = {
    { .name = "GET", .run = cmd_commandlog_get, .arity = 4, .kind = LOCAL, .flags = LOG_FLAGS,
      .since = "8.1.0", .summary = "Returns entries of a command log.",
      .complexity = "O(N) where N is the number of entries returned.", .syntax = "count " LOG_TYPES,
      .tips = "request_policy:all_nodes,nondeterministic_output" },
    { .name = "HELP", .run = cmd_commandlog_help, .arity = 2, .kind = LOCAL, .flags = LOADING | STALE,
      .since = "8.1.0", .summary = "Tells about the subcommands.", .complexity = "O(1)" },
    { .name = "LEN", .run = cmd_commandlog_len, .arity = 3, .kind = LOCAL, .flags = LOG_FLAGS,
      .since = "8.1.0", .summary = "Returns the number of entries in a command log.", .complexity = "O(1)",
      .syntax = LOG_TYPES,
      .tips = "request_policy:all_nodes,response_policy:agg_sum,nondeterministic_output" },
    { .name = "RESET", .run = cmd_commandlog_reset, .arity = 3, .kind = LOCAL, .flags = LOG_FLAGS,
      .since = "8.1.0", .summary = "Empties a command log.",
      .complexity = "O(N) where N is the number of entries.", .syntax = LOG_TYPES,
      .tips = "request_policy:all_nodes,response_policy:all_succeeded" },
    { .name = NULL },
};

const struct command slowlog_commands[] = {
    { .name = "COMMANDLOG", .arity = -2, .kind = LOCAL, .subcommands = commandlog_subcommands,
      .since = "8.1.0", .summary = "Holds the commands for the logs of slow and large commands.",
      .complexity = "Depends on the subcommand." },
    { .name = "SLOWLOG", .arity = -2, .kind = LOCAL, .flags = DEPRECATED, .subcommands = slowlog_subcommands,
      .since = "2.2.12", .summary = "Holds the commands for the slow log.",
      .complexity = "Depends on the subcommand.", .deprecated_since = "8.1.0",
      .replaced_by = "`COMMANDLOG`" },
    { .name = NULL },
};
