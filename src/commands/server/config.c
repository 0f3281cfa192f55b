/* config.c: CONFIG: settings over the wire. What they mean stands in engine/options.h. */
#include "trivet/base/background.h"
#include "trivet/base/log.h"
#include "trivet/commands/arguments/caller.h"
#include "trivet/commands/arguments/help.h"
#include "trivet/commands/groups.h"
#include "trivet/engine/access/access_log.h"
#include "trivet/engine/client/pubsub.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/engine/watch/stats.h"
#include "trivet/keyspace/compaction.h"
#include "trivet/keyspace/counters.h"
#include "trivet/keyspace/slot_stats.h"

struct config_get {
    struct reply *out;
    struct buf value;
    size_t count;
};

static void add_setting(void *arg, struct slice name, const struct option *o) {
    struct config_get *get = arg;
    buf_clear(&get->value);
    option_get(o, &get->value);
    reply_bulk(get->out, name);
    reply_bulk(get->out, buf_slice(&get->value));
    get->count++;
}

/* CONFIG GET parameter [parameter ...] */
static void cmd_config_get(struct call *c) {
    struct config_get get = { .out = c->out };
    struct chunk *at = reply_later(c->out);
    options_each(c->argv + 2, c->argc - 2, add_setting, &get);
    reply_later_map(c->out, at, get.count);
    buf_release(&get.value);
}

static void reply_outcome(struct call *c, bool done, struct buf *error) {
    if (done)
        reply_ok(c->out);
    else
        reply_error_text(c->out, buf_slice(error));
    buf_release(error);
}

/* The value of a sensitive setting, also where the words before it are one too many or too few. */
static bool config_set_secret(const struct slice *argv, size_t argc, size_t index) {
    (void)argc;
    return index >= 3 && options_is_secret(argv[index - 1]);
}

/* CONFIG SET parameter value [parameter value ...] */
static void cmd_config_set(struct call *c) {
    if (c->argc % 2 != 0) {
        reply_error(c->out, ERR_SYNTAX);
        return;
    }
    struct options_caller caller = { .is_local = caller_is_local(c),
                                     .loading = obstacle_is_set(OBSTACLE_LOADING) };
    struct buf error = { 0 };
    reply_outcome(c, options_set(c->argv + 2, (c->argc - 2) / 2, caller, &error), &error);
}

/* CONFIG REWRITE */
static void cmd_config_rewrite(struct call *c) {
    struct buf error = { 0 };
    bool done = options_rewrite(&error);
    if (done)
        LOG_NOTICE("CONFIG REWRITE: %s is up to date", options_file());
    else
        LOG_WARNING("CONFIG REWRITE failed: %.*s", SLICE_ARG(buf_slice(&error)));
    reply_outcome(c, done, &error);
}

/* CONFIG RESETSTAT */
static void cmd_config_resetstat(struct call *c) {
    stats_reset();
    counters_reset();
    compaction_reset();
    background_reset_done();
    reply_blocks_reset();
    pubsub_messages_reset();
    access_log_reset_counts();
    slot_stats_reset_all();
    reply_ok(c->out);
}

static void cmd_config_help(struct call *c) {
    static const char *const lines[] = {
        "GET <pattern> [<pattern> ...]",
        "    Return the settings whose names match one of the patterns, and their values.",
        "SET <name> <value> [<name> <value> ...]",
        "    Change settings: all of them or none.",
        "RESETSTAT",
        "    Set the counters that INFO reports back to zero.",
        "REWRITE",
        "    Bring the configuration file up to date.",
        NULL,
    };
    reply_help(c, lines);
}

static const struct command config_subcommands[] = {
    { .name = "GET", .run = cmd_config_get, .arity = -3, .kind = LOCAL,
      .flags = ADMIN | NOSCRIPT | LOADING | STALE, .since = "2.0.0",
      .summary = "Returns the values of settings.", .complexity = "O(N) where N is the number of settings.",
      .syntax = "parameter [parameter ...]" },
    { .name = "HELP", .run = cmd_config_help, .arity = 2, .kind = LOCAL, .flags = LOADING | STALE,
      .since = "5.0.0", .summary = "Tells about the subcommands.", .complexity = "O(1)" },
    { .name = "RESETSTAT", .run = cmd_config_resetstat, .arity = 2, .kind = EXCLUSIVE,
      .flags = ADMIN | NOSCRIPT | LOADING | STALE, .since = "2.0.0",
      .summary = "Sets the server's statistics to zero.", .complexity = "O(1)",
      .tips = "request_policy:all_nodes,response_policy:all_succeeded" },
    { .name = "REWRITE", .run = cmd_config_rewrite, .arity = 2, .kind = EXCLUSIVE,
      .flags = ADMIN | NOSCRIPT | LOADING | STALE, .since = "2.8.0",
      .summary = "Writes the settings in use into the configuration file.", .complexity = "O(1)",
      .tips = "request_policy:all_nodes,response_policy:all_succeeded" },
    { .name = "SET", .run = cmd_config_set, .arity = -4, .kind = EXCLUSIVE, .secret = config_set_secret,
      .flags = ADMIN | NOSCRIPT | LOADING | STALE, .since = "2.0.0",
      .summary = "Changes settings while the server runs.",
      .complexity = "O(N) where N is the number of settings.",
      .syntax = "parameter value [parameter value ...]",
      .tips = "request_policy:all_nodes,response_policy:all_succeeded" },
    { .name = NULL },
};

const struct command config_commands[] = {
    { .name = "CONFIG", .arity = -2, .kind = LOCAL, .subcommands = config_subcommands, .since = "2.0.0",
      .summary = "Holds the commands for settings.", .complexity = "Depends on the subcommand." },
    { .name = NULL },
};
