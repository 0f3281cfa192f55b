/* crash.c: the last words of a process that dies by a signal.
 *
 * The thread may have died holding any lock, and with any damage in memory. So the report begins with what
 * needs neither locks nor memory, each part is an *attempt*, and a timer of the thread's own ticks: a part
 * that crashes again or takes longer than a second is left, by a jump out of the signal handler, and the next
 * one begins. Whatever happens, the process ends, by the signal it got. */
#include "crash_report.h"
#include "trivet/base/log.h"
#include "trivet/base/slice.h"
#include "trivet/base/thread.h"
#include "trivet/base/version.h"
#include "trivet/engine/settings/options.h"
#include "trivet/server/setup.h"
#include <execinfo.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define TICKS_FOR_A_PART 2 /* so it has between one second and two */
#define TICKS_FOR_ALL 15

static const int deadly[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };

enum outcome { OUTCOME_DONE, OUTCOME_CRASHED, OUTCOME_LATE };

/* Of the one thread that reports. */
static atomic_int reporter; /* its id; 0: nobody crashed yet */
static sigjmp_buf way_out;
static volatile sig_atomic_t has_way_out;
static volatile sig_atomic_t ticks, ticks_of_part;
static int deadly_signal;

/* ---- the end ---- */

NORETURN static void die(void) {
    if (options.pidfile && options.pidfile[0]) (void)!unlink(options.pidfile);
    signal(deadly_signal, SIG_DFL);
    sigset_t only;
    sigemptyset(&only);
    sigaddset(&only, deadly_signal);
    pthread_sigmask(SIG_UNBLOCK, &only, NULL);
    (void)tgkill(getpid(), gettid(), deadly_signal);
    _exit(128 + deadly_signal); /* it is dead already */
}

NORETURN static void leave(enum outcome how) {
    if (has_way_out) siglongjmp(way_out, (int)how);
    die();
}

static void on_tick(int sig) {
    (void)sig;
    ticks++;
    if (ticks >= TICKS_FOR_ALL) die();
    if (++ticks_of_part >= TICKS_FOR_A_PART && has_way_out) leave(OUTCOME_LATE);
}

/* The C library's timers may allocate: the kernel's own. */
static void start_ticking(void) {
    struct sigaction action = { .sa_handler = on_tick, .sa_flags = SA_ONSTACK | (int)SA_NODEFER };
    sigemptyset(&action.sa_mask);
    sigaction(SIGALRM, &action, NULL);
    sigset_t only;
    sigemptyset(&only);
    sigaddset(&only, SIGALRM);
    pthread_sigmask(SIG_UNBLOCK, &only, NULL);
    struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM };
    event._sigev_un._tid = gettid();
    int timer; /* the kernel's type */
    struct itimerspec each_second = { .it_interval.tv_sec = 1, .it_value.tv_sec = 1 };
    if (syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer) == 0)
        syscall(SYS_timer_settime, timer, 0, &each_second, NULL);
}

/* ---- the report ---- */

static void attempt(const char *what, void (*part)(void)) {
    ticks_of_part = 0;
    switch (sigsetjmp(way_out, 0)) {
    case OUTCOME_DONE:
        has_way_out = true;
        part();
        break;
    case OUTCOME_CRASHED:
        crash_line("(%s: it crashed again here, and goes on with the next part)", what);
        break;
    default: crash_line("(%s: it took too long, perhaps for a lock; it goes on with the next part)", what);
    }
    has_way_out = false;
}

static const void *the_context;
static void tell_registers(void) { crash_tell_registers(the_context); }

static void tell_signal(int sig, const siginfo_t *info) {
    crash_line("=== TRIVET BUG REPORT START: Cut & paste starting from here ===");
    crash_line("Trivet %s crashed by signal: %d, si_code: %d (SIG%s)", TRIVET_VERSION, sig, info->si_code,
               sigabbrev_np(sig));
    if (info->si_code > 0)
        crash_line("Accessing address: %p", info->si_addr);
    else if (info->si_pid != getpid())
        crash_line("Killed by PID: %ld, UID: %ld", (long)info->si_pid, (long)info->si_uid);
}

static void report(int sig, const siginfo_t *info, const void *context) {
    crash_fd = log_crash_open();
    the_context = context;
    tell_signal(sig, info);
    attempt("own stack", crash_tell_own_stack);
    attempt("registers", tell_registers);
    attempt("other threads", crash_tell_other_threads);
    attempt("commands", crash_tell_commands);
    attempt("current client", crash_tell_current_client);
    attempt("INFO", crash_tell_info);
    attempt("clients", crash_tell_clients);
    crash_line("=== TRIVET BUG REPORT END. Make sure to include from START to END. ===");
    crash_line("It is of use to the makers of Trivet; with a core dump, if there is one, even more.");
}

static void on_crash(int sig, siginfo_t *info, void *context) {
    int nobody = 0, me = gettid();
    if (!atomic_compare_exchange_strong(&reporter, &nobody, me)) {
        if (nobody == me) leave(OUTCOME_CRASHED);
        for (;;) pause(); /* the first one has the word, and ends us all */
    }
    deadly_signal = sig;
    start_ticking();
    if (options.crash_log_enabled) report(sig, info, context);
    die();
}

void crash_install(void) {
#ifndef TRIVET_SANITIZE /* a sanitizer has reports of its own */
    void *frame;
    (void)backtrace(&frame,
                    1); /* the first call loads a library; in the handler it would be too late for that */
    thread_take_signal_stack();
    struct sigaction action = { .sa_sigaction = on_crash,
                                .sa_flags = SA_SIGINFO | SA_ONSTACK | (int)SA_NODEFER };
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < COUNT_OF(deadly); i++) sigaction(deadly[i], &action, NULL);
    crash_install_stop();
#else
    (void)deadly;
    (void)on_crash;
#endif
}

void crash_by_assertion(const char *expression, const char *file, unsigned line, const char *function) {
    if (atomic_load(&reporter) == gettid()) leave(OUTCOME_CRASHED); /* a part of the report */
    int fd = log_crash_open();
    log_crash_line(fd, "=== ASSERTION FAILED ===");
    log_crash_line(fd, "%s:%u: %s: '%s' is not true", file, line, function, expression);
    abort();
}
