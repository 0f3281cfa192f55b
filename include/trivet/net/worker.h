/* worker.h: a thread with its event loop and its connections.
 *
 * One turn of a worker: wait for events (gate open); on the first event take the gate; note which connections
 * are readable; read, parse and run what came; at the end run the letters of the mailbox, open the gate, make
 * the journal durable as far as the replies of this turn need it (one write for all of them), then write the
 * replies out, accept a slice of new connections, and close the connections that must close; then go on with
 * TLS handshakes for a moment, and with chores for another. Worker 0 is the main thread; it also accepts. */
#ifndef TRIVET_NET_WORKER_H
#define TRIVET_NET_WORKER_H

#include "trivet/base/compiler.h"
#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct worker;

/* Prepares all workers (thread_worker_count must be set); starts the threads of all but worker 0.
 * False with the reason logged. Main thread. */
MUST_CHECK bool workers_start(void);
/* Worker 0's loop, on the main thread; returns after workers_stop. */
void workers_run(void);
/* Asks all workers to end after their turn, from any thread or signal event. */
void workers_stop(void);
/* Main thread, after workers_run: sends what can be sent at once, closes all connections, joins threads,
 * frees. */
void workers_end(void);
/* One turn of worker 0 that does not wait: while loading. */
void workers_pump(void);
/* Runs this after the present turn, the gate open: it may take long, and give clients their turns by
 * workers_pump(). One at a time. Worker 0. */
void worker_run_between_turns(void (*run)(void *arg), void *arg);

struct event_base *worker_base(int index);
/* A function for each worker's cron, called options.hz times a second with its gate held. */
void worker_set_cron(void (*cron)(int64_t now_ms));
/* Work of each worker that no client waits for, cut into slices: while it is due, one of about `slice_us`
 * follows each turn, and no turn waits for events. go_on is called with the gate held, are_due without. */
struct worker_chores {
    bool (*are_due)(void);
    void (*go_on)(int64_t now_ms, int64_t slice_us);
};
void worker_set_chores(struct worker_chores chores);
/* Work that goes on slowly, in small bites with time between them: called with each cron and again after as
 * many microseconds as it returns, in a turn of its own; 0: not before the next cron. */
void worker_set_slow_chore(int64_t (*chore)(int64_t now_ms));
/* hz changed. Gate closed. */
void workers_retime(void);
/* Called on worker 0 at the end of a turn while connections wait to be accepted; returns whether more do. */
void worker_set_acceptor(bool (*accept_some)(void));
void worker_accept_soon(void);

/* One turn of the calling worker, without waiting, in the middle of a command that one of its connections
 * runs: a command that takes long must not keep the others from being answered. The caller holds its gate, no
 * shard, and has not closed the gate of others; the gate is open for a moment, then held again. On return the
 * worker's clock (turn_now_ms) is that of the new turn; all else that the command has under way is as it was:
 * its arguments, its reply, and what it has gathered for the journal and for waiting clients
 * (change_set_aside). Its connection is neither read nor written nor closed meanwhile, though it may be
 * marked for closing; pushes to it come after its reply. Not to be called from a command that such a turn
 * runs. */
void worker_turn_meanwhile(void);

/* For conn.c. Marks the turn as begun: takes the gate, sets the clock. */
void worker_begin_turn(void);

#endif
