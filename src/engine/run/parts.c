/* parts.c: see parts.h. */
#include "trivet/engine/run/parts.h"
#include "trivet/engine/client/client.h"
#include <assert.h>

static bool has_parts(const struct call *c) { return c->origin == &origin_connection; }

size_t parts_room(const struct call *c) { return has_parts(c) ? PART_ARGUMENTS : SIZE_MAX; }

void parts_go_on(struct call *c) {
    assert(has_parts(c));
    c->client->flags |= CLIENT_UNFINISHED;
}

void parts_take(struct call *c) {
    if (LIKELY(c->argc - 1 <= PART_ARGUMENTS) || !has_parts(c)) return;
    c->argc = 1 + PART_ARGUMENTS;
    parts_go_on(c);
}
