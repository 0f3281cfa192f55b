/* http.h: a small client for HTTP/1.1, which waits for what it asked for and not longer than a minute. */
#ifndef TESTS_INTEGRATION_HTTP_H
#define TESTS_INTEGRATION_HTTP_H

#include "../harness/fail.h"
#include "../harness/text.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define HTTP_HELP __attribute__((unused)) static

struct http_reply {
    int status;       /* 0: the connection ended without an answer */
    struct text head; /* with the empty line */
    struct text body;
};

HTTP_HELP void http_release(struct http_reply *r) {
    text_release(&r->head);
    text_release(&r->body);
    r->status = 0;
}

/* -1 and errno if nobody listens there. */
HTTP_HELP int http_connect(int port) {
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                   .sin_port = htons((uint16_t)port) };
    struct timeval patience = { 60, 0 };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) HARNESS_FAIL("socket: %s", strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

HTTP_HELP int http_must_connect(int port) {
    int fd = http_connect(port);
    if (fd < 0) HARNESS_FAIL("cannot connect to port %d: %s", port, strerror(errno));
    return fd;
}

/* False if the other end has closed. */
HTTP_HELP bool http_send(int fd, const char *bytes) {
    size_t len = strlen(bytes);
    while (len > 0) {
        ssize_t wrote = send(fd, bytes, len, MSG_NOSIGNAL);
        if (wrote < 0) return false;
        bytes += wrote;
        len -= (size_t)wrote;
    }
    return true;
}

/* Reads up to `len` bytes more; false at the end of the connection. */
HTTP_HELP bool http_read_some(int fd, struct text *into, size_t len) {
    ssize_t got = recv(fd, text_reserve(into, len), len, 0);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) HARNESS_FAIL("no answer within a minute");
    if (got <= 0) return false;
    into->len += (size_t)got;
    into->ptr[into->len] = '\0';
    return true;
}

/* The value of a header field, up to its line's end; NULL if it is not there. */
HTTP_HELP const char *http_field(const struct http_reply *r, const char *name) {
    static char value[1024];
    size_t len = strlen(name);
    for (const char *line = strstr(text_str(&r->head), "\r\n"); line; line = strstr(line + 2, "\r\n")) {
        if (strncasecmp(line + 2, name, len) != 0 || line[2 + len] != ':') continue;
        const char *begin = line + 2 + len + 1 + strspn(line + 2 + len + 1, " ");
        snprintf(value, sizeof value, "%.*s", (int)strcspn(begin, "\r"), begin);
        return value;
    }
    return NULL;
}

/* One answer; what the server sent behind it stays unread. */
HTTP_HELP void http_read(int fd, bool is_head_only, struct http_reply *out) {
    *out = (struct http_reply){ 0 };
    while (out->head.len < 4 || memcmp(out->head.ptr + out->head.len - 4, "\r\n\r\n", 4) != 0)
        if (!http_read_some(fd, &out->head, 1)) return;
    if (sscanf(text_str(&out->head), "HTTP/1.1 %d ", &out->status) != 1)
        HARNESS_FAIL("this is no answer: %s", text_str(&out->head));
    const char *length = http_field(out, "Content-Length");
    if (!length) HARNESS_FAIL("no Content-Length in %s", text_str(&out->head));
    size_t wanted = is_head_only ? 0 : strtoul(length, NULL, 10);
    while (out->body.len < wanted)
        if (!http_read_some(fd, &out->body, wanted - out->body.len))
            HARNESS_FAIL("the connection ended after %zu of %zu bytes", out->body.len, wanted);
}

/* Does the server close the connection now, or soon? */
HTTP_HELP bool http_ends(int fd) {
    struct text rest = { 0 };
    bool more = http_read_some(fd, &rest, 1);
    text_release(&rest);
    return !more;
}

/* GET on a connection of its own. `fields` are more header fields, each with its line end. */
HTTP_HELP struct http_reply http_get(int port, const char *path, const char *fields) {
    struct http_reply r;
    struct text request = { 0 };
    int fd = http_must_connect(port);
    text_printf(&request, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n", path, fields);
    if (!http_send(fd, text_str(&request))) HARNESS_FAIL("the request was not taken");
    http_read(fd, false, &r);
    text_release(&request);
    close(fd);
    return r;
}

#endif
