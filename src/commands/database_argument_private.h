/* database_argument_private.h: an argument that is the number of a database (MOVE, COPY, SWAPDB, SELECT). */
#ifndef COMMANDS_DATABASE_ARGUMENT_PRIVATE_H
#define COMMANDS_DATABASE_ARGUMENT_PRIVATE_H

#include "trivet/base/compiler.h"
#include "trivet/base/number.h"
#include "trivet/engine/call.h"

/* False after replying that it is no number (`not_a_number`, NULL for the usual text) or out of range. */
MUST_CHECK static inline bool database_argument(struct call *c, size_t index, const char *not_a_number,
                                                uint32_t *db) {
    int64_t n;
    if (!int64_parse(c->argv[index], &n) || n < INT32_MIN || n > INT32_MAX) {
        if (not_a_number)
            reply_error_text(c->out, slice_of(not_a_number));
        else
            reply_error(c->out, ERR_NOT_INT);
        return false;
    }
    if (n < 0 || n >= keyspace_databases()) {
        reply_error(c->out, ERR_DB_RANGE);
        return false;
    }
    *db = (uint32_t)n;
    return true;
}

#endif
