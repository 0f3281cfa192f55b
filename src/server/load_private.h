/* load_private.h: what load.c uses of load_rdb.c. */
#ifndef SERVER_LOAD_PRIVATE_H
#define SERVER_LOAD_PRIVATE_H

#include "trivet/base/buf.h"
#include "trivet/base/compiler.h"
#include <stdbool.h>
#include <stdint.h>

struct rdb_plan {
    bool alone;        /* the gate is closed: other workers cannot help */
    bool keep_expired; /* commands that follow may use keys that have expired since */
    bool replace;      /* the file's key replaces an existing one; else a duplicate is an error */
    /* Called every few hundred keys, no lock held, the gate held before and after; false stops the load. */
    bool (*breathe)(void *arg, uint64_t loaded, uint64_t total);
    void *arg;
};

struct rdb_outcome {
    uint64_t loaded, expired, empty; /* keys */
    uint64_t end;                    /* offset behind the file's end */
    uint64_t size;                   /* of the file, with what may follow */
    bool has_no_checksum;            /* it was written without */
};

/* Brings a file into the keyspace. False with the reason, offset included, in `error`: some of it is in the
 * keyspace then. Worker 0, or the one that closed the gate; the gate is held. */
MUST_CHECK bool load_rdb(const char *path, const struct rdb_plan *plan, struct rdb_outcome *out,
                         struct buf *error);

#endif
