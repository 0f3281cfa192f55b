/* aof_read.c: one append-only file, read through a window that slides over it.
 *
 * A record is a RESP array of bulk strings, strictly: that is all that Valkey, Redis and Trivet ever write,
 * so anything else is damage and is named with its offset. It is parsed where it lies in the window; when it
 * is not all there, the window grows to hold it and the record is parsed again from its start (a record that
 * needed n reads has doubled the window n times, so its bytes are looked at a few times, not n times). An
 * announced length beyond the end of the file is a torn record at once, so the window never grows beyond the
 * file.
 *
 * A transaction is read to its EXEC before its first command runs: cut anywhere, it leaves nothing behind.
 * MULTI and EXEC themselves are not run; nobody else is there to see the state in between.
 *
 * Lines that begin with '#' between records are annotations and are skipped. */
#include "aof_private.h"
#include "trivet/base/mem.h"
#include "trivet/base/number.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define WINDOW ((size_t)1024 * 1024)
#define NOTE_MAX ((size_t)64 * 1024) /* longest annotation line */
#define LENGTH_DIGITS_MAX 18         /* more cannot be a length, and would overflow */

/* ---- one record ---- */

void aof_record_release(struct aof_record *r) {
    mem_free(r->argv);
    *r = (struct aof_record){ 0 };
}

static enum aof_parse bad(struct aof_record *r, size_t at, const char *why) {
    r->bad = at;
    r->why = why;
    return AOF_BAD;
}

static enum aof_parse more(struct aof_record *r, size_t need) {
    r->need = need;
    return AOF_MORE;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* Reads "\r\n" at *at, and moves it there behind. */
static enum aof_parse read_line_end(struct aof_record *r, struct slice in, size_t *at) {
    for (size_t i = 0; i < 2; i++) {
        if (*at + i >= in.len) return more(r, *at + 2);
        if (in.ptr[*at + i] != "\r\n"[i]) return bad(r, *at + i, "the end of a line should be here");
    }
    *at += 2;
    return AOF_RECORD;
}

/* Reads "<mark><digits>\r\n" at *at. Changes *at and *length only when it is all there. */
static enum aof_parse read_length(struct aof_record *r, struct slice in, size_t *at, char mark,
                                  size_t *length) {
    if (*at >= in.len) return more(r, *at + 4);
    if (in.ptr[*at] != mark) {
        return bad(r, *at,
                   mark == '*' ? "a command ('*') should begin here" : "an argument ('$') should begin here");
    }
    size_t end = *at + 1;
    while (end < in.len && is_digit(in.ptr[end]) && end - *at <= LENGTH_DIGITS_MAX) end++;
    if (end == in.len) return more(r, end + 2);
    struct slice digits = slice_between(in.ptr + *at + 1, in.ptr + end);
    uint64_t n;
    if (!uint64_parse(digits, &n)) return bad(r, digits.len == 0 ? end : *at + 1, "a length should be here");
    enum aof_parse line_end = read_line_end(r, in, &end);
    if (line_end != AOF_RECORD) return line_end;
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
    if (in.len >= NOTE_MAX) return bad(r, 0, "an annotation ('#') without end begins here");
    /* A power cut fills with zeros, and no annotation has one. */
    const char *zero = memchr(in.ptr, '\0', in.len);
    if (zero) return bad(r, (size_t)(zero - in.ptr), "an annotation has a zero byte here");
    return more(r, in.len + 1);
}

static void push(struct aof_record *r, struct slice arg) {
    if (r->argc == r->room) {
        r->room = r->room ? r->room * 2 : 16;
        r->argv = mem_realloc(r->argv, r->room * sizeof *r->argv);
    }
    r->argv[r->argc++] = arg;
}

enum aof_parse aof_parse_record(struct aof_record *r, struct slice bytes) {
    r->argc = 0;
    if (bytes.len > 0 && bytes.ptr[0] == '#') return read_note(r, bytes);
    size_t at = 0, count;
    enum aof_parse got = read_length(r, bytes, &at, '*', &count);
    if (got != AOF_RECORD) return got;
    if (count == 0 || count > INT32_MAX) return bad(r, 1, "a number of arguments should be here");
    while (r->argc < count) {
        struct slice arg;
        got = read_bulk(r, bytes, &at, &arg);
        if (got != AOF_RECORD) return got;
        push(r, arg);
    }
    r->used = at;
    return AOF_RECORD;
}

/* ---- the window ---- */

struct reader {
    int fd;
    struct buf window;
    size_t at;    /* window.ptr[at] is the first byte that has not been run */
    size_t ahead; /* of those, the bytes of the transaction that is open, read but not run; 0: none is open */
    uint64_t base; /* where in the file the window begins */
    bool eof;
    struct aof_record record;
    const struct aof_load *how;
    uint64_t before, total;
    struct aof_read *out;
};

static uint64_t consumed(const struct reader *r) { return r->base + r->at; }

/* What was read and not run yet, behind an open transaction. */
static struct slice unread(const struct reader *r) {
    size_t from = r->at + r->ahead;
    return slice_make(r->window.ptr + from, r->window.len - from);
}

static void report(const struct reader *r) {
    if (r->how->progress) r->how->progress(r->how->arg, r->before + consumed(r), r->total);
}

/* Drops what was run, and the memory that a big record needed. */
static void slide(struct reader *r) {
    buf_drop_front(&r->window, r->at);
    r->base += r->at;
    r->at = 0;
    if (r->window.room <= 4 * WINDOW || r->window.len > WINDOW) return;
    r->window.room = 2 * WINDOW;
    r->window.ptr = mem_realloc(r->window.ptr, r->window.room);
}

/* Makes `wanted` bytes from the first that was not run available, if the file has them, and mostly more. */
static bool fill(struct reader *r, size_t wanted) {
    slide(r);
    report(r);
    size_t goal = wanted > WINDOW ? wanted : WINDOW;
    if (goal < 2 * r->window.len) goal = 2 * r->window.len;
    buf_reserve(&r->window, goal - r->window.len);
    while (!r->eof && r->window.len < goal) {
        ssize_t got = read(r->fd, r->window.ptr + r->window.len, goal - r->window.len);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return false;
        r->eof = got == 0;
        r->window.len += (size_t)got;
    }
    return true;
}

/* ---- a file ---- */

/* A command's name as it may stand in the log. */
static void describe(struct buf *out, struct slice name) {
    if (name.len > 64) name.len = 64;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        buf_append_byte(out, c >= ' ' && c <= '~' ? c : '?');
    }
}

static bool run(struct reader *r, uint64_t offset) {
    struct buf error = { 0 };
    bool taken = r->how->run(r->how->arg, r->record.argv, r->record.argc, &error);
    if (taken) {
        r->out->commands++;
    } else {
        r->out->offset = offset;
        buf_append(&r->out->reason, LIT("command '"));
        describe(&r->out->reason, r->record.argv[0]);
        buf_append(&r->out->reason, LIT("' failed: "));
        buf_append(&r->out->reason, buf_slice(&error));
    }
    buf_release(&error);
    return taken;
}

/* The record is MULTI or EXEC. */
static bool is_word(const struct aof_record *record, struct slice word) {
    return record->argc == 1 && slice_equal_nocase(record->argv[0], word);
}

/* Runs the commands of a whole transaction of `len` bytes. */
static bool run_transaction(struct reader *r, size_t len) {
    for (size_t done = 0; done < len; done += r->record.used) {
        size_t from = r->at + done;
        enum aof_parse got = aof_parse_record(&r->record, slice_make(r->window.ptr + from, len - done));
        assert(got == AOF_RECORD || got == AOF_NOTE); /* it was read once already */
        if (got == AOF_NOTE || is_word(&r->record, LIT("MULTI")) || is_word(&r->record, LIT("EXEC")))
            continue;
        if (!run(r, r->base + from)) return false;
    }
    return true;
}

static void consume(struct reader *r, size_t len) {
    r->at += len;
    r->ahead = 0;
    r->out->good = consumed(r);
}

static enum aof_read_end misplaced(struct reader *r, const char *why) {
    r->out->offset = consumed(r) + r->ahead;
    buf_append(&r->out->reason, slice_of(why));
    return AOF_READ_BAD;
}

/* A whole record lies at the front of what is unread. WHOLE: go on. */
static enum aof_read_end take_record(struct reader *r) {
    bool inside = r->ahead > 0;
    size_t len = r->ahead + r->record.used;
    if (is_word(&r->record, LIT("MULTI"))) {
        if (inside) return misplaced(r, "MULTI inside a transaction");
        r->ahead = len;
        return AOF_READ_WHOLE;
    }
    if (is_word(&r->record, LIT("EXEC"))) {
        if (!inside) return misplaced(r, "EXEC without MULTI");
        if (!run_transaction(r, len)) return AOF_READ_REFUSED;
        consume(r, len);
        return AOF_READ_WHOLE;
    }
    if (inside) {
        r->ahead = len;
        return AOF_READ_WHOLE;
    }
    if (!run(r, consumed(r))) return AOF_READ_REFUSED;
    consume(r, len);
    return AOF_READ_WHOLE;
}

static enum aof_read_end torn(struct reader *r) {
    r->out->offset = consumed(r);
    r->out->in_transaction = r->ahead > 0;
    return AOF_READ_TORN;
}

static enum aof_read_end failed(struct aof_read *out, const char *what) {
    buf_printf(&out->reason, "%s: %s", what, aof_errno_text(errno));
    return AOF_READ_FAILED;
}

/* Where the zeros begin with which the file ends; its size if it does not end so. */
static bool find_zeros(struct reader *r, uint64_t *begin) {
    *begin = r->out->size;
    char block[4096];
    while (*begin > 0) {
        size_t len = *begin < sizeof block ? (size_t)*begin : sizeof block;
        ssize_t got = pread(r->fd, block, len, (off_t)(*begin - len));
        if (got != (ssize_t)len) return false;
        while (len > 0 && block[len - 1] == '\0') len--, --*begin;
        if (len > 0) break;
    }
    return true;
}

/* Something else than a record. If zeros fill the file from there to the end, a power cut took what had been
 * there, and it is a torn tail like others. */
static enum aof_read_end damaged(struct reader *r) {
    uint64_t zeros, where = consumed(r) + r->ahead + r->record.bad;
    if (!find_zeros(r, &zeros)) return failed(r->out, "cannot read");
    if (where < r->out->size && where >= zeros) {
        r->out->zeros = true;
        return torn(r);
    }
    r->out->offset = where;
    buf_append(&r->out->reason, slice_of(r->record.why));
    return AOF_READ_BAD;
}

/* The window ends within a record, or between two. Sets *end and returns true when reading ends here. */
static bool needs_more(struct reader *r, enum aof_read_end *end) {
    size_t left = unread(r).len;
    uint64_t start = consumed(r) + r->ahead;
    if (r->eof && left == 0 && r->ahead == 0) {
        *end = AOF_READ_WHOLE;
        return true;
    }
    if (r->eof || (left > 0 && r->record.need > r->out->size - start)) {
        *end = torn(r);
        return true;
    }
    if (fill(r, r->ahead + r->record.need)) return false;
    *end = failed(r->out, "cannot read");
    return true;
}

static enum aof_read_end read_records(struct reader *r) {
    enum aof_read_end end = AOF_READ_WHOLE;
    while (end == AOF_READ_WHOLE) {
        switch (aof_parse_record(&r->record, unread(r))) {
        case AOF_RECORD: end = take_record(r); break;
        case AOF_NOTE:
            if (r->ahead > 0)
                r->ahead += r->record.used;
            else
                consume(r, r->record.used);
            break;
        case AOF_MORE:
            if (needs_more(r, &end)) return end;
            break;
        case AOF_BAD: return damaged(r);
        }
    }
    return end;
}

static bool begins_as_rdb(const struct reader *r) {
    struct slice start = unread(r);
    return slice_starts_with(start, LIT("REDIS")) || slice_starts_with(start, LIT("VALKEY"));
}

enum aof_read_end aof_read_file(const char *path, const struct aof_load *how, uint64_t before, uint64_t total,
                                struct aof_read *out) {
    *out = (struct aof_read){ 0 };
    struct reader r = { .how = how, .before = before, .total = total, .out = out };
    r.fd = open(path, O_RDONLY | O_CLOEXEC);
    if (r.fd < 0) return failed(out, "cannot open");
    struct stat facts;
    enum aof_read_end end;
    if (fstat(r.fd, &facts) != 0) {
        end = failed(out, "cannot look at");
    } else {
        out->size = (uint64_t)facts.st_size;
        /* Only a hint to read ahead; nothing is wrong without it. */
        (void)posix_fadvise(r.fd, 0, 0, POSIX_FADV_SEQUENTIAL);
        if (!fill(&r, 0))
            end = failed(out, "cannot read");
        else if (begins_as_rdb(&r))
            end = AOF_READ_RDB;
        else
            end = read_records(&r);
        report(&r);
    }
    close(r.fd);
    buf_release(&r.window);
    aof_record_release(&r.record);
    return end;
}
