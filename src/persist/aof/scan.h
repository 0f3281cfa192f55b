/* scan.h: an AOF looked at without running anything: where its records are, and up to where it is
 * known to be right.
 *
 *   aof_record.c  bytes to records, through a window that slides over the file
 *   aof_scan.c    walks ahead of whoever runs the records: frames, transactions, checksum notes
 *   aof_proof.c   what checksum notes prove about the bytes before and behind them */
#ifndef PERSIST_AOF_SCAN_H
#define PERSIST_AOF_SCAN_H

#include "aof_private.h"
#include "note.h"

#define AOF_WINDOW ((size_t)1024 * 1024)
#define AOF_NOWHERE UINT64_MAX

/* ---- aof_record.c ---- */

/* A part of a file in memory. Begins with aof_window_start on a zeroed struct. */
struct aof_window {
    int fd; /* borrowed */
    struct buf bytes;
    size_t at;     /* bytes.ptr[at] is the next byte to look at */
    uint64_t base; /* where in the file the window begins */
    uint64_t size; /* of the file, as far as is known: the window needs to be no bigger */
    bool eof;      /* it reaches to the end of the file */
};
void aof_window_start(struct aof_window *w, int fd, uint64_t offset);
/* Makes `wanted` bytes from the next one available, if the file has them, and mostly more. What lies before
 * the file's offset `keep` may go. False (errno) if it cannot be read. */
MUST_CHECK bool aof_window_fill(struct aof_window *w, size_t wanted, uint64_t keep);
void aof_window_release(struct aof_window *w);

static inline uint64_t aof_window_offset(const struct aof_window *w) { return w->base + w->at; }
static inline struct slice aof_window_rest(const struct aof_window *w) {
    if (w->at == w->bytes.len) return LIT(""); /* nothing was read yet, perhaps: no pointer to add to */
    return slice_make(w->bytes.ptr + w->at, w->bytes.len - w->at);
}

/* ---- aof_scan.c ---- */

#define AOF_BOUNDARIES 4096

/* Zero it, then aof_scan_begin. */
struct aof_scan {
    struct aof_window window;
    struct aof_record record;
    struct aof_read *out; /* borrowed; at the end the scan says in it what went wrong, and where */
    uint64_t whole;       /* the end of the last whole record or transaction */
    uint64_t noted;       /* the end of the last checksum note; where the commands begin if there is none */
    uint64_t clear;       /* up to here it may be run; never in a transaction */
    uint64_t suspect;     /* the first record behind `noted` that ends as a checksum note does, or NOWHERE */
    bool has_sums;        /* a checksum note was right */
    bool inside;          /* a transaction is open */
    uint64_t lines;       /* of the records so far */
    int64_t until;        /* seconds, the caller's to set */
    uint64_t beyond;      /* the first time note later than `until`, or its transaction; or NOWHERE */
    uint64_t boundaries[AOF_BOUNDARIES]; /* a ring of the last offsets between records or transactions */
    size_t boundary_count;
};
void aof_scan_begin(struct aof_scan *s, int fd, uint64_t offset, struct aof_read *out);
/* Goes on until `clear` is about a window further, or for a while. False at the end of what can be run, which
 * is `clear` too: *end says why it is the end. */
MUST_CHECK bool aof_scan_ahead(struct aof_scan *s, enum aof_read_end *end);
void aof_scan_release(struct aof_scan *s);

/* ---- aof_proof.c ---- */

/* The sum of a range; from the window where that has it. False (errno) if it cannot be read. */
MUST_CHECK bool aof_sum_of_range(const struct aof_window *w, uint64_t from, uint64_t to, uint64_t *sum);
/* For a record or damage that begins at `from` and is said to go on to the end of the file: true if checksum
 * notes behind it prove that it does not. */
bool aof_notes_follow(int fd, uint64_t from, uint64_t size);
/* True if something behind `from` reads as a checksum note of bytes that begin there or earlier; *begin is
 * the earliest such beginning, because all but one may be a part of somebody's value. */
bool aof_note_covers(int fd, uint64_t from, uint64_t *begin);
/* Does a record's text end as a checksum note does? Then it may have swallowed one. */
bool aof_ends_as_note(struct slice record);

#endif
