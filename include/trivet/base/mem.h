/* mem.h: memory from jemalloc, counted exactly.
 *
 * Every allocation of the server goes through here (libevent and OpenSSL are pointed here at
 * start-up too), so mem_used() is what `used_memory` reports: the sum of the usable sizes that the
 * allocator handed out. Each thread counts on a line of its own and publishes in steps of
 * MEM_PUBLISH_STEP, so counting costs no shared write on the hot path.
 *
 * Sanitizer builds (-DTRIVET_SANITIZE) use the sanitizer's malloc; the counting is the same.
 * Thread: any. Errors: no call returns NULL; when memory runs out the process logs and aborts. */
#ifndef TRIVET_BASE_MEM_H
#define TRIVET_BASE_MEM_H

#include "trivet/base/compiler.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEM_PUBLISH_STEP (64 * 1024)

void *mem_alloc(size_t size) __attribute__((malloc, returns_nonnull));
void *mem_alloc_zero(size_t size) __attribute__((malloc, returns_nonnull));
/* Aligned to `alignment` (a power of two); freed by mem_free like the rest. */
void *mem_alloc_aligned(size_t alignment, size_t size) __attribute__((returns_nonnull));
/* For sizes that a client or a file chose: NULL instead of an abort when memory runs out. */
MUST_CHECK void *mem_try_alloc(size_t size);
/* `ptr` may be NULL. Like realloc; a size of 0 is not allowed. */
void *mem_realloc(void *ptr, size_t size) __attribute__((returns_nonnull));
/* `ptr` may be NULL. */
void mem_free(void *ptr);
char *mem_strdup(const char *text) __attribute__((returns_nonnull));

/* The same for parts of a value that counts its own bytes: *held, which belongs to the value, stays the sum
 * of mem_size() of all parts, at the cost of an addition. Resize and free such a part only with these
 * functions. */
void *mem_alloc_in(size_t *held, size_t size) __attribute__((malloc, returns_nonnull));
void *mem_realloc_in(size_t *held, void *ptr, size_t size) __attribute__((returns_nonnull));
void mem_free_in(size_t *held, void *ptr);
/* For parts that code without a `held` resizes, a listpack for example: runs `change`, and counts all that
 * this thread allocates and frees in it as parts. */
#define MEM_COUNT_IN(held, change)                 \
    do {                                           \
        size_t balance_before = mem_balance();     \
        change;                                    \
        *(held) += mem_balance() - balance_before; \
    } while (0)
/* What this thread has allocated, minus what it has freed, in bytes that wrap around: only differences say
 * something. */
size_t mem_balance(void);
/* For allocators on top (slab.h): so many bytes more are in use, below 0: fewer. */
void mem_count(int64_t change);

/* Bytes the allocator handed out for `ptr`, at least what was asked for. */
size_t mem_size(const void *ptr);
/* Bytes that mem_alloc(size) would hand out. */
size_t mem_good_size(size_t size);
/* Up to this size an address tells the size of the block: jemalloc keeps such blocks in classes of one size
 * each. The allocators of the sanitizers do not, and may hand out a freed address for another size. */
#ifdef TRIVET_SANITIZE
#define MEM_SMALL_MAX ((size_t)0)
#else
#define MEM_SMALL_MAX ((size_t)14336)
#endif

/* Bytes in use now, give or take MEM_PUBLISH_STEP a thread; one read of a shared line. */
size_t mem_used(void);
/* The same exactly: visits every thread's counter. */
size_t mem_used_exact(void);

/* The allocator's own numbers, in bytes; zeros in sanitizer builds. */
struct mem_allocator_stats {
    size_t allocated, active, resident, retained, muzzy;
};
void mem_allocator_stats(struct mem_allocator_stats *out);
/* "jemalloc-5.3.0", or "libc" in sanitizer builds. */
const char *mem_allocator_name(void);
/* Resident set of the process in bytes, read from /proc; 0 if that cannot be read. */
size_t mem_resident(void);
/* Gives unused dirty pages back to the system (MEMORY PURGE). */
void mem_purge(void);
/* Who gives such pages back as time passes: a thread of the allocator's own, with the priority of the calling
 * thread, or whoever happens to allocate or free, for which that may take many milliseconds at once. */
void mem_purge_aside(bool on);
/* Calls this each time when the calling thread has allocated or freed about MEM_PUBLISH_STEP: so a thread
 * that frees very much can let others run. NULL: no more. It may neither allocate nor free. */
void mem_each_step(void (*call)(void));
/* Appends the allocator's own report (MEMORY MALLOC-STATS) by calling write(arg, text). */
void mem_allocator_report(void (*write)(void *arg, const char *text), void *arg);

#endif
