/* listpack.h: a list of strings and integers in one run of bytes: the small form of hashes, lists, sets and
 * sorted sets, and the nodes of big lists and streams.
 *
 * The bytes are exactly the public listpack format (source: its specification, antirez/listpack), so that RDB
 * files and DUMP payloads hold them as they are:
 *
 *     total bytes (4, little endian) | elements (2; 65535: count them) | element ... | 0xff
 *     element: encoding and length | data | length of the two before, readable backwards (1 to 5 bytes)
 *
 * A listpack is a pointer to its bytes, allocated with mem.h. Calls that change one may move it and return
 * the address to use from then on; every position into it is invalid after. A position is a pointer to an
 * element; NULL is "beyond the end". Texts that are canonical int64s are stored as integers. Thread: the
 * owner's. Errors: a listpack cannot grow beyond LISTPACK_BYTES_MAX; callers keep well below. */
#ifndef TRIVET_TYPES_STRUCTURES_LISTPACK_H
#define TRIVET_TYPES_STRUCTURES_LISTPACK_H

#include "trivet/base/compiler.h"
#include "trivet/base/number.h"
#include "trivet/base/slice.h"
#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define LISTPACK_HEADER 6
#define LISTPACK_EMPTY_BYTES 7
#define LISTPACK_BYTES_MAX ((size_t)1 << 30)
#define LISTPACK_KEEPS ((size_t)1024) /* removing elements shrinks no block of up to this size */

/* What an element is: text that lies inside the listpack, or a number. */
struct listpack_item {
    struct slice text; /* ptr NULL: it is a number */
    int64_t number;
};

unsigned char *listpack_new(void);
/* In a block of LISTPACK_KEEPS bytes, for one that is filled and then copied or shrunk. */
unsigned char *listpack_new_roomy(void);
void listpack_free(unsigned char *lp);
unsigned char *listpack_copy(const unsigned char *lp);
static inline size_t listpack_bytes(const unsigned char *lp) { /* of the format, not of the allocation */
    uint32_t bytes;
    memcpy(&bytes, lp, sizeof bytes);
    return le32toh(bytes);
}
size_t listpack_count(const unsigned char *lp); /* linear only above 65534 elements */

/* Walking. `listpack_at` takes a negative index from the end, as LINDEX does. */
unsigned char *listpack_first(const unsigned char *lp);
unsigned char *listpack_last(const unsigned char *lp);
unsigned char *listpack_next(const unsigned char *lp, const unsigned char *at);
unsigned char *listpack_previous(const unsigned char *lp, const unsigned char *at);
unsigned char *listpack_at(const unsigned char *lp, int64_t index);

struct listpack_item listpack_get(const unsigned char *at);
/* The element as text; `scratch` (INT64_TEXT_MAX bytes) holds it if it is a number. */
struct slice listpack_text(const unsigned char *at, char *scratch);
bool listpack_equals(const unsigned char *at, struct slice text);
/* The first element equal to `text` from `from` on, looking at each (skip 0), every second (skip 1), ...;
 * NULL if none. */
unsigned char *listpack_find(const unsigned char *lp, const unsigned char *from, struct slice text,
                             size_t skip);

/* Changing. `before` NULL means at the end. */
unsigned char *listpack_insert(unsigned char *lp, const unsigned char *before, struct slice text);
unsigned char *listpack_insert_number(unsigned char *lp, const unsigned char *before, int64_t n);
unsigned char *listpack_append(unsigned char *lp, struct slice text);
unsigned char *listpack_append_number(unsigned char *lp, int64_t n);
/* Replaces the element at *at; *at is where it is now. */
unsigned char *listpack_replace(unsigned char *lp, unsigned char **at, struct slice text);
unsigned char *listpack_replace_number(unsigned char *lp, unsigned char **at, int64_t n);
/* Takes `count` elements from `at` on out; *at, if not NULL, becomes the one after them, or NULL. */
unsigned char *listpack_delete(unsigned char *lp, unsigned char *at, size_t count, unsigned char **after);
/* Appends all elements of `tail`, which stays as it is. */
unsigned char *listpack_join(unsigned char *lp, const unsigned char *tail);
/* Gives back memory that is not needed. */
unsigned char *listpack_shrink(unsigned char *lp);

/* Bytes that an element with this text takes. */
size_t listpack_element_bytes(struct slice text);
/* Adding so much would still be allowed. */
static inline bool listpack_has_room(const unsigned char *lp, size_t add) {
    return listpack_bytes(lp) + add <= LISTPACK_BYTES_MAX;
}

/* Are these bytes a whole, well-formed listpack? For payloads from outside; reads nothing beyond `len`. If
 * `visit` is not NULL it is called for each element in turn and may refuse. */
MUST_CHECK bool listpack_is_valid(const unsigned char *bytes, size_t len,
                                  bool (*visit)(void *arg, const unsigned char *at, size_t index), void *arg);

#endif
