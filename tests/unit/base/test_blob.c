/* Blobs live until the last of their references is dropped, on whatever thread that is. */
#include "trivet/base/blob.h"
#include "trivet/base/mem.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void a_blob_lives_until_its_last_reference(void **state) {
    (void)state;
    size_t used = mem_used_exact();
    struct blob *b = blob_of(LIT("payload"));
    assert_true(blob_is_sole(b));
    assert_ptr_equal(blob_ref(b), b);
    assert_false(blob_is_sole(b));
    blob_unref(b);
    assert_true(blob_is_sole(b));
    assert_true(slice_equal(blob_slice(b), LIT("payload")));
    blob_unref(b);
    blob_unref(NULL);
    assert_int_equal(mem_used_exact(), used);
}

static void a_blob_grows_and_keeps_its_bytes(void **state) {
    (void)state;
    struct blob *b = blob_of(LIT("payload"));
    b = blob_grow(b, 100000);
    assert_true(b->room >= 100000);
    assert_true(mem_size(b) >= sizeof *b + b->room);
    assert_true(slice_equal(blob_slice(b), LIT("payload")));
    assert_ptr_equal(blob_grow(b, 10), b);
    memset(b->bytes, 'x', b->room);
    blob_unref(b);
}

static void a_blob_may_be_empty_or_have_room_to_spare(void **state) {
    (void)state;
    struct blob *empty = blob_of((struct slice){ NULL, 0 });
    assert_int_equal(empty->len, 0);
    struct blob *roomy = blob_new(10, 1000);
    assert_int_equal(roomy->len, 10);
    assert_true(roomy->room >= 1000);
    blob_unref(empty);
    blob_unref(roomy);
}

static void *read_and_drop(void *arg) {
    struct blob *b = arg;
    for (int i = 0; i < 1000; i++) {
        blob_ref(b);
        assert_int_equal(b->bytes[i], (char)i);
        blob_unref(b);
    }
    blob_unref(b);
    return NULL;
}

static void threads_share_a_blob_and_the_last_one_frees_it(void **state) {
    (void)state;
    size_t used = mem_used_exact();
    struct blob *b = blob_new(1000, 1000);
    for (int i = 0; i < 1000; i++) b->bytes[i] = (char)i;
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        blob_ref(b);
        assert_int_equal(pthread_create(&threads[i], NULL, read_and_drop, b), 0);
    }
    blob_unref(b);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    assert_int_equal(mem_used_exact(), used);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_blob_lives_until_its_last_reference),
        cmocka_unit_test(a_blob_grows_and_keeps_its_bytes),
        cmocka_unit_test(a_blob_may_be_empty_or_have_room_to_spare),
        cmocka_unit_test(threads_share_a_blob_and_the_last_one_frees_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
