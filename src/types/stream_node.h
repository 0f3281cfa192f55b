/* stream_node.h: the numbers inside a stream's node; stream.h draws its form. */
#ifndef TYPES_STREAM_NODE_H
#define TYPES_STREAM_NODE_H

#include "trivet/types/structures/listpack.h"

enum entry_flag { ENTRY_DELETED = 1, ENTRY_SAME_FIELDS = 2 };

static inline uint64_t node_number(const unsigned char *at) { return (uint64_t)listpack_get(at).number; }

/* What the last element of an entry says: how many stand before it. */
static inline uint64_t entry_elements(bool same_fields, uint64_t pairs) {
    return same_fields ? 3 + pairs : 4 + 2 * pairs;
}

#endif
