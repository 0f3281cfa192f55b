/* file.c: the file of a snapshot. SAVE writes it without a thread: with the gate closed nothing changes
 * meanwhile.
 *
 * After the first failure nothing more is written. The reason is kept until the end. */
#include "trivet/persist/rdb/file.h"
#include "snapshot_private.h"
#include "trivet/base/crc.h"
#include "trivet/base/file.h"
#include "trivet/base/mem.h"
#include "trivet/base/version.h"
#include "trivet/keyspace/eviction.h"
#include "trivet/keyspace/scan.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define WRITE_BYTES ((size_t)256 * 1024)
#define SYNC_BYTES ((uint64_t)4 * 1024 * 1024)

static void fail(struct snapshot_file *f, const char *what) {
    int error = errno;
    if (!f->failed && !f->plan->is_aof_base)
        buf_append(&f->error, f->fd < 0 ? LIT("Failed opening the temp RDB file: ")
                                        : LIT("Write error saving DB on disk: "));
    if (!f->failed) buf_printf(&f->error, "cannot %s %s: %s", what, f->plan->path, file_errno_text(error));
    f->failed = true;
}

struct image_form snapshot_form(const struct snapshot_plan *plan) {
    struct image_form form = { .as_commands = plan->as_commands,
                               .compress = plan->compress,
                               .version = plan->version,
                               .now_ms = plan->now_ms };
    if (form.version == 0) form.version = keyspace_has_dated() ? RDB_VERSION_VALKEY : RDB_VERSION_MAX;
    if (eviction_settings.policy & EVICT_LRU) form.hint = HINT_IDLE;
    if (eviction_settings.policy & EVICT_LFU) form.hint = HINT_FREQUENCY;
    return form;
}

/* ---- bytes ---- */

static void sync_some(struct snapshot_file *f) {
    if (!f->plan->incremental_sync || f->written - f->synced < SYNC_BYTES) return;
    if (file_io.fdatasync(f->fd) != 0) fail(f, "fsync");
    f->synced = f->written;
}

static void write_bytes(struct snapshot_file *f, struct slice bytes) {
    if (f->failed || bytes.len == 0) return;
    if (f->plan->checksum && !f->plan->as_commands) f->checksum = crc64(f->checksum, bytes.ptr, bytes.len);
    if (!file_write_all(f->fd, bytes)) {
        fail(f, "write");
        return;
    }
    f->written += bytes.len;
    sync_some(f);
}

void snapshot_file_flush(struct snapshot_file *f, bool all) {
    if (!all && f->out.bytes.len < WRITE_BYTES) return;
    write_bytes(f, buf_slice(&f->out.bytes));
    if (f->out.bytes.room > 16 * WRITE_BYTES) buf_release(&f->out.bytes);
    buf_clear(&f->out.bytes);
}

void snapshot_file_put(struct snapshot_file *f, struct slice bytes) {
    if (bytes.len < WRITE_BYTES) {
        buf_append(&f->out.bytes, bytes);
        snapshot_file_flush(f, false);
        return;
    }
    snapshot_file_flush(f, true);
    write_bytes(f, bytes);
}

void snapshot_file_select(struct snapshot_file *f, const struct image_form *form, uint32_t db) {
    if (f->db == db) return;
    image_put_database(form, &f->out, db);
    f->db = db;
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

/* The sizes of all databases come first, because entries of different databases follow in any order. */
static void put_head(struct snapshot_file *f) {
    struct rdb_out *out = &f->out;
    if (f->version >= RDB_VERSION_VALKEY)
        buf_printf(&out->bytes, "VALKEY%03d", f->version);
    else
        buf_printf(&out->bytes, "REDIS%04d", f->version);
    put_aux(out, "redis-ver", LIT(TRIVET_REDIS_VERSION));
    put_aux_number(out, "redis-bits", 64);
    put_aux_number(out, "ctime", f->plan->now_ms / 1000);
    put_aux_number(out, "used-mem", (int64_t)mem_used());
    put_aux_number(out, "aof-base", f->plan->is_aof_base);
    for (size_t i = 0; i < rdb_libraries_count(); i++) {
        buf_append_byte(&out->bytes, (char)RDB_OP_FUNCTION2);
        rdb_put_string(out, rdb_libraries_get(i));
    }
    for (uint32_t db = 0; db < keyspace_databases(); db++)
        if (keyspace_count(db) > 0) put_sizes(out, db);
}

void snapshot_file_open(struct snapshot_file *f, const struct snapshot_plan *plan) {
    struct image_form form = snapshot_form(plan);
    *f = (struct snapshot_file){ .plan = plan, .version = form.version, .db = NO_DATABASE };
    f->out.compress = plan->compress;
    f->fd = file_io.open(plan->path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (f->fd < 0) fail(f, "create");
    if (!plan->as_commands) put_head(f);
}

/* A base of commands has no end mark. A checksum note there would prove nothing: if the end of the file is
 * lost, the note is lost with it. */
static void put_end(struct snapshot_file *f) {
    if (f->plan->as_commands) return;
    buf_append_byte(&f->out.bytes, (char)RDB_OP_EOF);
    snapshot_file_flush(f, true);
    rdb_put_u64(&f->out, f->plan->checksum ? f->checksum : 0);
}

void snapshot_file_drop(struct snapshot_file *f) {
    if (f->fd >= 0) {
        close(f->fd);
        (void)file_io.unlink(f->plan->path); /* a leftover is overwritten by the next try */
    }
    f->fd = -1;
    buf_release(&f->out.bytes);
}

bool snapshot_file_end(struct snapshot_file *f) {
    put_end(f);
    snapshot_file_flush(f, true);
    if (!f->failed && file_io.fsync(f->fd) != 0) fail(f, "fsync");
    if (!f->failed && f->plan->publish && !f->plan->publish(f->plan->arg, &f->error)) f->failed = true;
    if (f->failed) {
        snapshot_file_drop(f);
        return false;
    }
    close(f->fd);
    f->fd = -1;
    buf_release(&f->out.bytes);
    return true;
}

/* ---- SAVE ---- */

struct saving {
    struct snapshot_file file;
    struct image_form form;
    uint32_t db;
};

static void drain(void *arg, struct buf *bytes) {
    (void)bytes; /* they are the file's own */
    snapshot_file_flush(arg, false);
}

static bool save_entry(void *arg, struct entry *e) {
    struct saving *s = arg;
    snapshot_file_select(&s->file, &s->form, s->db);
    image_put_entry(&s->form, &s->file.out, e);
    snapshot_file_flush(&s->file, false);
    return !s->file.failed;
}

bool snapshot_write_now(const struct snapshot_plan *plan, struct buf *error) {
    struct saving s = { .form = snapshot_form(plan) };
    snapshot_file_open(&s.file, plan);
    s.file.out.drain = drain;
    s.file.out.drain_arg = &s.file;
    for (s.db = 0; s.db < keyspace_databases(); s.db++)
        if (keyspace_count(s.db) > 0 && !keyspace_each(s.db, save_entry, &s)) break;
    bool done = snapshot_file_end(&s.file);
    buf_append(error, buf_slice(&s.file.error));
    buf_release(&s.file.error);
    return done;
}
