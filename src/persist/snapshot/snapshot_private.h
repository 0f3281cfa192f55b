/* snapshot_private.h: what the snapshot's files share.
 *
 *   snapshot.c   the thread, the walk over the shards, what commands hand over
 *   part.c       big values that are written piece by piece
 *   writer.c     the bytes: head, records, checksum, end; SAVE
 *   file_sink.c  a sink: the file that takes the bytes */
#ifndef PERSIST_SNAPSHOT_SNAPSHOT_PRIVATE_H
#define PERSIST_SNAPSHOT_SNAPSHOT_PRIVATE_H

#include "trivet/base/blob.h"
#include "trivet/persist/rdb/record_write.h"
#include "trivet/persist/snapshot/snapshot.h"

/* ---- writer.c. Thread: whoever writes the snapshot ---- */

struct snapshot_writer {
    const struct snapshot_plan *plan;
    int version;
    uint64_t checksum;
    uint64_t written;   /* bytes that the sink took */
    struct rdb_out out; /* not passed on yet */
    uint32_t db;        /* of the entries written last; NO_DATABASE: select before the next */
    bool failed;        /* nothing more is passed on; `error` says why */
    struct buf error;
};
#define NO_DATABASE UINT32_MAX

/* How entries are put, by the plan. */
struct image_form snapshot_form(const struct snapshot_plan *plan);
/* Is this database, by its present number, left out? */
bool snapshot_leaves_out(const struct snapshot_plan *plan, uint32_t db);
/* What eviction knows of the entries of a database, by its present number. */
enum image_hint snapshot_hint(uint32_t db);

/* Gathers the head; the sink sees nothing yet. Gate closed. */
void snapshot_writer_begin(struct snapshot_writer *w, const struct snapshot_plan *plan);
void snapshot_writer_select(struct snapshot_writer *w, const struct image_form *form, uint32_t db);
/* Passes on the bytes gathered in `out`: in any case, or only if there are enough. */
void snapshot_writer_flush(struct snapshot_writer *w, bool all);
/* Passes on bytes from elsewhere, after those of `out`. */
void snapshot_writer_put(struct snapshot_writer *w, struct slice bytes);
/* Puts the end, and ends the sink; drops it if anything failed. */
bool snapshot_writer_end(struct snapshot_writer *w);
/* Drops the sink. */
void snapshot_writer_drop(struct snapshot_writer *w);

/* ---- part.c ---- */

/* A big value on its way to the writer. */
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
void part_finish(struct part *p, struct snapshot_writer *w, bool drop);
void part_free(struct part *p);
/* The string is about to be overwritten: then only the part holds its bytes. Under the shard's lock. */
void part_keeps_blob(struct part *p);

/* ---- snapshot.c: bytes of a part that wait for the walker, before and now. Any thread ---- */
void snapshot_note_part(size_t before, size_t now);

#endif
