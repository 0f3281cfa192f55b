/* flush_mode.c: see flush_mode.h. */
#include "trivet/commands/arguments/flush_mode.h"
#include "trivet/engine/settings/options.h"

bool flush_mode(const struct call *c, size_t at, bool *lazily) {
    *lazily = options.lazyfree_lazy_user_flush;
    if (c->argc == at) return true;
    *lazily = call_is(c, at, "ASYNC");
    return c->argc == at + 1 && (*lazily || call_is(c, at, "SYNC"));
}
