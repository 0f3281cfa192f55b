/* record.c: from records to entries. */
#include "scan.h"
#include "trivet/base/clock.h"
#include "trivet/base/mem.h"
#include "trivet/keyspace/eviction.h"
#include "trivet/keyspace/keyspace.h"

#define KEY_SHOWN_MAX 128

void rdb_record_describe_key(const struct rdb_record *record, struct buf *out) {
    const unsigned char *begin = (const unsigned char *)record->body.ptr;
    struct rdb_in in = { begin, begin + record->body.len };
    struct buf scratch = { 0 };
    struct slice key;
    if (rdb_take_string(&in, &scratch, &key)) {
        size_t shown = key.len < KEY_SHOWN_MAX ? key.len : KEY_SHOWN_MAX;
        for (size_t i = 0; i < shown; i++)
            buf_append_byte(out, key.ptr[i] >= ' ' && key.ptr[i] <= '~' ? key.ptr[i] : '?');
        if (shown < key.len) buf_append(out, LIT("..."));
    }
    buf_release(&scratch);
}

/* The access field from the record's hint, if it fits the present policy of its database; else that of a new
 * entry. */
static uint32_t access_of(const struct rdb_record *record, int64_t now_ms) {
    uint32_t db = record->db < keyspace_databases() ? record->db : 0; /* others are refused later */
    bool frequencies = eviction_counts_uses(db);
    if (frequencies && record->frequency >= 0)
        return eviction_access_frequency((uint8_t)record->frequency, now_ms);
    if (frequencies || record->idle_s < 0) return eviction_access_new(db, now_ms);
    int64_t most = INT64_MAX / 1000;
    return eviction_access_idle((record->idle_s < most ? record->idle_s : most) * 1000, now_ms);
}

static enum rdb_decoded refuse_record(const struct rdb_record *record, const struct rdb_in *in,
                                      struct rdb_error *e) {
    e->type = record->type;
    buf_clear(&e->key);
    rdb_record_describe_key(record, &e->key);
    uint64_t id;
    struct rdb_in at = *in;
    if (record->type == RDB_MODULE_2 && rdb_take_length(&at, &id)) {
        char name[RDB_MODULE_NAME_LEN + 1];
        rdb_module_name(id, name);
        rdb_error_set(e, record->offset, "read-object-value",
                      "The file holds a value of the module type '%s', and this server has no modules", name);
    } else {
        uint64_t found = record->body_offset + (uint64_t)(in->at - (const unsigned char *)record->body.ptr);
        rdb_error_set(e, found, "read-object-value", "The value is damaged (integrity check failed)");
    }
    return RDB_DECODED_BROKEN;
}

enum rdb_decoded rdb_record_decode(const struct rdb_record *record, int64_t now_ms, struct entry **out,
                                   struct rdb_error *error) {
    const unsigned char *begin = (const unsigned char *)record->body.ptr;
    struct rdb_in in = { begin, begin + record->body.len };
    struct buf scratch = { 0 };
    struct slice key;
    bool empty = false;
    *out = NULL;
    if (rdb_take_string(&in, &scratch, &key) && record->type != RDB_MODULE_2)
        *out = rdb_take_value(&in, record->type, key, record->expiry_ms, &empty);
    if (*out) (*out)->access = access_of(record, now_ms) & ENTRY_ACCESS_MASK;
    buf_release(&scratch);
    if (*out && rdb_left(&in) == 0) return RDB_DECODED;
    if (*out) entry_free(*out);
    return empty ? RDB_DECODED_NOTHING : refuse_record(record, &in, error);
}
