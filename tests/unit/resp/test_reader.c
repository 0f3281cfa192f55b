/* Reading replies: every kind of item, whole replies, cuts at every byte, nonsense. */
#include "trivet/resp/reader.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void each_kind_is_read(void **state) {
    (void)state;
    static const struct {
        const char *wire;
        enum reply_kind kind;
        int64_t number;
        const char *text;
    } rows[] = {
        { "+OK\r\n", REPLY_STATUS, 0, "OK" },
        { "+\r\n", REPLY_STATUS, 0, "" },
        { "-ERR no\r\n", REPLY_ERROR, 0, "ERR no" },
        { "!6\r\nERR no\r\n", REPLY_ERROR, 0, "ERR no" },
        { ":-12\r\n", REPLY_INTEGER, -12, "-12" },
        { "$2\r\nhi\r\n", REPLY_BULK, 0, "hi" },
        { "$2\r\n\r\n\r\n", REPLY_BULK, 0, "\r\n" },
        { "$0\r\n\r\n", REPLY_BULK, 0, "" },
        { "$-1\r\n", REPLY_NULL, 0, "" },
        { "_\r\n", REPLY_NULL, 0, "" },
        { "*-1\r\n", REPLY_NULL_ARRAY, 0, "" },
        { "*3\r\n", REPLY_ARRAY, 3, "" },
        { "%2\r\n", REPLY_MAP, 2, "" },
        { "~0\r\n", REPLY_SET, 0, "" },
        { ">2\r\n", REPLY_PUSH, 2, "" },
        { "|1\r\n", REPLY_ATTRIBUTE, 1, "" },
        { ",1.5\r\n", REPLY_DOUBLE, 0, "1.5" },
        { ",-inf\r\n", REPLY_DOUBLE, 0, "-inf" },
        { "(123456789012345678901234567890\r\n", REPLY_BIG_NUMBER, 0, "123456789012345678901234567890" },
        { "#t\r\n", REPLY_BOOLEAN, 1, "" },
        { "#f\r\n", REPLY_BOOLEAN, 0, "" },
        { "=6\r\ntxt:hi\r\n", REPLY_VERBATIM, 0, "hi" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct slice wire = slice_of(rows[i].wire);
        struct reply_item item;
        size_t at = 0;
        for (size_t cut = 0; cut < wire.len; cut++) {
            assert_int_equal(reply_read(slice_make(wire.ptr, cut), &at, &item), REPLY_MORE);
            assert_int_equal(at, 0);
        }
        assert_int_equal(reply_read(wire, &at, &item), REPLY_READY);
        assert_int_equal(at, wire.len);
        assert_int_equal(item.kind, rows[i].kind);
        assert_int_equal(item.number, rows[i].number);
        assert_int_equal(item.text.len, strlen(rows[i].text));
        if (item.text.len) assert_memory_equal(item.text.ptr, rows[i].text, item.text.len);
    }
}

static void the_format_of_a_verbatim_text_is_told(void **state) {
    (void)state;
    struct reply_item item;
    size_t at = 0;
    assert_int_equal(reply_read(LIT("=4\r\nmkd:\r\n"), &at, &item), REPLY_READY);
    assert_memory_equal(item.format, "mkd", 3);
    assert_int_equal(item.text.len, 0);
}

static void nonsense_is_told_from_what_is_not_complete(void **state) {
    (void)state;
    static const char *const rows[] = {
        "?x\r\n",  "+OK\n",      ":1x\r\n",           ":\r\n",
        "$-2\r\n", "$x\r\n",    "$1\r\nab\r\n",      "*-2\r\n",
        "%-1\r\n", "~-1\r\n",   "#x\r\n",            "_x\r\n",
        "(\r\n",   ",\r\n",     "=3\r\ntxt\r\n",     "=4\r\ntxt;\r\n",
        "!-1\r\n", "$99999999999999999999\r\n", "*9223372036854775807\r\n",
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct reply_item item;
        size_t at = 0;
        assert_int_equal(reply_read(slice_of(rows[i]), &at, &item), REPLY_BROKEN);
        assert_int_equal(at, 0);
    }
}

static void a_whole_reply_is_skipped(void **state) {
    (void)state;
    static const char wire[] = "*3\r\n%1\r\n+k\r\n~2\r\n:1\r\n:2\r\n|1\r\n+a\r\n+b\r\n$1\r\nx\r\n*0\r\n";
    struct slice bytes = slice_of(wire);
    for (size_t cut = 0; cut < bytes.len; cut++) {
        size_t at = 0;
        assert_int_equal(reply_skip(slice_make(bytes.ptr, cut), &at), REPLY_MORE);
        assert_int_equal(at, 0);
    }
    size_t at = 0;
    assert_int_equal(reply_skip(bytes, &at), REPLY_READY);
    assert_int_equal(at, bytes.len);
    at = 4;
    assert_int_equal(reply_skip(bytes, &at), REPLY_READY);
    assert_int_equal(at, 4 + strlen("%1\r\n+k\r\n~2\r\n:1\r\n:2\r\n"));
    at = 0;
    assert_int_equal(reply_skip(LIT("*2\r\n:1\r\n?\r\n"), &at), REPLY_BROKEN);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_is_read),
        cmocka_unit_test(the_format_of_a_verbatim_text_is_told),
        cmocka_unit_test(nonsense_is_told_from_what_is_not_complete),
        cmocka_unit_test(a_whole_reply_is_skipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
