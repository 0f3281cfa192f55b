/* rdb_file.h: the RDB file named by `dir` and `dbfilename`, as rdb_file.c writes it. Thread: a worker with
 * the gate closed. */
#ifndef ENGINE_SAVING_RDB_FILE_H
#define ENGINE_SAVING_RDB_FILE_H

#include "job.h"

/* A file at this path in the form that the options ask for. */
struct snapshot_plan saving_plan(const char *path);

/* Writes the file here and now. False with the reason logged, and in `error`. As with other servers a failure
 * is the caller's business only: it is background saving whose failure has writes refused. */
bool rdb_file_write(struct buf *error);
/* A file that is being written in the background must not take its place any more: it holds older data than
 * what the caller is about to write, or than there is. */
void rdb_file_supersede(void);
/* Lets go of the paths of a file that is not written to its end: at the end of the process. */
void rdb_file_release(void);
/* Removes snapshots that were not finished when their process was killed. */
void rdb_file_remove_leftovers(void);

#endif
