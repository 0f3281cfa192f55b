/* job.c: see job.h. */
#include "trivet/engine/saving/job.h"
#include "trivet/base/clock.h"
#include "trivet/base/lock.h"
#include "trivet/base/log.h"
#include "trivet/base/mem.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/engine/turn/workers.h"
#include "trivet/keyspace/counters.h"
#include "trivet/persist/aof/aof.h"

#define KINDS_MAX 8 /* in the whole server */

static struct save_job running;

/* In the order of their arrival; their status says `scheduled`. */
static struct {
    const struct job_kind *kinds[KINDS_MAX];
    size_t count;
} queue;

struct save_job *save_job_of(const struct job_kind *kind) {
    return running.kind == kind ? &running : NULL;
}

bool save_job_is_idle(void) { return running.kind == NULL; }

/* ---- the queue ---- */

bool save_job_is_queued(const struct job_kind *kind) {
    for (size_t i = 0; i < queue.count; i++)
        if (queue.kinds[i] == kind) return true;
    return false;
}

/* Kinds may share a status. */
static void note_scheduled(struct saving_kind *status) {
    status->scheduled = false;
    for (size_t i = 0; i < queue.count; i++)
        if (queue.kinds[i]->status == status) status->scheduled = true;
}

void save_job_enqueue(const struct job_kind *kind) {
    if (save_job_is_queued(kind)) return;
    assert(queue.count < KINDS_MAX);
    queue.kinds[queue.count++] = kind;
    note_scheduled(kind->status);
}

void save_job_dequeue(const struct job_kind *kind) {
    size_t kept = 0;
    for (size_t i = 0; i < queue.count; i++)
        if (queue.kinds[i] != kind) queue.kinds[kept++] = queue.kinds[i];
    queue.count = kept;
    note_scheduled(kind->status);
}

bool save_job_anything_waits(void) { return queue.count > 0; }

/* Each is tried once: one that puts itself into the queue again because it failed waits for the next time. */
void save_job_begin_next(void) {
    if (obstacle_is_set(OBSTACLE_LOADING_BESIDE)) return; /* there are two sets of data */
    for (size_t left = queue.count; left > 0 && save_job_is_idle() && queue.count > 0; left--) {
        struct buf why = { 0 };
        (void)save_job_begin(queue.kinds[0], &why); /* the log tells the reason; nobody waits for an answer */
        buf_release(&why);
    }
}

/* ---- reports of other threads ---- */

/* Worker 0 may end before the threads that report to it. */
static struct {
    struct lock lock;
    bool are_stopped; /* under lock */
} reports = { .lock = LOCK_INIT(LOCK_RANK_LEAF) };

struct report {
    struct letter letter;
    struct report *next; /* if it is late */
    save_job_report *run;
    enum snapshot_end how;
    struct buf why;
};

static void report_free(struct report *r) {
    buf_release(&r->why);
    mem_free(r);
}

static bool reports_are_stopped(void) {
    lock_take(&reports.lock);
    bool stopped = reports.are_stopped;
    lock_drop(&reports.lock);
    return stopped;
}

/* A report may begin a snapshot. In the middle of a script it would save half of what the script does, and
 * the journal all of it: so the report waits till data moves again. Worker 0 with its gate, or gate closed.
 */
static struct report *late, **last_late = &late;

static void read_report(struct letter *l) {
    struct report *r = CONTAINER_OF(l, struct report, letter);
    exclusive_begin();
    bool is_stopped = reports_are_stopped(); /* posted before the end, read after it: begin nothing now */
    if (!is_stopped && obstacle_is_set(OBSTACLE_BUSY)) {
        r->next = NULL;
        *last_late = r;
        last_late = &r->next;
        r = NULL;
    } else if (!is_stopped) {
        r->run(&running, r->how, buf_slice(&r->why));
        save_job_begin_next();
    }
    exclusive_end();
    if (r) report_free(r);
}

static struct report *take_late(void) {
    struct report *all = late;
    late = NULL;
    last_late = &late;
    return all;
}

void save_job_read_late_reports(void) {
    for (struct report *r = take_late(), *next; r; r = next) {
        next = r->next;
        read_report(&r->letter);
    }
}

void save_job_tell(save_job_report *run, enum snapshot_end how, struct slice why) {
    struct report *r = mem_alloc_zero(sizeof *r);
    r->letter.run = read_report;
    r->run = run;
    r->how = how;
    buf_append(&r->why, why);
    lock_take(&reports.lock);
    bool posted = !reports.are_stopped;
    if (posted) worker_post(0, &r->letter);
    lock_drop(&reports.lock);
    if (!posted) report_free(r);
}

void save_job_stop_reports(void) {
    lock_take(&reports.lock);
    reports.are_stopped = true;
    lock_drop(&reports.lock);
    for (struct report *r = take_late(), *next; r; r = next) {
        next = r->next;
        report_free(r);
    }
}

/* ---- the running job ---- */

static void conclude(struct save_job *job, enum snapshot_end how, struct slice why) {
    struct saving_kind *status = job->kind->status;
    status->last_took_s = (clock_wall_ms() - status->began_ms) / 1000;
    status->began_ms = 0;
    if (how == SNAPSHOT_SAVED)
        LOG_NOTICE("%s terminated with success", job->kind->name);
    else if (how == SNAPSHOT_CANCELLED)
        LOG_WARNING("%s cancelled%s%.*s", job->kind->name, why.len ? ": " : "", SLICE_ARG(why));
    else
        LOG_WARNING("%s: %.*s", job->kind->failure, SLICE_ARG(why));
    if (how == SNAPSHOT_CANCELLED) return;
    status->last_ok = how == SNAPSHOT_SAVED;
    status->done += how == SNAPSHOT_SAVED;
    status->failures = how == SNAPSHOT_SAVED ? 0 : status->failures + 1;
    obstacle_set(OBSTACLE_SAVE, !saving_status.snapshot.last_ok);
}

static void not_written(struct save_job *job, enum snapshot_end how, struct slice why) {
    const struct job_kind *kind = job->kind;
    conclude(job, how, why);
    job->kind = NULL;
    if (kind->failed) kind->failed(kind, how, why);
}

void save_job_failed(struct save_job *job, struct slice why) { not_written(job, SNAPSHOT_FAILED, why); }

void save_job_cancelled(struct save_job *job, const char *why) {
    not_written(job, SNAPSHOT_CANCELLED, slice_of(why));
}

bool save_job_cancel(const struct job_kind *kind) {
    bool was_queued = save_job_is_queued(kind);
    save_job_dequeue(kind);
    if (running.kind != kind) return was_queued;
    running.is_called_off = true;
    if (running.is_writing) snapshot_cancel();
    return true;
}

bool save_job_begin(const struct job_kind *kind, struct buf *why) {
    return save_job_begin_with(kind, kind->begin, why);
}

bool save_job_begin_with(const struct job_kind *kind, job_beginning *begin, struct buf *why) {
    assert(save_job_is_idle());
    save_job_dequeue(kind);
    running = (struct save_job){ .kind = kind };
    kind->status->began_ms = kind->status->tried_ms = clock_wall_ms();
    if (begin(&running, why)) return true;
    save_job_failed(&running, buf_slice(why));
    return false;
}

static void snapshot_has_ended(struct save_job *job, enum snapshot_end how, struct slice why) {
    struct snapshot_progress p;
    snapshot_progress(&p);
    job->kind->status->last_side_bytes = p.side_peak;
    conclude(job, how, why);
    snapshot_close();
    obstacle_set(OBSTACLE_SNAPSHOT, false);
    aof_pause_sync(false);
    job->kind->ended(job, how);
    job->kind = NULL;
}

/* On the snapshot's thread. */
static void snapshot_ended(void *arg, enum snapshot_end how, struct slice why) {
    (void)arg;
    save_job_tell(snapshot_has_ended, how, why);
}

bool save_job_write(struct save_job *job, struct buf *why) {
    job->plan.ended = snapshot_ended;
    job->changes = (uint64_t)COUNTER_SUM(dirty);
    if (!snapshot_begin(&job->plan, why)) return false;
    job->is_writing = true;
    obstacle_set(OBSTACLE_SNAPSHOT, true);
    aof_pause_sync(options.no_appendfsync_on_rewrite);
    return true;
}
