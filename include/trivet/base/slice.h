/* slice.h: a borrowed run of bytes: a pointer and a length, never freed through this.
 *
 * Keys, values and arguments are slices; they may hold any byte, NUL included, and are not NUL-terminated. A
 * function that returns a slice says how long its bytes stay valid. */
#ifndef TRIVET_BASE_SLICE_H
#define TRIVET_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

struct slice {
    const char *ptr;
    size_t len;
};

/* A literal as a slice, without its final NUL; LIT_INIT is the form for static initialisers. */
#define LIT_INIT(text) \
    { (text), sizeof(text) - 1 }
#define LIT(text) ((struct slice)LIT_INIT(text))

static inline struct slice slice_of(const char *text) { return (struct slice){ text, strlen(text) }; }

static inline struct slice slice_make(const void *ptr, size_t len) {
    return (struct slice){ (const char *)ptr, len };
}

static inline struct slice slice_between(const char *begin, const char *end) {
    return (struct slice){ begin, (size_t)(end - begin) };
}

/* What is left after the first `count` bytes; empty if there are no more. */
static inline struct slice slice_from(struct slice s, size_t count) {
    return count < s.len ? slice_make(s.ptr + count, s.len - count) : slice_make(s.ptr + s.len, 0);
}
static inline bool slice_equal(struct slice a, struct slice b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* Like slice_equal, but ASCII letters match in either case: for command and option names. */
static inline bool slice_equal_nocase(struct slice a, struct slice b) {
    return a.len == b.len && (a.len == 0 || strncasecmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool slice_starts_with(struct slice s, struct slice prefix) {
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

/* Orders by bytes, then by length, as memcmp does: <0, 0, >0. */
static inline int slice_compare(struct slice a, struct slice b) {
    size_t shorter = a.len < b.len ? a.len : b.len;
    int order = shorter ? memcmp(a.ptr, b.ptr, shorter) : 0;
    if (order != 0) return order;
    return a.len < b.len ? -1 : a.len > b.len;
}

/* For printf's "%.*s": SLICE_ARG(s) gives its two arguments. */
#define SLICE_ARG(s) (int)(s).len, (s).ptr

#endif
