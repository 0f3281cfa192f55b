/* How a script keeps shards, with threads that play workers. Worker 0, the test's thread, runs the script. */
#include "trivet/base/thread.h"
#include "trivet/engine/run/keeping.h"
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define KEPT 5
#define FREE 6

static int begin(void **state) {
    (void)state;
    thread_worker_index = 0;
    thread_worker_count = 2;
    gates_init();
    shards_init(false);
    shards_are_shared = true;
    gate_enter();
    return 0;
}

static int end(void **state) {
    (void)state;
    assert_int_equal(atomic_load(&shards_kept), 0);
    gate_leave();
    shards_release();
    return 0;
}

static bool keep(struct keeping *k) {
    struct keyref ref = { .shard = KEPT };
    struct command_keys keys = { .at = &ref, .count = 1 };
    bool waited = true;
    bool may_run = keeping_begin(k, &keys, &waited);
    assert_false(waited);
    return may_run;
}

static void let_go(struct keeping *k) {
    shards_lock(&k->set);
    keeping_end(k);
    shards_unlock(&k->set);
}

/* The other worker's part: a function that runs with its gate held. */
static void *as_other(void *run) {
    thread_worker_index = 1;
    gate_enter();
    (*(void (**)(void))run)();
    gate_leave();
    return NULL;
}

static pthread_t start(void (**run)(void)) {
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, as_other, run), 0);
    return thread;
}

static void run_as_other(void (*run)(void)) { pthread_join(start(&run), NULL); }

static bool met[2], could_lock[2];

static void look(void) {
    uint64_t ticket;
    for (uint32_t i = 0; i < 2; i++) {
        struct shard *s = &shards[KEPT + i];
        shard_lock(s);
        met[i] = keeping_meets_one(KEPT + i, &ticket);
        shard_unlock(s);
        could_lock[i] = shard_try_lock(s);
        if (could_lock[i]) shard_unlock(s);
    }
}

static void others_meet_what_is_kept_and_nothing_else(void **state) {
    (void)state;
    struct keeping k;
    uint64_t ticket;
    assert_true(keep(&k));
    run_as_other(look);
    assert_true(met[0] && !met[1]);
    assert_true(!could_lock[0] && could_lock[1]);
    assert_false(keeping_meets_one(KEPT, &ticket)); /* its own */
    let_go(&k);
    run_as_other(look);
    assert_true(!met[0] && could_lock[0]);
}

static atomic_bool is_waiting, went_on;

static void wait_for_the_script(void) {
    struct shard_set set;
    shard_set_init(&set);
    uint64_t ticket;
    shard_set_add(&set, FREE);
    shard_set_add(&set, KEPT);
    shards_lock(&set);
    bool meets = keeping_meets(&set, &ticket);
    shards_unlock(&set);
    atomic_store(&is_waiting, meets);
    if (meets) keeping_wait(ticket);
    atomic_store(&went_on, true);
}

static void who_meets_it_waits_without_a_gate_until_it_ends(void **state) {
    (void)state;
    struct keeping k;
    void (*run)(void) = wait_for_the_script;
    atomic_store(&is_waiting, false);
    atomic_store(&went_on, false);
    assert_true(keep(&k));
    pthread_t other = start(&run);
    while (!atomic_load(&is_waiting)) sched_yield();
    /* The gate can be closed in the middle, because the other one has left its own. */
    keeping_widen(&k);
    assert_true(k.is_alone && exclusive_is_mine());
    assert_false(atomic_load(&went_on)); /* it may not enter its gate */
    keeping_end(&k);
    exclusive_end();
    pthread_join(other, NULL);
    assert_true(atomic_load(&went_on));
}

static void walk(void) {
    met[0] = walking_begin();
    if (met[0]) walking_end();
}

static void who_walks_over_all_shards_must_close_the_gate_beside_a_script(void **state) {
    (void)state;
    struct keeping k;
    run_as_other(walk);
    assert_true(met[0]);
    assert_true(keep(&k));
    run_as_other(walk);
    assert_false(met[0]);
    let_go(&k);
}

static void a_script_must_close_the_gate_beside_a_walk(void **state) {
    (void)state;
    struct keeping k;
    assert_true(walking_begin());
    assert_false(keep(&k));
    assert_int_equal(shard_keeper[KEPT], 0);
    walking_end();
    assert_true(keep(&k));
    let_go(&k);
}

static atomic_bool was_alone;

static void run_alone(void) {
    exclusive_begin();
    atomic_store(&was_alone, true);
    exclusive_end();
}

static void no_exclusive_command_comes_between(void **state) {
    (void)state;
    struct keeping k;
    void (*run)(void) = run_alone;
    atomic_store(&was_alone, false);
    assert_true(keep(&k));
    pthread_t other = start(&run);
    while (atomic_load(&exclusive_waiting) == 0) sched_yield();
    gate_leave(); /* as if in the middle of closing the gate */
    sched_yield();
    assert_false(atomic_load(&was_alone));
    gate_enter();
    let_go(&k);
    gate_leave();
    pthread_join(other, NULL);
    gate_enter();
    assert_true(atomic_load(&was_alone));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(others_meet_what_is_kept_and_nothing_else, begin, end),
        cmocka_unit_test_setup_teardown(who_meets_it_waits_without_a_gate_until_it_ends, begin, end),
        cmocka_unit_test_setup_teardown(who_walks_over_all_shards_must_close_the_gate_beside_a_script, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_script_must_close_the_gate_beside_a_walk, begin, end),
        cmocka_unit_test_setup_teardown(no_exclusive_command_comes_between, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
