/* tape.c: see tape.h.
 *
 * References of a block: one from the block before it, or from the tape if it is the oldest that the tape
 * keeps; and one from each reader that stands in it. A block that is freed gives up its reference to the
 * next one. So a chain of blocks lives from the first one that anybody needs to the last.
 *
 * A reader needs no lock: what lies before `end` does not change any more, and a block's `next` is set before
 * `end` moves past the block. */
#include "trivet/base/tape.h"
#include "trivet/base/mem.h"
#include <string.h>

#define BLOCK_BYTES ((size_t)64 * 1024)

struct tape_block {
    atomic_uint references;
    uint64_t start;                    /* position of its first byte */
    _Atomic(struct tape_block *) next; /* NULL: it is the last */
    char bytes[];
};
#define BLOCK_ROOM (BLOCK_BYTES - sizeof(struct tape_block))

static uint64_t end_of(const struct tape_block *b) { return b->start + BLOCK_ROOM; }

static struct tape_block *next_of(const struct tape_block *b) {
    return atomic_load_explicit(&b->next, memory_order_acquire);
}

static struct tape_block *block_new(struct tape *t, uint64_t start) {
    struct tape_block *b = mem_alloc(BLOCK_BYTES);
    atomic_init(&b->references, 1);
    atomic_init(&b->next, NULL);
    b->start = start;
    atomic_fetch_add_explicit(&t->blocks, 1, memory_order_relaxed);
    return b;
}

static void block_ref(struct tape_block *b) {
    atomic_fetch_add_explicit(&b->references, 1, memory_order_relaxed);
}

static void block_unref(struct tape *t, struct tape_block *b) {
    while (b && atomic_fetch_sub_explicit(&b->references, 1, memory_order_acq_rel) == 1) {
        struct tape_block *next = next_of(b);
        mem_free(b);
        atomic_fetch_sub_explicit(&t->blocks, 1, memory_order_relaxed);
        b = next;
    }
}

/* ---- the appender ---- */

void tape_open(struct tape *t, uint64_t start) {
    assert(!t->last);
    t->oldest = t->last = block_new(t, start);
    atomic_store_explicit(&t->end, start, memory_order_release);
}

void tape_close(struct tape *t) {
    block_unref(t, t->oldest);
    t->oldest = t->last = NULL;
    assert(atomic_load(&t->blocks) == 0);
}

void tape_append(struct tape *t, struct slice bytes) {
    uint64_t end = atomic_load_explicit(&t->end, memory_order_relaxed);
    while (bytes.len > 0) {
        struct tape_block *b = t->last;
        size_t used = (size_t)(end - b->start), room = BLOCK_ROOM - used;
        if (room == 0) {
            t->last = block_new(t, end);
            atomic_store_explicit(&b->next, t->last, memory_order_release);
            continue;
        }
        size_t some = bytes.len < room ? bytes.len : room;
        memcpy(b->bytes + used, bytes.ptr, some);
        bytes = slice_make(bytes.ptr + some, bytes.len - some);
        end += some;
    }
    atomic_store_explicit(&t->end, end, memory_order_release);
}

void tape_trim(struct tape *t, uint64_t keep_from) {
    struct tape_block *next;
    while (end_of(t->oldest) <= keep_from && (next = next_of(t->oldest)) != NULL) {
        struct tape_block *old = t->oldest;
        block_ref(next);
        t->oldest = next;
        block_unref(t, old);
    }
}

uint64_t tape_first(const struct tape *t) { return t->oldest->start; }

size_t tape_memory(const struct tape *t) {
    return atomic_load_explicit(&t->blocks, memory_order_relaxed) * BLOCK_BYTES;
}

/* ---- readers ---- */

bool tape_read_from(struct tape *t, struct tape_reader *r, uint64_t position) {
    assert(!r->block);
    if (position < tape_first(t) || position > tape_end(t)) return false;
    struct tape_block *b = t->oldest;
    while (end_of(b) <= position && next_of(b)) b = next_of(b);
    block_ref(b);
    *r = (struct tape_reader){ t, b, position };
    return true;
}

int tape_vectors(const struct tape_reader *r, uint64_t until, struct iovec *vectors, int max) {
    int count = 0;
    uint64_t at = r->at;
    const struct tape_block *b = r->block;
    assert(until <= tape_end(r->tape));
    while (at < until && count < max) {
        if (at == end_of(b)) b = next_of(b);
        uint64_t stop = end_of(b) < until ? end_of(b) : until;
        vectors[count++] = (struct iovec){ unconst(b->bytes + (at - b->start)), (size_t)(stop - at) };
        at = stop;
    }
    return count;
}

void tape_advance(struct tape_reader *r, size_t bytes) {
    r->at += bytes;
    assert(r->at <= tape_end(r->tape));
    struct tape_block *next;
    while (r->at >= end_of(r->block) && (next = next_of(r->block)) != NULL) {
        block_ref(next);
        block_unref(r->tape, r->block);
        r->block = next;
    }
}

void tape_reader_close(struct tape_reader *r) {
    if (r->block) block_unref(r->tape, r->block);
    *r = (struct tape_reader){ 0 };
}
