/* journal_private.h: what journal.c and backlog.c share: one lock, so that the file and the replicas get
 * effects in the same order. */
#ifndef PERSIST_JOURNAL_PRIVATE_H
#define PERSIST_JOURNAL_PRIVATE_H

#include "trivet/persist/backlog.h"
#include "trivet/persist/journal_sink.h"

#define NO_DB UINT32_MAX
#define SELECT_MAX 64 /* bytes of a SELECT on the wire */
#define WIRE_MULTI "*1\r\n$5\r\nMULTI\r\n"
#define WIRE_EXEC "*1\r\n$4\r\nEXEC\r\n"
#define WRAPPING_MAX (SELECT_MAX + sizeof WIRE_MULTI WIRE_EXEC) /* what may go around a command's effects */

/* ---- journal.c ---- */

/* The journal's lock, which also guards the backlog; skipped with one worker. */
void journal_take(void) UNCHECKED;
void journal_drop(void) UNCHECKED;
/* Who reads effects from now on, besides followers. Gate closed. */
void journal_note_readers(bool file, bool replicas);
/* The stream has moved, or has another name, without bytes for the file. Under the lock. */
void journal_moved(void);

/* ---- backlog.c ---- */

/* Appends what replicas get of these effects. It is open; under the lock. */
void backlog_take(const struct effects *e, struct copied copied);
/* Will the replicas get the same bytes of these effects as the file, whose database this is? Likewise. */
bool backlog_takes_as_file(const struct effects *e, uint32_t file_db);
/* backlog_position, under the lock. */
void backlog_tell(struct stream_position *out);

#endif
