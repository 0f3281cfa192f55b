/* integer.c: see integer.h. */
#include "trivet/commands/arguments/integer.h"
#include "trivet/base/number.h"

bool integer_argument(struct call *c, size_t index, int64_t *n) {
    if (int64_parse(c->argv[index], n)) return true;
    reply_error(c->out, ERR_NOT_INT);
    return false;
}
