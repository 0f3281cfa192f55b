/* note.h: the AOF's annotations: lines that begin with '#' between two commands. Valkey and Redis
 * skip them.
 *
 *   #SUM:<bytes>:<16 hex digits>       the XXH3 sum (64 bits, seed 0) of so many bytes right before the line
 *   #TS:<seconds since 1970>           the commands after it were written in this second or later
 *   #POS:<id>:<offset>:<db>:<bytes>    where the replication stream was behind the commands before it
 *
 * A sum covers only bytes before it in the same file, so appending needs no knowledge of the older content:
 * not after a restart, not after a tail was cut off, not after another server has appended.
 *
 * A position stands right before a sum, which vouches for it. It holds until a command follows. The id is
 * left out if it is that of the position before; the first one of a file has it. The database is -1 if the
 * stream selects one next. So many bytes right before the line are the last ones of the stream. */
#ifndef PERSIST_AOF_NOTE_H
#define PERSIST_AOF_NOTE_H

#include "trivet/base/buf.h"
#include "trivet/base/slice.h"
#include "trivet/persist/position.h"
#include <stdbool.h>
#include <stdint.h>

#define NOTE_SUM_PREFIX "#SUM:"
#define NOTE_SUM_MAX 64 /* bytes of the longest sum line, with its line end */

enum aof_note_kind {
    NOTE_OTHER,    /* somebody else's */
    NOTE_SUM,      /* `bytes` and `sum` */
    NOTE_TIME,     /* `seconds` */
    NOTE_POSITION, /* `position`, whose id may be empty, and `bytes` */
    NOTE_BROKEN,   /* begins as a sum or a time, but is none */
};
struct aof_note {
    enum aof_note_kind kind;
    uint64_t bytes, sum;
    int64_t seconds;
    struct stream_position position;
};

/* Appends the sum of all bytes of the batch, which is not empty. */
void aof_note_add_sum(struct buf *batch);
/* Puts the time in front of the batch, which has none yet. */
void aof_note_add_time(struct buf *batch, int64_t seconds);
/* Does so with the wall clock's time if timestamps are on and this second has none yet, or the batch is the
 * first of its file. Thread: whoever holds the lock of the file that is written. */
void aof_note_stamp(struct buf *batch, bool first_of_file);
/* Appends a position, which is known; `in_stream`: see struct journal_piece. */
void aof_note_add_position(struct buf *batch, const struct stream_position *position, bool with_id,
                           size_t in_stream);
/* Are sums written? */
bool aof_notes_have_sums(void);
/* Are positions written? Not while files leave out databases: a place in the stream would promise them. */
bool aof_notes_have_positions(void);
/* `line` with its end. */
struct aof_note aof_note_read(struct slice line);

uint64_t aof_sum(struct slice bytes);

#endif
