/* script_arguments.c: see script_arguments.h. */
#include "script_arguments.h"
#include "trivet/base/number.h"

static bool refuse(struct call *c, struct slice text) {
    reply_error_text(c->out, text);
    return false;
}

bool script_arguments(struct call *c, struct slice no_number, struct script_arguments *out) {
    int64_t count;
    size_t rest = c->argc - 3;
    if (!int64_parse(c->argv[2], &count)) return refuse(c, no_number);
    if (count > (int64_t)rest)
        return refuse(c, LIT("ERR Number of keys can't be greater than number of args"));
    if (count < 0) return refuse(c, LIT("ERR Number of keys can't be negative"));
    *out = (struct script_arguments){ .keys = c->argv + 3,
                                      .key_count = (size_t)count,
                                      .args = c->argv + 3 + count,
                                      .arg_count = rest - (size_t)count };
    return true;
}

/* A script that says in its first line what it does is treated like a command that does it. */
uint32_t script_command_flags(const struct command *command, unsigned script_flags) {
    uint32_t flags = command->flags;
    if (script_flags & SCRIPT_COMPATIBLE) return flags;
    flags &= ~(uint32_t)(STALE | GROWS | WRITES | MAY_REPLICATE);
    if (!(script_flags & SCRIPT_NO_WRITES)) flags |= WRITES;
    if (!(script_flags & (SCRIPT_NO_WRITES | SCRIPT_ALLOW_OOM))) flags |= GROWS;
    if (script_flags & SCRIPT_ALLOW_STALE) flags |= STALE;
    return flags;
}
