/* packed.h: text inside a bigger allocation: its length, then its bytes, with no alignment.
 *
 * The length takes one byte, or 0xff and eight for long texts. */
#ifndef TRIVET_TYPES_STRUCTURES_PACKED_H
#define TRIVET_TYPES_STRUCTURES_PACKED_H

#include "trivet/base/compiler.h"
#include "trivet/base/slice.h"
#include <stdint.h>

#define PACKED_LONG 0xff

static inline size_t packed_size(size_t len) { return (len < PACKED_LONG ? 1 : 1 + sizeof(uint64_t)) + len; }

/* Returns the address behind what was written. */
static inline char *packed_write(char *at, struct slice text) {
    if (LIKELY(text.len < PACKED_LONG)) {
        *at++ = (char)(unsigned char)text.len;
    } else {
        uint64_t len = text.len;
        *at++ = (char)(unsigned char)PACKED_LONG;
        memcpy(at, &len, sizeof len);
        at += sizeof len;
    }
    if (text.len) memcpy(at, text.ptr, text.len);
    return at + text.len;
}

static inline struct slice packed_read(const char *at) {
    size_t len = (unsigned char)*at++;
    if (LIKELY(len < PACKED_LONG)) return slice_make(at, len);
    uint64_t wide;
    memcpy(&wide, at, sizeof wide);
    return slice_make(at + sizeof wide, (size_t)wide);
}

#endif
