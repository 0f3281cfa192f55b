/* load_primary.c: what a primary sent takes the place of all data.
 *
 * The file has been received and verified, so a broken transfer never costs any data. In place: the old data
 * goes, then the file is loaded. Beside (repl-diskless-load swapdb): the file is loaded into the second set
 * of databases, and with the gate closed the sets change places; if it cannot be loaded, the old data stays.
 *
 * The append-only file is closed when the old data goes, and begins anew when the new data is there. Until
 * the new base is on disk, the files of before are in force: a crash brings back the old data, never a
 * mixture. */
#include "load_private.h"
#include "trivet/base/background.h"
#include "trivet/base/clock.h"
#include "trivet/base/file.h"
#include "trivet/base/log.h"
#include "trivet/base/mem.h"
#include "trivet/engine/cluster/member.h"
#include "trivet/engine/cluster/migrations.h"
#include "trivet/engine/process/server_hooks.h"
#include "trivet/engine/replication/history.h"
#include "trivet/engine/replication/primary.h"
#include "trivet/engine/run/change.h"
#include "trivet/engine/saving/saving.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/keyspace/database.h"
#include "trivet/keyspace/keyspace.h"
#include "trivet/server/load.h"
#include "trivet/server/setup.h"
#include <stdio.h>
#include <time.h>

#define WHAT "MASTER's RDB file"
#define FREEING_NS 1000000 /* between two looks at whether the old data is freed */

/* ---- the file ---- */

static bool keeps_nothing(void) { return !options.appendonly && options.save.count == 0; }

/* The file gets the name of the RDB file, unless that must not hold all of it; it holds the new data from now
 * on. It had to be loadable first: a damaged one would keep the server from starting. False: it stays
 * nameless, and is removed. */
static bool give_name(struct primary_load *from) {
    if (!from->path || (database_differences & SOME_ARE_VOLATILE)) return false;
    if (options.rdb_del_sync_files && keeps_nothing()) {
        LOG_NOTICE("Removing the RDB file obtained from the master. This replica has persistence disabled");
        return false;
    }
    struct buf path = { 0 }, why = { 0 };
    buf_printf(&path, "%s/%s", options.dir, options.dbfilename);
    bool done = file_rename(from->path, buf_cstr(&path), &why);
    if (!done)
        LOG_WARNING("The RDB file of the master does not get its name: %.*s", SLICE_ARG(buf_slice(&why)));
    buf_release(&path);
    buf_release(&why);
    return done;
}

/* What arrives at the primary. There is one primary, and one load from it at a time. */
static struct imports arriving;

/* The data is there: what has arrived so far is hidden from the beginning. Gate closed. */
static void hide_what_arrives(void) {
    static const struct node_id unknown;
    for (size_t i = 0; i < arriving.count && member; i++)
        migrations_note_begin(&unknown, slice_make(arriving.at[i].name, sizeof arriving.at[i].name),
                              &arriving.at[i].slots);
}

static bool take_file(struct loader *l, struct primary_load *from, struct rdb_plan plan, struct buf *why) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", from->fd);
    plan.keep_expired = true; /* the primary says when they go */
    plan.imports = &arriving;
    bool taken = loader_take_file(l, path, plan, why);
    from->db = taken ? l->rdb.position.db : -1;
    return taken;
}

/* ---- in place ---- */

/* Everybody else waits while the old data goes. */
static void drop_old_data(struct primary_load *from) {
    LOG_NOTICE("MASTER <-> REPLICA sync: Flushing old data");
    exclusive_begin();
    from->drops(from);
    saving_data_goes();
    empty_everything(true);
    changed_everything();
    change_flush_quietly();
    exclusive_end();
}

/* replica-lazy-flush no: the new data comes when the memory of the old is free. The background thread frees
 * it all the same, so that clients and the primary are answered meanwhile. */
static void wait_for_memory(struct loader *l) {
    while (!options.replica_lazy_flush && background_pending() > 0 && !shutdown_has_begun()) {
        gate_leave();
        nanosleep(&(struct timespec){ 0, FREEING_NS }, NULL);
        gate_enter();
        loader_rest(l);
    }
}

static bool load_in_place(struct loader *l, struct primary_load *from, struct buf *why) {
    drop_old_data(from);
    wait_for_memory(l);
    bool loaded = take_file(l, from, (struct rdb_plan){ .keep_expired = true }, why);
    gate_enter();
    bool is_named = loaded && give_name(from);
    exclusive_begin();
    if (loaded) {
        hide_what_arrives();
        from->done(from);
        changed_everything();
        change_flush_quietly();
        saving_data_came(is_named, l->rdb.loaded);
    } else {
        empty_everything(true); /* no data is better than a part of it */
        history_forget();
    }
    obstacle_set(OBSTACLE_LOADING, false);
    exclusive_end();
    return loaded;
}

/* ---- beside ---- */

static void change_places(void) {
    for (uint32_t db = 0; db < keyspace_databases(); db++) keyspace_swap(db, keyspace_beside(db));
}

/* The set that is not in use; nobody waits for its memory. */
static void empty_second_set(void) {
    for (uint32_t db = 0; db < keyspace_databases(); db++) keyspace_flush(keyspace_beside(db), true);
}

/* Gate closed. False if the functions cannot be put to use: then nothing has changed. */
static bool put_in_place(struct loader *l, struct primary_load *from, const struct libraries *found,
                         struct buf *why) {
    change_flush_quietly();
    if (!rdb_libraries.replace(found->codes, found->count, why)) return false;
    from->drops(from);
    saving_data_goes();
    change_places();
    hide_what_arrives();
    from->done(from);
    changed_everything();
    change_flush_quietly();
    empty_second_set();
    obstacle_set(OBSTACLE_LOADING_BESIDE, false); /* a snapshot may begin */
    saving_data_came(false, l->rdb.loaded);
    return true;
}

static void libraries_release(struct libraries *all) {
    for (size_t i = 0; i < all->count; i++) mem_free(unconst(all->codes[i].ptr));
    mem_free(all->codes);
}

static bool load_beside(struct loader *l, struct primary_load *from, struct buf *why) {
    struct libraries found = { .codes = NULL };
    LOG_NOTICE("MASTER <-> REPLICA sync: Loading DB beside the old data, which %s meanwhile",
               from->serves ? "can be read" : "is kept");
    bool loaded = take_file(l, from, (struct rdb_plan){ .beside = true, .libraries = &found }, why);
    gate_enter();
    exclusive_begin();
    if (loaded) loaded = put_in_place(l, from, &found, why);
    if (!loaded) empty_second_set();
    obstacle_set(OBSTACLE_LOADING_BESIDE, false);
    obstacle_set(OBSTACLE_LOADING, false);
    exclusive_end();
    libraries_release(&found);
    return loaded;
}

bool load_from_primary(struct primary_load *from, struct buf *why) {
    if (shutdown_has_begun()) {
        buf_append(why, LIT("the server is asked to shut down"));
        return false;
    }
    gate_enter();
    struct loader *l = loader_begin(WHAT, false);
    bool loaded = from->beside ? load_beside(l, from, why) : load_in_place(l, from, why);
    loader_end(l);
    gate_leave();
    mem_free(arriving.at);
    arriving = (struct imports){ .at = NULL };
    return loaded;
}
