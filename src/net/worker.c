/* worker.c: the threads and their turns. The order of a turn is told in worker.h.
 *
 * The loop is the worker's own: event_base_loop(EVLOOP_ONCE) waits and runs the callbacks that are due, then
 * conns_read() runs the commands of the connections that they found readable, and end_turn() does what comes
 * after all of them. Callbacks call worker_begin_turn() first, but for those that only note something. */
#include "trivet/net/worker.h"
#include "handshake.h"
#include "trivet/base/background.h"
#include "trivet/base/clock.h"
#include "trivet/base/log.h"
#include "trivet/base/mem.h"
#include "trivet/base/slab.h"
#include "trivet/engine/client/blocking.h"
#include "trivet/engine/client/client_memory.h"
#include "trivet/engine/client/pause.h"
#include "trivet/engine/client/pubsub.h"
#include "trivet/engine/client/tracking.h"
#include "trivet/engine/replication/replicas.h"
#include "trivet/engine/replication/waiters.h"
#include "trivet/engine/run/change.h"
#include "trivet/engine/run/run.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/engine/turn/workers.h"
#include "trivet/engine/watch/answers.h"
#include "trivet/engine/watch/stats.h"
#include "trivet/keyspace/eviction.h"
#include "trivet/net/conn.h"
#include "trivet/persist/aof/aof.h"
#include "trivet/persist/backlog.h"
#include "trivet/persist/journal.h"
#include "trivet/transport/tls.h"
#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CHORES_US \
    50 /* the most that a request waits for a slice of them, if the worker has little else to do */
#define CHORES_SHARE 3 /* else they get this part of the time that the clients' turn took */

struct worker {
    int index;
    pthread_t thread;
    struct event_base *base;
    struct event *wake; /* letters wait */
    struct event *cron;
    struct event *slow; /* pending: its next bite has a time */
    atomic_bool stop;
    bool in_turn;
    bool woken; /* the mailbox called: its wake-up is to be taken from it, even if the letters have gone */
    int64_t turn_began_ns;
    int64_t turn_took_ns; /* the last one */
    int64_t second_ms;    /* when the work of each second was done last */
};

static struct worker workers[WORKERS_MAX];
static void (*cron_hook)(int64_t now_ms);
static struct worker_chores chores;
static int64_t (*slow_chore)(int64_t now_ms);
static bool (*acceptor)(void);
static bool accept_wanted; /* worker 0 only */

static struct worker *self(void) { return &workers[thread_worker_index]; }

struct event_base *worker_base(int index) {
    assert(index >= 0 && index < thread_worker_count);
    return workers[index].base;
}
void worker_set_cron(void (*cron)(int64_t now_ms)) { cron_hook = cron; }
void worker_set_chores(struct worker_chores c) { chores = c; }
void worker_set_slow_chore(int64_t (*chore)(int64_t now_ms)) { slow_chore = chore; }
void worker_set_acceptor(bool (*accept_some)(void)) { acceptor = accept_some; }
void worker_accept_soon(void) { accept_wanted = true; }

void worker_begin_turn(void) {
    struct worker *w = self();
    gate_enter();
    if (w->in_turn) return;
    w->in_turn = true;
    w->turn_began_ns = clock_ticks_ns();
    turn_now_ms = clock_wall_ms();
}

/* ---- the end of a turn ---- */

/* Makes the journal durable up to `needed`; returns how far it is. */
static uint64_t commit(uint64_t needed) {
    if (!journal_on || needed == 0) return UINT64_MAX;
    gate_leave();
    bool done = aof_commit(needed) == COMMITTED;
    gate_enter();
    if (obstacle_is_set(OBSTACLE_DISK) == done) obstacle_set(OBSTACLE_DISK, aof_is_failing());
    return done ? UINT64_MAX : 0;
}

/* Whatever any worker wrote so far, if something is about to be sent: a reply may show another client's
 * write, which must not get lost then; and replicas must not have what this server could lose. */
static uint64_t make_durable(void) {
    if (!conns_have_output()) return UINT64_MAX;
    uint64_t stream = backlog_offset(); /* before the journal's: so that one covers all of it */
    uint64_t durable = commit(journal_on ? journal_offset() : 0);
    if (durable > 0) replicas_may_send(stream);
    return durable;
}

/* Letters and messages for this worker that nothing but the end of its turn delivers. */
static bool has_mail(const struct worker *w) {
    return mailbox_has_letters(&worker_mailboxes[w->index]) || pubsub_has_own();
}

/* A letter may let clients go on, and what they run may post letters to this very worker. */
static void drain_and_resume(struct worker *w) {
    do {
        if (w->woken || mailbox_has_letters(&worker_mailboxes[w->index])) {
            w->woken = false;
            mailbox_drain(&worker_mailboxes[w->index]);
        }
        if (pubsub_has_own()) pubsub_deliver();
        conns_resume();
    } while (has_mail(w));
}

static void end_turn(struct worker *w) {
    if (!w->in_turn && !has_mail(w) && !(w->index == 0 && accept_wanted)) return;
    worker_begin_turn();
    drain_and_resume(w);
    tracking_turn_ends();
    waiters_turn_ends();
    replicas_turn_ends();
    conns_flush(make_durable());
    answers_turn_ends(w->turn_began_ns);
    COUNTER_ADD(stats_mine()->evicted_clients, clients_keep_limit());
    conns_close_marked(); /* before newcomers are counted: these places are free */
    if (w->index == 0 && accept_wanted) {
        accept_wanted = acceptor();
        conns_close_marked(); /* newcomers that could not be waited for */
    }
    struct stats *s = stats_mine();
    COUNTER_ADD(s->turns, 1);
    w->turn_took_ns = clock_ticks_ns() - w->turn_began_ns;
    COUNTER_ADD(s->turn_us, (uint64_t)w->turn_took_ns / 1000);
    assert(w->in_turn && gate_is_mine());
    command_turn_ends();
    w->in_turn = false;
    gate_leave();
}

static void on_wake(evutil_socket_t fd, short what, void *arg) {
    (void)fd;
    (void)what;
    struct worker *w = arg;
    worker_begin_turn();
    w->woken = true; /* end_turn drains the box */
}

/* ---- cron ---- */

static void do_slow_chore(struct worker *w) {
    int64_t wait_us = slow_chore(turn_now_ms);
    struct timeval wait = { wait_us / 1000000, wait_us % 1000000 };
    if (wait_us > 0 && event_add(w->slow, &wait) != 0) LOG_DEBUG("A timer failed; the next cron goes on");
}

static void on_slow_chore(evutil_socket_t fd, short what, void *arg) {
    (void)fd;
    (void)what;
    worker_begin_turn();
    if (!atomic_load_explicit(&turn_cron_paused, memory_order_relaxed)) do_slow_chore(arg);
}

static void on_cron(evutil_socket_t fd, short what, void *arg) {
    (void)fd;
    (void)what;
    struct worker *w = arg;
    worker_begin_turn();
    int64_t now = turn_now_ms;
    pause_check(now);
    bool paused = atomic_load_explicit(&turn_cron_paused, memory_order_relaxed);
    if (cron_hook && !paused) cron_hook(now);
    change_flush_quietly();
    if (slow_chore && !paused && !event_pending(w->slow, EV_TIMEOUT, NULL)) do_slow_chore(w);
    if (!paused && now - w->second_ms >= 1000 / CONNS_HZ) {
        w->second_ms = now;
        conns_cron(now);
    }
    /* No client waits for the effects of expiry and eviction: write them to disk all the same. */
    if (w->index == 0) commit(journal_on ? journal_offset() : 0);
}

static struct timeval cron_interval(void) {
    assert(options.hz >= 1); /* options_settle sees to it */
    int64_t us = 1000000 / options.hz;
    return (struct timeval){ us / 1000000, us % 1000000 };
}

static bool retime_here(struct worker *w) {
    struct timeval every = cron_interval();
    return event_add(w->cron, &every) == 0;
}

static void retime_letter(struct letter *l) {
    mem_free(l);
    if (!retime_here(self()))
        LOG_WARNING("Error registering fd event for the timer of worker %d: hz stays as it was",
                    worker_self());
}

void workers_retime(void) {
    for (int i = 0; i < thread_worker_count; i++) {
        struct letter *l = mem_alloc(sizeof *l);
        l->run = retime_letter;
        worker_post(i, l);
    }
}

/* Waiting can only fail if the loop's own descriptor is broken. */
static void wait_and_read(struct worker *w, int flags) {
    assert(!w->in_turn);
    bool chores_wait = chores.are_due && chores.are_due();
    if (UNLIKELY(conns_are_due() || handshakes_are_due() || chores_wait)) flags |= EVLOOP_NONBLOCK;
    int result = event_base_loop(w->base, flags);
    assert(result >= 0);
    handshakes_open();
    conns_read();
}

/* What clients need not wait for, in a turn of its own, after they have their replies. */
static void do_chores(struct worker *w) {
    if (LIKELY(!chores.are_due || !chores.are_due())) return;
    int64_t slice_us = w->turn_took_ns / 1000 / CHORES_SHARE;
    worker_begin_turn();
    chores.go_on(turn_now_ms, slice_us > CHORES_US ? slice_us : CHORES_US);
    end_turn(w);
}

static void run_turn(struct worker *w, int flags) {
    wait_and_read(w, flags);
    end_turn(w);
    handshakes_step();
    do_chores(w);
}

/* ---- a turn in the middle of a command ---- */

static void turn_inside(void) {
    struct worker *w = self();
    gate_leave();
    w->in_turn = false;
    wait_and_read(w, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    worker_begin_turn(); /* even if nothing happened: replies of the turn outside wait */
    end_turn(w);
    handshakes_step();
    worker_begin_turn();
}

void worker_turn_meanwhile(void) {
    struct worker *w = self();
    assert(w->in_turn && gate_is_mine());
    int64_t began_ns = w->turn_began_ns, left_ns = clock_ticks_ns();
    const struct command *running = command_running(w->index);
    struct change_aside *aside = change_set_aside();
    answers_turn_ends(began_ns); /* the turn inside writes those answers */
    conns_meanwhile(turn_inside);
    change_take_back(aside);
    command_goes_on(running);
    w->turn_began_ns = began_ns + (clock_ticks_ns() - left_ns); /* the turn inside counted its own time */
}

/* ---- start and end ---- */

static bool worker_prepare(struct worker *w, int index) {
    w->index = index;
    struct event_config *config = event_config_new();
    if (!config) return false;
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    w->base = event_base_new_with_config(config);
    event_config_free(config);
    if (!w->base || !mailbox_init(&worker_mailboxes[index])) return false;
    w->wake = event_new(w->base, worker_mailboxes[index].wake_fd, EV_READ | EV_PERSIST, on_wake, w);
    w->cron = event_new(w->base, -1, EV_PERSIST, on_cron, w);
    w->slow = event_new(w->base, -1, 0, on_slow_chore, w);
    return w->wake && w->cron && w->slow && event_add(w->wake, NULL) == 0 && retime_here(w);
}

static void thread_end(void) {
    worker_begin_turn();
    handshakes_end();
    uint64_t stream = backlog_offset(); /* before the look at the journal, as in end_turn */
    if (!journal_on || aof_is_committed(journal_offset())) replicas_may_send(stream);
    conns_end();
    mailbox_drain(&worker_mailboxes[self()->index]);
    change_flush_quietly();
    self()->in_turn = false;
    gate_leave();
    eviction_thread_release();
    tracking_thread_release();
    pause_thread_release();
    waiters_thread_release();
    change_thread_release();
    pubsub_thread_release();
    reply_thread_release();
    tls_thread_release();
    slab_thread_end();
}

static void *worker_main(void *arg) {
    struct worker *w = arg;
    thread_worker_index = w->index;
    (void)slab_thread_begin();
    while (!atomic_load_explicit(&w->stop, memory_order_relaxed)) run_turn(w, EVLOOP_ONCE);
    thread_end();
    return NULL;
}

bool workers_start(void) {
    (void)slab_thread_begin();
    for (int i = 0; i < thread_worker_count; i++) {
        if (worker_prepare(&workers[i], i)) continue;
        LOG_WARNING(
            "Can't create the event loop of worker %d: %s. Is the limit of open files (ulimit -n) too low?",
            i, strerror(errno));
        return false;
    }
    for (int i = 1; i < thread_worker_count; i++) {
        char name[32];
        snprintf(name, sizeof name, "worker-%d", i);
        if (!thread_start(&workers[i].thread, name, worker_main, &workers[i])) return false;
    }
    return true;
}

static struct {
    void (*run)(void *arg);
    void *arg;
} task; /* between two turns of worker 0; its own */

void worker_run_between_turns(void (*run)(void *arg), void *arg) {
    assert(thread_worker_index == 0 && !task.run);
    task.run = run;
    task.arg = arg;
}

static void run_task(void) {
    void (*run)(void *arg) = task.run;
    task.run = NULL;
    run(task.arg);
}

void workers_run(void) {
    struct worker *w = &workers[0];
    while (!atomic_load_explicit(&w->stop, memory_order_relaxed)) {
        run_turn(w, EVLOOP_ONCE);
        if (UNLIKELY(task.run != NULL)) run_task();
    }
}

void workers_pump(void) {
    struct worker *w = &workers[0];
    bool had_gate = gate_is_mine();
    run_turn(w, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    if (had_gate) gate_enter();
    turn_now_ms = clock_wall_ms();
}

void workers_stop(void) {
    for (int i = 0; i < thread_worker_count; i++) {
        atomic_store_explicit(&workers[i].stop, true, memory_order_relaxed);
        uint64_t one = 1;
        ssize_t written = write(worker_mailboxes[i].wake_fd, &one, sizeof one);
        assert(written == (ssize_t)sizeof one || errno == EAGAIN); /* EAGAIN: it is awake already */
    }
}

void workers_end(void) {
    for (int i = 1; i < thread_worker_count; i++) pthread_join(workers[i].thread, NULL);
    background_stop(); /* its last jobs may still post letters: before the boxes go */
    thread_end();
    for (int i = 0; i < thread_worker_count; i++) {
        struct worker *w = &workers[i];
        mailbox_drain(&worker_mailboxes[i]); /* letters between threads that ended meanwhile */
        event_free(w->wake);
        event_free(w->cron);
        event_free(w->slow);
        mailbox_release(&worker_mailboxes[i]);
    }
}
