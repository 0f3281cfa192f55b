/* debug.c: DEBUG: what tests and emergencies need. Off unless enable-debug-command allows it; every
 * subcommand runs alone. */
#include "debug.h"
#include "trivet/base/buf.h"
#include "trivet/base/glob.h"
#include "trivet/base/mem.h"
#include "trivet/commands/arguments/caller.h"
#include "trivet/commands/arguments/create.h"
#include "trivet/commands/groups.h"
#include "trivet/engine/process/server_hooks.h"
#include "trivet/engine/saving/saving.h"
#include "trivet/engine/settings/options.h"
#include "trivet/keyspace/eviction.h"
#include "trivet/keyspace/expiry.h"
#include "trivet/persist/aof/aof.h"
#include "trivet/persist/rdb/file.h"
#include "trivet/persist/rdb/values.h"
#include <errno.h>
#include <time.h>

static bool is_allowed(const struct call *c) {
    if (options.enable_debug_command == GUARD_YES) return true;
    return options.enable_debug_command == GUARD_LOCAL && caller_is_local(c);
}

/* DEBUG SLEEP seconds */
static void debug_sleep(struct call *c) {
    double seconds;
    if (!double_parse(c->argv[2], &seconds) || !(seconds > 0)) seconds = 0;
    if (seconds > 1e9) seconds = 1e9;
    struct timespec left = { .tv_sec = (time_t)seconds,
                             .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9) };
    while (nanosleep(&left, &left) != 0 && errno == EINTR) continue;
    reply_ok(c->out);
}

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

/* DEBUG OBJECT key */
static void debug_object(struct call *c) {
    const struct entry *e = keyspace_peek(&c->view, c->argv[2]);
    if (!e) {
        reply_error(c->out, ERR_NO_KEY);
        return;
    }
    struct buf text = { 0 };
    buf_printf(&text, "Value at:%p refcount:1 encoding:%s", (const void *)e, entry_encoding_name(e));
    buf_printf(&text, " serializedlength:%zu", serialized_length(c, e));
    int64_t idle_s = eviction_idle_ms(e->access, c->view.now_ms) / 1000;
    buf_printf(&text, " lru:%u lru_seconds_idle:%lld", (unsigned)e->access, (long long)idle_s);
    reply_simple(c->out, buf_slice(&text));
    buf_release(&text);
}

/* DEBUG SET-ACTIVE-EXPIRE 0 | 1 */
static void debug_set_active_expire(struct call *c) {
    expiry_set_active(!slice_equal(c->argv[2], LIT("0")));
    reply_ok(c->out);
}

/* DEBUG SET-SKIP-CHECKSUM-VALIDATION 0 | 1 */
static void debug_set_skip_checksum_validation(struct call *c) {
    atomic_store(&rdb_checksums_are_skipped, !slice_equal(c->argv[2], LIT("0")));
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

/* DEBUG STRINGMATCH-LEN pattern text */
static void debug_stringmatch_len(struct call *c) { reply_int(c->out, glob_match(c->argv[2], c->argv[3])); }

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
    create_key(c, name, entry_new_string(name, text, NO_EXPIRY, eviction_access_new(c->view.now_ms)));
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

static void debug_help(struct call *c) {
    static const char *const lines[] = {
        "DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "AOF-FLUSH-SLEEP <microseconds>",
        "    Wait so long before each write to the append only file.",
        "DIGEST",
        "    Return a fingerprint of all data.",
        "DIGEST-VALUE <key> [<key> ...]",
        "    Return a fingerprint of the value of each key.",
        "LOADAOF",
        "    Empty the server and load the append only file again.",
        "OBJECT <key>",
        "    Tell how a value is kept.",
        "POPULATE <count> [<prefix>] [<size>]",
        "    Make <count> keys named <prefix>:<number> (\"key\" unless told) where there are none, with",
        "    values of <size> bytes.",
        "RELOAD [NOSAVE] [NOFLUSH] [MERGE]",
        "    Save the data set, empty the server and load the file again; without saving, without",
        "    emptying, and with the file's keys taking the place of those that are there.",
        "SET-ACTIVE-EXPIRE <0|1>",
        "    Turn off (0) or on (1) the search for expired keys in the background.",
        "SET-SKIP-CHECKSUM-VALIDATION <0|1>",
        "    Do not look (1) at the checksums of RDB files and of RESTORE's payloads.",
        "SLEEP <seconds>",
        "    Do nothing at all for so long.",
        "STRINGMATCH-LEN <pattern> <text>",
        "    Return 1 if the pattern matches the text.",
        "HELP",
        "    Print this help.",
    };
    reply_array(c->out, COUNT_OF(lines));
    for (size_t i = 0; i < COUNT_OF(lines); i++) reply_simple(c->out, slice_of(lines[i]));
}

static const struct {
    const char *name;
    size_t min, max; /* arguments, both names included */
    void (*run)(struct call *c);
} subcommands[] = {
    { "AOF-FLUSH-SLEEP", 3, 3, debug_aof_flush_sleep },
    { "SET-SKIP-CHECKSUM-VALIDATION", 3, 3, debug_set_skip_checksum_validation },
    { "DIGEST", 2, 2, debug_digest },
    { "DIGEST-VALUE", 2, SIZE_MAX, debug_digest_value },
    { "HELP", 2, 2, debug_help },
    { "LOADAOF", 2, 2, debug_loadaof },
    { "OBJECT", 3, 3, debug_object },
    { "POPULATE", 3, 5, debug_populate },
    { "RELOAD", 2, 5, debug_reload },
    { "SET-ACTIVE-EXPIRE", 3, 3, debug_set_active_expire },
    { "SLEEP", 3, 3, debug_sleep },
    { "STRINGMATCH-LEN", 4, 4, debug_stringmatch_len },
};

/* DEBUG subcommand [arg ...]: one command to clients, so its subcommands are not in the registry. */
static void cmd_debug(struct call *c) {
    if (!is_allowed(c)) {
        reply_error_text(
            c->out,
            LIT("ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you "
                "can run it from a local connection, otherwise you need to set this option in the "
                "configuration file, and then restart the server."));
        return;
    }
    for (size_t i = 0; i < COUNT_OF(subcommands); i++) {
        if (!call_is(c, 1, subcommands[i].name) || c->argc < subcommands[i].min ||
            c->argc > subcommands[i].max)
            continue;
        subcommands[i].run(c);
        return;
    }
    struct slice name = c->argv[1];
    if (name.len > 128) name.len = 128;
    reply_error_printf(c->out,
                       "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try DEBUG HELP.",
                       SLICE_ARG(name));
}

const struct command debug_commands[] = {
    { .name = "DEBUG",
      .run = cmd_debug,
      .arity = -2,
      .kind = EXCLUSIVE,
      .flags = ADMIN | NOSCRIPT | LOADING | STALE | SYSCMD,
      .since = "1.0.0",
      .summary = "Holds the commands for debugging.",
      .complexity = "Depends on the subcommand." },
    { .name = NULL },
};
