/* typed.h: the check that every command on a collection begins with. */
#ifndef TRIVET_COMMANDS_ARGUMENTS_TYPED_H
#define TRIVET_COMMANDS_ARGUMENTS_TYPED_H

#include "trivet/base/compiler.h"
#include "trivet/engine/command/call.h"

/* True for a value of this type and for NULL; else replies WRONGTYPE. */
MUST_CHECK static inline bool is_type_or_missing(struct call *c, const struct entry *e,
                                                 enum value_type type) {
    if (LIKELY(!e || e->type == type)) return true;
    reply_error(c->out, ERR_WRONGTYPE);
    return false;
}

#endif
