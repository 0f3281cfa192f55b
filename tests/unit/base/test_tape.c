/* A tape keeps bytes as long as it must or a reader needs them, and no longer. */
#include "trivet/base/mem.h"
#include "trivet/base/tape.h"
#include "trivet/base/thread.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define START 1000
#define BLOCK (64 * 1024)

/* The byte at each position tells where it belongs. */
static char byte_at(uint64_t position) { return (char)(position * 31 + (position >> 8)); }

static void append(struct tape *t, size_t bytes) {
    static char text[5000];
    while (bytes > 0) {
        size_t some = bytes < sizeof text ? bytes : sizeof text;
        for (size_t i = 0; i < some; i++) text[i] = byte_at(tape_end(t) + i);
        tape_append(t, slice_make(text, some));
        bytes -= some;
    }
}

/* Reads at most `most` bytes through `count` vectors; returns how many were there. */
static size_t read_some(struct tape_reader *r, size_t most, int count) {
    struct iovec vectors[8];
    uint64_t end = tape_end(r->tape);
    uint64_t until = end - r->at < most ? end : r->at + most;
    int n = tape_vectors(r, until, vectors, count);
    size_t got = 0;
    for (int i = 0; i < n; i++)
        for (size_t j = 0; j < vectors[i].iov_len; j++, got++)
            assert_int_equal(((char *)vectors[i].iov_base)[j], byte_at(r->at + got));
    tape_advance(r, got);
    return got;
}

static void readers_get_every_byte_once(void **state) {
    (void)state;
    struct tape t = { 0 };
    struct tape_reader a = { 0 }, b = { 0 };
    tape_open(&t, START);
    assert_true(tape_read_from(&t, &a, START));
    append(&t, 3 * BLOCK + 77);
    assert_true(tape_read_from(&t, &b, START + BLOCK));
    size_t from_a = 0, from_b = 0, got;
    while ((got = read_some(&a, 7001, 1)) > 0) from_a += got;
    while ((got = read_some(&b, 1000000, 2)) > 0) from_b += got;
    assert_int_equal(from_a, 3 * BLOCK + 77);
    assert_int_equal(from_b, 2 * BLOCK + 77);
    append(&t, 5);
    assert_int_equal(read_some(&a, 100, 8), 5);
    tape_reader_close(&a);
    tape_reader_close(&b);
    tape_close(&t);
}

static void only_positions_on_the_tape_can_be_read(void **state) {
    (void)state;
    struct tape t = { 0 };
    struct tape_reader r = { 0 };
    tape_open(&t, START);
    append(&t, 3 * BLOCK);
    assert_false(tape_read_from(&t, &r, START - 1));
    assert_false(tape_read_from(&t, &r, tape_end(&t) + 1));
    assert_true(tape_read_from(&t, &r, tape_end(&t)));
    assert_int_equal(read_some(&r, 10, 8), 0);
    tape_reader_close(&r);
    tape_trim(&t, START + 2 * BLOCK);
    assert_in_range(tape_first(&t), START + BLOCK, START + 2 * BLOCK);
    assert_false(tape_read_from(&t, &r, tape_first(&t) - 1));
    assert_true(tape_read_from(&t, &r, tape_first(&t)));
    tape_reader_close(&r);
    tape_trim(&t, UINT64_MAX); /* the last block stays: bytes may follow in it */
    assert_true(tape_first(&t) <= tape_end(&t));
    tape_close(&t);
}

static void a_slow_reader_keeps_what_it_has_not_read(void **state) {
    (void)state;
    size_t used = mem_used_exact();
    struct tape t = { 0 };
    struct tape_reader slow = { 0 };
    tape_open(&t, START);
    assert_true(tape_read_from(&t, &slow, START));
    append(&t, 20 * BLOCK);
    tape_trim(&t, tape_end(&t));
    assert_true(tape_memory(&t) >= 20 * BLOCK);
    size_t got = 0;
    while (got < 10 * BLOCK) got += read_some(&slow, BLOCK, 8);
    assert_in_range(tape_memory(&t), 10 * BLOCK, 12 * BLOCK);
    tape_reader_close(&slow);
    assert_in_range(tape_memory(&t), 1, 2 * BLOCK);
    tape_close(&t);
    assert_int_equal(mem_used_exact(), used);
}

#define MUCH ((uint64_t)64 * 1024 * 1024)

static void *read_all(void *arg) {
    struct tape_reader *r = arg;
    while (r->at < START + MUCH) (void)read_some(r, 1000000, 4);
    return NULL;
}

static void readers_on_other_threads_see_whole_bytes(void **state) {
    (void)state;
    struct tape t = { 0 };
    struct tape_reader readers[3] = { { 0 } };
    pthread_t threads[3];
    tape_open(&t, START);
    for (int i = 0; i < 3; i++) {
        assert_true(tape_read_from(&t, &readers[i], START));
        assert_true(thread_start(&threads[i], "reader", read_all, &readers[i]));
    }
    while (tape_end(&t) < START + MUCH) {
        append(&t, 4096);
        tape_trim(&t, tape_end(&t));
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        tape_reader_close(&readers[i]);
    }
    assert_in_range(tape_memory(&t), 1, 2 * BLOCK);
    tape_close(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_get_every_byte_once),
        cmocka_unit_test(only_positions_on_the_tape_can_be_read),
        cmocka_unit_test(a_slow_reader_keeps_what_it_has_not_read),
        cmocka_unit_test(readers_on_other_threads_see_whole_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
