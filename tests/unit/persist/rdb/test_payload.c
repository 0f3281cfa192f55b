/* A payload is taken with its right footer, and with no other. */
#include "trivet/persist/rdb/file.h"
#include "trivet/persist/rdb/payload.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct rdb_out payload_of(struct slice body, int version) {
    struct rdb_out out = { .compress = false };
    buf_append(&out.bytes, body);
    rdb_payload_end(&out, version);
    return out;
}

static void the_footer_is_version_and_checksum(void **state) {
    (void)state;
    /* FUNCTION DUMP of a server 7.0 without libraries. */
    struct rdb_out out = payload_of(LIT(""), 10);
    assert_int_equal(out.bytes.len, RDB_PAYLOAD_FOOTER);
    assert_memory_equal(out.bytes.ptr, "\x0a\x00\x5d\x9b\x5c\x40\x0f\x7f\xa2\xda", RDB_PAYLOAD_FOOTER);
    buf_release(&out.bytes);
}

static void what_was_put_in_comes_out(void **state) {
    (void)state;
    static const struct slice bodies[] = { LIT_INIT(""), LIT_INIT("x"), LIT_INIT("\0\xff zeros\0") };
    static const int versions[] = { 1, 10, 11, RDB_VERSION_MAX, RDB_VERSION_VALKEY };
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        for (size_t v = 0; v < COUNT_OF(versions); v++) {
            struct slice body;
            struct rdb_out out = payload_of(bodies[i], versions[v]);
            assert_true(rdb_payload_open(buf_slice(&out.bytes), false, &body));
            assert_true(slice_equal(body, bodies[i]));
            buf_release(&out.bytes);
        }
    }
}

static void each_damaged_byte_is_noticed(void **state) {
    (void)state;
    struct rdb_out out = payload_of(LIT("some body"), 11);
    struct slice body;
    for (size_t i = 0; i < out.bytes.len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            out.bytes.ptr[i] ^= (char)(1 << bit);
            assert_false(rdb_payload_open(buf_slice(&out.bytes), true, &body));
            out.bytes.ptr[i] ^= (char)(1 << bit);
        }
    }
    for (size_t len = 0; len < out.bytes.len; len++)
        assert_false(rdb_payload_open(slice_make(out.bytes.ptr, len), true, &body));
    assert_true(rdb_payload_open(buf_slice(&out.bytes), false, &body));
    buf_release(&out.bytes);
}

static void a_version_of_the_future_is_refused_unless_told(void **state) {
    (void)state;
    static const int versions[] = { RDB_VERSION_MAX + 1, RDB_VERSION_VALKEY + 1, 999, 65535 };
    for (size_t i = 0; i < COUNT_OF(versions); i++) {
        struct slice body;
        struct rdb_out out = payload_of(LIT("x"), versions[i]);
        assert_false(rdb_payload_open(buf_slice(&out.bytes), false, &body));
        assert_true(rdb_payload_open(buf_slice(&out.bytes), true, &body));
        buf_release(&out.bytes);
    }
}

static void a_checksum_may_be_left_unlooked_at(void **state) {
    (void)state;
    struct rdb_out out = payload_of(LIT("x"), 11);
    struct slice body;
    out.bytes.ptr[out.bytes.len - 1] ^= 1;
    atomic_store(&rdb_checksums_are_skipped, true);
    assert_true(rdb_payload_open(buf_slice(&out.bytes), false, &body));
    atomic_store(&rdb_checksums_are_skipped, false);
    assert_false(rdb_payload_open(buf_slice(&out.bytes), false, &body));
    buf_release(&out.bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_footer_is_version_and_checksum),
        cmocka_unit_test(what_was_put_in_comes_out),
        cmocka_unit_test(each_damaged_byte_is_noticed),
        cmocka_unit_test(a_version_of_the_future_is_refused_unless_told),
        cmocka_unit_test(a_checksum_may_be_left_unlooked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
