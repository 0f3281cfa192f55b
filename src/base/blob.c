/* blob.c: a header with a reference count, and the bytes, in one allocation. */
#include "trivet/base/blob.h"
#include "trivet/base/compiler.h"
#include "trivet/base/mem.h"

/* Use what the allocator rounds up to as room. */
static size_t blob_allocation(size_t room) {
    assert(room <= SIZE_MAX / 2);
    return mem_good_size(sizeof(struct blob) + room);
}

struct blob *blob_new(size_t len, size_t room) {
    size_t size = blob_allocation(room > len ? room : len);
    struct blob *b = mem_alloc(size);
    atomic_init(&b->references, 1);
    b->len = len;
    b->room = size - sizeof(struct blob);
    return b;
}

struct blob *blob_of(struct slice s) {
    struct blob *b = blob_new(s.len, s.len);
    if (s.len > 0) memcpy(b->bytes, s.ptr, s.len);
    return b;
}

struct blob *blob_ref(struct blob *b) {
    /* Relaxed: the caller already holds a reference, so nothing needs ordering. */
    unsigned before = atomic_fetch_add_explicit(&b->references, 1, memory_order_relaxed);
    assert(before > 0 && before < UINT32_MAX);
    return b;
}

void blob_unref(struct blob *b) {
    if (!b) return;
    /* Release and acquire: the thread that frees the bytes sees all that other holders did with them. */
    unsigned before = atomic_fetch_sub_explicit(&b->references, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before == 1) mem_free(b);
}

struct blob *blob_grow(struct blob *b, size_t room) {
    assert(blob_is_sole(b));
    if (room <= b->room) return b;
    size_t size = blob_allocation(room);
    b = mem_realloc(b, size);
    b->room = size - sizeof(struct blob);
    return b;
}
