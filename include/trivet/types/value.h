/* value.h: what all values have in common: an encoding and a pointer.
 *
 * The structures of this layer know no keys and no clients. A value that may change its encoding (a small
 * hash is a listpack, a big one a table) is handed about as a struct value: functions that change it take a
 * pointer to it and may change both fields; the caller stores them back (entry_set_value). The limits at
 * which encodings change are in structures/encoding_limits.h. Thread: the owner's. */
#ifndef TRIVET_TYPES_VALUE_H
#define TRIVET_TYPES_VALUE_H

#include "trivet/base/slice.h"
#include "trivet/types/structures/encoding_limits.h"
#include "trivet/types/structures/intset.h"
#include "trivet/types/structures/listpack.h"
#include <stddef.h>
#include <stdint.h>

/* The numbers are those of the RDB format's object types. */
enum value_type {
    TYPE_STRING,
    TYPE_LIST,
    TYPE_SET,
    TYPE_ZSET,
    TYPE_HASH,
    TYPE_MODULE,
    TYPE_STREAM,
    TYPE_COUNT
};

enum encoding {
    ENCODING_INT,      /* string: an int64 inside the entry */
    ENCODING_EMBEDDED, /* string: bytes inside the entry */
    ENCODING_BLOB,     /* string: bytes in a blob of their own */
    ENCODING_LISTPACK, /* hash, list, set, sorted set: one listpack */
    ENCODING_INTSET,   /* set of integers */
    ENCODING_TABLE,    /* hash, set: "hashtable" */
    ENCODING_DEQUE,    /* list: "quicklist" */
    ENCODING_BTREE,    /* sorted set: "skiplist" */
    ENCODING_STREAM,   /* stream */
    ENCODING_COUNT
};

struct value {
    void *ptr;
    enum encoding encoding;
};

/* Elements whose time had come and that are out of their value now; whoever got them frees the items
 * (mem_free). */
#define GONE_MAX 64
struct gone {
    size_t count;
    struct slice names[GONE_MAX]; /* inside the items */
    void *items[GONE_MAX];
};

/* What the keyspace asks of every type but strings. */
struct value_ops {
    void (*free)(struct value v);
    struct value (*copy)(struct value v);
    /* Bytes of all allocations that the value owns, exactly; asking costs the same for every value. What a
     * freeze (freeze.h) keeps is not the value's: neither its notes, nor what commands have changed or
     * removed since and left to it. What was handed over and is still there, and a copy that a change has
     * made, are. */
    size_t (*bytes)(struct value v);
    /* About how many allocations freeing it gives back. */
    size_t (*effort)(struct value v);
    /* Its elements: 0 is a collection whose key goes (but for a stream, which remembers its last id). */
    size_t (*count)(struct value v);
    /* Of types whose elements expire by themselves, else NULL: none does before this time (INT64_MAX: never);
     * and some that have expired are taken out, few enough to be quick, none if there are none. */
    int64_t (*due_ms)(struct value v);
    void (*take_due)(struct value *v, int64_t now_ms, struct gone *out);
};

/* Small values are packed: one run of bytes, a listpack or an intset, and nothing beside it. */
static inline bool value_is_packed(struct value v) {
    return v.encoding == ENCODING_LISTPACK || v.encoding == ENCODING_INTSET;
}
/* The bytes of a packed value, wherever they lie. */
static inline struct slice value_packed(struct value v) {
    bool is_listpack = v.encoding == ENCODING_LISTPACK;
    return slice_make(v.ptr, is_listpack ? listpack_bytes(v.ptr) : intset_bytes(v.ptr));
}

/* The table of a big hash, set or sorted set (by member), else NULL. */
struct table;
struct table *value_table(struct value v);

/* By type; NULL for strings and for types that do not exist. */
extern const struct value_ops *const value_ops[TYPE_COUNT];

#endif
