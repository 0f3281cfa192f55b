/* reader.c: see reader.h. Each function reads one thing at its own copy of the position; reply_read stores
 * the position once the item is complete. */
#include "trivet/resp/reader.h"
#include "trivet/base/number.h"

#define TEXT_MAX INT64_C(0x7fffffffff)  /* bytes of a bulk text: more is nonsense */
#define COUNT_MAX INT64_C(0x7fffffffff) /* items of an aggregate */

/* The line at *at without its end. */
static enum reply_read read_line(struct slice bytes, size_t *at, struct slice *line) {
    const char *from = bytes.ptr + *at;
    const char *end = memchr(from, '\n', bytes.len - *at);
    if (!end) return REPLY_MORE;
    if (end == from || end[-1] != '\r') return REPLY_BROKEN;
    *line = slice_between(from, end - 1);
    *at += (size_t)(end + 1 - from);
    return REPLY_READY;
}

static bool read_count(struct slice line, int64_t least, int64_t most, int64_t *out) {
    return int64_parse(line, out) && *out >= least && *out <= most;
}

/* `len` bytes and the line end after them. */
static enum reply_read read_text(struct slice bytes, size_t *at, size_t len, struct slice *text) {
    if (bytes.len - *at < len + 2) return REPLY_MORE;
    const char *from = bytes.ptr + *at;
    if (from[len] != '\r' || from[len + 1] != '\n') return REPLY_BROKEN;
    *text = slice_make(from, len);
    *at += len + 2;
    return REPLY_READY;
}

/* $ = ! : a length, then bytes. */
static enum reply_read read_long(struct slice bytes, size_t *at, char mark, struct slice line,
                                 struct reply_item *out) {
    int64_t len;
    if (!read_count(line, mark == '$' ? -1 : 0, TEXT_MAX, &len)) return REPLY_BROKEN;
    if (len < 0) {
        out->kind = REPLY_NULL;
        return REPLY_READY;
    }
    enum reply_read result = read_text(bytes, at, (size_t)len, &out->text);
    if (result != REPLY_READY || mark != '=') {
        out->kind = mark == '$' ? REPLY_BULK : REPLY_ERROR;
        return result;
    }
    if (out->text.len < 4 || out->text.ptr[3] != ':') return REPLY_BROKEN;
    out->kind = REPLY_VERBATIM;
    memcpy(out->format, out->text.ptr, sizeof out->format);
    out->text = slice_make(out->text.ptr + 4, out->text.len - 4);
    return REPLY_READY;
}

static enum reply_read read_aggregate(enum reply_kind kind, struct slice line, struct reply_item *out) {
    out->kind = kind;
    if (!read_count(line, kind == REPLY_ARRAY ? -1 : 0, COUNT_MAX, &out->number)) return REPLY_BROKEN;
    if (out->number >= 0) return REPLY_READY;
    out->kind = REPLY_NULL_ARRAY;
    out->number = 0;
    return REPLY_READY;
}

static enum reply_read read_number(enum reply_kind kind, struct slice line, struct reply_item *out) {
    out->kind = kind;
    out->text = line;
    if (kind == REPLY_INTEGER) return int64_parse(line, &out->number) ? REPLY_READY : REPLY_BROKEN;
    return line.len > 0 ? REPLY_READY : REPLY_BROKEN;
}

static enum reply_read read_boolean(struct slice line, struct reply_item *out) {
    out->kind = REPLY_BOOLEAN;
    out->number = slice_equal(line, LIT("t"));
    return out->number || slice_equal(line, LIT("f")) ? REPLY_READY : REPLY_BROKEN;
}

static enum reply_read read_line_item(enum reply_kind kind, struct slice line, struct reply_item *out) {
    out->kind = kind;
    out->text = line;
    return kind != REPLY_NULL || line.len == 0 ? REPLY_READY : REPLY_BROKEN;
}

static enum reply_read read_by_mark(struct slice bytes, size_t *at, char mark, struct slice line,
                                    struct reply_item *out) {
    switch (mark) {
    case '+': return read_line_item(REPLY_STATUS, line, out);
    case '-': return read_line_item(REPLY_ERROR, line, out);
    case '_': return read_line_item(REPLY_NULL, line, out);
    case ':': return read_number(REPLY_INTEGER, line, out);
    case ',': return read_number(REPLY_DOUBLE, line, out);
    case '(': return read_number(REPLY_BIG_NUMBER, line, out);
    case '#': return read_boolean(line, out);
    case '*': return read_aggregate(REPLY_ARRAY, line, out);
    case '%': return read_aggregate(REPLY_MAP, line, out);
    case '~': return read_aggregate(REPLY_SET, line, out);
    case '>': return read_aggregate(REPLY_PUSH, line, out);
    case '|': return read_aggregate(REPLY_ATTRIBUTE, line, out);
    case '$':
    case '=':
    case '!': return read_long(bytes, at, mark, line, out);
    default: return REPLY_BROKEN;
    }
}

enum reply_read reply_read(struct slice bytes, size_t *at, struct reply_item *out) {
    size_t here = *at + 1;
    struct slice line;
    struct reply_item item = { .number = 0 };
    if (*at >= bytes.len) return REPLY_MORE;
    enum reply_read result = read_line(bytes, &here, &line);
    if (result == REPLY_READY) result = read_by_mark(bytes, &here, bytes.ptr[*at], line, &item);
    if (result != REPLY_READY) return result;
    *out = item;
    *at = here;
    return REPLY_READY;
}

enum reply_read reply_skip(struct slice bytes, size_t *at) {
    size_t here = *at;
    for (uint64_t left = 1; left > 0; left--) {
        struct reply_item item;
        enum reply_read result = reply_read(bytes, &here, &item);
        if (result != REPLY_READY) return result;
        left += reply_items_after(&item);
    }
    *at = here;
    return REPLY_READY;
}
