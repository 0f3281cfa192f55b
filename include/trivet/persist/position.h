/* position.h: where data stands in a replication history. RDB files and append-only files tell it, so that a
 * server that starts with them can go on where it was. See backlog.h. */
#ifndef TRIVET_PERSIST_POSITION_H
#define TRIVET_PERSIST_POSITION_H

#include <stdbool.h>
#include <stdint.h>

#define REPLID_CHARS 40

struct stream_position {
    bool known;
    char id[REPLID_CHARS + 1]; /* of the history: hexadecimal digits */
    int64_t offset;
    int64_t db; /* that is selected in the stream; -1: not told, the stream selects one next */
};

#endif
