/* metrics_server.h: servers that answer over HTTP too, on a port of their own. */
#ifndef TESTS_INTEGRATION_METRICS_SERVER_H
#define TESTS_INTEGRATION_METRICS_SERVER_H

#include "../harness/fixture.h"
#include "exposition.h"
#include "http.h"
#include <stdio.h>

#define METRICS_HELP __attribute__((unused)) static

static int metrics_port; /* of the server that was started last */

/* `more` are further arguments, ended by NULL. */
METRICS_HELP struct server *metrics_launch(const char *const *more) {
    static char port[16];
    const char *args[32] = { "--metrics-port", port };
    size_t count = 2;
    metrics_port = server_free_port();
    snprintf(port, sizeof port, "%d", metrics_port);
    while (*more) args[count++] = *more++;
    return server_launch_unready(&(struct server_plan){ .args = args, .tcp = true });
}
#define METRICS_SERVER(...) \
    metrics_ready(metrics_launch((const char *const[]){ __VA_ARGS__ __VA_OPT__(, ) NULL }))

METRICS_HELP struct server *metrics_ready(struct server *s) {
    server_await(s);
    return s;
}

/* The status and the body of one GET. */
METRICS_HELP void check_get(const char *path, const char *fields, int status, const char *body, int line) {
    struct http_reply r = http_get(metrics_port, path, fields);
    if (r.status != status || !text_matches(body, text_str(&r.body)))
        harness_fail(__FILE__, line, "GET %s: %d %s\ninstead of %d %s", path, r.status, text_str(&r.body),
                     status, body);
    http_release(&r);
}
#define assert_get(path, fields, status, body) check_get((path), (fields), (status), (body), __LINE__)

/* Asks again until the answer is that: for what happens in the background. */
METRICS_HELP void check_get_soon(const char *path, int status, const char *body, int line) {
    enum { TRIES = 3000 };
    struct http_reply r = { 0 };
    for (int i = 0; i < TRIES; i++) {
        http_release(&r);
        r = http_get(metrics_port, path, "");
        if (r.status == status && text_matches(body, text_str(&r.body))) break;
        usleep(10000);
    }
    if (r.status != status || !text_matches(body, text_str(&r.body)))
        harness_fail(__FILE__, line, "GET %s stays %d %s\ninstead of %d %s", path, r.status,
                     text_str(&r.body), status, body);
    http_release(&r);
}
#define assert_get_soon(path, status, body) check_get_soon((path), (status), (body), __LINE__)

/* All that /metrics tells, checked. The caller releases it. */
METRICS_HELP struct exposition scrape(void) {
    struct exposition e;
    struct http_reply r = http_get(metrics_port, "/metrics", "");
    if (r.status != 200) HARNESS_FAIL("/metrics: %d %s", r.status, text_str(&r.body));
    if (r.body.len != strlen(text_str(&r.body))) HARNESS_FAIL("there is a zero byte in /metrics");
    assert_string_equal(http_field(&r, "Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
    exposition_read(text_str(&r.body), &e);
    http_release(&r);
    return e;
}

#endif
