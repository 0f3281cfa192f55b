/* thread.c: threads that leave all signals to the main thread. */
#include "trivet/base/thread.h"
#include "trivet/base/log.h"
#include "trivet/base/mem.h"
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define THREAD_NAME_MAX 16 /* the kernel's limit, NUL included */

_Thread_local int thread_worker_index = THREAD_NO_WORKER;
int thread_worker_count = 1;

static void cut_name(char out[THREAD_NAME_MAX], const char *name) {
    size_t len = strnlen(name, THREAD_NAME_MAX - 1);
    memcpy(out, name, len);
    out[len] = '\0';
}

/* ---- stacks for signal handlers ---- */

#define SIGNAL_STACK_SIZE (256 * 1024)

#ifndef TRIVET_SANITIZE /* a sanitizer gives each thread such a stack of its own */
/* Only the pages that are used take memory; the lowest may not be used. */
static void *signal_stack_take(void) {
    char *base = mmap(NULL, SIGNAL_STACK_SIZE, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (base == MAP_FAILED) return NULL; /* the thread does without */
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    (void)mprotect(base, page, PROT_NONE);
    stack_t stack = { .ss_sp = base + page, .ss_size = SIGNAL_STACK_SIZE - page };
    sigaltstack(&stack, NULL);
    return base;
}

static void signal_stack_drop(void *base) {
    stack_t none = { .ss_flags = SS_DISABLE };
    if (!base) return;
    sigaltstack(&none, NULL);
    munmap(base, SIGNAL_STACK_SIZE);
}
#else
static void *signal_stack_take(void) { return NULL; }
static void signal_stack_drop(void *base) { (void)base; }
#endif

void thread_take_signal_stack(void) { (void)signal_stack_take(); }

/* ---- starting ---- */

struct beginning {
    void *(*run)(void *);
    void *arg;
};

static void *begin(void *arg) {
    struct beginning b = *(struct beginning *)arg;
    mem_free(arg);
    void *stack = signal_stack_take();
    void *result = b.run(b.arg);
    signal_stack_drop(stack);
    return result;
}

bool thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *arg) {
    sigset_t all, before;
    sigfillset(&all);
    /* A thread raises these itself. If they were blocked, the process would end without a report. */
    static const int own[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) sigdelset(&all, own[i]);
    sigdelset(&all, THREAD_STOP_SIGNAL);
    struct beginning *b = mem_alloc(sizeof *b);
    *b = (struct beginning){ run, arg };
    /* A thread inherits the mask, so it never runs with a signal open, not even at first. */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(thread, NULL, begin, b);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        mem_free(b);
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
