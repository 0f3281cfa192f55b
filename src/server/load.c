/* load.c: the data set from disk; see load.h. Commands of an append-only file run here one after the other;
 * load_rdb.c spreads the keys of an RDB file over the workers; load_primary.c puts in place what a primary
 * sent. */
#include "trivet/server/load.h"
#include "load_private.h"
#include "notify.h"
#include "trivet/base/clock.h"
#include "trivet/base/file.h"
#include "trivet/base/log.h"
#include "trivet/base/mem.h"
#include "trivet/base/watchdog.h"
#include "trivet/engine/client/client.h"
#include "trivet/engine/process/server_hooks.h"
#include "trivet/engine/replication/history.h"
#include "trivet/engine/replication/primary.h"
#include "trivet/engine/run/change.h"
#include "trivet/engine/run/dispatch.h"
#include "trivet/engine/saving/saving.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/keyspace/database.h"
#include "trivet/keyspace/keyspace.h"
#include "trivet/net/worker.h"
#include "trivet/persist/aof/aof.h"
#include "trivet/persist/backlog.h"
#include "trivet/persist/journal_sink.h"
#include "trivet/persist/rdb/file.h"
#include "trivet/server/setup.h"
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#define PUMP_COMMANDS 1024 /* between two looks at the clients while commands are replayed */
#define PUMP_EVERY_US 2000 /* and while keys are loaded */
#define LINE_EVERY_MS 5000

/* ---- what both have in common ---- */

struct loader *loader_begin(const char *what, bool gate_is_closed) {
    struct loader *l = mem_alloc_zero(sizeof *l);
    client_init(&l->client, CLIENT_INTERNAL);
    l->client.authenticated = true;
    l->client.reply.muted = true;
    l->what = what;
    l->gate_is_closed = gate_is_closed;
    loading_begin(clock_wall_ms() / 1000);
    return l;
}

/* At start-up clients must wait until writes can be journaled: setup_data decides when. */
static struct loader *begin_here(const char *what, bool gate_is_closed) {
    obstacle_set(OBSTACLE_LOADING, true);
    return loader_begin(what, gate_is_closed);
}

static void end_here(struct loader *l) {
    if (l->gate_is_closed) obstacle_set(OBSTACLE_LOADING, false);
    loader_end(l);
}

void loader_end(struct loader *l) {
    loading_end();
    notify_loaded();
    client_release(&l->client);
    buf_release(&l->stream);
    buf_release(&l->unnoted);
    mem_free(l);
}

static void progress(void *arg, uint64_t loaded, uint64_t total) {
    struct loader *l = arg;
    loading_note(NULL, loaded, total);
    notify_loading(l->what, loaded, total);
    int64_t now = clock_wall_ms();
    if (now < l->next_line_ms) return;
    if (l->next_line_ms)
        LOG_NOTICE("Loading the %s: %llu%% of %llu MB", l->what,
                   (unsigned long long)(total ? loaded * 100 / total : 100),
                   (unsigned long long)(total >> 20));
    l->next_line_ms = now + LINE_EVERY_MS;
}

/* ---- RDB files ---- */

void loader_rest(struct loader *l) {
    if (!l->gate_is_closed) {
        workers_pump();
        gate_yield();
        primary_note_loading();
    }
    l->next_pump_us = clock_steady_us() + PUMP_EVERY_US;
}

/* rdb_plan.breathe. */
static bool breathe(void *arg, uint64_t loaded, uint64_t size) {
    struct loader *l = arg;
    if (clock_steady_us() < l->next_pump_us) return !shutdown_has_begun();
    uint64_t total = atomic_load_explicit(&loading_progress.total, memory_order_relaxed);
    progress(l, loaded, total > size ? total : size); /* of an append-only file it is only a part */
    loader_rest(l);
    return !shutdown_has_begun();
}

bool loader_take_file(struct loader *l, const char *path, struct rdb_plan plan, struct buf *error) {
    plan.alone = l->gate_is_closed;
    plan.breathe = breathe;
    plan.arg = l;
    gate_enter();
    if (!load_rdb(path, &plan, &l->rdb, error)) return false;
    l->position = l->rdb.position;
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
    bool loaded = loader_take_file(l, path, plan, &error);
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

static bool load_rdb_at_start(struct loaded_data *out) {
    struct buf path = { 0 };
    bool loaded = true;
    if (exists(rdb_path(&path))) {
        struct loader *l = begin_here("RDB file", false);
        struct rdb_plan plan = { .keep_expired = options.import_mode || options.replicaof[0],
                                 .keep_expired_of_history = true };
        loaded = load_rdb_file(l, path.ptr, plan);
        out->position = l->position;
        end_here(l);
    }
    buf_release(&path);
    return loaded;
}

void empty_everything(bool later) {
    rdb_libraries.clear();
    for (uint32_t db = 0; db < keyspace_databases(); db++) keyspace_flush(db, later);
}

void forget_volatile_databases(void) {
    for (uint32_t db = 0; db < keyspace_databases(); db++)
        if (database_is_volatile(db) && keyspace_count(db) > 0) keyspace_flush(db, true);
}

/* The data is not what the stream has led to, nor what the append-only file has. */
static void note_other_data(void) {
    struct buf why = { 0 };
    history_end("DEBUG has loaded other data");
    if (!journal_on) return;
    saving_journal_ends();
    if (!aof_close()) LOG_WARNING("The append only file could not be written to its end");
    if (!saving_start_journal(&why))
        LOG_WARNING("The append only file can't be opened: %.*s", SLICE_ARG(buf_slice(&why)));
    buf_release(&why);
}

/* DEBUG is served while data is loaded. */
static bool refuse_twice(struct buf *error) {
    if (!loading_is_under_way()) return false;
    buf_append(error, LIT("ERR The data set is being loaded already"));
    return true;
}

/* The file is verified, checksum included, before any data is dropped for it. If it has just been saved,
 * replicas need not notice; so keys that have expired stay until they are told. */
bool load_rdb_anew(unsigned flags, struct buf *error) {
    if (refuse_twice(error)) return false;
    struct buf path = { 0 }, why = { 0 };
    struct rdb_rules rules = { .no_checksum = !options.rdbchecksum,
                               .relaxed = options.rdb_version_check != 0 };
    bool loaded = false;
    change_flush_quietly();
    watchdog_touch();
    if (rdb_verify(rdb_path(&path), rules, &why)) {
        if (!(flags & RELOAD_NOFLUSH)) empty_everything(false);
        struct loader *l = begin_here("RDB file", true);
        struct rdb_plan plan = { .keep_expired = options.import_mode || backlog_is_open(),
                                 .replace = flags & RELOAD_MERGE };
        loaded = load_rdb_file(l, path.ptr, plan);
        end_here(l);
        if (!loaded && !(flags & RELOAD_NOFLUSH))
            empty_everything(false); /* no data is better than a part of it */
        forget_volatile_databases();
        if (!loaded || flags || (database_differences & SOME_ARE_VOLATILE)) note_other_data();
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
    if (error->len > 0 && options.propagation_error_behavior == PROPAGATION_PANIC) return false;
    if (slice_equal_nocase(argv[0], LIT("SELECT")))
        return error->len == 0; /* else the following commands would go to another database */
    l->position.known = false;
    l->has_failures |= error->len > 0;
    buf_clear(&l->unnoted);
    return true;
}

/* aof_load.position. The bytes of the stream are kept while they join up, as many as the backlog keeps. */
static void take_position(void *arg, const struct stream_position *position, struct slice stream) {
    struct loader *l = arg;
    size_t most = (size_t)options.repl_backlog_size;
    bool joins = (uint64_t)l->noted.offset + stream.len == (uint64_t)position->offset;
    l->position = *position;
    l->position.known = position->db < (int64_t)keyspace_databases();
    l->noted = l->position;
    l->noted_db = l->client.db;
    buf_clear(&l->unnoted);
    if (!joins) buf_clear(&l->stream);
    buf_append(&l->stream, stream);
    if (l->stream.len / 2 > most) buf_drop_front(&l->stream, l->stream.len - most);
}

/* aof_load.unnoted. */
static void take_unnoted(void *arg, struct slice commands) {
    struct loader *l = arg;
    if (!l->noted.known) return;
    wire_select(&l->unnoted, l->noted_db);
    buf_append(&l->unnoted, commands);
}

static void tell_history(struct loader *l, struct loaded_data *out) {
    if (l->has_failures) return; /* replicas may have what could not be done here */
    bool goes_on = !l->position.known && l->unnoted.len > 0;
    out->position = goes_on ? l->noted : l->position;
    out->stream = l->stream;
    l->stream = (struct buf){ 0 };
    if (!goes_on) return;
    out->unnoted = l->unnoted;
    l->unnoted = (struct buf){ 0 };
}

/* aof_load.rdb. What has expired stays: commands that follow may have made it live longer. */
static bool load_base(void *arg, const char *path, uint64_t *end, struct buf *error) {
    struct loader *l = arg;
    if (!loader_take_file(l, path, (struct rdb_plan){ .keep_expired = true }, error)) return false;
    *end = l->rdb.end;
    return true;
}

/* `out` may be NULL. */
static enum aof_loaded load_aof(bool gate_is_closed, struct loaded_data *out) {
    struct loader *l = begin_here("append only file", gate_is_closed);
    struct aof_load how = {
        .run = replay,
        .progress = progress,
        .rdb = load_base,
        .position = take_position,
        .unnoted = take_unnoted,
        .arg = l,
    };
    int64_t start = clock_steady_us();
    enum aof_loaded result = aof_load(&how);
    if (result == AOF_LOADED)
        LOG_NOTICE("DB loaded from append only file: %.3f seconds",
                   (double)(clock_steady_us() - start) / 1e6);
    if (out) tell_history(l, out);
    end_here(l);
    return result;
}

bool load_aof_anew(struct buf *error) {
    if (refuse_twice(error)) return false;
    bool was_on = journal_on;
    change_flush_quietly();
    if (!was_on) saving_configure_journal();
    if (was_on ? !aof_close() : !aof_is_there()) {
        buf_append(error, was_on ? LIT("ERR The append only file could not be written")
                                 : LIT("ERR The append only file is off, and there is none to load"));
        return false;
    }
    empty_everything(false);
    bool loaded = load_aof(true, NULL) != AOF_REFUSED;
    forget_volatile_databases();
    if (!loaded || !was_on || (database_differences & SOME_ARE_VOLATILE))
        history_end("DEBUG has loaded other data");
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
static bool load_aof_at_start(struct loaded_data *out) {
    enum aof_loaded result = load_aof(false, out);
    struct buf path = { 0 };
    out->from_rdb = result == AOF_EMPTY && exists(rdb_path(&path));
    buf_release(&path);
    if (!out->from_rdb) return result != AOF_REFUSED;
    LOG_NOTICE("There is no append only file yet: it will begin with the data of the RDB file");
    return load_rdb_at_start(out);
}

bool load_data(struct loaded_data *out) {
    *out = (struct loaded_data){ 0 };
    return options.appendonly ? load_aof_at_start(out) : load_rdb_at_start(out);
}
