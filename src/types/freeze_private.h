/* freeze_private.h: what the freeze (freeze.h) asks of hash, set and sorted set.
 *
 * Their big forms begin with a struct table, and the ops of that table lie in a struct element_ops. So from a
 * value's encoding and its table the freeze knows how an item is read, though a hash and a set have the same
 * encoding. Lists have their part in deque_private.h. Thread: the value's. */
#ifndef TYPES_FREEZE_PRIVATE_H
#define TYPES_FREEZE_PRIVATE_H

#include "trivet/types/freeze.h"
#include "trivet/types/structures/table.h"

struct element_ops {
    struct table_ops table;
    /* Fills in what the type has; the other fields of the element are there already, empty. */
    void (*describe)(const void *item, struct frozen_element *e);
};

#endif
