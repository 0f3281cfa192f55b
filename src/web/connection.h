/* connection.h: the connections of the web thread: they read heads of requests and write answers, and nobody
 * waits for a slow one.
 *
 * There are at most HTTP_CONNS_MAX. When one more comes, the one that has kept the thread waiting for longest
 * is closed. Thread: the web thread. */
#ifndef WEB_CONNECTION_H
#define WEB_CONNECTION_H

#include "request.h"
#include "trivet/base/blob.h"
#include "trivet/base/buf.h"
#include "trivet/base/compiler.h"
#include "trivet/web/server.h"

#define HTTP_CONNS_MAX WEB_CONNECTIONS_MAX
#define HTTP_SENDING_BYTES (64 * 1024) /* in the system's buffer of a connection */
#define HTTP_REQUEST_MS 5000           /* from the first byte of a head to its last */
#define HTTP_IDLE_MS 120000            /* between two requests */
#define HTTP_WRITE_MS 10000            /* an answer must be taken in that time */
#define HTTP_DRAIN_MS 1000             /* after a refusal: so that the client can read it */
#define HTTP_WORKER_MS 5000            /* worker 0 must have answered by then */

struct event_base;
struct http_conn;

struct http_answer {
    int status;
    const char *type;   /* of the content; NULL: a line of text */
    const char *fields; /* more header fields, each with its line end; may be NULL */
    struct slice text;  /* what is sent, unless there is a blob */
    struct blob *blob;  /* a reference is taken; may be NULL */
    int delay_ms;       /* it is sent after so long */
};

/* What the connections ask of others; set once, before the first. */
struct http_conn_hooks {
    /* A request came. Answers it, or calls http_conn_wait(). */
    void (*request)(struct http_conn *c, const struct http_request *r);
    /* Nobody has answered a waiting one for HTTP_WORKER_MS. */
    void (*late)(struct http_conn *c);
    /* There is room for another descriptor. */
    void (*closed)(void);
};
extern struct http_conn_hooks http_conn_hooks;

/* Takes over the socket, which does not block. */
void http_conn_open(struct event_base *base, int fd, bool is_local);
void http_conns_close(void);
size_t http_conns_count(void);
/* The connection of this number, if it still waits for an answer; NULL else. */
struct http_conn *http_conn_waiting(uint64_t id);

uint64_t http_conn_id(const struct http_conn *c);
const char *http_conn_peer(const struct http_conn *c);
/* Does the other end live on this machine? */
bool http_conn_is_local(const struct http_conn *c);

/* Its request will be answered later. */
void http_conn_wait(struct http_conn *c);
void http_conn_answer(struct http_conn *c, const struct http_answer *a);

#endif
