/* writer.c: a snapshot as a row of bytes: head, records, end and checksum, gathered and passed to its sink.
 * SAVE writes it without a thread: with the gate closed nothing changes meanwhile.
 *
 * After the first failure nothing more is passed on. The reason is kept until the end. */
#include "snapshot_private.h"
#include "trivet/base/crc64.h"
#include "trivet/base/mem.h"
#include "trivet/base/version.h"
#include "trivet/base/watchdog.h"
#include "trivet/keyspace/database.h"
#include "trivet/keyspace/eviction.h"
#include "trivet/keyspace/scan.h"
#include "trivet/persist/journal_sink.h"
#include "trivet/persist/rdb/file.h"

#define PUT_BYTES ((size_t)256 * 1024)

static bool tells_imports(const struct snapshot_plan *plan) {
    return plan->tells_imports && rdb_imports.any && rdb_imports.any();
}

struct image_form snapshot_form(const struct snapshot_plan *plan) {
    struct image_form form = { .as_commands = plan->as_commands,
                               .compress = plan->compress,
                               .version = plan->version,
                               .now_ms = plan->now_ms };
    bool has_new = plan->contents == SNAPSHOT_EVERYTHING && (keyspace_has_dated() || tells_imports(plan));
    if (form.version == 0) form.version = has_new ? RDB_VERSION_VALKEY : RDB_VERSION_MAX;
    return form;
}

bool snapshot_leaves_out(const struct snapshot_plan *plan, uint32_t db) {
    return plan->for_files && database_is_volatile(db);
}

enum image_hint snapshot_hint(uint32_t db) {
    unsigned policy = eviction_policy(db);
    if (policy & EVICT_LFU) return HINT_FREQUENCY;
    return policy & EVICT_LRU ? HINT_IDLE : HINT_NONE;
}

/* ---- bytes ---- */

static void pass_on(struct snapshot_writer *w, struct slice bytes) {
    if (w->failed || bytes.len == 0) return;
    if (w->plan->checksum && !w->plan->as_commands) w->checksum = crc64(w->checksum, bytes.ptr, bytes.len);
    struct snapshot_sink *sink = w->plan->sink;
    w->failed = !sink->put(sink, bytes, &w->error);
    if (!w->failed) w->written += bytes.len;
}

void snapshot_writer_flush(struct snapshot_writer *w, bool all) {
    if (!all && w->out.bytes.len < PUT_BYTES) return;
    pass_on(w, buf_slice(&w->out.bytes));
    if (w->out.bytes.room > 16 * PUT_BYTES) buf_release(&w->out.bytes);
    buf_clear(&w->out.bytes);
}

void snapshot_writer_put(struct snapshot_writer *w, struct slice bytes) {
    if (bytes.len < PUT_BYTES) {
        buf_append(&w->out.bytes, bytes);
        snapshot_writer_flush(w, false);
        return;
    }
    snapshot_writer_flush(w, true);
    pass_on(w, bytes);
}

void snapshot_writer_select(struct snapshot_writer *w, const struct image_form *form, uint32_t db) {
    if (w->db == db) return;
    image_put_database(form, &w->out, db);
    w->db = db;
}

/* ---- head and end ---- */

static void put_aux(struct rdb_out *out, const char *name, struct slice value) {
    buf_append_byte(&out->bytes, (char)RDB_OP_AUX);
    rdb_put_string(out, slice_of(name));
    rdb_put_string(out, value);
}

static void put_aux_number(struct rdb_out *out, const char *name, int64_t value) {
    char digits[INT64_TEXT_MAX];
    put_aux(out, name, slice_make(digits, int64_format(digits, value)));
}

static void put_sizes(struct rdb_out *out, uint32_t db) {
    buf_append_byte(&out->bytes, (char)RDB_OP_SELECTDB);
    rdb_put_length(out, db);
    buf_append_byte(&out->bytes, (char)RDB_OP_RESIZEDB);
    rdb_put_length(out, keyspace_count(db));
    rdb_put_length(out, keyspace_expires(db));
}

static void put_import(void *arg, struct slice name, struct slice ends) {
    struct rdb_out *out = arg;
    size_t count = ends.len / sizeof(uint16_t);
    buf_append_byte(&out->bytes, (char)RDB_OP_SLOT_IMPORT);
    rdb_put_string(out, name);
    rdb_put_length(out, count / 2);
    for (size_t i = 0; i < count; i++) {
        uint16_t slot;
        memcpy(&slot, ends.ptr + i * sizeof slot, sizeof slot);
        rdb_put_length(out, slot);
    }
}

static void put_library(void *arg, struct slice code) {
    struct rdb_out *out = arg;
    buf_append_byte(&out->bytes, (char)RDB_OP_FUNCTION2);
    rdb_put_string(out, code);
}

static void put_library_command(void *arg, struct slice code) {
    struct rdb_out *out = arg;
    wire_command(&out->bytes, (const struct slice[]){ LIT("FUNCTION"), LIT("LOAD"), code }, 3);
}

static void put_position(struct rdb_out *out, const struct stream_position *p) {
    if (!p->known) return;
    put_aux_number(out, "repl-stream-db", p->db);
    put_aux(out, "repl-id", slice_of(p->id));
    put_aux_number(out, "repl-offset", p->offset);
}

static void put_facts(struct snapshot_writer *w) {
    struct rdb_out *out = &w->out;
    if (w->version >= RDB_VERSION_VALKEY)
        buf_printf(&out->bytes, "VALKEY%03d", w->version);
    else
        buf_printf(&out->bytes, "REDIS%04d", w->version);
    put_aux(out, "redis-ver", LIT(TRIVET_REDIS_VERSION));
    put_aux_number(out, "redis-bits", 64);
    put_aux_number(out, "ctime", w->plan->now_ms / 1000);
    put_aux_number(out, "used-mem", (int64_t)mem_used());
    put_position(out, &w->plan->position);
    put_aux_number(out, "aof-base", w->plan->is_aof_base);
}

/* The sizes of all databases come first, because entries of different databases follow in any order. */
static void put_head(struct snapshot_writer *w) {
    bool as_commands = w->plan->as_commands;
    if (!as_commands) put_facts(w);
    if (w->plan->contents != SNAPSHOT_NOTHING && rdb_libraries.each)
        rdb_libraries.each(as_commands ? put_library_command : put_library, &w->out);
    if (w->plan->contents != SNAPSHOT_EVERYTHING || as_commands) return;
    if (w->version >= RDB_VERSION_VALKEY && tells_imports(w->plan)) rdb_imports.each(put_import, &w->out);
    for (uint32_t db = 0; db < keyspace_databases(); db++)
        if (keyspace_count(db) > 0 && !snapshot_leaves_out(w->plan, db)) put_sizes(&w->out, db);
}

void snapshot_writer_begin(struct snapshot_writer *w, const struct snapshot_plan *plan) {
    struct image_form form = snapshot_form(plan);
    *w = (struct snapshot_writer){ .plan = plan, .version = form.version, .db = NO_DATABASE };
    w->out.compress = plan->compress;
    put_head(w);
}

/* A base of commands has no end mark. A checksum note there would prove nothing: if the end of the file is
 * lost, the note is lost with it. */
static void put_end(struct snapshot_writer *w) {
    if (w->plan->as_commands) return;
    buf_append_byte(&w->out.bytes, (char)RDB_OP_EOF);
    snapshot_writer_flush(w, true);
    rdb_put_u64(&w->out, w->plan->checksum ? w->checksum : 0);
}

void snapshot_writer_drop(struct snapshot_writer *w) {
    w->plan->sink->drop(w->plan->sink);
    buf_release(&w->out.bytes);
}

bool snapshot_writer_end(struct snapshot_writer *w) {
    put_end(w);
    snapshot_writer_flush(w, true);
    if (!w->failed) w->failed = !w->plan->sink->end(w->plan->sink, &w->error);
    if (w->failed) {
        snapshot_writer_drop(w);
        return false;
    }
    buf_release(&w->out.bytes);
    return true;
}

/* ---- SAVE ---- */

struct saving {
    struct snapshot_writer writer;
    struct image_form form;
    uint32_t db;
};

/* Everybody waits for this: who watches the process must see that it gets on. */
static void flush_now(struct snapshot_writer *w) {
    if (w->out.bytes.len >= PUT_BYTES) watchdog_touch();
    snapshot_writer_flush(w, false);
}

static void drain(void *arg, struct buf *bytes) {
    (void)bytes; /* they are the writer's own */
    flush_now(arg);
}

static bool save_entry(void *arg, struct entry *e) {
    struct saving *s = arg;
    s->form.hint = snapshot_hint(s->db);
    snapshot_writer_select(&s->writer, &s->form, s->db);
    image_put_entry(&s->form, &s->writer.out, e);
    flush_now(&s->writer);
    return !s->writer.failed;
}

bool snapshot_write_now(const struct snapshot_plan *plan, struct buf *error) {
    struct saving s = { .form = snapshot_form(plan) };
    uint32_t databases = plan->contents == SNAPSHOT_EVERYTHING ? keyspace_databases() : 0;
    snapshot_writer_begin(&s.writer, plan);
    s.writer.out.drain = drain;
    s.writer.out.drain_arg = &s.writer;
    snapshot_writer_flush(&s.writer, true);
    for (s.db = 0; s.db < databases && !s.writer.failed; s.db++) {
        if (keyspace_count(s.db) == 0 || snapshot_leaves_out(plan, s.db)) continue;
        if (!keyspace_each(s.db, save_entry, &s)) break;
    }
    bool done = snapshot_writer_end(&s.writer);
    buf_append(error, buf_slice(&s.writer.error));
    buf_release(&s.writer.error);
    return done;
}
