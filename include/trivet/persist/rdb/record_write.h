/* record_write.h: one entry as a snapshot holds it: a record of an RDB file, or the commands that make it
 * again (the base of an AOF without an RDB preamble).
 *
 * A frozen value (types/freeze.h) is written in three parts: head, elements in the order of their coming,
 * tail. Thread: under the lock of the entry's shard, or by whoever owns the entry. */
#ifndef TRIVET_PERSIST_RDB_RECORD_WRITE_H
#define TRIVET_PERSIST_RDB_RECORD_WRITE_H

#include "trivet/keyspace/entry.h"
#include "trivet/persist/rdb/codec.h"
#include "trivet/types/freeze.h"

enum image_hint { HINT_NONE, HINT_IDLE, HINT_FREQUENCY, HINT_COUNT };

struct image_form {
    bool as_commands;
    bool compress;        /* set for the snapshot's thread; commands do not take the time to compress */
    int version;          /* of the RDB format */
    enum image_hint hint; /* what eviction knows of an entry */
    int64_t now_ms;       /* the snapshot's instant */
};

/* The entries that follow belong to this database. */
void image_put_database(const struct image_form *form, struct rdb_out *out, uint32_t db);
void image_put_entry(const struct image_form *form, struct rdb_out *out, const struct entry *e);

/* Can a big value be written in parts in this form? */
bool image_can_part(const struct image_form *form, const struct entry *e);
/* What is known of a frozen value apart from its elements; `key` is owned. */
struct image_parts {
    enum value_type type;
    char *key;
    size_t key_len;
    int64_t expiry_ms;
    bool with_expiry; /* RDB: each field has a time behind it */
    struct buf rest;  /* RDB: of a stream's record what follows the nodes, as it was when it was frozen */
};
void image_put_head(const struct image_form *form, struct rdb_out *out, const struct entry *e,
                    const struct frozen *f, struct image_parts *parts);
void image_put_element(const struct image_form *form, struct rdb_out *out, const struct image_parts *parts,
                       const struct frozen_element *el);
void image_put_tail(const struct image_form *form, struct rdb_out *out, const struct image_parts *parts);
void image_parts_release(struct image_parts *parts);

/* What precedes a string that is written by reference (a big blob). RDB only. */
void image_put_string_head(const struct image_form *form, struct rdb_out *out, const struct entry *e);

#endif
