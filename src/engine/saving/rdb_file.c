/* rdb_file.c: the RDB file that SAVE and BGSAVE write: its paths, its form, and how it takes its place.
 *
 * It is written as "temp-<pid>.rdb" (SAVE: "temp-save-<pid>.rdb") beside the file whose place it takes. */
#include "trivet/engine/saving/rdb_file.h"
#include "trivet/base/clock.h"
#include "trivet/base/file.h"
#include "trivet/base/lock.h"
#include "trivet/base/log.h"
#include "trivet/base/mem.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/keyspace/counters.h"
#include "trivet/persist/backlog.h"
#include "trivet/persist/snapshot/file_sink.h"
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Of a job: paths as they were when it began. A snapshot that began before a newer file was written must
 * not replace that file when it ends later. */
static struct {
    struct lock lock;
    char *temporary, *path; /* NULL: no job writes */
    struct file_sink file;
    bool superseded; /* under lock */
} target = { .lock = LOCK_INIT(LOCK_RANK_MANIFEST), .file.fd = -1 };

static char *path_of(const char *name) {
    struct buf path = { 0 };
    buf_printf(&path, "%s/%s", options.dir, name);
    char *text = slice_to_cstr(buf_slice(&path));
    buf_release(&path);
    return text;
}

static char *temporary_path(const char *kind) {
    struct buf name = { 0 };
    buf_printf(&name, "temp-%s%d.rdb", kind, (int)getpid());
    char *path = path_of(buf_cstr(&name));
    buf_release(&name);
    return path;
}

static bool publish(void *arg, struct buf *error) {
    (void)arg;
    lock_take(&target.lock);
    bool done = false;
    if (target.superseded)
        buf_append(error, LIT("a newer snapshot was written meanwhile"));
    else
        done = file_rename(target.temporary, target.path, error);
    lock_drop(&target.lock);
    return done;
}

static struct file_sink_plan plan_file(const char *path) {
    return (struct file_sink_plan){ .path = path,
                                    .incremental_sync = options.rdb_save_incremental_fsync,
                                    .not_opened = "Failed opening the temp RDB file: ",
                                    .not_written = "Write error saving DB on disk: " };
}

static void release_target(void) {
    int unread = file_sink_detach(&target.file);
    if (unread >= 0) close(unread);
    mem_free(target.temporary);
    mem_free(target.path);
    target.temporary = target.path = NULL;
}

/* ---- BGSAVE ---- */

bool rdb_file_begin(struct save_job *job, bool stays_open, struct buf *why) {
    assert(!rdb_file_is_being_written());
    target.temporary = temporary_path("");
    target.path = path_of(options.dbfilename);
    target.superseded = false;
    struct file_sink_plan file_plan = plan_file(target.temporary);
    file_plan.stays_open = stays_open;
    file_plan.publish = publish;
    file_sink_init(&target.file, &file_plan);
    job->plan.sink = &target.file.sink;
    if (save_job_write(job, why)) {
        LOG_NOTICE("Background saving started");
        return true;
    }
    LOG_WARNING("Can't save in background: %.*s", SLICE_ARG(buf_slice(why)));
    release_target();
    return false;
}

int rdb_file_take(enum snapshot_end how) {
    return how == SNAPSHOT_SAVED ? file_sink_detach(&target.file) : -1;
}

void rdb_file_ended(struct save_job *job, enum snapshot_end how) {
    release_target();
    if (how != SNAPSHOT_SAVED) return;
    saving_status.last_save_s = clock_wall_ms() / 1000;
    saving_status.changes_saved = job->changes;
}

static bool begin_file(struct save_job *job, struct buf *why) {
    job->plan = saving_plan();
    return rdb_file_begin(job, false, why);
}

const struct job_kind job_rdb_file = {
    .name = "Background saving",
    .failure = "Background saving error",
    .status = &saving_status.snapshot,
    .begin = begin_file,
    .ended = rdb_file_ended,
};

bool rdb_file_is_being_written(void) { return target.path != NULL; }

void rdb_file_cancel(void) {
    if (rdb_file_is_being_written()) snapshot_cancel();
}

void rdb_file_supersede(void) {
    if (!rdb_file_is_being_written()) return;
    snapshot_cancel();
    lock_take(&target.lock);
    target.superseded = true;
    lock_drop(&target.lock);
}

void rdb_file_release(void) { release_target(); }

/* ---- SAVE ---- */

struct direct {
    const char *from, *to;
};

static bool publish_directly(void *arg, struct buf *error) {
    const struct direct *d = arg;
    return file_rename(d->from, d->to, error);
}

static bool write_file(struct buf *error) {
    char *temporary = temporary_path("save-"), *path = path_of(options.dbfilename);
    struct direct d = { temporary, path };
    struct file_sink_plan file_plan = plan_file(temporary);
    file_plan.publish = publish_directly;
    file_plan.arg = &d;
    struct file_sink file;
    file_sink_init(&file, &file_plan);
    struct snapshot_plan plan = saving_plan();
    plan.sink = &file.sink;
    plan.key_delay_us = 0;
    bool done = snapshot_write_now(&plan, error);
    if (done)
        LOG_NOTICE("DB saved on disk");
    else
        LOG_WARNING("Saving to %s failed: %.*s", path, SLICE_ARG(buf_slice(error)));
    mem_free(temporary);
    mem_free(path);
    return done;
}

bool rdb_file_write(struct buf *error) {
    uint64_t changes = (uint64_t)COUNTER_SUM(dirty);
    if (!write_file(error)) return false;
    saving_status.changes_saved = changes;
    saving_status.last_save_s = clock_wall_ms() / 1000;
    saving_status.snapshot.last_ok = true;
    obstacle_set(OBSTACLE_SAVE, false);
    saving_status.snapshot.done++;
    return true;
}

/* ---- what killed processes left ---- */

/* The number in "temp-<pid>.rdb" or "temp-save-<pid>.rdb"; 0 if it is another name. */
static pid_t owner_of(const char *name) {
    int pid = 0, end = 0;
    if (sscanf(name, "temp-%d.rdb%n", &pid, &end) != 1 || end == 0)
        if (sscanf(name, "temp-save-%d.rdb%n", &pid, &end) != 1) return 0;
    return end > 0 && name[end] == '\0' && pid > 0 ? pid : 0;
}

/* Removes unfinished snapshots of processes that were killed: nobody else would. Files of running processes
 * stay: servers may share a folder. */
void rdb_file_remove_leftovers(void) {
    struct buf path = { 0 };
    DIR *folder = opendir(options.dir);
    struct dirent *entry;
    while (folder && (entry = readdir(folder)) != NULL) {
        pid_t owner = owner_of(entry->d_name);
        if (owner == 0 || (owner != getpid() && (kill(owner, 0) == 0 || errno != ESRCH))) continue;
        buf_clear(&path);
        buf_printf(&path, "%s/%s", options.dir, entry->d_name);
        if (file_io.unlink(buf_cstr(&path)) == 0)
            LOG_NOTICE("Removed %s, a snapshot that was not finished", entry->d_name);
        else
            LOG_WARNING("Cannot remove the unfinished snapshot %s: %s", entry->d_name,
                        file_errno_text(errno));
    }
    if (folder) closedir(folder);
    buf_release(&path);
}
