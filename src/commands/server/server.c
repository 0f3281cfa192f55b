/* server.c: what time it is, which role this server plays, and its end. */
#include "trivet/base/clock.h"
#include "trivet/commands/groups.h"
#include "trivet/engine/client/client.h"
#include "trivet/engine/process/server_hooks.h"
#include "trivet/engine/turn/turn.h"

/* TIME */
static void cmd_time(struct call *c) {
    int64_t now_us = clock_wall_us();
    reply_array(c->out, 2);
    reply_bulk_int(c->out, now_us / 1000000);
    reply_bulk_int(c->out, now_us % 1000000);
}

/* ROLE */
static void cmd_role(struct call *c) {
    reply_array(c->out, 3);
    reply_bulk(c->out, LIT("master"));
    reply_int(c->out, 0); /* the replication offset: nothing was ever sent to a replica */
    reply_array(c->out, 0);
}

#define SHUTDOWN_ABORT (1u << 31) /* beside enum shutdown_flag */

/* Reads the words after SHUTDOWN; false if they make no sense. */
static bool read_shutdown(const struct call *c, unsigned *flags) {
    static const struct {
        const char *word;
        unsigned flag;
    } words[] = {
        { "SAVE", SHUTDOWN_SAVE },   { "NOSAVE", SHUTDOWN_NOSAVE }, { "NOW", SHUTDOWN_NOW },
        { "FORCE", SHUTDOWN_FORCE }, { "SAFE", SHUTDOWN_SAFE },     { "FAILOVER", SHUTDOWN_FAILOVER },
        { "ABORT", SHUTDOWN_ABORT },
    };
    *flags = 0;
    for (size_t i = 1; i < c->argc; i++) {
        size_t w = 0;
        while (w < COUNT_OF(words) && !call_is(c, i, words[w].word)) w++;
        if (w == COUNT_OF(words)) return false;
        *flags |= words[w].flag;
    }
    bool contradicts = (*flags & SHUTDOWN_SAVE) && (*flags & SHUTDOWN_NOSAVE);
    bool aborts_and_more = (*flags & SHUTDOWN_ABORT) && *flags != SHUTDOWN_ABORT;
    return !contradicts && !aborts_and_more;
}

static void abort_shutdown(struct call *c) {
    if (server_hooks.shutdown_abort())
        reply_ok(c->out);
    else
        reply_error_text(c->out, LIT("ERR No shutdown in progress."));
}

/* SHUTDOWN [NOSAVE | SAVE] [NOW] [FORCE] [SAFE] [FAILOVER] | ABORT */
static void cmd_shutdown(struct call *c) {
    unsigned flags;
    struct buf error = { 0 };
    if (!read_shutdown(c, &flags)) {
        reply_error(c->out, ERR_SYNTAX);
        return;
    }
    if (flags & SHUTDOWN_ABORT) {
        abort_shutdown(c);
        return;
    }
    /* Half a data set must not take the place of the whole one. */
    if (obstacle_is_set(OBSTACLE_LOADING)) flags = (flags & ~(unsigned)SHUTDOWN_SAVE) | SHUTDOWN_NOSAVE;
    if (server_hooks.shutdown(flags, &error))
        c->client->flags |= CLIENT_CLOSE_AFTER; /* success has no reply: the connection ends */
    else
        reply_error_text(c->out, buf_slice(&error));
    buf_release(&error);
}

const struct command server_commands[] = {
    { .name = "ROLE", .run = cmd_role, .arity = 1, .kind = LOCAL, .flags = NOSCRIPT | LOADING | STALE | FAST,
      .categories = CAT_ADMIN | CAT_DANGEROUS, .since = "2.8.12",
      .summary = "Returns the role in replication.", .complexity = "O(1)" },
    { .name = "SHUTDOWN", .run = cmd_shutdown, .arity = -1, .kind = EXCLUSIVE,
      .flags = ADMIN | NOSCRIPT | LOADING | STALE | NO_MULTI | ALLOW_BUSY, .since = "1.0.0",
      .summary = "Makes the data safe on disk and ends the server.",
      .complexity = "O(N) when saving, where N is the number of keys.",
      .syntax = "[NOSAVE | SAVE] [NOW] [FORCE] [SAFE] [FAILOVER] [ABORT]" },
    { .name = "TIME", .run = cmd_time, .arity = 1, .kind = LOCAL, .flags = LOADING | STALE | FAST,
      .since = "2.6.0", .summary = "Returns the server's time.", .complexity = "O(1)",
      .tips = "nondeterministic_output" },
    { .name = NULL },
};
