/* load_private.h: what the three files that load share. load.c: from disk, and the loader; load_primary.c:
 * what a primary sent; load_rdb.c: an RDB file into the keyspace. */
#ifndef SERVER_LOAD_PRIVATE_H
#define SERVER_LOAD_PRIVATE_H

#include "trivet/base/buf.h"
#include "trivet/base/compiler.h"
#include "trivet/cluster/slots/slot_set.h"
#include "trivet/engine/client/client.h"
#include "trivet/persist/rdb/file.h"
#include <stdbool.h>
#include <stdint.h>

/* The code of libraries, copied. */
struct libraries {
    struct slice *codes;
    size_t count, room;
};

/* Slots that are on their way to the file's writer. */
struct import {
    char name[RDB_IMPORT_NAME_LEN];
    struct slot_set slots;
};

struct imports {
    struct import *at;
    size_t count, room;
};

struct rdb_plan {
    bool beside;                 /* into the second set of databases (keyspace.h) */
    struct libraries *libraries; /* NULL: they are put to use as they come; else they are gathered here */
    struct imports *imports;     /* are gathered here; NULL: nobody asks */
    bool alone;                  /* the gate is closed: other workers cannot help */
    bool keep_expired;           /* commands that follow may use keys that have expired since */
    /* Keep them if the file has a position: replicas that continue from there have them, and are told when
     * they go. */
    bool keep_expired_of_history;
    bool replace; /* the file's key replaces an existing one; else a duplicate is an error */
    /* Called every few hundred keys, no lock held, the gate held before and after; false stops the load. */
    bool (*breathe)(void *arg, uint64_t loaded, uint64_t total);
    void *arg;
};

struct rdb_outcome {                 /* of a load, for the log */
    uint64_t loaded, expired, empty; /* keys */
    uint64_t end;                    /* offset behind the file's end */
    uint64_t size;                   /* of the file, with what may follow */
    bool has_no_checksum;            /* it was written without */
    struct stream_position position; /* what the file says of it */
};

/* Brings a file into the keyspace. False with the reason, offset included, in `error`: some of it is in the
 * keyspace then. Worker 0, or the one that closed the gate; the gate is held. */
MUST_CHECK bool load_rdb(const char *path, const struct rdb_plan *plan, struct rdb_outcome *out,
                         struct buf *error);

/* One load, whatever its source. */
struct loader {
    struct client client; /* runs the commands of an append-only file */
    uint64_t commands;
    const char *what;     /* for the log */
    bool gate_is_closed;  /* asked for by a command: no other worker may run meanwhile */
    int64_t next_line_ms; /* when the next progress line is due */
    int64_t next_pump_us;
    struct rdb_outcome rdb;
    bool has_failures;               /* a command was refused: the data is of no known history */
    struct stream_position position; /* of what was loaded so far */
    /* Even if commands have followed it: */
    struct stream_position noted; /* the last position; not known: there is none */
    struct buf stream;            /* the last bytes before that */
    uint32_t noted_db;            /* in which the file goes on there */
    struct buf unnoted;           /* the commands that have followed it, if all are known */
};

/* INFO tells of it from now on; the caller sets the obstacle that keeps clients from the data. */
struct loader *loader_begin(const char *what, bool gate_is_closed);
void loader_end(struct loader *l);
/* An RDB file, as part of it. The gate is held when it returns true. */
MUST_CHECK bool loader_take_file(struct loader *l, const char *path, struct rdb_plan plan, struct buf *error);
/* Gives clients a turn, if the last is long enough ago. */
void loader_rest(struct loader *l);
/* Databases and functions. Gate closed, or before clients are served. */
void empty_everything(bool later);

#endif
