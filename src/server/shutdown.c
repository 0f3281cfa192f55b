/* shutdown.c: how the server ends: SHUTDOWN, SIGTERM, SIGINT.
 *
 * If replicas lack something, writes are paused and they are waited for, for shutdown-timeout at most. Who
 * asks for the shutdown once more waits too; with NOW, or by a second SIGINT, nobody waits any longer. Then
 * all ways lead through begin_shutdown(): the journal is written and synced first. The workers are asked to
 * end only if that worked, or if the operator forces it; else everybody who waits gets an error, as after
 * SHUTDOWN ABORT. */
#include "notify.h"
#include "trivet/base/log.h"
#include "trivet/engine/client/blocking.h"
#include "trivet/engine/client/pause.h"
#include "trivet/engine/cluster/member.h"
#include "trivet/engine/process/server_hooks.h"
#include "trivet/engine/replication/heartbeat.h"
#include "trivet/engine/replication/replicas.h"
#include "trivet/engine/run/change.h"
#include "trivet/engine/saving/saving.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/engine/turn/workers.h"
#include "trivet/net/worker.h"
#include "trivet/persist/aof/aof.h"
#include "trivet/persist/backlog.h"
#include "trivet/persist/journal.h"
#include "trivet/persist/journal_sink.h"
#include "trivet/server/setup.h"
#include <event2/event.h>
#include <signal.h>
#include <unistd.h>

/* For replicas. Changed with the gate closed. */
static struct {
    bool is_on;
    unsigned flags;
    int64_t until_ms;
    uint64_t offset; /* of the stream, that they shall reach */
} waiting;

static bool ending;
static int waiting_signal; /* a signal that waits for the end of a script; 0: none. Worker 0's */

bool shutdown_has_begun(void) { return ending; }

/* Gate closed. False if data would be lost; the reason was logged. */
static bool write_everything(unsigned flags) {
    LOG_NOTICE("User requested shutdown...");
    change_flush_quietly();
    bool save = (flags & SHUTDOWN_SAVE) || (options.save.count > 0 && !(flags & SHUTDOWN_NOSAVE));
    if (save && !obstacle_is_set(OBSTACLE_LOADING)) {
        LOG_NOTICE("Saving the final RDB snapshot before exiting.");
        notify_shutdown("Saving the final RDB snapshot", 0);
        if (!saving_save_finally() && !(flags & SHUTDOWN_FORCE)) {
            LOG_WARNING(
                "Error trying to save the DB, can't exit. SHUTDOWN NOSAVE or FORCE ends all the same.");
            return false;
        }
    }
    if (journal_on) {
        LOG_NOTICE("Calling fsync() on the AOF file.");
        notify_shutdown("Writing the append only file to its end", 0);
    }
    if (journal_on && !aof_sync_now()) {
        LOG_WARNING("The append only file can't be written to disk: not shutting down. SHUTDOWN FORCE ends "
                    "all the same.");
        if (!(flags & SHUTDOWN_FORCE)) return false;
    }
    return true;
}

/* ---- replicas that lag ---- */

struct tally {
    uint64_t offset;
    bool in_words; /* the log names those that lag */
    size_t replicas, in_sync;
};

static void log_lag(const struct replica *r, uint64_t offset) {
    uint64_t acked = atomic_load(&r->acked);
    LOG_NOTICE("Lagging replica %s reported offset %llu behind master, lag=%lld", r->client->peer,
               (unsigned long long)(offset > acked ? offset - acked : 0),
               (long long)(turn_now_ms - atomic_load(&r->acked_ms)) / 1000);
}

/* One that speaks SYNC, or wants a file alone, never says how far it is. */
static void tally_replica(void *arg, struct replica *r) {
    struct tally *t = arg;
    if (r->speaks_sync || r->is_rdb_only) return;
    bool in_sync = replica_is_in_sync(r, t->offset);
    t->replicas++;
    t->in_sync += in_sync;
    if (!in_sync && t->in_words) log_lag(r, t->offset);
}

static struct tally tally_replicas(uint64_t offset, bool in_words) {
    struct tally t = { .offset = offset, .in_words = in_words };
    replicas_each(tally_replica, &t);
    return t;
}

static bool replicas_lag(uint64_t offset) {
    struct tally t = tally_replicas(offset, false);
    return t.in_sync < t.replicas;
}

static void log_replicas(uint64_t offset) {
    struct tally t = tally_replicas(offset, true);
    if (t.replicas > 0)
        LOG_NOTICE("%zu of %zu replicas are in sync when shutting down.", t.in_sync, t.replicas);
}

/* ---- in a cluster ---- */

/* This node serves slots as a primary. Gate closed. */
static bool serves_slots(void) {
    return member && node_is_primary(member->state.self) && member->state.self->slot_count > 0;
}

static bool is_unsafe(unsigned flags) {
    return (flags & SHUTDOWN_SAFE) && !(flags & SHUTDOWN_FORCE) && serves_slots();
}

#define CAN_TAKE_OVER 9 /* Valkey's major version, from which on replicas understand REPLICAID */

struct heir {
    uint64_t offset;
    char id[41]; /* "": there is none */
};

static void look_for_heir(void *arg, struct replica *r) {
    struct heir *h = arg;
    if (h->id[0] || !r->node_id[0] || !replica_is_of(r, CAN_TAKE_OVER, 0)) return;
    if (replica_is_in_sync(r, h->offset)) memcpy(h->id, r->node_id, sizeof h->id);
}

/* `offset`: of the last write. The stream is one for all replicas, so it names the one that is meant. That
 * one has everything, because writes are paused. Nobody waits for what it makes of this: when it has the
 * votes, this process is gone. */
static void hand_over(uint64_t offset) {
    struct heir heir = { .offset = offset };
    struct buf wire = { 0 };
    if (!serves_slots()) return;
    replicas_each(look_for_heir, &heir);
    if (!heir.id[0]) {
        LOG_WARNING("No replica has all data and can take over: shutting down without a failover.");
        return;
    }
    const struct slice argv[] = { LIT("CLUSTER"), LIT("FAILOVER"), LIT("FORCE"), LIT("REPLICAID"),
                                  slice_of(heir.id) };
    LOG_NOTICE("Replica %s is to take over.", heir.id);
    wire_command(&wire, argv, COUNT_OF(argv));
    backlog_append(buf_slice(&wire));
    replicas_wake();
    buf_release(&wire);
}

/* ---- who waits for the end ---- */

static void end_of_wait(struct client *c, enum unblock_reason reason, void *arg) {
    (void)arg;
    if (reason == UNBLOCK_SERVED)
        reply_error_text(&c->reply, LIT("ERR Errors trying to SHUTDOWN. Check logs."));
    else
        blocking_reply_unblocked(&c->reply);
}

static void answer(struct client *c, void *arg) {
    (void)arg;
    if (c && blocking_is_by(c, end_of_wait)) blocking_finish(c, UNBLOCK_SERVED);
}

/* The server goes on. */
static void answer_all(void) {
    for (int worker = 0; worker < thread_worker_count; worker++) CLIENTS_OF(worker, c)
    if (blocking_is_by(c, end_of_wait)) client_post(worker, c->id, answer, NULL);
}

static void look(void);
static struct acknowledgement_watch watch = { .look = look };

/* Gate closed. The pause stays until it is certain that the server goes on. */
static void stop_waiting(void) {
    waiting.is_on = false;
    replicas_unwatch(&watch);
}

static void go_on_serving(void) {
    stop_waiting();
    pause_end(PAUSE_FOR_SHUTDOWN);
    notify_goes_on();
    answer_all();
}

/* Not in the middle of a script, whose effects are lost in any case, and not while there is no data yet. */
static bool must_wait(unsigned flags) {
    bool may = !(flags & SHUTDOWN_NOW) && !is_unsafe(flags) && options.shutdown_timeout_s > 0 &&
               !(obstacles_now() & (OBSTACLE_BUSY | OBSTACLE_LOADING));
    return may && replicas_lag(backlog_offset());
}

static void start_waiting(unsigned flags) {
    waiting.is_on = true;
    waiting.flags = flags;
    waiting.until_ms = turn_now_ms + options.shutdown_timeout_s * 1000;
    waiting.offset = backlog_offset();
    pause_begin(PAUSE_FOR_SHUTDOWN, PAUSE_WRITES, PAUSE_UNTIL_ENDED);
    LOG_NOTICE("Waiting for replicas before shutting down.");
    notify_shutdown("Waiting for replicas before shutting down", options.shutdown_timeout_s);
    heartbeat_ask_for_acknowledgements();
    replicas_watch(&watch);
}

/* ---- the end ---- */

/* Gate closed. False: the server goes on. */
static bool begin_shutdown(unsigned flags) {
    if (ending) return true;
    if (is_unsafe(flags)) {
        LOG_WARNING("This node serves slots: not shutting down, because SAFE was asked for.");
        if (waiting.is_on) go_on_serving();
        return false;
    }
    uint64_t offset = waiting.is_on ? waiting.offset : backlog_offset();
    log_replicas(offset);
    stop_waiting();
    pause_begin(PAUSE_FOR_SHUTDOWN, PAUSE_WRITES, PAUSE_UNTIL_ENDED); /* no write after the last snapshot */
    if (!write_everything(flags)) {
        go_on_serving();
        return false;
    }
    if (flags & SHUTDOWN_FAILOVER) hand_over(offset);
    ending = true;
    saving_stop();
    workers_stop();
    return true;
}

static bool shut_down(unsigned flags) {
    if (begin_shutdown(flags)) return true;
    LOG_WARNING("Errors trying to shut down the server. Check the logs for more information.");
    return false;
}

/* Replicas have acknowledged, or the time is up. Worker 0, its own gate. */
static void look(void) {
    if (!waiting.is_on) return;
    exclusive_begin();
    if (waiting.is_on && (turn_now_ms >= waiting.until_ms || !replicas_lag(waiting.offset)))
        (void)shut_down(waiting.flags); /* if it fails, those who asked are told */
    exclusive_end();
}

static void on_command(struct call *c, unsigned flags) {
    change_flush_quietly();
    bool joins = waiting.is_on && !(flags & SHUTDOWN_NOW);
    if (!joins && !waiting.is_on && must_wait(flags)) {
        start_waiting(flags);
        joins = true;
    }
    if (joins)
        blocking_begin(c, 0, end_of_wait, NULL);
    else if (shut_down(flags))
        c->client->flags |= CLIENT_CLOSE_AFTER; /* success has no reply: the connection ends */
    else
        reply_error_text(c->out, LIT("ERR Errors trying to SHUTDOWN. Check logs."));
}

static bool on_abort(void) {
    if (!waiting.is_on) return false;
    LOG_NOTICE("Shutdown manually aborted.");
    go_on_serving();
    return true;
}

static int64_t left_ms(int64_t now_ms) {
    if (!waiting.is_on) return -1;
    return waiting.until_ms > now_ms ? waiting.until_ms - now_ms : 0;
}

static void on_restart(bool save, int64_t delay_ms, struct buf *error) {
    if (!save || write_everything(SHUTDOWN_SAVE)) {
        LOG_WARNING("Restarting as %s asked", save ? "DEBUG RESTART" : "DEBUG CRASH-AND-RECOVER");
        process_restart(delay_ms);
    }
    buf_append(error, LIT("ERR failed to restart the server. Check server logs."));
}

void shutdown_fill_hooks(struct server_hooks *hooks) {
    hooks->shutdown = on_command;
    hooks->shutdown_abort = on_abort;
    hooks->shutdown_left_ms = left_ms;
    hooks->restart = on_restart;
}

static const char *name_of_signal(int sig) { return sig == SIGINT ? "SIGINT" : "SIGTERM"; }

static unsigned flags_of_signal(int sig) {
    int wanted = sig == SIGINT ? options.shutdown_on_sigint : options.shutdown_on_sigterm;
    unsigned flags = 0;
    if (wanted & SHUTDOWN_ON_SAVE) flags |= SHUTDOWN_SAVE;
    if (wanted & SHUTDOWN_ON_NOSAVE) flags |= SHUTDOWN_NOSAVE;
    if (wanted & SHUTDOWN_ON_NOW) flags |= SHUTDOWN_NOW;
    if (wanted & SHUTDOWN_ON_FORCE) flags |= SHUTDOWN_FORCE;
    if (wanted & SHUTDOWN_ON_SAFE) flags |= SHUTDOWN_SAFE;
    if (wanted & SHUTDOWN_ON_FAILOVER) flags |= SHUTDOWN_FAILOVER;
    return flags;
}

/* Gate closed. False if it failed. Whoever asks a second time by SIGINT does not want to wait. */
static bool shut_down_now_or_soon(int sig) {
    unsigned flags = flags_of_signal(sig);
    change_flush_quietly();
    if (waiting.is_on && sig == SIGINT) return begin_shutdown(waiting.flags);
    if (!waiting.is_on && !must_wait(flags)) return begin_shutdown(flags);
    if (!waiting.is_on) start_waiting(flags);
    return true;
}

/* In the middle of a script it is put off, because it may write a snapshot. Own gate. */
static void shut_down_by(int sig) {
    exclusive_begin();
    bool is_busy = obstacle_is_set(OBSTACLE_BUSY);
    bool begun = !is_busy && shut_down_now_or_soon(sig);
    exclusive_end();
    waiting_signal = is_busy ? sig : 0;
    if (!begun && !is_busy)
        LOG_WARNING("Errors trying to shut down the server. Received %s but there are errors writing data: "
                    "the server goes on. See the lines before.",
                    name_of_signal(sig));
}

void shutdown_cron(void) {
    look();
    if (waiting_signal && !obstacle_is_set(OBSTACLE_BUSY)) shut_down_by(waiting_signal);
}

static void on_signal(evutil_socket_t sig, short what, void *arg) {
    (void)what;
    (void)arg;
    if (ending && sig == SIGINT) {
        LOG_WARNING("Received SIGINT again: exiting at once");
        _exit(1);
    }
    LOG_WARNING("Received %s scheduling shutdown...", name_of_signal((int)sig));
    worker_begin_turn();
    shut_down_by((int)sig);
}

/* The file is opened for each line, so a rotated one is left by itself; but tools send this signal after a
 * rotation, and want to know whether it worked. */
static void on_rotation(evutil_socket_t sig, short what, void *arg) {
    (void)sig;
    (void)what;
    (void)arg;
    if (!options.logfile[0])
        LOG_NOTICE("Received SIGUSR1: the log goes to standard output, so there is no file to open again");
    else if (log_set_file(options.logfile))
        LOG_NOTICE("Received SIGUSR1: opened the log file %s again", options.logfile);
    else
        LOG_WARNING("Received SIGUSR1, but can't open the log file %s: %s", options.logfile, strerror(errno));
}

bool signals_install(void) {
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    /* A file at its size limit is a failed write, as a full disk is: answered with MISCONF, not with the end.
     */
    signal(SIGXFSZ, SIG_IGN);
    static const struct {
        int signal;
        event_callback_fn handler;
    } handled[] = { { SIGTERM, on_signal }, { SIGINT, on_signal }, { SIGUSR1, on_rotation } };
    for (size_t i = 0; i < COUNT_OF(handled); i++) {
        struct event *e = evsignal_new(worker_base(0), handled[i].signal, handled[i].handler, NULL);
        if (e && event_add(e, NULL) == 0) continue;
        LOG_WARNING("Error registering fd event for the signals: %s", strerror(errno));
        return false;
    }
    return true;
}
