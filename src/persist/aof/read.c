/* read.c: one append-only file, from its bytes to running commands.
 *
 * Two windows slide over the file. The scan's goes ahead and says up to where all is right (scan.c). The
 * runner's follows up to there and runs the commands. So when a command runs, its frame, the end of its
 * transaction and its checksum have been checked.
 *
 * MULTI and EXEC themselves are not run: nobody else is there to see the state in between.
 *
 * A position is told to the caller when its sum, which the scan has checked, stands right behind it. The
 * bytes since the last one are kept for that, if they are not too many.
 *
 * The file may begin as an RDB file; the caller's rdb() loads that part and says where it ends. */
#include "scan.h"
#include "trivet/base/log.h"
#include "trivet/base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#define WORDS_LOGGED 2   /* of a command that failed */
#define ERRORS_LOGGED 32 /* of a file, one by one */
#define SINCE_MAX ((size_t)64 * 1024 * 1024)

struct reader {
    struct aof_scan scan;
    struct aof_window window;
    struct aof_record record;
    const struct aof_load *how;
    const char *path;
    uint64_t before, total;
    struct aof_read *out;
    struct aof_note position;  /* the last note, if it was a position: its sum is still to come */
    char id[REPLID_CHARS + 1]; /* of the positions in this file; "": none yet */
    struct buf since;          /* the bytes of commands since the last position that had its sum */
    bool since_is_cut;         /* the latest only: there were too many */
};

static void report(const struct reader *r) {
    if (r->how->progress) r->how->progress(r->how->arg, r->before + aof_window_offset(&r->window), r->total);
}

static enum aof_read_end failed(struct aof_read *out, const char *what) {
    buf_printf(&out->reason, "%s: %s", what, file_errno_text(errno));
    return AOF_READ_FAILED;
}

/* ---- running ---- */

/* A word of a command in a form that is safe for the log. */
static void describe(struct buf *out, struct slice name) {
    if (name.len > 64) name.len = 64;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        buf_append_byte(out, c >= ' ' && c <= '~' ? c : '?');
    }
}

/* What the scan found in the later bytes no longer matters. */
static struct buf *new_reason(struct reader *r) {
    buf_clear(&r->out->reason);
    return &r->out->reason;
}

/* "command 'HINCRBY h ...' failed: ERR hash value is not an integer": name and key, no values. */
static void describe_failure(const struct reader *r, struct slice error, struct buf *out) {
    const struct aof_record *record = &r->record;
    buf_append(out, LIT("command '"));
    for (size_t i = 0; i < record->argc && i < WORDS_LOGGED; i++) {
        if (i > 0) buf_append_byte(out, ' ');
        describe(out, record->argv[i]);
    }
    buf_printf(out, "%s' failed: %.*s", record->argc > WORDS_LOGGED ? " ..." : "", SLICE_ARG(error));
}

/* An error reply is no reason to give up all data: the server that wrote the command may have got the same
 * error and gone on. Other servers load such files too. */
static void note_error(struct reader *r, struct slice error) {
    if (++r->out->errors > ERRORS_LOGGED) return;
    struct buf text = { 0 };
    describe_failure(r, error, &text);
    LOG_WARNING("AOF file %s, offset %" PRIu64 ": %.*s. Loading goes on", r->path,
                aof_window_offset(&r->window), SLICE_ARG(buf_slice(&text)));
    buf_release(&text);
}

static bool run(struct reader *r) {
    struct buf error = { 0 };
    bool taken = r->how->run(r->how->arg, r->record.argv, r->record.argc, &error);
    if (taken) {
        r->out->commands++;
        if (error.len > 0) note_error(r, buf_slice(&error));
    } else {
        r->out->offset = aof_window_offset(&r->window);
        describe_failure(r, buf_slice(&error), new_reason(r));
    }
    buf_release(&error);
    return taken;
}

/* ---- positions ---- */

static void keep_bytes(struct reader *r, struct slice bytes) {
    r->position.kind = NOTE_OTHER;
    if (!r->id[0]) return;
    if (r->since.len + bytes.len > SINCE_MAX) {
        buf_clear(&r->since);
        r->since_is_cut = true;
    }
    buf_append(&r->since, bytes);
}

static void tell_position(struct reader *r, const struct aof_note *note) {
    struct stream_position p = note->position;
    struct slice since = buf_slice(&r->since);
    if (p.id[0]) memcpy(r->id, p.id, sizeof r->id);
    memcpy(p.id, r->id, sizeof p.id);
    if (note->bytes > 0 && note->bytes <= since.len)
        since = slice_from(since, since.len - (size_t)note->bytes);
    else
        since.len = 0;
    if (r->id[0]) r->how->position(r->how->arg, &p, since);
    buf_clear(&r->since);
    r->since_is_cut = false;
}

static void tell_unnoted(const struct reader *r) {
    if (r->since.len > 0 && !r->since_is_cut) r->how->unnoted(r->how->arg, buf_slice(&r->since));
}

static void take_note(struct reader *r, struct slice line) {
    if (!r->how->position) return;
    struct aof_note note = aof_note_read(line);
    bool is_sure = note.kind == NOTE_SUM && r->position.kind == NOTE_POSITION;
    if (is_sure) tell_position(r, &r->position);
    r->position = note;
}

static bool is_frame_of_transaction(const struct aof_record *record) {
    return record->argc == 1 && (slice_equal_nocase(record->argv[0], LIT("MULTI")) ||
                                 slice_equal_nocase(record->argv[0], LIT("EXEC")));
}

/* Runs the commands before `limit`, which the scan has cleared. WHOLE: all of them ran. */
static enum aof_read_end run_up_to(struct reader *r, uint64_t limit) {
    struct aof_window *w = &r->window;
    while (aof_window_offset(w) < limit) {
        enum aof_parse got = aof_parse_record(&r->record, aof_window_rest(w));
        if (got == AOF_MORE && !w->eof) {
            report(r);
            if (!aof_window_fill(w, r->record.need, aof_window_offset(w))) {
                buf_clear(&r->out->reason);
                return failed(r->out, "cannot read");
            }
            continue;
        }
        if (got == AOF_MORE || got == AOF_BAD) {
            buf_append(new_reason(r), LIT("somebody else changed the file while it was read"));
            return AOF_READ_FAILED;
        }
        struct slice bytes = slice_make(aof_window_rest(w).ptr, r->record.used);
        if (got == AOF_NOTE)
            take_note(r, bytes);
        else if (!is_frame_of_transaction(&r->record) && !run(r))
            return AOF_READ_REFUSED;
        else
            keep_bytes(r, bytes);
        w->at += r->record.used;
    }
    r->out->good = limit;
    return AOF_READ_WHOLE;
}

static enum aof_read_end read_records(struct reader *r, uint64_t begin) {
    enum aof_read_end end = AOF_READ_WHOLE;
    aof_scan_begin(&r->scan, r->window.fd, begin, r->out);
    aof_window_start(&r->window, r->window.fd, begin);
    r->out->good = begin;
    report(r);
    for (bool goes_on = true; goes_on;) {
        goes_on = aof_scan_ahead(&r->scan, &end);
        if (!goes_on && end == AOF_READ_FAILED) return end;
        enum aof_read_end ran = run_up_to(r, r->scan.clear_end);
        if (ran != AOF_READ_WHOLE) return ran;
        report(r);
    }
    tell_unnoted(r);
    return end;
}

/* ---- a file ---- */

static enum aof_read_end read_rdb(struct reader *r) {
    uint64_t end = 0;
    struct buf error = { 0 };
    if (!r->how->rdb) return AOF_READ_RDB;
    bool loaded = r->how->rdb(r->how->arg, r->path, &end, &error);
    if (!loaded)
        buf_printf(&r->out->reason, "its RDB part was not loaded: %.*s", SLICE_ARG(buf_slice(&error)));
    buf_release(&error);
    if (!loaded) return AOF_READ_REFUSED;
    assert(end > 0 && end <= r->out->size);
    return read_records(r, end);
}

static enum aof_read_end read_opened(struct reader *r) {
    struct stat facts;
    if (fstat(r->window.fd, &facts) != 0) return failed(r->out, "cannot look at");
    r->out->size = (uint64_t)facts.st_size;
    /* Only a hint to read ahead; a failure does not matter. */
    (void)posix_fadvise(r->window.fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    if (!aof_window_fill(&r->window, 0, 0)) return failed(r->out, "cannot read");
    struct slice start = aof_window_rest(&r->window);
    bool is_rdb = slice_starts_with(start, LIT("REDIS")) || slice_starts_with(start, LIT("VALKEY"));
    return is_rdb ? read_rdb(r) : read_records(r, 0);
}

enum aof_read_end aof_read_file(const char *path, const struct aof_load *how, uint64_t before, uint64_t total,
                                struct aof_read *out) {
    *out = (struct aof_read){ 0 };
    int fd = file_io.open(path, O_RDONLY, 0);
    if (fd < 0) return failed(out, "cannot open");
    struct reader *r = mem_alloc_zero(sizeof *r);
    r->how = how;
    r->path = path;
    r->before = before;
    r->total = total;
    r->out = out;
    aof_window_start(&r->window, fd, 0);
    enum aof_read_end end = read_opened(r);
    report(r);
    close(fd);
    aof_scan_release(&r->scan);
    aof_window_release(&r->window);
    aof_record_release(&r->record);
    buf_release(&r->since);
    mem_free(r);
    return end;
}
