/* slab.h: small blocks from slabs: pieces of SLAB_BYTES of address space, each cut into blocks of one size.
 *
 * The sizes lie closer together than jemalloc's, so a block wastes less; and a block can be moved out of a
 * slab that is nearly empty, which goes back to the system then. All slabs lie in one reserved range of
 * addresses, so a block's slab, and by it the block's size, follow from its address without a look into the
 * block.
 *
 * Blocks above SLAB_BLOCK_MAX come from mem_alloc(); so do all blocks where nothing is reserved: in sanitizer
 * builds, which see more if each block is one of malloc's, and where the system has no addresses left. Any
 * block goes back by slab_free(). mem_used() counts the blocks by their sizes; what slabs hold beyond that is
 * fragmentation.
 *
 * Thread: any may allocate, and any may free what another one allocated. Each thread that says so
 * (slab_thread_begin) keeps some free blocks of each size at hand; only when it runs out or has too many it
 * takes the lock. Errors: as mem.h. */
#ifndef TRIVET_BASE_SLAB_H
#define TRIVET_BASE_SLAB_H

#include "trivet/base/compiler.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SLAB_BYTES ((size_t)64 * 1024)
#define SLAB_BLOCK_MAX ((size_t)2048)

/* Reserves addresses, which take no memory by themselves; before any other thread. A second time it does
 * nothing. False if the system refuses: blocks come from mem_alloc() then. */
bool slab_init(size_t reserve);
bool slab_is_on(void); /* something is reserved */
/* Twice the machine's memory, rounded up. */
size_t slab_reserve_by_default(void);
/* For tests: all blocks are free and no thread has any at hand. */
void slab_release(void);

void *slab_alloc(size_t size) __attribute__((malloc, returns_nonnull));
/* Like realloc; `block` is not NULL. */
void *slab_realloc(void *block, size_t size) __attribute__((returns_nonnull));
/* `block` may be NULL. */
void slab_free(void *block);
/* Bytes that the block has, at least what was asked for. */
size_t slab_size(const void *block);
/* Bytes that slab_alloc(size) would hand out. */
size_t slab_good_size(size_t size);

/* From here to the end this thread keeps free blocks at hand. False if it does so already, or if nothing is
 * reserved. Ending twice, or without a beginning, does nothing. */
bool slab_thread_begin(void);
void slab_thread_end(void);

/* ---- giving back ---- */

/* Gives up to `max` empty slabs back to the system, if more than a reserve of them are kept for what comes
 * next. Returns how many. */
size_t slab_trim(size_t max);
bool slab_wants_trim(void);
/* The same with all of them. */
void slab_purge(void);

/* Compaction: the emptiest slabs are condemned, nothing is allocated in them any more, their blocks are moved
 * by whoever owns them, and empty they go. */

/* Bytes of slabs that a compaction would empty. */
size_t slab_surplus(void);
/* Condemns up to `max` slabs; returns how many, 0 if no more are worth it. */
size_t slab_condemn(size_t max);
/* Puts the free blocks that this thread has at hand back. After slab_condemn() each thread has to, because
 * blocks of condemned slabs may be among them. */
void slab_thread_flush(void);
/* Should this block move? Without slabs (see above) it says yes of some blocks, so that moving is tested
 * there too. */
bool slab_is_condemned(const void *block);
/* A block of the same size in another slab, with the same bytes in the first `size`; `block` is freed. Not
 * counted as allocated: mem_used() stays. */
void *slab_move(void *block);
/* The condemned slabs that are not empty yet are slabs like others again. Returns how many. */
size_t slab_reprieve(void);

/* ---- what there is ---- */

struct slab_stats {
    size_t allocated; /* bytes of blocks, those included that threads have at hand */
    size_t active;    /* of pages in which blocks are or were since their slab was last empty */
    size_t resident;  /* the same, and pages of empty slabs that were not given back yet */
    size_t slabs, empty, condemned;
};
/* Zeros where nothing is reserved. */
void slab_stats(struct slab_stats *out);
/* Appends a table of the sizes in use by calling write(arg, text). */
void slab_report(void (*write)(void *arg, const char *text), void *arg);
/* Asserts all counts; for tests. */
void slab_check(void);

#endif
