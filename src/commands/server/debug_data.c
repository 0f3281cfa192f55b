/* debug_data.c: DEBUG's subcommands about data: making it, loading it again, looking at it. */
#include "debug.h"
#include "trivet/base/buf.h"
#include "trivet/base/number.h"
#include "trivet/engine/process/server_hooks.h"
#include "trivet/engine/run/change.h"
#include "trivet/engine/saving/saving.h"
#include "trivet/engine/settings/options.h"
#include "trivet/keyspace/eviction.h"
#include "trivet/persist/aof/aof.h"
#include "trivet/persist/rdb/file.h"
#include "trivet/persist/rdb/values.h"
#include "trivet/types/list.h"

static void count_drained(void *arg, struct buf *bytes) {
    *(size_t *)arg += bytes->len;
    buf_clear(bytes);
}

/* Bytes that the value takes in a snapshot file. */
static size_t serialized_length(struct call *c, const struct entry *e) {
    struct rdb_out out = { .compress = options.rdbcompression, .drain = count_drained };
    size_t drained = 0;
    out.drain_arg = &drained;
    rdb_put_value(&out, e, rdb_version_of(e), c->view.now_ms);
    drained += out.bytes.len;
    buf_release(&out.bytes);
    return drained;
}

static bool add_node_bytes(void *arg, const struct list_node *node) {
    *(size_t *)arg += node->bytes.len;
    return true;
}

/* Under the names that a list of nodes has elsewhere. */
static void describe_list(const struct entry *e, struct buf *out) {
    struct value v = entry_value(e);
    size_t nodes = list_node_count(v), bytes = 0;
    list_nodes(v, add_node_bytes, &bytes);
    buf_printf(out, " ql_nodes:%zu ql_avg_node:%.2f", nodes, (double)list_count(v) / (double)nodes);
    buf_printf(out, " ql_listpack_max:%lld ql_compressed:%d ql_uncompressed_size:%zu",
               (long long)options.list_max_listpack_size, options.list_compress_depth != 0, bytes);
}

/* DEBUG OBJECT key [FAST] */
static void debug_object(struct call *c) {
    const struct entry *e = keyspace_peek(&c->view, c->argv[2]);
    bool fast = c->argc == 4;
    if (fast && !call_is(c, 3, "FAST")) {
        reply_error(c->out, ERR_SYNTAX);
        return;
    }
    if (!e) {
        reply_error(c->out, ERR_NO_KEY);
        return;
    }
    struct buf text = { 0 };
    buf_printf(&text, "Value at:%p refcount:1 encoding:%s", (const void *)e, entry_encoding_name(e));
    if (!fast) buf_printf(&text, " serializedlength:%zu", serialized_length(c, e));
    int64_t idle_s = eviction_idle_ms(e->access, c->view.now_ms) / 1000;
    buf_printf(&text, " lru:%u lru_seconds_idle:%lld", (unsigned)e->access, (long long)idle_s);
    if (e->type == TYPE_LIST) describe_list(e, &text);
    reply_simple(c->out, buf_slice(&text));
    buf_release(&text);
}

/* DEBUG SET-SKIP-CHECKSUM-VALIDATION 0 | 1 */
static void debug_set_skip_checksum_validation(struct call *c) {
    bool on;
    if (!debug_read_switch(c, &on)) return;
    atomic_store(&rdb_checksums_are_skipped, on);
    reply_ok(c->out);
}

/* DEBUG AOF-FLUSH-SLEEP microseconds */
static void debug_aof_flush_sleep(struct call *c) {
    int64_t us;
    if (!int64_parse(c->argv[2], &us) || us < 0 || us > INT32_MAX) {
        reply_error(c->out, ERR_NOT_POSITIVE);
        return;
    }
    aof_set_write_delay(us);
    reply_ok(c->out);
}

/* DEBUG DATABASE-BYTES db: what is counted, and what a walk over all entries finds. */
static void debug_database_bytes(struct call *c) {
    int64_t db;
    if (!int64_parse(c->argv[2], &db) || db < 0 || db >= (int64_t)keyspace_databases()) {
        reply_error(c->out, ERR_DB_RANGE);
        return;
    }
    reply_array(c->out, 2);
    reply_int(c->out, (int64_t)keyspace_bytes((uint32_t)db));
    reply_int(c->out, (int64_t)keyspace_bytes_walked((uint32_t)db));
}

/* DEBUG LOADAOF */
static void debug_loadaof(struct call *c) {
    struct buf error = { 0 };
    if (!server_hooks.reload_aof)
        reply_error_text(c->out, LIT("ERR There is no append only file to load"));
    else if (server_hooks.reload_aof(&error))
        reply_ok(c->out);
    else
        reply_error_text(c->out, buf_slice(&error));
    buf_release(&error);
}

static bool read_reload_flags(struct call *c, unsigned *flags) {
    *flags = 0;
    for (size_t i = 2; i < c->argc; i++) {
        if (call_is(c, i, "NOSAVE"))
            *flags |= RELOAD_NOSAVE;
        else if (call_is(c, i, "NOFLUSH"))
            *flags |= RELOAD_NOFLUSH;
        else if (call_is(c, i, "MERGE"))
            *flags |= RELOAD_MERGE;
        else
            return false;
    }
    return true;
}

/* DEBUG RELOAD [NOSAVE] [NOFLUSH] [MERGE] */
static void debug_reload(struct call *c) {
    struct buf text = { 0 };
    unsigned flags;
    if (!read_reload_flags(c, &flags)) {
        reply_error_text(c->out,
                         LIT("ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options."));
        return;
    }
    bool done = (flags & RELOAD_NOSAVE) || saving_save(&text);
    if (done) {
        buf_clear(&text);
        done = server_hooks.reload_rdb(flags, &text);
    }
    if (done)
        reply_ok(c->out);
    else
        reply_error_text(c->out, buf_slice(&text));
    buf_release(&text);
}

/* DEBUG DIGEST */
static void debug_digest(struct call *c) {
    struct digest d;
    char hex[2 * DIGEST_BYTES + 1];
    digest_everything(c->view.now_ms, &d);
    digest_hex(&d, hex);
    reply_simple(c->out, slice_of(hex));
}

/* DEBUG DIGEST-VALUE key [key ...] */
static void debug_digest_value(struct call *c) {
    reply_array(c->out, c->argc - 2);
    for (size_t i = 2; i < c->argc; i++) {
        const struct entry *e = keyspace_peek(&c->view, c->argv[i]);
        struct digest d = { { 0 } };
        char hex[2 * DIGEST_BYTES + 1];
        if (e) digest_value(e, &d);
        digest_hex(&d, hex);
        reply_simple(c->out, slice_of(hex));
    }
}

/* ---- POPULATE ---- */

#define POPULATE_FLUSH 1024 /* keys between two visits to the journal, so that memory stays small */

/* "value:7", padded with zero bytes or cut to the size, if one is given. */
static void write_value(struct buf *value, int64_t i, int64_t size) {
    buf_clear(value);
    buf_printf(value, "value:%lld", (long long)i);
    if (size == 0) return;
    if (value->len < (size_t)size) {
        size_t missing = (size_t)size - value->len;
        memset(buf_reserve(value, missing), 0, missing);
    }
    value->len = (size_t)size;
}

/* Unlike elsewhere the keys are journaled, so that a restart keeps what a test made. */
static void populate_one(struct call *c, struct slice prefix, int64_t i, struct buf *key, struct buf *value) {
    buf_clear(key);
    buf_printf(key, "%.*s:%lld", SLICE_ARG(prefix), (long long)i);
    struct slice name = buf_slice(key), text = buf_slice(value);
    if (keyspace_peek(&c->view, name)) return;
    keyspace_insert(&c->view, entry_new_string(name, text, NO_EXPIRY));
    changed(c, name, NOTIFY_STRING, NULL, EFFECT(LIT("SET"), name, text));
}

/* DEBUG POPULATE count [prefix] [size] */
static void debug_populate(struct call *c) {
    int64_t count, size = 0;
    if (!int64_parse(c->argv[2], &count) || count < 0 ||
        (c->argc == 5 && (!int64_parse(c->argv[4], &size) || size < 0))) {
        reply_error(c->out, ERR_NOT_POSITIVE);
        return;
    }
    if (size > (int64_t)options.proto_max_bulk_len) {
        reply_error(c->out, ERR_TOO_LONG);
        return;
    }
    struct buf key = { 0 }, value = { 0 };
    for (int64_t i = 0; i < count; i++) {
        write_value(&value, i, size);
        populate_one(c, c->argc >= 4 ? c->argv[3] : LIT("key"), i, &key, &value);
        if (i % POPULATE_FLUSH == 0) change_flush_quietly();
    }
    buf_release(&key);
    buf_release(&value);
    reply_ok(c->out);
}

const struct debug_subcommand debug_data_rows[] = {
    { "AOF-FLUSH-SLEEP", 3, 3, debug_aof_flush_sleep, "<microseconds>",
      "Wait so long before each write to the append only file." },
    { "DATABASE-BYTES", 3, 3, debug_database_bytes, "<db>",
      "Return the bytes of a database's keys and values as they are counted, and as a walk finds them." },
    { "DIGEST", 2, 2, debug_digest, "", "Return a fingerprint of all data." },
    { "DIGEST-VALUE", 2, SIZE_MAX, debug_digest_value, "<key> [<key> ...]",
      "Return a fingerprint of the value of each key." },
    { "LOADAOF", 2, 2, debug_loadaof, "", "Empty the server and load the append only file again." },
    { "OBJECT", 3, 4, debug_object, "<key> [FAST]",
      "Tell how a value is kept; FAST leaves out what takes time." },
    { "POPULATE", 3, 5, debug_populate, "<count> [<prefix>] [<size>]",
      "Make keys named <prefix>:<number> (\"key\" unless told) where there are none, of <size> bytes." },
    { "RELOAD", 2, 5, debug_reload, "[NOSAVE] [NOFLUSH] [MERGE]",
      "Save, empty the server, load the file; without saving, without emptying, the file's keys win." },
    { "SET-SKIP-CHECKSUM-VALIDATION", 3, 3, debug_set_skip_checksum_validation, "<0|1>",
      "Do not look (1) at the checksums of RDB files and of RESTORE's payloads." },
    { NULL },
};
