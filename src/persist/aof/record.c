/* record.c: the bytes of an append-only file, to records.
 *
 * A record is a RESP array of bulk strings, strictly: that is all that Valkey, Redis and Trivet ever write,
 * so anything else is damage and is named with its offset. It is parsed where it lies in the window; when it
 * is not all there, the window grows to hold it and the record is parsed again from its start (a record that
 * needed n reads has doubled the window n times, so its bytes are looked at a few times, not n times).
 *
 * Lines that begin with '#' between records are annotations (note.h). */
#include "scan.h"
#include "trivet/base/grow.h"
#include "trivet/base/mem.h"
#include "trivet/base/number.h"
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOTE_MAX ((size_t)64 * 1024) /* longest annotation line */
#define LENGTH_DIGITS_MAX 18         /* digits; more would overflow and cannot be a length */
#define WINDOW_KEPT (4 * AOF_WINDOW) /* a window gives back what a big record needed beyond this */

/* ---- one record ---- */

void aof_record_release(struct aof_record *r) {
    mem_free(r->argv);
    *r = (struct aof_record){ 0 };
}

static enum aof_parse bad_record(struct aof_record *r, size_t at, const char *why) {
    r->bad = at;
    r->why = why;
    return AOF_BAD;
}

static enum aof_parse more(struct aof_record *r, size_t need) {
    r->need = need;
    return AOF_MORE;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* Reads "\r\n" at *at, and moves *at after it. */
static enum aof_parse read_line_end(struct aof_record *r, struct slice in, size_t *at) {
    for (size_t i = 0; i < 2; i++) {
        if (*at + i >= in.len) return more(r, *at + 2);
        if (in.ptr[*at + i] != "\r\n"[i]) return bad_record(r, *at + i, "the end of a line should be here");
    }
    *at += 2;
    return AOF_RECORD;
}

/* Reads "<mark><digits>\r\n" at *at. Changes *at and *length only when it is all there. */
static enum aof_parse read_length(struct aof_record *r, struct slice in, size_t *at, char mark,
                                  size_t *length) {
    if (*at >= in.len) return more(r, *at + 4);
    if (in.ptr[*at] != mark) {
        return bad_record(r, *at,
                          mark == '*' ? "a command ('*') should begin here"
                                      : "an argument ('$') should begin here");
    }
    size_t end = *at + 1;
    while (end < in.len && is_digit(in.ptr[end]) && end - *at <= LENGTH_DIGITS_MAX) end++;
    if (end == in.len) return more(r, end + 2);
    struct slice digits = slice_between(in.ptr + *at + 1, in.ptr + end);
    uint64_t n;
    if (!uint64_parse(digits, &n))
        return bad_record(r, digits.len == 0 ? end : *at + 1, "a length should be here");
    enum aof_parse line_end = read_line_end(r, in, &end);
    if (line_end != AOF_RECORD) return line_end;
    r->lines++;
    *at = end;
    *length = (size_t)n;
    return AOF_RECORD;
}

static enum aof_parse read_bulk(struct aof_record *r, struct slice in, size_t *at, struct slice *out) {
    size_t begin = *at, length;
    enum aof_parse got = read_length(r, in, &begin, '$', &length);
    if (got != AOF_RECORD) return got;
    if (length > in.len - begin) return more(r, begin + length + 2);
    size_t end = begin + length;
    got = read_line_end(r, in, &end);
    if (got != AOF_RECORD) return got;
    r->lines++;
    *out = slice_make(in.ptr + begin, length);
    *at = end;
    return AOF_RECORD;
}

static enum aof_parse read_note(struct aof_record *r, struct slice in) {
    const char *end = memchr(in.ptr, '\n', in.len < NOTE_MAX ? in.len : NOTE_MAX);
    if (end) {
        r->used = (size_t)(end + 1 - in.ptr);
        return AOF_NOTE;
    }
    /* A power cut leaves zeros, and no annotation contains one. */
    const char *zero = memchr(in.ptr, '\0', in.len < NOTE_MAX ? in.len : NOTE_MAX);
    if (zero) return bad_record(r, (size_t)(zero - in.ptr), "an annotation has a zero byte here");
    if (in.len >= NOTE_MAX) return bad_record(r, 0, "an annotation ('#') without end begins here");
    return more(r, in.len + 1);
}

static void push_word(struct aof_record *r, struct slice arg) {
    GROW(r->argv, r->argc, &r->room, 16);
    r->argv[r->argc++] = arg;
}

enum aof_parse aof_parse_record(struct aof_record *r, struct slice bytes) {
    r->argc = r->lines = 0;
    if (bytes.len > 0 && bytes.ptr[0] == '#') return read_note(r, bytes);
    size_t at = 0, count;
    enum aof_parse got = read_length(r, bytes, &at, '*', &count);
    if (got != AOF_RECORD) return got;
    if (count == 0 || count > INT32_MAX) return bad_record(r, 1, "a number of arguments should be here");
    while (r->argc < count) {
        struct slice arg;
        got = read_bulk(r, bytes, &at, &arg);
        if (got != AOF_RECORD) return got;
        push_word(r, arg);
    }
    r->used = at;
    return AOF_RECORD;
}

/* ---- the window ---- */

void aof_window_start(struct aof_window *w, int fd, uint64_t offset) {
    struct stat facts;
    buf_release(&w->bytes);
    *w = (struct aof_window){ .fd = fd, .base = offset };
    w->size = fstat(fd, &facts) == 0 ? (uint64_t)facts.st_size : UINT64_MAX;
}

/* Drops the bytes before `keep`, and the memory that a big record needed. */
static void slide(struct aof_window *w, uint64_t keep) {
    size_t drop = keep <= w->base ? 0 : (size_t)(keep - w->base);
    if (drop > w->at) drop = w->at;
    buf_drop_front(&w->bytes, drop);
    w->base += drop;
    w->at -= drop;
    if (w->bytes.room <= 2 * WINDOW_KEPT || w->bytes.len > WINDOW_KEPT / 2) return;
    w->bytes.room = WINDOW_KEPT;
    w->bytes.ptr = mem_realloc(w->bytes.ptr, w->bytes.room);
}

bool aof_window_fill(struct aof_window *w, size_t wanted, uint64_t keep) {
    slide(w, keep);
    size_t goal = w->at + (wanted > AOF_WINDOW ? wanted : AOF_WINDOW);
    if (goal < 2 * w->bytes.len) goal = 2 * w->bytes.len;
    /* One byte more than expected: only a read of 0 bytes shows the end of the file. */
    if (goal > w->size - w->base && w->size >= w->base + w->bytes.len) goal = (size_t)(w->size - w->base) + 1;
    buf_reserve(&w->bytes, goal - w->bytes.len);
    while (!w->eof && w->bytes.len < goal) {
        ssize_t got =
            pread(w->fd, w->bytes.ptr + w->bytes.len, goal - w->bytes.len, (off_t)(w->base + w->bytes.len));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return false;
        w->eof = got == 0;
        w->bytes.len += (size_t)got;
    }
    return true;
}

void aof_window_release(struct aof_window *w) { buf_release(&w->bytes); }
