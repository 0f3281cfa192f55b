/* test_slab.c: blocks against a model that knows the bytes of each; compaction; four threads. Slabs are
 * reserved in every variant here, also where the server does without. */
#include "trivet/base/mem.h"
#include "trivet/base/random.h"
#include "trivet/base/slab.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define RESERVE ((size_t)1 << 28)

static int reserve(void **state) {
    (void)state;
    return slab_init(RESERVE) ? 0 : -1;
}

/* Back to nothing, which asserts that every block came back. */
static int release(void **state) {
    (void)state;
    slab_thread_end();
    slab_check();
    slab_release();
    return 0;
}

static size_t resident(void) {
    struct slab_stats stats;
    slab_stats(&stats);
    return stats.resident;
}

static size_t slabs_in_use(void) {
    struct slab_stats stats;
    slab_stats(&stats);
    return stats.slabs;
}

static void every_size_fits_and_wastes_little(void **state) {
    (void)state;
    for (size_t size = 0; size <= SLAB_BLOCK_MAX; size++) {
        char *block = slab_alloc(size);
        size_t got = slab_size(block);
        assert_int_equal((uintptr_t)block % 8, 0);
        assert_true(got >= size && got == slab_good_size(size));
        if (size >= 16) assert_true(got < size + (size <= 512 ? 8 : size <= 1024 ? 16 : 32));
        memset(block, 0xee, got);
        slab_free(block);
    }
    slab_free(NULL);
}

static void bigger_blocks_come_from_the_allocator(void **state) {
    (void)state;
    size_t used = mem_used_exact(), slabs = slabs_in_use();
    void *block = slab_alloc(SLAB_BLOCK_MAX + 1);
    assert_int_equal(slab_size(block), mem_size(block));
    assert_int_equal(mem_used_exact() - used, mem_size(block));
    assert_int_equal(slabs_in_use(), slabs);
    assert_false(slab_is_condemned(block));
    slab_free(block);
    assert_int_equal(mem_used_exact(), used);
}

static void a_block_keeps_its_bytes_when_it_is_resized(void **state) {
    (void)state;
    static const size_t sizes[] = { 10, 16, 17, 600, 599, 2048, 2049, 100000, 5000, 2000, 24, 1 };
    char *block = slab_alloc(8);
    size_t held = 8;
    memset(block, 'x', held);
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        block = slab_realloc(block, sizes[i]);
        assert_true(slab_size(block) >= sizes[i]);
        for (size_t at = 0; at < sizes[i] && at < held; at++) assert_int_equal(block[at], 'x');
        held = sizes[i];
        memset(block, 'x', held);
    }
    slab_free(block);
}

#define BLOCKS 20000

struct held {
    unsigned char *block;
    size_t size;
    unsigned char mark;
};
static struct held held[BLOCKS];

static void fill(struct held *h, size_t size) {
    *h = (struct held){ slab_alloc(size), size, (unsigned char)random_below(256) };
    memset(h->block, h->mark, size);
}

static void check(const struct held *h) {
    for (size_t i = 0; i < h->size; i++)
        if (h->block[i] != h->mark) fail_msg("byte %zu of a block of %zu was changed", i, h->size);
}

static void drop(struct held *h) {
    check(h);
    slab_free(h->block);
    *h = (struct held){ 0 };
}

static void drop_all(void) {
    for (size_t i = 0; i < BLOCKS; i++)
        if (held[i].block) drop(&held[i]);
}

/* With and without blocks at hand. */
static void blocks_do_not_overlap(void **state) {
    (void)state;
    size_t used = mem_used_exact();
    for (int round = 0; round < 2; round++) {
        for (int step = 0; step < 200000; step++) {
            struct held *h = &held[random_below(BLOCKS)];
            if (h->block)
                drop(h);
            else
                fill(h, 1 + random_below(round ? 200 : 2300));
        }
        size_t sum = 0;
        for (size_t i = 0; i < BLOCKS; i++)
            if (held[i].block) sum += slab_size(held[i].block);
        slab_check();
        if (round == 0) assert_int_equal(mem_used_exact() - used, sum);
        drop_all();
        (void)slab_thread_begin();
    }
}

static void empty_slabs_go_back_to_the_system(void **state) {
    (void)state;
    for (size_t i = 0; i < BLOCKS; i++) fill(&held[i], 1000);
    size_t full = resident();
    assert_true(full >= BLOCKS * (size_t)1000 && full < BLOCKS * (size_t)1000 * 11 / 10);
    drop_all();
    slab_thread_flush();
    assert_int_equal(resident(), full);
    assert_int_equal(slabs_in_use(), 0);
    assert_true(slab_wants_trim());
    assert_int_equal(slab_trim(3), 3);
    assert_int_equal(resident(), full - 3 * SLAB_BYTES);
    while (slab_trim(1000) > 0) continue;
    assert_false(slab_wants_trim());
    assert_in_range(resident(), 1, 2 * 1024 * 1024); /* some stay for what comes next */
    slab_purge();
    assert_int_equal(resident(), 0);
    for (size_t i = 0; i < BLOCKS; i++) fill(&held[i], 1000); /* and are there again */
    assert_int_equal(resident(), full);
    drop_all();
}

/* Nine of ten go at random; what is left moves together. */
static void compaction_empties_the_sparse_slabs(void **state) {
    (void)state;
    for (size_t i = 0; i < BLOCKS; i++) fill(&held[i], 500);
    size_t before = slabs_in_use();
    assert_int_equal(slab_surplus(), 0);
    for (size_t i = 0; i < BLOCKS; i++)
        if (random_below(10) > 0) drop(&held[i]);
    assert_true(slabs_in_use() > before * 9 / 10);
    assert_true(slab_surplus() > before * SLAB_BYTES * 3 / 4);
    size_t condemned = 0, moved = 0, used = mem_used_exact();
    for (size_t some; (some = slab_condemn(7)) > 0;) condemned += some;
    assert_true(condemned > before * 3 / 4);
    slab_thread_flush();
    slab_check();
    for (size_t i = 0; i < BLOCKS; i++) {
        if (!held[i].block || !slab_is_condemned(held[i].block)) continue;
        held[i].block = slab_move(held[i].block);
        assert_false(slab_is_condemned(held[i].block));
        moved++;
    }
    assert_true(moved > 0);
    assert_int_equal(mem_used_exact(), used);
    slab_check();
    assert_int_equal(slab_reprieve(), 0);
    assert_true(slabs_in_use() <= before / 7);
    assert_int_equal(slab_surplus(), 0);
    drop_all();
}

static void a_condemned_slab_may_be_reprieved(void **state) {
    (void)state;
    for (size_t i = 0; i < BLOCKS; i++) fill(&held[i], 100);
    for (size_t i = 0; i < BLOCKS; i++)
        if (i % 8) drop(&held[i]);
    slab_thread_flush();
    size_t slabs = slabs_in_use(), condemned = slab_condemn(SIZE_MAX);
    assert_true(condemned > 0);
    struct held other;
    fill(&other, 100);
    assert_false(slab_is_condemned(other.block));
    drop(&other);
    assert_int_equal(slab_reprieve(), condemned);
    assert_int_equal(slabs_in_use(), slabs);
    for (size_t i = 0; i < BLOCKS; i++)
        if (held[i].block) assert_false(slab_is_condemned(held[i].block));
    slab_check();
    drop_all();
}

/* The range holds 256 MB: what does not fit comes from the allocator, and all of it goes back. */
static void a_range_that_is_used_up_does_no_harm(void **state) {
    (void)state;
    size_t count = RESERVE / SLAB_BLOCK_MAX + 1000;
    void **blocks = mem_alloc(count * sizeof *blocks);
    for (size_t i = 0; i < count; i++) blocks[i] = slab_alloc(SLAB_BLOCK_MAX);
    assert_true(slab_size(blocks[0]) == SLAB_BLOCK_MAX && slab_size(blocks[count - 1]) >= SLAB_BLOCK_MAX);
    blocks[count - 1] = slab_realloc(blocks[count - 1], 100);
    assert_true(slab_size(blocks[count - 1]) >= 100);
    for (size_t i = 0; i < count; i++) slab_free(blocks[i]);
    mem_free(blocks);
    slab_purge();
    assert_true(resident() < 1024 * 1024);
}

#define THREADS 4
#define SLOTS 2000

static struct held shared[THREADS][SLOTS];
static pthread_mutex_t shared_lock[THREADS];

/* Replaces and moves blocks of all threads, each under its part's lock. */
static void *churn(void *arg) {
    size_t own = (size_t)(uintptr_t)arg;
    if (own % 2) (void)slab_thread_begin();
    for (int step = 0; step < 60000; step++) {
        size_t part = random_below(THREADS);
        pthread_mutex_lock(&shared_lock[part]);
        struct held *h = &shared[part][random_below(SLOTS)];
        if (!h->block)
            fill(h, 20 + random_below(100));
        else if (slab_is_condemned(h->block))
            h->block = slab_move(h->block);
        else
            drop(h);
        pthread_mutex_unlock(&shared_lock[part]);
        if (own == 0 && step % 1000 == 0) (void)slab_condemn(3);
        if (own == 1 && step % 3000 == 0) (void)slab_reprieve();
        if (own == 2 && step % 1000 == 0) (void)slab_trim(2);
        if (own == 3 && step % 5000 == 0) slab_thread_flush();
    }
    slab_thread_end();
    return NULL;
}

static void threads_free_what_others_allocated(void **state) {
    (void)state;
    size_t used = mem_used_exact();
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) pthread_mutex_init(&shared_lock[i], NULL);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, churn, (void *)(uintptr_t)i), 0);
    for (size_t i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    slab_check();
    for (size_t part = 0; part < THREADS; part++)
        for (size_t i = 0; i < SLOTS; i++)
            if (shared[part][i].block) drop(&shared[part][i]);
    assert_int_equal(mem_used_exact(), used);
    assert_int_equal(slabs_in_use(), 0);
}

static void count_bytes(void *arg, const char *text) { *(size_t *)arg += strlen(text); }

static void the_report_names_the_sizes_in_use(void **state) {
    (void)state;
    size_t none = 0, some = 0;
    slab_report(count_bytes, &none);
    void *block = slab_alloc(56);
    slab_report(count_bytes, &some);
    assert_true(some > none);
    slab_free(block);
}

static void without_a_reservation_blocks_come_from_the_allocator(void **state) {
    (void)state;
    struct slab_stats stats;
    size_t used = mem_used_exact(), condemned = 0;
    assert_false(slab_thread_begin());
    for (int i = 0; i < 1000; i++) held[i].block = slab_alloc(50);
    assert_int_equal(slab_size(held[0].block), mem_size(held[0].block));
    for (int i = 0; i < 1000; i++) condemned += slab_is_condemned(held[i].block);
    assert_in_range(condemned, 1, 999); /* moving is tried all the same */
    for (int i = 0; i < 1000; i++) slab_free(slab_move(slab_realloc(held[i].block, 70)));
    memset(held, 0, sizeof held);
    slab_stats(&stats);
    assert_int_equal(stats.slabs + stats.resident + slab_surplus() + slab_condemn(1) + slab_trim(1), 0);
    assert_int_equal(mem_used_exact(), used);
}

int main(void) {
#define WITH_SLABS(test) cmocka_unit_test_setup_teardown(test, reserve, release)
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_reservation_blocks_come_from_the_allocator),
        WITH_SLABS(every_size_fits_and_wastes_little),
        WITH_SLABS(bigger_blocks_come_from_the_allocator),
        WITH_SLABS(a_block_keeps_its_bytes_when_it_is_resized),
        WITH_SLABS(blocks_do_not_overlap),
        WITH_SLABS(empty_slabs_go_back_to_the_system),
        WITH_SLABS(compaction_empties_the_sparse_slabs),
        WITH_SLABS(a_condemned_slab_may_be_reprieved),
        WITH_SLABS(a_range_that_is_used_up_does_no_harm),
        WITH_SLABS(threads_free_what_others_allocated),
        WITH_SLABS(the_report_names_the_sizes_in_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
