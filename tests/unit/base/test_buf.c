/* Buffers keep their bytes while they grow, and leave no memory behind. */
#include "trivet/base/buf.h"
#include "trivet/base/mem.h"
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void a_buffer_keeps_its_bytes_while_it_grows(void **state) {
    (void)state;
    size_t used = mem_used_exact();
    struct buf b = { 0 };
    for (int i = 0; i < 100000; i++) buf_append_byte(&b, (char)(i * 7));
    assert_int_equal(b.len, 100000);
    for (int i = 0; i < 100000; i++) assert_int_equal(b.ptr[i], (char)(i * 7));
    assert_int_equal(mem_used_exact() - used, mem_size(b.ptr));
    assert_true(b.room >= b.len && b.room <= mem_size(b.ptr));
    buf_release(&b);
    assert_null(b.ptr);
    assert_int_equal(mem_used_exact(), used);
}

static void growing_byte_by_byte_moves_seldom(void **state) {
    (void)state;
    struct buf b = { 0 };
    size_t moves = 0;
    for (size_t room = 0, i = 0; i < 1000000; i++) {
        buf_append_byte(&b, 'x');
        if (b.room != room) moves++;
        room = b.room;
    }
    assert_true(moves < 24);
    buf_release(&b);
}

static void reserved_room_is_where_the_next_bytes_go(void **state) {
    (void)state;
    struct buf b = { 0 };
    buf_append(&b, LIT("abc"));
    char *end = buf_reserve(&b, 5000);
    assert_ptr_equal(end, b.ptr + 3);
    assert_int_equal(b.len, 3);
    memset(end, 'z', 5000);
    b.len += 5000;
    assert_memory_equal(b.ptr, "abczz", 5);
    buf_release(&b);
}

static void an_empty_buffer_takes_empty_things(void **state) {
    (void)state;
    struct buf b = { 0 };
    buf_append(&b, (struct slice){ NULL, 0 });
    buf_drop_front(&b, 0);
    assert_int_equal(b.len, 0);
    assert_non_null(buf_reserve(&b, 0));
    buf_release(&b);
    buf_release(&b);
}

static void text_of_any_length_is_printed_whole(void **state) {
    (void)state;
    for (int width = 0; width < 300; width++) {
        struct buf b = { 0 };
        buf_append(&b, LIT("<"));
        buf_printf(&b, "%*d|%s", width, 7, "end");
        size_t digits = width > 1 ? (size_t)width : 1;
        assert_int_equal(b.len, 1 + digits + 4);
        assert_memory_equal(b.ptr + b.len - 5, "7|end", 5);
        buf_release(&b);
    }
}

static void integers_are_appended_as_text(void **state) {
    (void)state;
    struct buf b = { 0 };
    buf_append_int(&b, INT64_MIN);
    buf_append_int(&b, 0);
    buf_append_int(&b, INT64_MAX);
    assert_true(slice_equal(buf_slice(&b), LIT("-922337203685477580809223372036854775807")));
    buf_release(&b);
}

static void dropping_the_front_keeps_the_rest(void **state) {
    (void)state;
    struct buf b = { 0 };
    buf_append(&b, LIT("hello world"));
    buf_drop_front(&b, 6);
    assert_true(slice_equal(buf_slice(&b), LIT("world")));
    buf_drop_front(&b, 5);
    assert_int_equal(b.len, 0);
    buf_release(&b);
}

static void a_slice_becomes_a_c_string(void **state) {
    (void)state;
    char *text = slice_to_cstr(slice_make("abcdef", 3));
    assert_string_equal(text, "abc");
    mem_free(text);
    text = slice_to_cstr((struct slice){ NULL, 0 });
    assert_string_equal(text, "");
    mem_free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_buffer_keeps_its_bytes_while_it_grows),
        cmocka_unit_test(growing_byte_by_byte_moves_seldom),
        cmocka_unit_test(reserved_room_is_where_the_next_bytes_go),
        cmocka_unit_test(an_empty_buffer_takes_empty_things),
        cmocka_unit_test(text_of_any_length_is_printed_whole),
        cmocka_unit_test(integers_are_appended_as_text),
        cmocka_unit_test(dropping_the_front_keeps_the_rest),
        cmocka_unit_test(a_slice_becomes_a_c_string),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
