/* string_value.h: what all commands on strings do with a value: check its type, reply with it, store
 * an argument as one. Thread: as the running command (its key's shard is locked). */
#ifndef COMMANDS_STRING_STRING_VALUE_H
#define COMMANDS_STRING_STRING_VALUE_H

#include "trivet/base/compiler.h"
#include "trivet/engine/command/call.h"

/* True for a string and for NULL; else replies WRONGTYPE. */
MUST_CHECK static inline bool string_or_missing(struct call *c, const struct entry *e) {
    if (LIKELY(!e || e->type == TYPE_STRING)) return true;
    reply_error(c->out, ERR_WRONGTYPE);
    return false;
}

/* The string as a bulk reply; a big one is shared, not copied. NULL replies null. */
void string_reply(struct reply *out, const struct entry *e);

/* Stores argument `value` at `key`, whatever was there. `old` is the entry from keyspace_write, NULL if there
 * is none. A big argument is shared, not copied. The caller's arguments stay valid until the call ends. */
void string_store(struct call *c, struct slice key, size_t value, struct entry *old, int64_t expiry_ms);

/* The string's bytes, made `len` long (what is new is zero), to be changed until the next call on the key.
 * The entry may move: `e` is not to be used after. */
char *string_writable(struct call *c, struct entry *e, size_t len);
/* The same for a key that may be missing (NULL): it is made then. */
char *string_writable_or_new(struct call *c, struct slice key, struct entry *e, size_t len);

#endif
