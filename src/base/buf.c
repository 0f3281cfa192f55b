/* buf.c: a growing run of bytes. Room at least doubles, so that adding byte after byte costs few moves. It is
 * rounded up to what the allocator would hand out anyway, so that none is wasted. */
#include "trivet/base/buf.h"
#include "trivet/base/mem.h"
#include "trivet/base/number.h"
#include <stdio.h>

void buf_release(struct buf *b) {
    mem_free(b->ptr);
    *b = (struct buf){ 0 };
}

static void buf_grow(struct buf *b, size_t extra) {
    assert(extra <= SIZE_MAX / 4 && b->len <= SIZE_MAX / 4);
    size_t wanted = b->len + extra;
    if (wanted < b->room * 2) wanted = b->room * 2;
    size_t room = mem_good_size(wanted);
    b->ptr = mem_realloc(b->ptr, room);
    b->room = room;
}

char *buf_reserve(struct buf *b, size_t extra) {
    if (UNLIKELY(b->room - b->len < extra || !b->ptr)) buf_grow(b, extra);
    return b->ptr + b->len;
}

void buf_append(struct buf *b, struct slice s) {
    if (s.len == 0) return;
    memcpy(buf_reserve(b, s.len), s.ptr, s.len);
    b->len += s.len;
}

void buf_append_byte(struct buf *b, char byte) {
    *buf_reserve(b, 1) = byte;
    b->len++;
}

void buf_append_int(struct buf *b, int64_t n) { b->len += int64_format(buf_reserve(b, INT64_TEXT_MAX), n); }

void buf_vprintf(struct buf *b, const char *format, va_list args) {
    va_list again;
    va_copy(again, args);
    char *end = buf_reserve(b, 64);
    size_t room = b->room - b->len;
    int needed = vsnprintf(end, room, format, args);
    assert(needed >= 0);
    if ((size_t)needed >= room) {
        end = buf_reserve(b, (size_t)needed + 1);
        vsnprintf(end, (size_t)needed + 1, format, again);
    }
    va_end(again);
    b->len += (size_t)needed;
}

void buf_printf(struct buf *b, const char *format, ...) {
    va_list args;
    va_start(args, format);
    buf_vprintf(b, format, args);
    va_end(args);
}

void buf_drop_front(struct buf *b, size_t count) {
    assert(count <= b->len);
    if (count == 0) return;
    b->len -= count;
    if (b->len > 0) memmove(b->ptr, b->ptr + count, b->len);
}

char *slice_to_cstr(struct slice s) {
    char *text = mem_alloc(s.len + 1);
    if (s.len > 0) memcpy(text, s.ptr, s.len);
    text[s.len] = '\0';
    return text;
}

void buf_append_upper(struct buf *out, struct slice word) {
    size_t start = out->len;
    buf_append(out, word);
    for (size_t i = start; i < out->len; i++)
        if (out->ptr[i] >= 'a' && out->ptr[i] <= 'z') out->ptr[i] = (char)(out->ptr[i] - 'a' + 'A');
}
