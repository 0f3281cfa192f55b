/* thread.c: threads that leave all signals to the main thread. */
#include "trivet/base/thread.h"
#include "trivet/base/log.h"
#include <errno.h>
#include <signal.h>
#include <string.h>

#define THREAD_NAME_MAX 16 /* the kernel's limit, NUL included */

_Thread_local int thread_worker_index = THREAD_NO_WORKER;
int thread_worker_count = 1;

static void cut_name(char out[THREAD_NAME_MAX], const char *name) {
    size_t len = strnlen(name, THREAD_NAME_MAX - 1);
    memcpy(out, name, len);
    out[len] = '\0';
}

bool thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *arg) {
    sigset_t all, before;
    sigfillset(&all);
    /* A thread raises these itself. If they were blocked, the process would end without a report. */
    static const int own[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) sigdelset(&all, own[i]);
    /* A thread inherits the mask, so it never runs with a signal open, not even at first. */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(thread, NULL, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        LOG_WARNING("Cannot start the thread '%s': %s", name, strerrordesc_np(error));
        errno = error;
        return false;
    }
    char cut[THREAD_NAME_MAX];
    cut_name(cut, name);
    /* Fails only if the thread has ended by now; then nobody misses its name. */
    (void)pthread_setname_np(*thread, cut);
    return true;
}

void thread_set_name(const char *name) {
    char cut[THREAD_NAME_MAX];
    cut_name(cut, name);
    (void)pthread_setname_np(pthread_self(), cut);
}
