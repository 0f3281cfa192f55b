/* slot.h: the slot of a key, by which a cluster divides the keyspace: CRC16 (XMODEM) of the key modulo 16384.
 * If the key has a *hash tag*, bytes between its first '{' and the next '}', only these count: so an
 * application puts keys that it uses together into one slot. Format: the public cluster specification of
 * Redis. Pure functions. Thread: any. */
#ifndef TRIVET_KEYSPACE_SLOT_H
#define TRIVET_KEYSPACE_SLOT_H

#include "trivet/base/compiler.h"
#include "trivet/base/crc16.h"
#include "trivet/base/slice.h"
#include <stdint.h>

#define SLOT_BITS 14
#define SLOT_COUNT (1u << SLOT_BITS)

/* For slot_of_key(), of a key that has its first '{' there: a tag may begin. */
uint16_t slot_of_braced_key(struct slice key, size_t brace);
static inline uint16_t slot_of_key(struct slice key) {
    int64_t crc = crc16_or_brace(key);
    return LIKELY(crc >= 0) ? (uint16_t)crc % SLOT_COUNT : slot_of_braced_key(key, (size_t)(-1 - crc));
}
/* The slot of all keys that a glob pattern can match, or -1 if they may be in several: nothing in it, or
 * nothing before the end of its hash tag, matches more than itself. */
int32_t slot_of_pattern(struct slice pattern);

#endif
