/* Locks exclude each other, and a wrong order stops a debug build. */
#include "trivet/base/lock.h"
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct lock shard = LOCK_INIT(LOCK_RANK_SHARD);
static struct lock other_shard = LOCK_INIT(LOCK_RANK_SHARD);
static struct latch latch = { .rank = LOCK_RANK_SHARD };
static struct latch other_latch = { .rank = LOCK_RANK_SHARD };
static struct lock journal = LOCK_INIT(LOCK_RANK_JOURNAL);

static long counter;

static void *count_up(void *arg) {
    for (int i = 0; i < 50000; i++) {
        lock_take(&shard);
        counter++;
        lock_drop(&shard);
    }
    return arg;
}

static void a_lock_lets_one_thread_in_at_a_time(void **state) {
    (void)state;
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&threads[i], NULL, count_up, NULL), 0);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    assert_int_equal(counter, 200000);
}

static void *try_shard(void *got) UNCHECKED {
    *(bool *)got = lock_try(&shard);
    if (*(bool *)got) lock_drop(&shard);
    return NULL;
}

static bool another_thread_gets_the_shard(void) {
    bool got;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, try_shard, &got), 0);
    pthread_join(thread, NULL);
    return got;
}

static void trying_says_whether_the_lock_is_free(void **state) {
    (void)state;
    lock_take(&shard);
    assert_false(another_thread_gets_the_shard());
    lock_drop(&shard);
    assert_true(another_thread_gets_the_shard());
}

static void rising_order(void) UNCHECKED {
    lock_take(&shard);
    lock_take_ordered(&other_shard);
    lock_take(&journal);
    lock_drop(&shard); /* dropping in any order */
    lock_drop(&journal);
    lock_drop(&other_shard);
    lock_take(&shard);
    lock_drop(&shard);
}
static void falling_order(void) UNCHECKED {
    lock_take(&journal);
    lock_take(&shard);
}
static void equal_rank_unannounced(void) UNCHECKED {
    lock_take(&shard);
    lock_take(&other_shard);
}
static void falling_order_though_announced(void) UNCHECKED {
    lock_take(&journal);
    lock_take_ordered(&shard);
}
static void below_a_tried_lock(void) UNCHECKED {
    if (!lock_try(&journal)) _exit(0);
    lock_take(&shard);
}
static void drop_without_holding(void) UNCHECKED { lock_drop(&shard); }

/* Whether a child process that does this is stopped by an abort. */
static bool dies(void (*what)(void)) {
    pid_t child = fork();
    if (child == 0) {
        if (!freopen("/dev/null", "w", stderr)) _exit(1);
        what();
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status))
        assert_int_equal(WTERMSIG(status), SIGABRT);
    else
        assert_int_equal(WEXITSTATUS(status), 0);
    return WIFSIGNALED(status);
}

static void the_right_order_passes(void **state) {
    (void)state;
    rising_order();
    assert_false(dies(rising_order));
}

static void a_debug_build_dies_on_the_wrong_order(void **state) {
    (void)state;
#ifdef TRIVET_DEBUG
    assert_true(dies(falling_order));
    assert_true(dies(equal_rank_unannounced));
    assert_true(dies(falling_order_though_announced));
    assert_true(dies(below_a_tried_lock));
    assert_true(dies(drop_without_holding));
#else
    (void)falling_order, (void)equal_rank_unannounced, (void)falling_order_though_announced;
    (void)below_a_tried_lock, (void)drop_without_holding;
    skip();
#endif
}

/* ---- latches ---- */

static void *count_up_latched(void *arg) {
    for (int i = 0; i < 20000; i++) {
        latch_take(&latch);
        counter++;
        latch_drop(&latch);
    }
    return arg;
}

static void a_latch_lets_one_thread_in_at_a_time(void **state) {
    (void)state;
    pthread_t threads[4];
    counter = 0;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_up_latched, NULL), 0);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    assert_int_equal(counter, 80000);
    assert_int_equal(atomic_load(&latch.state), LATCH_FREE);
}

/* They ask while it is held, and are known to sleep, or to be about to, when it is awaited. */
static void who_sleeps_at_a_latch_is_woken(void **state) {
    (void)state;
    pthread_t threads[3];
    for (int round = 0; round < 20; round++) {
        counter = 0;
        latch_take(&latch);
        for (int i = 0; i < 3; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, count_up_latched, NULL), 0);
        while (atomic_load(&latch.state) != LATCH_AWAITED) sched_yield();
        assert_int_equal(counter, 0);
        latch_drop(&latch);
        for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
        assert_int_equal(counter, 60000);
    }
}

static void *try_latch(void *got) UNCHECKED {
    *(bool *)got = latch_try(&latch);
    if (*(bool *)got) latch_drop(&latch);
    return NULL;
}

static bool another_thread_gets_the_latch(void) {
    bool got;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, try_latch, &got), 0);
    pthread_join(thread, NULL);
    return got;
}

static void trying_says_whether_the_latch_is_free(void **state) {
    (void)state;
    latch_take(&latch);
    assert_false(another_thread_gets_the_latch());
    latch_drop(&latch);
    assert_true(another_thread_gets_the_latch());
}

static void latches_in_order(void) UNCHECKED {
    latch_take(&latch);
    latch_take_ordered(&other_latch);
    lock_take(&journal);
    latch_drop(&latch);
    lock_drop(&journal);
    latch_drop(&other_latch);
}
static void latch_under_journal(void) UNCHECKED {
    lock_take(&journal);
    latch_take(&latch);
}
static void latches_unannounced(void) UNCHECKED {
    latch_take(&latch);
    latch_take(&other_latch);
}
static void drop_a_free_latch(void) UNCHECKED { latch_drop(&latch); }

static void latches_and_locks_have_one_order(void **state) {
    (void)state;
    latches_in_order();
    assert_false(dies(latches_in_order));
#ifdef TRIVET_DEBUG
    assert_true(dies(latch_under_journal));
    assert_true(dies(latches_unannounced));
    assert_true(dies(drop_a_free_latch));
#else
    (void)latch_under_journal, (void)latches_unannounced, (void)drop_a_free_latch;
#endif
}

static void a_lock_can_be_made_at_run_time(void **state) {
    (void)state;
    struct lock l;
    lock_init(&l, LOCK_RANK_LEAF);
    lock_take(&shard);
    lock_take(&l);
    lock_drop(&l);
    lock_drop(&shard);
    lock_release(&l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lock_lets_one_thread_in_at_a_time),
        cmocka_unit_test(trying_says_whether_the_lock_is_free),
        cmocka_unit_test(the_right_order_passes),
        cmocka_unit_test(a_debug_build_dies_on_the_wrong_order),
        cmocka_unit_test(a_latch_lets_one_thread_in_at_a_time),
        cmocka_unit_test(who_sleeps_at_a_latch_is_woken),
        cmocka_unit_test(trying_says_whether_the_latch_is_free),
        cmocka_unit_test(latches_and_locks_have_one_order),
        cmocka_unit_test(a_lock_can_be_made_at_run_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
