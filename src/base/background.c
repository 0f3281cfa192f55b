/* background.c: a queue, a lock and one thread that sleeps on a condition until there is a job.
 *
 * Where it shares a core with a worker, its priority alone would not do: a scheduler lets a thread go on for
 * some milliseconds before another one that woke up gets its turn. So it yields while it frees. */
#include "trivet/base/background.h"
#include "trivet/base/lock.h"
#include "trivet/base/mem.h"
#include "trivet/base/thread.h"
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/resource.h>
#include <unistd.h>

#define BACKGROUND_NICE 10

struct job {
    struct job *next;
    void (*run)(void *arg);
    void *arg;
    uint64_t weight;
};

static struct lock queue_lock = LOCK_INIT(LOCK_RANK_BACKGROUND);
static pthread_cond_t queue_filled = PTHREAD_COND_INITIALIZER;
static struct job *oldest, *newest; /* under queue_lock */
static bool running;                /* under queue_lock: jobs are queued, not run at once */
static pthread_t thread;            /* for start and stop, which one thread calls */

static _Atomic uint64_t pending, done;
static atomic_bool ending; /* somebody waits for the rest of the jobs */

/* Waits for the oldest job; NULL when the thread must end and no job is left. */
static struct job *next_job(void) {
    lock_take(&queue_lock);
    while (!oldest && running) pthread_cond_wait(&queue_filled, &queue_lock.mutex);
    struct job *job = oldest;
    if (job) oldest = job->next;
    if (!oldest) newest = NULL;
    lock_drop(&queue_lock);
    return job;
}

static void let_others_run(void) {
    if (!atomic_load_explicit(&ending, memory_order_relaxed)) (void)sched_yield();
}

/* Only a courtesy: it may fail. */
static void step_back(void) {
    id_t self = (id_t)gettid();
    (void)setpriority(PRIO_PROCESS, self, getpriority(PRIO_PROCESS, self) + BACKGROUND_NICE);
}

static void *work(void *arg) {
    struct job *job;
    step_back();
    mem_each_step(let_others_run);
    while ((job = next_job()) != NULL) {
        job->run(job->arg);
        /* `done` first, so that the sum of both never misses a job. */
        atomic_fetch_add_explicit(&done, job->weight, memory_order_relaxed);
        atomic_fetch_sub_explicit(&pending, job->weight, memory_order_relaxed);
        mem_free(job);
    }
    return arg;
}

static void set_running(bool now) {
    lock_take(&queue_lock);
    assert(running != now);
    running = now;
    lock_drop(&queue_lock);
}

bool background_start(void) {
    set_running(true);
    atomic_store(&ending, false);
    bool started = thread_start(&thread, "background", work, NULL);
    if (!started) set_running(false);
    return started;
}

void background_stop(void) {
    lock_take(&queue_lock);
    bool was_running = running;
    running = false;
    atomic_store(&ending, true);
    pthread_cond_signal(&queue_filled);
    lock_drop(&queue_lock);
    if (was_running) pthread_join(thread, NULL);
}

/* False if there is no thread to run it. */
static bool enqueue(struct job *job) {
    lock_take(&queue_lock);
    bool taken = running;
    if (taken) {
        if (newest)
            newest->next = job;
        else
            oldest = job;
        newest = job;
        atomic_fetch_add_explicit(&pending, job->weight, memory_order_relaxed);
        pthread_cond_signal(&queue_filled);
    }
    lock_drop(&queue_lock);
    return taken;
}

void background_post(void (*run)(void *arg), void *arg, uint64_t weight) {
    struct job *job = mem_alloc(sizeof *job);
    *job = (struct job){ .run = run, .arg = arg, .weight = weight };
    if (enqueue(job)) return;
    mem_free(job);
    run(arg);
    atomic_fetch_add_explicit(&done, weight, memory_order_relaxed);
}

uint64_t background_pending(void) { return atomic_load_explicit(&pending, memory_order_relaxed); }
uint64_t background_done(void) { return atomic_load_explicit(&done, memory_order_relaxed); }
void background_reset_done(void) { atomic_store_explicit(&done, 0, memory_order_relaxed); }
