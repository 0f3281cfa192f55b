/* scan.c: walks through an append-only file ahead of the runner. Nothing runs before all checks on it are
 * done.
 *
 * A checksum note covers the bytes before it. So the scan goes on to the next note; then the records before
 * that note may run. A file of Valkey or Redis has no notes: the scan goes to the end of the file first, and
 * the file is read twice. A file with notes is read a window at a time, and the second reading finds it in
 * memory. Either way a window and the biggest record are all the memory it takes.
 *
 * Records without a note are accepted. Another server may have appended them, or a power cut may have taken
 * their note. Two rules find a record that swallowed its neighbours: a note must begin between two records
 * that the scan has seen; and once a note was seen, no record may end like a note.
 *
 * clear_end is never inside a transaction. So a file that is cut there holds no half of one. */
#include "scan.h"
#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#define PAUSE (64 * AOF_WINDOW) /* without notes: bytes after which the caller can report progress */

void aof_scan_begin(struct aof_scan *s, int fd, uint64_t offset, struct aof_read *out) {
    aof_window_start(&s->window, fd, offset);
    s->out = out;
    s->whole_end = s->noted_end = s->clear_end = offset;
    s->suspect_at = s->late_at = AOF_NOWHERE;
}

void aof_scan_release(struct aof_scan *s) {
    aof_window_release(&s->window);
    aof_record_release(&s->record);
}

/* ---- boundaries ---- */

/* Is the offset between two records or transactions after the last note? Only the last few thousand are
 * known. */
static bool known_boundary(const struct aof_scan *s, uint64_t offset) {
    if (offset <= s->noted_end) return offset == s->noted_end && s->noted_end == s->clear_end;
    size_t known = s->boundary_count < AOF_BOUNDARIES ? s->boundary_count : AOF_BOUNDARIES;
    for (size_t i = 1; i <= known; i++)
        if (s->boundaries[(s->boundary_count - i) % AOF_BOUNDARIES] == offset) return true;
    return false;
}

/* May a note cover bytes that begin there? An offset too far back to be known passes: the sum decides. */
static bool may_begin_at(const struct aof_scan *s, uint64_t offset) {
    if (offset == s->noted_end || known_boundary(s, offset)) return true;
    return offset > s->noted_end && s->boundary_count > AOF_BOUNDARIES &&
           offset < s->boundaries[s->boundary_count % AOF_BOUNDARIES];
}

/* ---- ends ---- */

static enum aof_read_end failed(struct aof_scan *s) {
    buf_printf(&s->out->reason, "cannot read: %s", file_errno_text(errno));
    return AOF_READ_FAILED;
}

static bool has_suspect(const struct aof_scan *s) { return s->has_sums && s->suspect_at != AOF_NOWHERE; }

/* All before `good` may run and be kept, unless there is a suspect record in it. */
static enum aof_read_end stop_at_damage(struct aof_scan *s, uint64_t good, uint64_t offset) {
    if (!has_suspect(s)) s->clear_end = good;
    s->out->offset = offset;
    return AOF_READ_BAD;
}

/* Something at `offset` is damaged. Returns the end of the good bytes: if a note after the damage covers it,
 * the place where that note's bytes begin. */
static uint64_t good_before(const struct aof_scan *s, uint64_t offset) {
    uint64_t begin;
    if (!aof_note_covers(s->window.fd, offset, &begin)) return s->whole_end;
    return known_boundary(s, begin) ? begin : s->clear_end;
}

static enum aof_read_end swallowed(struct aof_scan *s) {
    buf_append(&s->out->reason, LIT("the command here has a wrong length: a checksum note lies in it"));
    return stop_at_damage(s, s->clear_end, s->suspect_at);
}

static enum aof_read_end whole(struct aof_scan *s) {
    if (has_suspect(s)) return swallowed(s);
    s->clear_end = s->whole_end;
    return AOF_READ_WHOLE;
}

/* The file seems to end inside a record or a transaction. */
static enum aof_read_end torn(struct aof_scan *s) {
    if (has_suspect(s)) return swallowed(s);
    uint64_t record = aof_window_offset(&s->window);
    if (aof_notes_follow(s->window.fd, record, s->out->size)) {
        buf_append(&s->out->reason, LIT("the command here has a wrong length: it would reach beyond the end "
                                        "of the file, but checksum notes follow it"));
        return stop_at_damage(s, s->clear_end, record);
    }
    s->clear_end = s->out->offset = s->whole_end;
    s->out->in_transaction = s->inside;
    return AOF_READ_TORN;
}

/* *begin: where the zeros at the end of the file begin; its size if there are none. */
static bool find_zeros(const struct aof_scan *s, uint64_t *begin) {
    *begin = s->out->size;
    char block[4096];
    while (*begin > 0) {
        size_t len = *begin < sizeof block ? (size_t)*begin : sizeof block;
        ssize_t got = pread(s->window.fd, block, len, (off_t)(*begin - len));
        if (got != (ssize_t)len) return false;
        while (len > 0 && block[len - 1] == '\0') len--, --*begin;
        if (len > 0) break;
    }
    return true;
}

/* The bytes here are no record. If only zeros follow, a power cut took what had been there: a torn tail. Else
 * it is damage. If a later note covers it, all the bytes of that note are in doubt: any of their records may
 * have a right length and wrong bytes. */
static enum aof_read_end damaged(struct aof_scan *s) {
    uint64_t zeros, where = aof_window_offset(&s->window) + s->record.bad;
    if (!find_zeros(s, &zeros)) return failed(s);
    if (where < s->out->size && where >= zeros) {
        s->out->zeros = true;
        return torn(s);
    }
    if (has_suspect(s)) return swallowed(s);
    buf_append(&s->out->reason, slice_of(s->record.why));
    return stop_at_damage(s, good_before(s, aof_window_offset(&s->window)), where);
}

/* ---- records ---- */

static void advance(struct aof_scan *s) {
    s->window.at += s->record.used;
    if (s->inside) return;
    s->whole_end = aof_window_offset(&s->window);
    s->boundaries[s->boundary_count++ % AOF_BOUNDARIES] = s->whole_end;
}

static enum aof_read_end misplaced(struct aof_scan *s, const char *why) {
    s->record.bad = 0;
    s->record.why = why;
    return damaged(s);
}

/* The record is MULTI or EXEC. */
static bool is_word(const struct aof_record *record, struct slice word) {
    return record->argc == 1 && slice_equal_nocase(record->argv[0], word);
}

/* WHOLE: go on. */
static enum aof_read_end take_record(struct aof_scan *s) {
    bool begins = is_word(&s->record, LIT("MULTI")), ends = is_word(&s->record, LIT("EXEC"));
    if (begins && s->inside) return misplaced(s, "MULTI inside a transaction");
    if (ends && !s->inside) return misplaced(s, "EXEC without MULTI");
    struct slice text = slice_make(aof_window_rest(&s->window).ptr, s->record.used);
    if (s->suspect_at == AOF_NOWHERE && aof_ends_as_note(text)) s->suspect_at = aof_window_offset(&s->window);
    s->inside = begins || (s->inside && !ends);
    s->lines += s->record.lines;
    advance(s);
    return AOF_READ_WHOLE;
}

/* ---- notes ---- */

static enum aof_read_end check_sum(struct aof_scan *s, const struct aof_note *note) {
    uint64_t sum, at = aof_window_offset(&s->window), from = at - note->bytes;
    if (note->bytes > at || !may_begin_at(s, from)) {
        buf_printf(&s->out->reason,
                   "the checksum note here speaks of the %" PRIu64
                   " bytes before it, and no command begins where they do",
                   note->bytes);
        return stop_at_damage(s, s->clear_end, at);
    }
    if (!aof_sum_of_range(&s->window, from, at, &sum)) return failed(s);
    if (sum == note->sum) return s->suspect_at < from ? swallowed(s) : AOF_READ_WHOLE;
    buf_printf(&s->out->reason,
               "the bytes from offset %" PRIu64 " to %" PRIu64 " have the checksum %016" PRIx64
               ", but the note behind them says %016" PRIx64,
               from, at, sum, note->sum);
    return stop_at_damage(s, good_before(s, from), from);
}

static enum aof_read_end take_sum(struct aof_scan *s, const struct aof_note *note) {
    enum aof_read_end end = check_sum(s, note);
    if (end != AOF_READ_WHOLE) return end;
    s->has_sums = true;
    s->suspect_at = AOF_NOWHERE;
    advance(s);
    s->noted_end = aof_window_offset(&s->window);
    s->clear_end = s->whole_end;
    return AOF_READ_WHOLE;
}

static enum aof_read_end take_note(struct aof_scan *s) {
    struct aof_note note = aof_note_read(slice_make(aof_window_rest(&s->window).ptr, s->record.used));
    if (note.kind == NOTE_SUM) return take_sum(s, &note);
    if (note.kind == NOTE_BROKEN) return misplaced(s, "a damaged checksum or time note");
    if (note.kind == NOTE_TIME && note.seconds > s->until_s && s->late_at == AOF_NOWHERE)
        s->late_at = s->whole_end;
    advance(s);
    return AOF_READ_WHOLE;
}

/* ---- the walk ---- */

/* The window ends within a record, or between two. WHOLE with *done: that was the end of the file. */
static enum aof_read_end need_more(struct aof_scan *s, bool *done) {
    struct aof_window *w = &s->window;
    uint64_t at = aof_window_offset(w);
    size_t left = aof_window_rest(w).len;
    *done = true;
    if (w->eof && left == 0 && !s->inside) return whole(s);
    if (w->eof || (left > 0 && s->record.need > s->out->size - at)) return torn(s);
    *done = false;
    /* Keeps the bytes that the next note will cover, unless they are many: then they are read from the file
     * again. */
    uint64_t keep = at - s->noted_end <= AOF_WINDOW ? s->noted_end : at;
    return aof_window_fill(w, s->record.need, keep) ? AOF_READ_WHOLE : failed(s);
}

static enum aof_read_end step(struct aof_scan *s, bool *done) {
    switch (aof_parse_record(&s->record, aof_window_rest(&s->window))) {
    case AOF_RECORD: return take_record(s);
    case AOF_NOTE: return take_note(s);
    case AOF_MORE: return need_more(s, done);
    case AOF_BAD: return damaged(s);
    }
    return AOF_READ_FAILED; /* not reached */
}

bool aof_scan_ahead(struct aof_scan *s, enum aof_read_end *end) {
    uint64_t goal = s->clear_end + AOF_WINDOW, pause = aof_window_offset(&s->window) + PAUSE;
    bool done = false;
    while (s->clear_end < goal && aof_window_offset(&s->window) < pause) {
        *end = step(s, &done);
        if (done || *end != AOF_READ_WHOLE) return false;
    }
    return true;
}
