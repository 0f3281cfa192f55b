/* job.h: writing all data to disk as a job: one runs, others wait in a queue.
 *
 *     asked for -> queue -> begin -> (prepare) -> write: a snapshot is open -> ended -> the next of the queue
 *
 * A job's kind knows what it writes. To add a kind: a row of struct job_kind with its status.
 *
 *   job.c       the running job, the queue, the letters in which other threads report
 *   rdb_file.c  the kind of BGSAVE: an RDB file
 *   aof_base.c  the kind of BGREWRITEAOF: the base of an append-only file
 *   saving.c    who asks: commands, save points, the growth of the AOF
 *
 * Thread: a worker with the gate closed, unless said. */
#ifndef ENGINE_SAVING_JOB_H
#define ENGINE_SAVING_JOB_H

#include "trivet/engine/saving/saving.h"
#include "trivet/persist/snapshot/snapshot.h"

struct save_job;

/* Goes to save_job_write(), at once or later. False with the reason in `why`. */
typedef bool job_beginning(struct save_job *job, struct buf *why);

struct job_kind {
    const char *name;           /* for the log, as "<name> terminated with success" */
    const char *failure;        /* the same of a failure, as "<failure>: <why>" */
    struct saving_kind *status; /* how it goes, for INFO */
    job_beginning *begin;
    /* The snapshot is closed. */
    void (*ended)(struct save_job *job, enum snapshot_end how);
};
extern const struct job_kind job_rdb_file, job_aof_base;

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
/* Queues it: it begins after the running job and those that wait already. A kind is in the queue at most
 * once. */
void save_job_enqueue(const struct job_kind *kind);
void save_job_dequeue(const struct job_kind *kind);
bool save_job_anything_waits(void);
/* Begins the first job in the queue, if none is running. */
void save_job_begin_next(void);

/* The job's instant is now: its plan is written by a thread. False with the reason in `why`. */
MUST_CHECK bool save_job_write(struct save_job *job, struct buf *why);
/* The job failed before it began to write. */
void save_job_failed(struct save_job *job, struct slice why);
void save_job_cancelled(struct save_job *job, const char *why);

/* What to do about the running job when another thread has finished a step of it. */
typedef void save_job_report(struct save_job *job, enum snapshot_end how, struct slice why);
/* Any thread: runs it on worker 0, gate closed; then the next job begins if this one has ended. Copies `why`.
 * After saving_stop() nothing is run any more. */
void save_job_tell(save_job_report *report, enum snapshot_end how, struct slice why);

/* For saving_stop(): no report runs after this. */
void save_job_stop_reports(void);

#endif
