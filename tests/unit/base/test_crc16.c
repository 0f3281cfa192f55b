/* CRC16, by both ways: against its published check value and its definition. Each run of bytes is an
 * allocation of its own, so that a sanitizer sees whoever reads beside it. */
#include "trivet/base/compiler.h"
#include "trivet/base/crc16.h"
#include "trivet/base/mem.h"
#include "trivet/base/random.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define LENGTHS 301

static const struct crc16_way *const ways[] = { &crc16_way, &crc16_by_tables };

static void the_checksum_has_the_published_check_value(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(ways); i++) {
        assert_int_equal(ways[i]->plain(LIT("123456789")), 0x31C3);
        assert_int_equal(ways[i]->plain(LIT("foo")), 0xaf96);
        assert_int_equal(ways[i]->plain(LIT("")), 0);
        assert_int_equal(ways[i]->plain((struct slice){ NULL, 0 }), 0);
        assert_int_equal(ways[i]->or_brace((struct slice){ NULL, 0 }), 0);
    }
}

/* Bit by bit, straight from the definition. */
static uint16_t slow_crc16(const char *bytes, size_t len) {
    unsigned crc = 0;
    for (size_t i = 0; i < 8 * len; i++) {
        unsigned in = (unsigned)(unsigned char)bytes[i / 8] >> (7 - i % 8) & 1u, top = crc >> 15;
        crc = (crc << 1 & 0xffffu) ^ (in != top ? 0x1021u : 0);
    }
    return (uint16_t)crc;
}

/* All but '{'. */
static void fill(char *bytes, size_t len) {
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (char)random_u64();
        if (bytes[i] == '{') bytes[i] = '}';
    }
}

/* Where it begins must not matter: `before` bytes are in front of it. */
static void check(size_t len, size_t before) {
    char *bytes = mem_alloc(before + len + 1); /* never nothing */
    struct slice s = { bytes + before + 1, len };
    fill(bytes, before + len + 1);
    uint16_t expected = slow_crc16(s.ptr, len);
    for (size_t i = 0; i < COUNT_OF(ways); i++) {
        assert_int_equal(ways[i]->plain(s), expected);
        assert_int_equal(ways[i]->or_brace(s), expected);
    }
    mem_free(bytes);
}

static void it_agrees_with_its_definition_at_every_length_and_place(void **state) {
    (void)state;
    for (size_t len = 0; len < LENGTHS; len++) check(len, len % 16);
    for (size_t before = 0; before < 16; before++)
        for (size_t len = 0; len < 50; len++) check(len, before);
}

static void zeros_count_but_in_front(void **state) {
    (void)state;
    static const char zeros[40] = "", one[] = "\1\0\0";
    for (size_t i = 0; i < COUNT_OF(ways); i++) {
        for (size_t len = 0; len <= sizeof zeros; len++)
            assert_int_equal(ways[i]->plain(slice_make(zeros, len)), 0);
        assert_int_equal(ways[i]->plain(slice_make(one, 1)), 0x1021);
        assert_true(ways[i]->plain(slice_make(one, 3)) != 0x1021);
    }
}

/* Its bytes are between two braces, which must not be seen; nor is one that is not the first. */
static void the_first_brace_inside_is_found_wherever_it_is(void **state) {
    (void)state;
    for (size_t len = 0; len < 70; len++) {
        char bytes[72];
        fill(bytes + 1, len);
        bytes[0] = bytes[len + 1] = '{';
        struct slice s = { bytes + 1, len };
        for (size_t i = 0; i < COUNT_OF(ways); i++) {
            assert_int_equal(ways[i]->or_brace(s), slow_crc16(s.ptr, len));
            for (size_t at = 0; at < len; at++) {
                char covered = bytes[1 + at], last = bytes[len];
                bytes[1 + at] = bytes[len] = '{';
                assert_int_equal(ways[i]->or_brace(s), -1 - (int64_t)at);
                assert_int_equal(ways[i]->plain(s), slow_crc16(s.ptr, len));
                bytes[len] = last;
                bytes[1 + at] = covered;
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_checksum_has_the_published_check_value),
        cmocka_unit_test(it_agrees_with_its_definition_at_every_length_and_place),
        cmocka_unit_test(zeros_count_but_in_front),
        cmocka_unit_test(the_first_brace_inside_is_found_wherever_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
