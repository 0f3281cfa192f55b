/* help.c: see help_private.h. */
#include "trivet/commands/arguments/help.h"
#include <stdio.h>

void reply_help(struct call *c, const char *const *lines) {
    assert(c->command->parent);
    size_t count = 0;
    while (lines[count]) count++;
    char first[128];
    int len =
        snprintf(first, sizeof first,
                 "%s <subcommand> [<arg> [value] [opt] ...]. Subcommands are:", c->command->parent->name);
    assert(len > 0 && (size_t)len < sizeof first);
    reply_array(c->out, count + 3);
    reply_simple(c->out, slice_make(first, (size_t)len));
    for (size_t i = 0; i < count; i++) reply_simple(c->out, slice_of(lines[i]));
    reply_simple(c->out, LIT("HELP"));
    reply_simple(c->out, LIT("    Print this help."));
}
