/* hash.h: what the files of the hash commands share: reading a hash as of now, and changing one.
 *
 * A field whose time has come is invisible from that moment on, though it may stay for a while. While a
 * journal is replayed nothing expires by itself: there the journal says when. */
#ifndef COMMANDS_HASH_HASH_H
#define COMMANDS_HASH_HASH_H

#include "trivet/commands/arguments/typed.h"
#include "trivet/engine/run/change.h"
#include "trivet/types/hash.h"

/* What counts as now for fields. */
static inline int64_t hash_now(const struct call *c) { return keyspace_now(&c->view); }

/* Are there, possibly, fields that must not be seen? */
static inline bool hash_may_hide(const struct call *c, struct value v) {
    return hash_due_ms(v) < hash_now(c);
}

/* The hash at argument 1, to read. False if there is none: missing, which is the caller's to reply, or no
 * hash, which is replied. */
MUST_CHECK bool hash_read(struct call *c, struct value *v, bool *missing);
/* The field, if it is there and has not expired. */
MUST_CHECK bool hash_find_live(const struct call *c, struct value v, struct slice name,
                               struct hash_field *out, struct hash_scratch *scratch);
/* Removes the field if it could be found so; false if not. */
bool hash_remove_live(const struct call *c, struct value *v, struct slice name);
/* The value, or null. */
void hash_reply_value(struct call *c, const struct value *v, struct slice name);

/* Every `step`th of the slices is the name of a field. */
struct field_names {
    const struct slice *first;
    size_t count, step;
};

/* The hash at argument 1, open to be changed; of a missing key it is an empty one. False after replying that
 * it is none. Whoever got one closes it with change_close. */
MUST_CHECK static inline bool hash_open(struct call *c, struct keyspace_change *h) {
    if (!change_open(c, c->argv[1], TYPE_HASH, h)) return false;
    if (!h->entry) h->value = hash_new();
    return true;
}
/* These fields are about to change: takes those that are over out for good, with an HDEL of theirs in the
 * journal, so that what follows does the same when it is replayed. Where what is over is only hidden, they
 * stay unless they are about to be set (`will_set`). */
void hash_settle(struct call *c, struct keyspace_change *h, struct field_names names, bool will_set);

#endif
