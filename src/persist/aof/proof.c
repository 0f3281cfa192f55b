/* proof.c: uses checksum notes to judge bytes that do not parse.
 *
 * One bit that flips in a length makes a record swallow what follows it: other records, notes, perhaps all up
 * to the end of the file. The damage then looks like a tail that was cut in the middle of a write. But the
 * swallowed notes are still there as text.
 *
 * Such text may also be part of a value. So it proves something only in two cases: if the bytes before it
 * have the sum that it states, or if the file ends with it, because a torn write would end there only by a
 * rare chance. */
#include "scan.h"
#include "trivet/base/hashing.h"
#include "trivet/base/mem.h"
#include <errno.h>
#include <unistd.h>

#define BLOCK ((size_t)256 * 1024)
#define SUM_LINE_MIN (sizeof NOTE_SUM_PREFIX - 1 + 1 + 1 + 16 + 2) /* "#SUM:1:<16>\r\n" */

/* ---- sums ---- */

static bool sum_from_file(int fd, uint64_t from, uint64_t to, uint64_t *sum) {
    XXH3_state_t state;
    char *block = mem_alloc(BLOCK);
    XXH3_64bits_reset(&state);
    while (from < to) {
        size_t len = to - from < BLOCK ? (size_t)(to - from) : BLOCK;
        ssize_t got = pread(fd, block, len, (off_t)from);
        if (got < 0 && errno == EINTR) continue;
        if (got == 0) errno = EIO; /* the file was cut while we read it */
        if (got <= 0) break;
        XXH3_64bits_update(&state, block, (size_t)got);
        from += (uint64_t)got;
    }
    mem_free(block);
    *sum = XXH3_64bits_digest(&state);
    return from == to;
}

bool aof_sum_of_range(const struct aof_window *w, uint64_t from, uint64_t to, uint64_t *sum) {
    assert(from <= to);
    if (from < w->base || to > w->base + w->bytes.len) return sum_from_file(w->fd, from, to, sum);
    *sum = aof_sum(slice_make(w->bytes.ptr + (from - w->base), (size_t)(to - from)));
    return true;
}

/* ---- notes that stand where none should ---- */

/* Text that reads as a note. */
struct found {
    uint64_t at, end;
    struct aof_note note;
};

/* Moves to the next "#SUM:" in the window. If there is none, moves close enough to the end to miss none. */
static bool skip_to_prefix(struct aof_window *w) {
    struct slice rest = aof_window_rest(w);
    size_t prefix = sizeof NOTE_SUM_PREFIX - 1;
    const char *hit = rest.len < prefix ? NULL : memmem(rest.ptr, rest.len, NOTE_SUM_PREFIX, prefix);
    if (hit)
        w->at += (size_t)(hit - rest.ptr);
    else if (rest.len >= prefix)
        w->at += rest.len - (prefix - 1);
    return hit != NULL;
}

/* Reads the note at the window's front: a line with its end. */
static bool read_found(struct aof_window *w, struct found *out) {
    struct slice rest = aof_window_rest(w);
    const char *end = memchr(rest.ptr, '\n', rest.len < NOTE_SUM_MAX ? rest.len : NOTE_SUM_MAX);
    if (!end) return false;
    out->note = aof_note_read(slice_between(rest.ptr, end + 1));
    out->at = aof_window_offset(w);
    out->end = out->at + (uint64_t)(end + 1 - rest.ptr);
    return out->note.kind == NOTE_SUM && out->note.bytes <= out->at;
}

/* Finds the next one. False if there is none. False also if the file cannot be read: that proves nothing. */
static bool find_note(struct aof_window *w, struct found *out) {
    for (;;) {
        bool hit = skip_to_prefix(w);
        if (!w->eof && (!hit || aof_window_rest(w).len < NOTE_SUM_MAX)) {
            if (!aof_window_fill(w, NOTE_SUM_MAX, aof_window_offset(w))) return false;
            continue;
        }
        if (!hit) return false;
        bool found = read_found(w, out);
        w->at++;
        if (found) return true;
    }
}

bool aof_note_covers(int fd, uint64_t from, uint64_t *begin) {
    struct aof_window w = { 0 };
    struct found f;
    bool covers = false;
    aof_window_start(&w, fd, from);
    *begin = from;
    while (find_note(&w, &f)) {
        uint64_t its_begin = f.at - f.note.bytes;
        covers = covers || its_begin <= from;
        if (its_begin < *begin) *begin = its_begin;
    }
    aof_window_release(&w);
    return covers;
}

bool aof_notes_follow(int fd, uint64_t from, uint64_t size) {
    struct aof_window w = { 0 };
    struct found f;
    bool proved = false;
    /* A hostile value can hold many texts that look like notes of many bytes, so the work for them is
     * limited. */
    uint64_t budget = 4 * (size - from);
    aof_window_start(&w, fd, from);
    while (!proved && find_note(&w, &f)) {
        uint64_t sum, begin = f.at - f.note.bytes;
        if (begin <= from) {
            proved = f.end == size;
        } else if (f.note.bytes <= budget) {
            budget -= f.note.bytes;
            proved = aof_sum_of_range(&w, begin, f.at, &sum) && sum == f.note.sum;
        }
    }
    aof_window_release(&w);
    return proved;
}

bool aof_ends_as_note(struct slice record) {
    if (record.len < SUM_LINE_MIN || record.ptr[record.len - 2 - 16 - 1] != ':') return false;
    size_t most = record.len < NOTE_SUM_MAX ? record.len : NOTE_SUM_MAX;
    const char *end = record.ptr + record.len;
    const char *mark = memrchr(end - most, '#', most);
    return mark && aof_note_read(slice_between(mark, end)).kind == NOTE_SUM;
}
