/* Background jobs: order, counts, and what happens without the thread. */
#include "trivet/base/background.h"
#include "trivet/base/compiler.h"
#include "trivet/base/mem.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#define JOBS 1000

static int order[JOBS];
static int jobs_run; /* touched by whoever runs jobs, read after background_stop */
static pthread_t ran_on;

static void note(void *arg) {
    order[jobs_run++] = (int)(uintptr_t)arg;
    ran_on = pthread_self();
}

static pthread_barrier_t door;
static void wait_at_the_door(void *arg) {
    (void)arg;
    pthread_barrier_wait(&door);
}

static int set_up(void **state) {
    (void)state;
    jobs_run = 0;
    background_reset_done();
    return 0;
}

static void without_the_thread_a_job_runs_at_once_in_the_caller(void **state) {
    (void)state;
    background_post(note, (void *)(uintptr_t)7, 3);
    assert_int_equal(jobs_run, 1);
    assert_int_equal(order[0], 7);
    assert_true(pthread_equal(ran_on, pthread_self()));
    assert_int_equal(background_pending(), 0);
    assert_int_equal(background_done(), 3);
}

static void jobs_run_in_order_on_the_thread_and_all_before_it_stops(void **state) {
    (void)state;
    assert_true(background_start());
    for (int i = 0; i < JOBS; i++) background_post(note, (void *)(uintptr_t)i, 2);
    background_stop();
    assert_int_equal(jobs_run, JOBS);
    for (int i = 0; i < JOBS; i++) assert_int_equal(order[i], i);
    assert_false(pthread_equal(ran_on, pthread_self()));
    assert_int_equal(background_pending(), 0);
    assert_int_equal(background_done(), 2 * JOBS);
}

static void waiting_objects_are_pending_until_done(void **state) {
    (void)state;
    pthread_barrier_init(&door, NULL, 2);
    assert_true(background_start());
    background_post(wait_at_the_door, NULL, 1);
    background_post(note, NULL, 10);
    assert_int_equal(background_pending(), 11);
    assert_int_equal(background_done(), 0);
    pthread_barrier_wait(&door);
    background_stop();
    assert_int_equal(background_pending(), 0);
    assert_int_equal(background_done(), 11);
    background_reset_done();
    assert_int_equal(background_done(), 0);
    pthread_barrier_destroy(&door);
}

static int nice_there;
static void look_at_priority(void *arg) {
    (void)arg;
    nice_there = getpriority(PRIO_PROCESS, (id_t)gettid());
}

static void workers_come_before_the_thread(void **state) {
    (void)state;
    assert_true(background_start());
    background_post(look_at_priority, NULL, 1);
    background_stop();
    int here = getpriority(PRIO_PROCESS, 0);
    assert_int_equal(nice_there, here + 10 < 19 ? here + 10 : 19);
}

static void the_thread_can_be_started_again_and_leaves_no_memory(void **state) {
    (void)state;
    size_t used = mem_used_exact();
    for (int i = 0; i < 5; i++) {
        assert_true(background_start());
        background_post(note, NULL, 1);
        background_post(mem_free, mem_alloc(1000), 1);
        background_stop();
        background_stop();
    }
    assert_int_equal(jobs_run, 5);
    assert_int_equal(mem_used_exact(), used);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(without_the_thread_a_job_runs_at_once_in_the_caller, set_up),
        cmocka_unit_test_setup(jobs_run_in_order_on_the_thread_and_all_before_it_stops, set_up),
        cmocka_unit_test_setup(waiting_objects_are_pending_until_done, set_up),
        cmocka_unit_test_setup(workers_come_before_the_thread, set_up),
        cmocka_unit_test_setup(the_thread_can_be_started_again_and_leaves_no_memory, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
