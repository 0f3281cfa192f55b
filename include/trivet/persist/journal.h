/* journal.h: the one order of writes. Each write appends its effect as RESP commands while the locks of its
 * keys are held. There are two readers, which get the same effects in the same order: the append-only file
 * (aof.h) and the replicas (backlog.h). Each has bytes of its own, because they differ: PUBLISH is for
 * replicas only; on a replica, the file gets effects and the replicas of the replica get the primary's bytes.
 *
 * A command's effects are gathered in a struct effects of its worker and appended in one piece, so that the
 * effects of a command or a transaction stay together: one effect as it is, several between MULTI and EXEC. A
 * SELECT goes before an effect whose database is not the current one.
 *
 * The journal's offset counts bytes for the file since the process started, and steps of the stream that
 * have no bytes for the file, because the file notes them too (see journal_piece). Thread: append under the
 * locks of the keys concerned, or with the gate closed. Getting them to the disk is the file's business
 * (aof_commit).
 */
#ifndef TRIVET_PERSIST_JOURNAL_H
#define TRIVET_PERSIST_JOURNAL_H

#include "trivet/base/buf.h"
#include "trivet/base/compiler.h"
#include "trivet/base/slice.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Effects not appended yet. A zeroed struct is empty. Owner: one worker. */
struct effects {
    struct buf wire;
    struct slice borrowed; /* the only one so far, which is not in `wire` */
    struct buf apart;      /* the places in `wire` of what is for replicas only: struct effects_range */
    size_t count, apart_count;
    size_t placed;                            /* those that concern a database */
    uint32_t first_db, last_db;               /* of those that are for both */
    uint32_t stream_first_db, stream_last_db; /* of all that concern a database */
};
/* Copies the bytes. Only while effects_are_wanted. */
void effects_add(struct effects *e, uint32_t db, const struct slice *argv, size_t argc);
/* The same from the bytes of the command as they came: an array of bulk strings. They are not copied, and
 * must stay until the next effect is added, or journal_append. */
void effects_add_wire(struct effects *e, uint32_t db, struct slice wire);
/* An effect for replicas only, which concerns no database. */
void effects_add_apart(struct effects *e, const struct slice *argv, size_t argc);
/* The same in a database that files do not hold, and as effects_add_wire. */
void effects_add_unsaved(struct effects *e, uint32_t db, const struct slice *argv, size_t argc);
void effects_add_unsaved_wire(struct effects *e, uint32_t db, struct slice wire);
void effects_clear(struct effects *e);
void effects_release(struct effects *e);

/* True if the append-only file is on. Read by workers at any time; changed with the gate closed. */
extern bool journal_on;
/* True if somebody reads effects: otherwise nobody needs to build them. Changed and read likewise. */
extern bool effects_are_wanted;
/* True if somebody reads those for replicas only. */
extern bool effects_apart_are_wanted;

/* Bytes of a primary's stream, and the database in which it is after them. */
struct copied {
    struct slice bytes;
    uint32_t db;
};
/* Appends and empties `e`; returns the journal's offset after it. If it is empty, only returns the present
 * offset. `copied`: the bytes of the primary's stream that had these effects, or nothing. */
uint64_t journal_append(struct effects *e, struct copied copied);
uint64_t journal_offset(void);

#endif
