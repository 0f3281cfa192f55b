/* The counters say what the allocator handed out, over all threads, exactly. */
#include "trivet/base/mem.h"
#include "trivet/base/random.h"
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void every_way_to_allocate_is_counted(void **state) {
    (void)state;
    size_t used = mem_used_exact();
    void *all[] = {
        mem_alloc(0),         mem_alloc(1),         mem_alloc(100), mem_alloc(5 << 20),
        mem_alloc_zero(0),    mem_alloc_zero(4000), mem_try_alloc(77), mem_alloc_aligned(64, 100),
        mem_alloc_aligned(4096, 1), mem_realloc(NULL, 33), mem_strdup("text"), mem_alloc_aligned(1, 3),
    };
    size_t sum = 0;
    for (size_t i = 0; i < COUNT_OF(all); i++) sum += mem_size(all[i]);
    assert_int_equal(mem_used_exact() - used, sum);
    for (size_t i = 0; i < COUNT_OF(all); i++) mem_free(all[i]);
    mem_free(NULL);
    assert_int_equal(mem_used_exact(), used);
}

static void memory_has_the_size_and_alignment_asked_for(void **state) {
    (void)state;
    for (size_t size = 1; size < 20000; size += 37) {
        unsigned char *p = mem_alloc_zero(size);
        assert_true(mem_size(p) >= size);
        assert_int_equal(mem_good_size(size), mem_size(p));
        for (size_t i = 0; i < size; i++) assert_int_equal(p[i], 0);
        mem_free(p);
    }
    for (size_t alignment = 1; alignment <= 65536; alignment *= 2) {
        void *p = mem_alloc_aligned(alignment, 10);
        assert_int_equal((uintptr_t)p % alignment, 0);
        mem_free(p);
    }
}

static void growing_and_shrinking_keeps_the_bytes_and_the_count(void **state) {
    (void)state;
    size_t used = mem_used_exact();
    char *p = mem_strdup("kept");
    for (int i = 0; i < 1000; i++) {
        p = mem_realloc(p, 5 + random_below(300000));
        assert_memory_equal(p, "kept", 5);
        assert_int_equal(mem_used_exact() - used, mem_size(p));
    }
    mem_free(p);
    assert_int_equal(mem_used_exact(), used);
}

#define THREADS 4
#define SLOTS 200

static void *slots[THREADS][SLOTS];
static pthread_barrier_t barrier;

static size_t sum_of_slots(void) {
    size_t sum = 0;
    for (int t = 0; t < THREADS; t++)
        for (int i = 0; i < SLOTS; i++)
            if (slots[t][i]) sum += mem_size(slots[t][i]);
    return sum;
}

/* Churns its own slots, then frees its neighbour's: a thread's own counter goes below zero. */
static void *churn(void *arg) {
    size_t own = (size_t)(uintptr_t)arg;
    for (int i = 0; i < 20000; i++) {
        void **slot = &slots[own][random_below(SLOTS)];
        mem_free(*slot);
        *slot = random_below(3) ? mem_alloc(random_below(3000)) : NULL;
    }
    pthread_barrier_wait(&barrier); /* the main thread compares between the first and the second */
    pthread_barrier_wait(&barrier);
    void **neighbour = slots[(own + 1) % THREADS];
    for (int i = 0; i < SLOTS; i += 2) {
        mem_free(neighbour[i]);
        neighbour[i] = NULL;
    }
    return NULL;
}

static void the_counters_of_all_threads_sum_to_what_is_held(void **state) {
    (void)state;
    size_t used = mem_used_exact();
    pthread_t threads[THREADS];
    pthread_barrier_init(&barrier, NULL, THREADS + 1);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, churn, (void *)(uintptr_t)i), 0);
    pthread_barrier_wait(&barrier);
    size_t sum = sum_of_slots();
    assert_int_equal(mem_used_exact() - used, sum);
    size_t slack = (THREADS + 1) * (size_t)MEM_PUBLISH_STEP;
    assert_true(mem_used() + slack >= used + sum && mem_used() <= used + sum + slack);
    pthread_barrier_wait(&barrier);
    for (size_t i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    assert_int_equal(mem_used_exact() - used, sum_of_slots());
    for (int t = 0; t < THREADS; t++) {
        for (int i = 0; i < SLOTS; i++) mem_free(slots[t][i]);
        memset(slots[t], 0, sizeof slots[t]);
    }
    assert_int_equal(mem_used_exact(), used);
    pthread_barrier_destroy(&barrier);
}

static void mem_used_follows_within_a_step(void **state) {
    (void)state;
    void *held[100];
    for (size_t i = 0; i < COUNT_OF(held); i++) {
        held[i] = mem_alloc(10000);
        size_t exact = mem_used_exact(), rough = mem_used();
        size_t apart = exact > rough ? exact - rough : rough - exact;
        assert_true(apart <= MEM_PUBLISH_STEP);
    }
    for (size_t i = 0; i < COUNT_OF(held); i++) mem_free(held[i]);
}

/* Destructors run in rounds; the counter is folded in the first. In the last round a counter that registered
 * itself anew would never be folded again. TSan's own thread is gone by then, so it gets the second. */
#ifdef __SANITIZE_THREAD__
#define LAST_ROUND 2
#else
#define LAST_ROUND PTHREAD_DESTRUCTOR_ITERATIONS
#endif

static pthread_key_t late_key;

static void free_late(void *arg) {
    static _Thread_local int rounds;
    if (++rounds < LAST_ROUND)
        pthread_setspecific(late_key, arg);
    else
        mem_free(arg);
}

static void *leave_to_destructor(void *arg) {
    pthread_setspecific(late_key, mem_alloc(1000));
    return arg;
}

static void what_a_dying_thread_frees_is_counted(void **state) {
    (void)state;
    size_t used = mem_used_exact();
    assert_int_equal(pthread_key_create(&late_key, free_late), 0);
    for (int i = 0; i < 20; i++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, leave_to_destructor, NULL), 0);
        pthread_join(thread, NULL);
    }
    assert_int_equal(mem_used_exact(), used);
    pthread_key_delete(late_key);
}

static void memory_that_does_not_exist_is_refused_or_fatal(void **state) {
    (void)state;
#ifdef TRIVET_SANITIZE
    skip(); /* a sanitizer stops the process itself */
#else
    volatile size_t too_much = SIZE_MAX / 4;
    size_t used = mem_used_exact();
    assert_null(mem_try_alloc(too_much));
    assert_int_equal(mem_used_exact(), used);
    pid_t child = fork();
    if (child == 0) {
        if (!freopen("/dev/null", "w", stdout)) _exit(1);
        mem_free(mem_alloc(too_much));
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
#endif
}

static void append_text(void *arg, const char *text) { *(size_t *)arg += strlen(text); }

static void the_allocator_tells_about_itself(void **state) {
    (void)state;
    struct mem_allocator_stats stats;
    char *held = mem_alloc(1 << 20);
    memset(held, 1, 1 << 20);
    mem_allocator_stats(&stats);
#ifdef TRIVET_SANITIZE
    assert_string_equal(mem_allocator_name(), "libc");
    assert_int_equal(stats.allocated, 0);
#else
    assert_memory_equal(mem_allocator_name(), "jemalloc-5.", 11);
    assert_true(stats.allocated >= 1 << 20);
    assert_true(stats.active >= stats.allocated && stats.resident >= stats.active);
#endif
    assert_true(mem_resident() >= 1 << 20);
    size_t length = 0;
    mem_allocator_report(append_text, &length);
    assert_true(length > 0);
    mem_free(held);
    mem_purge();
}

static void the_owner_of_parts_knows_their_sum(void **state) {
    (void)state;
    size_t before = mem_used_exact(), held = 0;
    void *a = mem_alloc_in(&held, 0), *b = mem_realloc_in(&held, NULL, 3000), *other = NULL;
    assert_int_equal(held, mem_size(a) + mem_size(b));
    b = mem_realloc_in(&held, b, 100000);
    a = mem_realloc_in(&held, a, 20);
    assert_int_equal(held, mem_size(a) + mem_size(b));
    MEM_COUNT_IN(&held, other = mem_alloc(500));
    MEM_COUNT_IN(&held, a = mem_realloc(a, 5000));
    assert_int_equal(held, mem_used_exact() - before);
    MEM_COUNT_IN(&held, mem_free(other));
    mem_free_in(&held, NULL);
    mem_free_in(&held, b);
    assert_int_equal(held, mem_size(a));
    mem_free_in(&held, a);
    assert_int_equal(held, 0);
}

static size_t steps;
static void count_step(void) { steps++; }

static void who_frees_much_is_interrupted_at_each_step(void **state) {
    (void)state;
    enum { BLOCKS = 20000 };
    static void *blocks[BLOCKS];
    size_t bytes = mem_balance();
    for (size_t i = 0; i < BLOCKS; i++) blocks[i] = mem_alloc(100);
    bytes = mem_balance() - bytes;
    steps = 0;
    mem_each_step(count_step);
    for (size_t i = 0; i < BLOCKS; i++) mem_free(blocks[i]);
    mem_each_step(NULL);
    size_t seen = steps;
    for (size_t i = 0; i < BLOCKS; i++) blocks[i] = mem_alloc(100);
    for (size_t i = 0; i < BLOCKS; i++) mem_free(blocks[i]);
    assert_in_range(seen, bytes / MEM_PUBLISH_STEP - 1, bytes / MEM_PUBLISH_STEP + 1);
    assert_int_equal(steps, seen);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_way_to_allocate_is_counted),
        cmocka_unit_test(memory_has_the_size_and_alignment_asked_for),
        cmocka_unit_test(growing_and_shrinking_keeps_the_bytes_and_the_count),
        cmocka_unit_test(the_owner_of_parts_knows_their_sum),
        cmocka_unit_test(the_counters_of_all_threads_sum_to_what_is_held),
        cmocka_unit_test(mem_used_follows_within_a_step),
        cmocka_unit_test(what_a_dying_thread_frees_is_counted),
        cmocka_unit_test(memory_that_does_not_exist_is_refused_or_fatal),
        cmocka_unit_test(who_frees_much_is_interrupted_at_each_step),
        cmocka_unit_test(the_allocator_tells_about_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
