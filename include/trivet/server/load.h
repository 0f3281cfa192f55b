/* load.h: the data set from disk: at start-up, and again on request (DEBUG RELOAD, DEBUG LOADAOF).
 * Thread: the main thread at start-up, while clients are answered LOADING; later a worker that has closed the
 * gate. */
#ifndef TRIVET_SERVER_LOAD_H
#define TRIVET_SERVER_LOAD_H

#include "trivet/base/buf.h"
#include "trivet/base/compiler.h"
#include <stdbool.h>

/* Loads the append-only file if there is to be one (aof_configure was called), else the RDB file if there is
 * one. An append-only file that is not there yet begins with the data of the RDB file: then *from_rdb is set
 * and nothing on disk has it as an append-only file. False with the reason logged: what was loaded so far is
 * not to be served. */
MUST_CHECK bool load_data(bool *from_rdb);

/* server_hooks.reload_aof and .reload_rdb: see there. */
bool load_aof_anew(struct buf *error);
bool load_rdb_anew(unsigned flags, struct buf *error);

#endif
