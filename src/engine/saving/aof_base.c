/* aof_base.c: the base of an append-only file as a job.
 *
 * If the journal is on, the background thread first makes its next file, because that waits for the disk.
 * Then, at one instant, the journal switches to that file and the snapshot begins. If the journal is off
 * there is no next file: the manifest names the base alone. */
#include "aof_base.h"
#include "trivet/base/background.h"
#include "trivet/base/log.h"
#include "trivet/engine/run/change.h"
#include "trivet/engine/settings/options.h"
#include "trivet/persist/aof/aof.h"
#include "trivet/persist/journal.h"
#include "trivet/persist/snapshot/file_sink.h"

/* State of the base that is being prepared or written. */
static struct {
    uint64_t first_incr; /* the incremental file that follows it */
    bool is_rdb;
    bool is_alone; /* the journal is off */
    struct file_sink file;
} base;

static bool publish(void *arg, struct buf *error) {
    (void)arg;
    return base.is_alone ? aof_base_publish(base.is_rdb, error)
                         : aof_rewrite_publish(base.first_incr, base.is_rdb, error);
}

static struct snapshot_plan plan_base(struct snapshot_sink *sink) {
    struct snapshot_plan plan = saving_plan();
    plan.sink = sink;
    plan.as_commands = !options.aof_use_rdb_preamble;
    plan.is_aof_base = true;
    return plan;
}

static struct file_sink_plan plan_file(const char *path) {
    return (struct file_sink_plan){ .path = path, .incremental_sync = options.aof_rewrite_incremental_fsync };
}

bool saving_write_base(void *arg, const char *path, struct buf *error) {
    (void)arg;
    struct file_sink file;
    struct file_sink_plan file_plan = plan_file(path);
    file_sink_init(&file, &file_plan);
    struct snapshot_plan plan = plan_base(&file.sink);
    return snapshot_write_now(&plan, error);
}

/* Now is the instant. */
static bool write_base(struct save_job *job, struct buf *why) {
    struct buf path = { 0 };
    struct file_sink_plan file_plan = plan_file(aof_path_of_new_base(&path));
    file_plan.publish = publish;
    file_sink_init(&base.file, &file_plan);
    job->plan = plan_base(&base.file.sink);
    base.first_incr = base.is_alone ? 0 : aof_incr_in_use();
    base.is_rdb = options.aof_use_rdb_preamble;
    LOG_NOTICE("Creating AOF base file %s on background", path.ptr);
    bool begun = save_job_write(job, why);
    buf_release(&path);
    if (begun) LOG_NOTICE("Background append only file rewriting started");
    return begun;
}

/* A base that was begun with the journal off must be given up if the journal was turned on meanwhile, and the
 * other way round. */
static const char *what_forbids(const struct save_job *job) {
    if (base.is_alone) return journal_on ? "the append only file was turned on" : NULL;
    return !journal_on || job->is_called_off ? "the append only file was turned off" : NULL;
}

static void is_prepared(struct save_job *job, enum snapshot_end how, struct slice why) {
    struct buf error = { 0 };
    change_flush_quietly();
    const char *forbidden = what_forbids(job);
    if (how != SNAPSHOT_SAVED) {
        save_job_failed(job, why);
    } else if (forbidden) {
        if (!base.is_alone) aof_rewrite_drop();
        save_job_cancelled(job, forbidden);
    } else if ((!base.is_alone && !aof_rewrite_switch(&error)) || !write_base(job, &error)) {
        save_job_failed(job, buf_slice(&error));
    }
    buf_release(&error);
}

/* On the background thread. */
static void prepare(void *arg) {
    (void)arg;
    struct buf why = { 0 };
    bool done = base.is_alone ? aof_base_prepare(&why) : aof_rewrite_prepare(&why);
    save_job_tell(is_prepared, done ? SNAPSHOT_SAVED : SNAPSHOT_FAILED, buf_slice(&why));
    buf_release(&why);
}

static bool begin_base(struct save_job *job, struct buf *why) {
    (void)job;
    (void)why;
    base.is_alone = !journal_on;
    if (base.is_alone) saving_configure_journal();
    background_post(prepare, NULL, 0);
    return true;
}

static bool begin_now(struct save_job *job, struct buf *why) {
    base.is_alone = false;
    return write_base(job, why);
}

static void base_ended(struct save_job *job, enum snapshot_end how) {
    (void)job;
    if (how == SNAPSHOT_SAVED) LOG_NOTICE("Background AOF rewrite finished successfully");
}

const struct job_kind job_aof_base = {
    .name = "Background AOF rewrite",
    .failure = "Background AOF rewrite terminated with error",
    .status = &saving_status.rewrite,
    .begin = begin_base,
    .ended = base_ended,
};

bool aof_base_begin_now(struct buf *why) { return save_job_begin_with(&job_aof_base, begin_now, why); }

void aof_base_call_off(void) {
    struct save_job *job = save_job_of(&job_aof_base);
    save_job_dequeue(&job_aof_base);
    if (!job || base.is_alone) return;
    job->is_called_off = true;
    if (!job->is_writing) return;
    LOG_NOTICE(
        "Killing AOF child: the thread that writes the base gives up, the append only file is turned off");
    snapshot_cancel();
}
