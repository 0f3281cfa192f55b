/* Threads start with signals blocked, a name, and no worker index. */
#include "trivet/base/thread.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct seen {
    int index;
    bool term_blocked, hup_blocked;
};

static void *look(void *arg) {
    struct seen *seen = arg;
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    seen->index = thread_worker_index;
    seen->term_blocked = sigismember(&mask, SIGTERM) == 1;
    seen->hup_blocked = sigismember(&mask, SIGHUP) == 1;
    thread_worker_index = 5;
    return seen;
}

static void a_thread_starts_with_signals_blocked_and_no_index(void **state) {
    (void)state;
    struct seen seen = { 0 };
    void *result;
    pthread_t thread;
    assert_true(thread_start(&thread, "looker", look, &seen));
    pthread_join(thread, &result);
    assert_ptr_equal(result, &seen);
    assert_int_equal(seen.index, THREAD_NO_WORKER);
    assert_true(seen.term_blocked && seen.hup_blocked);
    assert_int_equal(thread_worker_index, THREAD_NO_WORKER); /* one thread's index is not another's */
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    assert_int_equal(sigismember(&mask, SIGTERM), 0);
}

static pthread_barrier_t barrier;

static void *wait_once(void *arg) {
    pthread_barrier_wait(&barrier);
    return arg;
}

static void a_thread_bears_its_name_cut_to_fifteen(void **state) {
    (void)state;
    char name[32];
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_t thread;
    assert_true(thread_start(&thread, "a-rather-long-name", wait_once, NULL));
    assert_int_equal(pthread_getname_np(thread, name, sizeof name), 0);
    assert_string_equal(name, "a-rather-long-n");
    pthread_barrier_wait(&barrier);
    pthread_join(thread, NULL);
    pthread_barrier_destroy(&barrier);
    thread_set_name("short");
    assert_int_equal(pthread_getname_np(pthread_self(), name, sizeof name), 0);
    assert_string_equal(name, "short");
}

static void one_worker_is_not_parallel(void **state) {
    (void)state;
    assert_int_equal(thread_worker_count, 1);
    assert_false(thread_is_parallel());
    thread_worker_count = 2;
    assert_true(thread_is_parallel());
    thread_worker_count = 1;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_starts_with_signals_blocked_and_no_index),
        cmocka_unit_test(a_thread_bears_its_name_cut_to_fifteen),
        cmocka_unit_test(one_worker_is_not_parallel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
