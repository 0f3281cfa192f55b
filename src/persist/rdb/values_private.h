/* values_private.h: what the files that read and write RDB values share. */
#ifndef PERSIST_RDB_VALUES_PRIVATE_H
#define PERSIST_RDB_VALUES_PRIVATE_H

#include "trivet/persist/rdb/values.h"
#include "trivet/types/stream.h"

/* Streams (stream.c). `form` is 1, 2 or 3, as the type says; 1 is only read. Taking returns NULL if the bytes
 * are none. */
void rdb_put_stream(struct rdb_out *out, const struct stream *s, int form);
/* In parts: the number of nodes (a length), each node, the rest. */
void rdb_put_stream_node(struct rdb_out *out, struct stream_id master, struct slice listpack);
void rdb_put_stream_rest(struct rdb_out *out, const struct stream *s, int form);
static inline int rdb_stream_form(enum rdb_type type) { return type == RDB_STREAM_3 ? 3 : 2; }
struct stream *rdb_take_stream(struct rdb_in *in, int form);

/* Forms that only old servers wrote (historic.c), turned into a listpack with the same elements (a zipmap:
 * name, value, ...); NULL if the bytes are malformed. The caller frees it. */
unsigned char *rdb_listpack_of_ziplist(struct slice bytes);
unsigned char *rdb_listpack_of_zipmap(struct slice bytes);

#endif
