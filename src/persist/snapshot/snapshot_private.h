/* snapshot_private.h: what the snapshot's files share.
 *
 *   snapshot.c        the thread, the walk over the shards, what commands hand over
 *   part.c   big values that are written piece by piece
 *   file.c   the file: head, bytes, checksum, end; SAVE */
#ifndef PERSIST_SNAPSHOT_SNAPSHOT_PRIVATE_H
#define PERSIST_SNAPSHOT_SNAPSHOT_PRIVATE_H

#include "trivet/base/blob.h"
#include "trivet/persist/rdb/record_write.h"
#include "trivet/persist/snapshot/snapshot.h"

/* ---- file.c. Thread: whoever writes the file ---- */

struct snapshot_file {
    const struct snapshot_plan *plan;
    int version;
    int fd; /* -1: not open */
    uint64_t checksum;
    uint64_t written, synced; /* bytes */
    struct rdb_out out;       /* not written yet */
    uint32_t db;              /* of the entries written last; NO_DATABASE: select before the next */
    bool failed;              /* writing has stopped; `error` says why */
    struct buf error;
};
#define NO_DATABASE UINT32_MAX

/* How entries are put, by the plan. */
struct image_form snapshot_form(const struct snapshot_plan *plan);

/* Creates the file and puts its head. */
void snapshot_file_open(struct snapshot_file *f, const struct snapshot_plan *plan);
void snapshot_file_select(struct snapshot_file *f, const struct image_form *form, uint32_t db);
/* Writes the bytes gathered in `out`: in any case, or only if there are enough. */
void snapshot_file_flush(struct snapshot_file *f, bool all);
/* Writes bytes from elsewhere, after those of `out`. */
void snapshot_file_put(struct snapshot_file *f, struct slice bytes);
/* Puts the end, syncs and closes; then the plan's publish. Removes the file if anything failed. True if it is
 * there under its name. */
bool snapshot_file_end(struct snapshot_file *f);
/* Closes and removes it. */
void snapshot_file_drop(struct snapshot_file *f);

/* ---- part.c ---- */

/* A big value on its way into the file. */
struct part {
    struct part *next;
    uint32_t db;                   /* at the instant */
    _Atomic uint32_t shard;        /* whose lock guards its value */
    struct frozen *_Atomic frozen; /* NULL: a string, `blob`, or let go */
    struct blob *blob;
    struct image_parts facts;
    const struct image_form *form;
    struct rdb_out out; /* the head, then elements; under the shard's lock */
    bool walking;       /* the walker visits: it takes the bytes along at once. Under the shard's lock */
    size_t noted;       /* bytes that count as waiting; under the shard's lock */
};

/* Must the entry be written in parts? */
bool part_suits(const struct image_form *form, const struct entry *e);
/* Under the shard's lock. */
struct part *part_new(const struct image_form *form, const struct entry *e, uint32_t db, uint32_t shard);
/* Writes all of it, or nothing more if `drop`; then releases the value. The walker, no lock held. */
void part_finish(struct part *p, struct snapshot_file *f, bool drop);
void part_free(struct part *p);
/* The string is about to be overwritten: then only the part holds its bytes. Under the shard's lock. */
void part_keeps_blob(struct part *p);

/* ---- snapshot.c: bytes of a part that wait for the walker, before and now. Any thread ---- */
void snapshot_note_part(size_t before, size_t now);

#endif
