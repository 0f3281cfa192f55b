/* mem.c: memory from jemalloc, counted on a line of each thread's own.
 *
 * Each thread has a counter that it alone writes. The stores are relaxed atomics, which cost no more than
 * plain ones, so that others may read it without a race. On the hot path a change is one addition and one
 * comparison: `base` and `span` fence the values that need no publishing. A fresh counter has span 0, so a
 * thread's first allocation takes the slow path, which registers it. A thread that ends folds its counter
 * into `retired`. What it frees after that is folded at once. */
#include "trivet/base/mem.h"
#include "trivet/base/chain.h"
#include "trivet/base/lock.h"
#include "trivet/base/log.h"
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef TRIVET_SANITIZE
#include <malloc.h>
#else
#include <jemalloc/jemalloc.h>
#endif

struct counter {
    _Atomic int64_t in_use;        /* allocated minus freed by this thread; below 0 if it frees for others */
    int64_t base;                  /* in_use when last published, minus MEM_PUBLISH_STEP */
    uint64_t span;                 /* 2 * MEM_PUBLISH_STEP; 0: every change takes the slow path */
    int64_t published;             /* this thread's part of `published_total` */
    bool ended;                    /* folded: this thread is in its last destructors */
    struct chain_link in_registry; /* under registry_lock */
};

static _Thread_local struct counter counter;
static _Thread_local void (*each_step)(void);

static CACHE_ALIGNED _Atomic int64_t published_total;
static struct lock registry_lock = LOCK_INIT(LOCK_RANK_MEMORY);
static struct chain registry; /* of struct counter; under registry_lock */
static int64_t retired;       /* in_use of threads that ended; under registry_lock */
static pthread_key_t thread_end_key;
static pthread_once_t thread_end_once = PTHREAD_ONCE_INIT;

/* First the counters, then the allocations. */

static void counter_publish(struct counter *c, int64_t in_use) {
    atomic_fetch_add_explicit(&published_total, in_use - c->published, memory_order_relaxed);
    c->published = in_use;
    c->base = in_use - MEM_PUBLISH_STEP;
}

static void counter_fold(struct counter *c) {
    int64_t in_use = atomic_load_explicit(&c->in_use, memory_order_relaxed);
    atomic_fetch_add_explicit(&published_total, in_use - c->published, memory_order_relaxed);
    retired += in_use;
    atomic_store_explicit(&c->in_use, 0, memory_order_relaxed);
    c->published = 0;
}

static void thread_ended(void *arg) {
    struct counter *c = arg;
    lock_take(&registry_lock);
    counter_fold(c);
    chain_remove(&registry, &c->in_registry);
    c->ended = true;
    c->base = 0;
    c->span = 0;
    lock_drop(&registry_lock);
}

static void create_thread_end_key(void) {
    if (pthread_key_create(&thread_end_key, thread_ended) != 0) {
        LOG_WARNING("The system has no thread key left for counting memory");
        abort();
    }
}

static void counter_register(struct counter *c) {
    pthread_once(&thread_end_once, create_thread_end_key);
    c->base = -MEM_PUBLISH_STEP;
    c->span = 2 * MEM_PUBLISH_STEP;
    lock_take(&registry_lock);
    chain_insert_first(&registry, &c->in_registry);
    lock_drop(&registry_lock);
    if (pthread_setspecific(thread_end_key, c) != 0) {
        LOG_WARNING("Out of memory while registering a thread's memory counter");
        abort();
    }
}

static __attribute__((noinline)) void counter_slow(struct counter *c) {
    if (c->ended) {
        lock_take(&registry_lock);
        counter_fold(c);
        lock_drop(&registry_lock);
        return;
    }
    if (c->span == 0) counter_register(c);
    int64_t in_use = atomic_load_explicit(&c->in_use, memory_order_relaxed);
    if ((uint64_t)(in_use - c->base) <= c->span) return;
    counter_publish(c, in_use);
    if (UNLIKELY(each_step != NULL)) each_step();
}

void mem_each_step(void (*call)(void)) { each_step = call; }

static inline void count(int64_t change) {
    struct counter *c = &counter;
    int64_t in_use = atomic_load_explicit(&c->in_use, memory_order_relaxed) + change;
    atomic_store_explicit(&c->in_use, in_use, memory_order_relaxed);
    if (UNLIKELY((uint64_t)(in_use - c->base) > c->span)) counter_slow(c);
}

void mem_count(int64_t change) { count(change); }

size_t mem_balance(void) { return (size_t)atomic_load_explicit(&counter.in_use, memory_order_relaxed); }

size_t mem_used(void) {
    int64_t total = atomic_load_explicit(&published_total, memory_order_relaxed);
    return total > 0 ? (size_t)total : 0;
}

size_t mem_used_exact(void) {
    lock_take(&registry_lock);
    int64_t total = retired;
    CHAIN_EACH(&registry, struct counter, in_registry, c)
    total += atomic_load_explicit(&c->in_use, memory_order_relaxed);
    lock_drop(&registry_lock);
    return total > 0 ? (size_t)total : 0;
}

/* The allocator's raw calls: the only lines that differ between the builds. */

#ifdef TRIVET_SANITIZE
static inline void *raw_alloc(size_t size) { return malloc(size); }
static inline void *raw_alloc_zero(size_t size) { return calloc(1, size); }
static inline void *raw_realloc(void *ptr, size_t size) { return realloc(ptr, size); }
static inline size_t raw_size(const void *ptr) { return malloc_usable_size(unconst(ptr)); }
static inline size_t raw_size_fresh(const void *ptr, size_t asked) { return (void)asked, raw_size(ptr); }
static inline void raw_free(void *ptr, size_t size) { (void)size, free(ptr); }

static void *raw_alloc_aligned(size_t alignment, size_t size) {
    void *ptr = NULL;
    if (alignment < sizeof(void *)) alignment = sizeof(void *);
    return posix_memalign(&ptr, alignment, size) == 0 ? ptr : NULL;
}
#else
static inline void *raw_alloc(size_t size) { return mallocx(size, 0); }
static inline void *raw_alloc_zero(size_t size) { return mallocx(size, MALLOCX_ZERO); }
static inline void *raw_alloc_aligned(size_t alignment, size_t size) {
    return mallocx(size, MALLOCX_ALIGN(alignment));
}
static inline void *raw_realloc(void *ptr, size_t size) { return rallocx(ptr, size, 0); }
static inline size_t raw_size(const void *ptr) { return sallocx(ptr, 0); }
/* What mallocx(asked, 0) hands out follows from the size alone: no look-up by address. */
static inline size_t raw_size_fresh(const void *ptr, size_t asked) { return (void)ptr, nallocx(asked, 0); }
static inline void raw_free(void *ptr, size_t size) { sdallocx(ptr, size, 0); }
#endif

static NORETURN __attribute__((noinline, cold)) void out_of_memory(size_t size) {
    LOG_WARNING("Out Of Memory allocating %zu bytes!", size);
    abort();
}

/* Neither allocator promises anything for a size of 0. */
static inline size_t at_least_one(size_t size) { return size + (size == 0); }

void *mem_try_alloc(size_t size) {
    size = at_least_one(size);
    void *ptr = raw_alloc(size);
    if (UNLIKELY(!ptr)) return NULL;
    count((int64_t)raw_size_fresh(ptr, size));
    return ptr;
}

/* *got is the usable size. */
static inline void *alloc(size_t size, size_t *got) {
    size = at_least_one(size);
    void *ptr = raw_alloc(size);
    if (UNLIKELY(!ptr)) out_of_memory(size);
    *got = raw_size_fresh(ptr, size);
    count((int64_t)*got);
    return ptr;
}

void *mem_alloc(size_t size) {
    size_t got;
    return alloc(size, &got);
}

void *mem_alloc_in(size_t *held, size_t size) {
    size_t got;
    void *ptr = alloc(size, &got);
    *held += got;
    return ptr;
}

void *mem_alloc_zero(size_t size) {
    size = at_least_one(size);
    void *ptr = raw_alloc_zero(size);
    if (UNLIKELY(!ptr)) out_of_memory(size);
    count((int64_t)raw_size_fresh(ptr, size));
    return ptr;
}

void *mem_alloc_aligned(size_t alignment, size_t size) {
    assert(alignment > 0 && (alignment & (alignment - 1)) == 0);
    size = at_least_one(size);
    void *ptr = raw_alloc_aligned(alignment, size);
    if (UNLIKELY(!ptr)) out_of_memory(size);
    count((int64_t)raw_size(ptr));
    return ptr;
}

/* `ptr` is not NULL; *grown is by how much the usable size grew, below 0 if it shrank. */
static inline void *resize(void *ptr, size_t size, int64_t *grown) {
    int64_t before = (int64_t)raw_size(ptr);
    void *moved = raw_realloc(ptr, size);
    if (UNLIKELY(!moved)) out_of_memory(size);
    *grown = (int64_t)raw_size(moved) - before;
    count(*grown);
    return moved;
}

void *mem_realloc(void *ptr, size_t size) {
    assert(size > 0);
    int64_t grown;
    return ptr ? resize(ptr, size, &grown) : mem_alloc(size);
}

void *mem_realloc_in(size_t *held, void *ptr, size_t size) {
    assert(size > 0);
    if (!ptr) return mem_alloc_in(held, size);
    int64_t grown;
    void *moved = resize(ptr, size, &grown);
    *held += (size_t)grown;
    return moved;
}

/* Returns what its usable size was; `ptr` may be NULL. */
static inline size_t release(void *ptr) {
    if (!ptr) return 0;
    size_t size = raw_size(ptr);
    raw_free(ptr, size);
    count(-(int64_t)size);
    return size;
}

void mem_free(void *ptr) { (void)release(ptr); }

void mem_free_in(size_t *held, void *ptr) { *held -= release(ptr); }

char *mem_strdup(const char *text) {
    size_t size = strlen(text) + 1;
    return memcpy(mem_alloc(size), text, size);
}

size_t mem_size(const void *ptr) { return raw_size(ptr); }

size_t mem_good_size(size_t size) {
    size = at_least_one(size);
#ifdef TRIVET_SANITIZE
    return size;
#else
    size_t good = nallocx(size, 0);
    return good ? good : size; /* 0 says: bigger than any allocation can be */
#endif
}

/* What the allocator and the system say. */

#ifdef TRIVET_SANITIZE
void mem_allocator_stats(struct mem_allocator_stats *out) { *out = (struct mem_allocator_stats){ 0 }; }
const char *mem_allocator_name(void) { return "libc"; }
void mem_purge(void) {}
void mem_purge_aside(bool on) { (void)on; }
void mem_allocator_report(void (*write)(void *arg, const char *text), void *arg) {
    write(arg, "Stats not supported for the current allocator");
}
#else
#define TEXT_OF_NUMBER(n) #n
#define TEXT_OF(macro) TEXT_OF_NUMBER(macro)

/* 0 where this jemalloc was built without the statistic. */
static size_t statistic(const char *name) {
    size_t value = 0, len = sizeof value;
    return mallctl(name, &value, &len, NULL, 0) == 0 ? value : 0;
}

void mem_allocator_stats(struct mem_allocator_stats *out) {
    *out = (struct mem_allocator_stats){ 0 };
    uint64_t epoch = 1;
    size_t len = sizeof epoch;
    /* jemalloc answers from a snapshot; writing the epoch renews it. */
    if (mallctl("epoch", &epoch, &len, &epoch, len) != 0) return;
    out->allocated = statistic("stats.allocated");
    out->active = statistic("stats.active");
    out->resident = statistic("stats.resident");
    out->retained = statistic("stats.retained");
    size_t muzzy_pages = statistic("stats.arenas." TEXT_OF(MALLCTL_ARENAS_ALL) ".pmuzzy");
    out->muzzy = muzzy_pages * statistic("arenas.page");
}

const char *mem_allocator_name(void) {
    return "jemalloc-" TEXT_OF(JEMALLOC_VERSION_MAJOR) "." TEXT_OF(JEMALLOC_VERSION_MINOR) "." TEXT_OF(
        JEMALLOC_VERSION_BUGFIX);
}

void mem_purge(void) {
    /* The thread's own cache first: its pages cannot go back while it holds parts of them. */
    int flushed = mallctl("thread.tcache.flush", NULL, NULL, NULL, 0);
    int purged = mallctl("arena." TEXT_OF(MALLCTL_ARENAS_ALL) ".purge", NULL, NULL, NULL, 0);
    if (flushed != 0 || purged != 0) LOG_WARNING("The allocator refused to purge its dirty pages");
}

void mem_purge_aside(bool on) {
    size_t one = 1;
    int limited = mallctl("max_background_threads", NULL, NULL, &one, sizeof one);
    if (limited != 0 || mallctl("background_thread", NULL, NULL, &on, sizeof on) != 0)
        LOG_WARNING("The allocator refused to %s its thread", on ? "start" : "stop");
}

void mem_allocator_report(void (*write)(void *arg, const char *text), void *arg) {
    malloc_stats_print(write, arg, NULL);
}
#endif

size_t mem_resident(void) {
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    char text[128];
    ssize_t got = read(fd, text, sizeof text - 1);
    close(fd);
    if (got <= 0) return 0;
    text[got] = '\0';
    size_t pages = 0;
    if (sscanf(text, "%*s %zu", &pages) != 1) return 0;
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}
