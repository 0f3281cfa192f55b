/* item.h: replies with an item of a listpack, which may be a number. Thread: any. */
#ifndef TRIVET_COMMANDS_ARGUMENTS_ITEM_H
#define TRIVET_COMMANDS_ARGUMENTS_ITEM_H

#include "trivet/resp/reply.h"
#include "trivet/types/structures/listpack.h"

static inline void reply_item(struct reply *out, struct listpack_item item) {
    if (item.text.ptr)
        reply_bulk(out, item.text);
    else
        reply_bulk_int(out, item.number);
}

#endif
