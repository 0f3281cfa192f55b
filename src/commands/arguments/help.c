/* help.c: see help.h. */
#include "trivet/commands/arguments/help.h"
#include "trivet/base/buf.h"

void reply_help(struct call *c, const char *const *lines) {
    assert(c->command->parent);
    size_t count = 0;
    while (lines[count]) count++;
    struct buf first = { 0 };
    buf_append_upper(&first, c->argv[0]);
    buf_append(&first, LIT(" <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"));
    reply_array(c->out, count + 3);
    reply_simple(c->out, buf_slice(&first));
    buf_release(&first);
    for (size_t i = 0; i < count; i++) reply_simple(c->out, slice_of(lines[i]));
    reply_simple(c->out, LIT("HELP"));
    reply_simple(c->out, LIT("    Print this help."));
}

void reply_subcommand_error(struct call *c) {
    struct slice word = c->argv[1];
    if (word.len > 128) word.len = 128;
    struct buf text = { 0 };
    buf_printf(&text, "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try ",
               SLICE_ARG(word));
    buf_append_upper(&text, c->argv[0]);
    buf_append(&text, LIT(" HELP."));
    reply_error_text(c->out, buf_slice(&text));
    buf_release(&text);
}
