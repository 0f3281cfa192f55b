/* snapshot.h: all entries of one instant in a row of bytes, written beside the running workers, without
 * fork. Where the bytes go is the matter of a sink (sink.h): into a file, or to replicas.
 *
 * snapshot_begin() flips the epoch (keyspace/walk.h): that is the instant. A thread then walks over shard
 * after shard and writes what is unsaved. A command that is about to change or remove an unsaved entry
 * first puts its image (its record in the file) into a buffer that the thread takes along. A big
 * collection is frozen instead (types/freeze.h) and handed over piece by piece; of a big string only a
 * reference is kept. So each entry is written once, as it was at the instant, and a command's extra work
 * is bounded:
 *
 *   a small value            its image, once
 *   hash, set, sorted set    the elements of the bucket it changes
 *   list                     16 bytes a node once; then the node it changes
 *   big string               nothing to overwrite it; to change it in place, one copy of its bytes
 *   stream                   the node it changes; once, some 40 bytes for each pending entry
 *
 * One snapshot at a time: BGSAVE, the base of an AOF, a replica's first sync. SAVE writes the same file
 * with the gate closed. */
#ifndef TRIVET_PERSIST_SNAPSHOT_SNAPSHOT_H
#define TRIVET_PERSIST_SNAPSHOT_SNAPSHOT_H

#include "trivet/base/buf.h"
#include "trivet/base/compiler.h"
#include "trivet/persist/rdb/file.h"
#include "trivet/persist/snapshot/sink.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum snapshot_end { SNAPSHOT_SAVED, SNAPSHOT_FAILED, SNAPSHOT_CANCELLED };

enum snapshot_contents {
    SNAPSHOT_EVERYTHING,
    SNAPSHOT_FUNCTIONS, /* no keys */
    SNAPSHOT_NOTHING,   /* head and end only */
};

struct snapshot_plan {
    struct snapshot_sink *sink; /* stays until the snapshot is closed */
    enum snapshot_contents contents;
    bool for_files;     /* leaves out the databases that files do not hold (keyspace/database.h) */
    bool as_commands;   /* an AOF's base without an RDB preamble */
    int version;        /* of the RDB format; 0: 11, or 80 if hash fields expire */
    bool compress;      /* strings, by LZF */
    bool checksum;      /* at the end of an RDB file */
    bool is_aof_base;   /* says so in the head */
    bool tells_imports; /* which slots arrive, if the format knows them: then version 0 is 80 */
    /* Commands never wait for room, however slow the sink is: images then take what memory they need. */
    bool no_pressure;
    struct stream_position position; /* if known, the head of an RDB file tells it */
    int64_t key_delay_us; /* microseconds to wait for each key; -n: 1 us for every n keys. For tests */
    int64_t now_ms;
    /* The last thing the snapshot's thread does; `why` if it failed. After it, a worker must call
     * snapshot_close(). */
    void (*ended)(void *arg, enum snapshot_end how, struct slice why);
    void *arg;
};

/* The instant is now: of everything. Gate closed; no other snapshot is open. False with the reason in
 * `error` if the system has no thread for it: then nothing has begun, and the sink is dropped. */
MUST_CHECK bool snapshot_begin(const struct snapshot_plan *plan, struct buf *error);
/* A snapshot is open: between begin and close. Thread: a worker with its gate held. */
bool snapshot_is_open(void);
/* The snapshot is given up; `ended` comes soon, when all entries are marked as saved. An end that is under
 * way already may still succeed. Thread: a worker with its gate held. */
void snapshot_cancel(void);
/* After `ended`. Gate closed. */
void snapshot_close(void);
/* At the end of the process, after all workers have ended: stops the thread, if one runs, and drops
 * the sink. */
void snapshot_abandon(void);

/* SAVE: writes the same at once. `ended` is not called. Gate closed; another snapshot may be open. */
MUST_CHECK bool snapshot_write_now(const struct snapshot_plan *plan, struct buf *error);

/* ---- how it goes; any thread ---- */

struct snapshot_progress {
    bool open;
    int version; /* of the RDB format; of the last one if none is open */
    uint64_t keys_total, keys_done;
    uint64_t bytes_written;
    uint64_t side_bytes, side_peak; /* images and references that wait for the thread */
};
void snapshot_progress(struct snapshot_progress *out);

/* If commands leave images faster than the disk takes them, a worker waits here a little before it runs a
 * write, so that images do not fill the memory. Thread: a worker, no shard locked. */
extern atomic_bool snapshot_is_pressed;
void snapshot_wait_for_room(void);

#endif
