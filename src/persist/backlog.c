/* backlog.c: see backlog.h. */
#include "trivet/persist/backlog.h"
#include "journal_private.h"
#include "trivet/base/number.h"
#include "trivet/base/random.h"
#include <ctype.h>
#include <string.h>

#define SIZE_DEFAULT ((uint64_t)10 * 1024 * 1024) /* until backlog_keep() says otherwise */
#define NO_ID "0000000000000000000000000000000000000000"

struct replication_ids replication_ids = { NO_ID, NO_ID, -1 };

/* Under the journal's lock, unless said. */
static struct {
    struct tape tape;        /* its end is the offset; not open while nobody reads the stream */
    uint32_t db;             /* of the last effect */
    bool is_open, is_copied; /* changed with the gate closed: read with a gate, without the lock */
    uint64_t keep_from, keep_most, size; /* see backlog_keep */
    struct buf select;                   /* scratch */
} stream = { .db = NO_DB, .keep_from = UINT64_MAX, .keep_most = SIZE_DEFAULT, .size = SIZE_DEFAULT };

/* ---- ids ---- */

bool replid_is_valid(struct slice id) {
    if (id.len != REPLID_CHARS) return false;
    for (size_t i = 0; i < id.len; i++)
        if (!isxdigit((unsigned char)id.ptr[i])) return false;
    return true;
}

/* Under the lock, because the file notes the id beside the workers. A random one if `id` is empty. */
static void set_ids(struct slice id, const char *before, int64_t before_until) {
    assert(id.len == REPLID_CHARS || id.len == 0);
    journal_take();
    memmove(replication_ids.before, before, REPLID_CHARS + 1);
    replication_ids.before_until = before_until;
    if (id.len == 0)
        random_hex(replication_ids.now, REPLID_CHARS);
    else
        memcpy(replication_ids.now, id.ptr, REPLID_CHARS);
    if (backlog_is_open()) journal_moved();
    journal_drop();
}

void replication_ids_renew(void) { set_ids(LIT(""), NO_ID, -1); }
void replication_ids_adopt(struct slice id) { set_ids(id, NO_ID, -1); }

void replication_ids_shift(struct slice id) {
    set_ids(id, replication_ids.now, (int64_t)backlog_offset() + 1);
}

/* ---- open and closed ---- */

bool backlog_is_open(void) { return stream.is_open; }

uint64_t backlog_offset(void) { return tape_end(&stream.tape); }

static void note_readers(void) { journal_note_readers(journal_on, backlog_is_open() && !stream.is_copied); }

void backlog_open(void) {
    journal_take();
    tape_open(&stream.tape, backlog_offset());
    stream.is_open = true;
    stream.db = NO_DB;
    journal_moved();
    journal_drop();
    note_readers();
}

void backlog_close(void) {
    journal_take();
    tape_close(&stream.tape);
    stream.is_open = false;
    buf_release(&stream.select);
    journal_drop();
    note_readers();
}

void backlog_restart(uint64_t offset, int64_t db) {
    bool was_open = backlog_is_open();
    journal_take();
    if (was_open) tape_close(&stream.tape);
    atomic_store(&stream.tape.end, offset);
    stream.db = db < 0 ? NO_DB : (uint32_t)db;
    if (was_open) tape_open(&stream.tape, offset);
    journal_moved();
    journal_drop();
}

void backlog_resume(const struct stream_position *position, struct slice last) {
    assert(position->known && !backlog_is_open() && last.len <= (uint64_t)position->offset);
    replication_ids_adopt(slice_make(position->id, REPLID_CHARS));
    backlog_open();
    backlog_restart((uint64_t)position->offset - last.len, position->db);
    if (last.len > 0) backlog_append(last);
}

void backlog_set_copied(bool copied) {
    stream.is_copied = copied;
    note_readers();
}

/* A closed gate is not enough: whoever commits has left it, and tells the file where the stream is. */
void backlog_forget_database(void) {
    journal_take();
    if (!stream.is_copied) stream.db = NO_DB;
    journal_drop();
}

static int64_t database_now(void) { return stream.db == NO_DB ? -1 : (int64_t)stream.db; }

int64_t backlog_database(void) {
    journal_take();
    int64_t db = database_now();
    journal_drop();
    return db;
}

void backlog_tell(struct stream_position *out) {
    out->known = backlog_is_open();
    memcpy(out->id, replication_ids.now, sizeof out->id);
    out->offset = (int64_t)backlog_offset();
    out->db = database_now();
}

void backlog_position(struct stream_position *out) {
    journal_take();
    backlog_tell(out);
    journal_drop();
}

/* ---- appending ---- */

/* The first byte that must stay. */
static uint64_t keep_from(uint64_t end) {
    uint64_t wanted = end > stream.size ? end - stream.size : 0;
    if (stream.keep_from < wanted) wanted = stream.keep_from;
    uint64_t least = end > stream.keep_most ? end - stream.keep_most : 0;
    return wanted > least ? wanted : least;
}

static void append(struct slice bytes) {
    tape_append(&stream.tape, bytes);
    tape_trim(&stream.tape, keep_from(backlog_offset()));
}

static void append_effects(const struct effects *e) {
    bool several = e->count > 1;
    if (e->placed > 0 && e->stream_first_db != stream.db) {
        buf_clear(&stream.select);
        wire_select(&stream.select, e->stream_first_db);
        tape_append(&stream.tape, buf_slice(&stream.select));
    }
    if (several) tape_append(&stream.tape, LIT(WIRE_MULTI));
    append(effects_bytes(e));
    if (several) tape_append(&stream.tape, LIT(WIRE_EXEC));
    if (e->placed > 0) stream.db = e->stream_last_db;
}

static void append_copied(struct copied copied) {
    if (copied.bytes.len == 0) return; /* a local write */
    append(copied.bytes);
    stream.db = copied.db;
}

bool backlog_takes_as_file(const struct effects *e, uint32_t file_db) {
    bool file_selects = e->first_db != file_db, stream_selects = e->first_db != stream.db;
    return !stream.is_copied && e->apart_count == 0 && file_selects == stream_selects;
}

static _Thread_local uint64_t taken; /* bytes, by the last backlog_take */

uint64_t backlog_taken(void) { return taken; }

void backlog_take(const struct effects *e, struct copied copied) {
    uint64_t before = backlog_offset();
    if (stream.is_copied)
        append_copied(copied);
    else if (e->count > 0)
        append_effects(e);
    taken = backlog_offset() - before;
}

void backlog_append(struct slice bytes) {
    journal_take();
    if (backlog_is_open()) {
        append(bytes);
        journal_moved();
    }
    journal_drop();
}

void backlog_copy(struct copied copied) {
    journal_take();
    if (backlog_is_open()) {
        append_copied(copied);
        journal_moved();
    }
    journal_drop();
}

/* ---- reading ---- */

bool backlog_read_from(struct tape_reader *r, uint64_t offset) {
    journal_take();
    bool there = backlog_is_open() && tape_read_from(&stream.tape, r, offset);
    journal_drop();
    return there;
}

void backlog_keep(uint64_t from, uint64_t most, uint64_t size) {
    journal_take();
    stream.keep_from = from;
    stream.keep_most = most > size ? most : size;
    stream.size = size;
    if (backlog_is_open()) tape_trim(&stream.tape, keep_from(backlog_offset()));
    journal_drop();
}

size_t backlog_memory(void) { return tape_memory(&stream.tape); }

void backlog_facts(struct backlog_facts *out) {
    journal_take();
    *out = (struct backlog_facts){ .is_open = backlog_is_open(), .memory = tape_memory(&stream.tape) };
    if (out->is_open) {
        out->first = tape_first(&stream.tape);
        out->length = backlog_offset() - out->first;
    }
    journal_drop();
}
