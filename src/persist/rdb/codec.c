/* codec.c: see rdb_codec.h. */
#include "trivet/persist/rdb/codec.h"
#include "trivet/base/mem.h"
#include "trivet/base/number.h"
#include <endian.h>
#include <liblzf/lzf.h>
#include <math.h>

enum { LENGTH_32 = 0x80, LENGTH_64 = 0x81, STRING_INT8 = 0xc0, STRING_INT16, STRING_INT32, STRING_LZF };
enum { NUMBER_TEXT_MAX = 11, COMPRESS_MIN = 20 };
#define DRAIN_BYTES ((size_t)64 * 1024)
/* Three bytes of LZF become at most 264; a longer claimed length is false. */
#define LZF_RATIO_MAX 264

/* ---- writing ---- */

static void put(struct rdb_out *out, const void *bytes, size_t len) {
    buf_append(&out->bytes, slice_make(bytes, len));
}

void rdb_put_length(struct rdb_out *out, uint64_t n) {
    unsigned char bytes[9];
    if (n < 1 << 6) {
        bytes[0] = (unsigned char)n;
        put(out, bytes, 1);
    } else if (n < 1 << 14) {
        bytes[0] = (unsigned char)(0x40 | n >> 8);
        bytes[1] = (unsigned char)n;
        put(out, bytes, 2);
    } else if (n <= UINT32_MAX) {
        uint32_t big = htobe32((uint32_t)n);
        bytes[0] = LENGTH_32;
        memcpy(bytes + 1, &big, sizeof big);
        put(out, bytes, 5);
    } else {
        uint64_t big = htobe64(n);
        bytes[0] = LENGTH_64;
        memcpy(bytes + 1, &big, sizeof big);
        put(out, bytes, 9);
    }
}

/* False if it does not fit into 32 bits. */
static bool put_number(struct rdb_out *out, int64_t n) {
    unsigned char bytes[5];
    uint32_t little = htole32((uint32_t)n);
    size_t size;
    if (n >= INT8_MIN && n <= INT8_MAX) {
        bytes[0] = STRING_INT8;
        size = 1;
    } else if (n >= INT16_MIN && n <= INT16_MAX) {
        bytes[0] = STRING_INT16;
        size = 2;
    } else if (n >= INT32_MIN && n <= INT32_MAX) {
        bytes[0] = STRING_INT32;
        size = 4;
    } else {
        return false;
    }
    memcpy(bytes + 1, &little, size);
    put(out, bytes, 1 + size);
    return true;
}

/* False, and nothing is written, if the compressed form is not shorter. */
static bool put_compressed(struct rdb_out *out, struct slice text) {
    if (text.len <= COMPRESS_MIN || text.len > UINT32_MAX) return false;
    unsigned char *packed = mem_try_alloc(text.len);
    if (!packed) return false;
    unsigned len = lzf_compress(text.ptr, (unsigned)text.len, packed, (unsigned)text.len - 4);
    if (len > 0) {
        buf_append_byte(&out->bytes, (char)STRING_LZF);
        rdb_put_length(out, len);
        rdb_put_length(out, text.len);
        put(out, packed, len);
    }
    mem_free(packed);
    return len > 0;
}

void rdb_put_string(struct rdb_out *out, struct slice text) {
    int64_t n;
    if (text.len <= NUMBER_TEXT_MAX && int64_parse(text, &n) && put_number(out, n)) return;
    if (out->compress && put_compressed(out, text)) return;
    rdb_put_length(out, text.len);
    buf_append(&out->bytes, text);
}

void rdb_put_number_string(struct rdb_out *out, int64_t n) {
    if (put_number(out, n)) return;
    char digits[INT64_TEXT_MAX];
    size_t len = int64_format(digits, n);
    rdb_put_length(out, len);
    put(out, digits, len);
}

void rdb_put_u64(struct rdb_out *out, uint64_t n) {
    uint64_t little = htole64(n);
    put(out, &little, sizeof little);
}

void rdb_put_double(struct rdb_out *out, double n) {
    uint64_t bits;
    memcpy(&bits, &n, sizeof bits);
    rdb_put_u64(out, bits);
}

void rdb_may_drain(struct rdb_out *out) {
    if (out->drain && out->bytes.len >= DRAIN_BYTES) out->drain(out->drain_arg, &out->bytes);
}

/* ---- reading ---- */

bool rdb_take_bytes(struct rdb_in *in, size_t count, struct slice *out) {
    if (count > rdb_left(in)) return false;
    *out = slice_make(in->at, count);
    in->at += count;
    return true;
}

/* An unsigned number of up to 8 bytes. */
static bool take_number(struct rdb_in *in, size_t size, bool big_endian, uint64_t *n) {
    struct slice bytes;
    if (!rdb_take_bytes(in, size, &bytes)) return false;
    *n = 0;
    for (size_t i = 0; i < size; i++) {
        size_t shift = 8 * (big_endian ? size - 1 - i : i);
        *n |= (uint64_t)(unsigned char)bytes.ptr[i] << shift;
    }
    return true;
}

bool rdb_take_length(struct rdb_in *in, uint64_t *n) {
    uint64_t first, second;
    if (!take_number(in, 1, true, &first)) return false;
    if (first == LENGTH_32) return take_number(in, 4, true, n);
    if (first == LENGTH_64) return take_number(in, 8, true, n);
    if (first >= LENGTH_32) return false;
    if (first < 1 << 6) {
        *n = first;
        return true;
    }
    if (!take_number(in, 1, true, &second)) return false;
    *n = (first & 63) << 8 | second;
    return true;
}

bool rdb_take_count(struct rdb_in *in, size_t each, size_t *n) {
    uint64_t count;
    if (!rdb_take_length(in, &count) || count > rdb_left(in) / each) return false;
    *n = (size_t)count;
    return true;
}

static bool take_number_string(struct rdb_in *in, size_t size, struct buf *scratch, struct slice *out) {
    uint64_t bits;
    if (!take_number(in, size, false, &bits)) return false;
    int64_t n = size == 1 ? (int8_t)bits : size == 2 ? (int16_t)bits : (int32_t)bits;
    buf_clear(scratch);
    buf_append_int(scratch, n);
    *out = buf_slice(scratch);
    return true;
}

static bool take_compressed(struct rdb_in *in, struct buf *scratch, struct slice *out) {
    uint64_t packed_len, len;
    struct slice packed;
    if (!rdb_take_length(in, &packed_len) || !rdb_take_length(in, &len)) return false;
    if (packed_len > UINT32_MAX || len > UINT32_MAX || len == 0 || len > packed_len * LZF_RATIO_MAX)
        return false;
    if (!rdb_take_bytes(in, (size_t)packed_len, &packed)) return false;
    buf_clear(scratch);
    char *plain = buf_reserve(scratch, (size_t)len);
    if (lzf_decompress(packed.ptr, (unsigned)packed.len, plain, (unsigned)len) != len) return false;
    scratch->len = (size_t)len;
    *out = buf_slice(scratch);
    return true;
}

bool rdb_take_string(struct rdb_in *in, struct buf *scratch, struct slice *out) {
    if (rdb_left(in) == 0) return false;
    unsigned char first = *in->at;
    if (first < STRING_INT8) {
        uint64_t len;
        return rdb_take_length(in, &len) && len <= rdb_left(in) && rdb_take_bytes(in, (size_t)len, out);
    }
    in->at++;
    switch (first) {
    case STRING_INT8: return take_number_string(in, 1, scratch, out);
    case STRING_INT16: return take_number_string(in, 2, scratch, out);
    case STRING_INT32: return take_number_string(in, 4, scratch, out);
    case STRING_LZF: return take_compressed(in, scratch, out);
    default: return false;
    }
}

bool rdb_take_u64(struct rdb_in *in, uint64_t *n) { return take_number(in, 8, false, n); }

bool rdb_take_double(struct rdb_in *in, double *n) {
    uint64_t bits;
    if (!rdb_take_u64(in, &bits)) return false;
    memcpy(n, &bits, sizeof bits);
    return true;
}

bool rdb_take_old_double(struct rdb_in *in, double *n) {
    uint64_t len;
    if (!take_number(in, 1, false, &len)) return false;
    if (len >= 253) {
        *n = len == 253 ? NAN : len == 254 ? INFINITY : -INFINITY;
        return true;
    }
    struct slice text;
    return rdb_take_bytes(in, (size_t)len, &text) && double_parse(text, n);
}
