/* sink.h: where the bytes of a snapshot go: into a file (file_sink.h), or to those who wait for them.
 *
 * A sink stands at the head of a struct of its own kind. The snapshot calls `put` with all bytes in their
 * order, then `end`. The last call is either an `end` that succeeded or a `drop`: so whatever happens, the
 * sink can let go there of what it has opened. The struct itself belongs to the owner of the plan and
 * stays until the snapshot is closed (until snapshot_write_now() returns).
 *
 * Thread: the snapshot's, no lock held, or the caller of snapshot_write_now(), gate closed. */
#ifndef TRIVET_PERSIST_SNAPSHOT_SINK_H
#define TRIVET_PERSIST_SNAPSHOT_SINK_H

#include "trivet/base/buf.h"
#include <stdbool.h>

struct snapshot_sink {
    /* May wait, for the disk or for a slow reader. False with the reason in `error`: only `drop` follows. */
    bool (*put)(struct snapshot_sink *s, struct slice bytes, struct buf *error);
    /* That were all bytes: makes them durable, gives the file its name. False with the reason in `error`. */
    bool (*end)(struct snapshot_sink *s, struct buf *error);
    /* The bytes are worth nothing: not all came, or something failed. */
    void (*drop)(struct snapshot_sink *s);
    /* NULL if the others never wait for long. The snapshot is given up: a `put` or `end` that waits fails
     * at once, and so does each that follows. May come after `drop` too. Any thread, gate held. */
    void (*stop)(struct snapshot_sink *s);
};

#endif
