/* monitor.c: MONITOR. The lines are made in engine/monitor.c. */
#include "trivet/engine/client/monitor.h"
#include "trivet/commands/groups.h"

/* MONITOR: EXCLUSIVE, so that every command that begins after its reply is seen. */
static void cmd_monitor(struct call *c) {
    if (!c->origin->may_wait) {
        reply_error_text(c->out, LIT("ERR MONITOR isn't allowed for DENY BLOCKING client"));
        return;
    }
    /* As everywhere, a client that is a monitor already gets no second answer. */
    if (c->client->flags & CLIENT_MONITORING) return;
    monitor_start(c->client);
    reply_ok(c->out);
}

/* clang-format off */
const struct command monitor_commands[] = {
    { .name = "MONITOR", .run = cmd_monitor, .arity = 1, .kind = EXCLUSIVE,
      .flags = ADMIN | NOSCRIPT | LOADING | STALE, .since = "1.0.0",
      .summary = "Shows every command that the server runs from now on." },
    { .name = NULL },
};
/* clang-format on */
