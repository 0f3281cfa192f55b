/* routes.c: see routes.h. */
#include "routes.h"
#include "exposition.h"
#include "page.h"
#include <stdio.h>

#define WRONG_DELAY_MS 500 /* before a wrong password is told */

static const struct route {
    struct slice path;
    enum question_kind kind;
} routes[] = {
    { LIT_INIT("/"), ASKS_PAGE },
    { LIT_INIT("/metrics"), ASKS_METRICS },
    { LIT_INIT("/health/live"), ASKS_LIVE },
    { LIT_INIT("/health/ready"), ASKS_READY },
};

static void answer_line(struct http_conn *c, int status, const char *line) {
    http_conn_answer(c, &(struct http_answer){ .status = status, .text = slice_of(line) });
}

static const struct route *find_route(struct slice path) {
    for (size_t i = 0; i < COUNT_OF(routes); i++)
        if (slice_equal(routes[i].path, path)) return &routes[i];
    return NULL;
}

void route_request(struct http_conn *c, const struct http_request *r) {
    const struct route *route = find_route(r->path);
    if (!route) {
        answer_line(c, 404, "Not found. There are /, /metrics, /health/live and /health/ready.\n");
        return;
    }
    struct question q = { .conn = http_conn_id(c), .kind = route->kind, .is_local = http_conn_is_local(c) };
    snprintf(q.peer, sizeof q.peer, "%s", http_conn_peer(c));
    q.with_primary = http_query_has(r->query, LIT("replica=1"));
    /* What is no name and password is as good as nothing. */
    (void)!credentials_read(r->authorization, &q.credentials);
    http_conn_wait(c);
    errand_ask(&q);
}

void route_late(struct http_conn *c) { answer_line(c, 503, "Worker 0 has not answered within 5 seconds.\n"); }

/* ---- answers ---- */

static void answer_stranger(struct http_conn *c, enum admission a) {
    switch (a) {
    case ADMISSION_UNKNOWN:
    case ADMISSION_WRONG:
        http_conn_answer(c, &(struct http_answer){
                                .status = 401,
                                .fields = "WWW-Authenticate: Basic realm=\"Trivet\", charset=\"UTF-8\"\r\n",
                                .text = a == ADMISSION_WRONG ? LIT("The name or the password is wrong.\n")
                                                             : LIT("A name and a password are needed.\n"),
                                .delay_ms = a == ADMISSION_WRONG ? WRONG_DELAY_MS : 0 });
        return;
    case ADMISSION_DENIED: answer_line(c, 403, "This user may not run INFO.\n"); return;
    case ADMISSION_PROTECTED:
        answer_line(c, 403,
                    "The server is in protected mode: without a password only this machine sees it. Set a "
                    "password, or metrics-password-file, or protected-mode no.\n");
        return;
    case ADMITTED: assert(!"not a stranger");
    }
}

static void answer_page(struct http_conn *c) {
    static const char policy[] =
        "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"
        "Referrer-Policy: no-referrer\r\n";
    http_conn_answer(
        c, &(struct http_answer){
               .status = 200, .type = "text/html; charset=utf-8", .fields = policy, .text = page_text() });
}

static void answer_readiness(struct http_conn *c, const struct question *q) {
    struct buf line = { 0 };
    if (q->is_ready)
        buf_append(&line, LIT("ready\n"));
    else
        buf_printf(&line, "%.*s\n", SLICE_ARG(buf_slice(&q->why)));
    http_conn_answer(c, &(struct http_answer){ .status = q->is_ready ? 200 : 503, .text = buf_slice(&line) });
    buf_release(&line);
}

void route_answer(const struct question *q, struct blob *metrics) {
    struct http_conn *c = http_conn_waiting(q->conn);
    if (!c) return; /* it was told that this is late */
    if (q->admission != ADMITTED) {
        answer_stranger(c, q->admission);
        return;
    }
    switch (q->kind) {
    case ASKS_PAGE: answer_page(c); return;
    case ASKS_LIVE: answer_line(c, 200, "live\n"); return;
    case ASKS_READY: answer_readiness(c, q); return;
    case ASKS_METRICS:
        http_conn_answer(c, &(struct http_answer){ .status = 200, .type = EXPOSITION_TYPE, .blob = metrics });
        return;
    }
}
