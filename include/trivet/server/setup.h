/* setup.h: connects the layers. Main thread, once each, in this order: setup_modules before the workers
 * start, setup_data after. */
#ifndef TRIVET_SERVER_SETUP_H
#define TRIVET_SERVER_SETUP_H

#include "trivet/base/compiler.h"
#include <stdbool.h>
#include <stdint.h>

/* Random secrets, clocks, commands, keyspace, hooks, all that options decide. */
MUST_CHECK bool setup_modules(void);
/* Loads the data set (answering clients with LOADING meanwhile) and opens the journal's file. False with the
 * reason logged. */
MUST_CHECK bool setup_data(void);
/* Closes the journal's file and frees everything, so that a leak checker sees only leaks. False if data could
 * not be written. */
bool setup_end(void);

/* ---- the end (shutdown.c, crash.c) ---- */

/* A failed assert leaves a line in the log. Call it first after the log is open. */
void crash_install(void);

/* Signals: SIGTERM and SIGINT ask for a shutdown, SIGHUP and SIGPIPE are ignored. Before workers_run. */
MUST_CHECK bool signals_install(void); /* false with the reason logged */
/* True once the workers are asked to end. */
bool shutdown_has_begun(void);
/* Fills the hooks of SHUTDOWN. */
struct server_hooks;
void shutdown_fill_hooks(struct server_hooks *hooks);

/* ---- the end by accident (crash.c) ---- */

/* From now on a process that dies by a signal of its own writes a report to the log first. */
void crash_install(void);
/* What assert() does here. */
NORETURN void crash_by_assertion(const char *expression, const char *file, unsigned line,
                                 const char *function);

/* ---- the process (process.c) ---- */

/* Keeps what process_restart needs. Call it before anything changes the arguments or the working directory.
 */
void process_remember(int argc, char **argv);
/* Restarts this program in the place of this process. Returns only if that fails; the reason was logged. */
void process_restart(int64_t delay_ms);

/* Forks to the background; the parent exits. False with errno. */
MUST_CHECK bool process_daemonize(void);
bool process_write_pidfile(void);
void process_remove_pidfile(void);
/* Raises the limit of open files as far as this many clients need it and the system allows. Returns how many
 * fit: `clients`, or fewer, or 0. */
int64_t process_files_for_clients(int64_t clients);
/* At start-up: lowers maxclients to how many fit. False with the reason logged if none does. */
MUST_CHECK bool process_fit_maxclients(void);
/* Warnings about the machine that an operator should know (overcommit, transparent huge pages, backlog). */
void process_warn_about_system(void);
/* Tells systemd, if it started the server: "READY=1", "STOPPING=1". */
void process_notify(const char *state);
void process_set_title(int argc, char **argv);

#endif
