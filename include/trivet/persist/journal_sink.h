/* journal_sink.h: the part of the journal that only its readers use. */
#ifndef TRIVET_PERSIST_JOURNAL_SINK_H
#define TRIVET_PERSIST_JOURNAL_SINK_H

#include "trivet/persist/journal.h"
#include "trivet/persist/position.h"

/* Turns the append-only file on or off. Gate closed. */
void journal_set_on(bool on);

/* What belongs to the bytes that the file has not taken yet. */
struct journal_piece {
    uint64_t end;                    /* the journal's offset behind them */
    struct stream_position position; /* of the replication stream behind them */
    size_t in_stream;                /* so many of the last bytes are the stream's last bytes too */
};
/* Hands over those bytes: `empty` (which must be) becomes the journal's buffer and gets its bytes. There may
 * be none, if only the stream has moved. Thread: a worker; the caller keeps takers in order (the AOF does,
 * with its file lock). */
struct journal_piece journal_swap(struct buf *empty);

/* For a file that opens: drops bytes that no file took, then as journal_begin_file. */
void journal_restart(void);

/* What follows goes into another file: the next effect begins with a SELECT, and the position of the stream,
 * if it is kept, is to be noted. Thread: with the gate closed. */
void journal_begin_file(void);

/* Effects are read before they are appended, too (engine/slots/export.h): then they are built even if there
 * is neither a file nor a replica. Gate closed. */
void journal_note_followers(bool on);
/* All of them on the wire, in their order; the first that concerns a database is in e->stream_first_db, and a
 * SELECT stands before each that is in another one than the last. */
struct slice effects_bytes(const struct effects *e);
/* Takes the next command off such bytes: an array of bulk strings. `argv` (of struct slice) is filled anew.
 */
void wire_split(struct slice *rest, struct buf *argv, struct slice *wire);

/* One command as a RESP array. */
void wire_command(struct buf *out, const struct slice *argv, size_t argc);
void wire_select(struct buf *out, uint32_t db);

#endif
