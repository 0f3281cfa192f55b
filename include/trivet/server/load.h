/* load.h: the data set from disk: at start-up, and again on request (DEBUG RELOAD, DEBUG LOADAOF).
 * Thread: the main thread at start-up, while clients are answered LOADING; later a worker that has closed the
 * gate. */
#ifndef TRIVET_SERVER_LOAD_H
#define TRIVET_SERVER_LOAD_H

#include "trivet/base/buf.h"
#include "trivet/base/compiler.h"
#include <stdbool.h>

/* Loads the append-only file if it is turned on (aof_configure was called), else the RDB file if there is
 * one. A new append-only file begins with the data of the RDB file: then *from_rdb is set, and no append-only
 * file on disk has that data yet. False with the reason logged: do not serve what was loaded so far. */
MUST_CHECK bool load_data(bool *from_rdb);

/* server_hooks.reload_aof and .reload_rdb: see there. */
bool load_aof_anew(struct buf *error);
bool load_rdb_anew(unsigned flags, struct buf *error);

#endif
