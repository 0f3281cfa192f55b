/* backlog.h: the replication stream: the bytes that replicas get, and the history that they belong to.
 *
 * The stream is kept once, on a tape (base/tape.h), for all replicas: the latest `repl-backlog-size` bytes,
 * and beyond that what some replica has not acknowledged (backlog_keep). On a primary the journal appends the
 * effects of commands here (journal.h). On a replica it appends the bytes that came from the primary,
 * unchanged, so that replicas of the replica get the same bytes at the same offsets.
 *
 * A history is named by an id; with an offset it names one state of the data. `before` is an older name of
 * the same history, good up to `before_until`: after a failover, replicas of the old primary ask by that. An
 * offset is the number of bytes since the history began. (On the wire PSYNC and `before_until` name the
 * first byte wanted, which is one more.)
 *
 * Thread: opening, closing, ids and offsets change with the gate closed. Appending has its lock inside. */
#ifndef TRIVET_PERSIST_BACKLOG_H
#define TRIVET_PERSIST_BACKLOG_H

#include "trivet/base/slice.h"
#include "trivet/base/tape.h"
#include "trivet/persist/journal.h"
#include "trivet/persist/position.h"

/* Read with a gate held. */
struct replication_ids {
    char now[REPLID_CHARS + 1];
    char before[REPLID_CHARS + 1]; /* all zeros: none */
    int64_t before_until;          /* the offset from which on it is not this history any more; -1: none */
};
extern struct replication_ids replication_ids;

/* A new history under a random id. */
void replication_ids_renew(void);
/* The history goes on under a new id (a random one if `id` is empty), and is known by the present one up to
 * here. */
void replication_ids_shift(struct slice id);
/* The history of somebody else, without an older name. */
void replication_ids_adopt(struct slice id);
/* 40 hex digits. */
bool replid_is_valid(struct slice id);

/* Bytes are kept from now on, at the present offset. */
void backlog_open(void);
/* Nothing is kept any more; the offset stays. No reader is open. */
void backlog_close(void);
bool backlog_is_open(void);
/* The history's present end. Any thread. */
uint64_t backlog_offset(void);
/* The bytes that the calling thread's last journal_append put into it. */
uint64_t backlog_taken(void);
/* The data is another state now, and the stream is in this database (-1: in none). What was kept goes; no
 * reader is open. */
void backlog_restart(uint64_t offset, int64_t db);

/* The server is a replica: the stream is what its primary sends, and effects of its own are not part of it.
 */
void backlog_set_copied(bool copied);
/* The next effect begins with a SELECT, because some replica cannot know the database. Nothing happens to a
 * copied stream. */
void backlog_forget_database(void);
/* The database in which the stream is, or -1: the next effect says so. */
int64_t backlog_database(void);
/* Id, offset and database of one instant; known if the stream is kept, because else the offset stands still.
 * Any worker with its gate. */
void backlog_position(struct stream_position *out);
/* The data is in this state of a history, whose older names are not known. The stream is kept from now on,
 * which it was not before, and begins with these last bytes of it. */
void backlog_resume(const struct stream_position *position, struct slice last);

/* Bytes for replicas alone: PING, GETACK. Any worker with its gate. */
void backlog_append(struct slice bytes);
/* Bytes of a copied stream that changed nothing, but for the database in which it is after them. Likewise. */
void backlog_copy(struct copied copied);

/* False if the bytes from this offset on are not kept, or not there yet. Any worker with its gate. */
MUST_CHECK bool backlog_read_from(struct tape_reader *r, uint64_t offset);
/* Bytes from `from` on are kept for replicas, but not more than `most` in all; `size` (repl-backlog-size)
 * bytes are kept in any case. */
void backlog_keep(uint64_t from, uint64_t most, uint64_t size);

struct backlog_facts {
    bool is_open;
    uint64_t first;  /* the offset before the first byte kept */
    uint64_t length; /* bytes kept */
    size_t memory;   /* with what only readers keep */
};
void backlog_facts(struct backlog_facts *out);
/* The same as `memory` above. Any thread, no lock. */
size_t backlog_memory(void);

#endif
