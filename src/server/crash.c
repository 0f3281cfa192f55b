/* crash.c: the last words of a process that a fault of our own ends: a line in the log that operators' alerts
 * look for; then the signal does what it does without us, a core file included. */
#include "trivet/base/log.h"
#include "trivet/base/version.h"
#include "trivet/server/setup.h"
#include <assert.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LAST_WORDS_S                                                                      \
    2 /* the log's lock may be held by the one that crashed: the alarm ends a wait for it \
       */

#ifndef TRIVET_SANITIZE /* sanitizers have handlers of their own */

static void on_crash(int sig) {
    signal(SIGALRM, SIG_DFL);
    alarm(LAST_WORDS_S);
    LOG_WARNING("Trivet %s crashed by signal: %d (%s)", TRIVET_VERSION, sig, sigabbrev_np(sig));
    raise(sig); /* the handler is gone: SA_RESETHAND */
}

void crash_install(void) {
    static const int signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
    struct sigaction how;
    memset(&how, 0, sizeof how);
    how.sa_handler = on_crash;
    how.sa_flags = (int)(SA_RESETHAND | SA_NODEFER);
    sigemptyset(&how.sa_mask);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) sigaction(signals[i], &how, NULL);
}

#else

void crash_install(void) {}

#endif

/* What assert() calls: the C library's own speaks to stderr only. */
void __assert_fail(const char *condition, const char *file, unsigned line, const char *function) {
    LOG_WARNING("=== ASSERTION FAILED ===");
    LOG_WARNING("==> %s:%u %s: '%s' is not true", file, line, function, condition);
    abort();
}
