/* scan.h: reading an append-only file without running anything: where its records are, and up to where it is
 * known to be good.
 *
 *   record.c  splits bytes into records, through a window that slides over the file
 *   scan.c    walks ahead of the runner: checks frames, transactions and checksum notes
 *   proof.c   tells what checksum notes prove about the bytes before and behind them */
#ifndef PERSIST_AOF_SCAN_H
#define PERSIST_AOF_SCAN_H

#include "aof_private.h"
#include "note.h"

#define AOF_WINDOW ((size_t)1024 * 1024)
#define AOF_NOWHERE UINT64_MAX

/* ---- record.c ---- */

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
    if (w->at == w->bytes.len)
        return LIT(""); /* bytes.ptr is NULL before the first read: nothing to add to */
    return slice_make(w->bytes.ptr + w->at, w->bytes.len - w->at);
}

/* ---- scan.c ---- */

#define AOF_BOUNDARIES 4096

/* The walk ahead. Its offsets, in a file whose second write lost its note:
 *
 *     record record #SUM | record MULTI record EXEC record MULTI rec...
 *                        ^                                ^         ^
 *                        noted_end                        whole_end where the window stands
 *                        clear_end (the runner may go so far)
 *
 * A right note moves noted_end and clear_end up to its own end. The end of the file moves clear_end up to
 * whole_end. Zero the struct, then call aof_scan_begin. */
struct aof_scan {
    struct aof_window window;
    struct aof_record record;
    struct aof_read *out; /* borrowed; at the end the scan writes there what went wrong, and where */
    uint64_t whole_end;   /* of the last whole record, or of the transaction it stands in */
    uint64_t noted_end;   /* of the last checksum note; without one, where the commands begin */
    uint64_t clear_end;   /* all before it may run; never inside a transaction */
    uint64_t suspect_at;  /* the first record after noted_end whose text ends like a note; or NOWHERE */
    bool has_sums;        /* a checksum note was right */
    bool inside;          /* a transaction is open */
    uint64_t lines;       /* of the records so far */
    int64_t until_s;      /* the caller sets it: a time note later than this second ends the search */
    uint64_t late_at;     /* where that note stands, or the transaction it is in; or NOWHERE */
    uint64_t boundaries[AOF_BOUNDARIES]; /* a ring: the last offsets between two records or transactions */
    size_t boundary_count;
};
void aof_scan_begin(struct aof_scan *s, int fd, uint64_t offset, struct aof_read *out);
/* Moves clear_end about a window further, or returns early to let the caller report progress. False when
 * nothing after clear_end can run; *end says why the scan ends there. */
MUST_CHECK bool aof_scan_ahead(struct aof_scan *s, enum aof_read_end *end);
void aof_scan_release(struct aof_scan *s);

/* ---- proof.c ---- */

/* The sum of a range of the file, taken from the window if that holds it. False (errno) if it cannot be
 * read. */
MUST_CHECK bool aof_sum_of_range(const struct aof_window *w, uint64_t from, uint64_t to, uint64_t *sum);
/* A record, or damage, begins at `from` and seems to reach to the end of the file. True if checksum notes
 * after `from` prove that it does not. */
bool aof_notes_follow(int fd, uint64_t from, uint64_t size);
/* True if text after `from` reads as a checksum note of bytes that begin at `from` or earlier. *begin is the
 * earliest such beginning: all of these texts but one may be part of a value. */
bool aof_note_covers(int fd, uint64_t from, uint64_t *begin);
/* Does a record's text end like a checksum note? Then the record may have swallowed one. */
bool aof_ends_as_note(struct slice record);

#endif
