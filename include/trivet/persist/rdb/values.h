/* values.h: values of every type in the RDB format, as files and DUMP payloads hold them.
 *
 * Written in the forms of the version asked for: 10 (Redis 7.0), 11 (Redis 7.2, Valkey), 80 (Valkey 9: fields
 * with an expiry). Reads all forms there ever were, back to ziplists and zipmaps, and trusts none: a value
 * that breaks a rule of its type is refused. Thread: as for the entry; reading touches no other state. */
#ifndef TRIVET_PERSIST_RDB_VALUES_H
#define TRIVET_PERSIST_RDB_VALUES_H

#include "trivet/keyspace/entry.h"
#include "trivet/persist/rdb/codec.h"

#define RDB_VERSION_COMMON 10 /* Redis 7.0 reads it, and all that came after it */
#define RDB_VERSION_MAX 11    /* of Redis' own line, as far as it is common with Valkey's */
#define RDB_VERSION_VALKEY 80 /* Valkey's from 9 on */

/* What a value is, by the byte before it. */
enum rdb_type {
    RDB_STRING = 0,
    RDB_LIST = 1,
    RDB_SET = 2,
    RDB_ZSET = 3,
    RDB_HASH = 4,
    RDB_ZSET_2 = 5,
    RDB_HASH_ZIPMAP = 9,
    RDB_LIST_ZIPLIST = 10,
    RDB_SET_INTSET = 11,
    RDB_ZSET_ZIPLIST = 12,
    RDB_HASH_ZIPLIST = 13,
    RDB_LIST_QUICKLIST = 14,
    RDB_STREAM = 15,
    RDB_HASH_LISTPACK = 16,
    RDB_ZSET_LISTPACK = 17,
    RDB_LIST_QUICKLIST_2 = 18,
    RDB_STREAM_2 = 19,
    RDB_SET_LISTPACK = 20,
    RDB_STREAM_3 = 21,
    RDB_HASH_2 = 22,
};

/* The lowest version that can hold all of the value: 11, or 80. */
int rdb_version_of(const struct entry *e);
enum rdb_type rdb_type_of(const struct entry *e, int version);
/* Writes the value without its type. Versions below 80 lose the expiry of fields; fields that have expired by
 * `now_ms` are left out then. */
void rdb_put_value(struct rdb_out *out, const struct entry *e, int version, int64_t now_ms);
/* One node of a list: its bytes are a listpack, or one element if `plain`. */
void rdb_put_list_node(struct rdb_out *out, struct slice bytes, bool plain);

/* A new entry, or NULL if the bytes are no such value, or a collection without elements (*empty says so). The
 * input then points after the value. */
MUST_CHECK struct entry *rdb_take_value(struct rdb_in *in, unsigned type, struct slice key, int64_t expiry_ms,
                                        bool *empty);

#endif
