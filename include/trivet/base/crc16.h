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
    int32_t (*without_brace)(struct slice s);
};
extern const struct crc16_way crc16_by_tables;
extern struct crc16_way crc16_way;

static inline uint16_t crc16(struct slice s) { return crc16_way.plain(s); }
/* The same, or -1 if there is a '{' in it, with which a hash tag begins. One look at the bytes says both. */
static inline int32_t crc16_without_brace(struct slice s) { return crc16_way.without_brace(s); }

#endif
