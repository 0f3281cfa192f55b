/* crc16.h: the checksum (CRC16, XMODEM) of which a cluster makes a key's slot: every command computes one
 * there. Processors that multiply without carry do it sixteen bytes a step; others by tables. Pure functions.
 * Thread: any. */
#ifndef TRIVET_BASE_CRC16_H
#define TRIVET_BASE_CRC16_H

#include "trivet/base/slice.h"
#include <stdint.h>

/* Which way is taken is decided when the program is loaded, before any thread runs. */
struct crc16_way {
    uint16_t (*plain)(struct slice s);
    int64_t (*or_brace)(struct slice s);
};
extern const struct crc16_way crc16_by_tables;
extern struct crc16_way crc16_way;

static inline uint16_t crc16(struct slice s) { return crc16_way.plain(s); }
/* The same, if there is no '{' in it, with which a hash tag begins; else -1 - the place of the first one. One
 * look at the bytes says both. */
static inline int64_t crc16_or_brace(struct slice s) { return crc16_way.or_brace(s); }

#endif
