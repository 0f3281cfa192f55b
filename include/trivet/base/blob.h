/* blob.h: shared, immutable bytes with a count of references.
 *
 * Big strings, big arguments and published messages are blobs: written once by their maker, then
 * only read, by any thread, until the last reference goes. A holder of the only reference may
 * change the bytes again (blob_is_sole). Thread: references may be taken and dropped anywhere. */
#ifndef TRIVET_BASE_BLOB_H
#define TRIVET_BASE_BLOB_H

#include "trivet/base/slice.h"
#include <stdatomic.h>
#include <stdint.h>

struct blob {
    atomic_uint references;
    size_t len;  /* bytes in use */
    size_t room; /* bytes allocated after the header */
    char bytes[];
};

/* A blob of `len` bytes, not filled in, with room for at least `room`; the caller has the one reference. */
struct blob *blob_new(size_t len, size_t room);
struct blob *blob_of(struct slice s);
struct blob *blob_ref(struct blob *b);
/* Frees it with the last reference. `b` may be NULL. */
void blob_unref(struct blob *b);
/* Grows a blob of which the caller has the only reference; it may move. */
struct blob *blob_grow(struct blob *b, size_t room);

static inline bool blob_is_sole(const struct blob *b) {
    return atomic_load_explicit(&b->references, memory_order_acquire) == 1;
}
static inline struct slice blob_slice(const struct blob *b) { return (struct slice){ b->bytes, b->len }; }

#endif
