/* payload.h: RDB data that travels in a reply: of DUMP and FUNCTION DUMP.
 *
 * What it is made of is followed by the format's version (2 bytes, little endian) and the crc64 of all before
 * (8). Thread: the caller's. */
#ifndef TRIVET_PERSIST_RDB_PAYLOAD_H
#define TRIVET_PERSIST_RDB_PAYLOAD_H

#include "trivet/persist/rdb/codec.h"

#define RDB_PAYLOAD_FOOTER 10

/* Appends the footer. */
void rdb_payload_end(struct rdb_out *out, int version);
/* What is before the footer, if the footer is right. `any_version`: versions are not looked at. */
MUST_CHECK bool rdb_payload_open(struct slice payload, bool any_version, struct slice *body);

#endif
