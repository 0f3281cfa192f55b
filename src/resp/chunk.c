/* chunk.c: the chain of chunks behind a reply: adding, sending and joining.
 *
 * Each thread keeps a short list of full-sized chunks. So a connection whose output is sent each time takes
 * the same warm chunk again and again, without the allocator. Where none is left, because many connections
 * get something in one turn, a chain begins small and doubles: a thousand full chunks for a thousand short
 * messages would be memory that no cache holds, and that comes from the kernel anew each time. After a chunk
 * that cannot grow (a shared blob, a header still open) comes a small one first: a thousand blobs with a few
 * bytes between them must not cost a thousand full chunks. */
#include "chunk.h"
#include "trivet/base/counter.h"
#include "trivet/base/mem.h"
#include "trivet/base/thread.h"

#define SPARE_MAX 16 /* full chunks a thread keeps: 256 KiB */

static _Thread_local struct chain spares;
static _Thread_local unsigned spare_count;
/* Full chunks made to become spares: no more than it keeps. Where a reply took some of them to another
 * thread, the next long replies leave others. */
static _Thread_local unsigned made_count;

/* By worker; other threads share the first. */
static struct block_counts { atomic_uint_fast64_t taken, returned; } CACHE_ALIGNED block_counts[WORKERS_MAX];

static struct block_counts *counts_mine(void) {
    int worker = thread_worker_index;
    return &block_counts[worker < 0 ? 0 : worker];
}

struct reply_blocks reply_blocks_sum(void) {
    struct reply_blocks sum = { 0 };
    for (int i = 0; i < WORKERS_MAX; i++) {
        sum.taken += counter_read(&block_counts[i].taken);
        sum.returned += counter_read(&block_counts[i].returned);
    }
    return sum;
}

void reply_blocks_reset(void) {
    for (int i = 0; i < WORKERS_MAX; i++) {
        counter_clear(&block_counts[i].taken);
        counter_clear(&block_counts[i].returned);
    }
}

void reply_init(struct reply *r, uint8_t protocol) {
    assert(protocol == 2 || protocol == 3);
    *r = (struct reply){ .protocol = protocol };
}

static struct chunk *take_spare(void) {
    struct chunk *c = CHAIN_FIRST(&spares, struct chunk, in_chain);
    if (!c) return NULL;
    chain_remove(&spares, &c->in_chain);
    spare_count--;
    return c;
}

void reply_thread_release(void) {
    for (struct chunk *c; (c = take_spare());) mem_free(c);
    assert(spare_count == 0);
    made_count = 0;
}

static struct chunk *new_full_chunk(void) {
    struct chunk *c = take_spare();
    return c ? c : mem_alloc(REPLY_CHUNK);
}

/* A full chunk is at hand, or may be made to be at hand from now on. */
static bool has_full_chunk(void) {
    if (LIKELY(spare_count > 0)) return true;
    if (made_count == SPARE_MAX) return false;
    made_count++;
    return true;
}

static void free_chunk(struct chunk *c) {
    COUNTER_ADD(counts_mine()->returned, 1);
    blob_unref(c->blob);
    if (c->size == REPLY_CHUNK && !c->blob && spare_count < SPARE_MAX) {
        chain_insert_first(&spares, &c->in_chain);
        spare_count++;
        return;
    }
    mem_free(c);
}

/* ---- The chain ---- */

static void append(struct reply *r, struct chunk *c) {
    COUNTER_ADD(counts_mine()->taken, 1);
    c->in_chain = (struct chain_link){ 0 };
    chain_insert_last(&r->chain, &c->in_chain);
    r->chunks++;
    r->memory += c->size;
    if (c->blob) r->shared += c->size;
    if (UNLIKELY(r->memory_max != 0 && r->memory > r->memory_max)) r->full = r->muted = true;
}

static void unlink_chunk(struct reply *r, struct chunk *c) {
    chain_remove(&r->chain, &c->in_chain);
    r->chunks--;
    r->memory -= c->size;
    if (c->blob) r->shared -= c->size;
    free_chunk(c);
}

void reply_release(struct reply *r) {
    CHAIN_EACH(&r->chain, struct chunk, in_chain, c) unlink_chunk(r, c);
    r->sent = 0;
    r->bytes = 0;
    assert(r->chunks == 0 && r->memory == 0 && r->shared == 0);
}

static bool cannot_grow(const struct chunk *c) { return c->blob || c->room == 0; }

/* Of a new last chunk. */
static size_t room_for(const struct reply *r, size_t need) {
    const struct chunk *last = chunk_last(r);
    if (need > CHUNK_FULL_ROOM) return need;
    if (last && cannot_grow(last) && need <= CHUNK_SMALL_ROOM) return CHUNK_SMALL_ROOM;
    if (LIKELY(has_full_chunk())) return CHUNK_FULL_ROOM;
    size_t size = last ? 2 * last->size : CHUNK_FIRST;
    while (size < sizeof(struct chunk) + need) size *= 2;
    return (size < REPLY_CHUNK ? size : REPLY_CHUNK) - sizeof(struct chunk);
}

char *chunk_add_text(struct reply *r, size_t need) {
    size_t room = room_for(r, need);
    size_t size = sizeof(struct chunk) + room;
    struct chunk *c = room == CHUNK_FULL_ROOM ? new_full_chunk() : mem_alloc(size);
    c->blob = NULL;
    c->len = 0;
    c->room = room;
    c->size = size;
    append(r, c);
    return c->bytes;
}

void chunk_add_shared(struct reply *r, struct blob *owned) {
    struct chunk *c = mem_alloc(sizeof *c);
    c->blob = owned;
    c->len = c->room = owned->len;
    c->size = sizeof *c + sizeof *owned + owned->room;
    append(r, c);
    r->bytes += c->len;
    r->total += c->len;
}

/* ---- Headers that come later ---- */

struct chunk *chunk_add_open(struct reply *r) {
    /* Room for the header in front, so that a short answer ends up as one piece. */
    struct chunk *before = chunk_last(r);
    if (!before || before->room - before->len < LENGTH_LINE_MAX) chunk_add_text(r, LENGTH_LINE_MAX);
    struct chunk *c = mem_alloc(sizeof *c + LENGTH_LINE_MAX);
    c->blob = NULL;
    c->len = 0;
    c->room = 0;
    c->size = sizeof *c + LENGTH_LINE_MAX;
    append(r, c);
    return c;
}

/* Moves the bytes of `c` to the end of the one before it if they fit there. */
static void join_to_previous(struct reply *r, struct chunk *c) {
    struct chunk *into = CHAIN_PREVIOUS(c, struct chunk, in_chain);
    if (!into || cannot_grow(into) || cannot_grow(c) || into->room - into->len < c->len) return;
    memcpy(into->bytes + into->len, c->bytes, c->len);
    into->len += c->len;
    unlink_chunk(r, c);
}

void chunk_close(struct reply *r, struct chunk *open, struct slice header) {
    assert(open->room == 0 && header.len <= LENGTH_LINE_MAX);
    memcpy(open->bytes, header.ptr, header.len);
    open->len = open->room = header.len;
    r->bytes += header.len;
    r->total += header.len;
    struct chunk *after = chunk_next(open);
    join_to_previous(r, open);
    if (after) join_to_previous(r, after);
}

/* ---- Sending ---- */

int reply_vectors(const struct reply *r, struct iovec *out, int max) {
    int count = 0;
    size_t skip = r->sent;
    for (struct chunk *c = chunk_first(r); c && count < max; c = chunk_next(c)) {
        char *bytes = c->blob ? c->blob->bytes : c->bytes;
        if (c->len > skip) out[count++] = (struct iovec){ bytes + skip, c->len - skip };
        skip = 0;
    }
    return count;
}

void reply_sent(struct reply *r, size_t count) {
    assert(count <= r->bytes);
    r->bytes -= count;
    while (count > 0) {
        struct chunk *first = chunk_first(r);
        size_t left = first->len - r->sent;
        if (count < left) {
            r->sent += count;
            return;
        }
        count -= left;
        r->sent = 0;
        unlink_chunk(r, first);
    }
    if (r->bytes == 0) reply_release(r);
}

struct reply_shape reply_shape(const struct reply *r) {
    const struct chunk *first = chunk_first(r);
    if (!first || first->blob)
        return (struct reply_shape){ .rest_blocks = r->chunks, .rest_memory = r->memory };
    return (struct reply_shape){ .first_size = first->size,
                                 .first_bytes = first->len - r->sent,
                                 .rest_blocks = r->chunks - 1,
                                 .rest_memory = r->memory - first->size };
}

/* ---- Moving ---- */

/* True if `from` is one text that fits into the last chunk of `r`: then a copy saves a chunk. */
static bool worth_copying(const struct reply *r, const struct reply *from) {
    const struct chunk *last = chunk_last(r);
    return last && !cannot_grow(last) && from->chunks == 1 && !chunk_first(from)->blob &&
           last->room - last->len >= from->bytes;
}

void reply_move(struct reply *r, struct reply *from) {
    assert(from->sent == 0);
    if (r->muted || from->bytes == 0) {
        reply_release(from);
        return;
    }
    if (worth_copying(r, from)) {
        reply_raw(r, slice_make(chunk_first(from)->bytes, from->bytes));
        reply_release(from);
        return;
    }
    chain_append(&r->chain, &from->chain);
    r->bytes += from->bytes;
    r->total += from->bytes;
    r->memory += from->memory;
    r->shared += from->shared;
    r->chunks += from->chunks;
    from->bytes = from->memory = from->shared = from->chunks = 0;
}
