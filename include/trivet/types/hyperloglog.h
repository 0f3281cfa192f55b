/* hyperloglog.h: about how many different things were counted, in at most 12 KiB, as a string that GET shows.
 *
 * The bytes are the public format ("HYLL"), so that clients may GET one here and SET it there:
 *
 *     "HYLL" | form (1) | unused (3) | cached count (8, little endian; top bit: stale) | registers
 *
 * There are 16384 registers of 6 bits. Dense, they follow each other, lowest bits first. Sparse, they are
 * runs: 00xxxxxx is x + 1 zeros, 01xxxxxx yyyyyyyy is xy + 1 zeros, 1vvvvvxx is x + 1 registers of the value
 * v + 1. A sparse one becomes dense when it would exceed encoding_limits.hll_sparse_bytes or a register
 * exceeds 32. Sources: Flajolet and others 2007 for the idea, Heule and others 2013 for the sparse form, Ertl
 * 2017 for the estimate; the bytes as a running server shows them.
 *
 * Strings come from clients, so every walk checks its bounds and may find the string broken. Pure; thread:
 * any. */
#ifndef TRIVET_TYPES_HYPERLOGLOG_H
#define TRIVET_TYPES_HYPERLOGLOG_H

#include "trivet/base/buf.h"
#include <stdbool.h>

#define HLL_HEADER 16
#define HLL_REGISTERS 16384
#define HLL_DENSE_BYTES (HLL_HEADER + HLL_REGISTERS * 6 / 8)

enum hll_outcome { HLL_SAME, HLL_CHANGED, HLL_BROKEN };

/* Has it the header and, if dense, the length of one? The runs of a sparse one are checked when they are
 * walked. */
MUST_CHECK bool hll_is_one(struct slice bytes);
static inline bool hll_is_dense(struct slice bytes) { return bytes.ptr[4] == 0; }

/* Appends an empty one, sparse. */
void hll_append_empty(struct buf *out);
/* Counts an element. `b` holds all of it, and only it. */
enum hll_outcome hll_add(struct buf *b, struct slice element);
/* The same for a dense one, in its place. */
enum hll_outcome hll_add_dense(char *bytes, struct slice element);
/* False if it is broken. */
MUST_CHECK bool hll_make_dense(struct buf *b);

/* The cached count; false if it is stale. */
MUST_CHECK bool hll_cached_count(struct slice bytes, uint64_t *count);
void hll_cache_count(char *bytes, uint64_t count);
void hll_forget_count(char *bytes);
/* The estimate from the registers; false if it is broken. */
MUST_CHECK bool hll_count(struct slice bytes, uint64_t *count);

/* All registers, a byte each, for merging. */
struct hll_registers {
    uint8_t values[HLL_REGISTERS];
};
/* Raises the registers to those of `bytes`; false if it is broken, with some raised. */
MUST_CHECK bool hll_raise(struct hll_registers *r, struct slice bytes);
uint64_t hll_registers_count(const struct hll_registers *r);
/* Raises those of `b`; false if it is broken. */
MUST_CHECK bool hll_raise_to(struct buf *b, const struct hll_registers *r);

/* The runs of a sparse one: calls visit(arg, value, run, long form); false if it is broken. */
MUST_CHECK bool hll_each_run(struct slice bytes,
                             void (*visit)(void *arg, unsigned value, unsigned run, bool is_long), void *arg);

#endif
