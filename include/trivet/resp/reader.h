/* reader.h: reads replies as a client does, item by item: the results of a script's calls, the answers of
 * another server.
 *
 * Source of the format: the public RESP2 and RESP3 specifications. A reply is one item; an aggregate is an
 * item that says how many items follow. The caller keeps count; nothing is allocated, and texts are slices of
 * the caller's bytes. Thread: any. */
#ifndef TRIVET_RESP_READER_H
#define TRIVET_RESP_READER_H

#include "trivet/base/compiler.h"
#include "trivet/base/slice.h"
#include <stdint.h>

enum reply_kind {
    REPLY_STATUS,
    REPLY_ERROR, /* simple or bulk: the text without '-' */
    REPLY_INTEGER,
    REPLY_BULK,
    REPLY_NULL,       /* $-1 and _ */
    REPLY_NULL_ARRAY, /* *-1 */
    REPLY_ARRAY,
    REPLY_MAP, /* `number` counts pairs: twice as many items follow */
    REPLY_SET,
    REPLY_PUSH,
    REPLY_ATTRIBUTE, /* pairs, as a map; then the reply they belong to */
    REPLY_DOUBLE,    /* `text` as it came; "inf", "-inf" and "nan" are such texts */
    REPLY_BOOLEAN,
    REPLY_BIG_NUMBER, /* digits in `text` */
    REPLY_VERBATIM,   /* `text` without the format; that is in `format` */
};

struct reply_item {
    enum reply_kind kind;
    int64_t number; /* INTEGER, BOOLEAN; of aggregates how many follow */
    struct slice text;
    char format[3];
};

enum reply_read { REPLY_MORE, REPLY_READY, REPLY_BROKEN };

/* The item at *at; changes *at and *out only if it is READY. MORE: it is not complete. */
MUST_CHECK enum reply_read reply_read(struct slice bytes, size_t *at, struct reply_item *out);
/* How many items must follow an item of this kind and number. */
static inline uint64_t reply_items_after(const struct reply_item *i) {
    switch (i->kind) {
    case REPLY_ARRAY:
    case REPLY_SET:
    case REPLY_PUSH: return (uint64_t)i->number;
    case REPLY_MAP: return 2 * (uint64_t)i->number;
    case REPLY_ATTRIBUTE: return 2 * (uint64_t)i->number + 1;
    default: return 0;
    }
}
/* One whole reply, all its items, from *at on. */
MUST_CHECK enum reply_read reply_skip(struct slice bytes, size_t *at);

#endif
