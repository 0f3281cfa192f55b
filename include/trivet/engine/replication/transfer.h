/* transfer.h: an RDB file on its way to replicas: one for all that began to wait before it was begun.
 *
 * Diskless: a snapshot writes into the transfer's tape, and waits when the slowest replica is too far behind.
 * From disk: the file is whole already, and is mapped. Both carry their header and end mark as they go over
 * the wire. Owner: counted references, of each replica and of the job that fills it. Thread: as said. */
#ifndef TRIVET_ENGINE_REPLICATION_TRANSFER_H
#define TRIVET_ENGINE_REPLICATION_TRANSFER_H

#include "trivet/base/buf.h"
#include "trivet/engine/replication/replicas.h"

/* One reference, for the caller. To be filled by transfer_put. */
struct transfer *transfer_new(void);
/* A whole file, which may be closed after. NULL with the reason in `error`. */
struct transfer *transfer_of_file(int fd, struct buf *error);
struct transfer *transfer_ref(struct transfer *t);
void transfer_unref(struct transfer *t);

/* This replica gets it from its beginning. Gate closed; nothing was put yet, or it is a whole file. */
void transfer_attach(struct transfer *t, struct replica *r);
/* The replica has it all, or goes. */
void transfer_detach(struct replica *r);

/* Any one thread: appends bytes. */
void transfer_put(struct transfer *t, struct slice bytes);
/* Waits until the slowest replica is near. False if nobody is left to take bytes, or the transfer failed. */
MUST_CHECK bool transfer_wait(struct transfer *t);
/* The last byte was put. / It will never be whole: the replicas' connections are closed. */
void transfer_finish(struct transfer *t);
void transfer_fail(struct transfer *t);

enum transfer_next { TRANSFER_HAS_BYTES, TRANSFER_WAITS, TRANSFER_DONE, TRANSFER_BROKEN };
/* The replica's worker. */
enum transfer_next transfer_look(const struct replica *r);
int transfer_vectors(const struct replica *r, struct iovec *vectors, int max);
void transfer_advance(struct replica *r, size_t bytes);
/* Does the replica get the stream only after it has acknowledged the transfer? */
bool transfer_wants_acknowledgement(const struct transfer *t);

/* Bytes of memory of all of them. Any thread. */
size_t transfers_memory(void);

#endif
