/* payload.c: see payload.h. */
#include "trivet/persist/rdb/payload.h"
#include "trivet/base/crc64.h"
#include "trivet/persist/rdb/file.h"
#include <endian.h>

void rdb_payload_end(struct rdb_out *out, int version) {
    uint16_t version_bytes = htole16((uint16_t)version);
    buf_append(&out->bytes, slice_make(&version_bytes, sizeof version_bytes));
    rdb_put_u64(out, crc64(0, out->bytes.ptr, out->bytes.len));
}

bool rdb_payload_open(struct slice payload, bool any_version, struct slice *body) {
    if (payload.len < RDB_PAYLOAD_FOOTER) return false;
    body->ptr = payload.ptr;
    body->len = payload.len - RDB_PAYLOAD_FOOTER;
    const unsigned char *footer = (const unsigned char *)payload.ptr + body->len;
    unsigned version = (unsigned)footer[0] | (unsigned)footer[1] << 8;
    if (version > RDB_VERSION_MAX && version != RDB_VERSION_VALKEY && !any_version) return false;
    uint64_t stated;
    memcpy(&stated, footer + 2, sizeof stated);
    return atomic_load(&rdb_checksums_are_skipped) ||
           le64toh(stated) == crc64(0, payload.ptr, payload.len - sizeof stated);
}
