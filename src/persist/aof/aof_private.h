/* aof_private.h: what the AOF's files share: the system calls, the folder with its manifest, the reader.
 *
 *   aof.c        the open file: writing, group commit, syncing, failure and recovery
 *   rewrite.c which files there are: opening, a new base, history
 *   folder.c  the folder: names, manifest, making and replacing files so that a crash at any step loads
 *   read.c   one file: runs its commands (behind scan.h, which finds out which are sound)
 *   check.c  one file, for the check tool
 *   load.c   start-up: all files in order, what to do about a bad tail, the upgrade of an old single file */
#ifndef PERSIST_AOF_AOF_PRIVATE_H
#define PERSIST_AOF_AOF_PRIVATE_H

#include "trivet/base/file.h"
#include "trivet/persist/aof/aof.h"

/* ---- aof.c ---- */

/* The journal goes into this file from now on. False with the reason in `error` if the system has no thread
 * left. Gate closed. */
MUST_CHECK bool aof_begin_appending(int fd, uint64_t size, uint64_t others_size, struct buf *error);
/* Writes what the journal has into the present file, which is synced and closed soon; what comes after goes
 * into `fd`. False if the disk fails: then nothing changed. Gate closed. */
MUST_CHECK bool aof_switch_file(int fd);
/* Sets the bytes of the other files, after a rewrite. */
void aof_set_others_size(uint64_t bytes);

/* ---- folder.c ---- */

/* The present settings; the strings are owned here. Changed by aof_configure only. */
extern struct aof_settings aof_settings;

enum aof_file_type { AOF_FILE_BASE = 'b', AOF_FILE_HISTORY = 'h', AOF_FILE_INCR = 'i' };

struct aof_file {
    char *name; /* without folder, owned */
    uint64_t seq;
    enum aof_file_type type;
};

/* The files in the order in which they are loaded: at most one base, then incrementals by rising number.
 * History files (no longer used, waiting to be removed) may be anywhere in the list. A zeroed struct is an
 * empty one. */
struct aof_manifest {
    struct aof_file *files;
    size_t count, room;
};
void aof_manifest_release(struct aof_manifest *m);
void aof_manifest_add(struct aof_manifest *m, struct slice name, uint64_t seq, enum aof_file_type type);
void aof_manifest_remove(struct aof_manifest *m, size_t index);
/* Adds the next base or incremental and returns it. Its name ends with the suffix ("incr.aof", "base.rdb"),
 * and differs from all files of the manifest and all incrementals with bytes in the folder. */
const struct aof_file *aof_manifest_add_next(struct aof_manifest *m, enum aof_file_type type,
                                             const char *suffix);
const struct aof_file *aof_manifest_base(const struct aof_manifest *m);
const struct aof_file *aof_manifest_last_incr(const struct aof_manifest *m);

/* Pure: from and to the text of a manifest file. False with the reason, and its line, in `error`; `m` is
 * empty then. */
MUST_CHECK bool aof_manifest_parse(struct slice text, struct aof_manifest *m, struct buf *error);
void aof_manifest_format(const struct aof_manifest *m, struct buf *out);

enum aof_manifest_read { MANIFEST_READ, MANIFEST_ABSENT, MANIFEST_BROKEN };
MUST_CHECK enum aof_manifest_read aof_manifest_read(struct aof_manifest *m, struct buf *error);
/* Replaces the manifest: write new, fsync, rename, fsync the folder. After a failure the disk holds the old
 * one or, if only the folder's fsync failed, perhaps the new one: so keep the files that either of them
 * names. */
MUST_CHECK bool aof_manifest_write(const struct aof_manifest *m, struct buf *error);

/* Paths end in a NUL that len does not count. `out` is cleared first; returns out->ptr. */
const char *aof_path_in_folder(struct buf *out, const char *name);
const char *aof_path_of_folder(struct buf *out);
const char *aof_path_of_old_file(struct buf *out); /* a single AOF from before there were folders */

/* Makes the folder if there is none, durably. */
MUST_CHECK bool aof_folder_make(struct buf *error);
/* True if a non-empty incremental file lies in the folder; its name goes to `name`. For a folder without a
 * manifest: such a file holds somebody's data. */
bool aof_folder_has_incr(struct buf *name);

/* ---- record.c ---- */

enum aof_parse {
    AOF_RECORD, /* argv[0..argc-1], `used` bytes */
    AOF_NOTE,   /* an annotation line of `used` bytes */
    AOF_MORE,   /* incomplete: at least `need` bytes belong to it */
    AOF_BAD,    /* no record: the byte at `bad` is wrong; `why` says what was expected */
};
struct aof_record {
    struct slice *argv; /* the array is owned, its bytes are the caller's */
    size_t argc, room;
    size_t used, need, bad;
    size_t lines; /* lines of this record that ended where they should */
    const char *why;
};
/* Reads the record at the beginning of `bytes`. Pure but for argv's memory. */
enum aof_parse aof_parse_record(struct aof_record *r, struct slice bytes);
void aof_record_release(struct aof_record *r);

/* ---- read.c ---- */

enum aof_read_end {
    AOF_READ_WHOLE,   /* to the end of the file */
    AOF_READ_TORN,    /* the file ends (or turns into zeros) in a record or a transaction; cut it at `good` */
    AOF_READ_BAD,     /* damaged at `offset`; see `reason`. Up to `good` nothing is known to be wrong */
    AOF_READ_RDB,     /* the file begins as an RDB file, and nobody reads those */
    AOF_READ_REFUSED, /* run() or rdb() refused what is at `offset`; see `reason` */
    AOF_READ_FAILED,  /* the system could not read; see `reason` */
};
struct aof_read {
    uint64_t good;   /* end of the last whole record or transaction: all before it has been run */
    uint64_t offset; /* where it went wrong */
    uint64_t size;   /* of the file */
    uint64_t commands;
    uint64_t errors;     /* commands that answered with an error; the load went on */
    bool in_transaction; /* what is torn is a transaction */
    bool zeros;          /* what is torn is filled up with zeros */
    struct buf reason;   /* the caller's to release */
};
/* Reads one file and runs its commands. Progress counts from `before` (the bytes of earlier files) to
 * `total`. */
MUST_CHECK enum aof_read_end aof_read_file(const char *path, const struct aof_load *how, uint64_t before,
                                           uint64_t total, struct aof_read *out);

#endif
