/* change.c: see change.h. */
#include "trivet/keyspace/change.h"
#include "keyspace_private.h"
#include "trivet/base/compiler.h"
#include "trivet/base/mem.h"

bool keyspace_open(struct keyspace_view *view, struct slice key, enum value_type type,
                   struct keyspace_change *out) {
    struct entry *e = keyspace_write(view, key);
    if (UNLIKELY(e && e->type != type)) return false;
    *out = (struct keyspace_change){ .key = key, .type = type, .entry = e };
    if (e) keyspace_reopen(out);
    return true;
}

/* The cheap answer for a small collection, which is one block: a small block at the same address has the same
 * size, see MEM_SMALL_MAX. */
static bool is_as_heavy(const struct keyspace_change *change) {
    bool is_one_block =
        change->value.encoding == ENCODING_LISTPACK || change->value.encoding == ENCODING_INTSET;
    return is_one_block && change->value.ptr == change->address && change->weight <= MEM_SMALL_MAX;
}

/* Only a hash that is a table has fields that expire; one that had some is marked. */
static bool may_be_dated(const struct keyspace_change *change) {
    const struct value_ops *ops = value_ops[change->type];
    if (!ops->due_ms) return false;
    return keyspace_was_dated(change->entry) ||
           (change->value.encoding == ENCODING_TABLE && ops->due_ms(change->value) != INT64_MAX);
}

/* An empty stream stays: it remembers its last id. */
static bool is_emptied(const struct keyspace_change *change) {
    return change->type != TYPE_STREAM && value_ops[change->type]->count(change->value) == 0;
}

static enum keyspace_closed close_missing(struct keyspace_view *view, struct keyspace_change *change) {
    if (!change->value.ptr) return CLOSED_NOTHING;
    if (change->drops || is_emptied(change)) {
        value_ops[change->type]->free(change->value);
        return CLOSED_NOTHING;
    }
    keyspace_insert(view, entry_new_value(change->key, change->type, change->value, NO_EXPIRY));
    return CLOSED_MADE;
}

enum keyspace_closed keyspace_close(struct keyspace_view *view, struct keyspace_change *change) {
    struct entry *e = change->entry;
    if (!e) return close_missing(view, change);
    assert(e->type == change->type && change->value.ptr);
    entry_set_value(e, change->value);
    if (!is_as_heavy(change))
        keyspace_weigh(view->db, change->weight, value_ops[change->type]->bytes(change->value));
    if (UNLIKELY(change->drops || is_emptied(change))) {
        keyspace_delete(view, e, true);
        return CLOSED_DELETED;
    }
    if (UNLIKELY(may_be_dated(change))) keyspace_note_elements(view, e);
    return CLOSED_KEPT;
}
