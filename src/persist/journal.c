/* journal.c: the order of writes, as bytes in memory.
 *
 * Effects are formatted by their worker, then copied in one piece under the journal's lock, so the order of
 * the bytes is the order in which the keys' locks were held. The bytes for the file are one buffer, which the
 * AOF swaps for an empty one and writes without that lock: appending never waits for a disk. The bytes for
 * replicas go on a tape (backlog.c).
 *
 * With one worker the lock is skipped: only that worker appends, commits and sends. (The AOF's sync thread
 * reads offsets, never the buffer.) */
#include "journal_private.h"
#include "trivet/base/lock.h"
#include "trivet/base/number.h"
#include "trivet/base/thread.h"
#include "trivet/persist/journal_sink.h"

#define WIRE_KEPT (256 * 1024) /* a worker's effects above this size give their memory back */

bool journal_on, effects_are_wanted, effects_apart_are_wanted;

static bool file_reads, replicas_read, followers_read;
static struct lock journal_lock = LOCK_INIT(LOCK_RANK_JOURNAL);
static struct buf bytes;            /* under journal_lock: what the file has not taken yet */
static uint32_t current_db = NO_DB; /* under journal_lock: the database of the file's last effect */
static size_t in_stream;            /* under journal_lock: see struct journal_piece */
static _Atomic uint64_t offset_now; /* written under journal_lock, read by anybody */

struct effects_range {
    size_t begin, end;
};

void journal_take(void) {
    if (thread_is_parallel()) lock_take(&journal_lock);
}

void journal_drop(void) {
    if (thread_is_parallel()) lock_drop(&journal_lock);
}

static void note_readers(void) {
    journal_on = file_reads;
    effects_apart_are_wanted = replicas_read || followers_read;
    effects_are_wanted = file_reads || effects_apart_are_wanted;
}

void journal_note_readers(bool file, bool replicas) {
    file_reads = file;
    replicas_read = replicas;
    note_readers();
}

void journal_note_followers(bool on) {
    followers_read = on;
    note_readers();
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

void wire_select(struct buf *out, uint32_t db) {
    char digits[INT64_TEXT_MAX];
    struct slice argv[2] = { LIT("SELECT"), { digits, uint64_format(digits, db) } };
    wire_command(out, argv, 2);
}

/* "*3\r\n" or "$11\r\n": the number, which somebody has checked before. */
static size_t take_length(struct slice *rest) {
    size_t n = 0, at = 1;
    for (; rest->ptr[at] != '\r'; at++) n = n * 10 + (size_t)(rest->ptr[at] - '0');
    *rest = slice_from(*rest, at + 2);
    return n;
}

void wire_split(struct slice *rest, struct buf *argv, struct slice *wire) {
    const char *begin = rest->ptr;
    assert(rest->len > 0 && *begin == '*');
    buf_clear(argv);
    for (size_t left = take_length(rest); left > 0; left--) {
        size_t len = take_length(rest);
        struct slice word = slice_make(rest->ptr, len);
        buf_append(argv, slice_make((const char *)&word, sizeof word));
        *rest = slice_from(*rest, len + 2);
    }
    *wire = slice_make(begin, (size_t)(rest->ptr - begin));
}

/* How many effects the file gets. */
static size_t common_count(const struct effects *e) { return e->count - e->apart_count; }

/* What was written to `wire` since `begin` is not for the file. */
static void set_apart(struct effects *e, size_t begin) {
    struct effects_range range = { begin, e->wire.len };
    buf_append(&e->apart, slice_make((const char *)&range, sizeof range));
}

/* Says the database to those readers for whom the effect before was in another one. */
static void begin_effect(struct effects *e, uint32_t db, bool apart) {
    bool stream_needs = e->placed > 0 && e->stream_last_db != db;
    bool file_needs = !apart && common_count(e) > 0 && e->last_db != db;
    size_t begin = e->wire.len;
    if (UNLIKELY(stream_needs || file_needs)) wire_select(&e->wire, db);
    if (UNLIKELY(stream_needs && !file_needs)) set_apart(e, begin);
    if (e->placed++ == 0) e->stream_first_db = db;
    e->stream_last_db = db;
    if (apart) return;
    if (common_count(e) == 0) e->first_db = db;
    e->last_db = db;
}

/* A second effect comes: both are to stand together. */
static void keep_borrowed(struct effects *e) {
    size_t begin = e->wire.len;
    buf_append(&e->wire, e->borrowed);
    e->borrowed = (struct slice){ 0 };
    if (UNLIKELY(e->apart_count > 0)) set_apart(e, begin); /* it is the only one */
}

struct slice effects_bytes(const struct effects *e) {
    return e->borrowed.len > 0 ? e->borrowed : buf_slice(&e->wire);
}

static inline void add_wire(struct effects *e, uint32_t db, struct slice wire, bool apart) {
    assert(wire.len > 0 && wire.ptr[0] == '*');
    if (UNLIKELY(e->count > 0 && e->borrowed.len > 0)) keep_borrowed(e);
    begin_effect(e, db, apart);
    if (UNLIKELY(e->count > 0)) {
        size_t begin = e->wire.len;
        buf_append(&e->wire, wire);
        if (apart) set_apart(e, begin);
    } else {
        e->borrowed = wire;
    }
    e->count++;
    e->apart_count += apart;
}

void effects_add_wire(struct effects *e, uint32_t db, struct slice wire) { add_wire(e, db, wire, false); }

void effects_add_unsaved_wire(struct effects *e, uint32_t db, struct slice wire) {
    add_wire(e, db, wire, true);
}

static inline void add(struct effects *e, uint32_t db, const struct slice *argv, size_t argc, bool apart) {
    assert(argc > 0 && db != NO_DB);
    if (UNLIKELY(e->borrowed.len > 0)) keep_borrowed(e);
    begin_effect(e, db, apart);
    size_t begin = e->wire.len;
    wire_command(&e->wire, argv, argc);
    if (apart) set_apart(e, begin);
    e->count++;
    e->apart_count += apart;
}

void effects_add(struct effects *e, uint32_t db, const struct slice *argv, size_t argc) {
    add(e, db, argv, argc, false);
}

void effects_add_unsaved(struct effects *e, uint32_t db, const struct slice *argv, size_t argc) {
    add(e, db, argv, argc, true);
}

void effects_add_apart(struct effects *e, const struct slice *argv, size_t argc) {
    if (UNLIKELY(e->borrowed.len > 0)) keep_borrowed(e);
    size_t begin = e->wire.len;
    wire_command(&e->wire, argv, argc);
    set_apart(e, begin);
    e->count++;
    e->apart_count++;
}

void effects_release(struct effects *e) {
    buf_release(&e->wire);
    buf_release(&e->apart);
    *e = (struct effects){ 0 };
}

void effects_clear(struct effects *e) {
    if (e->wire.room > WIRE_KEPT) buf_release(&e->wire);
    if (UNLIKELY(e->apart.ptr != NULL)) buf_release(&e->apart);
    e->wire.len = 0;
    e->borrowed = (struct slice){ 0 };
    e->count = e->apart_count = e->placed = 0;
}

/* ---- for the file ---- */

static void add_to_offset(uint64_t more) {
    uint64_t now = atomic_load_explicit(&offset_now, memory_order_relaxed);
    atomic_store_explicit(&offset_now, now + more, memory_order_release);
}

void journal_moved(void) {
    in_stream = 0;
    if (journal_on) add_to_offset(1);
}

/* There is room for them. */
static void put(struct slice more) {
    assert(bytes.room - bytes.len >= more.len);
    memcpy(bytes.ptr + bytes.len, more.ptr, more.len);
    bytes.len += more.len;
}

/* Those for both, of several. */
static void put_common(const struct effects *e) {
    struct slice wire = effects_bytes(e);
    const struct effects_range *apart = (const void *)e->apart.ptr;
    size_t at = 0, ranges = e->apart.len / sizeof *apart;
    for (size_t i = 0; i < ranges; i++) {
        put(slice_make(wire.ptr + at, apart[i].begin - at));
        at = apart[i].end;
    }
    put(slice_from(wire, at));
}

static void append_to_file(const struct effects *e) {
    struct slice wire = effects_bytes(e);
    size_t before = bytes.len;
    buf_reserve(&bytes, wire.len + WRAPPING_MAX);
    if (UNLIKELY(e->first_db != current_db)) wire_select(&bytes, e->first_db);
    if (LIKELY(e->count == 1)) {
        put(wire);
    } else {
        bool several = common_count(e) > 1;
        if (several) put(LIT(WIRE_MULTI));
        put_common(e);
        if (several) put(LIT(WIRE_EXEC));
    }
    current_db = e->last_db;
    add_to_offset(bytes.len - before);
}

/* The stream is kept. */
static void append_to_both(const struct effects *e, struct copied copied) {
    bool to_file = journal_on && common_count(e) > 0;
    bool alike = to_file && backlog_takes_as_file(e, current_db);
    size_t before = bytes.len;
    if (to_file) append_to_file(e);
    backlog_take(e, copied);
    if (!to_file)
        journal_moved();
    else
        in_stream = alike ? in_stream + (bytes.len - before) : 0;
}

/* ---- the journal ---- */

/* A transaction may have turned a reader off after its first writes: then nobody takes them. */
uint64_t journal_append(struct effects *e, struct copied copied) {
    if (e->count == 0 && copied.bytes.len == 0) return journal_offset();
    journal_take();
    if (UNLIKELY(backlog_is_open()))
        append_to_both(e, copied);
    else if (journal_on && common_count(e) > 0)
        append_to_file(e);
    uint64_t after = atomic_load_explicit(&offset_now, memory_order_relaxed);
    journal_drop();
    effects_clear(e);
    return after;
}

uint64_t journal_offset(void) { return atomic_load_explicit(&offset_now, memory_order_acquire); }

void journal_set_on(bool on) { journal_note_readers(on, replicas_read); }

struct journal_piece journal_swap(struct buf *empty) {
    assert(empty->len == 0);
    struct journal_piece piece;
    journal_take();
    struct buf full = bytes;
    bytes = *empty;
    piece.end = atomic_load_explicit(&offset_now, memory_order_relaxed);
    piece.in_stream = in_stream;
    in_stream = 0;
    backlog_tell(&piece.position);
    journal_drop();
    *empty = full;
    return piece;
}

void journal_restart(void) {
    journal_take();
    buf_release(&bytes);
    journal_drop();
    journal_begin_file();
}

void journal_begin_file(void) {
    journal_take();
    current_db = NO_DB;
    in_stream = 0;
    if (backlog_is_open()) journal_moved();
    journal_drop();
}
