/* journal_sink.h: the part of the journal that only its sinks use. */
#ifndef TRIVET_PERSIST_JOURNAL_SINK_H
#define TRIVET_PERSIST_JOURNAL_SINK_H

#include "trivet/persist/journal.h"

/* Hands over the bytes that no sink has taken yet: `empty` (which must be) becomes the journal's buffer and
 * gets its bytes. Returns the journal's offset at their end. Thread: a worker; the caller keeps takers in
 * order (the AOF does, with its file lock). */
uint64_t journal_swap(struct buf *empty);

/* For a sink that opens: drops bytes that no sink took, and forgets the current database, so that the next
 * effect begins with a SELECT. Thread: with the gate closed. */
void journal_restart(void);

/* The next effect begins with a SELECT: it goes into another file. Thread: with the gate closed. */
void journal_forget_database(void);

/* One command as a RESP array. */
void wire_command(struct buf *out, const struct slice *argv, size_t argc);

#endif
