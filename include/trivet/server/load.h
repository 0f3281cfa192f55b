/* load.h: the data set from disk: at start-up, and again on request (DEBUG RELOAD, DEBUG LOADAOF).
 * Thread: the main thread at start-up, while clients are answered LOADING; later a worker that has closed the
 * gate. */
#ifndef TRIVET_SERVER_LOAD_H
#define TRIVET_SERVER_LOAD_H

#include "trivet/base/buf.h"
#include "trivet/base/compiler.h"
#include "trivet/persist/position.h"
#include <stdbool.h>

/* What was found on disk at start-up. */
struct loaded_data {
    bool from_rdb; /* no append-only file has the data yet, though it is turned on */
    struct stream_position position;
    /* The caller's to release: */
    struct buf stream;  /* the last bytes of the replication stream before it */
    struct buf unnoted; /* commands that were never in a stream and have changed the data since */
};
/* Loads the append-only file if it is turned on (aof_configure was called), else the RDB file if there is
 * one. A new append-only file begins with the data of the RDB file. False with the reason logged: do not
 * serve what was loaded so far. */
MUST_CHECK bool load_data(struct loaded_data *out);

/* primary_hooks.load */
struct primary_load;
bool load_from_primary(struct primary_load *from, struct buf *why);

/* server_hooks.reload_aof and .reload_rdb: see there. */
bool load_aof_anew(struct buf *error);
bool load_rdb_anew(unsigned flags, struct buf *error);

/* What files hold of databases that they should not hold is from before: it goes. Gate closed. */
void forget_volatile_databases(void);

#endif
