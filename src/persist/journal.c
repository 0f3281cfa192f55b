/* journal.c: the order of writes, as bytes in memory.
 *
 * One buffer takes the effects of all workers, each command's in one memcpy under the journal's lock, so
 * the order of the bytes is the order in which the keys' locks were held. The sink swaps the buffer for an
 * empty one and writes without that lock, so appending never waits for a disk.
 *
 * With one worker the lock is skipped: only that worker appends and commits. (The AOF's sync thread reads
 * offsets, never the buffer.) */
#include "trivet/base/lock.h"
#include "trivet/base/number.h"
#include "trivet/base/thread.h"
#include "trivet/persist/journal_sink.h"

#define WIRE_KEPT (256 * 1024) /* a worker's effects above this size give their memory back */
#define SELECT_MAX 64          /* bytes of a SELECT on the wire */
#define NO_DB UINT32_MAX

bool journal_on;

static struct lock journal_lock = LOCK_INIT(LOCK_RANK_JOURNAL);
static struct buf bytes;            /* under journal_lock: what no sink has taken yet */
static uint32_t current_db = NO_DB; /* under journal_lock: the database of the last effect */
static _Atomic uint64_t offset_now; /* written under journal_lock, read by anybody */

static void journal_take(void) UNCHECKED;
static void journal_take(void) {
    if (thread_is_parallel()) lock_take(&journal_lock);
}

static void journal_drop(void) UNCHECKED;
static void journal_drop(void) {
    if (thread_is_parallel()) lock_drop(&journal_lock);
}

/* ---- effects ---- */

/* "*3\r\n" or "$11\r\n". */
static char *put_length(char *at, char mark, size_t n) {
    *at++ = mark;
    at += uint64_format(at, n);
    *at++ = '\r';
    *at++ = '\n';
    return at;
}

void wire_command(struct buf *out, const struct slice *argv, size_t argc) {
    size_t most = INT64_TEXT_MAX + 3;
    for (size_t i = 0; i < argc; i++) most += argv[i].len + INT64_TEXT_MAX + 5;
    char *at = put_length(buf_reserve(out, most), '*', argc);
    for (size_t i = 0; i < argc; i++) {
        at = put_length(at, '$', argv[i].len);
        if (argv[i].len > 0) memcpy(at, argv[i].ptr, argv[i].len);
        at += argv[i].len;
        *at++ = '\r';
        *at++ = '\n';
    }
    out->len = (size_t)(at - out->ptr);
}

static void wire_select(struct buf *out, uint32_t db) {
    char digits[INT64_TEXT_MAX];
    struct slice argv[2] = { LIT("SELECT"), { digits, uint64_format(digits, db) } };
    wire_command(out, argv, 2);
}

void effects_add(struct effects *e, uint32_t db, const struct slice *argv, size_t argc) {
    assert(argc > 0 && db != NO_DB);
    if (e->count == 0)
        e->first_db = db;
    else if (e->last_db != db)
        wire_select(&e->wire, db);
    e->last_db = db;
    e->count++;
    wire_command(&e->wire, argv, argc);
}

void effects_release(struct effects *e) {
    buf_release(&e->wire);
    *e = (struct effects){ 0 };
}

static void effects_empty(struct effects *e) {
    if (e->wire.room > WIRE_KEPT) buf_release(&e->wire);
    e->wire.len = 0;
    e->count = 0;
}

/* ---- the journal ---- */

uint64_t journal_append(struct effects *e) {
    if (e->count == 0) return journal_offset();
    if (!journal_on) {
        /* A transaction turned the journal off after its first writes: no sink is left to take them. */
        effects_empty(e);
        return journal_offset();
    }
    bool several = e->count > 1;
    journal_take();
    size_t before = bytes.len;
    buf_reserve(&bytes, e->wire.len + SELECT_MAX + sizeof "*1\r\n$5\r\nMULTI\r\n*1\r\n$4\r\nEXEC\r\n");
    if (e->first_db != current_db) wire_select(&bytes, e->first_db);
    if (several) buf_append(&bytes, LIT("*1\r\n$5\r\nMULTI\r\n"));
    buf_append(&bytes, buf_slice(&e->wire));
    if (several) buf_append(&bytes, LIT("*1\r\n$4\r\nEXEC\r\n"));
    current_db = e->last_db;
    uint64_t after = atomic_load_explicit(&offset_now, memory_order_relaxed) + (bytes.len - before);
    atomic_store_explicit(&offset_now, after, memory_order_release);
    journal_drop();
    effects_empty(e);
    return after;
}

uint64_t journal_offset(void) { return atomic_load_explicit(&offset_now, memory_order_acquire); }

uint64_t journal_swap(struct buf *empty) {
    assert(empty->len == 0);
    journal_take();
    struct buf full = bytes;
    bytes = *empty;
    uint64_t end = atomic_load_explicit(&offset_now, memory_order_relaxed);
    journal_drop();
    *empty = full;
    return end;
}

void journal_restart(void) {
    journal_take();
    buf_release(&bytes);
    current_db = NO_DB;
    journal_drop();
}

void journal_forget_database(void) {
    journal_take();
    current_db = NO_DB;
    journal_drop();
}
