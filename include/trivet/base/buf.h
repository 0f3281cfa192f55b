/* buf.h: an owned, growing run of bytes. buf_release() frees it; a zeroed struct is an empty one.
 * Thread: one at a time. Errors: none, see mem.h. */
#ifndef TRIVET_BASE_BUF_H
#define TRIVET_BASE_BUF_H

#include "trivet/base/compiler.h"
#include "trivet/base/slice.h"
#include <stdarg.h>
#include <stdint.h>

struct buf {
    char *ptr;
    size_t len;  /* bytes in use */
    size_t room; /* bytes allocated */
};

void buf_release(struct buf *b);
/* Makes room for `extra` more bytes (at least doubling) and returns where they go: ptr + len. */
char *buf_reserve(struct buf *b, size_t extra);
void buf_append(struct buf *b, struct slice s);
void buf_append_upper(struct buf *b, struct slice s); /* ASCII letters in upper case */
void buf_append_byte(struct buf *b, char byte);
void buf_append_int(struct buf *b, int64_t n); /* as decimal text */
void buf_printf(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3);
void buf_vprintf(struct buf *b, const char *format, va_list args) PRINTF_LIKE(2, 0);
/* Drops the first `count` bytes; the rest moves to the front. */
void buf_drop_front(struct buf *b, size_t count);
/* The bytes as a C string: puts a NUL after them, which `len` does not count. Valid until the next change. */
static inline const char *buf_cstr(struct buf *b) {
    *buf_reserve(b, 1) = '\0';
    return b->ptr;
}
/* A NUL-terminated copy of a slice; the caller frees it with mem_free. */
char *slice_to_cstr(struct slice s);

static inline struct slice buf_slice(const struct buf *b) { return (struct slice){ b->ptr, b->len }; }
static inline void buf_clear(struct buf *b) { b->len = 0; }

#endif
