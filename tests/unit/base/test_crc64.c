/* CRC64 against its published check value, its definition, and itself in pieces. */
#include "trivet/base/crc64.h"
#include "trivet/base/random.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void the_checksum_has_the_published_check_value(void **state) {
    (void)state;
    assert_true(crc64(0, "123456789", 9) == UINT64_C(0xe9c6d914c4b8d9ca));
    assert_true(crc64(0, "", 0) == 0);
}

/* Bit by bit, straight from the definition. */
static uint64_t slow_crc64(const unsigned char *bytes, size_t len) {
    uint64_t crc = 0;
    for (size_t i = 0; i < len; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            unsigned in = (bytes[i] >> bit) & 1u;
            unsigned top = (unsigned)(crc >> 63);
            crc <<= 1;
            if (in != top) crc ^= UINT64_C(0xad93d23594c935a9);
        }
    }
    uint64_t mirrored = 0;
    for (int bit = 0; bit < 64; bit++) mirrored |= ((crc >> bit) & 1) << (63 - bit);
    return mirrored;
}

static void crc64_agrees_with_its_definition_at_every_length(void **state) {
    (void)state;
    unsigned char bytes[100];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (unsigned char)random_u64();
    for (size_t len = 0; len <= sizeof bytes; len++)
        assert_true(crc64(0, bytes, len) == slow_crc64(bytes, len));
}

static void crc64_may_be_fed_in_pieces(void **state) {
    (void)state;
    unsigned char bytes[100];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (unsigned char)random_u64();
    uint64_t whole = crc64(0, bytes, sizeof bytes);
    for (size_t cut = 0; cut <= sizeof bytes; cut++)
        assert_true(crc64(crc64(0, bytes, cut), bytes + cut, sizeof bytes - cut) == whole);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_checksum_has_the_published_check_value),
        cmocka_unit_test(crc64_agrees_with_its_definition_at_every_length),
        cmocka_unit_test(crc64_may_be_fed_in_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
