/* database_argument.h: an argument that is the number of a database (MOVE, COPY, SWAPDB, SELECT). */
#ifndef TRIVET_COMMANDS_ARGUMENTS_DATABASE_ARGUMENT_H
#define TRIVET_COMMANDS_ARGUMENTS_DATABASE_ARGUMENT_H

#include "trivet/base/compiler.h"
#include "trivet/base/number.h"
#include "trivet/engine/command/call.h"

/* Any number that fits into an int: whether there is such a database is another question. */
MUST_CHECK static inline bool database_number_parse(struct slice text, int64_t *n) {
    return int64_parse(text, n) && *n >= INT32_MIN && *n <= INT32_MAX;
}

/* The argument as a number; false after replying that it is none. */
MUST_CHECK static inline bool database_number(struct call *c, size_t index, int64_t *n) {
    if (!int64_parse(c->argv[index], n)) {
        reply_error(c->out, ERR_NOT_INT);
        return false;
    }
    if (*n >= INT32_MIN && *n <= INT32_MAX) return true;
    reply_error_text(c->out, LIT("ERR value is out of range, value must between -2147483648 and 2147483647"));
    return false;
}

/* The number of a database that is there; false after replying why not. */
MUST_CHECK static inline bool database_check(struct call *c, int64_t n, uint32_t *db) {
    if (n < 0 || n >= keyspace_databases()) {
        reply_error(c->out, ERR_DB_RANGE);
        return false;
    }
    *db = (uint32_t)n;
    return true;
}

/* Both. */
MUST_CHECK static inline bool database_argument(struct call *c, size_t index, uint32_t *db) {
    int64_t n;
    return database_number(c, index, &n) && database_check(c, n, db);
}

#endif
