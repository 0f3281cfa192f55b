/* rdb_file.h: the RDB file named by `dir` and `dbfilename`. SAVE and BGSAVE write it, and so does the kind
 * of a job elsewhere whose `begin` and `ended` call rdb_file_begin() and rdb_file_ended(): replicas are
 * sent the file. Thread: a worker with the gate closed. */
#ifndef TRIVET_ENGINE_SAVING_RDB_FILE_H
#define TRIVET_ENGINE_SAVING_RDB_FILE_H

#include "trivet/engine/saving/job.h"

/* BGSAVE's. */
extern const struct job_kind job_rdb_file;

/* Is it being written, by a job of whatever kind? */
bool rdb_file_is_being_written(void);
/* Gives the file's running job up, whatever its kind. */
void rdb_file_cancel(void);

/* What follows is for kinds of jobs that write the file. Their status is that of saving_status.snapshot, so
 * that INFO, save points and stop-writes-on-bgsave-error see them as BGSAVE. */

/* For `begin`: the job's plan, all but its sink, is there. `stays_open`: see rdb_file_take(). False with
 * the reason logged, and in `why`. */
MUST_CHECK bool rdb_file_begin(struct save_job *job, bool stays_open, struct buf *why);
/* In `ended`, before rdb_file_ended(): the file that was written, open to be read. It is that very file,
 * even if a newer one has its name by now. The caller's to close; -1 if it was not written, or was not to
 * stay open. */
MUST_CHECK int rdb_file_take(enum snapshot_end how);
/* For `ended`. */
void rdb_file_ended(struct save_job *job, enum snapshot_end how);

/* Writes the file here and now. False with the reason logged, and in `error`. As in Redis and Valkey, a
 * failure is only reported to the caller: only a failed background save makes the server refuse writes. */
bool rdb_file_write(struct buf *error);
/* Keeps a file that is being written in the background from taking its place: its data is older than what the
 * caller is about to write, or than what the server holds now. */
void rdb_file_supersede(void);
/* Frees the paths of a file that was not finished: at the end of the process. */
void rdb_file_release(void);
/* Removes snapshots that were not finished when their process was killed. */
void rdb_file_remove_leftovers(void);

#endif
