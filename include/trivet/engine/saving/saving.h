/* saving.h: when the whole data set is written to disk, and how that went: SAVE, BGSAVE, save points,
 * rewriting the AOF, on request or automatically. The writing is persist/snapshot.h and persist/aof.h.
 *
 * One snapshot at a time: a second one is refused or scheduled, as in Redis and Valkey. Thread: a worker with
 * the gate closed, unless said. */
#ifndef TRIVET_ENGINE_SAVING_SAVING_H
#define TRIVET_ENGINE_SAVING_SAVING_H

#include "trivet/base/buf.h"
#include <stdbool.h>
#include <stdint.h>

/* The state of one of the two kinds of writing. Changed with the gate closed; read with a gate held. Seconds,
 * -1: never. */
struct saving_kind {
    bool scheduled;   /* it waits in the queue until another one has ended */
    bool last_ok;     /* the last one that ended did not fail */
    int64_t began_ms; /* wall clock; 0: none is running */
    int64_t tried_ms; /* when the last one began */
    int64_t last_took_s;
    uint64_t done;            /* successfully */
    uint64_t failures;        /* since the last success */
    uint64_t last_side_bytes; /* the most that waited in memory during the last */
};
struct saving_status {
    struct saving_kind snapshot, rewrite;
    int64_t last_save_s;    /* wall clock of the last good SAVE or BGSAVE; first the start */
    uint64_t changes_saved; /* counter of changes (dirty) that the last good one covers */
};
extern struct saving_status saving_status;

void saving_init(int64_t now_ms);

/* Each puts the text of its reply: an error if it returns false. `later`: within a transaction, where nothing
 * may begin. */
bool saving_save(struct buf *text);
bool saving_begin(bool may_schedule, bool later, struct buf *text);
bool saving_cancel(struct buf *text);
bool saving_rewrite(bool later, struct buf *text);

/* Save points, automatic rewrites, what is scheduled. Worker 0, gate held but not closed. */
void saving_cron(int64_t now_ms);
/* All databases were emptied: a running snapshot still holds the old data and must not become the file on
 * disk. */
void saving_all_flushed(void);
/* All data is about to be replaced by a primary's: what is written of the old data is given up, and the AOF
 * closed. Its files stay as they are: they hold the old data until saving_data_came(). */
void saving_data_goes(void);
/* The new data is there, `keys` of them; `in_file`: the RDB file holds the same. With appendonly yes the AOF
 * begins anew with it; if that fails, saving_cron() tries again, until saving_data_goes(). */
void saving_data_came(bool in_file, uint64_t keys);
/* CONFIG SET appendonly yes: begins an AOF and, beside the running commands, its base. False with the reason
 * in `why`. */
bool saving_start_journal(struct buf *why);
/* Tells the AOF all its settings as they are now; it is off. */
void saving_configure_journal(void);
/* Tells the AOF those that may change while it is on. */
void saving_tune_journal(void);
/* An aof_write_base: writes all data to this path, before it returns. */
bool saving_write_base(void *arg, const char *path, struct buf *error);
/* The AOF is about to be closed: ends a rewrite, which would have no journal. */
void saving_journal_ends(void);
/* For the end of the process: writes the snapshot now, whatever is running. False with the reason logged. */
bool saving_save_finally(void);
/* The workers are about to end: a running job sends no more reports. */
void saving_stop(void);
/* After the workers have ended. Main thread. */
void saving_end(void);

/* The changes that no snapshot file has yet. */
uint64_t saving_changes(void);

#endif
