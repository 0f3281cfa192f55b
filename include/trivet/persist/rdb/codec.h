/* codec.h: the small pieces of the RDB format: lengths, strings, numbers. Files and DUMP payloads consist
 * of them.
 *
 *     length: 00xxxxxx | 01xxxxxx x(8) | 10000000 x(32, big endian) | 10000001 x(64, big endian)
 *     string: length, bytes | 11000000 int8 | 11000001 int16 | 11000010 int32 (little endian)
 *             | 11000011 length of the compressed, length of the plain, bytes of LZF
 *
 * Reading works on bytes that are all in memory (a payload, a mapped file) and trusts none of them. Source:
 * the public description of the format, and files of running servers. Thread: the caller's. */
#ifndef TRIVET_PERSIST_RDB_CODEC_H
#define TRIVET_PERSIST_RDB_CODEC_H

#include "trivet/base/buf.h"
#include <stdbool.h>

/* ---- writing ---- */

struct rdb_out {
    struct buf bytes;
    bool compress; /* strings of more than 20 bytes by LZF, if that makes them shorter */
    /* NULL, or called now and then between elements of a value, to write the bytes out and clear the buffer,
     * so that memory does not fill up. */
    void (*drain)(void *arg, struct buf *bytes);
    void *drain_arg;
};

void rdb_put_length(struct rdb_out *out, uint64_t n);
void rdb_put_string(struct rdb_out *out, struct slice text);
void rdb_put_number_string(struct rdb_out *out, int64_t n); /* the number as a string */
void rdb_put_u64(struct rdb_out *out, uint64_t n);          /* 8 bytes, little endian: times */
void rdb_put_double(struct rdb_out *out, double n);
/* Between two elements. */
void rdb_may_drain(struct rdb_out *out);

/* ---- reading: false at the end of the bytes, or if they make no sense ---- */

struct rdb_in {
    const unsigned char *at, *end;
};

static inline size_t rdb_left(const struct rdb_in *in) { return (size_t)(in->end - in->at); }
MUST_CHECK bool rdb_take_bytes(struct rdb_in *in, size_t count, struct slice *out); /* inside the input */
MUST_CHECK bool rdb_take_length(struct rdb_in *in, uint64_t *n);
/* A count of elements of at least `each` bytes. A count that does not fit the rest of the input is refused,
 * so a wrong one cannot demand much memory. */
MUST_CHECK bool rdb_take_count(struct rdb_in *in, size_t each, size_t *n);
/* *out lies in the input or in `scratch`, whose old contents are lost. */
MUST_CHECK bool rdb_take_string(struct rdb_in *in, struct buf *scratch, struct slice *out);
MUST_CHECK bool rdb_take_u64(struct rdb_in *in, uint64_t *n);
MUST_CHECK bool rdb_take_double(struct rdb_in *in, double *n);
/* The form used before Redis 4.0: a length and decimals. */
MUST_CHECK bool rdb_take_old_double(struct rdb_in *in, double *n);

#endif
