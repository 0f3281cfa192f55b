/* create.h: adding a key that was not there: the one way for all commands, so that the event "new"
 * is never forgotten. The command's own event follows, by changed(). */
#ifndef TRIVET_COMMANDS_ARGUMENTS_CREATE_H
#define TRIVET_COMMANDS_ARGUMENTS_CREATE_H

#include "trivet/engine/run/change.h"

/* The keyspace owns `e` from now on; `key` is the argument that names it. */
static inline void insert_into(struct keyspace_view *view, struct slice key, struct entry *e) {
    (void)key;
    keyspace_insert(view, e);
}

/* The same in the call's own database. */
static inline void create_key(struct call *c, struct slice key, struct entry *e) {
    insert_into(&c->view, key, e);
}

#endif
