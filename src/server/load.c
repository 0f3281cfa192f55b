/* load.c: the data set from disk; see load.h. Commands of an append-only file run here one after the other;
 * load_rdb.c spreads the keys of an RDB file over the workers. */
#include "trivet/server/load.h"
#include "load_private.h"
#include "trivet/base/clock.h"
#include "trivet/base/log.h"
#include "trivet/base/mem.h"
#include "trivet/engine/client/client.h"
#include "trivet/engine/process/server_hooks.h"
#include "trivet/engine/run/change.h"
#include "trivet/engine/run/dispatch.h"
#include "trivet/engine/saving/saving.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/keyspace/keyspace.h"
#include "trivet/net/worker.h"
#include "trivet/persist/aof/aof.h"
#include "trivet/persist/journal.h"
#include "trivet/persist/rdb/file.h"
#include "trivet/server/setup.h"
#include <errno.h>
#include <unistd.h>

#define PUMP_COMMANDS 1024 /* between two looks at the clients while commands are replayed */
#define PUMP_EVERY_US 2000 /* and while keys are loaded */
#define LINE_EVERY_MS 5000

struct loader {
    struct client client; /* runs the commands of an append-only file */
    uint64_t commands;
    const char *what;     /* for the log */
    bool gate_is_closed;  /* asked for by a command: no other worker may run meanwhile */
    int64_t next_line_ms; /* when the next progress line is due */
    int64_t next_pump_us;
    struct rdb_outcome rdb;
};

/* ---- what both have in common ---- */

static struct loader *loader_begin(const char *what, bool gate_is_closed) {
    struct loader *l = mem_alloc_zero(sizeof *l);
    client_init(&l->client, CLIENT_INTERNAL);
    l->client.authenticated = true;
    l->client.reply.muted = true;
    l->what = what;
    l->gate_is_closed = gate_is_closed;
    obstacle_set(OBSTACLE_LOADING, true);
    loading_begin(clock_wall_ms() / 1000);
    return l;
}

static void loader_end(struct loader *l) {
    loading_end();
    /* At start-up clients must wait until writes can be journaled: setup_data decides when. */
    if (l->gate_is_closed) obstacle_set(OBSTACLE_LOADING, false);
    client_release(&l->client);
    mem_free(l);
}

static void progress(void *arg, uint64_t loaded, uint64_t total) {
    struct loader *l = arg;
    loading_note(NULL, loaded, total);
    int64_t now = clock_wall_ms();
    if (now < l->next_line_ms) return;
    if (l->next_line_ms)
        LOG_NOTICE("Loading the %s: %llu%% of %llu MB", l->what,
                   (unsigned long long)(total ? loaded * 100 / total : 100),
                   (unsigned long long)(total >> 20));
    l->next_line_ms = now + LINE_EVERY_MS;
}

/* ---- RDB files ---- */

/* rdb_plan.breathe. */
static bool breathe(void *arg, uint64_t loaded, uint64_t size) {
    struct loader *l = arg;
    int64_t now = clock_steady_us();
    if (now < l->next_pump_us) return !shutdown_has_begun();
    uint64_t total = atomic_load_explicit(&loading_progress.total, memory_order_relaxed);
    progress(l, loaded, total > size ? total : size); /* of an append-only file it is only a part */
    if (!l->gate_is_closed) {
        workers_pump();
        gate_yield();
    }
    l->next_pump_us = clock_steady_us() + PUMP_EVERY_US;
    return !shutdown_has_begun();
}

static bool load_file(struct loader *l, const char *path, struct rdb_plan plan, struct buf *error) {
    plan.alone = l->gate_is_closed;
    plan.breathe = breathe;
    plan.arg = l;
    gate_enter();
    if (!load_rdb(path, &plan, &l->rdb, error)) return false;
    loading_note_keys(l->rdb.loaded, l->rdb.expired);
    if (l->rdb.empty > 0)
        LOG_NOTICE("Done loading RDB, keys loaded: %llu, keys expired: %llu, empty keys skipped: %llu.",
                   (unsigned long long)l->rdb.loaded, (unsigned long long)l->rdb.expired,
                   (unsigned long long)l->rdb.empty);
    else
        LOG_NOTICE("Done loading RDB, keys loaded: %llu, keys expired: %llu.",
                   (unsigned long long)l->rdb.loaded, (unsigned long long)l->rdb.expired);
    return true;
}

static const char *rdb_path(struct buf *out) {
    buf_printf(out, "%s/%s", options.dir, options.dbfilename);
    return buf_cstr(out);
}

/* A file that exists but cannot be examined counts as one: loading it reports the reason. */
static bool exists(const char *path) { return access(path, F_OK) == 0 || errno != ENOENT; }

static bool load_rdb_file(struct loader *l, const char *path, struct rdb_plan plan) {
    struct buf error = { 0 };
    int64_t start = clock_steady_us();
    bool loaded = load_file(l, path, plan, &error);
    if (loaded)
        LOG_NOTICE("DB loaded from disk: %.3f seconds", (double)(clock_steady_us() - start) / 1e6);
    else
        LOG_WARNING("RDB file %s: Internal error in RDB reading %.*s", path, SLICE_ARG(buf_slice(&error)));
    if (loaded && l->rdb.has_no_checksum)
        LOG_NOTICE("RDB file was saved with checksum disabled: no check performed.");
    if (loaded && l->rdb.end < l->rdb.size)
        LOG_WARNING("RDB file %s: %llu bytes behind its end, at offset %llu, were not looked at", path,
                    (unsigned long long)(l->rdb.size - l->rdb.end), (unsigned long long)l->rdb.end);
    buf_release(&error);
    return loaded;
}

static bool load_rdb_at_start(void) {
    struct buf path = { 0 };
    bool loaded = true;
    if (exists(rdb_path(&path))) {
        struct loader *l = loader_begin("RDB file", false);
        loaded = load_rdb_file(l, path.ptr, (struct rdb_plan){ .keep_expired = options.import_mode });
        loader_end(l);
    }
    buf_release(&path);
    return loaded;
}

static void empty_everything(void) {
    rdb_libraries_clear();
    for (uint32_t db = 0; db < keyspace_databases(); db++) keyspace_flush(db, false);
}

/* The file is verified, checksum included, before any data is dropped for it. */
bool load_rdb_anew(unsigned flags, struct buf *error) {
    struct buf path = { 0 }, why = { 0 };
    struct rdb_rules rules = { .no_checksum = !options.rdbchecksum,
                               .relaxed = options.rdb_version_check != 0 };
    bool loaded = false;
    change_flush_quietly();
    if (rdb_verify(rdb_path(&path), rules, &why)) {
        if (!(flags & RELOAD_NOFLUSH)) empty_everything();
        struct loader *l = loader_begin("RDB file", true);
        struct rdb_plan plan = { .keep_expired = options.import_mode, .replace = flags & RELOAD_MERGE };
        loaded = load_rdb_file(l, path.ptr, plan);
        loader_end(l);
        if (!loaded && !(flags & RELOAD_NOFLUSH))
            empty_everything(); /* no data is better than a part of it */
    } else {
        LOG_WARNING("RDB file %s: %.*s. Nothing was changed", path.ptr, SLICE_ARG(buf_slice(&why)));
    }
    if (!loaded) buf_append(error, LIT("ERR Error trying to load the RDB dump, check server logs"));
    buf_release(&path);
    buf_release(&why);
    return loaded;
}

/* ---- the append-only file ---- */

static bool replay(void *arg, const struct slice *argv, size_t argc, struct buf *error) {
    struct loader *l = arg;
    gate_enter();
    if (!l->gate_is_closed) {
        if (++l->commands % PUMP_COMMANDS == 0) workers_pump();
        gate_yield();
    }
    if (shutdown_has_begun()) {
        buf_append(error, LIT("the server is asked to shut down"));
        return false;
    }
    if (!dispatch_replay(&l->client, argv, argc, error)) return false;
    /* Else the following commands would go to another database. */
    return error->len == 0 || !slice_equal_nocase(argv[0], LIT("SELECT"));
}

/* aof_load.rdb. What has expired stays: commands that follow may have made it live longer. */
static bool load_base(void *arg, const char *path, uint64_t *end, struct buf *error) {
    struct loader *l = arg;
    if (!load_file(l, path, (struct rdb_plan){ .keep_expired = true }, error)) return false;
    *end = l->rdb.end;
    return true;
}

static enum aof_loaded load_aof(bool gate_is_closed) {
    struct loader *l = loader_begin("append only file", gate_is_closed);
    struct aof_load how = { .run = replay, .progress = progress, .rdb = load_base, .arg = l };
    int64_t start = clock_steady_us();
    enum aof_loaded result = aof_load(&how);
    if (result == AOF_LOADED)
        LOG_NOTICE("DB loaded from append only file: %.3f seconds",
                   (double)(clock_steady_us() - start) / 1e6);
    loader_end(l);
    return result;
}

bool load_aof_anew(struct buf *error) {
    bool was_on = journal_on;
    change_flush_quietly();
    if (!was_on) saving_configure_journal();
    if (was_on ? !aof_close() : !aof_is_there()) {
        buf_append(error, was_on ? LIT("ERR The append only file could not be written")
                                 : LIT("ERR The append only file is off, and there is none to load"));
        return false;
    }
    empty_everything();
    bool loaded = load_aof(true) != AOF_REFUSED;
    if (!loaded) buf_append(error, LIT("ERR Error trying to load the AOF files, check server logs"));
    if (!was_on) return loaded;
    struct buf why = { 0 };
    bool opened = aof_open(&why);
    if (!opened)
        buf_printf(error, "%sERR The append only file can't be opened: %.*s", loaded ? "" : "; ",
                   SLICE_ARG(buf_slice(&why)));
    buf_release(&why);
    return loaded && opened;
}

/* ---- at start-up ---- */

/* If 'appendonly' is turned on in a folder that has only an RDB file, its data must be kept. */
static bool load_aof_at_start(bool *from_rdb) {
    enum aof_loaded result = load_aof(false);
    struct buf path = { 0 };
    *from_rdb = result == AOF_EMPTY && exists(rdb_path(&path));
    buf_release(&path);
    if (!*from_rdb) return result != AOF_REFUSED;
    LOG_NOTICE("There is no append only file yet: it will begin with the data of the RDB file");
    return load_rdb_at_start();
}

bool load_data(bool *from_rdb) {
    *from_rdb = false;
    return options.appendonly ? load_aof_at_start(from_rdb) : load_rdb_at_start();
}
