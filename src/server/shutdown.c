/* shutdown.c: how the server ends: SHUTDOWN, SIGTERM, SIGINT.
 *
 * All ways lead through begin_shutdown(): the journal is written and synced first. The workers are asked to
 * end only if that worked, or if the operator forces it. */
#include "trivet/base/log.h"
#include "trivet/engine/process/server_hooks.h"
#include "trivet/engine/run/change.h"
#include "trivet/engine/saving/saving.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/net/worker.h"
#include "trivet/persist/aof/aof.h"
#include "trivet/persist/journal.h"
#include "trivet/server/setup.h"
#include <event2/event.h>
#include <signal.h>
#include <unistd.h>

static bool ending;

bool shutdown_has_begun(void) { return ending; }

/* Gate closed. False if data would be lost; the reason was logged. */
static bool write_everything(unsigned flags) {
    LOG_NOTICE("User requested shutdown...");
    change_flush_quietly();
    bool save = (flags & SHUTDOWN_SAVE) || (options.save.count > 0 && !(flags & SHUTDOWN_NOSAVE));
    if (save && !obstacle_is_set(OBSTACLE_LOADING)) {
        LOG_NOTICE("Saving the final RDB snapshot before exiting.");
        if (!saving_save_finally() && !(flags & SHUTDOWN_FORCE)) {
            LOG_WARNING(
                "Error trying to save the DB, can't exit. SHUTDOWN NOSAVE or FORCE ends all the same.");
            return false;
        }
    }
    if (journal_on) LOG_NOTICE("Calling fsync() on the AOF file.");
    if (journal_on && !aof_sync_now()) {
        LOG_WARNING("The append only file can't be written to disk: not shutting down. SHUTDOWN FORCE ends "
                    "all the same.");
        if (!(flags & SHUTDOWN_FORCE)) return false;
    }
    return true;
}

static bool begin_shutdown(unsigned flags) {
    if (!write_everything(flags)) return false;
    ending = true;
    saving_stop();
    workers_stop();
    return true;
}

static bool on_command(unsigned flags, struct buf *error) {
    if (begin_shutdown(flags)) return true;
    LOG_WARNING("Errors trying to shut down the server. Check the logs for more information.");
    buf_append(error, LIT("ERR Errors trying to SHUTDOWN. Check logs."));
    return false;
}

/* There is nothing to wait for without replicas, so a shutdown that began cannot be called back. */
static bool on_abort(void) { return false; }

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
    hooks->restart = on_restart;
}

static unsigned flags_of_signal(int sig) {
    int wanted = sig == SIGINT ? options.shutdown_on_sigint : options.shutdown_on_sigterm;
    unsigned flags = 0;
    if (wanted & SHUTDOWN_ON_SAVE) flags |= SHUTDOWN_SAVE;
    if (wanted & SHUTDOWN_ON_NOSAVE) flags |= SHUTDOWN_NOSAVE;
    if (wanted & SHUTDOWN_ON_NOW) flags |= SHUTDOWN_NOW;
    if (wanted & SHUTDOWN_ON_FORCE) flags |= SHUTDOWN_FORCE;
    return flags;
}

static void on_signal(evutil_socket_t sig, short what, void *arg) {
    (void)what;
    (void)arg;
    const char *name = sig == SIGINT ? "SIGINT" : "SIGTERM";
    if (ending && sig == SIGINT) {
        LOG_WARNING("Received SIGINT again: exiting at once");
        _exit(1);
    }
    LOG_WARNING("Received %s scheduling shutdown...", name);
    worker_begin_turn();
    exclusive_begin();
    bool begun = begin_shutdown(flags_of_signal((int)sig));
    exclusive_end();
    if (!begun)
        LOG_WARNING("Errors trying to shut down the server. Received %s but there are errors writing data: "
                    "the server "
                    "goes on. See the lines before.",
                    name);
}

bool signals_install(void) {
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    /* A file at its size limit is a failed write, as a full disk is: answered with MISCONF, not with the end.
     */
    signal(SIGXFSZ, SIG_IGN);
    static const int ends[] = { SIGTERM, SIGINT };
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        struct event *e = evsignal_new(worker_base(0), ends[i], on_signal, NULL);
        if (e && event_add(e, NULL) == 0) continue;
        LOG_WARNING("Error registering fd event for the signals: %s", strerror(errno));
        return false;
    }
    return true;
}
