/* saving_file.h: what saving.c asks of saving_file.c: the RDB file named by `dir` and `dbfilename`.
 * Thread: a worker with the gate closed; the plan's publish runs on the snapshot's thread. */
#ifndef ENGINE_SAVING_SAVING_FILE_H
#define ENGINE_SAVING_SAVING_FILE_H

#include "trivet/engine/saving/saving.h"
#include "trivet/persist/snapshot/snapshot.h"

/* A file at this path in the form that the options ask for. */
struct snapshot_plan saving_plan(const char *path);

/* Of the file in the background: its plan; saving_file_end() must follow after the snapshot's end. */
struct snapshot_plan saving_file_begin(void);
/* It must not take its place any more. */
void saving_file_supersede(void);
void saving_file_end(void);

/* The file here and now. False with the reason logged, and in `error`. */
bool saving_file_write(struct buf *error);
/* Removes snapshots that were not finished when their process was killed. */
void saving_file_remove_leftovers(void);

#endif
