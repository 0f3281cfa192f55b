/* rdb_file.h: the RDB file named by `dir` and `dbfilename`, as rdb_file.c writes it. Thread: a worker with
 * the gate closed. */
#ifndef ENGINE_SAVING_RDB_FILE_H
#define ENGINE_SAVING_RDB_FILE_H

#include "job.h"

/* A file at this path in the form that the options ask for. */
struct snapshot_plan saving_plan(const char *path);

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
