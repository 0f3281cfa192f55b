/* lolwut.c: LOLWUT: the version, and what the server is called after. */
#include "trivet/base/buf.h"
#include "trivet/base/version.h"
#include "trivet/commands/arguments/integer.h"
#include "trivet/commands/groups.h"

#define VERSION_LINE "Trivet ver. " TRIVET_VERSION "\n"

/* Number 1 is the first; others may follow with a version that deserves it. */
static const char *const pictures[] = {
    "        .-------------------------.\n"
    "       (   o   o   o   o   o   o   )\n"
    "        '--+---------+---------+--'\n"
    "           |         |         |\n"
    "          /          |          \\\n"
    "         /           |           \\\n"
    "       _/            |            \\_\n"
    "\n"
    "  Three legs never wobble: cache, cable, session.\n\n",
};

/* LOLWUT [VERSION version [argument ...]]: without a picture of that number, the version alone. */
static void cmd_lolwut(struct call *c) {
    int64_t number = COUNT_OF(pictures);
    if (c->argc >= 3 && call_is(c, 1, "VERSION") && !integer_argument(c, 2, &number)) return;
    struct buf text = { 0 };
    if (number >= 1 && number <= (int64_t)COUNT_OF(pictures))
        buf_append(&text, slice_of(pictures[number - 1]));
    buf_append(&text, LIT(VERSION_LINE));
    reply_verbatim(c->out, "txt", buf_slice(&text));
    buf_release(&text);
}

const struct command lolwut_commands[] = {
    { .name = "LOLWUT", .run = cmd_lolwut, .arity = -1, .kind = LOCAL, .flags = READS | FAST,
      .since = "5.0.0", .summary = "Shows a picture and the version.", .complexity = "O(1)",
      .syntax = "[VERSION version]" },
    { .name = NULL },
};
