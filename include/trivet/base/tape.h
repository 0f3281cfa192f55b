/* tape.h: bytes that are appended at one end and read by many, each reader at a place of its own.
 *
 * The bytes lie in blocks, once, however many read them. A block is freed when the tape keeps it no longer
 * (tape_trim) and no reader needs it or one before it: so a slow reader keeps what it has not read.
 * Positions count bytes from a start that the maker chooses.
 *
 * Thread: one appender at a time (appending, trimming and opening readers are under the appender's lock).
 * Each reader belongs to one thread at a time and reads without a lock, up to tape_end(). */
#ifndef TRIVET_BASE_TAPE_H
#define TRIVET_BASE_TAPE_H

#include "trivet/base/compiler.h"
#include "trivet/base/slice.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct tape_block;

/* A zeroed struct is a tape that is not in use. */
struct tape {
    struct tape_block *oldest, *last; /* the appender's; NULL: not in use */
    _Atomic uint64_t end;             /* the position behind the last byte */
    atomic_size_t blocks;             /* all that are alive, also those that only readers keep */
};

/* A zeroed struct is closed. */
struct tape_reader {
    struct tape *tape;
    struct tape_block *block;
    uint64_t at; /* the position of the next byte */
};

/* Empty, its first byte will have this position. It holds memory from now on. */
void tape_open(struct tape *t, uint64_t start);
/* All readers are closed. */
void tape_close(struct tape *t);

void tape_append(struct tape *t, struct slice bytes);
static inline uint64_t tape_end(const struct tape *t) {
    return atomic_load_explicit(&t->end, memory_order_acquire);
}
/* The tape need not keep bytes before this position. They go by whole blocks. */
void tape_trim(struct tape *t, uint64_t keep_from);
/* The first position that a reader may be opened at. */
uint64_t tape_first(const struct tape *t);
/* Bytes of memory. Any thread. */
size_t tape_memory(const struct tape *t);

/* False if the position is not on the tape any more, or not yet. */
MUST_CHECK bool tape_read_from(struct tape *t, struct tape_reader *r, uint64_t position);
/* Fills up to `max` vectors with what comes next, up to position `until` (at most tape_end()). */
int tape_vectors(const struct tape_reader *r, uint64_t until, struct iovec *vectors, int max);
/* The reader is done with so many bytes. */
void tape_advance(struct tape_reader *r, size_t bytes);
/* Closing a closed reader does nothing. */
void tape_reader_close(struct tape_reader *r);

#endif
