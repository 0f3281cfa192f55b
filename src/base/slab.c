/* slab.c: slabs, the free blocks that threads have at hand, and condemned slabs.
 *
 * A slab begins with a bitmap of the blocks that were given back to it. Blocks are cut from it in order when
 * no such block is left, so the pages behind the last one cut stay untouched. What must be known about a slab
 * without touching it is kept aside, in two arrays by the slab's number: its class (an index into the sizes),
 * which whoever frees a block reads without a lock, and a record, under the lock.
 *
 * The slabs of a class that have room are kept in bins by how full they are. Blocks are taken from the
 * fullest, so that those nearly empty have a chance to become empty. All this is under one lock, which a
 * thread takes once for many blocks: it has a magazine of free blocks for each class, a plain array that it
 * alone uses. */
#include "trivet/base/slab.h"
#include "trivet/base/chain.h"
#include "trivet/base/lock.h"
#include "trivet/base/log.h"
#include "trivet/base/mem.h"
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE ((size_t)4096)
#define GRAIN 8 /* blocks are aligned to this */
#define BLOCK_MIN 16
#define CLASSES 128
#define CONDEMNED 0x80 /* in the class of a slab */
#define BINS 16
#define FINE_MAX 512    /* steps of 8 up to here, */
#define MIDDLE_MAX 1024 /* of 16 up to here, of 32 above */
#define MAGAZINE_MAX 64
#define MAGAZINE_BYTES ((size_t)8192)
#define COMMIT_SLABS 64               /* made usable at once */
#define RESERVE_MIN ((size_t)1 << 28) /* with less it is not worth it */
#define EMPTY_KEPT 16                 /* slabs, and */
#define EMPTY_SHARE 64                /* this part of those in use, stay for what comes next */
#define SPARE_SHARE 16                /* compaction leaves this part of a class's blocks free, */
#define SPARE_SLABS 1                 /* and this many slabs; */
#define WORTH_SHARE 16 /* and lets a class be that would gain less than this part of its slabs */

static_assert(FINE_MAX / 8 + (MIDDLE_MAX - FINE_MAX) / 16 + (SLAB_BLOCK_MAX - MIDDLE_MAX) / 32 == CLASSES,
              "the sizes fill the classes");

/* What follows from the size. */
struct shape {
    uint32_t size;
    uint32_t head;      /* bytes of the bitmap, before the first block */
    uint32_t capacity;  /* blocks in a slab */
    uint32_t inverse;   /* 2^32 / size, rounded up: n * inverse >> 32 is n / size for all n in a slab */
    uint32_t bin_scale; /* used * bin_scale >> 16 is the bin */
    uint32_t magazine;  /* blocks that a thread has at hand at most */
};

/* Under the lock. */
struct slab {
    struct chain_link in_list; /* a bin, the condemned, or the empty ones; in none if full */
    uint16_t cut;              /* blocks ever handed out since the slab was empty */
    uint16_t returned;         /* of them, those that are free: bits in the bitmap */
    uint16_t first_word;       /* of the bitmap: before it no bit is set */
    uint8_t bin;               /* NO_BIN: full, or condemned */
    uint8_t pages;             /* that may be resident */
};
#define NO_BIN 0xff

/* Under the lock. */
struct class {
    struct chain bins[BINS];
    struct chain condemned;
    uint32_t occupied;             /* bit i: bins[i] is not empty */
    size_t slabs, condemned_slabs; /* in use; the condemned are not among the first */
    size_t used;                   /* blocks handed out, of condemned slabs too */
};

static struct {
    char *base;
    size_t bytes; /* 0: nothing is reserved */
    size_t slabs; /* as many fit */
    _Atomic uint8_t *classes;
    struct slab *records;
} range;

static uint8_t class_by_grain[SLAB_BLOCK_MAX / GRAIN + 1];
static struct shape shapes[CLASSES];
static size_t magazine_total; /* blocks in all magazines of one thread */

static struct {
    struct lock lock;
    struct class classes[CLASSES];
    struct chain dirty, clean; /* empty slabs, not given back and given back */
    size_t dirty_slabs, clean_slabs;
    size_t committed; /* slabs whose addresses are usable */
    size_t begun;     /* slabs that were ever in use; the next is number `begun` */
    size_t active_pages, resident_pages;
} depot = { .lock = LOCK_INIT(LOCK_RANK_SLAB) };

struct magazine {
    void **blocks;
    uint32_t count, limit;
};
struct stock {
    struct magazine magazines[CLASSES];
    void *blocks[];
};
static _Thread_local struct stock *stock; /* NULL: this thread takes the lock for each block */

/* ---- sizes and addresses ---- */

static size_t size_of_class(size_t class) {
    size_t fine = FINE_MAX / 8, middle = (MIDDLE_MAX - FINE_MAX) / 16;
    if (class < fine) return (class + 1) * 8;
    if (class < fine + middle) return FINE_MAX + (class - fine + 1) * 16;
    return MIDDLE_MAX + (class - fine - middle + 1) * 32;
}

static size_t head_for(size_t capacity) { return (capacity + 63) / 64 * sizeof(uint64_t); }

static struct shape shape_of(size_t size) {
    size_t capacity = SLAB_BYTES / size;
    while (head_for(capacity) + capacity * size > SLAB_BYTES) capacity--;
    size_t at_hand = MAGAZINE_BYTES / size;
    return (struct shape){
        .size = (uint32_t)size,
        .head = (uint32_t)head_for(capacity),
        .capacity = (uint32_t)capacity,
        .inverse = (uint32_t)((((uint64_t)1 << 32) + size - 1) / size),
        .bin_scale = (uint32_t)(BINS * 65536 / capacity),
        .magazine = (uint32_t)(at_hand < MAGAZINE_MAX ? at_hand : MAGAZINE_MAX),
    };
}

static void fill_tables(void) {
    magazine_total = 0;
    for (size_t class = 0; class < CLASSES; class ++) {
        shapes[class] = shape_of(size_of_class(class));
        magazine_total += shapes[class].magazine;
    }
    size_t class = 0;
    for (size_t grain = 0; grain < COUNT_OF(class_by_grain); grain++) {
        while (shapes[class].size < grain * GRAIN || shapes[class].size < BLOCK_MIN) class ++;
        class_by_grain[grain] = (uint8_t) class;
    }
}

static inline unsigned class_for(size_t size) { return class_by_grain[(size + GRAIN - 1) / GRAIN]; }

/* Where in the range it is; at least range.bytes for every other address. */
static inline size_t place_of(const void *block) {
    return (size_t)((uintptr_t)block - (uintptr_t)range.base);
}

static inline uint8_t class_at(size_t place) {
    return atomic_load_explicit(&range.classes[place / SLAB_BYTES], memory_order_relaxed);
}

static size_t number_of(const struct slab *s) { return (size_t)(s - range.records); }
static char *address_of(const struct slab *s) { return range.base + number_of(s) * SLAB_BYTES; }
static void set_class(const struct slab *s, unsigned class) {
    atomic_store_explicit(&range.classes[number_of(s)], (uint8_t) class, memory_order_relaxed);
}
static unsigned class_of(const struct slab *s) {
    return atomic_load_explicit(&range.classes[number_of(s)], memory_order_relaxed) & (CONDEMNED - 1u);
}
static bool is_condemned(const struct slab *s) { return class_at(number_of(s) * SLAB_BYTES) & CONDEMNED; }
static size_t used_in(const struct slab *s) { return (size_t)s->cut - s->returned; }

/* ---- reserving ---- */

static void *map(size_t bytes, int protection) {
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void *at = mmap(NULL, bytes, protection, flags, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

/* The first slab begins at a multiple of SLAB_BYTES, which may cost one slab. */
static bool reserve(size_t bytes) {
    char *at = map(bytes, PROT_NONE);
    if (!at) return false;
    size_t skip = -(uintptr_t)at & (SLAB_BYTES - 1), slabs = (bytes - skip) / SLAB_BYTES;
    void *classes = map(slabs, PROT_READ | PROT_WRITE);
    void *records = map(slabs * sizeof(struct slab), PROT_READ | PROT_WRITE);
    if (!classes || !records) {
        munmap(at, bytes);
        if (classes) munmap(classes, slabs);
        if (records) munmap(records, slabs * sizeof(struct slab));
        return false;
    }
    /* Huge pages would be resident as a whole, and what was given back would come again by itself. */
    if (madvise(at, bytes, MADV_NOHUGEPAGE) != 0) LOG_DEBUG("The system knows nothing of huge pages");
    range.classes = classes;
    range.records = records;
    range.slabs = slabs;
    range.base = at + skip;
    range.bytes = slabs * SLAB_BYTES;
    return true;
}

bool slab_init(size_t bytes) {
    if (range.bytes) return true;
    fill_tables();
    while (bytes >= RESERVE_MIN && !reserve(bytes)) bytes /= 2;
    return range.bytes > 0;
}

bool slab_is_on(void) { return range.bytes > 0; }

size_t slab_reserve_by_default(void) {
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    size_t bytes = RESERVE_MIN, memory = pages > 0 && size > 0 ? (size_t)pages * (size_t)size : 0;
    while (bytes < 2 * memory) bytes *= 2;
    return bytes;
}

void slab_release(void) {
    if (!range.bytes) return;
    assert(!stock);
    for (size_t class = 0; class < CLASSES; class ++) assert(depot.classes[class].used == 0);
    munmap(range.base, range.bytes);
    munmap(range.classes, range.slabs);
    munmap(range.records, range.slabs * sizeof(struct slab));
    memset(&range, 0, sizeof range);
    memset(depot.classes, 0, sizeof depot.classes);
    depot.dirty = depot.clean = (struct chain){ 0 };
    depot.dirty_slabs = depot.clean_slabs = depot.committed = depot.begun = 0;
    depot.active_pages = depot.resident_pages = 0;
}

/* ---- slabs: under the lock ---- */

static void bin_leave(struct class *c, struct slab *s) {
    if (s->bin == NO_BIN) return;
    chain_remove(&c->bins[s->bin], &s->in_list);
    if (chain_is_empty(&c->bins[s->bin])) c->occupied &= ~(1u << s->bin);
    s->bin = NO_BIN;
}

/* Puts the slab where it belongs by how full it is now. */
static void bin_settle(struct class *c, struct slab *s, const struct shape *shape) {
    size_t used = used_in(s);
    uint8_t bin = used == shape->capacity ? NO_BIN : (uint8_t)(used * shape->bin_scale >> 16);
    if (bin == s->bin) return;
    bin_leave(c, s);
    if (bin == NO_BIN) return;
    chain_insert_first(&c->bins[bin], &s->in_list);
    c->occupied |= 1u << bin;
    s->bin = bin;
}

static size_t pages_cut(const struct slab *s, const struct shape *shape) {
    return (shape->head + (size_t)s->cut * shape->size + PAGE - 1) / PAGE;
}

/* An empty slab: one that is resident first. NULL if the range is used up, or the system refuses. */
static struct slab *find_empty(void) {
    struct chain *from = chain_is_empty(&depot.dirty) ? &depot.clean : &depot.dirty;
    struct slab *s = CHAIN_FIRST(from, struct slab, in_list);
    if (s) {
        chain_remove(from, &s->in_list);
        *(from == &depot.dirty ? &depot.dirty_slabs : &depot.clean_slabs) -= 1;
        return s;
    }
    if (depot.begun == depot.committed) {
        size_t more = range.slabs - depot.committed;
        if (more > COMMIT_SLABS) more = COMMIT_SLABS;
        char *at = range.base + depot.committed * SLAB_BYTES;
        if (more == 0 || mprotect(at, more * SLAB_BYTES, PROT_READ | PROT_WRITE) != 0) return NULL;
        depot.committed += more;
    }
    return &range.records[depot.begun++];
}

/* As many pages of the slab are in use now, `more` of them since just now. */
static void note_pages(struct slab *s, size_t pages, size_t more) {
    depot.active_pages += more;
    if (pages <= s->pages) return;
    depot.resident_pages += pages - s->pages;
    s->pages = (uint8_t)pages;
}

static struct slab *slab_begin(unsigned class) {
    struct slab *s = find_empty();
    if (!s) return NULL;
    s->cut = s->returned = s->first_word = 0;
    s->bin = NO_BIN;
    set_class(s, class);
    memset(address_of(s), 0, shapes[class].head);
    size_t pages = pages_cut(s, &shapes[class]);
    note_pages(s, pages, pages);
    depot.classes[class].slabs++;
    return s;
}

/* The last block came back. */
static void slab_emptied(struct class *c, struct slab *s, const struct shape *shape) {
    if (is_condemned(s)) {
        chain_remove(&c->condemned, &s->in_list);
        c->condemned_slabs--;
    } else {
        bin_leave(c, s);
        c->slabs--;
    }
    depot.active_pages -= pages_cut(s, shape);
    chain_insert_first(&depot.dirty, &s->in_list);
    depot.dirty_slabs++;
}

/* Takes up to `want` blocks out of the slab. */
static size_t slab_take(struct slab *s, const struct shape *shape, void **out, size_t want) {
    char *base = address_of(s), *first = base + shape->head;
    uint64_t *map_of_free = (uint64_t *)(void *)base;
    size_t got = 0, before = pages_cut(s, shape);
    while (got < want && s->returned > 0) {
        uint64_t *word = &map_of_free[s->first_word];
        if (*word == 0) {
            s->first_word++;
            continue;
        }
        size_t index = (size_t)s->first_word * 64 + (size_t)__builtin_ctzll(*word);
        *word &= *word - 1;
        s->returned--;
        out[got++] = first + index * shape->size;
    }
    while (got < want && s->cut < shape->capacity) out[got++] = first + (size_t)s->cut++ * shape->size;
    size_t now = pages_cut(s, shape);
    note_pages(s, now, now - before);
    return got;
}

/* Up to `want` blocks of a class; fewer, or none, only if no slab is to be had. */
static size_t depot_take(unsigned class, void **out, size_t want) {
    struct class *c = &depot.classes[class];
    const struct shape *shape = &shapes[class];
    size_t got = 0;
    while (got < want) {
        struct slab *s = NULL;
        if (c->occupied)
            s = CHAIN_FIRST(&c->bins[31 - __builtin_clz(c->occupied)], struct slab, in_list);
        else
            s = slab_begin(class);
        if (!s) break;
        got += slab_take(s, shape, out + got, want - got);
        bin_settle(c, s, shape);
    }
    c->used += got;
    return got;
}

static void depot_give(void *block) {
    struct slab *s = &range.records[place_of(block) / SLAB_BYTES];
    unsigned class = class_of(s);
    struct class *c = &depot.classes[class];
    const struct shape *shape = &shapes[class];
    char *base = address_of(s);
    size_t offset = (size_t)((char *)block - base) - shape->head;
    size_t index = (size_t)((uint64_t)offset * shape->inverse >> 32);
    uint64_t *word = (uint64_t *)(void *)base + index / 64, bit = (uint64_t)1 << index % 64;
    assert(index * shape->size == offset && index < s->cut && !(*word & bit)); /* else it was freed already */
    *word |= bit;
    if (index / 64 < s->first_word) s->first_word = (uint16_t)(index / 64);
    s->returned++;
    c->used--;
    if (s->returned == s->cut)
        slab_emptied(c, s, shape);
    else if (!is_condemned(s))
        bin_settle(c, s, shape);
}

static void depot_give_all(void **blocks, size_t count) {
    lock_take(&depot.lock);
    for (size_t i = 0; i < count; i++) depot_give(blocks[i]);
    lock_drop(&depot.lock);
}

/* ---- what threads have at hand ---- */

bool slab_thread_begin(void) {
    if (stock || !range.bytes) return false;
    stock = mem_alloc(sizeof *stock + magazine_total * sizeof(void *));
    void **at = stock->blocks;
    for (size_t class = 0; class < CLASSES; class ++) {
        stock->magazines[class] = (struct magazine){ at, 0, shapes[class].magazine };
        at += shapes[class].magazine;
    }
    return true;
}

void slab_thread_flush(void) {
    if (!stock) return;
    for (size_t class = 0; class < CLASSES; class ++) {
        struct magazine *m = &stock->magazines[class];
        if (m->count > 0) depot_give_all(m->blocks, m->count);
        m->count = 0;
    }
}

void slab_thread_end(void) {
    slab_thread_flush();
    mem_free(stock);
    stock = NULL;
}

/* Half, so that neither an allocation nor a free that follows takes the lock again. */
static __attribute__((noinline)) bool refill(struct magazine *m, unsigned class) {
    lock_take(&depot.lock);
    m->count = (uint32_t)depot_take(class, m->blocks, (m->limit + 1) / 2);
    lock_drop(&depot.lock);
    return m->count > 0;
}

/* Gives the blocks away that were at hand longest: the others are likelier to be in the processor's cache. */
static __attribute__((noinline)) void drain(struct magazine *m) {
    uint32_t half = (m->limit + 1) / 2;
    depot_give_all(m->blocks, half);
    m->count -= half;
    memmove(m->blocks, m->blocks + half, m->count * sizeof(void *));
}

/* ---- allocating ---- */

static RARE void *alloc_slowly(size_t size) {
    void *block = NULL;
    if (!range.bytes || size > SLAB_BLOCK_MAX) return mem_alloc(size);
    lock_take(&depot.lock);
    size_t got = depot_take(class_for(size), &block, 1);
    lock_drop(&depot.lock);
    if (got == 0) return mem_alloc(size);
    mem_count((int64_t)shapes[class_for(size)].size);
    return block;
}

void *slab_alloc(size_t size) {
    struct stock *own = stock;
    if (UNLIKELY(!own || size > SLAB_BLOCK_MAX)) return alloc_slowly(size);
    unsigned class = class_for(size);
    struct magazine *m = &own->magazines[class];
    if (UNLIKELY(m->count == 0) && !refill(m, class)) return mem_alloc(size);
    void *block = m->blocks[--m->count];
    mem_count((int64_t)shapes[class].size);
    return block;
}

static RARE void free_slowly(void *block, struct magazine *m) {
    if (m)
        drain(m);
    else
        depot_give_all(&block, 1);
}

void slab_free(void *block) {
    size_t place = place_of(block);
    if (UNLIKELY(place >= range.bytes)) {
        mem_free(block);
        return;
    }
    struct stock *own = stock;
    unsigned class = class_at(place);
    mem_count(-(int64_t)shapes[class % CONDEMNED].size);
    if (UNLIKELY(!own || class >= CONDEMNED)) {
        free_slowly(block, NULL);
        return;
    }
    struct magazine *m = &own->magazines[class];
    if (UNLIKELY(m->count == m->limit)) free_slowly(NULL, m);
    m->blocks[m->count++] = block;
}

size_t slab_size(const void *block) {
    size_t place = place_of(block);
    return LIKELY(place < range.bytes) ? shapes[class_at(place) % CONDEMNED].size : mem_size(block);
}

size_t slab_good_size(size_t size) {
    return LIKELY(range.bytes && size <= SLAB_BLOCK_MAX) ? shapes[class_for(size)].size : mem_good_size(size);
}

void *slab_realloc(void *block, size_t size) {
    bool stays_outside = place_of(block) >= range.bytes && (!range.bytes || size > SLAB_BLOCK_MAX);
    if (stays_outside) return mem_realloc(block, size);
    size_t before = slab_size(block);
    if (slab_good_size(size) == before) return block;
    void *fresh = memcpy(slab_alloc(size), block, size < before ? size : before);
    slab_free(block);
    return fresh;
}

/* ---- giving back ---- */

static size_t empty_to_keep(void) {
    size_t in_use = depot.begun - depot.dirty_slabs - depot.clean_slabs;
    return EMPTY_KEPT + in_use / EMPTY_SHARE;
}

/* One empty slab at a time, because the system call takes long. False if no more than `keep` are left. */
static bool give_one_back(bool all) {
    lock_take(&depot.lock);
    size_t keep = all ? 0 : empty_to_keep();
    struct slab *s = depot.dirty_slabs > keep ? CHAIN_LAST(&depot.dirty, struct slab, in_list) : NULL;
    if (s) {
        chain_remove(&depot.dirty, &s->in_list);
        depot.dirty_slabs--;
    }
    lock_drop(&depot.lock);
    if (!s) return false;
    bool given = madvise(address_of(s), SLAB_BYTES, MADV_DONTNEED) == 0;
    lock_take(&depot.lock);
    if (given) {
        depot.resident_pages -= s->pages;
        s->pages = 0;
    }
    chain_insert_first(&depot.clean, &s->in_list); /* also if not: else it would be tried again and again */
    depot.clean_slabs++;
    lock_drop(&depot.lock);
    if (!given) LOG_WARNING("The system refused to take %zu bytes of memory back", SLAB_BYTES);
    return true;
}

bool slab_wants_trim(void) {
    lock_take(&depot.lock);
    bool wants = depot.dirty_slabs > empty_to_keep();
    lock_drop(&depot.lock);
    return wants;
}

size_t slab_trim(size_t max) {
    size_t given = 0;
    while (range.bytes && given < max && give_one_back(false)) given++;
    return given;
}

void slab_purge(void) {
    while (range.bytes && give_one_back(true)) continue;
}

/* ---- compaction ---- */

/* How many slabs of the class could go if its blocks lay close together. */
static size_t surplus(const struct class *c, const struct shape *shape) {
    if (c->slabs == 0) return 0; /* where nothing is reserved, there are no shapes either */
    size_t blocks = c->used + c->used / SPARE_SHARE;
    size_t needed = (blocks + shape->capacity - 1) / shape->capacity + SPARE_SLABS;
    return c->slabs > needed + c->slabs / WORTH_SHARE ? c->slabs - needed : 0;
}

size_t slab_surplus(void) {
    size_t slabs = 0;
    lock_take(&depot.lock);
    for (size_t class = 0; class < CLASSES; class ++) slabs += surplus(&depot.classes[class], &shapes[class]);
    lock_drop(&depot.lock);
    return slabs * SLAB_BYTES;
}

static size_t condemn_in(unsigned class, size_t max) {
    struct class *c = &depot.classes[class];
    size_t wanted = surplus(c, &shapes[class]), done = 0;
    for (; done < wanted && done < max && c->occupied; done++) {
        struct slab *s = CHAIN_FIRST(&c->bins[__builtin_ctz(c->occupied)], struct slab, in_list);
        bin_leave(c, s);
        chain_insert_last(&c->condemned, &s->in_list);
        set_class(s, class | CONDEMNED);
        c->slabs--;
        c->condemned_slabs++;
    }
    return done;
}

size_t slab_condemn(size_t max) {
    size_t done = 0;
    lock_take(&depot.lock);
    for (unsigned class = 0; class < CLASSES && done < max; class ++) done += condemn_in(class, max - done);
    lock_drop(&depot.lock);
    return done;
}

bool slab_is_condemned(const void *block) {
    size_t place = place_of(block);
    if (LIKELY(place < range.bytes)) return class_at(place) & CONDEMNED;
    return !range.bytes && (uint64_t)(uintptr_t)block * 0x9e3779b97f4a7c15ULL >> 62 == 0;
}

void *slab_move(void *block) {
    size_t size = slab_size(block);
    void *fresh = memcpy(slab_alloc(size), block, size);
    slab_free(block);
    return fresh;
}

size_t slab_reprieve(void) {
    size_t count = 0;
    lock_take(&depot.lock);
    for (unsigned class = 0; class < CLASSES; class ++) {
        struct class *c = &depot.classes[class];
        CHAIN_EACH(&c->condemned, struct slab, in_list, s) {
            chain_remove(&c->condemned, &s->in_list);
            set_class(s, class);
            c->condemned_slabs--;
            c->slabs++;
            count++;
            bin_settle(c, s, &shapes[class]);
        }
    }
    lock_drop(&depot.lock);
    return count;
}

/* ---- what there is ---- */

void slab_stats(struct slab_stats *out) {
    *out = (struct slab_stats){ 0 };
    lock_take(&depot.lock);
    for (size_t class = 0; class < CLASSES; class ++) {
        const struct class *c = &depot.classes[class];
        out->allocated += c->used * shapes[class].size;
        out->slabs += c->slabs + c->condemned_slabs;
        out->condemned += c->condemned_slabs;
    }
    out->active = depot.active_pages * PAGE;
    out->resident = depot.resident_pages * PAGE;
    out->empty = depot.dirty_slabs;
    lock_drop(&depot.lock);
}

void slab_report(void (*write)(void *arg, const char *text), void *arg) {
    char line[160];
    struct slab_stats all;
    slab_stats(&all);
    snprintf(line, sizeof line,
             "Slabs: %zu in use, %zu condemned, %zu empty; allocated %zu, active %zu, resident %zu\n",
             all.slabs, all.condemned, all.empty, all.allocated, all.active, all.resident);
    write(arg, line);
    for (size_t class = 0; class < CLASSES; class ++) {
        lock_take(&depot.lock);
        struct class c = depot.classes[class];
        lock_drop(&depot.lock);
        size_t slabs = c.slabs + c.condemned_slabs;
        if (slabs == 0) continue;
        snprintf(line, sizeof line, "  size %4u: %10zu blocks in %8zu slabs, %3zu%% full\n",
                 shapes[class].size, c.used, slabs, c.used * 100 / (slabs * shapes[class].capacity));
        write(arg, line);
    }
}

static size_t check_slab(const struct slab *s, const struct shape *shape) {
    const uint64_t *bits = (const uint64_t *)(const void *)address_of(s);
    size_t free = 0;
    for (size_t i = 0; i < shape->head / sizeof *bits; i++) {
        assert(i >= s->first_word || bits[i] == 0);
        free += (size_t)__builtin_popcountll(bits[i]);
    }
    assert(free == s->returned && s->returned < s->cut && s->cut <= shape->capacity);
    return used_in(s);
}

void slab_check(void) {
    lock_take(&depot.lock);
    for (unsigned class = 0; class < CLASSES; class ++) {
        struct class *c = &depot.classes[class];
        const struct shape *shape = &shapes[class];
        size_t used = 0, slabs = 0, condemned = 0;
        for (unsigned bin = 0; bin < BINS; bin++) {
            assert(!(c->occupied >> bin & 1) == chain_is_empty(&c->bins[bin]));
            CHAIN_EACH(&c->bins[bin], struct slab, in_list, s) {
                assert(class_of(s) == class && !is_condemned(s) && s->bin == bin);
                assert(used_in(s) * shape->bin_scale >> 16 == bin);
                used += check_slab(s, shape);
                slabs++;
            }
        }
        CHAIN_EACH(&c->condemned, struct slab, in_list, s) {
            assert(class_of(s) == class && is_condemned(s));
            used += check_slab(s, shape);
            condemned++;
        }
        assert(slabs <= c->slabs && condemned == c->condemned_slabs);
        assert(used + (c->slabs - slabs) * shape->capacity == c->used); /* the others are full */
    }
    lock_drop(&depot.lock);
}
