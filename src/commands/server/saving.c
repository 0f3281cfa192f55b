/* saving.c: the commands that write the data set to disk as a whole. */
#include "trivet/engine/saving/saving.h"
#include "trivet/commands/groups.h"
#include "trivet/engine/command/call.h"

static void answer(struct call *c, bool done, struct buf *text) {
    if (done)
        reply_simple(c->out, buf_slice(text));
    else
        reply_error_text(c->out, buf_slice(text));
    buf_release(text);
}

/* SAVE */
static void cmd_save(struct call *c) {
    struct buf text = { 0 };
    answer(c, saving_save(&text), &text);
}

/* BGSAVE [SCHEDULE | CANCEL] */
static void cmd_bgsave(struct call *c) {
    struct buf text = { 0 };
    bool schedule = c->argc == 2 && call_is(c, 1, "SCHEDULE");
    bool cancel = c->argc == 2 && call_is(c, 1, "CANCEL");
    if (c->argc > 1 && !schedule && !cancel) {
        reply_error(c->out, ERR_SYNTAX);
        return;
    }
    bool later = c->origin->is_nested;
    answer(c, cancel ? saving_cancel(&text) : saving_begin(schedule, later, &text), &text);
}

/* BGREWRITEAOF */
static void cmd_bgrewriteaof(struct call *c) {
    struct buf text = { 0 };
    answer(c, saving_rewrite(c->origin->is_nested, &text), &text);
}

/* LASTSAVE: before the first save it is the time of the start. */
static void cmd_lastsave(struct call *c) { reply_int(c->out, saving_status.last_save_s); }

const struct command saving_commands[] = {
    { .name = "SAVE", .run = cmd_save, .arity = 1, .kind = EXCLUSIVE,
      .flags = ADMIN | NOSCRIPT | NO_ASYNC_LOADING | NO_MULTI, .since = "1.0.0",
      .summary = "Writes a snapshot of all data to disk while everybody waits.",
      .complexity = "O(N) where N is the number of keys in all databases." },
    { .name = "BGSAVE", .run = cmd_bgsave, .arity = -1, .kind = EXCLUSIVE,
      .flags = ADMIN | NOSCRIPT | NO_ASYNC_LOADING, .since = "1.0.0",
      .summary = "Begins to write a snapshot of all data to disk beside the running commands.",
      .complexity = "O(1)", .syntax = "[SCHEDULE | CANCEL]" },
    { .name = "BGREWRITEAOF", .run = cmd_bgrewriteaof, .arity = 1, .kind = EXCLUSIVE,
      .flags = ADMIN | NOSCRIPT | NO_ASYNC_LOADING, .since = "1.0.0",
      .summary = "Begins to write the append only file anew, beside the running commands.",
      .complexity = "O(1)" },
    { .name = "LASTSAVE", .run = cmd_lastsave, .arity = 1, .kind = LOCAL, .flags = LOADING | STALE | FAST,
      .categories = CAT_ADMIN | CAT_DANGEROUS, .since = "1.0.0",
      .summary = "Returns when data was last saved.", .complexity = "O(1)",
      .tips = "nondeterministic_output" },
    { .name = NULL },
};
