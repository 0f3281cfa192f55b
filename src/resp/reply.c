/* reply.c: values in RESP2 or RESP3.
 *
 * Nearly all replies are small. So the common writers ask once for room for everything they may write, then
 * write forward without further checks. reply_raw spreads a value that does not fit one chunk over several. A
 * big blob is queued by reference. */
#include "chunk.h"
#include "trivet/base/buf.h"
#include "trivet/base/number.h"

#define SMALL_TEXT 1024 /* up to here a text is written in one piece */

/* ---- Raw bytes ---- */

void reply_raw(struct reply *r, struct slice wire) {
    if (r->muted) return;
    const struct chunk *last = chunk_last(r);
    size_t fits = last ? last->room - last->len : 0;
    if (wire.len > fits && fits > 0 && wire.len > SMALL_TEXT) {
        char *out = reply_space(r, fits);
        memcpy(out, wire.ptr, fits);
        reply_wrote(r, out + fits);
        wire = slice_make(wire.ptr + fits, wire.len - fits);
    }
    if (wire.len == 0) return;
    char *out = reply_space(r, wire.len);
    memcpy(out, wire.ptr, wire.len);
    reply_wrote(r, out + wire.len);
}

static void raw_blob(struct reply *r, struct blob *b, size_t share_from) {
    if (r->muted) return;
    if (b->len < share_from)
        reply_raw(r, blob_slice(b));
    else
        chunk_add_shared(r, blob_ref(b));
}

void reply_raw_blob(struct reply *r, struct blob *shared) { raw_blob(r, shared, REPLY_SHARE); }

/* In a reply that has nothing yet a reference is smaller than the chunk that a copy would need. Where more
 * waits, short pieces are joined: each reference is an element of the writev. */
void reply_raw_shared(struct reply *r, struct blob *shared) {
    raw_blob(r, shared, reply_is_empty(r) ? REPLY_SHARE_FIRST : REPLY_SHARE_MANY);
}

/* ---- Length lines ---- */

static inline char *put_line_end(char *out) {
    memcpy(out, "\r\n", 2);
    return out + 2;
}

/* Most lengths have one or two digits; the rest is formatted in general. */
static inline char *put_length(char *out, char mark, uint64_t n) {
    *out++ = mark;
    if (LIKELY(n < 10)) {
        *out++ = (char)('0' + n);
    } else if (n < 100) {
        *out++ = (char)('0' + n / 10);
        *out++ = (char)('0' + n % 10);
    } else {
        out += uint64_format(out, n);
    }
    return put_line_end(out);
}

static inline void write_length(struct reply *r, char mark, uint64_t n) {
    char *out = reply_space(r, LENGTH_LINE_MAX);
    if (out) reply_wrote(r, put_length(out, mark, n));
}

/* ---- Strings and numbers ---- */

void reply_ok(struct reply *r) {
    char *out = reply_space(r, 5);
    if (!out) return;
    memcpy(out, "+OK\r\n", 5);
    reply_wrote(r, out + 5);
}

void reply_simple(struct reply *r, struct slice text) {
    char *out = reply_space(r, text.len + 3);
    if (!out) return;
    *out++ = '+';
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        *out++ = c == '\r' || c == '\n' ? ' ' : c;
    }
    reply_wrote(r, put_line_end(out));
}

void reply_int(struct reply *r, int64_t n) {
    char *out = reply_space(r, LENGTH_LINE_MAX);
    if (!out) return;
    if (n >= 0) {
        out = put_length(out, ':', (uint64_t)n);
    } else {
        *out++ = ':';
        out += int64_format(out, n);
        out = put_line_end(out);
    }
    reply_wrote(r, out);
}

void reply_bulk(struct reply *r, struct slice text) {
    if (UNLIKELY(text.len > SMALL_TEXT)) {
        write_length(r, '$', text.len);
        reply_raw(r, text);
        reply_raw(r, LIT("\r\n"));
        return;
    }
    char *out = reply_space(r, text.len + LENGTH_LINE_MAX + 2);
    if (!out) return;
    out = put_length(out, '$', text.len);
    if (text.len > 0) memcpy(out, text.ptr, text.len);
    reply_wrote(r, put_line_end(out + text.len));
}

void reply_bulk_blob(struct reply *r, struct blob *shared) {
    if (shared->len < REPLY_SHARE) {
        reply_bulk(r, blob_slice(shared));
        return;
    }
    write_length(r, '$', shared->len);
    reply_raw_blob(r, shared);
    reply_raw(r, LIT("\r\n"));
}

void reply_bulk_int(struct reply *r, int64_t n) {
    char digits[INT64_TEXT_MAX];
    reply_bulk(r, slice_make(digits, int64_format(digits, n)));
}

void reply_bulk_printf(struct reply *r, const char *format, ...) {
    struct buf text = { 0 };
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    reply_bulk(r, buf_slice(&text));
    buf_release(&text);
}

void reply_null(struct reply *r) { reply_raw(r, r->protocol == 2 ? LIT("$-1\r\n") : LIT("_\r\n")); }

void reply_null_array(struct reply *r) { reply_raw(r, r->protocol == 2 ? LIT("*-1\r\n") : LIT("_\r\n")); }

/* "<mark><text>\r\n", for RESP3's numbers. */
static void write_line(struct reply *r, char mark, struct slice text) {
    char *out = reply_space(r, text.len + 3);
    if (!out) return;
    *out++ = mark;
    memcpy(out, text.ptr, text.len);
    reply_wrote(r, put_line_end(out + text.len));
}

void reply_double(struct reply *r, double n) {
    char digits[DOUBLE_TEXT_MAX];
    struct slice text = slice_make(digits, double_format(digits, n));
    if (r->protocol == 2)
        reply_bulk(r, text);
    else
        write_line(r, ',', text);
}

void reply_bool(struct reply *r, bool yes) {
    if (r->protocol == 2)
        reply_int(r, yes);
    else
        reply_raw(r, yes ? LIT("#t\r\n") : LIT("#f\r\n"));
}

void reply_big_number(struct reply *r, struct slice digits) {
    if (r->protocol == 2)
        reply_bulk(r, digits);
    else
        write_line(r, '(', digits);
}

void reply_verbatim(struct reply *r, const char format[3], struct slice text) {
    if (r->protocol == 2) {
        reply_bulk(r, text);
        return;
    }
    write_length(r, '=', text.len + 4);
    reply_raw(r, slice_make(format, 3));
    reply_raw(r, LIT(":"));
    reply_raw(r, text);
    reply_raw(r, LIT("\r\n"));
}

/* ---- Collections ---- */

void reply_array(struct reply *r, size_t count) { write_length(r, '*', count); }

void reply_map(struct reply *r, size_t pairs) {
    if (r->protocol == 2)
        write_length(r, '*', pairs * 2);
    else
        write_length(r, '%', pairs);
}

void reply_set(struct reply *r, size_t count) { write_length(r, r->protocol == 2 ? '*' : '~', count); }

void reply_push(struct reply *r, size_t count) { write_length(r, r->protocol == 2 ? '*' : '>', count); }

void reply_attribute(struct reply *r, size_t pairs) {
    if (r->protocol != 2) write_length(r, '|', pairs);
}

struct chunk *reply_later(struct reply *r) {
    return r->muted ? NULL : chunk_add_open(r);
}

static void close_later(struct reply *r, struct chunk *at, char mark, size_t count) {
    if (!at) return;
    char line[LENGTH_LINE_MAX];
    chunk_close(r, at, slice_between(line, put_length(line, mark, count)));
}

void reply_later_array(struct reply *r, struct chunk *at, size_t count) { close_later(r, at, '*', count); }

void reply_later_map(struct reply *r, struct chunk *at, size_t pairs) {
    if (r->protocol == 2)
        close_later(r, at, '*', pairs * 2);
    else
        close_later(r, at, '%', pairs);
}

void reply_later_set(struct reply *r, struct chunk *at, size_t count) {
    close_later(r, at, r->protocol == 2 ? '*' : '~', count);
}
