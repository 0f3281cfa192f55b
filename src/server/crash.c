/* crash.c: the last words of a process that dies by a signal.
 *
 * A signal handler may do very little: the thread may have died holding any lock. So the report allocates
 * nothing, takes no lock, and goes line by line straight to the log. Then the signal does what it would have
 * done. */
#include "trivet/base/log.h"
#include "trivet/base/slice.h"
#include "trivet/base/thread.h"
#include "trivet/base/version.h"
#include "trivet/engine/command/command.h"
#include "trivet/engine/run/run.h"
#include "trivet/engine/settings/options.h"
#include "trivet/server/setup.h"
#include <execinfo.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FRAMES_MAX 100

static const int deadly[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };

static void tell_what_runs(int fd) {
    for (int worker = 0; worker < thread_worker_count; worker++) {
        const struct command *running = command_running(worker);
        log_crash_line(fd, "Worker %d%s: %s", worker, worker == thread_worker_index ? " (which crashed)" : "",
                       running ? running->full_name : "no command");
    }
    if (thread_worker_index == THREAD_NO_WORKER) log_crash_line(fd, "It was no worker that crashed");
}

static void tell_where(int fd) {
    void *frames[FRAMES_MAX];
    int count = backtrace(frames, FRAMES_MAX);
    log_crash_line(fd, "Backtrace:");
    backtrace_symbols_fd(frames, count, fd);
}

static void on_crash(int sig, siginfo_t *info, void *context) {
    (void)context;
    if (options.crash_log_enabled) {
        int fd = log_crash_open();
        log_crash_line(fd,
                       "=== TRIVET BUG REPORT === what follows up to the end mark is of use to its makers");
        log_crash_line(fd, "Trivet %s crashed by signal: %d (%s)", TRIVET_VERSION, sig, strsignal(sig));
        if (sig != SIGABRT) log_crash_line(fd, "Accessing address: %p", info->si_addr);
        tell_what_runs(fd);
        tell_where(fd);
        log_crash_line(fd, "=== END OF THE BUG REPORT ===");
    }
    if (options.pidfile[0]) (void)!unlink(options.pidfile);
    raise(sig); /* SA_RESETHAND: this time it kills */
}

void crash_install(void) {
#ifndef TRIVET_SANITIZE /* a sanitizer has reports of its own */
    void *frame;
    (void)backtrace(&frame,
                    1); /* the first call loads a library; in the handler it would be too late for that */
    struct sigaction action = { .sa_sigaction = on_crash,
                                .sa_flags = SA_SIGINFO | (int)SA_RESETHAND | SA_NODEFER };
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < COUNT_OF(deadly); i++) sigaction(deadly[i], &action, NULL);
#else
    (void)deadly;
    (void)on_crash;
#endif
}

void crash_by_assertion(const char *expression, const char *file, unsigned line, const char *function) {
    int fd = log_crash_open();
    log_crash_line(fd, "=== ASSERTION FAILED ===");
    log_crash_line(fd, "%s:%u: %s: '%s' is not true", file, line, function, expression);
    abort();
}
