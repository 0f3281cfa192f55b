/* journal.h: the one order of writes. Each write appends its effect as RESP commands while the locks of its
 * keys are held; sinks read the bytes in that order. The AOF is the first sink (aof.h).
 *
 * A command's effects are gathered in a struct effects of its worker and appended in one piece, so that the
 * effects of a command or a transaction stay together: one effect as it is, several between MULTI and EXEC. A
 * SELECT goes before an effect whose database is not the journal's current one.
 *
 * Offsets count bytes appended since the process started. Thread: append under the locks of the keys
 * concerned, or with the gate closed. Getting them to the disk is a sink's business (aof_commit). */
#ifndef TRIVET_PERSIST_JOURNAL_H
#define TRIVET_PERSIST_JOURNAL_H

#include "trivet/base/buf.h"
#include "trivet/base/compiler.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Effects not appended yet. A zeroed struct is empty. Owner: one worker. */
struct effects {
    struct buf wire;
    size_t count;
    uint32_t first_db, last_db;
};
/* Copies the bytes. Only while journal_on. */
void effects_add(struct effects *e, uint32_t db, const struct slice *argv, size_t argc);
void effects_release(struct effects *e);

/* True if there is a sink: otherwise nobody needs to build effects. Read by workers at any time; changed
 * with the gate closed. */
extern bool journal_on;

/* Appends and empties `e`; returns the journal's offset after it. If it is empty, only returns the present
 * offset. */
uint64_t journal_append(struct effects *e);
uint64_t journal_offset(void);

#endif
