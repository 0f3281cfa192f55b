/* request.h: reads the head of an HTTP request. Pure. Thread: any.
 *
 * Requests are answered by the web thread, which trusts nobody: what is not plain HTTP/1.0 or 1.1 is refused
 * with a status and one line, never guessed at. There are no bodies: who announces one is refused. */
#ifndef WEB_REQUEST_H
#define WEB_REQUEST_H

#include "trivet/base/compiler.h"
#include "trivet/base/slice.h"

#define HTTP_HEAD_MAX ((size_t)8192) /* bytes of a request: its line and its fields */

struct http_request {
    bool is_head;               /* HEAD; else GET */
    bool keep_alive;            /* the connection may serve another request */
    struct slice path, query;   /* of the target; the query without '?' */
    struct slice authorization; /* the field's value; empty if there is none */
    size_t used;                /* bytes of the head */
};

enum http_parsed { HTTP_MORE, HTTP_READY, HTTP_BAD };

/* Why a request is refused: the status and a sentence. */
struct http_refusal {
    int status;
    const char *why;
};

/* Reads one head at the beginning of `bytes`. Slices point into `bytes`, or are constants. MORE: there is no
 * end of it yet. */
MUST_CHECK enum http_parsed http_request_parse(struct slice bytes, struct http_request *out,
                                               struct http_refusal *refusal);
/* Does the query have this assignment ("replica=1") among those that '&' parts? */
bool http_query_has(struct slice query, struct slice assignment);

#endif
