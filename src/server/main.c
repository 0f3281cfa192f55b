/* main.c: trivet-server: options, then the start-up order on one screen.
 *
 * The main thread is worker 0. Listeners open before the data is loaded, so that clients are told LOADING
 * instead of being refused; "Ready to accept connections" is logged, and systemd told, when the data is
 * loaded. */
#include "notify.h"
#include "trivet/base/buf.h"
#include "trivet/base/clock.h"
#include "trivet/base/ending.h"
#include "trivet/base/log.h"
#include "trivet/base/thread.h"
#include "trivet/base/version.h"
#include "trivet/engine/access/user_file.h"
#include "trivet/engine/cluster/member.h"
#include "trivet/engine/cluster/migrations.h"
#include "trivet/engine/replication/primary.h"
#include "trivet/engine/settings/options.h"
#include "trivet/net/bus.h"
#include "trivet/net/listener.h"
#include "trivet/net/worker.h"
#include "trivet/server/questions.h"
#include "trivet/server/setup.h"
#include "trivet/web/server.h"
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void read_options(int argc, char **argv, struct buf *warnings) {
    struct buf error = { 0 };
    options_init();
    setup_commands();
    if (options_load(argc, argv, warnings, &error)) return;
    fprintf(stderr, "%.*s\n", SLICE_ARG(buf_slice(&error)));
    end_in_failure();
}

static void open_log(void) {
    log_set_level((enum log_level)options.loglevel);
    log_set_form((enum log_format)options.log_format, (enum log_timestamp)options.log_timestamp_format);
    if (options.syslog_enabled) log_set_syslog(options.syslog_ident, options.syslog_facility);
    if (log_set_file(options.logfile)) return;
    fprintf(stderr, "Can't open the log file %s: %s\n", options.logfile, strerror(errno));
    end_in_failure();
}

static void log_lines(struct buf *lines) {
    char *at = lines->ptr, *end = at ? at + lines->len : at;
    while (at < end) {
        char *stop = memchr(at, '\n', (size_t)(end - at));
        if (!stop) stop = end;
        LOG_WARNING("%.*s", (int)(stop - at), at);
        at = stop + 1;
    }
    buf_release(lines);
}

static void log_hello(void) {
    LOG_NOTICE("Trivet %s is starting, %d-bit, %d worker%s, PID: %d, %s", TRIVET_VERSION,
               (int)sizeof(void *) * 8, thread_worker_count, thread_worker_count == 1 ? "" : "s",
               (int)getpid(), options_file()[0] ? options_file() : "no configuration file");
}

/* One line for each address, as Redis and Valkey write it. */
static void log_ready(void) {
    if (options.port > 0) LOG_NOTICE("Ready to accept connections tcp");
    if (options.unixsocket[0]) LOG_NOTICE("Ready to accept connections unix");
    if (options.tls_port > 0) LOG_NOTICE("Ready to accept connections tls");
    if (options.metrics_port > 0)
        LOG_NOTICE("Ready to answer for metrics at port %d", (int)options.metrics_port);
}

/* As Redis and Valkey have it: nobody could ever reach this server. */
static bool listens_nowhere(void) {
    bool has_port = options.bind.count > 0 && (options.port > 0 || options.tls_port > 0);
    return !has_port && !options.unixsocket[0];
}

static void give_up(const char *what) {
    LOG_WARNING("%s", what);
    end_in_failure();
}

static void give_up_because(const char *what, struct buf *why) {
    LOG_WARNING("%s%s", what, buf_cstr(why));
    end_in_failure();
}

/* The C library's assert() calls this; ours comes first for the whole program. */
void __assert_fail(const char *expression, const char *file, unsigned line, const char *function) {
    crash_by_assertion(expression, file, line, function);
}

int main(int argc, char **argv) {
    int answer = questions_answer(argc, argv);
    if (answer != QUESTION_NONE) return answer;
    process_remember(argv);
    struct buf warnings = { 0 }, error = { 0 };
    read_options(argc, argv, &warnings);
    process_hide_secrets();
    if (options.daemonize && !process_daemonize()) give_up("Can't go to the background");
    open_log();
    crash_install();
    thread_worker_index = 0;
    thread_worker_count = (int)options.io_threads;
    log_hello();
    if (argc > 1) LOG_NOTICE("Configuration loaded");
    log_lines(&warnings);
    if (listens_nowhere()) give_up("Configured to not listen anywhere, exiting.");
    process_warn_about_system();
    process_warn_about_folder();
    if (!process_fit_maxclients()) give_up("Can't serve clients; see the line before");
    if (!process_write_pidfile()) give_up("Can't write the pid file; see the line before");

    if (!setup_modules()) give_up("Can't start the background thread; see the line before");
    if (!users_load(&error)) give_up_because("", &error);
    if (!workers_start()) give_up("Can't start the workers; see the line before");
    if (!signals_install()) give_up("Can't wait for signals; see the line before");
    if (!notify_begin()) give_up("Can't keep systemd's watchdog quiet; see the line before");
    if (!certificates_load(&error)) give_up_because("Failed to configure TLS. ", &error);
    if (options.cluster_enabled && !member_start(&error))
        give_up_because("Can't be a node of a cluster. ", &error);
    if (!listeners_open(&error)) give_up_because("", &error);
    if (!web_listen(&error)) give_up_because("", &error);
    process_set_title();
    LOG_NOTICE("Server initialized");
    if (!setup_data() && !shutdown_has_begun()) {
        process_remove_pidfile();
        give_up("Exiting: the data could not be loaded; see the lines before");
    }
    if (options.cluster_enabled && !bus_open(&error)) give_up_because("", &error);
    if (!shutdown_has_begun()) {
        log_ready();
        notify_ready();
    }
    workers_run();

    notify_stopping();
    listeners_close();
    bus_close();
    web_stop();
    primary_stop();
    migrations_stop();
    workers_end();
    bool saved = setup_end();
    process_remove_pidfile();
    LOG_WARNING("%s",
                saved ? "Trivet is now ready to exit, bye bye..." : "Exiting with unwritten data, see above");
    options_release();
    return saved ? 0 : 1;
}
