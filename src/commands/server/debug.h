/* debug.h: fingerprints of data, equal to those that Redis and Valkey compute for the same data. */
#ifndef COMMANDS_SERVER_DEBUG_H
#define COMMANDS_SERVER_DEBUG_H

#include "trivet/keyspace/keyspace.h"

#define DIGEST_BYTES 20
struct digest {
    unsigned char bytes[DIGEST_BYTES];
};

/* Of all databases, whatever the order of keys. Gate closed. Expired entries do not count. */
void digest_everything(int64_t now_ms, struct digest *out);
/* Of one value and its expiry, without the key. */
void digest_value(const struct entry *e, struct digest *out);
/* 40 hex digits and a NUL. */
void digest_hex(const struct digest *d, char out[2 * DIGEST_BYTES + 1]);

#endif
