/* transfer.c: see transfer.h.
 *
 * A tape keeps nothing by itself here: what it holds is what the slowest replica has not been sent. So its
 * memory tells when the snapshot must wait. */
#include "trivet/engine/replication/transfer.h"
#include "trivet/base/file.h"
#include "trivet/base/lock.h"
#include "trivet/base/mem.h"
#include "trivet/base/random.h"
#include "trivet/engine/turn/turn.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define AHEAD_MAX ((size_t)8 * 1024 * 1024) /* bytes that wait for the slowest replica */
#define WAIT_US 200
#define MARK_CHARS 40

enum filling { IS_FILLED, IS_WHOLE, IS_BROKEN };

struct transfer {
    struct chain_link in_list;
    atomic_uint references;
    atomic_uint replicas; /* that receive it */
    _Atomic enum filling filling;
    bool is_streamed; /* by the tape, which its readers may not ask, as it grows; else the file below */
    struct tape tape;
    char mark[MARK_CHARS + 1];
    char header[64]; /* of the file */
    size_t header_len;
    char *file; /* mapped */
    size_t file_len;
};

/* All that exist: at most one is being filled, others wait for their replicas. */
static struct {
    struct lock lock;
    struct chain all;
} list = { .lock = LOCK_INIT(LOCK_RANK_LEAF) };

static struct transfer *new (void) {
    struct transfer *t = mem_alloc_zero(sizeof *t);
    atomic_init(&t->references, 1);
    lock_take(&list.lock);
    chain_insert_last(&list.all, &t->in_list);
    lock_drop(&list.lock);
    return t;
}

size_t transfers_memory(void) {
    size_t sum = 0;
    lock_take(&list.lock);
    CHAIN_EACH(&list.all, struct transfer, in_list, t) sum += tape_memory(&t->tape);
    lock_drop(&list.lock);
    return sum;
}

struct transfer *transfer_ref(struct transfer *t) {
    atomic_fetch_add(&t->references, 1);
    return t;
}

void transfer_unref(struct transfer *t) {
    if (!t || atomic_fetch_sub(&t->references, 1) > 1) return;
    lock_take(&list.lock);
    chain_remove(&list.all, &t->in_list);
    lock_drop(&list.lock);
    if (t->is_streamed) tape_close(&t->tape);
    if (t->file) munmap(t->file, t->file_len);
    mem_free(t);
}

struct transfer *transfer_new(void) {
    struct transfer *t = new ();
    t->is_streamed = true;
    tape_open(&t->tape, 0);
    random_hex(t->mark, MARK_CHARS);
    tape_append(&t->tape, LIT("$EOF:"));
    tape_append(&t->tape, slice_make(t->mark, MARK_CHARS));
    tape_append(&t->tape, LIT("\r\n"));
    return t;
}

/* Maps the file; false with errno. */
static bool map_file(struct transfer *t, int fd) {
    struct stat facts;
    if (fstat(fd, &facts) != 0) return false;
    t->file_len = (size_t)facts.st_size;
    void *at = mmap(NULL, t->file_len, PROT_READ, MAP_PRIVATE, fd, 0);
    if (at == MAP_FAILED) return false;
    t->file = at;
    return true;
}

struct transfer *transfer_of_file(int fd, struct buf *error) {
    struct transfer *t = new ();
    atomic_init(&t->filling, IS_WHOLE);
    bool mapped = map_file(t, fd);
    if (!mapped) buf_printf(error, "cannot read the RDB file: %s", file_errno_text(errno));
    t->header_len = (size_t)snprintf(t->header, sizeof t->header, "$%zu\r\n", t->file_len);
    if (mapped) return t;
    transfer_unref(t);
    return NULL;
}

void transfer_attach(struct transfer *t, struct replica *r) {
    assert(!r->transfer);
    if (t->is_streamed) {
        bool there = tape_read_from(&t->tape, &r->rdb, 0);
        assert(there);
    }
    r->transfer = transfer_ref(t);
    atomic_fetch_add(&t->replicas, 1);
    atomic_store(&r->rdb_sent, 0);
    atomic_store(&r->rdb_moved_ms, turn_now_ms);
}

void transfer_detach(struct replica *r) {
    struct transfer *t = r->transfer;
    if (!t) return;
    tape_reader_close(&r->rdb);
    r->transfer = NULL;
    atomic_fetch_sub(&t->replicas, 1);
    transfer_unref(t);
}

/* ---- filling it ---- */

void transfer_put(struct transfer *t, struct slice bytes) {
    tape_append(&t->tape, bytes);
    tape_trim(&t->tape, tape_end(&t->tape));
    replicas_wake();
}

static bool is_wanted(struct transfer *t) {
    return atomic_load(&t->replicas) > 0 && atomic_load(&t->filling) != IS_BROKEN;
}

bool transfer_wait(struct transfer *t) {
    while (tape_memory(&t->tape) > AHEAD_MAX && is_wanted(t)) usleep(WAIT_US);
    return is_wanted(t);
}

void transfer_finish(struct transfer *t) {
    tape_append(&t->tape, slice_make(t->mark, MARK_CHARS));
    atomic_store(&t->filling, IS_WHOLE);
    replicas_wake();
}

void transfer_fail(struct transfer *t) {
    atomic_store(&t->filling, IS_BROKEN);
    replicas_wake();
}

/* ---- reading it ---- */

enum transfer_next transfer_look(const struct replica *r) {
    struct transfer *t = r->transfer;
    enum filling filling = atomic_load(&t->filling); /* before the look at the end */
    if (filling == IS_BROKEN) return TRANSFER_BROKEN;
    uint64_t end = t->is_streamed ? tape_end(&t->tape) : t->header_len + t->file_len;
    if (atomic_load_explicit(&r->rdb_sent, memory_order_relaxed) < end) return TRANSFER_HAS_BYTES;
    return filling == IS_WHOLE ? TRANSFER_DONE : TRANSFER_WAITS;
}

static int file_vectors(const struct transfer *t, uint64_t sent, struct iovec *vectors, int max) {
    int count = 0;
    if (sent < t->header_len) {
        vectors[count++] = (struct iovec){ unconst(t->header + sent), t->header_len - (size_t)sent };
        sent = t->header_len;
    }
    size_t at = (size_t)sent - t->header_len;
    if (count < max && at < t->file_len) vectors[count++] = (struct iovec){ t->file + at, t->file_len - at };
    return count;
}

int transfer_vectors(const struct replica *r, struct iovec *vectors, int max) {
    struct transfer *t = r->transfer;
    if (t->is_streamed) return tape_vectors(&r->rdb, tape_end(&t->tape), vectors, max);
    return file_vectors(t, atomic_load_explicit(&r->rdb_sent, memory_order_relaxed), vectors, max);
}

void transfer_advance(struct replica *r, size_t bytes) {
    if (r->transfer->is_streamed) tape_advance(&r->rdb, bytes);
    atomic_fetch_add_explicit(&r->rdb_sent, bytes, memory_order_relaxed);
    atomic_store_explicit(&r->rdb_moved_ms, turn_now_ms, memory_order_relaxed);
}

bool transfer_wants_acknowledgement(const struct transfer *t) { return t->is_streamed; }
