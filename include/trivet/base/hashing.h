/* hashing.h: the one hash of keys, fields, members and channels: XXH3 with a secret drawn at start,
 * so that nobody outside can choose colliding keys. The same bytes hash alike on every thread for the
 * life of the process, and differently in the next one. */
#ifndef TRIVET_BASE_HASHING_H
#define TRIVET_BASE_HASHING_H

#include "trivet/base/slice.h"
#include <stdint.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define HASH_SECRET_SIZE 192
extern unsigned char hash_secret[HASH_SECRET_SIZE];

/* Draws the secret; once, before the first table. */
void hash_init(void);

static inline uint64_t hash_bytes(struct slice s) {
    return XXH3_64bits_withSecret(s.ptr, s.len, hash_secret, HASH_SECRET_SIZE);
}

#endif
