/* aof.h: the journal's first sink: the append-only file, as Valkey 7 and later lay it out.
 *
 * A folder `appenddirname` in `dir` holds a manifest, at most one base file and numbered incremental files
 * ("appendonly.aof.manifest", "appendonly.aof.1.base.rdb", "appendonly.aof.1.incr.aof"); new effects go to
 * the last incremental. Source of the format: Valkey's public description of multi-part AOF.
 *
 * The promise: a reply leaves only after aof_commit() returned COMMITTED for the journal offset that its
 * command reached. Then write(2) has covered it (and fsync, if appendfsync is always), so SIGKILL loses
 * nothing that was acknowledged. The first worker that commits writes, and syncs, for all that wait.
 *
 * When the disk fails, the bytes stay in memory, the file is cut back to the end of the last whole
 * append, aof_is_failing() is true (writes are refused with MISCONF) and each later commit tries again. */
#ifndef TRIVET_PERSIST_AOF_AOF_H
#define TRIVET_PERSIST_AOF_AOF_H

#include "trivet/base/buf.h"
#include "trivet/base/compiler.h"
#include "trivet/base/slice.h"
#include "trivet/persist/position.h"
#include <stdbool.h>
#include <stdint.h>

enum fsync_policy { FSYNC_NO, FSYNC_EVERYSEC, FSYNC_ALWAYS };

struct aof_settings {     /* copied by aof_configure */
    const char *dir;      /* working folder */
    const char *dirname;  /* appenddirname */
    const char *filename; /* appendfilename */
    enum fsync_policy fsync;
    bool load_truncated;
    uint64_t corrupt_tail_max; /* aof-load-corrupt-tail-max-size, bytes */
    bool timestamps;           /* aof-timestamp-enabled */
    bool checksums;            /* aof-checksums: each write ends with its sum */
};
void aof_configure(const struct aof_settings *settings);
void aof_set_fsync(enum fsync_policy policy); /* any time, any thread */
void aof_set_timestamps(bool on);             /* likewise */
void aof_set_positions(bool on);              /* are notes of the stream's place true? */
void aof_set_checksums(bool on);              /* likewise */
void aof_set_write_delay(int64_t us);         /* likewise: waits before each write. For tests */

/* ---- at start-up ---- */

/* Runs one command of the file; false (with the reason in `error`) stops the load. True with a text in
 * `error`: the command answered with that error, which is logged and counted, and the load goes on. MULTI and
 * EXEC are never passed: a transaction is read to its end, then its commands run one by one. The first file
 * begins in database 0; a SELECT 0 precedes each further file. */
typedef bool aof_run(void *arg, const struct slice *argv, size_t argc, struct buf *error);
struct aof_load {
    aof_run *run;
    void (*progress)(void *arg, uint64_t loaded, uint64_t total); /* every megabyte or so, bytes */
    /* Loads the RDB part at the beginning of the file, and returns where it ends: commands may follow. False
     * with the reason in `error`. NULL: such files are refused. */
    bool (*rdb)(void *arg, const char *path, uint64_t *end, struct buf *error);
    /* The commands so far brought the data to this position of the replication stream, which ended with the
     * bytes in `stream`: as many as the file has between this call and the last. NULL: nobody asks. */
    void (*position)(void *arg, const struct stream_position *position, struct slice stream);
    /* At the end of a file: the commands behind its last position, as they stand there; not called if there
     * are none, or too many to keep. NULL if `position` is. */
    void (*unnoted)(void *arg, struct slice commands);
    void *arg;
};
enum aof_loaded { AOF_LOADED, AOF_EMPTY, AOF_REFUSED };
/* Reads base and incrementals as the manifest says (or upgrades a single old-style file named appendfilename:
 * it becomes the base). EMPTY: there is nothing on disk. REFUSED: the reason was logged, with file and
 * offset, and nothing on disk was changed. A tail cut in the middle of a record or a transaction is cut off
 * (one log line says how many bytes) if load_truncated allows it, else REFUSED. The same holds for a tail of
 * zeros (left by a power cut), if it is not longer than corrupt_tail_max or that is 0, and for other damage
 * that begins within corrupt_tail_max of the end. Only the last file that is not empty may have a bad tail.
 * In a file with checksum notes, a command runs only after the note that follows it was verified. */
enum aof_loaded aof_load(const struct aof_load *how);

/* Opens the last incremental for appending (making folder and manifest as needed) and starts the sync thread.
 * False with the reason in `error`. */
MUST_CHECK bool aof_open(struct buf *error);
/* Flushes, fsyncs and closes; journal_on becomes false. False if the last bytes could not be written: they
 * are dropped, and no reply waits for them any more. To refuse a shutdown instead, ask aof_sync_now() first.
 * The gate is closed. */
bool aof_close(void);
/* Begins an AOF with the present data: `write_base` writes all of it to the path and syncs it. Older files
 * become history. Called before the server serves clients. False with the reason in `error`. */
typedef bool aof_write_base(void *arg, const char *path, struct buf *error);
MUST_CHECK bool aof_start_anew(aof_write_base *write_base, void *arg, bool is_rdb, struct buf *error);
/* The same on a running server: from now on effects go to a new incremental, which the manifest names only
 * when aof_rewrite_publish() has given it a base; until then a crash leaves the old files in force. The
 * caller begins the snapshot of the base at the same instant, or a rewrite later. Gate closed. */
MUST_CHECK bool aof_begin_anew(struct buf *error);
/* True while the incremental has no base yet. */
bool aof_lacks_base(void);

/* Rewriting, in the steps of rewrite.c. */

/* Makes the next incremental file. Any thread but a worker: it waits for the disk. */
MUST_CHECK bool aof_rewrite_prepare(struct buf *error);
/* The journal goes into that file from now on. Gate closed; the snapshot begins at the same instant. */
MUST_CHECK bool aof_rewrite_switch(struct buf *error);
/* Instead of the switch. */
void aof_rewrite_drop(void);
/* Where the snapshot writes the base; see aof_path_in_folder for `out`. */
const char *aof_path_of_new_base(struct buf *out);
/* The number of the incremental that is written to: asked for at the instant of the base. */
uint64_t aof_incr_in_use(void);
/* The base at that path is complete and synced: it replaces all files before that incremental, which must
 * still be in use. */
MUST_CHECK bool aof_rewrite_publish(uint64_t first_incr, bool is_rdb, struct buf *error);

/* For a base without a journal, while the AOF is off: makes the folder. The caller then writes the base at
 * aof_path_of_new_base() and publishes it. The manifest names only the base; older files become history. */
MUST_CHECK bool aof_base_prepare(struct buf *error);
MUST_CHECK bool aof_base_publish(bool is_rdb, struct buf *error);
/* True if there are files on disk that aof_load() would read. */
bool aof_is_there(void);

/* ---- while running ---- */

enum commit { COMMITTED, COMMIT_PENDING };
/* Makes everything up to `offset` of the journal durable as the policy says. PENDING: the disk failed; the
 * caller holds its replies back and asks again later. Thread: a worker, no shard locked. It waits for the
 * disk: at the end of a turn a worker leaves its gate first; a command (WAITAOF) cannot. */
enum commit aof_commit(uint64_t offset);
/* A cheap test: has `offset` been written (and synced if the policy is always)? */
bool aof_is_committed(uint64_t offset);
bool aof_is_failing(void);
/* The last error's errno text, for MISCONF; "" if none. Copied to `out`. */
void aof_failure(struct buf *out);
/* no-appendfsync-on-rewrite: the sync thread of everysec pauses while the disk is busy with a snapshot. */
void aof_pause_sync(bool paused);
/* Waits until all that is written is fsynced too (WAITAOF, SHUTDOWN). False on failure. */
bool aof_sync_now(void);
/* Fsyncs what is written by now, from any thread, a background thread too. False on failure. */
bool aof_sync_written(void);
/* Journal offset up to which an fsync has succeeded, and the position of the replication stream to which all
 * effects are in there. While aof_lacks_base() that is not enough to start from. */
uint64_t aof_synced_offset(void);
uint64_t aof_synced_position(void);

struct aof_info {
    bool enabled, last_write_ok, fsync_pending;
    uint64_t current_size,
        base_size; /* bytes of all files of the manifest: now, and at start or after the last rewrite */
    uint64_t buffer_length; /* bytes not yet written */
    uint64_t delayed_fsyncs;
    uint64_t last_fsync_us; /* what the last one took */
};
void aof_info(struct aof_info *out);

#endif
