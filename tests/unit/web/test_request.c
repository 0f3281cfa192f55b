/* Heads of HTTP requests: what is read from them, what is refused, and that a part of one is never taken for
 * the whole. */
#include "web/request.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static enum http_parsed parse(const char *text, struct http_request *r, struct http_refusal *refusal) {
    *refusal = (struct http_refusal){ 0 };
    return http_request_parse(slice_of(text), r, refusal);
}

static void assert_slice(struct slice s, const char *expected) {
    if (!slice_equal(s, slice_of(expected))) fail_msg("'%.*s' is not '%s'", SLICE_ARG(s), expected);
}

#define HOST "Host: x\r\n"

static void a_request_has_path_query_and_fields(void **state) {
    (void)state;
    static const struct {
        const char *text, *path, *query, *authorization;
        bool is_head, keep_alive;
    } rows[] = {
        { "GET / HTTP/1.1\r\n" HOST "\r\n", "/", "", "", false, true },
        { "HEAD /metrics?a=b&c HTTP/1.1\r\n" HOST "\r\n", "/metrics", "a=b&c", "", true, true },
        { "GET /m#part HTTP/1.1\r\n" HOST "\r\n", "/m", "", "", false, true },
        { "GET /m?q#part?x HTTP/1.1\r\n" HOST "\r\n", "/m", "q", "", false, true },
        { "GET http://a:1/m?q HTTP/1.1\r\n" HOST "\r\n", "/m", "q", "", false, true },
        { "GET HTTP://a HTTP/1.1\r\n" HOST "\r\n", "/", "", "", false, true },
        { "GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", "/", "", "", false, false },
        { "GET / HTTP/1.1\r\n" HOST "Connection: te ,  Close\r\n\r\n", "/", "", "", false, false },
        { "GET / HTTP/1.0\r\n\r\n", "/", "", "", false, false },
        { "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "/", "", "", false, true },
        { "GET / HTTP/1.1\nhOST:x\n\n", "/", "", "", false, true },
        { "\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n", "/", "", "", false, true },
        { "GET / HTTP/1.1\r\n" HOST "authorization: \t Basic eDp5 \t\r\n\r\n", "/", "", "Basic eDp5", false,
          true },
        { "GET / HTTP/1.1\r\n" HOST "Content-Length: 00\r\nX-Y:\r\n\r\n", "/", "", "", false, true },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct http_request r;
        struct http_refusal refusal;
        if (parse(rows[i].text, &r, &refusal) != HTTP_READY) fail_msg("%s: %s", rows[i].text, refusal.why);
        assert_slice(r.path, rows[i].path);
        assert_slice(r.query, rows[i].query);
        assert_slice(r.authorization, rows[i].authorization);
        assert_int_equal(r.is_head, rows[i].is_head);
        if (r.keep_alive != rows[i].keep_alive) fail_msg("keep-alive of %s", rows[i].text);
        assert_int_equal(r.used, strlen(rows[i].text));
    }
}

static void what_is_not_plain_http_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int status;
    } rows[] = {
        { "POST / HTTP/1.1\r\n" HOST "\r\n", 405 },
        { "get / HTTP/1.1\r\n" HOST "\r\n", 405 },
        { "BREW /pot HTTP/1.1\r\n" HOST "\r\n", 405 },
        { "G@T / HTTP/1.1\r\n" HOST "\r\n", 400 },
        { " / HTTP/1.1\r\n" HOST "\r\n", 400 },
        { "GET / HTTP/2.0\r\n" HOST "\r\n", 505 },
        { "GET / HTTP/1.2\r\n" HOST "\r\n", 505 },
        { "GET / HTTP/1.10\r\n" HOST "\r\n", 400 },
        { "GET /\r\n" HOST "\r\n", 400 },
        { "GET  / HTTP/1.1\r\n" HOST "\r\n", 400 },
        { "GET / HTTP/1.1 \r\n" HOST "\r\n", 400 },
        { "GET metrics HTTP/1.1\r\n" HOST "\r\n", 400 },
        { "GET * HTTP/1.1\r\n" HOST "\r\n", 400 },
        { "GET /a\x01 HTTP/1.1\r\n" HOST "\r\n", 400 },
        { "GET / HTTP/1.1\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\n" HOST HOST "\r\n", 400 },
        { "GET / HTTP/1.1\r\n" HOST "no colon\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\n" HOST "Blank : x\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\n" HOST " folded: x\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\n" HOST ": x\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\n" HOST "X: a\rb\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\n" HOST "Authorization: a\r\nAuthorization: b\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n", 413 },
        { "GET / HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n", 413 },
        { "GET / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n", 413 },
        { "*1\r\n$4\r\nPING\r\n\r\n", 400 },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct http_request r;
        struct http_refusal refusal;
        if (parse(rows[i].text, &r, &refusal) != HTTP_BAD || refusal.status != rows[i].status)
            fail_msg("%s: %d instead of %d", rows[i].text, refusal.status, rows[i].status);
        assert_true(strlen(refusal.why) > 10);
    }
}

static void a_zero_byte_is_nowhere_allowed(void **state) {
    (void)state;
    static const char text[] = "GET /ab HTTP/1.1\r\nHost: x\r\nX-Ab: ab\r\n\r\n";
    for (size_t at = 0; at < sizeof text - 1; at++) {
        char bytes[sizeof text];
        struct http_request r;
        struct http_refusal refusal = { 0 };
        memcpy(bytes, text, sizeof text);
        bytes[at] = '\0';
        assert_int_not_equal(http_request_parse(slice_make(bytes, sizeof text - 1), &r, &refusal),
                             HTTP_READY);
    }
}

static void a_request_waits_for_its_last_byte(void **state) {
    (void)state;
    static const char text[] = "\r\nGET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    struct http_request r;
    struct http_refusal refusal;
    for (size_t cut = 0; cut < sizeof text - 1; cut++)
        assert_int_equal(http_request_parse(slice_make(text, cut), &r, &refusal), HTTP_MORE);
    assert_int_equal(parse(text, &r, &refusal), HTTP_READY);
}

/* Each length has a buffer of its own, so that a sanitizer sees a read behind it. */
static void nothing_behind_the_end_is_read(void **state) {
    (void)state;
    static const char text[] = "GET http://h/m?q HTTP/1.1\r\nHost: x\r\nConnection: a,b\r\n\r\nGET /";
    for (size_t len = 0; len < sizeof text; len++) {
        char *copy = malloc(len + 1);
        struct http_request r;
        struct http_refusal refusal;
        memcpy(copy, text, len);
        char *shorter = realloc(copy, len ? len : 1);
        enum http_parsed parsed = http_request_parse(slice_make(shorter, len), &r, &refusal);
        assert_int_equal(parsed, len < sizeof text - 1 - 5 ? HTTP_MORE : HTTP_READY);
        free(shorter);
    }
}

static void a_head_has_a_limit(void **state) {
    (void)state;
    static char text[HTTP_HEAD_MAX + 64];
    struct http_request r;
    struct http_refusal refusal;
    int begin = snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: x\r\nX: ");
    memset(text + begin, 'x', sizeof text - (size_t)begin);
    assert_int_equal(http_request_parse(slice_make(text, HTTP_HEAD_MAX - 1), &r, &refusal), HTTP_MORE);
    assert_int_equal(http_request_parse(slice_make(text, HTTP_HEAD_MAX), &r, &refusal), HTTP_BAD);
    assert_int_equal(refusal.status, 431);
    memcpy(text + HTTP_HEAD_MAX - 4, "\r\n\r\n", 4);
    assert_int_equal(http_request_parse(slice_make(text, HTTP_HEAD_MAX), &r, &refusal), HTTP_READY);
    text[HTTP_HEAD_MAX - 4] = 'x';
    memcpy(text + HTTP_HEAD_MAX - 3, "\r\n\r\n", 4);
    assert_int_equal(http_request_parse(slice_make(text, HTTP_HEAD_MAX + 1), &r, &refusal), HTTP_BAD);
}

static void a_query_is_a_list_of_assignments(void **state) {
    (void)state;
    assert_true(http_query_has(LIT("replica=1"), LIT("replica=1")));
    assert_true(http_query_has(LIT("a=b&replica=1&c"), LIT("replica=1")));
    assert_false(http_query_has(LIT(""), LIT("replica=1")));
    assert_false(http_query_has(LIT("replica=10"), LIT("replica=1")));
    assert_false(http_query_has(LIT("xreplica=1"), LIT("replica=1")));
    assert_false(http_query_has(LIT("replica"), LIT("replica=1")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_has_path_query_and_fields),
        cmocka_unit_test(what_is_not_plain_http_is_refused),
        cmocka_unit_test(a_zero_byte_is_nowhere_allowed),
        cmocka_unit_test(a_request_waits_for_its_last_byte),
        cmocka_unit_test(nothing_behind_the_end_is_read),
        cmocka_unit_test(a_head_has_a_limit),
        cmocka_unit_test(a_query_is_a_list_of_assignments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
