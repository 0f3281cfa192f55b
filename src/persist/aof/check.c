/* check.c: runs the scan of scan.c and reports what it finds, without running commands. */
#include "trivet/persist/aof/check.h"
#include "scan.h"
#include "trivet/base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD_MAX 4096 /* bytes that are enough to know the sort of file */

/* ---- what a file is ---- */

/* The first line that is not an annotation or comment. */
static struct slice first_line(struct slice text) {
    while (text.len > 0 && text.ptr[0] == '#') {
        const char *end = memchr(text.ptr, '\n', text.len);
        if (!end) return slice_make(text.ptr, 0);
        text = slice_between(end + 1, text.ptr + text.len);
    }
    return text;
}

static enum aof_content content_of(struct slice head) {
    if (slice_starts_with(head, LIT("REDIS")) || slice_starts_with(head, LIT("VALKEY")))
        return AOF_CONTENT_RDB;
    return slice_starts_with(first_line(head), LIT("file ")) ? AOF_CONTENT_MANIFEST : AOF_CONTENT_COMMANDS;
}

enum aof_content aof_content(const char *path, uint64_t *size, struct buf *error) {
    struct stat facts;
    char head[HEAD_MAX];
    int fd = file_io.open(path, O_RDONLY, 0);
    if (fd < 0) {
        buf_printf(error, "Cannot open file %s: %s", path, file_errno_text(errno));
        return AOF_CONTENT_UNREADABLE;
    }
    ssize_t got = fstat(fd, &facts) == 0 ? pread(fd, head, sizeof head, 0) : -1;
    if (got < 0) buf_printf(error, "Cannot read file %s: %s", path, file_errno_text(errno));
    close(fd);
    if (got < 0) return AOF_CONTENT_UNREADABLE;
    *size = (uint64_t)facts.st_size;
    return content_of(slice_make(head, (size_t)got));
}

/* ---- its commands ---- */

static void conclude(struct aof_scan *s, enum aof_read_end end, struct aof_checked *out) {
    out->ok_up_to = s->clear_end;
    out->beyond = s->late_at;
    out->offset = s->out->offset;
    out->lines = s->lines;
    out->what = s->out->reason;
    if (end == AOF_READ_WHOLE) return;
    out->lines += s->record.lines;
    out->verdict = end == AOF_READ_TORN ? AOF_TORN : end == AOF_READ_BAD ? AOF_DAMAGED : AOF_UNREADABLE;
    out->at_command = end == AOF_READ_BAD && out->offset == aof_window_offset(&s->window);
    if (end != AOF_READ_TORN) return;
    buf_append(&out->what, s->out->zeros
                               ? LIT("Zeros fill the file up to its end, as a power cut leaves them")
                           : s->out->in_transaction ? LIT("Reached EOF before reading EXEC for MULTI")
                                                    : LIT("Reached EOF within a command"));
}

static void check_opened(int fd, uint64_t begin, int64_t until, struct aof_checked *out) {
    struct aof_scan *s = mem_alloc_zero(sizeof *s);
    struct aof_read read = { .size = out->size };
    enum aof_read_end end = AOF_READ_WHOLE;
    aof_scan_begin(s, fd, begin, &read);
    s->until_s = until;
    while (s->late_at == AOF_NOWHERE && aof_scan_ahead(s, &end)) continue;
    conclude(s, end, out);
    aof_scan_release(s);
    mem_free(s);
}

void aof_check(const char *path, uint64_t begin, int64_t until, struct aof_checked *out) {
    struct stat facts;
    *out = (struct aof_checked){ .beyond = AOF_CHECK_NOWHERE };
    int fd = file_io.open(path, O_RDONLY, 0);
    if (fd < 0 || fstat(fd, &facts) != 0) {
        buf_append(&out->what, slice_of(file_errno_text(errno)));
        out->verdict = AOF_UNREADABLE;
    } else {
        out->size = (uint64_t)facts.st_size;
        check_opened(fd, begin, until, out);
    }
    if (fd >= 0) close(fd);
}

/* ---- a manifest ---- */

static bool read_text(const char *path, struct buf *text, struct buf *error) {
    int fd = file_io.open(path, O_RDONLY, 0);
    bool done = fd >= 0 && file_read_all(fd, SIZE_MAX, text);
    if (!done) buf_printf(error, "Cannot read file %s: %s", path, file_errno_text(errno));
    if (fd >= 0) close(fd);
    return done;
}

static char *path_beside(const char *manifest, const char *name) {
    struct buf path = { 0 };
    const char *slash = strrchr(manifest, '/');
    struct slice folder = slash ? slice_between(manifest, slash + 1) : LIT("./");
    buf_printf(&path, "%.*s%s", SLICE_ARG(folder), name);
    (void)buf_cstr(&path);
    return path.ptr;
}

bool aof_list(const char *manifest, struct aof_listed *out, struct buf *error) {
    struct buf text = { 0 };
    struct aof_manifest m;
    bool parsed = read_text(manifest, &text, error) && aof_manifest_parse(buf_slice(&text), &m, error);
    buf_release(&text);
    if (!parsed) return false;
    *out = (struct aof_listed){ .files = mem_alloc_zero((m.count + 1) * sizeof *out->files) };
    for (size_t i = 0; i < m.count; i++) {
        if (m.files[i].type == AOF_FILE_HISTORY) continue;
        out->files[out->count].path = path_beside(manifest, m.files[i].name);
        out->files[out->count++].is_base = m.files[i].type == AOF_FILE_BASE;
    }
    aof_manifest_release(&m);
    return true;
}

void aof_listed_release(struct aof_listed *l) {
    for (size_t i = 0; i < l->count; i++) mem_free(l->files[i].path);
    mem_free(l->files);
    *l = (struct aof_listed){ 0 };
}
