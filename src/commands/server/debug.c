/* debug.c: DEBUG: what tests and emergencies need. Off unless enable-debug-command allows it; every
 * subcommand runs alone. The rows of the bigger ones are in debug_*.c. */
#include "debug.h"
#include "trivet/base/glob.h"
#include "trivet/base/log.h"
#include "trivet/base/number.h"
#include "trivet/commands/arguments/caller.h"
#include "trivet/commands/arguments/help.h"
#include "trivet/commands/groups.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/keyspace/expiry.h"
#include <errno.h>
#include <stdio.h>
#include <time.h>

bool debug_read_switch(struct call *c, bool *on) {
    *on = slice_equal(c->argv[2], LIT("1"));
    if (*on || slice_equal(c->argv[2], LIT("0"))) return true;
    reply_error(c->out, ERR_SYNTAX);
    return false;
}

/* DEBUG SLEEP seconds */
static void debug_sleep(struct call *c) {
    double seconds;
    if (!double_parse(c->argv[2], &seconds) || !(seconds > 0)) seconds = 0;
    if (seconds > 1e9) seconds = 1e9;
    struct timespec left = { .tv_sec = (time_t)seconds,
                             .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9) };
    while (nanosleep(&left, &left) != 0 && errno == EINTR) continue;
    reply_ok(c->out);
}

/* DEBUG LOG message */
static void debug_log(struct call *c) {
    LOG_WARNING("DEBUG LOG: %.*s", SLICE_ARG(c->argv[2]));
    reply_ok(c->out);
}

/* DEBUG ERROR text */
static void debug_error(struct call *c) { reply_error_text(c->out, c->argv[2]); }

/* DEBUG STRINGMATCH-LEN pattern text */
static void debug_stringmatch_len(struct call *c) { reply_int(c->out, glob_match(c->argv[2], c->argv[3])); }

/* DEBUG SET-ACTIVE-EXPIRE 0 | 1 */
static void debug_set_active_expire(struct call *c) {
    expiry_set_active(!slice_equal(c->argv[2], LIT("0")));
    reply_ok(c->out);
}

/* DEBUG PAUSE-CRON 0 | 1 */
static void debug_pause_cron(struct call *c) {
    bool on;
    if (!debug_read_switch(c, &on)) return;
    atomic_store(&turn_cron_paused, on);
    reply_ok(c->out);
}

/* DEBUG CONFIG-REWRITE-FORCE-ALL */
static void debug_rewrite_config(struct call *c) {
    struct buf error = { 0 };
    if (options_rewrite_all(&error))
        reply_ok(c->out);
    else
        reply_error_text(c->out, buf_slice(&error));
    buf_release(&error);
}

static void debug_help(struct call *c);

static const struct debug_subcommand general_rows[] = {
    { "CONFIG-REWRITE-FORCE-ALL", 2, 2, debug_rewrite_config, "",
      "Like CONFIG REWRITE, but with every setting." },
    { "ERROR", 3, 3, debug_error, "<text>", "Return an error with this text." },
    { "HELP", 2, 2, debug_help, "", "Print this help." },
    { "LOG", 3, 3, debug_log, "<message>", "Write it to the log." },
    { "PAUSE-CRON", 3, 3, debug_pause_cron, "<0|1>",
      "Stop (1) the periodic work: looking after clients, expiry, eviction, trimming, saving." },
    { "SET-ACTIVE-EXPIRE", 3, 3, debug_set_active_expire, "<0|1>",
      "Turn off (0) or on (1) the search for expired keys in the background." },
    { "SLEEP", 3, 3, debug_sleep, "<seconds>", "Do nothing at all for so long." },
    { "STRINGMATCH-LEN", 4, 4, debug_stringmatch_len, "<pattern> <text>",
      "Return 1 if the pattern matches the text." },
    { NULL },
};

static const struct debug_subcommand *const tables[] = { general_rows, debug_data_rows, debug_table_rows,
                                                         debug_client_rows, debug_crash_rows };

static void debug_help(struct call *c) {
    struct chunk *at = reply_later(c->out);
    size_t count = 1;
    reply_simple(c->out, LIT("DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"));
    for (size_t i = 0; i < COUNT_OF(tables); i++)
        for (const struct debug_subcommand *s = tables[i]; s->name; s++, count += 2) {
            char line[256];
            snprintf(line, sizeof line, "%s%s%s", s->name, s->arguments[0] ? " " : "", s->arguments);
            reply_simple(c->out, slice_of(line));
            snprintf(line, sizeof line, "    %s", s->help);
            reply_simple(c->out, slice_of(line));
        }
    reply_later_array(c->out, at, count);
}

static const struct debug_subcommand *find(struct call *c) {
    for (size_t i = 0; i < COUNT_OF(tables); i++)
        for (const struct debug_subcommand *s = tables[i]; s->name; s++)
            if (call_is(c, 1, s->name) && c->argc >= s->min && c->argc <= s->max) return s;
    return NULL;
}

/* DEBUG subcommand [arg ...]: one command to clients, so its subcommands are not in the registry. */
static void cmd_debug(struct call *c) {
    if (!caller_passes(c, options.enable_debug_command)) {
        reply_error_text(c->out, CALLER_REFUSED("DEBUG", "enable-debug-command"));
        return;
    }
    const struct debug_subcommand *s = find(c);
    if (s) {
        s->run(c);
        return;
    }
    reply_subcommand_error(c);
}

const struct command debug_commands[] = {
    { .name = "DEBUG",
      .run = cmd_debug,
      .arity = -2,
      .kind = EXCLUSIVE,
      .flags = ADMIN | NOSCRIPT | LOADING | STALE | SYSCMD,
      .since = "1.0.0",
      .summary = "Holds the commands for debugging.",
      .complexity = "Depends on the subcommand." },
    { .name = NULL },
};
