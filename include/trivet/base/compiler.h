/* compiler.h: the few words that the compiler understands and C11 lacks.
 *
 * NEEDS(lock) on a function says: the caller holds that lock. clang's -Wthread-safety checks it
 * (`make tidy`); gcc ignores it. UNCHECKED marks the few functions whose locking clang cannot
 * follow, such as taking a whole set of locks in a loop. */
#ifndef TRIVET_BASE_COMPILER_H
#define TRIVET_BASE_COMPILER_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(form, first) __attribute__((__format__(__printf__, form, first)))
#define NORETURN __attribute__((noreturn))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define ALWAYS_INLINE static inline __attribute__((always_inline))
#define RARE __attribute__((noinline, cold))
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
/* Fetches a cache line that is about to be written: of several cores only one may have it then. The
 * compiler's own word for that fetches it to read, unless it knows the processor. */
static inline void prefetch_to_write(const void *at) {
#if defined(__x86_64__)
    __asm__ volatile("prefetchw %0" : : "m"(*(const char *)at));
#else
    __builtin_prefetch(at, 1);
#endif
}
#define CACHE_LINE 64
#define CACHE_ALIGNED __attribute__((aligned(CACHE_LINE)))
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* The struct that holds `member`, from a pointer to that member. */
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* The same pointer without const: for memory that the caller owns but keeps as const, and for functions that
 * hand a const argument back as they got it, like strchr(). */
static inline void *unconst(const void *ptr) { return (void *)(uintptr_t)ptr; }

#if defined(__clang__)
#define LOCKABLE __attribute__((capability("mutex")))
#define NEEDS(...) __attribute__((requires_capability(__VA_ARGS__)))
#define TAKES(...) __attribute__((acquire_capability(__VA_ARGS__)))
#define DROPS(...) __attribute__((release_capability(__VA_ARGS__)))
#define UNCHECKED __attribute__((no_thread_safety_analysis))
#else
#define LOCKABLE
#define NEEDS(...)
#define TAKES(...)
#define DROPS(...)
#define UNCHECKED
#endif

#endif
