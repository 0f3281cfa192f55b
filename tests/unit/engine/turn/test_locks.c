/* Who may run beside whom: the gate, the exclusive right, sets of shards. With threads that play workers. */
#include "trivet/base/thread.h"
#include "trivet/engine/turn/locks.h"
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define WORKERS 3
#define ROUNDS 2000

static int begin(void **state) {
    (void)state;
    thread_worker_index = 0;
    thread_worker_count = WORKERS;
    gates_init();
    shards_init(false);
    shards_are_shared = true;
    return 0;
}

static int end(void **state) {
    (void)state;
    shards_release();
    return 0;
}

static pthread_t start(void *(*run)(void *), void *arg) {
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, run, arg), 0);
    return thread;
}

/* Runs on all workers at once, worker 0 being the caller. */
struct part {
    void (*run)(int worker);
    int worker;
};

static void *play(void *arg) {
    struct part *p = arg;
    thread_worker_index = p->worker;
    p->run(p->worker);
    return NULL;
}

static void on_all_workers(void (*run)(int worker)) {
    pthread_t threads[WORKERS];
    struct part parts[WORKERS];
    for (int i = 1; i < WORKERS; i++) {
        parts[i] = (struct part){ run, i };
        threads[i] = start(play, &parts[i]);
    }
    run(0);
    for (int i = 1; i < WORKERS; i++) pthread_join(threads[i], NULL);
}

/* ---- the gate ---- */

static void a_gate_is_entered_and_left_once(void **state) {
    (void)state;
    assert_false(gate_is_mine());
    gate_leave(); /* nothing to leave */
    gate_enter();
    gate_enter();
    assert_true(gate_is_mine());
    gate_leave();
    assert_false(gate_is_mine());
}

static void the_exclusive_right_nests(void **state) {
    (void)state;
    gate_enter();
    assert_false(exclusive_is_mine());
    exclusive_begin();
    exclusive_begin();
    exclusive_end();
    assert_true(exclusive_is_mine());
    exclusive_end();
    assert_false(exclusive_is_mine());
    assert_true(gate_is_mine());
    assert_int_equal(atomic_load(&exclusive_waiting), 0);
    gate_leave();
}

static void with_nobody_to_lock_out_everything_is_exclusive(void **state) {
    (void)state;
    shards_are_shared = false;
    assert_true(exclusive_is_mine());
    shards_are_shared = true;
    assert_false(exclusive_is_mine());
}

static atomic_bool is_inside, has_left;

static void *stay_till_somebody_waits(void *arg) {
    thread_worker_index = 1;
    gate_enter();
    atomic_store(&is_inside, true);
    while (atomic_load(&exclusive_waiting) == 0) sched_yield();
    atomic_store(&has_left, true);
    gate_leave();
    return arg;
}

static void the_exclusive_right_waits_for_those_inside(void **state) {
    (void)state;
    pthread_t other = start(stay_till_somebody_waits, NULL);
    while (!atomic_load(&is_inside)) sched_yield();
    gate_enter();
    exclusive_begin();
    assert_true(atomic_load(&has_left));
    exclusive_end();
    gate_leave();
    pthread_join(other, NULL);
}

/* Plain variables: what may touch them is what is tested. */
static long changes;
static atomic_long torn;

static void change_or_look(int worker) {
    gate_enter();
    for (int i = 0; i < ROUNDS; i++) {
        if (i % WORKERS == worker) {
            exclusive_begin();
            changes++;
            exclusive_end();
        } else {
            long before = changes;
            sched_yield();
            if (changes != before) atomic_fetch_add(&torn, 1);
        }
        gate_yield();
    }
    gate_leave();
}

static void what_exclusive_commands_change_others_read_without_a_lock(void **state) {
    (void)state;
    changes = 0;
    on_all_workers(change_or_look);
    assert_int_equal(changes, ROUNDS);
    assert_int_equal(atomic_load(&torn), 0);
}

/* ---- a script that is busy opens the gate in the middle ---- */

static void an_opened_gate_is_closed_to_the_same_depth(void **state) {
    (void)state;
    gate_enter();
    for (int depth = 1; depth <= 3; depth++) {
        for (int i = 0; i < depth; i++) exclusive_begin();
        for (int times = 0; times < 2; times++) {
            int opened = exclusive_open();
            assert_int_equal(opened, depth);
            assert_false(exclusive_is_mine());
            assert_true(gate_is_mine());
            assert_int_equal(atomic_load(&exclusive_waiting), 0);
            exclusive_close(opened);
            assert_true(exclusive_is_mine());
        }
        for (int i = 0; i < depth; i++) {
            assert_true(exclusive_is_mine());
            exclusive_end();
        }
        assert_false(exclusive_is_mine());
    }
    gate_leave();
}

/* While it is open another may have the exclusive right, which nests as ever. */
static void while_it_is_open_commands_run_alone_in_between(void **state) {
    (void)state;
    gate_enter();
    exclusive_begin();
    exclusive_begin();
    int opened = exclusive_open();
    exclusive_begin();
    assert_true(exclusive_is_mine());
    exclusive_end();
    gate_yield();
    exclusive_close(opened);
    exclusive_end();
    assert_true(exclusive_is_mine());
    exclusive_end();
    gate_leave();
}

static atomic_int between; /* commands of others while the gate was open */

static void open_and_close_or_look(int worker) {
    gate_enter();
    for (int i = 0; i < ROUNDS / 4; i++) {
        if (worker == 0) {
            exclusive_begin();
            changes++;
            long before = changes;
            exclusive_close(exclusive_open());
            /* Others change nothing but by an exclusive command. */
            if (changes < before) atomic_fetch_add(&torn, 1);
            changes++;
            exclusive_end();
        } else {
            long before = changes;
            sched_yield();
            if (changes != before) atomic_fetch_add(&torn, 1);
            atomic_fetch_add(&between, 1);
            if (i % 16 == 0) {
                exclusive_begin();
                changes += 2;
                exclusive_end();
            }
        }
        gate_yield();
    }
    gate_leave();
}

static void others_see_nothing_half_done_but_what_was_left_open(void **state) {
    (void)state;
    changes = 0;
    atomic_store(&torn, 0);
    on_all_workers(open_and_close_or_look);
    assert_int_equal(changes, ROUNDS / 4 * 2 + (WORKERS - 1) * 2 * ((ROUNDS / 4 + 15) / 16));
    assert_int_equal(atomic_load(&torn), 0);
    assert_true(atomic_load(&between) > 0);
    assert_int_equal(atomic_load(&exclusive_waiting), 0);
}

static void *run_while_it_is_open(void *arg) {
    thread_worker_index = 2;
    while (!atomic_load(&is_inside)) sched_yield();
    gate_enter(); /* waits until it is opened */
    atomic_store(&has_left, true);
    gate_leave();
    return arg;
}

static void those_who_wait_go_on_when_it_is_opened(void **state) {
    (void)state;
    atomic_store(&is_inside, false);
    atomic_store(&has_left, false);
    pthread_t other = start(run_while_it_is_open, NULL);
    gate_enter();
    exclusive_begin();
    atomic_store(&is_inside, true);
    assert_false(atomic_load(&has_left));
    int opened = exclusive_open();
    while (!atomic_load(&has_left)) gate_yield();
    exclusive_close(opened);
    exclusive_end();
    gate_leave();
    pthread_join(other, NULL);
}

/* ---- sets of shards ---- */

static void a_set_of_slots_goes_to_the_last(void **state) {
    (void)state;
    static const uint32_t members[] = { 0, 4095, 4096, 8191, 12288, SHARD_MAX - 1 };
    struct shard_set set;
    size_t visits = 0;
    shard_count = SHARD_MAX;
    shard_set_init(&set);
    for (size_t i = COUNT_OF(members); i > 0; i--) shard_set_add(&set, members[i - 1]);
    SHARD_SET_EACH(&set, shard) assert_int_equal(shard, members[visits++]);
    assert_int_equal(visits, COUNT_OF(members));
    shard_count = SHARDS_WITHOUT_SLOTS;
}

static void a_set_has_what_was_added(void **state) {
    (void)state;
    static const struct {
        uint32_t add[5], added, visited[5], count;
    } rows[] = {
        { { 0 }, 0, { 0 }, 0 },
        { { 0 }, 1, { 0 }, 1 },
        { { SHARDS_WITHOUT_SLOTS - 1 }, 1, { SHARDS_WITHOUT_SLOTS - 1 }, 1 },
        { { 63, 64 }, 2, { 63, 64 }, 2 },
        { { 700, 3, 700, 3, 700 }, 5, { 3, 700 }, 2 },
        { { 300, 200, 100, 400, 500 }, 5, { 100, 200, 300, 400, 500 }, 5 },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct shard_set set;
        memset(&set, 0xff, sizeof set);
        shard_set_init(&set);
        uint32_t members = 0, visits = 0;
        for (uint32_t a = 0; a < rows[i].added; a++) shard_set_add(&set, rows[i].add[a]);
        for (uint32_t a = 0; a < rows[i].added; a++) assert_true(shard_set_has(&set, rows[i].add[a]));
        for (uint32_t s = 0; s < shard_count; s++) members += shard_set_has(&set, s);
        assert_int_equal(members, rows[i].count);
        assert_int_equal(set.count, rows[i].count);
        SHARD_SET_EACH(&set, shard) assert_int_equal(shard, rows[i].visited[visits++]);
        assert_int_equal(visits, rows[i].count);
    }
}

static uint32_t free_shards;

static void *count_free_shards(void *arg) UNCHECKED {
    free_shards = 0;
    for (uint32_t i = 0; i < shard_count; i++) {
        if (!latch_try(&shards[i].lock)) continue;
        free_shards++;
        latch_drop(&shards[i].lock);
    }
    return arg;
}

static uint32_t how_many_are_free(void) {
    pthread_join(start(count_free_shards, NULL), NULL);
    return free_shards;
}

static void a_set_is_locked_as_a_whole_and_nothing_else(void **state) {
    (void)state;
    static const uint32_t members[] = { 1023, 0, 512, 63, 64 };
    struct shard_set set, none;
    shard_set_init(&set);
    shard_set_init(&none);
    for (size_t i = 0; i < COUNT_OF(members); i++) shard_set_add(&set, members[i]);
    shards_lock(&none);
    shards_lock(&set);
    assert_int_equal(how_many_are_free(), shard_count - COUNT_OF(members));
    shards_unlock(&set);
    shards_unlock(&none);
    assert_int_equal(how_many_are_free(), shard_count);
    shards_are_shared = false;
    shards_lock(&set);
    assert_int_equal(how_many_are_free(), shard_count);
    shards_unlock(&set);
    shards_are_shared = true;
}

static long counted[4];

/* Each worker names the shards in an order of its own. */
static void count_under_shards(int worker) {
    static const uint32_t names[WORKERS][4] = { { 5, 100, 700, 701 },
                                                { 701, 700, 100, 5 },
                                                { 100, 701, 5, 700 } };
    for (int i = 0; i < ROUNDS; i++) {
        struct shard_set set;
        shard_set_init(&set);
        for (int k = 0; k < 4; k++) shard_set_add(&set, names[worker][k]);
        shards_lock(&set);
        for (int k = 0; k < 4; k++) counted[k]++;
        shards_unlock(&set);
    }
}

static void sets_that_overlap_do_not_lock_each_other_up(void **state) {
    (void)state;
    memset(counted, 0, sizeof counted);
    on_all_workers(count_under_shards);
    for (int k = 0; k < 4; k++) assert_int_equal(counted[k], WORKERS * ROUNDS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_gate_is_entered_and_left_once),
        cmocka_unit_test(the_exclusive_right_nests),
        cmocka_unit_test(with_nobody_to_lock_out_everything_is_exclusive),
        cmocka_unit_test(the_exclusive_right_waits_for_those_inside),
        cmocka_unit_test(what_exclusive_commands_change_others_read_without_a_lock),
        cmocka_unit_test(an_opened_gate_is_closed_to_the_same_depth),
        cmocka_unit_test(while_it_is_open_commands_run_alone_in_between),
        cmocka_unit_test(others_see_nothing_half_done_but_what_was_left_open),
        cmocka_unit_test(those_who_wait_go_on_when_it_is_opened),
        cmocka_unit_test(a_set_has_what_was_added),
        cmocka_unit_test(a_set_of_slots_goes_to_the_last),
        cmocka_unit_test(a_set_is_locked_as_a_whole_and_nothing_else),
        cmocka_unit_test(sets_that_overlap_do_not_lock_each_other_up),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
