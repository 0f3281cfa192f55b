/* setup.h: connects the layers. Main thread, once each, in this order: setup_commands before the settings are
 * read, setup_modules before the workers start, setup_data after. */
#ifndef TRIVET_SERVER_SETUP_H
#define TRIVET_SERVER_SETUP_H

#include "trivet/base/buf.h"
#include "trivet/base/compiler.h"
#include <stdbool.h>
#include <stdint.h>

/* The hash secret, the commands and the hooks: settings may rename commands. */
void setup_commands(void);
/* Clocks, keyspace, all that options decide; and setup_commands, if nobody has called it. */
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

/* Signals: SIGTERM and SIGINT ask for a shutdown, SIGUSR1 opens the log file again, SIGHUP and SIGPIPE are
 * ignored. Before workers_run. */
MUST_CHECK bool signals_install(void); /* false with the reason logged */
/* True once the workers are asked to end. */
bool shutdown_has_begun(void);
/* Now and then on worker 0: a signal that came in the middle of a script takes effect after it. */
void shutdown_cron(void);
/* Fills the hooks of SHUTDOWN. */
struct server_hooks;
void shutdown_fill_hooks(struct server_hooks *hooks);

/* ---- TLS (certificates.c) ---- */

/* Reads the certificates if TLS is asked for. False with the reason in `error`. Before the listeners open. */
MUST_CHECK bool certificates_load(struct buf *error);
/* options_hooks.tls_changed. Gate closed. */
bool certificates_changed(struct buf *why);
/* Looks for changed files when it is time. Worker 0. */
void certificates_cron(int64_t now_ms);

/* ---- the end by accident (crash.c) ---- */

/* From now on a process that dies by a signal of its own writes a report to the log first. */
void crash_install(void);
/* What assert() does here. */
NORETURN void crash_by_assertion(const char *expression, const char *file, unsigned line,
                                 const char *function);

/* ---- the process (process.c) ---- */

/* Keeps what process_restart needs. Call it before anything changes the arguments or the working directory.
 */
void process_remember(char **argv);
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
/* A warning if maxmemory is more than a container leaves for it. When it is set. */
void process_warn_about_memory(void);
/* A warning if everybody may write to the folder of the data. */
void process_warn_about_folder(void);
/* Blots out passwords among the arguments, which all users of the machine can see. After the settings were
 * read. */
void process_hide_secrets(void);
/* Writes proc-title-template where the arguments were, unless set-proc-title is off (title.c). */
void process_set_title(void);

#endif
