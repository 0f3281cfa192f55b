/* job.h: writing all data to disk as a job: one runs, others wait in a queue.
 *
 *     asked for -> queue -> begin -> (prepare) -> write: a snapshot is open -> ended -> the next of the queue
 *
 * A job's kind knows what it writes, and where: its `begin` fills the job's plan (saving_plan() has what
 * the options say), with a sink of its own, and calls save_job_write(). To add a kind, in any room: a row
 * of struct job_kind.
 *
 *   job.c       the running job, the queue, the letters in which other threads report
 *   rdb_file.c  the kind of BGSAVE: an RDB file
 *   aof_base.c  the kind of BGREWRITEAOF: the base of an append-only file
 *   saving.c    who asks: commands, save points, the growth of the AOF
 *
 * Thread: a worker with the gate closed, unless said. */
#ifndef TRIVET_ENGINE_SAVING_JOB_H
#define TRIVET_ENGINE_SAVING_JOB_H

#include "trivet/engine/saving/saving.h"
#include "trivet/persist/snapshot/snapshot.h"

struct save_job;

/* Goes to save_job_write(), at once or later. False with the reason in `why`. */
typedef bool job_beginning(struct save_job *job, struct buf *why);

struct job_kind {
    const char *name;    /* for the log, as "<name> terminated with success" */
    const char *failure; /* the same of a failure, as "<failure>: <why>" */
    /* How it goes. INFO shows those of saving_status and no others. Kinds may share one. */
    struct saving_kind *status;
    job_beginning *begin;
    /* What was begun has ended, well or not; the snapshot is closed. It may put jobs into the queue. */
    void (*ended)(struct save_job *job, enum snapshot_end how);
    /* NULL, or: it ended before it began to write, because it failed or was called off. Those who wait for
     * it must be told. It may put jobs into the queue: one of the same kind begins with the next cron. */
    void (*failed)(const struct job_kind *kind, enum snapshot_end how, struct slice why);
};

struct save_job {
    const struct job_kind *kind; /* NULL: nothing is under way */
    struct snapshot_plan plan;   /* the kind fills it before it writes */
    uint64_t changes;            /* counter of changes (dirty) at the snapshot's instant */
    bool is_writing;             /* its snapshot is open */
    bool is_called_off;          /* it was cancelled while it was prepared: it must not write */
};

/* The running job of this kind, or NULL. */
struct save_job *save_job_of(const struct job_kind *kind);
bool save_job_is_idle(void);

/* No job may be running. False with the reason logged, and in `why`. */
bool save_job_begin(const struct job_kind *kind, struct buf *why);
/* The same with another beginning than the kind's. */
MUST_CHECK bool save_job_begin_with(const struct job_kind *kind, job_beginning *begin, struct buf *why);
/* Queues it: it begins after the running job and those that wait already; if none is running, with the next
 * cron or save_job_begin_next(). A kind is in the queue at most once. */
void save_job_enqueue(const struct job_kind *kind);
bool save_job_is_queued(const struct job_kind *kind);
/* `failed` is not called: whoever takes it out knows. */
void save_job_dequeue(const struct job_kind *kind);
/* The running job of this kind is given up; `ended` or `failed` tells, soon, how it ended. Takes one that
 * waits out of the queue. False if there is neither. */
bool save_job_cancel(const struct job_kind *kind);
bool save_job_anything_waits(void);
/* Begins the first job in the queue, if none is running. Not within a transaction or a script. */
void save_job_begin_next(void);

/* How the options want a snapshot to be written. The sink is still to be filled in. */
struct snapshot_plan saving_plan(void);
/* The same with all databases, also those that files do not hold. */
struct snapshot_plan saving_plan_for_replicas(void);
/* The job's instant is now: its plan is written by a thread. False with the reason in `why`; the plan's
 * sink is dropped then. */
MUST_CHECK bool save_job_write(struct save_job *job, struct buf *why);
/* The job failed before it began to write. */
void save_job_failed(struct save_job *job, struct slice why);
void save_job_cancelled(struct save_job *job, const char *why);

/* What to do about the running job when another thread has finished a step of it. */
typedef void save_job_report(struct save_job *job, enum snapshot_end how, struct slice why);
/* Any thread: runs it on worker 0, gate closed; then the next job begins if this one has ended. Copies `why`.
 * After saving_stop() nothing is run any more. */
void save_job_tell(save_job_report *report, enum snapshot_end how, struct slice why);

/* Reports that came in the middle of a script run now. Worker 0, its own gate is enough. */
void save_job_read_late_reports(void);

/* For saving_stop(): no report runs after this. */
void save_job_stop_reports(void);

#endif
