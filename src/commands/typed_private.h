/* typed_private.h: the check that every command on a collection begins with. */
#ifndef COMMANDS_TYPED_PRIVATE_H
#define COMMANDS_TYPED_PRIVATE_H

#include "trivet/base/compiler.h"
#include "trivet/engine/call.h"

/* True for a value of this type and for NULL; else replies WRONGTYPE. */
MUST_CHECK static inline bool is_type_or_missing(struct call *c, const struct entry *e,
                                                 enum value_type type) {
    if (LIKELY(!e || e->type == type)) return true;
    reply_error(c->out, ERR_WRONGTYPE);
    return false;
}

#endif
