/* call.c: see call.h. */
#include "trivet/engine/command/call.h"
#include "trivet/engine/settings/options.h"

const struct origin origin_connection = { .may_wait = true };
const struct origin origin_transaction = { .is_nested = true, .has_locks = true };
const struct origin origin_waiter = { .waits_already = true, .has_locks = true };
const struct origin origin_journal = { .is_replay = true, .is_journaled = true };
const struct origin origin_stream = { .is_replay = true };
const struct origin origin_stream_transaction = { .is_nested = true, .has_locks = true, .is_replay = true };

struct blob *call_take_blob(struct call *c, size_t index) {
    assert(index < c->argc);
    if (!c->blobs || !c->blobs[index]) return NULL;
    struct blob *b = c->blobs[index];
    if (b->len != c->argv[index].len || b->room > b->len + b->len / 8 + 64) return NULL;
    c->blobs[index] = NULL;
    return b;
}

uint64_t call_bulk_max(const struct call *c) {
    return c->origin->is_replay ? INT64_MAX : (uint64_t)options.proto_max_bulk_len;
}
