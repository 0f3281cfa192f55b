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

/* Asks again until the answer is that: for what happens in the background. A server that has just been
 * started need not listen yet. */
METRICS_HELP void check_get_soon(const char *path, int status, const char *body, int line) {
    enum { TRIES = 6000 };
    struct text last = { 0 };
    bool done = false;
    for (int i = 0; i < TRIES && !done; i++) {
        if (i > 0) usleep(10000);
        int fd = http_connect(metrics_port);
        if (fd < 0) continue;
        close(fd);
        struct http_reply r = http_get(metrics_port, path, "");
        done = r.status == status && text_matches(body, text_str(&r.body));
        text_clear(&last);
        text_printf(&last, "%d %s", r.status, text_str(&r.body));
        http_release(&r);
    }
    if (!done)
        harness_fail(__FILE__, line, "GET %s stays %s\ninstead of %d %s", path, text_str(&last), status,
                     body);
    text_release(&last);
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
