/* intset.h: a sorted array of integers in one run of bytes: the small form of sets that hold nothing else.
 *
 * The bytes are the public intset format, all little endian, so that RDB files and DUMP payloads hold them as
 * they are:
 *
 *     bytes of each integer: 2, 4 or 8 (4 bytes) | how many (4) | the integers, rising
 *
 * The width is that of the widest integer that was ever in it. An intset is a pointer to its bytes, allocated
 * with mem.h; calls that change one may move it and return the address to use from then on. Thread: the
 * owner's. */
#ifndef TRIVET_TYPES_STRUCTURES_INTSET_H
#define TRIVET_TYPES_STRUCTURES_INTSET_H

#include "trivet/base/compiler.h"
#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define INTSET_HEADER 8
#define INTSET_KEEPS ((size_t)1024)        /* removing integers shrinks no block of up to this size */
#define INTSET_COUNT_MAX ((size_t)1 << 30) /* callers keep to it */

unsigned char *intset_new(void);
void intset_free(unsigned char *is);
unsigned char *intset_copy(const unsigned char *is);
static inline size_t intset_width(const unsigned char *is) {
    uint32_t width;
    memcpy(&width, is, sizeof width);
    return le32toh(width);
}
static inline size_t intset_count(const unsigned char *is) {
    uint32_t count;
    memcpy(&count, is + sizeof count, sizeof count);
    return le32toh(count);
}
static inline size_t intset_bytes(const unsigned char *is) { /* of the format, not of the allocation */
    return INTSET_HEADER + intset_count(is) * intset_width(is);
}

bool intset_contains(const unsigned char *is, int64_t n);
/* The integer at this place, which must be there. */
int64_t intset_at(const unsigned char *is, size_t index);
/* *added and *removed tell whether anything changed. */
unsigned char *intset_add(unsigned char *is, int64_t n, bool *added);
unsigned char *intset_remove(unsigned char *is, int64_t n, bool *removed);
unsigned char *intset_remove_at(unsigned char *is, size_t index);

/* Are these bytes a whole, well-formed intset: a width that exists, the right length, integers that rise? For
 * payloads from outside; reads nothing beyond `len`. */
MUST_CHECK bool intset_is_valid(const unsigned char *bytes, size_t len);

#endif
