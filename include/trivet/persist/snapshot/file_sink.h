/* file_sink.h: a sink of a snapshot that is a file. It is made at the first byte, and removed if the
 * snapshot is given up. At the end it is synced and then published: it takes its place under another name. */
#ifndef TRIVET_PERSIST_SNAPSHOT_FILE_SINK_H
#define TRIVET_PERSIST_SNAPSHOT_FILE_SINK_H

#include "trivet/base/compiler.h"
#include "trivet/persist/snapshot/sink.h"
#include <stdint.h>

struct file_sink_plan {
    const char *path;      /* of the file to write, usually a temporary one; copied */
    bool incremental_sync; /* fsync now and then while writing, not all at the end */
    bool stays_open;       /* after a good end: see file_sink_detach() */
    /* What precedes the reason in an error; NULL: nothing. */
    const char *not_opened, *not_written;
    /* The file is whole and durable: give it its name. False with the reason in `error`. NULL: it has it. */
    bool (*publish)(void *arg, struct buf *error);
    void *arg;
};

struct file_sink {
    struct snapshot_sink sink;
    struct file_sink_plan plan;
    char *path; /* owned until the end */
    int fd;     /* -1: not open */
    uint64_t written, synced;
};

/* Opens nothing yet. */
void file_sink_init(struct file_sink *f, const struct file_sink_plan *plan);
/* After a good end of one that stays open: the file itself, whatever has its name by now, to be read. The
 * caller's to close; -1 if there is none. */
MUST_CHECK int file_sink_detach(struct file_sink *f);

#endif
