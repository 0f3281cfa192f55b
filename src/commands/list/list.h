/* list.h: what the commands on lists share: list.c, and list_blocking.c, which does the same after
 * waiting. Thread: as the running command (its keys' shards are locked). */
#ifndef COMMANDS_LIST_LIST_H
#define COMMANDS_LIST_LIST_H

#include "trivet/base/compiler.h"
#include "trivet/engine/run/change.h"
#include "trivet/types/list.h"

/* True for a list and for NULL; else replies WRONGTYPE. */
MUST_CHECK static inline bool list_or_missing(struct call *c, const struct entry *e) {
    if (LIKELY(!e || e->type == TYPE_LIST)) return true;
    reply_error(c->out, ERR_WRONGTYPE);
    return false;
}

/* LEFT or RIGHT at argument `index`; else replies a syntax error. */
MUST_CHECK bool list_read_end(struct call *c, size_t index, enum list_end *end);

/* Replies with the element at that end, which is there, takes it out and closes the list. */
void list_pop_one(struct call *c, struct keyspace_change *list, enum list_end end, struct effect effect);
/* The same for up to `count` elements, as an array. */
void list_pop_many(struct call *c, struct keyspace_change *list, enum list_end end, size_t count,
                   struct effect effect);

/* The pop of one end as the journal knows it. */
static inline struct slice list_pop_name(enum list_end end) {
    return end == LIST_HEAD ? LIT("LPOP") : LIT("RPOP");
}

/* One element goes from the list of one key to that of another, or of the same. */
struct list_move {
    struct slice from, to;
    enum list_end from_end, to_end;
};
/* Replies with it. `source` is the list of key `from`, open and there. */
void list_move(struct call *c, const struct list_move *m, struct keyspace_change *source,
               struct effect effect);

/* The arguments of LMPOP and BLMPOP, from the number of keys on. */
struct list_mpop {
    size_t first_key, keys;
    enum list_end end;
    size_t count;
};
/* False after replying what is wrong. */
MUST_CHECK bool list_read_mpop(struct call *c, size_t at, struct list_mpop *out);
/* Takes elements from the first of the keys that has some; true if it replied (also with an error). */
bool list_mpop(struct call *c, const struct list_mpop *m);

#endif
