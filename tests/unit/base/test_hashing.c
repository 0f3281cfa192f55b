/* The keyed hash: alike for alike bytes, another for another secret. */
#include "trivet/base/compiler.h"
#include "trivet/base/hashing.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void the_same_bytes_hash_alike(void **state) {
    (void)state;
    hash_init();
    char bytes[300], copy[300];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = copy[i] = (char)i;
    for (size_t len = 0; len <= sizeof bytes; len++)
        assert_true(hash_bytes(slice_make(bytes, len)) == hash_bytes(slice_make(copy, len)));
    assert_true(hash_bytes((struct slice){ NULL, 0 }) == hash_bytes(LIT("")));
}

static void every_bit_and_the_length_matter(void **state) {
    (void)state;
    hash_init();
    for (size_t len = 1; len <= 300; len++) {
        char bytes[300] = { 0 };
        uint64_t before = hash_bytes(slice_make(bytes, len));
        assert_true(hash_bytes(slice_make(bytes, len - 1)) != before);
        for (size_t i = 0; i < len; i++) {
            bytes[i] ^= (char)(1 << (i % 8));
            assert_true(hash_bytes(slice_make(bytes, len)) != before);
            bytes[i] = 0;
        }
    }
}

static void a_new_secret_gives_other_hashes(void **state) {
    (void)state;
    static const size_t lengths[] = { 1, 3, 4, 8, 9, 16, 17, 128, 129, 240, 241, 300 };
    char bytes[300] = { 0 };
    uint64_t before[COUNT_OF(lengths)];
    hash_init();
    for (size_t i = 0; i < COUNT_OF(lengths); i++) before[i] = hash_bytes(slice_make(bytes, lengths[i]));
    hash_init();
    for (size_t i = 0; i < COUNT_OF(lengths); i++)
        assert_true(hash_bytes(slice_make(bytes, lengths[i])) != before[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_bytes_hash_alike),
        cmocka_unit_test(every_bit_and_the_length_matter),
        cmocka_unit_test(a_new_secret_gives_other_hashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
