/* refuse.h: replies an error and returns false, for readers of arguments:
 *
 *     if (*count < 1) return refuse_text(c, "ERR COUNT must be > 0");
 *
 * Thread: any. */
#ifndef TRIVET_COMMANDS_ARGUMENTS_REFUSE_H
#define TRIVET_COMMANDS_ARGUMENTS_REFUSE_H

#include "trivet/engine/command/call.h"

static inline bool refuse_text(struct call *c, const char *text) {
    reply_error_text(c->out, slice_of(text));
    return false;
}

static inline bool refuse_error(struct call *c, enum error error) {
    reply_error(c->out, error);
    return false;
}

static inline bool refuse_syntax(struct call *c) { return refuse_error(c, ERR_SYNTAX); }

#endif
